"""Apply a fill to cash, position and trades; mark positions to the market."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import ExitReason, Stage, TradeStatus
from .dtypes import NO_SLOT, Record
from .ledger import Bar, Ledger
from .margin import DUST, opening_quantity
from .pnl import average, excursion, notional, profit

__all__ = ["append_fill", "apply_fill", "mark"]


@kernel
def append_fill(ledger: Ledger, order: Record, quantity: float, price: float, slippage: float, commission: float) -> Record:
    """Write the next fill row and return it. The caller has made sure that there is room.

    ledger: in-out. order: record order_dtype (in). quantity: signed. price: after slippage. slippage: per unit.
    commission: money.
    """
    state = ledger.state[0]
    fill = ledger.fills[state["fill_count"]]
    state["fill_count"] += 1
    fill["order_id"] = order["order_id"]
    fill["asset"] = order["asset"]
    fill["quantity"] = quantity
    fill["price"] = price
    fill["timestamp"] = state["time"]
    fill["bar"] = state["bar"]
    fill["commission"] = commission
    fill["slippage"] = slippage
    return fill


@kernel
def _append_trade(ledger: Ledger, fill: Record, quantity: float, entry_commission: float, exit_commission: float, status: int) -> None:
    """Write the trade that a fill makes out of `quantity` (signed as the position) of the open position.

    ledger: in-out. fill: record fill_dtype (in). Commissions: money. status: code TradeStatus.
    """
    state = ledger.state[0]
    asset = fill["asset"]
    position = ledger.positions[asset]
    multiplier = ledger.contracts[asset]["multiplier"]
    price = fill["price"]
    trade = ledger.trades[state["trade_count"]]
    state["trade_count"] += 1
    trade["asset"] = asset
    trade["entry_time"] = position["entry_time"]
    trade["exit_time"] = fill["timestamp"]
    trade["entry_price"] = position["entry_price"]
    trade["exit_price"] = price
    trade["quantity"] = quantity
    trade["pnl"] = profit(position["entry_price"], price, quantity, multiplier) - entry_commission - exit_commission
    move = excursion(position["entry_price"], price, quantity)
    trade["pnl_percent"] = move
    trade["bars_held"] = fill["bar"] - position["entry_bar"]
    trade["commission"] = entry_commission + exit_commission
    trade["slippage"] = (position["entry_slippage"] + fill["slippage"]) * abs(quantity) * multiplier
    trade["entry_slippage"] = position["entry_slippage"]
    trade["exit_slippage"] = fill["slippage"]
    best = position["max_favorable_excursion"]
    worst = position["max_adverse_excursion"]
    trade["mfe"] = move if move > best else best
    trade["mae"] = move if move < worst else worst
    trade["multiplier"] = multiplier
    trade["status"] = status
    trade["exit_reason"] = ExitReason.SIGNAL


@kernel
def _compact_open_list(ledger: Ledger) -> None:
    """Close the gaps that closed positions left in the open list (ledger: in-out)."""
    state = ledger.state[0]
    kept = 0
    for place in range(state["open_count"]):
        asset = int(ledger.open_list[place])
        if asset >= 0:
            ledger.open_list[kept] = asset
            ledger.positions[asset]["slot"] = kept
            kept += 1
    state["open_count"] = kept
    state["open_gaps"] = 0


@kernel
def _open_position(ledger: Ledger, fill: Record, quantity: float, commission: float) -> None:
    """Start a position of `quantity` (signed) from a fill; a flip keeps its place in the open list (ledger: in-out)."""
    state = ledger.state[0]
    asset = fill["asset"]
    position = ledger.positions[asset]
    position["quantity"] = quantity
    position["entry_price"] = fill["price"]
    position["current_price"] = fill["price"]
    position["initial_quantity"] = quantity
    position["entry_commission"] = commission
    position["entry_slippage"] = fill["slippage"]
    position["max_favorable_excursion"] = 0.0
    position["max_adverse_excursion"] = 0.0
    position["entry_time"] = fill["timestamp"]
    position["entry_bar"] = fill["bar"]
    if position["slot"] < 0:
        if state["open_count"] == state["open_capacity"]:
            _compact_open_list(ledger)
        position["slot"] = state["open_count"]
        ledger.open_list[state["open_count"]] = asset
        state["open_count"] += 1


@kernel
def _close_position(ledger: Ledger, asset: int) -> None:
    """Make the position of an asset flat (ledger: in-out)."""
    position = ledger.positions[asset]
    position["quantity"] = 0.0
    position["entry_commission"] = 0.0
    ledger.open_list[position["slot"]] = NO_SLOT
    position["slot"] = NO_SLOT
    ledger.state[0]["open_gaps"] += 1


@kernel
def _change_position(ledger: Ledger, fill: Record) -> None:
    """Open, add to, reduce, close or flip the position of a fill, and write the trade if there is one (ledger: in-out)."""
    position = ledger.positions[fill["asset"]]
    held = position["quantity"]
    quantity = fill["quantity"]
    commission = fill["commission"]
    new = held + quantity
    if held == 0.0:
        _open_position(ledger, fill, quantity, commission)
    elif abs(new) <= DUST * abs(held):
        _append_trade(ledger, fill, held, position["entry_commission"], commission, TradeStatus.CLOSED)
        _close_position(ledger, fill["asset"])
    elif held * quantity > 0.0:
        position["entry_price"] = average(held, position["entry_price"], quantity, fill["price"])
        position["entry_slippage"] = average(held, position["entry_slippage"], quantity, fill["slippage"])
        position["entry_commission"] += commission
        position["quantity"] = new
    elif abs(quantity) < abs(held):
        share = position["entry_commission"] * (abs(quantity) / abs(held))
        _append_trade(ledger, fill, -quantity, share, commission, TradeStatus.PARTIAL)
        position["entry_commission"] -= share
        position["quantity"] = new
    else:
        exit_commission = commission * (abs(held) / abs(quantity))
        _append_trade(ledger, fill, held, position["entry_commission"], exit_commission, TradeStatus.CLOSED)
        _open_position(ledger, fill, new, commission - exit_commission)


@kernel
def apply_fill(ledger: Ledger, fill: Record) -> None:
    """Move cash, position and trades by a fill that the account can afford.

    ledger: in-out. fill: record fill_dtype (in-out: `position` is written).
    """
    state = ledger.state[0]
    asset = fill["asset"]
    position = ledger.positions[asset]
    quantity = fill["quantity"]
    multiplier = ledger.contracts[asset]["multiplier"]
    cash = state["cash"] - notional(quantity, fill["price"], multiplier) - fill["commission"]
    if cash < 0.0 < quantity and opening_quantity(position["quantity"], quantity) > 0.0:
        # The gate lets an all-in buy through when it misses by rounding only; the account is then empty, not negative.
        cash = 0.0
    state["cash"] = cash
    _change_position(ledger, fill)
    fill["position"] = position["quantity"]


@kernel
def _take_excursion(position: Record) -> None:
    """Widen the favourable and adverse excursions of a position by its current price (position: in-out)."""
    move = excursion(position["entry_price"], position["current_price"], position["quantity"])
    if move > position["max_favorable_excursion"]:
        position["max_favorable_excursion"] = move
    if move < position["max_adverse_excursion"]:
        position["max_adverse_excursion"] = move


@kernel
def mark(ledger: Ledger, bar: Bar) -> None:
    """Mark every open position that has a bar and total the account value; at the end of a bar also widen excursions.

    ledger: in-out (positions, open list, state.equity; the stage tells whether the bar ends). bar: in.
    """
    state = ledger.state[0]
    if state["open_gaps"] > 0:
        _compact_open_list(ledger)
    closing = state["stage"] == Stage.MARKING
    equity = state["cash"]
    for place in range(state["open_count"]):
        asset = int(ledger.open_list[place])
        position = ledger.positions[asset]
        close = bar.close[asset]
        if not isnan(close):
            position["current_price"] = close
            if closing:
                _take_excursion(position)
        equity += notional(position["quantity"], position["current_price"], ledger.contracts[asset]["multiplier"])
    state["equity"] = equity
