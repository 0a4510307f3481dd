"""The number type of the oracle, for the type checker: what float and Fraction have in common; and rounding to a step."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Protocol, TypeAlias


class Number(Protocol):
    """A float or a Fraction; a run uses one of the two throughout."""

    def __add__(self, other: Any, /) -> Number: ...
    def __radd__(self, other: Any, /) -> Number: ...
    def __sub__(self, other: Any, /) -> Number: ...
    def __rsub__(self, other: Any, /) -> Number: ...
    def __mul__(self, other: Any, /) -> Number: ...
    def __rmul__(self, other: Any, /) -> Number: ...
    def __truediv__(self, other: Any, /) -> Number: ...
    def __rtruediv__(self, other: Any, /) -> Number: ...
    def __neg__(self) -> Number: ...
    def __abs__(self) -> Number: ...
    def __lt__(self, other: Any, /) -> bool: ...
    def __le__(self, other: Any, /) -> bool: ...
    def __gt__(self, other: Any, /) -> bool: ...
    def __ge__(self, other: Any, /) -> bool: ...
    def __float__(self) -> float: ...
    def __floor__(self) -> int: ...
    def __ceil__(self) -> int: ...


NumberType: TypeAlias = type[float] | type[Fraction]


def convert(number: NumberType, value: Any, name: str) -> Number:
    """Turn an incoming value into the number type of the run; NaN and infinity are a ValueError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is not finite: {value}")
    return number(value)


def missing(value: Any) -> bool:
    """None and NaN stand for a value that is not there."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def optional(number: NumberType, value: Any, name: str) -> Number | None:
    return None if missing(value) else convert(number, value, name)


def steps_down(number: NumberType, amount: Number, step: Number | None, slack: Any = 1e-9) -> Number:
    """An unsigned amount rounded down to whole steps, up to a part of a step: the rounding of the division where nothing is said."""
    if step is None:
        return amount
    return number(math.floor(amount / step + number(slack))) * step


def steps_up(number: NumberType, amount: Number, step: Number | None) -> Number:
    if step is None:
        return amount
    return number(math.ceil(amount / step - number(1e-9))) * step


def signed(amount: Number, like: Number) -> Number:
    """The unsigned amount with the sign of `like`."""
    return -amount if like < 0 else amount
