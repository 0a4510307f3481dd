"""What a bar offers an order: "A fill pass", point 2."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.account import Account
from tests.oracle.bars import Bar
from tests.oracle.numbers import Number
from tests.oracle.records import OracleOrder


@dataclass(frozen=True)
class Offer:
    """The base price, or None when the order waits."""

    price: Number | None
    at_open: bool = False  # the order trades at the bar's open, by its kind
    satisfied: bool = False  # the gap price already satisfies the order
    maker: bool = False  # an order of type limit that the gap price did not satisfy
    triggered: bool = False  # a stop-limit from now on
    reached: bool = False  # triggered for good by a close
    at_stop: bool = False  # a stop-limit at its stop, which the bar reached later than the gap price


@dataclass(frozen=True)
class View:
    """The bar as the order sees it."""

    bar: Bar
    gap: Number  # R
    gap_is_open: bool
    high: Number
    low: Number
    better_open: bool


def offer(account: Account, order: OracleOrder, pass_price: str) -> Offer:
    """Changes nothing: a trigger or a moved trail takes effect with the turn."""
    bar = account.bar_of(order)
    kind = order.order_type
    if bar is None:
        return Offer(None)
    if order.fixed_price is not None and order.created_bar == account.bar_index:
        return Offer(order.fixed_price, satisfied=True)
    if kind == "market":
        name = "open" if order.at_open else pass_price
        return Offer(bar.price(name), at_open=name == "open", satisfied=True)
    if kind == "market_on_open":
        return Offer(bar.open, at_open=True, satisfied=True)
    if kind == "market_on_close":
        return Offer(bar.close, satisfied=True)
    if kind == "limit_on_open":
        return Offer(bar.open if _meets_limit(order, bar.open) else None, at_open=True, satisfied=True)
    if kind == "limit_on_close":
        return Offer(bar.close if _meets_limit(order, bar.close) else None, satisfied=True)
    view = see(account, order)
    if kind == "trailing_stop":
        return _trailing_stop(account, order, view)
    if kind == "limit":
        usual = _limit(order, view)
    elif kind == "stop":
        usual = _stop(account, order, view, order.stop_price)
    else:
        usual = _stop_limit(account, order, view)
    if account.rules.settings.trigger_price == "range":
        return usual
    return _by_close(order, usual, bar.close, bar.price(pass_price))


def _by_close(order: OracleOrder, usual: Offer, close: Number, price: Number) -> Offer:
    """The close decides alone and for good; what is triggered trades like a market order."""
    stopped = reached = order.reached
    if not reached:
        seen = order.order_type == "limit" or order.triggered_bar is not None
        stopped = seen or (order.stop_price is not None and _reaches(order, close, order.stop_price))
        reached = stopped and (order.order_type == "stop" or _meets_limit(order, close))
    triggered = stopped and order.order_type == "stop_limit"
    return Offer(price if reached else None, False, usual.satisfied, usual.maker, triggered, reached)


def see(account: Account, order: OracleOrder) -> View:
    bar, settings = account.bar_of(order), account.rules.settings
    assert bar is not None
    # Such an order did not exist at the open.
    late = account.bar_index in (order.active_bar, order.late_bar)
    narrow = late and (settings.submission_bar_range == "close" or order.order_type == "trailing_stop")
    high, low = (bar.close, bar.close) if narrow else (bar.high, bar.low)
    return View(
        bar,
        bar.close if late else bar.open,
        not late,
        high,
        low,
        settings.limit_fill == "better_open" or (order.created_bar == account.bar_index and settings.limit_fill == "better_close"),
    )


def _meets_limit(order: OracleOrder, price: Number) -> bool:
    assert order.limit_price is not None
    return price <= order.limit_price if order.quantity > 0 else price >= order.limit_price


def _limit(order: OracleOrder, view: View) -> Offer:
    satisfied = _meets_limit(order, view.gap)
    at_open = satisfied and view.gap_is_open
    if satisfied and view.better_open:
        return Offer(view.gap, at_open=at_open, satisfied=True)
    reached = _meets_limit(order, view.low if order.quantity > 0 else view.high)
    maker = order.order_type == "limit" and not satisfied
    return Offer(order.limit_price if reached else None, at_open=at_open, satisfied=satisfied, maker=maker)


def _reaches(order: OracleOrder, price: Number, stop: Number) -> bool:
    return price >= stop if order.quantity > 0 else price <= stop


def _extreme(order: OracleOrder, view: View) -> Number:
    return view.high if order.quantity > 0 else view.low


def _stop(account: Account, order: OracleOrder, view: View, stop: Number | None) -> Offer:
    assert stop is not None
    if _reaches(order, view.gap, stop):
        price = stop if account.rules.settings.stop_gap_fill == "stop_price" else view.gap
        return Offer(price, at_open=view.gap_is_open, satisfied=True)
    return Offer(stop if _reaches(order, _extreme(order, view), stop) else None)


def _stop_limit(account: Account, order: OracleOrder, view: View) -> Offer:
    stop, limit = order.stop_price, order.limit_price
    assert stop is not None
    assert limit is not None
    if order.triggered_bar is not None and order.triggered_bar < account.bar_index:
        return _limit(order, view)
    if account.rules.settings.stop_limit_fill == "at_stop":
        return _at_stop(order, view, stop, limit)
    if _reaches(order, view.gap, stop):
        inner = _limit(order, view)
        return Offer(inner.price, inner.at_open, inner.satisfied, triggered=True)
    if not _reaches(order, _extreme(order, view), stop):
        return Offer(None)
    if _meets_limit(order, stop):
        return Offer(stop, triggered=True, at_stop=True)
    reached = _meets_limit(order, view.bar.close)
    if account.rules.settings.stop_limit_fill == "turned_bar":
        fell = view.bar.open > view.bar.close
        reached = reached and (fell if order.quantity > 0 else not fell)
    return Offer(limit if reached else None, triggered=True)


def _at_stop(order: OracleOrder, view: View, stop: Number, limit: Number) -> Offer:
    """On the bar of the trigger: at the stop or not at all."""
    buy = order.quantity > 0
    gapped = _reaches(order, view.gap, stop)
    if not gapped and not _reaches(order, _extreme(order, view), stop):
        return Offer(None)
    reached = (stop < limit and view.low <= limit) if buy else (stop > limit and view.high >= limit)
    satisfied = gapped and _meets_limit(order, view.gap)
    at_open = satisfied and view.gap_is_open
    return Offer(stop if reached else None, at_open=at_open, satisfied=satisfied, triggered=True, at_stop=not gapped)


def _trailing_stop(account: Account, order: OracleOrder, view: View) -> Offer:
    bar_first = account.rules.settings.trail_update == "bar_first"
    done = order.trail_moved_bar == account.bar_index and not bar_first
    if order.stop_price is None or order.trail_start_bar == account.bar_index or done:
        return Offer(None)
    return _stop(account, order, view, stop_level(account, order, view))


def stop_level(account: Account, order: OracleOrder, view: View) -> Number | None:
    """The level that is tested on this bar: with bar_first the bar's extreme moves it before."""
    first = account.rules.settings.trail_update == "bar_first"
    if order.order_type != "trailing_stop" or not first or not may_move(account, order):
        return order.stop_price
    return trailed(order, favourable(order, view))


def favourable(order: OracleOrder, view: View) -> Number:
    return view.high if order.quantity < 0 else view.low


def may_move(account: Account, order: OracleOrder) -> bool:
    """Once per bar, on a later bar than those of the submission, the last update and the start from a close."""
    bar = account.bar_index
    fresh = bar in (order.active_bar, order.late_bar, order.trail_start_bar, order.trail_moved_bar)
    return order.stop_price is not None and not fresh


def trail_level(order: OracleOrder, x: Number) -> Number:
    """`X - trail` for sells, `X + trail` for buys."""
    trail = order.trail_amount if order.trail_percent is None else order.trail_percent * x
    assert trail is not None
    return x - trail if order.quantity < 0 else x + trail


def trailed(order: OracleOrder, x: Number) -> Number:
    """The level moved towards `x`, never loosened."""
    assert order.stop_price is not None
    level = trail_level(order, x)
    return max(order.stop_price, level) if order.quantity < 0 else min(order.stop_price, level)
