"""Apply a fill to cash, position and trade row; mark positions to the market.

Hot paths take single rows: a record travels as one pointer, an array as seven words.
"""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import BarFlag, ExitReason, InitialMark, PriceField, Stage, TradeStatus
from .dtypes import NO_SLOT, IntArray, Record, Records, Special
from .fill import last_close, market_price
from .freecash import settle
from .ledger import Bar, Item, Ledger
from .margin import CASH_TOLERANCE, DUST, initial_requirement, locked_value, maintenance_requirement, opening_quantity
from .pnl import average, excursion, notional, profit

__all__ = ["apply_fill", "close_fraction", "close_gaps", "mark", "write_fill"]


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
    trade["entry_order"] = position["entry_order"]
    trade["status"] = TradeStatus.CLOSED


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
def _open_position(state: Record, position: Record, fill: Record, order: Record, quantity: float, commission: float) -> None:
    """Start a position of `quantity` (signed) from a fill, all but its place in the open list and its water marks.

    state, position: in-out. fill, order: in. commission: money.
    """
    state["positions_opened"] += 1
    position["position_id"] = state["positions_opened"]
    position["quantity"] = quantity
    position["entry_price"] = fill["price"]
    position["initial_quantity"] = quantity
    position["entry_commission"] = commission
    position["entry_slippage"] = fill["slippage"]
    position["signal_price"] = order["signal_price"]
    position["max_favorable_excursion"] = 0.0
    position["max_adverse_excursion"] = 0.0
    position["entry_time"] = fill["timestamp"]
    position["entry_bar"] = fill["bar"]
    position["entry_order"] = fill["order_id"]
    position["exit_order"] = 0
    position["rule_set"] = 0


@kernel
def _place_marks(params: Record, position: Record, price: float, high: float, low: float, close: float) -> None:
    """Set the water marks of a new position.

    params: in. position: in-out. price: of the fill. high, low, close: of the bar.
    """
    position["high_water_mark"] = price
    position["low_water_mark"] = price
    source = params["initial_mark"]
    if source == InitialMark.BAR_CLOSE and not isnan(close):
        position["high_water_mark"] = close
        position["low_water_mark"] = close
    elif source == InitialMark.BAR_HIGH:
        position["high_water_mark"] = high
        position["low_water_mark"] = low
    elif source == InitialMark.SIGNAL_PRICE and not isnan(position["signal_price"]):
        position["high_water_mark"] = position["signal_price"]
        position["low_water_mark"] = position["signal_price"]


@kernel
def _leave(state: Record, position: Record, open_list: IntArray) -> None:
    """Take a closed position off the books (all in-out)."""
    position["quantity"] = 0.0
    position["entry_commission"] = 0.0
    position["position_id"] = 0
    position["basis"] = 0.0
    open_list[position["slot"]] = NO_SLOT
    position["slot"] = NO_SLOT
    state["open_gaps"] += 1
    state["open_positions"] -= 1


@kernel
def _change_position(ledger: Ledger, item: Item, fill: Record, trade: Record, special: Special) -> int:
    """Open, add to, reduce, close or flip the position of a fill, and write the trade if there is one.

    ledger, item, trade: in-out. fill: in. Returns 1 when water marks have to start anew.
    """
    state, open_list = ledger.state[0], ledger.open_list
    order, position, contract = item.order, item.position, item.contract
    dust = DUST if special is None else special["dust"]
    held = position["quantity"]
    quantity = fill["quantity"]
    commission = fill["commission"]
    multiplier = contract["multiplier"]
    new = held + quantity
    if held == 0.0:
        _open_position(state, position, fill, order, quantity, commission)
        position["slot"] = state["open_count"]
        open_list[state["open_count"]] = fill["asset"]
        state["open_count"] += 1
        state["open_positions"] += 1
        return 1
    trade["exit_reason"] = order["exit_reason"]
    trade["exit_order"] = fill["order_id"]
    if abs(new) <= dust * abs(held):
        _write_trade(state, position, fill, trade, multiplier, held, position["entry_commission"], commission)
        _leave(state, position, open_list)
    elif held * quantity > 0.0:
        position["entry_price"] = average(held, position["entry_price"], quantity, fill["price"])
        position["entry_slippage"] = average(held, position["entry_slippage"], quantity, fill["slippage"])
        position["entry_commission"] += commission
        position["quantity"] = new
        if special is not None and special["stop_reset_on_add"] == 1:
            position["signal_price"] = order["signal_price"]
            return 1
    elif abs(quantity) < abs(held):
        share = position["entry_commission"] * (abs(quantity) / abs(held))
        _write_trade(state, position, fill, trade, multiplier, -quantity, share, commission)
        trade["status"] = TradeStatus.PARTIAL
        position["entry_commission"] -= share
        position["quantity"] = new
    else:
        exit_commission = commission * (abs(held) / abs(quantity))
        _write_trade(state, position, fill, trade, multiplier, held, position["entry_commission"], exit_commission)
        _open_position(state, position, fill, order, new, commission - exit_commission)
        return 1
    return 0


