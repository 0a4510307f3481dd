"""Order rows: submit, update, cancel, link, target quantities, and the dense list of live rows."""

from __future__ import annotations

from math import isfinite, isnan

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .codes import ExitReason, OrderReason, OrderStatus, OrderType
from .dtypes import NO_PRICE, FloatArray, IntArray, Record, Special
from .ledger import Ledger
from .participation import rounded_within

__all__ = [
    "LEAST_QUANTITY",
    "NO_ORDER",
    "NO_ROOM",
    "cancel",
    "cancel_group",
    "cancel_orphans",
    "cancel_since",
    "drop_finished",
    "end",
    "finish",
    "has_nothing_left",
    "join_siblings",
    "link_child",
    "remaining_quantity",
    "set_terms",
    "submit",
    "submit_exit",
    "submit_quantities",
    "submit_target_weight",
    "submit_target_weights",
    "update",
]

NO_ORDER: int = 0
NO_ROOM: int = -1

LEAST_QUANTITY: float = 1e-8  # smaller orders are nothing, unless they close what is left
NO_LEFT: float = 1e-12  # of its quantity: an order with less left has nothing left
LEAST_VALUE: float = 0.01  # a target within a cent of what is held is reached

AUTO_REDUCE: int = -1  # reduce_only: decide from the position


@kernel
def remaining_quantity(order: Record) -> float:
    """Return what is left to fill of an order, signed (order: record order_dtype, in)."""
    return order["quantity"] - order["filled_quantity"] - order["released_quantity"]  # type: ignore[no-any-return]


@kernel
def has_nothing_left(order: Record) -> bool:
    """Tell whether an order is filled or released, up to rounding (order: in)."""
    left = remaining_quantity(order)
    return left * order["quantity"] <= 0.0 or abs(left) <= NO_LEFT * abs(order["quantity"])  # type: ignore[no-any-return]


@kernel
def finish(state: Record, order: Record, status: int, reason: int) -> None:
    """End an order (state: in, order: in-out, status: code OrderStatus, reason: code OrderReason)."""
    order["status"] = status
    order["reason"] = reason
    order["closed_at"] = state["time"]


@kernel
def end(ledger: Ledger, order: Record, status: int, reason: int, special: Special) -> None:
    """End an order that is not filled, and with it the children that still wait for it; linked as one, its whole group.

    ledger, order: in-out. status: code OrderStatus. reason: code OrderReason. special: params or None.
    """
    finish(ledger.state[0], order, status, reason)
    if special is not None and special["linked_as_one"] == 1 and (order["sibling_id"] != 0 or order["parent_id"] != 0):
        cancel_group(ledger, order, OrderReason.GROUP_ENDED)
    elif order["has_children"] == 1:
        cancel_orphans(ledger)


@kernel
def cancel_group(ledger: Ledger, order: Record, reason: int) -> None:
    """Cancel the other members of an order's group, the parent that it waits for, and their children (ledger: in-out, order: in).

    reason: code OrderReason.
    """
    state = ledger.state[0]
    if order["parent_id"] != 0 and ledger.orders[order["parent_id"] - 1]["status"] == OrderStatus.PENDING:
        finish(state, ledger.orders[order["parent_id"] - 1], OrderStatus.CANCELLED, reason)
    if order["sibling_id"] != 0:
        other = ledger.orders[order["sibling_id"] - 1]
        while other["order_id"] != order["order_id"]:
            if other["status"] == OrderStatus.PENDING:
                finish(state, other, OrderStatus.CANCELLED, reason)
            other = ledger.orders[other["sibling_id"] - 1]
    cancel_orphans(ledger)


@kernel
def _append(ledger: Ledger, asset: int, quantity: float, order_type: int) -> int:
    """Write the next order row; the caller has made sure of the room. Returns its row.

    ledger: in-out. asset: column. quantity: signed. order_type: code OrderType. Buffers start as zeros and rows are
    written once, so only what is not 0 is written.
    """
    state = ledger.state[0]
    row = state["order_count"]
    order = ledger.orders[row]
    order["order_id"] = row + 1
    order["asset"] = asset
    order["quantity"] = quantity
    order["limit_price"] = NO_PRICE
    order["stop_price"] = NO_PRICE
    order["signal_price"] = NO_PRICE
    order["rule_price"] = NO_PRICE
    order["filled_price"] = NO_PRICE
    order["created_at"] = state["time"]
    order["created_bar"] = state["bar"]
    order["active_bar"] = state["bar"]
    order["order_type"] = order_type
    ledger.live[state["live_count"]] = row
    state["live_count"] += 1
    state["order_count"] = row + 1
    return row  # type: ignore[no-any-return]


