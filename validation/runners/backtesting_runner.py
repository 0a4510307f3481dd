"""Plays cases in backtesting.py: python backtesting_runner.py BATCH ANSWER.

The first bar of the data is one more than the case has: backtesting.py never calls a strategy on its first bar, and does not look at
that bar either. Parts of a unit trade by its FractionalBacktest. Brackets are its own (`sl`, `tp`), spread, commission, margin and the order of its queue too.

backtesting.py tells trades, not fills. They are seen here at the places where it opens and closes a trade: what one instruction closes on one
bar is one fill, at the average price, and what it opens is another; fills of one bar are
told by label, since the order in which legs have their turns is of no account. Its trades are one per entry, closed first in, first out; here they are told as round trips
from flat to flat: quantity and prices are totals and averages, and round trips that are open at the end are left out.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.backtesting import _Broker
from backtesting.lib import FractionalBacktest
from exchange import Answers, Instruction, Job, read_batch

_DAY = 86_400 * 10**9
_FRACTION = 1e-6  # of a unit: what FractionalBacktest trades as a whole


class Diary:
    """What happened in a case."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.unit = _FRACTION if job.settings.get("fractional") else 1.0
        self.orders: dict[str, list[Any]] = defaultdict(list)  # label to orders; the legs of a bracket come with the entry's fill
        self.labels: dict[int, str] = {}  # id of an order to label
        self.cancelled: set[str] = set()
        self.parts: dict[tuple[str, int, int, bool], list[tuple[float, float, float]]] = defaultdict(list)  # of each fill
        self.round_trip: list[Any] = []  # trades that closed since the position was flat
        self.round_trips: list[list[Any]] = []

    def name(self, order: Any, label: str) -> None:
        """Remember an order, which stays alive with that."""
        self.orders[label].append(order)
        self.labels[id(order)] = label

    def traded(self, order: Any, bar: int, part: tuple[float, float, float], *, opens: bool) -> None:
        """Remember a part of a fill: quantity, price, commission."""
        label = self.labels.get(id(order), "")
        self.parts[label, 0 if label else id(order), bar, opens].append(part)


def _current_order() -> Any:
    """Return the order that the broker is working on: the one in its loop."""
    frame: Any = sys._getframe(2)
    while frame.f_code.co_name != "_process_orders":
        frame = frame.f_back
    return frame.f_locals["order"]


class ObservedBroker(_Broker):  # type: ignore[misc]
    """The broker of backtesting.py, watched: everything is done by the class above."""

    def __init__(self, *, diary: Diary, **options: Any) -> None:
        super().__init__(**options)
        self._diary = diary

    def _open_trade(self, price: float, size: int, sl: Any, tp: Any, time_index: int, tag: Any) -> None:
        super()._open_trade(price, size, sl, tp, time_index, tag)
        trade, order = self.trades[-1], _current_order()
        self._diary.traded(order, time_index, (size, price, self._commission(size, price)), opens=True)
        label = self._diary.labels.get(id(order))
        if label:
            for leg, suffix in ((trade._tp_order, ".target"), (trade._sl_order, ".stop")):
                if leg is not None:
                    self._diary.name(leg, label + suffix)

    def _close_trade(self, trade: Any, price: float, time_index: int) -> None:
        super()._close_trade(trade, price, time_index)
        part = (-trade.size, price, self._commission(trade.size, price))
        self._diary.traded(_current_order(), time_index, part, opens=False)
        self._diary.round_trip.append(trade)
        if not self.trades:
            self._diary.round_trips.append(self._diary.round_trip)
            self._diary.round_trip = []


