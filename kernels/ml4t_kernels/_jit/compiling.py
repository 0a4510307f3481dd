"""How kernels and entries are compiled: every option of numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core.registry import CPUDispatcher

from .cache import COMPILED, own_cache
from .linking import compiling

__all__ = ["OPTIONS", "array_kernel", "bind", "entry", "kernel", "long_entry"]

P = ParamSpec("P")
R = TypeVar("R")

# fastmath stays off: it lets the optimiser assume that there is no NaN, and NaN is our "no bar".
# error_model "numpy" makes a division by zero inf or NaN, as in plain numpy, instead of an exception.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "no_cfunc_wrapper": True}

# Kernels that only other kernels call need no wrapper for Python: without it a cold start takes half the time. LLVM inlines
# them (an array argument is seven words to push, a ledger sixty), which halves the cost of a quiet bar and is free to compile,
# unlike numba's own way of inlining.
# They own no memory either: arrays belong to the host, so counting references would be work for nothing.
_INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "forceinline": True, "_nrt": False}


class _InnerKernel(CPUDispatcher):
    """A kernel without a wrapper for Python, which a plain call would crash on."""

    def compile(self, sig: Any) -> Any:
        """Compile for a signature, for linking only."""
        compiling.append(self.py_func.__qualname__)
        try:
            return super().compile(sig)
        finally:
            compiling.pop()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.py_func(*arguments, **keywords)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` for use inside other kernels; its code lands in the cache of the entry that calls it.

    Called from Python it runs as plain Python, as do the kernels that it calls. It makes no array and no slice of one.
    """
    return _inner(function, _INNER)


def array_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` as `kernel` does, for one that makes arrays."""
    return _inner(function, {**_INNER, "_nrt": True})


def _inner(function: Callable[P, R], options: dict[str, Any]) -> Callable[P, R]:
    compiled = numba.njit(**options)(function)
    if COMPILED:
        compiled.__class__ = _InnerKernel
    return cast("Callable[P, R]", compiled)


def _cached(function: Callable[P, R], *, nogil: bool) -> Callable[P, R]:
    with own_cache():
        return cast("Callable[P, R]", numba.njit(cache=COMPILED, nogil=nogil, **OPTIONS)(function))


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` as an entry point for short calls from Python: cached on disk, compiled on first use.

    It keeps the global interpreter lock: giving it up and taking it again would cost a third of such a call.
    """
    return _cached(function, nogil=False)


def long_entry(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` as an entry point for long calls: as `entry`, but other threads run meanwhile."""
    return _cached(function, nogil=True)


def bind(function: Callable[P, R], signature: str) -> Callable[P, R]:
    """Return the compiled code of an entry for one signature, without the dispatcher in between (about 50 ns a call).

    `signature` is numba's text form, for example ``"int64(int64)"``. With compilation disabled the function itself.
    """
    if not COMPILED:
        return function
    dispatcher = cast("Any", function)
    dispatcher.compile(signature)
    return cast("Callable[P, R]", dispatcher.get_overload(signature))
