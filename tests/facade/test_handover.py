"""What other libraries are handed: pandas for pyfolio and quantstats, and what the diagnostic package asks of a result.

The libraries themselves are run by `validation/handover.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t_backtest.analytics.handover import _Published
from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.contracts import ContractSpec
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.engine import Engine
from ml4t_backtest.result import BacktestResult
from tests.cases import dense_case
from tests.facade.feeds import Calls, prices
from tests.facade.test_export import CLOSES, run
from tests.outcomes import build_engine


def test_without_the_diagnostic_package_the_error_says_what_to_install() -> None:
    if find_spec("ml4t") and find_spec("ml4t.diagnostic"):
        return
    for method in ("to_portfolio_analysis", "compute_metrics", "to_tearsheet"):
        with pytest.raises(ImportError, match=rf"ml4t-diagnostic is required for BacktestResult.{method}\(\): pip install ml4t-diagnostic"):
            getattr(run(), method)()


def test_pyfolio_gets_days_positions_and_transactions() -> None:
    result = run()
    returns, positions, transactions = result.to_pyfolio()
    assert returns.index.equals(pd.date_range("2024-01-01", periods=6, tz="UTC", name="date").as_unit(returns.index.unit))
    assert returns.tolist() == result.to_daily_returns().to_list()
    assert positions is not None
    assert positions.columns.tolist() == ["A", "B", "cash"]
    assert positions.index.equals(returns.index)
    assert positions["B"].tolist() == [0.0, 10 * 3 * 4.0, 6 * 3 * 6.0, 6 * 3 * 5.0, 6 * 3 * 5.0, 6 * 3 * 6.0]
    assert positions.sum(axis=1).to_numpy() == pytest.approx(result.to_equity_dataframe()["equity"].to_numpy(), rel=1e-14)
    assert transactions["amount"].tolist() == [10.0, -10.0, 30.0, -12.0]  # contracts times 3
    assert transactions["symbol"].tolist() == ["A", "A", "B", "B"]
    assert transactions["price"].tolist() == [fill.price for fill in result.fills]
    assert str(transactions.index.tz) == "UTC"
    assert set(transactions.index.normalize()) <= set(returns.index)


def test_quantstats_gets_naive_dates() -> None:
    result = run()
    series = result.to_quantstats()
    assert series.index.tz is None
    assert series.name == "returns"
    assert np.prod(1.0 + series.to_numpy()) - 1.0 == pytest.approx(result["total_return"], rel=1e-12)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_values_of_any_run_add_up(seed: int) -> None:
    result = build_engine(dense_case(seed)).run()
    returns, positions, transactions = result.to_pyfolio()
    assert positions is not None
    assert len(returns) == len(positions) == len(result.to_daily_pnl())
    assert len(transactions) == len(result.fills)
    days = result.to_daily_pnl()["date"]
    last = result.exposure().with_columns(pl.col("timestamp").dt.date().alias("day")).group_by("day", maintain_order=True).last()
    assert last["day"].to_list() == days.to_list()
    assert positions.drop(columns="cash").sum(axis=1).to_numpy() == pytest.approx(last["net"].to_numpy(), rel=1e-9, abs=1e-6)


def evening_run(**config: Any) -> BacktestResult:
    """Monday 16:00 to Tuesday 15:00 in Chicago, by the hour; bought at 18:00, which is Tuesday's session."""
    start = datetime(2024, 1, 8, 16)
    closes = [100.0 + number for number in range(24)]
    frame = prices({"ES": closes}).with_columns(pl.Series("timestamp", [start + timedelta(hours=hour) for hour in range(24)]))
    frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone("America/Chicago"))

    def buy(bar: int, data: Any, broker: Any) -> None:
        if bar == 2:
            broker.submit_order("ES", 1)

    settings = BacktestConfig.from_preset("default").replace(execution_mode="same_bar", commission_rate=0.0, slippage_rate=0.0, **config)
    return Engine(DataFeed(frame), Calls(buy), settings, contract_specs={"ES": ContractSpec("ES", multiplier=50.0)}).run()


def test_days_are_sessions_where_the_calendar_says_so() -> None:
    result = evening_run(calendar="CME_Equity")
    returns, positions, transactions = result.to_pyfolio()
    assert [str(day.date()) for day in returns.index] == ["2024-01-08", "2024-01-09"]
    assert [str(when) for when in transactions.index] == ["2024-01-09 00:00:00+00:00"]
    assert positions is not None
    assert positions["ES"].tolist() == [0.0, 123.0 * 50.0]
    by_date = result.to_pyfolio(session_aligned=False)
    assert [str(when) for when in by_date.transactions.index] == ["2024-01-08 18:00:00+00:00"]  # the clock of the feed
    assert by_date.positions is not None
    assert by_date.positions["ES"].tolist() == [107.0 * 50.0, 123.0 * 50.0]
    assert result.to_quantstats().index.tolist() == [pd.Timestamp("2024-01-08"), pd.Timestamp("2024-01-09")]
    with pytest.raises(ValueError, match="no calendar says"):
        evening_run().to_quantstats(session_aligned=True)


def test_results_from_folders_have_no_positions(tmp_path: Path) -> None:
    result = run()
    result.to_parquet(tmp_path / "mine")
    loaded = BacktestResult.from_parquet(tmp_path / "mine").to_pyfolio()
    assert loaded.positions is None
    assert loaded.returns.equals(result.to_pyfolio().returns)
    assert loaded.transactions.equals(result.to_pyfolio().transactions)


def test_runs_without_fills_or_bars() -> None:
    empty = prices({"A": [1.0, 2.0]})
    for frame in (empty, empty.clear()):
        result = Engine(DataFeed(frame), Calls(lambda *_: None)).run()
        returns, positions, transactions = result.to_pyfolio()
        assert len(returns) == len(frame)
        assert positions is not None
        assert positions.columns.tolist() == ["cash"]
        assert transactions.empty
        assert transactions.columns.tolist() == ["amount", "price", "symbol"]


def test_the_diagnostic_package_finds_what_it_asks_for(tmp_path: Path) -> None:
    result = run()
    shown = _Published(result)
    state = shown.to_portfolio_state_dataframe()
    assert state.columns == ["timestamp", "equity", "cash", "gross_exposure", "net_exposure", "open_positions"]
    assert state["gross_exposure"].to_list() == result.exposure()["gross"].to_list()
    assert state.schema["open_positions"] == pl.Int32
    assert shown.portfolio_state == state.rows()
    assert shown.to_fills_dataframe()["quote_mid_price"].null_count() == len(result.fills)
    assert shown.to_fills_dataframe().drop("quote_mid_price").width > result.to_fills_dataframe().width
    assert shown.to_trades_dataframe()["exit_bid_price"].dtype == pl.Float64
    assert shown.config.execution_price is result.config.price_of_market_orders
    assert shown.config.initial_cash == 1_000.0
    assert shown.trades is result.trades
    assert not shown._auto_session_aligned("NYSE")
    assert shown._auto_session_aligned("CME_Equity")
    assert shown._auto_session_aligned(None) is False
    result.to_parquet(tmp_path / "old", include=["trades", "metrics"])
    part = _Published(BacktestResult.from_parquet(tmp_path / "old"))
    assert part.config is None
    assert part.to_portfolio_state_dataframe().is_empty()
    assert CLOSES.keys() >= set(part.assets)
