"""May the account make this fill? "A fill pass", points 8 and 9, and "Accounts"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.oracle.account import Account
from tests.oracle.numbers import Number, signed, steps_down
from tests.oracle.positions import position_after

Pay = Callable[[Number], Number]


@dataclass(frozen=True)
class Refusal:
    reason: str
    need: Number | None = None
    have: Number | None = None
    final: bool = False  # never cut to the money there is

    @property
    def for_money(self) -> bool:
        return self.reason.startswith("INSUFFICIENT_")


@dataclass(frozen=True)
class Proposal:
    """A fill as it would be."""

    asset: str
    p: Number
    q: Number
    new: Number
    closing: Number  # unsigned, as is opening
    opening: Number
    price: Number
    commission: Number


def opposite(q: Number, p: Number) -> bool:
    return (q > 0 and p < 0) or (q < 0 and p > 0)


def propose(account: Account, asset: str, q: Number, price: Number, pay: Pay) -> Proposal:
    p, zero = account.quantity(asset), account.rules.zero
    new = position_after(p, q, account.rules)
    closing, opening = zero, abs(q)
    if opposite(q, p):
        # A fill that leaves the position flat up to rounding opens nothing.
        whole = new == 0 or abs(q) <= abs(p)
        closing, opening = (abs(q), zero) if whole else (abs(p), abs(q) - abs(p))
    return Proposal(asset, p, q, new, closing, opening, price, pay(abs(q)))


def over_limits(account: Account, proposal: Proposal) -> Refusal | None:
    """Point 8: the order limits and a block of new risk, for orders with an opening part."""
    settings, number = account.rules.settings, account.rules.number
    m = account.rules.multipliers[proposal.asset]
    if not proposal.opening > 0:
        return None
    size = abs(proposal.q * proposal.price) * m
    if settings.max_order_size is not None and size > settings.max_order_size:
        return Refusal("ORDER_SIZE", size, settings.max_order_size)
    held = abs(abs(proposal.p + proposal.q) * proposal.price * m)
    if settings.max_position_size is not None and held > settings.max_position_size:
        return Refusal("POSITION_SIZE", held, settings.max_position_size)
    count = number(len(account.positions) + (1 if proposal.p == 0 else 0))
    if settings.max_positions is not None and proposal.p == 0 and count > settings.max_positions:
        return Refusal("TOO_MANY_POSITIONS", count, settings.max_positions)
    return Refusal("RISK_BLOCKED") if account.blocked else None


def refuse(account: Account, proposal: Proposal) -> Refusal | None:
    """The gate."""
    rules, settings = account.rules, account.rules.settings
    if proposal.opening > 0 and proposal.q < 0 and not rules.allow_short:
        return Refusal("REVERSAL_NOT_ALLOWED" if proposal.p > 0 else "SHORT_NOT_ALLOWED")
    if settings.skip_cash_validation and settings.account != "cash":
        return None
    if settings.cash_check == "open_cash" and proposal.opening > 0:
        return _open_cash(account, proposal)
    if rules.leveraged:
        return _with_leverage(account, proposal)
    return _without_leverage(account, proposal)


def _open_cash(account: Account, proposal: Proposal) -> Refusal | None:
    asset, p = proposal.asset, proposal.p
    m = account.rules.multipliers[asset]
    if account.rules.leveraged:
        paid = p * (proposal.price - account.positions[asset].basis) * m if proposal.closing > 0 else account.rules.zero
        others = account.pass_initial - account.marked_requirement(asset, "initial")
        cash = account.cash + paid - proposal.commission
        have = cash - others - account.requirement(asset, p + proposal.q, proposal.price, "initial")
    else:
        have = account.cash - (proposal.q * proposal.price) * m - proposal.commission
    return None if have >= 0 else Refusal("INSUFFICIENT_CASH", account.rules.zero, have, final=True)


def _without_leverage(account: Account, proposal: Proposal) -> Refusal | None:
    q, price, closing, commission = proposal.q, proposal.price, proposal.closing, proposal.commission
    m = account.rules.multipliers[proposal.asset]
    if proposal.opening > 0:
        covered = proposal.asset if closing > 0 and q > 0 else None
        have = account.available_cash(without=covered) - (signed(closing, q) * price) * m - commission
        return _compare(account, "INSUFFICIENT_CASH", opening_need(account, proposal), have)
    have = account.cash - (q * price) * m
    if not account.rules.allow_short and have - commission < 0:
        return Refusal("INSUFFICIENT_CASH", commission, have)
    return None


def opening_need(account: Account, proposal: Proposal) -> Number:
    """What the opening part costs in an account without leverage."""
    need = (proposal.opening * proposal.price) * account.rules.multipliers[proposal.asset]
    return abs(need) if proposal.q < 0 else need


def _with_leverage(account: Account, proposal: Proposal) -> Refusal | None:
    if not proposal.opening > 0:
        return None
    asset, p, price = proposal.asset, proposal.p, proposal.price
    basis_kind = account.rules.settings.buying_power_basis
    zero, m = account.rules.zero, account.rules.multipliers[asset]
    position = account.positions.get(asset)
    basis = zero if position is None else position.basis
    value = account.pass_value - account.value(asset) + p * (price - basis) * m
    others = account.pass_requirement - account.marked_requirement(asset, basis_kind)
    kept = zero if proposal.closing > 0 else p
    buffer = account.cash - account.available_cash()
    have = value - proposal.commission - buffer - others - account.requirement(asset, kept, price, basis_kind)
    need = account.requirement(asset, signed(proposal.opening, proposal.q), price, "initial")
    return _compare(account, "INSUFFICIENT_BUYING_POWER", need, have)


def _compare(account: Account, reason: str, need: Number, have: Number) -> Refusal | None:
    if need - have > account.rules.cash_tolerance * abs(need):
        return Refusal(reason, need, have)
    return None


def cut_to_money(account: Account, proposal: Proposal, refusal: Refusal, pay: Pay) -> Proposal | None:
    """A refused fill with as much of its opening part as there is money for; None: the refusal stands."""
    assert refusal.need is not None
    assert refusal.have is not None
    if proposal.opening == 0 or refusal.final:
        return None
    closing, lot = proposal.closing, account.rules.lots[proposal.asset]
    number = account.rules.number
    unit_need = refusal.need / proposal.opening
    room = refusal.have + proposal.commission - pay(closing)

    def units(money: Number, cost: Number) -> Number:
        return steps_down(number, money / cost, lot) if cost > 0 and money > 0 else account.rules.zero

    found: dict[Number, Proposal] = {}
    tries = [units(room, unit_need + pay(number(1)))]
    while len(tries) <= 3 and tries[-1] > account.rules.smallest_order:
        n = tries[-1]
        smaller = propose(account, proposal.asset, signed(closing + n, proposal.q), proposal.price, pay)
        if refuse(account, smaller) is None:
            found[n] = smaller
        tries.append(units(room - pay(closing + n), unit_need))
        if n in found and tries[-1] <= n * number("1.000000001"):
            break
    if found:
        return found[max(found)]
    return propose(account, proposal.asset, signed(closing, proposal.q), proposal.price, pay) if closing > 0 else None
