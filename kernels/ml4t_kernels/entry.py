"""Entry points for Python: thin shims that take the address of the state record and call the kernels.

One int64 costs about 0.05 us to pass, a structured array 0.1 us and a group of them several; the record holds the
address of every other array. The store owns those arrays and keeps the addresses true. `bind` from `_jit` skips the
dispatcher.
"""

from __future__ import annotations

import numpy as np

from . import events, freecash, limits, liquidation, orders, rules, screening, sorting, step
from ._jit import array_at, entry, kernel, table_at
from .addresses import ALERT, BAR, EVENT, FLOW, LIMIT, RULE, STATE, bar_at, ledger_at
from .codes import Stage, StepStatus
from .dtypes import NO_PRICE, Special
from .ledger import Item, Ledger

__all__ = [
    "advance",
    "advance_specially",
    "cancel",
    "cancel_since",
    "clear_free_cash",
    "join_siblings",
    "link_child",
    "proceed",
    "proceed_specially",
    "run_events",
    "run_limits",
    "run_margin_call",
    "run_pass",
    "run_pass_specially",
    "run_rules",
    "run_sorting",
    "screen",
    "set_terms",
    "submit",
    "submit_quantities",
    "submit_target_weight",
    "submit_target_weights",
    "update",
]

_ANSWER = 4


@entry
def proceed(address: int) -> int:
    """Go on to the strategy's turn or to the end of the bar, whichever is next; result of `step.proceed`."""
    return step.proceed(ledger_at(address), bar_at(address), None)


@entry
def proceed_specially(address: int) -> int:
    """Do as `proceed` where special settings are on."""
    ledger = ledger_at(address)
    return step.proceed(ledger, bar_at(address), ledger.params[0])


@kernel
def _advance(address: int, ledger: Ledger, special: Special) -> int:
    """Do what `advance` says (special: params or None)."""
    state = ledger.state[0]
    opening = state["stage"] < Stage.STRATEGY
    while True:
        status = step.proceed(ledger, bar_at(address), special)
        if status != StepStatus.OK:
            return status
        if opening or state["row"] + state["row_step"] >= state["rows"]:
            break
        opening = True
    if state["fill_count"] != state["fills_before"]:
        state["fills_before"] = state["fill_count"]
        return StepStatus.OK_WITH_FILLS.value
    return StepStatus.OK.value


@entry
def advance(address: int) -> int:
    """Close the current bar if one is open, then open the next if there is one: one call a bar. Resumable.

    Returns a StepStatus: OK, OK_WITH_FILLS when anything was filled since the host last had control, or what the host has
    to do.
    """
    return _advance(address, ledger_at(address), None)


@entry
def advance_specially(address: int) -> int:
    """Do as `advance` where special settings are on."""
    ledger = ledger_at(address)
    return _advance(address, ledger, ledger.params[0])


@entry
def run_events(address: int) -> int:
    """Apply events and interest at the current bar; result of `events.run_events`."""
    state = array_at(address, 1, STATE)[0]
    rows = array_at(state["events_address"], state["event_count"], EVENT)
    flows = array_at(state["flows_address"], state["flow_capacity"], FLOW)
    return events.run_events(ledger_at(address), bar_at(address), rows, flows)


@entry
def run_rules(address: int) -> int:
    """Check margin within the bar where that is set, then evaluate the position rules; result of `rules.run_rules`."""
    state = array_at(address, 1, STATE)[0]
    ledger, bar = ledger_at(address), bar_at(address)
    if state["order_count"] + 2 * state["open_count"] > state["order_capacity"]:
        return StepStatus.GROW_ORDERS.value
    if ledger.params[0]["margin_intrabar"] == 1 and state["cursor"] == 0:
        status = liquidation.margin_call(ledger, bar, array_at(state["alerts_address"], state["alert_capacity"], ALERT))
        if status != StepStatus.OK:
            return status
    count, assets = state["rule_count"], state["assets"]
    book = rules.RuleBook(
        array_at(state["rules_address"], count, RULE),
        ledger.tiers,
        table_at(state["memory_address"], assets, count, np.float64),
        table_at(state["inputs_address"], assets, count, np.float64),
        table_at(state["answers_address"], count, _ANSWER, np.float64),
        array_at(state["remembered_address"], assets, np.int64),
    )
    return rules.run_rules(ledger, bar, book)


@entry
def run_sorting(address: int) -> int:
    """Sort the entries; `sorting.sort_entries`. Returns OK."""
    sorting.sort_entries(ledger_at(address), bar_at(address))
    return StepStatus.OK.value


@entry
def run_margin_call(address: int) -> int:
    """Do a margin call and go on to the portfolio limits; result of `liquidation.margin_call`."""
    state = array_at(address, 1, STATE)[0]
    alerts = array_at(state["alerts_address"], state["alert_capacity"], ALERT)
    status = liquidation.margin_call(ledger_at(address), bar_at(address), alerts)
    if status == StepStatus.OK:
        state["stage"] = Stage.LIMITS
    return status


@entry
def run_limits(address: int) -> int:
    """Check the portfolio limits; result of `limits.run_limits`."""
    state = array_at(address, 1, STATE)[0]
    alerts = array_at(state["alerts_address"], state["alert_capacity"], ALERT)
    rows = array_at(state["limits_address"], state["limit_count"], LIMIT)
    bars = array_at(state["bars_address"], state["rows"], BAR)
    equities = bars["equity"][: state["row"] + 1]
    equities[state["row"]] = state["equity"]
    return limits.run_limits(ledger_at(address), bar_at(address), rows, alerts, equities)


