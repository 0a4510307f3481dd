"""Plays cases in NautilusTrader: python nautilus_runner.py BATCH ANSWER.

Bars move its matching engine as four ticks: open, high, low, close. Orders are its own, brackets and trailing stops too. The account is a
margin account whose instruments need no margin, so that it goes short and never refuses for money. Prices and money are fixed-point
numbers there: both get nine decimals, and a currency of their own, because dollars are rounded to cents. Limit orders that wait pay the
same fee as those that take.

Its account tells the balance, and the portfolio what positions have gained since; both are read right after each bar, when the orders
of the bar have traded.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import nautilus_trader
import numpy as np
from exchange import Answers, Instruction, Job, read_batch
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FillModel, FixedFeeModel, MakerTakerFeeModel, PerContractFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import (
    AccountType,
    AssetClass,
    CurrencyType,
    OmsType,
    OrderSide,
    OrderType,
    TrailingOffsetType,
    TriggerType,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity, FuturesContract
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

DECIMALS = 9
_YEAR = 365 * 86_400 * 10**9
MONEY = Currency("UNT", precision=DECIMALS, iso4217=0, name="unit of account", currency_type=CurrencyType.FIAT)
VENUE = Venue("SIM")
STATUS = {
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "REJECTED": "rejected",
    "DENIED": "rejected",
    "EXPIRED": "expired",
}


def number(value: float) -> Decimal:
    """Return a number as it prints."""
    return Decimal(repr(float(value)))


class PlaysScript(Strategy):  # type: ignore[misc]
    """Does what the script of a job says, each instruction when the bar of its asset is there."""

    def __init__(self, job: Job, digits: int, answers: Answers) -> None:
        super().__init__()
        self.job = job
        self.digits = digits
        self.answers = answers
        self.labels: dict[str, str] = {}  # id of an order to label
        self.made: dict[str, Any] = {}  # label to order
        self.marked: set[int] = set()
        self.held: dict[InstrumentId, float] = {}  # of the open position
        self.bought: dict[InstrumentId, float] = {}  # all that was opened since it was flat
        self.todo: dict[tuple[int, str], list[Instruction]] = defaultdict(list)
        for told in job.script:
            self.todo[told.time, told.asset].append(told)

    def on_start(self) -> None:
        for asset in self.job.market.assets:
            self.subscribe_bars(bar_type(asset))

    def on_bar(self, bar: Bar) -> None:
        if bar.ts_event not in self.marked:
            self.marked.add(bar.ts_event)
            self.clock.set_time_alert_ns(f"after {bar.ts_event}", bar.ts_event + 1, self.mark)
        for told in self.todo.get((bar.ts_event, bar.bar_type.instrument_id.symbol.value), ()):
            self.play(told)

    def mark(self, event: Any) -> None:
        """Write down the account value when all orders of a bar have traded."""
        self.tell(event.ts_event - 1)

    def tell(self, when: int) -> None:
        """Write down the account value of a bar."""
        gained = self.portfolio.unrealized_pnls(VENUE).get(MONEY)
        value = self.portfolio.account(VENUE).balance_total(MONEY).as_double() + (0.0 if gained is None else gained.as_double())
        self.answers.equity.append((self.job.id, when, None, value))

    def play(self, told: Instruction) -> None:
        """Play one instruction."""
        if told.verb == "cancel":
            order = self.made.get(told.target)
            if order is not None and not order.is_closed:
                self.cancel_order(order)
            return
        if told.verb == "bracket":
            self.bracket(told)
            return
        order = self.order(told)
        if order is not None:
            self.name(told.label, order)
            self.submit_order(order)

    def name(self, label: str, order: Any) -> None:
        """Remember what an order is called."""
        if label:
            self.labels[order.client_order_id.value] = label
            self.made[label] = order

    def order(self, told: Instruction) -> Any:
        """Return the order of an instruction, None where there is nothing to close."""
        make, asset = self.order_factory, instrument_id(told.asset)
        if told.verb == "close":
            held = self.portfolio.net_position(asset)
            side = OrderSide.SELL if held > 0 else OrderSide.BUY
            return make.market(asset, side, Quantity.from_int(abs(int(held))), reduce_only=True) if held else None
        side, size = self.side_and_size(told)
        if told.verb == "market":
            return make.market(asset, side, size)
        if told.verb == "limit":
            return make.limit(asset, side, size, self.price(told.limit_price))
        if told.verb == "stop":
            return make.stop_market(asset, side, size, self.price(told.stop_price))
        offset = number(told.trail_percent) * 10_000 if np.isnan(told.trail_amount) else number(told.trail_amount)
        kind = TrailingOffsetType.BASIS_POINTS if np.isnan(told.trail_amount) else TrailingOffsetType.PRICE
        return make.trailing_stop_market(asset, side, size, offset, trailing_offset_type=kind, trigger_type=TriggerType.BID_ASK)

    def bracket(self, told: Instruction) -> None:
        """Submit a bracket with its own legs."""
        side, size = self.side_and_size(told)
        entry = {} if np.isnan(told.limit_price) else {"entry_order_type": OrderType.LIMIT, "entry_price": self.price(told.limit_price)}
        orders = self.order_factory.bracket(
            instrument_id(told.asset),
            side,
            size,
            sl_trigger_price=self.price(told.stop_loss),
            tp_price=self.price(told.take_profit),
            tp_post_only=False,
            **entry,
        )
        for order in orders.orders:
            leg = {OrderType.STOP_MARKET: ".stop", OrderType.LIMIT: ".target"}.get(order.order_type, "")
            self.name(told.label + ("" if order.client_order_id == orders.first.client_order_id else leg), order)
        self.submit_order_list(orders)

    def side_and_size(self, told: Instruction) -> tuple[OrderSide, Quantity]:
        """Return which way and how much."""
        return OrderSide.BUY if told.quantity > 0.0 else OrderSide.SELL, Quantity.from_int(abs(int(told.quantity)))

    def price(self, value: float) -> Price:
        """Return a price of the instruments."""
        return Price(value, self.digits)

    def on_order_filled(self, event: Any) -> None:
        quantity = event.last_qty.as_double() * (1.0 if event.order_side == OrderSide.BUY else -1.0)
        label = self.labels.get(event.client_order_id.value)
        asset = event.instrument_id.symbol.value
        paid = event.commission.as_double()
        self.answers.fills.append((self.job.id, event.ts_event, asset, quantity, event.last_px.as_double(), paid, None, label))

    def on_position_opened(self, event: Any) -> None:
        self.held[event.instrument_id] = self.bought[event.instrument_id] = event.quantity.as_double()

    def on_position_changed(self, event: Any) -> None:
        now = event.quantity.as_double()
        self.bought[event.instrument_id] += max(now - self.held[event.instrument_id], 0.0)
        self.held[event.instrument_id] = now

    def on_position_closed(self, event: Any) -> None:
        quantity = self.bought[event.instrument_id] * (1.0 if event.entry == OrderSide.BUY else -1.0)
        numbers = (event.ts_opened, event.ts_closed, quantity, event.avg_px_open, event.avg_px_close, event.realized_pnl.as_double())
        self.answers.trades.append((self.job.id, event.instrument_id.symbol.value, *numbers, None))

    def on_stop(self) -> None:
        """Tell the last account value, which no timer does, and what became of the orders, before anything is cleaned up."""
        self.tell(int(self.job.market.times[-1]))
        for label, order in self.made.items():
            filled = order.filled_qty.as_double() * (1.0 if order.side == OrderSide.BUY else -1.0)
            status = STATUS.get(order.status_string(), "open")
            if status == "rejected" and label.endswith((".target", ".stop")):
                status = "cancelled"  # a leg that arrives when the other has traded
            self.answers.orders.append((self.job.id, label, status, filled))


def instrument_id(asset: str) -> InstrumentId:
    """Return the name of an asset there."""
    return InstrumentId(Symbol(asset), VENUE)


def bar_type(asset: str) -> BarType:
    """Return the name of an asset's bars there."""
    return BarType.from_str(f"{asset}.{VENUE}-1-DAY-LAST-EXTERNAL")


