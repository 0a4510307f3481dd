"""Portfolio limits, measured and acted upon: "Portfolio limits"."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tests.oracle import limit_types as kinds
from tests.oracle.account import Account
from tests.oracle.new_orders import exit_order
from tests.oracle.numbers import Number, steps_up
from tests.oracle.records import Alert

INFINITE: Any = math.inf  # compares with fractions too


def check(account: Account) -> None:
    """Step 5, after the margin call."""
    _follow(account)
    for place, limit in enumerate(account.rules.settings.limits):
        measure: Number = MEASURES[type(limit)](account, limit)
        bound = _broken_bound(limit, measure)
        if bound is not None:
            account.alerts.append(Alert(account.bar_index, place, measure, bound, limit.action.upper()))
            _act(account, limit, measure, bound)


def _follow(account: Account) -> None:
    """What the limits remember from bar to bar."""
    value, last = account.account_value, account.last_value
    if account.session.first:
        account.start_value = last
    account.last_value = value
    account.peak_value = max(account.peak_value, value)
    account.blocked = account.halted


def _values(account: Account) -> Iterator[tuple[str, Number]]:
    for asset, position in account.positions.items():
        yield asset, position.quantity * position.current_price * account.rules.multipliers[asset]


def _over_value(account: Account, exposure: Number) -> Number:
    if account.account_value > 0:
        return exposure / account.account_value
    return account.rules.zero if exposure == 0 else INFINITE


def _positions(account: Account, _: Any) -> Number:
    return account.rules.number(len(account.positions))


def _largest(account: Account, _: Any) -> Number:
    return _over_value(account, max((abs(v) for _, v in _values(account)), default=account.rules.zero))


def _gross(account: Account, _: Any) -> Number:
    total = account.rules.zero
    for _, v in _values(account):
        total = total + abs(v)
    return _over_value(account, total)


def _net(account: Account, _: Any) -> Number:
    total = account.rules.zero
    for _, v in _values(account):
        total = total + v
    return _over_value(account, total)


def _sector(account: Account, limit: kinds.SectorExposure) -> Number:
    total = account.rules.zero
    for asset, v in _values(account):
        total = total + abs(v * limit.weights.get(asset, account.rules.zero))
    return _over_value(account, total)


def _factor(account: Account, limit: kinds.FactorExposure) -> Number:
    total = account.rules.zero
    for asset, v in _values(account):
        total = total + v * limit.weights.get(asset, account.rules.zero)
    return _over_value(account, total)


def _daily_loss(account: Account, _: Any) -> Number:
    start, value = account.start_value, account.account_value
    return _over_value(account, start - value) if start > value else account.rules.zero


def _drawdown(account: Account, _: Any) -> Number:
    return 1 - account.account_value / account.peak_value


def _quantile(account: Account, limit: kinds.ValueAtRisk) -> tuple[list[Number], Number] | None:
    """The returns that count, smallest first, and their quantile; None while there are too few."""
    values, zero = [*account.recorded, account.account_value], account.rules.zero
    if len(values) <= limit.lookback:
        return None
    pairs = list(itertools.pairwise(values))[-limit.lookback :]
    ordered = sorted(after / before - 1 if before > 0 else zero for before, after in pairs)
    place = (limit.lookback - 1) * (1 - limit.confidence)
    below = math.floor(place)
    above = min(below + 1, limit.lookback - 1)
    return ordered, ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _value_at_risk(account: Account, limit: kinds.ValueAtRisk) -> Number:
    found = _quantile(account, limit)
    return account.rules.zero if found is None else -found[1]


def _conditional(account: Account, limit: kinds.ValueAtRisk) -> Number:
    found = _quantile(account, limit)
    if found is None:
        return account.rules.zero
    total, count = account.rules.zero, 0
    for one in found[0]:
        if one <= found[1]:
            total, count = total + one, count + 1
    return -(total / account.rules.number(count))


MEASURES: Mapping[type, Any] = {
    kinds.PositionsLimit: _positions,
    kinds.LargestPosition: _largest,
    kinds.GrossExposure: _gross,
    kinds.NetExposure: _net,
    kinds.SectorExposure: _sector,
    kinds.FactorExposure: _factor,
    kinds.DailyLoss: _daily_loss,
    kinds.Drawdown: _drawdown,
    kinds.ValueAtRisk: _value_at_risk,
    kinds.ConditionalValueAtRisk: _conditional,
}


def _broken_bound(limit: Any, measure: Number) -> Number | None:
    """The bound that the measure breaches, if it does."""
    at_once = isinstance(limit, (kinds.PositionsLimit, kinds.Drawdown))
    if measure > limit.bound or (at_once and measure == limit.bound):
        bound: Number = limit.bound
        return bound
    least: Number | None = getattr(limit, "least", None)
    return least if least is not None and measure < least else None


def _act(account: Account, limit: Any, measure: Number, bound: Number) -> None:
    if limit.action == "warn":
        return
    account.blocked = True
    if limit.action == "reduce":
        _reduce(account, limit, measure, bound)
    elif limit.action == "liquidate":
        for asset, position in list(account.positions.items()):
            leaving = account.pending_exit(asset)
            if leaving is None or leaving.left < abs(position.quantity):
                _exit(account, asset, abs(position.quantity))
    elif limit.action == "halt":
        account.halted = True
        for order in account.pending:
            if order.status == "pending" and not order.reduce_only:
                account.end(order, "cancelled", "HALTED")
        account.drop_finished_orders()


def _reduce(account: Account, limit: Any, measure: Number, bound: Number) -> None:
    for asset, v in list(_values(account)):
        weights = getattr(limit, "weights", None)
        if account.pending_exit(asset) is not None or (weights is not None and weights.get(asset, 0) == 0):
            continue
        part = _part(account, limit, measure, bound, v)
        if part > 0:
            whole = abs(account.quantity(asset))
            size = whole if part >= 1 else steps_up(account.rules.number, part * whole, account.rules.lots[asset])
            _exit(account, asset, min(size, whole))


def _exit(account: Account, asset: str, size: Number) -> None:
    if size > account.rules.smallest_order:
        exit_order(account, asset, size, "risk_liquidation")


def _part(account: Account, limit: Any, measure: Number, bound: Number, v: Number) -> Number:
    """What `reduce` takes off a position of value `v`; nothing where that is not positive."""
    zero = account.rules.zero
    if isinstance(limit, (kinds.DailyLoss, kinds.Drawdown)):
        part: Number = limit.part
        return part
    if isinstance(limit, kinds.LargestPosition):
        return zero if v == 0 else 1 - bound * account.account_value / abs(v)
    if measure == INFINITE:
        return account.rules.number(1)
    return zero if measure == 0 else 1 - bound / measure
