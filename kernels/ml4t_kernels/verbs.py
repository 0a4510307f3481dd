"""What compiled strategies order, one entry per verb: as the broker does it, with the same arithmetic in the same order.

Compiled code of the user calls these by address. Verbs return an order id, 0 for no order, or a `Refusal` with a minus, and then have
changed nothing.
"""

from __future__ import annotations

from math import isfinite, isnan

import numpy as np

from . import orders
from ._jit import array_at, entry, kernel
from .addresses import STATE, bar_at, ledger_at
from .codes import BracketPriority, ExitReason, HostRequest, OrderReason, OrderStatus, OrderType, Refusal
from .desk import ask, cash_percent, finished, form, host_at, market, market_form, place
from .dtypes import NO_PRICE, FloatArray, Record

__all__ = [
    "cancel_all_orders",
    "cancel_order",
    "close_position",
    "flatten_all_positions",
    "order_cash_percent",
    "order_target_percent",
    "order_target_value",
    "order_target_weights",
    "request",
    "submit_bracket",
    "submit_form",
    "submit_market",
    "submit_quantities",
    "update_order",
]

_AUTO = -1
_BYTES = 8


@entry
def request(address: int, number: int, first: float, second: float, third: float) -> float:
    """Ask the host for something; number: code HostRequest, which says what first, second and third are. NaN when it failed."""
    return ask(address, number, first, second, third)


@entry
def submit_market(address: int, asset: int, quantity: float, reduce_only: int) -> int:
    """Submit a market order; asset: column, quantity: signed, reduce_only: 1, 0, or -1 to decide from the position."""
    return market(address, asset, quantity, reduce_only)


@entry
def submit_form(address: int, asset: int, quantity: float) -> int:
    """Submit the order that the host record describes; asset: column, quantity: signed."""
    return form(address, asset, quantity)


@entry
def close_position(address: int, asset: int) -> int:
    """Submit a market order for the whole position, 0 without one; asset: column."""
    ledger = ledger_at(address)
    if not 0 <= asset < ledger.state[0]["assets"]:
        return -Refusal.UNKNOWN_ASSET.value
    held = ledger.positions[asset]["quantity"]
    return market(address, asset, -held, host_at(address)["exits_reduce_only"]) if held != 0.0 else orders.NO_ORDER


@entry
def flatten_all_positions(address: int) -> int:
    """Submit a market order for each open position, in position order. Returns how many."""
    ledger = ledger_at(address)
    made = 0
    for number in range(ledger.state[0]["open_count"]):
        asset = ledger.open_list[number]
        if asset < 0:
            continue
        held = ledger.positions[asset]["quantity"]
        answer = market(address, asset, -held, host_at(address)["exits_reduce_only"]) if held != 0.0 else orders.NO_ORDER
        if answer < 0:
            return answer
        if answer > 0:
            made += 1
    return made


@entry
def order_cash_percent(address: int, asset: int, fraction: float) -> int:
    """Submit a market order for a fraction of what the account can pay; asset: column, fraction: from -1 to 1."""
    ledger, host = ledger_at(address), host_at(address)
    if not 0 <= asset < ledger.state[0]["assets"]:
        return -Refusal.UNKNOWN_ASSET.value
    host["asset"] = asset
    if ledger.params[0]["clearing"] == 0:
        return -Refusal.NOT_FREE_CASH.value
    if not -1.0 <= fraction <= 1.0:
        return -Refusal.BAD_CASH_FRACTION.value
    market_form(host)
    return cash_percent(address, asset, fraction)


@kernel
def _last_close(address: int, asset: int) -> float:
    """Return the close of an asset now, or its last one where the account takes that; NaN without."""
    state = array_at(address, 1, STATE)[0]
    close = bar_at(address).close[asset]
    if not isnan(close) or host_at(address)["targets_last_price"] == 0:
        return close  # type: ignore[no-any-return]
    assets = state["assets"]
    row = state["row"]
    while row > 0:
        row -= 1
        close = array_at(state["closes_address"] + row * assets * _BYTES, assets, np.float64)[asset]
        if not isnan(close):
            return close  # type: ignore[no-any-return]
    return NO_PRICE


