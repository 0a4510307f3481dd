"""Where compiled code is kept: a folder named after a digest of all kernel sources, the numba version and the CPU."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np

__all__ = ["COMPILED", "cache_folder", "own_cache", "source_digest"]

# numba sets these at run time, where type checkers do not see them
config: Any = numba.config  # pyright: ignore[reportPrivateImportUsage]

COMPILED: bool = not config.DISABLE_JIT


def source_digest(folder: Path | None = None) -> str:
    """Return the hex digest (16 characters) of all kernel sources, the numba version, and the CPU that code is built for."""
    root = folder or Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    digest.update(f"{numba.__version__} {np.__version__} {sys.version} {config.CPU_NAME} {config.CPU_FEATURES}".encode())
    return digest.hexdigest()[:16]


def _user_cache() -> Path:
    chosen = os.environ.get("ML4T_KERNELS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ml4t-kernels"


def cache_folder() -> Path:
    """Return the folder for compiled kernels of exactly these sources, created if need be.

    An unwritable cache gives a temporary folder of this process: slower starts, never stale code.
    """
    folder = _user_cache() / source_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return _temporary_folder()
    return folder


@cache
def _temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="ml4t-kernels-"))


_CACHE_FOLDER: str = str(cache_folder()) if COMPILED else ""


class _Users:
    """How many threads are in `own_cache`, and the setting that the first of them found."""

    lock = Lock()
    count = 0
    before: Any = None


@contextmanager
def own_cache() -> Iterator[None]:
    """Let numba cache what is made meanwhile in our folder; until the last of several threads is through."""
    with _Users.lock:
        if _Users.count == 0:
            _Users.before = config.CACHE_DIR
            config.CACHE_DIR = _CACHE_FOLDER
        _Users.count += 1
    try:
        yield
    finally:
        with _Users.lock:
            _Users.count -= 1
            if _Users.count == 0:
                config.CACHE_DIR = _Users.before
