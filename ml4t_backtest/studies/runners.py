"""What runs parameter sets: the protocol, the runner that builds an engine per set, and the one for objects that run many at once.

A fast path plugs in as a `Runner`: `run(sets)` answers one `Row` per set, in order, and raises nothing for a set that
fails. Its objects are made once per worker (once per study for threads) and must not keep anything from set to set that
changes a result.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ml4t_backtest.engine import Engine
from ml4t_backtest.studies.routing import rules_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.studies.makers import Maker
    from ml4t_backtest.studies.routing import Routes
    from ml4t_kernels.dtypes import FloatArray

__all__ = [
    "COMPLETED",
    "FAILED",
    "EngineRunner",
    "Row",
    "Runner",
    "SetsRunner",
    "Task",
    "make_runner",
    "releases_lock",
    "text_of",
    "with_feed",
]

COMPLETED, FAILED = "completed", "failed"
_CONFIGS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Task:
    """All that a worker needs beside the parameter sets. keep: some of "equity", "trades"; keywords: fixed arguments of `Engine`."""

    feed: DataFeed
    maker: Maker
    routes: Routes
    config: BacktestConfig
    keywords: Mapping[str, Any]
    keep: frozenset[str] = frozenset()


@dataclass(slots=True)
class Row:
    """What became of one parameter set.

    metrics: name to number, empty when it failed. equity: float64[bars] and trades: trade_dtype rows, where they are kept.
    """

    metrics: Mapping[str, float]
    status: str = COMPLETED
    error: str | None = None
    seconds: float = 0.0
    equity: FloatArray | None = None
    trades: npt.NDArray[Any] | None = None


class Runner(Protocol):
    """Runs parameter sets, each as if it were the only one."""

    def run(self, sets: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return one row per set, in their order. Lets nothing but KeyboardInterrupt out."""
        ...


class _OneOfMany(Engine):
    """An engine for short runs, which Ctrl-C ends without a result: half a run is no row of a study."""

    _buffers: ClassVar[dict[str, int]] = {"capacity": 512}  # a large one costs more than a short run

    def _stop(self, status: str) -> None:
        if status == "interrupted":
            raise KeyboardInterrupt
        super()._stop(status)


class EngineRunner:
    """Builds an `Engine` per set: for every kind of strategy."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._configs: dict[Any, BacktestConfig] = {}

    def run(self, sets: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return one row per set; whatever a strategy raises becomes its row."""
        return [self._row(one) for one in sets]

    def result(self, parameters: Mapping[str, Any]) -> BacktestResult:
        """Run one set and return everything. Raises what the strategy raises, RuntimeError when a rule of the set did not count."""
        engine, rules = self.prepare(parameters)
        first = int(engine._store.state["rule_set"][0])
        result = engine.run()
        if rules and int(engine._store.state["rule_set"][0]) != first:
            names = ", ".join(name for name in self._task.routes.rules if parameters.get(name) is not None)
            raise RuntimeError(
                f"the strategy set position rules of its own for all assets, which replaced {names}; let its constructor take the parameter"
            )
        return result

    def prepare(self, parameters: Mapping[str, Any]) -> tuple[Engine, list[Any]]:
        """Return the engine of a set, not run yet, and its position rules."""
        task, routes = self._task, self._task.routes
        strategy = task.maker.make({name: parameters[name] for name in routes.strategy if name in parameters})
        config = self.config_of(parameters)
        given = {name: parameters[name] for name in routes.engine if name in parameters}
        engine = _OneOfMany(task.feed, strategy, config, **{**task.keywords, **given})
        rules = rules_of({name: parameters[name] for name in routes.rules if name in parameters})
        if rules:
            engine.broker.set_position_rules(rules if len(rules) > 1 else rules[0])
        return engine, rules

    def config_of(self, parameters: Mapping[str, Any]) -> BacktestConfig:
        """Return the settings of a set."""
        return self._config({name: parameters[name] for name in self._task.routes.settings if name in parameters})

    def _config(self, changes: dict[str, Any]) -> BacktestConfig:
        """Return the settings of a set; checking them costs as much as a short run, so that those just used are kept."""
        if not changes:
            return self._task.config
        try:
            key = tuple((name, type(value), value) for name, value in changes.items())
            found = self._configs.get(key)
        except TypeError:  # a value that is not hashable
            return self._task.config.replace(**changes)
        if found is None:
            if len(self._configs) >= _CONFIGS_KEPT:
                self._configs.clear()
            found = self._configs[key] = self._task.config.replace(**changes)
        return found

    def _row(self, parameters: Mapping[str, Any]) -> Row:
        started = time.perf_counter()
        try:
            result = self.result(parameters)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is the outcome of this set
            return Row({}, FAILED, text_of(error), time.perf_counter() - started)
        keep = self._task.keep
        return Row(
            result.metrics,
            seconds=time.perf_counter() - started,
            equity=result._equity if "equity" in keep else None,
            trades=result._trades.copy() if "trades" in keep else None,
        )


