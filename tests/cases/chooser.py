"""Where random cases get their numbers from: hypothesis, which can shrink them, or a seeded generator."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from hypothesis import strategies as st

__all__ = ["Chooser"]

T = TypeVar("T")

_FINE = 3 * 10**6


class Chooser:
    """Draws everything from one function, integer(least, most); small integers give plain cases.

    dyadic: numbers are small multiples of powers of two, on which doubles make no rounding in cash.
    """

    def __init__(self, integer: Callable[[int, int], int], *, dyadic: bool = False) -> None:
        self.integer = integer
        self.dyadic = dyadic

    @classmethod
    def drawing(cls, draw: st.DrawFn, *, dyadic: bool = False) -> Chooser:
        """Return a chooser that draws from hypothesis."""
        return cls(lambda least, most: draw(st.integers(least, most)), dyadic=dyadic)

    @classmethod
    def seeded(cls, seed: int, *, dyadic: bool = False) -> Chooser:
        """Return a chooser that draws from a seed."""
        return cls(random.Random(seed).randint, dyadic=dyadic)

    def one_of(self, options: Sequence[T]) -> T:
        """Choose; the first option is the plainest."""
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        """Return True in so many percent of the cases; False is plainer."""
        return self.integer(0, 99) >= 100 - percent

    def several(self, least: int, most: int, percent: int = 50) -> Iterator[int]:
        """Count up: `least` times, and on to `most` with a chance each time."""
        for number in range(most):
            if number >= least and not self.chance(percent):
                return
            yield number

    def number(self, least: float, most: float, steps: int = 4) -> float:
        """Return a number: with dyadic ones a multiple of 1 / steps, else cents or an odd number of all digits."""
        if self.dyadic:
            return self.integer(round(least * steps), round(most * steps)) / steps
        if self.chance(30):
            return least + (most - least) * self.integer(0, _FINE) / _FINE
        return self.integer(round(least * 100), round(most * 100)) / 100

    def fraction(self, least: float, most: float) -> float:
        """Return a small fraction: a power of two or an odd number."""
        if self.dyadic:
            powers = [2.0**-power for power in range(11) if least <= 2.0**-power <= most]
            return self.one_of(powers)
        return least + (most - least) * self.integer(1, 999) / 999
