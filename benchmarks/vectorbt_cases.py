"""One case of the comparison with VectorBT in one engine: python vectorbt_cases.py CASE ENGINE BARS COLUMNS REPEATS THREADS FILE.

A process of its own, so that its peak memory is that of the case. Prepares the arrays, runs once, then takes times, and writes final account
values, deepest drawdowns and times to FILE.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FEES, SLIPPAGE, CASH = 0.0005, 0.0002, 100_000.0
STOP, TARGET = 0.03, 0.06
DAY = 86_400 * 10**9

Run = Callable[[], Any]
Answer = Callable[[Any], tuple[Any, Any]]  # final account values, deepest drawdowns


def walk(bars: int, columns: int = 1) -> dict[str, np.ndarray]:
    """Return seeded random prices, float64[bars, columns]."""
    random = np.random.default_rng(11)
    scale = 0.01 if bars <= 10_000 else 0.001
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, scale, (bars, columns)), axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * (1.0 + random.normal(0.0, scale / 5.0, close.shape))
    high = np.maximum(opened, close) * (1.0 + np.abs(random.normal(0.0, scale / 2.0, close.shape)))
    low = np.minimum(opened, close) / (1.0 + np.abs(random.normal(0.0, scale / 2.0, close.shape)))
    return {"open": opened, "high": high, "low": low, "close": close}


def averages(close: np.ndarray, windows: list[int]) -> dict[int, np.ndarray]:
    """Return moving averages by window, NaN before the first whole one."""
    total = np.concatenate([[0.0], np.cumsum(close)])
    made = {}
    for window in windows:
        made[window] = np.full(len(close), np.nan)
        made[window][window - 1 :] = (total[window:] - total[:-window]) / window
    return made


def pairs(count: int) -> list[tuple[int, int]]:
    """Return pairs of windows, the fast one first."""
    found = [(fast, slow) for slow in range(20, 400, 5) for fast in range(5, slow - 4, 5)]
    return found[:count]


def crossings(close: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return entries and exits of every pair of windows, bool[bars, count]."""
    wanted = pairs(count)
    table = averages(close, sorted({window for pair in wanted for window in pair}))
    entries, exits = np.zeros((len(close), len(wanted)), dtype=bool), np.zeros((len(close), len(wanted)), dtype=bool)
    for column, (fast, slow) in enumerate(wanted):
        above, below = table[fast] > table[slow], table[fast] < table[slow]
        entries[1:, column] = above[1:] & (table[fast][:-1] <= table[slow][:-1])
        exits[1:, column] = below[1:] & (table[fast][:-1] >= table[slow][:-1])
    return entries, exits


