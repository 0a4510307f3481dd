"""Commission models.

Each is a small frozen object. `calculate(asset, quantity, price, multiplier)` gives by hand the commission [money] of an order
that fills in one piece. quantity: signed or not, its magnitude counts. price: after slippage. multiplier: money per point of
price and unit, part of every notional. Numbers must be finite and, unless said otherwise, >= 0 (ValueError).

When an order fills in parts, a fixed amount per order is paid with the first part; a minimum per order is paid with the first
part, and later parts pay only what the running total exceeds it; everything else is paid part by part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ml4t_backtest.models.checks import call_with_known, checked_models, finite, model_of, not_negative
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from enum import Enum

__all__ = [
    "AssetCommission",
    "CombinedCommission",
    "CommissionModel",
    "FuturesCommission",
    "MakerTakerCommission",
    "NoCommission",
    "PerOrderCommission",
    "PerOrderPerShareCommission",
    "PerShareCommission",
    "PercentageCommission",
    "TieredCommission",
]


@runtime_checkable
class CommissionModel(Protocol):
    """What a commission model of your own needs: this one method. A fourth argument `multiplier` is optional."""

    def calculate(self, asset: str, quantity: float, price: float) -> float:
        """Return the commission of an order [money]."""
        ...


@dataclass(frozen=True, slots=True)
class NoCommission:
    """Trading is free."""

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order, always 0."""
        return 0.0


@accepts(rate="percentage")
@dataclass(frozen=True, slots=True)
class PercentageCommission:
    """A fraction of the notional, contract multiplier included: `percentage=0.001` is 0.1 %, ten basis points.

    Computed as `abs(quantity * price) * multiplier * percentage`, from left to right.
    """

    percentage: float = 0.001

    def __post_init__(self) -> None:
        not_negative("PercentageCommission", percentage=self.percentage)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        return abs(quantity * price) * multiplier * self.percentage


@accepts(per_share="cost_per_share", per_contract="cost_per_share", minimum="min_cost")
@dataclass(frozen=True, slots=True)
class PerShareCommission:
    """Money per share or contract, with a minimum per order (1.0 unless said otherwise; 0 for none).

    Computed as `abs(quantity) * cost_per_share`, or `min_cost` where that is larger.
    """

    cost_per_share: float = 0.005
    min_cost: float = 1.0

    def __post_init__(self) -> None:
        not_negative("PerShareCommission", cost_per_share=self.cost_per_share, min_cost=self.min_cost)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        return max(abs(quantity) * self.cost_per_share, self.min_cost)


@accepts(rate="percentage", per_trade="fixed", cost_per_share="per_share", minimum="min_cost")
@dataclass(frozen=True, slots=True)
class CombinedCommission:
    """A fraction of the notional, plus an amount per order, plus money per share, with a minimum per order.

    Computed as `abs(quantity * price) * multiplier * percentage + abs(quantity) * per_share + fixed`, from left to right, or
    `min_cost` where that is larger. `fixed` is paid once per order.
    """

    percentage: float = 0.0
    fixed: float = 0.0
    per_share: float = 0.0
    min_cost: float = 0.0

    def __post_init__(self) -> None:
        not_negative("CombinedCommission", percentage=self.percentage, fixed=self.fixed, per_share=self.per_share, min_cost=self.min_cost)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        cost = abs(quantity * price) * multiplier * self.percentage + abs(quantity) * self.per_share + self.fixed
        return max(cost, self.min_cost)


@accepts(fixed="amount", per_order="amount", per_trade="amount")
@dataclass(frozen=True, slots=True)
class PerOrderCommission:
    """The same amount for every order, however large, paid once when it fills in parts."""

    amount: float

    def __post_init__(self) -> None:
        not_negative("PerOrderCommission", amount=self.amount)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        return self.amount


@accepts(amount="per_order", fixed="per_order", cost_per_share="per_share", minimum="min_cost")
@dataclass(frozen=True, slots=True)
class PerOrderPerShareCommission:
    """An amount per order, paid once, plus money per share, with a minimum per order.

    Computed as `abs(quantity) * per_share + per_order`, or `min_cost` where that is larger.
    """

    per_order: float
    per_share: float
    min_cost: float = 0.0

    def __post_init__(self) -> None:
        not_negative("PerOrderPerShareCommission", per_order=self.per_order, per_share=self.per_share, min_cost=self.min_cost)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        return max(abs(quantity) * self.per_share + self.per_order, self.min_cost)


_PAIR, _TRIPLE = 2, 3


def _tiers(given: object) -> tuple[tuple[float, ...], ...]:
    """Return the tiers as tuples of floats. Raises ValueError for anything but pairs alone or triples alone."""
    try:
        tiers = tuple(tuple(map(float, tier)) for tier in given)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        tiers = ()
    if {len(tier) for tier in tiers} not in ({_PAIR}, {_TRIPLE}):
        raise ValueError(
            f"TieredCommission(tiers={given!r}): expected pairs (value limit, rate) or triples (from, to, per share), not mixed"
        )
    return tiers