class SetsRunner:
    """For a strategy object with `run_sets(feed, config, sets)`, which answers one dict of metrics per set.

    A dict may hold `status` and `error` for a set that failed. An exception is taken as the outcome of the sets alone: they
    are run one by one then.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._engines = EngineRunner(task)

    def run(self, sets: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return one row per set; sets with the same settings are run together."""
        groups: dict[int, tuple[BacktestConfig, list[int]]] = {}
        rows: list[Row | None] = [None] * len(sets)
        for place, one in enumerate(sets):
            try:
                config = self._engines.config_of(one)
            except Exception as error:  # noqa: BLE001 - settings that contradict each other are the outcome of this set
                rows[place] = Row({}, FAILED, text_of(error))
                continue
            groups.setdefault(id(config), (config, []))[1].append(place)
        for config, places in groups.values():
            for place, row in zip(places, self._together(config, [sets[place] for place in places]), strict=True):
                rows[place] = row
        return [row for row in rows if row is not None]

    def _together(self, config: BacktestConfig, sets: list[Mapping[str, Any]]) -> list[Row]:
        names = self._task.routes.strategy
        own = [{name: one[name] for name in names if name in one} for one in sets]
        started = time.perf_counter()
        try:
            answers = _as_many(self._task.maker.source.run_sets(self._task.feed, config, own), len(sets))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - see EngineRunner
            if len(sets) > 1:
                return [row for one in sets for row in self._together(config, [one])]
            return [Row({}, FAILED, text_of(error), time.perf_counter() - started)]
        each = (time.perf_counter() - started) / len(sets)
        return [_answered(answer, each) for answer in answers]


def _as_many(answers: Sequence[Any], count: int) -> Sequence[Any]:
    if len(answers) != count:
        raise RuntimeError(f"run_sets answered {len(answers)} rows to {count} parameter sets")
    return answers


def _answered(answer: Mapping[str, Any], seconds: float) -> Row:
    if "status" not in answer and "error" not in answer:
        return Row(answer, seconds=seconds)
    metrics = {name: value for name, value in answer.items() if name not in ("status", "error")}
    status = answer.get("status", COMPLETED)
    return Row(metrics if status == COMPLETED else {}, status, answer.get("error"), seconds)


def make_runner(task: Task) -> Runner:
    """Return the fastest runner that gives what the task asks for."""
    if _runs_sets(task):
        return SetsRunner(task)
    if _is_compiled(task):
        from ml4t_backtest.studies.compiled_runs import CompiledRunner

        return CompiledRunner(task)
    return EngineRunner(task)


def releases_lock(task: Task) -> bool:
    """Tell whether runs leave the interpreter to other threads, so that threads do what processes would."""
    return _runs_sets(task) or _is_compiled(task)


def _is_compiled(task: Task) -> bool:
    """Whether the strategy is compiled and its runs can share an account."""
    from ml4t_backtest.studies.compiled_runs import takes

    return takes(task)


def _runs_sets(task: Task) -> bool:
    """Whether the strategy runs many sets at once; rules, arguments of the engine and what is kept need the engine."""
    return hasattr(task.maker.source, "run_sets") and not (task.routes.rules or task.routes.engine or task.keywords or task.keep)


def with_feed(task: Task, feed: DataFeed | None) -> Task:
    """Return the task with another feed."""
    return replace(task, feed=feed)  # type: ignore[arg-type]


def text_of(error: BaseException) -> str:
    """Return an exception as one text with its notes."""
    return "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
