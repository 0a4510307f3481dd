"""Signals as conditions on indicators: a table of distinct indicators, and conditions that choose from it by parameter.

    sma = Indicators({window: average(close, window) for window in range(5, 201)})
    entries = crosses_above(sma.by("fast"), sma.by("slow"))

A thousand parameter sets read the same table; no set has a column of signals of its own. A comparison with NaN is no signal.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_kernels.codes import ConditionKind

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray

__all__ = ["Choice", "Condition", "Indicators", "above", "below", "crosses_above", "crosses_below"]

_TABLE_DIMENSIONS = 2


class Indicators:
    """A table of indicators by key, each an array of one number per bar, or per bar and asset; NaN where it is not known.

    values: key (for example a window) to a numpy array, a Polars or pandas Series or frame; float64[bars] or float64[bars, assets].
    Raises ValueError for an empty table, other dimensions, arrays that differ in shape, infinite values.
    """

    def __init__(self, values: Mapping[Any, Any]) -> None:
        if not values:
            raise ValueError("Indicators() got an empty table; give at least one key with its array")
        self._rows: dict[Hashable, int] = {}
        arrays: list[FloatArray] = []
        for key, given in values.items():
            array = _numbers(key, given)
            if arrays and array.shape != arrays[0].shape:
                first = next(iter(self._rows))
                raise ValueError(
                    f"Indicators(): {key!r} has the shape {array.shape}, {first!r} has {arrays[0].shape}; they have to be equal"
                )
            self._rows[_plain(key)] = len(arrays)
            arrays.append(array)
        self.values: FloatArray = np.stack(arrays)

    @property
    def keys(self) -> list[Any]:
        """The keys of the table."""
        return list(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> Choice:
        """Return one indicator, the same for all parameter sets."""
        self.row(key)
        return Choice(self, _plain(key), by_parameter=False)

    def by(self, parameter: str) -> Choice:
        """Return the indicator whose key each parameter set gives under a name."""
        if not isinstance(parameter, str) or not parameter.isidentifier():
            raise ValueError(f"parameter was {parameter!r}, expected a name such as 'fast'")
        return Choice(self, parameter, by_parameter=True)

    def row(self, key: Any) -> int:
        """Return the row of a key. Raises KeyError that lists keys."""
        row = self._rows.get(_plain(key))
        if row is None:
            hint = did_you_mean(str(key), map(str, self._rows))
            raise KeyError(f"no indicator {key!r} in the table, only {shortened(map(str, self._rows))}{hint}")
        return row

    def between(self, first: int, last: int) -> Indicators:
        """Return the table of the bars from `first` to before `last`."""
        made = copy.copy(self)
        made.values = np.ascontiguousarray(self.values[:, first:last])
        return made

    def __repr__(self) -> str:
        return f"Indicators({len(self)} of shape {self.values.shape[1:]}: {shortened(map(str, self._rows))})"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """An indicator of a table: by its key, or by the name of the parameter that gives the key."""

    table: Indicators
    key: Any
    by_parameter: bool

    def row(self, params: Mapping[str, Any]) -> int:
        """Return the row in the table for a parameter set. Raises ValueError that names the parameter."""
        if not self.by_parameter:
            return self.table.row(self.key)
        try:
            return self.table.row(params[self.key])
        except KeyError as error:
            raise ValueError(f"parameter {self.key!r}: {error.args[0]}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A comparison of an indicator with another one, a number, or a level that each parameter set gives under a name."""

    kind: ConditionKind
    left: Choice
    right: Choice | float | str

    def parameters(self) -> Iterator[str]:
        """Yield the names of the parameters that the condition reads."""
        for side in (self.left, self.right):
            if isinstance(side, Choice) and side.by_parameter:
                yield side.key
        if isinstance(self.right, str):
            yield self.right

    def tables(self) -> Iterator[Indicators]:
        """Yield the tables that the condition reads."""
        for side in (self.left, self.right):
            if isinstance(side, Choice):
                yield side.table

    def reading(self, tables: Mapping[int, Indicators]) -> Condition:
        """Return the condition over other tables, which are given by the `id` of those that they stand for."""
        right = self.right
        if isinstance(right, Choice):
            right = replace(right, table=tables[id(right.table)])
        return replace(self, left=replace(self.left, table=tables[id(self.left.table)]), right=right)

    def level(self, params: Mapping[str, Any]) -> float:
        """Return the level for a parameter set, NaN without one. Raises ValueError for what is no finite number."""
        if isinstance(self.right, Choice):
            return math.nan
        level = params[self.right] if isinstance(self.right, str) else self.right
        if isinstance(level, (bool, str)) or not np.isscalar(level) or not math.isfinite(level):  # type: ignore[arg-type]
            named = f"parameter {self.right!r}" if isinstance(self.right, str) else "the level of a condition"
            raise ValueError(f"{named} was {level!r}, expected a finite number")
        return float(level)  # type: ignore[arg-type]

    def holds(self, params: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        """Return where the condition holds for a parameter set, bool in the shape of its indicators."""
        left = self.left.table.values[self.left.row(params)]
        right: Any = self.level(params)
        if isinstance(self.right, Choice):
            right = self.right.table.values[self.right.row(params)]
        rises = self.kind in (ConditionKind.ABOVE, ConditionKind.CROSSES_ABOVE)
        now: npt.NDArray[np.bool_] = left > right if rises else left < right
        if self.kind in (ConditionKind.ABOVE, ConditionKind.BELOW):
            return now
        before = left <= right if rises else left >= right
        now[1:] &= before[:-1]
        now[0] = False
        return now


def above(left: Choice, right: Choice | float | str) -> Condition:
    """Return the condition that one indicator is above another one, a number, or the level of a named parameter."""
    return _condition("above", ConditionKind.ABOVE, left, right)


def below(left: Choice, right: Choice | float | str) -> Condition:
    """Return the condition that one indicator is below another one, a number, or the level of a named parameter."""
    return _condition("below", ConditionKind.BELOW, left, right)


def crosses_above(left: Choice, right: Choice | float | str) -> Condition:
    """Return the condition that an indicator is above now and was at or below on the bar before; NaN on either bar is no signal."""
    return _condition("crosses_above", ConditionKind.CROSSES_ABOVE, left, right)


def crosses_below(left: Choice, right: Choice | float | str) -> Condition:
    """Return the condition that an indicator is below now and was at or above on the bar before; NaN on either bar is no signal."""
    return _condition("crosses_below", ConditionKind.CROSSES_BELOW, left, right)


def _condition(name: str, kind: ConditionKind, left: Choice, right: Any) -> Condition:
    if not isinstance(left, Choice):
        raise TypeError(f"{name}(): the left side was {left!r}, expected an indicator: table[key] or table.by('parameter')")
    if isinstance(right, Choice):
        if right.table.values.shape[1:] != left.table.values.shape[1:]:
            shapes = f"{left.table.values.shape[1:]} and {right.table.values.shape[1:]}"
            raise ValueError(f"{name}(): the indicators have the shapes {shapes}; they have to be equal")
        return Condition(kind, left, right)
    if isinstance(right, str) and right.isidentifier():
        return Condition(kind, left, right)
    if isinstance(right, (bool, str)) or not isinstance(right, (int, float, np.integer, np.floating)) or not math.isfinite(right):
        raise TypeError(f"{name}(): the right side was {right!r}, expected an indicator, a finite number or the name of a parameter")
    return Condition(kind, left, float(right))


def _numbers(key: Any, given: Any) -> FloatArray:
    try:
        array = np.asarray(given.to_numpy() if hasattr(given, "to_numpy") else given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Indicators(): {key!r} was a {type(given).__name__} that holds no plain numbers: {error}") from error
    if array.ndim not in (1, _TABLE_DIMENSIONS):
        raise ValueError(f"Indicators(): {key!r} has {array.ndim} dimensions, expected one number per bar, or per bar and asset")
    if np.isinf(array).any():
        raise ValueError(f"Indicators(): {key!r} has infinite values; NaN is what is not known")
    return array


def _plain(key: Any) -> Hashable:
    """Return a key as plain Python compares it."""
    plain: Hashable = key.item() if isinstance(key, np.generic) else key
    return plain
