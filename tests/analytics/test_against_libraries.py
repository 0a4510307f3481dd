"""Agreement with empyrical-reloaded, quantstats, ffn and scipy at 1e-12 relative; where they define otherwise, by how much."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from ml4t_backtest.analytics import ratios
from ml4t_backtest.analytics.metrics import max_drawdown, sharpe_ratio, volatility
from ml4t_backtest.analytics.periods import drawdown_frame, rolling_frame
from ml4t_backtest.analytics.relative import relative_figures
from ml4t_backtest.frames import time_series
from tests.analytics.runs import random_run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the libraries do on import
    import empyrical
    import ffn
    from quantstats import stats as quantstats

SEEDS = range(5)
BARS = 400


def same(one: float, other: float) -> None:
    assert float(one) == pytest.approx(float(other), rel=1e-12, abs=1e-15)


@pytest.fixture(params=SEEDS, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Return returns of a run and of its benchmark as pandas series."""
    draw = np.random.default_rng(request.param)
    days = pd.date_range("2021-01-01", periods=BARS, freq="D")
    market = draw.standard_t(4, BARS) * 0.008
    return pd.Series(0.6 * market + draw.normal(0.0004, 0.006, BARS), index=days), pd.Series(market, index=days)


def test_shape_and_tails(pair: tuple[Any, Any]) -> None:
    returns, _ = pair
    same(ratios.tail_ratio(returns), empyrical.tail_ratio(returns))
    same(ratios.tail_ratio(returns), quantstats.tail_ratio(returns))
    same(ratios.omega_ratio(returns), empyrical.omega_ratio(returns))
    same(ratios.omega_ratio(returns), quantstats.omega(returns))
    same(ratios.value_at_risk(returns), empyrical.value_at_risk(returns))
    same(ratios.expected_shortfall(returns), empyrical.conditional_value_at_risk(returns))
    same(ratios.expected_shortfall(returns, 0.99), empyrical.conditional_value_at_risk(returns, cutoff=0.01))
    same(ratios.downside_deviation(returns), empyrical.downside_risk(returns))
    same(ratios.gain_to_pain(returns), quantstats.gain_to_pain_ratio(returns))
    same(ratios.skewness(returns), scipy_stats.skew(returns, bias=False))
    same(ratios.kurtosis(returns), scipy_stats.kurtosis(returns, bias=False))
    same(ratios.skewness(returns), quantstats.skew(returns))
    same(ratios.kurtosis(returns), quantstats.kurtosis(returns))
    same(volatility(returns), empyrical.annual_volatility(returns))
    same(sharpe_ratio(returns, 0.02), empyrical.sharpe_ratio(returns, risk_free=0.02 / 252))


def test_drawdowns(pair: tuple[Any, Any]) -> None:
    values = 100.0 * (1.0 + pair[0]).cumprod()
    same(ratios.ulcer_index(values) * 100.0, ffn.to_ulcer_index(values))
    # quantstats divides by one less than there are
    same(ratios.ulcer_index(values, 100.0) * math.sqrt(BARS / (BARS - 1)), quantstats.ulcer_index(pair[0]))
    same(max_drawdown(values.tolist())[0], ffn.calc_max_drawdown(values))
    # empyrical's line goes through the logarithms of growth from the first return on
    assert ratios.stability(values) == pytest.approx(empyrical.stability_of_timeseries(pair[0]), rel=1e-9)


def test_the_table_of_drawdowns(pair: tuple[Any, Any]) -> None:
    values = 100.0 * (1.0 + pair[0]).cumprod()
    ours = drawdown_frame(values.index.as_unit("ns").asi8, values.to_numpy(), float(values.iloc[0]), None).sort("start")
    theirs = ffn.drawdown_details(ffn.to_drawdown_series(values))
    theirs = theirs[theirs["drawdown"] < 0.0]
    assert len(ours) == len(theirs) >= 3
    np.testing.assert_allclose(ours["depth"].to_numpy(), theirs["drawdown"].to_numpy(dtype=float), rtol=1e-12)
    day = pd.Timedelta(days=1)
    # ffn starts on the first day below the mark, ours on the last day at it
    assert [stamp + day for stamp in ours["start"].to_list()] == theirs["Start"].to_list()
    closed = ours["recovered"].to_numpy()
    assert [end for end in ours["end"].to_list() if end is not None] == theirs["End"][closed].to_list()


