"""The run: "One bar", step by step, for every bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.oracle import events as event_book
from tests.oracle import exits, limits, margin
from tests.oracle.account import Account
from tests.oracle.bars import RawBar, read_bars, read_sessions
from tests.oracle.broker import Broker
from tests.oracle.fills import close_everything, run_pass
from tests.oracle.numbers import Number, NumberType
from tests.oracle.positions import open_trade, widen
from tests.oracle.records import OracleResult
from tests.oracle.settings import Settings, build_rules


class Oracle:
    """Runs a strategy slowly; every number of the run is of the type `number`, float or Fraction."""

    def __init__(self, settings: Settings, assets: Sequence[str], number: NumberType = float) -> None:
        self._rules = build_rules(settings, assets, number)

    def run(
        self,
        times: Sequence[int],
        bars: Sequence[Mapping[str, RawBar | None]],
        on_data: Callable[[int, Broker], object],
        on_start: Callable[[Broker], object] | None = None,
        *,
        on_end: Callable[[Broker], object] | None = None,
        sessions: Sequence[Any] | None = None,
        signals: Sequence[Mapping[str, Mapping[str, Any]]] | None = None,
        events: Mapping[int, Sequence[event_book.Event]] | Sequence[Sequence[event_book.Event]] | None = None,
    ) -> OracleResult:
        """`signals[t]`: asset -> name -> number; `events[t]`: (kind, asset, value) in the order in which they happen; a mapping may leave bars out."""
        if len(times) != len(bars):
            raise ValueError("times and bars differ in length")
        account = Account(self._rules, cash=self._rules.settings.initial_cash, account_value=self._rules.settings.initial_cash)
        broker = Broker(account)
        equity: list[Number] = []
        cash: list[Number] = []
        marks = read_sessions(sessions, len(bars))
        happening = events if isinstance(events, Mapping) else dict(enumerate(events or []))
        if on_start is not None:
            on_start(broker)
        for t, (time, raw) in enumerate(zip(times, bars, strict=True)):
            account.bar_index, account.time, account.session = t, time, marks[t]
            account.bars = read_bars(raw, self._rules.assets, self._rules.number)
            account.last_bars.update(account.bars)
            account.signals = {} if signals is None else signals[t]
            self._before_data(account, happening.get(t, []))
            on_data(t, broker)
            self._after_data(account, last=t == len(bars) - 1)
            equity.append(account.account_value)
            account.recorded.append(account.account_value)
            cash.append(account.cash)
        if on_end is not None:
            on_end(broker)
        open_trades = [open_trade(account, asset, position) for asset, position in account.positions.items()]
        trades = account.trades + open_trades
        return OracleResult(account.orders, account.fills, trades, equity, cash, account.positions, account.cash_flows, account.alerts)

    def _before_data(self, account: Account, events: Sequence[event_book.Event]) -> None:
        """Steps 1 to 5."""
        for position in account.positions.values():
            position.bars_held += 1
        account.release_settled()
        event_book.happen(account, events)
        event_book.pay_interest(account)
        margin.check_intrabar(account)
        exits.follow_rules(account)
        run_pass(account, self._rules.pass_price)
        if account.session.last:
            run_pass(account, "close", on_close=True)
        account.mark_and_value()
        margin.check(account)
        limits.check(account)

    def _after_data(self, account: Account, *, last: bool) -> None:
        """Steps 7 and 8, and the account value that step 9 records."""
        if self._rules.same_bar:
            run_pass(account, self._rules.pass_price)
        if last and self._rules.settings.close_at_end:
            close_everything(account)
        account.mark_and_value()
        widen(account)
        if account.session.last:
            margin.settle_futures(account)
        account.account_value = account.total_value()
