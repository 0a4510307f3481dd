"""A case in our engine."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from ml4t_backtest import DataFeed, Engine, RuleChain, StopLoss, Strategy, TakeProfit, TrailingStop, __version__
from ml4t_kernels.codes import TradeStatus
from validation.runners.exchange import Answers, Instruction, Job, Market
from validation.suite.framework import Plan

__all__ = ["FollowsScript", "bars_of", "position_rules", "run_here"]

_STATUS = {"pending": "open", "partially_filled": "open"}
_EPOCH = datetime(1970, 1, 1)


class FollowsScript(Strategy):
    """Does what the script of a job says.

    reduce_only: of all orders but `close` and the legs of brackets; None lets the engine decide from the position.
    """

    reduce_only: bool | None = None

    def __init__(self, job: Job) -> None:
        self.labels: dict[str, str] = {}  # label of an instruction to the id of its order
        self._todo: dict[int, list[Instruction]] = defaultdict(list)
        for instruction in job.script:
            self._todo[instruction.time].append(instruction)
        self._times = job.market.times.tolist()
        self._bar = 0
        self._rule = position_rules(job.settings.get("rules", {}))

    def on_start(self, broker: Any) -> None:
        """Set the rules of the case."""
        if self._rule is not None:
            broker.set_position_rules(self._rule)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Play the bar's instructions."""
        for instruction in self._todo.get(self._times[self._bar], ()):
            self.play(broker, instruction)
        self._bar += 1

    def play(self, broker: Any, told: Instruction) -> None:
        """Play one instruction."""
        if told.verb == "cancel":
            if told.target in self.labels:
                broker.cancel_order(self.labels[told.target])
            return
        made = getattr(self, f"_{told.verb}")(broker, told)
        for suffix, order in zip(("", ".target", ".stop"), made if isinstance(made, (list, tuple)) else (made,), strict=False):
            if order is not None and told.label:
                self.labels[told.label + suffix] = order.order_id

    def _order(self, broker: Any, told: Instruction, order_type: str, **prices: float) -> Any:
        terms: dict[str, Any] = {"reduce_only": self.reduce_only, **prices}
        if told.good_till:
            terms["good_till"] = _EPOCH + timedelta(microseconds=told.good_till // 1000)
        if told.target in self.labels:
            terms["oco"] = self.labels[told.target]
        return broker.submit_order(told.asset, told.quantity, order_type=order_type, **terms)

    def _market(self, broker: Any, told: Instruction) -> Any:
        return self._order(broker, told, "market")

    def _limit(self, broker: Any, told: Instruction) -> Any:
        return self._order(broker, told, "limit", limit_price=told.limit_price)

    def _stop(self, broker: Any, told: Instruction) -> Any:
        return self._order(broker, told, "stop", stop_price=told.stop_price)

    def _stop_limit(self, broker: Any, told: Instruction) -> Any:
        return self._order(broker, told, "stop_limit", stop_price=told.stop_price, limit_price=told.limit_price)

    def _trailing_stop(self, broker: Any, told: Instruction) -> Any:
        name = "trail_percent" if np.isnan(told.trail_amount) else "trail_amount"
        level = {} if np.isnan(told.stop_price) else {"stop_price": told.stop_price}
        return self._order(broker, told, "trailing_stop", **{name: getattr(told, name)}, **level)

    def _bracket(self, broker: Any, told: Instruction) -> Any:
        entry: dict[str, Any] = {} if np.isnan(told.limit_price) else {"entry_type": "limit", "entry_limit": told.limit_price}
        prices = {"take_profit": told.take_profit, "stop_loss": told.stop_loss}
        return broker.submit_bracket(told.asset, told.quantity, validate_prices=False, **prices, **entry)

    def _close(self, broker: Any, told: Instruction) -> Any:
        return broker.close_position(told.asset)

    def _target_percent(self, broker: Any, told: Instruction) -> Any:
        return broker.order_target_percent(told.asset, told.quantity)

    def _target_value(self, broker: Any, told: Instruction) -> Any:
        return broker.order_target_value(told.asset, told.quantity)

    def _target_quantity(self, broker: Any, told: Instruction) -> Any:
        return broker.order_target_quantity(told.asset, told.quantity)


def position_rules(named: Mapping[str, float]) -> Any:
    """Return the rule that the settings of a job name, the first to be looked at first; None without."""
    made = {"stop_loss": StopLoss, "take_profit": TakeProfit, "trailing_stop": TrailingStop}
    rules = [made[name](pct) for name, pct in named.items()]
    if not rules:
        return None
    return rules[0] if len(rules) == 1 else RuleChain(rules)


def bars_of(market: Market) -> pl.DataFrame:
    """Return the bars of a market as a long frame."""
    bars, assets = market.close.shape
    return pl.DataFrame(
        {
            "timestamp": pl.Series(np.repeat(market.times, assets)).cast(pl.Datetime("ns")),
            "asset": np.tile(np.array(market.assets), bars),
            **{name: getattr(market, name).ravel() for name in ("open", "high", "low", "close", "volume")},
        }
    )


def run_here(job: Job, plan: Plan, answers: Answers, feed: DataFeed | None = None) -> Any:
    """Run a case and add what came out. Returns the result."""
    strategy = FollowsScript(job) if plan.strategy is None else plan.strategy(job)
    feed = DataFeed(prices_df=bars_of(job.market)) if feed is None else feed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine = Engine(feed, strategy, plan.config, events=_events(job), **plan.keywords)
        started = time.perf_counter()
        result = engine.run()
    answers.seconds[job.id] = time.perf_counter() - started
    answers.versions = {"ml4t_backtest": __version__}
    _collect(job, plan, engine, strategy, answers)
    return result


def _events(job: Job) -> pl.DataFrame | None:
    if not job.market.events:
        return None
    frame = pl.DataFrame(job.market.events, orient="row", schema=["timestamp", "asset", "kind", "value"])
    return frame.with_columns(pl.col("timestamp").cast(pl.Datetime("ns")))


def _trades(rows: Any, *, whole: bool) -> Iterator[list[Any]]:
    """Yield what counts as one trade: every row, or all rows of a position from its opening to its end."""
    parts: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        parts[row["asset"]].append(row)
        if not whole or row["status"] == TradeStatus.CLOSED:
            yield parts.pop(row["asset"])


def _one_trade(rows: list[Any], *, average_entry: bool) -> tuple[int, int, float, float, float, float, float]:
    """Sum up the parts of a trade: entry price of the last part or the average, average exit price."""
    last = rows[-1]
    quantity, pnl, commission = (sum(float(row[name]) for row in rows) for name in ("quantity", "pnl", "commission"))
    entry_price, exit_price = float(last["entry_price"]), float(last["exit_price"])
    if len(rows) > 1:
        exit_price = sum(float(row["quantity"] * row["exit_price"]) for row in rows) / quantity
    if len(rows) > 1 and average_entry:
        entry_price = sum(float(row["quantity"] * row["entry_price"]) for row in rows) / quantity
    return int(rows[0]["entry_time"]), int(last["exit_time"]), quantity, entry_price, exit_price, pnl, commission


def _collect(job: Job, plan: Plan, engine: Engine, strategy: Any, answers: Answers) -> None:
    """Read the ledger: whole numbers of ns and unrounded prices."""
    store, assets = engine._store, job.market.assets
    names = {order_id: label for label, order_id in getattr(strategy, "labels", {}).items()}
    fills = []
    for row in store.used_fills():
        label = names.get(f"ORD-{row['order_id']}")
        fills.append(
            (
                job.id,
                int(row["timestamp"]),
                assets[row["asset"]],
                float(row["quantity"]),
                float(row["price"]),
                float(row["commission"]),
                float(row["slippage"]),
                label,
            )
        )
    answers.fills.extend(sorted(fills, key=lambda row: (row[1], row[-1] or "")) if plan.by_label else fills)
    for rows in _trades(store.used_trades(), whole=plan.flat_to_flat):
        answers.trades.append((job.id, assets[rows[-1]["asset"]], *_one_trade(rows, average_entry=plan.average_entry)))
    bars = store.bars
    for time_of, cash, value in zip(bars["time"].tolist(), bars["cash"].tolist(), bars["equity"].tolist(), strict=True):
        answers.equity.append((job.id, time_of, cash, value))
    for order in engine.broker.orders:
        label = names.get(order.order_id)
        if label is not None:
            status = order.status.value
            signed = order.filled_quantity if order.side.value == "buy" else -order.filled_quantity
            answers.orders.append((job.id, label, _STATUS.get(status, status), signed))
