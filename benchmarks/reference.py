"""Runs one workload on the published engine (`ml4t-backtest`, package `ml4t.backtest`) and writes what it took as JSON.

Started by `run.py --reference-python` in an interpreter of its own, as: reference.py run WORKLOAD PRICES SIGNALS REPORT, or
reference.py ingest PRICES REPORT. Prices and signals are Parquet files. Not meant to be started by hand.

The package is imported before `workloads`, which takes its base class from whichever package is loaded.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from ml4t.backtest import BacktestConfig, CommissionType, DataFeed, Engine  # type: ignore[import-not-found, unused-ignore]
from ml4t.backtest.config import ExecutionPrice, ShareType, SlippageType  # type: ignore[import-not-found, unused-ignore]
from ml4t.backtest.types import ExecutionMode  # type: ignore[import-not-found, unused-ignore]
from workloads import INITIAL_CASH, STRATEGIES


def config() -> BacktestConfig:
    """Return the settings of the comparison: fills at the close of the bar, no costs, fractional quantities, no leverage."""
    return BacktestConfig(
        initial_cash=INITIAL_CASH,
        execution_mode=ExecutionMode.SAME_BAR,
        execution_price=ExecutionPrice.CLOSE,
        mark_price=ExecutionPrice.CLOSE,
        commission_type=CommissionType.NONE,
        slippage_type=SlippageType.NONE,
        share_type=ShareType.FRACTIONAL,
    )


def clocked(action: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Run an action; return its CPU and wall seconds, and its value."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = action()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}, value


def run(workload: str, prices_path: str, signals_path: str) -> dict[str, Any]:
    """Build a feed and run a workload on it."""
    prices, signals = pl.read_parquet(prices_path), pl.read_parquet(signals_path)
    feed_time, feed = clocked(lambda: DataFeed(prices_df=prices, signals_df=signals))
    engine = Engine(feed, STRATEGIES[workload](), config())
    run_time, result = clocked(engine.run)
    return {"feed": feed_time, "run": run_time, "final_value": result["final_value"], "fills": len(result.fills)}


def ingest(prices_path: str) -> dict[str, Any]:
    """Build a feed of prices only."""
    prices = pl.read_parquet(prices_path)
    feed_time, _ = clocked(lambda: DataFeed(prices_df=prices))
    return {"feed": feed_time}


if __name__ == "__main__":
    kind, *arguments, report = sys.argv[1:]
    work: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "ingest": ingest}
    Path(report).write_text(json.dumps(work[kind](*arguments)), encoding="utf-8")
