"""One order's turn in a fill pass: does it trade, how much, at what price, may it, and what follows from the fill.

The steps are numbered as in docs/execution.md. Nothing is changed before the host's functions (cost models in Python) have
answered, so that a failing one leaves the ledger whole.
"""

from __future__ import annotations

from math import inf, isnan
from typing import NamedTuple

from ._jit import call_function, kernel
from .account import apply_fill, write_fill
from .basis import add_commission, move_basis
from .codes import ExitReason, OrderReason, OrderStatus, OrderType, SlippageKind, StepStatus, TimeInForce, TrailUpdate
from .dtypes import NO_PRICE, Record, Special
from .fill import base_price, is_satisfied, move_trail, quote_for
from .gate import affordable, check_limits, check_money, commission_of, is_for_money
from .ledger import Bar, Item, Ledger, Quote
from .links import release_siblings, trades_at_open, wake_children, yields
from .margin import opening_quantity
from .orders import end, finish, has_nothing_left, remaining_quantity
from .pnl import average
from .pricing import capped, slipped

__all__ = ["closes_without_limit", "is_exit", "take_turn"]


@kernel
def is_exit(order: Record, held: float) -> bool:
    """Tell whether an order only reduces what is held (signed)."""
    quantity = remaining_quantity(order)
    return order["reduce_only"] == 1 or (held * quantity < 0.0 and abs(quantity) <= abs(held))


@kernel
def closes_without_limit(order: Record) -> bool:
    """Tell whether an order is reduce-only and has no limit price (order: in)."""
    return order["reduce_only"] == 1 and isnan(order["limit_price"])


@kernel
def _is_over(ledger: Ledger, bar: Bar, order: Record, position: Record, special: Special) -> bool:
    """Step 1: end what has expired or lost its position. Returns True when the order is over (ledger, order: in-out)."""
    terms = order["time_in_force"]
    if terms == TimeInForce.DAY or terms == TimeInForce.GTD:
        session = bar.record[0]["session"] + 1
        late = terms == TimeInForce.GTD and bar.record[0]["time"] > order["good_till"]
        if special is not None and late and special["last_bar_again"] == 1 and isnan(bar.close[order["asset"]]):
            late = False
        if terms == TimeInForce.DAY:
            if order["session"] == 0:
                order["session"] = session
            late = order["session"] != session
        if late:
            end(ledger, order, OrderStatus.EXPIRED, OrderReason.TIME_IN_FORCE, special)
            return True
    if order["position_id"] != 0 and order["position_id"] != position["position_id"]:
        end(ledger, order, OrderStatus.CANCELLED, OrderReason.POSITION_CLOSED, special)
        return True
    return False


@kernel
def _place_trail(ledger: Ledger, order: Record, quote: Quote, number: int) -> bool:
    """Give a trailing stop its first level, or move it before the test. Returns False when it cannot trade on this bar.

    ledger: in. order: in-out. quote: in. number: of the bar.
    """
    update = ledger.params[0]["trail_update"]
    if isnan(order["stop_price"]):
        move_trail(order, quote.close, quote.close, quote.close, TrailUpdate.CLOSE)
        order["moved_bar"] = number + 1
        return False
    if order["moved_bar"] == number + 1:
        return False
    if update == TrailUpdate.BAR_FIRST and order["active_bar"] != number:
        move_trail(order, quote.high, quote.low, quote.close, update)
        order["moved_bar"] = number + 1
    return True


@kernel
def _volume_is_gone(ledger: Ledger, order: Record, volume: float, special: Record) -> bool:
    """Tell whether a bar without volume, or whose volume an order before has not found enough of, lets nothing trade (all in)."""
    if special["needs_volume"] == 0 and special["trigger_close"] == 0:
        return False
    spent = ledger.positions[order["asset"]]["spent_bar"] == ledger.state[0]["bar"] + 1
    gone = (volume == 0.0 and special["needs_volume"] == 1) or (spent and special["trigger_close"] == 1)
    return gone and order["exit_reason"] != ExitReason.END_OF_DATA  # type: ignore[no-any-return]


