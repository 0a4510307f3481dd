"""The fused kernel against the engine, on random inputs: every account value with ==, trades equal, metrics to nine digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.signals import SignalResult, from_signals
from tests.profiles import some
from tests.signals.cases import Run, random_run

seeds = st.integers(0, 2**32 - 1)


def same(one: float, two: float, scale: float) -> bool:
    return one == two or (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, rel_tol=1e-9, abs_tol=scale)


def check(run: Run) -> SignalResult:
    fused = from_signals(**run.prices, **run.signals, **run.arguments)
    assert fused.fused
    for number, row in enumerate(fused.frame.iter_rows(named=True)):
        engine = fused.result(number)
        assert row["final_value"] == engine["final_value"]
        assert fused.equity(number).equals(engine.to_equity_dataframe().select("timestamp", "equity", "cash"))
        assert fused.trades(number).equals(engine.to_trades_dataframe())
        check_metrics(row, engine.metrics)
    return fused


def check_metrics(row: dict[str, Any], metrics: dict[str, float]) -> None:
    exact = {"final_value", "total_return", "num_trades", "num_open_trades", "winning_trades", "losing_trades", "num_fills", "num_bars"}
    for name, value in metrics.items():
        if name in exact:
            assert row[name] == value, name
            continue
        # Sums of both signs may cancel to next to nothing; what is left of them is right to their own size.
        scale = 1e-9 * metrics["initial_cash"] if "pnl" in name or name.startswith(("gross_", "total_")) else 1e-11
        assert same(row[name], value, scale), (name, row[name], value)


@some
@given(seed=seeds)
def test_random_runs(seed: int) -> None:
    check(random_run(seed))


@some
@given(seed=seeds)
def test_metrics_alone_are_those_of_the_run_with_records(seed: int) -> None:
    run = random_run(seed, bars=150, columns=2)
    result = from_signals(**run.prices, **run.signals, **run.arguments)
    for number in range(len(result)):
        equity = result.equity(number)["equity"].to_numpy()
        assert result["final_value"][number] == equity[-1]
        returns = np.where(equity[:-1] > 0.0, equity[1:] / equity[:-1] - 1.0, 0.0)
        centred = returns - returns.mean()
        spread = math.sqrt(np.mean(centred**2))
        if spread > 1e-12:
            assert same(result["skewness"][number], float(np.mean(centred**3)) / spread**3, 1e-9)
            assert same(result["kurtosis"][number], float(np.mean(centred**4)) / spread**4, 1e-9)
