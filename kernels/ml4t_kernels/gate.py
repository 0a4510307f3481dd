"""May an order trade: order limits, money, and how much of it the account can pay for."""

from __future__ import annotations

from ._jit import kernel
from .codes import OrderReason
from .commission import commission, raw_commission
from .dtypes import Record, Special
from .ledger import Item, Ledger
from .margin import available_cash, check_buying_power, check_cash, check_short, free_margin, locked_value, opening_quantity
from .orders import LEAST_QUANTITY
from .participation import rounded_down

__all__ = ["affordable", "check_limits", "check_money", "commission_of", "is_for_money"]

_MORE: float = 1.000000001  # a larger quantity than this is larger by more than rounding


@kernel
def is_for_money(reason: int) -> bool:
    """Tell whether an order is refused for want of money (reason: code OrderReason)."""
    return reason == OrderReason.INSUFFICIENT_CASH or reason == OrderReason.INSUFFICIENT_BUYING_POWER


@kernel
def check_limits(state: Record, params: Record, item: Item, quantity: float, price: float) -> tuple[int, float, float]:
    """Judge an order against the order limits (docs/execution.md, "A fill pass", step 8).

    state, params: records (in). item: the order and its asset's records (in). quantity: signed. price: after slippage. Returns
    (code OrderReason, need, have) [money, or the unit of the limit].
    """
    held, multiplier = item.position["quantity"], item.contract["multiplier"]
    if opening_quantity(held, quantity) <= 0.0:
        return OrderReason.NONE.value, 0.0, 0.0
    value = abs(quantity * price) * multiplier
    if value > params["max_order_size"]:
        return OrderReason.ORDER_SIZE.value, value, params["max_order_size"]
    value = abs((held + quantity) * price) * multiplier
    if value > params["max_position_size"]:
        return OrderReason.POSITION_SIZE.value, value, params["max_position_size"]
    if held == 0.0 and state["open_positions"] + 1.0 > params["max_positions"]:
        return OrderReason.TOO_MANY_POSITIONS.value, state["open_positions"] + 1.0, params["max_positions"]
    if state["blocked"] != 0:
        return OrderReason.RISK_BLOCKED.value, 0.0, 0.0
    return OrderReason.NONE.value, 0.0, 0.0


@kernel
def check_money(
    state: Record, params: Record, item: Item, quantity: float, price: float, cost: float, special: Special
) -> tuple[int, float, float]:
    """Judge an order against the money of the account (docs/execution.md, "A fill pass", step 9).

    state, params: records (in). item: the order and its asset's records (in). quantity: signed. price: after slippage. cost:
    commission [money]. special: params or None. Returns (code OrderReason, need, have) [money].
    """
    position, contract = item.position, item.contract
    held, multiplier = position["quantity"], contract["multiplier"]
    short = params["allow_short"] == 1
    opening = opening_quantity(held, quantity)
    refused = check_short(held, quantity, opening, short)
    if refused != OrderReason.NONE or params["skip_cash_check"] == 1:
        return refused, 0.0, 0.0
    cash = state["cash"]
    if special is not None and special["open_cash_check"] == 1 and opening > 0.0:
        if params["leverage"] == 1:
            have = free_margin(state, position, contract, quantity, price, cost)
        else:
            have = cash - quantity * price * multiplier - cost
        return (OrderReason.INSUFFICIENT_CASH.value if have < 0.0 else OrderReason.NONE.value), 0.0, have
    locked = state["short_value"]
    if params["short_cash_policy"] != 0 and held < 0.0 and opening > 0.0 and quantity > 0.0:
        locked -= locked_value(position, contract)
    available = available_cash(params, cash, locked, state["unsettled"])
    if params["leverage"] == 1:
        return check_buying_power(state, position, contract, quantity, price, cost, cash - available, params["maintenance_basis"])
    return check_cash(held, quantity, price, multiplier, cost, cash, available, short)


@kernel
def commission_of(ledger: Ledger, item: Item, quantity: float, price: float, maker: bool) -> tuple[float, float]:  # noqa: FBT001
    """Return what a fill pays and its part before the order's minimum [money], NaN when a user's function failed.

    item: the order and its asset's records (in). quantity: signed, 0 costs nothing. price: after slippage. maker: whether it
    waited in the book.
    """
    if quantity == 0.0:
        return 0.0, 0.0
    raw = raw_commission(item.cost, ledger.tiers, item.order["asset"], quantity, price, item.contract["multiplier"], maker)
    return commission(item.cost, item.order, raw), raw


@kernel
def affordable(
    ledger: Ledger,
    item: Item,
    quantity: float,
    price: float,
    cost: float,
    need: float,
    have: float,
    maker: bool,  # noqa: FBT001
) -> float:
    """Return the signed quantity that an order refused for money is cut to, 0 for none.

    item: the order and its asset's records (in). quantity: refused, signed. price: after slippage. cost: its commission
    [money]. need, have: from the gate [money]. maker: whether it waited in the book.
    """
    state, params, lot = ledger.state[0], ledger.params[0], item.contract["lot_size"]
    held = item.position["quantity"]
    opening = opening_quantity(held, quantity)
    side = 1.0 if quantity > 0.0 else -1.0
    closing = abs(held) if held * quantity < 0.0 else 0.0
    room = have + cost - commission_of(ledger, item, side * closing, price, maker)[0]
    unit = need / opening
    count = rounded_down(room / (unit + commission_of(ledger, item, side, price, maker)[0]), lot)
    best = 0.0
    for _ in range(3):
        if not count > LEAST_QUANTITY:
            break
        tried = side * (closing + count)
        cost = commission_of(ledger, item, tried, price, maker)[0]
        fits = check_money(state, params, item, tried, price, cost, None)[0] == OrderReason.NONE
        if fits:
            best = max(best, count)
        left = rounded_down((room - cost) / unit, lot)
        if fits and not left > count * _MORE:
            break
        count = left
    return side * (closing + best)
