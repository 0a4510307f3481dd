"""Market impact: how far an order moves the price it trades at.

Each model is a small frozen object. `calculate(quantity, price, volume, is_buy)` gives the signed amount [price] that is added to
the base price before slippage: up for buys, down for sales. quantity: its magnitude counts. volume: units traded on the bar; None,
NaN and 0 give no impact. In the formulas `share` is `abs(quantity) / volume`; they are computed from left to right. Settings must
be finite and >= 0 (ValueError).
"""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass
from typing import Protocol, cast, runtime_checkable

from ml4t_backtest.models.checks import known_volume, not_negative, positive
from ml4t_backtest.spelling import accepts

__all__ = ["LinearImpact", "MarketImpactModel", "NoImpact", "PowerLawImpact", "SquareRootImpact"]


@runtime_checkable
class MarketImpactModel(Protocol):
    """What an impact model of your own needs: this one method."""

    def calculate(self, quantity: float, price: float, volume: float | None, is_buy: bool) -> float:  # noqa: FBT001 - published
        """Return the signed change of the price."""
        ...


def _traded(volume: float | None) -> float:
    """Return the volume of a bar, 0 when it is unknown."""
    known = known_volume(volume)
    return 0.0 if known is None or known <= 0.0 else known


@dataclass(frozen=True, slots=True)
class NoImpact:
    """Orders do not move the price."""

    def calculate(self, quantity: float, price: float, volume: float | None, is_buy: bool) -> float:  # noqa: ARG002, FBT001
        """Return the signed change of the price, always 0."""
        return 0.0


@accepts(impact_coefficient="coefficient", eta="coefficient")
@dataclass(frozen=True, slots=True)
class LinearImpact:
    """Impact in proportion to the share of the bar's volume: `coefficient * share * abs(price)`."""

    coefficient: float = 0.1

    def __post_init__(self) -> None:
        not_negative("LinearImpact", coefficient=self.coefficient)

    def calculate(self, quantity: float, price: float, volume: float | None, is_buy: bool) -> float:  # noqa: FBT001 - published
        """Return the signed change of the price."""
        traded = _traded(volume)
        if traded == 0.0:
            return 0.0
        impact = self.coefficient * (abs(quantity) / traded) * abs(price)
        return impact if is_buy else -impact


@accepts(eta="coefficient")
@dataclass(frozen=True, slots=True)
class SquareRootImpact:
    """Impact by the square root of the share of the bar's volume.

    `coefficient * volatility * sqrt(abs(quantity) / (volume * adv_factor)) * abs(price)`. volatility: of one bar's return, a
    fraction; 0.02 unless said otherwise. adv_factor: bar volumes that make the volume compared with, > 0.

    The spelling `impact_coefficient` stands for the law without a volatility, `impact_coefficient * sqrt(share) * abs(price)`:
    `SquareRootImpact(impact_coefficient=0.1)` is `SquareRootImpact(coefficient=0.1, volatility=1.0)`. Raises ValueError when it
    comes with a volatility or a coefficient.
    """

    coefficient: float | None = None
    volatility: float | None = None
    adv_factor: float = 1.0
    impact_coefficient: InitVar[float | None] = None

    def __post_init__(self, impact_coefficient: float | None) -> None:
        coefficient, volatility = self.coefficient, self.volatility
        if impact_coefficient is not None:
            if coefficient is not None or volatility is not None:
                raise ValueError("SquareRootImpact(impact_coefficient=...) is the law without volatility; use coefficient= to set one")
            coefficient, volatility = impact_coefficient, 1.0
        coefficient = 0.5 if coefficient is None else coefficient
        volatility = 0.02 if volatility is None else volatility
        not_negative("SquareRootImpact", coefficient=coefficient, volatility=volatility)
        positive("SquareRootImpact", adv_factor=self.adv_factor)
        object.__setattr__(self, "coefficient", coefficient)
        object.__setattr__(self, "volatility", volatility)

    def calculate(self, quantity: float, price: float, volume: float | None, is_buy: bool) -> float:  # noqa: FBT001 - published
        """Return the signed change of the price."""
        traded = _traded(volume) * self.adv_factor
        if traded == 0.0:
            return 0.0
        size = cast("float", self.coefficient) * cast("float", self.volatility)
        impact = size * math.sqrt(abs(quantity) / traded) * abs(price)
        return impact if is_buy else -impact


@accepts(impact_coefficient="coefficient", eta="coefficient")
@dataclass(frozen=True, slots=True)
class PowerLawImpact:
    """Impact by a power of the share of the bar's volume: `coefficient * share**exponent * abs(price)`, at least `min_impact`.

    min_impact: price per unit; also what an order pays when the volume is unknown or 0. exponent: > 0.
    """

    coefficient: float = 0.1
    exponent: float = 0.5
    min_impact: float = 0.0

    def __post_init__(self) -> None:
        not_negative("PowerLawImpact", coefficient=self.coefficient, min_impact=self.min_impact)
        positive("PowerLawImpact", exponent=self.exponent)

    def calculate(self, quantity: float, price: float, volume: float | None, is_buy: bool) -> float:  # noqa: FBT001 - published
        """Return the signed change of the price."""
        traded = _traded(volume)
        impact = self.min_impact
        if traded > 0.0:
            impact = max(self.coefficient * math.pow(abs(quantity) / traded, self.exponent) * abs(price), impact)
        return impact if is_buy else -impact
