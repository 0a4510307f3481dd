"""Rows of a sweep are what engines give, wherever they run."""

from __future__ import annotations

import concurrent.futures
from functools import partial
from typing import Any

import polars as pl
import pytest

from ml4t_backtest import BacktestConfig, Engine, PercentageCommission, StopLoss, TakeProfit, TimeExit, TrailingStop, sweep
from ml4t_backtest.analytics.metrics import METRIC_NAMES
from tests.studies.strategies import Crossing, Failing, Loud, Rowwise, feed_of

GRID = {"fast": [2, 3, 4, 5], "slow": [6, 9]}
run = partial(sweep, executor="serial")


def rows_of(study: Any) -> pl.DataFrame:
    return study.frame.drop("seconds")


def test_a_row_is_what_an_engine_gives() -> None:
    feed = feed_of()
    study = run(feed, Crossing, GRID, config="realistic")
    assert study.frame.columns == ["set", "fast", "slow", *METRIC_NAMES, "status", "error", "seconds"]
    assert study.frame["set"].to_list() == list(range(8))
    assert study.frame["fast"].to_list() == [2, 2, 3, 3, 4, 4, 5, 5]
    for row in study.frame.to_dicts():
        metrics = Engine(feed, Crossing(row["fast"], row["slow"]), "realistic").run().metrics
        assert {name: row[name] for name in METRIC_NAMES} == metrics
        assert study.rerun(row).metrics == metrics
    assert study.frame["num_trades"].dtype == pl.Int64
    assert study.frame["num_trades"].max() > 2


def test_every_executor_gives_the_same_rows() -> None:
    feed = feed_of()
    grid = {**GRID, "stop_pct": [None, 0.03]}
    expected = rows_of(run(feed, Failing, grid))
    assert expected["status"].to_list().count("failed") == 8
    assert rows_of(sweep(feed, Failing, grid)).equals(expected)
    assert rows_of(sweep(feed, Failing, grid, executor="threads", workers=3)).equals(expected)
    assert rows_of(sweep(feed, Failing, grid, executor="processes", workers=2)).equals(expected)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        assert rows_of(sweep(feed, Failing, grid, executor=threads)).equals(expected)


def test_a_failing_set_is_a_row() -> None:
    study = run(feed_of(), Failing, {"fast": [3, 4, 5]})
    assert study.frame["status"].to_list() == ["completed", "failed", "failed"]
    assert study.frame["error"][0] is None
    assert study.frame["error"][1] == "ValueError: four is bad"
    assert study.frame["error"][2].startswith("SystemExit: five leaves; raised in Failing at bar 39")
    assert study.frame.row(1, named=True)["sharpe"] is None
    assert study.best(n=5)["fast"].to_list() == [3]
    with pytest.raises(ValueError, match="four is bad"):
        study.rerun(1)


def test_parameters_find_their_way() -> None:
    feed = feed_of()
    grid = [
        {"fast": 2, "stop_pct": 0.01, "target_pct": 0.02, "trail_pct": 0.03, "max_bars": 4},
        {"commission_rate": 0.01, "commission_type": "percentage"},
        {"initial_cash": 5_000.0},
        {"commission_model": PercentageCommission(0.02)},
        {"execution_mode": "next_bar", "initial_cash": 7_000},
    ]
    study = run(feed, Crossing, grid)
    engine = Engine(feed, Crossing(2))
    engine.broker.set_position_rules([StopLoss(0.01), TakeProfit(0.02), TrailingStop(0.03), TimeExit(4)])
    expected = [
        engine.run(),
        Engine(feed, Crossing(), commission_type="percentage", commission_rate=0.01).run(),
        Engine(feed, Crossing(), initial_cash=5_000.0).run(),
        Engine(feed, Crossing(), commission_model=PercentageCommission(0.02)).run(),
        Engine(feed, Crossing(), execution_mode="next_bar", initial_cash=7_000).run(),
    ]
    for row, result in zip(study.frame.to_dicts(), expected, strict=True):
        assert row["final_value"] == result["final_value"]
        assert row["num_fills"] == result["num_fills"] > 0
    assert len({result["final_value"] for result in expected}) == 5
    assert study.frame["param_initial_cash"].to_list() == [None, None, 5_000.0, None, 7_000.0]
    assert study.frame["initial_cash"].to_list() == [1e5, 1e5, 5e3, 1e5, 7e3]
    assert study.params(3)["commission_model"] == PercentageCommission(0.02)


