"""Figures of returns and of account values: shape, tails, drawdowns, and what was earned for them.

Returns are fractions per period, values are money; both may be lists, numpy arrays, Polars or pandas series. Every function raises
ValueError for what is no row of finite numbers. Where there is nothing to measure the answer is NaN; a gain over no loss at all is
infinite.
"""

from __future__ import annotations

import math

import numpy as np

from ml4t_backtest.analytics.metrics import PERIODS_PER_YEAR, Values, _finite, _spread, drawdowns

__all__ = [
    "checked_periods",
    "checked_rate",
    "downside_deviation",
    "expected_shortfall",
    "gain_to_pain",
    "kurtosis",
    "omega_ratio",
    "over",
    "positive_share",
    "recovery_factor",
    "skewness",
    "stability",
    "tail_ratio",
    "ulcer_index",
    "ulcer_performance",
    "value_at_risk",
]

_FOR_SKEW, _FOR_KURTOSIS = 3, 4  # the fewest numbers that have one


def over(gain: float, loss: float) -> float:
    """Return gain over loss: infinite for a gain over 0, NaN for 0 over 0."""
    if loss == 0.0:
        return math.copysign(math.inf, gain) if gain != 0.0 and not math.isnan(gain) else math.nan
    return gain / loss


def checked_rate(rate: float) -> float:
    """Return a yearly risk-free rate. Raises ValueError for what is no finite number."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not math.isfinite(rate):
        raise ValueError(f"risk_free_rate was {rate!r}, expected a yearly rate as a fraction, such as 0.03")
    return float(rate)


def checked_periods(periods: float | None) -> float | None:
    """Return periods per year, None for as many as there were. Raises ValueError for what is no finite number above 0."""
    if periods is None:
        return None
    if isinstance(periods, bool) or not isinstance(periods, (int, float, np.number)) or not (math.isfinite(periods) and periods > 0.0):
        raise ValueError(f"periods_per_year was {periods!r}, expected a finite number > 0, or None for those of the run")
    return float(periods)


# Shape and tails ---------------------------------------------------------------------------------------------------------


def skewness(returns: Values) -> float:
    """Return the sample skewness (adjusted Fisher-Pearson, as spreadsheets and pandas); NaN for fewer than 3 or equal returns."""
    numbers = _finite(returns, "returns")
    count = len(numbers)
    if count < _FOR_SKEW or _spread(numbers) == 0.0:
        return math.nan
    off = numbers - float(np.mean(numbers))
    second, third = float(np.mean(off * off)), float(np.mean(off * off * off))
    return third / (second * math.sqrt(second)) * math.sqrt(count * (count - 1.0)) / (count - 2.0)


def kurtosis(returns: Values) -> float:
    """Return the sample excess kurtosis (0 for a normal distribution, as pandas); NaN for fewer than 4 or equal returns."""
    numbers = _finite(returns, "returns")
    count = len(numbers)
    if count < _FOR_KURTOSIS or _spread(numbers) == 0.0:
        return math.nan
    off = numbers - float(np.mean(numbers))
    squares = off * off
    second, fourth = float(np.mean(squares)), float(np.mean(squares * squares))
    excess = fourth / (second * second) - 3.0
    return (count - 1.0) / ((count - 2.0) * (count - 3.0)) * ((count + 1.0) * excess + 6.0)


def tail_ratio(returns: Values) -> float:
    """Return the 95th percentile of the returns over the 5th, both without sign (linear interpolation)."""
    numbers = _finite(returns, "returns")
    if not len(numbers):
        return math.nan
    low, high = np.percentile(numbers, [5.0, 95.0]).tolist()
    return over(abs(high), abs(low))


def value_at_risk(returns: Values, confidence: float = 0.95) -> float:
    """Return the historical value at risk: the `1 - confidence` quantile of the returns (linear interpolation), negative for a loss.

    Raises ValueError for a confidence outside 0 to 1.
    """
    numbers = _finite(returns, "returns")
    tail = _tail(confidence)
    return float(np.percentile(numbers, tail * 100.0)) if len(numbers) else math.nan


def expected_shortfall(returns: Values, confidence: float = 0.95) -> float:
    """Return the historical expected shortfall: the mean of the `floor((n - 1) * (1 - confidence)) + 1` lowest returns.

    Those are the returns not above `value_at_risk`. Raises ValueError for a confidence outside 0 to 1.
    """
    numbers = _finite(returns, "returns")
    tail = _tail(confidence)
    if not len(numbers):
        return math.nan
    count = int((len(numbers) - 1) * tail) + 1
    return float(np.mean(np.partition(numbers, count - 1)[:count]))


def _tail(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence was {confidence!r}, expected a number between 0 and 1, such as 0.95")
    return round(1.0 - confidence, 12)  # 1 - 0.95 is a little above 0.05, which could count one return more


def downside_deviation(returns: Values, target_return: float = 0.0, periods_per_year: float = PERIODS_PER_YEAR) -> float:
    """Return the root of the mean squared shortfall below the target (per period) over all returns, per year."""
    below = np.minimum(_finite(returns, "returns") - target_return, 0.0)
    return math.sqrt(float(np.mean(below * below))) * math.sqrt(periods_per_year) if len(below) else math.nan


def positive_share(returns: Values) -> float:
    """Return the part of the returns that is above 0."""
    numbers = _finite(returns, "returns")
    return float(np.count_nonzero(numbers > 0.0)) / len(numbers) if len(numbers) else math.nan


# What was earned for it --------------------------------------------------------------------------------------------------


def omega_ratio(returns: Values, target_return: float = 0.0) -> float:
    """Return the sum of what exceeds the target (per period) over the sum of what falls short of it."""
    excess = _finite(returns, "returns") - target_return
    return over(float(np.sum(excess[excess > 0.0])), -float(np.sum(excess[excess < 0.0])) + 0.0)


def gain_to_pain(returns: Values) -> float:
    """Return the sum of all returns over the sum of the negative ones without sign."""
    numbers = _finite(returns, "returns")
    return over(float(np.sum(numbers)), -float(np.sum(numbers[numbers < 0.0])) + 0.0)


def stability(values: Values) -> float:
    """Return the R squared of a straight line through the logarithm of the values, by place; NaN with a value that is not positive."""
    numbers = _finite(values, "values")
    if len(numbers) < _FOR_SKEW or float(np.min(numbers)) <= 0.0:
        return math.nan
    logs = np.log(numbers / numbers[0])
    logs -= float(np.mean(logs))
    places = np.arange(len(logs)) - (len(logs) - 1) / 2.0
    spread = float(np.sum(logs * logs))
    if math.sqrt(spread / len(logs)) <= 1e-15:  # noqa: PLR2004 - rounding of logarithms near 0
        return math.nan
    along = float(np.sum(places * logs))
    return along * along / (float(np.sum(places * places)) * spread)


# Drawdowns ---------------------------------------------------------------------------------------------------------------


def ulcer_index(values: Values, start: float | None = None) -> float:
    """Return the root of the mean squared drawdown of the values, a fraction >= 0.

    start: money before the first value, which counts as a peak; it is no value of its own.
    """
    falls = drawdowns(_finite(values, "values"), start)
    return math.sqrt(float(np.mean(falls * falls))) if len(falls) else math.nan


def ulcer_performance(growth: float, index: float, risk_free_rate: float = 0.0) -> float:
    """Return yearly growth less the risk-free rate over the Ulcer index (Martin ratio)."""
    return over(growth - risk_free_rate, index)


def recovery_factor(values: Values, start: float | None = None) -> float:
    """Return the growth from the start (else the first value) to the last value over the deepest drawdown without sign."""
    numbers = _finite(values, "values")
    if not len(numbers):
        return math.nan
    first = float(numbers[0]) if start is None else start
    if first <= 0.0:
        return math.nan
    return over(float(numbers[-1]) / first - 1.0, -float(np.min(drawdowns(numbers, start))) + 0.0)
