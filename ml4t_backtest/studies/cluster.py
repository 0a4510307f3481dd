"""A Dask cluster as the place where chunks run: the task travels once to each worker, also to those that join later.

The one file that imports `distributed`; it is imported when a study is given a client.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker

from ml4t_backtest.studies.pools import Pool
from ml4t_backtest.studies.shipping import pack, runner_of
from ml4t_backtest.studies.workers import forget, remember, run_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ml4t_backtest.studies.runners import Task

__all__ = ["Carrier", "Cluster"]

_ATTEMPTS, _PAUSE = 5, 1.0
_FRESH = 2.0  # seconds for which the number of workers is not asked for again


class Carrier(WorkerPlugin):
    """Brings a task to each worker when it starts or joins, and takes it away at the end."""

    def __init__(self, token: str, header: bytes, block: bytes) -> None:
        self.name = self.token = token
        self._parcel = header, block

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Open the task; all threads of a worker share its arrays."""
        remember(self.token, runner_of(*self._parcel))

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Let go of the task."""
        forget(self.token)


class Cluster(Pool):
    """Runs chunks on the workers of a Dask client."""

    chunk_seconds = 1.0
    depth = 3
    lost = (KilledWorker,)

    def __init__(self, task: Task, client: Any) -> None:
        if client.asynchronous:
            raise TypeError("executor was an asynchronous Dask client; give one that was made outside of an event loop")
        self._client = client
        self._asked = -_FRESH
        _check_workers(client)
        self._token = f"ml4t-sweep-{uuid.uuid4().hex}"
        parcel = pack(task)
        carrier = Carrier(self._token, parcel.header, parcel.block())
        _patiently(lambda: client.register_plugin(carrier))

    @property
    def workers(self) -> int:
        """Threads of all workers there are now; a cluster may grow and shrink."""
        if time.monotonic() - self._asked > _FRESH:
            threads: dict[str, int] = self._client.nthreads()
            self._asked, self._workers = time.monotonic(), max(1, sum(threads.values()))
        return self._workers

    def submit(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Any:
        """Start the chunk; Dask runs it again elsewhere when its worker dies."""
        return self._client.submit(run_chunk, self._token, numbers, sets, pure=False)

    def is_gone(self) -> bool:
        """Tell whether the client has lost its scheduler."""
        return self._client.status != "running" or self._client.scheduler is None

    def renew(self) -> bool:
        """Dask starts workers anew."""
        return True

    def close(self, *, at_once: bool) -> None:  # noqa: ARG002 - chunks that nobody waits for are cancelled by Dask
        """Take the task from the workers."""
        with suppress(Exception):  # a worker died this moment, or the cluster is gone, and the task with it
            self._client.unregister_worker_plugin(self._token)


def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask all workers for something; again, when one of them dies in the middle of it."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return ask()
        except OSError:  # what Dask raises for lost connections
            time.sleep(_PAUSE)
    return ask()


def _check_workers(client: Any) -> None:
    """Raise RuntimeError without workers, or when one lacks this package or has another version of it."""
    from ml4t_backtest import __version__

    def look() -> str:
        # A function within a function travels by value: it runs where the package is missing.
        try:
            import ml4t_backtest
            import ml4t_backtest.studies
        except ImportError as error:
            return f"cannot import ml4t_backtest ({error})"
        return str(ml4t_backtest.__version__)

    found: dict[str, str] = _patiently(lambda: client.run(look))
    if not found:
        raise RuntimeError("the Dask cluster has no workers (yet): client.wait_for_workers(1)")
    for worker, version in found.items():
        if version != __version__:
            said = version if version.startswith("cannot") else f"has ml4t_backtest {version}, this process has {__version__}"
            raise RuntimeError(f"the worker {worker} {said}; install ml4t_backtest {__version__} where the workers run")
