"""Slippage and commission: "A fill pass", points 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.numbers import Number
from tests.oracle.records import OracleOrder

COMMISSION_SIZES = {"none": 0, "percentage": 1, "per_share": 2}
SLIPPAGE_SIZES = {"none": 0, "fixed": 1, "percentage": 1}


@dataclass(frozen=True)
class Costs:
    commission_kind: str
    commission_numbers: tuple[Number, ...]
    slippage_kind: str
    slippage_numbers: tuple[Number, ...]
    zero: Number

    def __post_init__(self) -> None:
        if COMMISSION_SIZES.get(self.commission_kind) != len(self.commission_numbers):
            raise ValueError(f"bad commission: {self.commission_kind} {self.commission_numbers}")
        if SLIPPAGE_SIZES.get(self.slippage_kind) != len(self.slippage_numbers):
            raise ValueError(f"bad slippage: {self.slippage_kind} {self.slippage_numbers}")

    def commission(self, q: Number, price: Number, m: Number) -> Number:
        if self.commission_kind == "percentage":
            (rate,) = self.commission_numbers
            return abs(q * price) * m * rate
        if self.commission_kind == "per_share":
            per_share, minimum = self.commission_numbers
            return max(abs(q) * per_share, minimum)
        return self.zero

    def slippage_per_unit(self, base: Number) -> Number:
        if self.slippage_kind == "fixed":
            return self.slippage_numbers[0]
        if self.slippage_kind == "percentage":
            return self.slippage_numbers[0] * abs(base)
        return self.zero

    def fill_price(self, order: OracleOrder, base: Number) -> Number:
        """The base price moved against the order by the slippage, within its bounds."""
        buy = order.quantity > 0
        s = self.slippage_per_unit(base)
        price = base + s if buy else base - s
        if not buy and base >= 0:
            price = max(price, self.zero)
        if order.order_type == "limit":
            assert order.limit_price is not None
            price = min(price, order.limit_price) if buy else max(price, order.limit_price)
        return price
