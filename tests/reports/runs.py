"""Results to draw: small, empty, of one bar, ruined, and with names that try to break out of the page."""

from __future__ import annotations

from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl

from ml4t_backtest import BacktestConfig, DataFeed, Engine, Strategy
from ml4t_backtest.result import BacktestResult

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'); alert(1); //",
    "A\u2028B\u2029C",
    "{{ 7 * 7 }} {% raw %} ${x} %{y}",
    "&lt;b&gt; <!-- ]]>",
)


class Turns(Strategy):
    """Buys every asset, closes it after some bars, and starts again."""

    def __init__(self, every: int = 3, quantity: float = 5.0) -> None:
        self.every, self.quantity, self.bar = every, quantity, -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        for place, asset in enumerate(data):
            if broker.get_position(asset) is not None:
                if (self.bar + place) % self.every == 0:
                    broker.close_position(asset)
            elif (self.bar + place) % self.every == 1:
                broker.submit_order(asset, self.quantity)


class Nothing(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        pass


def prices(bars: int, assets: tuple[str, ...] = ("A", "B"), *, step: timedelta = timedelta(days=1), seed: int = 1) -> pl.DataFrame:
    """Return random walks, one row per bar and asset."""
    rng = np.random.default_rng(seed)
    frames = []
    for asset in assets:
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, bars)))
        times = [datetime(2020, 1, 30) + step * number for number in range(bars)]
        frames.append(
            pl.DataFrame(
                {
                    "timestamp": times,
                    "asset": asset,
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": 1e6,
                }
            )
        )
    return pl.concat(frames)


def run(bars: int = 90, assets: tuple[str, ...] = ("A", "B"), strategy: Strategy | None = None, **settings: Any) -> BacktestResult:
    step = settings.pop("step", timedelta(days=1))
    config = BacktestConfig(share_type="fractional", **settings)
    return Engine(DataFeed(prices(bars, assets, step=step)), strategy or Turns(), config).run()


def ruined() -> BacktestResult:
    """Return a run whose account value falls below zero."""
    close = [100.0, 101.0, 150.0, 240.0, 400.0, 380.0]
    times = [datetime(2020, 1, 1) + timedelta(days=day) for day in range(6)]
    frame = pl.DataFrame({"timestamp": times, "asset": "A", "open": close, "high": close, "low": close, "close": close, "volume": 1e6})

    class Short(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            if broker.get_position("A") is None:
                broker.submit_order("A", -150)

    config = BacktestConfig(initial_cash=10_000.0, account_type="margin", margin_call="ignore")
    return Engine(DataFeed(frame), Short(), config).run()


class Reading(HTMLParser):
    """What a browser would see: tags with their attributes, the texts outside scripts, the contents of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())
