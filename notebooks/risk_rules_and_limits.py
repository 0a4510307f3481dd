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
# # Position rules and portfolio limits
#
# A **rule** watches one position and ends it: stops, targets, time. A **limit** watches the whole account: drawdown, exposure, tails.
# The engine tests both by itself; the strategy only decides what to enter.
#
# The prices are the S&P 500 and the NASDAQ composite, from 2005 to 2010. An index cannot be bought; it stands in for a fund.

# %%
import polars as pl

from ml4t_backtest import DataFeed, Engine, Strategy, sample_data

pl.Config.set_tbl_rows(20)
pl.Config.set_fmt_str_lengths(60)

prices = pl.concat([sample_data.load("sp500"), sample_data.load("nasdaq")]).filter(pl.col("timestamp").dt.year().is_between(2005, 2010))
prices.group_by("symbol").agg(pl.len().alias("days"), pl.col("close").first().alias("first"), pl.col("close").last().alias("last"))

# %% [markdown]
# Rules that need more than prices read columns of the signals frame by name. Here it is the average true range of 14 days: at each bar
# it uses that bar and earlier ones.

# %%
before = pl.col("close").shift(1)
true_range = pl.max_horizontal(pl.col("high") - pl.col("low"), (pl.col("high") - before).abs(), (pl.col("low") - before).abs())
signals = prices.select("timestamp", "symbol", atr=true_range.rolling_mean(14).over("symbol"))
feed = DataFeed(prices, signals)
feed

# %% [markdown]
# ## One rule at a time
#
# The strategy buys whatever it does not hold, so every exit is the work of a rule. `broker.set_position_rules(rule)` in `on_start` sets
# the rule of all positions.


# %%
class BuyWhenFlat(Strategy):
    """Holds 40 % of the account in each index, and buys again on the bar after an exit."""

    def __init__(self, rule=None):
        self.rule = rule

    def on_start(self, broker):
        broker.set_position_rules(self.rule)

    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            if "atr" in bar["signals"] and broker.get_position(asset) is None:
                broker.order_target_percent(asset, 0.40)


def trades_of(strategy, **settings):
    """Run, and return the finished trades with the bar of each exit."""
    result = Engine(feed, strategy, **settings).run()
    bars = prices.rename({"symbol": "asset", "timestamp": "exit_time"})
    return result, result.to_trades_dataframe().filter(pl.col("status") != "open").join(bars, on=["asset", "exit_time"])


# %% [markdown]
# **StopLoss, TakeProfit.** A stop at 5 % sells when the low of a bar reaches 95 % of the entry price: at that level, or at the open when
# the bar opens below it already. So a gap costs more than 5 %.

# %%
from ml4t_backtest import StopLoss, TakeProfit

result, stopped = trades_of(BuyWhenFlat(StopLoss(pct=0.05)))
level = pl.col("entry_price") * (1 - 0.05)
gap = pl.col("open") <= level

assert set(stopped["exit_reason"]) == {"stop_loss"}
assert stopped.select((pl.col("low") <= level).all()).item()
assert stopped.select((pl.col("exit_price") == pl.when(gap).then(pl.col("open")).otherwise(level)).all()).item()
assert stopped.select(pl.col("pnl_percent").max()).item() < -0.05 + 1e-9
stopped.select("asset", "entry_price", "exit_time", "exit_price", "pnl_percent", gap.alias("gap")).sort("pnl_percent").head()

# %% [markdown]
# The strategy orders again on the bar of the exit. On that bar the order is refused (`reentry_blocked`), so that a stop is not undone
# at once; `allow_reentry_on_exit_bar=True` lets it through.

# %%
refused = result.to_orders_dataframe().filter(pl.col("status") == "rejected")

assert set(refused["reason"]) == {"reentry_blocked"} and refused.height == stopped.height
assert set(refused["created_at"]) == set(stopped["exit_time"])

# %%
result, taken = trades_of(BuyWhenFlat(TakeProfit(pct=0.10)))

assert set(taken["exit_reason"]) == {"take_profit"}
assert taken["pnl_percent"].min() > 0.10 - 1e-9
print(len(taken), "targets; worst", f"{taken['pnl_percent'].min():.2%}, best {taken['pnl_percent'].max():.2%}")

