"""One asset's bar, and the base price it offers an order: "A fill pass", point 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.oracle.numbers import Number, NumberType
from tests.oracle.records import OracleOrder
from tests.oracle.settings import PriceName, convert

RawBar: TypeAlias = tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Bar:
    open: Number
    high: Number
    low: Number
    close: Number


def read_bars(raw: Mapping[str, RawBar | None], assets: tuple[str, ...], number: NumberType) -> dict[str, Bar]:
    """The bars of the priced assets: a missing open, high or low is the close, no close is no bar."""
    unknown = set(raw) - set(assets)
    if unknown:
        raise ValueError(f"bars for unknown assets: {sorted(unknown)}")
    bars: dict[str, Bar] = {}
    for asset, values in raw.items():
        if values is None or values[3] is None:
            continue
        close = convert(number, values[3], "close")
        o, h, low = (close if value is None else convert(number, value, "price") for value in values[:3])
        bars[asset] = Bar(o, h, low, close)
    return bars


def base_price(order: OracleOrder, bar: Bar, bar_index: int, pass_price: PriceName) -> Number | None:
    """The price before slippage at which the order trades on this bar, or None when it waits."""
    if order.order_type == "limit":
        return _limit_price(order, bar)
    if order.order_type == "stop":
        # An order submitted or updated on this very bar did not exist at the open.
        reference = bar.close if order.active_bar == bar_index else bar.open
        return _stop_price(order, bar, reference)
    return bar.open if pass_price == "open" else bar.close


def _limit_price(order: OracleOrder, bar: Bar) -> Number | None:
    limit = order.limit_price
    assert limit is not None
    reached = bar.low <= limit if order.quantity > 0 else bar.high >= limit
    return limit if reached else None


def _stop_price(order: OracleOrder, bar: Bar, reference: Number) -> Number | None:
    stop = order.stop_price
    assert stop is not None
    if order.quantity > 0:
        if reference >= stop:
            return reference
        return stop if bar.high >= stop else None
    if reference <= stop:
        return reference
    return stop if bar.low <= stop else None
