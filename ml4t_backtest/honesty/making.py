"""Fresh strategies: what a check was given, made anew for every run."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

from ml4t_backtest.compiled import CompiledStrategy
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.signals import SignalStrategy
from ml4t_backtest.strategy import ArrayStrategy, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Maker", "checked_feed", "read_maker"]

_KINDS = (Strategy, ArrayStrategy, CompiledStrategy)


class Maker:
    """Makes the strategy of one run.

    source: what the user gave: a function or class that is called, or an object that is copied. label: its name in
    messages. takes_feed: whether the function, or a class whose only argument is `feed`, gets the feed of the run, so that what it
    computes is computed anew.
    """

    def __init__(self, source: Any, label: str, *, takes_feed: bool = False) -> None:
        self.source = source
        self.label = label
        self.takes_feed = takes_feed
        self.is_called = not isinstance(source, _KINDS)
        self._made: Any = None

    def make(self, feed: DataFeed, bars: int, first: int = 0) -> Any:
        """Return a strategy for a feed that is a part of one with `bars` bars, from its bar `first` on.

        Raises TypeError for what is no fresh strategy.
        """
        if self.is_called:
            return self._call(feed)
        if isinstance(self.source, CompiledStrategy):
            return self.source.with_params()  # every run gets fresh copies of its arrays
        if isinstance(self.source, SignalStrategy):
            return copy.copy(self.source) if feed.n_bars == bars else self.source.between(first, first + feed.n_bars)
        return copy.deepcopy(self.source)

    def _call(self, feed: DataFeed) -> Any:
        made = self.source(feed) if self.takes_feed else self.source()
        if not isinstance(made, _KINDS):
            raise TypeError(f"{self.label} returned a {type(made).__name__}, expected a Strategy, ArrayStrategy or CompiledStrategy object")
        if made is self._made and isinstance(made, (Strategy, ArrayStrategy)) and not isinstance(made, SignalStrategy):
            raise TypeError(
                f"{self.label} returned the same {type(made).__name__} object twice, whose state would go from one run into the next;"
                " let it make a new one on every call"
            )
        self._made = made
        return made


def read_maker(strategy: Any, check: str) -> Maker:
    """Return what makes the strategies of a check. Raises TypeError, with what to do, for what cannot be made anew.

    check: name of the function that was called, for messages.
    """
    if isinstance(strategy, _KINDS):
        return Maker(_kept(strategy, check), type(strategy).__name__)
    if isinstance(strategy, type):
        if not issubclass(strategy, (Strategy, ArrayStrategy)):
            raise TypeError(f"strategy was the class {strategy.__name__}, expected a subclass of Strategy or ArrayStrategy")
        if inspect.isabstract(strategy):
            raise TypeError(f"strategy was the class {strategy.__name__}, which lacks {', '.join(sorted(strategy.__abstractmethods__))}")
        lacking = _needed(strategy)
        if lacking == ["feed"]:
            return Maker(strategy, strategy.__name__, takes_feed=True)
        if lacking:
            raise TypeError(
                f"strategy was the class {strategy.__name__}, which needs {', '.join(lacking)};"
                f" give a function: {check}(lambda: {strategy.__name__}({lacking[0]}=...), feed)"
            )
        return Maker(strategy, strategy.__name__)
    if not callable(strategy):
        raise TypeError(
            f"strategy was a {type(strategy).__name__}, expected a Strategy class, a function that makes one (of no argument, or of the"
            f" feed of the run), or an object: {check}(MyStrategy, feed)"
        )
    label = str(getattr(strategy, "__name__", type(strategy).__name__))
    needed = _needed(strategy)
    if len(needed) > 1:
        raise TypeError(f"strategy was the function {label}, which needs {', '.join(needed)}; expected no argument, or the feed alone")
    return Maker(strategy, "the function" if label == "<lambda>" else label, takes_feed=len(needed) == 1)


def checked_feed(feed: object, check: str) -> DataFeed:
    """Return the feed. Raises TypeError for what is none and ValueError for one of fewer than two bars."""
    if not isinstance(feed, DataFeed):
        raise TypeError(f"feed was a {type(feed).__name__}, expected a DataFeed: {check}(strategy, DataFeed(prices))")
    if feed.n_bars < 2:  # noqa: PLR2004 - one to decide on and one to come
        raise ValueError(f"feed has {feed.n_bars} bars, expected at least 2")
    return feed


def _kept(strategy: Any, check: str) -> Any:
    """Return an object as it is now, so that what happens to it later does not matter."""
    if isinstance(strategy, (CompiledStrategy, SignalStrategy)):
        return strategy
    try:
        return copy.deepcopy(strategy)
    except Exception as error:
        name = type(strategy).__name__
        raise TypeError(
            f"strategy was a {name} object that cannot be copied ({type(error).__name__}: {error}); give the class,"
            f" {check}({name}, feed), or a function that makes one, {check}(lambda: {name}(...), feed)"
        ) from error


def _needed(function: Callable[..., Any]) -> list[str]:
    """Return the arguments without a default."""
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.default is one.empty and one.kind not in open_ended]
