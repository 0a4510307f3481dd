"""Arrays over memory that the host owns."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from .cache import COMPILED

__all__ = ["array_at", "fetch", "plain_array_at", "plain_table_at", "table_at"]


def plain_array_at(address: int, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the one-dimensional array of `length` items of `dtype` that starts at `address` (no copy, no ownership)."""
    size = np.dtype(dtype).itemsize * int(length)
    buffer = (ctypes.c_char * size).from_address(int(address))
    made: npt.NDArray[Any] = np.ndarray((int(length),), dtype=dtype, buffer=cast("Any", buffer))
    return made


def plain_table_at(address: int, rows: int, columns: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the array of rows by columns of `dtype` that starts at `address`, row after row (no copy, no ownership)."""
    return plain_array_at(address, rows * columns, dtype).reshape((rows, columns))


def _plain_fetch(address: int) -> None:
    """Do nothing: Python has no way to ask for memory ahead of time."""


if COMPILED:

    def _over(made: types.Array, context: Any, builder: Any, address: Any, shape: list[Any]) -> Any:
        """Return the value of an array of one or two dimensions over memory that the host owns: nothing is copied, counted or freed."""
        array = context.make_array(made)(context, builder)
        size = context.get_constant(types.intp, arrayobj.get_itemsize(context, made))  # type: ignore[no-untyped-call]
        strides = [builder.mul(size, shape[1]), size] if made.ndim > 1 else [size]
        data = builder.inttoptr(address, array.data.type)
        arrayobj.populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)  # type: ignore[no-untyped-call]
        return array._getvalue()

    @intrinsic
    def _array_at(typing_context: Any, address: Any, length: Any, dtype: Any) -> Any:  # noqa: ARG001 - numba fixes the signature
        """Make an array of memory that the host owns."""
        made = types.Array(dtype.dtype if isinstance(dtype, types.DType) else dtype.instance_type, 1, "C")

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return _over(made, context, builder, arguments[0], [arguments[1]])

        return made(types.int64, types.intp, dtype), codegen

    @intrinsic
    def _table_at(typing_context: Any, address: Any, rows: Any, columns: Any, dtype: Any) -> Any:  # noqa: ARG001 - likewise
        """Make an array of two dimensions of memory that the host owns."""
        made = types.Array(dtype.dtype if isinstance(dtype, types.DType) else dtype.instance_type, 2, "C")

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return _over(made, context, builder, arguments[0], [arguments[1], arguments[2]])

        return made(types.int64, types.intp, types.intp, dtype), codegen

    @intrinsic
    def _fetch(typing_context: Any, address: Any) -> Any:  # noqa: ARG001 - likewise
        """Ask for the 64 bytes around an address, which need not be ours, to be in the cache by the time they are read."""

        def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            number, pointer = ir.IntType(32), ir.PointerType(ir.IntType(8))
            kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
            reading, often, data = number(0), number(3), number(1)
            builder.call(function, [builder.inttoptr(arguments[0], pointer), reading, often, data])
            return context.get_dummy_value()

        return types.void(types.int64), codegen

    array_at = cast("Callable[[int, int, npt.DTypeLike], npt.NDArray[Any]]", _array_at)  # pyright: ignore[reportAssignmentType]
    fetch = cast("Callable[[int], None]", _fetch)  # pyright: ignore[reportAssignmentType]
    table_at = cast("Callable[[int, int, int, npt.DTypeLike], npt.NDArray[Any]]", _table_at)  # pyright: ignore[reportAssignmentType]
else:
    array_at = plain_array_at
    fetch = _plain_fetch
    table_at = plain_table_at
