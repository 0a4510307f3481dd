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
# # Walk-forward, and how much is luck
#
# The best parameters of the past are always good on the past. Here they are chosen on some years and tried on the next one, again and again, and
# the result is held against luck. The strategy is plain, on purpose: what matters is how it is judged.

# %%
import polars as pl

from ml4t_backtest import (
    BacktestConfig, CalendarWindows, CombinatorialPurged, DataFeed, Engine, SignalStrategy, Strategy, cross_validate, sample_data, sweep, walk_forward,
)
from ml4t_backtest.indicators import sma
from ml4t_backtest.signals import Indicators, above, below

prices = sample_data.load("sp500")
feed = DataFeed(prices).between("2003-01-01")
close = feed.panels.prices["close"][:, 0]

# %% [markdown]
# The strategy holds the index while a fast average is above a slow one. Orders trade at the next open and cost 0.05 %.

# %%
windows = [1, 10, 20, 60, 120, 200]
average = Indicators(dict(zip(windows, sma(close, windows))))
strategy = SignalStrategy(
    above(average.by("fast"), average.by("slow")), below(average.by("fast"), average.by("slow")), params={"fast": 10, "slow": 60}
)
grid = {"fast": [1, 10, 20], "slow": [60, 120, 200]}
config = BacktestConfig.from_preset("vectorbt").replace(
    execution_mode="next_bar", commission_type="percentage", commission_rate=0.0005
)

# %% [markdown]
# ## All years at once
#
# This is the number to distrust: the parameters are chosen with the prices that they are then judged by.

# %%
study = sweep(feed, strategy, grid, config=config)
best = study.best("sharpe")

assert len(study) == 9
best.select("fast", "slow", "total_return", "sharpe", "max_drawdown", "num_trades")

# %% [markdown]
# ## Year by year
#
# Four years to choose, the next year to try, then one year on. Each test starts with the money that the one before left, and ends without
# positions. The indicators are computed beforehand, which is no look-ahead: an average knows the bars before it and no other.

# %%
walk = walk_forward(feed, strategy, grid, CalendarWindows("1y", train=4), config=config)

assert (walk.frame["train_end"] < walk.frame["test_start"]).all()
walk.frame.select("test_start", "fast", "slow", "total_return", "sharpe", "max_drawdown", "num_trades")

# %% [markdown]
# The tests are one `BacktestResult`: everything that a run answers, over bars that no choice has seen.

# %%
walk.result

# %% [markdown]
# Side by side over the same years, with the best parameters of all years, and with buying once and holding:

# %%
class Hold(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if not broker.positions and not broker.pending_orders:
            broker.order_target_percent("SP500", 0.99)


tested = feed.between(int(walk.windows[0].split.test[0]), int(walk.windows[-1].split.test[-1]) + 1)
held = Engine(tested, Hold(), config).run()
first = int(walk.windows[0].split.test[0])
hindsight = Engine(tested, strategy.between(first, feed.n_bars).with_params(**study.params(best)), config).run()

runs = {"walk-forward": walk.result, "best in hindsight": hindsight, "buy and hold": held}
assert len({run["num_bars"] for run in runs.values()}) == 1
pl.DataFrame(
    [{"run": name, **{metric: run[metric] for metric in ("total_return", "sharpe", "max_drawdown", "num_trades")}} for name, run in runs.items()]
)

# %% [markdown]
# ## Against luck
#
# The Sharpe ratio of a walk-forward is one number from one try, so the *probabilistic* Sharpe ratio fits: the probability that the true one is above 0. The
# best of the sweep is the best of nine tries, so it is *deflated* by what the best of as many independent tries reaches by luck. Ratios are per bar here, not per
# year.

# %%
from ml4t_backtest.overfitting import (
    bootstrap_interval, deflated_sharpe_ratio, effective_number_of_trials, minimum_track_record_length, probabilistic_sharpe_ratio, return_moments,
)

checked = cross_validate(feed, strategy, grid, CombinatorialPurged(groups=8, test_groups=2, purge=20), config=config)
ratios = checked.returns.mean(axis=0) / checked.returns.std(axis=0, ddof=1)
moments = return_moments(checked.returns[:, ratios.argmax()])
trials = effective_number_of_trials(checked.returns)

alone = probabilistic_sharpe_ratio(**moments)
deflated = deflated_sharpe_ratio(**moments, n_trials=trials, trials_variance=ratios.var(ddof=1))
out_of_sample = return_moments(walk.returns)
bounds = bootstrap_interval(walk.returns, "sharpe")

assert deflated <= alone
print(f"best of the sweep: {alone:.3f} alone, {deflated:.3f} as the best of {trials:.1f} independent tries ({len(ratios)} correlated ones)")
print(f"walk-forward: {probabilistic_sharpe_ratio(**out_of_sample):.3f}; Sharpe per year between {bounds.lower * 252**0.5:.2f} and {bounds.upper * 252**0.5:.2f}")

# %%
needed = minimum_track_record_length(out_of_sample["sharpe"], skewness=out_of_sample["skewness"], kurtosis=out_of_sample["kurtosis"])
print(f"to be sure at 95 % that it is above 0 takes {needed / 252:.0f} years; there are {len(walk.returns) / 252:.0f}")

# %% [markdown]
# ## Is choosing worth anything?
#
# Cross-validation asks it in all combinations: choose on six of eight parts of the time, look at the other two. `rank` is where the choice stands there among all
# sets, 1 being the best and 0.5 what a coin would do. `pbo` is how often the best of one half of the time is below the median in the other.

# %%
assert len(checked.frame) == 28
print(f"mean rank {checked.frame['rank'].mean():.2f}, probability of overfitting {checked.pbo:.2f}")
checked.frame.group_by("fast", "slow").agg(pl.len().alias("chosen"), pl.col("train").mean(), pl.col("test").mean()).sort("chosen", descending=True)

# %% [markdown]
# None of these numbers knows of strategies that were tried elsewhere and given up. Count them, too.
