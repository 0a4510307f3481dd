"""Small feeds and strategies for the tests of studies."""

from __future__ import annotations

import os
import signal
import time
import warnings
from typing import Any

import numpy as np
import polars as pl

from ml4t_backtest import ArrayStrategy, DataFeed, Strategy
from tests.facade.feeds import days

__all__ = ["Crossing", "Deadly", "Failing", "Loud", "Rowwise", "Slow", "feed_of", "walk"]


def walk(bars: int = 40, assets: int = 2, seed: int = 1) -> pl.DataFrame:
    """Return prices of a random walk."""
    closes = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.02, (bars, assets)), axis=0))
    names = [f"A{column}" for column in range(assets)]
    return pl.DataFrame(
        {
            "timestamp": [when for when in days(bars) for _ in names],
            "symbol": names * bars,
            "open": (closes * 0.999).reshape(-1),
            "high": (closes * 1.02).reshape(-1),
            "low": (closes * 0.98).reshape(-1),
            "close": closes.reshape(-1),
        }
    )


def feed_of(bars: int = 40, assets: int = 2) -> DataFeed:
    """Return a feed of a random walk."""
    return DataFeed(walk(bars, assets))


class Crossing(Strategy):
    """Holds an asset while its fast average is above the slow one."""

    def __init__(self, fast: int = 3, slow: int = 8, quantity: float = 10) -> None:
        self.fast, self.slow, self.quantity = fast, slow, quantity
        self.closes: dict[str, list[float]] = {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for asset, bar in data.items():
            closes = self.closes.setdefault(asset, [])
            closes.append(bar["close"])
            if len(closes) < self.slow:
                continue
            above = sum(closes[-self.fast :]) / self.fast > sum(closes[-self.slow :]) / self.slow
            if above and broker.get_position(asset) is None:
                broker.submit_order(asset, self.quantity)
            elif not above and broker.get_position(asset) is not None:
                broker.close_position(asset)


class Rowwise(ArrayStrategy):
    """Puts a weight on every asset on one bar."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
        if rows.close[0] > 0.0:
            broker.order_target_weights(np.full(len(rows.close), self.weight))


class Failing(Crossing):
    """Raises for some parameters."""

    def __init__(self, fast: int = 3, slow: int = 8) -> None:
        if fast == 4:
            raise ValueError("four is bad")
        super().__init__(fast, slow)

    def on_end(self, broker: Any) -> None:
        if self.fast == 5:
            raise SystemExit("five leaves")


class Slow(Crossing):
    """Takes its time."""

    def __init__(self, fast: int = 3, seconds: float = 0.05) -> None:
        super().__init__(fast)
        self.seconds = seconds

    def on_start(self, broker: Any) -> None:
        time.sleep(self.seconds)


class Deadly(Slow):
    """Kills its process for some parameters."""

    def on_start(self, broker: Any) -> None:
        super().on_start(broker)
        if self.fast == 5:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


class Loud(Crossing):
    """Warns."""

    def on_start(self, broker: Any) -> None:
        warnings.warn("mind the gap", UserWarning, stacklevel=2)
