"""The loop of a study: chunks of the right size to a pool, rows from it, whatever happens on the way."""

from __future__ import annotations

import queue
import warnings
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from ml4t_backtest.studies.blocks import Block, lost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ml4t_backtest.studies.pools import Pool
    from ml4t_backtest.studies.space import Space

__all__ = ["Drive", "Pace", "Sink"]

_LARGEST_CHUNK = 50_000
_LIVES = 2  # a set alone in its worker takes it down this often before it is blamed
_TICK = 0.5  # a blocking wait cannot be interrupted on every system


class Sink(Protocol):
    """Takes rows as they come, in any order; `lasting` ones are the outcome of their sets, the others of bad luck."""

    def take(self, block: Block, *, lasting: bool = True) -> None:
        """Take some rows."""
        ...


class Pace:
    """How long a set takes, and so how many of them make a chunk."""

    def __init__(self) -> None:
        self.each = 0.0
        self.quicker = 0.0  # of the last two chunks, per set; 0 before there are two
        self._last = 0.0

    def learn(self, block: Block) -> None:
        """Take the rows of a chunk into account; the first runs in a worker are slow, so that old ones count for less and less."""
        latest = float(block.seconds.mean())
        self.each = latest if self.each == 0.0 else (self.each + latest) / 2.0
        self.quicker = min(self._last, latest)
        self._last = latest

    def chunk(self, wanted: float, remaining: int, workers: int) -> int:
        """Return the size of the next chunk: one until a run was timed, and an even share of what is left at the end."""
        if self.each == 0.0:
            return 1
        share = -(-remaining // (2 * workers))
        return max(1, min(int(wanted / self.each), share, _LARGEST_CHUNK))


class Drive:
    """Keeps a pool busy with the sets of some numbers until none is left; rows go to the sink as they come."""

    def __init__(self, pool: Pool, space: Space, numbers: Iterable[int], total: int, sink: Sink) -> None:
        self.pool, self.space, self.sink = pool, space, sink
        self.numbers = iter(numbers)
        self.remaining = total
        self.pace = Pace()
        self.done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.flying: dict[Any, list[int]] = {}
        self.suspects: deque[int] = deque()
        self.solo = False
        self.lives: dict[int, int] = {}
        self.said: set[Any] = set()

    def run(self) -> None:
        """Run all sets. Raises KeyboardInterrupt, and BrokenExecutor when workers died that are not ours to replace."""
        while True:
            self._fill()
            if not self.flying:
                return
            self._collect(self._wait())
            if not self.flying and self.remaining:
                self._reconsider()

    def drain(self) -> None:
        """Take the rows that have come meanwhile, without waiting for others; for the end of an interrupted study."""
        for future in list(self.flying):
            with suppress(Exception):  # a future of a cluster that is gone may raise anything
                if future.done() and not future.cancelled() and future.exception() is None:
                    self._collect(future)

    def cancel(self) -> None:
        """Give up what has not come; a cluster that is gone may not even hear of it."""
        for future in self.flying:
            with suppress(Exception):
                future.cancel()

    def _reconsider(self) -> None:
        """Go over to a better pool, if this one knows of one for what is left."""
        better = self.pool.better(self.remaining * self.pace.quicker)
        if better is not None:
            self.pool.close(at_once=False)
            self.pool = better

    def _fill(self) -> None:
        """Submit chunks until enough of them wait; a suspect flies alone."""
        while not self.suspects and self.remaining and len(self.flying) < self.pool.workers * self.pool.depth:
            size = self.pace.chunk(self.pool.chunk_seconds, self.remaining, self.pool.workers)
            chunk = list(islice(self.numbers, size))
            self.remaining = self.remaining - len(chunk) if chunk else 0
            if chunk:
                self._submit(chunk)
        self.solo = bool(self.suspects) and not self.flying
        if self.solo:
            self._submit([self.suspects.popleft()])

    def _submit(self, chunk: list[int]) -> None:
        sets = [self.space.at(number) for number in chunk]
        try:
            future = self.pool.submit(chunk, sets)
        except self.pool.lost as error:  # it broke before this chunk could start
            self._bury(chunk, error)
            return
        self.flying[future] = chunk
        future.add_done_callback(self.done.put)

    def _wait(self) -> Any:
        while True:
            try:
                return self.done.get(timeout=_TICK)
            except queue.Empty:
                continue

    def _collect(self, future: Any) -> None:
        try:
            block, said = future.result()
        except self.pool.lost as error:
            self._bury(self.flying.pop(future), error)
            return
        self.sink.take(block)
        del self.flying[future]  # not before: Ctrl-C may come in between, and twice the same rows are better than none
        self.pace.learn(block)
        for text, category in said:
            if (text, category) not in self.said:
                self.said.add((text, category))
                warnings.warn(text, category, stacklevel=5)

    def _bury(self, chunk: list[int], error: BaseException) -> None:
        """Put sets whose worker died in line to run alone; one that was alone when it happened again and again is the cause."""
        if self.solo:
            self.lives[chunk[0]] = self.lives.get(chunk[0], _LIVES) - 1
        if self.solo and self.lives[chunk[0]] == 0:
            text = f"the worker process died while it ran this set ({type(error).__name__})"
            self.sink.take(lost(chunk[0], text), lasting=False)
        else:
            self.suspects.extend(chunk)
        if not self.flying and not self.pool.renew():
            raise error