@kernel
def _settle_variation(position: Record, held: float, quantity: float, price: float, multiplier: float, settles_all: bool) -> float:  # noqa: FBT001
    """Return what a future's fill pays for the part that it closes, and move the basis [money].

    position: in-out. held, quantity: signed, before the fill. price: of the fill. multiplier: money per point and unit. settles_all:
    a fill that adds settles what was held before.
    """
    paid = position["basis"]
    if held * quantity >= 0.0:
        if settles_all and held != 0.0:
            position["basis"] = price
            return held * (price - paid) * multiplier  # type: ignore[no-any-return]
        position["basis"] = price if held == 0.0 else average(held, paid, quantity, price)
        return 0.0
    opening = opening_quantity(held, quantity)
    if opening > 0.0:
        position["basis"] = price
        return held * (price - paid) * multiplier  # type: ignore[no-any-return]
    closed = -quantity if abs(held + quantity) > DUST * abs(held) else held
    return closed * (price - paid) * multiplier  # type: ignore[no-any-return]


@kernel
def _move_cash(ledger: Ledger, item: Item, fill: Record, special: Special) -> None:
    """Move cash by a fill (ledger, item: in-out; fill, special: in)."""
    state, params, position, contract, holds = ledger.state[0], ledger.params[0], item.position, item.contract, ledger.holds
    if special is not None and special["clearing"] != 0:
        settle(state, position)
        return
    quantity = fill["quantity"]
    before = state["cash"]
    if contract["settles"] == 1:
        held, settles_all = position["quantity"], special is not None and special["open_cash_check"] == 1
        paid = _settle_variation(position, held, quantity, fill["price"], contract["multiplier"], settles_all)
        cash = before + paid - fill["commission"]
    else:
        value = notional(quantity, fill["price"], contract["multiplier"])
        cash = before - value - fill["commission"]
        if cash < 0.0 < quantity and params["leverage"] == 0:
            opened = opening_quantity(position["quantity"], quantity) * fill["price"] * contract["multiplier"]
            if -cash <= 2.0 * CASH_TOLERANCE * opened:
                # The gate lets an all-in buy through when it misses by rounding only; the account is then empty, not negative.
                cash = 0.0
    state["cash"] = cash
    if params["settlement_delay"] > 0 and params["leverage"] == 0 and cash > before:
        holds[(state["bar"] + params["settlement_delay"]) % len(holds)] += cash - before
        state["unsettled"] += cash - before


@kernel
def apply_fill(ledger: Ledger, item: Item, bar: Bar, fill: Record, trade: Record, special: Special) -> None:
    """Move cash, position and running totals by a fill that the account can afford, and write the trade that it closes.

    ledger, the position of item: in-out. bar: in. fill: in, `position` out. trade: the row after the last (out, if
    something closes). special: params or None. The caller has made sure that the open list has room.
    """
    state, params, position, contract = ledger.state[0], ledger.params[0], item.position, item.contract
    multiplier, price = contract["multiplier"], fill["price"]
    held, mark, paid, cash = position["quantity"], position["current_price"], position["basis"], state["cash"]
    locked = locked_value(position, contract)
    _move_cash(ledger, item, fill, special)
    if _change_position(ledger, item, fill, trade, special) == 1:
        asset = fill["asset"]
        position["marks_bar"] = fill["bar"]
        _place_marks(params, position, price, bar.high[asset], bar.low[asset], bar.close[asset])
    position["current_price"] = price
    new = position["quantity"]
    fill["position"] = new
    if params["leverage"] == 1:
        state["equity"] = (
            state["equity"] - held * (mark - paid) * multiplier + new * (price - position["basis"]) * multiplier + (state["cash"] - cash)
        )
        state["initial_requirement"] = (
            state["initial_requirement"] - initial_requirement(contract, held, mark) + initial_requirement(contract, new, price)
        )
        state["maintenance_requirement"] = (
            state["maintenance_requirement"] - maintenance_requirement(contract, held, mark) + maintenance_requirement(contract, new, price)
        )
    elif params["short_cash_policy"] != 0:
        state["short_value"] = state["short_value"] - locked + locked_value(position, contract)


@kernel
def close_fraction(ledger: Ledger, asset: int, quantity: float, price: float) -> None:
    """Take a part of a position that was paid out off the books, without costs.

    ledger: in-out; the caller moves the cash and has made sure of room for a fill, which is scratch here, and a trade. asset: column.
    quantity: signed as the position. price: at which it was paid out.
    """
    state, position, contract = ledger.state[0], ledger.positions[asset], ledger.contracts[asset]
    fill, trade = ledger.fills[state["fill_count"]], ledger.trades[state["trade_count"]]
    held = position["quantity"]
    fill["asset"] = asset
    fill["price"] = price
    fill["timestamp"] = state["time"]
    fill["bar"] = state["bar"]
    fill["slippage"] = 0.0
    trade["exit_reason"] = ExitReason.CORPORATE_ACTION
    trade["exit_order"] = 0
    share = position["entry_commission"] * (abs(quantity) / abs(held))
    _write_trade(state, position, fill, trade, contract["multiplier"], quantity, share, 0.0)
    if quantity == held:
        _leave(state, position, ledger.open_list)
        return
    trade["status"] = TradeStatus.PARTIAL
    position["entry_commission"] -= share
    position["quantity"] = held - quantity


