"""The names that scripts comparing engines import, in one place."""

from __future__ import annotations

from ml4t_backtest.broker import Broker
from ml4t_backtest.config import BacktestConfig, InitialHwmSource, TrailHwmSource, WaterMarkSource
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.engine import Engine
from ml4t_backtest.execution import LinearImpact, RebalanceConfig, TargetWeightExecutor, VolumeParticipationLimit
from ml4t_backtest.handles import Order
from ml4t_backtest.models import (
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentageCommission,
    PercentageSlippage,
    PerShareCommission,
)
from ml4t_backtest.strategy import Strategy
from ml4t_backtest.types import ExecutionMode, OrderSide, OrderStatus, OrderType, StopFillMode, StopLevelBasis

__all__ = [
    "BacktestConfig",
    "Broker",
    "DataFeed",
    "Engine",
    "ExecutionMode",
    "FixedSlippage",
    "InitialHwmSource",
    "LinearImpact",
    "NoCommission",
    "NoSlippage",
    "Order",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "PerShareCommission",
    "PercentageCommission",
    "PercentageSlippage",
    "RebalanceConfig",
    "StopFillMode",
    "StopLevelBasis",
    "Strategy",
    "TargetWeightExecutor",
    "TrailHwmSource",
    "VolumeParticipationLimit",
    "WaterMarkSource",
]
