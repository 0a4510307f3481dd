"""The report: what was compared with what, and what came of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from validation.suite.framework import CLOSE, Framework
from validation.suite.outside import Outside
from validation.suite.work import Score

__all__ = ["Outcome", "Report"]

_SHOWN = 5
_ROWS = ("fills", "trades", "equity")


@dataclass
class Outcome:
    """Everything about one framework."""

    framework: Framework
    scenarios: list[Score] = field(default_factory=list)
    families: list[Score] = field(default_factory=list)
    scale: list[Score] = field(default_factory=list)

    @property
    def scores(self) -> list[Score]:
        """All scores."""
        return [*self.scenarios, *self.families, *self.scale]

    @property
    def agrees(self) -> bool:
        """Whether no difference is left unexplained."""
        return all(score.agrees for score in self.scores)

    @property
    def versions(self) -> dict[str, str]:
        """Package to version."""
        return {name: version for score in self.scores for name, version in score.versions.items()}


@dataclass
class Report:
    """All outcomes. outside: published numbers that were reproduced. command: that made the report."""

    outcomes: list[Outcome] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    command: str = ""

    @property
    def agrees(self) -> bool:
        """Whether everything does."""
        return all(outcome.agrees for outcome in self.outcomes) and all(row.agrees for row in self.outside)

    def markdown(self) -> str:
        """Return the report as Markdown."""
        parts = [self._head(), self.summary()]
        parts.extend(_chapter(outcome) for outcome in self.outcomes)
        if self.outside:
            rows = [
                (row.name, row.what, _number(row.theirs, row.digits), _number(row.ours, row.digits), _mark(row.agrees))
                for row in self.outside
            ]
            sources = "\n".join(f"- {name}: {source}" for name, source in dict.fromkeys((row.name, row.source) for row in self.outside))
            text = "Published by others, reproduced here from their own data and rules.\n\n" + sources
            parts.append(f"## Published numbers\n\n{text}\n\n" + _table(("example", "what", "published", "here", ""), rows))
        return "\n\n".join(parts) + "\n"

    def dated_summary(self) -> str:
        """Return the table of all frameworks with the day of the run."""
        return f"Last full run: {datetime.now(UTC).strftime('%Y-%m-%d')}, `{self.command}`.\n\n{self.summary()}"

    def _head(self) -> str:
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        return (
            "# Validation report\n\n"
            f"Written by `{self.command}` on {when} ({machine}). Every framework ran in an environment of its own; fills, trades, order\n"
            "states, and cash and account value on every bar were compared. Numbers agree to nine digits where nothing else is said."
        )

    def summary(self) -> str:
        """Return the table of all frameworks."""
        rows = []
        for outcome in self.outcomes:
            taken = [score for score in outcome.scenarios if not score.refused]
            cases = sum(score.cases for score in outcome.families)
            counted = {name: sum(score.rows[name] for score in outcome.scores) for name in _ROWS}
            left = sum(len(score.mismatches) for score in outcome.scores)
            known = sum(score.explained for score in outcome.scores)
            rows.append(
                (
                    f"{outcome.framework.title} {outcome.versions.get(outcome.framework.package, '')}".strip(),
                    f"`{outcome.framework.preset}`",
                    f"{len({score.title for score in taken})} of {len({score.title for score in outcome.scenarios})}",
                    f"{cases:,}",
                    _at_scale(outcome),
                    f"{counted['fills']:,}",
                    f"{counted['equity']:,}",
                    f"{known:,}" if outcome.framework.explain else "",
                    f"{left:,}",
                )
            )
        names = ("engine", "preset", "scenarios", "random cases", "at scale", "fills", "bars", "documented differences", "mismatches")
        return _table(names, rows)


def _at_scale(outcome: Outcome) -> str:
    if not outcome.scale:
        return ""
    return "; ".join(
        f"{score.rows['trades'] or score.rows['fills']:,} {'trades' if score.rows['trades'] else 'fills'}" for score in outcome.scale[:1]
    )


def _chapter(outcome: Outcome) -> str:
    framework = outcome.framework
    versions = ", ".join(f"{name} {version}" for name, version in sorted(outcome.versions.items()))
    parts = [f"## {framework.title}", f"Versions: {versions}. Preset: `{framework.preset}`."]
    if framework.notes:
        parts.append("\n".join(f"- {note}" for note in framework.notes))
    if outcome.scenarios:
        parts.append(_table(("scenario", "forms", "fills", "trades", "bars", ""), _scenario_rows(outcome.scenarios)))
    if outcome.families:
        rows = [_row(score) for score in outcome.families]
        parts.append("Random cases:\n\n" + _table(("family", "cases", "fills", "trades", "bars", "documented differences", ""), rows))
    if outcome.scale:
        rows = [(*_row(score), f"{score.seconds[0]:.1f} s", f"{score.seconds[1]:.1f} s", _times(score)) for score in outcome.scale]
        names = ("at scale", "cases", "fills", "trades", "bars", "documented differences", "", "time there", "time here", "ratio")
        parts.append(_table(names, rows))
    known = [f"- {count:,} cases: {entry}" for entry, count in _attributed(outcome.scores)]
    if known:
        parts.append("Differences that [differences.md](../docs/differences.md) explains, by its first column:\n\n" + "\n".join(known))
    parts.append(_limits(framework))
    wrong = [f"- {score.title}: {text}" for score in outcome.scores for case in score.mismatches[:_SHOWN] for text in _first(case)]
    if wrong:
        parts.append("**Mismatches**\n\n" + "\n".join(wrong))
    return "\n\n".join(part for part in parts if part)


def _first(case: Any) -> Iterable[str]:
    return [f"{case.case}: {text}" for text in case.differences[:_SHOWN]]


def _attributed(scores: Sequence[Score]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for score in scores:
        for entry, count in score.attributed.items():
            counts[entry] = counts.get(entry, 0) + count
    return sorted(counts.items(), key=lambda item: -item[1])


def _times(score: Score) -> str:
    return f"{score.seconds[0] / score.seconds[1]:.1f}x" if score.seconds[1] else ""


def _scenario_rows(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    rows = []
    refused = set()
    for score in scores:
        title = score.title + (f" ({score.engine})" if score.engine else "")
        if score.refused:
            if score.title not in refused:
                rows.append((score.title, "", "", "", "", f"not taken: {score.refused}"))
            refused.add(score.title)
        else:
            rows.append((title, str(score.cases), *(f"{score.rows[name]:,}" for name in _ROWS), _mark(score.agrees)))
    return rows


def _row(score: Score) -> tuple[str, ...]:
    title = score.title + (f" ({score.engine})" if score.engine else "")
    known = score.explained
    return (title, f"{score.cases:,}", *(f"{score.rows[name]:,}" for name in _ROWS), f"{known:,}" if known else "", _mark(score.agrees))


def _limits(framework: Framework) -> str:
    """Say what is compared less strictly, or not at all."""
    lines = [f"- `{place}` is not compared: {reason}." for place, reason in framework.not_reported.items()]
    for (table, column), tolerance in framework.tolerances.items():
        if tolerance.relative == tolerance.absolute == 0.0:
            lines.append(f"- `{table}.{column}` is equal to the last bit.")
        elif tolerance.relative > CLOSE.relative or tolerance.absolute > CLOSE.absolute:
            bounds = [f"{tolerance.relative:g} relative"] if tolerance.relative else []
            bounds += [f"{tolerance.absolute:g} absolute"] if tolerance.absolute else []
            lines.append(f"- `{table}.{column}` may differ by {' or '.join(bounds)}: {tolerance.reason}.")
    return "\n".join(lines)


def _number(value: float, digits: int | None) -> str:
    return f"{value:.10g}" if digits is None else f"{value:,.{digits}f}"


def _mark(agrees: bool) -> str:  # noqa: FBT001
    return "agrees" if agrees else "**differs**"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
