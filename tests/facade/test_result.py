"""Metrics and frames of a run, against numbers by hand and against statistics computed another way."""

from __future__ import annotations

import math
import pickle
import statistics
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, Engine, ExitReason, PercentageCommission, TradeStatus
from ml4t_backtest.analytics.metrics import METRIC_NAMES
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
        "expectancy": 20.0,
        "avg_trade": 0.2,
        "largest_win": 20.0,
        "largest_loss": 0.0,
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
    if (equity > 0).all():
        returns = pl.Series(equity).pct_change().drop_nulls()
        spread = returns.std()
        assert spread is not None
        assert result["volatility"] == pytest.approx(spread * math.sqrt(result["periods_per_year"]), abs=1e-9)
