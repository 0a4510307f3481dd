"""Metrics and frames of a run, against numbers by hand and against statistics computed another way."""

from __future__ import annotations

import math
import pickle
import statistics
import sys
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, Engine, ExitReason, PercentageCommission, TradeStatus
from ml4t_backtest.analytics.metrics import METRIC_NAMES
from ml4t_backtest.sessions import SessionConfig
from tests.cases import dense_case
from tests.facade.feeds import START, Calls, feed, prices
from tests.outcomes import build_engine

CLOSES: dict[str, list[float | None]] = {"A": [10.0, 12.0, 9.0, 11.0, 13.0, 12.0]}


def round_trips(bar: int, data: Any, broker: Any) -> None:
    """Win 20 on the first round trip; the second position stays open."""
    if bar in (0, 3):
        broker.submit_order("A", 10)
    if bar == 1:
        broker.close_position("A")


def run(**keywords: Any) -> Any:
    return Engine(feed(CLOSES), Calls(round_trips), initial_cash=1_000.0, **keywords).run()


def test_metrics_by_hand() -> None:
    result = run()
    assert tuple(result.metrics) == METRIC_NAMES
    assert [value for _, value in result.equity_curve] == [1000.0, 1020.0, 1020.0, 1020.0, 1040.0, 1030.0]
    expected = {
        "initial_cash": 1000.0,
        "final_value": 1030.0,
        "total_return": 0.03,
        "total_return_pct": 3.0,
        "max_drawdown": 10 / 1040,
        "num_trades": 1,
        "num_open_trades": 1,
        "winning_trades": 1,
        "losing_trades": 0,
        "win_rate": 1.0,
        "profit_factor": math.inf,
        "avg_pnl": 20.0,
        "gross_profit": 20.0,
        "gross_loss": 0.0,
        "expectancy": 0.2,
        "avg_trade": 0.2,
        "avg_win": 0.2,
        "largest_win": 0.2,
        "largest_loss": 0.0,
        "total_gross_pnl": 20.0,
        "gross_profit_factor": math.inf,
        "total_costs": 0.0,
        "avg_cost_drag": 0.0,
        "num_fills": 3,
        "num_bars": 6,
        "total_commission": 0.0,
        "avg_bars_held": 1.0,
    }
    for name, value in expected.items():
        assert result[name] == pytest.approx(value), name
    returns = [0.02, 0.0, 0.0, 20 / 1020, -10 / 1040]
    per_year = 365.25
    assert result["periods_per_year"] == pytest.approx(per_year)
    assert result["sharpe"] == pytest.approx(statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(per_year))
    assert result["volatility"] == pytest.approx(statistics.stdev(returns) * math.sqrt(per_year))
    assert result["cagr"] == pytest.approx(1.03 ** (per_year / 5) - 1)
    assert result["calmar"] == pytest.approx(result["cagr"] / result["max_drawdown"])
    assert (result["sharpe_ratio"], result["sortino_ratio"], result["calmar_ratio"]) == (
        result["sharpe"],
        result["sortino"],
        result["calmar"],
    )


def test_the_result_reads_like_a_dictionary() -> None:
    result = run()
    assert result.get("sharpe") == result["sharpe"]
    assert result.get("nothing", 5) == 5
    assert "trades" in result
    assert "nothing" not in result
    assert set(result) == set(result.keys()) == {name for name, _ in result.items()}
    assert len(result) == len(list(result))
    assert result["equity"] is result.equity
    assert result.to_dict()["trade_analyzer"] is result.trade_analyzer
    with pytest.raises(KeyError, match="did you mean 'sharpe'"):
        result["sharp"]
    assert repr(result).startswith("BacktestResult(completed: 6 bars, final value 1,030.00 (+3.00 %), max drawdown 0.96 %")


