"""Long frames to aligned panels: number the times and assets, scatter the columns, check every price.

No pivot and no sort: one pass numbers the rows, one pass per column writes them. A frame that is already sorted and
complete is reshaped without a copy.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.columns import check_prices, floats, signal_values
from ml4t_backtest.frames import ENTITY_COLUMNS, TIMESTAMP, TimeAxis, entity_column, read_frame, time_axis, time_series
from ml4t_backtest.hints import shortened
from ml4t_backtest.memory import address_of
from ml4t_backtest.panels import Context, Panels

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import polars as pl

    from ml4t_backtest.frames import FrameLike
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["build_panels"]

PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
EXTRA_COLUMNS = ("bid", "ask", "vwap", "dividend", "split", "funding_rate")


@dataclass
class _Rows:
    """A frame with its times and assets numbered: codes int32[rows] into `times` (int64, ascending) and the asset list."""

    frame: pl.DataFrame
    role: str
    entity: str
    axis: TimeAxis
    times: IntArray
    time_codes: npt.NDArray[np.int32]
    asset_codes: npt.NDArray[np.int32]

    def where(self, row: int) -> str:
        """Describe a row for a message."""
        return f"asset {self.frame[self.entity][row]!r} at {self.frame[TIMESTAMP][row]}"


def build_panels(
    prices: FrameLike, signals: FrameLike, context: FrameLike, entity_col: str | None, *, allow_nonpositive_prices: bool
) -> Panels:
    """Align prices, signals and context on the sorted union of their timestamps.

    Raises ValueError for every defect of the data that `DataFeed` documents, naming column, asset and time.
    """
    wanted = (TIMESTAMP, *PRICE_COLUMNS, *EXTRA_COLUMNS, *([entity_col] if entity_col else ENTITY_COLUMNS))
    price_frame = read_frame(prices, "prices", wanted)
    price_rows, assets = _number_prices(price_frame, entity_col)
    signal_rows = None
    if signals is not None:
        signal_rows = _number_signals(read_frame(signals, "signals"), price_rows, assets, entity_col)
    context_frame = None if context is None else read_frame(context, "context")
    context_axis = None if context_frame is None else time_axis(context_frame, "context")
    if context_axis is not None:
        _same_zone(context_axis, "context", price_rows.axis)
    times = _union(price_rows, signal_rows, context_axis)
    present = np.zeros((len(times), len(assets)), dtype=np.uint8)
    columns, extras = _price_panels(price_rows, present)
    timestamps = time_series("timestamp", times, price_rows.axis.zone).to_list()
    check_prices(
        columns,
        present,
        lambda bar, column: f"asset {assets[column]!r} at {timestamps[bar]}",
        positive=not allow_nonpositive_prices,
    )
    values: dict[str, FloatArray] = {}
    decoders: dict[str, Callable[[float], Any]] = {}
    if signal_rows is not None:
        values, decoders = _signal_panels(signal_rows, present)
    for panel in (*columns.values(), *values.values(), *extras.values()):
        panel.flags.writeable = False
    present.flags.writeable = False
    return Panels(
        times=times,
        timestamps=timestamps,
        assets=assets,
        prices=columns,
        present=present,
        signals=values,
        decoders=decoders,
        context=_context(context_frame, context_axis, times),
        zone=price_rows.axis.zone,
        extras=extras,
        has_volume="volume" in price_rows.frame.columns,
    )


def _kernels() -> Any:
    from ml4t_kernels import ingest

    return ingest


def _number_times(axis: TimeAxis) -> tuple[IntArray, npt.NDArray[np.int32]]:
    """Return the distinct times, ascending, and each row's place among them."""
    nanoseconds = np.ascontiguousarray(axis.nanoseconds.to_numpy(), dtype=np.int64)
    rows = len(nanoseconds)
    if rows == 0 or not (nanoseconds[1:] < nanoseconds[:-1]).any():
        starts = np.ones(rows, dtype=np.bool_)
        np.not_equal(nanoseconds[1:], nanoseconds[:-1], out=starts[1:])
        codes = np.cumsum(starts, dtype=np.int32)
        codes -= 1
        return nanoseconds[starts], codes
    distinct = np.ascontiguousarray(axis.nanoseconds.unique().sort().to_numpy(), dtype=np.int64)
    codes = np.empty(rows, dtype=np.int32)
    _kernels().place_times(address_of(nanoseconds), rows, address_of(distinct), len(distinct), address_of(codes))
    return distinct, codes


def _asset_codes(column: pl.Series, names: list[str]) -> npt.NDArray[np.int32]:
    """Return each row's place in `names`, -1 for names that are not there."""
    import polars as pl

    codes = column.cast(pl.Enum(names), strict=False).to_physical().cast(pl.Int32).fill_null(-1)
    return np.ascontiguousarray(codes.to_numpy(), dtype=np.int32)


