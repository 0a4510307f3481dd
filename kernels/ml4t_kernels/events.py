"""What happens to holders at the start of a bar: dividends, splits, funding, interest and borrow fees."""

from __future__ import annotations

from ._jit import kernel
from .account import close_fraction
from .basis import add_commission, in_cents, split_order_in_cents
from .codes import EventKind, FlowKind, OrderReason, OrderStatus, Stage, StepStatus
from .dtypes import Record, Records
from .ledger import Bar, Ledger
from .margin import DUST
from .orders import end, remaining_quantity
from .participation import rounded_down, rounded_within

__all__ = ["run_events"]

_YEAR: float = 365.0 * 86_400e9  # ns
_NEVER: int = 1 << 62


@kernel
def _pay(state: Record, flow: Record, asset: int, kind: int, amount: float) -> None:
    """Move cash without a fill and record it, unless it is nothing.

    state: in-out. flow: the row after the last (out). asset: column, -1 for the account. kind: code FlowKind. amount: to
    the account [money].
    """
    if amount == 0.0:
        return
    state["cash"] += amount
    state["free_cash"] += amount
    flow["timestamp"] = state["time"]
    flow["bar"] = state["bar"]
    flow["asset"] = asset
    flow["amount"] = amount
    flow["kind"] = kind
    state["flow_count"] += 1


@kernel
def _split_order(ledger: Ledger, order: Record, lot: float, ratio: float) -> None:
    """Convert a pending order (ledger, order: in-out; lot: size of a lot, 0 for any; ratio: new units for one old)."""
    order["quantity"] = rounded_down(order["quantity"] * ratio, lot)
    order["filled_quantity"] *= ratio
    order["released_quantity"] *= ratio
    order["displayed_quantity"] = order["displayed_quantity"] * ratio
    order["filled_price"] /= ratio
    order["limit_price"] /= ratio
    order["stop_price"] /= ratio
    order["trail_amount"] /= ratio
    order["signal_price"] /= ratio
    if remaining_quantity(order) * order["quantity"] <= 0.0:
        end(ledger, order, OrderStatus.CANCELLED, OrderReason.ROUNDS_TO_ZERO, ledger.params[0])


@kernel
def _split_orders(ledger: Ledger, asset: int, ratio: float) -> None:
    """Convert the pending orders of an asset (ledger: in-out; asset: column; ratio: new units for one old)."""
    lot = ledger.contracts[asset]["lot_size"]
    for place in range(ledger.state[0]["live_count"]):
        order = ledger.orders[ledger.live[place]]
        if order["asset"] != asset or order["status"] != OrderStatus.PENDING:
            continue
        ordered = order["quantity"]
        if ledger.params[0]["splits_at_cost"] == 1:
            split_order_in_cents(ledger, order, lot, ratio)
        else:
            _split_order(ledger, order, lot, ratio)
        if order["cash_fraction"] > 0.0:
            order["quantity"] = ordered  # which has no bound


@kernel
def _split_position(position: Record, ratio: float) -> None:
    """Convert a position (in-out; ratio: new units for one old)."""
    position["quantity"] *= ratio
    position["initial_quantity"] *= ratio
    position["entry_price"] /= ratio
    position["current_price"] /= ratio
    position["basis"] /= ratio
    position["signal_price"] /= ratio
    position["high_water_mark"] /= ratio
    position["low_water_mark"] /= ratio
    position["entry_slippage"] /= ratio


@kernel
def _pay_fraction(ledger: Ledger, asset: int, before: float, ratio: float) -> None:
    """Cut a converted position to whole lots and pay out the rest (ledger: in-out; asset: column).

    before: held before the split, signed. ratio: new units for one old.
    """
    state, position, contract = ledger.state[0], ledger.positions[asset], ledger.contracts[asset]
    at_cost = ledger.params[0]["splits_at_cost"] == 1
    if at_cost:
        position["quantity"] = before  # which the commissions were paid for
        add_commission(position)
        position["cost_basis"] = in_cents(position["cost_basis"] * (1.0 / ratio))
        position["quantity"] = before / (1.0 / ratio)
        whole = rounded_within(position["quantity"], contract["lot_size"], 0.0)
    else:
        whole = rounded_down(position["quantity"], contract["lot_size"])
    rest = position["quantity"] - whole
    if abs(rest) > DUST * abs(position["quantity"]):
        price = position["current_price"]
        money = rest * (price - position["basis"]) * contract["multiplier"]
        if at_cost and contract["settles"] == 0:
            money = in_cents(rest * position["cost_basis"] * contract["multiplier"])
            price = money / (rest * contract["multiplier"])
        released = position["debt"] * (rest / position["quantity"])
        position["debt"] -= released
        state["free_cash"] += money + 2.0 * released
        state["cash"] += money
        close_fraction(ledger, asset, rest, price)
    if whole != 0.0:
        position["quantity"] = whole


