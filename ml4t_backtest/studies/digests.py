"""What a study is, as a handful of digests: two studies with the same ones give the same rows."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Mapping
from enum import Enum
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_kernels.dtypes import trade_dtype

if TYPE_CHECKING:
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.studies.runners import Task
    from ml4t_backtest.studies.space import Space

__all__ = ["digest", "fingerprint"]

_OWN = "ml4t_backtest"
_TRUSTED = (_OWN, "builtins", "abc", "typing", "numpy", "polars", "pandas", "numba")  # by their name


def fingerprint(task: Task, space: Space) -> dict[str, str]:
    """Return what decides the rows of a study, part by part, each as a text.

    The strategy counts by its source (comments and layout do not), with its base classes, what it closes over, and the
    functions, classes and constants of its own module that it uses; what it uses of other modules does not count.
    """
    from ml4t_backtest import __version__

    grid = {name: space.values(name) for name in space.names}
    numbers = np.arange(len(space), dtype=np.int64)
    sets = hashlib.blake2b(digest_size=16)
    for name in space.names:
        sets.update(digest([name, *space.column(name, numbers)]).encode())
    return {
        "package version": __version__,
        "data": _of_panels(task.feed.panels),
        "strategy": digest(task.maker.source),
        "parameters": ", ".join(grid),
        "grid": f"{len(space)} sets, {sets.hexdigest()}",
        "config": digest([task.config.to_dict(), task.config.commission_model, task.config.slippage_model]),
        "arguments": digest(dict(task.keywords)),
        "keep": ", ".join(sorted(task.keep)) or "metrics",
        "layout of trades": digest(repr(trade_dtype)),
    }


def digest(value: Any) -> str:
    """Return a digest of a value: numbers and texts by value, arrays and frames by content, functions and classes by source."""
    digester = _Digester()
    digester.add(value)
    return digester.text()


def _of_panels(panels: Panels) -> str:
    digester = _Digester()
    decoders = {name: decoder if isinstance(decoder, type) else vars(decoder) for name, decoder in panels.decoders.items()}
    context = None if panels.context is None else [panels.context.columns, panels.context.row_of]
    for part in (panels.assets, panels.zone, panels.has_volume, panels.times, panels.present, decoders, context):
        digester.add(part)
    for group in (panels.prices, panels.signals, panels.extras):
        digester.add(group)
    return digester.text()


class _Digester:
    """Adds values to a digest; what was added before counts by its name."""

    def __init__(self) -> None:
        self._hasher = hashlib.blake2b(digest_size=16)
        self._seen: set[int] = set()
        self._keep: list[Any] = []

    def text(self) -> str:
        """Return the digest."""
        return self._hasher.hexdigest()

    def add(self, value: Any) -> None:  # noqa: C901 - one branch per kind
        """Add a value."""
        self._say(f"{type(value).__module__}.{type(value).__qualname__}:")
        if isinstance(value, Enum):
            self._say(value.name)
        elif value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            self._say(repr(value))
        elif isinstance(value, np.ndarray):
            self._say(f"{value.shape}{value.dtype}")
            self._hasher.update(repr(value.tolist()).encode() if value.dtype.hasobject else np.ascontiguousarray(value).tobytes())
        elif id(value) not in self._seen:
            self._seen.add(id(value))
            self._keep.append(value)  # or its id might be given again
            if isinstance(value, (Mapping, list, tuple, set, frozenset)):
                self._add_items(value)
            elif isinstance(value, functools.partial):
                self.add([value.func, value.args, value.keywords])
            elif isinstance(value, type):
                self._add_class(value)
            elif isinstance(value, FunctionType):
                self._add_function(value)
            elif hasattr(value, "py_func"):  # compiled with numba
                self.add(value.py_func)
            elif hasattr(value, "write_ipc"):  # a Polars frame
                self.add(value.to_dict(as_series=False))
            else:
                self._add_object(value)

    def _say(self, text: str) -> None:
        self._hasher.update(text.encode())

    def _add_items(self, value: Any) -> None:
        if isinstance(value, Mapping):
            for name in sorted(value, key=repr):
                self.add(name)
                self.add(value[name])
            return
        for item in sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value:
            self.add(item)

    def _add_object(self, value: Any) -> None:
        self._add_class(type(value))
        names = [*getattr(value, "__dict__", {}), *(name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()))]
        if not names:
            self._say(repr(value))
        for name in names:
            if not name.startswith("__") and hasattr(value, name):
                self._say(name)
                self.add(getattr(value, name))

    def _add_class(self, kind: type) -> None:
        for owner in kind.__mro__:
            inside = owner.__module__.partition(".")[0]
            self._say(f"{owner.__module__ if inside == _OWN else ''}.{owner.__qualname__}")
            if inside in _TRUSTED:
                continue
            self._say(_source(owner))
            for entry in vars(owner).values():
                plain = getattr(entry, "__func__", getattr(entry, "fget", entry))
                if isinstance(plain, FunctionType):
                    self._add_names(plain)

    def _add_function(self, function: FunctionType) -> None:
        if function.__module__.partition(".")[0] in _TRUSTED:
            self._say(f"{function.__module__}.{function.__qualname__}")
            return
        self._say(_source(function))
        self.add([function.__defaults__, function.__kwdefaults__])
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # empty: the name is not bound yet
                continue
        self._add_names(function)

    def _add_names(self, function: FunctionType) -> None:
        """Add what a function uses of its own module: functions, classes, plain constants."""
        for name in _names(function.__code__):
            value = function.__globals__.get(name)
            local = getattr(value, "__module__", None) == function.__module__
            if isinstance(value, (bool, int, float, str, tuple)) or (local and isinstance(value, (type, FunctionType))):
                self._say(name)
                self.add(value)


def _names(code: CodeType) -> list[str]:
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in _names(one)]
    return sorted({*code.co_names, *inner})


def _source(owner: Any) -> str:
    """Return the source without comments and layout; the compiled code where there is no source (a lambda, a cell that is gone)."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(owner))))
    except (OSError, TypeError, SyntaxError):
        pass
    if isinstance(owner, type):
        codes = [(name, entry.__code__) for name, entry in sorted(vars(owner).items()) if isinstance(entry, FunctionType)]
        return repr([(name, _code(code)) for name, code in codes])
    return repr(_code(owner.__code__))


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = [_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, constants
