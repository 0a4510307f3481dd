"""Feeds with another future: cut off after a bar, or with the values of later bars turned round.

Turning is the change that a decision made on the future notices most: what rose falls, what was high is low. Values stay in
their range, so that every turned feed is one that a user could have given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.panels import Context, Words

if TYPE_CHECKING:
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray

__all__ = ["GROUPS", "columns_of", "cut_feed", "groups_of", "turned_feed", "turned_values"]

GROUPS = ("prices", "signals", "context")
_PRICES = ("open", "high", "low", "close")
_OF_PRICES = ("bid", "ask", "vwap")
_OPPOSITE = {"high": "low", "low": "high", "bid": "ask", "ask": "bid"}


def cut_feed(feed: DataFeed, bar: int) -> DataFeed:
    """Return the feed that ends with a bar."""
    return feed.between(0, bar + 1)


def groups_of(feed: DataFeed) -> tuple[str, ...]:
    """Return the groups of columns that the feed has."""
    panels = feed.panels
    return tuple(name for name, there in zip(GROUPS, (True, bool(panels.signals), bool(_context_columns(panels))), strict=True) if there)


def columns_of(feed: DataFeed, group: str) -> tuple[str, ...]:
    """Return the columns of a group that can be turned one at a time; none of prices, which belong together."""
    if group == "signals":
        return tuple(feed.panels.signals)
    return _context_columns(feed.panels) if group == "context" else ()


def turned_feed(feed: DataFeed, bar: int, group: str, column: str | None = None) -> DataFeed:
    """Return the feed with the values of a group, or of one of its columns, turned round on all bars after `bar`.

    Prices are mirrored at the last close up to `bar`, `c * c / price` (`2 * c - price` where an asset has prices that are not
    positive); volumes, signals and numbers of the context within their range over the whole feed.
    """
    panels = feed.panels
    if group == "prices":
        panels = _turned_prices(panels, bar)
    elif group == "signals":
        changed = {name: _turned_signal(panels, name, bar) for name in panels.signals if column in (None, name)}
        panels = replace(panels, signals={**panels.signals, **changed})
    else:
        panels = replace(panels, context=_turned_context(panels, bar, column))
    made = DataFeed.__new__(DataFeed)
    made.panels = panels
    return made


def turned_values(values: Any, later: Any) -> Any:
    """Return values with those at `later` (bool array) turned round within the range of all; one without a range is moved by 1.

    values: a numpy array of numbers or booleans of any shape, its first axis as long as `later`.
    """
    if values.dtype.kind == "b":
        made = values.copy()
        made[later] = ~made[later]
        return made
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size or not later.any():
        return values
    lowest, highest = finite.min(), finite.max()
    made = values.copy()
    made[later] = values[later] + 1 if lowest == highest else lowest + highest - values[later]
    return made


def _turned_signal(panels: Panels, name: str, bar: int) -> FloatArray:
    """Return a signal with later bars turned: booleans to their opposites, words to others of their list."""
    panel, decoder = panels.signals[name], panels.decoders.get(name)
    if decoder is not bool and not isinstance(decoder, Words):
        return _turned_panel(panel, bar)
    made = panel.copy()
    made[bar + 1 :] = (len(decoder.words) - 1 if isinstance(decoder, Words) else 1.0) - panel[bar + 1 :]
    return _frozen(made)


def _turned_panel(panel: FloatArray, bar: int) -> FloatArray:
    """Return a panel with later bars turned, each asset within its own range."""
    later = np.arange(len(panel)) > bar
    made = np.column_stack([turned_values(panel[:, column], later) for column in range(panel.shape[1])])
    return _frozen(made)


def _turned_prices(panels: Panels, bar: int) -> Panels:
    close = panels.prices["close"]
    centre = _last_known(close, bar)
    known = {**panels.prices, **panels.extras}
    lowest = np.nanmin(np.where(np.isnan(known["low"]), np.inf, known["low"]), axis=0)
    by_ratio = lowest > 0.0

    def mirrored(name: str) -> FloatArray:
        source = known[_OPPOSITE[name]] if _OPPOSITE.get(name) in known else known[name]
        made = known[name].copy()
        later = source[bar + 1 :]
        with np.errstate(divide="ignore", invalid="ignore"):
            made[bar + 1 :] = np.where(by_ratio, centre * (centre / later), 2.0 * centre - later)
        return _frozen(made)

    turned = {name: mirrored(name) for name in _PRICES}
    if panels.has_volume:
        turned["volume"] = _turned_panel(panels.prices["volume"], bar)
    extras = {name: mirrored(name) for name in _OF_PRICES if name in panels.extras}
    return replace(panels, prices={**panels.prices, **turned}, extras={**panels.extras, **extras})


def _last_known(close: FloatArray, bar: int) -> FloatArray:
    """Return the last close of each asset up to a bar, the first one after it where there is none; 1 for none at all."""
    known = ~np.isnan(close)
    made = np.ones(close.shape[1])
    for column in range(close.shape[1]):
        places = np.flatnonzero(known[:, column])
        if len(places):
            place = max(int(np.searchsorted(places, bar, side="right")) - 1, 0)
            made[column] = close[places[place], column]
    return made


def _context_columns(panels: Panels) -> tuple[str, ...]:
    """Return the columns of the context that hold numbers."""
    if panels.context is None:
        return ()
    return tuple(name for name, values in panels.context.columns.items() if any(isinstance(value, (int, float)) for value in values))


def _turned_context(panels: Panels, bar: int, column: str | None) -> Context | None:
    context = panels.context
    if context is None:
        return None
    rows = [row for row in context.row_of[bar + 1 :] if row >= 0]
    columns = dict(context.columns)
    for name in _context_columns(panels):
        if column in (None, name):
            columns[name] = _turned_list(context.columns[name], rows)
    return Context(columns, context.row_of)


def _turned_list(values: list[Any], rows: list[int]) -> list[Any]:
    """Return Python numbers with those of some rows turned; what is no number stays."""
    numbers = [value for value in values if isinstance(value, (int, float)) and value == value]  # noqa: PLR0124 - NaN
    lowest, highest = min(numbers, default=0), max(numbers, default=0)
    made = list(values)
    for row in rows:
        value = values[row]
        if isinstance(value, bool):
            made[row] = not value
        elif isinstance(value, (int, float)):
            made[row] = value + 1 if lowest == highest else lowest + highest - value
    return made


def _frozen(panel: FloatArray) -> FloatArray:
    panel.flags.writeable = False
    return panel
