"""Runs a batch of cases in Backtrader: `python backtrader_runner.py BATCH_DIR ANSWER_DIR`.

Everything is Backtrader's own: feeds, broker, orders, brackets, groups, commission schemes, slippage, fillers, target orders.

Three things are brought to the shape of the other side. A fill of an asset that has no bar is dated by Backtrader with the asset's last
bar; here it has the date on which it happened. Backtrader takes the margin of futures out of cash: the posted margin is
added back, so that cash is what is settled. Its trades go from flat to flat: the quantity is all that was closed, the entry price the
average at the last exit, the exit price the average over the exits.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
from exchange import Answers, Instruction, Job, Market, read_batch

_EPOCH = datetime(1970, 1, 1)
_STATUS = {
    bt.Order.Created: "open",
    bt.Order.Submitted: "open",
    bt.Order.Accepted: "open",
    bt.Order.Partial: "open",
    bt.Order.Completed: "filled",
    bt.Order.Canceled: "cancelled",
    bt.Order.Expired: "expired",
    bt.Order.Margin: "rejected",
    bt.Order.Rejected: "cancelled",  # given only to legs whose bracket has already ended
}


class Arrays(bt.feed.DataBase):
    """A feed of the bars of one asset; rows without a close are left out."""

    params = (("numbers", None), ("columns", None))

    def start(self) -> None:
        """Take the rows that are bars."""
        super().start()
        there = ~np.isnan(self.p.columns[3])
        self._rows = iter(zip(self.p.numbers[there].tolist(), *(column[there].tolist() for column in self.p.columns), strict=True))

    def _load(self) -> bool:
        row = next(self._rows, None)
        if row is None:
            return False
        lines = self.lines
        lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = row
        lines.openinterest[0] = 0.0
        return True


class Script(bt.Strategy):
    """Does what the script of a job says, and writes down cash and value at every bar."""

    params = (("job", None), ("times", None), ("margins", None), ("last", None))

    def __init__(self) -> None:
        self.book: list[tuple[int, float, float]] = []
        self.fills: list[tuple[Any, ...]] = []
        self.trades: list[tuple[Any, ...]] = []
        self.labels: dict[str, Any] = {}
        self._opened: dict[int, int] = {}  # trade to the time of its first fill
        self._todo: dict[int, list[Instruction]] = {}
        for told in self.p.job.script:
            self._todo.setdefault(told.time, []).append(told)
        self._feeds = {data._name: data for data in self.datas}

    def notify_order(self, order: Any) -> None:
        """Write down the fills that the notice tells of."""
        now, label = self.p.times[self.datetime[0]], order.info.get("label")
        for bit in order.executed.iterpending():
            self.fills.append((now, order.data._name, bit.size, bit.price, bit.comm, None, label))

    def notify_trade(self, trade: Any) -> None:
        """Write down a trade that has ended."""
        now = self.p.times[self.datetime[0]]
        if trade.justopened:
            self._opened[trade.ref] = now
        if trade.isclosed:
            self.trades.append((trade.data._name, self._opened.pop(trade.ref), now, *_flat_to_flat(trade)))
            trade.history.clear()  # it holds on to every order

    def prenext(self) -> None:
        """Trade before the last asset has begun, too."""
        self.next()

    def next(self) -> None:
        """Write down the account, then play the bar's instructions."""
        now = self.p.times[self.datetime[0]]
        posted = sum(abs(self.getposition(self._feeds[asset]).size) * margin for asset, margin in self.p.margins.items())
        self.book.append((now, self.broker.get_cash() + posted, self.broker.get_value()))
        self.broker.orders.clear()  # only a list of all orders, which would fill the memory in a long run
        if now != self.p.last:  # the broker would never look at its orders
            for told in self._todo.get(now, ()):
                self._play(told)

    def _play(self, told: Instruction) -> None:
        if told.verb == "cancel":
            if told.target in self.labels:
                self.cancel(self.labels[told.target])
            return
        if told.verb == "bracket":
            self._bracket(told)
            return
        data = self._feeds[told.asset]
        if told.verb == "close":
            order = self.close(data=data)
        elif told.verb.startswith("target_"):
            order = self._target(told, data)
        else:
            method = self.buy if told.quantity > 0 else self.sell
            order = method(data=data, size=_size(told.quantity), **self._terms(told))
        self._keep(told.label, order)

    def _target(self, told: Instruction, data: Any) -> Any:
        if told.verb == "target_percent":
            return self.order_target_percent(data=data, target=told.quantity)
        if told.verb == "target_value":
            return self.order_target_value(data=data, target=told.quantity)
        return self.order_target_size(data=data, target=int(told.quantity) if told.quantity.is_integer() else told.quantity)

    def _terms(self, told: Instruction) -> dict[str, Any]:
        terms: dict[str, Any] = {}
        if told.target:
            terms["oco"] = self.labels[told.target]
        if told.good_till:
            terms["valid"] = _moment(told.good_till)
        if told.verb == "limit":
            return {"exectype": bt.Order.Limit, "price": told.limit_price, **terms}
        if told.verb == "stop":
            return {"exectype": bt.Order.Stop, "price": told.stop_price, **terms}
        if told.verb == "stop_limit":
            return {"exectype": bt.Order.StopLimit, "price": told.stop_price, "plimit": told.limit_price, **terms}
        if told.verb == "trailing_stop":
            name, trail = ("trailpercent", told.trail_percent) if np.isnan(told.trail_amount) else ("trailamount", told.trail_amount)
            return {"exectype": bt.Order.StopTrail, name: trail, **terms}
        return terms

    def _bracket(self, told: Instruction) -> None:
        method = self.buy_bracket if told.quantity > 0 else self.sell_bracket
        entry = {"exectype": bt.Order.Market}
        if not np.isnan(told.limit_price):
            entry = {"exectype": bt.Order.Limit, "price": told.limit_price}
        prices = {"stopprice": told.stop_loss, "limitprice": told.take_profit}
        made = method(data=self._feeds[told.asset], size=_size(told.quantity), **entry, **prices)
        for suffix, order in zip(("", ".stop", ".target"), made, strict=True):
            self._keep(told.label + suffix if told.label else "", order)

    def _keep(self, label: str, order: Any) -> None:
        if order is not None and label:
            order.addinfo(label=label)
            self.labels[label] = order


