"""A user's first script, run whole in a fresh process: a frame of 100 bars, a small trading strategy, one result.

Runs with this library, or with the published engine when `--published` is given.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING or "--published" not in sys.argv:
    from ml4t_backtest import DataFeed, Engine, Strategy
else:
    from ml4t.backtest import DataFeed, Engine, Strategy

BARS = 100
HOLD = 10


class BuyAndLeave(Strategy):
    """Buys, holds for some bars, leaves, and begins again."""

    def __init__(self) -> None:
        self._bar = 0

    def on_data(self, timestamp: datetime, data: Any, context: Any, broker: Any) -> None:
        """Trade every tenth bar."""
        self._bar += 1
        if self._bar % HOLD or data["AAPL"]["close"] <= 0.0:
            return
        if broker.get_position("AAPL") is None:
            broker.submit_order("AAPL", 100.0)
        else:
            broker.close_position("AAPL")


def frame() -> pl.DataFrame:
    """Return 100 bars of one asset."""
    close = [100.0 + 0.5 * bar for bar in range(BARS)]
    return pl.DataFrame(
        {
            "timestamp": [datetime(2020, 1, 1) + timedelta(days=bar) for bar in range(BARS)],
            "asset": ["AAPL"] * BARS,
            "open": close,
            "high": [price + 1.0 for price in close],
            "low": [price - 1.0 for price in close],
            "close": close,
            "volume": [1e6] * BARS,
        }
    )


if __name__ == "__main__":
    result = Engine(DataFeed(prices_df=frame()), BuyAndLeave()).run()
    print(result["final_value"])
    if not len(result["trades"]):
        sys.exit("the first strategy did not trade")
