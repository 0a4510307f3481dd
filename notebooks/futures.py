# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Futures
#
# Contracts with a multiplier, margins of your own table, the daily variation in cash, and a margin call.
#
# **The prices are a stand-in.** The sample data has the S&P 500 index, not the E-mini future. An index has no delivery months, no
# rolls and no basis, and it cannot be traded. We give it the multiplier of the E-mini (50) to show the mechanics in numbers of the
# right size. The asset keeps the name `SP500`, so that no table below says `ES`.

# %%
import tempfile
from pathlib import Path

import polars as pl

from ml4t_backtest import DataFeed, Engine, FuturesCommission, Strategy, apply_margins, get_contract_spec, sample_data

pl.Config.set_fmt_str_lengths(40)
pl.Config.set_tbl_rows(12)

prices = sample_data.load("sp500").filter(pl.col("timestamp").dt.year() == 2008)
feed = DataFeed(prices)
prices.select("timestamp", "symbol", "open", "high", "low", "close").head(3)

# %% [markdown]
# ## The contract
#
# `get_contract_spec` knows the multipliers, ticks and currencies of common futures. It finds delivery months too: `ESH5` is a
# contract of `ES`.

# %%
es = get_contract_spec("ES")

assert es.multiplier == 50.0 and es.tick_size == 0.25 and es.tick_value == 12.5
assert get_contract_spec("ESH5") == es
assert es.margin is None
es

# %% [markdown]
# The bundled contracts have **no margins**. Clearing houses and brokers change theirs often, so a number that travels with a library
# would be wrong soon. Give your own: a table with a row per product, as a file, a frame or a dict.
#
# The numbers below are made up for this example. They are nobody's margins, of today or of 2008.

# %%
scratch = tempfile.TemporaryDirectory()
table = Path(scratch.name) / "margins.csv"
table.write_text("product,initial,maintenance\nES,12000,10000\n")

specs = apply_margins({"SP500": es}, table)  # the asset of the feed, and the contract behind it

assert (specs["SP500"].margin, specs["SP500"].maintenance_margin) == (12_000.0, 10_000.0)
assert specs["SP500"].symbol == "ES"


# %% [markdown]
# ## Buying two contracts
#
# In a `futures` account a purchase pays no notional. It needs the initial margin, out of what the account value exceeds the
# requirements of the positions held. The strategy keeps a diary of what the broker says.
#
# Contracts of the registry trade whole; `share_type="integer"` says so for every asset of the account.


# %%
class BuyOnce(Strategy):
    def __init__(self, contracts):
        self.contracts = contracts
        self.diary = []

    def on_data(self, timestamp, data, context, broker):
        if not broker.orders:
            self.order = broker.submit_order("SP500", self.contracts)
        position = broker.get_position("SP500")
        self.diary.append(
            {
                "timestamp": timestamp,
                "close": data["SP500"]["close"],
                "contracts": 0.0 if position is None else position.quantity,
                "initial margin": broker.account.initial_requirement,
                "maintenance margin": broker.account.maintenance_requirement,
            }
        )


def run(contracts, cash, **settings):
    strategy = BuyOnce(contracts)
    settings = {"account_type": "futures", "share_type": "integer", "contract_specs": specs} | settings
    result = Engine(feed, strategy, initial_cash=cash, commission_model=FuturesCommission(per_block=2.25), **settings).run()
    return result, strategy


result, strategy = run(contracts=2, cash=100_000.0)
result

# %% [markdown]
# `per_block` is the commission per contract: 2 contracts at 2.25.

# %%
diary = pl.DataFrame(strategy.diary)
equity = result.to_equity_dataframe()
days = diary.join(equity.select("timestamp", "cash", "equity"), on="timestamp").with_columns(
    pl.col("close").diff().alias("change"), pl.col("cash").diff().alias("variation")
)

assert result["total_commission"] == 2 * 2.25
assert days["cash"][0] == 100_000.0 - 4.5  # no notional was paid, and the margin is not taken off the cash
assert days["initial margin"][1] == 2 * 12_000.0 and days["maintenance margin"][1] == 2 * 10_000.0
days.select("timestamp", "close", "change", "contracts", "initial margin", "cash", "variation").head(6)

# %% [markdown]
# The margin is a claim on the cash, not a payment: cash stays, but what serves as margin cannot serve a second time.
#
# Gains and losses are settled into cash at the end of each session. On daily bars each bar is a session: the variation of a day is
# contracts x change of the close x 50, and after it the cash is the account value.

# %%
held = days.slice(1)  # bought at the first close, so the first change is that of the second day

assert ((held["variation"] - 2 * held["change"] * 50.0).abs() < 1e-6).all()
assert (days["cash"] == days["equity"]).all()

monthly = days.group_by_dynamic("timestamp", every="1mo").agg(pl.col("variation").sum(), pl.col("cash").last())
monthly.with_columns(pl.lit("█").repeat_by((pl.col("cash") / 5_000).round().cast(pl.UInt32)).list.join("").alias("cash, █ = 5,000"))

