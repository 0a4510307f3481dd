"""Attributes differences from 0.2.0 to entries of docs/differences.md.

A case that differs is looked at where it differs first. If one documented difference, and nothing else, predicts what each side
did there, the case is changed so that this difference cannot arise (the instruction goes, or the setting), both sides play it again, and
the next difference is looked at. Only a case that agrees in the end, every step explained, is attributed. Anything else is a mismatch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from validation.runners.exchange import SCHEMAS, Answers, Instruction, Job
from validation.suite.compare import Comparison, compare

__all__ = ["Explanation", "Finding", "Row", "Scene", "attribute", "base_of", "close_to", "documented", "with_setting", "without"]

ROUNDS = 40
Row = tuple[Any, ...]
Play = Callable[[list[Job]], tuple[Answers, Answers]]


@cache
def documented() -> frozenset[str]:
    """Return the subjects of docs/differences.md, the first column of its table."""
    page = (Path(__file__).parents[2] / "docs" / "differences.md").read_text(encoding="utf-8")
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in page.splitlines() if line.startswith("| ")]
    return frozenset(rows) - {"subject", "---"}


@dataclass(frozen=True)
class Finding:
    """A documented difference, and the case without it. Raises ValueError for a subject that docs/differences.md does not have."""

    subject: str
    changed: Job

    def __post_init__(self) -> None:
        if self.subject not in documented():
            raise ValueError(f"docs/differences.md has no entry {self.subject!r}")


def close_to(one: float, two: float) -> bool:
    """Tell whether two numbers are the same but for rounding."""
    return abs(one - two) <= 1e-9 * max(abs(one), 1.0)


def _same(one: Row, two: Row) -> bool:
    """Tell whether two fills are the same but for rounding; closer than the comparison, whose sums may differ where fills hardly do."""
    pairs = zip(one, two, strict=True)
    return all(abs(left - right) <= 1e-11 * max(abs(left), 1.0) if isinstance(left, float) else left == right for left, right in pairs)


@dataclass
class Scene:
    """A case where it differs first.

    there, here: fills of both sides in their order (time, asset, quantity, price, commission, slippage, label). orders_there, orders_here:
    label to (status, filled). bar: number of the first bar whose fills differ, None when only orders do.
    """

    job: Job
    there: list[Row]
    here: list[Row]
    orders_there: dict[str, Row]
    orders_here: dict[str, Row]
    odd_there: list[Row] = field(default_factory=list)
    odd_here: list[Row] = field(default_factory=list)
    bar: int | None = None

    def __post_init__(self) -> None:
        for number, time in enumerate(self.job.market.times.tolist()):
            sides = [[row for row in rows if row[0] == time] for rows in (self.there, self.here)]
            self.odd_there, self.odd_here = _unmatched(*sides), _unmatched(*reversed(sides))
            if not self.odd_there and not self.odd_here:
                self.odd_there = _disordered(*sides)
            if self.odd_there or self.odd_here:
                self.bar = number
                return

    @property
    def native(self) -> dict[str, Any]:
        """The published settings of the case."""
        return self.job.settings.get("native", {})  # type: ignore[no-any-return]

    @property
    def same_bar(self) -> bool:
        """Whether orders trade on the bar of their submission."""
        return bool(self.native.get("execution_mode") == "same_bar")

    @cached_property
    def told(self) -> dict[str, Instruction]:
        """The instruction of every label; the legs of a bracket have that of the bracket."""
        return {one.label: one for one in self.job.script}

    def instruction(self, label: str | None) -> Instruction | None:
        """Return the instruction that made an order, None for orders of rules."""
        return None if label is None else self.told.get(label.split(".")[0])

    def number(self, time: int) -> int:
        """Return the number of a bar."""
        return self.job.market.times.tolist().index(time)

    def labels(self) -> list[str]:
        """Return the labels of the fills that differ, once each."""
        return list(dict.fromkeys(row[6] for row in (*self.odd_there, *self.odd_here) if row[6] is not None))

    def odd(self, label: str | None) -> tuple[list[Row], list[Row]]:
        """Return the fills of a label that differ, there and here."""
        return [row for row in self.odd_there if row[6] == label], [row for row in self.odd_here if row[6] == label]

    def held(self, rows: list[Row], asset: str, before: int) -> float:
        """Return what one side holds of an asset before the bar of a number."""
        end = int(self.job.market.times[before])
        return float(sum(row[2] for row in rows if row[1] == asset and row[0] < end))


def _unmatched(rows: list[Row], others: list[Row]) -> list[Row]:
    left, odd = list(others), []
    for row in rows:
        match = next((other for other in left if _same(row, other)), None)
        if match is None:
            odd.append(row)
        else:
            left.remove(match)
    return odd


def _disordered(rows: list[Row], others: list[Row]) -> list[Row]:
    """Return the fills of an asset from the first on that stands at another place on the other side; [] when the fills differ."""
    for asset in dict.fromkeys(row[1] for row in rows):
        sides = [[row for row in side if row[1] == asset] for side in (rows, others)]
        for place, (one, two) in enumerate(zip(*sides, strict=False)):
            if not _same(one, two):
                return sides[0][place:] if len(sides[0]) == len(sides[1]) else []
    return []


def base_of(row: Row) -> float:
    """Return the price of a fill before slippage."""
    return float(row[3] - (row[5] if row[2] > 0 else -row[5]))


def without(job: Job, *labels: str) -> Job:
    """Return a case without some instructions."""
    gone = {label.split(".")[0] for label in labels}
    return replace(job, script=tuple(one for one in job.script if one.label not in gone))


def with_setting(job: Job, name: str, value: Any) -> Job:
    """Return a case with another published setting; None leaves it out."""
    native = {key: old for key, old in job.settings.get("native", {}).items() if key != name}
    return replace(job, settings={**job.settings, "native": native if value is None else {**native, name: value}})


Explanation = Callable[[Scene], "Finding | None"]


def attribute(
    explanations: Sequence[Explanation], jobs: list[Job], comparisons: Mapping[str, Comparison], theirs: Answers, ours: Answers, play: Play
) -> dict[str, tuple[str, ...]]:
    """Return case to the documented differences that explain it, in the order found; () for a mismatch.

    explanations: tried in this order. jobs: cases of which some differ. play: runs cases on both sides.
    """
    subjects: dict[str, tuple[str, ...]] = {}
    open_cases = [job for job in jobs if not comparisons[job.id].agrees]
    for _ in range(ROUNDS):
        rows = [_by_case(answers) for answers in (theirs, ours)]
        changed = []
        for job in open_cases:
            finding = _explain(explanations, job, *(side[job.id] for side in rows))
            if finding is None:
                subjects[job.id] = ()
            else:
                subjects[job.id] = (*subjects.get(job.id, ()), finding.subject)
                changed.append(finding.changed)
        if not changed:
            return subjects
        theirs, ours = play(changed)
        outcome = compare(theirs, ours)
        open_cases = [job for job in changed if not outcome[job.id].agrees]
    return {**subjects, **{job.id: () for job in open_cases}}


def _by_case(answers: Answers) -> dict[str, dict[str, list[Row]]]:
    rows: dict[str, dict[str, list[Row]]] = defaultdict(lambda: {table: [] for table in SCHEMAS})
    for table in SCHEMAS:
        for row in getattr(answers, table):
            rows[row[0]][table].append(row[1:])
    return rows


def _explain(explanations: Sequence[Explanation], job: Job, there: dict[str, list[Row]], here: dict[str, list[Row]]) -> Finding | None:
    orders = [{row[0]: row[1:] for row in side["orders"]} for side in (there, here)]
    scene = Scene(job, there["fills"], here["fills"], *orders)
    return next((finding for finding in (find(scene) for find in explanations) if finding is not None), None)
