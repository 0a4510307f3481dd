"""What two engines made of a case, field by field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from validation.runners.exchange import SCHEMAS, Answers
from validation.suite.framework import CLOSE, Tolerance

__all__ = ["Comparison", "compare"]

_TEXTS = {("fills", "asset"), ("fills", "label"), ("trades", "asset"), ("orders", "label"), ("orders", "status")}
_TIMES = {("fills", "time"), ("trades", "entry_time"), ("trades", "exit_time"), ("equity", "time")}
# The order in which an engine tells its rows is no part of what is compared, but for rows that agree in all of these.
_KEYS = {
    "fills": ("time", "asset"),
    "trades": ("exit_time", "asset", "entry_time"),
    "equity": ("time",),
    "orders": ("label",),
}
_SHOWN = 3


@dataclass
class Comparison:
    """The outcome for one case. counts: rows compared by table. differences: one line each, the first few of every field."""

    case: str
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    largest: dict[str, float] = field(default_factory=dict)  # largest relative difference by field

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def compare(
    theirs: Answers,
    ours: Answers,
    *,
    tolerances: Mapping[tuple[str, str], Tolerance] | None = None,
    not_reported: Mapping[str, str] | None = None,
) -> dict[str, Comparison]:
    """Compare two answers to one batch, case by case.

    tolerances: (table, column) to how far a number may be off, CLOSE where nothing is said; times, assets, labels and the
    number of rows are always equal. not_reported: "table" or "table.column" that the other side does not have. Returns case
    to its comparison. Raises ValueError when the sides answered different cases, or a number above CLOSE has no reason.
    """
    tolerances = tolerances or {}
    for place, tolerance in tolerances.items():
        if (tolerance.relative > CLOSE.relative or tolerance.absolute > CLOSE.absolute) and not tolerance.reason:
            raise ValueError(f"the tolerance of {place} is above 1e-9 and has no reason")
    if set(theirs.seconds) != set(ours.seconds):
        missing = sorted(set(theirs.seconds) ^ set(ours.seconds))[:_SHOWN]
        raise ValueError(f"only one side ran {missing}")
    outcome = {case: Comparison(case) for case in ours.seconds}
    for table in SCHEMAS:
        if table in (not_reported or {}):
            continue
        mine, other = _by_case(table, ours), _by_case(table, theirs)
        for case, comparison in outcome.items():
            _compare_table(comparison, table, other.get(case, []), mine.get(case, []), tolerances, not_reported or {})
    return outcome


def _by_case(table: str, answers: Answers) -> dict[str, list[tuple[Any, ...]]]:
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in getattr(answers, table):
        rows[row[0]].append(row[1:])
    names = SCHEMAS[table].names[1:]
    places = [names.index(key) for key in _KEYS[table]]
    for case in rows.values():
        case.sort(key=lambda row: tuple(str(row[place]) if isinstance(row[place], str) else row[place] for place in places))
    return rows


def _compare_table(
    comparison: Comparison,
    table: str,
    theirs: list[tuple[Any, ...]],
    ours: list[tuple[Any, ...]],
    tolerances: Mapping[tuple[str, str], Tolerance],
    not_reported: Mapping[str, str],
) -> None:
    names = SCHEMAS[table].names[1:]
    if len(theirs) != len(ours):
        comparison.differences.append(f"{table}: {len(theirs)} rows there, {len(ours)} here{_first_odd(names, theirs, ours, table)}")
        return
    comparison.counts[table] = len(ours)
    if not ours:
        return
    for name, other, mine in zip(names, zip(*theirs, strict=True), zip(*ours, strict=True), strict=True):
        if f"{table}.{name}" in not_reported:
            continue
        exact = (table, name) in _TEXTS or (table, name) in _TIMES
        tolerance = Tolerance() if exact else tolerances.get((table, name), CLOSE)
        wrong = _differing(other, mine, tolerance, exact=exact)
        if not exact:
            comparison.largest[f"{table}.{name}"] = _largest(other, mine)
        for row in wrong[:_SHOWN]:
            where = ", ".join(f"{key} {theirs[row][names.index(key)]!s}" for key in _KEYS[table])
            comparison.differences.append(f"{table}.{name}: {other[row]!r} there, {mine[row]!r} here ({where}; {len(wrong)} such)")


def _differing(other: tuple[Any, ...], mine: tuple[Any, ...], tolerance: Tolerance, *, exact: bool) -> list[int]:
    if exact:
        return [row for row, (one, two) in enumerate(zip(other, mine, strict=True)) if one != two]
    one, two = np.array(other, dtype=float), np.array(mine, dtype=float)
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    finite = np.isfinite(one) & np.isfinite(two)
    if tolerance.relative or tolerance.absolute:
        apart = np.abs(np.where(finite, one, 0.0) - np.where(finite, two, 0.0))
        same |= finite & (apart <= tolerance.absolute + tolerance.relative * np.abs(one))
    return [int(row) for row in np.flatnonzero(~same)]


def _largest(other: tuple[Any, ...], mine: tuple[Any, ...]) -> float:
    one, two = np.array(other, dtype=float), np.array(mine, dtype=float)
    both = np.isfinite(one) & np.isfinite(two)
    if not both.any():
        return 0.0
    return float(np.max(np.abs(one[both] - two[both]) / np.maximum(np.abs(one[both]), 1.0)))


def _first_odd(names: list[str], theirs: list[tuple[Any, ...]], ours: list[tuple[Any, ...]], table: str) -> str:
    """Name the first row that only one side has."""
    places = [names.index(key) for key in _KEYS[table]]
    for place in range(max(len(theirs), len(ours))):
        one = theirs[place] if place < len(theirs) else None
        two = ours[place] if place < len(ours) else None
        if one is None or two is None or any(one[key] != two[key] for key in places):
            return f"; the first that differs: {one} there, {two} here"
    return ""