@kernel
def _apply(ledger: Ledger, event: Record, flow: Record) -> None:
    """Apply one event to the position and the orders of its asset (ledger: in-out, event: in, flow: next row, out)."""
    state = ledger.state[0]
    asset = event["asset"]
    position, contract = ledger.positions[asset], ledger.contracts[asset]
    value, multiplier = event["value"], contract["multiplier"]
    held = position["quantity"]
    if event["kind"] == EventKind.SPLIT:
        _split_orders(ledger, asset, value)
        if held != 0.0:
            _split_position(position, value)
            _pay_fraction(ledger, asset, held, value)
    elif held != 0.0 and event["kind"] == EventKind.DIVIDEND:
        _pay(state, flow, asset, FlowKind.DIVIDEND, held * value * multiplier)
    elif held != 0.0:
        _pay(state, flow, asset, FlowKind.FUNDING, -(held * position["current_price"] * multiplier * value))


@kernel
def _charge_interest(ledger: Ledger, flows: Records) -> None:
    """Pay interest and borrow fees since the first bar of the session before (ledger, flows: in-out)."""
    state, params = ledger.state[0], ledger.params[0]
    years = (state["time"] - state["interest_time"]) / _YEAR
    rate = params["cash_interest_rate"] if state["cash"] > 0.0 else params["margin_interest_rate"]
    amount = state["cash"] * rate * years
    if amount != 0.0:
        kind = FlowKind.CASH_INTEREST.value if amount > 0.0 else FlowKind.MARGIN_INTEREST.value
        _pay(state, flows[state["flow_count"]], -1, kind, amount)
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        if asset < 0:
            continue
        position, contract = ledger.positions[asset], ledger.contracts[asset]
        held = position["quantity"]
        if held < 0.0 and contract["borrow_rate"] > 0.0 and contract["settles"] == 0:
            fee = abs(held * position["current_price"]) * contract["multiplier"] * contract["borrow_rate"] * years
            _pay(state, flows[state["flow_count"]], asset, FlowKind.BORROW_FEE, -fee)


@kernel
def run_events(ledger: Ledger, bar: Bar, events: Records, flows: Records) -> int:
    """Apply the events of the current bar, then interest if a session begins, and go on to the rules.

    ledger, flows (flow_dtype rows): in-out. bar: in. events: event_dtype rows in order of their bar (in). Returns OK or
    GROW_x; it resumes at the event that had no room.
    """
    state = ledger.state[0]
    while state["next_event"] < state["event_count"] and events[state["next_event"]]["bar"] <= state["bar"]:
        if state["flow_count"] >= state["flow_capacity"]:
            return StepStatus.GROW_FLOWS.value
        if state["fill_count"] >= state["fill_capacity"]:
            return StepStatus.GROW_FILLS.value
        if state["trade_count"] >= state["trade_capacity"]:
            return StepStatus.GROW_TRADES.value
        _apply(ledger, events[state["next_event"]], flows[state["flow_count"]])
        state["next_event"] += 1
    state["next_event_bar"] = events[state["next_event"]]["bar"] if state["next_event"] < state["event_count"] else _NEVER
    session = bar.record[0]["session"] + 1
    if ledger.params[0]["charges_interest"] == 1 and session != state["interest_session"]:
        if state["flow_count"] + state["open_count"] >= state["flow_capacity"]:
            return StepStatus.GROW_FLOWS.value
        if state["interest_session"] != 0 and state["bar"] > state["first_order_bar"]:
            _charge_interest(ledger, flows)
        state["interest_session"] = session
        state["interest_time"] = state["time"]
    state["stage"] = Stage.RULES
    return StepStatus.OK.value
