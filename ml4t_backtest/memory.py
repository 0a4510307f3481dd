"""Two ways to look at an array's memory, its address for kernels and a memoryview for Python; and memory that is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["address_of", "constant", "packed_rows", "view_of"]

_BLOCK = 128  # rows that are turned at a time: what they become stays in the cache

_shared: WeakValueDictionary[tuple[Any, ...], npt.NDArray[Any]] = WeakValueDictionary()


def address_of(array: npt.NDArray[Any]) -> int:
    """Return the address of the first item of an array. Raises ValueError for one that is not C-contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError("kernels take C-contiguous arrays only")
    return array.ctypes.data  # for records a tenth of the time of __array_interface__, which spells out all fields


def view_of(array: npt.NDArray[Any]) -> memoryview[Any]:
    """Return a memoryview of an array: indexing gives plain Python numbers, in half the time that numpy takes."""
    exporter: Any = array
    return memoryview(exporter)


def constant(value: float, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """Return an array of one value, read-only: all that is constant in a shape is one array."""
    key = ("nan" if np.isnan(value) else value, np.dtype(dtype), *shape)
    made = _shared.get(key)
    if made is None:
        made = np.full(shape, value, dtype=dtype)
        made.flags.writeable = False
        _shared[key] = made
    return made


def packed_rows(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a table with each row in one piece: itself where that is so, else a copy; columns in one piece are turned in blocks."""
    if table.flags.c_contiguous or not table.flags.f_contiguous:
        return np.ascontiguousarray(table)
    made = np.empty(table.shape, dtype=table.dtype)
    for first in range(0, table.shape[1], _BLOCK):
        made[:, first : first + _BLOCK] = table[:, first : first + _BLOCK]
    return made
