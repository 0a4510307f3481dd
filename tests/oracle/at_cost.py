"""Splits at cost: the cost basis of positions, and what a split makes of positions and orders in whole cents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.oracle.account import Account
from tests.oracle.numbers import Number, signed, steps_down
from tests.oracle.records import OracleFill, OracleOrder


def in_cents(value: Number) -> Any:
    """Rounded by the exact value, ties to the even cent."""
    return round(value, 2)  # type: ignore[call-overload]


def spread(account: Account, asset: str) -> None:
    """Commissions that were paid on a bar count for the units that were left after it."""
    _, paid = account.unspread.pop(asset, (0, account.rules.zero))
    position = account.positions.get(asset)
    if position is not None:
        position.cost_basis = position.cost_basis + paid / (position.quantity * account.rules.multipliers[asset])


@contextmanager
def basis_of(account: Account, asset: str, fill: OracleFill) -> Iterator[None]:
    """Move the basis by the fill that is applied inside."""
    if account.unspread.get(asset, (fill.bar, 0))[0] < fill.bar:
        spread(account, asset)
    before = account.positions.get(asset)
    held, basis = (account.rules.zero, None) if before is None else (before.quantity, before.cost_basis)
    yield
    paid = account.unspread.get(asset, (fill.bar, account.rules.zero))[1]
    account.unspread[asset] = fill.bar, paid + fill.commission
    after = account.positions.get(asset)
    if after is None:
        return
    if basis is None or (after.quantity > 0) != (held > 0):
        after.cost_basis = fill.price
    elif abs(after.quantity) > abs(held):
        after.cost_basis = (held * basis + fill.quantity * fill.price) / after.quantity
    else:
        after.cost_basis = basis


def split_order(account: Account, order: OracleOrder, f: Number) -> None:
    """What is left and what has filled are cut to lots apart; the prices of the order are rounded to cents."""
    lot, number = account.rules.lots[order.asset], account.rules.number
    factor = number(1) / f

    def cut(size: Number) -> Number:
        return steps_down(number, size / factor, lot, 0)

    left = cut(order.left)
    order.filled_quantity = signed(cut(abs(order.filled_quantity)), order.quantity)
    order.taken = cut(order.taken)
    order.quantity = signed(abs(order.filled_quantity) + order.taken + left, order.quantity)
    if order.displayed_quantity is not None:
        order.displayed_quantity = order.displayed_quantity / factor
    for name in ("limit_price", "stop_price", "trail_amount", "signal_price", "filled_price"):
        value = getattr(order, name)
        if value is not None:
            setattr(order, name, in_cents(value * factor) if name in ("limit_price", "stop_price") else value * factor)
    if left == 0:
        account.end(order, "cancelled", "ROUNDS_TO_ZERO")


def convert_units(account: Account, asset: str, f: Number) -> tuple[Number, Number]:
    """The exact quantity after a split and its whole lots; the basis becomes whole cents."""
    position, lot, number = account.positions[asset], account.rules.lots[asset], account.rules.number
    factor = number(1) / f
    spread(account, asset)
    position.cost_basis = in_cents(position.cost_basis * factor)
    exact = position.quantity / factor
    if lot is None:
        return exact, exact
    return exact, signed(number(math.floor(abs(exact) / lot)) * lot, exact)


def money_for(account: Account, asset: str, rest: Number) -> Any:
    """What a fraction is paid out for."""
    return in_cents(rest * account.positions[asset].cost_basis * account.rules.multipliers[asset])
