"""Stepping a `Broker` by hand: the bar is given, fill passes are asked for, everything else follows docs/execution.md.

The ledger is the engine's, over arrays that grow. Where the engine runs through a bar, here the bar stops twice: before its first fill
pass, and after it. An order that was submitted before the first pass of its bar takes no part in it, because it was decided later
than that pass happens.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calendar.instants import datetime_of
from ml4t_backtest.calls import bar_call, step
from ml4t_backtest.config import DataFrequency
from ml4t_backtest.handparts import HandRules, OpenPositions
from ml4t_backtest.lowering.params import lower_params
from ml4t_backtest.orderentry import OrderEntry
from ml4t_backtest.widening import GrowingPanels, read_bars, read_signals, widen
from ml4t_kernels.codes import BarFlag, OrderStatus, PriceField, Stage, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.handles import Order, Position
    from ml4t_backtest.lowering import CostModels, HostCalls
    from ml4t_backtest.trading_stats import StatsBook

__all__ = ["ByHand"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: counts wall clock time
_WINDOW = 8  # bars that decide whether bars of a calendar are daily
_CHANGEABLE = ("execution_mode", "execution_price", "stop_fill_mode", "stop_level_basis", "trail_stop_timing")
# What the next call of process_orders is: the first pass; the first pass, with nothing to do; a later one.
_FIRST, _EMPTY, _LATER = 0, 1, 2


class ByHand(OrderEntry):
    """The steps of a bar by hand; see `HandBroker`."""

    _panels: GrowingPanels  # pyright: ignore[reportIncompatibleVariableOverride]
    _rules: HandRules
    _hosts: HostCalls
    _specs: dict[str, ContractSpec]
    _stats: StatsBook | None
    _costs: CostModels
    _given_specs: Mapping[str, ContractSpec]
    _positive: bool
    # Assigned where a bar begins and ends.
    _next_call = _LATER
    _is_over = True
    _first_row = 0
    _is_last: bool | None = None

    # Bars ------------------------------------------------------------------------------------------------------------

    def update_time(
        self,
        timestamp: Any,
        prices: Mapping[str, Any],
        opens: Mapping[str, Any] | None = None,
        highs: Mapping[str, Any] | None = None,
        lows: Mapping[str, Any] | None = None,
        volumes: Mapping[str, Any] | None = None,
        signals: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        last_of_session: bool | None = None,
    ) -> None:
        """End the bar before and begin the next one: settle, charge interest, evaluate position rules. Nothing is filled.

        timestamp: later than that of the bar before; datetimes, all with a time zone or none. prices: asset to close, or asset to
        a bar as `on_data` gets it (close, and any of open, high, low, volume, vwap, bid, ask, signals). A close of NaN or None, or no
        entry, is no bar: the asset neither trades nor moves. opens, highs, lows, volumes: asset to number; a missing price is the
        close, a missing volume unknown. signals: asset to name to value, which position rules read. Assets need no announcement.

        last_of_session: whether this is the last bar of its session, for on-close orders and the settlement of futures. When it is
        not said, on-close orders take it to be so with a `data_frequency` of daily bars; futures settle when the next bar tells.

        With no pending order the margin call happens here, else after the first fill pass. Raises ValueError for a time that is not
        later, mixed time zones, prices that are no finite numbers or not positive, a high below the low; TypeError for other types.
        The broker is then as before. An exception of a rule of your own is raised as it is, and the bar goes on without the rest.
        """
        when, time, zone = self._time_of(timestamp)
        columns = {"open": opens, "high": highs, "low": lows, "volume": volumes}
        quotes, found = read_bars(when, prices, columns, positive=self._positive)
        if signals is not None:
            found = {asset: {**found.get(asset, {}), **signals.get(asset, {})} for asset in (*found, *signals)}
        numbers = read_signals(when, found, self._rules.keys)
        session, flags = self._session_of(time, last=last_of_session)
        self._make_columns([*quotes, *numbers])
        self._end_bar(session)
        panels, store = self._panels, self._store
        if panels.add_signals(name for values in numbers.values() for name in values):
            self._rules.follow(store)
        panels.write(quotes, numbers)
        panels.begin(time, when, session, flags, zone)
        row = store.bars[panels.bars - 1]
        row["time"], row["session"], row["flags"] = time, session, flags
        if self._stats is not None:
            self._stats._sessions = panels.market.sessions
        self._is_last, self._is_over = last_of_session, False
        self._begin_bar(time)

    def process_orders(self, use_open: bool = False) -> None:  # noqa: FBT001, FBT002 - published
        """Give pending orders a fill pass.

        The first call after `update_time` is the bar's first pass, for orders of earlier bars and exits of position rules; the margin
        call follows. In SAME_BAR mode orders that were submitted on this bar by then get their pass too, and every further call is
        another pass over all pending orders. In NEXT_BAR mode further calls do nothing: orders of this bar wait for the next one.

        use_open: market orders of this call trade at the open, whatever `execution_price` says. Before the first bar, and after
        `_update_water_marks`, nothing trades. An exception of a model of your own is raised as it is; the next call goes on there.
        """
        store = self._store
        if self._is_over:
            return
        field = int(store.params["price_field"][0])
        if use_open:
            store.params["price_field"] = PriceField.OPEN
        same_bar = bool(store.params["same_bar"][0])
        try:
            again = self._next_call == _LATER or store.columns.order_count[0] > self._first_row
            if self._next_call == _FIRST:
                self._first_pass(same_bar=same_bar)
            self._next_call = _LATER
            if same_bar and again:
                step("run_pass", store, None, Stage.SECOND_TOTALS.value)
        finally:
            store.params["price_field"] = field
            self._book.sync()

    def process_pending_exits(self) -> list[Order]:
        """Return the pending exits that position rules have ordered, deferred ones too; they trade in the next pass they are due for."""
        return [order for order in self.pending_orders if order.rule_reason is not None]

    def update_water_marks(self) -> None:
        """End the bar now instead of with the next `update_time`: widen water marks and excursions, settle futures, record the value.

        Orders submitted afterwards wait for the next bar. A second call changes nothing.
        """
        self._end_bar(None)

    _update_time = update_time
    _process_orders = process_orders
    _process_pending_exits = process_pending_exits
    _update_water_marks = update_water_marks

    @property
    def equity_curve(self) -> list[tuple[datetime, float]]:
        """Pairs of time and account value at the end of each bar; of the present bar the value now."""
        store, stamps = self._store, self._panels.timestamps
        values = store.bars["equity"][: len(stamps)].tolist()
        if not self._is_over:
            values[-1] = float(store.columns.equity[0])
        return list(zip(stamps, values, strict=True))

    # Account ---------------------------------------------------------------------------------------------------------

    @property
    def cash(self) -> float:
        """Cash [money]. By hand it may be set: a payment in or out, which changes the account value by as much and is no trade."""
        return float(self._store.columns.cash[0])

    @cash.setter
    def cash(self, value: float) -> None:
        number = float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else math.nan
        if not math.isfinite(number) or (number < 0.0 and not self.config.allow_short_selling):
            bound = "" if self.config.allow_short_selling else " >= 0 in a cash account"
            raise ValueError(f"cash was {value!r} at {self._now()}: expected a finite number{bound}")
        state = self._store.state[0]
        change = number - float(state["cash"])
        state["cash"] = number
        state["equity"] += change
        state["shadow_cash"] += change

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by asset, in position order; read-only and live. A position kept from here stays live too."""
        self._book.sync()
        return OpenPositions(self._book.open)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _CHANGEABLE:
            super().__setattr__(name, value)
            return
        self.config = self.config.replace(**{name: value})
        store = self._store
        kept = {field: store.params[field][0] for field in ("has_rules", "has_limits")}
        store.params[:] = lower_params(self.config)
        for field, number in kept.items():
            store.params[field] = number

    # Orders and rules of assets that come when they are named ----------------------------------------------------------

    def submit_order(self, asset: str, *arguments: Any, **terms: Any) -> Order | None:
        """Submit an order; arguments, result and errors as `Broker.submit_order`, but that no asset is unknown: it waits for a price."""
        self._column(asset)
        return super().submit_order(asset, *arguments, **terms)

    def _column(self, asset: str) -> int:
        if asset not in self._columns:
            if not isinstance(asset, str):
                raise TypeError(f"asset was {asset!r} at {self._now()}, expected a text")
            self._make_columns([asset])
        return self._columns[asset]

    def _held(self, asset: str) -> float:
        self._column(asset)  # a new column moves the arrays
        return super()._held(asset)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _time_of(self, timestamp: Any) -> tuple[datetime, int, str | None]:
        """Return a bar's time as datetime, in ns UTC, and its zone; refuse one that is not later than the bar before."""
        when = datetime_of(timestamp, "timestamp")
        since = when.replace(tzinfo=None) - _EPOCH - (when.utcoffset() or timedelta())
        time = since // timedelta(microseconds=1) * 1000
        zone = None
        if when.tzinfo is not None:
            zone = str(getattr(when.tzinfo, "key", None) or getattr(when.tzinfo, "zone", None) or "UTC")
        if self._panels.bars:
            last = self._panels.timestamps[-1]
            if (last.tzinfo is None) != (zone is None):
                raise ValueError(f"timestamp {when} follows {last}: all must have a time zone, or none")
            if time <= self._panels.times[-1]:
                raise ValueError(f"timestamp {when} is not later than the bar before, {last}: times must ascend")
        return when, time, zone

    def _session_of(self, time: int, *, last: bool | None) -> tuple[int, int]:
        """Return the session of the next bar and its flags."""
        from ml4t_backtest.sessions import session_numbers

        panels, config = self._panels, self.config
        times = np.append(panels.times[-_WINDOW:], time)
        number = int(session_numbers(times, calendar=config.calendar, timezone=config.timezone)[0][-1])
        before = int(panels.market.sessions[panels.bars - 1]) if panels.bars else number - 1
        number = max(number, before)
        flags = BarFlag.FIRST_OF_SESSION.value if number != before else 0
        if last or (last is None and config.data_frequency is DataFrequency.DAILY):
            flags += BarFlag.LAST_OF_SESSION.value
        return number, flags

    def _make_columns(self, assets: list[str]) -> None:
        """Make room for the next bar, and columns for assets that are new."""
        if widen(self._store, self._panels, assets, self.config, self._costs, self._given_specs, self._hosts):
            self._rules.follow(self._store)
            for asset, column in self._columns.items():
                spec = self._given_specs.get(asset)
                if spec is not None:
                    self._specs[asset] = spec
                    self._ticks[column] = spec.tick_size

    def _begin_bar(self, time: int) -> None:
        """Bring the bar up to its first fill pass; past it, and the margin call, when no order could trade there."""
        store, state = self._store, self._store.state
        if store.bar < 0:
            self._date_early_orders(time)
        # An event that is due makes the step stop right after it has moved the clock.
        due = int(state["next_event_bar"][0])
        state["stage"], state["next_event_bar"] = Stage.CLOSED, 0
        if bar_call("proceed", store)(store.address) != StepStatus.RUN_EVENTS:
            raise RuntimeError("the bar did not begin")  # not possible
        state["next_event_bar"] = due
        if store.params["charges_interest"][0]:
            step("run_events", store)
        state["stage"] = Stage.RULES
        try:
            if state["open_positions"][0] and (store.params["has_rules"][0] or store.params["margin_intrabar"][0]):
                step("run_rules", store)
        finally:
            state["stage"], state["cursor"] = Stage.FIRST_TOTALS, 0
            self._stop_before_pass()

    def _stop_before_pass(self) -> None:
        """Mark the account at this bar's prices; with no pending order the first pass and the margin call are done with it."""
        store, state = self._store, self._store.state
        waiting = int(state["live_count"][0])
        self._next_call = _FIRST if waiting else _EMPTY
        if waiting:
            state["live_count"] = 0  # a pass over no orders marks, and gives the turn back
            step("run_pass", store, None, Stage.FIRST_TOTALS.value)
            state["live_count"] = waiting
        else:
            step("proceed", store)
        self._first_row = int(state["order_count"][0])

    def _first_pass(self, *, same_bar: bool) -> None:
        """Fill what was pending when the bar began, then see to the margin call."""
        store = self._store
        late = store.orders[self._first_row : int(store.columns.order_count[0])]
        late = late[(late["dormant"] == 0) & (late["status"] == OrderStatus.PENDING)]
        rows = late["order_id"] - 1
        store.orders["eligible_bar"][rows] = store.bar + 1
        if not Stage.FIRST_TOTALS <= store.columns.stage[0] < Stage.STRATEGY:
            store.state["stage"] = Stage.FIRST_TOTALS
        try:
            step("proceed", store)
        finally:
            if same_bar:
                store.orders["eligible_bar"][rows] = late["eligible_bar"]

    def _end_bar(self, next_session: int | None) -> None:
        """End the bar if it has not ended. next_session: of the bar that follows, which tells whether this was the last of its own."""
        store, state = self._store, self._store.state
        if self._is_over:
            return
        if self._is_last is None and next_session is not None:
            row = store.bars[store.bar]
            first = int(row["flags"]) & BarFlag.FIRST_OF_SESSION.value
            row["flags"] = first + (BarFlag.LAST_OF_SESSION.value if next_session != row["session"] else 0)
        if self._next_call == _FIRST and store.columns.stage[0] == Stage.STRATEGY:
            state["stage"] = Stage.FIRST_MARKING
            step("proceed", store)
        state["stage"], state["cursor"] = Stage.MARKING, 0
        step("proceed", store)
        # Between two bars orders are taken as on the one that has ended.
        state["stage"] = Stage.STRATEGY
        self._is_over, self._next_call = True, _LATER
        self._book.sync()

    def _date_early_orders(self, time: int) -> None:
        """Give the orders of before the first bar its time."""
        early = self._store.used_orders()
        early["created_at"] = time
        early["closed_at"][early["status"] != OrderStatus.PENDING] = time
