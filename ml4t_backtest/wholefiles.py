"""Files that appear whole or not at all: written under another name, brought to the disk, renamed."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["beside", "naming", "sync_folder", "write_synced", "write_text", "write_whole"]

_SHOWN = 40  # letters of a name that a temporary name repeats: a name has at most 255 bytes, a letter at most 4


def beside(path: Path, ending: str = "tmp") -> Path:
    """Return a free hidden name in the same folder: ".NAME.32 digits.ending", of a long name the beginning."""
    return path.with_name(f".{path.name[:_SHOWN]}.{uuid.uuid4().hex}.{ending}")


@contextmanager
def naming(path: Path, what: str) -> Iterator[None]:
    """Let an OSError name what could not be written and where the user wanted it, instead of a temporary file. Its class stays."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"{what} cannot be written to {path}: {reason}; choose a folder that can be written") from error


def write_synced(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Create a file with what `write` puts into it, and wait until the disk has it."""
    with path.open("xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of a folder; where a folder cannot be opened (Windows) that is the system's own business."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file, and its folder if need be; a file that was there is replaced. After a crash it is the old one or the new one.

    Raises OSError that names the path.
    """
    with naming(path, "the file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = beside(path)
        try:
            write_synced(made, write)
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8 with one line end at its end, as `write_whole`."""
    write_whole(path, lambda file: file.write((text.rstrip() + "\n").encode()))
