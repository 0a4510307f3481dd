"""Arrays and wide frames (bars by columns) as users have them, read to plain numpy with their times and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.frames import time_axis

if TYPE_CHECKING:
    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["Wide", "read_flags", "read_wide"]

_DIMENSIONS = 2
_NOTHING = np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class Wide:
    """Numbers of bars by columns, the names of the columns and the times of the bars [ns UTC] where the source has them."""

    values: FloatArray
    names: tuple[str, ...] | None = None
    times: IntArray | None = None
    zone: str | None = None


def read_wide(name: str, given: Any) -> Wide:
    """Return an array, Series or wide frame as numbers, float64[bars, columns]; missing values are NaN.

    given: a numpy array or list of one or two dimensions; a pandas Series or frame, whose datetime index gives the times; a Polars Series,
    or a frame whose column `timestamp` does. name: of the argument, for messages. Raises ValueError for what holds no numbers, other
    dimensions, no bars, and times that do not ascend.
    """
    module = type(given).__module__.split(".")[0]
    if module == "polars":
        return _from_polars(name, given)
    if module == "pandas":
        return _from_pandas(name, given)
    return Wide(_matrix(name, given))


def read_flags(name: str, given: Any) -> tuple[npt.NDArray[np.bool_], Wide]:
    """Return signals as bool[bars, columns] and where they come from (without the values); missing is no signal.

    Raises ValueError for numbers other than 0 and 1, and as `read_wide`.
    """
    plain = given if isinstance(given, np.ndarray) else _plain_flags(given)
    if plain is not None and plain.dtype == np.bool_ and plain.ndim in (1, _DIMENSIONS) and plain.size:
        flags = plain if plain.ndim == _DIMENSIONS else plain[:, np.newaxis]
        return flags, Wide(_NOTHING, *_labels(name, given))
    wide = read_wide(name, given)
    values = np.nan_to_num(wide.values, nan=0.0)
    odd = np.argwhere((values != 0.0) & (values != 1.0))
    if len(odd):
        bar, column = odd[0].tolist()
        where = f"bar {bar}" + (f", column {wide.names[column]!r}" if wide.names else f", column {column}")
        raise ValueError(f"{name} was {values[bar, column]:g} at {where}, expected True or False; compare it with a level first")
    return values == 1.0, wide


def _plain_flags(given: Any) -> npt.NDArray[Any] | None:
    """Return the values of a pandas Series or frame of plain booleans, None for anything else."""
    if type(given).__module__.split(".")[0] != "pandas":
        return None
    kinds = set(map(str, given.dtypes)) if hasattr(given, "columns") else {str(given.dtype)}
    values: npt.NDArray[Any] | None = given.to_numpy() if kinds == {"bool"} else None
    return values


def _labels(name: str, given: Any) -> tuple[tuple[str, ...] | None, IntArray | None, str | None]:
    """Return names, times and time zone of a pandas source, None each for an array."""
    if isinstance(given, np.ndarray):
        return None, None, None
    names = tuple(map(str, given.columns)) if hasattr(given, "columns") else ((str(given.name),) if given.name is not None else None)
    if type(given.index).__name__ != "DatetimeIndex":
        return names, None, None
    zone = None if given.index.tz is None else str(given.index.tz)
    return names, _ascending(name, np.asarray(given.index.as_unit("ns").asi8, dtype=np.int64)), zone


def _matrix(name: str, given: Any) -> FloatArray:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} was a {type(given).__name__} that holds no plain numbers: {error}") from error
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != _DIMENSIONS or not array.size:
        raise ValueError(f"{name} has the shape {np.shape(given)}, expected bars, or bars by columns, and at least one of each")
    return array


def _from_polars(name: str, given: Any) -> Wide:
    import polars as pl

    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if isinstance(given, pl.Series):
        return Wide(_matrix(name, given.to_numpy()), (given.name,) if given.name else None)
    times, zone = None, None
    if "timestamp" in given.columns:
        axis = time_axis(given, name)
        times, zone = _ascending(name, axis.nanoseconds.to_numpy()), axis.zone
        given = given.drop("timestamp")
    try:
        values = given.select(pl.all().cast(pl.Float64)).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{name} has a column that holds no numbers (a wide frame has a column per asset): {error}") from error
    return Wide(_matrix(name, np.ascontiguousarray(values)), tuple(given.columns), times, zone)


def _from_pandas(name: str, given: Any) -> Wide:
    try:
        values = given.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has a column that holds no numbers: {error}") from error
    return Wide(_matrix(name, values), *_labels(name, given))


def _ascending(name: str, times: IntArray) -> IntArray:
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        raise ValueError(
            f"{name}: the time of bar {late[0] + 1} does not come after that of bar {late[0]}; sort the rows, one for each time"
        )
    return times