def test_trades_and_their_frame() -> None:
    result = run(commission_model=PercentageCommission(0.01))
    closed, open_ = result["trades"]
    assert (closed.status, closed.exit_reason) == (TradeStatus.CLOSED, ExitReason.SIGNAL)
    assert (open_.status, open_.exit_reason, open_.is_open) == (TradeStatus.OPEN, ExitReason.END_OF_DATA, True)
    assert closed.pnl == 20.0 - 1.0 - 1.2
    assert closed.gross_pnl == pytest.approx(20.0)
    assert (closed.symbol, closed.fees, closed.direction) == ("A", 2.2, "long")
    assert open_.pnl == 10 * (12.0 - 11.0) - 1.1
    assert (open_.entry_time - START).days == 3
    frame = result.to_trades_dataframe()
    schema = {
        "asset": pl.String,
        "entry_time": pl.Datetime("us"),
        "exit_time": pl.Datetime("us"),
        "entry_price": pl.Float64,
        "exit_price": pl.Float64,
        "quantity": pl.Float64,
        "direction": pl.String,
        "pnl": pl.Float64,
        "pnl_percent": pl.Float64,
        "bars_held": pl.Int32,
        "commission": pl.Float64,
        "slippage": pl.Float64,
        "mfe": pl.Float64,
        "mae": pl.Float64,
        "exit_reason": pl.String,
    }
    assert dict(list(frame.schema.items())[:15]) == schema
    for trade, row in zip(result.trades, frame.iter_rows(named=True), strict=True):
        for name in schema:
            value = getattr(trade, name)
            assert row[name] == (value.value if name == "exit_reason" else value)
        assert row["status"] == trade.status.value


def test_the_trades_frame_holds_both_generations_and_is_one_object() -> None:
    result = run(commission_model=PercentageCommission(0.01))
    frame = result.to_trades_dataframe()
    assert result.to_trades_dataframe() is frame
    assert frame["symbol"].to_list() == frame["asset"].to_list()
    assert frame["fees"].to_list() == frame["commission"].to_list()
    row = frame.row(0, named=True)
    assert row["gross_return"] == row["pnl_percent"] == pytest.approx(0.2)
    assert row["net_return"] == pytest.approx((20.0 - 2.2) / 100.0)
    assert row["cost_drag"] == pytest.approx(2.2 / 100.0)
    assert row["total_slippage_cost"] == row["slippage"] == 0.0
    empty = Engine(feed(CLOSES), Calls(lambda bar, data, broker: None)).run().to_trades_dataframe()
    assert empty.schema == frame.schema


def test_fills_and_orders_as_frames() -> None:
    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 10)
            broker.submit_order("A", 10, order_type="limit", limit_price=1.0)
        if bar == 1:
            broker.submit_order("A", -4)
            broker.submit_order("A", 10_000)

    result = Engine(feed(CLOSES), Calls(trade), initial_cash=1_000.0, commission_model=PercentageCommission(0.01)).run()
    fills = result.to_fills_dataframe()
    assert fills.height == len(result.fills)
    for fill, row in zip(result.fills, fills.iter_rows(named=True), strict=True):
        for name in ("order_id", "asset", "quantity", "signed_quantity", "price", "timestamp", "commission", "slippage", "position"):
            assert row[name] == getattr(fill, name)
        assert row["side"] == fill.side.value
        assert row["multiplier"] == 1.0
    orders = result.to_orders_dataframe()
    assert orders["order_id"].to_list() == ["ORD-1", "ORD-2", "ORD-3", "ORD-4"]
    assert orders["side"].to_list() == ["buy", "buy", "sell", "buy"]
    assert orders["order_type"].to_list() == ["market", "limit", "market", "market"]
    assert orders["status"].to_list()[::2] == ["filled", "filled"]
    assert orders["status"][3] == "rejected"
    assert orders["reason"][3] == "insufficient_cash"
    assert orders["quantity"].to_list() == [10.0, 10.0, 4.0, 10_000.0]
    assert orders["filled_quantity"].to_list() == [10.0, 0.0, 4.0, 0.0]
    assert orders["limit_price"].to_list() == [None, 1.0, None, None]
    assert orders["filled_price"].to_list() == [10.0, None, 12.0, None]
    assert orders["filled_at"].to_list() == [START, None, START + timedelta(days=1), None]
    assert orders["created_at"].to_list() == [START, START, START + timedelta(days=1), START + timedelta(days=1)]
    assert orders["reduce_only"].to_list() == [False, False, True, False]


def test_returns_compound_to_the_total() -> None:
    result = run(commission_model=PercentageCommission(0.01))
    returns = result.to_returns_series()
    assert returns.name == "returns"
    assert len(returns) == len(result.equity_curve)
    assert returns[0] == pytest.approx(-1.0 / 1000.0)
    assert np.prod(1.0 + returns.to_numpy()) == pytest.approx(1.0 + result["total_return"])


def hourly(zone: str | None = None) -> Any:
    """Run over 48 hours of rising prices, bought on the third."""
    times = [START + timedelta(hours=number) for number in range(48)]
    frame = pl.DataFrame({"timestamp": times, "asset": ["A"] * 48, "close": [10.0 + number for number in range(48)]})
    if zone is not None:
        frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(zone))
    return Engine(DataFeed(frame), Calls(lambda bar, data, broker: bar == 2 and broker.submit_order("A", 10)), initial_cash=1_000.0).run()


