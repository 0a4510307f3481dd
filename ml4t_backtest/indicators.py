"""Indicators: rolling mean, deviation, z-score, EMA, ATR, RSI, highest, lowest, crossings; over arrays or as columns of a frame.

Arrays are float64 of shape (bars,) or (bars, assets), for example `feed.panels.prices["close"]`; lists and the series of data frames are
taken too, but a column of a long frame has the assets one after the other: `with_indicators` goes through them. With one window the
answer has the shape of the values; with several (`sma(close, [10, 20, 50])`) it is a table: (windows, bars) or (windows, bars, assets).
The value at a bar knows that bar and those before it, and no later one: a strategy that trades at the close of the bar it looks at, or
later, may use it.

Missing values are NaN; infinite ones count as missing. A rolling window (`sma`, `rolling_std`, `zscore`, `highest`, `lowest`) that
is not full yet or holds one answers NaN, and it leaves no trace in windows after it. `ema`, `rsi` and `atr` leave a bar without a value
out, as though it were not there: NaN on that bar, and the next goes on from the one before. A window longer than the data answers NaN
throughout.
"""

from __future__ import annotations

import itertools
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.frames import TIMESTAMP, entity_column, read_frame, time_axis
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.memory import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import polars as pl

    from ml4t_backtest.frames import FrameLike
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = [
    "atr",
    "crosses_above",
    "crosses_below",
    "ema",
    "highest",
    "lag",
    "lowest",
    "rolling_std",
    "rsi",
    "sma",
    "with_indicators",
    "zscore",
]

Values: TypeAlias = Any  # an array, list, or series of numbers
Windows: TypeAlias = "int | Sequence[int]"

_ENDLESS = 2**40  # longer windows are as good as this one
_TABLES = 3  # dimensions of (windows, bars, assets)


def sma(values: Values, window: Windows) -> FloatArray:
    """Return the mean of the last `window` values.

    values: (bars,) or (bars, assets). window: bars >= 1, or several. Each window is added up anew, so that nothing drifts: the
    error is that of adding `window` numbers, however long the series; equal values give exactly that value. Raises ValueError
    for other shapes, text, and windows < 1, TypeError for windows that are no whole numbers.
    """
    return _rolled("rolling_mean", [_numbers(values, "values")], _lengths(window))


def rolling_std(values: Values, window: Windows, *, ddof: int = 1) -> FloatArray:
    """Return the standard deviation of the last `window` values, exactly 0 for equal ones.

    ddof: 1 divides by `window - 1` (pandas, and the metrics of this package), 0 by `window` (TA-Lib, Bollinger). Raises ValueError
    for a window that is not larger than ddof, and as `sma`.
    """
    return _rolled("rolling_spread", [_numbers(values, "values")], _lengths(window, _degrees(ddof) + 1), (ddof, 0))


def zscore(values: Values, window: Windows, *, ddof: int = 1) -> FloatArray:
    """Return how many standard deviations a value is above the mean of the last `window` values, itself included.

    NaN where all values of the window are equal. ddof and errors: as `rolling_std`.
    """
    return _rolled("rolling_spread", [_numbers(values, "values")], _lengths(window, _degrees(ddof) + 1), (ddof, 1))


def highest(values: Values, window: Windows) -> FloatArray:
    """Return the highest of the last `window` values, the bar itself included; `lag` it to compare a bar with those before.

    Arguments and errors: as `sma`.
    """
    return _rolled("rolling_extreme", [_numbers(values, "values")], _lengths(window), (1,))


def lowest(values: Values, window: Windows) -> FloatArray:
    """Return the lowest of the last `window` values, the bar itself included.

    Arguments and errors: as `sma`.
    """
    return _rolled("rolling_extreme", [_numbers(values, "values")], _lengths(window), (-1,))


