"""Levels and fill prices, computed once for both sides.

Rules see every bar as a long would: the prices of a short are negated, so high and low change places and every rule is
written once. Negation is exact in floating point; a short fires on the negated prices exactly when the long does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.types import ActionType, PositionAction

if TYPE_CHECKING:
    from ml4t_backtest.risk.types import PositionState

__all__ = [
    "FILL_MODES",
    "HWM_SOURCES",
    "LEVEL_BASES",
    "TIMINGS",
    "Seen",
    "above",
    "below",
    "exit_at",
    "fill_mode",
    "seen",
    "stop_base",
    "stop_price",
    "timing",
]

FILL_MODES = ("stop_price", "close_price", "bar_extreme", "next_bar_open")
LEVEL_BASES = ("fill_price", "signal_price")
HWM_SOURCES = ("close", "bar_extreme")
TIMINGS = ("lagged", "intrabar", "vbt_pro")


class Seen(NamedTuple):
    """A bar as a long sees it. `sign` turns prices back; `opening` is NaN when unknown, then nothing gaps."""

    sign: float
    opening: float
    best: float
    worst: float
    close: float
    mark: float
    entry: float


def _price(value: float | None, otherwise: float) -> float:
    return otherwise if value is None or math.isnan(value) else value


def seen(state: PositionState) -> Seen:
    """Return the bar of a state as a long sees it; without a close all its prices are NaN, so that no level is reached."""
    close = state.current_price
    if math.isnan(close):
        return Seen(1.0 if state.is_long else -1.0, math.nan, math.nan, math.nan, math.nan, *_marks(state))
    high, low = _price(state.bar_high, close), _price(state.bar_low, close)
    opening = _price(state.bar_open, math.nan)
    if state.is_long:
        return Seen(1.0, opening, high, low, close, *_marks(state))
    return Seen(-1.0, -opening, -low, -high, -close, *_marks(state))


def _marks(state: PositionState) -> tuple[float, float]:
    return (state.high_water_mark, state.entry_price) if state.is_long else (-state.low_water_mark, -state.entry_price)


def below(base: float, pct: float) -> float:
    """Return the price `pct` of its size below a base: `base * (1 - pct)`, negative bases `base * (1 + pct)`, NaN for 0."""
    if base == 0.0:
        return math.nan
    return base * (1.0 - pct) if base > 0.0 else base * (1.0 + pct)


def above(base: float, pct: float) -> float:
    """Return the price `pct` of its size above a base, the mirror image of `below`."""
    return -below(-base, pct)


def _setting(state: PositionState, name: str, choices: tuple[str, ...]) -> str:
    value: Any = state.context.get(name)
    return choices[0] if value is None else checks.choice("context", name, value, choices)


def fill_mode(state: PositionState) -> str:
    """Return the fill mode of stops in the position's context; without one they fill at the stop price."""
    return _setting(state, "stop_fill_mode", FILL_MODES)


def stop_base(state: PositionState) -> float:
    """Return the price that fixed levels count from, as a long sees it: the entry price, or the signal's close when asked for and known."""
    base = state.entry_price
    if _setting(state, "stop_level_basis", LEVEL_BASES) == "signal_price":
        base = _price(state.context.get("signal_price"), base)
    return base if state.is_long else -base


def timing(state: PositionState) -> str:
    """Return when trailing stops look at their mark; without a setting the mark of the bars before."""
    return _setting(state, "trail_stop_timing", TIMINGS)


def stop_price(bar: Seen, level: float, mode: str, *, gap: bool) -> float:
    """Return where a stop at `level` fills, as a long sees it; `gap` says whether the open is at or beyond the level."""
    if mode == "close_price":
        return bar.close
    if mode == "bar_extreme":
        return bar.worst
    if gap:
        return bar.opening
    return level if bar.worst <= level <= bar.best else bar.close


def exit_at(bar: Seen, level: float, price: float, mode: str, reason: str, exit_reason: str) -> PositionAction:
    """Return the exit of a rule that tests the range of the bar: at `price`, or at the next open when the mode says so."""
    deferred = mode == "next_bar_open"
    return PositionAction(
        ActionType.EXIT_FULL,
        stop_price=bar.sign * level,
        fill_price=None if deferred else bar.sign * price,
        reason=reason,
        defer_fill=deferred,
        exit_reason=exit_reason,
    )
