"""What a run may be compared with, read and brought to the bars of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import _changes
from ml4t_backtest.frames import read_frame, time_axis, time_series
from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["Comparison", "compared"]

_VALUES = ("close", "adj_close", "equity", "value", "price")
_RETURNS = ("return", "returns")
_DAY_NS = 86_400_000_000_000
_PRICE_LIKE = 0.5  # no market moves by half in a usual period: the median of returns is far below, that of prices above
_PAIR = 2


@dataclass(frozen=True)
class Comparison:
    """A run and its benchmark at the times that both have.

    places: int64[n + 1], bars of the run. returns, benchmark: float64[n], from each of these times to the next.
    """

    places: IntArray
    returns: FloatArray
    benchmark: FloatArray


@dataclass(frozen=True)
class _Given:
    """A benchmark as given: ns of each row, whether rows are dates, the numbers, and whether these are returns."""

    times: IntArray
    dated: bool
    numbers: FloatArray
    returns: bool


def compared(benchmark: Any, times: IntArray, equity: FloatArray, panels: Panels) -> Comparison:
    """Return a benchmark beside a run.

    benchmark: what `BacktestResult.relative_to` documents. times: int64[bars] ns UTC. equity: float64[bars]. panels: of the feed.
    Raises ValueError for an unknown asset, prices that are gone, numbers that are missing or senseless, times out of order or twice,
    and for fewer than two common times; TypeError for what is no benchmark.
    """
    if isinstance(benchmark, str):
        found, numbers = _of_asset(benchmark, times, panels)
        return _between(found, equity, numbers)
    if hasattr(benchmark, "_equity") and hasattr(benchmark, "_times"):
        if (benchmark._panels.zone is None) != (panels.zone is None):
            raise ValueError("benchmark and run must both have a time zone or neither; make both feeds one or the other")
        given = _Given(benchmark._times, dated=False, numbers=benchmark._equity, returns=False)
    elif _is_frame(benchmark):
        given = _of_frame(benchmark, times, panels.zone)
    else:
        return _per_bar(benchmark, equity)
    places, rows = _common(given, times, panels.zone)
    if not given.returns:
        return _between(places, equity, given.numbers[rows])
    return Comparison(places, _changes(equity[places]), _joined(given.numbers, rows))


def _is_frame(benchmark: Any) -> bool:
    timed = hasattr(getattr(benchmark, "index", None), "tz")  # a pandas series over times
    return timed or isinstance(benchmark, Path) or hasattr(type(benchmark), "columns")


# Each kind ---------------------------------------------------------------------------------------------------------------


def _of_asset(name: str, times: IntArray, panels: Panels) -> tuple[IntArray, FloatArray]:
    column = panels.column_of.get(name)
    if column is None:
        raise ValueError(
            f"benchmark {name!r} is no asset of the feed ({shortened(panels.assets)}){did_you_mean(name, panels.assets)}; a file is"
            " given as pathlib.Path"
        )
    close = panels.prices.get("close")
    if close is None:
        raise ValueError(f"benchmark {name!r}: a result read from a folder has no prices; give a frame with timestamp and close")
    prices = close[np.searchsorted(panels.times, times), column]
    places = np.flatnonzero(~np.isnan(prices))
    if len(places) and float(np.min(prices[places])) <= 0.0:
        raise ValueError(f"benchmark {name!r} has closes <= 0, which have no returns; give a frame with timestamp and return")
    return places, prices[places]


def _of_frame(benchmark: Any, times: IntArray, zone: str | None) -> _Given:
    import polars as pl

    if hasattr(benchmark, "to_frame") and not hasattr(type(benchmark), "columns"):
        name = _plain_name(benchmark.name)
        benchmark = benchmark.rename(name if name in _VALUES else "return").to_frame()
    frame = read_frame(benchmark, "benchmark")
    wanted = {name: _plain_name(name) for name in frame.columns if _plain_name(name) in (*_VALUES, *_RETURNS, "timestamp")}
    if len(set(wanted.values())) == len(wanted):
        frame = frame.rename(wanted)
    column = next((name for name in (*_VALUES, *_RETURNS) if name in frame.columns), None)
    if column is None:
        raise ValueError(f"benchmark has no column 'close' or 'return', only {shortened(frame.columns)}; rename the one that is meant")
    dates = "timestamp" in frame.columns and frame.schema["timestamp"] == pl.Date
    axis = time_axis(frame, "benchmark")
    stamps = axis.nanoseconds.to_numpy()
    numbers = _checked(frame[column], frame["timestamp"], returns=column in _RETURNS)
    _check_order(stamps, frame)
    local = frame["timestamp"].cast(pl.Datetime("ns")) if dates else frame["timestamp"].dt.replace_time_zone(None).cast(pl.Datetime("ns"))
    wall = local.to_physical().to_numpy()
    if dates or (not np.any(wall % _DAY_NS) and np.any(_walls(times, zone) % _DAY_NS)):
        return _Given(wall // _DAY_NS, dated=True, numbers=numbers, returns=column in _RETURNS)
    if (axis.zone is None) != (zone is None):
        which = "no time zone, the run has one" if axis.zone is None else "a time zone, the run has none"
        raise ValueError(f"benchmark column 'timestamp' has {which}; make them alike with dt.replace_time_zone(...)")
    return _Given(stamps, dated=False, numbers=numbers, returns=column in _RETURNS)


def _plain_name(name: object) -> str:
    return str(name).lower().replace(" ", "_")


def _per_bar(benchmark: Any, equity: FloatArray) -> Comparison:
    """Return one return per bar beside the run; that of the first bar is left out, as the run's own is."""
    import polars as pl

    kind = getattr(getattr(benchmark, "index", None), "dtype", None)  # of the index of a pandas series
    if kind is not None and getattr(kind, "kind", "O") not in "iu":
        raise ValueError(
            f"benchmark is a series over {type(benchmark.index).__name__} of {kind}, which is no time; make it one with pd.to_datetime"
            " (periods: .to_timestamp()), or give the values alone"
        )
    try:
        if np.ndim(benchmark) == 0:
            raise TypeError(f"{benchmark!r} is no row of numbers")  # noqa: TRY301 - the message below says what is
        numbers = pl.Series("return", np.asarray(benchmark, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"benchmark was a {type(benchmark).__name__}, expected the name of an asset, a frame with timestamp and close or return, a"
            " series with times, a BacktestResult, or one return per bar"
        ) from error
    if numbers.dtype != pl.Float64:
        raise ValueError("benchmark had more than one number per bar, expected one row of returns")
    if len(numbers) != len(equity):
        raise ValueError(f"benchmark has {len(numbers)} returns, the run has {len(equity)} bars; give one per bar, or a frame with times")
    _check_pairs(len(equity), "the run")
    checked = _checked(numbers, None, returns=True)
    return Comparison(np.arange(len(equity)), _changes(equity), checked[1:])


# Checks ------------------------------------------------------------------------------------------------------------------


def _checked(column: pl.Series, stamps: pl.Series | None, *, returns: bool) -> FloatArray:
    """Return the numbers of a column. Raises ValueError for those that cannot be prices or returns."""
    import polars as pl

    if not column.dtype.is_numeric():
        raise ValueError(f"benchmark column {column.name!r} has type {column.dtype}, expected numbers")
    numbers: FloatArray = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()

    def where(row: int) -> str:
        return f"row {row}" if stamps is None else str(stamps[row])

    for bad, expected in (
        (~np.isfinite(numbers), "a finite number; drop or fill such rows"),
        (numbers < -1.0 if returns else numbers <= 0.0, "a return >= -1 as a fraction" if returns else "a number > 0"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"benchmark {column.name} at {where(row)} was {float(numbers[row])!r}, expected {expected}")
    if returns and len(numbers) and float(np.median(np.abs(numbers))) > _PRICE_LIKE:
        raise ValueError(
            f"benchmark {column.name} has a median of {float(np.median(numbers)):g}, which looks like prices or percent; give fractions"
            " per period, or prices as a frame with timestamp and close (a pandas series named 'close')"
        )
    return numbers


def _check_order(stamps: IntArray, frame: pl.DataFrame) -> None:
    steps = np.diff(stamps)
    if (steps > 0).all():
        return
    row = int(np.argmax(steps <= 0)) + 1
    problem = "again, expected one row per time (one asset)" if steps[row - 1] == 0 else "after a later one, expected times in order: sort"
    raise ValueError(f"benchmark row {row} has the time {frame['timestamp'][row]} {problem}")


def _check_pairs(count: int, what: str) -> None:
    if count < _PAIR:
        raise ValueError(f"{what} has {count} bars in common with the benchmark, expected at least {_PAIR}")


# Matching ----------------------------------------------------------------------------------------------------------------


def _walls(times: IntArray, zone: str | None) -> IntArray:
    """Return times as ns on the clocks of a zone."""
    import polars as pl

    return time_series("", times, zone).dt.replace_time_zone(None).cast(pl.Datetime("ns")).to_physical().to_numpy()


def _common(given: _Given, times: IntArray, zone: str | None) -> tuple[IntArray, IntArray]:
    """Return the bars that have a row of the benchmark, and those rows. Raises ValueError for fewer than two."""
    axis, places = times, np.arange(len(times))
    if given.dated:
        axis = _walls(times, zone) // _DAY_NS
        places = np.flatnonzero(np.concatenate([axis[1:] != axis[:-1], np.ones(min(1, len(axis)), dtype=np.bool_)]))
    _, bars, rows = np.intersect1d(axis[places], given.times, assume_unique=False, return_indices=True)
    if len(bars) < _PAIR:
        kind = "D" if given.dated else "ns"

        def span(moments: IntArray) -> str:
            first, last = (str(moment) for moment in moments[[0, -1]].astype(f"datetime64[{kind}]")) if len(moments) else ("", "")
            return f"{len(moments)} from {first} to {last}" if len(moments) else "none"

        raise ValueError(
            f"the run and the benchmark have {len(bars)} times in common, expected at least {_PAIR}; run: {span(axis[places])}; benchmark:"
            f" {span(given.times)} (UTC). Give it the times of the bars, or dates"
        )
    return places[bars], rows


def _between(places: IntArray, equity: FloatArray, values: FloatArray) -> Comparison:
    _check_pairs(len(places), "the run")
    return Comparison(places, _changes(equity[places]), _changes(values))


def _joined(returns: FloatArray, rows: IntArray) -> FloatArray:
    """Return the returns between rows, those in between compounded."""
    if len(rows) == rows[-1] - rows[0] + 1:
        return returns[rows[1:]]
    grown: FloatArray = np.multiply.reduceat(1.0 + returns[: rows[-1] + 1], rows[:-1] + 1) - 1.0
    return np.where(np.diff(rows) == 1, returns[rows[1:]], grown)
