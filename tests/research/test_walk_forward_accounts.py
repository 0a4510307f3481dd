"""Walk-forward in other accounts: shorts on margin with rules, interest, limits and brackets; sessions of a calendar."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, MaxDrawdownLimit, Strategy, walk_forward
from ml4t_backtest.splitting import RollingWindows
from tests.profiles import few
from tests.research.strategies import AboveMean, made_feed


class Brackets(Strategy):
    """Goes with the last move, long or short, in brackets."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.last: dict[str, float] = {}

    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            before, close = self.last.get(asset), bar["close"]
            self.last[asset] = close
            if before is None or broker.get_position(asset) is not None or broker.get_pending_orders(asset):
                continue
            sign = 1.0 if close > before else -1.0
            broker.submit_bracket(asset, 200.0 * sign, close * (1 + sign * self.width), close * (1 - sign * self.width))


@few
@given(seed=st.integers(0, 999), warmup=st.integers(0, 6), stop=st.sampled_from([None, 0.02]))
def test_the_books_of_a_margin_account_close(seed: int, warmup: int, stop: float | None) -> None:
    walk = walk_forward(
        made_feed(56, seed),
        Brackets,
        [{"width": 0.01, "stop_pct": stop}, {"width": 0.05, "stop_pct": stop}],
        RollingWindows(20, 9),
        warmup=warmup,
        executor="serial",
        account_type="margin",
        cash_interest_rate=0.03,
        margin_interest_rate=0.07,
        commission_type="per_share",
        commission_per_share=0.01,
        slippage_type="percentage",
        slippage_rate=0.001,
        limits=[MaxDrawdownLimit(max_drawdown=0.002, action="warn")],
    )
    result = walk.result
    change = result["final_value"] - 100_000.0
    flows = math.fsum(result._flows["amount"])
    assert math.fsum(result._trades["pnl"]) + flows == pytest.approx(change, abs=1e-4)
    assert len(walk) == 4
    assert result["num_open_trades"] == 0
    orders = result._orders
    linked = orders["parent_id"] > 0
    assert linked.any()
    assert (orders["parent_id"][linked] < orders["order_id"][linked]).all()
    np.testing.assert_array_equal(orders["asset"][orders["parent_id"][linked] - 1], orders["asset"][linked])
    siblings = orders["sibling_id"] > 0
    np.testing.assert_array_equal(orders["asset"][orders["sibling_id"][siblings] - 1], orders["asset"][siblings])
    for records in (result._flows, result._alerts, result._fills):
        np.testing.assert_array_equal(result._times[records["bar"]], records["timestamp"])
    assert set(result.to_alerts_dataframe()["limit"]) <= {"MaxDrawdownLimit"}
    assert {"short", "long"} >= set(result.to_trades_dataframe()["direction"])


def test_bars_outside_of_sessions_are_left_out_of_windows() -> None:
    times = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(80)]  # every day, weekends and holidays among them
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, 80)))
    feed = DataFeed(pl.DataFrame({"timestamp": times, "symbol": ["A"] * 80, "close": close}))
    options: dict[str, Any] = {"calendar": "NYSE", "enforce_sessions": True, "executor": "serial"}
    walk = walk_forward(feed, AboveMean, {"length": [2, 4]}, RollingWindows(30, 14), warmup=7, **options)
    inside = [time for time in times[30:72] if time.weekday() < 5 and time != datetime(2024, 2, 19)]
    assert walk.result._timestamps == inside
    assert walk.result["skipped_bars"] > 0
    assert walk.to_dataframe("orders")["created_at"].min() >= inside[0]
    assert set(walk.to_dataframe("fills")["timestamp"]) <= set(inside)
