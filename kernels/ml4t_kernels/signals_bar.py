"""One bar of a signal run on which something may happen: the entry points that work through any bar, and the decision between them.

Everything that decides about money is the ledger's. Its compiled entry points are called by address, as a host in Python would, so that
nothing of the ledger is compiled again.
"""

from __future__ import annotations

from math import isinf, isnan

import numpy as np

from ._jit import array_at, call_entry, kernel
from .codes import OrderType, Stage, StepStatus
from .dtypes import NO_PRICE, UNBOUNDED, Record
from .dtypes import order_dtype as _order_dtype
from .ledger import Ledger
from .orders import submit
from .signals_orders import order_of

__all__ = ["forget_orders", "tally", "work"]

_ORDER_BYTES = _order_dtype.itemsize
_ROOM = 4  # orders that one bar may add


@kernel
def _act(ledger: Ledger, close: float, action: int, size: float, kind: int) -> None:
    """Submit the order of an action (ledger: in-out; action: code SignalAction; size, kind: of entries)."""
    price, pays_all = close * ledger.contracts[0]["multiplier"], ledger.params[0]["clearing"] != 0
    quantity, reduces = order_of(action, ledger.positions[0]["quantity"], size, kind, price, ledger.state[0]["equity"], pays_all)
    if isnan(quantity):
        return
    side, everything = 1.0 if quantity > 0.0 else -1.0, isinf(quantity)
    if everything:
        quantity = side * max(1.0, ledger.contracts[0]["lot_size"])  # anything that is not refused
    placed = submit(ledger, 0, close, quantity, OrderType.MARKET, NO_PRICE, NO_PRICE, reduces)
    if everything:
        order = ledger.orders[placed - 1]
        order["quantity"] = side * UNBOUNDED
        order["cash_fraction"] = min(size, 1.0)


@kernel
def _open(ledger: Ledger, job: Record, bar: int) -> int:
    """Go on from a closed bar to the decision of bar `bar`. Returns a StepStatus (ledger: in-out; job: in).

    Where nothing waits it does what the step would do, which has no events, interest or settlement to see to in a signal run: a flat
    account is worth its cash, and with a position the rules come first.
    """
    state, rules = ledger.state[0], job["rules_address"]
    if state["live_count"] == 0 and state["open_positions"] == 0 and job["keeps"] == 0:
        state["bar"], state["row"], state["stage"] = bar, bar, Stage.STRATEGY
        state["equity"], state["initial_requirement"], state["maintenance_requirement"] = state["cash"], 0.0, 0.0
        return StepStatus.OK.value
    if state["open_positions"] > 0 and rules != 0 and job["keeps"] == 0:
        state["bar"], state["row"], state["stage"] = bar, bar, Stage.RULES
        status = call_entry(rules, job["state_address"])
        if status != StepStatus.OK:
            return status
    else:
        state["bar"], state["row"], state["stage"] = bar - 1, bar - 1, Stage.CLOSED
    return _step(job)


@kernel
def _step(job: Record) -> int:
    """Go on to the decision or to the end of the bar, whichever is next, by the ledger's entry points. Returns a StepStatus (job: in)."""
    address = job["state_address"]
    status = call_entry(job["advance_address"], address)
    if status == StepStatus.RUN_RULES:
        status = call_entry(job["rules_address"], address)
        if status == StepStatus.OK:
            status = call_entry(job["advance_address"], address)
    return StepStatus.OK.value if status == StepStatus.OK_WITH_FILLS else status


@kernel
def work(ledger: Ledger, job: Record, bar: int, close: float, actions: int, size: float, kind: int) -> int:
    """Work through one bar. Returns a StepStatus; other than OK, the host makes room and the run starts anew.

    ledger: in-out. job: in. bar: its number. close: of the asset. actions: what the signals of the bar come to when flat, long and
    short, code SignalAction, in three groups of four bits, 0 for nothing. size, kind: of entries, code SizeKind.
    """
    state, orders = ledger.state[0], ledger.state[0]["order_count"]
    if orders + _ROOM > state["order_capacity"]:
        return StepStatus.GROW_ORDERS.value
    state["rows"] = bar + 1  # closing this bar opens none after it
    status = _open(ledger, job, bar)
    if status != StepStatus.OK:
        return status
    if actions != 0 and state["order_count"] == orders and not isnan(close):  # where a rule had its turn signals are dropped
        held = ledger.positions[0]["quantity"]
        action = (actions if held == 0.0 else (actions >> 4 if held > 0.0 else actions >> 8)) & 15
        if action != 0:
            _act(ledger, close, action, size, kind)
    return _step(job)


@kernel
def tally(ledger: Ledger, outcome: Record, first_fill: int, first_trade: int) -> None:
    """Add the fills from row `first_fill` on and the trades from `first_trade` on to what a set leaves behind (outcome: in-out)."""
    state = ledger.state[0]
    for row in range(first_fill, state["fill_count"]):
        fill = ledger.fills[row]
        outcome["num_fills"] += 1
        outcome["total_commission"] += fill["commission"]
        outcome["total_slippage"] += fill["slippage"] * abs(fill["quantity"]) * ledger.contracts[fill["asset"]]["multiplier"]
    for row in range(first_trade, state["trade_count"]):
        trade = ledger.trades[row]
        pnl, move = trade["pnl"], trade["pnl_percent"]
        gross, notional = pnl + trade["commission"], abs(trade["entry_price"] * trade["quantity"]) * trade["multiplier"]
        outcome["num_trades"] += 1
        outcome["total_pnl"] += pnl
        outcome["moved"] += move
        outcome["bars_held"] += trade["bars_held"]
        outcome["total_gross_pnl"] += gross
        if gross > 0.0:
            outcome["gained_gross"] += gross
        else:
            outcome["lost_gross"] += gross
        if notional > 0.0:
            outcome["cost_drag"] += (trade["commission"] + trade["slippage"]) / notional
        if pnl > 0.0:
            outcome["winning_trades"] += 1
            outcome["gross_profit"] += pnl
            outcome["won"] += move
            outcome["largest_win"] = max(outcome["largest_win"], move)
        elif pnl < 0.0:
            outcome["losing_trades"] += 1
            outcome["gross_loss"] += pnl
            outcome["lost"] += move
            outcome["largest_loss"] = min(outcome["largest_loss"], move)


@kernel
def forget_orders(ledger: Ledger) -> None:
    """Take fills, trades and finished orders off the records, whose rows are zeros when they are not used (ledger: in-out)."""
    state = ledger.state[0]
    state["fill_count"] = 0
    state["trade_count"] = 0
    if state["live_count"] != 0 or state["order_count"] == 0:
        return
    used = array_at(state["orders_address"], state["order_count"] * _ORDER_BYTES, np.uint8)
    for place in range(len(used)):
        used[place] = 0
    state["order_count"] = 0
    ledger.positions[0]["exit_order"] = 0
