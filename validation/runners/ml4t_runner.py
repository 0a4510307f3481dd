"""Plays cases in ml4t.backtest 0.2.0: python ml4t_runner.py BATCH_DIR ANSWER_DIR.

A case becomes a `DataFeed` of the rows that have a bar, a strategy that plays the script with the broker's own methods, a
`BacktestConfig` and an `Engine`. `settings["native"]` are fields of that config by their names, in plain values; costs, money and
share type come from the settings that all frameworks share.
"""

from __future__ import annotations

import gc
import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import ml4t.backtest as published
import numpy as np
import polars as pl
from ml4t.backtest import BacktestConfig, DataFeed, Engine, OrderType, RuleChain, StopLoss, Strategy, TakeProfit, TrailingStop
from ml4t.backtest.config import (
    CommissionType,
    EntryOrderPriority,
    ExecutionPrice,
    FillOrdering,
    InitialHwmSource,
    ShareType,
    ShortCashPolicy,
    SlippageType,
    TrailStopTiming,
    WaterMarkSource,
)
from ml4t.backtest.execution import VolumeParticipationLimit
from ml4t.backtest.types import ExecutionMode, OrderSide, StopFillMode, StopLevelBasis

sys.path.insert(0, str(Path(__file__).parent))
from exchange import Answers, Instruction, Job, Market, read_batch

ENUMS: dict[str, Any] = {
    "entry_order_priority": EntryOrderPriority,
    "execution_mode": ExecutionMode,
    "execution_price": ExecutionPrice,
    "fill_ordering": FillOrdering,
    "initial_hwm_source": InitialHwmSource,
    "next_bar_execution_price": ExecutionPrice,
    "short_cash_policy": ShortCashPolicy,
    "stop_fill_mode": StopFillMode,
    "stop_level_basis": StopLevelBasis,
    "trail_hwm_source": WaterMarkSource,
    "trail_stop_timing": TrailStopTiming,
    "commission_type": CommissionType,
}
RULES = {"stop_loss": StopLoss, "take_profit": TakeProfit, "trailing_stop": TrailingStop}
STATUS = {"pending": "open"}


class FollowsScript(Strategy):
    """Does what the script says."""

    def __init__(self, job: Job, times: dict[Any, int]) -> None:
        self.times = times
        self.script: dict[int, list[Instruction]] = defaultdict(list)
        for told in job.script:
            self.script[told.time].append(told)
        self.orders: dict[str, Any] = {}  # label to order
        made = [RULES[name](pct) for name, pct in job.settings.get("rules", {}).items()]
        self.rule = None if not made else made[0] if len(made) == 1 else RuleChain(made)

    def on_start(self, broker: Any) -> None:
        if self.rule is not None:
            broker.set_position_rules(self.rule)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for told in self.script.get(self.times[timestamp], ()):
            if told.verb == "cancel":
                if told.target in self.orders:
                    broker.cancel_order(self.orders[told.target].order_id)
                continue
            made = VERBS[told.verb](broker, told)
            for suffix, order in zip(("", ".target", ".stop"), made if isinstance(made, tuple) else (made,), strict=False):
                if order is not None and told.label:
                    self.orders[told.label + suffix] = order


def bracket(broker: Any, told: Instruction) -> Any:
    """Submit an entry and its two legs."""
    entry = {} if np.isnan(told.limit_price) else {"entry_type": OrderType.LIMIT, "entry_limit": told.limit_price}
    return broker.submit_bracket(
        told.asset, told.quantity, take_profit=told.take_profit, stop_loss=told.stop_loss, validate_prices=False, **entry
    )


def target_quantity(broker: Any, told: Instruction) -> Any:
    """Submit the order for what is missing to a position."""
    position = broker.get_position(told.asset)
    return broker.submit_order(told.asset, told.quantity - (0.0 if position is None else position.quantity))


def trailing_stop(broker: Any, told: Instruction) -> Any:
    """Submit a trailing stop, with a first level when the case names one."""
    level = None if np.isnan(told.stop_price) else told.stop_price
    return broker.submit_order(
        told.asset, told.quantity, order_type=OrderType.TRAILING_STOP, trail_amount=told.trail_amount, stop_price=level
    )


VERBS: dict[str, Any] = {
    "market": lambda broker, told: broker.submit_order(told.asset, told.quantity),
    "limit": lambda broker, told: broker.submit_order(told.asset, told.quantity, order_type=OrderType.LIMIT, limit_price=told.limit_price),
    "stop": lambda broker, told: broker.submit_order(told.asset, told.quantity, order_type=OrderType.STOP, stop_price=told.stop_price),
    "stop_limit": lambda broker, told: broker.submit_order(
        told.asset, told.quantity, order_type=OrderType.STOP_LIMIT, limit_price=told.limit_price, stop_price=told.stop_price
    ),
    "trailing_stop": trailing_stop,
    "bracket": bracket,
    "close": lambda broker, told: broker.close_position(told.asset),
    "target_percent": lambda broker, told: broker.order_target_percent(told.asset, told.quantity),
    "target_value": lambda broker, told: broker.order_target_value(told.asset, told.quantity),
    "target_quantity": target_quantity,
}


