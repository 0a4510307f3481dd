"""What docs/differences.md says that an order does on either side, worked out from the bars alone.

These are the words of both rule books as plain code for one order, without cash, queue or other orders. An attribution holds only
where both engines did exactly what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from validation.runners.exchange import Instruction, Job

__all__ = ["Bar", "Held", "Reach", "bar_at", "held_before", "reach"]


class Bar(NamedTuple):
    """The prices of one asset on one bar."""

    number: int
    open: float
    high: float
    low: float
    close: float


class Reach(NamedTuple):
    """Where an order is reached first: the number of the bar, and its price before slippage."""

    bar: int
    price: float


def bar_at(job: Job, asset: str, number: int) -> Bar | None:
    """Return a bar of an asset, None where it has none."""
    market, column = job.market, job.market.assets.index(asset)
    if np.isnan(market.close[number, column]):
        return None
    return Bar(number, *(float(getattr(market, name)[number, column]) for name in ("open", "high", "low", "close")))


def reach(job: Job, told: Instruction, last: int, *, there: bool) -> Reach | None:
    """Return where an order of the script is reached first, up to a bar; None when it is not, or is of another kind."""
    return {"limit": _limit, "stop": _stop, "stop_limit": _stop_limit, "trailing_stop": _trailing}[told.verb](job, told, last, there=there)


def _bars(job: Job, told: Instruction, last: int) -> Iterator[Bar]:
    """Yield the bars on which an order can trade: from its own bar on in SAME_BAR mode."""
    first = int(np.searchsorted(job.market.times, told.time)) + (0 if _same_bar(job) else 1)
    found = (bar_at(job, told.asset, number) for number in range(first, last + 1))
    return (bar for bar in found if bar is not None)


def _same_bar(job: Job) -> bool:
    return bool(job.settings.get("native", {}).get("execution_mode") == "same_bar")


def _submitted(job: Job, told: Instruction) -> int:
    return int(np.searchsorted(job.market.times, told.time))


def _mirrored(bar: Bar, told: Instruction) -> tuple[Bar, float]:
    """Return a bar as a purchase sees it, and the sign that brings its prices back: a sale sees everything upside down."""
    if told.quantity > 0:
        return bar, 1.0
    return Bar(bar.number, -bar.open, -bar.low, -bar.high, -bar.close), -1.0


def _limit(job: Job, told: Instruction, last: int, *, there: bool) -> Reach | None:
    if there and job.settings.get("slippage"):
        return None  # a price beyond the limit: 0.2.0 lets the order wait for ever
    for real in _bars(job, told, last):
        bar, sign = _mirrored(real, told)
        if bar.low <= sign * told.limit_price:
            return Reach(bar.number, told.limit_price)
    return None


def _stop(job: Job, told: Instruction, last: int, *, there: bool) -> Reach | None:
    for real in _bars(job, told, last):
        bar, sign = _mirrored(real, told)
        stop = sign * told.stop_price
        reference = bar.close if not there and bar.number == _submitted(job, told) else bar.open
        if reference >= stop:
            return Reach(bar.number, sign * reference)
        if bar.high >= stop:
            return Reach(bar.number, told.stop_price)
    return None


def _stop_limit(job: Job, told: Instruction, last: int, *, there: bool) -> Reach | None:
    triggered = False
    for real in _bars(job, told, last):
        bar, sign = _mirrored(real, told)
        stop, limit = sign * told.stop_price, sign * told.limit_price
        own = bar.number == _submitted(job, told)
        # There, a bar of SAME_BAR mode has two passes (its own bar one), and the second finds the order triggered.
        passes = 2 if there and _same_bar(job) and not own else 1
        for _ in range(passes):
            reference = bar.close if own and not there else bar.open
            before, triggered = triggered, triggered or max(reference, bar.high) >= stop
            if not triggered:
                continue
            as_limit = Reach(bar.number, told.limit_price) if bar.low <= limit else None
            if before or reference >= stop:
                found = as_limit
            elif there:
                found = None if limit < stop and bar.close > limit else as_limit
            elif stop <= limit:
                found = Reach(bar.number, told.stop_price)
            else:
                found = as_limit if bar.close <= limit else None
            if found is not None:
                return found
    return None


def _trailing(job: Job, told: Instruction, last: int, *, there: bool) -> Reach | None:
    """Return where a trailing stop is reached; there it is moved before every test, its own bar's included."""
    update = "bar_first" if there else job.settings.get("config", {}).get("trail_update", "bar_first")
    signal = bar_at(job, told.asset, _submitted(job, told))
    level = float("nan") if np.isnan(told.stop_price) else told.stop_price * (1.0 if told.quantity > 0 else -1.0)
    if np.isnan(level) and not there and signal is not None:
        level = _mirrored(signal, told)[0].close + told.trail_amount
    for real in _bars(job, told, last):
        bar, sign = _mirrored(real, told)
        own = bar.number == _submitted(job, told)
        if there or (update == "bar_first" and not own and not np.isnan(level)):
            level = float(np.fmin(level, bar.low + told.trail_amount))
        if np.isnan(level):
            level = bar.close + told.trail_amount
            continue
        reference, high = (bar.close, bar.close) if own and not there else (bar.open, bar.high)
        if reference >= level:
            return Reach(bar.number, sign * reference)
        if high >= level:
            return Reach(bar.number, sign * level)
        if not there and update == "after_bar" and not own:
            level = min(level, bar.low + told.trail_amount)
    return None


@dataclass
class Held:
    """A position as a bar begins: quantity, the number of the bar that opened it, and its water marks."""

    quantity: float
    opened: int
    high: float
    low: float


def held_before(job: Job, fills: list[tuple[Any, ...]], asset: str, number: int) -> Held | None:
    """Return what is held of an asset as a bar begins, from the fills of one side (time, asset, quantity, price, ..., label)."""
    native, position = job.settings.get("native", {}), None
    times = job.market.times.tolist()
    for past in range(number):
        bar = bar_at(job, asset, past)
        for row in fills:
            if row[0] == times[past] and row[1] == asset and bar is not None:
                position = _after(job, position, row, bar)
        if position is None or bar is None:
            continue
        extremes = native.get("trail_hwm_source") == "bar_extreme" and position.opened < past
        position.high = max(position.high, bar.high if extremes else bar.close)
        position.low = min(position.low, bar.low if extremes else bar.close)
    return position


def _after(job: Job, position: Held | None, row: tuple[Any, ...], bar: Bar) -> Held | None:
    """Return the position after a fill."""
    before = 0.0 if position is None else position.quantity
    quantity = before + row[2]
    if abs(quantity) < 1e-9:
        return None
    if position is not None and before * quantity > 0.0:
        position.quantity = quantity
        return position
    source = job.settings.get("native", {}).get("initial_hwm_source", "fill_price")
    told = next((one for one in job.script if one.label == row[6]), None)
    signal = None if told is None else bar_at(job, told.asset, _submitted(job, told))
    marks = {
        "fill_price": (row[3], row[3]),
        "bar_close": (bar.close, bar.close),
        "bar_high": (bar.high, bar.low),
        "signal_price": (row[3], row[3]) if signal is None else (signal.close, signal.close),
    }
    return Held(quantity, bar.number, *marks[source])
