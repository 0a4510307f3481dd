"""A fill pass: two sweeps over the pending orders, and one attempt at an order."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.account import Account
from tests.oracle.bars import base_price
from tests.oracle.numbers import Number
from tests.oracle.positions import apply_fill, position_after
from tests.oracle.records import OracleFill, OracleOrder


@dataclass(frozen=True)
class Rejection:
    reason: str
    need: Number | None = None
    have: Number | None = None


def run_pass(account: Account) -> None:
    """Exits first, then all that are still pending, each sweep in order of submission."""
    for order in account.pending:
        if is_exit(order, account.quantity(order.asset)):
            attempt(account, order)
    for order in account.pending:
        if order.status == "pending":
            attempt(account, order)
    account.drop_finished_orders()


def is_exit(order: OracleOrder, p: Number) -> bool:
    return order.reduce_only or reduces(order.quantity, p)


def reduces(q: Number, p: Number) -> bool:
    """Opposite side of the position and not larger than it."""
    return opposite(q, p) and abs(q) <= abs(p)


def opposite(q: Number, p: Number) -> bool:
    return (q > 0 and p < 0) or (q < 0 and p > 0)


def attempt(account: Account, order: OracleOrder) -> None:
    """Points 1 to 7 of "A fill pass"."""
    rules = account.rules
    bar = account.bars.get(order.asset)
    if bar is None:
        return
    base = base_price(order, bar, account.bar_index, rules.pass_price)
    if base is None:
        return
    p, m = account.quantity(order.asset), rules.multipliers[order.asset]
    q = order.quantity
    if order.reduce_only:
        if not opposite(q, p):
            order.status, order.reason = "cancelled", "POSITION_CLOSED"
            return
        if abs(q) > abs(p):
            q = -p
    price = rules.costs.fill_price(order, base)
    commission = rules.costs.commission(q, price, m)
    new = position_after(p, q, rules)
    closing, opening = split(p, q, new, rules.zero)
    rejection = gate(account, p, q, closing, opening, price, m, commission)
    if rejection is not None:
        order.status, order.reason = "rejected", rejection.reason
        order.need, order.have = rejection.need, rejection.have
        return
    cash = account.cash - (q * price) * m - commission
    account.cash = rules.zero if q > 0 and opening > 0 and cash < 0 else cash
    order.status, order.filled_quantity, order.filled_price = "filled", q, price
    slippage = abs(price - base)
    fill = OracleFill(order.order_id, order.asset, q, price, account.time, account.bar_index, commission, slippage, new)
    account.fills.append(fill)
    apply_fill(account, fill)


def split(p: Number, q: Number, new: Number, zero: Number) -> tuple[Number, Number]:
    """The unsigned parts of `q` that close and that open; a fill that leaves the position flat opens nothing."""
    if not opposite(q, p):
        return zero, abs(q)
    if new == 0 or abs(q) <= abs(p):
        return abs(q), zero
    return abs(p), abs(q) - abs(p)


def gate(
    account: Account,
    p: Number,
    q: Number,
    closing: Number,
    opening: Number,
    price: Number,
    m: Number,
    commission: Number,
) -> Rejection | None:
    """Point 6: may the account make this fill?"""
    rules = account.rules
    if opening > 0:
        if q < 0 and not rules.allow_short:
            return Rejection("REVERSAL_NOT_ALLOWED" if p > 0 else "SHORT_NOT_ALLOWED")
        signed_closing = closing if q > 0 else -closing
        have = account.cash - (signed_closing * price) * m - commission
        need = (opening * price) * m
        if q < 0:
            need = abs(need)
        if need - have > rules.cash_tolerance * abs(need):
            return Rejection("INSUFFICIENT_CASH", need, have)
        return None
    have = account.cash - (q * price) * m
    if not rules.allow_short and have - commission < 0:
        return Rejection("INSUFFICIENT_CASH", commission, have)
    return None
