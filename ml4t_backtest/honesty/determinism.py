"""`check_determinism`: whether the same inputs give the same result, in this process and in a fresh one."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ml4t_backtest.honesty.arguments import checked_count, chosen_settings
from ml4t_backtest.honesty.comparing import first_difference
from ml4t_backtest.honesty.elsewhere import run_elsewhere
from ml4t_backtest.honesty.making import checked_feed, read_maker
from ml4t_backtest.honesty.reports import DIFFERENCE_COLUMNS, CheckReport, frame_of, where_text
from ml4t_backtest.honesty.watching import Trace, watched_run
from ml4t_backtest.progress import counter

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.config import BacktestConfig, Mode
    from ml4t_backtest.datafeed import DataFeed

__all__ = ["DeterminismReport", "check_determinism"]

_COLUMNS: dict[str, Any] = {"run": int, "process": str, **DIFFERENCE_COLUMNS}


class DeterminismReport(CheckReport):
    """What `check_determinism` found. True when all runs were the same.

    differences: a frame of one row per run that was not as the first: run (number), process ("this", "fresh"), and the first
    difference: bar, timestamp, asset, what, field, order_id, expected (the first run), found.
    """

    title = "check_determinism"
    _clean = "all runs made the same orders, fills and account values"

    @cached_property
    def differences(self) -> pl.DataFrame:
        """The differences as a frame; empty when the check passed."""
        return frame_of(self._rows, _COLUMNS, self._zone)

    def _lines(self) -> list[str]:
        lines = []
        for row in self._rows:
            where = where_text(row)
            process = "a fresh process" if row["process"] == "fresh" else "this process"
            lines.append(f"run {row['run']} ({process}): {where}: {row['what']} {row['field']} {row['found']}, {row['expected']} in run 1")
        return lines


def check_determinism(
    strategy: Any,
    feed: DataFeed,
    config: BacktestConfig | Mode | str | None = None,
    *,
    runs: int = 3,
    fresh_process: bool = True,
    progress: bool = False,
    **keywords: Any,
) -> DeterminismReport:
    """Run a strategy several times with the same inputs and tell whether orders, fills and account values are equal with ==.

    strategy, config, keywords: as `check_lookahead`. runs: in this process, at least 2; random numbers go on from one run to the next, so
    that a strategy that draws without a seed shows, and so does one that keeps something from run to run. fresh_process: one more run in
    a new process whose strings and sets hash in another way; what cannot be sent there is said in a note.

    Raises as `check_lookahead`.
    """
    feed = checked_feed(feed, "check_determinism")
    runs = checked_count("runs", runs, 2)
    maker = read_maker(strategy, "check_determinism")
    settings, others = chosen_settings(check_determinism, config, keywords)
    show = counter(runs + int(fresh_process), progress=progress, label="check_determinism", unit="run")
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    count = 0
    try:
        first: Trace | None = None
        for number in range(1, runs + 1):
            trace, _ = watched_run(feed, lambda: maker.make(feed, feed.n_bars), settings, others, seeded=False, loud=number == 1)
            count += 1
            show.update(1)
            if first is None:
                first = trace
                if trace.error is not None:
                    raise trace.error
            rows += _row_of(first, trace, number, "this")
        if fresh_process and first is not None:
            trace_there, problem = run_elsewhere(maker, feed, settings, others)
            show.update(1)
            if trace_there is None:
                notes.append(f"no run in a fresh process: {problem}")
            else:
                count += 1
                trace_there.panels = first.panels
                rows += _row_of(first, trace_there, count, "fresh")
    finally:
        show.close()
    return DeterminismReport(maker.label, count, rows, notes, feed.panels.zone)


def _row_of(first: Trace, other: Trace, number: int, process: str) -> list[dict[str, Any]]:
    """Return a row for a run that differs from the first one."""
    difference = first_difference(first, other, first.bars - 1, shot=False)
    return [] if difference is None else [{"run": number, "process": process, **asdict(difference)}]
