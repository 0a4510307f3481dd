"""Indicators the slow way: every bar from its definition, windows in exact fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

__all__ = ["naive_atr", "naive_ema", "naive_extreme", "naive_mean", "naive_rsi", "naive_std", "naive_zscore"]

NAN = math.nan


def windows(values: list[float], length: int) -> list[list[Fraction] | None]:
    """Return the window that ends at each bar, None where it is not full or has a gap."""
    made: list[list[Fraction] | None] = []
    for bar in range(len(values)):
        window = values[max(bar - length + 1, 0) : bar + 1]
        made.append([Fraction(value) for value in window] if len(window) == length and not any(map(math.isnan, window)) else None)
    return made


def naive_mean(values: list[float], length: int) -> list[float]:
    return [NAN if window is None else float(sum(window) / length) for window in windows(values, length)]


def _deviation(window: list[Fraction], ddof: int) -> float:
    mean = sum(window) / len(window)
    return math.sqrt(sum((value - mean) ** 2 for value in window) / (len(window) - ddof))


def naive_std(values: list[float], length: int, ddof: int) -> list[float]:
    return [NAN if window is None else _deviation(window, ddof) for window in windows(values, length)]


def naive_zscore(values: list[float], length: int, ddof: int) -> list[float]:
    made = []
    for window in windows(values, length):
        spread = NAN if window is None else _deviation(window, ddof)
        made.append(float(window[-1] - sum(window) / length) / spread if window is not None and spread > 0.0 else NAN)
    return made


def naive_extreme(values: list[float], length: int, pick: type[max | min]) -> list[float]:
    return [NAN if window is None else float(pick(window)) for window in windows(values, length)]


def spread_out(known: list[float], bars: list[int], count: int) -> list[float]:
    """Put answers of the bars that have a value at their places."""
    made = [NAN] * count
    for bar, value in zip(bars, known, strict=True):
        made[bar] = value
    return made


def naive_ema(values: list[float], length: int) -> list[float]:
    bars = [bar for bar, value in enumerate(values) if not math.isnan(value)]
    made: list[float] = []
    average = Fraction(0)
    for place, bar in enumerate(bars):
        if place == length - 1:
            average = sum((Fraction(values[before]) for before in bars[:length]), Fraction(0)) / length
        elif place >= length:
            average += Fraction(2, length + 1) * (Fraction(values[bar]) - average)
        made.append(float(average) if place >= length - 1 else NAN)
    return spread_out(made, bars, len(values))


def wilder(changes: list[float], length: int) -> list[float]:
    """Return Wilder's average of changes from the `length`-th on, NaN before."""
    made: list[float] = []
    average = NAN
    for place, change in enumerate(changes):
        if place == length - 1:
            average = math.fsum(changes[:length]) / length
        elif place >= length:
            average = (average * (length - 1) + change) / length
        made.append(average)
    return made


def naive_rsi(values: list[float], length: int) -> list[float]:
    bars = [bar for bar, value in enumerate(values) if not math.isnan(value)]
    known = [values[bar] for bar in bars]
    changes = [after - before for before, after in itertools.pairwise(known)]
    rises = wilder([max(change, 0.0) for change in changes], length)
    falls = wilder([max(-change, 0.0) for change in changes], length)
    made = [NAN] * min(1, len(bars))
    for rise, fall in zip(rises, falls, strict=True):
        made.append(50.0 if rise + fall == 0.0 else 100.0 * rise / (rise + fall))
    return spread_out(made, bars, len(values))


def naive_atr(high: list[float], low: list[float], close: list[float], length: int) -> list[float]:
    bars = [bar for bar in range(len(close)) if not any(math.isnan(values[bar]) for values in (high, low, close))]
    ranges = []
    for before, bar in itertools.pairwise(bars):
        ranges.append(max(high[bar] - low[bar], abs(high[bar] - close[before]), abs(low[bar] - close[before])))
    return spread_out([NAN] * min(1, len(bars)) + wilder(ranges, length), bars, len(close))
