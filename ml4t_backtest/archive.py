"""A result on disk: a folder of Parquet files and texts, written whole, read back without loss.

The files hold the public frames, so that anything can read them, and every field of the records beside, so that the
records come back as they were. The manifest says what every file must be. Folders of older layouts and of the engine we
replace (columns `symbol` and `fees`) are read, too.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest import manifest as manifests
from ml4t_backtest.analytics.tables import TIME_FIELDS
from ml4t_backtest.frames import read_frame
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.manifest import FILES, MANIFEST, PARTS, check_files, is_ours, listed, read_json, read_manifest
from ml4t_backtest.wholefiles import beside, naming, sync_folder, write_synced, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from ml4t_kernels.dtypes import IntArray, Records

__all__ = [
    "PARTS",
    "Saved",
    "check_choices",
    "exact_times",
    "holds_result",
    "numbers",
    "plain_numbers",
    "present_files",
    "read",
    "with_fields",
    "write",
]

_GENERAL = {"config.yaml", MANIFEST}  # names that files of other programs have, too
_STAGE = "ml4t-saving"  # where the files of a save wait inside a folder that others use
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


def write(path: str | Path, parts: Mapping[str, Any], facts: Mapping[str, Any], compression: str) -> dict[str, Path]:
    """Write frames, metrics and settings as a folder and return the path of each part.

    parts: by name, frames for Parquet and plain values for the texts. facts: plain values for the manifest. The files are
    written to a folder beside the target, which then takes its name; a result that was there is replaced as a whole. Where
    files of others are in the target, these stay, and each of ours is put in its place by itself: until the last one is
    there, the manifest says that the folder is not whole.

    Raises NotADirectoryError where a file stands, FileExistsError for files of others under our names, and OSError where
    nothing can be written; all name the path.
    """
    target = Path(path).expanduser()
    folder = target.resolve()  # a link stays a link, and "." gets a name
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{path} is a file, expected a folder or a free name")
    _refuse_files_of_others(folder, path)
    with naming(target, "the result"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        whole = _may_take_place(folder)
        made = beside(folder if whole else folder / _STAGE)
        made.mkdir()
        try:
            _fill(made, parts, facts, compression)
            if whole:
                _take_place(made, folder)
            else:
                _move_in(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return {name: target / FILES[name] for name in parts}


def _fill(made: Path, parts: Mapping[str, Any], facts: Mapping[str, Any], compression: Any) -> None:
    for name, value in parts.items():
        write_synced(made / FILES[name], _writer(name, value, compression))
    text = manifests.header(facts, [made / FILES[name] for name in parts])
    write_synced(made / MANIFEST, lambda file: file.write(text.encode() + b"\n"))
    sync_folder(made)


def _writer(name: str, value: Any, compression: Any) -> Any:
    """Return what writes a part to a file. Polars writes to memory: it would not say why a file cannot be written."""
    if name == "metrics":
        content = json.dumps(plain_numbers(value), indent=2, allow_nan=False).encode() + b"\n"
    elif name == "config":
        import yaml

        content = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()
    else:
        buffer = BytesIO()
        value.write_parquet(buffer, compression=compression)
        return lambda file: file.write(buffer.getbuffer())
    return lambda file: file.write(content)


def _ours() -> set[str]:
    return {*FILES.values(), MANIFEST}


def _refuse_files_of_others(folder: Path, shown: str | Path) -> None:
    """Raise FileExistsError when files in a folder have our names and no result is there."""
    present = {name for name in _ours() if (folder / name).exists()}
    if not present:
        return
    try:
        saved = is_ours(folder)
    except ValueError:
        saved = bool(present - _GENERAL)  # a damaged manifest beside our files: saving again is what mends it
    if not saved and (present <= _GENERAL or (MANIFEST in present and not _is_published(folder))):
        names = ", ".join(sorted(present & _GENERAL))
        raise FileExistsError(f"{shown} has {names} of something else, which the result would overwrite; choose another folder")


def _is_published(folder: Path) -> bool:
    try:
        return read_manifest(folder) == {}
    except ValueError:
        return False


def _may_take_place(folder: Path) -> bool:
    """Tell whether a new folder may replace a folder as a whole: only ours is in it, and nobody stands in it."""
    if not folder.exists():
        return True
    if folder.samefile(".") or os.path.ismount(folder) or not os.access(folder.parent, os.W_OK):
        return False
    return {entry.name for entry in folder.iterdir()} <= _ours()


def _take_place(made: Path, folder: Path) -> None:
    """Give a whole folder its name. The one that had it waits beside as ".NAME.*.old" until then."""
    aside = None
    if folder.exists():
        shutil.copymode(folder, made)
        aside = beside(folder, "old")
        folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        if aside is not None:
            aside.rename(folder)
        raise
    sync_folder(folder.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _move_in(made: Path, folder: Path) -> None:
    """Put files into a folder that others use, one by one; meanwhile the manifest says so."""
    write_whole(folder / MANIFEST, lambda file: file.write(manifests.started().encode() + b"\n"))
    new = {entry.name for entry in made.iterdir()} - {MANIFEST}
    for name in sorted(_ours() - new - {MANIFEST}):
        (folder / name).unlink(missing_ok=True)
    for name in sorted(new):
        (made / name).replace(folder / name)
    sync_folder(folder)
    (made / MANIFEST).replace(folder / MANIFEST)
    sync_folder(folder)
    for left in folder.glob(f".{_STAGE}.*"):  # of saves that were killed, too
        shutil.rmtree(left, ignore_errors=True)


def plain_numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics as JSON takes them: "Infinity", "-Infinity" and "NaN" are texts, which `float` reads."""
    return {name: _text_of(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in metrics.items()}


def _text_of(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0.0 else "-Infinity")


def numbers(name: str, values: IntArray) -> pl.Series:
    """Return whole numbers as a column."""
    import polars as pl

    return pl.Series(name, np.ascontiguousarray(values), dtype=pl.Int64)


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


def holds_result(folder: Path) -> bool:
    """Tell whether a folder looks like a saved result: a manifest of ours, or trades or equity as older layouts have them."""
    try:
        if is_ours(folder):
            return True
    except (ValueError, OSError):
        return True  # a damaged result is one; reading it says what is wrong
    return any((folder / FILES[name]).is_file() for name in ("trades", "equity"))


def present_files(folder: Path) -> list[Path]:
    """Return the files of a result that are in a folder, the manifest among them."""
    return [folder / name for name in sorted(_ours()) if (folder / name).is_file()]


def read(folder: Path) -> Saved:
    """Read what there is in a folder.

    Raises FileNotFoundError for a missing folder, one without any part, and a file that the manifest lists and is not there;
    ValueError for a file that is cut off, changed or cannot be read, and for a folder of something else or of a newer version.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder of a result: {folder}{_left_over(folder)}")
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    present = {name: folder / file for name, file in FILES.items() if (folder / file).is_file()}
    if not present:
        raise FileNotFoundError(f"{folder} holds no result: none of {', '.join(FILES.values())}")
    names = listed(manifest)
    if names is not None:
        present = {name: path for name, path in present.items() if path.name in names}
    frames = {name: read_frame(path, name) for name, path in present.items() if path.suffix == ".parquet"}
    metrics = read_json(present["metrics"]) if "metrics" in present else {}
    settings = _read_settings(present["config"]) if "config" in present else metrics.get("settings")
    return Saved(folder, frames, metrics, settings, manifest)


def _left_over(folder: Path) -> str:
    """Return a hint at the earlier result when a save was killed between moving it away and taking its place."""
    ours = f".{folder.name[:40]}."
    try:
        found = [entry for entry in folder.parent.iterdir() if entry.name.startswith(ours) and entry.name.endswith(".old")]
    except OSError:
        return ""
    return f"; saving it was interrupted, what it held before is in {found[0]}: rename that folder" if found else ""


def _read_settings(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