def test_against_a_benchmark(pair: tuple[Any, Any]) -> None:
    returns, market = pair
    figures = relative_figures(returns, market, 252.0)
    line = scipy_stats.linregress(market, returns)
    same(figures["beta"], line.slope)
    same(figures["beta"], empyrical.beta(returns, market))
    assert figures["alpha"] / 252.0 == pytest.approx(line.intercept, rel=1e-10)
    assert figures["alpha"] / 252.0 == pytest.approx(empyrical.alpha(returns, market, annualization=1), rel=1e-10)
    greeks = quantstats.greeks(returns, market, periods=252)
    same(figures["beta"], greeks["beta"])
    assert figures["alpha"] == pytest.approx(greeks["alpha"], rel=1e-11)
    same(figures["correlation"], line.rvalue)
    same(figures["r_squared"], quantstats.r_squared(returns, market))
    same(figures["information_ratio"], quantstats.information_ratio(returns, market) * math.sqrt(252.0))
    same(figures["information_ratio"], empyrical.excess_sharpe(returns, market) * math.sqrt(252.0))
    same(figures["tracking_error"], empyrical.annual_volatility(returns - market))
    same(figures["batting_average"], empyrical.batting_average(returns, market)["batting average"])
    same(figures["cagr"], empyrical.annual_return(returns))
    same(figures["benchmark_total_return"], empyrical.cum_returns_final(market))
    same(figures["benchmark_max_drawdown"], -empyrical.max_drawdown(market))
    excess = relative_figures(returns, market, 252.0, risk_free_rate=0.03)
    same(excess["beta"], figures["beta"])
    assert excess["alpha"] / 252.0 == pytest.approx(empyrical.alpha(returns, market, risk_free=0.03 / 252, annualization=1), rel=1e-10)


def test_captures_are_of_mean_growth_per_period(pair: tuple[Any, Any]) -> None:
    returns, market = pair
    figures = relative_figures(returns, market, 252.0)
    for name, chosen in (("up_capture", market > 0.0), ("down_capture", market < 0.0)):
        own, other = (empyrical.annual_return(row[chosen], annualization=1) for row in (returns, market))
        same(figures[name], own / other)
    # empyrical raises both means to the power of the periods in a year before it divides
    own, other = ((1.0 + empyrical.annual_return(row[market > 0.0], annualization=1)) ** 252 - 1.0 for row in (returns, market))
    assert own / other == pytest.approx(empyrical.up_capture(returns, market), rel=1e-10)


def test_months_and_years_of_a_run() -> None:
    result = random_run(8, bars=500)
    daily = result.to_daily_returns().to_numpy()
    returns = pd.Series(daily, index=pd.to_datetime(result.to_daily_pnl()["date"].to_numpy()))
    for frame, name in ((result.monthly_returns(), "monthly"), (result.yearly_returns(), "yearly")):
        theirs = empyrical.aggregate_returns(returns, name)
        np.testing.assert_allclose(frame["return"].to_numpy(), theirs.to_numpy(), rtol=1e-12, atol=1e-14)
    table = quantstats.monthly_returns(returns, eoy=False).to_numpy().ravel()
    first = result.monthly_returns()["return"].to_numpy()
    np.testing.assert_allclose(table[: len(first)], first, rtol=1e-12, atol=1e-14)


def test_moving_windows(pair: tuple[Any, Any]) -> None:
    returns, market = pair
    window = 60
    stamps = time_series("timestamp", returns.index.as_unit("ns").asi8, None)
    ours = rolling_frame(stamps, returns.to_numpy(), market.to_numpy(), window, 252.0)[window - 1 :]

    def check(name: str, theirs: Any, tolerance: float = 1e-12) -> None:
        np.testing.assert_allclose(ours[name].to_numpy(), np.asarray(theirs, dtype=float), rtol=tolerance, atol=tolerance)

    check("volatility", empyrical.roll_annual_volatility(returns, window=window))
    check("sharpe", empyrical.roll_sharpe_ratio(returns, window=window))
    check("beta", empyrical.roll_beta(returns, market, window=window))
    check("sharpe", quantstats.rolling_sharpe(returns, rolling_period=window, periods_per_year=252)[window - 1 :])
    check("correlation", [scipy_stats.pearsonr(returns[i : i + window], market[i : i + window])[0] for i in range(BARS - window + 1)])
    check("return", [empyrical.cum_returns_final(returns[i : i + window]) for i in range(BARS - window + 1)])
