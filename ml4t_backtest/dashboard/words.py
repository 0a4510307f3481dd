"""Numbers and cells as the pages show them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEADLINES", "cell", "metric", "settings_rows"]

# Label, metric, format; what stands on the cards of a result and in the list.
HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("Return", "total_return_pct", "{:+,.2f} %"),
    ("Return p.a.", "cagr", "{:+,.2%}"),
    ("Max drawdown", "max_drawdown_pct", "{:,.2f} %"),
    ("Sharpe", "sharpe", "{:.2f}"),
    ("Trades", "num_trades", "{:,.0f}"),
    ("Win rate", "win_rate", "{:.1%}"),
    ("Profit factor", "profit_factor", "{:.2f}"),
    ("Final value", "final_value", "{:,.2f}"),
)
_OF_TRADES = ("win_rate", "profit_factor")


def metric(metrics: Mapping[str, float], name: str, form: str) -> str:
    """Return a metric as text, a dash where it says nothing."""
    value = metrics.get(name)
    if value is None or math.isnan(value) or (name in _OF_TRADES and not metrics.get("num_trades")):
        return "–"  # noqa: RUF001 - a dash is meant
    if math.isinf(value):
        return "∞" if value > 0.0 else "-∞"
    text = form.format(value)
    return text if " %" in text else text.replace("%", " %")


def cell(value: Any) -> str:
    """Return the value of a frame as text: times without an empty clock, numbers with up to six digits after the point."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        plain = value.replace(tzinfo=None)
        return (
            f"{plain:%Y-%m-%d}"
            if (plain.hour, plain.minute, plain.second, plain.microsecond) == (0, 0, 0, 0)
            else f"{plain:%Y-%m-%d %H:%M:%S}"
        )
    if isinstance(value, float):
        if not math.isfinite(value):
            return "" if math.isnan(value) else ("∞" if value > 0.0 else "-∞")
        if value != 0.0 and abs(value) < 1e-4:  # noqa: PLR2004 - smaller ones would lose their digits
            return f"{value:.3g}"
        text = f"{value:,.6f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text
    return str(value)


def settings_rows(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return nested settings as pairs of a dotted name and a text."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += settings_rows(value, f"{before}{name}.")
        else:
            rows.append((f"{before}{name}", cell(value) if not isinstance(value, list) else ", ".join(map(cell, value))))
    return rows
