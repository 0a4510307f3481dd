"""The slow, plain broker that the fast kernels are checked against; its only source is docs/execution.md."""

from tests.oracle.broker import Broker
from tests.oracle.costs import Commission, CostModel
from tests.oracle.limit_types import (
    ConditionalValueAtRisk,
    DailyLoss,
    Drawdown,
    FactorExposure,
    GrossExposure,
    LargestPosition,
    NetExposure,
    PositionsLimit,
    SectorExposure,
    ValueAtRisk,
)
from tests.oracle.oracle import Oracle
from tests.oracle.records import Alert, CashFlow, OracleFill, OracleOrder, OracleResult, OracleTrade
from tests.oracle.rule_types import (
    AllOf,
    AnyOf,
    Chain,
    ScaledExit,
    SignalExit,
    StopLoss,
    TakeProfit,
    Tightening,
    TimeExit,
    TrailingStop,
    VolatilityStop,
    VolatilityTrailingStop,
)
from tests.oracle.settings import Contract, Settings

__all__ = [
    "Alert",
    "AllOf",
    "AnyOf",
    "Broker",
    "CashFlow",
    "Chain",
    "Commission",
    "ConditionalValueAtRisk",
    "Contract",
    "CostModel",
    "DailyLoss",
    "Drawdown",
    "FactorExposure",
    "GrossExposure",
    "LargestPosition",
    "NetExposure",
    "Oracle",
    "OracleFill",
    "OracleOrder",
    "OracleResult",
    "OracleTrade",
    "PositionsLimit",
    "ScaledExit",
    "SectorExposure",
    "Settings",
    "SignalExit",
    "StopLoss",
    "TakeProfit",
    "Tightening",
    "TimeExit",
    "TrailingStop",
    "ValueAtRisk",
    "VolatilityStop",
    "VolatilityTrailingStop",
]
