"""Entry points for Python: thin shims that take the address of the state record and call the kernels.

One int64 costs about 0.05 us to pass, a structured array 0.1 us and a group of them several; the record holds the
address of every other array. The store owns those arrays and keeps the addresses true. `bind` from `_jit` skips the
dispatcher.
"""

from __future__ import annotations

import numpy as np

from . import events, freecash, limits, liquidation, orders, rules, screening, sorting, step
from ._jit import array_at, entry, kernel, layout
from .codes import Stage, StepStatus
from .dtypes import (
    NO_PRICE,
    Special,
    alert_dtype,
    bar_dtype,
    bare,
    contract_dtype,
    cost_dtype,
    event_dtype,
    fill_dtype,
    flow_dtype,
    limit_dtype,
    order_dtype,
    params_dtype,
    position_dtype,
    rule_dtype,
    state_dtype,
    tier_dtype,
    trade_dtype,
)
from .ledger import Bar, Item, Ledger

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

_BYTES = 8
_BAR_BYTES = bar_dtype.itemsize
_BAR = layout(bare(bar_dtype), "bar")
_STATE = layout(bare(state_dtype), "state")
_PARAMS = layout(bare(params_dtype), "params")
_CONTRACT = layout(bare(contract_dtype), "contract")
_COST = layout(bare(cost_dtype), "cost")
_TIER = layout(bare(tier_dtype), "tier")
_POSITION = layout(bare(position_dtype), "position")
_ORDER = layout(bare(order_dtype), "order")
_FILL = layout(bare(fill_dtype), "fill")
_TRADE = layout(bare(trade_dtype), "trade")
_FLOW = layout(bare(flow_dtype), "flow")
_ALERT = layout(bare(alert_dtype), "alert")
_RULE = layout(bare(rule_dtype), "rule")
_EVENT = layout(bare(event_dtype), "event")
_LIMIT = layout(bare(limit_dtype), "limit")
_HOLDS = 8
_ANSWER = 4


@kernel
def _ledger_at(address: int) -> Ledger:
    records = array_at(address, 1, _STATE)
    state = records[0]
    assets = state["assets"]
    return Ledger(
        records,
        array_at(state["params_address"], 1, _PARAMS),
        array_at(state["contracts_address"], assets, _CONTRACT),
        array_at(state["costs_address"], state["cost_count"], _COST),
        array_at(state["tiers_address"], state["tier_count"], _TIER),
        array_at(state["positions_address"], assets, _POSITION),
        array_at(state["open_address"], state["open_capacity"], np.int64),
        array_at(state["orders_address"], state["order_capacity"], _ORDER),
        array_at(state["live_address"], state["order_capacity"], np.int64),
        array_at(state["turns_address"], state["order_capacity"], np.int64),
        array_at(state["fills_address"], state["fill_capacity"], _FILL),
        array_at(state["trades_address"], state["trade_capacity"], _TRADE),
        array_at(state["holds_address"], _HOLDS, np.float64),
    )


@kernel
def _bar_at(address: int) -> Bar:
    """Return the bar that the next kernel works on: the next row after a closed bar, else the current one."""
    state = array_at(address, 1, _STATE)[0]
    row = state["row"]
    if state["stage"] == Stage.CLOSED:
        row += state["row_step"]
    assets = state["assets"]
    prices = row * assets * _BYTES
    return Bar(
        array_at(state["bars_address"] + row * _BAR_BYTES, 1, _BAR),
        array_at(state["opens_address"] + prices, assets, np.float64),
        array_at(state["highs_address"] + prices, assets, np.float64),
        array_at(state["lows_address"] + prices, assets, np.float64),
        array_at(state["closes_address"] + prices, assets, np.float64),
        array_at(state["volumes_address"] + prices, assets, np.float64),
        array_at(state["vwaps_address"] + prices, assets, np.float64),
        array_at(state["bids_address"] + prices, assets, np.float64),
        array_at(state["asks_address"] + prices, assets, np.float64),
    )