# %% [markdown]
# **TrailingStop.** The level follows the highest close since the entry. By default the mark is that of the bars before, as nobody knows
# the order of the high and the low inside a bar.

# %%
from ml4t_backtest import TrailingStop

result, trailed = trades_of(BuyWhenFlat(TrailingStop(pct=0.05)))

closes = {asset: group.select("timestamp", "close") for (asset,), group in prices.group_by("symbol")}
for trade in trailed.iter_rows(named=True):
    seen = closes[trade["asset"]].filter(pl.col("timestamp").is_between(trade["entry_time"], trade["exit_time"], closed="left"))
    level = seen["close"].max() * (1 - 0.05)
    assert trade["exit_price"] == min(level, trade["open"])
    assert trade["exit_reason"] == "trailing_stop"
print(len(trailed), "trailing stops, of which", trailed.filter(pl.col("pnl") > 0).height, "with a gain")

# %% [markdown]
# **VolatilityStop.** It reads the column `atr`, keeps the first value that a position sees, and sells when a *close* is at or below the
# entry price less two of it. In a quiet market the stop is near, in a wild one far.

# %%
from ml4t_backtest import VolatilityStop

result, volatile = trades_of(BuyWhenFlat(VolatilityStop(multiplier=2.0, atr_key="atr")))

assert set(volatile["exit_reason"]) == {"volatility_stop"}
assert (volatile["exit_price"] == volatile["close"]).all()
volatile.with_columns(distance=1 - pl.col("exit_price") / pl.col("entry_price"), year=pl.col("exit_time").dt.year()).group_by(
    "year"
).agg(pl.len().alias("stops"), pl.col("distance").mean()).sort("year")

# %% [markdown]
# **ScaledExit** sells parts on the way up: here a half of the position at +5 %, a half of the rest at +10 %, the remainder at +15 %.
# Parts are `partial` trades of the same position.

# %%
from ml4t_backtest import ScaledExit

result, parts = trades_of(BuyWhenFlat(ScaledExit(targets=((0.05, 0.5), (0.10, 0.5), (0.15, 1.0)))))
first = parts.filter(pl.col("asset") == "SP500").head(3)
sold = first["quantity"].to_list()

assert set(parts["exit_reason"]) == {"scaled_exit"}
assert first["status"].to_list() == ["partial", "partial", "closed"]
assert abs(sold[0] - 2 * sold[1]) < 1e-9 and abs(sold[1] - sold[2]) < 1e-9
first.select("entry_time", "exit_time", "quantity", "pnl_percent", "exit_reason", "status")

# %% [markdown]
# ## Several rules
#
# In a `RuleChain` the first rule that fires decides. A list means the same. Put the stop first: if one bar reaches the stop and the
# target, the stop is the careful answer.

# %%
from ml4t_backtest import RuleChain, TimeExit

chain = RuleChain(StopLoss(pct=0.05), TakeProfit(pct=0.10), TimeExit(max_bars=60))
result, chained = trades_of(BuyWhenFlat(chain))

assert set(chained["exit_reason"]) == {"stop_loss", "take_profit", "time_stop"}
assert (chained.filter(pl.col("exit_reason") == "time_stop")["bars_held"] == 60).all()
chained.group_by("exit_reason").agg(pl.len().alias("trades"), pl.col("pnl").sum(), pl.col("bars_held").mean()).sort("exit_reason")

# %% [markdown]
# Rules may differ by asset, and one position may get its own, with `set_position_rules(rule, asset, position=True)` while it is open. A
# position's own rule goes before that of its asset, that one before the rule of all.


# %%
class ByAsset(BuyWhenFlat):
    def on_start(self, broker):
        broker.set_position_rules(StopLoss(pct=0.05))
        broker.set_position_rules(TrailingStop(pct=0.15), "NASDAQ")


result, by_asset = trades_of(ByAsset())
pairs = set(by_asset.select("asset", "exit_reason").iter_rows())

assert pairs == {("SP500", "stop_loss"), ("NASDAQ", "trailing_stop")}
by_asset.group_by("asset", "exit_reason").agg(pl.len().alias("trades")).sort("asset")