@kernel
def _target_value(address: int, asset: int, value: float) -> int:
    """Submit the market order that brings an asset to a value at its close."""
    ledger = ledger_at(address)
    price = _last_close(address, asset)
    if isnan(price):
        return orders.NO_ORDER
    held, multiplier = ledger.positions[asset]["quantity"], ledger.contracts[asset]["multiplier"]
    if value == 0.0:
        return market(address, asset, -held, _AUTO) if held != 0.0 else orders.NO_ORDER
    delta = value - held * price * multiplier
    if abs(delta) < orders.LEAST_VALUE or price == 0.0:
        return orders.NO_ORDER
    return market(address, asset, delta / (price * multiplier), _AUTO)


@kernel
def _wrong_target(address: int, asset: int, target: float, refusal: int) -> int:
    """Return what is wrong with a target, 0 for nothing; refusal: code Refusal of a target that is no finite number."""
    if not 0 <= asset < array_at(address, 1, STATE)[0]["assets"]:
        return Refusal.UNKNOWN_ASSET.value
    host_at(address)["asset"] = asset
    return 0 if isfinite(target) else refusal


@entry
def order_target_value(address: int, asset: int, value: float) -> int:
    """Submit the market order that brings an asset to a value at its close (asset: column, value: money)."""
    wrong = _wrong_target(address, asset, value, Refusal.BAD_VALUE.value)
    if wrong != 0:
        return -wrong
    return orders.NO_ORDER if array_at(address, 1, STATE)[0]["bar"] < 0 else _target_value(address, asset, value)


@kernel
def _target_weight(address: int, asset: int, weight: float) -> int:
    """Submit the market order that brings an asset to a fraction of the account value; not yet finished."""
    ledger = ledger_at(address)
    state = ledger.state[0]
    full = state["order_count"] >= state["order_capacity"] or state["live_count"] >= state["order_capacity"]
    if full and isnan(ask(address, HostRequest.GROW_ORDERS.value, 1.0, 0.0, 0.0)):
        return -Refusal.HOST_FAILED.value
    return orders.submit_target_weight(ledger_at(address), asset, bar_at(address).close[asset], weight)


@entry
def order_target_percent(address: int, asset: int, weight: float) -> int:
    """Submit the market order that brings an asset to a fraction of the account value at its close (asset: column, weight: fraction)."""
    wrong = _wrong_target(address, asset, weight, Refusal.BAD_WEIGHT.value)
    if wrong != 0:
        return -wrong
    state = array_at(address, 1, STATE)[0]
    if state["bar"] < 0:
        return orders.NO_ORDER
    if host_at(address)["targets_last_price"] == 1:
        return _target_value(address, asset, state["equity"] * weight)
    return finished(address, _target_weight(address, asset, weight))


@kernel
def _finish_since(address: int, first: int) -> int:
    """Finish the orders from row `first` on. Returns how many there are."""
    count = array_at(address, 1, STATE)[0]["order_count"]
    for row in range(first, count):
        if finished(address, row + 1) < 0:
            return -Refusal.HOST_FAILED.value
    return count - first  # type: ignore[no-any-return]


@kernel
def _wrong_row(address: int, row: FloatArray, refusal: int) -> int:
    """Return what is wrong with a number for each asset, 0 for nothing; refusal: code Refusal of one that is not finite."""
    if len(row) != array_at(address, 1, STATE)[0]["assets"]:
        return Refusal.WRONG_LENGTH.value
    for asset in range(len(row)):
        wrong = _wrong_target(address, asset, row[asset], refusal)
        if wrong != 0:
            return wrong
    return 0


@entry
def order_target_weights(address: int, weights: int, count: int) -> int:
    """Submit a target weight for every asset, in asset order; weights: address of float64[count], count: has to be that of the assets.

    Returns how many orders were made.
    """
    state = array_at(address, 1, STATE)[0]
    first = state["order_count"]
    row = array_at(weights, count, np.float64)
    wrong = _wrong_row(address, row, Refusal.BAD_WEIGHT.value)
    if wrong != 0:
        return -wrong
    if state["bar"] < 0:
        return 0
    for asset in range(count):
        if _target_weight(address, asset, row[asset]) < 0:
            return -Refusal.HOST_FAILED.value
    return _finish_since(address, first)


