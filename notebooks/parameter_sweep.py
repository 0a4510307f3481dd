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
# # A parameter sweep
#
# Many parameter sets of one strategy, one row each, and how to look at them. The prices come with the package.

# %%
from ml4t_backtest import BacktestConfig, DataFeed, SignalStrategy, sample_data, sweep
from ml4t_backtest.indicators import sma
from ml4t_backtest.signals import Indicators, crosses_above, crosses_below

prices = sample_data.load("nasdaq")
feed = DataFeed(prices).between("2009-01-01")
feed

# %% [markdown]
# ## One strategy
#
# A cross of two moving averages. `sma` with many windows gives a table with one average per window; the conditions pick two of them by the
# names of two parameters. No parameter set needs a column of signals of its own.

# %%
windows = [*range(5, 50, 5), *range(50, 210, 25)]
averages = Indicators(dict(zip(windows, sma(feed.panels.prices["close"][:, 0], windows))))

strategy = SignalStrategy(
    crosses_above(averages.by("fast"), averages.by("slow")),
    crosses_below(averages.by("fast"), averages.by("slow")),
    params={"fast": 10, "slow": 50},
)
config = BacktestConfig.from_preset("vectorbt").replace(
    execution_mode="next_bar", commission_type="percentage", commission_rate=0.0005
)

# %% [markdown]
# ## The sweep
#
# `sweep` runs every combination that `where` lets through. A `SignalStrategy` goes through a compiled kernel that keeps nothing per bar; any other
# strategy class works in the same way, in worker processes where that pays.

# %%
grid = {"fast": windows[:10], "slow": windows[4:], "stop_pct": [None, 0.05]}
study = sweep(feed, strategy, grid, where=lambda p: p["fast"] < p["slow"], config=config)

assert study.status == "completed" and (study.frame["fast"] < study.frame["slow"]).all()
study.frame.select("fast", "slow", "stop_pct", "total_return", "sharpe", "max_drawdown", "num_trades").describe()

# %% [markdown]
# The best rows by a metric, and those that no other row beats in two:

# %%
study.best("sharpe", n=5).select("fast", "slow", "stop_pct", "sharpe", "max_drawdown", "num_trades")

# %%
front = study.pareto(["sharpe", "max_drawdown"]).select("fast", "slow", "stop_pct", "sharpe", "max_drawdown")
assert front["sharpe"].max() == study.frame["sharpe"].max()
front

# %% [markdown]
# ## Look at the surface, not at the peak
#
# A good choice has good neighbours. `pivot` is the table behind `heatmap`; with three parameters it takes the mean over the third.
# The chart needs Plotly: `pip install 'ml4t-backtest-numba[report]'`.

# %%
table = study.pivot("slow", "fast", "sharpe")
assert table.height == 10
table

# %%
study.heatmap("slow", "fast", "sharpe")

# %% [markdown]
# ## Everything about one row
#
# A row has the metrics only. `rerun` runs its set once more, in an engine, and gives a whole `BacktestResult`.

# %%
best = study.best("sharpe")
result = study.rerun(best)

assert result["final_value"] == best["final_value"].item()
assert result["num_trades"] == best["num_trades"].item()
result

# %%
result.to_trades_dataframe().select("entry_time", "exit_time", "entry_price", "exit_price", "pnl", "exit_reason").tail()

# %% [markdown]
# ## How much of it is luck?
#
# The best of many tries looks good even when none has any skill. `deflated_sharpe` is the probability that the best row beats what the best of so many
# tries would reach by luck. The tries here are far from independent, so that counting all of them is strict. The notebook `walk_forward` goes on from here.

# %%
probability = study.deflated_sharpe()

assert 0.0 < probability < 1.0
print(f"{len(study)} parameter sets, best Sharpe {best['sharpe'].item():.2f}, deflated: {probability:.2f}")
