"""What one run of the benchmarks shares: how thorough it is, the data, the published engine, and remarks for under the table."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Time, child, child_report
from workloads import FULL, SINGLE, Frames, Size, make_frames

if TYPE_CHECKING:
    import polars as pl

_QUICK = Size(assets=250, bars=504)
_QUICK_SINGLE = Size(assets=1, bars=30_000)
_SAME = 1e-9


@dataclass
class Published:
    """The published engine in an interpreter of its own; data is handed over as Parquet files in a temporary folder."""

    python: str
    report: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._paths: dict[int, tuple[pl.DataFrame, str]] = {}

    @cached_property
    def missing(self) -> str | None:
        """Why the engine cannot be used, None when it can."""
        try:
            child(["-c", "import ml4t.backtest"], self.python)
        except (OSError, RuntimeError) as error:
            return str(error)
        return None

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def run(self, workload: str, frames: Frames) -> dict[str, Any]:
        """Run a workload; returns the times of feed and run, the final value and the number of fills."""
        found: dict[str, Any] = child_report(
            "reference.py", "run", workload, self._path(frames.prices), self._path(frames.signals), python=self.python
        )
        self.report[workload] = found
        return found

    def ingest(self, label: str, prices: pl.DataFrame) -> Time:
        """Build a feed; returns its time."""
        found = child_report("reference.py", "ingest", self._path(prices), python=self.python)
        self.report[label] = found
        return Time(**found["feed"])

    def start(self, label: str, arguments: list[str]) -> Time:
        """Run a process to its end; returns its time."""
        took = child(arguments, self.python)
        self.report[label] = {"cpu": took.cpu, "wall": took.wall}
        return took

    def _path(self, frame: pl.DataFrame) -> str:
        known = self._paths.get(id(frame))
        if known is None:
            path = str(Path(self._folder.name) / f"{len(self._paths)}.parquet")
            frame.write_parquet(path)
            known = self._paths[id(frame)] = (frame, path)  # keeps the frame, as its id stands for it
        return known[1]


@dataclass
class Setting:
    """One run of the benchmarks."""

    quick: bool = False
    repeats: int = 3
    published: Published | None = None
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def many(self) -> Frames:
        """Return 250 assets."""
        return make_frames(_QUICK if self.quick else FULL)

    @cached_property
    def single(self) -> Frames:
        """Return one long series."""
        return make_frames(_QUICK_SINGLE if self.quick else SINGLE)

    def check(self, engine: str, workload: str, value: float, fills: int, expected: tuple[float, int]) -> str | None:
        """Return what differs between two engines on a workload, None when value and number of fills are the same."""
        if abs(value - expected[0]) <= _SAME * abs(expected[0]) and fills == expected[1]:
            return None
        return f"{workload}: {engine} ended at {value!r} with {fills} fills, this library at {expected[0]!r} with {expected[1]}"
