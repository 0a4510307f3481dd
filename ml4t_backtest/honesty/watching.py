"""Runs that are watched: an engine that writes down what was ordered up to some bars, and what a run came to."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.engine import Engine
from ml4t_backtest.signals import SignalStrategy
from ml4t_backtest.strategy import ArrayStrategy, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.result import BacktestResult
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["Trace", "WatchedEngine", "watched_run"]


@dataclass
class Trace:
    """What a run did. Arrays by bar: sessions, flags int64[bars], equity, cash float64[bars]; orders, fills: records as at the end.

    shots: by bar, number of orders then and the rows of those that had not ended, with their places. error, error_bar: of a
    strategy that raised.
    """

    panels: Panels
    orders: Records
    fills: Records
    trades: Records
    equity: FloatArray
    cash: FloatArray
    sessions: IntArray
    flags: IntArray
    shots: dict[int, tuple[int, IntArray, Records]] = field(default_factory=dict)
    error: BaseException | None = None
    error_bar: int = -1

    @property
    def bars(self) -> int:
        """Number of bars that were run."""
        return len(self.equity)

    def orders_at(self, bar: int) -> Records:
        """Return the orders as they stood when the strategy had had its turn on a bar that was watched."""
        count, places, rows = self.shots[bar]
        made = self.orders[:count].copy()
        made[places] = rows
        return made


class WatchedEngine(Engine):
    """Runs as `Engine`, and takes a shot of the orders after the strategy's turn on each of `watched` bars; `on_end` is left out."""

    watched: frozenset[int] = frozenset()

    def watch(self, bars: Iterable[int], muted: int) -> None:
        """Name the bars to look at, and the number of those at the start on which nothing is submitted; before the run."""
        self.watched = frozenset(bar for bar in bars if bar >= 0)
        self.shots: dict[int, tuple[int, IntArray, Records]] = {}
        if muted:
            self._store.state["first_order_bar"] = muted

    def shoot(self) -> None:
        """Write down the orders if the present bar is watched."""
        bar = self._store.bar
        if bar not in self.watched:
            return
        orders = self._store.used_orders()
        places = np.flatnonzero(orders["closed_at"] == 0)
        self.shots[bar] = len(orders), places, orders[places].copy()

    def _run_turns(self, strategy: Strategy | ArrayStrategy, *, progress: bool) -> None:
        if isinstance(strategy, SignalStrategy):
            make = type(strategy)._compiled_host

            def hosted(*arguments: Any) -> Any:
                return self._hooked(make(strategy, *arguments))

            vars(strategy)["_compiled_host"] = hosted
            super()._run_turns(strategy, progress=progress)
        else:
            wrapped = _WatchedArrays(strategy, self) if isinstance(strategy, ArrayStrategy) else _WatchedStrategy(strategy, self)
            super()._run_turns(wrapped, progress=progress)

    def _run_compiled(self, strategy: Any, *, progress: bool) -> None:  # noqa: ARG002 - the engine's
        from ml4t_backtest.compiled.host import CompiledHost

        host = self._hooked(CompiledHost(strategy, self._store, self._panels, self.broker))
        self.strategy_arrays = host.arrays
        self.broker._read_on_demand()
        host.start()
        host.run(range(self._panels.bars))
        self._finish_bar(last=True)
        self.broker._book.sync()

    def _hooked(self, host: Any) -> Any:
        """Let a host of compiled code stop at the watched bars."""
        plain: Callable[[Iterable[int]], None] = host._run_plain

        def driven(_: Iterable[int]) -> None:
            for stop in sorted({*self.watched, self._panels.bars - 1}):
                host.drive_to(stop)
                self.shoot()

        def counted(bars: Iterable[int]) -> Iterator[int]:
            for bar in bars:
                yield bar
                self.shoot()

        if host is not None:
            host._run_compiled = driven
            host._run_plain = lambda bars: plain(counted(bars))
        return host


class _WatchedStrategy(Strategy):
    """A strategy whose turns are followed by a look at the orders."""

    def __init__(self, inner: Strategy, engine: WatchedEngine) -> None:
        self._inner, self._engine = inner, engine

    def on_start(self, broker: Any) -> None:
        self._inner.on_start(broker)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self._inner.on_data(timestamp, data, context, broker)
        self._engine.shoot()


class _WatchedArrays(ArrayStrategy):
    """The same for whole rows."""

    def __init__(self, inner: ArrayStrategy, engine: WatchedEngine) -> None:
        self._inner, self._engine = inner, engine

    def on_start(self, broker: Any) -> None:
        self._inner.on_start(broker)

    def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
        self._inner.on_arrays(timestamp, rows, context, broker)
        self._engine.shoot()


def watched_run(
    feed: DataFeed,
    strategy: Callable[[], Any],
    config: BacktestConfig | None,
    keywords: Mapping[str, Any],
    *,
    watched: Callable[[Panels], Iterable[int]] | None = None,
    begins: int | None = None,
    seeded: bool = True,
    loud: bool = False,
) -> tuple[Trace, BacktestResult]:
    """Run a strategy and return what it did, also when it raises.

    strategy: makes it. watched: bars to look at, of the panels that the engine runs. begins: time [ns UTC] before which orders are
    declined. seeded: the global random numbers of Python and numpy begin anew, and are put back. loud: let warnings out.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' strategies may draw from it
    if seeded:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
    error: BaseException | None = None
    try:
        with warnings.catch_warnings():
            if not loud:
                warnings.simplefilter("ignore")
            warnings.filterwarnings("ignore", message=".*look-ahead")  # the report says so
            engine, error = _engine(feed, strategy, config, keywords), None
            muted = 0 if begins is None else int(np.searchsorted(engine._panels.times, begins))
            engine.watch(() if watched is None else watched(engine._panels), muted)
            try:
                engine.run()
            except Exception as raised:  # noqa: BLE001 - it is what the run came to
                error = raised
    finally:
        if seeded:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
    if engine.result.status == "interrupted":
        raise KeyboardInterrupt
    return _trace(engine, error), engine.result


def _engine(feed: DataFeed, strategy: Callable[[], Any], config: BacktestConfig | None, keywords: Mapping[str, Any]) -> WatchedEngine:
    return WatchedEngine(feed, strategy(), config, **keywords)


def _trace(engine: WatchedEngine, error: BaseException | None) -> Trace:
    store = engine._store
    bars = store.bars[: store.bar + 1]
    equity, cash, sessions, flags = (np.ascontiguousarray(bars[name]) for name in ("equity", "cash", "session", "flags"))
    return Trace(
        panels=engine._panels,
        orders=store.used_orders().copy(),
        fills=store.used_fills().copy(),
        trades=store.used_trades().copy(),
        equity=equity,
        cash=cash,
        sessions=sessions,
        flags=flags,
        shots=engine.shots,
        error=error,
        error_bar=store.bar,
    )