def _number_prices(frame: pl.DataFrame, entity_col: str | None) -> tuple[_Rows, tuple[str, ...]]:
    """Return the price frame with its rows numbered; the assets are in the order in which they stand within a bar."""
    import polars as pl

    axis = time_axis(frame, "prices")
    entity = entity_column(frame, "prices", entity_col)
    if "close" not in frame.columns:
        raise ValueError(f"prices has no column 'close', only {shortened(frame.columns)}")
    frame = _numeric(frame, [name for name in PRICE_COLUMNS + EXTRA_COLUMNS if name in frame.columns], "prices")
    names = frame[entity].cast(pl.String)
    appearing = names.unique(maintain_order=True).to_list()
    times, time_codes = _number_times(axis)
    # Assets have one order for the whole run: that in which rows stand within every bar, if there is such an order, so that a
    # strategy meets them as in the user's frame; else alphabetical, so that shuffling rows changes nothing.
    assets = sorted(appearing)
    codes = _asset_codes(names, assets)
    if assets != appearing and not _rows_ascend(time_codes, codes):
        other = _asset_codes(names, appearing)
        if _rows_ascend(time_codes, other):
            assets, codes = appearing, other
    return _Rows(frame, "prices", entity, axis, times, time_codes, codes), tuple(assets)


def _rows_ascend(time_codes: npt.NDArray[np.int32], codes: npt.NDArray[np.int32]) -> bool:
    """Tell whether within every bar the asset codes ascend in row order."""
    if (time_codes[1:] < time_codes[:-1]).any():
        latest = np.full(int(time_codes.max()) + 1, -1, dtype=np.int32)
        last = address_of(latest)
        return bool(_kernels().rows_ascend(address_of(time_codes), address_of(codes), len(codes), last, len(latest)))
    return not ((time_codes[1:] == time_codes[:-1]) & (codes[1:] < codes[:-1])).any()


def _number_signals(frame: pl.DataFrame, prices: _Rows, assets: tuple[str, ...], entity_col: str | None) -> _Rows:
    """Return the signal frame with its rows numbered; rows of assets without prices are left out with a warning."""
    import polars as pl

    axis = time_axis(frame, "signals")
    _same_zone(axis, "signals", prices.axis)
    entity = entity_column(frame, "signals", entity_col or (prices.entity if prices.entity in frame.columns else None))
    names = frame[entity].cast(pl.String)
    codes = _asset_codes(names, list(assets))
    if len(codes) and (codes < 0).any():
        unknown = sorted(set(names.filter(pl.Series(codes < 0)).to_list()))
        if (codes < 0).all():
            raise ValueError(f"signals are for {shortened(unknown)}, none of which has prices ({shortened(assets)})")
        warnings.warn(f"signals of assets without prices are not used: {shortened(unknown)}", UserWarning, stacklevel=4)
        known = pl.Series(codes >= 0)
        frame = frame.filter(known)
        axis = TimeAxis(axis.nanoseconds.filter(known).rechunk(), axis.dtype)
        codes = np.ascontiguousarray(codes[codes >= 0])
    times, time_codes = _number_times(axis)
    if len(times) and len(prices.times) and not np.isin(times, prices.times).any():
        raise ValueError(
            f"no timestamp of signals is one of prices: signals start at {frame[TIMESTAMP].min()!s}, prices at"
            f" {prices.frame[TIMESTAMP].min()!s}; shift or join them first"
        )
    return _Rows(frame, "signals", entity, axis, times, time_codes, codes)


def _same_zone(axis: TimeAxis, role: str, prices: TimeAxis) -> None:
    if (axis.zone is None) != (prices.zone is None):
        raise ValueError(
            f"{role} column 'timestamp' is {axis.zone or 'without time zone'}, that of prices is {prices.zone or 'without time zone'};"
            " give both a time zone (dt.replace_time_zone) or neither"
        )


def _numeric(frame: pl.DataFrame, names: list[str], role: str) -> pl.DataFrame:
    """Cast columns to Float64. Raises ValueError for what is no number."""
    import polars as pl

    for name in names:
        kind = frame.schema[name]
        if not (kind.is_numeric() or kind == pl.Null):
            raise ValueError(f"{role} column {name!r} has type {kind}, expected numbers; cast it first")
    return frame.with_columns([pl.col(name).cast(pl.Float64) for name in names if frame.schema[name] != pl.Float64])


def _union(prices: _Rows, signals: _Rows | None, context: TimeAxis | None) -> IntArray:
    """Return the sorted union of all times, and renumber prices and signals to it."""
    parts = [prices.times]
    if signals is not None:
        parts.append(signals.times)
    if context is not None:
        parts.append(context.nanoseconds.unique().to_numpy())
    times = prices.times if len(parts) == 1 else np.unique(np.concatenate(parts))
    for rows in (prices, signals):
        if rows is not None and len(rows.times) != len(times):
            place = np.searchsorted(times, rows.times).astype(np.int32)
            rows.time_codes = place[rows.time_codes]
            rows.times = times
    return np.ascontiguousarray(times, dtype=np.int64)


