"""Arrays over memory that the host owns."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic
from numba.np import arrayobj

from .cache import COMPILED

__all__ = ["array_at", "plain_array_at"]


def plain_array_at(address: int, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the one-dimensional array of `length` items of `dtype` that starts at `address` (no copy, no ownership)."""
    size = np.dtype(dtype).itemsize * int(length)
    buffer = (ctypes.c_char * size).from_address(int(address))
    made: npt.NDArray[Any] = np.ndarray((int(length),), dtype=dtype, buffer=cast("Any", buffer))
    return made


if COMPILED:

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
else:
    array_at = plain_array_at
