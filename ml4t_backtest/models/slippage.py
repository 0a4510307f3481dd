"""Slippage models.

Each is a small frozen object. `calculate(asset, quantity, price, volume)` gives by hand the slippage per unit [price], >= 0;
buys pay `price + slippage`, sales get `price - slippage`. quantity: signed or not, its magnitude counts. price: before slippage,
after market impact. volume: units traded on the bar; None or NaN is unknown. Without a known volume > 0 a model by volume gives 0.
Settings must be finite and >= 0 (ValueError).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from ml4t_backtest.models.checks import call_with_known, checked_models, known_volume, model_of, not_negative, positive
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

__all__ = [
    "AssetSlippage",
    "CumulativeVolumeShareSlippage",
    "FixedSlippage",
    "FuturesSlippage",
    "NoSlippage",
    "PercentageSlippage",
    "SlippageModel",
    "SpreadSlippage",
    "VolatilityVolumeSlippage",
    "VolumeShareSlippage",
]


@runtime_checkable
class SlippageModel(Protocol):
    """What a slippage model of your own needs: this one method."""

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:
        """Return the slippage per unit [price]."""
        ...


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
        not_negative("FixedSlippage", amount=self.amount)

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit [price]."""
        return self.amount


@accepts(rate="percentage")
@dataclass(frozen=True, slots=True)
class PercentageSlippage:
    """A fraction of the price: `percentage=0.0005` is 0.05 %, five basis points. Computed as `percentage * abs(price)`."""

    percentage: float = 0.001

    def __post_init__(self) -> None:
        not_negative("PercentageSlippage", percentage=self.percentage)

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit [price]."""
        return self.percentage * abs(price)


def _square_law(price: float, price_impact: float, share: float, volume_limit: float) -> float:
    share = min(share, volume_limit)
    return abs(price) * price_impact * share * share


@dataclass(frozen=True, slots=True)
class VolumeShareSlippage:
    """Slippage that grows with the share of the bar's volume. The arguments choose one of two laws.

    - `volume_limit` (0.025) and `price_impact` (0.1), the law when nothing is said: with `share` the smaller of
      `abs(quantity) / volume` and `volume_limit`, `abs(price) * price_impact * share * share`, from left to right. A fill is never
      larger than `volume_limit * volume`; the rest of the order waits (see `fillable`). This is the law of Zipline, whose share
      also counts what was filled before on the bar: `CumulativeVolumeShareSlippage`.
    - `impact_factor`: `abs(price) * (abs(quantity) / volume) * impact_factor`, from left to right, and no limit.

    Raises ValueError when arguments of both laws are given.
    """

    volume_limit: float | None = None
    price_impact: float | None = None
    impact_factor: float | None = None

    def __post_init__(self) -> None:
        if self.impact_factor is not None:
            if self.volume_limit is not None or self.price_impact is not None:
                raise ValueError("VolumeShareSlippage takes either impact_factor, or volume_limit and price_impact; they are two laws")
            not_negative("VolumeShareSlippage", impact_factor=self.impact_factor)
            return
        limit = 0.025 if self.volume_limit is None else self.volume_limit
        impact = 0.1 if self.price_impact is None else self.price_impact
        positive("VolumeShareSlippage", volume_limit=limit)
        not_negative("VolumeShareSlippage", price_impact=impact)
        object.__setattr__(self, "volume_limit", limit)
        object.__setattr__(self, "price_impact", impact)

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit [price], 0 without a known volume > 0."""
        known = known_volume(volume)
        if known is None or known <= 0.0:
            return 0.0
        if self.impact_factor is not None:
            return abs(price) * (abs(quantity) / known) * self.impact_factor
        return _square_law(price, cast("float", self.price_impact), abs(quantity) / known, cast("float", self.volume_limit))

    def fillable(self, quantity: float, volume: float | None) -> float:
        """Return how much of an order (unsigned) may fill on a bar: all when the volume is unknown or the law has no limit."""
        known = known_volume(volume)
        if known is None or self.volume_limit is None:
            return abs(quantity)
        return min(abs(quantity), self.volume_limit * known)


@dataclass(frozen=True, slots=True)
class CumulativeVolumeShareSlippage:
    """The square law of `VolumeShareSlippage` on the share of all that fills in the asset on the bar, as Zipline has it.

    With `filled` the quantity that filled in the asset before on this bar: `share` is the smaller of
    `(filled + abs(quantity)) / volume` and `volume_limit`, and the slippage `abs(price) * price_impact * share * share`, from left
    to right. All fills of an asset on a bar together are never larger than `volume_limit * volume`.
    """

    volume_limit: float = 0.025
    price_impact: float = 0.1

    def __post_init__(self) -> None:
        positive("CumulativeVolumeShareSlippage", volume_limit=self.volume_limit)
        not_negative("CumulativeVolumeShareSlippage", price_impact=self.price_impact)

    def calculate(
        self,
        asset: str,  # noqa: ARG002
        quantity: float,
        price: float,
        volume: float | None = None,
        *,
        filled: float = 0.0,
    ) -> float:
        """Return the slippage per unit [price], 0 without a known volume > 0. filled: unsigned, of this asset on this bar."""
        known = known_volume(volume)
        if known is None or known <= 0.0:
            return 0.0
        return _square_law(price, self.price_impact, (filled + abs(quantity)) / known, self.volume_limit)

    def fillable(self, quantity: float, volume: float | None, filled: float = 0.0) -> float:
        """Return how much of an order (unsigned) may fill after `filled` on this bar: all when the volume is unknown."""
        known = known_volume(volume)
        return abs(quantity) if known is None else min(abs(quantity), max(0.0, self.volume_limit * known - filled))


