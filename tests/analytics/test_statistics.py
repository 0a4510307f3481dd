"""The mapping of statistics: lazy, agrees with the plain metrics, and says what it does not know."""

from __future__ import annotations

import math
import pickle
import statistics
from typing import Any

import numpy as np
import pytest

from ml4t_backtest.analytics import figures as module
from ml4t_backtest.analytics.figures import STATISTIC_NAMES, Statistics
from tests.analytics.runs import made, random_prices, random_run

SHARED = ("cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown")


def test_figures_of_the_metrics_are_the_same_numbers() -> None:
    result = random_run(5)
    for name in SHARED:
        assert result.statistics[name] == result[name], name


def test_it_is_a_mapping() -> None:
    result = random_run(5)
    figures = result.statistics
    assert result.statistics is figures
    assert tuple(figures) == STATISTIC_NAMES
    assert len(figures) == len(dict(figures)) == len(set(STATISTIC_NAMES)) > 50
    assert "omega" in figures
    assert "nothing" not in figures
    assert all(type(value) is float for value in figures.values())
    assert repr(figures).splitlines()[0].split()[0] == "cagr"
    with pytest.raises(KeyError, match="no statistic 'omgea'; did you mean 'omega'"):
        figures["omgea"]
    with pytest.raises(KeyError, match=r"'win_rate' is no statistic but a metric: result\['win_rate'\]"):
        figures["win_rate"]
    with pytest.raises(KeyError, match=r"'omega' is no metric but a statistic: result.statistics\['omega'\]"):
        result["omega"]


def test_nothing_is_computed_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name, function in list(module._FIGURES.items()):
        monkeypatch.setitem(module._FIGURES, name, lambda of, name=name, function=function: asked.append(name) or function(of))
    result = random_run(5, bars=30)
    assert asked == []
    assert result.statistics["omega"] == result.statistics["omega"]
    assert asked == ["omega"]


def test_a_rate_and_other_periods() -> None:
    result = random_run(5)
    returns = np.diff(result.to_equity_dataframe()["equity"].to_numpy()) / result.to_equity_dataframe()["equity"].to_numpy()[:-1]
    other = result.statistics.using(periods_per_year=252, risk_free_rate=0.03)
    excess = [value - 0.03 / 252 for value in returns]
    assert other["sharpe"] == pytest.approx(statistics.fmean(excess) / statistics.stdev(returns) * math.sqrt(252.0), rel=1e-9)
    assert other["volatility"] == pytest.approx(statistics.stdev(returns) * math.sqrt(252.0), rel=1e-9)
    assert other["omega"] == result.statistics["omega"]
    assert result.statistics.using()["sharpe"] == result["sharpe"]
    assert other["ulcer_performance"] == pytest.approx((result["cagr"] - 0.03) / other["ulcer_index"])
    for bad in ({"periods_per_year": 0}, {"periods_per_year": math.nan}, {"risk_free_rate": math.inf}, {"risk_free_rate": "3 %"}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} was"):
            result.statistics.using(**bad)


def test_positions_and_their_share_of_time() -> None:
    result = random_run(6, short=True)
    frame = result.exposure()
    assert result.statistics["time_in_market"] == (frame["num_positions"] > 0).sum() / 300
    assert result.statistics["max_num_positions"] == frame["num_positions"].max() == 2.0
    assert result.statistics["avg_leverage"] == pytest.approx(frame["leverage"].mean())
    equity = result.to_equity_dataframe()["equity"]
    assert result.statistics["avg_net_exposure"] == pytest.approx((frame["net"] / equity).mean())


def test_no_trades_and_no_spread() -> None:
    figures = made(random_prices(1, bars=40), lambda bar, data, broker: None).statistics
    zero = (
        "cagr",
        "volatility",
        "sharpe",
        "sortino",
        "max_drawdown",
        "ulcer_index",
        "time_in_market",
        "annual_turnover",
        "edge_ratio",
        "best_day",
    )
    assert {name: figures[name] for name in zero} == dict.fromkeys(zero, 0.0)
    unknown = (
        "omega",
        "gain_to_pain",
        "tail_ratio",
        "skew",
        "kurtosis",
        "stability",
        "recovery_factor",
        "ulcer_performance",
        "avg_drawdown_days",
    )
    assert all(math.isnan(figures[name]) for name in unknown)


def test_a_result_with_its_statistics_can_be_pickled() -> None:
    result: Any = random_run(5, bars=30)
    assert isinstance(result.statistics, Statistics)
    first = dict(result.statistics)
    assert str(dict(pickle.loads(pickle.dumps(result)).statistics)) == str(first)
