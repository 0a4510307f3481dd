"""Rows of a study as a Polars frame: one column per parameter, of one type."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from ml4t_backtest.studies.blocks import Block
    from ml4t_backtest.studies.space import Space

__all__ = ["FIXED", "column_names", "study_frame"]

FIXED = ("set", "status", "error", "seconds")
_COUNTS = ("winning_trades", "losing_trades", "skipped_bars")
_PLAIN = (bool, int, float, str, datetime, date, timedelta)
_LARGEST = 1 << 63


def column_names(parameters: Iterable[str], metrics: Iterable[str]) -> dict[str, str]:
    """Return the column of each parameter. Raises ValueError when two parameters would share one."""
    taken = {*FIXED, *metrics}
    found = {name: f"param_{name}" if name in taken else name for name in parameters}
    for name, column in found.items():
        if column != name and (column in found or column in taken):
            raise ValueError(f"two columns would be named {column!r}; rename the parameter {name!r}")
    return found


def study_frame(space: Space, block: Block, columns: Mapping[str, str]) -> pl.DataFrame:
    """Return one row per row of a block."""
    import polars as pl

    series = [pl.Series(FIXED[0], block.numbers)]
    series += [_series(column, space.column(name, block.numbers)) for name, column in columns.items()]
    for place, name in enumerate(block.names):
        values = pl.Series(name, np.ascontiguousarray(block.metrics[:, place]), nan_to_null=True)
        if name.startswith("num_") or name in _COUNTS:
            values = values.cast(pl.Int64)
        series.append(values)
    status = pl.Series("failed", block.failed)
    errors = [block.errors.get(number) for number in block.numbers.tolist()] if block.errors else [None] * len(block)
    series.append(pl.select(pl.when(status).then(pl.lit("failed")).otherwise(pl.lit("completed")).alias("status")).to_series())
    series += [pl.Series("error", errors, dtype=pl.String), pl.Series("seconds", block.seconds)]
    return pl.DataFrame(series)


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return one parameter; whole and broken numbers become Float64, other mixtures texts."""
    import polars as pl

    plain = [_plain(value) for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {int, float}:
        return pl.Series(name, [None if value is None else float(value) for value in plain], dtype=pl.Float64)
    if len(kinds) > 1 or (kinds == {int} and any(abs(value) >= _LARGEST for value in plain if value is not None)):
        return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)
    return pl.Series(name, plain)


def _plain(value: Any) -> Any:
    """Return a value that a column can hold: enum members as their values, all that is no plain value as a text."""
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    return str(getattr(value, "__name__", value))
