"""Margin calls: positions are reduced until the account value covers their maintenance requirement."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import ExitReason, LimitAction, MarginCallPolicy, OrderStatus, Stage, StepStatus
from .dtypes import NO_PRICE, Record, Records
from .ledger import Bar, Ledger
from .margin import maintenance_requirement
from .orders import LEAST_QUANTITY, remaining_quantity, submit_exit
from .participation import rounded_up

__all__ = ["margin_call", "pending_exit", "write_alert"]


@kernel
def write_alert(state: Record, alert: Record, limit: int, value: float, threshold: float, action: int) -> None:
    """Write the next alert row and count it.

    state: in-out. alert: the row after the last (out). limit: row of the limit, -1 for a margin call. value, threshold:
    measured and allowed. action: code LimitAction.
    """
    alert["timestamp"] = state["time"]
    alert["bar"] = state["bar"]
    alert["limit"] = limit
    alert["value"] = value
    alert["threshold"] = threshold
    alert["action"] = action
    state["alert_count"] += 1


@kernel
def pending_exit(ledger: Ledger, position: Record) -> float:
    """Return what a pending exit of a rule or margin call still takes off a position, unsigned, 0 without (all in)."""
    if position["exit_order"] == 0:
        return 0.0
    order = ledger.orders[position["exit_order"] - 1]
    if order["status"] != OrderStatus.PENDING or order["position_id"] != position["position_id"]:
        return 0.0
    return abs(remaining_quantity(order))


@kernel
def _worst_price(bar: Bar, asset: int, position: Record) -> float:
    """Return the price of the bar that is worst for a position, its mark when it is not priced (all in; asset: column)."""
    price = bar.low[asset] if position["quantity"] > 0.0 else bar.high[asset]
    return position["current_price"] if isnan(bar.close[asset]) else price  # type: ignore[no-any-return]


@kernel
def _reduce(ledger: Ledger, bar: Bar, excess: float, worst: bool) -> None:  # noqa: FBT001
    """Submit the exits that release `excess` of maintenance requirement, largest position first.

    ledger: in-out. bar: in. excess: money. worst: exits trade at the worst price of this bar.
    """
    state = ledger.state[0]
    everything = ledger.params[0]["margin_call"] == MarginCallPolicy.LIQUIDATE
    before = state["order_count"]
    while excess > 0.0 or everything:
        largest, chosen = 0.0, -1
        for place in range(state["open_count"]):
            asset = ledger.open_list[place]
            if asset < 0 or ledger.positions[asset]["exit_order"] > before:
                continue
            position = ledger.positions[asset]
            if abs(position["quantity"]) <= LEAST_QUANTITY:
                continue
            price = _worst_price(bar, asset, position) if worst else position["current_price"]
            need = maintenance_requirement(ledger.contracts[asset], position["quantity"], price)
            leaving = pending_exit(ledger, position)
            if need > largest and (leaving == 0.0 or (everything and leaving < abs(position["quantity"]))):
                largest, chosen = need, asset
        if chosen < 0:
            return
        position = ledger.positions[chosen]
        size = abs(position["quantity"])
        part = size if everything else rounded_up(excess / (largest / size), ledger.contracts[chosen]["lot_size"])
        part = min(part, size)
        if part <= LEAST_QUANTITY:
            return
        excess -= part * (largest / size)
        at = _worst_price(bar, chosen, position) if worst and not isnan(bar.close[chosen]) else NO_PRICE
        submit_exit(ledger, chosen, -part if position["quantity"] > 0.0 else part, ExitReason.MARGIN_CALL, 0, at)


@kernel
def margin_call(ledger: Ledger, bar: Bar, alerts: Records) -> int:
    """Compare account value and maintenance requirement and submit the exits that are due; the caller then moves the stage.

    ledger: in-out. bar: in. alerts: alert_dtype rows (in-out). Before the first pass (stage RULES) every position counts at
    its worst price of the bar. Returns OK, GROW_ORDERS or GROW_ALERTS, the latter two before any change.
    """
    state = ledger.state[0]
    worst = state["stage"] == Stage.RULES
    value, need, pending = state["cash"], 0.0, 0.0
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        if asset < 0:
            continue
        position, contract = ledger.positions[asset], ledger.contracts[asset]
        held = position["quantity"]
        price = _worst_price(bar, asset, position) if worst else position["current_price"]
        value += held * (price - position["basis"]) * contract["multiplier"]
        own = maintenance_requirement(contract, held, price)
        need += own
        pending += min(pending_exit(ledger, position), abs(held)) * (own / abs(held))
    if value >= need:
        return StepStatus.OK.value
    if state["order_count"] + state["open_count"] > state["order_capacity"]:
        return StepStatus.GROW_ORDERS.value
    if state["alert_count"] >= state["alert_capacity"]:
        return StepStatus.GROW_ALERTS.value
    policy = ledger.params[0]["margin_call"]
    action = LimitAction.LIQUIDATE.value if policy == MarginCallPolicy.LIQUIDATE else LimitAction.WARN.value
    if policy == MarginCallPolicy.RESTORE:
        action = LimitAction.REDUCE.value
    if policy != MarginCallPolicy.IGNORE:
        _reduce(ledger, bar, need - value - pending, worst)
    write_alert(state, alerts[state["alert_count"]], -1, value, need, action)
    return StepStatus.OK.value
