"""Runs a batch of cases in Backtrader: `python backtrader_runner.py BATCH_DIR ANSWER_DIR`.

Everything is Backtrader's own: feeds, broker, orders, brackets, groups, commission schemes, slippage, fillers, target orders.

Two things are brought to the shape of the other side. Backtrader takes the margin of futures out of cash: the posted margin is
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

    params = (("job", None), ("times", None), ("margins", None))

    def __init__(self) -> None:
        self.book: list[tuple[int, float, float]] = []
        self.labels: dict[str, Any] = {}
        self._todo: dict[int, list[Instruction]] = {}
        for told in self.p.job.script:
            self._todo.setdefault(told.time, []).append(told)
        self._feeds = {data._name: data for data in self.datas}

    def prenext(self) -> None:
        """Trade before the last asset has begun, too."""
        self.next()

    def next(self) -> None:
        """Write down the account, then play the bar's instructions."""
        now = self.p.times[self.datetime[0]]
        posted = sum(abs(self.getposition(self._feeds[asset]).size) * margin for asset, margin in self.p.margins.items())
        self.book.append((now, self.broker.get_cash() + posted, self.broker.get_value()))
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
    cerebro.addstrategy(Script, job=job, times=times, margins=margins)
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
    _collect_orders(job, cerebro.broker, times, answers)
    for data in strategy.datas:
        for trade in strategy._trades[data][0]:
            if trade.isclosed:
                answers.trades.append((job.id, data._name, *_flat_to_flat(trade, times)))


def _clock(market: Market) -> tuple[np.ndarray, dict[float, int]]:
    """Return Backtrader's numbers of the bars' times, and the way back."""
    numbers = np.array([bt.date2num(_moment(moment)) for moment in market.times.tolist()])
    return numbers, dict(zip(numbers.tolist(), market.times.tolist(), strict=True))


def _collect_orders(job: Job, broker: Any, times: dict[float, int], answers: Answers) -> None:
    for order in broker.orders:
        label = order.info.get("label")
        for bit in order.executed.exbits:
            answers.fills.append((job.id, times[bit.dt], order.data._name, bit.size, bit.price, bit.comm, None, label))
        if label:
            answers.orders.append((job.id, label, _STATUS[order.status], order.executed.size))


def _flat_to_flat(trade: Any, times: dict[float, int]) -> tuple[int, int, float, float, float, float, float]:
    closed = paid = 0.0
    before = 0.0
    for entry in trade.history:
        if abs(entry.status.size) < abs(before):
            closed -= entry.event.size
            paid -= entry.event.size * entry.event.price
        before = entry.status.size
    return times[trade.dtopen], times[trade.dtclose], closed, trade.price, paid / closed, trade.pnlcomm, trade.commission


def main(batch: str, folder: str) -> None:
    """Run every case of a batch and write what came out."""
    answers = Answers(versions={"backtrader": bt.__version__, "python": sys.version.split()[0], "numpy": np.__version__})
    clocks: dict[str, tuple[np.ndarray, dict[float, int]]] = {}
    for job in read_batch(Path(batch)):
        _run(job, clocks, answers)
    answers.write(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:3])
