"""Figures of returns against slow definitions in plain Python, and at their edges."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.analytics import ratios
from tests.analytics.runs import close_to

RETURNS = st.lists(st.floats(-0.5, 0.5).map(lambda value: round(value, 6)), min_size=1, max_size=40)
VALUES = st.lists(st.floats(1.0, 1000.0).map(lambda value: round(value, 3)), min_size=1, max_size=40)


def quantile(numbers: list[float], part: float) -> float:
    ordered = sorted(numbers)
    place = part * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def near(one: float, other: float) -> bool:
    return close_to(one, other, 1e-9) or abs(one - other) < 1e-12


@given(returns=RETURNS)
def test_sums_and_shares_by_definition(returns: list[float]) -> None:
    gains = math.fsum(value for value in returns if value > 0.0)
    losses = -math.fsum(value for value in returns if value < 0.0)
    if losses > 0.0:
        assert near(ratios.omega_ratio(returns), gains / losses)
        assert near(ratios.gain_to_pain(returns), (gains - losses) / losses)
    else:
        assert math.isnan(ratios.omega_ratio(returns)) if gains == 0.0 else ratios.omega_ratio(returns) == math.inf
    assert ratios.positive_share(returns) == sum(value > 0.0 for value in returns) / len(returns)
    below = math.sqrt(math.fsum(min(value - 0.01, 0.0) ** 2 for value in returns) / len(returns))
    assert near(ratios.downside_deviation(returns, 0.01, 12.0), below * math.sqrt(12.0))


@given(returns=RETURNS, confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_tails_by_definition(returns: list[float], confidence: float) -> None:
    tail = 1.0 - confidence
    at_risk = ratios.value_at_risk(returns, confidence)
    assert near(at_risk, quantile(returns, tail))
    lowest = sorted(returns)[: math.floor(round((len(returns) - 1) * tail, 9)) + 1]
    shortfall = ratios.expected_shortfall(returns, confidence)
    assert near(shortfall, math.fsum(lowest) / len(lowest))
    assert shortfall <= at_risk + 1e-15
    low, high = quantile(returns, 0.05), quantile(returns, 0.95)
    if abs(low) > 1e-9:
        assert near(ratios.tail_ratio(returns), abs(high) / abs(low))


@given(returns=RETURNS)
def test_moments_by_definition(returns: list[float]) -> None:
    count = len(returns)
    if count < 4 or max(returns) - min(returns) < 1e-4:
        return
    mean = statistics.fmean(returns)
    spread = statistics.stdev(returns)
    scaled = [(value - mean) / spread for value in returns]
    skew = count / ((count - 1) * (count - 2)) * math.fsum(value**3 for value in scaled)
    weight = count * (count + 1) / ((count - 1) * (count - 2) * (count - 3))
    kurtosis = weight * math.fsum(value**4 for value in scaled) - 3 * (count - 1) ** 2 / ((count - 2) * (count - 3))
    assert abs(ratios.skewness(returns) - skew) < 1e-9 * max(1.0, abs(skew))
    assert abs(ratios.kurtosis(returns) - kurtosis) < 1e-8 * max(1.0, abs(kurtosis))


@given(values=VALUES, start=st.none() | st.floats(1.0, 1000.0))
def test_drawdown_figures_by_definition(values: list[float], start: float | None) -> None:
    peak, squares, deepest = start if start is not None else values[0], 0.0, 0.0
    for value in values:
        peak = max(peak, value)
        squares += (value / peak - 1.0) ** 2
        deepest = min(deepest, value / peak - 1.0)
    assert near(ratios.ulcer_index(values, start), math.sqrt(squares / len(values)))
    growth = values[-1] / (values[0] if start is None else start) - 1.0
    recovery = ratios.recovery_factor(values, start)
    if deepest < 0.0:
        assert near(recovery, growth / -deepest)
    else:
        assert math.isnan(recovery) if growth == 0.0 else recovery == math.inf


NONE: list[float] = []
FUNCTIONS = [name for name in ratios.__all__ if name not in ("checked_periods", "checked_rate", "over", "ulcer_performance")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_to_measure_is_nan(name: str) -> None:
    assert math.isnan(getattr(ratios, name)(NONE))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", [list, tuple, np.asarray, pl.Series])
def test_every_kind_of_row_answers_alike(name: str, kind: Any) -> None:
    row = [0.5, 0.1, 0.4, 0.2, 0.7]
    assert getattr(ratios, name)(kind(row)) == getattr(ratios, name)(row)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\[1\] was nan, expected finite numbers"):
        getattr(ratios, name)([0.1, math.nan, 0.2])


def test_edges() -> None:
    same = [0.01] * 10
    assert math.isnan(ratios.skewness(same))
    assert math.isnan(ratios.kurtosis(same))
    assert ratios.omega_ratio(same) == math.inf
    assert ratios.tail_ratio([0.0, 0.0, 1.0]) == math.inf
    assert math.isnan(ratios.tail_ratio([0.0, 0.0]))
    assert ratios.stability([1.0, 2.0, 4.0, 8.0]) == pytest.approx(1.0, rel=1e-15)
    assert math.isnan(ratios.stability([5.0, 5.0, 5.0, 5.0]))
    assert math.isnan(ratios.stability([5.0, -1.0, 2.0, 3.0]))
    assert math.isnan(ratios.recovery_factor([0.0, 1.0]))
    assert ratios.ulcer_performance(0.1, 0.0) == math.inf
    assert ratios.ulcer_performance(0.1, 0.2, 0.05) == pytest.approx(0.25)
    assert ratios.over(-1.0, 0.0) == -math.inf
    for confidence in (0.0, 1.0, 95, math.nan):
        with pytest.raises(ValueError, match="confidence was .* between 0 and 1"):
            ratios.value_at_risk(same, confidence)