def thresholds(close: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return entries and exits by the distance from an average, bool[bars, columns]."""
    columns = [averages(close[:, column], [50])[50] for column in range(close.shape[1])]
    average = np.stack(columns, axis=1)
    return close < average * 0.97, close > average * 1.02


def arguments(case: str, bars: int, columns: int) -> dict[str, Any]:
    """Return what both engines are given: prices, signals, stops."""
    if case == "book":
        prices = walk(bars, columns)
        entries, exits = thresholds(prices["close"])
        return {"close": prices["close"], "entries": entries, "exits": exits, "size": CASH / 2_500.0 / 100.0, "shared": True}
    prices = walk(bars)
    if case in ("sweep", "windows"):
        entries, exits = crossings(prices["close"][:, 0], columns)
        return {"close": prices["close"], "entries": entries, "exits": exits}
    entries, exits = crossings(prices["close"][:, 0], 1)
    given: dict[str, Any] = {"close": prices["close"], "entries": entries, "exits": exits}
    if case == "single":
        return given
    given |= {name: prices[name] for name in ("open", "high", "low")} | {"sl_stop": STOP, "tp_stop": TARGET}
    if case == "grid":
        side = round(columns**0.5)
        stops, targets = np.meshgrid(np.linspace(0.005, 0.1, side), np.linspace(0.005, 0.2, side))
        given |= {"sl_stop": stops.ravel(), "tp_stop": targets.ravel()}
    return given


def with_vectorbt(case: str, engine: str, given: dict[str, Any], columns: int) -> tuple[Run, Answer]:
    """Return the run in VectorBT, with its three metrics, and what it answered."""
    import pandas as pd
    import vectorbt as vbt

    vbt.settings["engine"] = engine
    shared = given.pop("shared", False)
    frames = {name: pd.DataFrame(given.pop(name)) for name in ("close", "open", "high", "low") if name in given}
    keywords = {**frames, **given, "fees": FEES, "slippage": SLIPPAGE, "init_cash": CASH, "freq": "1D", "engine": engine}
    if shared:
        keywords |= {"cash_sharing": True, "group_by": True}
    wanted = pairs(columns)
    close = frames["close"][0]

    def run() -> Any:
        if case == "windows":
            fast = vbt.MA.run(close, [pair[0] for pair in wanted], short_name="fast")
            slow = vbt.MA.run(close, [pair[1] for pair in wanted], short_name="slow")
            keywords["entries"], keywords["exits"] = fast.ma_crossed_above(slow).to_numpy(), fast.ma_crossed_below(slow).to_numpy()
        portfolio = vbt.Portfolio.from_signals(**keywords)
        return portfolio, portfolio.total_return(), portfolio.sharpe_ratio(), portfolio.max_drawdown()

    def answer(done: Any) -> tuple[Any, Any]:
        return np.atleast_1d(done[0].value().iloc[-1]), np.abs(np.atleast_1d(done[3]))

    return run, answer


def with_ours(case: str, given: dict[str, Any], columns: int, threads: int) -> tuple[Run, Answer]:
    """Return the same run here."""
    from ml4t_backtest import from_signals
    from ml4t_backtest.signals import Indicators, SignalStrategy, crosses_above, crosses_below

    shared = given.pop("shared", False)
    keywords = {**given, "fees": FEES, "slippage": SLIPPAGE, "init_cash": CASH, "threads": threads, "cash_sharing": shared}
    if case != "windows":
        return lambda: from_signals(**keywords), lambda done: (done["final_value"].to_numpy(), done["max_drawdown"].to_numpy())

    wanted, close = pairs(columns), given["close"][:, 0]
    feed, config = windows_account(close)

    def run() -> Any:
        table = Indicators(averages(close, sorted({window for pair in wanted for window in pair})))
        strategy = SignalStrategy(crosses_above(table.by("fast"), table.by("slow")), crosses_below(table.by("fast"), table.by("slow")))
        return strategy.run_sets(feed, config, [{"fast": fast, "slow": slow} for fast, slow in wanted], threads=threads)

    return run, lambda rows: tuple(np.array([row[name] for row in rows]) for name in ("final_value", "max_drawdown"))


def windows_account(close: np.ndarray) -> tuple[Any, Any]:
    """Return a feed of the closes and the settings of an account with the costs of the comparison."""
    import polars as pl

    from ml4t_backtest import BacktestConfig, DataFeed

    times = pl.Series("timestamp", np.arange(len(close)) * DAY).cast(pl.Datetime("ns"))
    config = BacktestConfig.from_preset("vectorbt").replace(
        initial_cash=CASH, commission_type="percentage", commission_rate=FEES, slippage_type="percentage", slippage_rate=SLIPPAGE
    )
    return DataFeed(pl.DataFrame({"timestamp": times, "asset": "A", "close": close})), config


def main() -> None:
    """Run one case in one engine."""
    case, engine, file = sys.argv[1], sys.argv[2], Path(sys.argv[7])
    bars, columns, repeats, threads = map(int, sys.argv[3:7])
    given = arguments(case, bars, columns)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run, answer = with_ours(case, given, columns, threads) if engine == "ours" else with_vectorbt(case, engine, given, columns)
    started = time.perf_counter()
    done = run()
    first = time.perf_counter() - started
    values, drawdowns = answer(done)
    walls, cpus = [], []
    for _ in range(repeats):
        del done
        wall, cpu = time.perf_counter(), time.process_time()
        done = run()  # kept, so that no time holds its end
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    del done
    np.savez(file, values=values, drawdowns=drawdowns)
    print(json.dumps({"wall": walls, "cpu": cpus, "first": first, "peak": peak / 1024.0, "arrays": before / 1024.0}))


if __name__ == "__main__":
    main()
