"""Plays cases in Zipline: python zipline_runner.py BATCH_DIR ANSWER_DIR [close|open].

`close` is Zipline as it comes: every shipped slippage model fills at the close. `open` fills at the open by slippage classes
of a user's own, which is how Zipline is told to; what triggers limit and stop orders stays Zipline's own, the close.
The data are in memory: a bar reader over the arrays of the case, and an asset and an adjustment database in SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("ZIPLINE_ROOT", tempfile.mkdtemp(prefix="zipline-"))  # Zipline looks for extensions there; there are none

import numpy as np
import pandas as pd
import sqlalchemy
import zipline
from exchange import Answers, Instruction, Job, Market, read_batch
from zipline import TradingAlgorithm
from zipline.assets import AssetDBWriter, AssetFinder
from zipline.data.adjustments import SQLiteAdjustmentReader, SQLiteAdjustmentWriter
from zipline.data.bar_reader import NoDataOnDate
from zipline.data.data_portal import DataPortal
from zipline.data.session_bars import SessionBarReader
from zipline.errors import CannotOrderDelistedAsset
from zipline.finance import commission, slippage
from zipline.finance.blotter import SimulationBlotter
from zipline.finance.order import ORDER_STATUS
from zipline.finance.trading import SimulationParameters
from zipline.utils.calendar_utils import get_calendar

_NO_LIMIT = 1e9  # of the volume: FixedBasisPointsSlippage must have a limit, this one never binds
_PRICES = {"market": (), "limit": ("limit_price",), "stop": ("stop_price",), "stop_limit": ("limit_price", "stop_price")}
_TARGETS = {"target_quantity": "order_target", "target_value": "order_target_value", "target_percent": "order_target_percent"}
_STATUS = {ORDER_STATUS.OPEN: "open", ORDER_STATUS.FILLED: "filled", ORDER_STATUS.CANCELLED: "cancelled", ORDER_STATUS.REJECTED: "rejected"}


class Bars(SessionBarReader):
    """The bars of a market. No bar is a volume of 0 and prices of NaN, as in Zipline's own readers."""

    def __init__(self, market: Market, calendar: Any) -> None:
        self._calendar = calendar
        self._sessions = pd.DatetimeIndex(market.times)
        self._rows = {stamp: row for row, stamp in enumerate(market.times.tolist())}
        self.arrays = {name: getattr(market, name) for name in ("open", "high", "low", "close")}
        self.arrays["volume"] = np.nan_to_num(market.volume)
        self._values = {name: values.tolist() for name, values in self.arrays.items()}

    @property
    def last_available_dt(self) -> pd.Timestamp:
        """The last session."""
        return self._sessions[-1]

    @property
    def trading_calendar(self) -> Any:
        """The calendar of the sessions."""
        return self._calendar

    @property
    def first_trading_day(self) -> pd.Timestamp:
        """The first session."""
        return self._sessions[0]

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """All sessions."""
        return self._sessions

    def load_raw_arrays(self, columns: list[str], start_date: Any, end_date: Any, assets: Any) -> list[np.ndarray]:
        """Return the values of some sessions and assets, an array for each column."""
        rows = slice(*self._sessions.slice_locs(start_date, end_date))
        return [self.arrays[column][rows][:, list(assets)] for column in columns]

    def get_value(self, sid: int, dt: pd.Timestamp, field: str) -> float:
        """Return one value."""
        row = self._rows.get(dt.value)
        if row is None:
            raise NoDataOnDate(dt)
        return self._values[field][row][int(sid)]

    def get_last_traded_dt(self, asset: Any, dt: pd.Timestamp) -> pd.Timestamp:
        """Return the last session up to one with volume."""
        stop = int(self._sessions.searchsorted(dt, side="right"))
        traded = np.flatnonzero(self.arrays["volume"][:stop, int(asset.sid)])
        return self._sessions[traded[-1]] if len(traded) else pd.NaT


class Place:
    """What the cases of one market share: calendar, assets, bars and corporate actions."""

    def __init__(self, market: Market) -> None:
        self.calendar = _calendar()
        self.sessions = pd.DatetimeIndex(market.times)
        expected = self.calendar.sessions_in_range(self.sessions[0], self.sessions[-1])
        if not np.array_equal(expected.to_numpy().astype("datetime64[ns]"), self.sessions.to_numpy()):
            raise ValueError(
                f"the bars of {market.name} are not the sessions of the New York Stock Exchange between the first and the last"
            )
        self.finder = _assets(market, self.sessions)
        self.bars = Bars(market, self.calendar)
        self.adjustments = _corporate_actions(market, self.bars)
        self.assets = {name: self.finder.retrieve_asset(sid) for sid, name in enumerate(market.assets)}

    def portal(self) -> DataPortal:
        """Return a data portal: a run keeps what it has read in it."""
        return DataPortal(
            self.finder,
            trading_calendar=self.calendar,
            first_trading_day=self.sessions[0],
            equity_daily_reader=self.bars,
            adjustment_reader=self.adjustments,
        )


