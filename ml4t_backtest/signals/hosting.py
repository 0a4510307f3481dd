"""Runs a `SignalStrategy` in an engine by its compiled turn: the same orders as its Python turn, without Python in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calls import step
from ml4t_backtest.compiled.host import CompiledHost
from ml4t_backtest.memory import address_of
from ml4t_kernels.dtypes import host_dtype, turn_dtype

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
        self._strategy: Any = SimpleNamespace(name=type(strategy).__name__, inputs=(), init=None)
        self._store, self._panels, self._broker = store, panels, broker
        self._failure = None
        self._rules, self.signals, self._params, self._memory = [], (), (), None
        self._record = np.zeros(1, dtype=host_dtype)
        self._fill_record()
        store.state["host_address"] = address_of(self._record)
        self._turn = np.zeros(1, dtype=turn_dtype)
        row, sizes = self._turn[0], np.ascontiguousarray(strategy._sizes)
        arrays = {"codes": strategy._codes, "sizes": sizes, "actions": strategy._actions}
        arrays["stopped"] = np.zeros(len(panels.assets), dtype=np.int64)
        for name, array in arrays.items():
            row[f"{name}_address"] = address_of(array)
        row["sizes_step"] = len(panels.assets) if len(sizes) > 1 else 0
        row["size_kind"] = strategy.size_kind
        self._kept.append(arrays)
        self._record["params_table"] = address_of(self._turn)
        self._program = None if self._is_uncompiled else SimpleNamespace(on_bar=self._entry())

    @property
    def _is_uncompiled(self) -> bool:
        from ml4t_kernels._jit import COMPILED

        return not COMPILED

    @staticmethod
    def _entry() -> int:
        from ml4t_kernels import signals_turn
        from ml4t_kernels._jit import address_of_entry

        return address_of_entry(signals_turn.take_signals, "int64(int64)")

    def _run_plain(self, bars: Iterable[int]) -> None:
        from ml4t_kernels import signals_turn

        for _ in bars:
            step("advance", self._store)
            signals_turn.take_signals(self._store.address)