# %% [markdown]
# ## A rule of your own
#
# Any object with `evaluate(state)` is a rule. `state` is the position on this bar, with the signals in `state.context`. A rule of your
# own runs in Python, so it is slower than the others. It may stand inside a chain.

# %%
from ml4t_backtest import PositionAction


class OutOfPatience:
    """Sell what shows no gain after ten bars."""

    def evaluate(self, state):
        if state.bars_held >= 10 and state.unrealized_return <= 0.0:
            return PositionAction.exit_full(f"no gain after {state.bars_held} bars")
        return PositionAction.hold()


class Impatient(BuyWhenFlat):
    def on_end(self, broker):
        self.said = {order.rule_reason for order in broker.orders if order.rule_reason is not None}


strategy = Impatient(RuleChain(StopLoss(pct=0.05), OutOfPatience()))
result, impatient = trades_of(strategy)
own = impatient.filter(pl.col("exit_reason") == "signal")

assert set(impatient["exit_reason"]) == {"signal", "stop_loss"}
assert own["bars_held"].min() == 10 and own["pnl_percent"].max() <= 0.0
assert "no gain after 10 bars" in strategy.said
print(len(own), "out of patience,", len(impatient) - len(own), "stopped")

# %% [markdown]
# ## Portfolio limits
#
# Limits go to the engine: `Engine(..., limits=[...])`. It measures the account on each bar, before the strategy is asked, and acts. Each
# limit has an action: `warn` writes an alert, `block` refuses new risk while the limit is breached, `reduce` sells down to it, `liquidate`
# sells everything, `halt` refuses new risk for the rest of the run. Exits are always allowed.
#
# The account below holds 20 stocks with borrowed money, from 2006 to 2009, and wants 160 % of its value in stocks every month. (The stocks
# were chosen with hindsight. Only the mechanics matter here.)

# %%
from ml4t_backtest import RebalanceSchedule

stocks = sample_data.load("us_stocks").filter(pl.col("timestamp").dt.year().is_between(2006, 2009))
stock_feed = DataFeed(stocks)


class Leveraged(Strategy):
    def on_start(self, broker):
        self.clock = RebalanceSchedule("monthly").clock()

    def on_data(self, timestamp, data, context, broker):
        if self.clock.due(timestamp):
            for asset in data:
                broker.order_target_percent(asset, 1.6 / len(data))


def run_leveraged(limits=(), strategy=None):
    return Engine(stock_feed, strategy or Leveraged(), account_type="margin", limits=limits).run()


free = run_leveraged()
assert free.to_alerts_dataframe().is_empty()
free

# %% [markdown]
# **A warning: value at risk.** The loss per bar that 95 % of the last 60 returns did not exceed. `warn` changes nothing but the alerts.

# %%
from ml4t_backtest import VaRLimit

warned = run_leveraged([VaRLimit(max_var=0.05, confidence_level=0.95, lookback_days=60, action="warn")])
alerts = warned.to_alerts_dataframe()

assert warned.to_equity_dataframe().equals(free.to_equity_dataframe())
assert (alerts["value"] > 0.05).all() and set(alerts["action"]) == {"warn"}
alerts.group_by(pl.col("timestamp").dt.truncate("1mo").alias("month")).agg(pl.len().alias("days"), pl.col("value").max()).sort("month")

# %% [markdown]
# **Reduce: gross exposure.** When prices fall, a leveraged account becomes more leveraged. This limit sells every position by the part
# that leads back to 170 %. The sales have the exit reason `risk_liquidation`.

# %%
from ml4t_backtest import GrossExposureLimit

reduced = run_leveraged([GrossExposureLimit(max_gross=1.7, action="reduce")])
alerts, sales = reduced.to_alerts_dataframe(), reduced.to_trades_dataframe().filter(pl.col("exit_reason") == "risk_liquidation")

assert (alerts["value"] > 1.7).all() and set(alerts["limit"]) == {"GrossExposureLimit"}
assert set(sales["exit_time"]) == set(alerts["timestamp"])
assert (sales["status"] == "partial").all()
sold = (pl.col("quantity") * pl.col("exit_price")).sum()
sales.group_by("exit_time").agg(pl.len().alias("stocks"), sold.alias("sold")).sort("exit_time").head()

