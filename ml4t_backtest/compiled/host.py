"""Runs a compiled strategy over a store: lays out what its code reads, answers its requests, and drives it from bar to bar."""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ml4t_backtest.calls import PARTS, step
from ml4t_backtest.compiled.bundles import as_bundle, fresh_arrays, kinds_of, table_of
from ml4t_backtest.compiled.messages import compile_error, refusal_text
from ml4t_backtest.config import MissingPricePolicy
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.memory import address_of
from ml4t_kernels.codes import HostRequest, Stage, StepStatus
from ml4t_kernels.dtypes import host_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.compiled.strategy import CompiledStrategy
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store

__all__ = ["CompiledHost"]

_SLICE = 0.1  # seconds between two looks at the keyboard
_FIRST_BARS = 64


class CompiledHost:
    """One run of one compiled strategy.

    Raises `StrategyCompileError` for code that does not compile, ValueError for signals that the feed does not have, TypeError for text
    signals and for what are no arrays or rules.
    """

    def __init__(self, strategy: CompiledStrategy, store: Store, panels: Panels, broker: Broker) -> None:
        self._strategy = strategy
        self._store = store
        self._panels = panels
        self._broker = broker
        self._failure: BaseException | None = None
        self._plain: dict[Any, Any] = {}
        self.rules = strategy.made_rules()
        self.refresh: Callable[[], None] = _nothing  # called when buffers may have moved and entries may be there
        self._run_seen = 0
        self.signals = _signals_of(strategy, panels)
        self._params = strategy.bundle()
        arrays = None if strategy.state is None else fresh_arrays(strategy.state, len(panels.assets), self._params)
        self._memory = None if arrays is None else as_bundle("State", arrays)
        self.record = np.zeros(1, dtype=host_dtype)
        self._fill_record()
        store.state["host_address"] = address_of(self.record)
        self._program = None if self._is_plain else self._compiled()

    @property
    def arrays(self) -> dict[str, Any]:
        """The strategy's own arrays, of this run."""
        return {} if self._memory is None else dict(self._memory._asdict())

    @property
    def _is_plain(self) -> bool:
        """Whether the strategy runs uncompiled."""
        from ml4t_kernels._jit import COMPILED

        return self._strategy.debug or not COMPILED

    def _fill_record(self) -> None:
        from ml4t_kernels import entry
        from ml4t_kernels._jit import address_of_entry, function_at

        row, broker, config = self.record[0], self._broker, self._broker.config
        self._tables = [table_of(self._params), table_of(self._memory or ())]
        panels = [np.ascontiguousarray(self._panels.signals[name]) for name in self.signals]
        self._kept: list[Any] = [panels, np.array([address_of(panel) for panel in panels] or [0], dtype=np.int64)]
        row["params_table"], row["memory_table"] = (address_of(table) for table in self._tables)
        row["signals_table"], row["signals"] = address_of(self._kept[1]), len(panels)
        row["request_address"], kept = function_at(self._answer)
        self._kept.append(kept)
        advance = entry.advance_specially if self._store.params["special"][0] else entry.advance
        row["advance_address"] = address_of_entry(advance, "int64(int64)")
        row["asset"] = -1
        row["finishes_orders"] = broker._extra_steps
        row["rounds_prices"] = bool(config.round_to_tick)
        row["exits_reduce_only"] = bool(config.exits_reduce_only)
        row["targets_last_price"] = config.target_price_policy is MissingPricePolicy.USE_LAST
        self._empty_form()

    def _empty_form(self) -> None:
        for name in ("limit_price", "stop_price", "trail_amount", "trail_percent", "displayed_quantity"):
            self.record[name] = math.nan

    def _compiled(self) -> Any:
        """Return the strategy's program for these kinds of parameters and arrays, compiling it when it is new."""
        strategy = self._strategy
        programs = _programs_of(strategy)
        key = (
            strategy.init,
            self.signals,
            strategy.inputs,
            kinds_of(self._params),
            None if self._memory is None else (self._memory._fields, kinds_of(self._memory)),
        )
        with _compiling:  # threads that begin together need one program, not one each
            return self._program_in(programs, key)

    def _program_in(self, programs: dict[Any, Any], key: Any) -> Any:
        strategy = self._strategy
        if key not in programs:
            from ml4t_kernels._jit.strategies import compile_strategy
            from ml4t_kernels.addresses import HOST, STATE
            from ml4t_kernels.context import PlainContext

            names, bundles = (self.signals, strategy.inputs), (self._params, self._memory)
            try:
                programs[key] = compile_strategy((strategy.on_bar, strategy.init), names, bundles, (STATE, HOST))
            except Exception as error:
                if not type(error).__module__.startswith("numba"):
                    raise
                known = [name for name in dir(PlainContext) if not name.startswith("_")]
                raise compile_error(strategy.on_bar, error, self.signals, strategy.inputs, known) from None
        return programs[key]

    # Requests ------------------------------------------------------------------------------------------------------------

    def _answer(self, number: int, first: float, second: float, third: float) -> float:
        """Do what code of the strategy or a verb asks for; NaN when it failed, and `_failure` says why."""
        try:
            answer = self._do(number, first, second, third)
        except BaseException as error:  # noqa: BLE001 - it must not cross the kernel; the host raises it
            self._failure = error
            return math.nan
        self.refresh()
        return answer

    def _do(self, number: int, first: float, second: float, third: float) -> float:
        broker, store = self._broker, self._store
        if self.record["run"][0] != self._run_seen:
            self._forget()
        if number == HostRequest.GROW_ORDERS:
            store.grow_orders(int(first))
        elif number == HostRequest.FINISH_ORDER:
            row = int(first) - 1
            broker._finish_submission(row, int(store.orders["order_type"][row]))
        elif number in (HostRequest.TICK_LIMIT, HostRequest.TICK_STOP):
            is_limit = number == HostRequest.TICK_LIMIT
            prices = (second, math.nan) if is_limit else (math.nan, second)
            return broker._on_tick(int(first), *prices, buys=third == 1.0)[0 if is_limit else 1]
        elif number == HostRequest.SET_RULE:
            self._set_rule(int(first), int(second), position=third == 1.0)
        elif number == HostRequest.SET_INPUT:
            name = self._strategy.inputs[int(second)]
            broker.update_position_context(self._panels.assets[self._column(first)], {name: None if math.isnan(third) else third})
        else:
            broker.process_orders()
        return 0.0

    def _forget(self) -> None:
        """Let what Python remembers of an earlier run go: the account began anew in the meantime."""
        self._run_seen = int(self.record["run"][0])
        self._broker._book.forget()
        self._broker._rules.contexts.clear()

    def _column(self, number: float) -> int:
        if not 0 <= number < len(self._panels.assets):
            raise ValueError(f"the asset was {number:g}, which is no column of the feed: 0 to {len(self._panels.assets) - 1}")
        return int(number)

    def _set_rule(self, number: int, asset: int, *, position: bool) -> None:
        if not -1 <= number < len(self.rules):
            raise ValueError(f"set_position_rule({number}): the strategy has {len(self.rules)} rules; CompiledStrategy(..., rules=[...])")
        name = None if asset == -1 else self._panels.assets[self._column(asset)]
        self._broker.set_position_rules(None if number < 0 else self.rules[number], name, position=position)

    # The run -------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let `init` have its turn before the first bar."""
        init = self._strategy.init
        if init is None:
            return
        program = self._program
        if program is None:
            self._guard(lambda: self._plain_turn(init))
        else:
            from ml4t_kernels._jit import call_entry_from_python

            self._guard(lambda: call_entry_from_python(program.init, self._store.address))

    def run(self, bars: Iterable[int]) -> None:
        """Drive the strategy over all bars. bars: counts them, for a progress bar; `range` does."""
        if self._panels.bars == 0:
            return
        if self._program is None:
            self._guard(lambda: self._run_plain(bars))
        else:
            self.record["strategy_address"] = self._program.on_bar
            self._guard(lambda: self._run_compiled(bars))

    def _run_compiled(self, bars: Iterable[int]) -> None:
        rows = self._panels.bars
        counted, done, count = iter(bars), 0, _FIRST_BARS
        while done < rows:
            last = min(done + count, rows) - 1
            before = time.perf_counter()
            self.drive_to(last)
            for _ in range(last + 1 - done):
                next(counted)
            done = last + 1
            took = time.perf_counter() - before
            count = max(_FIRST_BARS, min(4 * count, int(count * _SLICE / max(took, 1e-6))))

    def drive_to(self, bar: int) -> None:
        """Give the compiled strategy its turns from where it is up to the turn on bar `bar`."""
        from ml4t_kernels._jit import bind
        from ml4t_kernels.driving import drive

        go = bind(drive, "int64(int64,int64)")
        while (status := go(self._store.address, bar)) != StepStatus.OK:
            self._help(status)

    def _help(self, status: int) -> None:
        """Do what the drive asks for, up to the strategy's turn; the next time it does without where it can."""
        if status in PARTS:
            from ml4t_kernels import entry
            from ml4t_kernels._jit import address_of_entry

            name = PARTS[status]
            self.record[name.replace("run_", "") + "_entry"] = address_of_entry(getattr(entry, name), "int64(int64)")
        step("advance", self._store, status)
        if self._store.columns.stage[0] == Stage.STRATEGY:
            self.record["on_turn"] = 1
        self.refresh()

    def program_of(self, params: Any) -> None:
        """Compile the strategy for parameters of the kinds of `params`, a named tuple, and let the next runs be of that program."""
        self._params = params
        self._program = program = self._compiled()
        self.record["strategy_address"] = program.on_bar

    def drive_sets(self, batch: Any, last: int) -> BaseException | None:
        """Run the sets of a batch until all are through (None), or one fails (what it raised)."""
        from ml4t_kernels._jit import bind
        from ml4t_kernels.driving import drive_sets

        go, store = bind(drive_sets, "int64(int64,int64,int64)"), self._store
        batch["init_address"] = 0 if self._program is None else self._program.init
        self.refresh()

        def turn() -> None:
            while (status := go(store.address, address_of(batch), last)) != StepStatus.OK:
                self._help(status)

        try:
            self._guard(turn)
        except Exception as error:  # noqa: BLE001 - it is the outcome of that set
            return error
        return None

    def _run_plain(self, bars: Iterable[int]) -> None:
        for _ in bars:
            step("advance", self._store)
            self._plain_turn(self._strategy.on_bar)

    def _plain_turn(self, function: Any) -> None:
        """Give a function of the strategy its turn as plain Python."""
        from ml4t_kernels._jit.strategies import uncompiled
        from ml4t_kernels.context import PlainContext

        if function not in self._plain:
            self._plain[function] = uncompiled(function)
        context = PlainContext()
        context.address, context.signals, context.inputs = self._store.address, self.signals, self._strategy.inputs
        rest = () if self._memory is None else (self._memory,)
        self._plain[function](context, self._params, *rest)

    def _guard(self, turn: Any) -> None:
        """Raise what went wrong in the strategy or in a request of it, with the bar and the asset."""
        try:
            turn()
        except KeyboardInterrupt:
            raise
        except Exception as error:
            failure, self._failure = self._failure, None
            if failure is not None:
                failure.add_note(self._where())
                raise failure from None
            number = error.args[0] if isinstance(error, ValueError) and len(error.args) == 1 else None
            text = refusal_text(int(number)) if isinstance(number, (int, np.integer)) else None
            if text is not None:
                raise ValueError(f"{self._strategy.name} at {self._when()}{self._asset()}: {text}") from None
            error.add_note(self._where())
            raise
        if self._failure is not None:  # the strategy went on after a refused request
            failure, self._failure = self._failure, None
            failure.add_note(self._where())
            raise failure

    def _when(self) -> str:
        bar = self._store.bar
        return "the start" if bar < 0 else f"bar {bar} ({self._panels.timestamps[bar]})"

    def _asset(self) -> str:
        column = int(self.record["asset"][0])
        return f", asset {column} ({self._panels.assets[column]!r})" if 0 <= column < len(self._panels.assets) else ""

    def _where(self) -> str:
        return f"in {self._strategy.name} at {self._when()}; it asked last about{self._asset().lstrip(',') or ' no asset'}"


def _nothing() -> None:
    """Do nothing."""


_compiling = Lock()
_programs: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


def _programs_of(strategy: CompiledStrategy) -> dict[Any, Any]:
    """Return the programs made of a strategy's function so far; they live as long as it does."""
    return _programs.setdefault(strategy.on_bar, {})


def _signals_of(strategy: CompiledStrategy, panels: Panels) -> tuple[str, ...]:
    """Return the names of the signals in the order of their numbers."""
    numeric = tuple(name for name in panels.signals if not panels.is_text(name))
    if strategy.signals is None:
        return numeric
    for name in strategy.signals:
        if name not in panels.signals:
            raise ValueError(f"the feed has no signal {name!r}, only {shortened(panels.signals)}{did_you_mean(name, panels.signals)}")
        if name not in numeric:
            raise TypeError(f"signal {name!r} is text, which compiled code cannot read; encode it as numbers in signals_df")
    return strategy.signals
