"""Dividends, splits, funding and interest: "Events"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from tests.oracle.account import Account
from tests.oracle.at_cost import convert_units, money_for, split_order
from tests.oracle.numbers import Number, convert, signed, steps_down
from tests.oracle.positions import record_corporate_action
from tests.oracle.records import OracleOrder

Event: TypeAlias = tuple[str, str, Any]  # (kind, asset, value)


def happen(account: Account, events: Sequence[Event]) -> None:
    for kind, asset, raw in events:
        if asset not in account.rules.multipliers:
            raise ValueError(f"unknown asset: {asset}")
        value = convert(account.rules.number, raw, kind)
        position, m = account.positions.get(asset), account.rules.multipliers[asset]
        if kind == "funding" and account.rules.settings.account == "cash":
            raise ValueError("a cash account pays no funding")
        if kind == "split":
            _split(account, asset, value)
        elif kind not in ("dividend", "funding"):
            raise ValueError(f"unknown event: {kind}")
        elif position is not None and kind == "dividend":
            account.record_cash_flow(asset, kind, position.quantity * value * m)
        elif position is not None:
            account.record_cash_flow(asset, kind, -(position.quantity * position.current_price * m * value))


def _split(account: Account, asset: str, f: Number) -> None:
    position, lot, number = account.positions.get(asset), account.rules.lots[asset], account.rules.number
    at_cost = account.rules.settings.split_accounting == "cost_basis"
    if position is not None:
        exact = position.quantity * f
        kept = signed(steps_down(number, abs(exact), lot), exact)
        if at_cost:
            exact, kept = convert_units(account, asset, f)
        position.initial_quantity = position.initial_quantity * f
        for name in ("entry_price", "entry_slippage", "current_price", "high_mark", "low_mark", "basis", "signal_price"):
            value = getattr(position, name)
            if value is not None:
                setattr(position, name, value / f)
        rest = exact - kept
        position.quantity = exact
        if abs(rest) > account.rules.flat_tolerance * abs(exact):
            pay_out(account, asset, rest)
        position.quantity = kept
        if kept == 0:
            del account.positions[asset]
    for order in account.pending:
        if order.asset == asset and order.status == "pending":
            ordered = order.quantity
            (split_order if at_cost else _split_order)(account, order, f)
            if order.fraction is not None:
                order.quantity = ordered
    account.drop_finished_orders()


def pay_out(account: Account, asset: str, rest: Number) -> None:
    """The fraction that a split leaves, sold at the present mark, or at cost; the position still has it here."""
    position, m = account.positions[asset], account.rules.multipliers[asset]
    if account.rules.settings.split_accounting == "cost_basis" and asset not in account.rules.futures:
        money = money_for(account, asset, rest)
        _pay(account, asset, rest, money)
        record_corporate_action(account, asset, rest, money / (rest * m))
        return
    # A future's notional was never paid, so only what it gained since its last settlement comes back.
    paid = rest * (position.current_price - position.basis) * m
    _pay(account, asset, rest, paid)
    record_corporate_action(account, asset, rest, position.current_price)


def _pay(account: Account, asset: str, rest: Number, money: Number) -> None:
    """What is paid out of a short buys it back, which takes as much off its debt."""
    debt = account.debt.get(asset, account.rules.zero)
    released = debt * (rest / account.positions[asset].quantity)
    account.debt[asset] = debt - released
    account.cash = account.cash + money
    account.free = account.free + (money + 2 * released)


def _split_order(account: Account, order: OracleOrder, f: Number) -> None:
    lot, number = account.rules.lots[order.asset], account.rules.number
    order.quantity = signed(steps_down(number, abs(order.quantity * f), lot), order.quantity)
    for name in ("filled_quantity", "taken", "displayed_quantity"):
        value = getattr(order, name)
        if value is not None:
            setattr(order, name, value * f)
    for name in ("limit_price", "stop_price", "trail_amount", "signal_price", "filled_price"):
        value = getattr(order, name)
        if value is not None:
            setattr(order, name, value / f)
    if not order.left > 0:
        account.end(order, "cancelled", "ROUNDS_TO_ZERO")


def pay_interest(account: Account) -> None:
    """At the first bar of a session after the first: on cash, then on each short in position order."""
    if not account.session.first:
        return
    start, account.session_start_time = account.session_start_time, account.time
    if start is None:
        return
    number, settings = account.rules.number, account.rules.settings
    t = number(account.time - start) / number(365 * 86400 * 10**9)
    rate = settings.cash_interest_rate if account.cash > 0 else settings.margin_interest_rate
    account.record_cash_flow(None, "interest", account.cash * rate * t)
    for asset, position in account.positions.items():
        if position.quantity < 0 and asset not in account.rules.futures:
            notional = abs(position.quantity * position.current_price) * account.rules.multipliers[asset]
            account.record_cash_flow(asset, "borrow", -(notional * settings.borrow_rate * t))
