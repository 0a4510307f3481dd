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
# # Is my backtest lying to me?
#
# Four ways in which a backtest shows money that is not there, and how each of them gives itself away: signals that know the future, fills at
# prices from before the decision, costs that were left out, and the best of many tries. The prices come with the package.

# %%
import numpy as np
import polars as pl

from ml4t_backtest import BacktestConfig, DataFeed, Engine, Strategy, check_determinism, check_lookahead, check_warmup, sample_data, sweep

prices = sample_data.load("nasdaq").tail(300)


class FollowSlope(Strategy):
    """Holds the index while the signal `slope` is positive."""

    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            slope = bar["signals"].get("slope", 0.0)
            if slope > 0.0 and broker.get_position(asset) is None:
                broker.order_target_percent(asset, 0.95)
            elif slope <= 0.0:
                broker.close_position(asset)


config = BacktestConfig()  # orders fill at the next open, with commission and slippage


# %% [markdown]
# ## 1. Signals that know the future
#
# A smoothed price, and its slope. Smoothing with a *centred* window looks like any other moving average.


# %%
def centred(prices):
    smooth = pl.col("close").rolling_mean(11, center=True)
    return prices.select("timestamp", "symbol", slope=smooth.diff())


wonderful = Engine(DataFeed(prices, centred(prices)), FollowSlope(), config).run()
wonderful

# %% [markdown]
# Too good. The strategy itself reads only the present bar, so running it cannot tell. The function that makes the signals can: it is
# called with the prices up to some bars, and a value that then is another one (or is not there yet) knew what came later.

# %%
report = check_lookahead(FollowSlope, DataFeed(prices, centred(prices)), config, signals=centred, runs=20)
assert not report.passed and report.leaks["column"][0] == "slope"
report


# %% [markdown]
# With a window that ends on the present bar:


# %%
def trailing(prices):
    smooth = pl.col("close").rolling_mean(11)
    return prices.select("timestamp", "symbol", slope=smooth.diff())


feed = DataFeed(prices, trailing(prices))
check_lookahead(FollowSlope, feed, config, signals=trailing, runs=20).raise_if_failed()
honest = Engine(feed, FollowSlope(), config).run()
assert honest["sharpe"] < 0.5 * wonderful["sharpe"]
honest

# %% [markdown]
# A strategy that peeks by itself is found by running it on feeds with another future. Here it holds the whole frame.


# %%
class Peeking(Strategy):
    def __init__(self, frame):
        self.frame = frame

    def on_data(self, timestamp, data, context, broker):
        for asset, bar in data.items():
            later = self.frame.filter(pl.col("timestamp") > timestamp)["close"]
            if len(later) and later[0] > bar["close"]:
                broker.order_target_percent(asset, 0.95)
            else:
                broker.close_position(asset)


report = check_lookahead(lambda: Peeking(prices), feed, config, runs=12)
assert not report.passed
report

# %% [markdown]
# ## 2. Fills from before the decision
#
# A strategy decides at the close. An order that then trades at the open of the same bar traded hours before it was made.

# %%
early = BacktestConfig(execution_mode="same_bar", execution_price="open")
report = check_lookahead(FollowSlope, feed, early, runs=6)
assert report.leaks["source"].to_list() == ["fill"]
report

# %% [markdown]
# ## 3. Costs
#
# The same decisions without and with commission and slippage. What a trade was made of is shown by `explain`.

# %%
free = config.replace(commission_type="none", slippage_type="none")
without = Engine(feed, FollowSlope(), free).run()
assert without["total_return"] > honest["total_return"]
paid = honest["total_commission"] + honest["total_slippage"]
f"{without['total_return']:.1%} before costs, {honest['total_return']:.1%} after: {paid:,.0f} paid for {honest['num_trades']:.0f} trades"

# %%
worst = min(range(len(honest.trades)), key=lambda number: honest.trades[number].pnl)
why = honest.explain(worst)
assert sum(amount for _, amount in why.arithmetic) < 0.0
why


# %% [markdown]
# ## 4. The best of many tries
#
# A coin is thrown on every tenth bar. Some coin has a fine Sharpe ratio; it was chosen because it does. The deflated Sharpe ratio is the
# probability that the best of so many tries shows more than luck.


# %%
class Coin(Strategy):
    def __init__(self, seed=0):
        self.random, self.bar = np.random.default_rng(seed), -1

    def on_data(self, timestamp, data, context, broker):
        self.bar += 1
        if self.bar % 10 == 0:
            for asset in data:
                broker.order_target_percent(asset, 0.95 * float(self.random.random() < 0.5))


study = sweep(feed, Coin, {"seed": range(24)}, config=config)
skill = study.deflated_sharpe()
best = study.frame["sharpe"].max()
assert best > study.frame["sharpe"].median() and skill < 0.95
f"the best of 24 coins has a Sharpe ratio of {best:.2f}; that it has skill: {skill:.0%}"

# %% [markdown]
# ## And two that are cheap to ask
#
# How much history does a decision need, and does the same run give the same result?

# %%
warm = check_warmup(None, feed, signals=trailing, tolerance=1e-9)
assert warm.bars is not None
warm

# %%
same = check_determinism(FollowSlope, feed, config, fresh_process=False)
assert same.passed
same
