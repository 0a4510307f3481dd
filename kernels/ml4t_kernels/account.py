"""Apply a fill to cash, position and trade row; mark positions to the market.

Hot paths take single rows: a record travels as one pointer, an array as seven words.
"""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import ExitReason, Stage, TradeStatus
from .dtypes import NO_SLOT, FloatArray, IntArray, Record, Records
from .margin import DUST, opening_quantity
from .pnl import average, excursion, notional, profit

__all__ = ["apply_fill", "close_gaps", "mark", "write_fill"]


@kernel
def write_fill(state: Record, order: Record, fill: Record, quantity: float, price: float, slippage: float, commission: float) -> None:
    """Write the next fill row and count it.

    state: in-out. order: in. fill: the row after the last (out; `position` is left to `apply_fill`). quantity: signed. price: after
    slippage. slippage: per unit. commission: money.
    """
    state["fill_count"] += 1
    fill["order_id"] = order["order_id"]
    fill["asset"] = order["asset"]
    fill["quantity"] = quantity
    fill["price"] = price
    fill["timestamp"] = state["time"]
    fill["bar"] = state["bar"]
    fill["commission"] = commission
    fill["slippage"] = slippage


@kernel
def _write_trade(
    state: Record, position: Record, fill: Record, trade: Record, multiplier: float, quantity: float, entry_share: float, exit_share: float
) -> None:
    """Write the trade that a fill makes out of `quantity` (signed as the position) of the open position, and count it.

    state, trade: in-out. position, fill: in. entry_share, exit_share: commissions [money]. The status is CLOSED.
    """
    state["trade_count"] += 1
    entry = position["entry_price"]
    price = fill["price"]
    trade["asset"] = fill["asset"]
    trade["entry_time"] = position["entry_time"]
    trade["exit_time"] = fill["timestamp"]
    trade["entry_price"] = entry
    trade["exit_price"] = price
    trade["quantity"] = quantity
    trade["pnl"] = profit(entry, price, quantity, multiplier) - entry_share - exit_share
    move = excursion(entry, price, quantity)
    trade["pnl_percent"] = move
    trade["bars_held"] = fill["bar"] - position["entry_bar"]
    trade["commission"] = entry_share + exit_share
    trade["slippage"] = (position["entry_slippage"] + fill["slippage"]) * abs(quantity) * multiplier
    trade["entry_slippage"] = position["entry_slippage"]
    trade["exit_slippage"] = fill["slippage"]
    best = position["max_favorable_excursion"]
    worst = position["max_adverse_excursion"]
    trade["mfe"] = move if move > best else best
    trade["mae"] = move if move < worst else worst
    trade["multiplier"] = multiplier
    trade["status"] = TradeStatus.CLOSED
    trade["exit_reason"] = ExitReason.SIGNAL


@kernel
def close_gaps(state: Record, positions: Records, open_list: IntArray) -> None:
    """Close the gaps that closed positions left in the open list (state, positions, open_list: in-out)."""
    kept = 0
    for place in range(state["open_count"]):
        asset = open_list[place]
        if asset >= 0:
            open_list[kept] = asset
            positions[asset]["slot"] = kept
            kept += 1
    state["open_count"] = kept
    state["open_gaps"] = 0


@kernel
def _open_position(state: Record, position: Record, fill: Record, quantity: float, commission: float, open_list: IntArray) -> None:
    """Start a position of `quantity` (signed) from a fill; a flip keeps its place in the open list.

    state, position, open_list: in-out; the caller has made sure that the list has room. fill: in. commission: money.
    """
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
        position["slot"] = state["open_count"]
        open_list[state["open_count"]] = fill["asset"]
        state["open_count"] += 1


@kernel
def _change_position(state: Record, position: Record, fill: Record, trade: Record, multiplier: float, open_list: IntArray) -> None:
    """Open, add to, reduce, close or flip the position of a fill, and write the trade if there is one.

    state, position, trade, open_list: in-out. fill: in.
    """
    held = position["quantity"]
    quantity = fill["quantity"]
    commission = fill["commission"]
    new = held + quantity
    if held == 0.0:
        _open_position(state, position, fill, quantity, commission, open_list)
    elif abs(new) <= DUST * abs(held):
        _write_trade(state, position, fill, trade, multiplier, held, position["entry_commission"], commission)
        position["quantity"] = 0.0
        position["entry_commission"] = 0.0
        open_list[position["slot"]] = NO_SLOT
        position["slot"] = NO_SLOT
        state["open_gaps"] += 1
    elif held * quantity > 0.0:
        position["entry_price"] = average(held, position["entry_price"], quantity, fill["price"])
        position["entry_slippage"] = average(held, position["entry_slippage"], quantity, fill["slippage"])
        position["entry_commission"] += commission
        position["quantity"] = new
    elif abs(quantity) < abs(held):
        share = position["entry_commission"] * (abs(quantity) / abs(held))
        _write_trade(state, position, fill, trade, multiplier, -quantity, share, commission)
        trade["status"] = TradeStatus.PARTIAL
        position["entry_commission"] -= share
        position["quantity"] = new
    else:
        exit_commission = commission * (abs(held) / abs(quantity))
        _write_trade(state, position, fill, trade, multiplier, held, position["entry_commission"], exit_commission)
        _open_position(state, position, fill, new, commission - exit_commission, open_list)


@kernel
def apply_fill(state: Record, position: Record, fill: Record, trade: Record, multiplier: float, open_list: IntArray) -> None:
    """Move cash and position by a fill that the account can afford, and write the trade that it closes.

    state, position, open_list: in-out. fill: in, `position` out. trade: the row after the last (out, if something closes).
    multiplier: money per point and unit. The caller has made sure that the open list has room.
    """
    quantity = fill["quantity"]
    cash = state["cash"] - notional(quantity, fill["price"], multiplier) - fill["commission"]
    if cash < 0.0 < quantity and opening_quantity(position["quantity"], quantity) > 0.0:
        # The gate lets an all-in buy through when it misses by rounding only; the account is then empty, not negative.
        cash = 0.0
    state["cash"] = cash
    _change_position(state, position, fill, trade, multiplier, open_list)
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
def mark(state: Record, positions: Records, contracts: Records, open_list: IntArray, close: FloatArray) -> None:
    """Mark every open position that has a close and total the account value; at the end of a bar also widen excursions.

    state (the stage tells whether the bar ends), positions, open_list: in-out. contracts: in. close: float64[assets] (in).
    """
    equity = state["cash"]
    if state["open_gaps"] > 0:
        close_gaps(state, positions, open_list)
    closing = state["stage"] == Stage.MARKING
    for place in range(state["open_count"]):
        asset = open_list[place]
        position = positions[asset]
        price = close[asset]
        if not isnan(price):
            position["current_price"] = price
            if closing:
                _take_excursion(position)
        equity += notional(position["quantity"], position["current_price"], contracts[asset]["multiplier"])
    state["equity"] = equity
