"""An account that keeps free cash beside cash: what an order gets of it, and what is left of both. The rule is in docs/execution.md.

The proceeds of a short are cash, and so is as much again set aside for buying it back: free cash is cash less twice the debt,
the value at which what is short was sold. Sums that cancel but for rounding are 0 here, so that an account that spends
everything is empty.
"""

from __future__ import annotations

from ._jit import kernel
from .codes import OrderReason, ShortCashPolicy, SlippageKind, TimeInForce
from .dtypes import UNBOUNDED, Record
from .ledger import Item
from .margin import check_short, opening_quantity
from .orders import LEAST_QUANTITY

__all__ = ["clear", "settle"]

_RELATIVE: float = 1e-9
_ABSOLUTE: float = 1e-12


@kernel
def _nearly(first: float, second: float) -> bool:
    """Tell whether two finite numbers are equal but for rounding."""
    if first == second:
        return True
    distance = abs(first - second)
    return distance <= max(_RELATIVE * max(abs(first), abs(second)), _ABSOLUTE)


@kernel
def _plus(first: float, second: float) -> float:
    """Return the sum of two numbers, 0 where they cancel but for rounding."""
    if (first < 0.0) != (second < 0.0) or first == 0.0 or second == 0.0:
        cancels = _nearly(abs(first), abs(second))
    else:
        cancels = abs(first + second) <= _ABSOLUTE
    return 0.0 if cancels else first + second


@kernel
def _whole(units: float, lot: float) -> float:
    """Return units rounded down to the lot (0 rounds nothing), without the slack that other accounts give."""
    return units if lot <= 0.0 or units >= UNBOUNDED else units // lot * lot


@kernel
def _without_dust(amount: float) -> float:
    """Return an amount of money, 0 for what only rounding can have left."""
    return 0.0 if abs(amount) <= _ABSOLUTE else amount


@kernel
def _refuse(state: Record, reason: int, need: float, have: float) -> float:
    """Note why an order is refused (state: in-out; reason: code OrderReason; need, have: money). Returns 0."""
    state["cleared_reason"] = reason
    state["cleared_need"] = need
    state["cleared_have"] = have
    return 0.0


@kernel
def _may_be_cut(params: Record, order: Record) -> bool:
    """Tell whether an order may get less than it asks for where there is too little money (params, order: in)."""
    return order["cash_fraction"] > 0.0 or (params["partial_fills"] == 1 and order["time_in_force"] != TimeInForce.FOK)  # type: ignore[no-any-return]


@kernel
def _spendable(state: Record, position: Record, price: float, rate: float, fixed: float) -> float:
    """Return the cash that a purchase may spend where shorts lock cash (state, position: in; price: with the multiplier)."""
    held, debt, free = position["quantity"], position["debt"], state["free_cash"]
    if held >= 0.0:
        return free  # type: ignore[no-any-return]
    cover = abs(held) * price * (1.0 + rate) + fixed
    rest = _plus(free + 2.0 * debt, -cover)
    if rest > 0.0:
        return free + 2.0 * debt  # type: ignore[no-any-return]
    if rest == 0.0:
        return state["cash"]  # type: ignore[no-any-return]
    eaten = price * (1.0 + rate) - 2.0 * (debt / abs(held))  # of free cash by each unit that is bought back
    units = (free - fixed) / eaten if eaten != 0.0 else 0.0
    return units * price * (1.0 + rate) + fixed


@kernel
def _buy(state: Record, params: Record, item: Item, units: float, price: float, rate: float, fixed: float) -> float:
    """Decide a purchase of at most `units` (UNBOUNDED: for all the cash). Returns the units, 0 when refused.

    state: in-out. params, item: in. price: with slippage and multiplier. rate, fixed: of the commission.
    """
    order, position, lot = item.order, item.position, item.contract["lot_size"]
    limit = state["cash"]
    if params["short_cash_policy"] == ShortCashPolicy.LOCK_NOTIONAL:
        limit = min(_spendable(state, position, price, rate, fixed), limit)
    if order["cash_fraction"] > 0.0:
        limit = min(limit, order["cash_fraction"] * limit)
    wanted = _whole(units, lot)
    value = wanted * price
    fee = value * rate + fixed
    paid = value + fee
    need, broke = 0.0 if order["cash_fraction"] > 0.0 else paid, limit == 0.0 and order["reduce_only"] == 0
    if not (_nearly(paid, limit) or paid < limit):
        spent = _plus(limit, -fixed) / (1.0 + rate)
        broke = broke or not spent > 0.0 or not _may_be_cut(params, order)
        wanted = _whole(spent / price, lot)
        if lot > 0.0:
            value = wanted * price
            fee = value * rate + fixed
            paid = value + fee
        else:
            fee = limit - spent
            paid = limit
    if broke:
        return _refuse(state, OrderReason.INSUFFICIENT_CASH.value, need, limit)
    if wanted < LEAST_QUANTITY and not _nearly(wanted, LEAST_QUANTITY):
        return _refuse(state, OrderReason.ROUNDS_TO_ZERO.value, 0.0, 0.0)
    held, debt = position["quantity"], position["debt"]
    released = 0.0
    if held < 0.0:
        released = (wanted if _plus(held, wanted) < 0.0 else abs(held)) * (debt / abs(held))
    state["cleared_cash"] = _plus(state["cash"], -paid)
    state["cleared_free_cash"] = _plus(state["free_cash"] + 2.0 * released, -paid)
    state["cleared_debt"] = _plus(debt, -released)
    state["cleared_commission"] = fee
    return wanted


