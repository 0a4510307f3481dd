"""Checks at submission against a shadow account: "Checks at submission"."""

from __future__ import annotations

from tests.oracle.account import Account
from tests.oracle.gate import opposite
from tests.oracle.numbers import Number
from tests.oracle.positions import position_after
from tests.oracle.records import OracleOrder


def screen(account: Account, order: OracleOrder) -> None:
    """Judge an order that has just been submitted; the shadow account takes it as traded at its own or the signal price."""
    settings, rules, asset, q = account.rules.settings, account.rules, order.asset, order.quantity
    wanted = order.order_type == "market" or settings.submission_check_orders == "all"
    prices = [price for price in (order.stop_price, order.limit_price, order.signal_price) if price is not None]
    if not wanted or not prices or order.status != "pending":
        return
    if not (settings.next_bar_submission_precheck or settings.buying_power_reservation):
        return
    _begin(account)
    price, m, p = prices[0], rules.multipliers[asset], account.shadow[asset]
    commission = rules.costs[asset].commission_of(order, price, m, maker=False)(q)
    if settings.next_bar_submission_precheck:
        paid = (q * price) * m
        if asset in rules.futures:
            paid = account.requirement(asset, p + q, price, "initial") - account.requirement(asset, p, price, "initial")
        account.shadow_cash = account.shadow_cash - paid - commission
        account.shadow[asset] = p + q
        if account.shadow_cash < 0:
            _reject(account, order, "SUBMISSION_CHECK", None)
            return
    if settings.buying_power_reservation:
        opening = _opening(account, p, q)
        need = opening * abs(price) * m + commission if opening > 0 else rules.zero
        if need > account.shadow_cash:
            _reject(account, order, "RESERVATION", need)
            return
        account.shadow_cash = account.shadow_cash - need
        account.shadow[asset] = p + q


def _begin(account: Account) -> None:
    """The first order of a bar that is checked finds the account as it is; of a future its margin is taken."""
    if account.shadow_bar == account.bar_index:
        return
    account.shadow_bar, account.shadow_cash = account.bar_index, account.cash
    for asset in account.rules.assets:
        account.shadow[asset] = account.quantity(asset)
    for asset in account.positions:
        if asset in account.rules.futures:
            account.shadow_cash = account.shadow_cash + account.value(asset) - account.marked_requirement(asset, "initial")


def _opening(account: Account, p: Number, q: Number) -> Number:
    if not opposite(q, p):
        return abs(q)
    whole = position_after(p, q, account.rules) == 0 or abs(q) <= abs(p)
    return account.rules.zero if whole else abs(q) - abs(p)


def _reject(account: Account, order: OracleOrder, reason: str, need: Number | None) -> None:
    order.need, order.have = need, account.shadow_cash
    account.end(order, "rejected", reason)
    account.drop_finished_orders()
