"""The rules of open positions, evaluated: "Position rules".

Everything is written once for both sides: `down` is the losing direction of the position, `up` the winning one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.oracle import rule_types as kinds
from tests.oracle.account import Account, price_return
from tests.oracle.bars import Bar
from tests.oracle.new_orders import exit_order
from tests.oracle.numbers import Number, optional, steps_down
from tests.oracle.records import OraclePosition


@dataclass(frozen=True)
class Exit:
    """What a rule that fires asks for."""

    reason: str
    price: Number | None = None  # None: the pass price
    deferred: bool = False
    at_open: bool = False  # of the bar that it is deferred to
    size: Number | None = None  # unsigned; None: the whole position
    used: tuple[Any, ...] = ()  # targets that count as used if this exit is made


@dataclass(frozen=True)
class Look:
    """A position and its bar, seen from its side of the market."""

    account: Account
    asset: str
    position: OraclePosition
    bar: Bar

    @property
    def is_long(self) -> bool:
        return self.position.quantity > 0

    @property
    def mark(self) -> Number:
        return self.position.high_mark if self.is_long else self.position.low_mark

    @property
    def best(self) -> Number:
        return self.bar.high if self.is_long else self.bar.low

    @property
    def worst(self) -> Number:
        return self.bar.low if self.is_long else self.bar.high

    @property
    def base(self) -> Number:
        position, basis = self.position, self.account.rules.settings.stop_level_basis
        chosen = position.signal_price if basis == "signal_price" else None
        return position.entry_price if chosen is None else chosen

    def down(self, price: Number, pct: Number) -> Number | None:
        """The level `pct` from the price on its losing side; None, which nothing reaches, from a price of 0."""
        if price == 0:
            return None
        return price * (1 - pct) if self.is_long == (price > 0) else price * (1 + pct)

    def up(self, price: Number, pct: Number) -> Number | None:
        return self.down(price, -pct)

    def below(self, price: Number, level: Number | None) -> bool:
        """At the level or on its losing side."""
        if level is None:
            return False
        return price <= level if self.is_long else price >= level

    def above(self, price: Number, level: Number | None) -> bool:
        if level is None:
            return False
        return price >= level if self.is_long else price <= level

    def r(self, price: Number) -> Number | None:
        return price_return(self.position.quantity, self.position.entry_price, price)

    def signal(self, name: str) -> Number | None:
        value = self.position.context.get(name)
        if value is None:
            value = self.account.signals.get(self.asset, {}).get(name)
        return optional(self.account.rules.number, value, name)


def follow_rules(account: Account) -> None:
    """Step 3, in position order."""
    for asset, position in list(account.positions.items()):
        rule = position.rule or account.asset_rules.get(asset) or account.global_rule
        if rule is None or asset not in account.bars or _is_leaving(account, asset):
            continue
        look = Look(account, asset, position, account.bars[asset])
        rule = kinds.in_numbers(rule, account.rules.number)
        _keep_volatilities(look, rule, (rule,))  # what one rule remembers is not another's
        found = evaluate(look, rule, (rule,))
        if found is not None:
            _submit(look, found)


def _is_leaving(account: Account, asset: str) -> bool:
    """The last exit already takes all of the position."""
    order = account.pending_exit(asset)
    return order is not None and order.left >= abs(account.quantity(asset))


def _submit(look: Look, found: Exit) -> None:
    account = look.account
    for key in found.used:
        look.position.memory[key] = True
    whole = abs(look.position.quantity)
    size = whole if found.size is None else min(found.size, whole)
    if size == 0:
        return
    order = exit_order(account, look.asset, size, found.reason)
    order.rule, order.fixed_price = True, found.price
    if found.deferred:
        order.due_bar, order.at_open = account.bar_index + 1, found.at_open


def evaluate(look: Look, rule: Any, path: tuple[Any, ...]) -> Exit | None:
    """What the rule asks for on this bar; None: nothing. Changes nothing."""
    if isinstance(rule, (kinds.Chain, kinds.AnyOf)):
        for place, inner in enumerate(rule.rules):
            found = evaluate(look, inner, (*path, place))
            if found is not None:
                return found
        return None
    if isinstance(rule, kinds.AllOf):
        return _all_of(look, rule, path)
    judge: Callable[[Look, Any, tuple[Any, ...]], Exit | None] = JUDGES[type(rule)]
    return judge(look, rule, path)


def _all_of(look: Look, rule: kinds.AllOf, path: tuple[Any, ...]) -> Exit | None:
    found = [evaluate(look, inner, (*path, place)) for place, inner in enumerate(rule.rules)]
    first = found[0] if found else None
    if first is None or None in found:
        return None
    used = tuple(key for each in found if each is not None for key in each.used)
    return replace(_at_close(look, first.reason), size=first.size, used=used)


def _at_close(look: Look, reason: str) -> Exit:
    """Close-triggered."""
    if look.account.rules.same_bar:
        return Exit(reason, price=look.bar.close)
    return Exit(reason, deferred=True)


def _slipped(look: Look, price: Number) -> Number:
    rate: Number = look.account.rules.settings.stop_slippage_rate
    return price * (1 - rate) if look.is_long else price * (1 + rate)


def _by_mode(look: Look, reason: str, level: Number | None, *, gapped: bool, extreme: Number) -> Exit:
    """The price by `stop_fill_mode`; gapped: the open is already at the level or beyond it."""
    assert level is not None
    mode = look.account.rules.settings.stop_fill_mode
    if mode == "next_bar_open":
        return Exit(reason, deferred=True, at_open=True)
    price = look.bar.close if mode == "close_price" else extreme
    if mode == "stop_price":
        price = look.bar.open if gapped else level
    return Exit(reason, price=_slipped(look, price))


def _stop_loss(look: Look, rule: kinds.StopLoss, _: tuple[Any, ...]) -> Exit | None:
    level = look.down(look.base, rule.pct)
    if not look.below(look.worst, level):
        return None
    return _by_mode(look, rule.reason, level, gapped=look.below(look.bar.open, level), extreme=look.worst)


def _take_profit(look: Look, rule: kinds.TakeProfit, _: tuple[Any, ...]) -> Exit | None:
    level = look.up(look.base, rule.pct)
    if not look.above(look.best, level):
        return None
    return _by_mode(look, rule.reason, level, gapped=look.above(look.bar.open, level), extreme=look.best)


def _trailing_stop(look: Look, rule: kinds.TrailingStop, _: tuple[Any, ...]) -> Exit | None:
    settings, bar = look.account.rules.settings, look.bar
    timing = settings.trail_stop_timing
    level = look.down(look.mark, rule.pct)
    if level is None:
        return None
    moved = max(look.mark, look.best) if look.is_long else min(look.mark, look.best)
    level2 = look.down(moved, rule.pct)
    if look.below(bar.open, level) and (timing == "intrabar" or look.below(look.worst, level)):
        if settings.stop_fill_mode == "next_bar_open":
            return Exit(rule.reason, deferred=True, at_open=True)
        return Exit(rule.reason, price=_slipped(look, bar.open))
    tested = level2 if timing == "intrabar" else level
    if look.below(look.worst, tested):
        # The open came before the extreme that made the second level, and it was not at the first one.
        return _by_mode(look, rule.reason, tested, gapped=False, extreme=look.worst)
    if timing == "vbt_pro" and look.below(bar.close, level2):
        if settings.stop_fill_mode == "next_bar_open":
            return Exit(rule.reason, deferred=True, at_open=True)
        return Exit(rule.reason, price=_slipped(look, bar.close))
    return None


def _time_exit(look: Look, rule: kinds.TimeExit, _: tuple[Any, ...]) -> Exit | None:
    return Exit(rule.reason) if look.position.bars_held >= rule.bars else None


def _tightening(look: Look, rule: kinds.Tightening, _: tuple[Any, ...]) -> Exit | None:
    gained = look.r(look.mark)
    steps = sorted(rule.schedule)
    trail = steps[0][1]
    for threshold, step_trail in steps:
        if gained is not None and threshold <= gained:
            trail = step_trail
    return _at_close(look, rule.reason) if look.below(look.bar.close, look.down(look.mark, trail)) else None


def _keep_volatilities(look: Look, rule: Any, path: tuple[Any, ...]) -> None:
    """Every rule that keeps the first volatility of the position takes it as soon as there is one, whether it is asked or not."""
    if isinstance(rule, (kinds.Chain, kinds.AnyOf, kinds.AllOf)):
        for place, inner in enumerate(rule.rules):
            _keep_volatilities(look, inner, (*path, place))
    elif isinstance(rule, (kinds.VolatilityStop, kinds.VolatilityTrailingStop)) and rule.use_entry_atr:
        atr = look.signal(rule.signal)
        if atr is not None:
            look.position.memory.setdefault((path, rule), atr)


def _volatility(look: Look, rule: Any, path: tuple[Any, ...]) -> Exit | None:
    atr = look.position.memory.get((path, rule)) if rule.use_entry_atr else look.signal(rule.signal)
    if atr is None or not atr > 0:
        return None
    start = look.position.entry_price if isinstance(rule, kinds.VolatilityStop) else look.mark
    level = start - atr * rule.multiplier if look.is_long else start + atr * rule.multiplier
    return _at_close(look, rule.reason) if look.below(look.bar.close, level) else None


def _scaled_exit(look: Look, rule: kinds.ScaledExit, path: tuple[Any, ...]) -> Exit | None:
    gained = look.r(look.bar.close)
    for place, (target, part) in enumerate(rule.targets):
        key = (path, rule, place)
        if gained is not None and key not in look.position.memory and gained >= target:
            lot = look.account.rules.lots[look.asset]
            whole = abs(look.position.quantity)
            size = whole if part >= 1 else steps_down(look.account.rules.number, whole * part, lot)
            return replace(_at_close(look, rule.reason), size=size, used=(key,))
    return None


def _signal_exit(look: Look, rule: kinds.SignalExit, _: tuple[Any, ...]) -> Exit | None:
    value = look.signal(rule.signal)
    if value is None:
        return None
    fires = value < -rule.threshold if look.is_long else value > rule.threshold
    return _at_close(look, rule.reason) if fires else None


JUDGES: dict[type, Any] = {
    kinds.StopLoss: _stop_loss,
    kinds.TakeProfit: _take_profit,
    kinds.TrailingStop: _trailing_stop,
    kinds.TimeExit: _time_exit,
    kinds.Tightening: _tightening,
    kinds.VolatilityStop: _volatility,
    kinds.VolatilityTrailingStop: _volatility,
    kinds.ScaledExit: _scaled_exit,
    kinds.SignalExit: _signal_exit,
}
