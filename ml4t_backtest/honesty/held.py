"""Where a strategy holds data without the feed: attributes, variables of its functions, globals."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from ml4t_backtest.compiled import CompiledStrategy
from ml4t_backtest.honesty.bytime import cut_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping

    from ml4t_backtest.panels import Panels

__all__ = ["Place", "altered", "places_of", "places_outside"]

_DEPTH = 5
_FEW = 20  # containers of more than a few items beyond one per asset are not looked into


@dataclass(frozen=True)
class Place:
    """Where a strategy holds data: what messages call it, and how to read and to replace it."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


def places_of(strategy: Any, panels: Panels, known: Iterable[str] = ()) -> list[Place]:
    """Return the attributes of a strategy object that hold data by time, those inside its containers and objects included.

    Of a `CompiledStrategy` these are its parameters; other strategies of this library have none, their signals are cut with the feed.
    """
    name = type(strategy).__name__
    if isinstance(strategy, CompiledStrategy):
        return list(_inside(strategy._params, f"{name}.params", panels, set(known), set(), 1))
    return list(_inside(strategy, name, panels, set(known), set(), _DEPTH)) if _is_of_user(type(strategy)) else []


def places_outside(source: Any, panels: Panels, known: Iterable[str] = ()) -> list[Place]:
    """Return the globals, enclosing variables, default values and class attributes with data that functions of a user read.

    source: a class, a function, or a strategy object, whose class counts.
    """
    walk = _Outside(panels, set(known))
    if isinstance(source, (type, FunctionType)):
        walk.visit(source)
    elif _is_of_user(type(source)):
        walk.visit(type(source))
    else:
        inner = getattr(source, "func", None)  # functools.partial, whose arguments are places themselves
        if inner is not None:
            walk.visit(inner)
            walk.found.extend(_inside(list(source.args), "an argument", panels, walk.known, set(), 2))
            walk.found.extend(_inside(source.keywords, "an argument", panels, walk.known, set(), 2))
    return walk.found


@contextmanager
def altered(places: Iterable[Place], change: Callable[[Any], Any]) -> Iterator[None]:
    """Replace the data at some places while the block runs, and put back what was there."""
    before = [(place, place.get()) for place in places]
    try:
        for place, value in before:
            made = change(value)
            if made is not None:
                place.put(made)
        yield
    finally:
        for place, value in before:
            place.put(value)


def _holds(value: Any, panels: Panels) -> bool:
    return cut_data(value, panels, panels.bars - 1) is not None


def _is_of_user(kind: type) -> bool:
    """Whether a class was written by the user: not part of Python, of this library, or of an installed package."""
    package = kind.__module__.split(".")[0]
    if package in sys.stdlib_module_names and package != "__main__":
        return False
    file = str(getattr(sys.modules.get(kind.__module__), "__file__", "") or "")
    return package not in ("ml4t_backtest", "ml4t_kernels") and "site-packages" not in file


def _inside(owner: Any, name: str, panels: Panels, known: set[str], seen: set[int], depth: int) -> Iterator[Place]:
    """Yield the places within an object, dict or list."""
    if depth == 0 or id(owner) in seen:
        return
    seen.add(id(owner))
    holder: Any = owner if isinstance(owner, (dict, list)) else getattr(owner, "__dict__", {})
    for key, value in list(enumerate(holder) if isinstance(holder, list) else holder.items()):
        if key in known or isinstance(value, (int, float, str)) or value is None:
            continue
        inner = f"{name}.{key}" if holder is not owner else f"{name}[{key!r}]"
        if _holds(value, panels):
            yield _item(inner, holder, key)
        elif isinstance(value, (dict, list)) or _is_of_user(type(value)):
            yield from _inside(value, inner, panels, known, seen, depth - 1)


def _item(name: str, holder: Any, key: Any) -> Place:
    return Place(name, lambda: holder[key], lambda value: holder.__setitem__(key, value))


class _Outside:
    """Collects places by walking through functions and classes."""

    def __init__(self, panels: Panels, known: set[str]) -> None:
        self.panels, self.known = panels, known
        self.found: list[Place] = []
        self._seen: set[int] = set()

    def visit(self, source: Any) -> None:
        """Look at a function or a class, and at what it uses."""
        if id(source) in self._seen:
            return
        self._seen.add(id(source))
        if isinstance(source, type):
            for kind in source.__mro__:
                if _is_of_user(kind):
                    self._visit_class(kind)
        elif isinstance(source, FunctionType):
            self._visit_function(source)

    def _visit_class(self, kind: type) -> None:
        for name, value in list(vars(kind).items()):
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(function, FunctionType):
                self.visit(function)
            elif name not in self.known and _holds(value, self.panels):
                self._add(f"{kind.__name__}.{name}", _getter(kind, name), _setter(kind, name))

    def _visit_function(self, function: FunctionType) -> None:
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # not yet bound
                continue
            self._look(name, value, _getter(cell, "cell_contents"), _setter(cell, "cell_contents"))
        for place, value in enumerate(function.__defaults__ or ()):
            self._look(f"a default of {function.__name__}", value, *_default(function, place))
        for name, value in (function.__kwdefaults__ or {}).items():
            given = _item(name, function.__kwdefaults__, name)
            self._look(name, value, given.get, given.put)
        self._globals(function.__code__, function.__globals__)

    def _globals(self, code: CodeType, variables: MutableMapping[str, Any]) -> None:
        for name in code.co_names:
            if name in variables:
                place = _item(name, variables, name)
                self._look(name, variables[name], place.get, place.put)
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self._globals(inner, variables)

    def _look(self, name: str, value: Any, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        if name in self.known:
            return
        if isinstance(value, FunctionType) and not _is_library(value.__module__):
            self.visit(value)
        elif isinstance(value, type):
            if _is_of_user(value):
                self.visit(value)
        elif _holds(value, self.panels):
            self._add(name, get, put)
        elif isinstance(value, (dict, list)) and len(value) <= len(self.panels.assets) + _FEW:
            self.found.extend(_inside(value, name, self.panels, self.known, self._seen, 2))

    def _add(self, name: str, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        if name not in [place.name for place in self.found]:
            self.found.append(Place(name, get, put))


def _is_library(module: str | None) -> bool:
    package = str(module).split(".")[0]
    file = str(getattr(sys.modules.get(str(module)), "__file__", "") or "")
    return package in ("ml4t_backtest", "ml4t_kernels") or package in sys.stdlib_module_names - {"__main__"} or "site-packages" in file


def _getter(owner: Any, name: str) -> Callable[[], Any]:
    return lambda: getattr(owner, name)


def _setter(owner: Any, name: str) -> Callable[[Any], None]:
    return lambda value: setattr(owner, name, value)


def _default(function: FunctionType, place: int) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    def put(value: Any) -> None:
        values = list(function.__defaults__ or ())
        values[place] = value
        function.__defaults__ = tuple(values)

    return (lambda: (function.__defaults__ or ())[place]), put
