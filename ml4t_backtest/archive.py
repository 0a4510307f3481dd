"""A result on disk: a folder of Parquet files and two texts, written whole, read back without loss.

The files hold the public frames, so that anything can read them, and every field of the records beside, so that the
records come back as they were. Folders of the engine we replace (no manifest, columns `symbol` and `fees`) are read, too.
"""

from __future__ import annotations

import json
import math
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.tables import TIME_FIELDS
from ml4t_backtest.frames import read_frame
from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import polars as pl

    from ml4t_kernels.dtypes import IntArray, Records

__all__ = [
    "PARTS",
    "SCHEMA_VERSION",
    "Saved",
    "beside",
    "check_choices",
    "exact_times",
    "plain_numbers",
    "read",
    "with_fields",
    "write",
    "write_whole",
]

SCHEMA_VERSION = 1
PARTS = ("trades", "equity", "daily_pnl", "fills", "orders", "cash_flows", "alerts", "metrics", "config")
_FORMAT = "ml4t_backtest result"
_MANIFEST = "manifest.json"
_FILES = {**{name: f"{name}.parquet" for name in PARTS[:7]}, "metrics": "metrics.json", "config": "config.yaml"}
_COMPRESSIONS = ("lz4", "uncompressed", "snappy", "gzip", "brotli", "zstd")


@dataclass(frozen=True)
class Saved:
    """What a folder holds: the frames by name, the metrics, the settings as nested plain values, and the manifest."""

    folder: Path
    frames: Mapping[str, pl.DataFrame]
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any] | None
    manifest: Mapping[str, Any]


# Writing -----------------------------------------------------------------------------------------------------------------


def check_choices(include: Iterable[str] | None, compression: str) -> tuple[str, ...]:
    """Return the parts to write, all for None, in order. Raises TypeError and ValueError for what is no part or compression."""
    if compression not in _COMPRESSIONS:
        hint = did_you_mean(str(compression), _COMPRESSIONS)
        raise ValueError(f"compression was {compression!r}, expected one of {list(_COMPRESSIONS)}{hint}")
    if include is None:
        return PARTS
    if isinstance(include, str):
        raise TypeError(f"include was the text {include!r}, expected a list of names: include=[{include!r}]")
    wanted = list(include)
    for name in wanted:
        if name not in PARTS:
            raise ValueError(f"include has {name!r}, expected some of {list(PARTS)}{did_you_mean(str(name), PARTS)}")
    return tuple(name for name in PARTS if name in wanted)


def write(folder: Path, parts: Mapping[str, Any], manifest: Mapping[str, Any], compression: str) -> dict[str, Path]:
    """Write frames, metrics and settings as a folder and return the path of each part.

    parts: by name, frames for Parquet and plain values for the texts. The files are written to a folder beside the
    target, which then takes its name; a result that was there is replaced as a whole. Files of others in the target stay:
    then each of ours is put in its place by itself.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, expected a folder or a free name")
    made = beside(folder)
    made.mkdir()
    try:
        for name, value in parts.items():
            _write_part(made / _FILES[name], name, value, compression)
        header = {"format": _FORMAT, "schema_version": SCHEMA_VERSION, **manifest, "files": [_FILES[name] for name in parts]}
        _write_text(made / _MANIFEST, json.dumps(header, indent=2, allow_nan=False))
        _take_place(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return {name: folder / _FILES[name] for name in parts}


def beside(path: Path) -> Path:
    """Return a free name in the same folder."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def _write_part(path: Path, name: str, value: Any, compression: Any) -> None:
    if name == "metrics":
        _write_text(path, json.dumps(plain_numbers(value), indent=2, allow_nan=False))
    elif name == "config":
        import yaml

        _write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    else:
        value.write_parquet(path, compression=compression)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text.rstrip() + "\n", encoding="utf-8")


def _take_place(made: Path, folder: Path) -> None:
    ours = {*_FILES.values(), _MANIFEST}
    if not folder.exists():
        made.rename(folder)
        return
    if {entry.name for entry in folder.iterdir()} <= ours:
        aside = beside(folder)
        folder.rename(aside)
        try:
            made.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        return
    new = {entry.name for entry in made.iterdir()}
    for name in ours - new:
        (folder / name).unlink(missing_ok=True)
    for name in (*sorted(new - {_MANIFEST}), _MANIFEST):
        (made / name).replace(folder / name)


def write_whole(path: Path, text: str) -> None:
    """Write a text file under another name and rename it, so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = beside(path)
    try:
        _write_text(made, text)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def plain_numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics as JSON takes them: "Infinity", "-Infinity" and "NaN" are texts, which `float` reads."""
    return {name: _text_of(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in metrics.items()}


def _text_of(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0.0 else "-Infinity")


def with_fields(frame: pl.DataFrame, records: Records) -> pl.DataFrame:
    """Return a frame of records with the fields that it lacks, and times in ns where microseconds would round them."""
    import polars as pl

    for name in records.dtype.names or ():
        if name not in frame.columns:
            frame = frame.with_columns(pl.Series(name, np.ascontiguousarray(records[name])))
        elif name in TIME_FIELDS:
            frame = frame.with_columns(exact_times(frame[name], records[name]))
    return frame


def exact_times(column: pl.Series, times: IntArray) -> pl.Series:
    """Return a time column in ns when microseconds round it, as it is otherwise."""
    import polars as pl

    if not np.any(times % 1000):
        return column
    exact = pl.Series(column.name, times, dtype=pl.Int64).cast(pl.Datetime("ns"))
    zone = getattr(column.dtype, "time_zone", None)
    exact = exact if zone is None else exact.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return exact.set(column.is_null(), None)


# Reading -----------------------------------------------------------------------------------------------------------------


def read(folder: Path) -> Saved:
    """Read what there is in a folder.

    Raises FileNotFoundError for a missing folder and one without any part, ValueError for a file that cannot be read and
    a folder written by a newer version.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder of a result: {folder}")
    present = {name: folder / file for name, file in _FILES.items() if (folder / file).is_file()}
    if not present:
        raise FileNotFoundError(f"{folder} holds no result: none of {', '.join(_FILES.values())}")
    manifest = _read_json(folder / _MANIFEST) if (folder / _MANIFEST).is_file() else {}
    version = manifest.get("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ValueError(f"{folder} has schema version {version!r}, this version reads up to {SCHEMA_VERSION}; upgrade to read it")
    frames = {name: read_frame(path, name) for name, path in present.items() if path.suffix == ".parquet"}
    metrics = _read_json(present["metrics"]) if "metrics" in present else {}
    settings = _read_settings(present["config"]) if "config" in present else metrics.get("settings")
    return Saved(folder, frames, metrics, settings, manifest)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected an object")
    return value


def _read_settings(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