@kernel
def _exit_reason(order: Record) -> int:
    """Return the code ExitReason of what a reduce-only order closes (order: in)."""
    kind = order["order_type"]
    if kind == OrderType.STOP or kind == OrderType.STOP_LIMIT:
        return ExitReason.STOP_LOSS.value
    return ExitReason.TRAILING_STOP.value if kind == OrderType.TRAILING_STOP else ExitReason.SIGNAL.value


@kernel
def submit(
    ledger: Ledger, asset: int, close: float, quantity: float, order_type: int, limit_price: float, stop_price: float, reduce_only: int
) -> int:
    """Append a pending order; money is checked on its turn in a fill pass.

    ledger: in-out. asset: column. close: of the asset now, NaN without. quantity: signed. order_type: code OrderType.
    limit_price, stop_price: NaN when not used. reduce_only: 1, 0, or -1 to decide from the position. Returns the order id
    (from 1), NO_ORDER for a quantity of nothing and during a warm-up, NO_ROOM before any change when the host has to grow the order
    buffer. An order that rounds to no lot, or comes on the bar on which a rule closed the position, ends as rejected.
    """
    position = ledger.positions[asset]
    held = position["quantity"]
    if quantity == 0.0 or (abs(quantity) <= LEAST_QUANTITY and quantity != -held):
        return NO_ORDER
    state, params = ledger.state[0], ledger.params[0]
    if state["bar"] < state["first_order_bar"]:
        return NO_ORDER
    if state["order_count"] >= state["order_capacity"] or state["live_count"] >= state["order_capacity"]:
        return NO_ROOM
    rounded = quantity if quantity == -held else rounded_within(quantity, ledger.contracts[asset]["lot_size"], params["lot_tolerance"])
    row = _append(ledger, asset, quantity if rounded == 0.0 else rounded, order_type)
    order = ledger.orders[row]
    order["limit_price"] = limit_price
    order["stop_price"] = stop_price
    order["signal_price"] = close
    if reduce_only == AUTO_REDUCE:
        reduce_only = 1 if params["implicit_reduce_only"] == 1 and held * rounded < 0.0 and abs(rounded) <= abs(held) else 0
    if reduce_only == 1:
        order["reduce_only"] = 1
        order["position_id"] = position["position_id"]
        order["exit_reason"] = _exit_reason(order)
    if order_type == OrderType.MARKET_ON_CLOSE or order_type == OrderType.LIMIT_ON_CLOSE:
        state["closing_orders"] += 1
    if rounded == 0.0:
        finish(state, order, OrderStatus.REJECTED, OrderReason.ROUNDS_TO_ZERO)
    elif held == 0.0 and 0 < position["blocked_bar"] == state["bar"] + 1 and params["allow_reentry"] == 0:
        finish(state, order, OrderStatus.REJECTED, OrderReason.REENTRY_BLOCKED)
    return row + 1


@kernel
def submit_exit(ledger: Ledger, asset: int, quantity: float, exit_reason: int, rule: int, price: float) -> Record:
    """Append the market order by which a rule, a margin call or a limit reduces a position; the caller has made sure of the room.

    ledger: in-out. asset: column. quantity: signed. exit_reason: code ExitReason. rule: row of the rule plus 1, 0 without.
    price: at which it trades on this bar, NaN for the pass price. Returns the order row.
    """
    position = ledger.positions[asset]
    order = ledger.orders[_append(ledger, asset, quantity, OrderType.MARKET)]
    order["reduce_only"] = 1
    order["position_id"] = position["position_id"]
    order["exit_reason"] = exit_reason
    order["rule"] = rule
    order["rule_price"] = price
    position["exit_order"] = order["order_id"]
    return order


