"""Order rows: submit, update, cancel, target quantities, and the dense list of live rows."""

from __future__ import annotations

from math import isfinite, isnan

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .codes import OrderReason, OrderStatus, OrderType
from .dtypes import NO_PRICE, FloatArray, IntArray
from .ledger import Ledger

__all__ = [
    "NO_ORDER",
    "NO_ROOM",
    "cancel",
    "cancel_since",
    "drop_finished",
    "submit",
    "submit_quantities",
    "submit_target_weight",
    "submit_target_weights",
    "update",
]

NO_ORDER: int = 0
NO_ROOM: int = -1

LEAST_QUANTITY: float = 1e-8  # smaller orders are nothing, unless they close what is left
LEAST_VALUE: float = 0.01  # a target within a cent of what is held is reached

AUTO_REDUCE: int = -1  # reduce_only: decide from the position


@kernel
def submit(
    ledger: Ledger,
    asset: int,
    quantity: float,
    order_type: int,
    limit_price: float,
    stop_price: float,
    reduce_only: int,
) -> int:
    """Append a pending order; nothing is checked against the account before its turn in a fill pass.

    ledger: in-out. asset: column. quantity: signed. order_type: code OrderType. limit_price, stop_price: NaN when not
    used. reduce_only: 1, 0, or -1 to decide from the position. Returns the order id (from 1), NO_ORDER for a quantity
    of nothing, NO_ROOM before any change when the host has to grow the order buffer.
    """
    held = ledger.positions[asset]["quantity"]
    if quantity == 0.0 or (abs(quantity) <= LEAST_QUANTITY and quantity != -held):
        return NO_ORDER
    state = ledger.state[0]
    row = state["order_count"]
    if row >= state["order_capacity"] or state["live_count"] >= state["order_capacity"]:
        return NO_ROOM
    if reduce_only == AUTO_REDUCE:
        reduce_only = 1 if held * quantity < 0.0 and abs(quantity) <= abs(held) else 0
    order = ledger.orders[row]
    order["order_id"] = row + 1
    order["asset"] = asset
    order["quantity"] = quantity
    order["filled_quantity"] = 0.0
    order["limit_price"] = limit_price
    order["stop_price"] = stop_price
    order["filled_price"] = NO_PRICE
    order["need"] = 0.0
    order["have"] = 0.0
    order["created_at"] = state["time"]
    order["filled_at"] = 0
    order["created_bar"] = state["bar"]
    order["active_bar"] = state["bar"]
    order["order_type"] = order_type
    order["status"] = OrderStatus.PENDING
    order["reason"] = OrderReason.NONE
    order["reduce_only"] = reduce_only
    ledger.live[state["live_count"]] = row
    state["live_count"] += 1
    state["order_count"] = row + 1
    return row + 1  # type: ignore[no-any-return]


@kernel
def update(ledger: Ledger, row: int, quantity: float, limit_price: float, stop_price: float) -> bool:
    """Change a pending order; NaN leaves a value as it is. Returns False when the order is no longer pending.

    ledger: in-out. row: order id - 1. quantity: magnitude, the side stays. limit_price, stop_price: of the order.
    """
    order = ledger.orders[row]
    if order["status"] != OrderStatus.PENDING:
        return False
    if not isnan(quantity):
        order["quantity"] = quantity if order["quantity"] > 0.0 else -quantity
    if not isnan(limit_price):
        order["limit_price"] = limit_price
    if not isnan(stop_price):
        order["stop_price"] = stop_price
    order["active_bar"] = ledger.state[0]["bar"]
    return True


@kernel
def cancel(ledger: Ledger, row: int, reason: int) -> bool:
    """Cancel a pending order (row: order id - 1, reason: code OrderReason). Returns False when it is no longer pending."""
    order = ledger.orders[row]
    if order["status"] != OrderStatus.PENDING:
        return False
    order["status"] = OrderStatus.CANCELLED
    order["reason"] = reason
    return True


@kernel
def cancel_since(ledger: Ledger, first_row: int, reason: int) -> None:
    """Cancel every pending order from row `first_row` on (ledger: in-out, reason: code OrderReason)."""
    for row in range(first_row, ledger.state[0]["order_count"]):
        cancel(ledger, row, reason)


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
        return submit(ledger, asset, -held, OrderType.MARKET, NO_PRICE, NO_PRICE, AUTO_REDUCE)
    multiplier = ledger.contracts[asset]["multiplier"]
    delta = ledger.state[0]["equity"] * weight - held * close * multiplier
    if abs(delta) < LEAST_VALUE:
        return NO_ORDER
    quantity = delta / (close * multiplier)
    if not isfinite(quantity):  # a close of 0 prices no quantity
        return NO_ORDER
    return submit(ledger, asset, quantity, OrderType.MARKET, NO_PRICE, NO_PRICE, AUTO_REDUCE)


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
def submit_quantities(ledger: Ledger, quantities: FloatArray, where: npt.NDArray[np.uint8], order_ids: IntArray) -> int:
    """Submit a market order for each asset with `where` set, in asset order; 0 is no order.

    ledger: in-out. quantities: float64[assets], signed (in). where: uint8[assets] (in). order_ids: int64[assets] (out).
    Returns as `submit_target_weights`.
    """
    for asset in range(len(quantities)):
        if where[asset] and not isfinite(quantities[asset]):
            return asset
    for asset in range(len(quantities)):
        order_ids[asset] = NO_ORDER
        if where[asset]:
            order_ids[asset] = submit(ledger, asset, quantities[asset], OrderType.MARKET, NO_PRICE, NO_PRICE, AUTO_REDUCE)
    return -1
