"""A study on disk: finished rows as Parquet files in a folder, and a manifest that says which study they belong to.

A file gets its name when it is complete, so that a crash leaves whole rows or none.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.studies.blocks import Block, Kept, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from ml4t_kernels.dtypes import IntArray

__all__ = ["Checkpoint"]

_MANIFEST = "manifest.json"
_FORMAT = 1
_ROWS, _SECONDS, _OLD = 50_000, 5.0, 3600.0
_NUMBER, _SECONDS_COLUMN, _ERROR, _EQUITY, _TRADES = "set", "seconds", "error", "kept_equity", "kept_trades"
_FIELDS = (_NUMBER, _SECONDS_COLUMN, "status", _ERROR, _EQUITY, _TRADES)


class Checkpoint:
    """The folder of a study. Raises ValueError when it holds another study, or files that are none of ours."""

    def __init__(self, path: str | Path, parts: Mapping[str, str], trades: np.dtype[Any]) -> None:
        self.path = Path(path)
        self._trades = trades
        self._waiting: list[Block] = []
        self._written = time.monotonic()
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"resume={str(path)!r} is a file, expected a folder (a new one is made)")
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = self.path / _MANIFEST
        if manifest.exists():
            self._compare(parts)
        elif any(self.path.glob("*.parquet")):
            raise ValueError(f"resume={str(path)!r} holds Parquet files without a {_MANIFEST}: no study of ours; give another folder")
        else:
            _write_whole(manifest, json.dumps({"format": _FORMAT, **parts}, indent=1).encode())
        for leftover in self.path.glob("*.tmp"):
            if time.time() - leftover.stat().st_mtime > _OLD:
                leftover.unlink(missing_ok=True)

    def _compare(self, parts: Mapping[str, str]) -> None:
        try:
            found = json.loads((self.path / _MANIFEST).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.path / _MANIFEST} cannot be read: {error}; give another folder") from error
        for name, wanted in {"format": _FORMAT, **parts}.items():
            if found.get(name) != wanted:
                raise ValueError(
                    f"resume={str(self.path)!r} holds another study: {name} differs (there {found.get(name)!r}, here {wanted!r});"
                    " give another folder, or remove this one to start again"
                )

    def load(self) -> Block:
        """Return the rows that are finished. Raises ValueError for a file that cannot be read."""
        return joined([self._block(frame) for frame in self._frames(None)])

    def finished(self) -> IntArray:
        """Return the numbers of the sets that are finished. Raises as `load`."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(frame[_NUMBER].to_numpy() for frame in self._frames([_NUMBER]))])

    def _frames(self, columns: list[str] | None) -> Iterator[pl.DataFrame]:
        import polars as pl

        for file in sorted(self.path.glob("rows-*.parquet")):
            try:
                yield pl.read_parquet(file, columns=columns)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise ValueError(f"{file} cannot be read ({error}); remove it, and its rows are run again") from error

    def take(self, block: Block) -> None:
        """Take finished rows; they are written after some seconds, or when there are many."""
        self._waiting.append(block)
        if sum(map(len, self._waiting)) >= _ROWS or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows that were taken."""
        if self._waiting:
            count, block = len(self._waiting), joined(self._waiting)
            target = self.path / f"rows-{int(block.numbers[0]):012d}-{uuid.uuid4().hex[:8]}.parquet"
            made = target.with_suffix(".tmp")
            with made.open("wb") as file:
                self._frame(block).write_parquet(file)
                _sync(file)
            made.replace(target)
            del self._waiting[:count]  # not before: Ctrl-C may come in between
        self._written = time.monotonic()

    def _frame(self, block: Block) -> pl.DataFrame:
        import polars as pl

        numbers = block.numbers.tolist()
        columns = [
            pl.Series(_NUMBER, block.numbers),
            pl.Series("failed", block.failed),
            pl.Series(_SECONDS_COLUMN, block.seconds),
            pl.Series(_ERROR, [block.errors.get(number) for number in numbers], dtype=pl.String),
        ]
        nothing = Kept()
        kept = [block.kept.get(number, nothing) for number in numbers]
        if any(one.equity is not None for one in kept):
            columns.append(pl.Series(_EQUITY, [None if one.equity is None else one.equity.tobytes() for one in kept], dtype=pl.Binary))
        if any(one.trades is not None for one in kept):
            columns.append(pl.Series(_TRADES, [None if one.trades is None else one.trades.tobytes() for one in kept], dtype=pl.Binary))
        metrics = [pl.Series(f"metric_{name}", block.metrics[:, place]) for place, name in enumerate(block.names)]
        return pl.DataFrame([*columns, *metrics])

    def _block(self, frame: pl.DataFrame) -> Block:
        names = [name for name in frame.columns if name.startswith("metric_")]
        numbers = frame[_NUMBER].to_numpy()
        block = Block(
            numbers,
            tuple(name.removeprefix("metric_") for name in names),
            frame.select(names).to_numpy().reshape(len(numbers), len(names)),
            frame[_SECONDS_COLUMN].to_numpy(),
            frame["failed"].to_numpy(),
            {number: text for number, text in zip(numbers.tolist(), frame[_ERROR].to_list(), strict=True) if text is not None},
        )
        for column, kind in ((_EQUITY, np.dtype(np.float64)), (_TRADES, self._trades)):
            if column in frame.columns:
                for number, blob in zip(numbers.tolist(), frame[column].to_list(), strict=True):
                    if blob is not None:
                        found = np.frombuffer(blob, dtype=kind)
                        kept = block.kept.setdefault(number, Kept())
                        setattr(kept, "equity" if column == _EQUITY else "trades", found)
        return block


def _write_whole(path: Path, content: bytes) -> None:
    made = path.with_suffix(".tmp")
    with made.open("wb") as file:
        file.write(content)
        _sync(file)
    made.replace(path)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
