"""What one unit of an asset is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ContractSpec"]


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """The contract behind a symbol: `multiplier` is the money that one point of price makes on one unit (50 for the E-mini S&P 500)."""

    symbol: str
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.multiplier) and self.multiplier > 0):
            raise ValueError(f"ContractSpec({self.symbol!r}): multiplier was {self.multiplier!r}, expected a finite number > 0")