@kernel
def _base(ledger: Ledger, bar: Bar, order: Record, quote: Quote, special: Special) -> float:  # noqa: PLR0911
    """Step 2: the base price of an order, NaN when it waits (ledger, bar, quote: in; order: in-out)."""
    params, number = ledger.params[0], ledger.state[0]["bar"]
    kind = order["order_type"]
    if isnan(quote.close) or order["filled_bar"] == number + 1:
        return NO_PRICE
    if special is not None and _volume_is_gone(ledger, order, quote.volume, special):
        return NO_PRICE
    if kind == OrderType.MARKET:
        if not isnan(order["rule_price"]) and order["created_bar"] == number:
            return order["rule_price"]  # type: ignore[no-any-return]
        return quote.market
    if kind == OrderType.TRAILING_STOP and not _place_trail(ledger, order, quote, number):
        return NO_PRICE
    base, triggered = base_price(order, quote, params, number, special)
    if triggered > order["triggered"]:
        if order["triggered"] == 0:
            order["moved_bar"] = number + 1
        order["triggered"] = triggered
    if order["sibling_id"] != 0 and not isnan(base) and yields(ledger, bar, order, quote.gap, special):
        return NO_PRICE
    return base


@kernel
def _wanted(ledger: Ledger, order: Record, held: float) -> float:
    """Step 3: what is left to fill, cut to the position and to what the parent has filled; 0 for nothing (all in)."""
    quantity = remaining_quantity(order)
    if order["reduce_only"] == 1:
        if held * quantity >= 0.0:
            return 0.0
        if abs(quantity) > abs(held):
            quantity = -held
    if order["parent_id"] != 0:
        parent = ledger.orders[order["parent_id"] - 1]
        if parent["status"] == OrderStatus.PENDING:
            room = max(abs(parent["filled_quantity"]) - abs(order["filled_quantity"]), 0.0)
            if abs(quantity) > room:
                quantity = room if quantity > 0.0 else -room
    return quantity


@kernel
def _refuse(ledger: Ledger, order: Record, reason: int, need: float, have: float, special: Special) -> None:
    """End an order that was refused (ledger, order: in-out; the rest: in)."""
    order["need"] = need
    order["have"] = have
    silent = is_for_money(reason) and ledger.params[0]["reject_for_money"] == 0
    end(ledger, order, OrderStatus.CANCELLED.value if silent else OrderStatus.REJECTED.value, reason, special)


class Deal(NamedTuple):
    """What an order gets: signed quantity, price, base price, commission, and the part of it before the order's minimum [money]."""

    quantity: float
    price: float
    base: float
    cost: float
    raw: float


@kernel
def _record_fill(ledger: Ledger, item: Item, bar: Bar, done: Deal, special: Special) -> None:
    """Step 10: write the fill, apply it, and bring the order up to date (ledger, item: in-out)."""
    state, order, position = ledger.state[0], item.order, item.position
    quantity, price, cost = done.quantity, done.price, done.cost
    held = position["quantity"]
    if special is not None and special["splits_at_cost"] == 1 and 0 < position["basis_bar"] <= state["bar"]:
        add_commission(position)
    fill, trade = ledger.fills[state["fill_count"]], ledger.trades[state["trade_count"]]
    write_fill(state, order, fill, quantity, price, abs(price - done.base), cost)
    apply_fill(ledger, item, bar, fill, trade, special)
    if special is not None and special["splits_at_cost"] == 1:
        move_basis(position, held, quantity, price, cost, state["bar"])
    before = order["filled_quantity"]
    order["filled_price"] = price if before == 0.0 else average(before, order["filled_price"], quantity, price)
    order["filled_quantity"] = before + quantity
    order["filled_at"] = state["time"]
    order["filled_bar"] = state["bar"] + 1
    order["raw_commission"] += done.raw
    order["commission"] += cost
    if order["rule"] != 0 and position["quantity"] == 0.0 and order["created_bar"] == state["bar"]:
        position["blocked_bar"] = state["bar"] + 1


@kernel
def _settle_order(
    ledger: Ledger,
    item: Item,
    quantity: float,
    was_cut: bool,  # noqa: FBT001
    at_open: bool,  # noqa: FBT001
    flips: bool,  # noqa: FBT001
    special: Special,
) -> None:
    """Finish an order that has nothing left, and tell its children and siblings (ledger, item: in-out).

    quantity: filled just now, signed. was_cut: for money, which ends the order. flips: the closing part of a flip, whose opening
    part is for the children.
    """
    order = item.order
    emptied = order["reduce_only"] == 1 and item.position["quantity"] == 0.0
    if was_cut or emptied or has_nothing_left(order):
        finish(ledger.state[0], order, OrderStatus.FILLED, OrderReason.NONE)
    as_one = special is not None and special["linked_as_one"] == 1
    if order["has_children"] == 1 and (order["status"] == OrderStatus.FILLED if as_one else not flips):
        wake_children(ledger, order, at_open)  # before others end, which cancels all children that can never wake
    if emptied and order["parent_id"] != 0:
        parent = ledger.orders[order["parent_id"] - 1]
        if parent["status"] == OrderStatus.PENDING:
            # What the rest of the entry would buy from now on would have no exit.
            end(ledger, parent, OrderStatus.CANCELLED, OrderReason.POSITION_CLOSED, special)
    if order["sibling_id"] != 0:
        release_siblings(ledger, order, abs(quantity), special)