def ema(values: Values, window: Windows) -> FloatArray:
    """Return the exponential average with weight 2 / (window + 1) on the newest value.

    It starts at the `window`-th value, with the mean of the first `window` (as TA-Lib does; pandas starts from the first value).
    Arguments and errors: as `sma`.
    """
    return _rolled("exponential_average", [_numbers(values, "values")], _lengths(window))


def rsi(values: Values, window: Windows = 14) -> FloatArray:
    """Return the relative strength index of J. Welles Wilder (New Concepts in Technical Trading Systems, 1978), 0 to 100.

    The averages of rises and falls start as the means of the first `window` changes and go on as
    `average + (change - average) / window`. 50 where nothing has moved at all. Arguments and errors: as `sma`.
    """
    return _rolled("relative_strength", [_numbers(values, "values")], _lengths(window))


def atr(high: Values, low: Values, close: Values, window: Windows = 14) -> FloatArray:
    """Return the average true range of J. Welles Wilder (1978), in the unit of the prices.

    True range: the highest of high and the close before, less the lowest of low and the close before; the first bar has none. The
    average starts as the mean of the first `window` ranges and goes on as `average + (range - average) / window`.

    high, low, close: of one shape. Raises ValueError for different shapes and a high below its low, and as `sma`.
    """
    parts = {"high": _numbers(high, "high"), "low": _numbers(low, "low"), "close": _numbers(close, "close")}
    shapes = {name: part.shape for name, part in parts.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"high, low and close have the shapes {', '.join(map(str, shapes.values()))}, expected one shape")
    upside_down = np.argwhere(parts["high"] < parts["low"])
    if len(upside_down):
        bar, *column = upside_down[0].tolist()
        place = (bar, *column) if column else bar
        asset = f", column {column[0]}" if column else ""
        raise ValueError(f"high is {parts['high'][place]} and low is {parts['low'][place]} on bar {bar}{asset}: the low is above it")
    return _rolled("average_true_range", list(parts.values()), _lengths(window))


def lag(values: Values, bars: int = 1, *, axis: int = 0) -> FloatArray:
    """Return the values of `bars` bars ago, NaN on the first ones.

    axis: the one of the bars: 0, but 1 for a table of several windows. Raises ValueError for bars < 0, which would look ahead.
    """
    array = _numbers(values, "values", table=True)
    count = _whole(bars, "bars")
    if count < 0:
        raise ValueError(f"bars was {bars}, expected a whole number >= 0: a negative one would look ahead")
    made: FloatArray = np.full_like(array, np.nan)
    made_by_bar, by_bar = np.moveaxis(made, _axis(axis, array.ndim), 0), np.moveaxis(array, axis, 0)
    made_by_bar[count:] = by_bar[: max(len(by_bar) - count, 0)]
    return made


def crosses_above(first: Values, second: Values, *, axis: int = 0) -> npt.NDArray[np.bool_]:
    """Tell on which bars `first` is above `second` and was not above it on the bar before.

    first, second: arrays of one shape, or that numpy broadcasts: a number, or (bars,) against a table. axis: the one of the bars in
    the shape they have together: 0, but 1 for a table of several windows. False on the first bar, and where one of the four values is
    missing. Raises ValueError for shapes that do not fit.
    """
    return _crossed(_numbers(first, "first", table=True), _numbers(second, "second", table=True), axis)


def crosses_below(first: Values, second: Values, *, axis: int = 0) -> npt.NDArray[np.bool_]:
    """Tell on which bars `first` is below `second` and was not below it on the bar before; arguments as `crosses_above`."""
    return _crossed(-_numbers(first, "first", table=True), -_numbers(second, "second", table=True), axis)


def _crossed(first: FloatArray, second: FloatArray, axis: int) -> npt.NDArray[np.bool_]:
    try:
        first, second = np.broadcast_arrays(first, second)
    except ValueError:
        raise ValueError(f"first has the shape {first.shape} and second {second.shape}; give arrays of one shape, or a number") from None
    if not first.ndim:
        raise ValueError("first and second were two numbers, expected at least one array")
    one, other = np.moveaxis(first, _axis(axis, first.ndim), 0), np.moveaxis(second, axis, 0)
    made = np.zeros(first.shape, dtype=np.bool_)
    np.moveaxis(made, axis, 0)[1:] = (one[1:] > other[1:]) & (one[:-1] <= other[:-1])
    return made


