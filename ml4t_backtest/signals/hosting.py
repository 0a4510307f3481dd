"""Runs a `SignalStrategy` in an engine by its compiled turn: the same orders as its Python turn, without Python in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calls import step
from ml4t_backtest.compiled.host import CompiledHost
from ml4t_backtest.memory import address_of
from ml4t_kernels.codes import SizeKind
from ml4t_kernels.dtypes import turn_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.signals.strategy import SignalStrategy
    from ml4t_backtest.store import Store

__all__ = ["SignalHost"]


class SignalHost(CompiledHost):
    """One run of a signal strategy whose signals, sizes and actions have been read for the feed."""

    def __init__(self, strategy: SignalStrategy, store: Store, panels: Panels, broker: Broker) -> None:
        stands_for: Any = SimpleNamespace(
            name=type(strategy).__name__, signals=(), inputs=(), init=None, state=None, debug=False, made_rules=list, bundle=tuple
        )
        super().__init__(stands_for, store, panels, broker)
        sizes = np.ascontiguousarray(strategy._sizes)
        arrays = {"codes": strategy._codes, "sizes": sizes, "actions": strategy._actions}
        arrays |= {name: np.zeros(len(panels.assets), dtype=np.int64) for name in ("stopped", "candidates")}
        arrays["rows"] = np.zeros(len(panels.assets), dtype=np.uint8)
        self._arrays, self._turn = arrays, np.zeros(1, dtype=turn_dtype)
        row = self._turn[0]
        for name, array in arrays.items():
            row[f"{name}_address"] = address_of(array)
        row["sizes_step"] = len(panels.assets) if len(sizes) > 1 else 0
        row["size_kind"] = strategy.size_kind
        row["acting"] = sum(1 << place for place in np.flatnonzero(strategy._actions).tolist())
        self.record["params_table"] = address_of(self._turn)
        of_account = strategy.size_kind is SizeKind.EQUITY or not (strategy._pays_all or np.isfinite(sizes).all())
        store.state["marks_for_turn"] = of_account

    def _compiled(self) -> Any:
        """Return the program: the turn of all signal strategies, compiled or loaded on first use."""
        from ml4t_kernels import signals_turn
        from ml4t_kernels._jit import address_of_entry

        return SimpleNamespace(on_bar=address_of_entry(signals_turn.take_signals, "int64(int64)"), init=None)

    def _run_plain(self, bars: Iterable[int]) -> None:
        from ml4t_kernels import signals_turn

        for _ in bars:
            step("advance", self._store)
            signals_turn.take_signals(self._store.address)
