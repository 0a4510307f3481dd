"""How fast this machine runs plain Python now, against the one on which the limits were set.

The limits in the table are nanoseconds of one machine (AMD Zen 5, CPython 3.11). Five reads that every strategy is made of were timed there, loop
included; the same five loops, timed here right before and after each group of rows, tell how much slower or faster this machine is at that moment.
"""

from __future__ import annotations

import time
import timeit
from math import prod
from typing import Any

import numpy as np

_COUNT = 100_000
_REFERENCE_NS = {"numbers[3]": 12.0, "column[3]": 22.0, "mapping['close']": 18.0, "view['close']": 51.0, "nothing()": 31.0}


class _View:
    """A bar that reads a column at a shared clock, as the library's do."""

    __slots__ = ("clock", "columns")

    def __init__(self, columns: dict[str, Any], clock: list[int]) -> None:
        self.columns = columns
        self.clock = clock

    def __getitem__(self, name: str) -> Any:
        return self.columns[name][self.clock[0]]


def _nothing() -> None:
    pass


def _names() -> dict[str, Any]:
    column = memoryview(np.arange(10.0))
    view = _View({"close": column}, [3])
    return {"numbers": [1.0] * 10, "column": column, "mapping": {"close": 1.0}, "view": view, "nothing": _nothing}


def slowness() -> float:
    """Return how many times as long as on the reference machine plain Python takes here, now (geometric mean of five reads)."""
    names = _names()
    factors = []
    for statement, reference in _REFERENCE_NS.items():
        loop = f"for _ in range({_COUNT}): {statement}"
        best = min(timeit.repeat(loop, globals=names, number=1, repeat=5, timer=time.process_time))
        factors.append(best / _COUNT * 1e9 / reference)
    return float(prod(factors) ** (1 / len(factors)))
