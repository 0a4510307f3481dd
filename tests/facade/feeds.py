"""Small feeds and strategies for facade tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from ml4t_backtest import DataFeed, Strategy

__all__ = ["START", "Calls", "days", "feed", "prices"]

START = datetime(2024, 1, 1)


def days(count: int) -> list[datetime]:
    """Return `count` days from the start."""
    return [START + timedelta(days=number) for number in range(count)]


def prices(closes: Mapping[str, list[float | None]], **columns: list[float | None]) -> pl.DataFrame:
    """Return a price frame from closes per asset; a close of None is a missing row; columns are given in row order."""
    rows = [
        {"timestamp": when, "symbol": asset, "close": series[number]}
        for number, when in enumerate(days(max(len(series) for series in closes.values())))
        for asset, series in closes.items()
        if number < len(series) and series[number] is not None
    ]
    frame = pl.DataFrame(rows, schema={"timestamp": pl.Datetime("us"), "symbol": pl.String, "close": pl.Float64})
    return frame.with_columns([pl.Series(name, values) for name, values in columns.items()])


def feed(closes: Mapping[str, list[float | None]], **columns: list[float | None]) -> DataFeed:
    """Return the feed of `prices`."""
    return DataFeed(prices(closes, **columns))


class Calls(Strategy):
    """Calls a function on each bar: `Calls(lambda bar, data, broker: ...)`."""

    def __init__(self, function: Callable[[int, Any, Any], Any]) -> None:
        self.function = function
        self.bar = -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        self.function(self.bar, data, broker)
