"""Types of what kernels pass around, and how a record layout is made."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["NO_PRICE", "NO_SLOT", "UNBOUNDED", "FloatArray", "IntArray", "Prices", "Record", "Records", "Special", "bare", "titled"]

Records: TypeAlias = Any  # a structured numpy array; numpy has no type for the fields of its rows
Record: TypeAlias = Any  # one row: a numpy.void in plain Python, a record inside compiled code
FloatArray: TypeAlias = npt.NDArray[np.float64]
# The params record where a setting that only presets of other engines turn on is on, else None: a kernel that is given None leaves
# the code for such settings out when it is compiled, so that runs without them pay for none of it.
Special: TypeAlias = Any
Prices: TypeAlias = Any  # float64[assets]; indexed with a field of a record, numpy's types would say "number or array"
IntArray: TypeAlias = npt.NDArray[np.int64]

NO_PRICE: float = float("nan")
NO_SLOT: int = -1
UNBOUNDED: float = 1e100  # quantity of an order for all that the account can pay


def bare(dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return a layout without its titles: the compiler spells the whole layout in every symbol, so titles cost time."""
    names = list(dtype.names or ())
    fields: Any = dtype.fields
    formats, offsets = [fields[name][0] for name in names], [fields[name][1] for name in names]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize}, align=True)


def titled(*fields: tuple[str, str, type]) -> np.dtype[np.void]:
    """Return an aligned layout of fields (name, title with meaning and unit, type)."""
    return np.dtype([((title, name), kind) for name, title, kind in fields], align=True)
