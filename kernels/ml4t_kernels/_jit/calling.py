"""Calls through addresses: functions of the user, kernels behind addresses, entries called by compiled code of the user."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, cast

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, sigutils
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

from .cache import COMPILED, own_cache
from .compiling import OPTIONS, bind, kernel

__all__ = ["address_of_entry", "call_entry", "call_entry_from_python", "call_function", "external", "function_at", "kernel_at"]

if COMPILED:

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

    @intrinsic
    def _call_entry(typing_context: Any, address: Any, state: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        """Call the compiled int64(int64) at an address; what it raises goes on to the caller."""

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return _native_call(context, builder, arguments[0], types.int64, (types.int64,), arguments[1:])

        return types.int64(types.int64, types.int64), codegen

    call_entry = cast("Callable[[int, int], int]", _call_entry)  # pyright: ignore[reportAssignmentType]
else:
    _FUNCTIONS: dict[int, Callable[..., Any]] = {}

    def call_function(address: int, number: int, first: float, second: float, third: float) -> float:
        """Call the function that `function_at` gave an address: float f(int, float, float, float)."""
        return float(_FUNCTIONS[int(address)](int(number), float(first), float(second), float(third)))

    def call_entry(address: int, state: int) -> int:
        """Call the entry or the function that `address_of_entry` gave an address, with the address of a state record."""
        return int(_FUNCTIONS[int(address)](int(state)))


def _native_call(context: Any, builder: Any, address: Any, result: Any, kinds: Any, values: Any) -> Any:
    """Call compiled code of numba's own calling convention and let an exception pass."""
    function = builder.inttoptr(address, context.call_conv.get_function_type(result, kinds).as_pointer())
    status, answer = context.call_conv.call_function(builder, function, result, kinds, values)
    with cgutils.if_unlikely(builder, status.is_error):  # type: ignore[no-untyped-call]
        context.call_conv.return_status_propagate(builder, status)
    return answer


def address_of_entry(function: Callable[..., Any], signature: str) -> int:
    """Return the address of compiled code for `call_entry`, compiling or loading it on first use.

    function: an entry, or a function compiled with numba. signature: numba's text form.
    """
    if not COMPILED:
        _FUNCTIONS[id(function)] = function
        return id(function)
    dispatcher = cast("Any", function)
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[sigutils.normalize_signature(signature)[0]]  # type: ignore[no-untyped-call]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


class external:  # noqa: N801 - reads as a function where it is used
    """An entry as compiled code of the user calls it: by its address, so that nothing of the ledger is compiled again.

    `external(entry.submit, "int64(int64,...)")` takes its arguments as one tuple, from Python; its `compiled` form does from functions
    compiled with numba. The entry is compiled or loaded when the first caller is.
    """

    def __init__(self, function: Callable[..., Any], signature: str) -> None:
        self.function = function
        self.signature = signature
        self._bound: Callable[..., Any] | None = None
        kinds, _ = sigutils.normalize_signature(signature)  # type: ignore[no-untyped-call]
        self._casts = [float if isinstance(kind, types.Float) else int for kind in kinds]
        self.compiled = self._intrinsic() if COMPILED else self

    def __call__(self, arguments: tuple[Any, ...]) -> Any:
        bound = self._bound
        if bound is None:
            bound = self._bound = bind(self.function, self.signature)
        return bound(*(cast_to(value) for cast_to, value in zip(self._casts, arguments, strict=True)))

    def _intrinsic(self) -> Any:
        kinds, result = sigutils.normalize_signature(self.signature)  # type: ignore[no-untyped-call]

        def call(typing_context: Any, arguments: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
            def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                given = cgutils.unpack_tuple(builder, values[0])  # type: ignore[no-untyped-call]
                pairs = zip(given, signature.args[0].types, kinds, strict=True)
                wanted = [context.cast(builder, value, has, wants) for value, has, wants in pairs]
                address = context.get_constant(types.int64, address_of_entry(self.function, self.signature))
                answer = _native_call(context, builder, address, result, kinds, wanted)
                return context.get_dummy_value() if result == types.none else answer

            return cast("Any", result)(arguments), codegen

        return cast("Any", intrinsic)(call)


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
        options = {name: value for name, value in OPTIONS.items() if name != "no_cfunc_wrapper"}
        with own_cache():
            made = numba.cfunc("float64(int64, float64, float64, float64)", cache=True, **options)(plain)
        _KERNELS.setdefault(plain, made)  # another thread may have been quicker, and its address be in use
    return int(_KERNELS[plain].address)


_KERNELS: dict[Any, Any] = {}  # what stands behind the addresses that were given out


if COMPILED:

    def _called(address: int, state: int) -> int:
        return call_entry(address, state)

    # `call_entry` for callers in Python; what the code at the address raises is raised.
    call_entry_from_python = cast("Callable[[int, int], int]", numba.njit(_called))  # pyright: ignore[reportCallIssue]
else:
    call_entry_from_python = call_entry
