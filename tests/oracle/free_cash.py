"""The ledger that keeps free cash: "Free cash" in "Accounts"."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.account import Account
from tests.oracle.gate import Refusal
from tests.oracle.numbers import Number, NumberType
from tests.oracle.positions import position_after
from tests.oracle.records import LIMITED, OracleOrder


@dataclass(frozen=True)
class Deal:
    """A fill that the account pays, and what it leaves in the books."""

    size: Number  # unsigned
    price: Number
    commission: Number
    cash: Number
    free: Number
    debt: Number


@dataclass(frozen=True)
class Terms:
    """What one turn of an order has to do with: the books before it and what a unit costs."""

    number: NumberType
    p: Number
    cash: Number
    free: Number
    debt: Number
    price: Number
    unit: Number  # price of a unit in money: P
    c: Number
    fixed: Number
    lot: Number | None
    locks: bool
    may_cut: bool
    may_short: bool
    fraction: Number | None  # of an order for all that the account can pay
    reduce_only: bool

    def near(self, x: Number, y: Number) -> bool:
        """Nearly equal."""
        return abs(x - y) <= max(self.number(1e-9) * max(abs(x), abs(y)), self.number(1e-12))

    def add(self, x: Number, y: Number) -> Number:
        """`x (+) y`."""
        gone = self.near(abs(x), abs(y)) if _sign(x) != _sign(y) else abs(x + y) <= self.number(1e-12)
        return self.number(0) if gone else x + y

    def floor(self, x: Number) -> Number:
        if self.lot is None:
            return x
        steps: Number = x // self.lot  # type: ignore[operator]
        return steps * self.lot

    def is_less(self, x: Number, y: Number) -> bool:
        """Less, and not nearly equal."""
        return x < y and not self.near(x, y)

    def too_small(self, x: Number) -> bool:
        least = self.number(1e-8)
        return x < least and not self.near(x, least)


def _sign(x: Number) -> int:
    return (x > 0) - (x < 0)


def clear(account: Account, order: OracleOrder, base: Number, size: Number) -> Deal | Refusal:
    """What the account makes of `size` units, which is all that the steps before let through."""
    terms = _terms(account, order, base)
    if order.quantity < 0 and not terms.may_short:
        if order.fraction is not None and terms.p > 0:
            size = min(size, terms.p)
        if size > terms.p and position_after(terms.p, -size, account.rules) != 0:
            return Refusal("REVERSAL_NOT_ALLOWED" if terms.p > 0 else "SHORT_NOT_ALLOWED")
    if not terms.unit > 0:
        return Refusal("INSUFFICIENT_CASH")
    deal = _buy(terms, size) if order.quantity > 0 else _sell(terms, size)
    if order.time_in_force == "FOK" and isinstance(deal, Deal) and terms.is_less(deal.size, size):
        return Refusal("TIME_IN_FORCE")
    return deal


def _terms(account: Account, order: OracleOrder, base: Number) -> Terms:
    rules, asset = account.rules, order.asset
    commission, least = rules.costs[asset].commission, rules.number(1e-12)
    price = _price(account, order, base)
    zero: Number = rules.zero
    return Terms(
        number=rules.number,
        p=account.quantity(asset),
        cash=zero if abs(account.cash) <= least else account.cash,
        free=zero if abs(account.free) <= least else account.free,
        debt=account.debt.get(asset, zero),
        price=price,
        unit=price * rules.multipliers[asset],
        c=commission.rate,
        fixed=commission.per_order if order.filled_time is None else zero,
        lot=rules.lots[asset],
        locks=rules.settings.short_cash_policy == "lock_notional",
        may_cut=order.fraction is not None or (rules.settings.partial_fills_allowed and order.time_in_force != "FOK"),
        may_short=rules.allow_short,
        fraction=order.fraction,
        reduce_only=order.reduce_only,
    )


def _price(account: Account, order: OracleOrder, base: Number) -> Number:
    costs, buy, price = account.rules.costs[order.asset], order.quantity > 0, base
    if account.slips(order):
        if costs.slippage_kind == "percentage":
            rate = costs.slippage_numbers[0]
            price = base * (1 + rate) if buy else base * (1 - rate)
        elif costs.slippage_kind == "fixed":
            amount = costs.slippage_numbers[0]
            price = base + amount if buy else base - amount
    if not buy and base >= 0:
        price = max(price, account.rules.zero)
    if order.order_type in LIMITED:
        assert order.limit_price is not None
        price = min(price, order.limit_price) if buy else max(price, order.limit_price)
    return price


def _limit(terms: Terms) -> Number:
    """The most that a buy may cost."""
    if not terms.locks:
        return terms.cash
    if not terms.p < 0:
        return min(terms.cash, terms.free)
    unit_cost = terms.unit * (1 + terms.c)
    rest = terms.add(terms.free + 2 * terms.debt, -(abs(terms.p) * terms.unit * (1 + terms.c) + terms.fixed))
    if rest > 0:
        return min(terms.cash, terms.free + 2 * terms.debt)
    if rest == 0:
        return terms.cash
    divisor = unit_cost - 2 * (terms.debt / abs(terms.p))
    u = terms.number(0) if divisor == 0 else (terms.free - terms.fixed) / divisor
    return min(terms.cash, u * terms.unit * (1 + terms.c) + terms.fixed)


def _buy(terms: Terms, x: Number) -> Deal | Refusal:
    limit = _limit(terms)
    if terms.fraction is not None:
        limit = min(limit, terms.fraction * limit)
    x = terms.floor(x)
    value = x * terms.unit
    fee = value * terms.c + terms.fixed
    paid = value + fee
    refusal = Refusal("INSUFFICIENT_CASH", paid if terms.fraction is None else terms.number(0), limit)
    if limit == 0 and not terms.reduce_only:
        return refusal
    if not (paid < limit or terms.near(paid, limit)):
        spent = terms.add(limit, -terms.fixed) / (1 + terms.c)
        if not spent > 0 or not terms.may_cut:
            return refusal
        x = terms.floor(spent / terms.unit)
        if terms.lot is None:
            fee, paid = limit - spent, limit
        else:
            value = x * terms.unit
            fee = value * terms.c + terms.fixed
            paid = value + fee
    if terms.too_small(x):
        return Refusal("ROUNDS_TO_ZERO")
    r = terms.number(0)
    if terms.p < 0:
        covered = x if terms.add(terms.p, x) < 0 else abs(terms.p)
        r = covered * (terms.debt / abs(terms.p))
    return Deal(
        size=x,
        price=terms.price,
        commission=fee,
        cash=terms.add(terms.cash, -paid),
        free=terms.add(terms.free + 2 * r, -paid),
        debt=terms.add(terms.debt, -r),
    )


def _sell(terms: Terms, x: Number) -> Deal | Refusal:
    g = terms.free
    need = x * terms.unit if terms.fraction is None else terms.number(0)
    if not terms.reduce_only and (terms.locks or terms.fraction is not None):
        owned = max(terms.p, terms.number(0))
        g = terms.add(terms.free, owned * terms.unit * (1 - terms.c))
        most = owned
        if g > 0 and terms.may_short:
            most = terms.add(owned, terms.add(g, -terms.fixed) / (terms.unit * (1 + terms.c)))
        if not most > 0:
            return Refusal("INSUFFICIENT_CASH", need, g)
        if not terms.may_cut and terms.is_less(most, x):
            return Refusal("INSUFFICIENT_CASH", need, g)
        x = min(x, most if terms.fraction is None else terms.fraction * most)
    x = terms.floor(x)
    if terms.too_small(x):
        return Refusal("ROUNDS_TO_ZERO")
    value = x * terms.unit
    fee = value * terms.c + terms.fixed
    gained = terms.add(value, -fee)
    if gained < 0:
        return Refusal("INSUFFICIENT_CASH", fee, value)
    after = terms.add(terms.p, -x)
    debt: Number = terms.debt
    free: Number = terms.free + gained
    if after < 0:
        short = (x if terms.p < 0 else abs(after)) * terms.unit
        debt = debt + short
        free = terms.add(terms.free, terms.add(gained, -2 * short))
    return Deal(size=x, price=terms.price, commission=fee, cash=terms.cash + gained, free=free, debt=debt)
