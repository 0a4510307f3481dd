"""`check_warmup`: how much history a strategy needs before what it decides no longer depends on when the history began."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.honesty.arguments import checked_count, checked_fraction, chosen_settings
from ml4t_backtest.honesty.bytime import begun_at
from ml4t_backtest.honesty.comparing import first_difference, unequal
from ml4t_backtest.honesty.making import checked_feed, read_maker
from ml4t_backtest.honesty.reports import CheckReport, frame_of
from ml4t_backtest.honesty.sources import known_frame, made_signals, price_frame, unequal_cells
from ml4t_backtest.honesty.watching import Trace, watched_run
from ml4t_backtest.progress import counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

    from ml4t_backtest.config import BacktestConfig, Mode
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.frames import FrameLike

__all__ = ["WarmupReport", "check_warmup"]

_COLUMNS: dict[str, Any] = {
    "source": str,
    "history": int,
    "agrees": bool,
    "largest_difference": float,
    "bar": int,
    "timestamp": "time",
    "asset": str,
    "what": str,
    "field": str,
    "expected": str,
    "found": str,
}


_NOTHING: dict[str, Any] = {"source": "orders", "agrees": False, "largest_difference": float("nan"), "timestamp": None, "asset": None}


class WarmupReport(CheckReport):
    """What `check_warmup` found. True when the decisions settle.

    bars: fewest bars of history, among those tried, from which on the decisions are those of the whole history; None when they never
    are. start: bar on which trading began. history: a frame of one row per length that was tried and source ("orders", or the name of a
    signal): whether it agrees with the whole history, the largest relative difference of quantities or values (NaN where the orders are
    others), and the first difference.
    """

    title = "check_warmup"

    def __init__(self, label: str, runs: int, rows: Sequence[dict[str, Any]], start: int, zone: str | None) -> None:
        super().__init__(label, runs, rows, zone=zone)
        self.start = start
        self.needed = {
            source: _settled([row for row in rows if row["source"] == source]) for source in dict.fromkeys(row["source"] for row in rows)
        }
        self._clean = "; ".join(f"{source} settle after {bars} bars of history" for source, bars in self.needed.items())

    @property
    def bars(self) -> int | None:
        """The history needed by all that was looked at [bars]; None when something does not settle."""
        found = list(self.needed.values())
        return None if None in found else max(one for one in found if one is not None)

    @property
    def passed(self) -> bool:
        """Whether everything settles within the history there is."""
        return self.bars is not None

    @cached_property
    def history(self) -> pl.DataFrame:
        """A row per source and length of history, shortest first."""
        return frame_of(self._rows, _COLUMNS, self._zone)

    def _lines(self) -> list[str]:
        lines = []
        for source, bars in self.needed.items():
            if bars is not None:
                lines.append(f"{source} settle after {bars} bars of history")
                continue
            row = [one for one in self._rows if one["source"] == source and not one["agrees"]][-1]
            where = f"bar {row['bar']} ({row['timestamp']}), {row['asset']}"
            lines.append(
                f"{source} never settle: with {row['history']} bars of history before bar {self.start}, {where}:"
                f" {row['what']} {row['field']} {row['found']}, {row['expected']} with all of it"
            )
        return lines


def _settled(rows: Sequence[dict[str, Any]]) -> int | None:
    """Return the shortest history from which on all agree."""
    found = None
    for row in reversed(rows):
        if not row["agrees"]:
            break
        found = int(row["history"])
    return found


def check_warmup(  # noqa: PLR0913 - what there is to say about a check
    strategy: Any,
    feed: DataFeed,
    config: BacktestConfig | Mode | str | None = None,
    *,
    start: Any = None,
    history: Iterable[int] | None = None,
    signals: Callable[[Any], FrameLike] | None = None,
    prices: FrameLike | None = None,
    tolerance: float = 0.0,
    progress: bool = False,
    **keywords: Any,
) -> WarmupReport:
    """Tell after how many bars what a strategy decides no longer depends on when its history began.

    Trading begins on one bar with cash alone (before it orders are declined, as in the warm-up of a walk-forward window); the history
    before it is taken shorter and shorter. Orders, fills and account values from then on have to be those of the run with all of it,
    with ==. An indicator that is recursive, or a window longer than thought, shows.

    strategy, config, keywords: as `check_lookahead`. start: bar or time on which trading begins; None for the middle. history: lengths
    to try [bars]; None for 0, 1, 2, 5, 10, 20, 50, ... up to all that there is less one. The fewest that do are then looked for between
    the longest that does not and the next one. signals, prices: as `check_lookahead`; every column is looked at from `start` on.
    tolerance: by which quantities, prices and values may differ, relative to the larger one.

    Raises as `check_lookahead`.
    """
    feed = checked_feed(feed, "check_warmup")
    tolerance = checked_fraction("tolerance", tolerance)
    begin = feed.n_bars // 2 if start is None else feed._bar_at(start, "start", 0)
    if not 1 <= begin < feed.n_bars:
        raise ValueError(f"start was {start!r}, expected a bar from 1 to {feed.n_bars - 1}: at least one has to come before it")
    lengths = _lengths(history, begin)
    settings, others = chosen_settings(check_warmup, config, keywords)
    if strategy is None and signals is None:
        raise TypeError("strategy was None; give a strategy, or signals=make_signals to check that function alone")
    rows: list[dict[str, Any]] = []
    label, runs = "signals", 0
    if strategy is not None:
        maker = read_maker(strategy, "check_warmup")
        label = maker.label
        show = counter(len(lengths) + 1, progress=progress, label="check_warmup", unit="run")

        def run(bars: int) -> Trace:
            part = feed.between(begin - bars, feed.n_bars)
            made = watched_run(
                part, lambda: maker.make(part, feed.n_bars, begin - bars), settings, others, begins=int(feed.panels.times[begin])
            )[0]
            show.update(1)
            return _from_start(made, int(feed.panels.times[begin]))

        try:
            found = _tried(run, lengths, begin, tolerance, refine=history is None)
        finally:
            show.close()
        rows += found
        runs = len(found) + 1
    if signals is not None:
        rows += _signal_rows(signals, prices, feed, begin, lengths, tolerance)
    return WarmupReport(label, runs, rows, begin, feed.panels.zone)


def _lengths(history: Any, begin: int) -> list[int]:
    """Return the lengths of history to try, shortest first; all that there is, `begin`, is not among them."""
    if history is None:
        steps = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
        return sorted({0, begin - 1, *(bars for bars in steps if bars < begin)})
    if isinstance(history, (str, bytes, int)) or not hasattr(history, "__iter__"):
        raise TypeError(f"history was {history!r}, expected a list of numbers of bars: history=[{history!r}]")
    lengths = sorted({checked_count("history", bars, 0) for bars in history})
    if not lengths or lengths[-1] >= begin:
        raise ValueError(f"history was {lengths}, expected numbers of bars from 0 to {begin - 1}, fewer than there are before start")
    return lengths


def _from_start(trace: Trace, begins: int) -> Trace:
    """Return what a run did from the start of trading on, with the bars numbered from there."""
    muted = int(np.searchsorted(trace.panels.times, begins))
    orders, fills = trace.orders.copy(), trace.fills.copy()
    for name in ("created_bar", "active_bar"):
        orders[name] -= muted
    fills["bar"] -= muted
    arrays = {name: getattr(trace, name)[muted:] for name in ("equity", "cash", "sessions", "flags")}
    panels = trace.panels.between(muted, trace.panels.bars)
    return dataclasses.replace(trace, panels=panels, orders=orders, fills=fills, error_bar=trace.error_bar - muted, **arrays)


def _tried(run: Callable[[int], Trace], lengths: Sequence[int], begin: int, tolerance: float, *, refine: bool) -> list[dict[str, Any]]:
    """Return a row per length of history. refine: look for the fewest bars that do between two lengths."""
    full = run(begin)
    if full.error is not None:
        full.error.add_note(f"orders before bar {begin}, on which trading begins in this check, are declined: they return None")
        raise full.error
    rows = {bars: _row_of(full, run, bars, begin, tolerance) for bars in lengths}
    while refine:
        ordered = sorted(rows)
        settled = _settled([rows[bars] for bars in ordered])
        below = [bars for bars in ordered if settled is not None and bars < settled]
        if settled is None or not below or settled - below[-1] == 1:
            break
        middle = (below[-1] + settled) // 2
        rows[middle] = _row_of(full, run, middle, begin, tolerance)
    return [rows[bars] for bars in sorted(rows)]


def _row_of(full: Trace, run: Callable[[int], Trace], bars: int, begin: int, tolerance: float) -> dict[str, Any]:
    """Return the row of a length of history; of one with which the strategy cannot be made, too."""
    try:
        return _row(full, run(bars), bars, begin, tolerance)
    except Exception as error:  # noqa: BLE001 - of the function that makes the strategy
        texts = {"field": "raised", "expected": "nothing", "found": f"{type(error).__name__}: {error}"}
        return {**_NOTHING, "history": bars, "bar": begin, "what": "exception", **texts}


def _row(full: Trace, part: Trace, bars: int, begin: int, tolerance: float) -> dict[str, Any]:
    difference = first_difference(full, part, full.bars - 1, shot=False, tolerance=tolerance)
    row: dict[str, Any] = {"source": "orders", "history": bars, "agrees": difference is None, "largest_difference": _largest(full, part)}
    if difference is None:
        return row
    return {**row, **dataclasses.asdict(difference), "bar": difference.bar + begin}


def _largest(full: Trace, part: Trace) -> float:
    """Return the largest relative difference of quantities and prices of orders; NaN where the orders are others."""
    same = len(full.orders) == len(part.orders) and part.error is None
    if not same or any(unequal(full.orders[name], part.orders[name]).any() for name in ("asset", "order_type", "created_bar")):
        return float("nan")
    pairs = [(full.orders[name], part.orders[name]) for name in ("quantity", "limit_price", "stop_price")]
    return max((_relative(here, there) for here, there in pairs), default=0.0)


def _relative(here: Any, there: Any) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.abs(here - there) / np.fmax(np.abs(here), np.abs(there))
    found = found[np.isfinite(found)]
    return float(found.max()) if len(found) else 0.0


def _signal_rows(
    function: Callable[[Any], FrameLike], prices: FrameLike | None, feed: DataFeed, begin: int, lengths: Sequence[int], tolerance: float
) -> list[dict[str, Any]]:
    """Return a row per column of signals and length of history."""
    import polars as pl

    whole = price_frame(feed.panels) if prices is None else known_frame(prices)
    full, entity = made_signals(function, whole, "signals")
    first = int(feed.panels.times[begin])
    keys = ["_asset", "_time"]
    rows = []
    for bars in lengths:
        try:
            part, _ = made_signals(function, begun_at(whole, feed.panels, begin - bars), "signals")
        except Exception as error:
            error.add_note(f"raised with {bars} bars of history before bar {begin}; name longer ones in history=[...]")
            raise
        both = full.filter(pl.col("_time") >= first).join(part, on=keys, how="left", suffix="_part").sort("_time")
        for name in (one for one in full.columns if one not in (*keys, entity, "timestamp")):
            here, there = both[name], both[f"{name}_part"]
            differs = unequal_cells(here, there, tolerance)
            row: dict[str, Any] = {"source": name, "history": bars, "agrees": not differs.any(), "largest_difference": float("nan")}
            if here.dtype.is_numeric() and here.is_null().equals(there.is_null()):
                row["largest_difference"] = _relative(*(one.cast(pl.Float64).to_numpy() for one in (here, there)))
            if differs.any():
                place = int(np.argmax(differs))
                bar = int(np.searchsorted(feed.panels.times, both["_time"][place]))
                when = feed.panels.timestamps[bar] if bar < feed.n_bars else None
                row |= {"bar": bar, "timestamp": when, "asset": both["_asset"][place], "what": "value", "field": name}
                row |= {"expected": repr(here[place]), "found": repr(there[place])}
            rows.append(row)
    return sorted(rows, key=lambda row: (row["source"], row["history"]))
