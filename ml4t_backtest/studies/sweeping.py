"""`sweep`: many parameter sets of one strategy over one feed."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from ml4t_backtest.analytics.metrics import METRIC_NAMES
from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.config.reading import setting_name
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.engine import _checked_strategy, _settings_of
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.studies.makers import read_strategy
from ml4t_backtest.studies.pools import check_executor, count_workers
from ml4t_backtest.studies.routing import ENGINE_ARGUMENTS, Routes, check_values, route
from ml4t_backtest.studies.runners import Task, make_runner
from ml4t_backtest.studies.searching import OptunaSearch, run_search
from ml4t_backtest.studies.space import Product, read_space
from ml4t_backtest.studies.tables import column_names
from ml4t_backtest.studies.whole import Whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ml4t_backtest.config import Mode
    from ml4t_backtest.studies.space import Space
    from ml4t_backtest.studies.study import Study

__all__ = ["KEEP", "sweep"]

_ARGUMENTS = ("feed", "strategy", "grid", "config", "keep", "where", "executor", "workers", "progress", "resume", "max_sets")
# What `keep` may be, and what a row then holds.
KEEP: dict[str, tuple[str, ...]] = {"metrics": (), "curve": ("equity",), "trades": ("trades",), "all": ("equity", "trades")}
_MEASURED, _PATIENCE = 3, 20.0  # runs, and seconds after which no other one is measured


def sweep(  # noqa: PLR0913 - the one entry point
    feed: DataFeed,
    strategy: Any,
    grid: Any,
    *,
    config: BacktestConfig | Mode | str | None = None,
    keep: str = "metrics",
    where: Callable[[dict[str, Any]], Any] | None = None,
    executor: Any = None,
    workers: int | None = None,
    progress: bool = True,
    resume: str | Path | None = None,
    max_sets: int | None = 100_000,
    **keywords: Any,
) -> Study:
    """Run a strategy with many parameter sets and return a `Study`: one row per set, in the order of the grid.

    feed: a `DataFeed`. strategy: a `Strategy` or `ArrayStrategy` class, a function that returns a strategy, or an object
    with `with_params`. grid: name to values (every combination, the last name changes fastest), a list of dicts,
    `random_search(...)`, or `optuna_search(...)`. A parameter goes to the strategy when that takes its name; else it is
    a position rule for all positions (stop_pct, target_pct, trail_pct: fractions; max_bars; None for no such rule), an argument
    of `Engine` (commission_model, ...), or a setting of `BacktestConfig`. where: a function of a parameter set; sets for
    which it is false are left out.

    config and further keywords: as `Engine`, the same for all sets. keep: "metrics"; "curve" and "trades" keep the account
    value per bar and the trades of every row, "all" both. executor: "processes", "threads", "serial", any executor of
    `concurrent.futures`, or a Dask client; None chooses. workers: how many processes or threads, None for one per processor.
    progress: a progress bar on a terminal or in a notebook. resume: a folder that takes finished rows as they come;
    the same study given the same folder goes on where it ended. max_sets: more sets than this are counted and refused; None
    for no limit.

    A set whose run raises is a row with status "failed" and its error. Ctrl-C returns what is finished, with a warning. Rows
    do not depend on executor and workers, except for `seconds`.

    Raises, before anything runs: TypeError for parameters and keywords that nothing takes, ValueError for values that
    settings and rules refuse, for an empty or too large grid, two equal sets, and a folder of another study.
    """
    check_executor(executor, workers)
    task = _task(feed, strategy, config, keep, keywords)
    if isinstance(grid, OptunaSearch):
        if where is not None or resume is not None:
            name = "where" if where is not None else "resume"
            raise ValueError(f"{name} does not go with an Optuna search: Optuna's sampler and storage do that")
        task = _routed(task, grid.space)
        check_made(task, grid.example())
        return run_search(Whole(task, grid.space, None, executor, workers, progress=progress), grid)
    space = read_space(grid, where, _limit(max_sets))
    task = _routed(task, space)
    whole = isinstance(space, Product) and space.kept is None
    count = space.combinations if isinstance(space, Product) and whole else len(space)  # len() stops at 2**63
    if max_sets is not None and (count > max_sets or (whole and where is not None)):
        raise ValueError(_too_many(task, space, count, max_sets, unfiltered=where is not None and whole))
    check_made(task, space.at(0))
    return Whole(task, space, resume, executor, workers, progress=progress).run()


def _task(feed: Any, strategy: Any, config: Any, keep: Any, keywords: dict[str, Any]) -> Task:
    """Return what all sets share. Raises TypeError and ValueError that name the argument."""
    if not isinstance(feed, DataFeed):
        raise TypeError(f"feed was a {type(feed).__name__}, expected a DataFeed: sweep(DataFeed(prices_df=...), ...)")
    if keep not in KEEP:
        raise ValueError(f"keep was {keep!r}, expected one of {list(KEEP)}{did_you_mean(str(keep), KEEP)}")
    fixed = {name: value for name, value in keywords.items() if name in ENGINE_ARGUMENTS}
    settings = {name: value for name, value in keywords.items() if name not in ENGINE_ARGUMENTS}
    for name in settings:
        if setting_name(BacktestConfig, name) is None:
            known = [*_ARGUMENTS, *ENGINE_ARGUMENTS, *(entry.name for entry in dataclasses.fields(BacktestConfig))]
            raise TypeError(
                f"sweep() has no argument {name!r}{did_you_mean(name, known)} Arguments: {', '.join((*_ARGUMENTS, *ENGINE_ARGUMENTS))}, and"
                " every setting of BacktestConfig; parameters of the strategy stand in the grid"
            )
    return Task(feed, read_strategy(strategy), Routes(), _settings_of(config, settings), fixed, frozenset(KEEP[keep]))


def _routed(task: Task, space: Space) -> Task:
    """Return the task with its routes, after all checks that need no run."""
    routes = route(space.names, task.maker)
    task.maker.check_complete(space.names)
    both = [name for name in routes.engine if name in task.keywords]
    if both:
        raise TypeError(f"{both[0]!r} was given twice, in the grid and as a keyword; give it once")
    column_names(space.names, METRIC_NAMES)
    check_values(space, routes, task.config)
    return dataclasses.replace(task, routes=routes)


def check_made(task: Task, parameters: dict[str, Any]) -> None:
    """Raise TypeError when what the user gave makes no strategies, or the same one twice; what it raises itself is left to the runs."""
    maker = task.maker
    own = {name: parameters[name] for name in task.routes.strategy if name in parameters}
    try:
        made, again = maker.make(own), maker.make(own)
    except Exception:  # noqa: BLE001 - the outcome of this set
        return
    if not hasattr(made, "run_sets"):
        try:
            _checked_strategy(made)
        except TypeError as error:
            raise TypeError(f"{maker.label} returned what an engine does not take: {error}") from error
    if made is again:
        raise TypeError(
            f"{maker.label} returned the same {type(made).__name__} object twice, whose state would leak from one run into the next;"
            " make a new one in each call"
        )


def _limit(max_sets: Any) -> int | None:
    if max_sets is not None and (isinstance(max_sets, bool) or not isinstance(max_sets, int) or max_sets < 1):
        raise ValueError(f"max_sets was {max_sets!r}, expected a whole number >= 1, or None for no limit")
    return max_sets


def _too_many(task: Task, space: Space, count: int, max_sets: int, *, unfiltered: bool) -> str:
    """Return the message about a grid that is too large, with the time that it would take, going by a few runs."""
    runner, times = make_runner(task), list[float]()
    while len(times) < _MEASURED and sum(times) < _PATIENCE:
        started = time.perf_counter()
        runner.run([space.at(count * len(times) // _MEASURED)])
        times.append(time.perf_counter() - started)
    each = min(times)  # the first one may have compiled or loaded something
    lanes = count_workers()
    left_out = ", before where leaves any out" if unfiltered else ""
    return (
        f"the grid has {count:,} parameter sets{left_out}, max_sets is {max_sets:,}; one takes {each:.3g} s (measured), all would"
        f" take about {_duration(count * each / lanes)} on {lanes} processors. Choose fewer values, or random_search(space, n, seed);"
        " max_sets=None runs them all"
    )


def _duration(seconds: float) -> str:
    for unit, length in (("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2.0 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} seconds"
