"""Statistics of equity curves and trades."""

from __future__ import annotations

from ml4t_backtest.analytics.bridge import to_equity_dataframe, to_returns_series, to_trade_record, to_trade_records
from ml4t_backtest.analytics.equity import EquityCurve
from ml4t_backtest.analytics.metrics import (
    cagr,
    calmar_ratio,
    max_drawdown,
    returns_from_values,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)
from ml4t_backtest.analytics.ratios import (
    downside_deviation,
    expected_shortfall,
    gain_to_pain,
    kurtosis,
    omega_ratio,
    positive_share,
    recovery_factor,
    skewness,
    stability,
    tail_ratio,
    ulcer_index,
    ulcer_performance,
    value_at_risk,
)
from ml4t_backtest.analytics.relative import relative_figures
from ml4t_backtest.analytics.trades import MAEMFEAnalyzer, TradeAnalyzer

__all__ = [
    "EquityCurve",
    "MAEMFEAnalyzer",
    "TradeAnalyzer",
    "cagr",
    "calmar_ratio",
    "downside_deviation",
    "expected_shortfall",
    "gain_to_pain",
    "kurtosis",
    "max_drawdown",
    "omega_ratio",
    "positive_share",
    "recovery_factor",
    "relative_figures",
    "returns_from_values",
    "sharpe_ratio",
    "skewness",
    "sortino_ratio",
    "stability",
    "tail_ratio",
    "to_equity_dataframe",
    "to_returns_series",
    "to_trade_record",
    "to_trade_records",
    "ulcer_index",
    "ulcer_performance",
    "value_at_risk",
    "volatility",
]
