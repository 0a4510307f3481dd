"""A first parameter sweep, run whole in a fresh process: a frame of 2,520 bars, a compiled strategy, a grid of 100 sets."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numba import njit

from ml4t_backtest import CompiledStrategy, DataFeed, sweep

BARS = 2_520


@njit
def averages(ctx, params, state):
    """Hold while the quick average is above the slow one."""
    price = ctx.close[0]
    if ctx.bar == 0:
        state.quick[0] = state.slow[0] = price
    state.quick[0] += params.quick * (price - state.quick[0])
    state.slow[0] += params.slow * (price - state.slow[0])
    held = ctx.position(0)
    if held == 0.0 and state.quick[0] > state.slow[0]:
        ctx.order_target_percent(0, 0.95)
    elif held > 0.0 and state.quick[0] < state.slow[0]:
        ctx.close_position(0)


def strategy() -> CompiledStrategy:
    """Return the strategy with its arrays."""
    return CompiledStrategy(averages, {"quick": 0.1, "slow": 0.01}, state={"quick": np.zeros(1), "slow": np.zeros(1)})


def feed(bars: int = BARS) -> DataFeed:
    """Return one asset's random walk."""
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(7).normal(0.0, 0.01, bars)))
    times = [datetime(2010, 1, 1) + timedelta(days=bar) for bar in range(bars)]
    return DataFeed(pl.DataFrame({"timestamp": times, "asset": ["A"] * bars, "close": close}))


if __name__ == "__main__":
    grid = {"quick": np.linspace(0.05, 0.5, 10).tolist(), "slow": np.linspace(0.005, 0.045, 10).tolist()}
    print(sweep(feed(), strategy(), grid, progress=False).best("sharpe")["sharpe"][0])
