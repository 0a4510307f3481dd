"""Linked orders: which member of a one-cancels-other group goes first, and what a fill does to children and siblings."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import BracketPriority, ChildActivation, OrderReason, OrderStatus, OrderType, PriceField
from .dtypes import Record
from .fill import base_price, is_satisfied, quote_for
from .ledger import Bar, Ledger, Quote
from .orders import NO_LEFT, cancel_orphans, finish, remaining_quantity

__all__ = ["release_siblings", "trades_at_open", "wake_children", "yields"]


@kernel
def _rank(ledger: Ledger, order: Record, gap: float) -> float:
    """Return the place of a touched member of a one-cancels-other group, smallest first (all in; gap: price)."""
    if order["order_type"] == OrderType.MARKET or is_satisfied(order, gap):
        return -1.0
    stops = order["order_type"] != OrderType.LIMIT and order["triggered"] == 0
    priority = ledger.params[0]["bracket_priority"]
    if priority == BracketPriority.NEAREST:
        return abs((order["stop_price"] if stops else order["limit_price"]) - gap)  # type: ignore[no-any-return]
    return 0.0 if stops == (priority == BracketPriority.STOP_FIRST) else 1.0


@kernel
def _stop_before_limit(params: Record, other: Record, order: Record) -> bool:
    """Tell whether at equal distance the other order, a stop, goes before a limit order (all in)."""
    nearest = params["bracket_priority"] == BracketPriority.NEAREST
    return nearest and other["order_type"] != OrderType.LIMIT and order["order_type"] == OrderType.LIMIT  # type: ignore[no-any-return]


@kernel
def yields(ledger: Ledger, bar: Bar, order: Record, gap: float) -> bool:
    """Tell whether another member of the group trades on this bar before the order (all in; gap: its gap price)."""
    params, number = ledger.params[0], ledger.state[0]["bar"]
    own = _rank(ledger, order, gap)
    other = ledger.orders[order["sibling_id"] - 1]
    while other["order_id"] != order["order_id"]:
        due = other["status"] == OrderStatus.PENDING and other["dormant"] == 0 and other["eligible_bar"] <= number
        moved = other["order_type"] == OrderType.TRAILING_STOP and other["moved_bar"] == number + 1
        if due and other["asset"] == order["asset"] and other["filled_bar"] != number + 1 and not moved:
            quote = quote_for(params, other, bar, number)
            base, _ = base_price(other, quote, params["limit_better_open"] == 1, number)
            if not isnan(base):
                rank = _rank(ledger, other, quote.gap)
                if rank < own or (rank == own and _stop_before_limit(params, other, order)):
                    return True
        other = ledger.orders[other["sibling_id"] - 1]
    return False


@kernel
def trades_at_open(params: Record, order: Record, base: float, quote: Quote) -> bool:
    """Tell whether a fill from `base` happened at the bar's open (params, order, quote: in)."""
    kind = order["order_type"]
    if kind == OrderType.MARKET:
        return order["at_open"] == 1 or params["price_field"] == PriceField.OPEN  # type: ignore[no-any-return]
    if kind == OrderType.MARKET_ON_OPEN or kind == OrderType.LIMIT_ON_OPEN:
        return True
    if quote.gap != quote.open or kind == OrderType.MARKET_ON_CLOSE or kind == OrderType.LIMIT_ON_CLOSE:
        return False
    return base == quote.gap or is_satisfied(order, quote.gap)


@kernel
def wake_children(ledger: Ledger, order: Record, at_open: bool) -> None:  # noqa: FBT001
    """Wake the orders that waited for a fill (ledger: in-out, order: in, at_open: the fill was at the bar's open)."""
    state, activation = ledger.state[0], ledger.params[0]["child_activation"]
    number = state["bar"]
    now = activation == ChildActivation.SAME_BAR or (at_open and activation == ChildActivation.AFTER_OPEN)
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
def release_siblings(ledger: Ledger, order: Record, quantity: float) -> None:
    """Take a fill off what is left of the other members of its group (ledger: in-out, order: in, quantity: unsigned)."""
    state = ledger.state[0]
    other = ledger.orders[order["sibling_id"] - 1]
    while other["order_id"] != order["order_id"]:
        if other["status"] == OrderStatus.PENDING:
            other["released_quantity"] += quantity if other["quantity"] > 0.0 else -quantity
            left = remaining_quantity(other)
            if left * other["quantity"] <= 0.0 or abs(left) <= NO_LEFT * abs(other["quantity"]):
                finish(state, other, OrderStatus.CANCELLED, OrderReason.SIBLING_FILLED)
                if other["has_children"] == 1:
                    cancel_orphans(ledger)
        other = ledger.orders[other["sibling_id"] - 1]
