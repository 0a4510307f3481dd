"""Margin calls and the daily settlement of futures: "Accounts" and "The fill"."""

from __future__ import annotations

from tests.oracle.account import Account
from tests.oracle.fills import exit_order
from tests.oracle.numbers import Number, steps_up
from tests.oracle.records import OracleOrder


def check(account: Account) -> None:
    """Step 5, with every position at its mark."""
    if account.rules.leveraged:
        _call(account, account.account_value)


def check_intrabar(account: Account) -> None:
    """Step 3, with every priced position at its worst price of the bar; the orders trade there."""
    if not account.rules.leveraged or account.rules.settings.margin_call_check != "intrabar":
        return
    marks = {asset: position.current_price for asset, position in account.positions.items()}
    worst: dict[str, Number] = {}
    for asset, position in account.positions.items():
        if asset in account.bars:
            bar = account.bars[asset]
            worst[asset] = position.current_price = bar.low if position.quantity > 0 else bar.high
    made = _call(account, account.total_value())
    for order in made:
        order.fixed_price = worst.get(order.asset)
    for asset, mark in marks.items():
        account.positions[asset].current_price = mark


def _call(account: Account, value: Number) -> list[OracleOrder]:
    how = account.rules.settings.margin_call
    excess = account.total_requirement("maintenance") - value
    if how == "ignore" or not excess > 0:
        return []
    return _liquidate(account) if how == "liquidate" else _restore(account, excess)


def pending_calls(account: Account, asset: str) -> list[OracleOrder]:
    """The margin call orders for the present position of the asset."""
    number = account.position_number(asset)
    calls = (order for order in account.pending if order.asset == asset and order.exit_reason == "margin_call")
    return [order for order in calls if order.bound == number]


def _liquidate(account: Account) -> list[OracleOrder]:
    made = []
    for asset, position in account.positions.items():
        free = _not_called(account, asset, abs(position.quantity))
        if free > 0:
            made.append(exit_order(account, asset, free, "margin_call"))
    return made


def _restore(account: Account, excess: Number) -> list[OracleOrder]:
    requirements = {asset: account.marked_requirement(asset, "maintenance") for asset in account.positions}
    per_unit = {asset: requirements[asset] / abs(account.quantity(asset)) for asset in account.positions}
    for order in account.pending:
        if order in pending_calls(account, order.asset):
            excess = excess - order.left * per_unit[order.asset]
    made = []
    for asset in sorted(requirements, key=lambda name: requirements[name], reverse=True):
        free = _not_called(account, asset, abs(account.quantity(asset)))
        if not (excess > 0 and free > 0 and per_unit[asset] > 0):
            continue
        size = min(steps_up(account.rules.number, excess / per_unit[asset], account.rules.lots[asset]), free)
        excess = excess - size * per_unit[asset]
        made.append(exit_order(account, asset, size, "margin_call"))
    return made


def _not_called(account: Account, asset: str, size: Number) -> Number:
    for order in pending_calls(account, asset):
        size = size - order.left
    return size


def settle_futures(account: Account) -> None:
    """The last bar of a session, in position order."""
    for asset, position in account.positions.items():
        if asset in account.rules.futures:
            account.cash = account.cash + position.quantity * (position.current_price - position.basis) * account.rules.multipliers[asset]
            position.basis = position.current_price