@entry
def submit_quantities(address: int, quantities: int, count: int) -> int:
    """Submit a market order for every asset, in asset order, 0 for none; arguments and result as `order_target_weights`."""
    state = array_at(address, 1, STATE)[0]
    first = state["order_count"]
    row = array_at(quantities, count, np.float64)
    wrong = _wrong_row(address, row, Refusal.BAD_QUANTITY.value)
    if wrong != 0:
        return -wrong
    market_form(host_at(address))
    for asset in range(count):
        if place(address, asset, row[asset], _AUTO) < 0:
            return -Refusal.HOST_FAILED.value
    return _finish_since(address, first)


@entry
def cancel_order(address: int, order_id: int) -> int:
    """Cancel a pending order (order_id: from 1). Returns 1, or 0 when it is no longer pending."""
    ledger = ledger_at(address)
    if not 1 <= order_id <= ledger.state[0]["order_count"]:
        return -Refusal.UNKNOWN_ORDER.value
    return 1 if orders.cancel(ledger, order_id - 1, OrderReason.CANCELLED_BY_USER.value) else 0


@entry
def cancel_all_orders(address: int, asset: int) -> int:
    """Cancel the pending orders of an asset (column), of all for -1. Returns how many."""
    ledger = ledger_at(address)
    state = ledger.state[0]
    if not -1 <= asset < state["assets"]:
        return -Refusal.UNKNOWN_ASSET.value
    count = 0
    for number in range(state["live_count"]):
        row = ledger.live[number]
        order = ledger.orders[row]
        if order["status"] == OrderStatus.PENDING and (asset < 0 or order["asset"] == asset):
            orders.cancel(ledger, row, OrderReason.CANCELLED_BY_USER.value)
            count += 1
    return count


@kernel
def _wrong_bracket(address: int, asset: int, quantity: float, take_profit: float, stop_loss: float) -> int:
    """Return what is wrong with the legs of the bracket whose entry the form describes, 0 for nothing."""
    ledger, host = ledger_at(address), host_at(address)
    reference = host["limit_price"] if isnan(host["stop_price"]) else host["stop_price"]
    if isnan(reference) and ledger.state[0]["bar"] >= 0:
        reference = bar_at(address).close[asset]
    if isnan(reference):
        reference = (take_profit + stop_loss) / 2.0
    low, high = (stop_loss, take_profit) if quantity > 0.0 else (take_profit, stop_loss)
    return 0 if low < reference < high else Refusal.BAD_BRACKET.value


@kernel
def _leg(address: int, asset: int, quantity: float, price: float, is_stop: bool) -> int:  # noqa: FBT001
    """Submit a leg of a bracket; parent and group stand in the form."""
    host = host_at(address)
    host["order_type"] = OrderType.STOP if is_stop else OrderType.LIMIT
    host["limit_price"] = NO_PRICE if is_stop else price
    host["stop_price"] = price if is_stop else NO_PRICE
    host["reduce_only"] = host["exits_reduce_only"]
    made = form(address, asset, quantity)
    if made > 0:
        ledger_at(address).orders[made - 1]["exit_reason"] = ExitReason.STOP_LOSS if is_stop else ExitReason.TAKE_PROFIT
    return made