def test_daily_profit_and_loss_adds_up() -> None:
    result = hourly()
    daily = result.to_daily_pnl()
    assert daily.columns == [
        *("date", "open_equity", "close_equity", "high_equity", "low_equity"),
        *("num_bars", "pnl", "return_pct", "cumulative_return"),
    ]
    assert daily["date"].to_list() == [date(2024, 1, 1), date(2024, 1, 2)]
    assert daily["num_bars"].to_list() == [24, 24]
    assert daily["open_equity"].to_list() == [1000.0, 1220.0]
    assert daily["close_equity"].to_list() == [1210.0, 1450.0]
    assert daily["low_equity"].to_list() == [1000.0, 1220.0]
    assert daily["pnl"].to_list() == [210.0, 240.0]
    assert daily["return_pct"].to_list() == pytest.approx([0.21, 240 / 1210])
    assert daily["cumulative_return"].to_list() == pytest.approx([0.21, 0.45])
    assert result.to_daily_returns().to_list() == daily["return_pct"].to_list()
    one_bar_a_day = run().to_daily_pnl()
    assert one_bar_a_day["pnl"].to_list() == [0.0, 20.0, 0.0, 0.0, 20.0, -10.0]
    assert hourly("America/New_York").to_daily_pnl()["num_bars"].to_list() == [5, 24, 19]


def test_daily_profit_and_loss_by_session() -> None:
    result = hourly("America/Chicago")  # from 18:00 on New Year's Eve
    daily = result.to_daily_pnl(session_config=SessionConfig(calendar="CME_Equity", timezone="America/Chicago"))
    assert daily["date"].to_list() == [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)]
    assert daily["num_bars"].to_list() == [23, 24, 1]
    assert daily["session_date"].to_list() == daily["date"].to_list()
    assert daily["pnl"].sum() == result["final_value"] - 1_000.0
    returns = result.to_daily_returns("CME_Equity")
    assert returns.to_list() == daily["return_pct"].to_list()
    by_date = result.to_daily_pnl()["return_pct"].to_list()
    assert by_date != returns.to_list()
    assert result.to_daily_returns("CME_Equity", session_aligned=False).to_list() == by_date
    assert result.to_daily_returns("NYSE").to_list() == by_date
    with pytest.raises(ValueError, match="calendar"):
        result.to_daily_returns(session_aligned=True)
    with pytest.raises(ValueError, match="calendar"):
        result.to_daily_pnl(session_aligned=True)


def test_a_run_over_no_bars_has_empty_frames() -> None:
    frame = pl.DataFrame(schema={"timestamp": pl.Datetime("us"), "asset": pl.String, "close": pl.Float64})
    result = Engine(DataFeed(frame), Calls(round_trips)).run()
    full = run()
    for name in ("trades", "equity", "fills", "orders"):
        made, usual = (getattr(each, f"to_{name}_dataframe")() for each in (result, full))
        assert made.schema == usual.schema
        assert made.is_empty()
    assert result.to_daily_pnl().schema == full.to_daily_pnl().schema
    assert result.to_returns_series().to_list() == result.to_trade_records() == []
    assert result.equity.to_dict()["total_return"] == 0.0


def test_the_diagnostic_package_is_looked_up_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run()
    for method in ("to_portfolio_analysis", "compute_metrics", "to_tearsheet"):
        with pytest.raises(ImportError, match="ml4t-diagnostic is required"):
            getattr(result, method)()
    package = ModuleType("ml4t.diagnostic.integration")
    for function in ("portfolio_analysis_from_result", "compute_metrics_from_result", "generate_tearsheet_from_result"):
        setattr(package, function, lambda given, *more, name=function, **options: (name, given.trades is result.trades, more, options))
    for name in ("ml4t", "ml4t.backtest", "ml4t.diagnostic"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "ml4t.diagnostic.integration", package)
    assert result.to_portfolio_analysis("NYSE") == ("portfolio_analysis_from_result", True, ("NYSE",), {})
    assert result.compute_metrics() == ("compute_metrics_from_result", True, (), {})
    assert result.to_tearsheet(theme="dark") == ("generate_tearsheet_from_result", True, (), {"theme": "dark"})


