"""`BacktestConfig` and the choices of its settings."""

from __future__ import annotations

from ml4t_backtest.config.choices import (
    AccountType,
    BracketPriority,
    BuyingPowerBasis,
    CashLedger,
    ChildActivation,
    CommissionType,
    DataFrequency,
    EntryOrderPriority,
    FillOrdering,
    FillTiming,
    InitialHwmSource,
    LateAssetPolicy,
    LimitFill,
    MarginCallCheck,
    MarginCallPolicy,
    MissingPricePolicy,
    RebalanceFrequency,
    RebalanceMode,
    ShareType,
    ShortCashPolicy,
    SlippageFills,
    SlippageType,
    StopLimitFill,
    SubmissionBarRange,
    TrailStopTiming,
    TrailUpdate,
    WaterMarkSource,
)
from ml4t_backtest.config.presets import PRESETS_DIR, Mode, list_presets
from ml4t_backtest.config.settings import BacktestConfig, StatsConfig
from ml4t_backtest.types import ExecutionMode, ExecutionPrice, StopFillMode, StopLevelBasis

# Names that user code imports from here.
CommissionModel = CommissionType
SlippageModel = SlippageType
TrailHwmSource = WaterMarkSource

__all__ = [
    "PRESETS_DIR",
    "AccountType",
    "BacktestConfig",
    "BracketPriority",
    "BuyingPowerBasis",
    "CashLedger",
    "ChildActivation",
    "CommissionModel",
    "CommissionType",
    "DataFrequency",
    "EntryOrderPriority",
    "ExecutionMode",
    "ExecutionPrice",
    "FillOrdering",
    "FillTiming",
    "InitialHwmSource",
    "LateAssetPolicy",
    "LimitFill",
    "MarginCallCheck",
    "MarginCallPolicy",
    "MissingPricePolicy",
    "Mode",
    "RebalanceFrequency",
    "RebalanceMode",
    "ShareType",
    "ShortCashPolicy",
    "SlippageFills",
    "SlippageModel",
    "SlippageType",
    "StatsConfig",
    "StopFillMode",
    "StopLevelBasis",
    "StopLimitFill",
    "SubmissionBarRange",
    "TrailHwmSource",
    "TrailStopTiming",
    "TrailUpdate",
    "WaterMarkSource",
    "list_presets",
]
