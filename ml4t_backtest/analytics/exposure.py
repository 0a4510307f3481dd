"""What a run held at the end of each bar, from its fills and the closes, and how much it traded.

Nothing here is recorded by the kernels: `fills` say the position after each fill, splits and what they paid out are events and trades,
and the mark of a position is the last close of its asset. Arrays are laid out assets by bars, in blocks of assets, so that memory
stays bounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ml4t_backtest.frames import time_series
from ml4t_kernels.codes import EventKind, ExitReason

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["Exposure", "Holdings", "exposure_frame", "holdings_of", "measured", "splits_of", "turnover_frame", "values_at"]

_BLOCK = 1 << 21  # cells that are worked on at a time


class Holdings(NamedTuple):
    """Changes of positions: int64 `assets` and `bars` in order, float64 `quantities` held from that bar on; `splits` as `splits_of`."""

    assets: IntArray
    bars: IntArray
    quantities: FloatArray
    splits: tuple[IntArray, IntArray, FloatArray]


class Exposure(NamedTuple):
    """Per bar, float64: value of longs, of shorts (<= 0) [money], and the number of positions. NaN values without prices."""

    long: FloatArray
    short: FloatArray
    num_positions: IntArray


def splits_of(panels: Panels, events: Records | None) -> tuple[IntArray, IntArray, FloatArray]:
    """Return bar, asset and ratio of every split in order: of the events of a run, else of the split column of the feed."""
    if events is not None:
        rows = events[events["kind"] == EventKind.SPLIT]
        return rows["bar"].astype(np.int64), rows["asset"].astype(np.int64), rows["value"].astype(np.float64)
    panel = panels.extras.get("split")
    if panel is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    bars, assets = np.nonzero(~np.isnan(panel) & (panel != 1.0) & (panel != 0.0))
    return bars, assets, panel[bars, assets]


def holdings_of(
    times: IntArray, fills: Records, bars: IntArray, trades: Records, splits: tuple[IntArray, IntArray, FloatArray], feed_times: IntArray
) -> Holdings:
    """Return the positions of a run as changes.

    times: int64[bars] ns UTC of the run, part of `feed_times`. fills, trades: record rows. bars: int64[fills], the bar of each fill.
    splits: their bars count in the feed.
    """
    order = np.argsort(fills["asset"].astype(np.int64) * len(times) + bars, kind="stable")  # fills of a bar stay in order
    assets, bars = fills["asset"][order].astype(np.int64), bars[order]
    last = np.concatenate([(assets[1:] != assets[:-1]) | (bars[1:] != bars[:-1]), np.ones(min(1, len(bars)), dtype=np.bool_)])
    changes = (assets[last], bars[last], fills["position"][order][last])
    if not len(splits[0]):
        return Holdings(*changes, splits)
    moments = feed_times[splits[0]]
    inside = np.isin(moments, times) & np.isin(splits[1], changes[0])
    kept = (np.searchsorted(times, moments[inside]), splits[1][inside], splits[2][inside])
    if inside.any():
        changes = _with_splits(changes, kept, trades[trades["exit_reason"] == ExitReason.CORPORATE_ACTION], times)
    return Holdings(*changes, kept)


def _with_splits(
    changes: tuple[IntArray, IntArray, FloatArray], splits: tuple[IntArray, IntArray, FloatArray], paid_out: Records, times: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the changes with those that splits made, which are few: the position before, converted, less what was paid out.

    A fill on the bar of a split comes after it and knows the position already.
    """
    count = len(times)
    keys = changes[0] * count + changes[1]
    made: dict[int, float] = {}
    latest: dict[int, int] = {}  # by asset: the key of its last split
    order = np.argsort(splits[0], kind="stable")
    for bar, asset, ratio in zip(*(part[order].tolist() for part in splits), strict=True):
        key = asset * count + bar
        place = int(np.searchsorted(keys, key, side="right")) - 1
        earlier = int(keys[place]) if place >= 0 else -1
        before = float(changes[2][place])
        if latest.get(asset, -1) > earlier:
            earlier, before = latest[asset], made[latest[asset]]
        if earlier < asset * count or earlier == key or before == 0.0:
            continue
        rest = paid_out["quantity"][(paid_out["asset"] == asset) & (paid_out["exit_time"] == times[bar])]
        made[key] = before * ratio - float(np.sum(rest))
        latest[asset] = key
    new = np.asarray(list(made), dtype=np.int64)
    every = np.concatenate([keys, new])
    sequence = np.argsort(every, kind="stable")
    every = every[sequence]
    quantities = np.concatenate([changes[2], np.asarray(list(made.values()), dtype=np.float64)])[sequence]
    return every // count, every % count, quantities


