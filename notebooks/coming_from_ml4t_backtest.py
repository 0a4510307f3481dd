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
# # Coming from ml4t.backtest
#
# Five minutes: run a strategy file that was written for `ml4t.backtest`, read the result, pick a preset, see what differs on
# purpose, then position rules and rebalancing. Cells that make a claim also assert it.

# %%
import sys
import tempfile
from pathlib import Path

import polars as pl

from ml4t_backtest import sample_data

pl.Config.set_tbl_rows(20)
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
prices = sample_data.load("nasdaq")
prices.tail(3)

# %% [markdown]
# ## One strategy file, two ways to run it
#
# This is a file as it stands in many projects: it imports `ml4t.backtest`.

# %%
written_for_the_other_engine = '''
import polars as pl
from ml4t.backtest import DataFeed, Engine, ExecutionMode, PercentageCommission, Strategy


class Cross(Strategy):
    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            fast, slow = bar["signals"].get("fast"), bar["signals"].get("slow")
            position = broker.get_position(asset)
            up = slow is not None and fast > slow
            if up and position is None:
                broker.submit_order(asset, int(0.95 * broker.get_account_value() / bar["close"]))
            elif not up and position is not None:
                broker.close_position(asset)


def run(prices):
    signals = prices.select(
        "timestamp",
        "symbol",
        fast=pl.col("close").rolling_mean(50),
        slow=pl.col("close").rolling_mean(200),
    )
    engine = Engine(
        DataFeed(prices_df=prices, signals_df=signals),
        Cross(),
        initial_cash=100_000.0,
        account_type="cash",
        commission_model=PercentageCommission(0.001),
        execution_mode=ExecutionMode.NEXT_BAR,
    )
    return engine.run()
'''

# %% [markdown]
# **Way one: change the import.** One line differs.

# %%
import_changed = written_for_the_other_engine.replace("from ml4t.backtest import", "from ml4t_backtest import")
lines = zip(written_for_the_other_engine.splitlines(), import_changed.splitlines(), strict=True)
assert sum(before != after for before, after in lines) == 1

(folder / "cross_with_our_import.py").write_text(import_changed)
sys.path.insert(0, str(folder))

import cross_with_our_import

result = cross_with_our_import.run(prices)
result

# %% [markdown]
# **Way two: change nothing.** After `import ml4t_backtest.dropin`, the name `ml4t.backtest` means this package, in this process
# and in everything that is imported afterwards. If `ml4t.backtest` itself was imported before, it raises an ImportError:
# restart the kernel and put this line first.

# %%
import ml4t_backtest.dropin

(folder / "cross_as_it_was.py").write_text(written_for_the_other_engine)

import cross_as_it_was

unchanged = cross_as_it_was.run(prices)

assert cross_as_it_was.Engine is ml4t_backtest.Engine
assert unchanged.to_trades_dataframe().equals(result.to_trades_dataframe())
assert unchanged.to_equity_dataframe().equals(result.to_equity_dataframe())

# %% [markdown]
# ## The result
#
# Metrics are read like a dictionary; percentages are in percent. `result.metrics` holds them all, and a name that is not there
# gives an error with the closest one.

# %%
print(f"Sharpe {result['sharpe']:.2f}, return {result['total_return_pct']:.1f} %, drawdown {result['max_drawdown_pct']:.1f} %")

assert result["sharpe"] == result["sharpe_ratio"]
try:
    result["sharp"]
except KeyError as error:
    assert "did you mean 'sharpe'?" in str(error)
else:
    raise AssertionError("there is no such metric")

# %% [markdown]
# The rest are Polars frames. `.to_pandas()` makes pandas frames of them.

