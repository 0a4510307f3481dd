"""The recipes of docs/cookbook.md, and what a script has at hand before each of them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

import ml4t_backtest as bt

PAGE = (Path(__file__).parents[1] / "docs" / "cookbook.md").read_text()
ASSETS = ("AAPL", "GOOG", "MSFT", "AMZN")
Names = dict[str, Any]


class Regular(bt.Strategy):
    """Buys every tenth bar and sells five bars later; a stop of 2 % and a target of 3 % may come before."""

    def __init__(self, asset: str = "AAPL", quantity: float = 100, stop_pct: float = 0.02, target_pct: float = 0.03) -> None:
        self.asset, self.quantity, self.bar = asset, quantity, -1
        self.rule = bt.RuleChain(bt.StopLoss(stop_pct), bt.TakeProfit(target_pct))

    def on_start(self, broker: bt.Broker) -> None:
        broker.set_position_rules(self.rule)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: bt.Broker) -> None:
        self.bar += 1
        if self.bar % 10 == 0 and broker.get_position(self.asset) is None:
            broker.submit_order(self.asset, self.quantity)
        elif self.bar % 10 == 5:
            broker.close_position(self.asset)


class Unruled(Regular):
    """The same without rules, for a loop that calls no `on_start`."""

    def on_start(self, broker: bt.Broker) -> None:
        pass


def blocks(text: str) -> dict[str, str]:
    """Return the Python blocks of a page by the heading they stand under; a heading has one at most."""
    found: dict[str, str] = {}
    heading = ""
    for match in re.finditer(r"^#+ ([^\n]*)$|^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        if match[1]:
            heading = match[1]
        else:
            assert heading not in found, heading
            found[heading] = match[2]
    return found


RECIPES, LISTINGS = map(blocks, PAGE.split("\n## Listings\n"))


def times(count: int = 60) -> list[datetime]:
    return [datetime(2024, 1, 2) + timedelta(days=number) for number in range(count)]


def price_frame(level: float = 150.0, swing: float = 12.0, volume: float = 1_000.0) -> pl.DataFrame:
    rows = []
    for number, when in enumerate(times()):
        for place, asset in enumerate(ASSETS):
            close = level + swing * math.sin(number / 6 + place)
            rows.append((when, asset, close - 0.5, close + 1.0, close - 1.0, close, volume))
    return pl.DataFrame(rows, schema=["timestamp", "asset", "open", "high", "low", "close", "volume"], orient="row")


def signal_frame() -> pl.DataFrame:
    plain = price_frame().select("timestamp", "asset", momentum=pl.col("close") / 150 - 1, rsi=pl.col("close") - 100)
    return plain.with_columns(ml_score=pl.col("rsi") / 100, buy=pl.col("momentum") < -0.05, sell=pl.col("momentum") > 0.05)


def engine_of(strategy: bt.Strategy | None = None, **settings: Any) -> bt.Engine:
    return bt.Engine(bt.DataFeed(prices_df=price_frame()), strategy or Regular(), **settings)


def usual_names() -> Names:
    """Return what a script has imported and made before a recipe begins."""
    made = {name: getattr(bt, name) for name in bt.__all__ if name != "run_backtest"}
    feed = bt.DataFeed(prices_df=price_frame())
    return {**made, "pl": pl, "datetime": datetime, "feed": feed, "strategy": Regular(), "engine": engine_of()}


def run_block(block: str, names: Names) -> list[Any]:
    """Execute a block and return the values of the statements that are bare expressions."""
    values = []
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.Expr):
            values.append(eval(compile(ast.Expression(statement.value), "<cookbook>", "eval"), names))
        else:
            exec(compile(ast.Module([statement], []), "<cookbook>", "exec"), names)
    return values


def run_live(block: str) -> tuple[Names, list[Any], bt.BacktestResult]:
    """Execute a block inside `on_data`: margin account, 200 AAPL held since bar 0, a stop order pending, on bar 5 (close 158.9)."""
    names, values = usual_names(), []

    class Live(bt.Strategy):
        bar = -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: bt.Broker) -> None:
            self.bar += 1
            if self.bar == 0:
                broker.submit_order("AAPL", 200)
            if self.bar == 5:
                order = broker.submit_order("AAPL", -50, order_type="stop", stop_price=100.0)
                rebalance = bt.TargetWeightExecutor().execute({"AAPL": 0.3, "MSFT": 0.0005}, data, broker) if "success" in block else None
                names.update(
                    broker=broker, order=order, new_stop=101.0, result=rebalance, position=broker.get_position("AAPL"), asset="AAPL",
                    quantity=10, side="buy", order_type="limit", limit_price=150.0, stop_price=None, take_profit=170.0, stop_loss=140.0,
                    order_id=order.order_id if order else "", updates={"stop_price": 99.0},
                )  # fmt: skip
                values.extend(run_block(block, names))

    result = engine_of(Live(), account_type="margin").run()
    return names, values, result


# What a recipe presumes beyond the usual names, by heading.


def many_results() -> Names:
    def run_backtest(stop_pct: float, target_pct: float) -> bt.BacktestResult:
        return engine_of(Regular(stop_pct=stop_pct, target_pct=target_pct)).run()

    return {"run_backtest": run_backtest}


def figures() -> Names:
    result = engine_of().run()
    summary = {"initial_value": 100.0, "final_value": 121.0, "num_years": 2.0}
    return {"returns": result.to_returns_series(), "equity_curve": result.equity_curve, **summary}


def finished() -> Names:
    return {"result": engine_of().run()}


def signals_on_disk() -> Names:
    signal_frame().write_parquet("ml_signals.parquet")
    return {}


def sessions() -> Names:
    config = bt.SessionConfig(calendar="CME_Equity", timezone="America/Chicago", session_start_time="17:00")
    evening = pl.DataFrame({"timestamp": [datetime(2024, 1, 8, 16, 30), datetime(2024, 1, 8, 17, 30)]})
    return {**finished(), "config": config, "my_df": evening}


def context() -> Names:
    weather = pl.DataFrame({"timestamp": times(), "VIX": [15.0 + number for number in range(60)], "SPY_return": [0.001] * 60})
    return {"prices": price_frame(), "market_context": weather}


GIVEN: dict[str, Callable[[], Names]] = {
    "The loop by hand": lambda: {"datafeed": bt.DataFeed(price_frame()), "strategy": Unruled()},
    "Many results": many_results,
    "Signals at trades": signals_on_disk,
    "On disk": finished,
    "Why positions were closed": finished,
    "Equity curve": lambda: {"portfolio_value": 101_000.0},
    "Performance": figures,
    "Market calendars": lambda: {"df": price_frame()},
    "Profit and loss by session": sessions,
    "The session of every row": sessions,
    "Market-wide values": context,
}
