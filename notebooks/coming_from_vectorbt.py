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
# # Coming from VectorBT
#
# `from_signals` takes the same signals and mostly the same arguments, and trades to the same last digit ([report](../validation/report.md)). What
# changes: columns cost no memory per bar, and any column can be looked at as a whole engine run. VectorBT need not be installed for this
# notebook; its calls stand in the text.

# %%
import numpy as np
import pandas as pd

from ml4t_backtest import BacktestConfig, Engine, SignalStrategy, from_signals, sample_data, sweep

stocks = sample_data.load("us_stocks").to_pandas().pivot(index="timestamp", columns="symbol", values="close").loc["2010":"2014"]
stocks.iloc[:3, :5]

# %% [markdown]
# ## Signals of many columns
#
# ```python
# # VectorBT
# fast, slow = vbt.MA.run(close, 20), vbt.MA.run(close, 100)
# pf = vbt.Portfolio.from_signals(close, fast.ma_crossed_above(slow), fast.ma_crossed_below(slow), fees=0.001, init_cash=10_000)
# ```
#
# Indicators may come from anywhere: pandas, TA-Lib, or `ml4t_backtest.indicators`.

# %%
from ml4t_backtest.indicators import crosses_above, crosses_below, sma

fast, slow = sma(stocks, 20), sma(stocks, 100)
entries, exits = crosses_above(fast, slow), crosses_below(fast, slow)

portfolio = from_signals(stocks, entries, exits, fees=0.001, init_cash=10_000)
portfolio.frame.select("column", "total_return", "sharpe", "max_drawdown", "num_trades").head()

# %% [markdown]
# `portfolio.frame` has a row per column with every metric; `pf.total_return()` is `portfolio["total_return"]`. Nothing else is kept. Equity and trades of
# one column are computed when you ask for them:

# %%
portfolio.trades("AAPL").select("entry_time", "exit_time", "entry_price", "exit_price", "pnl").head()

# %%
curve = portfolio.equity("AAPL")
assert curve["equity"][-1] == portfolio["final_value"][stocks.columns.get_loc("AAPL")]
curve.tail(3)

# %% [markdown]
# ## Stops
#
# `sl_stop`, `tp_stop` and `sl_trail` are taken as they are; our own names are `stop_pct`, `target_pct` and `trail_pct`. Levels are checked within the bar
# where the data has highs and lows. Numbers may be one per column:

# %%
levels = np.linspace(0.02, 0.20, len(stocks.columns))
stopped = from_signals(stocks, entries, exits, fees=0.001, init_cash=10_000, sl_stop=levels)

assert (stopped["num_trades"] >= portfolio["num_trades"]).all()
stopped.frame.select("column", "total_return", "max_drawdown", "num_trades").head()

# %% [markdown]
# ## Grids without columns
#
# ```python
# # VectorBT: one column of signals per combination
# fast, slow = vbt.MA.run_combs(close, window=np.arange(5, 60, 5), r=2)
# pf = vbt.Portfolio.from_signals(close, fast.ma_crossed_above(slow), fast.ma_crossed_below(slow))
# ```
#
# Here a table holds each moving average once, and parameter sets choose from it. Memory does not grow with the number of sets, so that a grid
# may have millions of them.

# %%
from ml4t_backtest import signals
from ml4t_backtest.datafeed import DataFeed

apple = stocks["AAPL"].rename("close").rename_axis("timestamp").reset_index().assign(symbol="AAPL")
feed = DataFeed(apple)
windows = list(range(10, 210, 10))
average = signals.Indicators(dict(zip(windows, sma(stocks["AAPL"], windows))))
strategy = SignalStrategy(
    signals.crosses_above(average.by("fast"), average.by("slow")),
    signals.crosses_below(average.by("fast"), average.by("slow")),
    params={"fast": 10, "slow": 20},
)
config = BacktestConfig.from_preset("vectorbt").replace(commission_type="percentage", commission_rate=0.001, initial_cash=10_000)
study = sweep(feed, strategy, {"fast": windows, "slow": windows}, where=lambda p: p["fast"] < p["slow"], config=config)
study.best("sharpe", n=3).select("fast", "slow", "total_return", "sharpe", "num_trades")

# %% [markdown]
# The same set in `from_signals`, in the sweep and in an engine gives the same number, to the last bit:

# %%
row = study.frame.filter(fast=20, slow=100)
result = Engine(feed, strategy.with_params(fast=20, slow=100), config).run()

assert row["final_value"].item() == portfolio["final_value"][stocks.columns.get_loc("AAPL")] == result["final_value"]
result

# %% [markdown]
# ## What is different
#
# - **When orders trade.** Without a config an order trades at the close that made it, as in VectorBT. `BacktestConfig(execution_mode="next_bar")` moves it to the
#   next open, which is what you could have traded.
# - **Annualisation** goes by the times of the bars, not by `freq` and a year of 365 days.
# - **`crosses_above`** is above now and at or below on the bar before. VectorBT's `crossed_above` also wants a value strictly below since the last missing
#   one, so that the first cross of a series may differ.
# - **What is not supported raises** and says what to do instead; the table is in [docs/signals.md](../docs/signals.md).
# - **One engine behind it all.** Margin, futures, limits, position rules, order types: run the same `SignalStrategy` in an `Engine` with other settings.

# %%
honest = Engine(feed, strategy.with_params(fast=20, slow=100), config, execution_mode="next_bar").run()
print(f"at the close that made the order {result['total_return']:+.1%}, at the next bar {honest['total_return']:+.1%}")
