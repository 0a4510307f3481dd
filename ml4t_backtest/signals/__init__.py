"""Entries and exits: `from_signals` for many columns at once, `SignalStrategy` for engines and parameter sets, conditions on indicators."""

from __future__ import annotations

from ml4t_backtest.signals.conditions import Condition, Indicators, above, below, crosses_above, crosses_below
from ml4t_backtest.signals.conflicts import Conflicts
from ml4t_backtest.signals.outcome import SignalResult
from ml4t_backtest.signals.portfolio import from_signals
from ml4t_backtest.signals.strategy import SignalStrategy

__all__ = [
    "Condition",
    "Conflicts",
    "Indicators",
    "SignalResult",
    "SignalStrategy",
    "above",
    "below",
    "crosses_above",
    "crosses_below",
    "from_signals",
]
