"""Parameter sets over one asset: bars on which nothing can happen are only marked, all others go through the stages of the step.

A bar is quiet when no order waits, no signal of it does anything to the position, and no level of a rule is within its range. The tests for
that are those of the rules themselves or wider: a bar that is not quiet may still turn out to be, never the other way round.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .codes import SignalAction, TrailTiming
from .dtypes import FloatArray, Record
from .ledger import Ledger
from .pnl import notional
from .signals_path import Path, followed

__all__ = ["Levels", "Masks", "Tape", "acting", "actions_on", "hold", "levels_of", "list_events", "next_event"]

_BITS = 4
_COMBINATIONS = 16


class Tape(NamedTuple):
    """The bars of one asset, float64[bars], what their signals say, uint8[bars] (codes SignalBit added up), and the bars that say anything."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    codes: npt.NDArray[Any]
    events: npt.NDArray[Any]


class Levels(NamedTuple):
    """Where the rules of a position begin to look: below lower, above upper, from last_bar on. Trailing: mark * factor is one of the two."""

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
    return flat | longs << _BITS | shorts << 2 * _BITS


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
    while ahead < events and (mask >> tape.codes[tape.events[ahead]]) & 1 == 0:
        ahead += 1
    return place, np.int64(tape.events[ahead]) if ahead < events else len(tape.close)


@kernel
def levels_of(ledger: Ledger, chosen: Record) -> Levels:
    """Return where the rules of the open position begin to look (ledger, chosen: in)."""
    params, position = ledger.params[0], ledger.positions[0]
    longs = position["quantity"] > 0.0
    side = 1.0 if longs else -1.0
    base = position["entry_price"]
    if params["stop_signal_price"] == 1 and position["signal_price"] == position["signal_price"]:
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
def _hold_freely(ledger: Ledger, tape: Tape, path: Path, bar: int, until: int) -> tuple[int, Path]:
    """Do as `hold` for a position without rules (ledger, tape, path: in; bar, until: bars)."""
    cash, held, multiplier = ledger.state[0]["cash"], ledger.positions[0]["quantity"], ledger.contracts[0]["multiplier"]
    last = ledger.positions[0]["current_price"]
    for row in range(bar, until):
        price = tape.close[row]
        if price == price:
            path = followed(path, cash + notional(held, price - 0.0, multiplier))
            last = price
    ledger.positions[0]["current_price"] = last
    return until, path


@kernel
def hold(ledger: Ledger, tape: Tape, path: Path, levels: Levels, bar: int, until: int) -> tuple[int, Path]:
    """Mark a position from `bar` on until a bar on which a rule may fire, or to before `until`. Returns that bar and the path.

    ledger: in-out (price and water mark of the position). tape, path, levels: in.
    """
    if not levels.guarded:
        return _hold_freely(ledger, tape, path, bar, until)
    position = ledger.positions[0]
    cash, held, multiplier = ledger.state[0]["cash"], position["quantity"], ledger.contracts[0]["multiplier"]
    lower, upper, mark, last = levels.lower, levels.upper, levels.mark, position["current_price"]
    while bar < until:
        price, high, low = tape.close[bar], tape.high[bar], tape.low[bar]
        if levels.trails:
            newest = mark
            if levels.eager:
                newest = max(mark, high) if held > 0.0 else min(mark, low)
                high, low = max(high, price, tape.open[bar]), min(low, price, tape.open[bar])
            if held > 0.0:
                lower = max(levels.lower, newest * levels.factor)
            else:
                upper = min(levels.upper, newest * levels.factor)
        if price == price:
            if (low <= lower) | (high >= upper) | (bar >= levels.last_bar):
                break
            path = followed(path, cash + notional(held, price - 0.0, multiplier))
            last = price
            if levels.trails:
                if held > 0.0:
                    mark = max(mark, tape.high[bar] if levels.extreme else price)
                else:
                    mark = min(mark, tape.low[bar] if levels.extreme else price)
        bar += 1
    position["current_price"] = last
    if levels.trails:
        if held > 0.0:
            position["high_water_mark"] = mark
        else:
            position["low_water_mark"] = mark
    return bar, path
