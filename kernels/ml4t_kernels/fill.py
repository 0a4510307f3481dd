"""Whether an order trades on a bar, and from which price. The table is in docs/execution.md."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import LimitFill, OrderType, PriceField, TrailUpdate
from .dtypes import NO_PRICE, Record, Special
from .ledger import Bar, Quote

__all__ = ["base_price", "fills_at_stop", "is_satisfied", "last_close", "market_price", "move_trail", "quote_for", "rests"]


@kernel
def market_price(price_field: int, bar: Bar, asset: int, close: float) -> float:
    """Return the price of market orders of an asset (column) on a bar (in), NaN when it is not priced.

    price_field: code PriceField. close: the bar's, or that of the asset's last bar.
    """
    if price_field == PriceField.CLOSE or isnan(close):
        return close
    if price_field == PriceField.OPEN:
        return bar.open[asset]  # type: ignore[no-any-return]
    if price_field == PriceField.MID:
        return (bar.high[asset] + bar.low[asset]) / 2.0  # type: ignore[no-any-return]
    price = bar.vwap[asset]
    return close if isnan(price) else price


@kernel
def last_close(bar: Bar, asset: int) -> float:
    """Return the last close of an asset (column) that has no bar (in): with `last_bar_again` it stands in the place of the vwap."""
    return bar.vwap[asset]  # type: ignore[no-any-return]


@kernel
def _sees_last_bar(special: Record, order: Record) -> bool:
    """Tell whether an order of an asset without a bar sees its last bar: one with a level, or a market order that saw one (all in)."""
    kind = order["order_type"]
    known = kind == OrderType.MARKET and order["moved_bar"] != 0
    return special["last_bar_again"] == 1 and (known or OrderType.LIMIT <= kind <= OrderType.TRAILING_STOP)  # type: ignore[no-any-return]


@kernel
def quote_for(params: Record, order: Record, bar: Bar, current_bar: int, special: Special) -> Quote:
    """Return what an order can see of its asset's bar.

    params, order: records (in). bar: in. current_bar: number of the bar. special: params or None. An order that was submitted or updated on
    this very bar did not exist at the open: its gap price is the close, and with `submission_close_only`, or for a trailing
    stop, so is its range.
    """
    asset = order["asset"]
    close = bar.close[asset]
    if special is not None and isnan(close) and _sees_last_bar(special, order):
        close = last_close(bar, asset)
    market = bar.open[asset] if order["at_open"] == 1 else market_price(params["price_field"], bar, asset, close)
    if order["active_bar"] != current_bar:
        return Quote(market, bar.open[asset], bar.open[asset], bar.high[asset], bar.low[asset], close, bar.volume[asset])
    if params["submission_close_only"] == 1 or order["order_type"] == OrderType.TRAILING_STOP:
        return Quote(market, close, bar.open[asset], close, close, close, bar.volume[asset])
    return Quote(market, close, bar.open[asset], bar.high[asset], bar.low[asset], close, bar.volume[asset])


@kernel
def _limit_price(order: Record, buys: bool, quote: Quote, params: Record, number: int) -> float:  # noqa: FBT001
    """Return the price of a limit order, NaN when it waits (all in; number: of the bar)."""
    limit, fill = order["limit_price"], params["limit_fill"]
    better = fill == LimitFill.BETTER_OPEN or (fill == LimitFill.BETTER_CLOSE and order["created_bar"] == number)
    if buys:
        if better and quote.gap <= limit:
            return quote.gap
        return limit if quote.low <= limit else NO_PRICE
    if better and quote.gap >= limit:
        return quote.gap
    return limit if quote.high >= limit else NO_PRICE


@kernel
def _stop_price(buys: bool, stop: float, quote: Quote) -> float:  # noqa: FBT001
    """Return the price of a stop order, NaN when it waits (all in)."""
    if buys:
        if quote.gap >= stop:
            return quote.gap
        return stop if quote.high >= stop else NO_PRICE
    if quote.gap <= stop:
        return quote.gap
    return stop if quote.low <= stop else NO_PRICE


@kernel
def rests(order: Record, number: int) -> bool:
    """Tell whether the stop of a stop-limit order was seen on an earlier bar (order: in; number: of the bar)."""
    return order["triggered"] != 0 and order["moved_bar"] != number + 1  # type: ignore[no-any-return]


@kernel
def _stop_limit_price(
    order: Record,
    buys: bool,  # noqa: FBT001
    quote: Quote,
    params: Record,
    number: int,
    special: Special,
) -> tuple[float, int]:
    """Return the price of a stop-limit order, NaN when it waits, and whether its stop has been seen (all in; number: of the bar)."""
    limit, stop, resting = order["limit_price"], order["stop_price"], rests(order, number)
    touched = _stop_price(buys, stop, quote)
    if special is not None and special["stop_limit_at_stop"] == 1 and not resting:
        within = (stop < limit and quote.low <= limit) if buys else (stop > limit and quote.high >= limit)
        return (stop if within and not isnan(touched) else NO_PRICE), 0 if isnan(touched) else 1
    if resting or touched == quote.gap:
        return _limit_price(order, buys, quote, params, number), 1
    if isnan(touched):
        return NO_PRICE, 0
    if (stop <= limit) if buys else (stop >= limit):
        return stop, 1
    # Where the price went after the stop is known for the close only.
    reached = quote.close <= limit if buys else quote.close >= limit
    if special is not None and special["stop_limit_turn"] == 1 and buys == (quote.open <= quote.close):
        reached = False
    return (limit if reached else NO_PRICE), 1


@kernel
def _closes_say(order: Record, buys: bool, close: float) -> int:  # noqa: FBT001
    """Return how far closes have triggered an order: 0 not, 1 the stop of a stop-limit, 2 it trades (all in)."""
    seen: int = order["triggered"]
    kind = order["order_type"]
    if seen == 0 and kind != OrderType.LIMIT:
        stop = order["stop_price"]
        if not (close >= stop if buys else close <= stop):
            return 0
        seen = 1 if kind == OrderType.STOP_LIMIT else 2
    if seen < 2 and (close <= order["limit_price"] if buys else close >= order["limit_price"]):  # noqa: PLR2004 - see above
        return 2
    return seen


@kernel
def base_price(order: Record, quote: Quote, params: Record, number: int, special: Special) -> tuple[float, int]:  # noqa: PLR0911
    """Return the price before impact and slippage, NaN when the order does not trade on this bar, and how far it is triggered.

    order: record order_dtype (in). quote: what the order sees (in). params: in. number: of the bar; on the bar that triggers a
    stop-limit its first rule stays in force. special: params or None. Triggered: 1 a stop-limit whose stop was seen, 2 what a close
    has triggered for good.
    Comparisons are inclusive.
    """
    kind = order["order_type"]
    if kind == OrderType.MARKET:
        return quote.market, 0
    buys = order["quantity"] > 0.0
    if special is not None and special["trigger_close"] == 1 and kind < OrderType.TRAILING_STOP:
        seen = _closes_say(order, buys, quote.close)
        return (quote.market if seen == 2 else NO_PRICE), seen  # noqa: PLR2004 - the code above
    if kind == OrderType.LIMIT:
        return _limit_price(order, buys, quote, params, number), 0
    if kind == OrderType.STOP or kind == OrderType.TRAILING_STOP:
        price = _stop_price(buys, order["stop_price"], quote)
        if special is not None and special["stop_at_stop"] == 1 and price == quote.gap:
            price = order["stop_price"]
        return price, 0
    if kind == OrderType.STOP_LIMIT:
        return _stop_limit_price(order, buys, quote, params, number, special)
    price = quote.open if kind == OrderType.MARKET_ON_OPEN or kind == OrderType.LIMIT_ON_OPEN else quote.close
    limit = order["limit_price"]
    if not isnan(limit) and ((price > limit) if buys else (price < limit)):
        return NO_PRICE, 0
    return price, 0


@kernel
def is_satisfied(order: Record, gap: float, number: int) -> bool:
    """Tell whether an order's levels are already reached by the gap price (order: record order_dtype, in; number: of the bar)."""
    buys = order["quantity"] > 0.0
    kind, limit = order["order_type"], order["limit_price"]
    within = (gap <= limit) if buys else (gap >= limit)
    if kind == OrderType.LIMIT or (kind == OrderType.STOP_LIMIT and rests(order, number)):
        return within  # type: ignore[no-any-return]
    stop = order["stop_price"]
    reached = (gap >= stop) if buys else (gap <= stop)
    return reached and (within or kind != OrderType.STOP_LIMIT)  # type: ignore[no-any-return]


@kernel
def fills_at_stop(order: Record, quote: Quote, base: float, number: int) -> bool:
    """Tell whether a stop-limit order fills at its stop, which the bar reached later than its gap price.

    order, quote: in. base: price at which it trades. number: of the bar.
    """
    stop = order["stop_price"]
    if order["order_type"] != OrderType.STOP_LIMIT or base != stop or rests(order, number):
        return False
    return quote.gap < stop if order["quantity"] > 0.0 else quote.gap > stop  # type: ignore[no-any-return]


@kernel
def move_trail(order: Record, high: float, low: float, close: float, update: int) -> None:
    """Move a trailing stop towards the market, never away from it.

    order: in-out. high, low, close: of the bar. update: code TrailUpdate.
    """
    buys = order["quantity"] > 0.0
    reference = close
    if update != TrailUpdate.CLOSE:
        reference = low if buys else high
    percent = order["trail_percent"]
    trail = order["trail_amount"] if percent == 0.0 else percent * reference
    level = reference + trail if buys else reference - trail
    before = order["stop_price"]
    if isnan(before) or ((level < before) if buys else (level > before)):
        order["stop_price"] = level
