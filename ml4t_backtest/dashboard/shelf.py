"""The results below a folder: found by walking it, named by their path in it, read only from there."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ml4t_backtest.archive import holds_result, present_files
from ml4t_backtest.manifest import check_files, read_json, read_manifest
from ml4t_backtest.result import BacktestResult

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Entry", "Loaded", "Shelf"]

_KEPT = 8  # results in memory
_Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Entry:
    """A result of the list. name: its path below the folder, "." for the folder itself. problem: why it cannot be read, or ""."""

    name: str
    metrics: Mapping[str, float]
    status: str
    strategy: str
    problem: str = ""


@dataclass(frozen=True)
class Loaded:
    """A result in memory and the warnings that reading it gave."""

    name: str
    result: BacktestResult
    notes: tuple[str, ...]


@dataclass
class Shelf:
    """The results below a folder, which is looked at anew on every call. Safe to use from several threads.

    Names come from requests, so they are only compared with what the walk found: nothing outside the folder is opened, links
    out of it included. Raises FileNotFoundError and NotADirectoryError for a folder that is none.
    """

    folder: Path
    _entries: dict[str, tuple[_Stamp, Entry]] = field(default_factory=dict, repr=False)
    _loaded: OrderedDict[str, tuple[_Stamp, Loaded]] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        given = Path(self.folder).expanduser()
        if not given.exists():
            raise FileNotFoundError(f"no such folder: {given}")
        if not given.is_dir():
            raise NotADirectoryError(f"{given} is a file, expected a folder with saved results in it")
        self.folder = given.resolve()

    def _found(self) -> dict[str, Path]:
        """Return the folders of results by name, in order of their names; hidden folders are those of saves under way."""
        found: dict[str, Path] = {}
        for place, inside, _ in os.walk(self.folder):  # follows no links
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            if holds_result(Path(place)):
                found[Path(place).relative_to(self.folder).as_posix()] = Path(place)
        return found

    def entries(self) -> list[Entry]:
        """Return all results, in order of their names. Of each only metrics and manifest are read."""
        with self._lock:
            return [self._entry(name, folder) for name, folder in self._found().items()]

    def _entry(self, name: str, folder: Path) -> Entry:
        try:
            stamp = self._stamp(folder)
        except (OSError, ValueError) as error:
            return Entry(name, {}, "", "", str(error))
        kept = self._entries.get(name)
        if kept is None or kept[0] != stamp:
            self._entries[name] = kept = (stamp, _read_entry(name, folder))
        return kept[1]

    def _stamp(self, folder: Path) -> _Stamp:
        """Return what tells whether a folder has changed. Raises ValueError for a link that leads outside."""
        files = present_files(folder)
        for path in files:
            if not path.resolve().is_relative_to(self.folder):
                raise ValueError(f"{path.name} is a link to a place outside {self.folder}; it is not read")
        return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files)

    def load(self, name: str) -> Loaded:
        """Read a result by its name. Raises KeyError for a name that is not in the list, errors as `BacktestResult.from_parquet`."""
        with self._lock:
            folder = self._found().get(name)
            if folder is None:
                raise KeyError(name)
            stamp = self._stamp(folder)
            kept = self._loaded.pop(name, None)
            if kept is None or kept[0] != stamp:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    result = BacktestResult.from_parquet(folder)
                kept = (stamp, Loaded(name, result, tuple(str(warning.message) for warning in caught)))
            self._loaded[name] = kept
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
            return kept[1]


def _read_entry(name: str, folder: Path) -> Entry:
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest, content=False)
        texts: dict[str, Any] = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
        metrics = {key: number for key, value in texts.items() if (number := _number(value)) is not None}
        status = manifest.get("status") or texts.get("status") or "completed"
        return Entry(name, metrics, str(status), str(manifest.get("strategy_name") or ""))
    except (ValueError, OSError) as error:
        return Entry(name, {}, "", "", str(error))


def _number(value: Any) -> float | None:
    """Return a metric as a number, None for what is none; infinite ones are texts in the file."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None
