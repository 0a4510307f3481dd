"""Whether an order trades on a bar, and from which price."""

from __future__ import annotations

from ._jit import kernel
from .codes import OrderType
from .dtypes import NO_PRICE

__all__ = ["base_price"]


@kernel
def base_price(  # noqa: PLR0911 - one return for each row of the table in docs/execution.md
    order_type: int,
    quantity: float,
    limit_price: float,
    stop_price: float,
    market_price: float,
    gap_price: float,
    high: float,
    low: float,
) -> float:
    """Return the price before slippage, or NaN when the order does not trade on this bar.

    order_type: code OrderType. quantity: signed. limit_price, stop_price: of the order, NaN without. market_price:
    price of market orders. gap_price: the first price that the order could see on this bar (a stop already beyond it
    trades there). high, low: range of the bar. Comparisons are inclusive.
    """
    if order_type == OrderType.MARKET:
        return market_price
    if quantity > 0.0:
        if order_type == OrderType.LIMIT:
            return limit_price if low <= limit_price else NO_PRICE
        if gap_price >= stop_price:
            return gap_price
        return stop_price if high >= stop_price else NO_PRICE
    if order_type == OrderType.LIMIT:
        return limit_price if high >= limit_price else NO_PRICE
    if gap_price <= stop_price:
        return gap_price
    return stop_price if low <= stop_price else NO_PRICE
