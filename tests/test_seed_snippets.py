"""Every Python block of docs/cookbook.md runs as printed; the listings at its end are compared with the real signatures."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import ml4t_backtest as bt
from tests.recipes import (
    ASSETS,
    GIVEN,
    LISTINGS,
    RECIPES,
    Names,
    Unruled,
    engine_of,
    price_frame,
    run_block,
    run_live,
    signal_frame,
    times,
    usual_names,
)

DIAGNOSTICS = ("Portfolio analysis", "Trade analysis", "Features at trades")


# What must hold after a recipe, by heading. `names` are its variables, `values` its bare expressions.


def run_of(names: Names, strategy: str | None = None, **settings: Any) -> bt.BacktestResult:
    if strategy is None:
        result: bt.BacktestResult = names["engine"].run()
        return result
    return bt.Engine(names["feed"], names[strategy](), **settings).run()


def check_first(names: Names, values: list[Any]) -> None:
    assert names["results"]["num_trades"] == 4
    assert names["results"]["final_value"] == pytest.approx(54_741.0)


def check_by_hand(names: Names, values: list[Any]) -> None:
    engine = bt.Engine(names["datafeed"], Unruled())
    assert names["broker"].get_account_value() == engine.run()["final_value"]
    assert len(names["broker"].fills) == engine.result["num_fills"] > 0


def check_frames(names: Names, values: list[Any]) -> None:
    assert names["trades_df"].height == len(names["result"].trades) == len(names["trade_records"])
    assert names["equity_df"].height == 60 == names["returns"].len()
    columns = "asset entry_time exit_time entry_price exit_price quantity direction pnl pnl_percent bars_held commission slippage mfe mae exit_reason"
    assert set(columns.split()) <= set(names["trades_df"].columns)
    assert names["trades_df"].schema["bars_held"] == pl.Int32
    assert names["trades_df"].schema["entry_time"] == pl.Datetime("us")


def check_disk(names: Names, values: list[Any]) -> None:
    files = {path.name for path in Path("results/my_backtest").iterdir()}
    assert {"trades.parquet", "equity.parquet", "daily_pnl.parquet", "metrics.json", "config.yaml"} <= files
    assert names["loaded"].to_trades_dataframe().equals(names["result"].to_trades_dataframe())


def check_sweep(names: Names, values: list[Any]) -> None:
    assert names["best"].height == 5
    assert names["summary"].height == 6
    assert {"stop_pct", "target_pct", "sharpe"} <= set(names["summary"].columns)
    assert names["best"]["sharpe"][0] == max(result["sharpe"] for result in names["results"])


def check_enriched(names: Names, values: list[Any]) -> None:
    assert {f"{when}_{name}" for when in ("entry", "exit") for name in ("momentum", "rsi", "ml_score")} <= set(names["enriched"].columns)
    assert names["stop_loss_trades"].height > 0
    assert names["stop_loss_trades"]["exit_ml_score"].null_count() == 0


def check_reasons(names: Names, values: list[Any]) -> None:
    counts = dict(names["by_reason"].select("exit_reason", "count").iter_rows())
    assert counts["stop_loss"] == sum(trade.exit_reason is bt.ExitReason.STOP_LOSS for trade in names["result"].trades) > 0


def check_cash(names: Names, values: list[Any]) -> None:
    assert names["engine"].config.get_effective_account_type() == "cash"
    assert run_of(names)["num_trades"] > 0


def check_margin(names: Names, values: list[Any]) -> None:
    config = names["engine"].config
    assert (config.get_effective_account_type(), config.initial_margin, config.long_maintenance_margin) == ("margin", 0.5, 0.25)
    assert run_of(names)["num_trades"] > 0


def check_futures(names: Names, values: list[Any]) -> None:
    engine = names["engine"]
    assert engine.config.get_effective_account_type() == "futures"
    engine.strategy.quantity = 21  # 21 contracts of 5,000 are more than 100,000
    assert run_of(names)["num_trades"] == 0
    assert engine.broker.orders[0].status is bt.OrderStatus.REJECTED


def check_same_bar(names: Names, values: list[Any]) -> None:
    fill = run_of(names).fills[0]
    assert (fill.timestamp, fill.price) == (times()[0], 150.0)


def check_next_bar(names: Names, values: list[Any]) -> None:
    fill = run_of(names).fills[0]
    assert (fill.timestamp, fill.price) == (times()[1], 150.0 + 12.0 * math.sin(1 / 6) - 0.5)


def check_weights(names: Names, values: list[Any]) -> None:
    engine = bt.Engine(names["feed"], names["WeightedStrategy"]())
    engine.run()
    account = engine.broker.get_account_value()
    held = {asset: position.market_value / account for asset, position in engine.broker.positions.items()}
    assert held == pytest.approx({"AAPL": 0.30, "GOOG": 0.25, "MSFT": 0.20, "AMZN": 0.15}, abs=0.02)


def check_commission(names: Names, values: list[Any]) -> None:
    costs = [model.calculate("AAPL", 20_000, 10.0) for model in values]
    assert costs == pytest.approx([0.0, 200.0, 200.0, 100.0, 120.0])
    assert [model.calculate("AAPL", 1, 10.0) for model in values] == pytest.approx([0.0, 1.0, 0.01, 0.01, 1.0])


def check_slippage(names: Names, values: list[Any]) -> None:
    assert [model.calculate("AAPL", 10.0, 100.0, 1_000.0) for model in values[:3]] == pytest.approx([0.0, 0.05, 0.05])
    assert values[3].calculate("AAPL", 10.0, 100.0, 1_000.0) > 0


def check_volume(names: Names, values: list[Any]) -> None:
    names["engine"].strategy.quantity = 250
    fills = run_of(names).fills
    assert [fill.quantity for fill in fills[:3]] == [100.0, 100.0, 50.0]


def check_impact(names: Names, values: list[Any]) -> None:
    assert run_of(names).fills[0].price > 150.0


def check_curve(names: Names, values: list[Any]) -> None:
    frame, pairs = values[-2:]
    assert frame["equity"].to_list()[-1] == pairs[-1][1] == 101_000.0


def check_trades(names: Names, values: list[Any]) -> None:
    total, winners, losers, rate, factor, *averages = values
    assert total == len(names["trades"]) == winners + losers
    assert rate == winners / total
    assert factor > 0
    assert len(averages) == 5
    assert all(isinstance(number, float) for number in averages)


def check_performance(names: Names, values: list[Any]) -> None:
    assert names["cagr_value"] == pytest.approx(0.1)
    assert names["max_dd_pct"] == pytest.approx(100 * names["max_dd"])
    assert names["max_dd"] > 0
    assert all(math.isfinite(names[name]) for name in ("sharpe", "sortino", "calmar", "vol"))


def check_keys(names: Names, values: list[Any]) -> None:
    trades, fills, curve = values[-3:]
    assert values[0] == 100_000.0
    assert values[1] == curve[-1][1]
    assert values[2] == pytest.approx(values[1] / values[0] - 1)
    assert values[3] == 100 * values[2]
    assert len(trades) == values[10]
    assert len(fills) == 2 * len(trades)


def check_calendar(names: Names, values: list[Any]) -> None:
    assert names["trading_data"].height == 4 * 42
    assert date(2024, 12, 25) in list(names["holidays"])
    assert len(names["minutes"]) == 21 * 390
    assert not bt.is_trading_day(datetime(2024, 12, 25), "NYSE")


def check_session_pnl(names: Names, values: list[Any]) -> None:
    columns = "session_date session_start session_end open_equity close_equity high_equity low_equity pnl return_pct cumulative_return intra_session_dd"
    assert set(columns.split()) <= set(names["session_pnl"].columns)
    assert names["session_pnl"].height == 60
    assert names["session_pnl"]["close_equity"][-1] == names["result"]["final_value"]


def check_session(names: Names, values: list[Any]) -> None:
    assert names["session"].replace(tzinfo=None) == datetime(2024, 1, 9)


def check_aligned(names: Names, values: list[Any]) -> None:
    assert [day.day for day in names["df_with_sessions"]["session_date"]] == [8, 9]


def check_multi(names: Names, values: list[Any]) -> None:
    feed = bt.DataFeed(prices_df=price_frame(), signals_df=signal_frame())
    result = bt.Engine(feed, names["MultiAssetStrategy"]()).run()
    assert {trade.asset for trade in result.trades} == set(ASSETS)


def check_monthly(names: Names, values: list[Any]) -> None:
    result = run_of(names, "PortfolioStrategy")
    assert {fill.timestamp.day for fill in result.fills} == {1}
    assert {fill.asset for fill in result.fills} == set(ASSETS)


def check_context(names: Names, values: list[Any]) -> None:
    assert run_of(names, "ContextAwareStrategy").status == "completed"
    assert [row[2]["VIX"] for row in names["feed"]][:2] == [15.0, 16.0]


def check_config(names: Names, values: list[Any]) -> None:
    names["engine"].strategy.quantity = 50
    result = run_of(names)
    assert names["engine"].config.max_positions == 20
    assert {fill.commission for fill in result.fills} == {1.0}  # 0.01 a share, at least 1
    assert result.fills[0].slippage == pytest.approx(0.05)


def check_presets(names: Names, values: list[Any]) -> None:
    config = names["config"]
    assert (config.preset_name, config.execution_mode, config.share_type.value) == ("zipline", bt.ExecutionMode.NEXT_BAR, "integer")


CHECKS: dict[str, Callable[[Names, list[Any]], None]] = {
    "First backtest": check_first,
    "The loop by hand": check_by_hand,
    "Metrics and frames": check_frames,
    "On disk": check_disk,
    "Many results": check_sweep,
    "Signals at trades": check_enriched,
    "Why positions were closed": check_reasons,
    "Cash": check_cash,
    "Margin": check_margin,
    "Futures": check_futures,
    "On the same bar": check_same_bar,
    "On the next bar": check_next_bar,
    "Target weights": check_weights,
    "Commission": check_commission,
    "Slippage": check_slippage,
    "Part of the volume": check_volume,
    "Market impact": check_impact,
    "Equity curve": check_curve,
    "Trade statistics": check_trades,
    "Performance": check_performance,
    "Every key of a result": check_keys,
    "Market calendars": check_calendar,
    "Profit and loss by session": check_session_pnl,
    "The session of a time": check_session,
    "The session of every row": check_aligned,
    "Asset by asset": check_multi,
    "Equal weights once a month": check_monthly,
    "Market-wide values": check_context,
    "All in one object": check_config,
    "Presets": check_presets,
}


@pytest.mark.parametrize("heading", CHECKS)
def test_the_recipe_runs(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {**usual_names(), **GIVEN.get(heading, dict)()}
    CHECKS[heading](names, run_block(RECIPES[heading], names))


# Recipes of a strategy: they run inside `on_data`, and `result` is what the run made of them.


def check_market(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    assert [fill.signed_quantity for fill in result.fills] == [200.0, -50.0, 100.0]  # exits first


def check_limit(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    fill = result.fills[-1]
    assert (fill.signed_quantity, fill.price) == (100.0, 150.0)
    assert fill.timestamp > times()[5]


def check_stops(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    assert [order.order_type for order in values] == [bt.OrderType.STOP, bt.OrderType.STOP_LIMIT]
    assert [order.status for order in values] == [bt.OrderStatus.FILLED] * 2
    assert values[0].filled_price <= 145.0
    assert values[1].filled_price >= 144.0


def check_trail(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    assert values[0].status is bt.OrderStatus.FILLED
    assert 145.0 < values[0].filled_price < 160.0


def check_bracket(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    statuses = [names[leg].status for leg in ("entry", "take_profit", "stop_loss")]
    assert statuses == [bt.OrderStatus.FILLED, bt.OrderStatus.FILLED, bt.OrderStatus.CANCELLED]
    assert names["take_profit"].filled_price == 160.0


def check_changes(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    assert values[:2] == [True, True]
    assert (names["order"].stop_price, names["order"].status) == (101.0, bt.OrderStatus.CANCELLED)
    assert values[2].status is bt.OrderStatus.FILLED
    assert names["broker"].get_position("AAPL") is None


def check_position(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    asset, quantity, entry_price, entry_time, current_price, market_value, *basis, pnl, bars_held = values
    assert (asset, quantity, entry_price, entry_time, bars_held) == ("AAPL", 200.0, 150.0, times()[0], 5)
    assert market_value == 200.0 * current_price
    assert basis in ([], [200.0 * 150.0])
    assert pnl == pytest.approx(market_value - 200.0 * 150.0)


def check_rebalance(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    success, placed, skipped, message, projected = values
    assert success is True
    assert [order.asset for order in placed] == ["AAPL"]
    assert [name for name, _ in skipped] == ["MSFT"]
    assert isinstance(message, str)
    assert projected["AAPL"] == pytest.approx(0.3)


def check_order(names: Names, values: list[Any], result: bt.BacktestResult) -> None:
    assert values[:4] == ["ORD-2", "AAPL", bt.OrderSide.SELL, 50.0]
    assert values[4:9] == [bt.OrderType.STOP, bt.OrderStatus.PENDING, None, 100.0, None]
    assert values[9:] == [None, 0.0, None, times()[5]]


LIVE: dict[str, Callable[[Names, list[Any], bt.BacktestResult], None]] = {
    "What a position tells": check_position,
    "Market": check_market,
    "Limit": check_limit,
    "Stop and stop-limit": check_stops,
    "Trailing stop": check_trail,
    "Bracket": check_bracket,
    "Changing and cancelling": check_changes,
    "What a rebalance says": check_rebalance,
    "Position": check_position,
    "Order": check_order,
}


@pytest.mark.parametrize("heading", LIVE)
def test_the_recipe_runs_in_a_strategy(heading: str) -> None:
    LIVE[heading](*run_live({**RECIPES, **LISTINGS}[heading]))


@pytest.mark.parametrize("heading", DIAGNOSTICS)
def test_hand_over_to_the_diagnostic_package(heading: str) -> None:
    names = {**usual_names(), "result": engine_of().run(), "signals_df": signal_frame()}
    if find_spec("ml4t") and find_spec("ml4t.diagnostic"):
        run_block(RECIPES[heading], names)
        return
    with pytest.raises(ImportError, match="No module named 'ml4t"):
        run_block(RECIPES[heading], names)
    with pytest.raises(ImportError, match="ml4t-diagnostic is required"):
        names["result"].to_portfolio_analysis()


def test_every_recipe_is_tested() -> None:
    assert {*CHECKS, *LIVE, *DIAGNOSTICS} - {"Position", "Order"} == set(RECIPES)
