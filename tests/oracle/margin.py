"""Margin calls and the daily settlement of futures: "Accounts" and "The fill"."""

from __future__ import annotations

from tests.oracle.account import Account
from tests.oracle.new_orders import exit_order
from tests.oracle.numbers import Number, steps_up
from tests.oracle.records import Alert, OracleOrder


def check(account: Account) -> None:
    """Step 5, with every position at its mark."""
    if account.rules.leveraged:
        _call(account, account.account_value)


def check_intrabar(account: Account) -> None:
    """Step 3, with every priced position at its worst price of the bar; the orders trade there."""
    if not account.rules.leveraged or account.rules.settings.margin_call_check != "intrabar" or not account.positions:
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
    required = account.total_requirement("maintenance")
    if not value < required:
        return []
    account.alerts.append(Alert(account.bar_index, -1, value, required, {"ignore": "WARN", "liquidate": "LIQUIDATE"}.get(how, "REDUCE")))
    if how == "ignore":
        return []
    if how == "liquidate":
        least = account.rules.smallest_order
        needy = [asset for asset, need in _by_requirement(account) if need > 0 and abs(account.quantity(asset)) > least]
        free = [asset for asset in needy if not _is_leaving(account, asset)]
        return [exit_order(account, asset, abs(account.quantity(asset)), "margin_call") for asset in free]
    return _restore(account, required, value)


def _is_leaving(account: Account, asset: str) -> bool:
    """Whether a pending exit takes all of the position."""
    order = account.pending_exit(asset)
    return order is not None and order.left >= abs(account.quantity(asset))


def _by_requirement(account: Account) -> list[tuple[str, Number]]:
    """The maintenance requirements of the positions, largest first, equal ones in position order."""
    requirements = [(asset, account.marked_requirement(asset, "maintenance")) for asset in account.positions]
    return sorted(requirements, key=lambda one: one[1], reverse=True)


def _restore(account: Account, required: Number, value: Number) -> list[OracleOrder]:
    requirements = dict(_by_requirement(account))
    per_unit = {asset: requirements[asset] / abs(account.quantity(asset)) for asset in account.positions}
    released = account.rules.zero
    for asset in account.positions:
        order = account.pending_exit(asset)
        if order is not None:
            released = released + min(order.left, abs(account.quantity(asset))) * per_unit[asset]
    excess = required - value - released
    made = []
    for asset in requirements:
        if not excess > 0 or not per_unit[asset] > 0 or account.pending_exit(asset) is not None:
            continue
        whole = abs(account.quantity(asset))
        if whole <= account.rules.smallest_order:
            continue
        size = min(steps_up(account.rules.number, excess / per_unit[asset], account.rules.lots[asset]), whole)
        if size <= account.rules.smallest_order:
            break
        excess = excess - size * per_unit[asset]
        made.append(exit_order(account, asset, size, "margin_call"))
    return made


def settle_futures(account: Account) -> None:
    """The last bar of a session, in position order."""
    for asset, position in account.positions.items():
        if asset in account.rules.futures:
            account.cash = account.cash + position.quantity * (position.current_price - position.basis) * account.rules.multipliers[asset]
            position.basis = position.current_price