@kernel
def set_terms(
    ledger: Ledger, row: int, time_in_force: int, good_till: int, displayed_quantity: float, trail_amount: float, trail_percent: float
) -> None:
    """Set the terms of an order that has just been submitted.

    ledger: in-out. row: order id - 1. time_in_force: code TimeInForce. good_till: ns UTC. displayed_quantity: unsigned, 0
    without. trail_amount, trail_percent: 0 without; they place a stop that has no price yet.
    """
    order = ledger.orders[row]
    order["time_in_force"] = time_in_force
    order["good_till"] = good_till
    order["displayed_quantity"] = displayed_quantity
    order["trail_amount"] = trail_amount
    order["trail_percent"] = trail_percent
    if (trail_amount > 0.0 or trail_percent > 0.0) and isnan(order["stop_price"]):
        signal = order["signal_price"]
        trail = trail_amount if trail_percent == 0.0 else trail_percent * signal
        order["stop_price"] = signal + trail if order["quantity"] > 0.0 else signal - trail


@kernel
def link_child(ledger: Ledger, parent_row: int, child_row: int) -> None:
    """Let an order wait for another's first fill, linked as one for its last (ledger: in-out, parent_row, child_row: order ids - 1)."""
    state = ledger.state[0]
    parent, child = ledger.orders[parent_row], ledger.orders[child_row]
    child["parent_id"] = parent["order_id"]
    if child["status"] != OrderStatus.PENDING:
        return
    parent["has_children"] = 1
    if parent["filled_quantity"] != 0.0 and (ledger.params[0]["linked_as_one"] == 0 or parent["status"] == OrderStatus.FILLED):
        if child["reduce_only"] == 1:
            child["position_id"] = ledger.positions[child["asset"]]["position_id"]
    elif parent["status"] == OrderStatus.PENDING:
        child["dormant"] = 1
        child["position_id"] = 0
    else:
        finish(state, child, OrderStatus.CANCELLED, OrderReason.PARENT_NOT_FILLED)


@kernel
def join_siblings(ledger: Ledger, row: int, other_row: int) -> None:
    """Put an order into the one-cancels-other group of another (ledger: in-out, row, other_row: order ids - 1).

    Linked as one, an order that was refused at its submission on this bar has taken its group with it, and there is none to join.
    """
    order, other = ledger.orders[row], ledger.orders[other_row]
    if ledger.params[0]["linked_as_one"] == 1 and other["status"] == OrderStatus.REJECTED and other["created_bar"] == order["created_bar"]:
        return
    after = other["sibling_id"]
    order["sibling_id"] = other["order_id"] if after == 0 else after
    other["sibling_id"] = order["order_id"]


@kernel
def update(
    ledger: Ledger, row: int, quantity: float, limit_price: float, stop_price: float, trail_amount: float, trail_percent: float
) -> bool:
    """Change a pending order; NaN leaves a value as it is.

    Returns False, before any change, when the order is no longer pending or the quantity would leave nothing to fill.

    ledger: in-out. row: order id - 1. quantity: magnitude of the whole order, the side stays. limit_price, stop_price,
    trail_amount, trail_percent: of the order.
    """
    order = ledger.orders[row]
    if order["status"] != OrderStatus.PENDING:
        return False
    if not isnan(quantity):
        rounded = rounded_within(quantity, ledger.contracts[order["asset"]]["lot_size"], ledger.params[0]["lot_tolerance"])
        if rounded - abs(order["filled_quantity"]) - abs(order["released_quantity"]) <= LEAST_QUANTITY:
            return False
        order["quantity"] = rounded if order["quantity"] > 0.0 else -rounded
    if not isnan(limit_price):
        order["limit_price"] = limit_price
    if not isnan(stop_price):
        order["stop_price"] = stop_price
    if not isnan(trail_amount):
        order["trail_amount"] = trail_amount
    if not isnan(trail_percent):
        order["trail_percent"] = trail_percent
    order["active_bar"] = ledger.state[0]["bar"]
    return True


@kernel
def cancel(ledger: Ledger, row: int, reason: int) -> bool:
    """Cancel a pending order (row: order id - 1, reason: code OrderReason). Returns False when it is no longer pending."""
    order = ledger.orders[row]
    if order["status"] != OrderStatus.PENDING:
        return False
    end(ledger, order, OrderStatus.CANCELLED, reason, ledger.params[0])
    return True


