"""Seeded synthetic data and the strategies that the benchmarks run, for this library and for the published engine.

The strategies use only what both packages offer, so that one class is timed in both. Nothing here is meant to earn money.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ml4t_backtest import ArrayStrategy, Rows, Strategy
else:

    def _bases() -> tuple[type, type]:
        """Return the two base classes: of the published package where its script loaded it first, else of this library."""
        if "ml4t.backtest" in sys.modules:
            return sys.modules["ml4t.backtest"].Strategy, object
        package = import_module("ml4t_backtest")
        return package.Strategy, package.ArrayStrategy

    Strategy, ArrayStrategy = _bases()

INITIAL_CASH = 1e9  # enough that no order of any workload is ever short of cash
QUANTITY = 100.0
RARELY = 2.8  # standard normal signals beyond this: about 13 fills per asset in 5,040 bars
OFTEN = 1.42  # about 400 fills per asset in 5,040 bars
MONTH = 21
GROSS = 0.9  # sum of target weights; the rest is cash, so that rounding never asks for more than there is


@dataclass(frozen=True)
class Size:
    """How much data a workload has."""

    assets: int = 250
    bars: int = 5_040

    @property
    def cells(self) -> int:
        """Number of asset-bars."""
        return self.assets * self.bars


FULL = Size()
SINGLE = Size(assets=1, bars=300_000)


@dataclass(frozen=True)
class Frames:
    """A price frame and a signal frame in long format, sorted by time and asset."""

    size: Size
    prices: pl.DataFrame
    signals: pl.DataFrame


def asset_names(count: int) -> list[str]:
    """Return the names of the assets, "A000" and so on."""
    return [f"A{number:03d}" for number in range(count)]


def make_frames(size: Size = FULL, seed: int = 7) -> Frames:
    """Make random walks with plausible bars, volumes and one standard normal signal "pred"; every asset has every bar."""
    random = np.random.default_rng(seed)
    shape = (size.bars, size.assets)
    close = random.standard_normal(shape)
    close *= 0.01
    np.cumsum(close, axis=0, out=close)
    np.exp(close, out=close)
    close *= 100.0
    open_ = close * (1.0 + 0.002 * random.standard_normal(shape))
    keys = _keys(size)
    prices = keys.with_columns(
        pl.Series("open", open_.ravel()),
        pl.Series("high", (np.maximum(open_, close) * (1.0 + 0.005 * random.random(shape))).ravel()),
        pl.Series("low", (np.minimum(open_, close) * (1.0 - 0.005 * random.random(shape))).ravel()),
        pl.Series("close", close.ravel()),
        pl.Series("volume", np.floor(1e6 * random.random(shape)).ravel()),
    )
    return Frames(size, prices, keys.with_columns(pl.Series("pred", random.standard_normal(size.cells))))


def _keys(size: Size) -> pl.DataFrame:
    start = datetime(2000, 1, 3)
    times = np.datetime64(start, "us") + np.arange(size.bars) * np.timedelta64(timedelta(minutes=1), "us")
    names = pl.Series("asset", asset_names(size.assets))
    return pl.DataFrame(
        [
            pl.Series("timestamp", np.repeat(times, size.assets)),
            names.gather(np.tile(np.arange(size.assets, dtype=np.uint32), size.bars)),
        ]
    )


def shuffled(frame: pl.DataFrame, seed: int = 7) -> pl.DataFrame:
    """Return the rows in a random order."""
    order = np.random.default_rng(seed).permutation(frame.height).astype(np.uint32)
    return frame.select(pl.all().gather(order))


class Empty(Strategy):
    """Does nothing: the cost of a bar itself."""

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Any) -> None:
        """Do nothing."""


class OneAsset(Strategy):
    """Looks at one asset of many."""

    asset = "A007"

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Any) -> None:
        """Read the close and the position; turn the position over now and then."""
        if self.asset not in data:
            return
        close = data[self.asset]["close"]
        position = broker.get_position(self.asset)
        last_digits = close * 100.0 % 100.0
        if position is None:
            if last_digits < 1.0:
                broker.submit_order(self.asset, QUANTITY)
        elif last_digits > 99.0:
            broker.close_position(self.asset)


class EveryAsset(Strategy):
    """Reads close, signal and position of every asset on every bar and trades rarely."""

    threshold = RARELY

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Any) -> None:
        """Buy on a strong signal, leave on an equally weak one."""
        threshold = self.threshold
        for asset, bar in data.items():
            close = bar["close"]
            pred = bar.get("signals", {}).get("pred", 0)
            position = broker.get_position(asset)
            if position is None:
                if pred > threshold and close > 0.0:
                    broker.submit_order(asset, QUANTITY)
            elif pred < -threshold:
                broker.close_position(asset)


class EveryAssetHeavy(EveryAsset):
    """The same loop with about thirty times as many trades."""

    threshold = OFTEN


class SingleSeries(OneAsset):
    """One asset over very many bars."""

    asset = "A000"


class ArraySignals(ArrayStrategy):
    """`EveryAsset` on whole rows: the same orders in the same order."""

    threshold = RARELY

    def on_arrays(self, timestamp: datetime, rows: Rows, context: Mapping[str, Any], broker: Any) -> None:
        """Buy on strong signals, leave on equally weak ones."""
        pred = rows.signal("pred")
        held = rows.positions
        flat = held == 0.0
        trades = (np.abs(pred) > self.threshold) & (flat == (pred > 0.0))
        if np.count_nonzero(trades):
            broker.submit_orders(np.where(flat, QUANTITY, -held), where=trades)


class ArrayWeightsEveryBar(ArrayStrategy):
    """Spreads the account over the assets with a positive signal, again on every bar: a trade in most assets."""

    every = 1

    def __init__(self) -> None:
        self._bar = -1

    def on_arrays(self, timestamp: datetime, rows: Rows, context: Mapping[str, Any], broker: Any) -> None:
        """Order the target weights."""
        self._bar += 1
        if self._bar % self.every:
            return
        wish = np.maximum(rows.signal("pred"), 0.0)
        total = wish.sum()
        if total > 0.0:
            broker.order_target_weights(wish * (GROSS / total))


class ArrayWeightsMonthly(ArrayWeightsEveryBar):
    """Rebalances every 21 bars."""

    every = MONTH


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "empty": Empty,
    "one_asset": OneAsset,
    "every_asset": EveryAsset,
    "every_asset_heavy": EveryAssetHeavy,
    "single_series": SingleSeries,
}
ARRAY_STRATEGIES: dict[str, Callable[[], ArrayStrategy]] = {
    "array_signals": ArraySignals,
    "array_weights_monthly": ArrayWeightsMonthly,
    "array_weights_every_bar": ArrayWeightsEveryBar,
}


def make_strategy(workload: str) -> Strategy | ArrayStrategy:
    """Return a fresh strategy object of a workload."""
    return STRATEGIES[workload]() if workload in STRATEGIES else ARRAY_STRATEGIES[workload]()
