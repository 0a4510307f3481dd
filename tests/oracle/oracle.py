"""The run: "One bar", step by step, for every bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.oracle.account import Account
from tests.oracle.bars import RawBar, read_bars
from tests.oracle.broker import Broker
from tests.oracle.fills import run_pass
from tests.oracle.numbers import Number, NumberType
from tests.oracle.positions import open_trade
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
    ) -> OracleResult:
        if len(times) != len(bars):
            raise ValueError("times and bars differ in length")
        account = Account(self._rules, cash=self._rules.initial_cash, account_value=self._rules.initial_cash)
        broker = Broker(account)
        equity: list[Number] = []
        cash: list[Number] = []
        if on_start is not None:
            on_start(broker)
        for t, (time, raw) in enumerate(zip(times, bars, strict=True)):
            account.bar_index, account.time = t, time
            account.bars = read_bars(raw, self._rules.assets, self._rules.number)
            self._run_bar(account, broker, on_data)
            equity.append(account.account_value)
            cash.append(account.cash)
        open_trades = [open_trade(account, asset, position) for asset, position in account.positions.items()]
        trades = account.trades + open_trades
        return OracleResult(account.orders, account.fills, trades, equity, cash, account.positions)

    def _run_bar(self, account: Account, broker: Broker, on_data: Callable[[int, Broker], object]) -> None:
        """Steps 1 to 7; the caller records what step 7 values."""
        for position in account.positions.values():
            position.bars_held += 1
        run_pass(account)
        account.mark_and_value()
        on_data(account.bar_index, broker)
        if self._rules.same_bar:
            run_pass(account)
        account.mark_and_value()
        account.take_excursions()