@kernel
def _widen(position: Record, high: float, low: float, close: float, number: int) -> None:
    """Widen excursions and water marks at the end of a bar by what of its range came after their start.

    position: in-out. high, low: of the bar, both the close where only that counts. close, number: of the bar.
    """
    held, entry = position["quantity"], position["entry_price"]
    if position["entry_bar"] >= number:
        high = low = close
    mark_high, mark_low = high, low
    if position["marks_bar"] >= number:
        mark_high = mark_low = close
    # Prices go either way as they like: choosing a value costs less than a wrong guess which way.
    highest, lowest = position["high_water_mark"], position["low_water_mark"]
    position["high_water_mark"] = mark_high if mark_high > highest else highest
    position["low_water_mark"] = mark_low if mark_low < lowest else lowest
    best = excursion(entry, high if held > 0.0 else low, held)
    worst = best if high == low else excursion(entry, low if held > 0.0 else high, held)
    most, least = position["max_favorable_excursion"], position["max_adverse_excursion"]
    position["max_favorable_excursion"] = best if best > most else most
    position["max_adverse_excursion"] = worst if worst < least else least


@kernel
def _unpriced_mark(position: Record, bar: Bar, asset: int, special: Special) -> float:
    """Return the mark of a position whose asset (column) has no bar: as before, or the last close where orders may trade on it again.

    position: in-out. bar: in. special: params or None.
    """
    if special is not None and special["last_bar_again"] == 1:
        position["current_price"] = last_close(bar, asset)
    return position["current_price"]  # type: ignore[no-any-return]


@kernel
def _settle_futures(ledger: Ledger, bar: Bar, special: Special) -> None:
    """Pay the variation of futures since the last settlement into cash (ledger: in-out; bar, special: in)."""
    state = ledger.state[0]
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        if asset < 0 or ledger.contracts[asset]["settles"] == 0:
            continue
        position = ledger.positions[asset]
        if isnan(bar.close[asset]):
            _unpriced_mark(position, bar, asset, special)
        else:
            position["current_price"] = bar.close[asset]
        state["cash"] += position["quantity"] * (position["current_price"] - position["basis"]) * ledger.contracts[asset]["multiplier"]
        position["basis"] = position["current_price"]


@kernel
def mark(ledger: Ledger, bar: Bar, special: Special) -> None:
    """Mark every open position that has a price and total the account value, in leveraged accounts also the requirements.

    ledger: in-out. bar: in. special: params or None. The stage tells the price: before a fill pass its own, else the close. At the
    end of a bar excursions are widened and, when a session ends, futures settle.
    """
    state, params = ledger.state[0], ledger.params[0]
    closing = state["stage"] == Stage.MARKING
    at_close = state["stage"] == Stage.CLOSING_TOTALS
    at_pass = state["stage"] == Stage.FIRST_TOTALS or state["stage"] == Stage.SECOND_TOTALS or at_close
    if state["open_gaps"] > 0:
        close_gaps(state, ledger.positions, ledger.open_list)
    if closing and state["settling"] == 1 and bar.record[0]["flags"] & BarFlag.LAST_OF_SESSION.value:
        _settle_futures(ledger, bar, special)
    equity = state["cash"]
    initial = maintenance = shorts = 0.0
    # Settings and clock are read once: a store to a position may alias them, so the compiler would load them again for each.
    requirements, extreme = params["leverage"] == 1, params["marks_extreme"] == 1
    price_field, number = PriceField.CLOSE.value if at_close else params["price_field"], state["bar"]
    for place in range(state["open_count"]):
        asset = ledger.open_list[place]
        position = ledger.positions[asset]
        price = market_price(price_field, bar, asset, bar.close[asset]) if at_pass else bar.close[asset]
        if isnan(price):
            price = _unpriced_mark(position, bar, asset, special)
        else:
            position["current_price"] = price
            if closing:
                if extreme:
                    _widen(position, bar.high[asset], bar.low[asset], price, number)
                else:
                    _widen(position, price, price, price, number)
        held = position["quantity"]
        equity += notional(held, price - position["basis"], position["multiplier"])
        if requirements:
            contract = ledger.contracts[asset]
            initial += initial_requirement(contract, held, price)
            maintenance += maintenance_requirement(contract, held, price)
        elif at_pass:
            shorts += locked_value(position, ledger.contracts[asset])
    state["equity"] = equity
    state["initial_requirement"] = initial
    state["maintenance_requirement"] = maintenance
    if at_pass:
        state["short_value"] = shorts
