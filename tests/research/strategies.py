"""Small strategies and feeds for walk-forward tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from ml4t_backtest import ArrayStrategy, DataFeed, Strategy

__all__ = ["ASSETS", "START", "AboveMean", "Weights", "made_feed", "made_prices"]

START = datetime(2020, 1, 1)
ASSETS = ("A", "B")


def made_prices(bars: int, seed: int = 0) -> pl.DataFrame:
    """Return random walks of two assets."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (bars, len(ASSETS))), axis=0))
    opens = close * np.exp(rng.normal(0.0, 0.005, close.shape))
    times = [START + timedelta(days=bar) for bar in range(bars)]
    return pl.concat(
        [
            pl.DataFrame({"timestamp": times, "symbol": [asset] * bars, "open": opens[:, column], "close": close[:, column]}).with_columns(
                high=pl.max_horizontal("open", "close"), low=pl.min_horizontal("open", "close"), volume=pl.lit(1e6)
            )
            for column, asset in enumerate(ASSETS)
        ]
    )


def made_feed(bars: int, seed: int = 0) -> DataFeed:
    """Return a feed of random walks."""
    return DataFeed(made_prices(bars, seed))


class AboveMean(Strategy):
    """Holds what closes above the mean of its last closes; remembers them itself. `seen` and `declined` are for tests."""

    def __init__(self, length: int, size: float = 0.45) -> None:
        self.length, self.size = length, size
        self.closes: dict[str, list[float]] = {}
        self.seen: list[datetime] = []
        self.declined: list[datetime] = []

    def on_data(self, timestamp, data, context, broker):
        self.seen.append(timestamp)
        for asset, bar in data.items():
            closes = self.closes.setdefault(asset, [])
            closes.append(bar["close"])
            mean = sum(closes[-self.length :]) / self.length
            wanted = len(closes) >= self.length and closes[-1] > mean
            if wanted and broker.get_position(asset) is None:
                if broker.order_target_percent(asset, self.size) is None:
                    self.declined.append(timestamp)
            elif not wanted and broker.get_position(asset) is not None:
                broker.close_position(asset)


class Weights(ArrayStrategy):
    """Puts equal weights on what rose over its last bars."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.closes: list[np.ndarray] = []

    def on_arrays(self, timestamp, rows, context, broker):
        self.closes.append(np.array(rows.close))
        past = self.closes[max(len(self.closes) - 1 - self.length, 0)]
        broker.order_target_weights(np.where(self.closes[-1] > past, 0.4, 0.0))
