"""Commission of a fill, with what the order has paid before it."""

from __future__ import annotations

from ._jit import call_function, kernel
from .codes import CommissionKind
from .dtypes import Record, Records

__all__ = ["commission", "raw_commission"]


@kernel
def _tiered(cost: Record, tiers: Records, quantity: float, price: float, multiplier: float) -> float:
    """Return the commission by the tier of the whole value or quantity (cost: record cost_dtype, tiers: tier_dtype rows; all in)."""
    value = abs(quantity * price) * multiplier
    units = abs(quantity)
    by_value = cost["commission_kind"] == CommissionKind.TIERED_VALUE
    measure = value if by_value else units
    row = cost["first_tier"]
    last = row + cost["tiers"] - 1
    while row < last and tiers[row]["limit"] < measure:
        row += 1
    return (value if by_value else units) * tiers[row]["rate"]  # type: ignore[no-any-return]


@kernel
def raw_commission(
    cost: Record,
    tiers: Records,
    asset: int,
    quantity: float,
    price: float,
    multiplier: float,
    maker: bool,  # noqa: FBT001 - kernels take positional arguments only
) -> float:
    """Return the commission before what holds per order [money]; NaN when a user's function failed.

    cost: record cost_dtype (in). tiers: tier_dtype rows (in). asset: column. quantity: signed. price: after slippage.
    multiplier: money per point and unit. maker: a limit order that rested. Percentages are of the notional including the
    multiplier.
    """
    kind = cost["commission_kind"]
    if kind == CommissionKind.NONE:
        return 0.0
    if kind == CommissionKind.LINEAR:
        rate = cost["maker_rate"] if maker else cost["commission_rate"]
        return abs(quantity * price) * multiplier * rate + abs(quantity) * cost["commission_per_unit"]  # type: ignore[no-any-return]
    if kind == CommissionKind.FUNCTION:
        return call_function(cost["commission_function"], asset, abs(quantity), price, multiplier)
    if kind == CommissionKind.LARGEST:
        largest: float = cost["commission_per_order"]
        units = abs(quantity) * cost["commission_per_unit"]
        share = abs(quantity * price) * multiplier * cost["commission_rate"]
        largest = units if units > largest else largest
        return share if share > largest else largest
    return _tiered(cost, tiers, quantity, price, multiplier)


@kernel
def commission(cost: Record, order: Record, raw: float) -> float:
    """Return what a fill pays: the order's total so far, with what it costs per order and its minimum, less what is paid.

    cost: record cost_dtype (in). order: record order_dtype (in). raw: of this fill [money].
    """
    kind = cost["commission_kind"]
    if kind == CommissionKind.NONE:
        return 0.0
    total = order["raw_commission"] + raw
    if kind != CommissionKind.LARGEST:
        total += cost["commission_per_order"]
    minimum = cost["commission_minimum"]
    return (minimum if total < minimum else total) - order["commission"]  # type: ignore[no-any-return]