def _size(quantity: float) -> float:
    size = abs(quantity)
    return int(size) if size.is_integer() else size


def _moment(time_of: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_of // 1000)


def _cerebro(job: Job, numbers: np.ndarray, times: dict[float, int]) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False, tradehistory=True)
    market, settings = job.market, job.settings
    for column, asset in enumerate(market.assets):
        columns = [getattr(market, name)[:, column] for name in ("open", "high", "low", "close", "volume")]
        cerebro.adddata(Arrays(numbers=numbers, columns=columns), name=asset)
    broker = cerebro.broker
    broker.set_cash(settings["cash"])
    _set_costs(broker, settings)
    margins = {asset: future["margin"] for asset, future in settings.get("futures", {}).items()}
    cerebro.addstrategy(Script, job=job, times=times, margins=margins, last=int(market.times[-1]))
    return cerebro


def _set_costs(broker: Any, settings: dict[str, Any]) -> None:
    commission = settings.get("commission", {"kind": "percentage", "rate": 0.0})
    if commission["kind"] == "percentage":
        broker.setcommission(commission=commission["rate"])
    else:
        broker.setcommission(commission=commission["amount"], commtype=bt.CommInfoBase.COMM_FIXED, stocklike=True)
    for asset, future in settings.get("futures", {}).items():
        amount = commission.get("amount", 0.0)
        broker.setcommission(commission=amount, mult=future["multiplier"], margin=future["margin"], name=asset)
    slippage = settings.get("slippage")
    if slippage is not None and slippage["kind"] == "fixed":
        broker.set_slippage_fixed(slippage["amount"])
    elif slippage is not None:
        broker.set_slippage_perc(slippage["rate"])
    if settings.get("volume_limit"):
        broker.set_filler(bt.broker.fillers.FixedBarPerc(perc=round(100.0 * settings["volume_limit"], 9)))


def _run(job: Job, clocks: dict[str, tuple[np.ndarray, dict[float, int]]], answers: Answers) -> None:
    if job.market.name not in clocks:
        clocks[job.market.name] = _clock(job.market)
    numbers, times = clocks[job.market.name]
    cerebro = _cerebro(job, numbers, times)
    started = time.perf_counter()
    (strategy,) = cerebro.run()
    answers.seconds[job.id] = time.perf_counter() - started
    answers.equity.extend((job.id, *row) for row in strategy.book)
    answers.fills.extend((job.id, *row) for row in strategy.fills)
    answers.trades.extend((job.id, *row) for row in strategy.trades)
    orders = ((label, _STATUS[order.status], order.executed.size) for label, order in strategy.labels.items())
    answers.orders.extend((job.id, *row) for row in orders)


def _clock(market: Market) -> tuple[np.ndarray, dict[float, int]]:
    """Return Backtrader's numbers of the bars' times, and the way back."""
    numbers = np.array([bt.date2num(_moment(moment)) for moment in market.times.tolist()])
    return numbers, dict(zip(numbers.tolist(), market.times.tolist(), strict=True))


def _flat_to_flat(trade: Any) -> tuple[float, float, float, float, float]:
    closed = paid = 0.0
    before = 0.0
    for entry in trade.history:
        if abs(entry.status.size) < abs(before):
            closed -= entry.event.size
            paid -= entry.event.size * entry.event.price
        before = entry.status.size
    return closed, trade.price, paid / closed, trade.pnlcomm, trade.commission


def main(batch: str, folder: str) -> None:
    """Run every case of a batch and write what came out."""
    answers = Answers(versions={"backtrader": bt.__version__, "python": sys.version.split()[0], "numpy": np.__version__})
    clocks: dict[str, tuple[np.ndarray, dict[float, int]]] = {}
    for job in read_batch(Path(batch)):
        _run(job, clocks, answers)
    answers.write(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:3])
