"""Portfolio limits and the manager that asks them."""

from __future__ import annotations

from ml4t_backtest.risk.portfolio.limits import (
    BetaLimit,
    CVaRLimit,
    DailyLossLimit,
    FactorExposureLimit,
    GrossExposureLimit,
    MaxDrawdownLimit,
    MaxExposureLimit,
    MaxPositionsLimit,
    NetExposureLimit,
    PortfolioLimit,
    SectorExposureLimit,
    VaRLimit,
)
from ml4t_backtest.risk.portfolio.manager import RiskManager
from ml4t_backtest.risk.types import LimitResult, PortfolioState

__all__ = [
    "BetaLimit",
    "CVaRLimit",
    "DailyLossLimit",
    "FactorExposureLimit",
    "GrossExposureLimit",
    "LimitResult",
    "MaxDrawdownLimit",
    "MaxExposureLimit",
    "MaxPositionsLimit",
    "NetExposureLimit",
    "PortfolioLimit",
    "PortfolioState",
    "RiskManager",
    "SectorExposureLimit",
    "VaRLimit",
]
