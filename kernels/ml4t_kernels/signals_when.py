"""Conditions on indicators to the signals of every bar. A comparison with NaN is no signal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._jit import array_at, kernel
from .codes import ConditionKind
from .dtypes import FloatArray, Record, Records

__all__ = ["fill_codes"]

_BYTES = 8


@kernel
def _above(codes: npt.NDArray[np.uint8], left: FloatArray, right: FloatArray, bit: int) -> None:
    """Switch a bit on where the left numbers are above the right ones (codes: in-out, left, right: in)."""
    for bar in range(len(codes)):
        codes[bar] |= np.uint8(bit if left[bar] > right[bar] else 0)


@kernel
def _above_level(codes: npt.NDArray[np.uint8], left: FloatArray, level: float, sign: float, bit: int) -> None:
    """Switch a bit on where the numbers are above a level, with the sign -1 below it (codes: in-out, left: in)."""
    for bar in range(len(codes)):
        codes[bar] |= np.uint8(bit if sign * left[bar] > sign * level else 0)


@kernel
def _crosses(codes: npt.NDArray[np.uint8], left: FloatArray, right: FloatArray, bit: int) -> None:
    """Switch a bit on where the left numbers have risen above the right ones since the bar before (codes: in-out, left, right: in)."""
    for bar in range(1, len(codes)):
        codes[bar] |= np.uint8(bit if (left[bar] > right[bar]) & (left[bar - 1] <= right[bar - 1]) else 0)


@kernel
def _crosses_level(codes: npt.NDArray[np.uint8], left: FloatArray, level: float, sign: float, bit: int) -> None:
    """Switch a bit on where the numbers have risen above a level, with the sign -1 fallen below it (codes: in-out, left: in)."""
    for bar in range(1, len(codes)):
        codes[bar] |= np.uint8(bit if (sign * left[bar] > sign * level) & (sign * left[bar - 1] <= sign * level) else 0)


@kernel
def _add_condition(codes: npt.NDArray[np.uint8], indicators: int, condition: Record) -> None:
    """Switch on the bit of one condition (codes: in-out; indicators: address of float64[rows, bars]; condition: in)."""
    bars, kind, bit = len(codes), condition["kind"], condition["bit"]
    left = array_at(indicators + condition["left"] * bars * _BYTES, bars, np.float64)
    rises = kind == ConditionKind.ABOVE or kind == ConditionKind.CROSSES_ABOVE
    crossing = kind == ConditionKind.CROSSES_ABOVE or kind == ConditionKind.CROSSES_BELOW
    if condition["right"] < 0:
        sign = 1.0 if rises else -1.0
        if crossing:
            _crosses_level(codes, left, condition["level"], sign, bit)
        else:
            _above_level(codes, left, condition["level"], sign, bit)
        return
    right = array_at(indicators + condition["right"] * bars * _BYTES, bars, np.float64)
    if not rises:
        left, right = right, left
    if crossing:
        _crosses(codes, left, right, bit)
    else:
        _above(codes, left, right, bit)


@kernel
def fill_codes(codes: npt.NDArray[np.uint8], indicators: int, conditions: Records, first: int, count: int) -> None:
    """Write the signals of every bar: the bits of the conditions that hold there.

    codes: uint8[bars] (out). indicators: address of float64[rows, bars]. conditions: condition_dtype rows (in), of which `count` from
    `first` on are looked at.
    """
    for bar in range(len(codes)):
        codes[bar] = 0
    for row in range(first, first + count):
        _add_condition(codes, indicators, conditions[row])
