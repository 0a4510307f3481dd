"""Impact, slippage and commission: "A fill pass", points 4 to 7."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.oracle.bars import Bar
from tests.oracle.numbers import Number, NumberType, convert, optional
from tests.oracle.records import OracleOrder

SLIPPAGE_SIZES = {"none": 0, "fixed": 1, "percentage": 1, "volume_share": 1, "squared_volume_share": 2, "spread": 1, "bid_ask": 0}
IMPACT_SIZES = {"none": 0, "linear": 1, "square_root": 3, "power": 3}


@dataclass(frozen=True)
class Commission:
    """Every part of the commission rule; the short forms ("percentage", rate) and ("per_share", amount, minimum) become one."""

    rate: Any = 0
    per_unit: Any = 0
    per_order: Any = 0
    minimum: Any = None  # None: none, so that rebates stay
    maker_rate: Any = None  # None: the rate
    value_tiers: tuple[tuple[Any, Any], ...] = ()  # (limit of the fill's value, rate)
    quantity_tiers: tuple[tuple[Any, Any], ...] = ()  # (limit of the fill's quantity, amount per unit)
    largest_of: bool = False
    per_trade: Any = 0  # only with largest_of


@dataclass(frozen=True)
class CostModel:
    """What trading an asset costs, and how much of its volume an order may take, as the caller writes it.

    Slippage: none; fixed, amount; percentage, rate; volume_share, factor; squared_volume_share, volume_limit, price_impact;
    spread, the whole spread; bid_ask (the columns). Impact: none; linear, c; square_root, c, volatility, adv_factor;
    power, c, exponent, min_impact.
    """

    commission: Any = ("none",)
    slippage: tuple[Any, ...] = ("none",)
    impact: tuple[Any, ...] = ("none",)
    participation: Any = None
    min_volume: Any = 0


@dataclass(frozen=True)
class Costs:
    """A cost model in the number type of the run."""

    commission: Commission
    slippage_kind: str
    slippage_numbers: tuple[Number, ...]
    impact_kind: str
    impact_numbers: tuple[Number, ...]
    participation: Number | None
    min_volume: Number
    zero: Number

    def volume_cap(self, bar: Bar) -> Number | None:
        """The most that one order may trade on the bar, before rounding to the lot; None: no limit."""
        if self.participation is None or bar.volume is None:
            return None
        return self.zero if bar.volume < self.min_volume else bar.volume * self.participation

    def known(self, bar: Bar) -> bool:
        """Does the bar have the columns that the slippage needs?"""
        return self.slippage_kind != "bid_ask" or (bar.bid is not None and bar.ask is not None)

    def is_linear(self) -> bool:
        """Are these a fraction of the value, an amount per order, and a slippage that does not depend on the quantity?"""
        c = self.commission
        odd = c.value_tiers or c.quantity_tiers or c.largest_of or c.per_unit != 0 or c.minimum or c.maker_rate not in (None, c.rate)
        return not odd and self.slippage_kind in ("none", "fixed", "percentage") and self.impact_kind == "none"

    def impact(self, q: Number, base: Number, bar: Bar) -> Number:
        numbers, volume = self.impact_numbers, bar.volume
        if self.impact_kind == "none":
            return self.zero
        if volume is None or volume == 0:
            return numbers[2] if self.impact_kind == "power" else self.zero
        c = numbers[0]
        if self.impact_kind == "linear":
            return c * (abs(q) / volume) * abs(base)
        if self.impact_kind == "square_root":
            _, volatility, adv_factor = numbers
            return c * volatility * math.sqrt(abs(q) / (volume * adv_factor)) * abs(base)
        _, exponent, least = numbers
        return max(c * math.pow(abs(q) / volume, exponent) * abs(base), least)

    def slippage_per_unit(self, q: Number, b2: Number, bar: Bar) -> Number:
        numbers, volume = self.slippage_numbers, bar.volume
        if self.slippage_kind == "none":
            return self.zero
        if self.slippage_kind == "fixed":
            return numbers[0]
        if self.slippage_kind == "percentage":
            return numbers[0] * abs(b2)
        if self.slippage_kind == "spread":
            return numbers[0] / 2
        if self.slippage_kind == "bid_ask":
            assert bar.bid is not None
            assert bar.ask is not None
            return (bar.ask - bar.bid) / 2
        if volume is None or volume == 0:
            return self.zero
        if self.slippage_kind == "volume_share":
            return abs(b2) * (abs(q) / volume) * numbers[0]
        volume_limit, price_impact = numbers
        share = min(abs(q) / volume, volume_limit)
        return abs(b2) * price_impact * share * share

    def fill_price(self, order: OracleOrder, q: Number, base: Number, bar: Bar, *, slips: bool = True) -> Number:
        """The base price moved against the order by impact and (where it slips) slippage, which make no price negative; its limit comes after."""
        buy = q > 0
        i = self.impact(q, base, bar)
        b2 = base + i if buy else base - i
        s = self.slippage_per_unit(q, b2, bar) if slips else self.zero
        price = b2 + s if buy else b2 - s
        if not buy and base >= 0:
            price = max(price, self.zero)
        return price

    def raw_commission(self, q: Number, price: Number, m: Number, maker: bool) -> Number:
        c = self.commission
        notional = abs(q * price) * m
        rate: Number = c.maker_rate if maker and c.maker_rate is not None else c.rate
        plain: Number = c.rate
        per_unit: Number = c.per_unit
        if c.value_tiers:
            return notional * _tier(c.value_tiers, notional)
        if c.quantity_tiers:
            return abs(q) * _tier(c.quantity_tiers, abs(q))
        if c.largest_of:
            least: Number = c.per_trade
            return max(least, abs(q) * per_unit, notional * plain)
        return notional * rate + abs(q) * per_unit

    def commission_of(self, order: OracleOrder, price: Number, m: Number, maker: bool) -> Callable[[Number], Number]:
        """What the next fill of the order would pay, as a function of its quantity; nothing for nothing."""

        def pay(q: Number) -> Number:
            if q == 0:
                return self.zero
            raw = order.raw_commission + self.raw_commission(q, price, m, maker)
            total: Number = raw + self.commission.per_order
            least: Number | None = self.commission.minimum
            return (total if least is None else max(total, least)) - order.commission

        return pay


def _tier(tiers: tuple[tuple[Any, Any], ...], size: Number) -> Number:
    found: Number = next((value for limit, value in tiers if limit >= size), tiers[-1][1])
    return found


def build_costs(model: CostModel, number: NumberType) -> Costs:
    slippage, impact = model.slippage, model.impact
    if SLIPPAGE_SIZES.get(slippage[0]) != len(slippage) - 1:
        raise ValueError(f"bad slippage: {slippage}")
    if IMPACT_SIZES.get(impact[0]) != len(impact) - 1:
        raise ValueError(f"bad impact: {impact}")
    if number is not float and impact[0] in ("square_root", "power"):
        raise ValueError("this impact model has no exact fractions")
    return Costs(
        commission=_build_commission(model.commission, number),
        slippage_kind=slippage[0],
        slippage_numbers=tuple(convert(number, value, "slippage") for value in slippage[1:]),
        impact_kind=impact[0],
        impact_numbers=tuple(convert(number, value, "impact") for value in impact[1:]),
        participation=optional(number, model.participation, "participation"),
        min_volume=convert(number, model.min_volume, "min_volume"),
        zero=number(0),
    )


def _build_commission(model: Any, number: NumberType) -> Commission:
    if not isinstance(model, Commission):
        kind, *numbers = model
        names = {"none": (), "percentage": ("rate",), "per_share": ("per_unit", "minimum")}.get(kind)
        if names is None or len(names) != len(numbers):
            raise ValueError(f"bad commission: {model}")
        model = Commission(**dict(zip(names, numbers, strict=True)))

    def tiers(pairs: Any) -> Any:
        return tuple((convert(number, limit, "tier"), convert(number, value, "tier")) for limit, value in pairs)

    names = ("rate", "per_unit", "per_order", "per_trade")
    amounts: dict[str, Any] = {name: convert(number, getattr(model, name), name) for name in names}
    return Commission(
        **amounts,
        minimum=optional(number, model.minimum, "minimum"),
        maker_rate=optional(number, model.maker_rate, "maker_rate"),
        value_tiers=tiers(model.value_tiers),
        quantity_tiers=tiers(model.quantity_tiers),
        largest_of=model.largest_of,
    )
