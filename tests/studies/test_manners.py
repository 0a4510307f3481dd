"""What a study does not do: import much, draw where nobody looks, leave files behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ml4t_backtest import progress, sweep
from ml4t_backtest.studies.blocks import joined
from tests.studies.strategies import Crossing, feed_of

ROOT = Path(__file__).parents[2]
GRID = {"fast": [2, 3, 4]}


def test_importing_studies_loads_nothing_that_only_some_need() -> None:
    program = "import sys; from ml4t_backtest import sweep, Study, random_search, optuna_search; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": ".:kernels"}
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numba", "pandas", "plotly", "distributed", "optuna", "loky", "cloudpickle", "scipy"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("wanted", [True, False])
def test_progress_is_counted_in_sets(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    monkeypatch.delitem(sys.modules, "ipykernel")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    sweep(feed_of(), Crossing, GRID, executor="serial", progress=wanted)
    assert ("3/3" in screen.getvalue()) == wanted
    assert ("sweep: 100%" in screen.getvalue()) == wanted


def test_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress.counter(3, progress=True, label="sweep", unit="set")
    bar.update(1)
    bar.close()
    sweep(feed_of(), Crossing, GRID, executor="serial")
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_no_files_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *given, **named: made.append(real(*given, **named)) or made[-1])
    sweep(feed_of(), Crossing, GRID, executor="processes", workers=2)
    assert any(Path(name).name.startswith("ml4t-sweep-") for name in made)
    assert not list(tmp_path.glob("ml4t-sweep-*"))


class Telling(Crossing):
    def on_start(self, broker: Any) -> None:
        raise ValueError(os.environ.get("LOKY_MAX_MEMORY_LEAK_SIZE"))


def test_a_mapped_feed_is_no_leak_of_the_worker() -> None:
    study = sweep(feed_of(), Telling, {"fast": [2]}, executor="processes", workers=2)
    assert study.frame["error"][0].startswith("ValueError: 1e18")


def test_rows_on_disk_are_not_kept_in_memory(tmp_path: Path) -> None:
    study = sweep(feed_of(), Crossing, GRID, executor="serial", resume=tmp_path)
    assert study._load.__self__.blocks == []  # type: ignore[attr-defined]
    assert len(study) == 3


def test_no_rows_at_all() -> None:
    block = joined([])
    assert len(block) == 0
    assert block.metrics.shape == (0, len(block.names))
