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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic
from numba.np import arrayobj, numpy_support

__all__ = [
    "COMPILED",
    "array_at",
    "array_kernel",
    "bind",
    "cache_folder",
    "call_function",
    "entry",
    "function_at",
    "kernel",
    "kernel_at",
    "layout",
    "long_entry",
    "source_digest",
]

P = ParamSpec("P")
R = TypeVar("R")

# numba sets these at run time, where type checkers do not see them
config: Any = numba.config  # pyright: ignore[reportPrivateImportUsage]

COMPILED: bool = not config.DISABLE_JIT

# fastmath stays off: it lets the optimiser assume that there is no NaN, and NaN is our "no bar".
# error_model "numpy" makes a division by zero inf or NaN, as in plain numpy, instead of an exception.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "no_cfunc_wrapper": True}

# Kernels that only other kernels call need no wrapper for Python: without it a cold start takes half the time. LLVM inlines
# them (an array argument is seven words to push, a ledger sixty), which halves the cost of a quiet bar and is free to compile,
# unlike numba's own way of inlining.
# They own no memory either: arrays belong to the host, so counting references would be work for nothing.
_INNER: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "forceinline": True, "_nrt": False}


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


# Versions of numba whose internals `_LinkedLibrary` and `layout` were tried with; with others a cold start only takes longer.
_KNOWN_NUMBA = ((0, 68),)


class _NoEnvironment:
    """A code generator that has no place for a function's environment, which only functions that raise would read."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)


class _LinkedLibrary(JITCodeLibrary):
    """The code of an inner kernel: only ever linked into the code of an entry, which is optimised as a whole.

    numba would optimise every kernel with all that it calls and make machine code of it, again on each floor of the house;
    leaving that to the entries takes a third off a cold start.
    """

    def _optimize_final_module(self) -> None:
        """Leave the module as it is."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True

    @property
    def codegen(self) -> Any:
        """The code generator."""
        return _NoEnvironment(self._codegen)

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002 - numba fixes the signature
        """Return 0: there is no machine code, and nobody calls it."""
        return 0


_compiling: list[str] = []  # names of the inner kernels being compiled, the innermost last


_layouts: dict[Any, str] = {}  # our record layouts and their short names
_records: dict[Any, Any] = {}  # numba's types for them


def layout(dtype: np.dtype[np.void], name: str) -> np.dtype[np.void]:
    """Give a record layout a short name and return it.

    numba spells every field of a record in the name of every function that takes one: thousands of letters to write, hash
    and compare for each.
    """
    _layouts[dtype] = f"{name}_{source_digest()}"
    return dtype


def _name_layouts() -> None:
    """Let numba's types of our layouts go by their short names."""
    plain = numpy_support.from_struct_dtype

    def from_struct_dtype(dtype: Any) -> Any:
        name = _layouts.get(dtype)
        if name is None:
            return plain(dtype)
        if dtype not in _records:
            record = plain(dtype)
            record.name = name
            _records[dtype] = record
        return _records[dtype]

    numpy_support.from_struct_dtype = from_struct_dtype


def _link_inner_kernels() -> None:
    """Give inner kernels a `_LinkedLibrary`."""
    create = JITCPUCodegen.create_library

    def create_library(self: Any, name: str, **keywords: Any) -> Any:
        library = create(self, name, **keywords)  # type: ignore[no-untyped-call]
        if _compiling and name == _compiling[-1] and type(library) is JITCodeLibrary:
            library.__class__ = _LinkedLibrary
        return library

    JITCPUCodegen.create_library = create_library  # type: ignore[method-assign]


class _InnerKernel(CPUDispatcher):
    """A kernel without a wrapper for Python, which a plain call would crash on."""

    def compile(self, sig: Any) -> Any:
        """Compile for a signature, for linking only."""
        _compiling.append(self.py_func.__qualname__)
        try:
            return super().compile(sig)
        finally:
            _compiling.pop()

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


