"""`walk_forward`: parameters chosen on each training window, tried on the bars after it, and the trials put together."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.progress import counter
from ml4t_backtest.splitting import Split
from ml4t_backtest.studies.makers import read_strategy
from ml4t_backtest.studies.runners import EngineRunner
from ml4t_backtest.studies.searching import OptunaSearch
from ml4t_backtest.studies.stitching import Piece, unsold
from ml4t_backtest.studies.sweeping import sweep
from ml4t_backtest.studies.walked import WalkForward, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_backtest.engine import Engine
    from ml4t_backtest.frames import FrameLike
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.studies.study import Study

__all__ = ["walk_forward"]

_OURS = ("initial_cash", "close_at_end", "enforce_sessions", "events", "funding_df")
_EVENTS = ("events", "funding_df")


def walk_forward(  # noqa: PLR0913 - the one entry point
    feed: DataFeed,
    strategy: Any,
    grid: Any,
    splitter: Any,
    *,
    select: str | Callable[[Study], Any] = "sharpe",
    higher: bool | None = None,
    warmup: int = 0,
    progress: bool = True,
    resume: str | Path | None = None,
    **options: Any,
) -> WalkForward:
    """Sweep each training window, choose, run the choice over the test window, and put the test runs together.

    feed, strategy, grid: as `sweep`; grid may be a function of the `Split` that returns the grid of its window (an Optuna search has to
    be one, so that no window learns from another). splitter: `RollingWindows`, `ExpandingWindows`, `CalendarWindows`, or a list of
    `Split` in order of time. select: a metric (`higher` says whether high values are good where that is not known), or a function of
    the `Study` of the training window that returns one of its rows. warmup: bars before a test that the strategy sees without trading:
    every order is declined, and no interest paid, until the first bar of the test. resume: a folder, as `sweep`, with a folder per
    window in it. options: all else that `sweep` takes: config, where, executor, workers, settings, arguments of `Engine`.

    Each test run begins without positions and with the cash that the one before left. At its end pending orders are cancelled and
    positions closed at the close of its last bar, with costs (`close_at_end`). What has no price then stays: its last value counts in
    the account value of all later windows but buys nothing there, and a warning names it. Rules, limits, settlement and interest start
    anew with every window. A test run that leaves no money ends the whole, with a warning.

    Ctrl-C returns the windows that are finished, with a warning. Raises, before anything runs: TypeError and ValueError for windows
    that are no consecutive bars in order of time, or whose training is not before their test, for parameters that each window sets
    itself (initial_cash, close_at_end), and as `sweep`. Raises ValueError where no row of a window can be chosen, and what the
    strategy raises.
    """
    walk = _Walk(feed, strategy, grid, (select, higher), warmup, None if resume is None else Path(resume), options)
    splits = _windows_of(splitter, feed)
    bar = counter(len(splits), progress=progress, label="walk forward", unit="window")
    status = "completed"
    try:
        for split in splits:
            if not walk.solvent(split):
                break
            walk.step(split)
            bar.update(1)
    except KeyboardInterrupt:
        if not walk.windows:
            raise
        status = "interrupted"
        warnings.warn(f"interrupted: {len(walk.windows)} of {len(splits)} windows were finished", UserWarning, stacklevel=2)
    finally:
        bar.close()
    return WalkForward(walk.windows, feed, status)


class _Walk:
    """The windows so far, and the money that they left."""

    def __init__(
        self,
        feed: Any,
        strategy: Any,
        grid: Any,
        select: tuple[Any, bool | None],
        warmup: int,
        resume: Path | None,
        options: dict[str, Any],
    ) -> None:
        if not isinstance(feed, DataFeed):
            raise TypeError(f"feed was a {type(feed).__name__}, expected a DataFeed: walk_forward(DataFeed(prices_df=...), ...)")
        if isinstance(warmup, bool) or not isinstance(warmup, (int, np.integer)) or warmup < 0:
            raise ValueError(f"warmup was {warmup!r}, expected a whole number of bars >= 0")
        if not (isinstance(select[0], str) or callable(select[0])):
            raise TypeError(f"select was {select[0]!r}, expected the name of a metric or a function of a Study")
        self.feed, self.strategy, self.grid = feed, strategy, _many(grid)
        self.select, self.higher = select
        self.warmup, self.resume = int(warmup), resume
        self.options = options
        self.windows: list[Window] = []
        self.cash: float | None = None  # None for that of the config
        self.held = 0.0

    def solvent(self, split: Split) -> bool:
        """Tell whether there is money for a window; warn when there is none."""
        if self.cash is not None and not self.cash > 0.0:
            warnings.warn(f"window {split.number} and those after it were not run: the one before left no cash", UserWarning, stacklevel=3)
            return False
        return True

    def step(self, split: Split) -> None:
        """Choose on a training window and run its test."""
        study = self._study(split)
        chosen = self._chosen(study, split)
        first = max(int(split.test[0]) - self.warmup, 0)
        result, muted = self._test(study, chosen, first, int(split.test[-1]) + 1, int(split.test[0]))
        self.windows.append(Window(split, study, chosen, result, Piece(result, muted, self.held)))
        value, columns = unsold(result)
        if len(columns):
            names = ", ".join(repr(result.assets[column]) for column in sorted(set(columns.tolist())))
            warnings.warn(
                f"window {split.number} ends on {result._timestamps[-1]}, on which {names} has no price and could not be sold:"
                f" {value:,.2f} of the account value stays out of later windows",
                UserWarning,
                stacklevel=3,
            )
        self.held += value
        self.cash = float(result._cash[-1])

    def _study(self, split: Split) -> Study:
        """Sweep the training window."""
        first, last = int(split.train[0]), int(split.train[-1]) + 1
        grid = _many(self.grid(split)) if callable(self.grid) else self.grid
        folder = None if self.resume is None else self.resume / f"window-{split.number:04}"
        options = {**self.options, **self._events(self.options, first, last)}
        study = sweep(self.feed.between(first, last), self._strategy_of(first, last), grid, progress=False, resume=folder, **options)
        if study.status == "interrupted":
            raise KeyboardInterrupt
        _refuse_ours(study.parameters)
        return study

    def _strategy_of(self, first: int, last: int) -> Any:
        """Return the strategy for some bars: one that holds arrays of the whole feed cuts them."""
        if hasattr(self.strategy, "between") and not isinstance(self.strategy, type):
            return self.strategy.between(first, last)
        return self.strategy

    def _chosen(self, study: Study, split: Split) -> dict[str, Any]:
        try:
            if callable(self.select):
                return study.params(self.select(study))
            return study.params(study.best(self.select, higher=self.higher))
        except (TypeError, ValueError) as error:
            error.add_note(f"in window {split.number}")
            raise

    def _test(self, study: Study, chosen: dict[str, Any], first: int, last: int, begin: int) -> tuple[BacktestResult, int]:
        """Run the bars from `first` to before `last`; orders are taken from `begin` on. Returns also how many bars came before that."""
        task = study._task
        config = task.config.replace(close_at_end=True, **({} if self.cash is None else {"initial_cash": self.cash}))
        keywords = {**task.keywords, **self._events(self.options, first, last)}
        maker = read_strategy(self._strategy_of(first, last))
        task = replace(task, feed=self.feed.between(first, last), maker=maker, config=config, keywords=keywords, keep=frozenset())
        runner = _TestRunner(task, int(self.feed.panels.times[begin]))
        try:
            return runner.result(chosen), runner.muted
        except Exception as error:
            declined = "; orders of the warm-up are declined: they return None" if runner.muted else ""
            error.add_note(f"in the test of window {len(self.windows)} with {chosen}{declined}")
            raise

    def _events(self, given: Mapping[str, Any], first: int, last: int) -> dict[str, Any]:
        """Return the frames of events cut to some bars: an event between two bars belongs to the later one."""
        return {name: _between(given[name], name, self.feed.panels, first, last) for name in _EVENTS if given.get(name) is not None}


class _TestRunner(EngineRunner):
    """Runs a set whose orders count from a time on."""

    def __init__(self, task: Any, begin: int) -> None:
        super().__init__(task)
        self._begin = begin
        self.muted = 0

    def prepare(self, parameters: Mapping[str, Any]) -> tuple[Engine, list[Any]]:
        engine, rules = super().prepare(parameters)
        self.muted = int(np.searchsorted(engine._panels.times, self._begin))
        if self.muted:
            engine._store.state["first_order_bar"] = self.muted
        return engine, rules


def _many(grid: Any) -> Any:
    """Return a grid that can be read in every window. Raises TypeError for an Optuna search, ValueError for parameters that are ours."""
    if isinstance(grid, OptunaSearch):
        raise TypeError(
            "grid was an Optuna search, which would carry what it learned from one window to the next; give a function that makes one:"
            " grid=lambda split: optuna_search(...)"
        )
    if isinstance(grid, Mapping):
        _refuse_ours(grid)
        return grid
    if isinstance(grid, Iterable) and not isinstance(grid, (str, bytes)):
        sets = list(grid)
        _refuse_ours({name for one in sets if isinstance(one, Mapping) for name in one})
        return sets
    return grid


def _refuse_ours(names: Iterable[Any]) -> None:
    for name in names:
        if name in _OURS:
            raise ValueError(f"{name!r} cannot be a parameter of a walk-forward study; give it as a keyword: the same for all windows")


def _windows_of(splitter: Any, feed: DataFeed) -> list[Split]:
    """Return the windows of a feed. Raises TypeError and ValueError for what cannot be walked through."""
    if isinstance(splitter, type):
        raise TypeError(f"splitter was the class {splitter.__name__}, expected an object: {splitter.__name__}(train=..., test=...)")
    if hasattr(splitter, "split"):
        splits: list[Split] = splitter.split(feed)
    elif isinstance(splitter, Iterable):
        splits = list(splitter)
    else:
        raise TypeError(f"splitter was a {type(splitter).__name__}, expected RollingWindows, ExpandingWindows, CalendarWindows, or splits")
    if not splits:
        raise ValueError("splitter gave no windows")
    before = -1
    for split in splits:
        _check_window(split, feed.n_bars, before)
        before = int(split.test[-1])
    return splits


def _check_window(split: Any, bars: int, before: int) -> None:
    """Raise for what is no window. before: last bar of the test before it."""
    if not isinstance(split, Split):
        raise TypeError(f"splitter gave a {type(split).__name__}, expected Split objects")
    for name in ("train", "test"):
        own = getattr(split, name)
        if not len(own) or own[0] < 0 or own[-1] >= bars or (np.diff(own) != 1).any():
            raise ValueError(f"the {name} bars of {split!r} are no consecutive bars of the feed; cross_validate takes such splits")
    if split.train[-1] >= split.test[0]:
        raise ValueError(f"{split!r} trains on bars that are not before its test: look-ahead; cross_validate takes such splits")
    if split.test[0] <= before:
        raise ValueError(f"the test of {split!r} does not come after the one before it")


def _between(frame: FrameLike, role: str, panels: Panels, first: int, last: int) -> FrameLike:
    """Return the rows of a frame of events that happen on some bars."""
    from ml4t_backtest.frames import read_frame, time_axis

    table = read_frame(frame, role)
    times = time_axis(table, role).nanoseconds
    after = panels.times[first - 1] if first else np.iinfo(np.int64).min
    return table.filter((times > after) & (times <= panels.times[last - 1]))