@kernel
def _wait(ledger: Ledger, bar: Bar, order: Record, special: Special) -> None:
    """End a turn that leaves an order pending: what had to trade at once expires, a trailing stop moves on.

    ledger, order: in-out. bar: in. A market order keeps in mind that it has seen a bar of its asset.
    """
    terms, number = order["time_in_force"], ledger.state[0]["bar"]
    if terms == TimeInForce.IOC or terms == TimeInForce.FOK:
        end(ledger, order, OrderStatus.EXPIRED, OrderReason.TIME_IN_FORCE, special)
    elif order["order_type"] == OrderType.TRAILING_STOP and order["moved_bar"] != number + 1 and order["active_bar"] != number:
        if order["filled_bar"] == number + 1 and ledger.params[0]["trail_update"] != TrailUpdate.CLOSE:
            return
        asset = order["asset"]
        if not isnan(bar.close[asset] + order["stop_price"]):
            move_trail(order, bar.high[asset], bar.low[asset], bar.close[asset], ledger.params[0]["trail_update"])
            order["moved_bar"] = number + 1
    elif order["order_type"] == OrderType.MARKET and not isnan(bar.close[order["asset"]]):
        order["moved_bar"] = number + 1


@kernel
def _granted(
    ledger: Ledger,
    item: Item,
    quantity: float,
    price: float,
    cost: float,
    maker: bool,  # noqa: FBT001
    special: Special,
) -> tuple[float, int, float, float]:
    """Return how much of a quantity may trade, 0 for none, and the judgement on the whole (steps 8 and 9).

    ledger, item: in. quantity: signed. price: after slippage. cost: commission [money]. maker: whether it waited in the book.
    Returns (signed quantity, code OrderReason, need, have).
    """
    state, params, held = ledger.state[0], ledger.params[0], item.position["quantity"]
    reason, need, have = check_limits(state, params, item, quantity, price)
    if reason == OrderReason.NONE:
        reason, need, have = check_money(state, params, item, quantity, price, cost, special)
    if reason == OrderReason.NONE:
        return quantity, reason, need, have
    granted = 0.0
    if is_for_money(reason) and item.order["time_in_force"] != TimeInForce.FOK:
        if params["partial_fills"] == 1 and need > 0.0:
            granted = affordable(ledger, item, quantity, price, cost, need, have, maker)
        elif special is not None and special["close_refused"] == 1 and held * quantity < 0.0 and opening_quantity(held, quantity) > 0.0:
            granted = -held
    return granted, reason, need, have


@kernel
def _clear(ledger: Ledger, bar: Bar, item: Item, quote: Quote, base: float, quantity: float, special: Record) -> int:
    """Do steps 5 to 10 where another ledger keeps the cash, behind an address. Returns a StepStatus (ledger, item: in-out)."""
    state, params, order = ledger.state[0], ledger.params[0], item.order
    cleared = call_function(params["clearing"], order["order_id"], quantity, base, float(state["own_address"]))
    reason, need, have = state["cleared_reason"], state["cleared_need"], state["cleared_have"]
    if cleared != 0.0:
        reason, need, have = check_limits(state, params, item, cleared, state["cleared_price"])
    if reason == OrderReason.TIME_IN_FORCE:
        _wait(ledger, bar, order, special)
        return StepStatus.OK.value
    if reason != OrderReason.NONE:
        _refuse(ledger, order, reason, need, have, special)
        return StepStatus.OK.value
    if order["cash_fraction"] > 0.0:
        order["quantity"] = cleared
    cost = state["cleared_commission"]
    at_open = order["has_children"] == 1 and trades_at_open(params, order, quote, state["bar"], special)
    _record_fill(ledger, item, bar, Deal(cleared, state["cleared_price"], base, cost, cost), special)
    _settle_order(ledger, item, cleared, cleared != quantity, at_open, False, special)
    return StepStatus.OK.value


