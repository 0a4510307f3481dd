"""Runs a batch in a framework's own environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pyarrow import feather

from validation.runners.exchange import SCHEMAS, Answers, Job, write_batch
from validation.setup import python_of
from validation.suite.framework import Framework

__all__ = ["read_answers", "run_there"]

_RUNNERS = Path(__file__).parents[1] / "runners"


def run_there(framework: Framework, jobs: list[Job], engine: str = "") -> Answers:
    """Run cases in a framework. engine: one of its variants. Raises RuntimeError with the end of its output when it fails."""
    with TemporaryDirectory(prefix="validation-") as name:
        folder = Path(name)
        write_batch(folder / "batch", jobs)
        runner = _RUNNERS / f"{framework.name}_runner.py"
        command = [
            str(python_of(framework.name)),
            str(runner),
            str(folder / "batch"),
            str(folder / "answer"),
            *([engine] if engine else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{framework.title} failed (exit code {done.returncode}):\n{done.stderr[-4000:]}")
        return read_answers(folder / "answer")


def read_answers(folder: Path) -> Answers:
    """Return what a runner wrote to a directory."""
    told = json.loads((folder / "run.json").read_text())
    answers = Answers(versions=told["versions"], seconds=told["seconds"])
    for table in SCHEMAS:
        columns = feather.read_table(folder / f"{table}.arrow").to_pydict()
        setattr(answers, table, list(zip(*columns.values(), strict=True)))
    return answers
