"""Checks of the arguments of rules and limits. Every message names the owner, the argument, its value and what was expected."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["choice", "finite", "fraction", "not_negative", "pairs", "part", "positive", "text", "whole"]


def _number(owner: str, name: str, value: Any, expected: str, fits: Callable[[float], bool]) -> float:
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and fits(number)):
        raise ValueError(f"{owner}({name}={value!r}): expected {expected}")
    return number


def finite(owner: str, name: str, value: Any) -> float:
    """Return a finite number."""
    return _number(owner, name, value, "a finite number", lambda _: True)


def positive(owner: str, name: str, value: Any) -> float:
    """Return a finite number above 0."""
    return _number(owner, name, value, "a finite number > 0", lambda number: number > 0.0)


def not_negative(owner: str, name: str, value: Any) -> float:
    """Return a finite number of at least 0."""
    return _number(owner, name, value, "a finite number >= 0", lambda number: number >= 0.0)


def fraction(owner: str, name: str, value: Any) -> float:
    """Return a number strictly between 0 and 1."""
    return _number(owner, name, value, "a fraction between 0 and 1, without the ends (0.05 is 5 %)", lambda number: 0.0 < number < 1.0)


def part(owner: str, name: str, value: Any) -> float:
    """Return a number above 0 and at most 1."""
    return _number(owner, name, value, "a part above 0 and at most 1 (0.25 is a quarter)", lambda number: 0.0 < number <= 1.0)


def whole(owner: str, name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`."""
    try:
        number = operator.index(value) if not isinstance(value, bool) else least - 1
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{owner}({name}={value!r}): expected an integer >= {least}")
    return number


def text(owner: str, name: str, value: Any) -> str:
    """Return a string that is not empty."""
    if not (isinstance(value, str) and value):
        raise ValueError(f"{owner}({name}={value!r}): expected a name, a string that is not empty")
    return value


def choice(owner: str, name: str, value: Any, choices: Sequence[str]) -> str:
    """Return the lower-case text of a string or of an enum member, one of `choices`."""
    given = str(getattr(value, "value", value)).lower()
    if given not in choices:
        raise ValueError(f"{owner}({name}={value!r}): expected one of {list(choices)}{did_you_mean(given, choices)}")
    return given


def pairs(owner: str, name: str, value: Any, checks: tuple[Callable[[str, str, Any], float], ...]) -> tuple[tuple[float, float], ...]:
    """Return pairs of numbers sorted by the first, which must be distinct. `checks` holds the check of the first and of the second."""
    try:
        rows = [tuple(row) for row in value]
    except TypeError:
        rows = []
    if not rows or any(len(row) != len(checks) for row in rows):
        raise ValueError(f"{owner}({name}={value!r}): expected pairs of numbers, at least one, as in [(0.05, 0.25), (0.10, 0.5)]")
    checked = sorted((checks[0](owner, name, first), checks[1](owner, name, second)) for first, second in rows)
    firsts = [first for first, _ in checked]
    if len(set(firsts)) < len(firsts):
        raise ValueError(f"{owner}({name}={value!r}): the first numbers of the pairs must differ from each other")
    return tuple(checked)
