"""A run against a benchmark: regression, what was earned above it and how steadily, and how much of its moves was captured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.analytics.metrics import Values, _finite, _per_period, _scale, _spread, annual_growth, drawdowns
from ml4t_backtest.analytics.ratios import checked_rate, over

if TYPE_CHECKING:
    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray

__all__ = ["relative_figures"]


def relative_figures(returns: Values, benchmark: Values, periods_per_year: float, risk_free_rate: float = 0.0) -> dict[str, float]:
    """Return the figures of returns against those of a benchmark, as `docs/statistics.md` defines them.

    returns, benchmark: fractions per period, equally many. periods_per_year: scales what is per year. risk_free_rate: a year's, of
    which each period bears its part. What cannot be measured is NaN. Raises ValueError for rows of different lengths, what is no finite
    number, and `periods_per_year` below 0.
    """
    own, other = _finite(returns, "returns"), _finite(benchmark, "benchmark")
    if len(own) != len(other):
        raise ValueError(f"{len(own)} returns and {len(other)} of the benchmark, expected as many of each")
    scale = _scale(annualize=True, periods=periods_per_year)
    free = _per_period(checked_rate(risk_free_rate), periods_per_year)
    excess, market, active = own - free, other - free, own - other
    beta, correlation = _regression(excess, market)
    count = len(own)
    years = count / periods_per_year if periods_per_year > 0.0 else 0.0
    growth, other_growth = _growth(own), _growth(other)
    yearly, other_yearly = annual_growth(growth, years), annual_growth(other_growth, years)
    error, mean = _spread(active), _mean(active)
    up, down = _capture(own, other, other > 0.0), _capture(own, other, other < 0.0)
    other_spread = _spread(other)
    return {
        "alpha": (_mean(excess) - beta * _mean(market)) * periods_per_year,
        "beta": beta,
        "correlation": correlation,
        "r_squared": correlation * correlation,
        "tracking_error": error * scale if count > 1 else math.nan,
        "information_ratio": over(mean, error) * scale if count > 1 else math.nan,
        "up_capture": up,
        "down_capture": down,
        "capture_ratio": over(up, down),
        "batting_average": float(np.count_nonzero(active > 0.0)) / count if count else math.nan,
        "total_return": growth - 1.0,
        "benchmark_total_return": other_growth - 1.0,
        "cagr": yearly,
        "benchmark_cagr": other_yearly,
        "excess_return": yearly - other_yearly if math.isfinite(yearly) or math.isfinite(other_yearly) else math.nan,
        "benchmark_volatility": other_spread * scale,
        "benchmark_sharpe": _mean(market) / other_spread * scale if other_spread > 0.0 else 0.0,
        "benchmark_max_drawdown": _depth(other),
        "num_periods": float(count),
        "periods_per_year": periods_per_year,
    }


def _mean(numbers: FloatArray) -> float:
    return float(np.mean(numbers)) if len(numbers) else math.nan


def _growth(returns: FloatArray) -> float:
    return float(np.prod(1.0 + returns))


def _depth(returns: FloatArray) -> float:
    path: FloatArray = np.asarray(np.cumprod(1.0 + returns), dtype=np.float64)
    return -float(np.min(drawdowns(path, 1.0))) + 0.0 if len(path) else math.nan


def _regression(own: FloatArray, market: FloatArray) -> tuple[float, float]:
    """Return slope and correlation of returns over those of the market; NaN without spread."""
    if len(own) < 2 or _spread(market) == 0.0:  # noqa: PLR2004 - two points make a line
        return math.nan, math.nan
    off, market_off = own - np.mean(own), market - np.mean(market)
    together, squares = float(np.sum(off * market_off)), float(np.sum(market_off * market_off))
    if _spread(own) == 0.0:
        return 0.0, math.nan
    correlation = together / math.sqrt(float(np.sum(off * off)) * squares)
    return together / squares, max(-1.0, min(1.0, correlation))


def _capture(own: FloatArray, other: FloatArray, chosen: npt.NDArray[np.bool_]) -> float:
    """Return the mean growth per period over that of the benchmark, in the chosen periods (geometric means); NaN without any."""
    count = int(np.count_nonzero(chosen))
    if count == 0:
        return math.nan
    return over(_mean_growth(own[chosen], count), _mean_growth(other[chosen], count))


def _mean_growth(returns: FloatArray, count: int) -> float:
    if float(np.min(returns)) <= -1.0:
        return -1.0
    return math.expm1(float(np.sum(np.log1p(returns))) / count)
