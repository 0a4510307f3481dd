"""`DataFeed`: prices, signals and context, aligned once and read by every host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calendar.instants import datetime_of
from ml4t_backtest.ingest import build_panels
from ml4t_backtest.spelling import accepts
from ml4t_backtest.views import DataWindow, plain_bar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from ml4t_backtest.frames import FrameLike
    from ml4t_backtest.panels import Panels

__all__ = ["DataFeed"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive times count from a naive epoch


@accepts()
class DataFeed:
    """Prices with optional signals and market-wide context, in long format (one row per time and asset).

    Each source is a Polars frame or lazy frame, a pandas frame, an Arrow table, or the path of a Parquet file. Sources
    are read and checked here, once; a feed can be run any number of times.

    prices: `timestamp` (Datetime or Date), an asset column (`entity_col`, else the first of symbol, asset, product,
    ticker), `close`, and optionally `open`, `high`, `low`, `volume`. signals: `timestamp`, the asset column, any number
    of numeric, boolean or text columns. Asset names become text. context: `timestamp` and any columns; the first row of
    a time counts.

    Bars are the sorted union of all timestamps; rows may come in any order. Null and NaN both mean missing: a missing
    open, high or low becomes the close, a missing volume 0, a missing close leaves the asset unpriced on that bar (its
    orders wait), a missing signal is an absent key. Assets may start late, end early and have gaps.

    Raises ValueError, naming column, asset and time, for: missing columns, wrong types, null times or assets, two rows
    for one asset and time, infinite prices or volumes, prices <= 0 (unless `allow_nonpositive_prices`), high below low,
    negative volume, one source with a time zone and another without, signals none of which fits an asset or a time of
    prices. Warns (UserWarning) about signals that no price row matches.
    """

    def __init__(
        self,
        prices_df: FrameLike | None = None,
        signals_df: FrameLike | None = None,
        context_df: FrameLike | None = None,
        prices_path: FrameLike | None = None,
        signals_path: FrameLike | None = None,
        context_path: FrameLike | None = None,
        *,
        entity_col: str | None = None,
        allow_nonpositive_prices: bool = False,
    ) -> None:
        prices = _one_of("prices", prices_df, prices_path)
        if prices is None:
            raise ValueError("DataFeed needs prices: give prices_df (a frame) or prices_path (a Parquet file)")
        self.panels: Panels = build_panels(
            prices,
            _one_of("signals", signals_df, signals_path),
            _one_of("context", context_df, context_path),
            entity_col,
            allow_nonpositive_prices=allow_nonpositive_prices,
        )

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the assets, in the order in which they stand within a bar."""
        return self.panels.assets

    @property
    def n_bars(self) -> int:
        """Number of bars."""
        return self.panels.bars

    def between(self, start: datetime | date | str | int | None = None, end: datetime | date | str | int | None = None) -> DataFeed:
        """Return a feed of the bars from `start` to before `end`, over the same memory; assets without a bar there stay.

        start, end: datetimes or ISO text (with a time zone if the feed has one), dates, bar numbers, or None for the first and after
        the last bar. Raises ValueError when there is no bar between them, TypeError for other values.
        """
        first = self._bar_at(start, "start", 0)
        last = self._bar_at(end, "end", self.panels.bars)
        if not 0 <= first < last <= self.panels.bars:
            raise ValueError(f"there is no bar from start={start} to before end={end}; the feed has {self!r}")
        part = DataFeed.__new__(DataFeed)
        part.panels = self.panels.between(first, last)
        return part

    def _bar_at(self, place: Any, name: str, default: int) -> int:
        """Return the number of the first bar at or after a time."""
        if place is None:
            return default
        if isinstance(place, (int, np.integer)) and not isinstance(place, bool):
            return int(place)
        place = datetime_of(place, name)
        if (place.tzinfo is None) != (self.panels.zone is None):
            need = "no time zone" if self.panels.zone is None else f"a time zone, as the feed ({self.panels.zone})"
            raise ValueError(f"{name} was {place!r}, expected a datetime with {need}")
        since = place - (_EPOCH if place.tzinfo is None else _EPOCH.replace(tzinfo=UTC))
        return int(np.searchsorted(self.panels.times, since // timedelta(microseconds=1) * 1000))

    def __len__(self) -> int:
        return self.panels.bars

    def __iter__(self) -> Iterator[tuple[datetime, dict[str, Any], dict[str, Any]]]:
        """Yield (timestamp, data, context) per bar as plain dicts, from the start each time."""
        window = DataWindow(self.panels)
        context = self.panels.context
        for bar, timestamp in enumerate(self.panels.timestamps):
            data = {asset: plain_bar(view) for asset, view in window.show(bar).items()}
            yield timestamp, data, {} if context is None else context.at(bar)

    def __repr__(self) -> str:
        panels = self.panels
        span = f", {panels.timestamps[0]} to {panels.timestamps[-1]}" if panels.bars else ""
        signals = f", signals {', '.join(panels.signals)}" if panels.signals else ""
        plural = "" if len(panels.assets) == 1 else "s"
        return f"DataFeed({panels.bars} bars, {len(panels.assets)} asset{plural}{span}{signals})"


def _one_of(role: str, frame: FrameLike | None, path: FrameLike | None) -> FrameLike | None:
    if frame is not None and path is not None:
        raise ValueError(f"{role} was given twice, as {role}_df and as {role}_path; give one of them")
    return path if frame is None else frame
