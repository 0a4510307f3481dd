"""What is wrong with a sweep is said before anything runs, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import BacktestConfig, Strategy, sweep
from tests.studies.strategies import Crossing, feed_of

GRID = {"fast": [2, 3]}


class Counting(Crossing):
    runs = 0

    def on_start(self, broker: Any) -> None:
        type(self).runs += 1


class Needy(Counting):
    def __init__(self, fast: int, window: int) -> None:
        super().__init__(fast)


def refused(error: type[Exception], text: str, *arguments: Any, **keywords: Any) -> None:
    before = Counting.runs
    with pytest.raises(error, match=text):
        sweep(*arguments, **{"executor": "serial", **keywords})
    assert Counting.runs == before


@pytest.mark.parametrize(
    ("grid", "error", "text"),
    [
        ({"fsat": [1]}, TypeError, r"nothing takes the parameter 'fsat'; did you mean 'fast'.*Counting takes fast, slow"),
        ({"stop_pc": [0.1]}, TypeError, "did you mean 'stop_pct'"),
        ({"comission_rate": [0.1]}, TypeError, "did you mean 'commission_rate'"),
        ({"stop_pct": [0.1, 1.5]}, ValueError, r"grid\['stop_pct'\] has the value 1.5: StopLoss"),
        ({"max_bars": [2.5]}, ValueError, r"grid\['max_bars'\] has the value 2.5"),
        ({"initial_cash": [-1]}, ValueError, r"grid\['initial_cash'\] has the value -1: initial_cash was -1"),
        ({"commission_rate": [0.1]}, ValueError, "'commission_rate' does nothing while commission_type='none'"),
        ({"initial_cash": [1e5], "initial_capital": [2e5]}, TypeError, "grid names both 'initial_cash' and its other spelling"),
        ({}, ValueError, "grid is empty"),
    ],
)
def test_grids(grid: Any, error: type[Exception], text: str) -> None:
    refused(error, text, feed_of(), Counting, grid)


def test_rates_that_count_are_taken() -> None:
    config = BacktestConfig(commission_type="percentage")
    study = sweep(feed_of(), Crossing, {"commission_rate": [0.0, 0.01]}, config=config, executor="serial")
    assert study.frame["total_commission"][0] == 0.0 < study.frame["total_commission"][1]


def test_settings_that_contradict_each_other_are_a_failed_row() -> None:
    grid = [{"account_type": "cash", "allow_leverage": True}, {"account_type": "cash"}]
    study = sweep(feed_of(), Crossing, grid, executor="serial")
    assert study.frame["status"].to_list() == ["failed", "completed"]


def test_strategies() -> None:
    feed = feed_of()
    refused(TypeError, "whose state would leak from one run into the next", feed, Counting(), GRID)
    refused(TypeError, "expected a subclass of Strategy", feed, dict, GRID)
    refused(TypeError, "strategy was a int", feed, 3, GRID)
    refused(TypeError, "lacks on_data", feed, Strategy, {"stop_pct": [0.1]})
    refused(TypeError, r"Needy\(\) needs 'window', which grid does not name", feed, Needy, GRID)
    refused(TypeError, "returned what an engine does not take", feed, lambda fast: fast, GRID)
    shared = Counting()
    refused(TypeError, "returned the same Counting object twice", feed, lambda fast: shared, GRID)
    refused(TypeError, "by position only", feed, lambda fast, /: Counting(fast), GRID)


def test_arguments() -> None:
    feed = feed_of()
    refused(TypeError, "feed was a int", 3, Counting, GRID)
    refused(ValueError, "executor was 'process', expected one of .*did you mean 'processes'", feed, Counting, GRID, executor="process")
    refused(TypeError, "executor was a int", feed, Counting, GRID, executor=3)
    refused(ValueError, "workers was 0", feed, Counting, GRID, workers=0)
    refused(ValueError, "workers was 2 with executor='serial'", feed, Counting, GRID, workers=2)
    refused(ValueError, "keep was 'curves'.*did you mean 'curve'", feed, Counting, GRID, keep="curves")
    refused(ValueError, "max_sets was 0", feed, Counting, GRID, max_sets=0)
    refused(TypeError, r"sweep\(\) has no argument 'workrs'; did you mean 'workers'", feed, Counting, GRID, workrs=3)
    refused(ValueError, "initial_cash was -5", feed, Counting, GRID, initial_cash=-5)
    grid = {**GRID, "commission_model": [None]}
    refused(TypeError, "'commission_model' was given twice", feed, Counting, grid, commission_model=3)


def test_a_large_grid_is_counted_timed_and_refused() -> None:
    huge = {"fast": range(2, 1000), "slow": range(1000, 3000), "quantity": range(1, 1001)}
    beyond = {name: range(1000) for name in "abcdefg"}
    with pytest.raises(ValueError, match="1,000,000,000,000,000,000,000 parameter sets"):
        sweep(feed_of(), lambda **values: Crossing(), beyond, executor="serial")
    with pytest.raises(ValueError, match=r"the grid has 1,996,000,000 parameter sets, max_sets is 100,000; one takes .* s"):
        sweep(feed_of(), Crossing, huge, executor="serial")
    with pytest.raises(ValueError, match=r"before where leaves any out"):
        sweep(feed_of(), Crossing, huge, where=lambda one: False, executor="serial")
    with pytest.raises(ValueError, match="has 6 parameter sets, max_sets is 5"):
        sweep(feed_of(), Crossing, {"fast": range(2, 8)}, executor="serial", max_sets=5)
    assert len(sweep(feed_of(), Crossing, {"fast": range(2, 8)}, executor="serial", max_sets=None)) == 6
