"""Honest strategies and ones that look ahead, over small feeds."""

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t_backtest import ArrayStrategy, BacktestConfig, DataFeed, Strategy
from tests.studies.strategies import walk

__all__ = ["NEXT", "PRICES", "Averages", "GlobalPeek", "HeldPeek", "RowPeek", "SignalPeek", "honest_signals", "trade"]

NEXT = BacktestConfig(execution_mode="next_bar")
PRICES = walk(40)


def trade(broker: Any, asset: str, up: bool) -> None:
    """Hold 10 units while something is up."""
    if up and broker.get_position(asset) is None:
        broker.submit_order(asset, 10)
    elif not up:
        broker.close_position(asset)


def honest_signals(prices: pl.DataFrame) -> pl.DataFrame:
    """Return averages that know no later bar."""
    return prices.select("timestamp", "symbol", mean=pl.col("close").rolling_mean(3).over("symbol"))


class Averages(Strategy):
    """Holds an asset while it closes above its average so far."""

    def __init__(self) -> None:
        self.closes: dict[str, list[float]] = {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for asset, bar in data.items():
            closes = self.closes.setdefault(asset, [])
            closes.append(bar["close"])
            trade(broker, asset, closes[-1] > sum(closes) / len(closes))


class HeldPeek(Strategy):
    """Holds a frame and reads the row after the present one."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for asset, bar in data.items():
            later = self.frame.filter((pl.col("symbol") == asset) & (pl.col("timestamp") > timestamp))["close"]
            trade(broker, asset, len(later) > 0 and later[0] > bar["close"])


class GlobalPeek(HeldPeek):
    """Does the same with a variable of its module."""

    def __init__(self) -> None:
        self.rows = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.rows += 1
        for asset, bar in data.items():
            later = PRICES.filter((pl.col("symbol") == asset) & (pl.col("timestamp") > timestamp))["close"]
            trade(broker, asset, len(later) > 0 and later[0] > bar["close"])


class SignalPeek(Strategy):
    """Reads one signal of the feed a bar early, and another one when it is due."""

    def __init__(self, feed: DataFeed, name: str) -> None:
        self.panel, self.name, self.bar = feed.panels.signals[name], name, -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        ahead = min(self.bar + 1, len(self.panel) - 1)
        for place, (asset, bar) in enumerate(data.items()):
            trade(broker, asset, self.panel[ahead, place] > bar["close"])


class RowPeek(ArrayStrategy):
    """Reads the next row of closes of a feed."""

    def __init__(self, feed: DataFeed) -> None:
        self.closes, self.bar = feed.panels.prices["close"], -1

    def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        ahead = self.closes[min(self.bar + 1, len(self.closes) - 1)]
        broker.order_target_weights((ahead > rows.close) * 0.4)
