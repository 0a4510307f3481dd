"""Slippage: how far the fill price is from the base price."""

from __future__ import annotations

from ._jit import kernel
from .codes import SlippageKind
from .dtypes import Record

__all__ = ["fill_price", "per_unit"]


@kernel
def per_unit(params: Record, base_price: float) -> float:
    """Return the slippage per unit, >= 0 for non-negative settings.

    params: record params_dtype (in). base_price: price before slippage.
    """
    kind = params["slippage_kind"]
    if kind == SlippageKind.FIXED:
        return params["slippage_amount"]  # type: ignore[no-any-return]
    if kind == SlippageKind.PERCENTAGE:
        return params["slippage_rate"] * abs(base_price)  # type: ignore[no-any-return]
    return 0.0


@kernel
def fill_price(base_price: float, slippage: float, quantity: float, limit_price: float) -> float:
    """Return the price after slippage against the trader.

    base_price, slippage: per unit. quantity: signed. limit_price: the price is never worse than this; NaN for orders
    without a limit. A sale whose base price is not negative stays at or above zero: slippage alone cannot make a price
    negative.
    """
    if quantity > 0.0:
        price = base_price + slippage
        return limit_price if price > limit_price else price
    price = base_price - slippage
    if price < 0.0 <= base_price:
        price = base_price - base_price
    return limit_price if price < limit_price else price
