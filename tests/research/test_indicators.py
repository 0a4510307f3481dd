"""Indicators against the slow way, TA-Lib and pandas; gaps, tables, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, indicators
from ml4t_backtest.indicators import atr, crosses_above, crosses_below, ema, highest, lag, lowest, rolling_std, rsi, sma, zscore
from ml4t_kernels._jit import COMPILED
from tests.research import naive

VALUES = st.floats(0.01, 1e6, allow_subnormal=False).map(lambda value: round(value, 4))
SERIES = st.lists(st.one_of(VALUES, st.sampled_from([100.0, 100.01, math.nan])), max_size=40)
LENGTHS = st.integers(1, 12)
LONG = pd.DataFrame({"timestamp": pd.to_datetime(["2024-01-01"]), "symbol": ["A"], "close": [1.0]})


def close_to(made: np.ndarray, wanted: list[float], tolerance: float = 1e-11) -> None:
    np.testing.assert_allclose(made, np.array(wanted, dtype=np.float64), rtol=tolerance, atol=1e-300)


@given(values=SERIES, length=LENGTHS)
def test_means_and_extremes_are_those_of_every_window(values: list[float], length: int) -> None:
    close_to(sma(values, length), naive.naive_mean(values, length))
    assert highest(values, length).tolist() == pytest.approx(naive.naive_extreme(values, length, max), abs=0.0, rel=0.0, nan_ok=True)
    assert lowest(values, length).tolist() == pytest.approx(naive.naive_extreme(values, length, min), abs=0.0, rel=0.0, nan_ok=True)


@given(values=SERIES, length=LENGTHS, ddof=st.sampled_from([0, 1]))
def test_deviations_and_scores_are_those_of_every_window(values: list[float], length: int, ddof: int) -> None:
    length += ddof
    close_to(rolling_std(values, length, ddof=ddof), naive.naive_std(values, length, ddof), 1e-10)
    made, wanted = zscore(values, length, ddof=ddof), np.array(naive.naive_zscore(values, length, ddof))
    np.testing.assert_allclose(made, wanted, rtol=1e-9, atol=1e-9)


@given(values=SERIES, length=LENGTHS)
def test_recursive_averages_leave_gaps_out(values: list[float], length: int) -> None:
    largest = max([abs(value) for value in values if not math.isnan(value)], default=1.0)
    np.testing.assert_allclose(ema(values, length), naive.naive_ema(values, length), rtol=0.0, atol=1e-14 * largest)
    np.testing.assert_allclose(rsi(values, length), naive.naive_rsi(values, length), rtol=1e-9, atol=1e-6)


@given(rows=st.lists(st.tuples(VALUES, VALUES, VALUES, st.integers(0, 9)), max_size=30), length=LENGTHS)
def test_the_average_true_range_leaves_gaps_out(rows: list[tuple[float, float, float, int]], length: int) -> None:
    bars = np.array([[max(one, two), min(one, two), last] for one, two, last, _ in rows]).reshape(-1, 3)
    for bar, (*_, gap) in enumerate(rows):
        if gap < 3:
            bars[bar, gap] = np.nan
    high, low, close = bars.T
    wanted = naive.naive_atr(high.tolist(), low.tolist(), close.tolist(), length)
    np.testing.assert_allclose(atr(high, low, close, length), wanted, rtol=1e-9, atol=1e-8)


@given(data=st.data(), bars=st.integers(0, 12), assets=st.integers(1, 3), lengths=st.lists(LENGTHS, min_size=1, max_size=3))
def test_a_table_holds_every_window_and_asset_by_itself(data: st.DataObject, bars: int, assets: int, lengths: list[int]) -> None:
    panel = np.array(data.draw(st.lists(st.lists(VALUES, min_size=assets, max_size=assets), min_size=bars, max_size=bars)))
    panel = panel.reshape(bars, assets)
    for function in (sma, highest, lowest, ema, rsi):
        table = function(panel, lengths)
        assert table.shape == (len(lengths), bars, assets)
        assert table.flags.c_contiguous
        for place, length in enumerate(lengths):
            np.testing.assert_array_equal(function(panel, length), table[place])
            for asset in range(assets):
                np.testing.assert_array_equal(function(panel[:, asset], length), table[place, :, asset])


@given(values=SERIES, more=SERIES, length=LENGTHS)
def test_no_value_knows_a_later_bar(values: list[float], more: list[float], length: int) -> None:
    for function in (sma, highest, lowest, ema, rsi, lambda x, n: zscore(x, n + 1), lambda x, n: atr(x, x, x, n), lag):
        np.testing.assert_array_equal(function(values + more, length)[: len(values)], function(values, length))


def prices(bars: int = 3000, seed: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, bars)))
    return close * (1.0 + rng.uniform(0.0, 0.01, bars)), close * (1.0 - rng.uniform(0.0, 0.01, bars)), close


@pytest.mark.parametrize("length", [2, 14, 50])
def test_talib_agrees(length: int) -> None:
    high, low, close = prices()
    for made, wanted in (
        (sma(close, length), talib.SMA(close, length)),
        (ema(close, length), talib.EMA(close, length)),
        (rsi(close, length), talib.RSI(close, length)),
        (atr(high, low, close, length), talib.ATR(high, low, close, length)),
        (highest(high, length), talib.MAX(high, length)),
        (lowest(low, length), talib.MIN(low, length)),
    ):
        np.testing.assert_allclose(made, wanted, rtol=1e-10)
    np.testing.assert_allclose(rolling_std(close, length, ddof=0), talib.STDDEV(close, length), rtol=1e-7)


@pytest.mark.parametrize("length", [2, 14, 50])
def test_pandas_agrees_with_gaps(length: int) -> None:
    _, _, close = prices(500)
    close[[0, 77, 78, 300]] = np.nan
    series = pd.Series(close)
    rolling = series.rolling(length)
    for made, wanted in (
        (sma(series, length), rolling.mean()),
        (rolling_std(series, length), rolling.std()),
        (highest(series, length), rolling.max()),
        (lowest(series, length), rolling.min()),
    ):
        np.testing.assert_allclose(made, wanted.to_numpy(), rtol=1e-8)


def test_long_series_do_not_drift() -> None:
    bars, length = (1_000_000, 1_000) if COMPILED else (5_000, 100)
    rng = np.random.default_rng(1)
    values = 1e9 + rng.normal(0.0, 1.0, bars)
    values[bars // 2] = 1e14
    window = [Fraction(value) for value in values[-length:].tolist()]
    mean = sum(window) / length
    deviation = math.sqrt(sum((value - mean) ** 2 for value in window) / (length - 1))
    assert abs(Fraction(sma(values, length)[-1]) / mean - 1) < 3e-16
    assert rolling_std(values, length)[-1] == pytest.approx(deviation, rel=1e-11)


@pytest.mark.parametrize("value", [0.1, 1e-9, 123456.789])
def test_equal_values_give_exact_answers(value: float) -> None:
    values = np.full(100, value)
    for length in (1, 2, 7, 10, 33):
        assert set(sma(values, length)[length - 1 :]) == {value}
        assert set(ema(values, length)[length - 1 :]) == {value}
        assert set(rsi(values, length)[length:]) == {50.0}
        assert set(rolling_std(values, length, ddof=0)[length - 1 :]) == {0.0}
        assert np.isnan(zscore(values, length, ddof=0)).all()
    assert not crosses_above(values, sma(values, 7)).any()


def test_a_window_recovers_from_gaps_and_infinities() -> None:
    values = np.arange(1.0, 21.0)
    for missing in (np.nan, np.inf, -np.inf):
        values[7] = missing
        for function in (sma, highest, lowest, rolling_std):
            assert np.flatnonzero(np.isnan(function(values, 4))).tolist() == [0, 1, 2, 7, 8, 9, 10]
    assert np.isnan(sma(values, 21)).all()
    assert np.isnan(sma(values, 10**30)).all()
    assert sma([], 3).shape == (0,)
    assert sma(np.zeros((0, 2)), [3, 4]).shape == (2, 0, 2)


def test_crossings() -> None:
    first = [1.0, 3.0, 2.0, 2.0, 3.0, np.nan, 3.0, 1.0, 2.0]
    assert np.flatnonzero(crosses_above(first, 2.0)).tolist() == [1, 4]
    assert np.flatnonzero(crosses_below(first, 2.0)).tolist() == [7]
    assert np.flatnonzero(crosses_below(first, 2.5)).tolist() == [2, 7]
    table = np.array([first, np.zeros(9)])
    assert crosses_above(table, 2.0, axis=1)[0].tolist() == crosses_above(first, 2.0).tolist()
    assert crosses_above(first, table, axis=1).shape == (2, 9)


def test_lag() -> None:
    panel = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(lag(panel), [[np.nan, np.nan], [0.0, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(lag(panel, axis=1), [[np.nan, 0.0], [np.nan, 2.0], [np.nan, 4.0]])
    np.testing.assert_array_equal(lag(panel, 0), panel)
    assert np.isnan(lag(panel, 9)).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sma([1.0], 0), ValueError, r"window was 0, expected a whole number >= 1"),
        (lambda: sma([1.0], [5, -2]), ValueError, r"window was -2"),
        (lambda: sma([1.0], 2.5), TypeError, r"window was 2.5, expected a whole number"),
        (lambda: sma([1.0], True), TypeError, r"window was True"),
        (lambda: sma([1.0], []), ValueError, r"window was empty"),
        (lambda: sma(["one"], 2), ValueError, r"values was a list that holds no plain numbers"),
        (lambda: sma(np.zeros((1, 1, 1)), 2), ValueError, r"values has 3 dimensions, expected \(bars,\) or \(bars, assets\)"),
        (lambda: sma(LONG, 2), TypeError, r"values was a long frame.*with_indicators\(frame, ...\)"),
        (lambda: sma(DataFeed(LONG), 2), TypeError, r"values was a feed.*feed.panels.prices\['close'\]"),
        (lambda: rolling_std([1.0], 1), ValueError, r"window was 1, expected a whole number >= 2"),
        (lambda: rolling_std([1.0], 3, ddof=2), ValueError, r"ddof was 2, expected 0 or 1"),
        (lambda: atr([1.0, 2.0], [1.0], [1.0], 2), ValueError, r"shapes \(2,\), \(1,\), \(1,\), expected one shape"),
        (lambda: atr([1.0, 2.0], [1.0, 3.0], [1.0, 2.0], 2), ValueError, r"high is 2.0 and low is 3.0 on bar 1: the low is above it"),
        (lambda: lag([1.0], -1), ValueError, r"would look ahead"),
        (lambda: crosses_above([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, r"first has the shape \(2,\) and second \(3,\)"),
        (lambda: crosses_above(1.0, 2.0), ValueError, r"two numbers"),
        (lambda: crosses_above([1.0, 2.0], 1.0, axis=1), ValueError, r"axis was 1, but the values have 1 dimensions"),
    ],
)
def test_bad_arguments(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()  # type: ignore[operator]


def test_every_indicator_is_listed_and_documented() -> None:
    assert all(getattr(indicators, name).__doc__ for name in indicators.__all__)
