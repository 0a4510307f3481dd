"""Two watched runs side by side: where they differ first, up to a bar. Everything is compared with ==; NaN equals NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.tables import ORDER_WORDS

if TYPE_CHECKING:
    from datetime import datetime

    from ml4t_backtest.honesty.watching import Trace
    from ml4t_kernels.dtypes import Records

__all__ = ["Difference", "comparable_until", "first_difference", "unequal"]

# What an order is to the user; the rest of its record is bookkeeping of the kernels.
_ORDER_FIELDS = (
    *("created_bar", "asset", "order_type", "quantity", "limit_price", "stop_price", "trail_amount", "trail_percent", "displayed_quantity"),
    *("cash_fraction", "time_in_force", "good_till", "reduce_only", "parent_id", "sibling_id", "signal_price"),
    *("status", "reason", "exit_reason", "filled_quantity", "filled_price", "commission"),
)
_ANOTHER = ("asset", "order_type", "created_bar")  # where they differ it is another order
_FILL_FIELDS = ("order_id", "asset", "quantity", "price", "commission", "slippage", "position", "bar")
_ACCOUNT_FIELDS = ("equity", "cash")


@dataclass(frozen=True)
class Difference:
    """Where two runs part: what ("order", "fill", "account", "exception"), on which bar, and the two values as texts."""

    bar: int
    timestamp: datetime | None
    what: str
    field: str
    expected: str
    found: str
    asset: str | None = None
    order_id: str | None = None


def unequal(first: Any, second: Any, tolerance: float = 0.0) -> Any:
    """Return where two arrays differ, NaN being equal to NaN; floats by more than `tolerance` times the larger one."""
    differs = first != second
    if first.dtype.kind == "f":
        differs &= ~(np.isnan(first) & np.isnan(second))
        if tolerance:
            with np.errstate(invalid="ignore"):
                differs &= ~(np.abs(first - second) <= tolerance * np.fmax(np.abs(first), np.abs(second)))
    return differs


def comparable_until(full: Trace, part: Trace, bar: int) -> int:
    """Return the last bar up to `bar` before which both runs had the same sessions.

    A feed that ends in the middle of a session takes its last bar for the end of it, which is no doing of the strategy.
    """
    count = min(bar + 1, full.bars, part.bars)
    differs = (full.sessions[:count] != part.sessions[:count]) | (full.flags[:count] != part.flags[:count])
    return int(np.argmax(differs)) - 1 if differs.any() else bar


def first_difference(full: Trace, part: Trace, bar: int, *, shot: bool = True, tolerance: float = 0.0) -> Difference | None:
    """Return the earliest difference on bars up to `bar`, None where there is none.

    shot: compare orders as they stood on that bar, else as they ended. tolerance: by which numbers may differ, relative.
    """
    found: list[tuple[int, int, Difference]] = []
    parts = (_in_error(full, part, bar), _in_orders(full, part, bar, tolerance, shot=shot), *_in_rest(full, part, bar, tolerance))
    for rank, difference in enumerate(parts):
        if difference is not None:
            found.append((difference.bar, rank, difference))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _in_error(full: Trace, part: Trace, bar: int) -> Difference | None:
    if part.error is None or part.error_bar > bar or (full.error is not None and full.error_bar == part.error_bar):
        return None
    text = f"{type(part.error).__name__}: {part.error}"
    return Difference(part.error_bar, _time(part, part.error_bar), "exception", "raised", "nothing", text)


def _in_orders(full: Trace, part: Trace, bar: int, tolerance: float, *, shot: bool) -> Difference | None:
    if shot and (bar not in full.shots or bar not in part.shots):
        return None
    here, there = (one.orders_at(bar) if shot else one.orders[one.orders["created_bar"] <= bar] for one in (full, part))
    count = min(len(here), len(there))
    place, field = _first_row(here[:count], there[:count], _ORDER_FIELDS, tolerance)
    if place < count:
        changed = field not in _ANOTHER
        since = max(int(here["active_bar"][place]), int(there["active_bar"][place])) if changed else -1
        when = max(int(min(here["created_bar"][place], there["created_bar"][place])), min(since, bar))
        return _of_row(full, part, (when, "order", field), (here[place], there[place]))
    if len(here) == len(there):
        return None
    longer, run = (here, full) if len(here) > count else (there, part)
    row = longer[count]
    when = int(row["created_bar"])
    there_is = _order_text(run, row)
    texts = (there_is, "no order") if run is full else ("no order", there_is)
    return Difference(when, _time(run, when), "order", "submitted", *texts, run.panels.assets[row["asset"]], f"ORD-{row['order_id']}")


def _in_rest(full: Trace, part: Trace, bar: int, tolerance: float) -> tuple[Difference | None, Difference | None]:
    here, there = (one.fills[one.fills["bar"] <= bar] for one in (full, part))
    count = min(len(here), len(there))
    place, field = _first_row(here[:count], there[:count], _FILL_FIELDS, tolerance)
    fill = None
    if place < count:
        when = int(min(here["bar"][place], there["bar"][place]))
        fill = _of_row(full, part, (when, "fill", field), (here[place], there[place]))
    elif len(here) != len(there):
        row = here[count] if len(here) > count else there[count]
        text = f"{row['quantity']:g} at {row['price']:g}"
        texts = (text, "no fill") if len(here) > count else ("no fill", text)
        when = int(row["bar"])
        fill = Difference(when, _time(full, when), "fill", "traded", *texts, full.panels.assets[row["asset"]], f"ORD-{row['order_id']}")
    until = min(bar + 1, full.bars, part.bars)
    account = None
    for field in _ACCOUNT_FIELDS:
        one, other = getattr(full, field)[:until], getattr(part, field)[:until]
        differs = unequal(one, other, tolerance)
        when = int(np.argmax(differs)) if differs.any() else until
        if when < until and (account is None or when < account.bar):
            account = Difference(when, _time(full, when), "account", field, repr(float(one[when])), repr(float(other[when])))
    return fill, account


def _first_row(here: Records, there: Records, fields: tuple[str, ...], tolerance: float) -> tuple[int, str]:
    """Return the first row in which one of the fields differs, and the field; the number of rows where none does."""
    count = len(here)
    place, which = count, ""
    for field in fields:
        differs = unequal(here[field][:place], there[field][:place], tolerance)
        if differs.any():
            place, which = int(np.argmax(differs)), field
    for field in fields:  # of the fields that differ in that row, the first
        if place < count and bool(unequal(here[field][place : place + 1], there[field][place : place + 1], tolerance)[0]):
            return place, field
    return place, which


def _of_row(full: Trace, part: Trace, where: tuple[int, str, str], rows: tuple[Any, Any]) -> Difference:
    bar, what, field = where
    here, there = rows
    if what == "order" and field in _ANOTHER:
        field, expected, found = "submitted", _order_text(full, here), _order_text(part, there)
    else:
        expected, found = _text(full, field, here[field]), _text(part, field, there[field])
    return Difference(bar, _time(full, bar), what, field, expected, found, full.panels.assets[here["asset"]], f"ORD-{here['order_id']}")


def _text(run: Trace, field: str, value: Any) -> str:
    if field == "asset":
        return str(run.panels.assets[value])
    if field in ORDER_WORDS:
        return ORDER_WORDS[field][int(value)]
    return repr(value.item())


def _order_text(run: Trace, row: Any) -> str:
    side = "buy" if row["quantity"] > 0.0 else "sell"
    kind = ORDER_WORDS["order_type"][int(row["order_type"])]
    when = _time(run, int(row["created_bar"]))
    return f"{kind} {side} {abs(float(row['quantity'])):g} {run.panels.assets[row['asset']]}" + ("" if when is None else f" on {when}")


def _time(run: Trace, bar: int) -> datetime | None:
    return run.panels.timestamps[bar] if 0 <= bar < run.panels.bars else None
