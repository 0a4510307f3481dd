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
# # Quick start
#
# A moving-average cross on the NASDAQ composite, first bar by bar, then on whole rows. The prices come with the package.

# %%
import polars as pl

from ml4t_backtest import ArrayStrategy, BacktestConfig, DataFeed, Engine, Strategy, sample_data

prices = sample_data.load("nasdaq")
prices.tail()

# %% [markdown]
# Signals are columns of a second frame, per asset and time. A moving average at a bar uses closes up to that bar only.

# %%
signals = prices.select(
    "timestamp",
    "symbol",
    fast=pl.col("close").rolling_mean(50).over("symbol"),
    slow=pl.col("close").rolling_mean(200).over("symbol"),
)
feed = DataFeed(prices, signals)
feed


# %% [markdown]
# The strategy sees one bar at a time. Orders fill at the next open, with the costs of the default settings.


# %%
class Cross(Strategy):
    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            trend = bar["signals"]
            up = "slow" in trend and trend["fast"] > trend["slow"]  # the first 199 bars have no slow average
            position = broker.get_position(asset)
            if up and position is None:
                broker.order_target_percent(asset, 0.95)
            elif not up and position is not None:
                broker.close_position(asset)


result = Engine(feed, Cross(), BacktestConfig()).run(progress=True)
result

# %%
result.to_trades_dataframe().select("entry_time", "exit_time", "entry_price", "exit_price", "pnl", "pnl_percent", "status")

# %% [markdown]
# The same decision on whole rows: numpy arrays in, target weights out. Same ledger, same trades.


# %%
class CrossRows(ArrayStrategy):
    def on_arrays(self, timestamp, rows, context, broker):
        up = rows.signal("fast") > rows.signal("slow")
        held = rows.positions > 0
        broker.order_target_weights(up * 0.95, where=up != held)


rows = Engine(feed, CrossRows(), BacktestConfig()).run()
assert rows.to_trades_dataframe().equals(result.to_trades_dataframe())
assert rows.to_equity_dataframe().equals(result.to_equity_dataframe())
rows

# %% [markdown]
# ## Pictures
#
# `result.plot(...)` is a Plotly figure (`pip install "ml4t-backtest-numba[report]"`): the account with its drawdowns, months, exposure, trades.

# %%
result.plot("equity", log=True)

# %%
result.plot("monthly")

# %%
result.drawdowns(5).select("start", "trough", "end", "depth", "days")

# %% [markdown]
# The index itself is what to compare with. `relative_to` takes its closes as they are.

# %%
against = result.relative_to(prices.select("timestamp", "close"))
assert against["num_periods"] > 5_000
{name: round(against[name], 3) for name in ("cagr", "benchmark_cagr", "benchmark_max_drawdown", "beta", "alpha", "up_capture", "down_capture")}

# %% [markdown]
# ## A report
#
# Everything about a run on one page: a file without links to anywhere, to open in a browser or to send to somebody. A result can be saved and comes back as it was.

# %%
import tempfile
from pathlib import Path

from ml4t_backtest import BacktestResult

folder = Path(tempfile.mkdtemp())
page = result.report(folder / "cross.html", title="Moving averages on the NASDAQ", benchmark=prices.select("timestamp", "close"))
result.to_parquet(folder / "cross")

loaded = BacktestResult.from_parquet(folder / "cross")
assert loaded.metrics == result.metrics
print(f"{page.name}: {page.stat().st_size / 1e6:.1f} MB")
loaded
