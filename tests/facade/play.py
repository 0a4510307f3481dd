"""Short runs of the engine from bars written by hand: what is done on which bar, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from ml4t_backtest import BacktestResult, DataFeed, Engine, Order, Strategy
from tests.facade.feeds import START, days

__all__ = ["Action", "Run", "bars_feed", "buy", "days", "play", "sessions"]

Action = Callable[[Any], object]
COLUMNS = ("open", "high", "low", "close", "volume")
FREE = {"initial_cash": 10_000.0, "execution_mode": "next_bar", "commission_type": "none", "slippage_type": "none"}


@dataclass(frozen=True)
class Run:
    """A finished run."""

    engine: Engine
    result: BacktestResult

    @property
    def broker(self) -> Any:
        """The broker after the run."""
        return self.engine.broker

    @property
    def orders(self) -> list[Order]:
        """All orders."""
        return self.engine.broker.orders

    @property
    def deals(self) -> list[tuple[int, float, float]]:
        """Bar, signed quantity and price of every fill."""
        numbers = {when: bar for bar, (when, _) in enumerate(self.result.equity_curve)}
        return [(numbers[fill.timestamp], round(fill.signed_quantity, 9), round(fill.price, 9)) for fill in self.result.fills]

    @property
    def states(self) -> list[tuple[str, str | None]]:
        """Status and reason of every order."""
        return [(order.status.value, None if order.reason is None else order.reason.value) for order in self.orders]

    @property
    def cash(self) -> list[float]:
        """Cash at the end of every bar."""
        return [round(value, 6) for value in self.result.to_equity_dataframe()["cash"]]

    @property
    def equity(self) -> list[float]:
        """Account value at the end of every bar."""
        return [round(value, 6) for _, value in self.result.equity_curve]

    @property
    def exits(self) -> list[tuple[str, float, float]]:
        """Exit reason, quantity and price of every finished trade."""
        closed = [trade for trade in self.result.trades if not trade.is_open]
        return [(trade.exit_reason.value, round(trade.quantity, 9), round(trade.exit_price, 9)) for trade in closed]

    @property
    def alerts(self) -> list[tuple[str, str, float, float]]:
        """Limit, action, value and threshold of every recorded alert."""
        frame = self.result.to_alerts_dataframe()
        rows = frame.select("limit", "action", pl.col("value").round(9), pl.col("threshold").round(9)).rows()
        return [(str(limit), str(action), float(value), float(bound)) for limit, action, value, bound in rows]


class Plays(Strategy):
    """Does what is planned for each bar; -1 is the start."""

    def __init__(self, actions: Mapping[int, Action | Sequence[Action]]) -> None:
        self.actions = actions
        self.bar = -1

    def on_start(self, broker: Any) -> None:
        self.act(broker)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        self.act(broker)

    def act(self, broker: Any) -> None:
        """Do what is planned for the bar."""
        planned = self.actions.get(self.bar, ())
        for action in [planned] if callable(planned) else planned:
            action(broker)


def play(
    bars: Mapping[str, Sequence[Any]] | Sequence[Any],
    actions: Mapping[int, Action | Sequence[Action]],
    *,
    times: Sequence[datetime] | None = None,
    extra: Mapping[str, Sequence[float | None]] | None = None,
    signals: Mapping[str, Sequence[float | None]] | None = None,
    **arguments: Any,
) -> Run:
    """Run actions by bar. arguments: of the engine, on top of free trading in the next bar with 10,000."""
    engine = Engine(bars_feed(bars, times, extra, signals), Plays(actions), **{**FREE, **arguments})
    return Run(engine, engine.run())


def bars_feed(
    bars: Mapping[str, Sequence[Any]] | Sequence[Any],
    times: Sequence[datetime] | None = None,
    extra: Mapping[str, Sequence[float | None]] | None = None,
    signals: Mapping[str, Sequence[float | None]] | None = None,
) -> DataFeed:
    """Return bars as a feed.

    bars: of each asset (a list belongs to A): a price, (open, high, low, close[, volume]), or None for no bar. extra: columns
    of the price frame of asset A by bar; signals: the same for the signal frame.
    """
    given = bars if isinstance(bars, Mapping) else {"A": bars}
    clock = list(times or days(max(map(len, given.values()))))
    rows = []
    for asset, series in given.items():
        for number, (when, bar) in enumerate(zip(clock, series, strict=False)):
            if bar is not None:
                prices = tuple(map(float, bar if isinstance(bar, tuple) else (bar, bar, bar, bar)))
                own = [column[number] if asset == "A" else None for column in (extra or {}).values()]
                rows.append((when, asset, *prices, *[1000.0][len(prices) - 4 :], *own))
    names = [*COLUMNS, *(extra or {})]
    schema: Any = {"timestamp": pl.Datetime("us"), "symbol": pl.String, **dict.fromkeys(names, pl.Float64)}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("timestamp", maintain_order=True)
    if signals is None:
        return DataFeed(frame)
    made = pl.DataFrame({"timestamp": clock, "symbol": ["A"] * len(clock), **signals})
    return DataFeed(frame, made.with_columns(pl.col("timestamp").cast(pl.Datetime("us"))))


def sessions(count: int, bars: int) -> list[datetime]:
    """Return the times of `count` days of `bars` hourly bars each."""
    return [START + timedelta(days=day, hours=hour) for day in range(count) for hour in range(bars)]


def buy(quantity: float, asset: str = "A", **terms: Any) -> Action:
    """Return the action that submits an order."""
    return lambda broker: broker.submit_order(asset, quantity, **terms)