@kernel
def _trade(
    ledger: Ledger,
    bar: Bar,
    item: Item,
    quote: Quote,
    base: float,
    quantity: float,
    flips: bool,  # noqa: FBT001
    special: Special,
) -> int:
    """Do steps 5 to 10 for a quantity that may trade from a base price. Returns a StepStatus (ledger, item: in-out).

    flips: it is the closing part of a flip.
    """
    state, params, order = ledger.state[0], ledger.params[0], item.order
    price = slipped(ledger, item, bar, quantity, base, quote, special)
    if isnan(price):
        return StepStatus.HOST_FAILED.value
    if price == inf:
        return StepStatus.OK.value
    maker = order["order_type"] == OrderType.LIMIT and not is_satisfied(order, quote.gap, state["bar"])
    cost, raw = commission_of(ledger, item, quantity, price, maker)
    if isnan(cost):
        return StepStatus.HOST_FAILED.value
    granted, reason, need, have = _granted(ledger, item, quantity, price, cost, maker, special)
    if granted == 0.0:
        _refuse(ledger, order, reason, need, have, special)
        return StepStatus.OK.value
    was_cut = reason != OrderReason.NONE
    if was_cut:
        quantity = granted
        cost, raw = commission_of(ledger, item, quantity, price, maker)
        if isnan(cost):
            return StepStatus.HOST_FAILED.value
    # A cut order has what it can have; one that only closes stays refused.
    refused = was_cut and (params["partial_fills"] == 0 or need == 0.0)
    at_open = order["has_children"] == 1 and trades_at_open(params, order, quote, state["bar"], special)
    _record_fill(ledger, item, bar, Deal(quantity, price, base, cost, raw), special)
    _settle_order(ledger, item, quantity, was_cut and not refused, at_open, flips, special)
    if refused:
        _refuse(ledger, order, reason, need, have, special)
    return StepStatus.OK.value


@kernel
def _trade_specially(ledger: Ledger, bar: Bar, item: Item, quote: Quote, base: float, quantity: float, special: Record) -> int:
    """Trade a quantity where settings have it cleared elsewhere, or a flip in two parts. Returns a StepStatus; arguments as `_trade`."""
    if special["clearing"] != 0:
        return _clear(ledger, bar, item, quote, base, quantity, special)
    order, held, rest = item.order, item.position["quantity"], 0.0
    flips = held * quantity < 0.0 < opening_quantity(held, quantity)
    if flips and special["split_flips"] == 1 and order["time_in_force"] != TimeInForce.FOK:
        quantity, rest = -held, quantity + held
    while True:
        status = _trade(ledger, bar, item, quote, base, quantity, rest != 0.0, special)
        if rest == 0.0 or status != StepStatus.OK or order["status"] != OrderStatus.PENDING:
            return status
        quantity, rest = rest, 0.0


@kernel
def take_turn(ledger: Ledger, bar: Bar, order: Record, position: Record, special: Special) -> int:
    """Fill, refuse, end or leave one pending order that is due. Returns OK or HOST_FAILED, the latter before any change.

    ledger, order, position: in-out. bar: in. special: params or None. The caller has made sure of room for a fill, a trade and an
    open position.
    """
    if _is_over(ledger, bar, order, position, special):
        return StepStatus.OK.value
    asset = order["asset"]
    quote = quote_for(ledger.params[0], order, bar, ledger.state[0]["bar"], special)
    base = _base(ledger, bar, order, quote, special)
    if isnan(base):
        _wait(ledger, bar, order, special)
        return StepStatus.OK.value
    contract = ledger.contracts[asset]
    item = Item(order, position, contract, ledger.costs[contract["costs"]])
    wanted = _wanted(ledger, order, position["quantity"])
    if wanted == 0.0 and order["reduce_only"] == 1 and position["quantity"] * order["quantity"] >= 0.0:
        end(ledger, order, OrderStatus.CANCELLED, OrderReason.POSITION_CLOSED, special)
        return StepStatus.OK.value
    quantity = capped(item, wanted, base, quote.volume)
    if isnan(quantity):
        return StepStatus.HOST_FAILED.value
    unquoted = item.cost["slippage_kind"] == SlippageKind.QUOTED_SPREAD and isnan(bar.ask[asset] - bar.bid[asset])
    fills_whole = order["time_in_force"] != TimeInForce.FOK or quantity == remaining_quantity(order)
    if quantity == 0.0 != wanted:
        position["spent_bar"] = ledger.state[0]["bar"] + 1
    if quantity == 0.0 or unquoted or not fills_whole:
        _wait(ledger, bar, order, special)
        return StepStatus.OK.value
    if special is None:
        status = _trade(ledger, bar, item, quote, base, quantity, False, special)
    else:
        status = _trade_specially(ledger, bar, item, quote, base, quantity, special)
    if status == StepStatus.OK and order["status"] == OrderStatus.PENDING:
        _wait(ledger, bar, order, special)
    return status
