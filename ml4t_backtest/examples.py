"""The strategies of `ml4t-backtest demo`: short, complete, and meant to be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.strategy import ArrayStrategy, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import polars as pl

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.rows import Rows
    from ml4t_kernels.dtypes import FloatArray

__all__ = ["BuyAndHold", "InverseVolatility", "SmaCross", "sma_signals"]

# Orders trade a bar after the decision, at a price nobody knows yet: what is left in cash pays for gaps and costs.
INVESTED = 0.98


class InverseVolatility(ArrayStrategy):
    """Holds all assets, the calm ones with more weight; rebalances on the first bar of each month.

    window: bars of the volatility estimate. floor: least volatility per bar that counts; a price that hardly moves is
    quoted coarsely rather than safe, and would take the whole portfolio otherwise. invested: fraction of the account.
    """

    def __init__(self, window: int = 126, floor: float = 0.005, invested: float = INVESTED) -> None:
        self.window = window
        self.floor = floor
        self.invested = invested
        self._closes: list[FloatArray] = []
        self._month = 0

    def on_arrays(self, timestamp: datetime, rows: Rows, context: Mapping[str, Any], broker: Broker) -> None:  # noqa: ARG002
        """Keep the closes and rebalance on the first bar of a month, once the window is full."""
        self._closes = [*self._closes[-self.window :], rows.close]  # rows are safe to keep
        new_month, self._month = timestamp.month != self._month, timestamp.month
        if not new_month or len(self._closes) <= self.window:
            return
        volatility = np.diff(np.log(self._closes), axis=0).std(axis=0)
        ready = np.isfinite(volatility)  # an asset with a gap in the window is left out, and sold
        if not ready.any():
            return
        calm = np.where(ready, 1.0 / np.maximum(volatility, self.floor), 0.0)
        broker.order_target_weights(self.invested * calm / calm.sum())


class SmaCross(Strategy):
    """Holds an asset while its fast average is above its slow one, and nothing of it otherwise.

    Reads the signals `sma_fast` and `sma_slow`, see `sma_signals`. invested: fraction of the account, split evenly.
    """

    def __init__(self, invested: float = INVESTED) -> None:
        self.invested = invested

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Broker) -> None:  # noqa: ARG002
        """Enter when the fast average is above the slow one, leave when it is not."""
        weight = self.invested / len(broker.assets)
        for asset, bar in data.items():
            fast, slow = bar["signals"].get("sma_fast"), bar["signals"].get("sma_slow")
            if fast is None or slow is None:  # the averages are not full yet
                continue
            held = broker.get_position(asset) is not None
            if fast > slow and not held:
                broker.order_target_percent(asset, weight)
            elif fast <= slow and held:
                broker.close_position(asset)


class BuyAndHold(ArrayStrategy):
    """Buys equal amounts of all assets of the first bar and keeps them: what any strategy has to be compared with."""

    def __init__(self, invested: float = INVESTED) -> None:
        self.invested = invested
        self._bought = False

    def on_arrays(self, timestamp: datetime, rows: Rows, context: Mapping[str, Any], broker: Broker) -> None:  # noqa: ARG002
        """Buy once."""
        priced = np.isfinite(rows.close)
        if self._bought or not priced.any():
            return
        broker.order_target_weights(np.where(priced, self.invested / priced.sum(), 0.0))
        self._bought = True


def sma_signals(prices: pl.DataFrame, fast: int = 50, slow: int = 200) -> pl.DataFrame:
    """Return the signals of `SmaCross`: moving averages of the close over `fast` and `slow` bars, for each symbol.

    prices: `timestamp`, `symbol`, `close`, sorted by time. A bar's averages contain its own close, so a decision on
    them can only trade later. They are null until enough bars have passed.
    """
    import polars as pl

    close = pl.col("close")
    averages = {name: close.rolling_mean(bars).over("symbol") for name, bars in (("sma_fast", fast), ("sma_slow", slow))}
    return prices.select("timestamp", "symbol", **averages)
