"""Runs whose statistics are tested."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from ml4t_backtest import DataFeed, Engine
from tests.facade.feeds import Calls

__all__ = ["START", "close_to", "made", "random_prices", "random_run", "trade_at_random"]

START = datetime(2021, 1, 1)


def close_to(one: float, other: float, tolerance: float = 1e-12) -> bool:
    """Tell whether two numbers agree relatively, NaN with NaN."""
    if np.isnan(one) or np.isnan(other):
        return bool(np.isnan(one) and np.isnan(other))
    return bool(one == other or abs(one - other) <= tolerance * max(abs(one), abs(other)))


def random_prices(seed: int, bars: int = 300, assets: tuple[str, ...] = ("A", "B"), missing: float = 0.0) -> pl.DataFrame:
    """Return daily bars of random walks; rows are left out with a probability."""
    draw = np.random.default_rng(seed)
    parts = []
    for asset in assets:
        close = 100.0 * np.exp(np.cumsum(draw.normal(0.0003, 0.015, bars)))
        days = [START + timedelta(days=number) for number in range(bars)]
        frame = pl.DataFrame({"timestamp": days, "symbol": [asset] * bars, "close": close})
        keep = draw.random(bars) >= missing
        keep[0] = True
        parts.append(frame.filter(pl.Series(keep)))
    frame = pl.concat(parts)
    close = pl.col("close")
    return frame.with_columns(open=close, high=close * 1.01, low=close * 0.99, volume=pl.lit(1e6))


def trade_at_random(seed: int, *, short: bool = False) -> Any:
    """Return a function of bar, data and broker that trades now and then."""
    draw = np.random.default_rng(seed)

    def decide(bar: int, data: Any, broker: Any) -> None:
        for asset in data:
            chance = draw.random()
            if chance < 0.08:
                broker.submit_order(asset, float(draw.integers(1, 40)))
            elif chance < 0.14 and broker.get_position(asset) is not None:
                broker.close_position(asset)
            elif chance < 0.2 and short:
                broker.submit_order(asset, -float(draw.integers(1, 40)))

    return decide


def made(frame: pl.DataFrame, decide: Any, **settings: Any) -> Any:
    """Return the result of a function of bar, data and broker on a frame of bars."""
    settings = {"initial_cash": 50_000.0, **settings}
    return Engine(DataFeed(frame), Calls(decide), **settings).run()


def random_run(seed: int = 1, bars: int = 300, *, short: bool = False, missing: float = 0.0, **settings: Any) -> Any:
    """Return a run that trades at random."""
    if short:
        settings = {"account_type": "margin", **settings}
    return made(random_prices(seed, bars, missing=missing), trade_at_random(seed, short=short), **settings)
