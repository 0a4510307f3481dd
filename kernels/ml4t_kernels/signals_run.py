"""Parameter sets over one asset: bars on which nothing can happen are only marked, all others go through the stages of the step.

A bar is quiet when no order waits, no signal of it does anything to the position, and no level of a rule is within its range. The tests for
that are those of the rules themselves or wider: a bar that is not quiet may still turn out to be, never the other way round.
"""

from __future__ import annotations

from math import inf, isnan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .codes import SignalAction, TrailTiming
from .dtypes import FloatArray, Record
from .ledger import Ledger
from .signals_path import Path, followed_along

__all__ = ["Levels", "Masks", "Tape", "acting", "actions_on", "hold", "levels_of", "list_events", "next_event"]

_BITS = 4
_COMBINATIONS = 16


class Tape(NamedTuple):
    """The bars of one asset, float64[bars], their signals, uint8[bars] (codes SignalBit added up), and the bars with any, int32[events]."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    codes: npt.NDArray[Any]
    events: npt.NDArray[Any]


class Levels(NamedTuple):
    """Where the rules of a position begin to look: at lower and below, at upper and above, from last_bar on; trailing: at mark * factor."""

    guarded: bool
    trails: bool
    eager: bool
    extreme: bool
    lower: float
    upper: float
    mark: float
    factor: float
    last_bar: int


class Masks(NamedTuple):
    """Which combinations of signals do something when flat, long and short, one bit for each."""

    flat: int
    long: int
    short: int


@kernel
def acting(actions: npt.NDArray[Any], place: int) -> int:
    """Return which signals do something, one bit for each of their 16 combinations.

    actions: uint8[48] (in). place: 0 flat, 1 long, 2 short.
    """
    mask = 0
    for code in range(_COMBINATIONS):
        if actions[place * _COMBINATIONS + code] != SignalAction.NOTHING:
            mask |= 1 << code
    return mask


@kernel
def actions_on(actions: npt.NDArray[Any], code: int) -> int:
    """Return what signals come to when flat, long and short, in groups of four bits (actions: uint8[48], in; code: of the signals)."""
    flat, longs, shorts = np.int64(actions[code]), np.int64(actions[_COMBINATIONS + code]), np.int64(actions[2 * _COMBINATIONS + code])
    return flat | longs << _BITS | shorts << 2 * _BITS  # type: ignore[return-value]


@kernel
def list_events(codes: npt.NDArray[Any], events: npt.NDArray[Any]) -> int:
    """Write the bars with any signal. Returns how many there are (codes: uint8[bars], in; events: int32[bars], out)."""
    count = 0
    for bar in range(len(codes)):
        events[count] = bar
        count += 1 if codes[bar] != 0 else 0
    return count


@kernel
def next_event(tape: Tape, mask: int, place: int, bar: int) -> tuple[int, int]:
    """Return the place in the events of the first bar from `bar` on, and the first bar from there whose signals do something.

    tape: in; the number of its bars stands for none. mask: signals that do something, as `acting`. place: where to begin to look.
    """
    events = len(tape.events)
    while place < events and tape.events[place] < bar:
        place += 1
    ahead = place
    while ahead < events and (mask >> int(tape.codes[tape.events[ahead]])) & 1 == 0:
        ahead += 1
    return place, np.int64(tape.events[ahead]) if ahead < events else len(tape.close)  # type: ignore[return-value]


@kernel
def levels_of(ledger: Ledger, chosen: Record) -> Levels:
    """Return where the rules of the open position begin to look (ledger, chosen: in)."""
    params, position = ledger.params[0], ledger.positions[0]
    longs = position["quantity"] > 0.0
    side = 1.0 if longs else -1.0
    base = position["entry_price"]
    if params["stop_signal_price"] == 1 and not isnan(position["signal_price"]):
        base = position["signal_price"]
    mark = position["high_water_mark"] if longs else position["low_water_mark"]
    stop, target = base * (1.0 - side * chosen["stop_pct"]), base * (1.0 + side * chosen["target_pct"])
    return Levels(
        params["has_rules"] == 1,
        chosen["trail_pct"] < inf,
        params["trail_timing"] != TrailTiming.LAGGED,
        params["marks_extreme"] == 1,
        stop if longs else target,
        target if longs else stop,
        mark,
        1.0 - side * chosen["trail_pct"],
        position["entry_bar"] + chosen["max_bars"],
    )


@kernel
def _within(tape: Tape, levels: Levels, bar: int, until: int) -> int:
    """Return the first bar from `bar` to before `until` whose range reaches a level that stays where it is, else `until` (all in)."""
    until = min(until, max(levels.last_bar, bar))
    while bar < until:
        reached = (tape.low[bar] <= levels.lower) | (tape.high[bar] >= levels.upper)
        if reached and not isnan(tape.close[bar]):
            break
        bar += 1
    return bar


@kernel
def _trail_reached(levels: Levels, held: float, mark: float, opened: float, high: float, low: float, close: float) -> bool:
    """Tell whether a bar may reach a trailing stop (levels: in; held: signed; mark: water mark of the bars before)."""
    if levels.eager:  # this bar's own extreme may move the level
        mark = max(mark, high) if held > 0.0 else min(mark, low)
        high, low = max(high, close, opened), min(low, close, opened)
    return low <= mark * levels.factor if held > 0.0 else high >= mark * levels.factor


@kernel
def _trailing(tape: Tape, levels: Levels, held: float, bar: int, until: int) -> tuple[int, float]:
    """Return the first bar that may reach a level, one of which trails, else `until`; and the water mark before it (held: signed)."""
    mark = levels.mark
    while bar < until:
        price, high, low = tape.close[bar], tape.high[bar], tape.low[bar]
        reached = (low <= levels.lower) | (high >= levels.upper) | (bar >= levels.last_bar)
        if not isnan(price):
            if reached or _trail_reached(levels, held, mark, tape.open[bar], high, low, price):
                break
            if held > 0.0:
                mark = max(mark, high if levels.extreme else price)
            else:
                mark = min(mark, low if levels.extreme else price)
        bar += 1
    return bar, mark


@kernel
def hold(ledger: Ledger, tape: Tape, path: Path, levels: Levels, bar: int, until: int) -> tuple[int, Path]:
    """Mark a position from `bar` on until a bar on which a rule may fire, or to before `until`. Returns that bar and the path.

    ledger: in-out (price and water mark of the position). tape, path, levels: in.
    """
    position, end = ledger.positions[0], until
    held = position["quantity"]
    if levels.trails:
        end, mark = _trailing(tape, levels, held, bar, until)
        if held > 0.0:
            position["high_water_mark"] = mark
        else:
            position["low_water_mark"] = mark
    elif levels.guarded:
        end = _within(tape, levels, bar, until)
    if end > bar:
        path, position["current_price"] = followed_along(
            path, tape.close, bar, end, ledger.state[0]["cash"], held, ledger.contracts[0]["multiplier"], position["current_price"]
        )
    return end, path
