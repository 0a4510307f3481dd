"""Peak memory of a fresh process, written as JSON: memory_probe.py sorted|shuffled|array ASSETS BARS REPORT. Started by `run.py`.

The peak is the high-water mark of resident memory. Making the data has a peak of its own, so where the system can (Linux) the mark is reset
after it; elsewhere the mark from before counts as the level to start from, which can hide a part of what follows.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workloads import INITIAL_CASH, ArraySignals, Empty, Frames, Size, make_frames, shuffled

from ml4t_backtest import DataFeed, Engine

if TYPE_CHECKING:
    import polars as pl

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def _status(field: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def high_water() -> int:
    """Return the high-water mark of resident memory [bytes]."""
    if _STATUS.exists():
        return _status("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def start_level() -> int:
    """Reset the high-water mark where possible and return the level that a peak is counted from [bytes]."""
    gc.collect()
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return high_water()
    return _status("VmRSS")


def warm_up() -> None:
    """Load every library and kernel, so that their memory is not counted as the data's."""
    small = make_frames(Size(assets=3, bars=10))
    Engine(DataFeed(prices_df=small.prices, signals_df=small.signals), Empty()).run()


def ingest(prices: pl.DataFrame) -> dict[str, int]:
    """Return the extra peak of building a feed of prices, and the size of its columns."""
    before = start_level()
    feed = DataFeed(prices_df=prices)
    peak = high_water() - before
    return {"extra": peak, "columns": sum(panel.nbytes for panel in feed.panels.prices.values())}


def array(frames: Frames) -> dict[str, int]:
    """Return the peak of a whole run of an array strategy, the user's frames and all libraries included."""
    feed = DataFeed(prices_df=frames.prices, signals_df=frames.signals)
    Engine(feed, ArraySignals(), initial_cash=INITIAL_CASH).run()
    return {"peak": high_water()}


def measure(kind: str, size: Size) -> dict[str, int]:
    """Make the data and measure. What it was made from stays alive: memory given back could serve the feed unseen."""
    frames = make_frames(size)
    if kind == "array":
        return array(frames)
    return ingest(frames.prices if kind == "sorted" else shuffled(frames.prices))


if __name__ == "__main__":
    what, assets, bars, report = sys.argv[1:]
    warm_up()
    Path(report).write_text(json.dumps(measure(what, Size(int(assets), int(bars)))), encoding="utf-8")
