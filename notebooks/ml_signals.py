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
# # From a model's predictions to trades, and back
#
# A small model ranks twenty stocks by what it expects of the next month. The notebook makes its features, trains it window by window, hands the
# predictions to the backtester as a signal, and then looks at the trades through the predictions they came from. It needs scikit-learn
# (`pip install scikit-learn`). The model is plain; what counts is that no number knows more than it could have known on its day.

# %%
import numpy as np
import polars as pl
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml4t_backtest import ArrayStrategy, DataFeed, Engine, RollingWindows, enrich_trades_with_signals, sample_data

prices = sample_data.load("us_stocks").filter(pl.col("timestamp").is_between(pl.datetime(2012, 1, 1), pl.datetime(2018, 12, 31)))
prices.head(3)

# %% [markdown]
# ## Features and a label
#
# Features look back: returns over a week, a month, a quarter and a year, and the volatility of the last month. The label looks ahead: the return of the next 21
# days, less that of the average stock. It is the only column that knows the future, and it never leaves the training window.

# %%
HORIZON = 21
FEATURES = [f"return_{days}" for days in (5, 21, 63, 252)] + ["volatility_21"]

change = pl.col("close") / pl.col("close").shift(1) - 1.0
table = (
    prices.sort("symbol", "timestamp")
    .with_columns(
        *((pl.col("close") / pl.col("close").shift(days) - 1.0).over("symbol").alias(f"return_{days}") for days in (5, 21, 63, 252)),
        change.rolling_std(21).over("symbol").alias("volatility_21"),
        (pl.col("close").shift(-HORIZON) / pl.col("close") - 1.0).over("symbol").alias("ahead"),
    )
    .with_columns((pl.col("ahead") - pl.col("ahead").mean().over("timestamp")).alias("label"))
    .drop_nulls(FEATURES)
)
table.select("timestamp", "symbol", *FEATURES).tail(3)

# %% [markdown]
# ## Training window by window
#
# Two years to train on, a quarter to predict, then a quarter on. A label reaches 21 days past its own day, so the last 21 days before a test are **purged**
# from its training: their labels know prices of the test.

# %%
feed = DataFeed(prices.join(table.select("timestamp").unique(), on="timestamp", how="semi"))
windows = RollingWindows(train=504, test=63, purge=HORIZON).split(feed)
days = np.array(feed.panels.times).astype("datetime64[ns]")


def rows_of(bars):
    """Return the rows of the table on some bars of the feed."""
    wanted = pl.Series("timestamp", days[bars]).cast(pl.Datetime("us"))
    return table.join(wanted.to_frame(), on="timestamp", how="semi")


parts = []
for window in windows:
    train, test = rows_of(window.train).drop_nulls("label"), rows_of(window.test)
    assert window.test[0] - window.train[-1] > HORIZON
    model = make_pipeline(StandardScaler(), Ridge(alpha=100.0))
    model.fit(train.select(FEATURES).to_numpy(), train["label"].to_numpy())
    parts.append(test.select("timestamp", "symbol", pl.Series("prediction", model.predict(test.select(FEATURES).to_numpy()))))

predictions = pl.concat(parts)
assert predictions.select("timestamp", "symbol").is_unique().all()
predictions.head(3)

# %% [markdown]
# ## Signals to trades
#
# Predictions are a frame with a row per day and stock; the feed takes it next to the prices. The strategy holds the five best, looks once a week, and trades on the
# next bar.

# %%
TOP = 5


class TopOfTheList(ArrayStrategy):
    def on_start(self, broker):
        self.bar = 0

    def on_arrays(self, timestamp, rows, context, broker):
        self.bar += 1
        prediction = rows.signal("prediction")
        if self.bar % 5 or np.isnan(prediction).all():
            return
        weights = np.zeros(len(rows.assets))
        weights[np.argsort(-np.nan_to_num(prediction, nan=-np.inf))[:TOP]] = 0.98 / TOP
        broker.order_target_weights(weights)


tested = prices.join(predictions.select("timestamp").unique(), on="timestamp", how="semi")
settings = {"execution_mode": "next_bar", "commission_type": "percentage", "commission_rate": 0.0005}
result = Engine(DataFeed(tested, signals_df=predictions), TopOfTheList(), **settings).run()
result

# %% [markdown]
# ## Trades, seen through the predictions
#
# `enrich_trades_with_signals` puts the latest prediction known at entry and exit next to each trade. Orders of this run fill on the bar after the decision, so a
# prediction of the very day of the fill was not known yet: `allow_exact_matches=False` leaves it out.

# %%
trades = enrich_trades_with_signals(result.to_trades_dataframe(), predictions, ["prediction"], allow_exact_matches=False)

assert trades["entry_prediction"].is_not_null().all()
(
    trades.filter(pl.col("status") == "closed")
    .with_columns((1 + (pl.col("entry_prediction").rank("ordinal") - 1) * 4 // pl.len()).alias("quarter"))
    .group_by("quarter")
    .agg(
        pl.col("entry_prediction").mean().alias("predicted"),
        pl.len().alias("trades"),
        pl.col("pnl_percent").mean().alias("mean_return"),
        (pl.col("pnl") > 0).mean().alias("won"),
    )
    .sort("quarter")
)

# %% [markdown]
# ## Is it the model?
#
# Two numbers say more than an equity curve. The *information coefficient* is the rank correlation of predictions with what came, day by day. And the same strategy on the
# same days with shuffled predictions shows what twenty stocks in a rising market earn without any model.

# %%
judged = predictions.join(table.select("timestamp", "symbol", "label"), on=["timestamp", "symbol"]).drop_nulls()
daily = judged.group_by("timestamp").agg(pl.corr("prediction", "label", method="spearman").alias("ic")).drop_nans()
independent = len(daily) / HORIZON  # labels of neighbouring days overlap
error = daily["ic"].std() / independent**0.5
print(f"information coefficient {daily['ic'].mean():.3f}, about {error:.3f} of it noise")

random = np.random.default_rng(0)
luck = []
for _ in range(5):
    shuffled = predictions.with_columns(pl.Series("prediction", random.permutation(predictions["prediction"].to_numpy())))
    luck.append(Engine(DataFeed(tested, signals_df=shuffled), TopOfTheList(), **settings).run()["sharpe"])
print(f"Sharpe ratio {result['sharpe']:.2f}; with shuffled predictions {min(luck):.2f} to {max(luck):.2f}")
assert len(luck) == 5

# %% [markdown]
# What to do about the answer is the rest of the work. If shuffled predictions do as well, the model has earned nothing, whatever its curve looks like.
