"""Cost models: commission and slippage.

Each model is a small frozen object. The engine lowers it to a record that the kernels read; `calculate` gives the same
number by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml4t_backtest.spelling import accepts

__all__ = [
    "FixedSlippage",
    "NoCommission",
    "NoSlippage",
    "PerShareCommission",
    "PercentageCommission",
    "PercentageSlippage",
]


def _not_negative(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{owner}({name}={value!r}): expected a finite number >= 0")


@dataclass(frozen=True, slots=True)
class NoCommission:
    """Trading is free."""

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of a fill, always 0."""
        return 0.0


@accepts(rate="percentage")
@dataclass(frozen=True, slots=True)
class PercentageCommission:
    """A fraction of the notional, contract multiplier included: `percentage=0.001` is 0.1 %, ten basis points."""

    percentage: float = 0.001

    def __post_init__(self) -> None:
        _not_negative("PercentageCommission", percentage=self.percentage)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of a fill [money]."""
        return abs(quantity * price) * multiplier * self.percentage


@accepts(per_share="cost_per_share", minimum="min_cost")
@dataclass(frozen=True, slots=True)
class PerShareCommission:
    """Money per share or contract, with a minimum per fill (1.0 unless said otherwise; 0 for none)."""

    cost_per_share: float = 0.005
    min_cost: float = 1.0

    def __post_init__(self) -> None:
        _not_negative("PerShareCommission", cost_per_share=self.cost_per_share, min_cost=self.min_cost)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of a fill [money]."""
        return max(abs(quantity) * self.cost_per_share, self.min_cost)


@dataclass(frozen=True, slots=True)
class NoSlippage:
    """Orders trade at the base price."""

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit, always 0."""
        return 0.0


@dataclass(frozen=True, slots=True)
class FixedSlippage:
    """The same amount of price per unit on every fill."""

    amount: float = 0.01

    def __post_init__(self) -> None:
        _not_negative("FixedSlippage", amount=self.amount)

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit [price]."""
        return self.amount


@accepts(rate="percentage")
@dataclass(frozen=True, slots=True)
class PercentageSlippage:
    """A fraction of the price: `percentage=0.0005` is 0.05 %, five basis points."""

    percentage: float = 0.001

    def __post_init__(self) -> None:
        _not_negative("PercentageSlippage", percentage=self.percentage)

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit [price]."""
        return self.percentage * abs(price)
