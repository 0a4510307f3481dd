"""Every compile option and the compile cache, in one place. The only file that imports numba.

Numba's own cache looks only at the file of the function it caches, so an edited callee in another file, or an upgraded
package, can keep running old machine code. Here the cache folder is named after a digest of *all* kernel sources, the
numba version and the CPU: a change anywhere gives a new folder. That is sound because kernels call nothing outside this
package.

Environment: ``ML4T_KERNELS_CACHE`` names another cache folder; ``NUMBA_DISABLE_JIT=1`` runs every kernel as plain
Python.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

__all__ = ["COMPILED", "array_at", "bind", "cache_folder", "entry", "kernel", "long_entry", "source_digest"]

P = ParamSpec("P")
R = TypeVar("R")

# numba sets these at run time, where type checkers do not see them
carray: Any = numba.carray  # type: ignore[attr-defined]
config: Any = numba.config  # pyright: ignore[reportPrivateImportUsage]

COMPILED: bool = not config.DISABLE_JIT

# fastmath stays off: it lets the optimiser assume that there is no NaN, and NaN is our "no bar".
# error_model "numpy" makes a division by zero inf or NaN, as in plain numpy, instead of an exception.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "no_cfunc_wrapper": True}

# Kernels that only other kernels call need no wrapper for Python: without it a cold start takes half the time. LLVM inlines
# them (an array argument is seven words to push, a ledger sixty), which halves the cost of a quiet bar and is free to compile,
# unlike numba's own way of inlining.
_INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "forceinline": True}


def source_digest(folder: Path | None = None) -> str:
    """Return the hex digest (16 characters) of all kernel sources, the numba version, and the CPU that code is built for."""
    root = folder or Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    digest.update(f"{numba.__version__} {np.__version__} {sys.version} {config.CPU_NAME} {config.CPU_FEATURES}".encode())
    return digest.hexdigest()[:16]


def _user_cache() -> Path:
    chosen = os.environ.get("ML4T_KERNELS_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ml4t-kernels"


def cache_folder() -> Path:
    """Return the folder for compiled kernels of exactly these sources, created if need be.

    An unwritable cache gives a temporary folder of this process: slower starts, never stale code.
    """
    folder = _user_cache() / source_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return _temporary_folder()
    return folder


@cache
def _temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="ml4t-kernels-"))


_CACHE_FOLDER: str = str(cache_folder()) if COMPILED else ""


class _InnerKernel(CPUDispatcher):
    """A kernel without a wrapper for Python, which a plain call would crash on."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.py_func(*arguments, **keywords)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` for use inside other kernels; its code lands in the cache of the entry that calls it.

    Called from Python it runs as plain Python, as do the kernels that it calls.
    """
    compiled = numba.njit(**_INNER)(function)
    if COMPILED:
        compiled.__class__ = _InnerKernel
    return cast("Callable[P, R]", compiled)


def _cached(function: Callable[P, R], *, nogil: bool) -> Callable[P, R]:
    before = config.CACHE_DIR
    config.CACHE_DIR = _CACHE_FOLDER
    try:
        return cast("Callable[P, R]", numba.njit(cache=COMPILED, nogil=nogil, **_OPTIONS)(function))
    finally:
        config.CACHE_DIR = before


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


if COMPILED:

    @intrinsic
    def _pointer(typing_context: Any, address: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        """Turn an int64 into a void pointer, which `carray` takes."""

        def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], cgutils.voidptr_t)

        return types.voidptr(types.int64), codegen

    def _array_at(address: int, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return carray(_pointer(address), (length,), dtype)  # type: ignore[call-arg, no-any-return]

    array_at = kernel(_array_at)
else:

    def array_at(address: int, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the one-dimensional array of `length` items of `dtype` that starts at `address` (no copy, no ownership)."""
        size = np.dtype(dtype).itemsize * int(length)
        buffer = (ctypes.c_char * size).from_address(int(address))
        made: npt.NDArray[Any] = np.ndarray((int(length),), dtype=dtype, buffer=cast("Any", buffer))
        return made