# Columns of a frame ------------------------------------------------------------------------------------------------------


def with_indicators(
    frame: FrameLike, *, entity_col: str | None = None, **columns: Callable[[Mapping[str, FloatArray]], Values]
) -> pl.DataFrame:
    """Return a long frame with one more column per indicator, each asset by itself and in order of time.

    frame: one row per time and asset, in any order (what `DataFeed` takes). entity_col: the column that names the asset; None for the
    first of symbol, asset, product, ticker, and for a frame of one asset that has none of them. columns: name to a function of the asset's
    bars that returns one number (or True or False) per bar; `bars["close"]` is a column as float64[bars]. For example
    `with_indicators(prices, fast=lambda bars: sma(bars["close"], 10))`. An indicator sees the rows of its asset only, so that a bar
    without a row is no gap in it.

    Rows and columns of the frame stay as they are; a column of the name of an indicator is replaced. Raises ValueError for a function
    that returns something else, an asset with two rows of one time, and as `DataFeed` does for the frame; KeyError for a missing column.
    """
    import polars as pl

    table = read_frame(frame, "frame")
    for name, function in columns.items():
        if not callable(function):
            raise TypeError(f"{name} was {function!r}, expected a function of bars: {name}=lambda bars: sma(bars['close'], 20)")
        if name == TIMESTAMP:
            raise ValueError("an indicator cannot be called 'timestamp'; give it another name")
    order, edges = _by_asset(table, entity_col)
    made = []
    for name, function in columns.items():
        parts = [_one_column(name, function, _Bars(table, order[start:end])) for start, end in edges]
        joined = np.concatenate(parts) if parts else np.zeros(0)
        values = np.empty_like(joined)
        values[order] = joined
        made.append(pl.Series(name, values))
    return table.with_columns(made)


class _Bars(dict[str, "FloatArray"]):
    """The columns of one asset's rows, in order of time, as float64[bars]; made when they are asked for."""

    def __init__(self, frame: pl.DataFrame, rows: IntArray) -> None:
        super().__init__()
        self._frame, self._rows = frame, rows

    def __missing__(self, name: str) -> FloatArray:
        columns = self._frame.columns
        if name not in columns:
            raise KeyError(f"the frame has no column {name!r}, only {shortened(columns)}{did_you_mean(str(name), columns)}")
        if not (self._frame.schema[name].is_numeric() or str(self._frame.schema[name]) in ("Boolean", "Null")):
            raise ValueError(f"column {name!r} has type {self._frame.schema[name]}, expected numbers")
        values: FloatArray = self._frame[name].gather(self._rows).to_numpy().astype(np.float64)
        self[name] = values
        return values

    def __len__(self) -> int:
        return len(self._frame.columns)

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.columns)


def _by_asset(frame: pl.DataFrame, entity_col: str | None) -> tuple[IntArray, list[tuple[int, int]]]:
    """Return the rows of a frame by asset and time, and where each asset begins and ends among them."""
    import polars as pl

    times = time_axis(frame, "frame").nanoseconds.to_numpy()
    known = entity_col is not None or any(name in frame.columns for name in ("symbol", "asset", "product", "ticker"))
    if known:
        names = frame[entity_column(frame, "frame", entity_col)].cast(pl.String)
        assets = names.rank("dense").to_numpy().astype(np.int64)
    else:
        names = pl.Series(["the frame"] * len(frame), dtype=pl.String)
        assets = np.zeros(len(frame), dtype=np.int64)
    order: IntArray = np.lexsort((times, assets)).astype(np.int64)
    same = (assets[order][1:] == assets[order][:-1]) & (times[order][1:] == times[order][:-1])
    if same.any():
        row = int(order[int(np.argmax(same)) + 1])
        raise ValueError(f"{names[row]!r} has two rows at {frame[TIMESTAMP][row]}; every asset has one row per time")
    starts = np.flatnonzero(np.diff(assets[order], prepend=-1) != 0).tolist()
    return order, list(itertools.pairwise([*starts, len(order)]))


