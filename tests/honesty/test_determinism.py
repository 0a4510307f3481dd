"""`check_determinism`: what differs from run to run is named, in this process and in a fresh one."""

from __future__ import annotations

import random
import threading
from typing import Any, ClassVar

import pytest

from ml4t_backtest import DataFeed, check_determinism
from tests.honesty.strategies import NEXT, PRICES, Averages

FEED = DataFeed(PRICES)


class Drawing(Averages):
    """Orders at random."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        broker.submit_order("A0", 1.0 + random.random())


class Keeping(Averages):
    """Keeps something from run to run."""

    runs: ClassVar[list[int]] = []

    def on_start(self, broker: Any) -> None:
        self.runs.append(1)
        broker.submit_order("A0", len(self.runs))


class Hashing(Averages):
    """Goes through a set of names, whose order differs between processes."""

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        if not broker.positions:
            for number, _ in enumerate({f"name {number}" for number in range(50)}):
                if number == 7:
                    broker.submit_order("A0", 1.0 + abs(hash(_)) % 1000 / 1000.0)


def test_honest_strategies_pass() -> None:
    report = check_determinism(Averages, FEED, NEXT)
    assert report.passed
    assert report.runs == 4
    assert report.differences.is_empty()
    assert check_determinism(Averages(), FEED, NEXT, runs=2, fresh_process=False, commission_type="percentage").runs == 2


def test_random_numbers_without_a_seed() -> None:
    report = check_determinism(Drawing, FEED, NEXT, fresh_process=False)
    first = report.differences.row(0, named=True)
    assert (first["run"], first["what"], first["field"], first["bar"]) == (2, "order", "quantity", 0)
    assert "run 3 (this process)" in str(report)


def test_what_is_kept_from_run_to_run() -> None:
    report = check_determinism(Keeping, FEED, NEXT, runs=2, fresh_process=False)
    assert report.differences["bar"].to_list() == [-1]
    assert "before the first bar" in str(report)


def test_hashes_differ_in_a_fresh_process() -> None:
    report = check_determinism(Hashing, FEED, NEXT, runs=2)
    assert report.differences.select("run", "process").rows() == [(3, "fresh")]


def test_what_cannot_be_sent_is_said() -> None:
    lock = threading.Lock()

    class Locked(Averages):
        def on_start(self, broker: Any) -> None:
            lock.acquire(blocking=False)

    report = check_determinism(Locked, FEED, NEXT, runs=2)
    assert report.passed
    assert report.runs == 2
    assert any("cannot be sent" in note for note in report.notes)


@pytest.mark.parametrize("runs", [1, True, 2.5])
def test_bad_numbers_of_runs(runs: Any) -> None:
    with pytest.raises(ValueError, match="runs was"):
        check_determinism(Averages, FEED, NEXT, runs=runs)