# %% [markdown]
# The position is still open, so its trade has the status `open`. Its P&L is that of the whole holding period, whatever was settled in
# between, and includes the multiplier.

# %%
trade = result.to_trades_dataframe().row(0, named=True)

assert trade["status"] == "open" and trade["multiplier"] == 50.0
assert abs(trade["pnl"] - (result["final_value"] - 100_000.0)) < 1e-6
assert abs(trade["pnl"] - ((trade["exit_price"] - trade["entry_price"]) * 2 * 50.0 - 4.5)) < 1e-6
{name: trade[name] for name in ("entry_price", "exit_price", "quantity", "multiplier", "pnl", "status")}

# %% [markdown]
# Without `contract_specs` the multiplier is 1. Nothing is looked up by the name of an asset, as some stocks have the ticker of a
# future. A P&L that is 50 times too small is the sign of it.

# %%
forgotten, _ = run(2, 100_000.0, contract_specs=None, initial_margin_per_contract=12_000.0, maintenance_margin_per_contract=10_000.0)
small = forgotten.to_trades_dataframe().row(0, named=True)

assert small["multiplier"] == 1.0
assert abs(small["gross_pnl"] * 50.0 - trade["gross_pnl"]) < 1e-6

# %% [markdown]
# ## Too many contracts
#
# Three contracts need 36,000 of initial margin. With 30,000 the order is refused, with the numbers.

# %%
refused, strategy = run(contracts=3, cash=30_000.0)

assert strategy.order.status.value == "rejected"
assert refused.to_fills_dataframe().is_empty()
print(strategy.order.rejection_reason)
refused.to_orders_dataframe().select("order_id", "quantity", "status", "reason", "need", "have")

# %% [markdown]
# ## A margin call
#
# Two contracts fit: 24,000 of 30,000. Then 2008 goes on. When the account value is below the maintenance margin, positions are reduced
# until it is covered: by whole contracts here, at the close of the day, as this engine trades on the same bar.

# %%
called, strategy = run(contracts=2, cash=30_000.0)
calls = called.to_trades_dataframe()

assert calls["exit_reason"].to_list() == ["margin_call", "margin_call"]
assert calls["quantity"].to_list() == [1.0, 1.0]
assert calls["status"].to_list() == ["partial", "closed"]
calls.select("exit_time", "quantity", "entry_price", "exit_price", "pnl", "exit_reason", "status")

# %% [markdown]
# The alerts frame has one row per call: the account value that was found, and the requirement that it did not cover.

# %%
alerts = called.to_alerts_dataframe()

assert alerts["limit"].to_list() == ["margin_call", "margin_call"]
assert alerts["threshold"].to_list() == [20_000.0, 10_000.0]  # two contracts, then one
assert (alerts["value"] < alerts["threshold"]).all()
assert alerts["timestamp"].to_list() == calls["exit_time"].to_list()
alerts

# %% [markdown]
# The diary of the days around the first call. The strategy is asked after the check and before the sale, so on the day of the call it
# still sees two contracts.

# %%
first = alerts["timestamp"][0]
diary = pl.DataFrame(strategy.diary).join(called.to_equity_dataframe().select("timestamp", "cash"), on="timestamp")
place = diary["timestamp"].to_list().index(first)

assert diary["contracts"][place] == 2.0 and diary["contracts"][place + 1] == 1.0
diary.slice(place - 2, 5)

# %% [markdown]
# ## What to do about a call
#
# `margin_call` says what happens: `restore` (the default, above), `liquidate` closes everything, `ignore` records the alert and does
# nothing else. `ignore` lets an account lose more than it has, which real ones do not get to choose.
#
# `margin_call_check="intrabar"` looks at the worst price of each bar, not only at the close, and trades there.

# %%
ways = {
    "restore": {},
    "liquidate": {"margin_call": "liquidate"},
    "ignore": {"margin_call": "ignore"},
    "restore, next open": {"execution_mode": "NEXT_BAR"},
    "restore, intrabar": {"margin_call_check": "intrabar"},
}
runs = {name: run(2, 30_000.0, **settings)[0] for name, settings in ways.items()}
table = pl.DataFrame(
    [
        {
            "way": name,
            "first call": run_of["trades"][0].exit_time if name != "ignore" else None,
            "alerts": run_of.to_alerts_dataframe().height,
            "lowest value": run_of.to_equity_dataframe()["equity"].min(),
            "final value": run_of["final_value"],
        }
        for name, run_of in runs.items()
    ]
)

assert runs["liquidate"].to_trades_dataframe()["quantity"].to_list() == [2.0]
assert runs["liquidate"].to_trades_dataframe()["exit_reason"].to_list() == ["margin_call"]
assert runs["ignore"].to_equity_dataframe()["equity"].min() < 0.0
assert runs["ignore"].to_trades_dataframe()["status"].to_list() == ["open"]
assert runs["restore, intrabar"]["trades"][0].exit_time <= runs["restore"]["trades"][0].exit_time
table
