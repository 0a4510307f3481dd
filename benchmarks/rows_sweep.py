"""Rows about parameter studies: a thousand strategies in Python here and in two processes, and what starting processes costs."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import psutil
from measure import Time, middle
from report import Row
from workloads import Size, make_frames

from ml4t_backtest import DataFeed, Strategy, sweep
from ml4t_backtest.studies.pools import Processes

if TYPE_CHECKING:
    from setting import Setting

_WORKERS = 2


class Crossing(Strategy):
    """Holds the asset while its fast average is above the slow one, both kept as running sums."""

    def __init__(self, fast: int, slow: int) -> None:
        self.fast, self.slow = fast, slow
        self.closes: list[float] = []
        self.sums = [0.0, 0.0]

    def on_data(self, timestamp: object, data: dict, context: object, broker: object) -> None:
        for asset, bar in data.items():
            closes = self.closes
            closes.append(bar["close"])
            for place, window in enumerate((self.fast, self.slow)):
                self.sums[place] += closes[-1] - (closes[-1 - window] if len(closes) > window else 0.0)
            if len(closes) < self.slow:
                return
            above = self.sums[0] / self.fast > self.sums[1] / self.slow
            position = broker.get_position(asset)
            if above and position is None:
                broker.submit_order(asset, 100)
            elif not above and position is not None:
                broker.close_position(asset)


def sweeps(setting: Setting) -> list[Row]:
    """Return the time of a run in a study, here and in processes, and how far from perfect the processes are."""
    feed = DataFeed(make_frames(Size(assets=1, bars=2_520)).prices)
    grid = {"fast": range(5, 25), "slow": range(30, 40 if setting.quick else 80)}
    count = len(grid["fast"]) * len(grid["slow"])
    sweep(feed, Crossing, {"fast": [5], "slow": [30]}, executor="serial")
    Processes.shut()
    start = _timed(lambda: sweep(feed, Crossing, {"fast": [5, 6], "slow": [30]}, executor="processes", workers=_WORKERS, progress=False))
    here, there = [], []
    expected = None
    for _ in range(setting.repeats):
        for times, executor, workers in ((here, "serial", None), (there, "processes", _WORKERS)):
            studies: list[object] = []
            times.append(
                _timed(lambda: studies.append(sweep(feed, Crossing, grid, executor=executor, workers=workers, progress=False)))  # noqa: B023
            )
            rows = studies[0].frame.drop("seconds")
            if expected is not None and not rows.equals(expected):
                raise AssertionError("rows differ between serial and processes")
            expected = rows
    Processes.shut()
    one, two = middle(here) / count, middle(there) / count
    label = f"sweep, {count:,} Python strategies, 2,520 bars"
    return [
        Row(f"{label}, serial", "per run", "ms", one.cpu * 1e3, one.wall * 1e3),
        Row(f"{label}, 2 processes", "per run, all processes", "ms", two.cpu * 1e3, two.wall * 1e3),
        Row("2 processes against perfect", "CPU; wall: twice the wall", "x", two.cpu / one.cpu, _WORKERS * two.wall / one.wall, 1.15, 1.05),
        Row("2 processes started, first rows", "whole sweep", "s", start.cpu, start.wall),
    ]


def _timed(action: object) -> Time:
    """Return the time of an action with that of the processes it has."""
    gc.collect()
    wall, cpu = time.perf_counter(), _processor_time()
    action()
    return Time(_processor_time() - cpu, time.perf_counter() - wall)


def _processor_time() -> float:
    return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))
