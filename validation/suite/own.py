"""A strategy of the user's: recorded here, then played natively by a framework."""

from __future__ import annotations

import importlib.util
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ml4t_backtest import DataFeed, Engine, Order, OrderReason, OrderType
from validation.runners.exchange import Instruction, Job, Market
from validation.suite.framework import Framework
from validation.suite.work import Score, play_groups

__all__ = ["compare_strategy"]

_PRICES = ("limit_price", "stop_price", "trail_amount", "trail_percent")
_VERBS = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop",
    OrderType.STOP_LIMIT: "stop_limit",
    OrderType.TRAILING_STOP: "trailing_stop",
}


def compare_strategy(framework: Framework, path: Path) -> list[Score]:
    """Compare what a file's strategy does here with what a framework makes of the same orders.

    The file defines `prices` (a long frame as for `DataFeed`), `strategy` (a class or a function that makes one) and, if it
    likes, `settings` (as in `validation/runners/exchange.py`; 100,000 in cash and no costs without). Raises ValueError for a file without
    them, and for orders that no script can repeat, naming them.
    """
    module = _loaded(path)
    settings = {"cash": 100_000.0, **getattr(module, "settings", {})}
    feed = DataFeed(prices_df=module.prices, signals_df=getattr(module, "signals", None))
    job = Job(path.stem, _market(path.stem, feed), settings, ())
    scores = []
    for engine in framework.engines:
        script = _recorded(module, feed, replace(job, id=f"{path.stem} {engine}".strip()), framework, engine)
        refused = framework.refuses(script)
        if refused:
            raise ValueError(f"{framework.title} cannot play {path.name}: {refused}")
        scores += play_groups(replace(framework, engines=(engine,)), {path.name: [script]})
    return scores


def _loaded(path: Path) -> Any:
    if not path.exists():
        raise ValueError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("prices", "strategy"):
        if not hasattr(module, name):
            raise ValueError(f"{path} defines no `{name}`; it needs `prices` (a frame) and `strategy` (a class or a function)")
    return module


def _market(name: str, feed: DataFeed) -> Market:
    panels = feed.panels
    prices = {column: np.array(panels.prices[column], copy=True) for column in ("open", "high", "low", "close", "volume")}
    if not panels.has_volume:
        prices["volume"] = np.where(np.isnan(prices["close"]), np.nan, 1e9)
    return Market(name, tuple(panels.assets), np.array(panels.times), **prices)


def _recorded(module: Any, feed: DataFeed, job: Job, framework: Framework, engine: str) -> Job:
    """Run the strategy as the framework's preset does and write down its orders."""
    plan = framework.plan_for(job, engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Engine(feed, module.strategy(), plan.config, **plan.keywords)
        run.run()
    orders = run.broker.orders
    if not orders:
        raise ValueError(f"the strategy of {job.id!r} submitted no order, so there is nothing to compare")
    script: list[Instruction] = []
    legs: dict[str, list[Order]] = {}
    for order in orders:
        if order.parent_id is not None:
            legs.setdefault(order.parent_id, []).append(order)
    for row, order in enumerate(orders):
        record = run._store.orders[row]
        if order.parent_id is None:
            script.append(_instruction(order, record, legs.get(order.order_id, [])))
        if order.reason is OrderReason.CANCELLED_BY_USER:
            label = order.order_id
            script.append(Instruction(int(record["closed_at"]), order.asset, "cancel", target=label))
    # Orders of a bar keep their order; what was cancelled on a bar had been submitted before.
    return replace(job, script=tuple(sorted(script, key=lambda told: told.time)))


def _instruction(order: Order, record: Any, legs: list[Order]) -> Instruction:
    """Return the instruction that repeats an order. Raises ValueError where there is none."""
    verb = _VERBS.get(order.order_type)
    told = f"order {order.order_id} ({order.order_type.value} of {order.asset} at {order.created_at})"
    if record["rule"]:
        raise ValueError(f"{told} is the exit of a position rule; name rules in `settings` instead")
    if verb is None or order.time_in_force.value != "gtc" or (record["sibling_id"] and not legs):
        raise ValueError(f"{told}: on-open and on-close orders, times in force and groups made by hand cannot be repeated")
    if record["active_bar"] != record["created_bar"]:
        raise ValueError(f"{told} was updated after its submission, which cannot be repeated")
    prices = {name: math.nan if (value := getattr(order, name)) is None else float(value) for name in _PRICES}
    quantity = float(record["quantity"])
    base = Instruction(int(record["created_at"]), order.asset, verb, quantity, **prices, label=order.order_id)
    if not legs:
        return base._replace(stop_price=math.nan) if verb == "trailing_stop" else base
    target = next((leg for leg in legs if leg.order_type is OrderType.LIMIT), None)
    stop = next((leg for leg in legs if leg.order_type is OrderType.STOP), None)
    if len(legs) != 2 or target is None or stop is None or verb not in ("market", "limit"):
        raise ValueError(f"{told}: of orders that wait for others only brackets with a target and a stop can be repeated")
    return base._replace(verb="bracket", take_profit=float(target.limit_price or 0.0), stop_loss=float(stop.stop_price or 0.0))
