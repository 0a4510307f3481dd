"""A run in time: its drawdowns one by one, its months and years, and figures of a moving window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.analytics.metrics import _NO_SPREAD, drawdowns
from ml4t_backtest.frames import time_series

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["drawdown_frame", "monthly_frame", "rolling_frame", "window_of", "yearly_frame"]

_DAY_NS = 86_400e9
_MINIMUM = 2  # returns that have a spread


def drawdown_frame(times: IntArray, values: FloatArray, start: float, zone: str | None, count: int | None = None) -> pl.DataFrame:
    """Return one row per drawdown, the deepest first; columns as `BacktestResult.drawdowns` documents.

    times: int64[bars] ns UTC. values: float64[bars] money. start: money before the first bar, which counts as a peak. zone: of the
    times. count: only so many rows. Raises ValueError for a count that is no whole number >= 0.
    """
    import polars as pl

    if count is not None and (isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0):
        raise ValueError(f"n was {count!r}, expected a whole number of drawdowns >= 0, or None for all")
    falls = drawdowns(values, start)
    below = np.concatenate([[False], falls < 0.0, [False]])
    edges = np.flatnonzero(below[1:] != below[:-1])
    firsts, ends = edges[0::2], edges[1::2]  # the first bar of each drawdown, and the first one after it
    troughs = _lowest(falls, firsts, ends)
    depth = falls[troughs]
    order = np.argsort(depth, kind="stable")[:count]
    firsts, ends, troughs, depth = firsts[order], ends[order], troughs[order], depth[order]
    peaks = np.maximum(firsts - 1, 0)
    over = ends < len(values)
    last = np.minimum(ends, len(values) - 1)
    nothing = pl.Series(~over)
    bars = pl.Int64
    return pl.DataFrame(
        [
            time_series("start", times[peaks], zone),
            time_series("trough", times[troughs], zone),
            time_series("end", times[last], zone).set(nothing, None),
            pl.Series("depth", depth, dtype=pl.Float64),
            pl.Series("recovered", over, dtype=pl.Boolean),
            pl.Series("bars", last - peaks, dtype=bars),
            pl.Series("bars_to_trough", troughs - peaks, dtype=bars),
            pl.Series("bars_to_recovery", last - troughs, dtype=bars).set(nothing, None),
            pl.Series("days", (times[last] - times[peaks]) / _DAY_NS, dtype=pl.Float64),
            pl.Series("days_to_trough", (times[troughs] - times[peaks]) / _DAY_NS, dtype=pl.Float64),
            pl.Series("days_to_recovery", (times[last] - times[troughs]) / _DAY_NS, dtype=pl.Float64).set(nothing, None),
        ]
    )


def _lowest(falls: FloatArray, firsts: IntArray, ends: IntArray) -> IntArray:
    """Return the place of the first lowest number of each stretch."""
    if not len(firsts):
        return np.zeros(0, dtype=np.int64)
    inside = np.flatnonzero(falls < 0.0)
    lengths = ends - firsts
    lowest = np.repeat(np.minimum.reduceat(falls[inside], np.cumsum(lengths) - lengths), lengths)
    found = inside[falls[inside] == lowest]
    stretch = np.searchsorted(firsts, found, side="right")
    first: IntArray = found[np.concatenate([[True], stretch[1:] != stretch[:-1]])]
    return first


def monthly_frame(days: pl.DataFrame, start: float) -> pl.DataFrame:
    """Return one row per month of a frame of days (`daily_frame`); start: money before the first day.

    Columns: year (Int32), month (Int8), close_equity, pnl [money, since the close of the month before], return (the same as a
    fraction, 0 after a close that is not positive), num_days, num_bars (Int32).
    """
    import polars as pl

    date = pl.col("date")
    return _grouped(days.with_columns(date.dt.year().alias("year"), date.dt.month().alias("month")), ("year", "month"), start)


def yearly_frame(days: pl.DataFrame, start: float) -> pl.DataFrame:
    """Return one row per year of a frame of days, with the columns of `monthly_frame` but month."""
    import polars as pl

    return _grouped(days.with_columns(pl.col("date").dt.year().alias("year")), ("year",), start)


def _grouped(days: pl.DataFrame, by: tuple[str, ...], start: float) -> pl.DataFrame:
    import polars as pl

    grouped = days.group_by(by, maintain_order=True).agg(
        pl.col("close_equity").last(),
        pl.len().cast(pl.Int32).alias("num_days"),
        pl.col("num_bars").sum().cast(pl.Int32),
    )
    close = pl.col("close_equity")
    before = close.shift(1, fill_value=start)
    return grouped.select(
        *by,
        close,
        (close - before).alias("pnl"),
        pl.when(before > 0.0).then(close / before - 1.0).otherwise(0.0).alias("return"),
        "num_days",
        "num_bars",
    )


# A moving window ---------------------------------------------------------------------------------------------------------


def window_of(window: int | None, count: int, periods_per_year: float) -> int:
    """Return the length of a moving window in returns: as given, else half a year's, at most a quarter of all, at least 2.

    count: number of returns. Raises ValueError for a window that is no whole number >= 2.
    """
    if window is None:
        return max(_MINIMUM, min(round(periods_per_year / 2.0), count // 4))
    if isinstance(window, bool) or not isinstance(window, (int, np.integer)) or window < _MINIMUM:
        raise ValueError(f"window was {window!r}, expected a whole number of bars >= {_MINIMUM}, or None for half a year")
    return int(window)


def rolling_frame(
    timestamps: pl.Series, returns: FloatArray, benchmark: FloatArray | None, window: int, periods_per_year: float
) -> pl.DataFrame:
    """Return figures of a moving window, one row per return; null before the window is full.

    timestamps: the end of each return. returns, benchmark: float64[n] per period. window: number of returns. Columns: timestamp,
    return (compounded over the window), volatility, sharpe (per year; 0 without spread), and with a benchmark beta and correlation
    (null where one of the two has no spread).
    """
    import pandas as pd
    import polars as pl

    rows = pd.Series(returns)
    moving = rows.rolling(window)
    mean = moving.mean().to_numpy()
    spread = _spreads(rows, window)
    scale = math.sqrt(periods_per_year)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = np.where(spread > 0.0, mean / spread * scale, np.where(np.isnan(spread), math.nan, 0.0))
    columns = {"return": _compounded(returns, window), "volatility": spread * scale, "sharpe": sharpe}
    if benchmark is not None:
        other = pd.Series(benchmark)
        other_spread = _spreads(other, window)
        together = moving.cov(other).to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            columns["beta"] = np.where(other_spread > 0.0, together / (other_spread * other_spread), math.nan)
            both = np.where((spread > 0.0) & (other_spread > 0.0), spread * other_spread, math.nan)
            columns["correlation"] = np.clip(together / both, -1.0, 1.0)
    return pl.DataFrame([timestamps.alias("timestamp"), *(pl.Series(name, made).fill_nan(None) for name, made in columns.items())])


def _spreads(rows: pd.Series[float], window: int) -> FloatArray:
    """Return the standard deviation (ddof 1) of each window; what is only rounding is 0."""
    moving = rows.rolling(window)
    spread = moving.std().to_numpy()
    # the largest less the smallest is exact: a window of equal returns has no spread, whatever went through it before
    return np.where((moving.max() - moving.min()).to_numpy() <= _NO_SPREAD, 0.0 * spread, spread)


def _compounded(returns: FloatArray, window: int) -> FloatArray:
    """Return the growth over each window, NaN before the first; -1 where a return took everything."""
    made = np.full(len(returns), math.nan)
    if len(returns) < window:
        return made
    ruined = returns <= -1.0
    logs = np.log1p(np.where(ruined, 0.0, returns))
    summed = np.concatenate([[0.0], np.cumsum(logs)])
    ruins = np.concatenate([[0], np.cumsum(ruined)])
    growth = np.expm1(summed[window:] - summed[:-window])
    made[window - 1 :] = np.where(ruins[window:] > ruins[:-window], -1.0, growth)
    return made
