"""Linked orders: which member of a one-cancels-other group goes first, and what a fill does to children and siblings."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import BarFlag, BracketPriority, ChildActivation, OrderReason, OrderStatus, OrderType, PriceField, Stage, TrailUpdate
from .dtypes import Record, Special
from .fill import base_price, is_satisfied, move_trail, quote_for, rests
from .ledger import Bar, Ledger, Quote
from .orders import cancel_group, end, has_nothing_left

__all__ = ["is_due", "release_siblings", "trades_at_open", "wake_children", "yields"]


@kernel
def is_due(state: Record, bar: Bar, order: Record, at_close: bool) -> bool:  # noqa: FBT001
    """Tell whether an order has a turn in this pass.

    state, order: records (in). bar: in. at_close: the pass of on-close orders.
    """
    if order["status"] != OrderStatus.PENDING or order["dormant"] == 1 or order["eligible_bar"] > state["bar"]:
        return False
    kind = order["order_type"]
    if kind < OrderType.MARKET_ON_OPEN:
        return not at_close
    flags = bar.record[0]["flags"]
    if order["created_bar"] == state["bar"]:
        return False
    if kind == OrderType.MARKET_ON_CLOSE or kind == OrderType.LIMIT_ON_CLOSE:
        return at_close and (flags & BarFlag.LAST_OF_SESSION.value) != 0
    return not at_close and (flags & BarFlag.FIRST_OF_SESSION.value) != 0


@kernel
def _has_level(order: Record) -> bool:
    """Tell whether an order waits for a price; market, on-open and on-close orders do not (order: in)."""
    kind = order["order_type"]
    return OrderType.LIMIT <= kind <= OrderType.TRAILING_STOP  # type: ignore[no-any-return]


@kernel
def _stops(order: Record, number: int) -> bool:
    """Tell whether an order counts as a stop for the priority of its group (all in; number: of the bar)."""
    kind = order["order_type"]
    if kind == OrderType.STOP_LIMIT:
        return not rests(order, number)
    return kind == OrderType.STOP or kind == OrderType.TRAILING_STOP  # type: ignore[no-any-return]


@kernel
def _goes_before(ledger: Ledger, other: Record, gap: float, order: Record, own_gap: float) -> bool:
    """Tell whether a touched member of a group goes before another (all in; gap, own_gap: prices).

    First what has no level, then (unless stops always go first) what the gap price satisfies, then by priority.
    """
    number, priority = ledger.state[0]["bar"], ledger.params[0]["bracket_priority"]
    if not _has_level(other):
        return True
    satisfied = is_satisfied(other, gap, number)
    if priority != BracketPriority.STOP_ALWAYS and satisfied != is_satisfied(order, own_gap, number):
        return satisfied
    stops, own_stops = _stops(other, number), _stops(order, number)
    if priority == BracketPriority.NEAREST:
        distance = abs((other["stop_price"] if stops else other["limit_price"]) - gap)
        own = abs((order["stop_price"] if own_stops else order["limit_price"]) - own_gap)
        if distance != own:
            return distance < own  # type: ignore[no-any-return]
    if stops == own_stops:
        return False
    return stops != (priority == BracketPriority.LIMIT_FIRST)  # type: ignore[no-any-return]


@kernel
def yields(ledger: Ledger, bar: Bar, order: Record, gap: float, special: Special) -> bool:
    """Tell whether another member of the group trades in this pass before the order.

    All in. gap: its gap price. special: params or None.
    """
    state, params = ledger.state[0], ledger.params[0]
    if not _has_level(order) or params["bracket_priority"] == BracketPriority.SUBMISSION:
        return False
    number, stage = state["bar"], state["stage"]
    at_close = stage == Stage.CLOSING_EXITS or stage == Stage.CLOSING_ENTRIES
    other = ledger.orders[order["sibling_id"] - 1]
    while other["order_id"] != order["order_id"]:
        trails = other["order_type"] == OrderType.TRAILING_STOP
        moved = trails and other["moved_bar"] == number + 1
        if other["asset"] == order["asset"] and other["filled_bar"] != number + 1 and not moved and is_due(state, bar, other, at_close):
            quote, stop = quote_for(params, other, bar, number, special), other["stop_price"]
            if trails and params["trail_update"] == TrailUpdate.BAR_FIRST and other["active_bar"] != number and not isnan(stop):
                move_trail(other, quote.high, quote.low, quote.close, TrailUpdate.BAR_FIRST)
            base, _ = base_price(other, quote, params, number, special)
            first = not isnan(base) and not isnan(quote.close) and _goes_before(ledger, other, quote.gap, order, gap)
            other["stop_price"] = stop
            if first:
                return True
        other = ledger.orders[other["sibling_id"] - 1]
    return False


@kernel
def trades_at_open(params: Record, order: Record, quote: Quote, number: int, special: Special) -> bool:
    """Tell whether a fill of an order on this bar happened at the bar's open.

    params, order: records (in). quote: the order's asset on this bar. number: of the bar. special: params or None.
    """
    kind = order["order_type"]
    if kind == OrderType.MARKET:
        ruled = not isnan(order["rule_price"]) and order["created_bar"] == number
        return not ruled and (order["at_open"] == 1 or params["price_field"] == PriceField.OPEN)
    if kind >= OrderType.MARKET_ON_OPEN:
        return kind == OrderType.MARKET_ON_OPEN or kind == OrderType.LIMIT_ON_OPEN  # type: ignore[no-any-return]
    if special is not None and special["trigger_close"] == 1 and kind < OrderType.TRAILING_STOP:
        return False
    return order["active_bar"] != number and is_satisfied(order, quote.gap, number)


@kernel
def wake_children(ledger: Ledger, order: Record, at_open: bool) -> None:  # noqa: FBT001
    """Wake the orders that waited for a fill (ledger: in-out, order: in, at_open: the fill was at the bar's open)."""
    state, activation = ledger.state[0], ledger.params[0]["child_activation"]
    number = state["bar"]
    now = activation == ChildActivation.SAME_BAR or (at_open and activation == ChildActivation.AFTER_OPEN)
    if activation == ChildActivation.AFTER_MARKET:
        now = at_open and order["order_type"] == OrderType.MARKET
    for place in range(state["live_count"]):
        child = ledger.orders[ledger.live[place]]
        if child["dormant"] == 1 and child["parent_id"] == order["order_id"]:
            child["dormant"] = 0
            child["eligible_bar"] = number if now else number + 1
            if not (now and at_open):
                child["active_bar"] = number
            if child["reduce_only"] == 1:
                child["position_id"] = ledger.positions[child["asset"]]["position_id"]


@kernel
def release_siblings(ledger: Ledger, order: Record, quantity: float, special: Special) -> None:
    """Take a fill off what is left of the other members of its group; linked as one, cancel them.

    ledger: in-out. order: in; linked as one, a child does so when it is filled. quantity: unsigned. special: params or
    None.
    """
    if special is not None and special["linked_as_one"] == 1:
        if order["parent_id"] == 0 or order["status"] == OrderStatus.FILLED:
            cancel_group(ledger, order, OrderReason.SIBLING_FILLED)
        return
    other = ledger.orders[order["sibling_id"] - 1]
    while other["order_id"] != order["order_id"]:
        if other["status"] == OrderStatus.PENDING:
            other["released_quantity"] += quantity if other["quantity"] > 0.0 else -quantity
            if has_nothing_left(other):
                end(ledger, other, OrderStatus.CANCELLED, OrderReason.SIBLING_FILLED, special)
        other = ledger.orders[other["sibling_id"] - 1]
