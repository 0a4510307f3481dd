"""What a check answers: whether it passed, what it found as a frame, and a text that a person can read."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

__all__ = ["DIFFERENCE_COLUMNS", "CheckReport", "frame_of", "where_text"]

# The columns of a frame that tell a difference, in the order of the fields of `comparing.Difference`.
DIFFERENCE_COLUMNS: dict[str, Any] = {
    "bar": int,
    "timestamp": "time",
    "asset": str,
    "what": str,
    "field": str,
    "order_id": str,
    "expected": str,
    "found": str,
}


class CheckReport:
    """The outcome of a check.

    passed: whether nothing was found. label: name of the strategy. runs: engine runs that were made. notes: what the check cannot
    see, or what a reader should know. zone: of the times in its frame.
    """

    title = "check"
    _clean = "nothing found"

    def __init__(
        self, label: str, runs: int, rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = (), zone: str | None = None
    ) -> None:
        self.label = label
        self.runs = runs
        self.notes = tuple(notes)
        self._rows = [dict(row) for row in rows]
        self._zone = zone

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self._rows

    def __bool__(self) -> bool:
        return self.passed

    def raise_if_failed(self) -> None:
        """Raise AssertionError with the report as its message unless the check passed; for test suites."""
        if not self.passed:
            raise AssertionError(str(self))

    def _lines(self) -> list[str]:
        """Return what was found, a line each."""
        return []

    def __str__(self) -> str:
        runs = f"{self.runs} run" + ("" if self.runs == 1 else "s")
        head = f"{self.title}({self.label}): {'passed' if self.passed else 'FAILED'}, {runs}"
        body = self._lines() if not self.passed else [self._clean]
        return "\n".join([head, *(f"  {line}" for line in body), *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = "#1a7f37" if self.passed else "#cf222e"
        return f'<pre style="border-left: 4px solid {colour}; padding-left: 0.8em">{escape(str(self))}</pre>'


def frame_of(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any], zone: str | None) -> pl.DataFrame:
    """Return rows as a frame; columns of `schema` named "timestamp" or "future_from" are times in the feed's zone."""
    import polars as pl

    kinds = {name: pl.Datetime("us", zone) if kind == "time" else kind for name, kind in schema.items()}
    return pl.DataFrame([[row.get(name) for name in schema] for row in rows], schema=kinds, orient="row")


def where_text(row: Mapping[str, Any]) -> str:
    """Return the place of a difference in words (row: with its columns)."""
    if row["timestamp"] is None:
        return "before the first bar"
    asset = "" if row["asset"] is None else f", {row['asset']}"
    order = "" if row["order_id"] is None else f", {row['order_id']}"
    return f"bar {row['bar']} ({row['timestamp']}){asset}{order}"
