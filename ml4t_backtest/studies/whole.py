"""One study from the first set to the last: pool, rows, files, progress, and what happens when it is stopped."""

from __future__ import annotations

import warnings
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.progress import counter
from ml4t_backtest.studies.blocks import Block, joined
from ml4t_backtest.studies.driver import Drive
from ml4t_backtest.studies.pools import make_pool
from ml4t_backtest.studies.study import Study

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ml4t_backtest.studies.checkpoints import Checkpoint
    from ml4t_backtest.studies.pools import Pool
    from ml4t_backtest.studies.runners import Task
    from ml4t_backtest.studies.space import Space

__all__ = ["Rows", "Whole"]

_TOGETHER = 1024


class Rows:
    """Takes rows as they come; with a checkpoint lasting ones go to disk and are not kept here."""

    def __init__(self, bar: Any, checkpoint: Checkpoint | None) -> None:
        self.blocks: list[Block] = []
        self._small = 0
        self._bar = bar
        self._checkpoint = checkpoint

    def take(self, block: Block, *, lasting: bool = True) -> None:
        """Take some rows."""
        if self._checkpoint is not None and lasting:
            self._checkpoint.take(block)
        else:
            self._keep(block)
        self._bar.update(len(block))

    def _keep(self, block: Block) -> None:
        """Keep rows in memory; many small blocks become a large one."""
        self.blocks.append(block)
        self._small += 1
        if self._small == _TOGETHER:
            self.blocks[-_TOGETHER:] = [joined(self.blocks[-_TOGETHER:])]
            self._small = 0

    def load(self) -> Block:
        """Return all rows."""
        if self._checkpoint is None:
            return joined(self.blocks)
        self._checkpoint.flush()
        return joined([self._checkpoint.load(), *self.blocks])


class Whole:
    """A study that is about to run."""

    def __init__(self, task: Task, space: Space, resume: str | Path | None, executor: Any, workers: int | None, *, progress: bool) -> None:
        self.task, self.space = task, space
        self._resume, self._executor, self._workers, self.progress = resume, executor, workers, progress
        self.pool: Pool | None = None

    def run(self) -> Study:
        """Run all sets that are not on disk yet and return the study."""
        checkpoint = self._open_checkpoint()
        missing: Iterable[int] = range(len(self.space))
        finished = 0
        if checkpoint is not None:
            done = np.zeros(len(self.space), dtype=np.bool_)
            done[checkpoint.finished()] = True
            finished = int(done.sum())
            missing = map(int, np.flatnonzero(~done))
        bar = counter(len(self.space), progress=self.progress, label="sweep", unit="set", initial=finished)
        rows = Rows(bar, checkpoint)
        try:
            status = "completed"
            if finished < len(self.space):
                status = self.drive(missing, len(self.space) - finished, rows)
        finally:
            bar.close()
            self.close()
            if checkpoint is not None:
                checkpoint.flush()
        return Study(self.task, self.space, rows.load, status)

    def drive(self, numbers: Iterable[int], total: int, rows: Rows) -> str:
        """Run some sets; returns "completed", or "interrupted" with a warning after Ctrl-C or when workers of the user died."""
        if self.pool is None:
            self.pool = make_pool(self.task, self._executor, self._workers, total)
        drive = Drive(self.pool, self.space, numbers, total, rows)
        try:
            drive.run()
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            kept = interrupted or isinstance(error, BrokenExecutor) or drive.pool.is_gone()
            if kept:
                drive.drain()
            drive.cancel()
            self._close(drive.pool)
            if not kept:
                raise
            drive.drain()  # what ended meanwhile
            reason = "interrupted" if interrupted else f"stopped, the executor broke ({type(error).__name__})"
            warnings.warn(f"{reason}: the study holds the sets that were finished of {len(self.space):,}", UserWarning, stacklevel=4)
            return "interrupted"
        self.pool = drive.pool
        return "completed"

    def close(self) -> None:
        """Let go of the pool."""
        if self.pool is not None:
            self.pool.close(at_once=False)
            self.pool = None

    def _close(self, pool: Pool) -> None:
        self.pool = None
        pool.close(at_once=True)

    def _open_checkpoint(self) -> Checkpoint | None:
        if self._resume is None:
            return None
        from ml4t_backtest.studies.checkpoints import Checkpoint
        from ml4t_backtest.studies.digests import fingerprint
        from ml4t_kernels.dtypes import trade_dtype

        return Checkpoint(self._resume, fingerprint(self.task, self.space), trade_dtype)
