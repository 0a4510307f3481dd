"""`Explanation`: the steps of one trade, as text, HTML and plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from ml4t_backtest.types import Trade

__all__ = ["Explanation", "Step", "number_text"]

_WIDTH = 15


def number_text(value: float) -> str:
    """Return a number as people write it: no digits that are only rounding, none in powers of ten."""
    text = f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:g}"  # noqa: PLR2004 - where digits end
    return "0" if text == "-0" else text


@dataclass(frozen=True)
class Step:
    """One step: its name, when it was (None where it is not known), lines for people, and the values behind them."""

    name: str
    timestamp: datetime | None
    bar: int | None
    lines: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Why one trade was made and what it came to.

    trade: the trade. number: its place in `result.trades`. steps: in order of time. arithmetic: pairs of text and amount [money],
    which added up from the first to the last give exactly `trade.pnl`. missing: what the result does not hold.
    """

    trade: Trade
    number: int
    steps: tuple[Step, ...]
    arithmetic: tuple[tuple[str, float], ...]
    missing: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The trade in one line."""
        trade = self.trade
        quantity = f"{trade.direction} {number_text(abs(trade.quantity))} {trade.asset}"
        return f"Trade {self.number}: {quantity}, {trade.status.value}, {trade.exit_reason.value}, P&L {number_text(trade.pnl)}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values: number, asset, pnl, steps (a dict each), arithmetic, missing."""
        return {
            "number": self.number,
            "asset": self.trade.asset,
            "direction": self.trade.direction,
            "status": self.trade.status.value,
            "exit_reason": self.trade.exit_reason.value,
            "pnl": self.trade.pnl,
            "steps": [{"name": step.name, "timestamp": step.timestamp, "bar": step.bar, **step.values} for step in self.steps],
            "arithmetic": [{"text": text, "amount": amount} for text, amount in self.arithmetic],
            "missing": list(self.missing),
        }

    def _rows(self) -> list[tuple[str, str]]:
        """Return pairs of a step's name (once) and a line."""
        rows = []
        for step in self.steps:
            when = [] if step.timestamp is None else [f"{step.timestamp}" + ("" if step.bar is None else f" (bar {step.bar})")]
            for place, line in enumerate([*when, *step.lines]):
                rows.append((step.name if place == 0 else "", line))
        for place, (text, amount) in enumerate(self.arithmetic):
            rows.append(("P&L" if place == 0 else "", f"{number_text(amount):>16}  {text}"))
        rows.append(("", f"{number_text(self.trade.pnl):>16}  = P&L"))
        rows.extend(("not known" if place == 0 else "", text) for place, text in enumerate(self.missing))
        return rows

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {name:<{_WIDTH}}{line}" for name, line in self._rows())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cell = '<td style="text-align: left; vertical-align: top; white-space: pre-wrap">'
        rows = "".join(f"<tr>{cell}<b>{escape(name)}</b></td>{cell}{escape(line)}</td></tr>" for name, line in self._rows())
        return f"<table><caption>{escape(self.title)}</caption>{rows}</table>"
