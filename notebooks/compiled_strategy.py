# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A compiled strategy, step by step
#
# A strategy can be one function compiled with numba. Then a run is one compiled loop, without Python between the bars, and the result is that of the same
# strategy in Python, to the last bit. This notebook goes there in four steps: Python, compiled, wrong, fast. The reference is
# [docs/compiled.md](../docs/compiled.md).

# %%
import time

import numpy as np
from numba import njit

from ml4t_backtest import CompiledStrategy, DataFeed, Engine, Strategy, sample_data, sweep

feed = DataFeed(sample_data.load("us_stocks")).between("2014-01-01")
settings = {"commission_type": "percentage", "commission_rate": 0.0005, "execution_mode": "next_bar"}
feed

# %% [markdown]
# ## 1. In Python
#
# Twenty stocks. Buy what closes above the mean of its last closes, sell what does not. This is the version to get right first: it can be printed from and
# stepped through.


# %%
class AboveMean(Strategy):
    def __init__(self, window, weight):
        self.window, self.weight = window, weight
        self.closes = {}

    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            closes = self.closes[asset] = [*self.closes.get(asset, [])[-self.window + 1 :], bar["close"]]
            if len(closes) < self.window:
                continue
            above = bar["close"] > sum(closes) / self.window
            held = broker.get_position(asset) is not None
            if above and not held:
                broker.order_target_percent(asset, self.weight)
            elif held and not above:
                broker.close_position(asset)


Engine(feed.between(0, 60), AboveMean(50, 0.05), **settings).run()  # the first run of a process loads the kernels, or compiles them
began = time.perf_counter()
python = Engine(feed, AboveMean(50, 0.05), **settings).run()
python_seconds = time.perf_counter() - began
python

# %% [markdown]
# ## 2. Compiled
#
# The same as a function of `ctx` and `params`. Assets are numbers of columns. `ctx.closes(asset, n)` are the last closes of an asset, so nothing has to be
# remembered. The verbs are those of `Broker`. Numbers that vary belong into `params`: numba takes globals as constants.
#
# The total is added up in the order in which `sum` does it. Added up in another order a mean may differ in the last digit, and a price that is just at it
# would be judged differently.


# %%
@njit
def on_bar(ctx, params):
    for asset in range(ctx.n_assets):
        closes = ctx.closes(asset, params.window)
        if len(closes) < params.window or np.isnan(ctx.close[asset]):
            continue
        total = 0.0
        for close in closes:
            total += close
        above = ctx.close[asset] > total / params.window
        held = ctx.position(asset)
        if above and held == 0.0:
            ctx.order_target_percent(asset, params.weight)
        elif held != 0.0 and not above:
            ctx.close_position(asset)


strategy = CompiledStrategy(on_bar, params={"window": 50, "weight": 0.05})
compiled = Engine(feed, strategy, **settings).run()  # compiles on_bar, once

assert compiled.metrics == python.metrics
assert compiled.to_orders_dataframe().equals(python.to_orders_dataframe())
compiled

# %%
began = time.perf_counter()
Engine(feed, strategy.with_params(window=100), **settings).run()  # other values, nothing to compile
seconds = time.perf_counter() - began
print(f"Python {python_seconds:.2f} s, compiled {seconds:.3f} s")

# %% [markdown]
# ## 3. Mistakes
#
# What does not compile is said with the line and, where it can be, with what was meant:

# %%
from ml4t_backtest.compiled import StrategyCompileError


@njit
def mistaken(ctx, params):
    if ctx.positions(0) == 0.0:
        ctx.submit_market(0, 1.0)


try:
    Engine(feed, CompiledStrategy(mistaken), **settings).run()
except (StrategyCompileError, AttributeError) as error:  # the latter where NUMBA_DISABLE_JIT=1 switches numba off
    print(error)
    assert "'positions'" in str(error)

# %% [markdown]
# For everything else, `debug=True` runs the function as plain Python: `print`, breakpoints and index checks work, and the result is the same.

# %%
short = feed.between("2014-01-01", "2014-07-01")
debugged = Engine(short, CompiledStrategy(on_bar, params={"window": 50, "weight": 0.05}, debug=True), **settings).run()

assert debugged.metrics == Engine(short, strategy, **settings).run().metrics

# %% [markdown]
# ## 4. Memory of its own
#
# An average that forgets slowly needs one number per asset. `state` makes the arrays, every run gets fresh ones, and `init` runs before the first bar.


# %%
@njit
def start(ctx, params, state):
    state.average[:] = np.nan


@njit
def smoothed(ctx, params, state):
    for asset in range(ctx.n_assets):
        price = ctx.close[asset]
        if np.isnan(price):
            continue
        before = state.average[asset]
        state.average[asset] = price if np.isnan(before) else before + params.alpha * (price - before)
        above = price > state.average[asset]
        held = ctx.position(asset)
        if above and held == 0.0:
            ctx.order_target_percent(asset, 0.05)
        elif held > 0.0 and not above:
            ctx.close_position(asset)


slow = CompiledStrategy(smoothed, params={"alpha": 0.02}, init=start, state=lambda n_assets, params: {"average": np.zeros(n_assets)})
engine = Engine(feed, slow, **settings)
result = engine.run()

averages = engine.strategy_arrays["average"]
assert averages.shape == (len(feed.assets),) and np.isfinite(averages).all()
result

# %% [markdown]
# ## And then
#
# Many parameter sets at once; a compiled strategy leaves the interpreter alone, so that threads will do.

# %%
study = sweep(feed, slow, {"alpha": [0.01, 0.02, 0.05]}, **settings)

assert study.frame.filter(alpha=0.02)["final_value"].item() == result["final_value"]
study.frame.select("alpha", "total_return", "sharpe", "max_drawdown", "num_trades")