@entry
def proceed(address: int) -> int:
    """Go on to the strategy's turn or to the end of the bar, whichever is next; result of `step.proceed`."""
    return step.proceed(_ledger_at(address), _bar_at(address), None)


@entry
def proceed_specially(address: int) -> int:
    """Do as `proceed` where special settings are on."""
    ledger = _ledger_at(address)
    return step.proceed(ledger, _bar_at(address), ledger.params[0])


@kernel
def _advance(address: int, ledger: Ledger, special: Special) -> int:
    """Do what `advance` says (special: params or None)."""
    state = ledger.state[0]
    opening = state["stage"] < Stage.STRATEGY
    while True:
        status = step.proceed(ledger, _bar_at(address), special)
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
    return _advance(address, _ledger_at(address), None)


@entry
def advance_specially(address: int) -> int:
    """Do as `advance` where special settings are on."""
    ledger = _ledger_at(address)
    return _advance(address, ledger, ledger.params[0])


@entry
def run_events(address: int) -> int:
    """Apply events and interest at the current bar; result of `events.run_events`."""
    state = array_at(address, 1, _STATE)[0]
    rows = array_at(state["events_address"], state["event_count"], _EVENT)
    flows = array_at(state["flows_address"], state["flow_capacity"], _FLOW)
    return events.run_events(_ledger_at(address), _bar_at(address), rows, flows)


@entry
def run_rules(address: int) -> int:
    """Check margin within the bar where that is set, then evaluate the position rules; result of `rules.run_rules`."""
    state = array_at(address, 1, _STATE)[0]
    ledger, bar = _ledger_at(address), _bar_at(address)
    if state["order_count"] + 2 * state["open_count"] > state["order_capacity"]:
        return StepStatus.GROW_ORDERS.value
    if ledger.params[0]["margin_intrabar"] == 1 and state["cursor"] == 0:
        status = liquidation.margin_call(ledger, bar, array_at(state["alerts_address"], state["alert_capacity"], _ALERT))
        if status != StepStatus.OK:
            return status
    count, assets = state["rule_count"], state["assets"]
    book = rules.RuleBook(
        array_at(state["rules_address"], count, _RULE),
        ledger.tiers,
        array_at(state["memory_address"], assets * count, np.float64).reshape((assets, count)),
        array_at(state["inputs_address"], assets * count, np.float64).reshape((assets, count)),
        array_at(state["answers_address"], count * _ANSWER, np.float64).reshape((count, _ANSWER)),
        array_at(state["remembered_address"], assets, np.int64),
    )
    return rules.run_rules(ledger, bar, book)


@entry
def run_sorting(address: int) -> int:
    """Sort the entries; `sorting.sort_entries`. Returns OK."""
    sorting.sort_entries(_ledger_at(address), _bar_at(address))
    return StepStatus.OK.value


@entry
def run_margin_call(address: int) -> int:
    """Do a margin call and go on to the portfolio limits; result of `liquidation.margin_call`."""
    state = array_at(address, 1, _STATE)[0]
    alerts = array_at(state["alerts_address"], state["alert_capacity"], _ALERT)
    status = liquidation.margin_call(_ledger_at(address), _bar_at(address), alerts)
    if status == StepStatus.OK:
        state["stage"] = Stage.LIMITS
    return status


@entry
def run_limits(address: int) -> int:
    """Check the portfolio limits; result of `limits.run_limits`."""
    state = array_at(address, 1, _STATE)[0]
    alerts = array_at(state["alerts_address"], state["alert_capacity"], _ALERT)
    rows = array_at(state["limits_address"], state["limit_count"], _LIMIT)
    bars = array_at(state["bars_address"], state["rows"], _BAR)
    equities = bars["equity"][: state["row"] + 1]
    equities[state["row"]] = state["equity"]
    return limits.run_limits(_ledger_at(address), _bar_at(address), rows, alerts, equities)


