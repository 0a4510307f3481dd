"""A host by hand: opens a bar, asks the strategy, closes the bar; over the history or over a buffer of one row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ml4t_backtest.broker import Broker
from ml4t_backtest.calls import step
from ml4t_backtest.lowering import HostCalls
from ml4t_backtest.store import Market, Store, Terms
from ml4t_kernels.dtypes import state_dtype
from tests.cases import Case
from tests.outcomes import Scripted, build_engine, store_outcome
from tests.translation import engine_contracts

__all__ = ["ByHand"]

ROWS = ("open", "high", "low", "close", "volume", "vwap", "bid", "ask")
OWNED = ("positions", "open_list", "orders", "live", "turns", "fills", "trades", "flows", "alerts", "bars", "holds", "shadow")
OF_RULES = ("memory", "inputs", "answers", "remembered")


class ByHand:
    """Runs a case bar by bar without the engine's loop."""

    def __init__(self, case: Case, *, one_row: bool) -> None:
        self.case = case
        self.one_row = one_row
        source = build_engine(case)
        self.config = source.config
        self.panels: Any = source._panels
        self.history: Market = source._store.market
        self.terms: Terms = source._store.terms
        self.strategy = Scripted(case)
        self.bars: list[tuple[float, float]] = []
        self.seen = replace(self.panels, signals={name: self._start_of(panel) for name, panel in self.panels.signals.items()})
        self.hosts = HostCalls()
        self.store = self._new_store(capacity=1)
        self.broker = Broker(self.store, self.seen, self.config, self.hosts, engine_contracts(case))

    def _start_of(self, panel: Any) -> Any:
        """Return what the host shows of a panel before the first bar: a row to be rewritten, or all."""
        return np.zeros((1, panel.shape[1])) if self.one_row else panel

    def _new_store(self, capacity: int) -> Store:
        market = self.history
        if self.one_row:
            rows = {name: self._start_of(getattr(market, name)) for name in ROWS if getattr(market, name) is not None}
            market = Market(*np.zeros((3, 1), dtype=np.int64), **{"volume": None, **rows})
        store = Store(market, self.terms, self.config.initial_cash, capacity=capacity)
        if self.one_row:
            store.state["row_step"] = 0
            store.state["row"] = 0
        store.state["time"] = self.history.times[0]
        return store

    def run(self, *, cut: int = -1) -> None:
        """Play the whole script; before bar `cut` go on with a copy of the store."""
        self.strategy.on_start(self.broker)
        for bar in range(len(self.case.bars)):
            if bar == cut:
                self.resume()
            if self.one_row:
                self._show(bar)
            step("proceed", self.store)
            self.broker.positions  # noqa: B018 - takes the fills, as the engine does after every bar
            self.strategy.on_data(None, None, None, self.broker)
            step("proceed", self.store)
            self.bars.append((float(self.store.columns.equity[0]), float(self.store.columns.cash[0])))

    def _show(self, bar: int) -> None:
        """Write a bar into the buffer."""
        store = self.store
        store.bars["time"], store.bars["session"], store.bars["flags"] = (
            series[bar] for series in (self.history.times, self.history.sessions, self.history.flags)
        )
        for name in ROWS:
            panel = getattr(self.history, name)
            if panel is not None:
                getattr(store.market, name)[0] = panel[bar]
        for name, panel in self.panels.signals.items():
            self.seen.signals[name][0] = panel[bar]

    def resume(self) -> None:
        """Copy the store byte by byte into a new one, with new settings, and go on with that."""
        old = self.store
        self.terms = replace(old.terms, **{name: getattr(old.terms, name).copy() for name in ("params", "contracts", "costs", "tiers")})
        new = self._new_store(capacity=len(old.orders))
        for name in (*OWNED, *OF_RULES):
            setattr(new, name, getattr(old, name).copy())
        if old.turns is old.live:
            new.turns = new.live
        for name in state_dtype.names or ():
            new.state[name] = old.state[name]
        new._write_addresses()
        new.held, new.marked_at = new.positions["quantity"], new.positions["current_price"]
        new.order_columns.bind(new.orders)
        new.position_columns.bind(new.positions)
        for name in (*OWNED, *OF_RULES):  # nothing of the old store may be needed any more
            getattr(old, name).view(np.uint8)[...] = 0xFF
        broker = Broker(new, self.seen, self.config, self.hosts, engine_contracts(self.case))
        broker._rules, broker._rule_rows = self.broker._rules, self.broker._rule_rows
        self.store, self.broker = new, broker

    def outcome(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what the run left behind, in the form of `engine_outcome`."""
        return store_outcome(self.store, self.panels.assets, self.bars)
