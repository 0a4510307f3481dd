"""Rows about data: building a feed, and the memory of that and of a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import Time, child_report, in_turn
from report import UNITS, Row
from workloads import FULL, Size, make_frames, shuffled

from ml4t_backtest import DataFeed

if TYPE_CHECKING:
    import polars as pl
    from setting import Setting

_LARGE = Size(assets=250, bars=40_000)


def ingest(setting: Setting) -> list[Row]:
    """Return the time of building a feed of 1.26M rows of prices."""
    prices = make_frames(FULL).prices  # full size even when quick: the limits are about this size
    _feeds(make_frames(Size(assets=8, bars=30)).prices, 1)
    rows = []
    for frame, order, must, aim in ((prices, "sorted", 0.2, 0.05), (shuffled(prices), "shuffled", 0.5, 0.2)):
        took, ratio = _feeds(frame, setting.repeats + 2), None
        if setting.published is not None:
            ratio = setting.published.ingest(f"ingest {order}", frame).cpu / took.cpu
        rows.append(
            Row(f"ingest {frame.height / 1e6:.2f}M rows {order}", "DataFeed(prices)", "s", took.cpu, took.wall, must, aim, None, ratio)
        )
    return rows


def ingest_large(setting: Setting) -> list[Row]:
    """Return the same for 10M rows."""
    if setting.quick:
        return []
    prices = make_frames(_LARGE).prices
    rows = []
    for frame, order in ((prices, "sorted"), (shuffled(prices), "shuffled")):
        took = _feeds(frame, setting.repeats)
        rows.append(Row(f"ingest {frame.height / 1e6:.0f}M rows {order}", "DataFeed(prices)", "s", took.cpu, took.wall))
    return rows


def _feeds(frame: pl.DataFrame, repeats: int) -> Time:
    return in_turn([lambda: lambda: DataFeed(prices_df=frame)], repeats)[0]


def memory(setting: Setting) -> list[Row]:
    """Return the peak memory of building a feed, and of a whole run of an array strategy."""
    size = (str(FULL.assets), str(FULL.bars))
    rows = []
    for order in ("sorted", "shuffled"):
        found = child_report("memory_probe.py", order, *size)
        counted = f"extra peak / {found['columns'] / UNITS['MB']:.1f} MB of columns"
        rows.append(Row(f"memory of ingest, {order}", counted, "x", found["extra"] / found["columns"], None, 3.0))
    size = (str(setting.many.size.assets), str(setting.many.size.bars))
    found = child_report("memory_probe.py", "array", *size)
    return [*rows, Row("memory of a run, array signals", "peak of the process, frames incl.", "MB", found["peak"] / UNITS["MB"])]
