"""Walk-forward: windows see no later bar, money goes on from window to window, the stitched result keeps its books, warm-ups trade nothing."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import BacktestResult, DataFeed, Engine, Strategy
from ml4t_backtest.splitting import CombinatorialPurged, ExpandingWindows, RollingWindows, Split
from ml4t_backtest.studies import random_search
from ml4t_backtest.studies.walked import WalkForward
from ml4t_backtest.studies.walking import walk_forward
from tests.profiles import few
from tests.research.strategies import ASSETS, START, AboveMean, Weights, made_feed, made_prices

COSTS: dict[str, Any] = {"commission_rate": 0.001, "commission_type": "percentage", "execution_mode": "next_bar", "executor": "serial"}
LENGTHS = {"length": [3, 5, 9]}
WINDOWS = RollingWindows(30, 10)


def check_books(walk: WalkForward) -> None:
    """Fills, trades, cash and account value of the stitched result add up, and its numbers run through."""
    result, equity = walk.result, walk.result._equity
    fills, trades = result._fills, result._trades
    spent = math.fsum(fills["quantity"] * fills["price"]) + math.fsum(fills["commission"])
    assert result._cash[-1] == pytest.approx(result._initial_cash - spent, rel=1e-9)
    assert math.fsum(trades["pnl"]) == pytest.approx(equity[-1] - result._initial_cash, abs=1e-6 * result._initial_cash)
    assert len(equity) == len(result._times) == len(result._timestamps) == sum(len(window.split.test) for window in walk.windows)
    assert (np.diff(result._times) > 0).all()
    orders = result._orders
    assert orders["order_id"].tolist() == list(range(1, len(orders) + 1))
    np.testing.assert_array_equal(result._times[fills["bar"]], fills["timestamp"])
    created = orders["created_bar"]
    np.testing.assert_array_equal(result._times[created], orders["created_at"])
    assert (orders["asset"][fills["order_id"] - 1] == fills["asset"]).all()
    done = orders["filled_bar"] > 0
    np.testing.assert_array_equal(result._times[orders["filled_bar"][done] - 1], orders["filled_at"][done])
    assert set(trades["entry_order"]) <= set(orders["order_id"])


@few
@given(seed=st.integers(0, 999), warmup=st.integers(0, 12), expanding=st.booleans(), strategy=st.sampled_from([AboveMean, Weights]))
def test_later_data_changes_no_earlier_window(seed: int, warmup: int, expanding: bool, strategy: Any) -> None:
    splitter = (ExpandingWindows if expanding else RollingWindows)(20, 8)
    prices = made_prices(44, seed)
    cut = 36  # the end of the second test
    later = (pl.col("timestamp") >= START + timedelta(days=cut)).cast(pl.Float64)
    other = prices.with_columns((pl.col(name) * (1.0 + 0.3 * later)).alias(name) for name in ("open", "high", "low", "close"))
    one, two = (walk_forward(DataFeed(frame), strategy, {"length": [2, 4]}, splitter, warmup=warmup, **COSTS) for frame in (prices, other))
    check_books(one)
    assert len(one) == 3
    assert one.frame[:2].equals(two.frame[:2])
    for part in ("orders", "fills", "trades", "equity"):
        first, second = (walk.to_dataframe(part).filter(pl.col("window") < 2) for walk in (one, two))
        assert first.equals(second)
    assert one.windows[2].parameters == two.windows[2].parameters  # chosen before the change


def test_each_test_is_a_run_with_the_money_that_was_left() -> None:
    feed = made_feed(80)
    walk = walk_forward(feed, AboveMean, LENGTHS, WINDOWS, **COSTS)
    settings = {name: value for name, value in COSTS.items() if name != "executor"}
    cash, equity, fills = 100_000.0, [], []
    for window in walk.windows:
        part = feed.between(int(window.split.test[0]), int(window.split.test[-1]) + 1)
        run = Engine(part, AboveMean(**window.parameters), initial_cash=cash, close_at_end=True, **settings).run()
        best = window.study.best("sharpe")
        assert best["length"].item() == window.parameters["length"]
        equity += run._equity.tolist()
        fills.append(run.to_fills_dataframe().drop("order_id", "bar"))
        cash = run["final_value"]
    assert len(walk) == 5
    assert walk.result._equity.tolist() == equity
    assert walk.result.to_fills_dataframe().drop("order_id", "bar").equals(pl.concat(fills))
    assert walk.result["final_value"] == cash
    assert walk.frame["final_value"].to_list() == [equity[9], equity[19], equity[29], equity[39], equity[49]]
    assert math.prod(1.0 + walk.frame["total_return"]) == pytest.approx(cash / 100_000.0)
    assert walk.frame["num_trades"].sum() == walk.result["num_trades"]
    assert walk.frame["length"].to_list() == [window.parameters["length"] for window in walk.windows]
    assert walk.to_dataframe("trades").filter(exit_reason="end_of_data")["window"].n_unique() > 1
    assert math.prod(1.0 + walk.returns) == pytest.approx(cash / 100_000.0)
    assert "5 windows, 50 test bars" in repr(walk)
    assert "final_value" in walk._repr_html_()
    check_books(walk)


def test_the_result_answers_everything(tmp_path: Path) -> None:
    result = walk_forward(made_feed(80), AboveMean, LENGTHS, WINDOWS, warmup=9, **COSTS).result
    assert result.to_daily_pnl()["pnl"].sum() == pytest.approx(result["final_value"] - 100_000.0)
    assert len(result.trades) == result["num_trades"]
    assert len(result.fills) == result["num_fills"]
    assert len(result.equity_curve) == 50
    assert result.equity.max_dd == pytest.approx(-result["max_drawdown"])
    assert result.to_cash_flows_dataframe().is_empty()
    assert result.to_alerts_dataframe().is_empty()
    result.to_parquet(tmp_path / "run")
    again = BacktestResult.from_parquet(tmp_path / "run")
    assert again.metrics == result.metrics
    for name in ("trades", "fills", "orders", "equity"):
        assert getattr(again, f"to_{name}_dataframe")().equals(getattr(result, f"to_{name}_dataframe")())


@pytest.mark.parametrize("strategy", [AboveMean, Weights])
def test_a_warm_up_is_seen_and_not_traded(strategy: Any) -> None:
    made: list[Any] = []

    def make(length: int) -> Any:
        made.append(strategy(length))
        return made[-1]

    feed = made_feed(60)
    walk = walk_forward(feed, make, {"length": [9]}, WINDOWS, warmup=12, cash_interest_rate=0.05, **COSTS)
    orders = walk.to_dataframe("orders")
    for window, own in zip(walk.windows, [one for one in made if len(getattr(one, "closes", ())) and _bars(one) == 22], strict=True):
        start = feed.panels.timestamps[int(window.split.test[0])]
        assert orders.filter(window=window.split.number)["created_at"].min() >= start
        if strategy is AboveMean:
            assert own.seen[0] == feed.panels.timestamps[int(window.split.test[0]) - 12]
            assert own.declined
            assert max(own.declined) < start
    assert orders.height
    flows = walk.result.to_cash_flows_dataframe()
    starts = {feed.panels.timestamps[int(window.split.test[0])] for window in walk.windows}
    assert set(walk.result._timestamps) - starts == set(flows["timestamp"])


def _bars(strategy: Any) -> int:
    return len(strategy.seen) if isinstance(strategy, AboveMean) else len(strategy.closes)


def test_orders_before_the_first_bar_are_declined_in_a_warm_up() -> None:
    class AtOnce(Strategy):
        def __init__(self, size: float) -> None:
            self.size = size

        def on_start(self, broker):
            self.order = broker.submit_order("A", self.size)

        def on_data(self, timestamp, data, context, broker):
            pass

    for warmup, count in ((0, 3), (5, 0)):
        walk = walk_forward(made_feed(60), AtOnce, {"size": [10.0]}, WINDOWS, warmup=warmup, **COSTS)
        assert walk.to_dataframe("orders").filter(pl.col("exit_reason") != "end_of_data").height == count


def test_an_error_in_a_test_says_where() -> None:
    class Careless(Strategy):
        def __init__(self, size: float) -> None:
            self.size = size

        def on_data(self, timestamp, data, context, broker):
            self.order_id = broker.submit_order("A", self.size).order_id

    with pytest.raises(AttributeError, match="order_id") as caught:
        walk_forward(made_feed(60), Careless, {"size": [1.0]}, WINDOWS, warmup=5, **COSTS)
    assert "in the test of window 0 with {'size': 1.0}; orders of the warm-up are declined: they return None" in caught.value.__notes__


def test_a_choice_by_a_function_and_a_grid_by_window() -> None:
    seen: list[Split] = []

    def grid(split: Split) -> list[dict[str, int]]:
        seen.append(split)
        return [{"length": 3 + split.number}, {"length": 8}]

    walk = walk_forward(made_feed(60), AboveMean, grid, WINDOWS, select=lambda study: study.frame[-1], **COSTS)
    assert [split.number for split in seen] == [0, 1, 2]
    assert walk.frame["length"].to_list() == [8, 8, 8]
    fewest = walk_forward(
        made_feed(60), AboveMean, iter([{"length": 3}, {"length": 9}]), WINDOWS, select="num_trades", higher=False, **COSTS
    )
    assert all(window.study.frame["num_trades"].min() == _trades(window) for window in fewest.windows)
    drawn = walk_forward(made_feed(60), AboveMean, random_search({"length": [3, 4, 5]}, 2, seed=1), WINDOWS, **COSTS)
    assert len(drawn.studies[0]) == 2


def _trades(window: Any) -> int:
    return window.study.frame.filter(length=window.parameters["length"])["num_trades"].item()


def test_events_happen_in_their_own_window() -> None:
    class Holds(Strategy):
        def __init__(self, size: float) -> None:
            self.size = size

        def on_data(self, timestamp, data, context, broker):
            if broker.get_position("A") is None and not broker.pending_orders:
                broker.submit_order("A", self.size)

    days = [5, 34, 44, 47, 58]
    events = pl.DataFrame(
        {"timestamp": [START + timedelta(days=day) for day in days], "asset": "A", "kind": "dividend", "value": [1.0, 2.0, 4.0, 8.0, 16.0]}
    )
    walk = walk_forward(made_feed(60), Holds, {"size": [10.0]}, WINDOWS, warmup=6, events=events, **COSTS)
    flows = walk.result.to_cash_flows_dataframe()
    assert flows["timestamp"].to_list() == [START + timedelta(days=day) for day in days[1:]]
    assert flows["amount"].to_list() == [20.0, 40.0, 80.0, 160.0]


def test_what_cannot_be_sold_stays() -> None:
    prices = made_prices(60)
    prices = prices.filter((pl.col("symbol") == "A") | (pl.col("timestamp") < START + timedelta(days=39)))

    class Holds(Strategy):
        def __init__(self, size: float) -> None:
            self.size = size

        def on_data(self, timestamp, data, context, broker):
            for asset in data:
                if broker.get_position(asset) is None:
                    broker.order_target_percent(asset, self.size)

    options = {**COSTS, "execution_mode": "same_bar"}
    with pytest.warns(UserWarning, match="window 0 ends on 2020-02-09.*'B' has no price and could not be sold"):
        walk = walk_forward(DataFeed(prices), Holds, {"size": [0.4]}, WINDOWS, **options)
    check_books(walk)
    held = walk.windows[1].piece.held
    assert held > 30_000.0
    assert walk.windows[1].result.config.initial_cash == walk.windows[0].result._cash[-1]
    trades = walk.result.to_trades_dataframe()
    assert trades["status"].to_list() == ["closed"] * 3 + ["open"]
    assert walk.to_dataframe("trades")["window"].to_list() == [0, 1, 2, 0]
    assert walk.result["num_open_trades"] == 1
    assert walk.frame["final_value"][-1] == walk.result["final_value"]


def test_no_money_is_the_end() -> None:
    class Borrows(Strategy):
        def __init__(self, size: float) -> None:
            self.size = size

        def on_data(self, timestamp, data, context, broker):
            if not broker.positions:
                broker.order_target_percent("A", self.size)

    prices = made_prices(60).with_columns(
        pl.when(pl.col("timestamp") >= START + timedelta(days=35)).then(1.0).otherwise(100.0).alias(name)
        for name in ("open", "high", "low", "close")
    )
    options = {**COSTS, "execution_mode": "same_bar", "account_type": "margin", "margin_call": "ignore"}
    with pytest.warns(UserWarning, match="window 1 and those after it were not run: the one before left no cash"):
        walk = walk_forward(DataFeed(prices), Borrows, {"size": [1.9]}, WINDOWS, **options)
    assert len(walk) == 1
    assert walk.result["final_value"] < 0.0


@pytest.mark.filterwarnings("ignore:interrupted. the study holds")
@pytest.mark.parametrize("late", range(4))  # two calls to look at what it makes, a run of the sweep, the test
def test_ctrl_c_keeps_the_windows_that_are_finished(late: int) -> None:
    calls: list[int] = []

    def make(length: int) -> AboveMean:
        calls.append(length)
        if len(calls) > 4 + late:
            raise KeyboardInterrupt
        return AboveMean(length)

    with pytest.warns(UserWarning, match="interrupted: 1 of 3 windows"):
        walk = walk_forward(made_feed(60), make, {"length": [3]}, WINDOWS, **COSTS)
    assert (len(walk), walk.status, walk.result.status) == (1, "interrupted", "interrupted")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"feed": 5}, TypeError, "feed was a int, expected a DataFeed"),
        ({"warmup": -1}, ValueError, "warmup was -1, expected a whole number of bars >= 0"),
        ({"warmup": 2.5}, ValueError, "warmup was 2.5"),
        ({"select": 3}, TypeError, "select was 3, expected the name of a metric or a function"),
        ({"select": "sharp"}, ValueError, "no metric 'sharp'; did you mean 'sharpe'"),
        ({"select": "num_trades"}, ValueError, "whether a high 'num_trades' is good is for you to say"),
        ({"splitter": 10}, TypeError, "splitter was a int, expected RollingWindows"),
        ({"splitter": RollingWindows}, TypeError, r"splitter was the class RollingWindows, expected an object: RollingWindows\(train="),
        ({"splitter": []}, ValueError, "splitter gave no windows"),
        ({"splitter": [3]}, TypeError, "splitter gave a int, expected Split objects"),
        ({"splitter": CombinatorialPurged(4, 2)}, ValueError, "not before its test: look-ahead; cross_validate takes such splits"),
        ({"splitter": RollingWindows(500, 9)}, ValueError, "60 bars are too few for train=500"),
        ({"splitter": [Split(0, np.arange(9), np.arange(5, 20))]}, ValueError, "not before its test: look-ahead"),
        ({"splitter": [Split(0, np.arange(9), np.arange(55, 65))]}, ValueError, "no consecutive bars of the feed"),
        ({"splitter": [Split(0, np.arange(9), np.arange(20, 30))] * 2}, ValueError, "does not come after the one before"),
        ({"grid": {"length": [3], "initial_cash": [1.0]}}, ValueError, "'initial_cash' cannot be a parameter of a walk-forward study"),
        ({"grid": [{"length": 3, "close_at_end": True}]}, ValueError, "'close_at_end' cannot be a parameter"),
        ({"grid": {"lengtz": [3]}}, TypeError, "did you mean 'length'"),
        ({"strategy": AboveMean(3)}, TypeError, "state would leak"),
        ({"executer": "serial"}, TypeError, "no argument 'executer'"),
    ],
)
def test_bad_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"feed": made_feed(60), "strategy": AboveMean, "grid": LENGTHS, "splitter": WINDOWS, **COSTS, **change}
    with pytest.raises(error, match=message):
        walk_forward(**given)


def test_frames_by_window_are_named() -> None:
    walk = walk_forward(made_feed(60), AboveMean, LENGTHS, WINDOWS, **COSTS)
    assert set(walk.to_dataframe("fills")["asset"]) <= set(ASSETS)
    with pytest.raises(ValueError, match="part was 'trade', expected one of .*did you mean 'trades'"):
        walk.to_dataframe("trade")
