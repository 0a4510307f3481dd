"""A plain event-driven engine of dicts, the yardstick of the comparison.

It is what one writes first: one dict per asset and bar, positions and prices in dicts, a loop over pending orders. It runs the same
strategy objects and fills market orders at the close of the bar (SAME_BAR) without costs. It is meant to be a fair opponent:
rows are converted in large chunks, nothing is computed twice, and it leaves out checks that a real engine needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = ["DictBroker", "DictEngine", "DictFeed", "DictResult"]

_CHUNK = 50_000
_CENT_OF_ROUNDING = 1e-10
_PRICES = ("open", "high", "low", "close", "volume")


class DictFeed:
    """Prices with signals, joined and sorted once; `bars` turns them into dicts bar by bar, as memory would not hold them all."""

    def __init__(self, prices: pl.DataFrame, signals: pl.DataFrame) -> None:
        self.names = [name for name in signals.columns if name not in ("timestamp", "asset")]
        self.frame = (
            prices.join(signals, on=["timestamp", "asset"], how="left", maintain_order="left")
            .sort("timestamp", maintain_order=True)
            .select("timestamp", "asset", *_PRICES, *self.names)
        )
        times = self.frame["timestamp"].to_numpy()
        changes = np.flatnonzero(times[1:] != times[:-1]) + 1
        self._starts: list[int] = [0, *changes.tolist(), self.frame.height] if len(times) else [0]

    def bars(self) -> Iterator[tuple[datetime, dict[str, dict[str, Any]]]]:
        """Yield (timestamp, data) per bar."""
        first, offset = 0, 0
        rows: list[tuple[Any, ...]] = []
        for start, end in zip(self._starts[:-1], self._starts[1:], strict=True):
            if end - offset > len(rows):
                first, offset = start, start
                rows = self.frame.slice(first, max(_CHUNK, end - start)).rows()
            bar = rows[start - offset : end - offset]
            yield bar[0][0], self._dicts(bar)

    def _dicts(self, rows: list[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
        names = self.names
        data = {}
        for _, asset, open_, high, low, close, volume, *signals in rows:
            data[asset] = {
                "open": open_,
                "high": high,
                "low": low,
                "close": close,
                "volume": volume,
                "signals": dict(zip(names, signals, strict=True)),
            }
        return data


@dataclass(slots=True)
class DictPosition:
    """An open position."""

    asset: str
    quantity: float
    entry_price: float
    entry_time: datetime


@dataclass(slots=True)
class DictOrder:
    """A pending market order."""

    asset: str
    quantity: float


class DictBroker:
    """Cash, positions and pending orders of the account."""

    def __init__(self, cash: float) -> None:
        self.cash = cash
        self.positions: dict[str, DictPosition] = {}
        self.prices: dict[str, float] = {}
        self.pending: list[DictOrder] = []
        self.fills: list[tuple[datetime, str, float, float]] = []
        self.trades: list[tuple[str, datetime, datetime, float, float, float, float]] = []
        self.rejected = 0

    def get_position(self, asset: str) -> DictPosition | None:
        """Return the open position of an asset."""
        return self.positions.get(asset)

    def submit_order(self, asset: str, quantity: float) -> DictOrder:
        """Submit a market order, signed quantity."""
        order = DictOrder(asset, quantity)
        self.pending.append(order)
        return order

    def close_position(self, asset: str) -> DictOrder | None:
        """Submit the market order that closes the position of an asset."""
        position = self.positions.get(asset)
        return None if position is None else self.submit_order(asset, -position.quantity)

    def fill_pending(self, now: datetime) -> None:
        """Try the pending orders, sales of what is held before everything else; orders of assets without a price wait."""
        orders, self.pending = self.pending, []
        rest = []
        for order in orders:
            position = self.positions.get(order.asset)
            if position is not None and position.quantity * order.quantity < 0.0:
                self._try(order, now)
            else:
                rest.append(order)
        for order in rest:
            self._try(order, now)

    def _try(self, order: DictOrder, now: datetime) -> None:
        price = self.prices.get(order.asset)
        if price is None:
            self.pending.append(order)
            return
        cost = order.quantity * price
        if cost > self.cash * (1.0 + _CENT_OF_ROUNDING):
            self.rejected += 1
            return
        self.cash -= cost
        self.fills.append((now, order.asset, order.quantity, price))
        self._book(order.asset, order.quantity, price, now)

    def _book(self, asset: str, quantity: float, price: float, now: datetime) -> None:
        position = self.positions.get(asset)
        if position is None:
            self.positions[asset] = DictPosition(asset, quantity, price, now)
            return
        held = position.quantity
        after = held + quantity
        if held * quantity > 0.0:
            position.entry_price = (held * position.entry_price + quantity * price) / after
            position.quantity = after
            return
        closed = held if abs(quantity) >= abs(held) else -quantity
        profit = (price - position.entry_price) * closed
        self.trades.append((asset, position.entry_time, now, position.entry_price, price, closed, profit))
        if after == 0.0:
            del self.positions[asset]
        elif held * after < 0.0:
            self.positions[asset] = DictPosition(asset, after, price, now)
        else:
            position.quantity = after

    def account_value(self) -> float:
        """Return cash plus positions at the last known prices."""
        value = self.cash
        for asset, position in self.positions.items():
            value += position.quantity * self.prices[asset]
        return value


@dataclass(frozen=True)
class DictResult:
    """What a run leaves behind."""

    final_value: float
    fills: list[tuple[datetime, str, float, float]]
    trades: list[tuple[str, datetime, datetime, float, float, float, float]]
    equity_curve: list[tuple[datetime, float]]
    rejected: int


class DictEngine:
    """Runs one strategy over one feed."""

    def __init__(self, feed: DictFeed, strategy: Any, initial_cash: float) -> None:
        self.feed = feed
        self.strategy = strategy
        self.broker = DictBroker(initial_cash)

    def run(self) -> DictResult:
        """Run the strategy over all bars."""
        broker, strategy = self.broker, self.strategy
        curve: list[tuple[datetime, float]] = []
        last: dict[str, float] = broker.prices
        strategy.on_start(broker)
        for now, data in self.feed.bars():
            broker.prices = {asset: bar["close"] for asset, bar in data.items()}
            if len(broker.prices) < len(last):
                broker.prices = {**last, **broker.prices}  # positions keep their last price through a gap
            last = broker.prices
            if broker.pending:
                broker.fill_pending(now)
            strategy.on_data(now, data, {}, broker)
            if broker.pending:
                broker.fill_pending(now)
            curve.append((now, broker.account_value()))
        strategy.on_end(broker)
        return DictResult(curve[-1][1] if curve else broker.cash, broker.fills, broker.trades, curve, broker.rejected)
