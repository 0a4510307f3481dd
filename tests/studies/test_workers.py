"""Worker processes: what travels, strategies of scripts and notebooks, workers that die, chunks of the right size."""

from __future__ import annotations

import concurrent.futures
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, Engine, sweep
from ml4t_backtest.studies.blocks import Block
from ml4t_backtest.studies.driver import Pace
from ml4t_backtest.studies.makers import read_strategy
from ml4t_backtest.studies.pools import Here, Processes, make_pool, worth_processes
from ml4t_backtest.studies.routing import Routes
from ml4t_backtest.studies.runners import Task
from ml4t_backtest.studies.shipping import open_parcel, pack, runner_of, write_parcel
from ml4t_backtest.studies.workers import run_chunk
from tests.facade.feeds import days, prices
from tests.studies.strategies import Crossing, Deadly, Slow, feed_of

ROOT = Path(__file__).parents[2]


def task_of(feed: DataFeed, strategy: Any = Crossing, routes: tuple[str, ...] = ("fast",)) -> Task:
    return Task(feed, read_strategy(strategy), Routes(routes), Engine(feed, Crossing()).config, {})


@settings(max_examples=20)
@given(st.lists(st.lists(st.one_of(st.none(), st.floats(1.0, 100.0)), min_size=3, max_size=3), min_size=1, max_size=6), st.booleans())
def test_a_feed_travels_as_it_is(closes: list[list[float | None]], zoned: bool) -> None:
    frame = prices({"A": [1.0] * len(closes), **{f"B{n}": [row[n] for row in closes] for n in range(3)}})
    signals = frame.select("timestamp", "symbol", pl.lit("up").alias("word"), pl.lit(value=True).alias("flag"), pl.col("close").alias("x"))
    context = pl.DataFrame({"timestamp": days(len(closes)), "regime": ["calm"] * len(closes)})
    if zoned:
        frame, signals, context = (
            one.with_columns(pl.col("timestamp").dt.replace_time_zone("America/New_York")) for one in (frame, signals, context)
        )
    feed = DataFeed(frame, signals, context)
    parcel = pack(task_of(feed))
    arrived = runner_of(parcel.header, parcel.block())._task.feed  # type: ignore[attr-defined]
    assert list(arrived) == list(feed)
    there, here = arrived.panels, feed.panels
    assert (there.assets, there.timestamps, there.zone, there.has_volume) == (here.assets, here.timestamps, here.zone, here.has_volume)
    assert there.prices["open"] is there.prices["close"]
    assert not there.prices["close"].flags.writeable


def test_mapped_arrays_are_not_copied(tmp_path: Path) -> None:
    write_parcel(task_of(feed_of()), tmp_path)
    runner = open_parcel(tmp_path)
    close = runner._task.feed.panels.prices["close"]  # type: ignore[attr-defined]
    owner = close
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert type(getattr(owner, "obj", owner)).__name__ == "mmap"
    assert runner.run([{"fast": 3}])[0].metrics == Engine(feed_of(), Crossing(3)).run().metrics
    with pytest.raises(RuntimeError, match="cannot see the folder"):
        run_chunk(str(tmp_path / "elsewhere"), [0], [{}])


def test_what_cannot_travel_is_said() -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="cannot be sent to another process.*lock.*executor='threads'"):
        sweep(feed_of(), lambda fast: Crossing(fast, 8 + bool(lock.locked())), {"fast": [2, 3]}, executor="processes", workers=2)


SCRIPT = """
from ml4t_backtest import sweep
from tests.studies.strategies import Crossing, feed_of

class Own(Crossing):
    pass

study = sweep(feed_of(), Own, {"fast": [2, 3, 4]}, executor="processes", workers=2)
print(study.frame["status"].to_list(), study.frame["num_trades"].sum() > 0)
"""


def test_strategies_of_a_script_without_a_guard(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**environment(), "PYTHONPATH": ".:kernels"},
    )
    assert done.stdout.strip() == "['completed', 'completed', 'completed'] True", done.stderr
    assert not done.stderr


