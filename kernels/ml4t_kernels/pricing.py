"""How much of an order may trade on a bar, and at what price (docs/execution.md, "A fill pass", steps 4 to 6)."""

from __future__ import annotations

from math import inf, isnan
from typing import NamedTuple

from ._jit import kernel
from .codes import BeyondLimit, ExitReason
from .dtypes import NO_PRICE, Record, Special
from .fill import fills_at_stop
from .impact import impact
from .ledger import Bar, Item, Ledger, Quote
from .margin import opening_quantity
from .participation import participation_cap, rounded_down
from .slippage import fill_price, per_unit

__all__ = ["capped", "slipped"]


@kernel
def capped(item: Item, quantity: float, base: float, volume: float) -> float:
    """Return a signed quantity cut to what is displayed and to the participation cap, 0 for none; NaN when a user's function failed.

    item: the order and its asset's records (in). quantity: signed. base: price before impact and slippage. volume: of the bar.
    """
    order, lot = item.order, item.contract["lot_size"]
    displayed = order["displayed_quantity"]
    if order["exit_reason"] == ExitReason.END_OF_DATA:
        return quantity
    cap = participation_cap(item.cost, order["asset"], quantity, volume, base)
    if isnan(cap):
        return cap
    if 0.0 < displayed < cap:
        cap = displayed
    if cap == inf:
        return quantity
    cap = rounded_down(cap, lot)
    if abs(quantity) <= cap:
        return quantity
    return cap if quantity > 0.0 else -cap


class Slip(NamedTuple):
    """A price on its way: before impact (base), after it (moved), and the slippage per unit that comes on top."""

    base: float
    moved: float
    slippage: float


@kernel
def _specially_slipped(special: Record, number: int, item: Item, bar: Bar, quote: Quote, quantity: float, slip: Slip) -> float:
    """Return the price after slippage where special settings have a say; inf when the order waits (all in; number: of the bar)."""
    order, base, slippage = item.order, slip.base, slip.slippage
    of_rule = order["rule"] != 0 and base == order["rule_price"] and order["created_bar"] == number
    if special["slip_rule_prices"] == 0 and of_rule:
        slippage = 0.0
    if special["slip_openings_only"] == 1 and opening_quantity(item.position["quantity"], quantity) == 0.0:
        slippage = 0.0
    limit, beyond = order["limit_price"], special["beyond_limit"]
    if special["slippage_in_range"] == 0:
        return fill_price(base, slip.moved, slippage, quantity, limit, beyond)
    if fills_at_stop(order, quote, base, number):
        limit = NO_PRICE
    moved = fill_price(base, slip.moved, slippage, quantity, NO_PRICE, beyond)
    high, low = bar.high[order["asset"]], bar.low[order["asset"]]
    if quantity > 0.0 and moved > high:
        moved = max(high, base)
    elif quantity < 0.0 and isnan(limit) and moved < low:
        moved = min(low, base)
    return fill_price(base, moved, 0.0, quantity, limit, beyond)


@kernel
def slipped(ledger: Ledger, item: Item, bar: Bar, quantity: float, base: float, quote: Quote, special: Special) -> float:
    """Return the price after impact and slippage; inf when the order waits, NaN when a user's function failed.

    ledger, item, bar, quote: in. quantity: signed. base: price before both. special: params or None.
    """
    order, asset = item.order, item.order["asset"]
    moved = impact(item.cost, quantity, base, quote.volume)
    moved = base + moved if quantity > 0.0 else base - moved
    slippage = per_unit(item.cost, asset, quantity, moved, quote.volume, bar.ask[asset] - bar.bid[asset])
    if special is not None:
        return _specially_slipped(special, ledger.state[0]["bar"], item, bar, quote, quantity, Slip(base, moved, slippage))
    return fill_price(base, moved, slippage, quantity, order["limit_price"], BeyondLimit.LIMIT.value)
