"""Numbers, times and names as people read them, and as pictures take them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FORMS", "NOTHING", "count", "cut", "drawn_text", "exact", "money", "number", "percent", "stamps", "tenths", "worded"]

NOTHING = "–"  # noqa: RUF001 - a dash, for what has no value
_LONG = 40
_WIDE, _WIDEST = 1e9, 1e15


def money(value: Any) -> str:
    """Return an amount with two decimals: "1,234.50"."""
    return _finite(value, _amount)


def percent(value: Any) -> str:
    """Return a fraction as a percentage: "-12.34 %"."""
    return _finite(value, lambda number: f"{_amount(100.0 * number)} %")


def number(value: Any) -> str:
    """Return a ratio with two decimals, small ones with three significant digits."""
    return _finite(value, lambda plain: f"{plain:.3g}" if 0.0 < abs(plain) < 0.1 else _amount(plain))  # noqa: PLR2004 - three digits


def tenths(value: float) -> str:
    """Return a fraction in percent with one digit, without the sign of a zero: "-12.3"."""
    text = f"{100.0 * value:,.1f}"
    return "0.0" if text == "-0.0" else text


def exact(value: Any) -> str:
    """Return a price or quantity with up to six decimals, small ones with six significant digits: "1.08345"."""
    return _finite(value, lambda plain: f"{plain:,.6f}".rstrip("0").rstrip(".") if plain == 0.0 or abs(plain) >= 1.0 else f"{plain:.6g}")


def count(value: Any) -> str:
    """Return a whole number with separators: "1,234"."""
    return _finite(value, lambda plain: f"{plain:,.0f}")


def _amount(value: float) -> str:
    if abs(value) < _WIDE:
        text = f"{value:,.2f}"
        return text[1:] if text.strip("-0.,") == "" and text.startswith("-") else text
    return f"{value:,.0f}" if abs(value) < _WIDEST else f"{value:.4g}"


def _finite(value: Any, form: Any) -> str:
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text: str = form(float(value))
    return text


FORMS: dict[str, Any] = {"money": money, "percent": percent, "number": number, "count": count}


def cut(text: str, most: int = _LONG) -> str:
    """Return a text on one line, cut to `most` characters with an ellipsis."""
    line = " ".join(str(text).split()) or str(text).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def drawn_text(text: str, most: int = _LONG) -> str:
    """Return a text for a picture: cut, and without the markup that Plotly reads in texts (tags, entities, `%{...}`)."""
    plain = cut(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("%{", "% {").replace("$", "$\u200b")


def worded(name: str) -> str:
    """Return a name of a column or code as words: "stop_loss" as "stop loss"."""
    return name.replace("_", " ")


def stamps(times: pl.Series) -> list[str]:
    """Return times as texts in their own time zone: dates when every time is midnight, else to the second (or microsecond)."""
    import polars as pl

    if times.dtype == pl.Date:
        return times.dt.to_string("%Y-%m-%d").to_list()
    plain = times.dt.replace_time_zone(None)
    if (plain == plain.dt.truncate("1d")).all():
        form = "%Y-%m-%d"
    else:
        form = "%Y-%m-%d %H:%M:%S" if (plain == plain.dt.truncate("1s")).all() else "%Y-%m-%d %H:%M:%S%.6f"
    return plain.dt.to_string(form).to_list()
