"""How orders meet the market, and how portfolios become orders: impact, limits, rebalancing, schedules."""

from __future__ import annotations

from ml4t_backtest.execution.impact import LinearImpact, MarketImpactModel, NoImpact, PowerLawImpact, SquareRootImpact
from ml4t_backtest.execution.limits import (
    AdaptiveParticipationLimit,
    AssetExecutionLimits,
    ExecutionLimits,
    NoLimits,
    PositiveVolumeLimit,
    SharedVolumeParticipationLimit,
    VolumeParticipationLimit,
)
from ml4t_backtest.execution.rebalancer import RebalanceConfig, RebalanceMode, TargetWeightExecutor, WeightProvider
from ml4t_backtest.execution.result import ExecutionResult, RebalanceResult
from ml4t_backtest.execution.schedule import (
    RebalanceCadence,
    RebalanceClock,
    RebalanceSchedule,
    is_rebalance_timestamp,
    resolve_rebalance_timestamps,
)

__all__ = [
    "AdaptiveParticipationLimit",
    "AssetExecutionLimits",
    "ExecutionLimits",
    "ExecutionResult",
    "LinearImpact",
    "MarketImpactModel",
    "NoImpact",
    "NoLimits",
    "PositiveVolumeLimit",
    "PowerLawImpact",
    "RebalanceCadence",
    "RebalanceClock",
    "RebalanceConfig",
    "RebalanceMode",
    "RebalanceResult",
    "RebalanceSchedule",
    "SharedVolumeParticipationLimit",
    "SquareRootImpact",
    "TargetWeightExecutor",
    "VolumeParticipationLimit",
    "WeightProvider",
    "is_rebalance_timestamp",
    "resolve_rebalance_timestamps",
]
