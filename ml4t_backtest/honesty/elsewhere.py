"""One run in a fresh process, whose strings hash in another way."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml4t_backtest.honesty.watching import Trace, watched_run
from ml4t_backtest.panels import Panels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.honesty.making import Maker

__all__ = ["main", "run_elsewhere"]

_HASHES = ("1", "2")
_PROGRAM = "import sys; sys.path[:] = {path!r}; from ml4t_backtest.honesty.elsewhere import main; main({task!r}, {answer!r})"


def run_elsewhere(maker: Maker, feed: DataFeed, config: BacktestConfig, keywords: Mapping[str, Any]) -> tuple[Trace | None, str]:
    """Return what a run in a new process did, without panels; None and the reason where it cannot be sent or made there."""
    import cloudpickle

    try:
        task = cloudpickle.dumps((maker, feed, config, dict(keywords)))
    except Exception as error:  # noqa: BLE001 - whatever users' objects raise
        return None, f"{maker.label} cannot be sent to it ({type(error).__name__}: {error})"
    here = os.environ.get("PYTHONHASHSEED", "random")
    seed = next(value for value in _HASHES if value != here)
    with tempfile.TemporaryDirectory() as folder:
        source, answer = Path(folder) / "task", Path(folder) / "answer"
        source.write_bytes(task)
        program = _PROGRAM.format(path=sys.path, task=str(source), answer=str(answer))
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
        )
        if done.returncode or not answer.exists():
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            return None, f"{maker.label} could not be run there ({lines[-1]})"
        trace: Trace = pickle.loads(answer.read_bytes())  # noqa: S301 - written by the process above
    return trace, ""


def main(task: str, answer: str) -> None:
    """Run a task from a file and write what it did to another; for the fresh process."""
    maker, feed, config, keywords = pickle.loads(Path(task).read_bytes())  # noqa: S301 - written by the parent
    trace, _ = watched_run(feed, lambda: maker.make(feed, feed.n_bars), config, keywords, seeded=False)
    if trace.error is not None:
        raise trace.error
    trace.panels = Panels(trace.panels.times, [], (), {}, trace.panels.present)  # the parent has the rest
    Path(answer).write_bytes(pickle.dumps(trace))