def config_of(settings: dict[str, Any]) -> BacktestConfig:
    """Return the config of a case."""
    made: dict[str, Any] = {
        "initial_cash": settings["cash"],
        "share_type": ShareType.FRACTIONAL if settings.get("fractional") else ShareType.INTEGER,
        **({"allow_short_selling": True, "allow_leverage": True} if settings.get("shorts") else {}),
        **commission_of(settings.get("commission")),
        **slippage_of(settings.get("slippage")),
    }
    for name, value in settings.get("native", {}).items():
        made[name] = ENUMS[name](value) if name in ENUMS else value
    return BacktestConfig(**made)


def commission_of(told: dict[str, Any] | None) -> dict[str, Any]:
    """Return the settings of a commission; a minimum and an amount per order count the whole order, over all its fills."""
    if told is None:
        return {}
    if told["kind"] == "percentage":
        return {"commission_type": CommissionType.PERCENTAGE, "commission_rate": told["rate"]}
    if told["kind"] == "per_unit":
        return {
            "commission_type": CommissionType.PER_ORDER_PER_SHARE,
            "commission_per_share": told["amount"],
            "commission_minimum": told.get("minimum", 0.0),
        }
    return {"commission_type": CommissionType.PER_ORDER, "commission_per_trade": told["amount"]}


def slippage_of(told: dict[str, Any] | None) -> dict[str, Any]:
    """Return the settings of a slippage."""
    if told is None:
        return {}
    if told["kind"] == "fixed":
        return {"slippage_type": SlippageType.FIXED, "slippage_fixed": told["amount"]}
    if told["kind"] == "percentage":
        return {"slippage_type": SlippageType.PERCENTAGE, "slippage_rate": told["rate"]}
    return {"slippage_type": SlippageType.VOLUME_BASED, "slippage_rate": told["factor"]}


def feed_of(market: Market) -> DataFeed:
    """Return the rows that have a bar. Times are microseconds, in which Python's own are told; bars of nothing stand in the context."""
    bars, assets = market.close.shape
    there = ~np.isnan(market.close.ravel())
    times = pl.Series(np.repeat(market.times, assets)[there]).cast(pl.Datetime("ns")).cast(pl.Datetime("us"))
    prices = {name: getattr(market, name).ravel()[there] for name in ("open", "high", "low", "close", "volume")}
    frame = pl.DataFrame({"timestamp": times, "asset": np.tile(np.array(market.assets), bars)[there], **prices})
    calendar = pl.DataFrame({"timestamp": pl.Series(market.times).cast(pl.Datetime("ns")).cast(pl.Datetime("us"))})
    return DataFeed(prices_df=frame, context_df=calendar.with_columns(bar=pl.int_range(pl.len())))


def play(job: Job, feed: DataFeed, answers: Answers) -> None:
    """Run a case and read what it left behind."""
    times = dict(zip(feed.timestamps, job.market.times.tolist(), strict=True))
    strategy = FollowsScript(job, times)
    limit = job.settings.get("volume_limit")
    engine = Engine(
        feed,
        strategy,
        config_of(job.settings),
        execution_limits=None if limit is None else VolumeParticipationLimit(max_participation=limit),
    )
    started = time.perf_counter()
    engine.run()
    answers.seconds[job.id] = time.perf_counter() - started
    names = {order.order_id: label for label, order in strategy.orders.items()}
    for fill in engine.broker.fills:
        signed = fill.quantity if fill.side is OrderSide.BUY else -fill.quantity
        numbers = (signed, fill.price, fill.commission, fill.slippage)
        answers.fills.append((job.id, times[fill.timestamp], fill.asset, *numbers, names.get(fill.order_id)))
    for trade in engine.broker.trades:
        numbers = (trade.quantity, trade.entry_price, trade.exit_price, trade.pnl, trade.fees)
        answers.trades.append((job.id, trade.symbol, times[trade.entry_time], times[trade.exit_time], *numbers))
    for state in engine.portfolio_state:
        answers.equity.append((job.id, times[state[0]], state[2], state[1]))
    for label, order in strategy.orders.items():
        signed = order.filled_quantity if order.side is OrderSide.BUY else -order.filled_quantity
        answers.orders.append((job.id, label, STATUS.get(order.status.value, order.status.value), signed))


def main(batch: Path, answer: Path) -> None:
    """Play a batch."""
    answers = Answers(versions={"ml4t-backtest": published.__version__, "numpy": np.__version__, "polars": pl.__version__})
    feeds: dict[str, DataFeed] = {}
    gc.disable()  # a pause belongs to no case
    for job in read_batch(batch):
        if job.market.name not in feeds:
            feeds = {job.market.name: feed_of(job.market)}
            gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            play(job, feeds[job.market.name], answers)
    answers.write(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