@cache
def _calendar() -> Any:
    """Return the calendar. It remembers the session of a minute: Zipline asks for it with every price, and most of a run would go into it."""
    calendar = get_calendar("XNYS")
    calendar.minute_to_session = cache(calendar.minute_to_session)
    return calendar


def _assets(market: Market, sessions: pd.DatetimeIndex) -> AssetFinder:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    equities = pd.DataFrame(
        {
            "symbol": list(market.assets),
            "asset_name": list(market.assets),
            "start_date": sessions[0],
            "end_date": sessions[-1],
            "exchange": "NYSE",
        },
        index=pd.RangeIndex(len(market.assets)),
    )
    exchanges = pd.DataFrame({"exchange": ["NYSE"], "canonical_name": ["NYSE"], "country_code": ["US"]})
    AssetDBWriter(engine).write(equities=equities, exchanges=exchanges)
    return AssetFinder(engine)


def _corporate_actions(market: Market, bars: Bars) -> SQLiteAdjustmentReader | None:
    if not market.events:
        return None
    sids = {name: sid for sid, name in enumerate(market.assets)}
    splits = [(event.time // 10**9, 1.0 / event.value, sids[event.asset]) for event in market.events if event.kind == "split"]
    paid = [(sids[event.asset], pd.Timestamp(event.time), event.value) for event in market.events if event.kind == "dividend"]
    dividends = pd.DataFrame(paid, columns=["sid", "ex_date", "amount"])
    for name in ("declared_date", "record_date", "pay_date"):
        dividends[name] = dividends["ex_date"]
    connection = sqlite3.connect(":memory:")
    writer = SQLiteAdjustmentWriter(connection, bars)
    writer.write(
        splits=pd.DataFrame(splits, columns=["effective_date", "ratio", "sid"]) if splits else None,
        dividends=dividends if paid else None,
    )
    return SQLiteAdjustmentReader(connection)


class _OpenForClose:
    """A bar that tells its open when it is asked for its close."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def current(self, asset: Any, field: str) -> float:
        return self._data.current(asset, "open" if field == "close" else field)


class OpenNoSlippage(slippage.SlippageModel):
    """Fills everything at the open."""

    def process_order(self, data: Any, order: Any) -> tuple[float, int]:
        """Return price and quantity."""
        return data.current(order.asset, "open"), order.open_amount


class OpenFixedSlippage(slippage.FixedSlippage):
    """FixedSlippage from the open."""

    def process_order(self, data: Any, order: Any) -> Any:
        """Return price and quantity."""
        return super().process_order(_OpenForClose(data), order)


class OpenVolumeShareSlippage(slippage.VolumeShareSlippage):
    """VolumeShareSlippage from the open."""

    def process_order(self, data: Any, order: Any) -> Any:
        """Return price and quantity."""
        return super().process_order(_OpenForClose(data), order)


class OpenFixedBasisPointsSlippage(slippage.FixedBasisPointsSlippage):
    """FixedBasisPointsSlippage from the open."""

    def process_order(self, data: Any, order: Any) -> Any:
        """Return price and quantity."""
        return super().process_order(_OpenForClose(data), order)


def _slippage(settings: dict[str, Any], engine: str) -> slippage.SlippageModel:
    at_open = engine == "open"
    told = settings.get("slippage")
    limit = settings.get("volume_limit")
    if told is None and limit is None:
        return OpenNoSlippage() if at_open else slippage.NoSlippage()
    kind = "percentage" if told is None else told["kind"]
    if kind == "fixed":
        model = OpenFixedSlippage if at_open else slippage.FixedSlippage
        return model(spread=2.0 * told["amount"])
    if kind == "volume_share":
        model = OpenVolumeShareSlippage if at_open else slippage.VolumeShareSlippage
        return model(volume_limit=told["volume_limit"], price_impact=told["price_impact"])
    model = OpenFixedBasisPointsSlippage if at_open else slippage.FixedBasisPointsSlippage
    if kind == "basis_points":
        return model(basis_points=told["basis_points"], volume_limit=told["volume_limit"])
    return model(basis_points=0.0 if told is None else told["rate"] * 1e4, volume_limit=_NO_LIMIT if limit is None else limit)


def _commission(settings: dict[str, Any]) -> commission.CommissionModel:
    told = settings.get("commission")
    if told is None:
        return commission.NoCommission()
    if told["kind"] == "per_unit":
        return commission.PerShare(cost=told["amount"], min_trade_cost=told.get("minimum", 0.0))
    if told["kind"] == "per_order":
        return commission.PerTrade(cost=told["amount"])
    return commission.PerDollar(cost=told["rate"])


class Blotter(SimulationBlotter):
    """Zipline's blotter, which also keeps what each fill cost: Zipline tells commissions apart from transactions.

    An order has at most one fill on a bar, so that order and bar name a fill.
    """

    def __init__(self, **models: Any) -> None:
        super().__init__(**models)
        self.filled: list[tuple[Any, float]] = []  # transactions of this bar with their commission
        self.dropped: set[str] = set()  # orders that a split left with nothing to trade

    def get_transactions(self, bar_data: Any) -> Any:
        """Return what the bar fills."""
        transactions, commissions, closed = super().get_transactions(bar_data)
        costs = {entry["order"].id: entry["cost"] for entry in commissions}
        self.filled = [(transaction, costs.get(transaction.order_id, 0.0)) for transaction in transactions]
        return transactions, commissions, closed

    def process_splits(self, splits: Any) -> None:
        """Convert the open orders."""
        before = self._open_ids()
        super().process_splits(splits)
        self.dropped |= before - self._open_ids()

    def _open_ids(self) -> set[str]:
        return {order.id for orders in self.open_orders.values() for order in orders}


class Run:
    """One case: the strategy, and a metric of Zipline that notes cash and value when a session ends."""

    def __init__(self, job: Job, place: Place, engine: str, answers: Answers) -> None:
        self._job = job
        self._place = place
        self._answers = answers
        self._todo: dict[int, list[Instruction]] = defaultdict(list)
        for instruction in job.script:
            self._todo[instruction.time].append(instruction)
        self._ids: dict[str, str] = {}  # label to order id
        self._labels: dict[str, str] = {}
        self._blotter = Blotter(equity_slippage=_slippage(job.settings, engine), equity_commission=_commission(job.settings))

    def play(self) -> None:
        """Run the case."""
        place, sessions = self._place, self._place.sessions
        parameters = SimulationParameters(sessions[0], sessions[-1], place.calendar, capital_base=float(self._job.settings["cash"]))
        self._algorithm = TradingAlgorithm(
            sim_params=parameters,
            data_portal=place.portal(),
            handle_data=self._handle_data,
            metrics_set={self},
            blotter=self._blotter,
            benchmark_returns=pd.Series(0.0, index=sessions),
        )
        started = time.perf_counter()
        self._algorithm.run()
        self._answers.seconds[self._job.id] = time.perf_counter() - started
        self._tell_orders()

    def _handle_data(self, context: Any, data: Any) -> None:
        for told in self._todo.get(data.current_session.value, ()):
            self._do(context, told)

    def _do(self, algorithm: TradingAlgorithm, told: Instruction) -> None:
        if told.verb == "cancel":
            if told.target in self._ids:
                algorithm.cancel_order(self._ids[told.target])
            return
        asset = self._place.assets[told.asset]
        try:
            order_id = self._order(algorithm, asset, told)
        except CannotOrderDelistedAsset:  # what Zipline says of an asset without any price so far, too
            order_id = None
        if order_id is not None and told.label:
            self._ids[told.label] = order_id
            self._labels[order_id] = told.label

    @staticmethod
    def _order(algorithm: TradingAlgorithm, asset: Any, told: Instruction) -> str | None:
        prices = {"limit_price": told.limit_price, "stop_price": told.stop_price}
        if told.verb in _PRICES:
            return algorithm.order(asset, told.quantity, **{name: prices[name] for name in _PRICES[told.verb]})
        if told.verb == "close":
            return algorithm.order_target(asset, 0)
        if told.verb in _TARGETS:
            return getattr(algorithm, _TARGETS[told.verb])(asset, told.quantity)
        raise ValueError(f"Zipline has no {told.verb}")

    def end_of_session(self, packet: Any, ledger: Any, session: pd.Timestamp, session_ix: int, data_portal: Any) -> None:
        """Note the session's fills, cash and value."""
        case, stamp = self._job.id, session.value
        for transaction, cost in self._blotter.filled:
            label = self._labels.get(transaction.order_id)
            row = (case, stamp, transaction.asset.symbol, float(transaction.amount), float(transaction.price), float(cost), None, label)
            self._answers.fills.append(row)
        self._answers.equity.append((case, stamp, float(ledger.portfolio.cash), float(ledger.portfolio.portfolio_value)))

    def _tell_orders(self) -> None:
        """Tell how every order ended.

        Zipline drops an order that a split leaves with nothing to trade. Its status, computed from what is open, then says FILLED; here
        it is cancelled.
        """
        for order_id, label in self._labels.items():
            order = self._blotter.orders[order_id]
            status = "cancelled" if order_id in self._blotter.dropped else _STATUS[order.status]
            self._answers.orders.append((self._job.id, label, status, float(order.filled)))


def _places(jobs: Iterator[Job]) -> Iterator[tuple[Job, Place]]:
    place, market = None, None
    for job in jobs:
        if place is None or job.market is not market:
            place, market = Place(job.market), job.market
        yield job, place


def main(batch: str, answer: str, engine: str = "close") -> None:
    """Play a batch."""
    if engine not in ("close", "open"):
        raise SystemExit(f"the engine was {engine!r}, expected close or open")
    answers = Answers(versions={"zipline-reloaded": zipline.__version__, "pandas": pd.__version__, "numpy": np.__version__})
    for job, place in _places(read_batch(Path(batch))):
        Run(job, place, engine, answers).play()
    answers.write(Path(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