@kernel
def _pass(address: int, stage: int, ledger: Ledger, special: Special) -> int:
    """Do what `run_pass` says (special: params or None)."""
    state, bar = ledger.state[0], bar_at(address)
    if not (Stage.FIRST_TOTALS <= state["stage"] < Stage.FIRST_MARKING or Stage.STRATEGY < state["stage"] < Stage.MARKING):
        state["stage"] = stage
    status = step.fill_pass(ledger, bar, special)
    if status == StepStatus.OK:
        state["stage"] = Stage.STRATEGY
        step.mark_account(ledger, bar, special)
    return status


@entry
def run_pass(address: int, stage: int) -> int:
    """Do a fill pass now and give the turn back to the strategy: orders that fill at once, hosts that step by hand.

    stage: code Stage from which the pass starts, FIRST_TOTALS or SECOND_TOTALS; a call that asked for something resumes.
    Returns a StepStatus.
    """
    return _pass(address, stage, ledger_at(address), None)


@entry
def run_pass_specially(address: int, stage: int) -> int:
    """Do as `run_pass` where special settings are on (stage: see there)."""
    ledger = ledger_at(address)
    return _pass(address, stage, ledger, ledger.params[0])


@entry
def submit(
    address: int,
    asset: int,
    quantity: float,
    order_type: int,
    limit_price: float,
    stop_price: float,
    reduce_only: int,
) -> int:
    """Submit an order at the current bar; arguments and result of `orders.submit`."""
    state = array_at(address, 1, STATE)[0]
    close = NO_PRICE if state["bar"] < 0 else bar_at(address).close[asset]
    return orders.submit(ledger_at(address), asset, close, quantity, order_type, limit_price, stop_price, reduce_only)


@entry
def screen(address: int, row: int) -> None:
    """Judge an order that has just been submitted; arguments of `screening.screen`."""
    state = array_at(address, 1, STATE)[0]
    screening.screen(ledger_at(address), array_at(state["shadow_address"], state["assets"], np.float64), row)


@kernel
def clear_free_cash(order_id: int, quantity: float, base: float, address: float) -> float:
    """Clear an order of the account at an address; called from a turn, by address. quantity, base and result as `freecash.clear`.

    order_id: from 1. address: of the state record; an address has fewer bits than a float keeps.
    """
    ledger = ledger_at(int(address))
    order = ledger.orders[order_id - 1]
    asset = order["asset"]
    contract = ledger.contracts[asset]
    item = Item(order, ledger.positions[asset], contract, ledger.costs[contract["costs"]])
    state = ledger.state[0]
    state["cleared_reason"] = 0
    of_rule = order["rule"] != 0 and not np.isnan(order["rule_price"]) and order["created_bar"] == state["bar"]
    return freecash.clear(state, ledger.params[0], item, quantity, base, of_rule)


@entry
def set_terms(
    address: int, row: int, time_in_force: int, good_till: int, displayed_quantity: float, trail_amount: float, trail_percent: float
) -> None:
    """Set the terms of an order; arguments of `orders.set_terms`."""
    orders.set_terms(ledger_at(address), row, time_in_force, good_till, displayed_quantity, trail_amount, trail_percent)


@entry
def link_child(address: int, parent_row: int, child_row: int) -> None:
    """Let an order wait for another; arguments of `orders.link_child`."""
    orders.link_child(ledger_at(address), parent_row, child_row)


@entry
def join_siblings(address: int, row: int, other_row: int) -> None:
    """Put an order into the group of another; arguments of `orders.join_siblings`."""
    orders.join_siblings(ledger_at(address), row, other_row)


@entry
def update(
    address: int, row: int, quantity: float, limit_price: float, stop_price: float, trail_amount: float, trail_percent: float
) -> bool:
    """Update an order; arguments and result of `orders.update`."""
    return orders.update(ledger_at(address), row, quantity, limit_price, stop_price, trail_amount, trail_percent)


@entry
def cancel(address: int, row: int, reason: int) -> bool:
    """Cancel an order; arguments and result of `orders.cancel`."""
    return orders.cancel(ledger_at(address), row, reason)


@entry
def cancel_since(address: int, first_row: int, reason: int) -> None:
    """Cancel the pending orders from a row on; arguments of `orders.cancel_since`."""
    orders.cancel_since(ledger_at(address), first_row, reason)


@entry
def submit_target_weight(address: int, asset: int, weight: float) -> int:
    """Submit a target weight at the current bar; result of `orders.submit_target_weight`."""
    return orders.submit_target_weight(ledger_at(address), asset, bar_at(address).close[asset], weight)


@entry
def submit_target_weights(address: int, weights: int, where: int, order_ids: int) -> int:
    """Submit target weights at the current bar; addresses of the arrays of `orders.submit_target_weights`."""
    assets = array_at(address, 1, STATE)[0]["assets"]
    return orders.submit_target_weights(
        ledger_at(address),
        bar_at(address).close,
        array_at(weights, assets, np.float64),
        array_at(where, assets, np.uint8),
        array_at(order_ids, assets, np.int64),
    )


@entry
def submit_quantities(address: int, quantities: int, where: int, order_ids: int) -> int:
    """Submit quantities; addresses of the arrays of `orders.submit_quantities`."""
    assets = array_at(address, 1, STATE)[0]["assets"]
    return orders.submit_quantities(
        ledger_at(address),
        bar_at(address).close,
        array_at(quantities, assets, np.float64),
        array_at(where, assets, np.uint8),
        array_at(order_ids, assets, np.int64),
    )