# %% [markdown]
# **Halt: drawdown.** At a drawdown of 25 % no order may open or add to a position, for the rest of the run. A halt does not sell what is
# held; `action="liquidate"` does. `warn_threshold` gives alerts before it comes to that.

# %%
from ml4t_backtest import MaxDrawdownLimit

halted = run_leveraged([MaxDrawdownLimit(max_drawdown=0.25, action="halt", warn_threshold=0.20)])
alerts = halted.to_alerts_dataframe()
moment = alerts.filter(pl.col("action") == "halt")["timestamp"].min()
fills = halted.to_fills_dataframe()

assert fills.filter((pl.col("timestamp") >= moment) & (pl.col("side") == "buy")).is_empty()
assert not fills.filter((pl.col("timestamp") < moment) & (pl.col("side") == "buy")).is_empty()
assert alerts.filter(pl.col("action") == "warn")["timestamp"].min() <= moment
alerts.group_by("limit", "action").agg(pl.len().alias("days"), pl.col("timestamp").min().alias("first")).sort("first")

# %% [markdown]
# What the limit refused stands in the orders frame.

# %%
orders = halted.to_orders_dataframe().filter(pl.col("status") == "rejected")

assert set(orders["reason"]) == {"risk_blocked"} and orders["created_at"].min() >= moment
orders.group_by("side", "reason").agg(pl.len().alias("orders"))

# %% [markdown]
# **Several limits** are checked in the order given; put the strictest first. One that liquidates at a drawdown ends the run in effect:
# an account without positions does not recover, so the limit stays breached, and each bar writes an alert.

# %%
everything = [
    MaxDrawdownLimit(max_drawdown=0.25, action="liquidate"),
    GrossExposureLimit(max_gross=1.65, action="reduce"),
    VaRLimit(max_var=0.025, lookback_days=60, action="warn"),
]
together = run_leveraged(everything)
alerts = together.to_alerts_dataframe()
end = alerts.filter(pl.col("action") == "liquidate")["timestamp"].min()

assert set(alerts["limit"]) == {"VaRLimit", "GrossExposureLimit", "MaxDrawdownLimit"}
assert together.to_fills_dataframe()["timestamp"].max() == end
assert together.to_trades_dataframe().filter(pl.col("status") == "open").is_empty()
alerts.group_by("limit", "action").agg(pl.len().alias("alerts"), pl.col("timestamp").min().alias("first")).sort("first")

# %% [markdown]
# Side by side, what the limits did to the run:

# %%
runs = {"no limit": free, "warn": warned, "reduce": reduced, "halt": halted, "together": together}


assert together["max_drawdown_pct"] < free["max_drawdown_pct"]
pl.DataFrame(
    [
        {
            "limits": name,
            "final value": run["final_value"],
            "max drawdown %": run["max_drawdown_pct"],
            "alerts": run.to_alerts_dataframe().height,
            "fills": run["num_fills"],
        }
        for name, run in runs.items()
    ]
)

# %% [markdown]
# ## By hand
#
# A `RiskManager` asks the same limits from inside a strategy, and limits of your own: any object with `check(state)`. It only answers;
# acting on the answer is up to you. Tail limits read their returns from the `context` that you pass to `update`.

# %%
from ml4t_backtest import RiskManager


class AsksFirst(Leveraged):
    def on_start(self, broker):
        super().on_start(broker)
        self.risk = RiskManager([MaxDrawdownLimit(max_drawdown=0.25, action="halt")])
        self.risk.initialize(broker.get_account_value())
        self.halted_at = None

    def on_data(self, timestamp, data, context, broker):
        values = {asset: position.market_value for asset, position in broker.positions.items()}
        self.risk.update(broker.get_account_value(), values, timestamp)
        allowed, reason = self.risk.can_open_position()
        if allowed:
            super().on_data(timestamp, data, context, broker)
        elif self.halted_at is None:
            self.halted_at, self.why = timestamp, reason


asking = AsksFirst()
by_hand = run_leveraged(strategy=asking)

assert asking.halted_at == moment
assert by_hand.to_alerts_dataframe().is_empty()  # the engine was not asked
print(asking.halted_at.date(), asking.why)
