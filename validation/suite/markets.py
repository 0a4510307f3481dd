"""Made-up bars. Everything is seeded, prices are whole cents and volumes whole hundreds, so that every engine can store them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas_market_calendars

from validation.runners.exchange import Event, Market

__all__ = ["FIRST_SESSION", "from_closes", "sessions", "walk"]

FIRST_SESSION = "2001-01-02"
_LAST_SESSION = "2022-12-30"


@cache
def _all_sessions() -> np.ndarray:
    days = pandas_market_calendars.get_calendar("NYSE").valid_days(FIRST_SESSION, _LAST_SESSION)
    return days.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)


def sessions(bars: int) -> np.ndarray:
    """Return the first sessions of the New York Stock Exchange from FIRST_SESSION on: int64[bars], ns at midnight."""
    days = _all_sessions()
    if bars > len(days):
        raise ValueError(f"bars was {bars}, there are {len(days)} sessions from {FIRST_SESSION} to {_LAST_SESSION}")
    return days[:bars]


def from_closes(
    name: str,
    closes: np.ndarray,
    *,
    seed: int,
    spread: float = 0.01,
    gap: float = 0.003,
    volume: float = 1e6,
    missing: np.ndarray | None = None,
    events: tuple[Event, ...] = (),
) -> Market:
    """Return bars around given closes, float64[bars] or [bars, assets].

    spread: how far high and low reach, a fraction of the price. gap: standard deviation of the open around the close before.
    volume: median. missing: bool[bars, assets], True where there is no bar.
    """
    random = np.random.default_rng(seed)
    close = np.round(closes.reshape(len(closes), -1), 2)
    before = np.vstack([close[:1], close[:-1]])
    opened = np.round(before * (1.0 + gap * random.standard_normal(close.shape)), 2)
    opened[0] = close[0]
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    high = np.round(top * (1.0 + spread * random.random(close.shape)), 2)
    low = np.round(bottom * (1.0 - spread * random.random(close.shape)), 2)
    traded = np.round(volume * np.exp(0.5 * random.standard_normal(close.shape)), -2)
    prices = [opened, high, low, close, np.maximum(traded, 100.0)]
    if missing is not None:
        for price in prices:
            price[missing] = np.nan
    assets = tuple(f"A{column:03d}" for column in range(close.shape[1]))
    return Market(name, assets, sessions(len(close)), *prices, events=events)


def walk(
    name: str,
    *,
    seed: int,
    bars: int = 100,
    assets: int = 1,
    start: float = 100.0,
    drift: float = 0.0,
    volatility: float = 0.015,
    **bar: object,
) -> Market:
    """Return a random walk: bars x assets; the rest as `from_closes`."""
    random = np.random.default_rng(seed)
    steps = drift + volatility * random.standard_normal((bars, assets))
    closes = np.maximum(start * np.exp(np.cumsum(steps, axis=0)), 1.0)
    return from_closes(name, closes, seed=seed + 1, **bar)  # type: ignore[arg-type]