def strategy_for(diary: Diary) -> type[Strategy]:
    """Return the strategy that plays a case."""
    todo: dict[int, list[Instruction]] = defaultdict(list)
    for instruction in diary.job.script:
        todo[instruction.time].append(instruction)
    times = diary.job.market.times.tolist()
    rules = diary.job.settings.get("rules", {})

    class PlaysScript(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            for trade in self.trades if rules else ():
                _guard(trade, rules)
            for told in todo.get(times[len(self.data) - 2], ()):
                self.play(told)

        def play(self, told: Instruction) -> None:
            if told.verb == "cancel":
                for order in diary.orders.get(told.target, ()):
                    if order in self.orders:
                        order.cancel()
                        diary.cancelled.add(told.target)
                return
            before = self.orders
            if told.verb == "close":
                self.position.close()
            else:
                made = self.order(told)
                before = tuple(order for order in self.orders if order is not made)
            for order in self.orders:
                if told.label and not any(order is old for old in before):
                    diary.name(order, told.label)

        def order(self, told: Instruction) -> Any:
            side = self.buy if told.quantity > 0.0 else self.sell
            prices = {"limit": told.limit_price, "stop": told.stop_price, "tp": told.take_profit, "sl": told.stop_loss}
            given = {name: price * diary.unit for name, price in prices.items() if not np.isnan(price)}
            return side(size=round(abs(told.quantity) / diary.unit), **given)

    return PlaysScript


def _guard(trade: Any, rules: dict[str, float]) -> None:
    """Set the exits that the case wants for every position, once, on the bar after whose close the trade is there."""
    side = 1.0 if trade.is_long else -1.0
    if "stop_loss" in rules and trade.sl is None:
        trade.sl = trade.entry_price * (1.0 - side * rules["stop_loss"])
    if "take_profit" in rules and trade.tp is None:
        trade.tp = trade.entry_price * (1.0 + side * rules["take_profit"])


def commission_of(told: dict[str, Any] | None, unit: float) -> Any:
    """Return the commission as backtesting.py takes it (unit: what counts as one)."""
    if not told:
        return 0.0
    kind = told["kind"]
    if kind == "percentage":
        return (told.get("amount", 0.0), told["rate"])
    if kind == "per_order":
        return (told["amount"], 0.0)
    return lambda size, price: max(abs(size) * unit * told["amount"], told.get("minimum", 0.0))


def bars_of(job: Job) -> pd.DataFrame:
    """Return the bars of a case with one more in front."""
    market = job.market
    times = np.r_[market.times[0] - _DAY, market.times].astype("datetime64[ns]")
    columns = {name.title(): getattr(market, name)[:, 0] for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({name: np.r_[values[0], values] for name, values in columns.items()}, index=pd.DatetimeIndex(times))


def play(job: Job, answers: Answers) -> None:
    """Run a case and write down what came out."""
    settings, diary = job.settings, Diary(job)
    native = settings.get("native", {})
    make = Backtest if diary.unit == 1.0 else partial(FractionalBacktest, fractional_unit=diary.unit)
    backtest = make(
        bars_of(job),
        strategy_for(diary),
        cash=settings["cash"],
        commission=commission_of(settings.get("commission"), diary.unit),
        spread=settings.get("slippage", {}).get("rate", 0.0),
        trade_on_close=native.get("trade_on_close", False),
        exclusive_orders=native.get("exclusive_orders", False),
    )
    watched: list[ObservedBroker] = []

    def observed(**options: Any) -> ObservedBroker:
        watched.append(ObservedBroker(diary=diary, **options))
        return watched[0]

    backtest._broker = partial(observed, **backtest._broker.keywords)
    started = time.perf_counter()
    stats = backtest.run()
    answers.seconds[job.id] = time.perf_counter() - started
    _write(job, diary, watched[0], stats["_equity_curve"]["Equity"].to_numpy()[1:], answers)


def _write(job: Job, diary: Diary, broker: Any, equity: np.ndarray, answers: Answers) -> None:
    times, asset, unit = np.r_[job.market.times[0] - _DAY, job.market.times].tolist(), job.market.assets[0], diary.unit
    for (label, _, bar, _), parts in sorted(diary.parts.items(), key=lambda entry: (entry[0][2], entry[0][0])):
        quantity = sum(part[0] for part in parts) * unit
        price = _average([part[0] for part in parts], [part[1] for part in parts]) / unit
        row = (job.id, times[bar], asset, quantity, price, sum(part[2] for part in parts), None, label or None)
        answers.fills.append(row)
    for trip in diary.round_trips:
        sizes = [trade.size for trade in trip]
        entry, left = min(trade.entry_bar for trade in trip), max(trade.exit_bar for trade in trip)
        prices = [_average(sizes, [getattr(trade, name) for trade in trip]) / unit for name in ("entry_price", "exit_price")]
        money = (sum(trade.pl for trade in trip), sum(trade._commissions for trade in trip))
        answers.trades.append((job.id, asset, times[entry], times[left], sum(sizes) * unit, *prices, *money))
    for bar, value in zip(times[1:], equity.tolist(), strict=True):
        answers.equity.append((job.id, bar, None, value))
    brackets = {told.label: told for told in job.script if told.verb == "bracket" and told.label}
    for label, orders in list(diary.orders.items()):
        status, filled = _state(diary, broker, label, orders)
        answers.orders.append((job.id, label, status, filled * unit))
        told = brackets.get(label)
        for name, price in ((".target", told.take_profit), (".stop", told.stop_loss)) if told else ():
            if label + name not in diary.orders and not np.isnan(price):
                # The entry did not trade, so there is no such order there: it is as the entry.
                status = "open" if any(order in broker.orders for order in orders) else "cancelled"
                answers.orders.append((job.id, label + name, status, 0.0))


def _average(sizes: list[float], prices: list[float]) -> float:
    """Return the average of prices; of equal prices the price itself."""
    if min(prices) == max(prices):
        return prices[0]
    return float(np.dot(sizes, prices) / np.sum(sizes))


def _state(diary: Diary, broker: Any, label: str, orders: list[Any]) -> tuple[str, float]:
    """Return status and filled quantity of the orders that came of one instruction."""
    filled = sum(part[0] for (name, *_), parts in diary.parts.items() if name == label for part in parts)
    if any(order in broker.orders for order in orders):
        return "open", filled
    wanted = sum(abs(order.size) for order in orders)
    is_leg = any(order.parent_trade is not None for order in orders)
    if filled and (is_leg or abs(filled) >= wanted):
        return "filled", filled
    return ("cancelled" if label in diary.cancelled or is_leg else "rejected"), filled


def main() -> None:
    """Run a batch."""
    warnings.simplefilter("ignore")
    answers = Answers(versions={"backtesting": backtesting.__version__, "python": sys.version.split()[0]})
    for job in read_batch(Path(sys.argv[1])):
        play(job, answers)
    answers.write(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
