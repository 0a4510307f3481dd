"""The runner of compiled strategies: a worker lays an account out once per settings and begins it anew for each parameter set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import METRIC_NAMES
from ml4t_backtest.compiled import CompiledStrategy
from ml4t_backtest.compiled.batch import Bench
from ml4t_backtest.compiled.bundles import kinds_of
from ml4t_backtest.signals.figures import doubtful, metrics_of
from ml4t_backtest.studies.routing import RULES
from ml4t_backtest.studies.runners import FAILED, EngineRunner, Row, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.compiled.batch import Outcomes
    from ml4t_backtest.studies.runners import Task

__all__ = ["CompiledRunner", "takes"]

_MADE_ANEW = (
    "commission_model",
    "slippage_model",
    "market_impact_model",
    "execution_limits",
    "limits",
    "events",
    "funding_df",
    "risk_context",
)


def takes(task: Task) -> bool:
    """Tell whether the runner is for a task; the rest needs an engine for every set.

    Not for uncompiled runs, arguments of the engine in the grid, trades to keep, positions closed at the end, and feeds with prices
    that are not positive. Models and rules in Python may remember something from run to run, so they need engines of their own, too.
    """
    source = task.maker.source
    if not isinstance(source, CompiledStrategy) or source.debug or callable(source.rules):
        return False
    from ml4t_kernels._jit import COMPILED

    prices = task.feed.panels.prices
    return (
        COMPILED
        and task.feed.panels.bars > 0
        and not task.routes.engine
        and not (source.rules and task.routes.rules)
        and "trades" not in task.keep
        and not any(task.keywords.get(name) for name in _MADE_ANEW)
        and not _any_at_end(task)
        and min(float(np.nanmin(panel, initial=np.inf)) for panel in prices.values() if panel is not prices["volume"]) > 0.0
    )


def _any_at_end(task: Task) -> bool:
    return bool(task.config.close_at_end) or "close_at_end" in task.routes.settings


class CompiledRunner:
    """Runs sets of one compiled strategy; one worker at a time."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._engines = EngineRunner(task)
        self._benches: dict[Any, Bench] = {}

    def run(self, sets: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return one row per set; sets of the same settings, rules and kinds of parameters are run together."""
        rows: list[Row | None] = [None] * len(sets)
        groups: dict[Any, list[tuple[int, Any]]] = {}
        for place, one in enumerate(sets):
            try:
                key, params = self._key(one)
            except Exception as error:  # noqa: BLE001 - settings that contradict each other are the outcome of this set
                rows[place] = Row({}, FAILED, text_of(error))
                continue
            groups.setdefault(key, []).append((place, params))
        for key, members in groups.items():
            places = [place for place, _ in members]
            together = self._together(key, [sets[place] for place in places], [params for _, params in members])
            for place, row in zip(places, together, strict=True):
                rows[place] = row
        return [row for row in rows if row is not None]

    def _key(self, one: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return what sets that run together have in common, and the parameters of the strategy."""
        routes = self._task.routes
        strategy = self._task.maker.make({name: one[name] for name in routes.strategy if name in one})
        params = strategy.bundle()
        present = tuple(name for name in routes.rules if one.get(name) is not None)
        return (id(self._engines.config_of(one)), present, kinds_of(params)), params

    def _together(self, key: Any, sets: list[Mapping[str, Any]], params: list[Any]) -> list[Row]:
        try:
            bench = self._benches.get(key[:2])
            if bench is None:
                bench = self._benches[key[:2]] = self._bench(sets[0])
            outcomes = bench.run(params, self._rules(bench, sets, key[1]), keep_equity="equity" in self._task.keep)
        except Exception:  # noqa: BLE001 - each set tells what is wrong with it
            return self._engines.run(sets)
        return self._rows(sets, outcomes, bench)

    def _bench(self, one: Mapping[str, Any]) -> Bench:
        engine, _ = self._engines.prepare(one)
        return Bench(engine, engine.strategy)  # type: ignore[arg-type]

    def _rules(self, bench: Bench, sets: list[Mapping[str, Any]], present: tuple[str, ...]) -> list[Any] | None:
        """Return the rule rows of every set: those of the bench with other thresholds."""
        if not present:
            return None
        return [bench.rule_rows([one[name] for name in RULES if name in present]) for one in sets]

    def _rows(self, sets: list[Mapping[str, Any]], outcomes: Outcomes, bench: Bench) -> list[Row]:
        count = len(sets)
        columns = metrics_of(outcomes.rows, np.full(count, bench.initial_cash), bench.times)
        names = list(METRIC_NAMES)
        values = np.stack([columns[name] for name in names]).T.tolist()
        exact = set(doubtful(outcomes.rows, len(bench.times)).tolist())
        made = []
        for number in range(count):
            seconds = float(outcomes.seconds[number])
            if number in outcomes.errors:
                made.append(Row({}, FAILED, text_of(outcomes.errors[number]), seconds))
            elif number in exact:  # sums have lost digits
                made += self._engines.run([sets[number]])
            else:
                equity = None if outcomes.equity is None else outcomes.equity[number]
                made.append(Row(dict(zip(names, values[number], strict=True)), seconds=seconds, equity=equity))
        return made
