"""The file that makes a folder a saved result: what is in it, by whom, and what every file must be."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = [
    "FILES",
    "MANIFEST",
    "PARTS",
    "SCHEMA_VERSION",
    "check_files",
    "header",
    "is_ours",
    "listed",
    "read_json",
    "read_manifest",
    "started",
]

PARTS = ("trades", "equity", "daily_pnl", "fills", "orders", "cash_flows", "alerts", "metrics", "config")
FILES = {**{name: f"{name}.parquet" for name in PARTS[:7]}, "metrics": "metrics.json", "config": "config.yaml"}
MANIFEST = "manifest.json"
SCHEMA_VERSION = 2  # 1: files by name only, no contract specs
_FORMAT = "ml4t_backtest result"
_PUBLISHED = "artifact_type"  # a manifest of the engine we replace has this key
_KINDS: dict[str, tuple[type, ...]] = {
    "assets": (list,),
    "files": (list, dict),
    "contract_specs": (dict,),
    "limit_names": (list,),
    "status": (str,),
    "strategy_name": (str, type(None)),
    "preset_name": (str, type(None)),
    "initial_cash": (int, float),
}
_AGAIN = "copy the folder again, or save the result again"


def header(facts: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Return the manifest of a whole folder as text. facts: plain values for JSON. files: what is in the folder."""
    sums = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in files}
    head = {"format": _FORMAT, "schema_version": SCHEMA_VERSION, "complete": True}
    return json.dumps({**head, **facts, "files": sums}, indent=2, allow_nan=False)


def started() -> str:
    """Return the manifest of a folder whose files are just being replaced: nobody reads it."""
    return json.dumps({"format": _FORMAT, "schema_version": SCHEMA_VERSION, "complete": False}, indent=2)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ValueError that names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}; {_AGAIN}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected an object; {_AGAIN}")
    return value


def is_ours(folder: Path) -> bool:
    """Tell whether a folder has a manifest of a saved result, of any version, whole or not. Raises ValueError as `read_json`."""
    path = folder / MANIFEST
    return path.is_file() and read_json(path).get("format") == _FORMAT


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder; an empty one for folders of older layouts and of the engine we replace.

    Raises ValueError for a manifest of something else, of a newer version, and of a save that was interrupted.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    manifest = read_json(path)
    if manifest.get("format") != _FORMAT:
        if _PUBLISHED in manifest:
            return {}
        raise ValueError(
            f"{path} is not of a saved result (its format is {manifest.get('format')!r}, not {_FORMAT!r}); name another folder"
        )
    version = manifest.get("schema_version")
    if type(version) is not int or not version >= 1:
        raise ValueError(f"{path} has schema version {version!r}, expected 1 to {SCHEMA_VERSION}; {_AGAIN}")
    if version > SCHEMA_VERSION:
        by = f" (written by version {manifest['package_version']})" if "package_version" in manifest else ""
        raise ValueError(f"{path} has schema version {version}{by}, this version reads up to {SCHEMA_VERSION}; upgrade ml4t_backtest")
    if manifest.get("complete", True) is not True:
        raise ValueError(f"{folder} holds parts of two results: saving into it was interrupted; save the result again")
    _check_values(path, manifest)
    return manifest


def _check_values(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise ValueError for a value of another kind, and for files that no result has: no other file is ever opened."""
    for name, kinds in _KINDS.items():
        if name in manifest and not isinstance(manifest[name], kinds):
            raise ValueError(f"{path}: {name} is {manifest[name]!r:.80}, not what a save writes; {_AGAIN}")
    for name in manifest.get("files", ()):
        sums = manifest["files"][name] if isinstance(manifest["files"], dict) else {"bytes": 0, "sha256": ""}
        whole = isinstance(sums, dict) and isinstance(sums.get("bytes"), int) and isinstance(sums.get("sha256"), str)
        if name not in FILES.values() or not whole:
            raise ValueError(f"{path}: files has {name!r:.80}, not what a save writes; {_AGAIN}")
    for asset, spec in manifest.get("contract_specs", {}).items():
        if not isinstance(spec, dict) or not isinstance(spec.get("multiplier", 1.0), (int, float)):
            raise ValueError(f"{path}: contract_specs cannot be read: that of {asset!r:.80} is {spec!r:.80}; {_AGAIN}")


def listed(manifest: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the files of a folder, None when its manifest is missing."""
    return tuple(manifest["files"]) if isinstance(manifest.get("files"), (list, dict)) else None


def check_files(folder: Path, manifest: Mapping[str, Any], *, content: bool = True) -> None:
    """Check that the files of a folder are there, whole, and (content) as they were saved.

    Raises FileNotFoundError for a missing file, ValueError for one of another length or content; both name it.
    """
    sums = manifest.get("files") or {}
    for name in sums:
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing, and {MANIFEST} lists it: the folder is not whole; {_AGAIN}")
        if not isinstance(sums, dict):
            continue
        wanted, length = sums[name], path.stat().st_size
        if length != wanted["bytes"]:
            what = "is cut off" if length < wanted["bytes"] else "was changed since it was saved"
            raise ValueError(f"{path} {what}: it has {length:,} bytes, {MANIFEST} says {wanted['bytes']:,}; {_AGAIN}")
        if content and _digest(path) != wanted["sha256"]:
            raise ValueError(f"{path} was changed or damaged since it was saved: its SHA-256 is not that of {MANIFEST}; {_AGAIN}")