def test_the_equity_frame() -> None:
    frame = run().to_equity_dataframe()
    assert frame.columns == ["timestamp", "equity", "cash", "return", "cumulative_return", "drawdown", "high_water_mark"]
    assert frame["equity"].to_list() == [1000.0, 1020.0, 1020.0, 1020.0, 1040.0, 1030.0]
    assert frame["cash"].to_list() == [900.0, 1020.0, 1020.0, 910.0, 910.0, 910.0]
    assert frame["return"].to_list() == pytest.approx([0.0, 0.02, 0.0, 0.0, 20 / 1020, -10 / 1040])
    assert frame["drawdown"].to_list() == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.0, -10 / 1040])
    assert frame["high_water_mark"].to_list() == [1000.0, 1020.0, 1020.0, 1020.0, 1040.0, 1040.0]


def test_partial_exits_are_trades_of_their_own() -> None:
    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar < 3:
            broker.submit_order("A", (10, -4, -6)[bar])

    result = Engine(feed(CLOSES), Calls(trade), initial_cash=1_000.0).run()
    assert [(trade.status.value, trade.quantity, trade.pnl) for trade in result.trades] == [("partial", 4.0, 8.0), ("closed", 6.0, -6.0)]
    assert result["num_trades"] == 2
    assert result["total_pnl"] == 2.0


def test_times_keep_the_zone_of_the_feed() -> None:
    frame = prices(CLOSES).with_columns(pl.col("timestamp").dt.replace_time_zone("America/New_York"))
    result = Engine(DataFeed(frame), Calls(round_trips)).run()
    assert result.to_trades_dataframe().schema["entry_time"] == pl.Datetime("us", "America/New_York")
    assert result.to_equity_dataframe()["timestamp"].to_list() == [when for when, _ in result.equity_curve]
    assert str(result.trades[0].entry_time) == "2024-01-01 00:00:00-05:00"


def test_results_and_feeds_can_be_pickled() -> None:
    frame = prices(CLOSES)
    source = DataFeed(frame, frame.select("timestamp", "symbol", word=pl.lit("up")))
    result = Engine(source, Calls(round_trips)).run()
    again = pickle.loads(pickle.dumps(result))
    assert again.metrics == result.metrics
    assert again.to_trades_dataframe().equals(result.to_trades_dataframe())
    copy = pickle.loads(pickle.dumps(source))
    assert [(when, dict(data)) for when, data, _ in copy] == [(when, dict(data)) for when, data, _ in source]
    assert Engine(copy, Calls(round_trips)).run().metrics == result.metrics


def test_a_run_of_minutes_does_not_overflow() -> None:
    frame = prices(CLOSES).with_columns((pl.col("timestamp") - START) / 86_400 + START)
    result = Engine(DataFeed(frame), Calls(lambda bar, data, broker: bar or broker.submit_order("A", 90)), initial_cash=1_000.0).run()
    assert result["cagr"] == math.inf


@given(st.integers(0, 2**32 - 1))
def test_metrics_agree_with_other_ways_to_compute_them(seed: int) -> None:
    engine = build_engine(dense_case(seed))
    result = engine.run()
    equity = np.array([value for _, value in result.equity_curve])
    frame, trades = result.to_equity_dataframe(), result.to_trades_dataframe()
    assert result["max_drawdown"] == pytest.approx(-frame["drawdown"].min(), abs=1e-12)
    assert result["total_return"] == pytest.approx(frame["cumulative_return"][-1])
    done = trades.filter(pl.col("status") != "open")
    assert result["num_trades"] == done.height
    assert result["winning_trades"] == done.filter(pl.col("pnl") > 0).height
    assert result["total_pnl"] == pytest.approx(done["pnl"].sum())
    assert result["total_commission"] == pytest.approx(sum(fill.commission for fill in result.fills))
    multiplier = {asset: engine._store.contracts["multiplier"][column] for column, asset in enumerate(result.assets)}
    cost = sum(fill.slippage * fill.quantity * multiplier[fill.asset] for fill in result.fills)
    assert result["total_slippage"] == pytest.approx(cost)
    assert result.to_daily_pnl()["pnl"].sum() == pytest.approx(result["final_value"] - result["initial_cash"])
    curve = result.equity
    for name in ("cagr", "volatility", "sharpe", "sortino", "calmar", "periods_per_year"):
        assert getattr(curve, name) == pytest.approx(result[name], nan_ok=True), name
    analyzer = result.trade_analyzer.to_dict()
    for name in ("num_trades", "win_rate", "profit_factor", "expectancy", "avg_win", "largest_loss", "avg_cost_drag"):
        assert analyzer[name] == pytest.approx(result[name], nan_ok=True), name
    if (equity > 0).all():
        returns = pl.Series(equity).pct_change().drop_nulls()
        spread = returns.std()
        assert spread is not None
        assert result["volatility"] == pytest.approx(spread * math.sqrt(result["periods_per_year"]), abs=1e-9)