@contextmanager
def _own_cache() -> Iterator[None]:
    """Let numba cache what is made meanwhile in our folder."""
    before = config.CACHE_DIR
    config.CACHE_DIR = _CACHE_FOLDER
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _cached(function: Callable[P, R], *, nogil: bool) -> Callable[P, R]:
    with _own_cache():
        return cast("Callable[P, R]", numba.njit(cache=COMPILED, nogil=nogil, **_OPTIONS)(function))


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
    if numba.version_info[:2] in _KNOWN_NUMBA:
        _name_layouts()
        _link_inner_kernels()

    @intrinsic
    def _array_at(typing_context: Any, address: Any, length: Any, dtype: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        """Make an array of memory that the host owns: nothing is copied, counted or freed."""
        item = dtype.dtype if isinstance(dtype, types.DType) else dtype.instance_type
        made = types.Array(item, 1, "C")

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            array = context.make_array(made)(context, builder)
            size = context.get_constant(types.intp, arrayobj.get_itemsize(context, made))  # type: ignore[no-untyped-call]
            arrayobj.populate_array(  # type: ignore[no-untyped-call]
                array,
                data=builder.inttoptr(arguments[0], array.data.type),
                shape=[arguments[1]],
                strides=[size],
                itemsize=size,
                meminfo=None,
            )
            return array._getvalue()

        return made(types.int64, types.intp, dtype), codegen

    array_at = cast("Callable[[int, int, npt.DTypeLike], npt.NDArray[Any]]", _array_at)  # pyright: ignore[reportAssignmentType]

    @intrinsic
    def _call(typing_context: Any, address: Any, number: Any, first: Any, second: Any, third: Any) -> Any:  # noqa: ARG001
        """Call the C function at an address: double f(int64, double, double, double)."""

        def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            double, integer = ir.DoubleType(), ir.IntType(64)
            kind = ir.FunctionType(double, [integer, double, double, double])
            return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

        return types.float64(types.int64, types.int64, types.float64, types.float64, types.float64), codegen

    def _call_function(address: int, number: int, first: float, second: float, third: float) -> float:
        return _call(address, number, first, second, third)  # type: ignore[call-arg]

    call_function = kernel(_call_function)
else:

    def array_at(address: int, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the one-dimensional array of `length` items of `dtype` that starts at `address` (no copy, no ownership)."""
        size = np.dtype(dtype).itemsize * int(length)
        buffer = (ctypes.c_char * size).from_address(int(address))
        made: npt.NDArray[Any] = np.ndarray((int(length),), dtype=dtype, buffer=cast("Any", buffer))
        return made

    _FUNCTIONS: dict[int, Callable[..., float]] = {}

    def call_function(address: int, number: int, first: float, second: float, third: float) -> float:
        """Call the function that `function_at` gave an address: float f(int, float, float, float)."""
        return _FUNCTIONS[int(address)](int(number), float(first), float(second), float(third))


def function_at(function: Callable[..., float]) -> tuple[int, object]:
    """Return the address of a function float f(int, float, float, float) for `call_function`, and what has to stay alive with it.

    A function compiled with `numba.njit` is called at machine speed; any other takes a callback of about 1 us. Exceptions
    do not cross the border: a plain function must catch its own.
    """
    if not COMPILED:
        plain = getattr(function, "py_func", function)
        _FUNCTIONS[id(plain)] = plain
        return id(plain), plain
    if isinstance(function, CPUDispatcher):
        compiled = numba.cfunc("float64(int64, float64, float64, float64)")(
            lambda number, first, second, third: function(number, first, second, third)  # noqa: PLW0108 - numba compiles functions, not dispatchers
        )
        return int(cast("int", compiled.address)), compiled
    kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, ctypes.c_double, ctypes.c_double, ctypes.c_double)
    callback = kind(function)
    return int(cast("int", ctypes.cast(callback, ctypes.c_void_p).value)), callback


def kernel_at(function: Callable[..., float]) -> int:
    """Return the address of a kernel f(int, float, float, float) -> float for `call_function`, compiled into the cache on first use."""
    if not COMPILED:
        return function_at(function)[0]
    plain = cast("Any", function).py_func
    if plain not in _KERNELS:
        options = {name: value for name, value in _OPTIONS.items() if name != "no_cfunc_wrapper"}
        with _own_cache():
            _KERNELS[plain] = numba.cfunc("float64(int64, float64, float64, float64)", cache=True, **options)(plain)
    return int(_KERNELS[plain].address)


_KERNELS: dict[Any, Any] = {}  # what stands behind the addresses that were given out
