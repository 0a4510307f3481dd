"""What makes the strategies of a study: a class, a function, or an object with `with_params`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import shortened
from ml4t_backtest.strategy import ArrayStrategy, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Maker", "read_strategy"]

_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Maker:
    """Makes one fresh strategy per parameter set.

    source: what the user gave. names: parameters that it takes; `open` when it also takes any other. required: those
    without a default.
    """

    def __init__(self, source: Any, names: Iterable[str], required: Iterable[str] = (), *, takes_any: bool = False) -> None:
        self.source = source
        self.names = tuple(names)
        self.required = tuple(required)
        self.open = takes_any
        self.copies = not callable(source) or hasattr(source, "with_params")

    @property
    def label(self) -> str:
        """Name of the strategy in messages."""
        if self.copies:
            return type(self.source).__name__
        return str(getattr(self.source, "__name__", type(self.source).__name__))

    def make(self, parameters: Mapping[str, Any]) -> Any:
        """Return a strategy. Raises whatever the user's code raises."""
        return self.source.with_params(**parameters) if self.copies else self.source(**parameters)

    def check_complete(self, names: Iterable[str]) -> None:
        """Raise TypeError when a parameter without a default is not named."""
        missing = [name for name in self.required if name not in set(names)]
        if missing:
            raise TypeError(f"{self.label}() needs {shortened(missing)}, which grid does not name; a single value will do")


def read_strategy(strategy: Any) -> Maker:
    """Return the maker of what the user gave. Raises TypeError, with what to do, for what makes no strategies."""
    if hasattr(strategy, "with_params") and not isinstance(strategy, type):
        return Maker(strategy, _own_names(strategy))
    if isinstance(strategy, (Strategy, ArrayStrategy)):
        name = type(strategy).__name__
        raise TypeError(
            f"strategy was a {name} object, whose state would leak from one run into the next; give the class,"
            f" sweep(feed, {name}, ...), or a function that makes one, sweep(feed, lambda fast: {name}(fast), ...)"
        )
    if isinstance(strategy, type):
        if not issubclass(strategy, (Strategy, ArrayStrategy)):
            raise TypeError(f"strategy was the class {strategy.__name__}, expected a subclass of Strategy or ArrayStrategy")
        if inspect.isabstract(strategy):
            lacking = ", ".join(sorted(strategy.__abstractmethods__))
            raise TypeError(f"strategy was the class {strategy.__name__}, which lacks {lacking}")
    elif not callable(strategy):
        raise TypeError(
            f"strategy was a {type(strategy).__name__}, expected a Strategy class, a function that returns a strategy, or an object"
            " with with_params(**values)"
        )
    return _of_signature(strategy)


def _own_names(strategy: Any) -> list[str]:
    """Return the parameters of an object with `with_params`: its `parameter_names`, or the keys of its `params`."""
    names: Any = getattr(strategy, "parameter_names", None)
    if names is None:
        names = getattr(strategy, "params", None)
    if not isinstance(names, Iterable) or isinstance(names, str):
        raise TypeError(f"strategy was a {type(strategy).__name__} with with_params but without params: a dict of names and values")
    return [str(name) for name in names]


def _of_signature(source: Callable[..., Any]) -> Maker:
    parameters = inspect.signature(source).parameters.values()
    names = [one.name for one in parameters if one.kind in _KINDS]
    required = [one.name for one in parameters if one.kind in _KINDS and one.default is one.empty]
    nameless = [one.name for one in parameters if one.kind is one.POSITIONAL_ONLY and one.default is one.empty]
    if nameless:
        raise TypeError(f"strategy takes {nameless[0]!r} by position only; parameters are given by name")
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    settings: Any = getattr(source, "_settings", None)
    if takes_any and isinstance(source, type) and callable(settings):
        own: Any = settings()
        return Maker(source, [*names, *own], required)  # a template: its keywords are its settings
    return Maker(source, names, required, takes_any=takes_any)