def measured(holdings: Holdings, close: FloatArray | None, rows: IntArray, multipliers: FloatArray) -> Exposure:
    """Return the exposure of each bar of a run.

    close: float64[bars, assets] of the feed, NaN where there is none; None when prices are gone. rows: int64[bars], the bars of the run in
    the feed. multipliers: float64[assets].
    """
    bars = len(rows)
    number = np.zeros(bars, dtype=np.int64)
    long, short = (np.zeros(bars) if close is not None or not len(holdings.assets) else np.full(bars, math.nan) for _ in range(2))
    assets = holdings.assets  # in order
    traded = assets[np.concatenate([np.ones(min(1, len(assets)), dtype=np.bool_), assets[1:] != assets[:-1]])]
    step = max(1, _BLOCK // max(1, bars))
    for first in range(0, len(traded), step):
        columns = traded[first : first + step]
        held = _held(holdings, columns, bars)
        number += np.count_nonzero(held, axis=0)
        if close is not None:
            value = held * _marks(close, columns, rows, holdings.splits) * multipliers[columns, None]
            value[held == 0.0] = 0.0  # an asset may have no price before its first position
            long += np.sum(np.maximum(value, 0.0), axis=0)
            short += np.sum(np.minimum(value, 0.0), axis=0)
    return Exposure(long, short, number)


def values_at(
    holdings: Holdings, close: FloatArray, rows: IntArray, multipliers: FloatArray, bars: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return the assets that were ever held and their values at some bars, float64[assets, bars] [money]; arguments as `measured`."""
    traded = np.unique(holdings.assets)
    values = np.zeros((len(traded), len(bars)))
    step = max(1, _BLOCK // max(1, len(rows)))
    for first in range(0, len(traded), step):
        columns = traded[first : first + step]
        held = _held(holdings, columns, len(rows))[:, bars]
        marks = _marks(close, columns, rows, holdings.splits)[:, bars]
        values[first : first + step] = np.where(held == 0.0, 0.0, held * marks * multipliers[columns, None])
    return traded, values


def _held(holdings: Holdings, columns: IntArray, bars: int) -> FloatArray:
    """Return the positions of some assets, float64[assets, bars]."""
    first, last = np.searchsorted(holdings.assets, [columns[0], columns[-1] + 1])
    chosen = slice(first, last)  # the columns are neighbours among the assets that were held
    keys = np.searchsorted(columns, holdings.assets[chosen]) * bars + holdings.bars[chosen]
    starts = np.concatenate([np.arange(len(columns)) * bars, keys])
    order = np.argsort(starts, kind="stable")
    lengths = np.diff(np.append(starts[order], len(columns) * bars))
    quantities = np.concatenate([np.zeros(len(columns)), holdings.quantities[chosen]])[order]
    return np.repeat(quantities, lengths).reshape(len(columns), bars)


def _marks(close: FloatArray, columns: IntArray, rows: IntArray, splits: tuple[IntArray, IntArray, FloatArray]) -> FloatArray:
    """Return the last closes of some assets, float64[assets, bars]; one from before a split is converted by it."""
    whole = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows)
    prices: FloatArray = np.ascontiguousarray((close[rows[0] : rows[-1] + 1, columns] if whole else close[np.ix_(rows, columns)]).T)
    missing = np.isnan(prices)
    if not missing.any():
        return prices
    places = np.where(missing, 0, np.arange(prices.shape[1]))
    np.maximum.accumulate(places, axis=1, out=places)
    prices = np.take_along_axis(prices, places, axis=1)
    for bar, asset, ratio in zip(*(part.tolist() for part in splits), strict=True):
        row = int(np.searchsorted(columns, asset))
        if row < len(columns) and columns[row] == asset:
            priced = np.flatnonzero(~missing[row, bar:])
            prices[row, bar : bar + priced[0] if len(priced) else None] /= ratio
    return prices


def exposure_frame(exposure: Exposure, times: IntArray, equity: FloatArray, zone: str | None) -> pl.DataFrame:
    """Return exposure as a frame; columns as `BacktestResult.exposure` documents."""
    import polars as pl

    gross, net = exposure.long - exposure.short, exposure.long + exposure.short
    with np.errstate(divide="ignore", invalid="ignore"):
        leverage = np.where(equity > 0.0, gross / equity, np.where(gross > 0.0, math.inf, gross))
    money = {"long": exposure.long, "short": exposure.short, "gross": gross, "net": net, "leverage": leverage}
    return pl.DataFrame(
        [
            time_series("timestamp", times, zone),
            *(pl.Series(name, values).fill_nan(None) for name, values in money.items()),
            pl.Series("num_positions", exposure.num_positions),
        ]
    )


def turnover_frame(
    times: IntArray, equity: FloatArray, fills: Records, bars: IntArray, multipliers: FloatArray, zone: str | None
) -> pl.DataFrame:
    """Return what was traded on each bar; columns as `BacktestResult.turnover` documents. bars: int64[fills], the bar of each fill."""
    import polars as pl

    value = fills["quantity"] * fills["price"] * multipliers[fills["asset"]]
    count = len(times)
    buys = fills["quantity"] > 0.0
    # a price may be negative, what is traded is not
    bought = np.bincount(bars[buys], weights=np.abs(value[buys]), minlength=count)
    sold = np.bincount(bars[~buys], weights=np.abs(value[~buys]), minlength=count)
    traded = bought + sold
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(equity > 0.0, traded / 2.0 / equity, np.where(traded > 0.0, math.nan, 0.0))
    return pl.DataFrame(
        [
            time_series("timestamp", times, zone),
            pl.Series("bought", bought, dtype=pl.Float64),
            pl.Series("sold", sold, dtype=pl.Float64),
            pl.Series("traded", traded, dtype=pl.Float64),
            pl.Series("turnover", share).fill_nan(None),
            pl.Series("num_fills", np.bincount(bars, minlength=count), dtype=pl.Int64),
        ]
    )
