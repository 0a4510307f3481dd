"""Parameters and arrays of compiled strategies: checked, typed, and laid out as the tables that compiled code reads."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np

__all__ = ["as_bundle", "as_values", "fit", "fresh_arrays", "kinds_of", "table_of"]

_KINDS = "bif"


def as_values(name: str, given: Any) -> dict[str, Any]:
    """Return parameters as a dict of plain numbers and arrays.

    given: a mapping, a dataclass object, a named tuple, or None. Raises TypeError for other objects and for values that compiled code
    cannot hold, ValueError for names that are no identifiers.
    """
    if given is None:
        return {}
    as_dict = getattr(given, "_asdict", None)
    if as_dict is not None:
        given = as_dict()
    elif is_dataclass(given) and not isinstance(given, type):
        given = asdict(given)
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} was a {type(given).__name__}, expected a dict of names and numbers: {name}={{'window': 20}}")
    for key in given:
        if not isinstance(key, str) or not key.isidentifier() or key.startswith("_"):
            raise ValueError(f"{name} has the name {key!r}, expected an identifier that does not begin with an underscore")
    return {key: _plain(f"{name}[{key!r}]", value) for key, value in given.items()}


def _plain(name: str, value: Any) -> Any:
    """Return a bool, int, float, or an array of them in order of rows."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer, IntEnum)):
        number = int(value)
        if not -(1 << 63) <= number < 1 << 63:
            raise ValueError(f"{name} was {number}, which does not fit into 64 bits; give a float")
        return number
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        array = np.asarray(value)
        if array.dtype.kind in _KINDS and array.ndim:
            wide: Any = array.dtype if array.dtype.kind == "b" else (np.int64 if array.dtype.kind == "i" else np.float64)
            return np.ascontiguousarray(array, dtype=wide)
    raise TypeError(f"{name} was {value!r} ({type(value).__name__}); compiled strategies take numbers, booleans and arrays of them")


def fit(name: str, value: Any, example: Any) -> Any:
    """Return a value as the kind of an example where nothing is lost: whole numbers become floats where floats were."""
    value = _plain(name, value)
    if isinstance(example, bool) or isinstance(value, bool):
        return value
    if isinstance(example, float) and isinstance(value, int):
        return float(value)
    if isinstance(example, int) and isinstance(value, float) and value.is_integer() and math.isfinite(value):
        return int(value)
    return value


@cache
def _tuple_of(name: str, fields: tuple[str, ...]) -> type:
    return namedtuple(name, fields)  # noqa: PYI024 - the fields are the user's


def as_bundle(name: str, values: Mapping[str, Any]) -> Any:
    """Return values as a named tuple; equal names give equal types, so that nothing is compiled twice."""
    return _tuple_of(name, tuple(values))(**values)


def kinds_of(bundle: Any) -> tuple[Any, ...]:
    """Return what compiled code depends on: the kind of every value."""
    return tuple((value.dtype.str, value.ndim) if isinstance(value, np.ndarray) else type(value) for value in bundle)


def fresh_arrays(given: Any, assets: int, params: Any) -> dict[str, Any]:
    """Return a strategy's own arrays for one run: copies, so that runs do not share them.

    given: a mapping of arrays, or a function (number of assets, parameters) that makes one. Raises TypeError for anything else.
    """
    made = given(assets, params) if callable(given) else given
    if not isinstance(made, Mapping):
        raise TypeError(f"state gave a {type(made).__name__}, expected a dict of arrays: {{'average': np.zeros(n_assets)}}")
    values = as_values("state", made)
    for key, value in values.items():
        if not isinstance(value, np.ndarray):
            raise TypeError(f"state[{key!r}] was {value!r}, expected an array; a single number is np.zeros(1)")
    return {key: value.copy() for key, value in values.items()}


def table_of(bundle: Any) -> np.ndarray[Any, Any]:
    """Return the table that compiled code reads a bundle from: a number takes a slot of eight bytes, an array its address and shape."""
    words: list[int] = []
    for value in bundle:
        if isinstance(value, np.ndarray):
            words += [value.ctypes.data, *value.shape]
        elif isinstance(value, float):
            words.append(int(np.float64(value).view(np.int64)))
        else:
            words.append(int(value))
    return np.array(words or [0], dtype=np.int64)
