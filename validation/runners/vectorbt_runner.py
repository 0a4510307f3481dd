"""Plays a batch in VectorBT: python vectorbt_runner.py BATCH ANSWER [numba | rust].

A script of signals runs through `Portfolio.from_signals`, any other through `Portfolio.from_orders`; at most one instruction
per bar and asset. With several assets the cash is shared and the columns take their turns in order, unless `native` says
otherwise. `native` holds further arguments of those two methods.
"""

from __future__ import annotations

import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from exchange import Answers, Job, read_batch

_SIGNALS = {"long_entry": "entries", "long_exit": "exits", "short_entry": "short_entries", "short_exit": "short_exits"}
_SIZES = {
    "market": "amount",
    "target_percent": "targetpercent",
    "target_value": "targetvalue",
    "target_quantity": "targetamount",
    "close": "targetamount",
}
_TYPES = {name: number for number, name in enumerate(("amount", "value", "percent", "targetamount", "targetvalue", "targetpercent"))}
_BUY = 0


def play(job: Job, engine: str, answers: Answers) -> None:
    """Run one case and note everything that came out."""
    market, settings = job.market, job.settings
    index = pd.DatetimeIndex(market.times.astype("datetime64[ns]"))
    prices = {
        name: pd.DataFrame(getattr(market, name), index=index, columns=list(market.assets)) for name in ("open", "high", "low", "close")
    }
    shared = len(market.assets) > 1
    fees = settings.get("commission", {})
    slippage = settings.get("slippage", {})
    keywords: dict[str, Any] = {
        "close": prices["close"],
        "init_cash": settings["cash"],
        "fees": fees.get("rate", 0.0),
        "fixed_fees": fees.get("fixed", fees.get("amount", 0.0)),
        "slippage": slippage.get("rate", 0.0),
        "size_granularity": None if settings.get("fractional") else 1.0,
        "cash_sharing": shared,
        "group_by": shared,
        "engine": engine,
        "freq": "1D",
        **settings.get("native", {}),
    }
    keywords = {name: value for name, value in keywords.items() if value is not None}
    signals = any(told.verb in _SIGNALS for told in job.script)
    arrays = _signals(job, prices) if signals else _orders(job)
    method = vbt.Portfolio.from_signals if signals else vbt.Portfolio.from_orders
    started = time.perf_counter()
    portfolio = method(**keywords, **arrays)
    answers.seconds[job.id] = time.perf_counter() - started
    _collect(job, portfolio, answers)


def _places(job: Job) -> tuple[dict[int, int], dict[str, int]]:
    return {int(when): row for row, when in enumerate(job.market.times)}, {asset: column for column, asset in enumerate(job.market.assets)}


def _signals(job: Job, prices: dict[str, pd.DataFrame]) -> dict[str, Any]:
    rows, columns = _places(job)
    shape = job.market.close.shape
    arrays: dict[str, Any] = {name: np.zeros(shape, dtype=bool) for name in _SIGNALS.values()}
    sizes = np.full(shape, np.inf)
    for told in job.script:
        place = rows[told.time], columns[told.asset]
        arrays[_SIGNALS[told.verb]][place] = True
        if not np.isnan(told.quantity):
            sizes[place] = told.quantity
    arrays["size"] = sizes
    rules = job.settings.get("rules", {})
    if rules:
        arrays |= {name: prices[name] for name in ("open", "high", "low")}
        arrays["sl_stop"] = rules.get("stop_loss", rules.get("trailing_stop", np.nan))
        arrays["sl_trail"] = "trailing_stop" in rules
        arrays["tp_stop"] = rules.get("take_profit", np.nan)
    return arrays


def _orders(job: Job) -> dict[str, Any]:
    rows, columns = _places(job)
    shape = job.market.close.shape
    sizes, kinds = np.full(shape, np.nan), np.zeros(shape, dtype=int)
    for told in job.script:
        place = rows[told.time], columns[told.asset]
        if not np.isnan(sizes[place]):
            raise ValueError(f"{job.id}: two instructions for {told.asset} on one bar")
        sizes[place] = 0.0 if told.verb == "close" else told.quantity
        kinds[place] = _TYPES[_SIZES[told.verb]]
    return {"size": sizes, "size_type": kinds}


def _collect(job: Job, portfolio: Any, answers: Answers) -> None:
    assets, times = job.market.assets, job.market.times
    labels = {(told.time, told.asset): told.label or None for told in job.script}
    for order in portfolio.order_records:
        when, asset = int(times[order["idx"]]), assets[order["col"]]
        size = float(order["size"]) if order["side"] == _BUY else -float(order["size"])
        answers.fills.append((job.id, when, asset, size, float(order["price"]), float(order["fees"]), None, labels.get((when, asset))))
    for trade in portfolio.exit_trades.records_arr:
        if trade["status"] != 1:
            continue
        size = float(trade["size"]) if trade["direction"] == 0 else -float(trade["size"])
        answers.trades.append(
            (
                job.id,
                assets[trade["col"]],
                int(times[trade["entry_idx"]]),
                int(times[trade["exit_idx"]]),
                size,
                float(trade["entry_price"]),
                float(trade["exit_price"]),
                float(trade["pnl"]),
                float(trade["entry_fees"] + trade["exit_fees"]),
            )
        )
    cash, value = np.ravel(portfolio.cash().to_numpy()), np.ravel(portfolio.value().to_numpy())
    for row, when in enumerate(times):
        answers.equity.append((job.id, int(when), float(cash[row]), float(value[row])))


def main() -> None:
    """Play every case of the batch."""
    warnings.simplefilter("ignore")
    batch, folder = Path(sys.argv[1]), Path(sys.argv[2])
    engine = sys.argv[3] if len(sys.argv) > 3 else "numba"
    answers = Answers(versions={"vectorbt": version("vectorbt"), "vectorbt-rust": version("vectorbt-rust"), "numba": version("numba")})
    for job in read_batch(batch):
        play(job, engine, answers)
    answers.write(folder)


if __name__ == "__main__":
    main()
