"""Signals that know the future: made by a function that reads later prices, or equal to a later price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.frames import TIMESTAMP, entity_column, read_frame, time_axis, time_series
from ml4t_backtest.hints import shortened
from ml4t_backtest.honesty.bytime import cut_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.frames import FrameLike
    from ml4t_backtest.panels import Panels

__all__ = ["known_frame", "leaking_signals", "made_signals", "price_frame", "published_ahead", "unequal_cells"]

_LEADS = (1, 2, 3, 5)
_FEWEST_VALUES = 8  # a column that is a later price so many times, with as many values, is no accident


def price_frame(panels: Panels) -> pl.DataFrame:
    """Return the prices of a feed as a long frame: timestamp, symbol, open, high, low, close, volume and what else there is."""
    import polars as pl

    bars, columns = np.nonzero(panels.present)
    values = {**panels.prices, **panels.extras}
    if not panels.has_volume:
        values.pop("volume")
    times = time_series("timestamp", panels.times[bars], panels.zone)
    assets = pl.Series("symbol", np.array(panels.assets, dtype=object)[columns].tolist(), dtype=pl.String)
    return pl.DataFrame([times, assets, *(pl.Series(name, panel[bars, columns], nan_to_null=True) for name, panel in values.items())])


def made_signals(function: Callable[[Any], FrameLike], prices: Any, role: str) -> tuple[pl.DataFrame, str]:
    """Return what a function makes of prices, sorted by asset and time, and the name of the asset column.

    Raises TypeError and ValueError for what is no frame of signals.
    """
    made = read_frame(function(prices), role)
    entity = entity_column(made, role, None)
    axis = time_axis(made, role)
    import polars as pl

    keyed = made.with_columns(axis.nanoseconds.alias("_time"), pl.col(entity).cast(pl.String).alias("_asset")).sort("_asset", "_time")
    if keyed.select(pl.struct("_asset", "_time").is_duplicated().any()).item():
        raise ValueError(f"{role} has two rows for one asset and time; expected one each")
    return keyed, entity


def leaking_signals(
    function: Callable[[Any], FrameLike], prices: FrameLike | None, feed: DataFeed, cuts: Sequence[int], tolerance: float
) -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
    """Return a row per column of signals with values that are others when only the prices up to then are there, the earliest each.

    And the bars whose prices alone the function could not take, by what it raised.
    """
    panels = feed.panels
    whole = price_frame(panels) if prices is None else known_frame(prices)
    full, entity = made_signals(function, whole, "signals")
    found: dict[str, dict[str, Any]] = {}
    problems: dict[str, list[int]] = {}
    for bar in cuts:
        try:
            part, _ = made_signals(function, cut_data(whole, panels, bar), "signals")
        except Exception as error:  # noqa: BLE001 - a model may need more rows than there are
            problems.setdefault(f"{type(error).__name__}: {error}", []).append(bar)
            continue
        last = int(panels.times[bar])
        for difference in _differences(full, part, last, tolerance, entity):
            column, time = difference["column"], difference.pop("time")
            if column not in found or time < found[column]["time"]:
                place = int(np.searchsorted(panels.times, time))
                when = panels.timestamps[place] if place < panels.bars and panels.times[place] == time else None
                since = panels.timestamps[bar + 1]
                found[column] = {**difference, "time": time, "bar": place, "timestamp": when, "future_from": since}
    return [
        {"source": "signals function", "what": "value", "field": name, "order_id": None, **row} for name, row in found.items()
    ], problems


def known_frame(prices: FrameLike) -> Any:
    """Return the frame of the user in its own kind, read where it is a path. Raises ValueError for one without times."""
    frame: Any = read_frame(prices, "prices") if type(prices).__module__.split(".")[0] not in ("pandas", "polars") else prices
    names = frame.collect_schema().names() if hasattr(frame, "collect_schema") else list(frame.columns)
    by_index = "datetime" in str(getattr(getattr(frame, "index", None), "dtype", ""))
    if TIMESTAMP not in names and not by_index:
        raise ValueError(
            f"prices has no column 'timestamp', only {shortened(map(str, names))}; signals are made of the prices up to a time"
        )
    return frame


def _differences(full: pl.DataFrame, part: pl.DataFrame, last: int, tolerance: float, entity: str) -> Iterator[dict[str, Any]]:
    """Yield the first differing value of each column, up to a time."""
    import polars as pl

    keys = ["_asset", "_time"]
    names = [name for name in full.columns if name not in (*keys, entity, "timestamp")]
    lacking = [name for name in names if name not in part.columns]
    if lacking:
        raise ValueError(f"signals made of the first prices have no column {lacking[0]!r}, only {shortened(part.columns)}")
    both = (
        full.filter(pl.col("_time") <= last).join(part, on=keys, how="full", suffix="_part", coalesce=True).filter(pl.col("_time") <= last)
    )
    for name in names:
        differs = unequal_cells(both[name], both[f"{name}_part"], tolerance)
        rows = both.filter(pl.Series(differs)).sort("_time")
        if len(rows):
            yield {
                "column": name,
                "time": rows["_time"][0],
                "asset": rows["_asset"][0],
                "expected": repr(rows[name][0]),
                "found": repr(rows[f"{name}_part"][0]),
            }


def unequal_cells(first: pl.Series, second: pl.Series, tolerance: float) -> Any:
    """Return where two columns differ: by more than a relative tolerance where they are numbers; null and NaN are the same."""
    import polars as pl

    if first.dtype.is_numeric() and second.dtype.is_numeric():
        one, other = (series.cast(pl.Float64).to_numpy() for series in (first, second))
        with np.errstate(invalid="ignore"):
            bound = tolerance * np.fmax(np.abs(one), np.abs(other))
            near = (one == other) | (np.abs(one - other) <= bound) | (np.isnan(one) & np.isnan(other))
        return ~near
    return first.cast(pl.String).ne_missing(second.cast(pl.String)).to_numpy()


def published_ahead(feed: DataFeed) -> list[dict[str, Any]]:
    """Return a row per signal column of the feed that equals a later price, or the return to a later close, throughout."""
    panels = feed.panels
    rows = []
    for name, panel in panels.signals.items():
        found = None if name in panels.decoders else _later_price(panel, panels.prices)
        if found is not None:
            lead, what = found
            bar, column = (int(place) for place in np.argwhere(~np.isnan(panel[: len(panel) - lead]))[0])
            rows.append(
                {
                    "source": "signal column",
                    "column": name,
                    "bar": bar,
                    "timestamp": panels.timestamps[bar],
                    "asset": panels.assets[column],
                    "what": "value",
                    "field": name,
                    "order_id": None,
                    "expected": repr(float(panel[bar, column])),
                    "found": f"it is the {what} {lead} bar{'' if lead == 1 else 's'} later",
                    "future_from": panels.timestamps[bar + lead],
                }
            )
    return rows


def _later_price(panel: Any, prices: dict[str, Any]) -> tuple[int, str] | None:
    """Return by how many bars a signal is ahead, and of what; None where it is not."""
    close = prices["close"]
    for lead in (one for one in _LEADS if one < len(panel)):
        now, then = close[:-lead], close[lead:]
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = {name: prices[name][lead:] for name in ("close", "open", "high", "low")}
            ahead |= {"change of the close": then - now, "return of the close": then / now - 1.0, "return (close)": (then - now) / now}
            ahead["log return of the close"] = np.log(then / now)
        for what, other in ahead.items():
            if _is_same(panel[:-lead], other):
                return lead, what
    return None


def _is_same(signal: Any, other: Any) -> bool:
    both = ~(np.isnan(signal) | np.isnan(other))
    if np.count_nonzero(both) < _FEWEST_VALUES or np.count_nonzero(both) < 0.9 * np.count_nonzero(~np.isnan(signal)):
        return False
    here, there = signal[both], other[both]
    return bool((np.abs(here - there) <= 1e-12 * np.abs(there)).all()) and len(np.unique(here)) >= _FEWEST_VALUES