@entry
def submit_bracket(address: int, asset: int, quantity: float, take_profit: float, stop_loss: float, checked: int) -> int:
    """Submit the entry that the form describes, with a target and a stop that wake with its first fill and cancel each other.

    asset: column. quantity: signed. take_profit, stop_loss: prices. checked: 1 refuses legs on the wrong sides. The legs have the two
    order ids after the last that the entry brought about; the target comes first unless only the queue decides.
    """
    ledger, host = ledger_at(address), host_at(address)
    if not 0 <= asset < ledger.state[0]["assets"]:
        return -Refusal.UNKNOWN_ASSET.value
    host["asset"] = asset
    if not isfinite(quantity):
        return -Refusal.BAD_QUANTITY.value
    if not isfinite(take_profit) or not isfinite(stop_loss):
        return -Refusal.BAD_PRICE.value
    if host["rounds_prices"] == 1:  # legs that no tick is left of are refused before the entry is made
        buys = 1.0 if quantity < 0.0 else 0.0
        limit = ask(address, HostRequest.TICK_LIMIT.value, float(asset), take_profit, buys)
        if isnan(limit) or isnan(ask(address, HostRequest.TICK_STOP.value, float(asset), stop_loss, buys)):
            return -Refusal.HOST_FAILED.value
    if host["order_type"] == OrderType.MARKET and not isnan(host["limit_price"]):
        host["order_type"] = OrderType.LIMIT
    wrong = _wrong_bracket(address, asset, quantity, take_profit, stop_loss) if checked == 1 else 0
    if wrong != 0:
        return -wrong
    host["reduce_only"] = 0
    made = form(address, asset, quantity)
    if made <= 0:
        return made
    host["parent_id"] = made
    stop_first = ledger_at(address).params[0]["bracket_priority"] == BracketPriority.SUBMISSION
    first = _leg(address, asset, -quantity, stop_loss if stop_first else take_profit, stop_first)
    host["sibling_id"] = max(first, 0)
    second = _leg(address, asset, -quantity, take_profit if stop_first else stop_loss, not stop_first)
    return made if first > 0 and second > 0 else -Refusal.HOST_FAILED.value


@kernel
def _wrong_update(order: Record, quantity: float, limit_price: float, stop_price: float, trail_amount: float, trail_percent: float) -> int:
    """Return what is wrong with changes of an order, 0 for nothing (all in)."""
    least = abs(order["filled_quantity"]) if order["status"] == OrderStatus.PENDING else 0.0
    if not isnan(quantity) and (not isfinite(quantity) or quantity <= least):
        return Refusal.BAD_UPDATE.value
    if not isnan(quantity) and order["cash_fraction"] > 0.0:
        return Refusal.NO_QUANTITY.value
    if not isfinite(limit_price) and not isnan(limit_price):
        return Refusal.BAD_PRICE.value
    if not isfinite(stop_price) and not isnan(stop_price):
        return Refusal.BAD_PRICE.value
    if not isnan(limit_price) and isnan(order["limit_price"]):
        return Refusal.TAKES_NO_LIMIT.value
    if not isnan(stop_price) and isnan(order["stop_price"]):
        return Refusal.TAKES_NO_STOP.value
    for given, has in ((trail_amount, order["trail_amount"]), (trail_percent, order["trail_percent"])):
        if not isnan(given) and (not isfinite(given) or given <= 0.0):
            return Refusal.BAD_TRAIL.value
        if not isnan(given) and has == 0.0:
            return Refusal.TAKES_NO_TRAIL.value
    return 0


@entry
def update_order(
    address: int, order_id: int, quantity: float, limit_price: float, stop_price: float, trail_amount: float, trail_percent: float
) -> int:
    """Change a pending order (order_id: from 1); the rest are arguments of `orders.update`. Returns 1, or 0 when it is not pending."""
    ledger, host = ledger_at(address), host_at(address)
    if not 1 <= order_id <= ledger.state[0]["order_count"]:
        return -Refusal.UNKNOWN_ORDER.value
    order = ledger.orders[order_id - 1]
    host["asset"] = order["asset"]
    wrong = _wrong_update(order, quantity, limit_price, stop_price, trail_amount, trail_percent)
    if wrong != 0:
        return -wrong
    if host["rounds_prices"] == 1:
        asset, buys = float(order["asset"]), 1.0 if order["quantity"] > 0.0 else 0.0
        if not isnan(limit_price):
            limit_price = ask(address, HostRequest.TICK_LIMIT.value, asset, limit_price, buys)
        if not isnan(stop_price):
            stop_price = ask(address, HostRequest.TICK_STOP.value, asset, stop_price, buys)
        if host["failed"] == 1:
            return -Refusal.HOST_FAILED.value
    changed = orders.update(ledger, order_id - 1, quantity, limit_price, stop_price, trail_amount, trail_percent)
    if not changed and order["status"] == OrderStatus.PENDING:
        return -Refusal.FILLED_ALREADY.value
    return 1 if changed else 0
