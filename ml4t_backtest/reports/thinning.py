"""Fewer rows for a picture, without losing what a person would look for: the extremes, the beginning and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["kept_rows", "kept_trades", "thinned", "thinning_note"]


def kept_rows(columns: Sequence[FloatArray], most: int) -> IntArray:
    """Return which rows a picture shows: int64[kept], ascending, at most `most` of them, all when there are no more.

    columns: float64[rows] each. The rows are cut into equal stretches; of each stretch stay the rows with the highest and the
    lowest value of every column (the first of equals; NaN counts as neither), and of the whole the first and the last row.
    So the highest and lowest value of every column are among the rows that stay. Raises ValueError when `most` has no room
    for that: fewer than 2 + 2 for each column.
    """
    rows = len(columns[0])
    if most < 2 + 2 * len(columns):
        raise ValueError(f"most was {most}, expected at least {2 + 2 * len(columns)} rows: 2, and 2 for each of {len(columns)} columns")
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    stretches = (most - 2) // (2 * len(columns))
    size = -(-rows // stretches)
    stretches = -(-rows // size)
    starts = np.arange(stretches, dtype=np.int64) * size
    kept = [np.array([0, rows - 1], dtype=np.int64)]
    for column in columns:
        for sign in (1.0, -1.0):
            values = np.full(stretches * size, -np.inf)
            values[:rows] = np.where(np.isnan(column), -np.inf, sign * column)
            kept.append(np.minimum(starts + np.argmax(values.reshape(stretches, size), axis=1), rows - 1))
    return np.unique(np.concatenate(kept))


def thinned(frame: pl.DataFrame, names: Sequence[str], most: int) -> pl.DataFrame:
    """Return the rows of a frame that `kept_rows` keeps for its columns `names`."""
    if frame.height <= most:
        return frame
    columns = [np.asarray(frame[name].to_numpy(), dtype=np.float64) for name in names]
    return frame[kept_rows(columns, most)]


def thinning_note(shown: int, rows: int, kind: str = "bars") -> str:
    """Return the sentence that says how a curve was thinned out, "" when it was not."""
    if shown >= rows:
        return ""
    return (
        f"Drawn with {shown:,} of {rows:,} {kind}: of each of many equal stretches those with the highest and the lowest values, and the"
        f" first and last of all, so that no extreme is missing. Figures and tables come from all {kind}."
    )


def kept_trades(values: Sequence[FloatArray], most: int) -> IntArray:
    """Return which trades a scatter shows: int64[kept], ascending, at most `most`.

    values: float64[trades] each. A tenth goes to the lowest and a tenth to the highest of each column, the rest is every n-th of all.
    """
    rows = len(values[0])
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    ends = max(1, most // 10)
    kept: list[Any] = []
    for column in values:
        order = np.argsort(np.where(np.isnan(column), 0.0, column), kind="stable")
        kept += [order[:ends], order[-ends:]]
    room = max(1, most - 2 * ends * len(values))
    kept.append(np.linspace(0, rows - 1, room).astype(np.int64))
    return np.unique(np.concatenate(kept))