@accepts(eta="coefficient", impact_coefficient="coefficient")
@dataclass(frozen=True, slots=True)
class VolatilityVolumeSlippage:
    """Slippage by volatility and the square root of the share of the bar's volume, as `execution.SquareRootImpact`, booked as slippage.

    volatility: of one bar's return, a fraction. Computed as `coefficient * volatility * sqrt(abs(quantity) / volume) * abs(price)`,
    from left to right.
    """

    coefficient: float = 0.5
    volatility: float = 0.02

    def __post_init__(self) -> None:
        not_negative("VolatilityVolumeSlippage", coefficient=self.coefficient, volatility=self.volatility)

    def calculate(self, asset: str, quantity: float, price: float, volume: float | None = None) -> float:  # noqa: ARG002
        """Return the slippage per unit [price], 0 without a known volume > 0."""
        known = known_volume(volume)
        if known is None or known <= 0.0:
            return 0.0
        return self.coefficient * self.volatility * math.sqrt(abs(quantity) / known) * abs(price)


@dataclass(frozen=True, slots=True)
class SpreadSlippage:
    """Half the distance between bid and ask.

    The distance is the asset's in `spread_by_asset` [price], else `spread` [price], else `ask - bid` of the bar. Computed as
    `distance * 0.5`. Raises ValueError in `calculate` when the distance is in none of the three (a quote of None or NaN is none),
    or when the bid is above the ask.
    """

    spread: float | None = None
    spread_by_asset: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        by_asset = dict(self.spread_by_asset or {})
        if self.spread is not None:
            not_negative("SpreadSlippage", spread=self.spread)
        for asset, spread in by_asset.items():
            not_negative("SpreadSlippage", **{f"spread_by_asset[{asset!r}]": spread})
        object.__setattr__(self, "spread_by_asset", by_asset)

    def spread_of(self, asset: str) -> float | None:
        """Return the distance set for an asset [price], None where the quotes of the bar decide."""
        return cast("dict[str, float]", self.spread_by_asset).get(asset, self.spread)

    def calculate(
        self,
        asset: str,
        quantity: float,  # noqa: ARG002
        price: float,  # noqa: ARG002
        volume: float | None = None,  # noqa: ARG002
        *,
        bid: float | None = None,
        ask: float | None = None,
    ) -> float:
        """Return the slippage per unit [price]. bid, ask: quotes of the bar, read only where no spread is set."""
        distance = self.spread_of(asset)
        if distance is None:
            if bid is None or ask is None or math.isnan(bid) or math.isnan(ask):
                raise ValueError(f"SpreadSlippage has no spread for {asset!r}, and the bar no quote: bid was {bid!r}, ask {ask!r}")
            if bid > ask:
                raise ValueError(f"SpreadSlippage: the bid {bid!r} of {asset!r} is above its ask {ask!r}")
            distance = ask - bid
        return distance * 0.5


@dataclass(frozen=True, slots=True)
class FuturesSlippage:
    """A number of points, or of ticks, per contract. Give one of the two.

    points: price. ticks: times the tick size, that of the contract unless `tick_size` [price] is given here. Computed as `points`,
    or `ticks * tick_size`. It is a price per unit as in every slippage model; times quantity and multiplier it is money. Raises
    ValueError when both or none are given, or, in `calculate`, ticks without a tick size.
    """

    points: float | None = None
    ticks: float | None = None
    tick_size: float | None = None

    def __post_init__(self) -> None:
        if (self.points is None) == (self.ticks is None):
            raise ValueError(f"FuturesSlippage(points={self.points!r}, ticks={self.ticks!r}): expected one of the two")
        if self.points is not None:
            not_negative("FuturesSlippage", points=self.points)
            if self.tick_size is not None:
                raise ValueError("FuturesSlippage: a tick_size belongs to ticks, not to points")
        else:
            not_negative("FuturesSlippage", ticks=self.ticks)
        if self.tick_size is not None:
            positive("FuturesSlippage", tick_size=self.tick_size)

    def calculate(
        self,
        asset: str,
        quantity: float,  # noqa: ARG002
        price: float,  # noqa: ARG002
        volume: float | None = None,  # noqa: ARG002
        *,
        tick_size: float | None = None,
    ) -> float:
        """Return the slippage per unit [price]. tick_size: of the contract, read where the model has none of its own."""
        if self.points is not None:
            return self.points
        size = tick_size if self.tick_size is None else self.tick_size
        if size is None:
            raise ValueError(f"FuturesSlippage(ticks={self.ticks!r}) needs the tick size of {asset!r}: calculate(..., tick_size=0.25)")
        return cast("float", self.ticks) * size


@dataclass(frozen=True, slots=True)
class AssetSlippage:
    """A model per asset, per asset class, and for the rest: `AssetSlippage({"ES": a, AssetClass.EQUITY: b}, default=c)`.

    Keys, precedence and errors as `AssetCommission`.
    """

    models: Mapping[str | Enum, Any]
    default: SlippageModel | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", checked_models("AssetSlippage", self.models, self.default))

    def model_for(self, asset: str, asset_class: Enum | None = None) -> Any:
        """Return the model of an asset. Raises ValueError when there is none."""
        return model_of("AssetSlippage", self.models, self.default, asset, asset_class)

    def calculate(
        self,
        asset: str,
        quantity: float,
        price: float,
        volume: float | None = None,
        *,
        asset_class: Enum | None = None,
        **facts: float | None,
    ) -> float:
        """Return the slippage per unit [price] by the model of the asset.

        facts: bid, ask, tick_size, filled, handed to models that take them.
        """
        model = self.model_for(asset, asset_class)
        return float(call_with_known(model.calculate, asset, quantity, price, volume, **facts))
