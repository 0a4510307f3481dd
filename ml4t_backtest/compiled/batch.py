"""Many parameter sets of a compiled strategy over one account: laid out once, begun anew for each set without the host."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.compiled.bundles import as_bundle, fresh_arrays, kinds_of, table_of
from ml4t_backtest.compiled.host import CompiledHost
from ml4t_backtest.memory import address_of
from ml4t_kernels.codes import RuleKind
from ml4t_kernels.dtypes import batch_dtype, host_dtype, outcome_dtype, state_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml4t_backtest.compiled.strategy import CompiledStrategy
    from ml4t_backtest.engine import Engine
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["Bench", "Outcomes"]

_RESTORED = ("positions", "contracts", "holds", "shadow", "memory", "inputs", "answers", "remembered")


@dataclass
class Outcomes:
    """What the sets of a batch leave behind.

    rows: outcome_dtype[sets], zeros where a set failed. errors: number to what its strategy raised. seconds: float64[sets], an even
    share of the time. equity: float64[sets, bars] where it is kept.
    """

    rows: Records
    errors: dict[int, BaseException] = field(default_factory=dict)
    seconds: FloatArray = field(default_factory=lambda: np.zeros(0))
    equity: FloatArray | None = None


class Bench:
    """An account and a strategy that are brought to their start again and again.

    engine: made for the strategy and the settings of all sets, not run; its records are the ones that are reused. One thread works with
    a bench at a time. Its runs are those of `Engine.run`, so they may differ from set to set in parameters and thresholds of rules only.
    """

    def __init__(self, engine: Engine, strategy: CompiledStrategy) -> None:
        self._store = engine._store
        self.times = engine._panels.times
        self.initial_cash = float(engine.config.initial_cash)
        self._assets = len(engine._panels.assets)
        self.host = CompiledHost(strategy, engine._store, engine._panels, engine.broker)
        self._strategy = strategy
        for rule in self.host.rules:  # so that no rule is added in the middle of a run
            engine.broker._row_of_rule(rule)
        self._last_bar = engine._panels.bars - 1
        self._take_start()
        self.host.refresh = self._refresh

    def _take_start(self) -> None:
        """Copy everything that a run changes, as it is before the first bar."""
        store = self._store
        self._start = store.state.copy()
        self._host_start = self.host.record.copy()
        changed = [(getattr(store, name).copy(), getattr(store, name)) for name in _RESTORED]
        own = self.host.arrays.values()
        changed += [(array.copy(), array) for array in own]
        self._copies = [(copy, array) for copy, array in changed if array.nbytes]
        self._copies.append((self._host_start, self.host.record))
        self._regions = np.array([(address_of(copy), address_of(array), array.nbytes) for copy, array in self._copies], dtype=np.int64)

    def _refresh(self) -> None:
        """Take over what was done for the host's sake in the middle of a run: larger buffers, entries that are there now."""
        for name in state_dtype.names or ():
            if name.endswith(("_address", "_capacity")):
                self._start[name] = self._store.state[name]
        for name in host_dtype.names or ():
            if name.endswith("_entry") or name == "strategy_address":
                self._host_start[name] = self.host.record[name]

    def run(self, sets: Sequence[Any], rules: Sequence[Records] | None = None, *, keep_equity: bool = False) -> Outcomes:
        """Run parameter sets and return what they leave behind.

        sets: named tuples of the strategy's parameters, all of the same kinds. rules: the rule rows of every set, None for those that
        are there. A set whose strategy raises is one of the errors. Lets KeyboardInterrupt through, at the end of a set.
        """
        count = len(sets)
        made = Outcomes(np.zeros(count, dtype=outcome_dtype), seconds=np.zeros(count))
        if keep_equity:
            made.equity = np.zeros((count, self._last_bar + 1))
        batch, kept = self._laid_out(sets, rules, made)
        started = time.perf_counter()
        self.host.program_of(sets[0])
        self._refresh()
        while int(batch["set"][0]) < count:
            error = self.host.drive_sets(batch, count)
            if error is not None:
                number = int(batch["set"][0])
                made.errors[number] = error
                made.rows[number] = np.zeros(1, dtype=outcome_dtype)[0]
                batch["set"] += 1
                batch["phase"] = 0
        made.seconds[:] = (time.perf_counter() - started) / count
        del kept
        return made

    def rule_rows(self, thresholds: Sequence[float]) -> Records:
        """Return the rule rows of a set: those that are there, with other thresholds for the global rule or, of a chain, its members."""
        rows = self._store.terms.rules.copy()
        first = int(self._start["rule_set"][0]) - 1
        inside = first if rows["rows"][first] == 1 else first + 1
        for row, threshold in zip(rows[inside:], thresholds, strict=False):
            row["max_bars" if row["kind"] == RuleKind.TIME_EXIT else "threshold"] = threshold
        return rows

    def _laid_out(self, sets: Sequence[Any], rules: Sequence[Records] | None, made: Outcomes) -> tuple[Records, list[Any]]:
        """Return the batch record and the arrays that it points to."""
        batch = np.zeros(1, dtype=batch_dtype)
        row = batch[0]
        params = np.stack([table_of(one) for one in sets])
        kept: list[Any] = [params]
        row["last_bar"], row["initial_cash"] = self._last_bar, self.initial_cash
        row["start_address"], row["state_bytes"] = address_of(self._start), self._start.nbytes
        row["regions_address"], row["regions"] = address_of(self._regions), len(self._regions)
        row["params_address"], row["params_bytes"] = address_of(params), params.strides[0]
        memory = self._memory_tables(sets, kept)
        row["memory_address"], row["memory_bytes"] = address_of(memory), memory.strides[0] if len(memory) > 1 else 0
        if rules is not None:
            stacked = np.concatenate(list(rules))
            kept.append(stacked)
            row["rules_from"], row["rule_bytes"] = address_of(stacked), stacked.nbytes // len(sets)
        row["outcomes_address"] = address_of(made.rows)
        row["equity_address"] = 0 if made.equity is None else address_of(made.equity)
        kept += [memory, batch]
        return batch, kept

    def _memory_tables(self, sets: Sequence[Any], kept: list[Any]) -> Any:
        """Return the tables of the strategy's own arrays: one for all sets, or one a set where a function of the parameters makes them."""
        make = self._strategy.state
        if make is None or not callable(make):
            return table_of(tuple(self.host.arrays.values()))[np.newaxis]
        tables = []
        for one in sets:
            bundle = as_bundle("State", fresh_arrays(make, self._assets, one))
            if kinds_of(bundle) != kinds_of(tuple(self.host.arrays.values())):
                raise TypeError("state made arrays of other kinds for other parameters")
            kept.append(bundle)
            tables.append(table_of(bundle))
        return np.stack(tables)