def fee_model(told: dict[str, Any] | None) -> Any:
    """Return the fees as NautilusTrader takes them; a percentage stands with the instruments."""
    if told and told["kind"] == "per_unit":
        return PerContractFeeModel(Money(told["amount"], MONEY))
    if told and told["kind"] == "per_order":
        return FixedFeeModel(Money(told["amount"], MONEY))
    return MakerTakerFeeModel()


def engine_for(job: Job, digits: int) -> BacktestEngine:
    """Return an engine with venue, instruments and bars."""
    settings, market = job.settings, job.market
    commission, slippage = settings.get("commission"), settings.get("slippage")
    rate = number(commission["rate"]) if commission and commission["kind"] == "percentage" else Decimal(0)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True)))
    engine.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(settings["cash"], MONEY)],
        base_currency=MONEY,
        default_leverage=Decimal(1),
        fee_model=fee_model(commission),
        fill_model=FillModel(prob_slippage=1.0 if slippage else 0.0),
        reject_stop_orders=False,
    )
    for column, asset in enumerate(market.assets):
        name = instrument_id(asset)
        tick = Price.from_str(f"{slippage['amount'] if slippage else 10.0**-digits:.{digits}f}")
        unit = Quantity.from_int(1)
        terms = {"maker_fee": rate, "taker_fee": rate, "ts_event": 0, "ts_init": 0}
        future = settings.get("futures", {}).get(asset)
        if future:
            size = Quantity.from_str(str(number(future["multiplier"])))
            end = int(market.times[-1]) + _YEAR
            kind = (AssetClass.INDEX, MONEY, digits, tick, size, unit, "INDEX", 0, end)
            engine.add_instrument(FuturesContract(name, Symbol(asset), *kind, **terms))
        else:
            engine.add_instrument(Equity(name, Symbol(asset), MONEY, digits, tick, unit, **terms))
        engine.add_data(bars_of(job, column, digits))
    return engine


def bars_of(job: Job, column: int, digits: int) -> list[Bar]:
    """Return the bars of an asset."""
    market, kind = job.market, bar_type(job.market.assets[column])
    prices = [getattr(market, name)[:, column].tolist() for name in ("open", "high", "low", "close", "volume")]
    bars = []
    for when, opened, high, low, close, volume in zip(market.times.tolist(), *prices, strict=True):
        if not np.isnan(close):
            levels = [Price(level, digits) for level in (opened, high, low, close)]
            bars.append(Bar(kind, *levels, Quantity.from_int(int(volume)), when, when))
    return bars


def play(job: Job, answers: Answers) -> None:
    """Run a case and write down what came out."""
    slippage = job.settings.get("slippage")
    digits = max(-number(slippage["amount"]).as_tuple().exponent, 2) if slippage else DECIMALS
    engine = engine_for(job, digits)
    engine.add_strategy(PlaysScript(job, digits, answers))
    started = time.perf_counter()
    engine.run()
    answers.seconds[job.id] = time.perf_counter() - started
    engine.dispose()


def main() -> None:
    """Run a batch."""
    answers = Answers(versions={"nautilus_trader": nautilus_trader.__version__, "python": sys.version.split()[0]})
    for job in read_batch(Path(sys.argv[1])):
        play(job, answers)
    answers.write(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