# %%
trades = result.to_trades_dataframe()
trades.select("asset", "entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "exit_reason", "status").tail(4)

# %% [markdown]
# A position that is open at the end is a trade with the status `open`. So the trades account for the whole change of the
# account value. To see finished trades only, filter on `status`.

# %%
equity = result.to_equity_dataframe()

assert abs(trades["pnl"].sum() - (result["final_value"] - 100_000.0)) < 1e-6
assert trades["status"].to_list().count("open") <= 1
assert equity.height == prices.height
equity.tail(3)

# %% [markdown]
# Two frames that tell what happened to each order: `to_fills_dataframe()`, and `to_orders_dataframe()` with refused and cancelled
# orders and why. All of it goes to a folder of Parquet files and comes back.

# %%
from ml4t_backtest import BacktestResult

result.to_parquet(folder / "result")
loaded = BacktestResult.from_parquet(folder / "result")

assert loaded.to_trades_dataframe().equals(trades)
assert loaded["sharpe"] == result["sharpe"]
result.to_orders_dataframe().select("order_id", "asset", "side", "quantity", "filled_price", "status", "reason").head(3)

# %% [markdown]
# ## Presets
#
# A preset is a named set of settings, most of them in the manner of another framework. The engine takes its name, and keywords
# change single settings. Without a config the engine trades at the close of the bar on which the strategy decides, without
# costs. With `BacktestConfig()` it trades at the next open, with 0.1 % commission and 0.1 % slippage.

# %%
from ml4t_backtest import BacktestConfig, DataFeed, Engine, list_presets

configs = {name: BacktestConfig.from_preset(name) for name in list_presets()}
pl.DataFrame(
    [
        {
            "preset": name,
            "mode": config.execution_mode.value,
            "market orders at": config.price_of_market_orders.value,
            "shares": config.share_type.value,
            "commission": config.commission_type.value,
            "slippage": config.slippage_type.value,
        }
        for name, config in configs.items()
    ]
)

# %%
signals = prices.select(
    "timestamp", "symbol", fast=pl.col("close").rolling_mean(50), slow=pl.col("close").rolling_mean(200)
)
feed = DataFeed(prices, signals)  # a feed can be used again; an engine runs once

Cross = cross_with_our_import.Cross
plain = Engine(feed, Cross()).run()
costly = Engine(feed, Cross(), BacktestConfig()).run()
like_backtrader = Engine(feed, Cross(), "backtrader", initial_cash=50_000.0).run()

assert plain["total_commission"] == 0.0
assert costly["total_commission"] > 0.0 and costly["final_value"] < plain["final_value"]
assert like_backtrader["initial_cash"] == 50_000.0
for run in (plain, costly, like_backtrader):
    print(run)

# %% [markdown]
# `config.describe()` prints every setting and marks those that differ from the defaults.
#
# ## What differs
#
# Results are the same except where the behaviour of `ml4t.backtest` was a defect or a trap. `docs/differences.md` lists each case
# with the way back, where there is one. Three that notebooks meet first:
#
# **An exit never opens a position.** Two exits for one position (a stop and a signal, say) used to fill both, and the second
# opened the other side. Here it is cancelled.

# %%
from ml4t_backtest import OrderStatus, Strategy


class ClosesTwice(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if broker.get_position("NASDAQ") is not None:
            self.exits = [broker.close_position("NASDAQ"), broker.close_position("NASDAQ")]
        elif not broker.orders:
            broker.submit_order("NASDAQ", 10)


strategy = ClosesTwice()
twice = Engine(feed, strategy, execution_mode="NEXT_BAR").run()

assert [order.status for order in strategy.exits] == [OrderStatus.FILLED, OrderStatus.CANCELLED]
assert twice.to_fills_dataframe()["position"].to_list() == [10.0, 0.0]
print(strategy.exits[1].rejection_reason)

# %% [markdown]
# **A cash account never goes below zero.** An order for all of the cash leaves nothing for its costs, so it is refused, with the numbers.
# Leave some room (0.95, say), or let the account cut the order with `partial_fills_allowed=True`.


# %%
class AllIn(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if not broker.orders:
            self.order = broker.order_target_percent("NASDAQ", 1.0)


refused, cut = AllIn(), AllIn()
costs = {"commission_type": "percentage", "commission_rate": 0.001}
Engine(feed, refused, **costs).run()
partly = Engine(feed, cut, **costs, partial_fills_allowed=True).run()

assert refused.order.status is OrderStatus.REJECTED
assert cut.order.status is OrderStatus.FILLED and 0 < cut.order.filled_quantity < cut.order.quantity
assert partly.to_equity_dataframe()["cash"].min() >= 0.0
print(refused.order.rejection_reason)

# %% [markdown]
# **Typos are errors.** An order for an asset that the feed does not have used to wait for ever.


# %%
class Typo(Strategy):
    def on_data(self, timestamp, data, context, broker):
        broker.submit_order("NASDAK", 1)


try:
    Engine(feed, Typo()).run()
except ValueError as error:
    assert "did you mean 'NASDAQ'?" in str(error)
    print(error)
else:
    raise AssertionError("a typo went through")

# %% [markdown]
# ## Position rules
#
# The rules of `ml4t.backtest.risk` are here under the same names. The engine tests them on every bar, before the strategy is
# asked. Each trade says why it ended.

# %%
from ml4t_backtest import RuleChain, StopLoss, TakeProfit


class CrossWithRules(Cross):
    def on_start(self, broker):
        broker.set_position_rules(RuleChain([StopLoss(pct=0.05), TakeProfit(pct=0.10)]))


guarded = Engine(feed, CrossWithRules()).run()
reasons = guarded.to_trades_dataframe().group_by("exit_reason").agg(pl.len().alias("trades"), pl.col("pnl").sum()).sort("exit_reason")

assert {"stop_loss", "take_profit"} <= set(reasons["exit_reason"])
reasons

# %% [markdown]
# `risk_rules_and_limits.py` beside this notebook goes through all of them.
#
# ## Rebalancing
#
# `TargetWeightExecutor` submits the orders that bring an account to target weights. A `RebalanceSchedule` tells on which bars: here
# the first of each month. The stocks are adjusted closes of 20 companies, chosen with hindsight, so the return means nothing.

# %%
from ml4t_backtest import RebalanceConfig, RebalanceSchedule, TargetWeightExecutor

stocks = sample_data.load("us_stocks").filter(pl.col("timestamp").dt.year() >= 2015)


class Monthly(Strategy):
    weights = {"AAPL": 0.30, "JNJ": 0.25, "MSFT": 0.20, "XOM": 0.15}  # the rest, 10 %, stays in cash

    def __init__(self):
        self.executor = TargetWeightExecutor(RebalanceConfig(min_trade_value=500.0, min_weight_change=0.005))

    def on_start(self, broker):
        self.clock = RebalanceSchedule("monthly").clock()
        self.rebalances = []

    def on_data(self, timestamp, data, context, broker):
        if self.clock.due(timestamp):
            self.rebalances.append(self.executor.execute(self.weights, data, broker))


monthly = Monthly()
portfolio = Engine(DataFeed(stocks), monthly, commission_type="percentage", commission_rate=0.001).run()

assert all(done.success for done in monthly.rebalances)
assert len(monthly.rebalances) == stocks["timestamp"].dt.truncate("1mo").n_unique()
assert set(portfolio.to_trades_dataframe()["asset"]) == set(Monthly.weights)
portfolio

# %% [markdown]
# What `execute` returns is the list of orders, and says what was left out and why. A change below the thresholds is a success:
# nothing was to be done.

# %%
last = monthly.rebalances[-1]
print(last.message)
print(len(last.orders_placed), "orders; left out:", last.orders_skipped)

assert all(abs(last.projected_weights[asset] - weight) < 0.006 for asset, weight in Monthly.weights.items())
