"""A Dask cluster with worker processes: the same rows, data once per worker, workers that die, workers that lack the package."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t_backtest import Study, sweep
from ml4t_backtest.studies import cluster as cluster_room
from ml4t_backtest.studies.whole import Rows
from tests.studies.strategies import Crossing, Deadly, Failing, Slow, feed_of

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.skipif(sys.platform == "win32", reason="kills workers by signal")]
GRID = {"fast": [2, 3, 4, 5], "slow": [7, 9]}


@contextmanager
def local_client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with local_client() as made:
        yield made


@pytest.fixture
def mortal() -> Iterator[Any]:
    """Give a cluster whose workers may be killed."""
    with local_client() as made:
        yield made


def rows_of(study: Study) -> pl.DataFrame:
    return study.frame.drop("seconds")


def test_rows_are_the_same(client: Any, tmp_path: Path) -> None:
    feed = feed_of()
    expected = rows_of(sweep(feed, Failing, GRID, executor="serial"))
    assert rows_of(sweep(feed, Failing, GRID, executor=client)).equals(expected)
    assert rows_of(sweep(feed, Failing, GRID, executor=client.get_executor())).equals(expected)
    assert rows_of(sweep(feed, Failing, GRID, executor=client, resume=tmp_path)).equals(expected)
    assert sum(pl.read_parquet(file).height for file in tmp_path.glob("rows-*.parquet")) == 8
    assert rows_of(sweep(feed, Failing, GRID, executor="serial", resume=tmp_path)).equals(expected)


def test_the_data_travels_once_per_worker(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[int] = []
    submit = cluster_room.Cluster.submit

    def watch(self: Any, numbers: list[int], sets: Any) -> Any:
        import cloudpickle

        submitted.append(len(cloudpickle.dumps((self._token, numbers, sets))))
        return submit(self, numbers, sets)

    monkeypatch.setattr(cluster_room.Cluster, "submit", watch)
    feed = feed_of(bars=2_000)
    study = sweep(feed, Crossing, {"fast": range(2, 10)}, executor=client)
    assert len(study) == 8
    assert max(submitted) < 5_000 < feed.panels.prices["close"].nbytes

    def left() -> int:
        from ml4t_backtest.studies import workers

        return len(workers._RUNNERS)

    assert set(client.run(left).values()) == {0}


def test_a_killed_worker_loses_nothing(mortal: Any) -> None:
    victims = list(mortal.run(os.getpid).values())

    def kill() -> None:
        while not any(mortal.processing().values()):
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(victims[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    grid = {"fast": range(2, 62), "seconds": [0.05]}
    study = sweep(feed_of(), Slow, grid, executor=mortal)
    thread.join()
    assert study.status == "completed"
    expected = sweep(feed_of(), Slow, {**grid, "seconds": [0.0]}, executor="serial")
    assert rows_of(study).drop("param_seconds").equals(rows_of(expected).drop("param_seconds"))
    assert victims[0] not in mortal.run(os.getpid).values()


def test_a_worker_that_dies_while_the_task_travels(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_room, "_PAUSE", 0.01)
    failures = iter([distributed.comm.core.CommClosedError("gone"), None])
    plain = client.register_plugin

    def register(plugin: Any) -> Any:
        error = next(failures)
        if error is not None:
            raise error
        return plain(plugin)

    monkeypatch.setattr(client, "register_plugin", register)
    assert len(sweep(feed_of(), Crossing, {"fast": [3]}, executor=client)) == 1


def test_a_set_that_kills_its_workers_is_a_row() -> None:
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), local_client() as mortal:
        study = sweep(feed_of(), Deadly, {"fast": [3, 5, 6], "seconds": [0.0]}, executor=mortal)
    assert study.frame["status"].to_list() == ["completed", "failed", "completed"]
    assert "KilledWorker" in study.frame["error"][1]


def test_a_cluster_that_goes_away_leaves_what_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    came, plain = threading.Event(), Rows.take

    def take(self: Rows, block: Any, *, lasting: bool = True) -> None:
        plain(self, block, lasting=lasting)
        came.set()

    monkeypatch.setattr(Rows, "take", take)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local, distributed.Client(local) as lonely:

        def close() -> None:
            came.wait(60.0)
            local.close()

        thread = threading.Thread(target=close)
        thread.start()
        with pytest.warns(UserWarning, match="stopped, the executor broke"):
            study = sweep(feed_of(), Slow, {"fast": range(2, 202), "seconds": [0.05]}, executor=lonely)
        thread.join()
    assert study.status == "interrupted"
    assert 0 < len(study) < 200
    assert set(study.frame["status"]) == {"completed"}


def test_a_worker_without_the_package(client: Any) -> None:
    def hide(name: str) -> None:
        import sys as theirs

        theirs.modules[name] = None  # type: ignore[assignment]

    def show(name: str) -> None:
        import sys as theirs

        theirs.modules.pop(name, None)

    client.run(hide, "ml4t_backtest.studies")
    with pytest.raises(
        RuntimeError, match=r"the worker tcp://\S+ cannot import ml4t_backtest .*install ml4t_backtest 0.1.0 where the workers run"
    ):
        sweep(feed_of(), Crossing, GRID, executor=client)
    client.run(show, "ml4t_backtest.studies")


def test_other_refusals(client: Any) -> None:
    with pytest.raises(TypeError, match="workers counts for executors of this library only"):
        sweep(feed_of(), Crossing, GRID, executor=client, workers=2)

    class Asynchronous(type(client)):  # type: ignore[misc]
        asynchronous = True

        def __init__(self) -> None:
            pass

        def __del__(self) -> None:
            pass

    Asynchronous.__module__ = type(client).__module__
    with pytest.raises(TypeError, match="asynchronous Dask client"):
        sweep(feed_of(), Crossing, GRID, executor=Asynchronous())