@dataclass(frozen=True, slots=True)
class TieredCommission:
    """One rate for the whole order, by its size. Either kind of tier, smallest first, not mixed.

    - `(value limit, rate)`: by the value `abs(quantity * price) * multiplier` [money]. The first tier whose limit is not below
      it gives the rate; beyond the last limit the last tier does. Computed as `value * rate`.
    - `(from, to, per share)`: by the quantity. The first tier whose `to` is not below `abs(quantity)` gives the money per
      share, beyond the last the last tier does: 10,000 shares belong to the tier (0, 10_000). Computed as
      `abs(quantity) * per_share`. Tiers start at 0 and join without gaps.

    The whole order pays the price of its tier, not each slice its own. Of an order that fills in parts each part has its own
    tier. The last limit may be infinite. Raises ValueError for other shapes, gaps, and limits that do not rise.
    """

    tiers: Sequence[tuple[float, ...]]

    def __post_init__(self) -> None:
        tiers = _tiers(self.tiers)
        lower = 0.0
        for tier in tiers:
            not_negative("TieredCommission", rate=tier[-1])
            if len(tier) == _TRIPLE and tier[0] != lower:
                raise ValueError(f"TieredCommission: the tier {tier} starts at {tier[0]!r}, expected {lower:g}, where the one before ends")
            if not tier[-2] > lower:
                raise ValueError(f"TieredCommission: the limit of the tier {tier} is {tier[-2]!r}, expected more than {lower:g}")
            lower = tier[-2]
        object.__setattr__(self, "tiers", tiers)

    @property
    def by_quantity(self) -> bool:
        """Whether the tiers go by quantity (triples), not by value (pairs)."""
        return len(self.tiers[0]) == _TRIPLE

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        size = abs(quantity) if self.by_quantity else abs(quantity * price) * multiplier
        for tier in self.tiers:
            if size <= tier[-2]:
                return size * tier[-1]
        return size * self.tiers[-1][-1]


@accepts(per_contract="per_block", rate="percentage")
@dataclass(frozen=True, slots=True)
class FuturesCommission:
    """The largest of three: an amount per order, money per contract, a fraction of the notional.

    Computed as the maximum of `per_trade`, `abs(quantity) * per_block` and `abs(quantity * price) * multiplier * percentage`.
    For partial fills `per_trade` is a minimum per order; the larger of the other two is taken part by part.
    """

    per_trade: float = 0.0
    per_block: float = 0.0
    percentage: float = 0.0

    def __post_init__(self) -> None:
        not_negative("FuturesCommission", per_trade=self.per_trade, per_block=self.per_block, percentage=self.percentage)

    def calculate(self, asset: str, quantity: float, price: float, multiplier: float = 1.0) -> float:  # noqa: ARG002
        """Return the commission of an order [money]."""
        return max(self.per_trade, abs(quantity) * self.per_block, abs(quantity * price) * multiplier * self.percentage)


@accepts(maker_rate="maker", taker_rate="taker")
@dataclass(frozen=True, slots=True)
class MakerTakerCommission:
    """A fraction of the notional: `maker` for limit orders that rest before they trade, `taker` for all other orders.

    A limit order rests when the bar's open (on the bar of its submission the close) does not reach its limit yet. A negative
    `maker` is a rebate. Computed as `abs(quantity * price) * multiplier * rate`, from left to right.
    """

    maker: float
    taker: float

    def __post_init__(self) -> None:
        finite("MakerTakerCommission", maker=self.maker)
        not_negative("MakerTakerCommission", taker=self.taker)

    def calculate(
        self,
        asset: str,  # noqa: ARG002
        quantity: float,
        price: float,
        multiplier: float = 1.0,
        *,
        is_maker: bool = False,
    ) -> float:
        """Return the commission of an order [money]; `is_maker` says whether it rested."""
        return abs(quantity * price) * multiplier * (self.maker if is_maker else self.taker)


@dataclass(frozen=True, slots=True)
class AssetCommission:
    """A model per asset, per asset class, and for the rest: `AssetCommission({"ES": a, AssetClass.EQUITY: b}, default=c)`.

    An asset's own model hides that of its class, which hides the default. Text keys are assets, enum members classes. Raises
    TypeError for other keys and for models without `calculate`, ValueError without any model.
    """

    models: Mapping[str | Enum, Any]
    default: CommissionModel | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", checked_models("AssetCommission", self.models, self.default))

    def model_for(self, asset: str, asset_class: Enum | None = None) -> Any:
        """Return the model of an asset. Raises ValueError when there is none."""
        return model_of("AssetCommission", self.models, self.default, asset, asset_class)

    def calculate(
        self,
        asset: str,
        quantity: float,
        price: float,
        multiplier: float = 1.0,
        *,
        is_maker: bool = False,
        asset_class: Enum | None = None,
    ) -> float:
        """Return the commission of an order [money] by the model of its asset."""
        model = self.model_for(asset, asset_class)
        return float(call_with_known(model.calculate, asset, quantity, price, multiplier=multiplier, is_maker=is_maker))
