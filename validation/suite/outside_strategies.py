"""The strategies of published results, as anybody would write them here, and the statistics that the listings tell."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from ml4t_backtest import BacktestResult, Strategy

__all__ = ["AverageCross", "Dated", "Sized", "TrailingAverage", "statistics"]

_ALL = 1e7  # units; an order is cut to what the account can pay
_DAYS = 252


class _Averages:
    """Simple moving averages of closes, now and one bar ago; summed up without rounding, since closes do meet their average."""

    def __init__(self, *lengths: int) -> None:
        self.closes: list[float] = []
        self.lengths = lengths
        self.now = self.before = [math.nan] * len(lengths)

    def add(self, close: float) -> None:
        """Take in a close."""
        self.closes.append(close)
        self.before = self.now
        self.now = [math.fsum(self.closes[-n:]) / n if len(self.closes) >= n else math.nan for n in self.lengths]

    @property
    def crossed(self) -> int:
        """1 when the first average has just gone above the second, -1 when below it, else 0."""
        if self.before[0] < self.before[1] and self.now[0] > self.now[1]:
            return 1
        return -1 if self.before[0] > self.before[1] and self.now[0] < self.now[1] else 0


class AverageCross(Strategy):
    """Long with all when the fast average crosses above the slow one, short when below; what is held is closed first.

    closes_on: time of the bar after which all is closed, for a listing whose run ends flat: the last but one, since
    backtesting.py closes what is left at the open of the last bar.
    """

    def __init__(self, fast: int, slow: int, closes_on: datetime | None = None) -> None:
        self.averages = _Averages(fast, slow)
        self.closes_on = closes_on

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Trade a crossing."""
        ((asset, bar),) = data.items()
        self.averages.add(bar["close"])
        if self.averages.crossed:
            broker.close_position(asset)
            broker.submit_order(asset, self.averages.crossed * _ALL)
        if timestamp == self.closes_on:
            broker.close_position(asset)


class Sized(Strategy):
    """Does one thing on each of some bars: an order of a size, or closing for None."""

    def __init__(self, orders: dict[int, float | None]) -> None:
        self.orders = orders
        self.bar = -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Do what is planned for the bar."""
        self.bar += 1
        if self.bar in self.orders:
            size, (asset,) = self.orders[self.bar], data
            if size is None:
                broker.close_position(asset)
            else:
                broker.submit_order(asset, size)


class Dated(Strategy):
    """Two stop-limit orders on days of their own, the first position closed on a third day."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Trade on the three days."""
        ((asset, bar),) = data.items()
        day = f"{timestamp:%Y-%m-%d}"
        if day == "2006-10-19":
            broker.submit_order(asset, 100, order_type="stop_limit", stop_price=484, limit_price=466)
        elif day == "2007-10-30":
            broker.close_position(asset)
        elif day == "2008-11-11":
            broker.submit_order(asset, -200, order_type="stop_limit", stop_price=bar["low"], limit_price=324.90)


class TrailingAverage(Strategy):
    """Long with all above an average, with a stop that follows the close at a distance of some average true ranges.

    prices: columns high, low and close. average: bars of the average. ranges: bars of the average true range; before so many it is
    that of the first so many bars. multiple: of the distance. It is flat at the end, as `AverageCross` with `closes_on`.
    """

    def __init__(self, prices: pl.DataFrame, *, average: int, ranges: int, multiple: float) -> None:
        self.closes_on = prices["timestamp"][-2]
        self.averages = _Averages(average)
        before = pl.col("close").shift(1)
        widths = pl.max_horizontal(pl.col("high") - pl.col("low"), (before - pl.col("high")).abs(), (before - pl.col("low")).abs())
        # the first bar has no close before it, and so no range
        true_range = prices.select(pl.when(before.is_not_null()).then(widths).alias("range"))["range"]
        means = true_range.rolling_mean(ranges).fill_null(strategy="backward")
        self.distances = iter((means * multiple).to_list())
        self.stop: Any = None

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Move the stop, or enter."""
        ((asset, bar),) = data.items()
        self.averages.add(bar["close"])
        position = broker.get_position(asset)
        level = bar["close"] - next(self.distances)
        if position is None:
            self.stop = None
            # the average has to be there on the bar before as well
            if not math.isnan(self.averages.before[0]) and bar["close"] > self.averages.now[0]:
                broker.submit_order(asset, _ALL)
        elif self.stop is None:
            terms = {"order_type": "stop", "stop_price": level, "reduce_only": True}
            self.stop = broker.submit_order(asset, -position.quantity, **terms)
        elif level > self.stop.stop_price:
            broker.update_order(self.stop.order_id, stop_price=level)
        if timestamp == self.closes_on:
            broker.close_position(asset)


def statistics(result: BacktestResult) -> dict[str, float]:
    """Return what the listings tell of a run: returns of trades after commission, account values by bar, 252 days a year."""
    trades = [trade for trade in result.trades if not trade.is_open]
    values = np.array([value for _, value in result.equity_curve])
    pnl = np.array([trade.pnl for trade in trades])
    sides = np.array([1.0 if trade.quantity > 0 else -1.0 for trade in trades])
    entries, exits = (np.array([getattr(trade, name) for trade in trades]) for name in ("entry_price", "exit_price"))
    paid = np.array([trade.commission for trade in trades]) / np.array([abs(trade.quantity) for trade in trades]) / entries
    returns = sides * (exits / entries - 1.0) - paid
    bars = {when: bar for bar, (when, _) in enumerate(result.equity_curve)}
    exposed = np.zeros(len(values), dtype=bool)
    for trade in trades:
        exposed[bars[trade.entry_time] : bars[trade.exit_time] + 1] = True
    daily = values[1:] / values[:-1] - 1.0
    growth = math.exp(np.log1p(daily).sum() / len(daily))
    return {
        "final account value": values[-1],
        "highest account value": values.max(),
        "commission": sum(trade.commission for trade in trades),
        "return %": (values[-1] / values[0] - 1.0) * 100.0,
        "trades": len(trades),
        "win rate %": (pnl > 0).mean() * 100.0,
        "best trade %": returns.max() * 100.0,
        "worst trade %": returns.min() * 100.0,
        "average trade %": math.expm1(np.log1p(returns).mean()) * 100.0,
        "expectancy %": returns.mean() * 100.0,
        "largest drawdown %": (values / np.maximum.accumulate(values) - 1.0).min() * 100.0,
        "profit factor": returns[returns > 0].sum() / -returns[returns < 0].sum(),
        "system quality number": math.sqrt(len(trades)) * pnl.mean() / pnl.std(ddof=1),
        "exposure %": exposed.mean() * 100.0,
        "yearly return %": (growth**_DAYS - 1.0) * 100.0,
        "yearly return, the first bar counted %": ((values[-1] / values[0]) ** (_DAYS / len(values)) - 1.0) * 100.0,
        "yearly volatility %": math.sqrt((daily.var(ddof=1) + growth**2) ** _DAYS - growth ** (2 * _DAYS)) * 100.0,
    }