def test_one_rule_and_none() -> None:
    feed = feed_of()
    study = run(feed, Crossing, {"max_bars": [None, 2]})
    assert study.frame["max_bars"].to_list() == [None, 2]
    assert study.trades(1)["bars_held"].max() == 2 < study.trades(0)["bars_held"].max()


def test_functions_partials_and_arrays() -> None:
    feed = feed_of()
    made = run(feed, lambda fast: Crossing(fast, 9), {"fast": [2, 3]})
    assert rows_of(made).equals(rows_of(run(feed, partial(Crossing, slow=9), {"fast": [2, 3]})))
    assert rows_of(made)["final_value"].to_list() == [Engine(feed, Crossing(fast, 9)).run()["final_value"] for fast in (2, 3)]
    weights = run(feed, Rowwise, {"weight": [0.1, 0.4]}, config=BacktestConfig(share_type="fractional"))
    assert weights.frame["num_fills"].min() > 10
    anything = run(feed, anyhow, {"fast": [2], "slow": [9], "initial_cash": [9e3]})
    assert anything.frame["initial_cash"].to_list() == [9e3]


def anyhow(**values: Any) -> Crossing:
    return Crossing(**values)


class Copying:
    """Stands for a compiled strategy: an object that makes copies with other parameters."""

    def __init__(self, **params: int) -> None:
        self.params = {"fast": 3, "slow": 8, **params}

    def with_params(self, **values: int) -> Crossing:
        return Crossing(**{**self.params, **values})


class Together(Copying):
    """Stands for signals: runs many sets at once."""

    calls: list[int]

    def run_sets(self, feed: Any, config: BacktestConfig, sets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.__dict__.setdefault("calls", []).append(len(sets))
        if any(one.get("fast") == 4 for one in sets):
            raise ValueError("four is bad")
        results = [Engine(feed, self.with_params(**one), config).run() for one in sets]
        return [{**result.metrics, "skewness": 1.5} for result in results]


def test_objects_with_params() -> None:
    feed = feed_of()
    expected = rows_of(run(feed, Crossing, GRID))
    assert rows_of(run(feed, Copying(), GRID)).equals(expected)
    study = sweep(feed, Together(), {**GRID, "initial_cash": [1e5, 2e5]}, workers=2)
    assert study.frame["skewness"].to_list() == [None if fast == 4 else 1.5 for fast in study.frame["fast"]]
    assert study.frame["error"].drop_nulls().to_list() == ["ValueError: four is bad"] * 4
    half = study.frame.filter(param_initial_cash=1e5)
    assert [value for value in half["sharpe"] if value is not None] == expected.filter(pl.col("fast") != 4)["sharpe"].to_list()
    with pytest.raises(TypeError, match="nothing takes the parameter 'fst'; did you mean 'fast'"):
        run(feed, Copying(), {"fst": [1]})


def test_kept_curves_and_trades_are_those_of_a_rerun() -> None:
    feed = feed_of()
    study = run(feed, Crossing, GRID, keep="all")
    plain = run(feed, Crossing, GRID)
    for number in range(len(study)):
        result = study.rerun(number)
        assert study.equity(number).equals(result.to_equity_dataframe().select("timestamp", "equity"))
        assert study.trades(number).equals(result.to_trades_dataframe())
        assert plain.equity(number).equals(study.equity(number))
        assert plain.trades(number).equals(study.trades(number))
    assert len(study._block.kept) == len(study)
    assert not plain._block.kept


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_warnings_are_heard(executor: str) -> None:
    with pytest.warns(UserWarning, match="mind the gap"):
        sweep(feed_of(), Loud, {"fast": [2, 3]}, executor=executor, workers=None if executor == "serial" else 2)


class Setting(Crossing):
    def on_start(self, broker: Any) -> None:
        broker.set_position_rules(StopLoss(0.2))


def test_a_rule_that_the_strategy_replaces_is_no_silent_knob() -> None:
    study = run(feed_of(), Setting, {"stop_pct": [None, 0.01]})
    assert study.frame["status"].to_list() == ["completed", "failed"]
    assert "replaced stop_pct" in study.frame["error"][1]
