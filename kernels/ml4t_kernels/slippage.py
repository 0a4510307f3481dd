"""Slippage: how far the fill price is from the base price."""

from __future__ import annotations

from math import inf

from ._jit import call_function, kernel
from .codes import BeyondLimit, SlippageKind
from .dtypes import Record

__all__ = ["fill_price", "per_unit"]


@kernel
def per_unit(cost: Record, asset: int, quantity: float, price: float, volume: float, spread: float) -> float:  # noqa: PLR0911
    """Return the slippage per unit, >= 0 for non-negative settings; NaN when a user's function failed.

    cost: record cost_dtype (in). asset: column. quantity: signed. price: after impact. volume: of the bar, NaN or 0 gives
    no volume slippage. spread: ask - bid, for quoted spreads.
    """
    kind = cost["slippage_kind"]
    if kind == SlippageKind.NONE:
        return 0.0
    if kind == SlippageKind.FIXED:
        return cost["slippage_amount"]  # type: ignore[no-any-return]
    if kind == SlippageKind.PERCENTAGE:
        return cost["slippage_rate"] * abs(price)  # type: ignore[no-any-return]
    if kind == SlippageKind.QUOTED_SPREAD:
        return spread / 2.0
    if kind == SlippageKind.FUNCTION:
        return call_function(cost["slippage_function"], asset, abs(quantity), price, volume)
    if not volume > 0.0:
        return 0.0
    share = abs(quantity) / volume
    if kind == SlippageKind.VOLUME_SHARE:
        return abs(price) * share * cost["slippage_rate"]  # type: ignore[no-any-return]
    if share > cost["slippage_volume_limit"]:
        share = cost["slippage_volume_limit"]
    return abs(price) * cost["slippage_rate"] * share * share  # type: ignore[no-any-return]


@kernel
def fill_price(base_price: float, moved_price: float, slippage: float, quantity: float, limit_price: float, beyond: int) -> float:
    """Return the price after slippage against the trader.

    base_price: before impact. moved_price: after impact. slippage: per unit. quantity: signed. limit_price: NaN for orders
    without a limit. beyond: code BeyondLimit, what becomes of a price worse than the limit; inf when the order waits.
    A sale whose base price is not negative stays at or above zero: slippage alone cannot make a price negative.
    """
    if quantity > 0.0:
        price = moved_price + slippage
        worse = price > limit_price
    else:
        price = moved_price - slippage
        if price < 0.0 <= base_price:
            price = base_price - base_price
        worse = price < limit_price
    if not worse or beyond == BeyondLimit.FILL:
        return price
    return inf if beyond == BeyondLimit.WAIT else limit_price
