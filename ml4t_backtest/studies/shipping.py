"""A feed as one block of memory and a small header, so that worker processes map it instead of unpickling it.

Arrays stand in the block one after the other, each on a boundary of 64 bytes; panels that are the same array (an open that is
the close) are written once and stay the same array.
"""

from __future__ import annotations

import mmap
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.frames import time_series
from ml4t_backtest.memory import view_of
from ml4t_backtest.panels import Panels
from ml4t_backtest.studies.runners import Task, make_runner, with_feed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from ml4t_backtest.studies.runners import Runner

__all__ = ["Parcel", "feed_of", "open_parcel", "pack", "write_parcel"]

_BOUNDARY = 64
_GROUPS = ("prices", "signals", "extras")
_HEADER, _BLOCK = "task.pickle", "arrays.bin"


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    shape: tuple[int, ...]
    dtype: str


@dataclass
class Parcel:
    """A task ready to travel: header (pickle of everything but arrays) and the arrays of the block in order."""

    header: bytes
    arrays: list[npt.NDArray[Any]]

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the block piece by piece."""
        for array in self.arrays:
            yield view_of(array).cast("B") if array.size else b""
            yield bytes(-array.nbytes % _BOUNDARY)

    def block(self) -> bytes:
        """Return the block as a whole."""
        return b"".join(self.pieces())


def pack(task: Task) -> Parcel:
    """Return a task as a parcel. Raises TypeError that names what cannot be pickled."""
    import cloudpickle

    layout = _Layout()
    panels = task.feed.panels
    meta: dict[str, Any] = {group: {name: layout.place(panel) for name, panel in getattr(panels, group).items()} for group in _GROUPS}
    meta["times"], meta["present"] = layout.place(panels.times), layout.place(panels.present)
    meta["rest"] = {name: getattr(panels, name) for name in ("assets", "decoders", "context", "zone", "has_volume")}
    try:
        header = cloudpickle.dumps((meta, with_feed(task, None)))
    except Exception as error:
        raise TypeError(
            f"the strategy or an argument cannot be sent to another process: {error}; make what it holds (locks, files, connections)"
            " inside the strategy, or use executor='threads'"
        ) from error
    return Parcel(header, layout.arrays)


class _Layout:
    """Gives every array its place in the block."""

    def __init__(self) -> None:
        self.arrays: list[npt.NDArray[Any]] = []
        self._end = 0
        self._known: dict[tuple[Any, ...], _Place] = {}

    def place(self, array: npt.NDArray[Any]) -> _Place:
        key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        if key not in self._known:
            whole = np.ascontiguousarray(array)
            self._known[key] = _Place(self._end, whole.shape, whole.dtype.str)
            self.arrays.append(whole)
            self._end += whole.nbytes + -whole.nbytes % _BOUNDARY
        return self._known[key]


def write_parcel(task: Task, folder: Path) -> None:
    """Write a task to a folder for `open_parcel`."""
    parcel = pack(task)
    with (folder / _BLOCK).open("wb") as file:
        for piece in parcel.pieces():
            file.write(piece)
    (folder / _HEADER).write_bytes(parcel.header)


def open_parcel(folder: Path) -> Runner:
    """Return the runner of a task that `write_parcel` wrote; its arrays are the file, mapped."""
    with (folder / _BLOCK).open("rb") as file:
        size = file.seek(0, 2)
        block: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    return runner_of((folder / _HEADER).read_bytes(), block)


def runner_of(header: bytes, block: Any) -> Runner:
    """Return the runner of a parcel. header, block: as `Parcel` has them; the block is not copied."""
    meta, task = pickle.loads(header)  # noqa: S301 - written by this study

    def array(place: _Place) -> npt.NDArray[Any]:
        found = np.frombuffer(block, dtype=place.dtype, count=int(np.prod(place.shape)), offset=place.offset).reshape(place.shape)
        found.flags.writeable = False
        return found

    arrays: dict[_Place, npt.NDArray[Any]] = {}
    groups: dict[str, Any] = {
        group: {name: arrays.setdefault(place, array(place)) for name, place in meta[group].items()} for group in _GROUPS
    }
    times = array(meta["times"])
    stamps = time_series("timestamp", times, meta["rest"]["zone"]).to_list()
    panels = Panels(times=times, timestamps=stamps, present=array(meta["present"]), **groups, **meta["rest"])
    return make_runner(with_feed(task, feed_of(panels)))


def feed_of(panels: Panels) -> DataFeed:
    """Return a feed over panels that were checked before."""
    feed = DataFeed.__new__(DataFeed)
    feed.panels = panels
    return feed
