"""Rows by the chunk: as arrays when they travel and while they are kept, so that a study of millions of sets fits into memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import METRIC_NAMES
from ml4t_backtest.studies.runners import COMPLETED, FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ml4t_backtest.studies.runners import Row
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["Block", "Kept", "joined", "lost", "packed"]


@dataclass(slots=True)
class Kept:
    """What a row keeps beside its metrics: equity float64[bars], trades as trade_dtype rows."""

    equity: FloatArray | None = None
    trades: npt.NDArray[Any] | None = None


@dataclass(slots=True)
class Block:
    """Rows of a study.

    numbers: int64[n] places in the grid. metrics: float64[n, names], NaN where a row has none. seconds: float64[n].
    failed: bool[n]. errors, kept: number to text, to what was kept.
    """

    numbers: IntArray
    names: tuple[str, ...]
    metrics: FloatArray
    seconds: FloatArray
    failed: npt.NDArray[np.bool_]
    errors: dict[int, str] = field(default_factory=dict)
    kept: dict[int, Kept] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)


def packed(first: int, rows: Sequence[Row]) -> Block:
    """Return the rows of the sets `first`, `first + 1`, ..."""
    return packed_at(np.arange(first, first + len(rows), dtype=np.int64), rows)


def packed_at(numbers: IntArray, rows: Sequence[Row]) -> Block:
    """Return the rows of some sets. Raises TypeError for a metric that is no number."""
    # Rows of one runner name the same metrics in the same order, but for failed ones, which name none.
    kinds = dict.fromkeys(tuple(row.metrics) for row in rows)
    names = tuple(dict.fromkeys([*METRIC_NAMES, *(name for kind in kinds for name in kind)]))
    pick, nothing = itemgetter(*names), [float("nan")] * len(names)
    blank = dict.fromkeys(names, nothing[0])
    whole = {kind: len(kind) == len(names) for kind in kinds}
    values = [
        pick(row.metrics) if whole[tuple(row.metrics)] else pick({**blank, **row.metrics}) if row.metrics else nothing for row in rows
    ]
    block = Block(
        numbers,
        METRIC_NAMES if len(names) == len(METRIC_NAMES) else names,
        np.array(values, dtype=np.float64).reshape(len(rows), len(names)),
        np.array([row.seconds for row in rows], dtype=np.float64),
        np.array([row.status != COMPLETED for row in rows], dtype=np.bool_),
    )
    for number, row in zip(numbers.tolist(), rows, strict=True):
        if row.error is not None:
            block.errors[number] = row.error
        if row.equity is not None or row.trades is not None:
            block.kept[number] = Kept(row.equity, row.trades)
    return block


def lost(number: int, error: str) -> Block:
    """Return the row of a set whose run never came back."""
    from ml4t_backtest.studies.runners import Row

    return packed(number, [Row({}, FAILED, error)])


def joined(blocks: Sequence[Block]) -> Block:
    """Return all rows in the order of their numbers; of two rows of one set the first counts."""
    kinds = dict.fromkeys(block.names for block in blocks)
    names = tuple(dict.fromkeys([*METRIC_NAMES, *(name for kind in kinds for name in kind)]))
    places = {kind: [names.index(name) for name in kind] for kind in kinds}
    numbers = np.concatenate([block.numbers for block in blocks]) if blocks else np.zeros(0, dtype=np.int64)
    metrics = np.full((len(numbers), len(names)), np.nan)
    start = 0
    for block in blocks:
        metrics[start : start + len(block), places[block.names]] = block.metrics
        start += len(block)
    _, order = np.unique(numbers, return_index=True)
    seconds = np.concatenate([block.seconds for block in blocks]) if blocks else np.zeros(0)
    failed = np.concatenate([block.failed for block in blocks]) if blocks else np.zeros(0, dtype=np.bool_)
    if len(order) == len(numbers) and bool((order[1:] > order[:-1]).all()):
        made = Block(numbers, names, metrics, seconds, failed)
    else:
        made = Block(numbers[order], names, metrics[order], seconds[order], failed[order])
    for block in reversed(blocks):
        made.errors.update(block.errors)
        made.kept.update(block.kept)
    return made
