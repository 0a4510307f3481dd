"""Clocks: CPU and wall time of functions, of several contestants in turn, and of whole child processes."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOM = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Time:
    """Seconds of CPU (all threads) and of wall clock."""

    cpu: float
    wall: float

    def __sub__(self, other: Time) -> Time:
        return Time(self.cpu - other.cpu, self.wall - other.wall)

    def __truediv__(self, count: float) -> Time:
        return Time(self.cpu / count, self.wall / count)


def middle(times: Sequence[Time]) -> Time:
    """Return the medians, CPU and wall each on its own."""
    return Time(median(one.cpu for one in times), median(one.wall for one in times))


def timed(action: Callable[[], object]) -> Time:
    """Run `action` once, with the garbage of whatever ran before out of the way."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Time(time.process_time() - cpu, time.perf_counter() - wall)


def in_turn(prepares: Sequence[Callable[[], Callable[[], object]]], repeats: int) -> list[Time]:
    """Time several contestants in turn, `repeats` times each, and return their medians.

    Turns put a slow spell of a shared machine on all contestants alike. Each item of `prepares` makes a fresh action, which alone is timed.
    """
    times: list[list[Time]] = [[] for _ in prepares]
    for _ in range(repeats):
        for place, prepare in enumerate(prepares):
            action = prepare()
            times[place].append(timed(action))
            del action
    return [middle(one) for one in times]


def child(arguments: Sequence[str], python: str = sys.executable, **variables: str) -> Time:
    """Run a fresh interpreter and return its user plus system time and its wall time. Raises RuntimeError when it fails."""
    environment = {**os.environ, **variables}
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)  # or another interpreter would find our packages
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    done = subprocess.run([python, *arguments], env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{Path(python).name} {' '.join(arguments)} failed:\n{done.stderr}")
    return Time(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def child_report(script: str, *arguments: str, python: str = sys.executable) -> Any:
    """Run a script of this folder, which writes JSON to the file named by its last argument, and return what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        child([str(ROOM / script), *arguments, str(report)], python)
        return json.loads(report.read_text(encoding="utf-8"))
