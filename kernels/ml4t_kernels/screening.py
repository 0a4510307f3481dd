"""Checks of orders at submission, against a shadow account in which this bar's orders have already traded."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import OrderReason, OrderStatus
from .commission import commission, raw_commission
from .dtypes import FloatArray, Prices, Record
from .ledger import Ledger
from .margin import initial_requirement, opening_quantity
from .orders import end

__all__ = ["screen"]


@kernel
def _refresh(ledger: Ledger, shadow: FloatArray) -> None:
    """Set the shadow account to the account when a new bar has begun (ledger, shadow: in-out)."""
    state = ledger.state[0]
    if state["shadow_bar"] == state["bar"] + 1:
        return
    state["shadow_bar"] = state["bar"] + 1
    state["shadow_cash"] = state["cash"]
    for asset in range(len(shadow)):
        shadow[asset] = ledger.positions[asset]["quantity"]
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        if asset >= 0 and ledger.contracts[asset]["settles"] == 1:
            position, contract = ledger.positions[asset], ledger.contracts[asset]
            held, price = position["quantity"], position["current_price"]
            settled = held * (price - position["basis"]) * contract["multiplier"]
            state["shadow_cash"] = state["shadow_cash"] + settled - initial_requirement(contract, held, price)


@kernel
def _reference(order: Record) -> float:
    """Return the price at which an order is taken as traded: its stop, else its limit, else the signal price (order: in)."""
    if not isnan(order["stop_price"]):
        return order["stop_price"]  # type: ignore[no-any-return]
    return order["signal_price"] if isnan(order["limit_price"]) else order["limit_price"]  # type: ignore[no-any-return]


@kernel
def screen(ledger: Ledger, shadow: Prices, row: int) -> None:
    """Judge an order that has just been submitted, and reject it or let it move the shadow account.

    ledger, shadow (float64[assets], signed quantities): in-out. row: order id - 1. With `precheck` the shadow cash after the
    order, commission included, must not be negative; a refused order leaves its trace. With `reserve` what the order opens
    is taken off the shadow cash for longs and shorts alike; a refused order leaves none.
    """
    state, params, order = ledger.state[0], ledger.params[0], ledger.orders[row]
    price = _reference(order)
    if order["status"] != OrderStatus.PENDING or isnan(price):
        return
    _refresh(ledger, shadow)
    asset = order["asset"]
    contract = ledger.contracts[asset]
    quantity, multiplier = order["quantity"], contract["multiplier"]
    cost_row = ledger.costs[contract["costs"]]
    raw = raw_commission(cost_row, ledger.tiers, asset, quantity, price, multiplier, False)
    cost = commission(cost_row, order, raw)
    held = shadow[asset]
    if params["precheck"] == 1:
        paid = quantity * price * multiplier
        if contract["settles"] == 1:
            paid = initial_requirement(contract, held + quantity, price) - initial_requirement(contract, held, price)
        state["shadow_cash"] = state["shadow_cash"] - paid - cost
        shadow[asset] += quantity
        if state["shadow_cash"] < 0.0:
            order["have"] = state["shadow_cash"]
            end(ledger, order, OrderStatus.REJECTED, OrderReason.SUBMISSION_CHECK, ledger.params[0])
            return
    if params["reserve"] == 1:
        opening = opening_quantity(held, quantity)
        need = opening * abs(price) * multiplier + cost if opening > 0.0 else 0.0
        if need > state["shadow_cash"]:
            order["need"], order["have"] = need, state["shadow_cash"]
            end(ledger, order, OrderStatus.REJECTED, OrderReason.RESERVATION, ledger.params[0])
            return
        state["shadow_cash"] -= need
        if params["precheck"] == 0:
            shadow[asset] += quantity
