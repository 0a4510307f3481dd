"""One bar. The engine loops over it, a live feed calls it once per closed bar from a one-row buffer.

Both halves are resumable: they return a StepStatus other than OK *before* changing the item they cannot finish; the
host does what is asked and calls the same half again.
"""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .account import append_fill, apply_fill, mark
from .codes import OrderReason, OrderStatus, PriceField, Stage, StepStatus
from .commission import commission
from .dtypes import Record
from .fill import base_price
from .ledger import Bar, Ledger
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
def _price_now(ledger: Ledger, bar: Bar, order: Record) -> float:
    """Return the base price at which an order trades on this bar, NaN when it waits (ledger, bar, order: in)."""
    asset: int = order["asset"]
    close = bar.close[asset]
    if isnan(close):
        return close  # type: ignore[no-any-return]
    market = bar.open[asset] if ledger.params[0]["price_field"] == PriceField.OPEN else close
    gap = close if order["active_bar"] == ledger.state[0]["bar"] else bar.open[asset]
    return base_price(
        order["order_type"],
        order["quantity"],
        order["limit_price"],
        order["stop_price"],
        market,
        gap,
        bar.high[asset],
        bar.low[asset],
    )


@kernel
def _attempt(ledger: Ledger, bar: Bar, row: int) -> int:
    """Fill, reject, cancel or leave one pending order. Returns a StepStatus (ledger: in-out, bar: in)."""
    state = ledger.state[0]
    params = ledger.params[0]
    order = ledger.orders[row]
    asset: int = order["asset"]
    base = _price_now(ledger, bar, order)
    if isnan(base):
        return StepStatus.OK.value
    held = ledger.positions[asset]["quantity"]
    quantity = order["quantity"] - order["filled_quantity"]
    if order["reduce_only"] == 1:
        if held * quantity >= 0.0:
            order["status"] = OrderStatus.CANCELLED
            order["reason"] = OrderReason.POSITION_CLOSED
            return StepStatus.OK.value
        if abs(quantity) > abs(held):
            quantity = -held
    price = fill_price(base, per_unit(params, base), quantity, order["limit_price"])
    multiplier = ledger.contracts[asset]["multiplier"]
    cost = commission(params, quantity, price, multiplier)
    reason, need, have = check_cash(held, quantity, price, multiplier, cost, state["cash"], params["allow_short"] == 1)
    if reason != OrderReason.NONE:
        order["status"] = OrderStatus.REJECTED
        order["reason"] = reason
        order["need"] = need
        order["have"] = have
        return StepStatus.OK.value
    if state["fill_count"] >= state["fill_capacity"]:
        return StepStatus.GROW_FILLS.value
    if state["trade_count"] >= state["trade_capacity"]:
        return StepStatus.GROW_TRADES.value
    apply_fill(ledger, append_fill(ledger, order, quantity, price, abs(price - base), cost))
    order["status"] = OrderStatus.FILLED
    order["filled_quantity"] = quantity
    order["filled_price"] = price
    order["filled_at"] = state["time"]
    return StepStatus.OK.value


@kernel
def _sweep(ledger: Ledger, bar: Bar, exits: bool) -> int:  # noqa: FBT001 - kernels take positional arguments only
    """Try the pending orders from the cursor on, only the exits or all. Returns a StepStatus (ledger: in-out, bar: in)."""
    state = ledger.state[0]
    for place in range(state["cursor"], state["live_count"]):
        row = ledger.live[place]
        order = ledger.orders[row]
        if order["status"] != OrderStatus.PENDING:
            continue
        if exits and not _is_exit(order, ledger.positions[order["asset"]]["quantity"]):
            continue
        status = _attempt(ledger, bar, row)
        if status != StepStatus.OK:
            state["cursor"] = place
            return status
    state["cursor"] = 0
    state["stage"] += 1
    return StepStatus.OK.value


@kernel
def _fill_pass(ledger: Ledger, bar: Bar) -> int:
    """Fill what can trade: exits first, then the rest. Resumes at stage and cursor. Returns a StepStatus."""
    state = ledger.state[0]
    if state["live_count"] == 0:
        state["stage"] = Stage.STRATEGY if state["stage"] < Stage.STRATEGY else Stage.MARKING
        return StepStatus.OK.value
    while state["stage"] != Stage.STRATEGY and state["stage"] != Stage.MARKING:
        exits = state["stage"] == Stage.FIRST_EXITS or state["stage"] == Stage.SECOND_EXITS
        status = _sweep(ledger, bar, exits)
        if status != StepStatus.OK:
            return status
    drop_finished(ledger)
    return StepStatus.OK.value


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
        state["stage"] = Stage.FIRST_EXITS
    if state["stage"] < Stage.STRATEGY:
        status = _fill_pass(ledger, bar)
        if status != StepStatus.OK:
            return status
        mark(ledger, bar)
    return StepStatus.OK.value


@kernel
def close_bar(ledger: Ledger, bar: Bar) -> int:
    """End a bar: in SAME_BAR mode fill what the strategy ordered; mark, widen excursions, record account value and cash.

    ledger: in-out. bar: in, `equity` and `cash` of its record out. Returns a StepStatus.
    """
    state = ledger.state[0]
    if state["stage"] == Stage.STRATEGY:
        state["stage"] = Stage.SECOND_EXITS if ledger.params[0]["same_bar"] == 1 else Stage.MARKING
    if state["stage"] != Stage.MARKING:
        status = _fill_pass(ledger, bar)
        if status != StepStatus.OK:
            return status
    mark(ledger, bar)
    record = bar.record[0]
    record["equity"] = state["equity"]
    record["cash"] = state["cash"]
    state["stage"] = Stage.CLOSED
    return StepStatus.OK.value
