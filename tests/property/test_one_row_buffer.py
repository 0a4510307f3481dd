"""The step over a one-row buffer that is rewritten for each bar, as live bars will enter, equals the run over a history."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.broker import Broker
from ml4t_backtest.calls import step
from ml4t_backtest.panels import Panels
from ml4t_backtest.store import Market, Store
from tests.cases import dense_case
from tests.outcomes import Scripted, build_engine, engine_outcome


class OneRow:
    """A host that holds a single bar: it writes the row, opens the bar, asks the strategy, closes the bar."""

    def __init__(self, panels: Panels, engine: Any) -> None:
        shape = (1, len(panels.assets))
        self.panels = panels
        self.history = engine._store
        days = np.zeros((3, 1), dtype=np.int64)
        self.market = Market(days[0], days[1], days[2], *(np.zeros(shape) for _ in range(5)))
        self.store = Store(self.market, engine._store.terms, engine.config.initial_cash, capacity=1)
        self.store.state["row_step"] = 0
        self.store.state["row"] = 0
        self.store.state["time"] = panels.times[0]
        self.broker = Broker(self.store, panels)
        self.equity: list[tuple[float, float]] = []

    def run(self, strategy: Scripted) -> None:
        strategy.on_start(self.broker)
        for bar in range(self.panels.bars):
            self.store.bars["time"] = self.panels.times[bar]
            for name in ("session", "flags"):
                self.store.bars[name] = self.history.bars[name][bar]
            for name in ("open", "high", "low", "close", "volume"):
                getattr(self.market, name)[0] = getattr(self.history.market, name)[bar]
            step("proceed", self.store)
            strategy.on_data(None, None, None, self.broker)
            step("proceed", self.store)
            self.equity.append((float(self.store.bars["equity"][0]), float(self.store.bars["cash"][0])))


@given(st.integers(0, 2**32 - 1))
def test_one_row_at_a_time_equals_the_run_over_the_history(seed: int) -> None:
    case = dense_case(seed, bars=30)
    engine = build_engine(case)
    engine.run()
    live = OneRow(engine._panels, engine)
    live.run(Scripted(case))
    history = engine_outcome(engine)
    assert live.equity == history["bars"]
    assert live.store.used_fills().tolist() == engine._store.used_fills().tolist()
    assert live.store.used_trades().tolist() == engine._store.used_trades().tolist()
    assert live.store.used_orders()["status"].tolist() == engine._store.used_orders()["status"].tolist()
