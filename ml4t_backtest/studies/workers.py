"""What happens in a worker: it opens a task once, keeps it, and answers chunks of parameter sets with blocks of rows."""

from __future__ import annotations

import signal
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.studies.blocks import Block, packed_at
from ml4t_backtest.studies.shipping import open_parcel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.studies.runners import Runner

__all__ = ["Answer", "answer", "forget", "prepare", "remember", "run_chunk"]

Answer: TypeAlias = "tuple[Block, list[tuple[str, type[Warning]]]]"

_RUNNERS: dict[str, Runner] = {}
_OPENING = threading.Lock()


def prepare() -> None:
    """Make a new worker process ready: Ctrl-C is the parent's business, and the first task finds everything imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import ml4t_backtest.engine
    import ml4t_backtest.studies.runners  # noqa: F401 - loads what runs need


def remember(token: str, runner: Runner) -> None:
    """Keep the runner of a task under its token."""
    _RUNNERS[token] = runner


def forget(token: str) -> None:
    """Let go of a task."""
    _RUNNERS.pop(token, None)


def run_chunk(token: str, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Answer:
    """Run sets of a task and return their rows, and the warnings of the run, each once.

    token: the folder that `shipping.write_parcel` wrote, or a token that `remember` knows.
    """
    return answer(_runner(token), numbers, sets)


def _runner(token: str) -> Runner:
    with _OPENING:
        found = _RUNNERS.get(token)
        if found is None:
            if not Path(token).is_dir():
                raise RuntimeError(
                    f"this worker cannot see the folder {token} with the data of the study; workers on other machines need a Dask client as"
                    " executor, or a temporary folder (TMPDIR) that all of them share"
                )
            for folder in [name for name in _RUNNERS if Path(name).is_absolute()]:
                del _RUNNERS[folder]  # of an earlier study; its mapping goes with it
            found = _RUNNERS[token] = open_parcel(Path(token))
    return found


def answer(runner: Runner, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Answer:
    """Run sets and return their rows; warnings are caught where that is safe, in the main thread of a worker process."""
    alone = threading.current_thread() is threading.main_thread() and _is_worker()
    with warnings.catch_warnings(record=True) if alone else nullcontext() as caught:
        rows = runner.run(sets)
    said = {(str(one.message), one.category): None for one in caught or []}
    return packed_at(np.array(numbers, dtype=np.int64), rows), list(said)


def _is_worker() -> bool:
    """Whether this process was started by another one to work for it."""
    from multiprocessing import current_process

    return current_process().name != "MainProcess"