CELLS = (
    "from ml4t_backtest import sweep\nfrom tests.studies.strategies import Crossing, feed_of\nSLOW = 9",
    "class Own(Crossing):\n    def __init__(self, fast):\n        super().__init__(fast, SLOW)",
    "sweep(feed_of(), Own, {'fast': [2, 3]}, executor='processes', workers=2).frame['status'].to_list()",
    (
        "SLOW = 12\nsweep(feed_of(), Own, {'fast': [2]}, executor='processes', workers=2).frame['final_value'].item() == "
        "sweep(feed_of(), lambda fast: Crossing(fast, 12), {'fast': [2]}, executor='serial').frame['final_value'].item()"
    ),
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_strategies_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", ".:kernels")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    texts = [cell.outputs[-1]["data"]["text/plain"] for cell in book.cells[2:]]
    assert texts == ["['completed', 'completed']", "True"]


INTERRUPTED = """
import sys, threading, warnings
from pathlib import Path
from ml4t_backtest import sweep
from tests.studies.strategies import Slow, feed_of

from ml4t_backtest.studies import checkpoints

checkpoints._SECONDS = 0.3
warnings.simplefilter("default")
folder = Path(sys.argv[2])
study = sweep(feed_of(), Slow, {"fast": range(2, 400), "seconds": [0.05]}, executor=sys.argv[1], workers=None if sys.argv[1] == "serial" else 2, resume=folder)
finished = study.frame
print(study.status, 0 < len(finished) < 398, set(finished["status"]), finished["set"].is_sorted())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a process group")
@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_ctrl_c_keeps_what_is_finished(executor: str, tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text(INTERRUPTED)
    variables = {**environment(), "PYTHONPATH": ".:kernels"}
    arguments = [sys.executable, str(script), executor, str(tmp_path / "rows")]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=variables, start_new_session=True
    ) as child:
        deadline = time.monotonic() + 60.0
        while not list(tmp_path.glob("rows/rows-*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: the workers, too
        printed, said = child.communicate(timeout=60)
    assert printed.strip() == "interrupted True {'completed'} True", said
    assert "interrupted: the study holds the sets that were finished of 398" in said
    assert "Traceback" not in said


def environment() -> dict[str, str]:
    return dict(os.environ)


def test_a_set_that_kills_its_worker_is_a_row() -> None:
    grid = {"fast": [2, 3, 4, 5, 6, 7], "seconds": [0.0]}
    study = sweep(feed_of(), Deadly, grid, executor="processes", workers=2)
    assert study.status == "completed"
    assert study.frame["status"].to_list() == ["completed"] * 3 + ["failed"] + ["completed"] * 2
    assert study.frame["error"][3].startswith("the worker process died while it ran this set")
    alive = sweep(feed_of(), Slow, grid, executor="processes", workers=2)
    assert set(alive.frame["status"]) == {"completed"}


def test_executors_of_the_user() -> None:
    feed, grid = feed_of(), {"fast": [2, 3, 4, 5]}
    expected = sweep(feed, Crossing, grid, executor="serial").frame.drop("seconds")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert sweep(feed, Crossing, grid, executor=processes).frame.drop("seconds").equals(expected)
        with pytest.raises(TypeError, match="workers counts for executors of this library only"):
            sweep(feed, Crossing, grid, executor=processes, workers=2)
        with pytest.warns(UserWarning, match="stopped, the executor broke"):
            study = sweep(feed, Deadly, {"fast": [2, 5, 6], "seconds": [0.0]}, executor=processes)
    assert study.status == "interrupted"


def rows(seconds: list[float]) -> Block:
    return Block(np.arange(len(seconds)), (), np.zeros((len(seconds), 0)), np.array(seconds), np.zeros(len(seconds), dtype=np.bool_))


def test_chunks_have_the_right_size() -> None:
    pace = Pace()
    assert pace.chunk(0.3, 1000, 2) == 1
    pace.learn(rows([5.0]))
    assert pace.chunk(0.3, 1000, 2) == 1
    for _ in range(20):
        pace.learn(rows([0.003, 0.003]))
    assert 90 <= pace.chunk(0.3, 1000, 2) <= 100
    assert pace.chunk(0.3, 100, 2) == 25
    assert pace.chunk(0.3, 1, 2) == 1
    pace.learn(rows([0.0]))
    assert pace.quicker == 0.0


def test_a_slow_first_run_says_nothing_about_the_rest() -> None:
    pace = Pace()
    pace.learn(rows([5.0]))  # it compiled and loaded
    assert pace.quicker == 0.0
    pace.learn(rows([0.01]))
    assert pace.quicker == 0.01
    pace.learn(rows([0.5]))
    pace.learn(rows([0.4]))
    assert pace.quicker == 0.4


def test_processes_are_started_when_it_is_worth_it() -> None:
    Processes.shut()
    small, large = task_of(feed_of(40)), task_of(feed_of(400))
    assert isinstance(make_pool(small, None, 2, 10), Here)
    assert not worth_processes(small, 2, 10)
    assert worth_processes(large, 2, 1000)
    assert not worth_processes(large, 1, 1000)
    here = make_pool(small, None, 2, 10)
    assert here.better(1.0) is None
    moved = here.better(3.0)
    assert isinstance(moved, Processes)
    moved.close(at_once=True)
    assert make_pool(small, "serial", None, 10).better(3.0) is None


MODULE = """
from tests.studies.strategies import Crossing

class Theirs(Crossing):
    def __init__(self, fast):
        super().__init__(fast, {slow})
"""


def test_kept_processes_do_not_run_old_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "their_strategies.py"
    feed, grid = feed_of(), {"fast": [2, 3]}
    sweep(feed, Crossing, grid, executor="processes", workers=2)
    for slow in (7, 12):
        file.write_text(MODULE.format(slow=slow))
        os.utime(file, (slow, slow))
        module = importlib.import_module("their_strategies")
        importlib.reload(module)
        study = sweep(feed, module.Theirs, grid, executor="processes", workers=2)
        expected = sweep(feed, lambda fast, slow=slow: Crossing(fast, slow), grid, executor="serial")
        assert study.frame["final_value"].to_list() == expected.frame["final_value"].to_list()
    assert Processes.is_warm(2)
    monkeypatch.chdir(tmp_path)
    assert not Processes.is_warm(2)


def test_a_slow_study_goes_over_to_processes() -> None:
    study = sweep(feed_of(), Slow, {"fast": range(2, 8), "seconds": [0.5]}, workers=2)
    assert set(study.frame["status"]) == {"completed"}
    assert study.frame["set"].to_list() == list(range(6))
    assert Processes.is_warm(2)
