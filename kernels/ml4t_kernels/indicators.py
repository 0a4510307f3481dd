"""Rolling windows and recursive averages over series that lie one after the other in memory.

Windows take a fixed number of steps per bar, whatever their length. A running total that adds the new value and takes off the old one
drifts, and what was infinite or huge once never leaves it. Here the bars are cut into blocks as long as the window: every
window is the end of one block and the beginning of the next, so its total is that of an end and of a beginning, and nothing is ever taken
off. Totals are of differences from the first bar of the block, which is in every such window: equal values give exact results.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import array_at, kernel, long_entry
from .arrays import NO_PRICE, FloatArray

__all__ = ["average_true_range", "exponential_average", "relative_strength", "rolling_extreme", "rolling_mean", "rolling_spread"]


@long_entry
def rolling_mean(values: int, series: int, bars: int, windows: int, count: int, made: int) -> None:
    """Take the mean of every window.

    values: address of float64[series, bars] (in). windows: address of int64[count], each >= 1 (in). made: address of
    float64[count, series, bars] (out), NaN where a window is not full or holds NaN.
    """
    value = array_at(values, series * bars, np.float64)
    length = array_at(windows, count, np.int64)
    mean = array_at(made, count * series * bars, np.float64)
    totals = np.empty(bars, dtype=np.float64)
    for place in range(count):
        for row in range(series):
            _means(value, row * bars, bars, length[place], totals, mean, (place * series + row) * bars)


@kernel
def _means(value: FloatArray, start: int, bars: int, window: int, totals: FloatArray, made: FloatArray, target: int) -> None:
    for bar in range(min(window - 1, bars)):
        made[target + bar] = NO_PRICE
    for first in range(0, bars, window):
        origin = value[start + first]
        total = 0.0
        for bar in range(first - 1, max(first - window, -1), -1):  # ends of the block before, kept where their windows end
            total += value[start + bar] - origin
            if bar + window - 1 < bars:
                totals[bar + window - 1] = total
        total = 0.0
        for bar in range(first, min(first + window, bars)):
            total += value[start + bar] - origin
            if bar == first + window - 1:
                made[target + bar] = origin + total / window
            elif first > 0:
                made[target + bar] = origin + (totals[bar] + total) / window


@long_entry
def rolling_spread(values: int, series: int, bars: int, windows: int, count: int, ddof: int, scored: int, made: int) -> None:
    """Take the standard deviation of every window, or how many of them its last value is away from its mean.

    values: address of float64[series, bars] (in). windows: address of int64[count], each > ddof (in). ddof: what is taken off the number of
    values in the divisor. scored: 1 for the distance from the mean. made: address of float64[count, series, bars] (out), NaN where a
    window is not full or holds NaN, and where there is no deviation to divide by.
    """
    value = array_at(values, series * bars, np.float64)
    length = array_at(windows, count, np.int64)
    spread = array_at(made, count * series * bars, np.float64)
    totals = np.empty(bars, dtype=np.float64)
    squares = np.empty(bars, dtype=np.float64)
    for place in range(count):
        window = length[place]
        for row in range(series):
            start, target = row * bars, (place * series + row) * bars
            for bar in range(min(window - 1, bars)):
                spread[target + bar] = NO_PRICE
            for first in range(0, bars, window):
                _ends(value, start, bars, window, first, totals, squares)
                origin = value[start + first]
                total, square = 0.0, 0.0
                for bar in range(first, min(first + window, bars)):
                    apart = value[start + bar] - origin
                    total += apart
                    square += apart * apart
                    if bar == first + window - 1:
                        spread[target + bar] = _spread(apart, total, square, window, ddof, scored)
                    elif first > 0:
                        spread[target + bar] = _spread(apart, total + totals[bar], square + squares[bar], window, ddof, scored)


@kernel
def _ends(value: FloatArray, start: int, bars: int, window: int, first: int, totals: FloatArray, squares: FloatArray) -> None:
    """Total the ends of the block before `first`, kept where their windows end."""
    origin = value[start + first]
    total, square = 0.0, 0.0
    for bar in range(first - 1, max(first - window, -1), -1):
        apart = value[start + bar] - origin
        total += apart
        square += apart * apart
        if bar + window - 1 < bars:
            totals[bar + window - 1] = total
            squares[bar + window - 1] = square


@kernel
def _spread(last: float, total: float, square: float, window: int, ddof: int, scored: int) -> float:
    """Return the deviation of a window, or the place of its last value in it, from the totals of the differences and of their squares."""
    if math.isnan(square):
        return NO_PRICE
    mean = total / window
    deviation = math.sqrt(max(square - total * mean, 0.0) / (window - ddof))
    if scored == 0:
        return deviation
    return (last - mean) / deviation if deviation > 0.0 else NO_PRICE


@long_entry
def rolling_extreme(values: int, series: int, bars: int, windows: int, count: int, sign: int, made: int) -> None:
    """Take the highest (sign 1) or lowest (sign -1) value of every window.

    values: address of float64[series, bars] (in). windows: address of int64[count], each >= 1 (in). made: address of
    float64[count, series, bars] (out), NaN where a window is not full or holds NaN.
    """
    value = array_at(values, series * bars, np.float64)
    length = array_at(windows, count, np.int64)
    extreme = array_at(made, count * series * bars, np.float64)
    for place in range(count):
        for row in range(series):
            _extremes(value, row * bars, bars, length[place], sign, extreme, (place * series + row) * bars)


@kernel
def _beyond(value: float, best: float, sign: int) -> float:
    """Return the higher of two (sign -1: the lower), NaN if one of them is."""
    return value if sign * value > sign * best or math.isnan(value) else best


@kernel
def _extremes(value: FloatArray, start: int, bars: int, window: int, sign: int, made: FloatArray, target: int) -> None:
    for bar in range(min(window - 1, bars)):
        made[target + bar] = NO_PRICE
    for first in range(0, bars, window):
        best = value[start + first]
        for bar in range(first - 1, max(first - window, -1), -1):
            best = _beyond(value[start + bar], best, sign)
            if bar + window - 1 < bars:
                made[target + bar + window - 1] = best
        best = value[start + first]
        for bar in range(first, min(first + window, bars)):
            best = _beyond(value[start + bar], best, sign)
            if bar == first + window - 1:
                made[target + bar] = best
            elif first > 0:
                made[target + bar] = _beyond(best, made[target + bar], sign)


@long_entry
def exponential_average(values: int, series: int, bars: int, windows: int, count: int, made: int) -> None:
    """Take the exponential average with weight 2 / (window + 1), from the mean of the first `window` values on.

    values: address of float64[series, bars], NaN is left out (in). windows: address of int64[count], each >= 1 (in). made: address of
    float64[count, series, bars] (out), NaN before there are enough values and on bars without one.
    """
    value = array_at(values, series * bars, np.float64)
    length = array_at(windows, count, np.int64)
    average = array_at(made, count * series * bars, np.float64)
    for place in range(count):
        for row in range(series):
            _smoothed(value, row * bars, bars, length[place], average, (place * series + row) * bars)


@kernel
def _smoothed(value: FloatArray, start: int, bars: int, window: int, made: FloatArray, target: int) -> None:
    seen, origin, total, average = 0, 0.0, 0.0, 0.0
    kept = (window - 1) / (window + 1)
    for bar in range(bars):
        now = value[start + bar]
        made[target + bar] = NO_PRICE
        if math.isnan(now):
            continue
        seen += 1
        if seen <= window:
            if seen == 1:
                origin = now
            total += now - origin
            average = origin + total / window
        else:
            average = now + kept * (average - now)  # exact for a window of 1, and for equal values
        if seen >= window:
            made[target + bar] = average


@long_entry
def relative_strength(values: int, series: int, bars: int, windows: int, count: int, made: int) -> None:
    """Wilder's relative strength index: 100 * average rise / (average rise + average fall), 50 without either.

    values: address of float64[series, bars], NaN is left out (in). windows: address of int64[count], each >= 1 (in). made: address of
    float64[count, series, bars] (out), NaN before there are `window` changes and on bars without a value.
    """
    value = array_at(values, series * bars, np.float64)
    length = array_at(windows, count, np.int64)
    strength = array_at(made, count * series * bars, np.float64)
    for place in range(count):
        for row in range(series):
            _strengths(value, row * bars, bars, length[place], strength, (place * series + row) * bars)


@kernel
def _strengths(value: FloatArray, start: int, bars: int, window: int, made: FloatArray, target: int) -> None:
    seen, before, rise, fall = 0, 0.0, 0.0, 0.0
    kept = (window - 1) / window
    for bar in range(bars):
        now = value[start + bar]
        made[target + bar] = NO_PRICE
        if math.isnan(now):
            continue
        change = now - before if seen > 0 else 0.0
        before = now
        seen += 1
        if seen <= window + 1:
            rise += max(change, 0.0) / window
            fall += max(-change, 0.0) / window
        else:
            rise = max(change, 0.0) + kept * (rise - max(change, 0.0))
            fall = max(-change, 0.0) + kept * (fall - max(-change, 0.0))
        if seen > window:
            made[target + bar] = 100.0 * rise / (rise + fall) if rise + fall > 0.0 else 50.0


@long_entry
def average_true_range(high: int, low: int, close: int, series: int, bars: int, windows: int, count: int, made: int) -> None:
    """Wilder's average of the true range: how far a bar reaches, the close before it included.

    high, low, close: addresses of float64[series, bars]; a bar with NaN in one of them is left out (in). windows: address of
    int64[count], each >= 1 (in). made: address of float64[count, series, bars] (out), NaN before there are `window` ranges, the first bar
    having none, and on bars left out.
    """
    highs = array_at(high, series * bars, np.float64)
    lows = array_at(low, series * bars, np.float64)
    closes = array_at(close, series * bars, np.float64)
    length = array_at(windows, count, np.int64)
    average = array_at(made, count * series * bars, np.float64)
    for place in range(count):
        for row in range(series):
            _ranges(highs, lows, closes, row * bars, bars, length[place], average, (place * series + row) * bars)


@kernel
def _ranges(
    high: FloatArray, low: FloatArray, close: FloatArray, start: int, bars: int, window: int, made: FloatArray, target: int
) -> None:
    seen, before, average = 0, 0.0, 0.0
    kept = (window - 1) / window
    for bar in range(bars):
        top, bottom, last = high[start + bar], low[start + bar], close[start + bar]
        made[target + bar] = NO_PRICE
        if math.isnan(top) or math.isnan(bottom) or math.isnan(last):
            continue
        reach = max(top, before) - min(bottom, before) if seen > 0 else 0.0
        before = last
        seen += 1
        if seen <= window + 1:
            average += reach / window
        else:
            average = reach + kept * (average - reach)
        if seen > window:
            made[target + bar] = average
