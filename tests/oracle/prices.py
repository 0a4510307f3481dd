"""How much may trade, and at what price: "A fill pass", points 4 to 6."""

from __future__ import annotations

from tests.oracle.account import Account
from tests.oracle.gate import propose
from tests.oracle.numbers import Number, steps_down
from tests.oracle.offers import Offer
from tests.oracle.records import LIMITED, OracleOrder


def capped(account: Account, order: OracleOrder, size: Number) -> Number:
    """Point 4: what the displayed quantity and the volume of the bar let through."""
    lot, number = account.rules.lots[order.asset], account.rules.number
    bar = account.bar_of(order)
    assert bar is not None
    for cap in (order.displayed_quantity, account.rules.costs[order.asset].volume_cap(bar)):
        if cap is not None:
            size = min(size, steps_down(number, cap, lot))
    return size


def price_of(account: Account, order: OracleOrder, found: Offer, q: Number) -> Number | None:
    """The price of a fill; None where it is unknown, or so far beyond the limit that the order waits."""
    assert found.price is not None
    costs, settings, bar = account.rules.costs[order.asset], account.rules.settings, account.bar_of(order)
    assert bar is not None
    if not costs.known(bar):
        return None
    opens = propose(account, order.asset, q, found.price, lambda _: account.rules.zero).opening > 0
    slips = account.slips(order) and (opens or settings.slippage_fills == "all")
    price = costs.fill_price(order, q, found.price, bar, slips=slips)
    bounded = settings.slippage_bound == "bar_range"
    limited = order.order_type in LIMITED and not (bounded and found.at_stop)
    if bounded and q > 0:
        price = min(price, max(bar.high, found.price))
    elif bounded and not limited:
        price = max(price, min(bar.low, found.price))
    if limited and _is_beyond(order, price):
        assert order.limit_price is not None
        if settings.beyond_limit == "wait":
            return None
        price = order.limit_price if settings.beyond_limit == "limit" else price
    return price


def _is_beyond(order: OracleOrder, price: Number) -> bool:
    assert order.limit_price is not None
    return price > order.limit_price if order.quantity > 0 else price < order.limit_price