def _mark(rows: _Rows, present: npt.NDArray[np.uint8]) -> bool:
    """Set `present` where the frame has a row. Returns whether the rows are a complete panel already.

    Raises ValueError for a second row of an asset and time.
    """
    if _is_panel(rows, present.shape):
        present[:] = 1
        return True
    cells = rows.time_codes.astype(np.int64) * present.shape[1] + rows.asset_codes
    flat = present.reshape(-1)
    flat[cells] = 1
    if np.count_nonzero(flat) == len(cells):
        return False
    _, first = np.unique(cells, return_index=True)
    again = np.ones(len(cells), dtype=np.bool_)
    again[first] = False
    twice = int(np.flatnonzero(again)[0])
    raise ValueError(
        f"{rows.role} has more than one row for {rows.where(twice)} (the second is row {twice}); keep one of them, for example"
        f" frame.unique(['timestamp', {rows.entity!r}], keep='last', maintain_order=True)"
    )


def _panel(rows: _Rows, values: FloatArray, shape: tuple[int, int], *, as_is: bool) -> FloatArray:
    """Return a column as a panel, without a copy when the rows are one already."""
    if as_is:
        return values.reshape(shape)
    panel = np.full(shape, np.nan)
    _kernels().scatter(
        address_of(values), address_of(rows.time_codes), address_of(rows.asset_codes), len(values), shape[1], address_of(panel), panel.size
    )
    return panel


def _is_panel(rows: _Rows, shape: tuple[int, int]) -> bool:
    """Tell whether the rows are a complete panel already: sorted by bar, then asset, none missing."""
    if len(rows.asset_codes) != shape[0] * shape[1]:
        return False
    in_order = rows.asset_codes.reshape(shape) == np.arange(shape[1], dtype=np.int32)
    return bool(in_order.all() and (rows.time_codes.reshape(shape) == np.arange(shape[0], dtype=np.int32)[:, None]).all())


def _price_panels(rows: _Rows, present: npt.NDArray[np.uint8]) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return the five price panels, and those of the extra columns; a price that the frame lacks is the close (volume: zeros)."""
    as_is = _mark(rows, present)
    close = _panel(rows, floats(rows.frame, "close"), present.shape, as_is=as_is)
    panels = {"open": close, "high": close, "low": close, "close": close}
    for name in PRICE_COLUMNS:
        if name != "close" and name in rows.frame.columns:
            panels[name] = _panel(rows, floats(rows.frame, name), present.shape, as_is=as_is)
    if "volume" not in panels:
        panels["volume"] = np.zeros(present.shape)
    extras = {
        name: _panel(rows, floats(rows.frame, name), present.shape, as_is=as_is) for name in EXTRA_COLUMNS if name in rows.frame.columns
    }
    return panels, extras


def _signal_panels(rows: _Rows, priced: npt.NDArray[np.uint8]) -> tuple[dict[str, FloatArray], dict[str, Callable[[float], Any]]]:
    """Return one panel per signal column, and how to read those that are no plain floats."""
    present = np.zeros(priced.shape, dtype=np.uint8)
    as_is = _mark(rows, present)
    unseen = int(np.count_nonzero(present & (1 - priced)))
    if unseen:
        bar, column = np.argwhere(present & (1 - priced))[0]
        first = int(np.flatnonzero((rows.time_codes == bar) & (rows.asset_codes == column))[0])
        warnings.warn(
            f"{unseen} signal rows have no price row for their asset and time and are never seen, the first is {rows.where(first)}",
            UserWarning,
            stacklevel=4,
        )
    panels: dict[str, FloatArray] = {}
    decoders: dict[str, Callable[[float], Any]] = {}
    for name in rows.frame.columns:
        if name in (TIMESTAMP, rows.entity):
            continue
        values, decoder = signal_values(rows.frame[name])
        panels[name] = _panel(rows, values, priced.shape, as_is=as_is)
        if decoder is not None:
            decoders[name] = decoder
    return panels, decoders


def _context(frame: pl.DataFrame | None, axis: TimeAxis | None, times: IntArray) -> Context | None:
    """Return the context by bar; of several rows for one time the first counts."""
    if frame is None or axis is None:
        return None
    codes = np.searchsorted(times, axis.nanoseconds.to_numpy())
    row_of = np.full(len(times), -1, dtype=np.int64)
    row_of[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    columns = {name: frame[name].to_list() for name in frame.columns if name != TIMESTAMP}
    return Context(columns, row_of.tolist())