@kernel
def cancel_since(ledger: Ledger, first_row: int, reason: int) -> None:
    """Cancel every pending order from row `first_row` on (ledger: in-out, reason: code OrderReason)."""
    for row in range(first_row, ledger.state[0]["order_count"]):
        order = ledger.orders[row]
        if order["status"] == OrderStatus.PENDING:
            finish(ledger.state[0], order, OrderStatus.CANCELLED, reason)


@kernel
def cancel_orphans(ledger: Ledger) -> None:
    """Cancel the orders whose parent ended before it woke them; children stand after their parents (ledger: in-out)."""
    state = ledger.state[0]
    for place in range(state["live_count"]):
        order = ledger.orders[ledger.live[place]]
        if order["dormant"] == 0 or order["status"] != OrderStatus.PENDING:
            continue
        parent = ledger.orders[order["parent_id"] - 1]
        if parent["status"] != OrderStatus.PENDING:
            finish(state, order, OrderStatus.CANCELLED, OrderReason.PARENT_NOT_FILLED)


@kernel
def drop_finished(ledger: Ledger) -> None:
    """Take finished orders out of the live list; the order of the rest stays (ledger: in-out)."""
    state = ledger.state[0]
    kept = 0
    for place in range(state["live_count"]):
        row = ledger.live[place]
        if ledger.orders[row]["status"] == OrderStatus.PENDING:
            ledger.live[kept] = row
            kept += 1
    state["live_count"] = kept


@kernel
def submit_target_weight(ledger: Ledger, asset: int, close: float, weight: float) -> int:
    """Submit the market order that brings an asset to a weight of the account value at its close.

    ledger: in-out. asset: column. close: price now, NaN without a bar. weight: fraction of the account value, negative
    for a short. Returns as `submit`; NO_ORDER also without a price and when the target is within a cent.
    """
    if isnan(close):
        return NO_ORDER
    held = ledger.positions[asset]["quantity"]
    if weight == 0.0:
        quantity = -held
    else:
        multiplier = ledger.contracts[asset]["multiplier"]
        delta = ledger.state[0]["equity"] * weight - held * close * multiplier
        if abs(delta) < LEAST_VALUE:
            return NO_ORDER
        quantity = delta / (close * multiplier)
        if not isfinite(quantity):  # a close of 0 prices no quantity
            return NO_ORDER
    return submit(ledger, asset, close, quantity, OrderType.MARKET, NO_PRICE, NO_PRICE, AUTO_REDUCE)


@kernel
def submit_target_weights(ledger: Ledger, close: FloatArray, weights: FloatArray, where: npt.NDArray[np.uint8], order_ids: IntArray) -> int:
    """Submit a target weight for each asset with `where` set, in asset order.

    ledger: in-out. close, weights: float64[assets] (in). where: uint8[assets] (in). order_ids: int64[assets] (out).
    Returns -1 when done; the number of the first asset whose weight is NaN or infinite, before any order. The host has
    made room for one order an asset.
    """
    for asset in range(len(weights)):
        if where[asset] and not isfinite(weights[asset]):
            return asset
    for asset in range(len(weights)):
        order_ids[asset] = NO_ORDER
        if where[asset]:
            order_ids[asset] = submit_target_weight(ledger, asset, close[asset], weights[asset])
    return -1


@kernel
def submit_quantities(ledger: Ledger, close: FloatArray, quantities: FloatArray, where: npt.NDArray[np.uint8], order_ids: IntArray) -> int:
    """Submit a market order for each asset with `where` set, in asset order; 0 is no order.

    ledger: in-out. close: float64[assets] (in). quantities: float64[assets], signed (in). where: uint8[assets] (in).
    order_ids: int64[assets] (out). Returns as `submit_target_weights`.
    """
    for asset in range(len(quantities)):
        if where[asset] and not isfinite(quantities[asset]):
            return asset
    for asset in range(len(quantities)):
        order_ids[asset] = NO_ORDER
        if where[asset]:
            quantity = quantities[asset]
            price = close[asset] if ledger.state[0]["bar"] >= 0 else NO_PRICE  # before the first bar nothing is known
            order_ids[asset] = submit(ledger, asset, price, quantity, OrderType.MARKET, NO_PRICE, NO_PRICE, AUTO_REDUCE)
    return -1