@kernel
def _pass(address: int, stage: int, ledger: Ledger, special: Special) -> int:
    """Do what `run_pass` says (special: params or None)."""
    state, bar = ledger.state[0], _bar_at(address)
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
    return _pass(address, stage, _ledger_at(address), None)


@entry
def run_pass_specially(address: int, stage: int) -> int:
    """Do as `run_pass` where special settings are on (stage: see there)."""
    ledger = _ledger_at(address)
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
    state = array_at(address, 1, _STATE)[0]
    close = NO_PRICE if state["bar"] < 0 else _bar_at(address).close[asset]
    return orders.submit(_ledger_at(address), asset, close, quantity, order_type, limit_price, stop_price, reduce_only)


@entry
def screen(address: int, row: int) -> None:
    """Judge an order that has just been submitted; arguments of `screening.screen`."""
    state = array_at(address, 1, _STATE)[0]
    screening.screen(_ledger_at(address), array_at(state["shadow_address"], state["assets"], np.float64), row)


@kernel
def clear_free_cash(order_id: int, quantity: float, base: float, address: float) -> float:
    """Clear an order of the account at an address; called from a turn, by address. quantity, base and result as `freecash.clear`.

    order_id: from 1. address: of the state record; an address has fewer bits than a float keeps.
    """
    ledger = _ledger_at(int(address))
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
    orders.set_terms(_ledger_at(address), row, time_in_force, good_till, displayed_quantity, trail_amount, trail_percent)


@entry
def link_child(address: int, parent_row: int, child_row: int) -> None:
    """Let an order wait for another; arguments of `orders.link_child`."""
    orders.link_child(_ledger_at(address), parent_row, child_row)


@entry
def join_siblings(address: int, row: int, other_row: int) -> None:
    """Put an order into the group of another; arguments of `orders.join_siblings`."""
    orders.join_siblings(_ledger_at(address), row, other_row)


@entry
def update(
    address: int, row: int, quantity: float, limit_price: float, stop_price: float, trail_amount: float, trail_percent: float
) -> bool:
    """Update an order; arguments and result of `orders.update`."""
    return orders.update(_ledger_at(address), row, quantity, limit_price, stop_price, trail_amount, trail_percent)


@entry
def cancel(address: int, row: int, reason: int) -> bool:
    """Cancel an order; arguments and result of `orders.cancel`."""
    return orders.cancel(_ledger_at(address), row, reason)


@entry
def cancel_since(address: int, first_row: int, reason: int) -> None:
    """Cancel the pending orders from a row on; arguments of `orders.cancel_since`."""
    orders.cancel_since(_ledger_at(address), first_row, reason)


@entry
def submit_target_weight(address: int, asset: int, weight: float) -> int:
    """Submit a target weight at the current bar; result of `orders.submit_target_weight`."""
    return orders.submit_target_weight(_ledger_at(address), asset, _bar_at(address).close[asset], weight)


@entry
def submit_target_weights(address: int, weights: int, where: int, order_ids: int) -> int:
    """Submit target weights at the current bar; addresses of the arrays of `orders.submit_target_weights`."""
    assets = array_at(address, 1, _STATE)[0]["assets"]
    return orders.submit_target_weights(
        _ledger_at(address),
        _bar_at(address).close,
        array_at(weights, assets, np.float64),
        array_at(where, assets, np.uint8),
        array_at(order_ids, assets, np.int64),
    )


@entry
def submit_quantities(address: int, quantities: int, where: int, order_ids: int) -> int:
    """Submit quantities; addresses of the arrays of `orders.submit_quantities`."""
    assets = array_at(address, 1, _STATE)[0]["assets"]
    return orders.submit_quantities(
        _ledger_at(address),
        _bar_at(address).close,
        array_at(quantities, assets, np.float64),
        array_at(where, assets, np.uint8),
        array_at(order_ids, assets, np.int64),
    )
