"""Rows of the table: what was measured against what was promised, as text and as JSON."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Seconds (or bytes, or nothing) of one unit of the table.
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "MB": 1e6, "x": 1.0}
_HEADINGS = ("workload", "what is counted", "unit", "measured", "wall", "at ref.", "must", "aim", "verdict", "dict engine", "published")


@dataclass(frozen=True)
class Row:
    """One line. Values and limits in units of `unit`; the verdict is about `measured`, which is CPU time where it is a time.

    wall: the same by the wall clock. dict_ratio, published_ratio: how many times as long those engines took for the same work.
    """

    workload: str
    counted: str
    unit: str
    measured: float
    wall: float | None = None
    must: float | None = None
    aim: float | None = None
    dict_ratio: float | None = None
    published_ratio: float | None = None
    slowness: float = 1.0

    @property
    def at_reference(self) -> float | None:
        """The measured time on a machine as fast as the one on which the limits were set; None for what is no time."""
        return None if self.unit in ("x", "MB") else self.measured / self.slowness

    @property
    def verdict(self) -> str:
        """Tell whether the limit holds: "ok" as measured, "ok at ref." at reference speed, "MISS", or "-" without a limit."""
        if self.must is None:
            return "-"
        if self.measured <= self.must:
            return "ok"
        return "ok at ref." if self.at_reference is not None and self.at_reference <= self.must else "MISS"

    def cells(self) -> tuple[str, ...]:
        """Return the line as text, one item per column."""
        return (
            self.workload,
            self.counted,
            self.unit,
            _number(self.measured),
            _number(self.wall),
            _number(self.at_reference),
            _number(self.must),
            _number(self.aim),
            self.verdict,
            _ratio(self.dict_ratio),
            _ratio(self.published_ratio),
        )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value == 0.0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}x"


def as_text(rows: list[Row]) -> str:
    """Lay the rows out as a table, text to the left and numbers to the right."""
    lines = [_HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    left = 3  # the first columns are words

    def laid_out(line: tuple[str, ...]) -> str:
        return "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )

    return "\n".join([laid_out(lines[0]), "  ".join("-" * width for width in widths), *map(laid_out, lines[1:])])


def versions() -> dict[str, str]:
    """Return the versions that the figures depend on."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "numba", "polars"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def write_json(path: Path, rows: list[Row], published: dict[str, object] | None) -> None:
    """Write the rows, their verdicts, the versions, and what the published engine reported."""
    content = {
        "versions": versions(),
        "rows": [{**asdict(row), "verdict": row.verdict, "at_reference": row.at_reference} for row in rows],
        "published": published,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
