"""Runs cases on both sides and keeps score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from validation.runners.exchange import Answers, Job
from validation.suite.compare import Comparison, compare
from validation.suite.framework import Framework
from validation.suite.launch import run_there
from validation.suite.ours import run_here

__all__ = ["Score", "play_family", "play_groups"]

_BATCH = 250  # cases of one process of a framework


@dataclass
class Score:
    """What became of a group of cases, for one engine of a framework.

    cases: compared. rows: compared, by table. explained: cases that differ as documented, attributed: those by each of the
    differences behind them. mismatches: the rest. refused: the reason why the framework does not take part, "" when it does. seconds: of the engines alone, theirs and ours.
    largest: largest relative difference seen, by field.
    """

    title: str
    engine: str = ""
    cases: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    explained: int = 0
    attributed: Counter[str] = field(default_factory=Counter)
    mismatches: list[Comparison] = field(default_factory=list)
    refused: str = ""
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    largest: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether nothing is left that no document explains."""
        return not self.mismatches

    def add(self, comparison: Comparison, entries: tuple[str, ...]) -> None:
        """Count a case that was compared. entries: of docs/differences.md, which explain its differences."""
        self.cases += 1
        self.rows.update(comparison.counts)
        if comparison.agrees:
            for name, value in comparison.largest.items():
                self.largest[name] = max(value, self.largest.get(name, 0.0))
            return
        if entries:
            self.explained += 1
            self.attributed.update(entries)
        else:
            self.mismatches.append(comparison)


def play_groups(
    framework: Framework, groups: Mapping[str, Sequence[Job]], progress: Callable[[int], object] = lambda _: None
) -> list[Score]:
    """Run groups of cases on both sides. Returns the score of each group and engine; cases that the framework cannot express are left out.

    groups: title to cases. progress: told how many cases are through.
    """
    scores = {
        title: [Score(title, engine, refused=_refused(framework, jobs)) for engine in framework.engines] for title, jobs in groups.items()
    }
    taken = [(title, job) for title, jobs in groups.items() for job in jobs if framework.refuses(job) is None]
    for start in range(0, len(taken), _BATCH):
        batch = taken[start : start + _BATCH]
        here: dict[int, Answers] = {}
        for number, engine in enumerate(framework.engines):
            plan = framework.plans.get(engine, framework.plan)
            if id(plan) not in here:  # engines that are compared under one plan share our run
                here[id(plan)] = Answers()
                for _, job in batch:
                    run_here(job, plan(job), here[id(plan)])
            there = run_there(framework, [job for _, job in batch], engine)
            outcome = compare(there, here[id(plan)], tolerances=framework.tolerances, not_reported=framework.not_reported)
            odd = [job for _, job in batch if not outcome[job.id].agrees]
            known = framework.explain(odd, outcome, there, here[id(plan)]) if odd and framework.explain else {}
            for title, job in batch:
                score = scores[title][number]
                score.add(outcome[job.id], known.get(job.id, ()))
                score.seconds[0] += there.seconds[job.id]
                score.seconds[1] += here[id(plan)].seconds[job.id]
                score.versions |= there.versions
        progress(len(batch))
    return [score for group in scores.values() for score in group]


def _refused(framework: Framework, jobs: Sequence[Job]) -> str:
    """Return why none of the cases can be expressed, "" when one can."""
    reasons = [framework.refuses(job) for job in jobs]
    return "" if None in reasons else str(reasons[0])


def play_family(framework: Framework, number: int, count: int, progress: Callable[[int], object] = lambda _: None) -> list[Score]:
    """Run the first `count` random cases of a family; no score when there are none. progress: told how many cases are through."""
    family = framework.families[number]
    jobs = [family.make(seed) for seed in range(count)]
    return play_groups(framework, {family.name: jobs}, progress) if jobs else []
