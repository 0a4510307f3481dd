"""Where the four signals of a strategy come from: arrays, or conditions on indicators."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import shortened
from ml4t_backtest.signals.conditions import Condition
from ml4t_backtest.signals.wide import read_flags
from ml4t_kernels.codes import SignalBit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ml4t_backtest.signals.conditions import Indicators

__all__ = ["SIGNAL_NAMES", "Codes", "Sources", "check_column", "possible_codes"]

SIGNAL_NAMES = ("entries", "exits", "short_entries", "short_exits")
_COMBINATIONS = 16
_BITS: dict[str, SignalBit] = dict(
    zip(SIGNAL_NAMES, (SignalBit.LONG_ENTRY, SignalBit.LONG_EXIT, SignalBit.SHORT_ENTRY, SignalBit.SHORT_EXIT), strict=True)
)


@dataclass(frozen=True, slots=True)
class Codes:
    """Signals that have been read: `values`, uint8[bars, columns], SignalBit added up. Stands for all four of them."""

    values: npt.NDArray[np.uint8]


class Sources:
    """The signals of a strategy: `codes` (uint8[bars, columns], SignalBit added up) of arrays, else `conditions` by name.

    Raises TypeError for a mixture of both and for no signals at all, ValueError for arrays that do not fit together.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        there = {name: value for name, value in given.items() if value is not None}
        if not there:
            raise TypeError("SignalStrategy needs signals: give entries, short_entries, or both")
        read = there.get("entries")
        self.conditions: dict[str, tuple[Condition, ...]] = {}
        self.matrices: npt.NDArray[np.uint8] | None = None
        self.names: tuple[str, ...] | None = None
        if isinstance(read, Codes):
            self.matrices = read.values
            return
        conditions = {name: _as_conditions(value) for name, value in there.items()}
        if all(found is not None for found in conditions.values()):
            self.conditions = {name: found for name, found in conditions.items() if found is not None}
            self._check_tables()
        elif any(found is not None for found in conditions.values()):
            arrays = [name for name, found in conditions.items() if found is None]
            raise TypeError(f"signals were conditions, but {arrays[0]} an array; give all as conditions or all as arrays")
        else:
            self._read(there)

    def _read(self, given: Mapping[str, Any]) -> None:
        shape: tuple[int, ...] | None = None
        for name, value in given.items():
            flags, wide = read_flags(name, value)
            if shape is not None and flags.shape != shape:
                raise ValueError(
                    f"{name} has the shape {flags.shape}, the signals before it {shape} (bars, columns); they have to be equal"
                )
            shape = flags.shape
            if wide.names is not None:
                if self.names is not None and self.names != wide.names:
                    raise ValueError(f"{name} has the columns {shortened(wide.names)}, the signals before it {shortened(self.names)}")
                self.names = wide.names
            bits = flags.astype(np.uint8) * np.uint8(_BITS[name])
            self.matrices = bits if self.matrices is None else self.matrices | bits

    def _check_tables(self) -> None:
        shapes = {table.values.shape[1:] for table in self.tables()}
        if len(shapes) > 1:
            raise ValueError(f"the indicators of the conditions have the shapes {sorted(shapes)}; they have to be equal")

    def tables(self) -> list[Indicators]:
        """Return the distinct tables that conditions read."""
        found = {id(table): table for listed in self.conditions.values() for one in listed for table in one.tables()}
        return list(found.values())

    def between(self, first: int, last: int) -> Sources:
        """Return the signals of the bars from `first` to before `last`."""
        made = copy.copy(self)
        if made.matrices is not None:
            made.matrices = np.ascontiguousarray(made.matrices[first:last])
        tables = {id(table): table.between(first, last) for table in self.tables()}
        made.conditions = {name: tuple(one.reading(tables) for one in listed) for name, listed in self.conditions.items()}
        return made

    def parameters(self) -> list[str]:
        """Return the names of the parameters that conditions read, in order of first use."""
        return list(dict.fromkeys(name for listed in self.conditions.values() for one in listed for name in one.parameters()))

    def bits(self) -> list[tuple[Condition, int]]:
        """Return each condition with the code SignalBit that it switches on."""
        return [(one, int(_BITS[name])) for name, listed in self.conditions.items() for one in listed]

    def codes(self) -> list[int]:
        """Return the combinations of signals that can come up."""
        if self.matrices is not None:
            return possible_codes(self.matrices)
        bits = sum(_BITS[name] for name in self.conditions)
        return [code for code in range(_COMBINATIONS) if code & ~bits == 0]

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise ValueError for parameters that conditions cannot use; those that are None yet are left for later."""
        for condition, _ in self.bits():
            if all(params[name] is not None for name in condition.parameters()):
                condition.left.row(params)
                condition.level(params)
                if not isinstance(condition.right, (float, int, str)):
                    condition.right.row(params)

    def matrix(self, params: Mapping[str, Any], assets: Sequence[str], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return the signals of a parameter set for a feed, uint8[bars, assets]. Raises ValueError for what does not fit it."""
        codes = self._from_conditions(params) if self.matrices is None else self._from_arrays(params["column"], assets)
        if codes.ndim == 1:
            codes = np.broadcast_to(codes[:, np.newaxis], (len(codes), shape[1]))
        if codes.shape != shape:
            raise ValueError(f"the signals have the shape {codes.shape}, the feed has {shape} (bars, assets)")
        return np.ascontiguousarray(codes)

    def _from_conditions(self, params: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        missing = [name for name in self.parameters() if params[name] is None]
        if missing:
            raise ValueError(f"parameter {missing[0]!r} has no value; give it: SignalStrategy(..., params={{{missing[0]!r}: ...}})")
        made = [condition.holds(params).astype(np.uint8) * np.uint8(bit) for condition, bit in self.bits()]
        codes: npt.NDArray[np.uint8] = np.bitwise_or.reduce(made, axis=0)
        return codes

    def _from_arrays(self, column: int | None, assets: Sequence[str]) -> npt.NDArray[np.uint8]:
        matrix: npt.NDArray[np.uint8] = self.matrices  # type: ignore[assignment]
        columns = matrix.shape[1]
        if column is not None:
            return matrix[:, check_column(column, columns)]
        if columns > 1 and len(assets) == 1:
            raise ValueError(f"the signals have {columns} columns, the feed one asset; choose one with column=0 to {columns - 1}")
        if self.names is not None and set(self.names) == set(assets):
            return matrix[:, [self.names.index(asset) for asset in assets]]
        return matrix


def possible_codes(codes: npt.NDArray[np.uint8]) -> list[int]:
    """Return the combinations of signals that come up in an array of them."""
    return np.flatnonzero(np.bincount(codes.ravel(), minlength=_COMBINATIONS)).tolist()


def check_column(column: Any, columns: int) -> int:
    """Return the number of a column. Raises ValueError for one that is not there."""
    if isinstance(column, bool) or not isinstance(column, (int, np.integer)) or not 0 <= column < columns:
        raise ValueError(f"column was {column!r}, expected a whole number from 0 to {columns - 1}")
    return int(column)


def _as_conditions(given: Any) -> tuple[Condition, ...] | None:
    """Return a condition, or a list of conditions of which any holds, as a tuple; None for anything else."""
    if isinstance(given, Condition):
        return (given,)
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, Condition) for one in given):
        return tuple(given)
    return None
