"""Where chunks of parameter sets run: here, on threads, in worker processes, in an executor of the user, on a cluster.

A pool takes chunks with `submit` and answers with futures. `chunk_seconds` is how long a chunk should take, `depth` how many
chunks wait per worker, so that none runs dry.
"""

from __future__ import annotations

import shutil
import site
import sys
import tempfile
from abc import ABC, abstractmethod
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.studies.runners import EngineRunner, make_runner, releases_lock
from ml4t_backtest.studies.shipping import write_parcel
from ml4t_backtest.studies.workers import answer, prepare, run_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ml4t_backtest.studies.runners import Task

__all__ = [
    "EXECUTORS",
    "Here",
    "Pool",
    "Processes",
    "Threads",
    "Users",
    "check_executor",
    "cluster_client",
    "count_workers",
    "make_pool",
    "worth_processes",
]

EXECUTORS = ("processes", "serial", "threads")
# A plain Python strategy needs at least this much per bar and per run; less than a second in all is done before processes are there [s].
_PER_BAR, _PER_RUN, _WORTH_PROCESSES, _WORTH_READY = 2e-6, 1e-3, 1.0, 0.1
_WORTH_A_MOVE = 2.0  # left to do on one processor [s]
_IDLE_SECONDS = 300


class Pool(ABC):
    """Runs chunks. `lost` are the exceptions that mean: the worker died, not the strategy failed."""

    chunk_seconds: float
    depth = 2
    lost: tuple[type[BaseException], ...] = ()
    _workers = 1

    @property
    def workers(self) -> int:
        """How many chunks run at the same time."""
        return self._workers

    @abstractmethod
    def submit(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Any:
        """Start a chunk; returns a future of `workers.Answer`."""

    def renew(self) -> bool:
        """Replace workers after one died; returns False when that is not in our hands."""
        return False

    def is_gone(self) -> bool:
        """Tell whether all of it went away, so that an error may say anything."""
        return False

    def better(self, seconds: float) -> Pool | None:  # noqa: ARG002 - for pools that know of another one
        """Return a pool that is better for what is left, which would take so long on one worker; None to stay."""
        return None

    def close(self, *, at_once: bool) -> None:  # noqa: B027 - most have nothing to close
        """Let go of everything; at_once: without waiting for what still runs."""


class Here(Pool):
    """Runs chunks in this thread, when they are submitted."""

    depth = 1

    def __init__(self, task: Task, successor: Callable[[], Pool] | None = None) -> None:
        self._runner = make_runner(task)
        # One set at a time where that costs nothing, so that Ctrl-C loses only the one that runs.
        self.chunk_seconds = 0.0 if isinstance(self._runner, EngineRunner) else 0.05
        self._successor = successor

    def submit(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Future[Any]:
        """Run the chunk."""
        future: Future[Any] = Future()
        future.set_result(answer(self._runner, numbers, sets))
        return future

    def better(self, seconds: float) -> Pool | None:
        """Go over to processes when the runs turn out to take longer than expected."""
        return self._successor() if self._successor is not None and seconds > _WORTH_A_MOVE else None


class Threads(Pool):
    """Runs chunks on threads of this process, each with a runner of its own."""

    chunk_seconds = 0.1

    def __init__(self, task: Task, workers: int, executor: Executor | None = None) -> None:
        self._task = task
        self._workers = workers
        self._own = executor is None
        self._executor = executor or ThreadPoolExecutor(workers, thread_name_prefix="sweep")
        self._idle: list[Any] = []

    def submit(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Future[Any]:
        """Start the chunk."""
        return self._executor.submit(self._run, numbers, sets)

    def _run(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Any:
        try:
            runner = self._idle.pop()  # atomic, as append is
        except IndexError:
            runner = make_runner(self._task)
        found = answer(runner, numbers, sets)
        self._idle.append(runner)
        return found

    def close(self, *, at_once: bool) -> None:
        """Wait for what runs; a thread cannot be stopped."""
        if self._own:
            self._executor.shutdown(wait=True, cancel_futures=at_once)


class _Folder:
    """A temporary folder with the task, which workers of this machine map."""

    def __init__(self, task: Task) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ml4t-sweep-"))
        try:
            write_parcel(task, self.path)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove it; a system that keeps mapped files (Windows) clears it with its temporary files."""
        shutil.rmtree(self.path, ignore_errors=True)


class Processes(Pool):
    """Runs chunks in worker processes, started afresh (never forked) and kept for the next study until they idle for some minutes."""

    chunk_seconds = 0.3
    lost = (BrokenExecutor,)
    _kept: Any = None
    _kept_workers = 0
    _kept_code: ClassVar[dict[str, Any]] = {}

    def __init__(self, task: Task, workers: int) -> None:
        self._workers = workers
        self._folder = _Folder(task)
        self._executor = self._ready(workers)

    @classmethod
    def _ready(cls, workers: int) -> Any:
        """Return the executor of the last study when it fits, else a new one."""
        if cls._fits(workers):
            cls._kept_code = _code_of_the_user()  # with modules that were imported since
            return cls._kept
        cls.shut()
        import loky

        # A mapped feed counts as memory of the worker, which is no leak.
        limits = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
        cls._kept = loky.ProcessPoolExecutor(workers, timeout=_IDLE_SECONDS, initializer=prepare, env=limits)
        cls._kept_workers, cls._kept_code = workers, _code_of_the_user()
        return cls._kept

    @classmethod
    def _fits(cls, workers: int) -> bool:
        """Whether the processes are there, enough, and as if started now: in this folder, with modules of the user as they are now."""
        if cls._kept is None or cls._kept_workers != workers or cls._is_broken(cls._kept):
            return False
        now = _code_of_the_user()
        return all(now.get(name) == known for name, known in cls._kept_code.items())

    @staticmethod
    def _is_broken(executor: Any) -> bool:
        return executor._flags.broken is not None or executor._flags.shutdown

    @classmethod
    def is_warm(cls, workers: int) -> bool:
        """Tell whether processes are waiting for work already."""
        return cls._fits(workers) and bool(cls._kept._processes)

    @classmethod
    def shut(cls) -> None:
        """Stop the processes that are kept."""
        kept, cls._kept = cls._kept, None
        if kept is not None:
            with suppress(Exception):  # a broken one may complain
                kept.shutdown(wait=True, kill_workers=True)

    def submit(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Any:
        """Start the chunk."""
        return self._executor.submit(run_chunk, str(self._folder.path), numbers, sets)

    def renew(self) -> bool:
        """Start new processes."""
        self.shut()
        self._executor = self._ready(self.workers)
        return True

    def close(self, *, at_once: bool) -> None:
        """Keep the processes, unless they are to stop in the middle of their work."""
        if at_once:
            self.shut()
        self._folder.remove()


class Users(Pool):
    """Runs chunks in an executor of the user that is neither of threads nor of a cluster: processes of this machine."""

    chunk_seconds = 0.3
    lost = (BrokenExecutor,)

    def __init__(self, task: Task, executor: Executor, workers: int) -> None:
        self._workers = workers
        self._executor = executor
        self._folder = _Folder(task)

    def submit(self, numbers: list[int], sets: Sequence[Mapping[str, Any]]) -> Any:
        """Start the chunk."""
        return self._executor.submit(run_chunk, str(self._folder.path), numbers, sets)

    def close(self, *, at_once: bool) -> None:  # noqa: ARG002 - it is the user's
        """Leave the executor to the user."""
        self._folder.remove()


def _code_of_the_user() -> dict[str, Any]:
    """Return when files of modules that were not installed changed last, and the working folder."""
    installed = tuple({sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages(), site.getusersitepackages()})
    found: dict[str, Any] = {"": str(Path.cwd())}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.startswith(installed):
            with suppress(OSError):
                found[file] = Path(file).stat().st_mtime_ns
    return found


def count_workers() -> int:
    """Return how many processors this process may use: by affinity, and by limits of a container."""
    import loky

    return int(loky.cpu_count())


def check_executor(executor: Any, workers: Any) -> None:
    """Raise TypeError or ValueError for an executor or a number of workers that is none."""
    known = executor is None or isinstance(executor, (str, Executor)) or cluster_client(executor) is not None
    if not known:
        raise TypeError(
            f"executor was a {type(executor).__name__}, expected one of {list(EXECUTORS)}, a concurrent.futures executor, or a Dask client"
        )
    if isinstance(executor, str) and executor not in EXECUTORS:
        raise ValueError(f"executor was {executor!r}, expected one of {list(EXECUTORS)}{did_you_mean(executor, EXECUTORS)}")
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers was {workers!r}, expected a whole number >= 1, or None for one per processor")
    if executor == "serial" and workers > 1:
        raise ValueError(f"workers was {workers} with executor='serial', which has one")
    if executor is not None and not isinstance(executor, str):
        raise TypeError("workers counts for executors of this library only; the size of an executor of yours is set where it is made")


def cluster_client(executor: Any) -> Any:
    """Return the Dask client behind an executor, None when there is none. Does not import Dask."""
    if type(executor).__module__.startswith("distributed."):
        return getattr(executor, "_client", None) or (executor if hasattr(executor, "scheduler_info") else None)
    return None


def make_pool(task: Task, executor: Any, workers: int | None, count: int) -> Pool:
    """Return where to run a study of `count` sets. Without an executor: threads when runs allow it, else processes when it is worth it."""
    client = cluster_client(executor)
    if client is not None:
        from ml4t_backtest.studies.cluster import Cluster

        return Cluster(task, client)
    if isinstance(executor, Executor):
        lanes = int(getattr(executor, "_max_workers", None) or count_workers())
        return Threads(task, lanes, executor) if isinstance(executor, ThreadPoolExecutor) else Users(task, executor, lanes)
    lanes = count_workers() if workers is None else workers
    if executor == "threads" or (executor is None and releases_lock(task) and lanes > 1):
        return Threads(task, lanes)
    if executor == "processes" or (executor is None and worth_processes(task, lanes, count)):
        return Processes(task, lanes)
    return Here(task, None if lanes == 1 or executor == "serial" or releases_lock(task) else lambda: Processes(task, lanes))


def worth_processes(task: Task, workers: int, count: int) -> bool:
    """Tell whether runs take longer than starting processes, going by the least that they can take."""
    expected = count * (_PER_RUN + task.feed.n_bars * _PER_BAR)
    return workers > 1 and count > 1 and (expected > (_WORTH_READY if Processes.is_warm(workers) else _WORTH_PROCESSES))
