"""Scripts of random cases for the published `ml4t-backtest`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validation.runners.exchange import Instruction, Market

__all__ = ["Random", "Script", "pick"]

Random = np.random.Generator


def pick(random: Random, choices: Any) -> Any:
    return choices[int(random.integers(len(choices)))]


class Script:
    """Collects instructions, each with a label of its own.

    sides: of every asset, 1 or -1: which way its entries go, so that few orders flip a position (a flip cancels the other orders of
    the asset in 0.2.0).
    """

    def __init__(self, random: Random, market: Market, native: dict[str, Any]) -> None:
        self.random, self.market = random, market
        self.same_bar = native["execution_mode"] == "same_bar"
        self.shorts = bool(native.get("allow_short_selling"))
        self.sides = [pick(random, (1.0, -1.0)) if self.shorts else 1.0 for _ in market.assets]
        self.wild = self.shorts and random.random() < 0.1  # entries of every side, and so flips
        self.told: list[Instruction] = []

    def add(self, bar: int, column: int, verb: str, **numbers: Any) -> str:
        label = f"n{len(self.told)}"
        self.told.append(Instruction(int(self.market.times[bar]), self.market.assets[column], verb, label=label, **numbers))
        return label

    def seen(self, bar: int, column: int) -> tuple[float, float, float]:
        """Return high, low and close of a bar, or of the last one there was."""
        last = int(np.flatnonzero(~np.isnan(self.market.close[: bar + 1, column]))[-1])
        return tuple(float(getattr(self.market, name)[last, column]) for name in ("high", "low", "close"))  # type: ignore[return-value]

    def near(self, bar: int, column: int, spread: float = 0.03) -> float:
        """Return a price in whole cents near the close."""
        return float(np.round(self.seen(bar, column)[2] * (1.0 + spread * self.random.uniform(-1.0, 1.0)), 2))

    def stop(self, bar: int, column: int, side: float) -> float:
        """Return a stop price: in SAME_BAR mode mostly one that the bar has not reached (what it does then is documented)."""
        high, low, close = self.seen(bar, column)
        if self.same_bar and self.random.random() > 0.02:
            edge = high if side > 0 else low
            return float(np.round(edge + side * (0.01 + 0.02 * close * self.random.random()), 2))
        return self.near(bar, column)

    def quantity(self, column: int, most: int = 120) -> float:
        """Return a whole quantity, signed: mostly entries, some smaller exits."""
        if self.wild:
            return float(self.random.integers(1, most + 1)) * pick(self.random, (1.0, -1.0))
        if self.random.random() < 0.35:
            return -self.sides[column] * float(self.random.integers(1, max(most // 4, 2)))
        return self.sides[column] * float(self.random.integers(most // 3, most + 1))

    def sprinkle(self, chance: float, write: Callable[[int, int], None], last: int = 1) -> None:
        """Call `write(bar, column)` for some bars of every asset, never for the last ones."""
        bars, columns = self.market.close.shape
        for bar in range(bars - last):
            for column in range(columns):
                if self.random.random() < chance:
                    write(bar, column)
