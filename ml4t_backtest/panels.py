"""Aligned market data: panels of bars by assets, and the views that strategies read through."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.memory import view_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["Context", "Panels", "Words"]


@dataclass(frozen=True)
class Words:
    """Reads a text signal: number to word."""

    words: tuple[str, ...]

    def __call__(self, number: float) -> str:
        """Return the word behind a number."""
        return self.words[int(number)]


@dataclass(frozen=True)
class Context:
    """Market-wide values per bar: one list of Python values per column, `row_of[bar]` its row there or -1."""

    columns: dict[str, list[Any]]
    row_of: list[int]

    def at(self, bar: int) -> dict[str, Any]:
        """Return the context of a bar as a fresh dict, empty when the bar has none."""
        row = self.row_of[bar]
        return {} if row < 0 else {name: values[row] for name, values in self.columns.items()}


@dataclass(frozen=True)
class Panels:
    """All bars of a feed.

    times: int64[bars] ns UTC; timestamps: the same as datetimes, in the feed's time zone; assets: names of the columns.
    prices: open, high, low, close, volume, each float64[bars, assets], NaN where there is none. signals: the same per
    signal column. zone: time zone of the timestamps, None when naive. present: uint8[bars, assets], 1 where the price
    frame has a row. decoders: for signals that are no plain floats, number to value. extras: columns of the price frame that
    strategies do not see: bid, ask, vwap, dividend, split, funding_rate. has_volume: whether the frame has volumes; else they
    are zeros here, and unknown to the kernels.
    """

    times: IntArray
    timestamps: list[datetime]
    assets: tuple[str, ...]
    prices: dict[str, FloatArray]
    present: npt.NDArray[np.uint8]
    signals: dict[str, FloatArray] = field(default_factory=dict)
    decoders: dict[str, Callable[[float], Any]] = field(default_factory=dict)
    context: Context | None = None
    zone: str | None = None
    extras: dict[str, FloatArray] = field(default_factory=dict)
    has_volume: bool = True

    def only(self, bars: npt.NDArray[np.bool_]) -> Panels:
        """Return the panels of some bars (bool[bars]), copied."""
        kept = np.flatnonzero(bars)
        context = self.context
        if context is not None:
            context = Context(context.columns, [context.row_of[bar] for bar in kept.tolist()])
        return replace(
            self,
            times=np.ascontiguousarray(self.times[kept]),
            timestamps=[self.timestamps[bar] for bar in kept.tolist()],
            prices={name: np.ascontiguousarray(panel[kept]) for name, panel in self.prices.items()},
            present=np.ascontiguousarray(self.present[kept]),
            signals={name: np.ascontiguousarray(panel[kept]) for name, panel in self.signals.items()},
            context=context,
            extras={name: np.ascontiguousarray(panel[kept]) for name, panel in self.extras.items()},
        )

    def between(self, first: int, last: int) -> Panels:
        """Return the panels of the bars from `first` to before `last`; nothing is copied but the timestamps."""
        context = self.context
        cut: dict[int, FloatArray] = {}  # panels that are one array stay one

        def rows(group: dict[str, FloatArray]) -> dict[str, FloatArray]:
            return {name: cut.setdefault(id(panel), panel[first:last]) for name, panel in group.items()}

        return replace(
            self,
            times=self.times[first:last],
            timestamps=self.timestamps[first:last],
            prices=rows(self.prices),
            present=self.present[first:last],
            signals=rows(self.signals),
            context=None if context is None else Context(context.columns, context.row_of[first:last]),
            extras=rows(self.extras),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle needs: the views are made anew where they are used."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @property
    def bars(self) -> int:
        """Number of bars."""
        return len(self.timestamps)

    def timestamp_of(self, time: int) -> datetime:
        """Return the datetime of a bar's time in ns. Raises KeyError when no bar has that time."""
        bar = int(np.searchsorted(self.times, time))
        if bar >= len(self.timestamps) or self.times[bar] != time:
            raise KeyError(f"no bar at {time} ns")
        return self.timestamps[bar]

    @cached_property
    def column_of(self) -> dict[str, int]:
        """The column of each asset."""
        return {asset: column for column, asset in enumerate(self.assets)}

    @cached_property
    def lowered(self) -> dict[Any, Any]:
        """What `lowering` made of these panels, by the settings that it depends on: runs over one feed share it."""
        return {}

    @cached_property
    def complete(self) -> bool:
        """Whether every asset has a row on every bar."""
        return bool(self.present.all())

    @cached_property
    def priced(self) -> bool:
        """Whether every row has a close; open, high and low then are there too."""
        close = self.prices["close"]
        return not np.isnan(close if self.complete else close[self.present == 1]).any()

    @cached_property
    def price_views(self) -> dict[str, list[memoryview]]:
        """One memoryview per price column and asset: indexing with a bar gives a plain float."""
        return {name: _column_views(panel) for name, panel in self.prices.items()}

    @cached_property
    def signal_views(self) -> dict[str, list[memoryview]]:
        """One memoryview per signal and asset."""
        return {name: _column_views(panel) for name, panel in self.signals.items()}

    @cached_property
    def _changes(self) -> memoryview:
        """Number of presence changes up to each bar: equal numbers mean equal rows in between."""
        differs = np.any(self.present[1:] != self.present[:-1], axis=1)
        return view_of(np.concatenate([[0], np.cumsum(differs)]).astype(np.int64))

    def is_text(self, signal: str) -> bool:
        """Tell whether a signal is text, held as the numbers of its words."""
        return isinstance(self.decoders.get(signal), Words)

    def same_presence(self, first: int, second: int) -> bool:
        """Tell whether two bars (and all between) have rows for the same assets."""
        return bool(self._changes[first] == self._changes[second])

    def presence_row(self, bar: int) -> bytes:
        """Return one byte per asset, 1 where the bar has a row."""
        return bytes(self.present[bar])


def _column_views(panel: FloatArray) -> list[memoryview]:
    return [view_of(panel[:, column]) for column in range(panel.shape[1])]
