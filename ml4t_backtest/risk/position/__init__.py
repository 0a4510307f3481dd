"""Position rules: what closes a position without the strategy asking for it."""

from __future__ import annotations

from ml4t_backtest.risk.position.composite import AllOf, AnyOf, RuleChain
from ml4t_backtest.risk.position.dynamic import ScaledExit, TighteningTrailingStop, TrailingStop, VolatilityStop, VolatilityTrailingStop
from ml4t_backtest.risk.position.protocol import PositionRule
from ml4t_backtest.risk.position.signal import SignalExit
from ml4t_backtest.risk.position.static import StopLoss, TakeProfit, TimeExit

__all__ = [
    "AllOf",
    "AnyOf",
    "PositionRule",
    "RuleChain",
    "ScaledExit",
    "SignalExit",
    "StopLoss",
    "TakeProfit",
    "TighteningTrailingStop",
    "TimeExit",
    "TrailingStop",
    "VolatilityStop",
    "VolatilityTrailingStop",
]
