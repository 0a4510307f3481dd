"""One bar. The engine loops over it, a live feed calls it once per closed bar from a one-row buffer.

Both halves are resumable: they return a StepStatus other than OK *before* changing the item they cannot finish; the
host does what is asked and calls the same half again.
"""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .account import apply_fill, close_gaps, mark, write_fill
from .codes import OrderReason, OrderStatus, PriceField, Stage, StepStatus
from .commission import commission
from .dtypes import Record
from .fill import base_price
from .ledger import Bar, Desk, Ledger, Quote
from .margin import check_cash
from .orders import drop_finished
from .slippage import fill_price, per_unit

__all__ = ["close_bar", "open_bar"]


@kernel
def _is_exit(order: Record, held: float) -> bool:
    """Tell whether an order only reduces what is held (signed)."""
    quantity = order["quantity"]
    return order["reduce_only"] == 1 or (held * quantity < 0.0 and abs(quantity) <= abs(held))  # type: ignore[no-any-return]


@kernel
def _price_now(desk: Desk, order: Record, quote: Quote) -> float:
    """Return the base price at which an order trades on this bar, NaN when it waits (all in)."""
    if isnan(quote.close):
        return quote.close
    market = quote.open if desk.params["price_field"] == PriceField.OPEN else quote.close
    gap = quote.close if order["active_bar"] == desk.state["bar"] else quote.open
    return base_price(order["order_type"], order["quantity"], order["limit_price"], order["stop_price"], market, gap, quote.high, quote.low)


@kernel
def _attempt(desk: Desk, order: Record, position: Record, contract: Record, quote: Quote, fill: Record, trade: Record) -> None:
    """Fill, reject, cancel or leave one pending order.

    desk, order, position: in-out. contract, quote: in. fill, trade: the rows after the last (out, if it fills).
    """
    base = _price_now(desk, order, quote)
    if isnan(base):
        return
    held = position["quantity"]
    quantity = order["quantity"] - order["filled_quantity"]
    if order["reduce_only"] == 1:
        if held * quantity >= 0.0:
            order["status"] = OrderStatus.CANCELLED
            order["reason"] = OrderReason.POSITION_CLOSED
            return
        if abs(quantity) > abs(held):
            quantity = -held
    price = fill_price(base, per_unit(desk.params, base), quantity, order["limit_price"])
    multiplier = contract["multiplier"]
    cost = commission(desk.params, quantity, price, multiplier)
    short = desk.params["allow_short"] == 1
    reason, need, have = check_cash(held, quantity, price, multiplier, cost, desk.state["cash"], short)
    if reason != OrderReason.NONE:
        order["status"] = OrderStatus.REJECTED
        order["reason"] = reason
        order["need"] = need
        order["have"] = have
        return
    write_fill(desk.state, order, fill, quantity, price, abs(price - base), cost)
    apply_fill(desk.state, position, fill, trade, multiplier, desk.open_list)
    order["status"] = OrderStatus.FILLED
    order["filled_quantity"] = quantity
    order["filled_price"] = price
    order["filled_at"] = desk.state["time"]


@kernel
def _sweep(ledger: Ledger, bar: Bar) -> int:
    """Try the pending orders from the cursor on, in an exit stage only the exits. Returns a StepStatus (ledger: in-out, bar: in).

    Room for a fill, a trade and an open position is made sure of before an order is tried.
    """
    state = ledger.state[0]
    desk = Desk(state, ledger.params[0], ledger.open_list)
    exits = state["stage"] == Stage.FIRST_EXITS or state["stage"] == Stage.SECOND_EXITS
    for place in range(state["cursor"], state["live_count"]):
        order = ledger.orders[ledger.live[place]]
        asset: int = order["asset"]
        position = ledger.positions[asset]
        if order["status"] != OrderStatus.PENDING or (exits and not _is_exit(order, position["quantity"])):
            continue
        state["cursor"] = place
        if state["fill_count"] >= state["fill_capacity"]:
            return StepStatus.GROW_FILLS.value
        if state["trade_count"] >= state["trade_capacity"]:
            return StepStatus.GROW_TRADES.value
        if state["open_count"] >= state["open_capacity"]:
            close_gaps(state, ledger.positions, ledger.open_list)
        quote = Quote(bar.open[asset], bar.high[asset], bar.low[asset], bar.close[asset])
        fill, trade = ledger.fills[state["fill_count"]], ledger.trades[state["trade_count"]]
        _attempt(desk, order, position, ledger.contracts[asset], quote, fill, trade)
    state["cursor"] = 0
    state["stage"] += 1
    return StepStatus.OK.value


@kernel
def _fill_pass(ledger: Ledger, bar: Bar) -> int:
    """Fill what can trade: exits first, then the rest. Resumes at stage and cursor. Returns a StepStatus (ledger: in-out, bar: in)."""
    state = ledger.state[0]
    while state["stage"] != Stage.STRATEGY and state["stage"] != Stage.MARKING:
        status = _sweep(ledger, bar)
        if status != StepStatus.OK:
            return status
    drop_finished(ledger)
    return StepStatus.OK.value


@kernel
def _mark(ledger: Ledger, bar: Bar) -> None:
    """Mark the account (ledger: in-out, bar: in)."""
    state = ledger.state[0]
    if state["open_count"] == 0:
        state["equity"] = state["cash"]
    else:
        mark(state, ledger.positions, ledger.contracts, ledger.open_list, bar.close)


@kernel
def open_bar(ledger: Ledger, bar: Bar) -> int:
    """Start a bar: move the clock, fill resting orders, mark to market. Then it is the strategy's turn.

    ledger: in-out. bar: in; the row `state.row + state.row_step` when the bar before is closed, else the current row.
    Returns a StepStatus.
    """
    state = ledger.state[0]
    if state["stage"] == Stage.CLOSED:
        state["bar"] += 1
        state["row"] += state["row_step"]
        state["time"] = bar.record[0]["time"]
        state["stage"] = Stage.FIRST_EXITS if state["live_count"] > 0 else Stage.STRATEGY
    if state["stage"] < Stage.STRATEGY:
        status = _fill_pass(ledger, bar)
        if status != StepStatus.OK:
            return status
    _mark(ledger, bar)
    return StepStatus.OK.value


@kernel
def close_bar(ledger: Ledger, bar: Bar) -> int:
    """End a bar: in SAME_BAR mode fill what the strategy ordered; mark, widen excursions, record account value and cash.

    ledger: in-out. bar: in, `equity` and `cash` of its record out. Returns a StepStatus.
    """
    state = ledger.state[0]
    if state["stage"] == Stage.STRATEGY:
        again = ledger.params[0]["same_bar"] == 1 and state["live_count"] > 0
        state["stage"] = Stage.SECOND_EXITS if again else Stage.MARKING
    if state["stage"] != Stage.MARKING:
        status = _fill_pass(ledger, bar)
        if status != StepStatus.OK:
            return status
    _mark(ledger, bar)
    record = bar.record[0]
    record["equity"] = state["equity"]
    record["cash"] = state["cash"]
    state["stage"] = Stage.CLOSED
    return StepStatus.OK.value