@kernel
def _sell(state: Record, params: Record, item: Item, units: float, price: float, rate: float, fixed: float) -> float:
    """Decide a sale of at most `units` (UNBOUNDED: all that is held and can be sold short). Returns the units, 0 when refused.

    state: in-out. params, item: in. price: with slippage and multiplier. rate, fixed: of the commission.
    """
    order, held = item.order, item.position["quantity"]
    fraction, locks = order["cash_fraction"], params["short_cash_policy"] == ShortCashPolicy.LOCK_NOTIONAL
    wanted, need, have = units, 0.0 if fraction > 0.0 else units * price, state["free_cash"]
    if order["reduce_only"] == 0 and (locks or fraction > 0.0):
        owned = max(held, 0.0)
        most, have = owned, _plus(have, owned * price * (1.0 - rate))
        if have > 0.0 and params["allow_short"] == 1:
            most = _plus(owned, _plus(have, -fixed) / (price * (1.0 + rate)))
        if most <= 0.0 or (most < units and not _nearly(most, units) and not _may_be_cut(params, order)):
            return _refuse(state, OrderReason.INSUFFICIENT_CASH.value, need, have)
        wanted = min(units, fraction * most if fraction > 0.0 else most)
    wanted = _whole(wanted, item.contract["lot_size"])
    if wanted < LEAST_QUANTITY and not _nearly(wanted, LEAST_QUANTITY):
        return _refuse(state, OrderReason.ROUNDS_TO_ZERO.value, 0.0, 0.0)
    value = wanted * price
    fee = value * rate + fixed
    gained = _plus(value, -fee)
    if gained < 0.0:
        return _refuse(state, OrderReason.INSUFFICIENT_CASH.value, fee, value)
    debt, after = item.position["debt"], _plus(held, -wanted)
    sold_short = 0.0
    if after < 0.0:
        sold_short = (wanted if held < 0.0 else abs(after)) * price
    state["cleared_cash"] = state["cash"] + gained
    state["cleared_free_cash"] = _plus(state["free_cash"], _plus(gained, -2.0 * sold_short)) if after < 0.0 else state["free_cash"] + gained
    state["cleared_debt"] = debt + sold_short
    state["cleared_commission"] = fee
    return -wanted


@kernel
def _price(cost: Record, base: float, quantity: float, slips: bool) -> float:  # noqa: FBT001
    """Return the price after slippage (all in)."""
    side, moved = 1.0 if quantity > 0.0 else -1.0, base
    if slips and cost["slippage_kind"] == SlippageKind.PERCENTAGE:
        moved = base * (1.0 + side * cost["slippage_rate"])
    elif slips and cost["slippage_kind"] == SlippageKind.FIXED:
        moved = base + side * cost["slippage_amount"]
    return 0.0 if moved < 0.0 <= base else moved


@kernel
def clear(state: Record, params: Record, item: Item, quantity: float, base: float, rule_price: bool) -> float:  # noqa: FBT001
    """Decide what an order gets: its signed quantity, 0 when it is refused.

    state: in-out; the `cleared_` fields say at which price and commission, what cash, free cash and the debt of the position
    are after it, or why it is refused. params: in. item: the order and its asset's records (in). quantity: signed, UNBOUNDED for
    all that the account can pay. base: price before slippage. rule_price: whether that is the price of a rule.
    """
    order, cost, multiplier = item.order, item.cost, item.contract["multiplier"]
    state["cash"] = _without_dust(state["cash"])
    state["free_cash"] = _without_dust(state["free_cash"])
    held = item.position["quantity"]
    if params["allow_short"] == 0 and order["cash_fraction"] > 0.0 and held > 0.0:
        quantity = max(quantity, -held)  # all that there is to sell
    refused = check_short(held, quantity, opening_quantity(held, quantity), params["allow_short"] == 1)
    if refused != OrderReason.NONE:
        return _refuse(state, refused, 0.0, 0.0)
    price = _price(cost, base, quantity, not (rule_price and params["slip_rule_prices"] == 0))
    limit = order["limit_price"]
    if (price > limit) if quantity > 0.0 else (price < limit):
        price = limit
    state["cleared_price"] = price
    if not price * multiplier > 0.0:
        return _refuse(state, OrderReason.INSUFFICIENT_CASH.value, 0.0, 0.0)
    fee, fixed = cost["commission_rate"], cost["commission_per_order"] if order["filled_bar"] == 0 else 0.0
    if quantity > 0.0:
        cleared = _buy(state, params, item, quantity, price * multiplier, fee, fixed)
    else:
        cleared = _sell(state, params, item, -quantity, price * multiplier, fee, fixed)
    if order["time_in_force"] == TimeInForce.FOK and cleared != 0.0 and not _nearly(cleared, quantity):
        return _refuse(state, OrderReason.TIME_IN_FORCE.value, 0.0, 0.0)
    return cleared


@kernel
def settle(state: Record, position: Record) -> None:
    """Take over what `clear` decided (state, position: in-out)."""
    state["cash"] = state["cleared_cash"]
    state["free_cash"] = state["cleared_free_cash"]
    position["debt"] = state["cleared_debt"]