def _one_column(name: str, function: Callable[[Mapping[str, FloatArray]], Values], bars: _Bars) -> npt.NDArray[Any]:
    try:
        values = np.asarray(function(bars))
    except Exception as error:
        error.add_note(f"in the indicator {name!r}")
        raise
    rows = len(bars._rows)
    if values.shape != (rows,):
        raise ValueError(f"{name} returned an array of the shape {values.shape} for {rows} bars, expected one value per bar: ({rows},)")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} returned {values.dtype} values, expected numbers or True and False")
    return values if values.dtype.kind == "b" else values.astype(np.float64)


# Arguments ---------------------------------------------------------------------------------------------------------------


def _numbers(values: Values, name: str, *, table: bool = False) -> FloatArray:
    """Return values as float64 of one or two dimensions (`table`: any up to three), infinite ones as NaN."""
    if hasattr(values, "panels"):
        raise TypeError(f"{name} was a feed, expected one column of numbers: feed.panels.prices['close'] is (bars, assets)")
    if TIMESTAMP in getattr(values, "columns", ()):
        raise TypeError(f"{name} was a long frame, expected one column of numbers; with_indicators(frame, ...) goes through its assets")
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} was a {type(values).__name__} that holds no plain numbers: {error}") from error
    if not (array.ndim <= _TABLES if table else array.ndim in (1, 2)):
        raise ValueError(f"{name} has {array.ndim} dimensions, expected (bars,) or (bars, assets)")
    infinite = np.isinf(array)
    return np.where(infinite, np.nan, array) if infinite.any() else array


def _whole(value: Any, name: str) -> int:
    try:
        if not isinstance(value, (bool, np.bool_)):
            return index(value)
    except TypeError:
        pass
    raise TypeError(f"{name} was {value!r}, expected a whole number")


def _degrees(ddof: int) -> int:
    if ddof not in (0, 1):
        raise ValueError(f"ddof was {ddof!r}, expected 0 or 1")
    return ddof


def _axis(axis: int, dimensions: int) -> int:
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"axis was {axis}, but the values have {dimensions} dimensions")
    return axis


def _lengths(window: Windows, least: int = 1) -> tuple[IntArray, bool]:
    """Return window lengths as an array, and whether it was one number."""
    single = np.ndim(window) == 0
    listed: list[Any] = [window] if single else list(window)  # type: ignore[arg-type]
    lengths = [min(_whole(length, "window"), _ENDLESS) for length in listed]
    if not lengths:
        raise ValueError("window was empty, expected a whole number or several")
    for length in lengths:
        if length < least:
            raise ValueError(f"window was {length}, expected a whole number >= {least}")
    return np.array(lengths, dtype=np.int64), single


def _rolled(name: str, columns: Sequence[FloatArray], windows: tuple[IntArray, bool], settings: tuple[int, ...] = ()) -> FloatArray:
    """Call a kernel for every window and asset; the kernels want the bars of an asset one after the other."""
    from ml4t_kernels import indicators as kernels

    lengths, single = windows
    shape = columns[0].shape
    laid = [np.ascontiguousarray(column.T) for column in columns]
    bars, series = shape[0], laid[0].size // shape[0] if shape[0] else 0
    made: FloatArray = np.empty((len(lengths), *laid[0].shape), dtype=np.float64)
    if made.size:
        addresses = [address_of(column) for column in laid]
        getattr(kernels, name)(*addresses, series, bars, address_of(lengths), len(lengths), *settings, address_of(made))
    table = made if len(shape) == 1 else np.ascontiguousarray(np.swapaxes(made, 1, 2))
    return table[0] if single else table
