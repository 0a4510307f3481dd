"""Data by time, of any kind that users hold: what is left of it, or becomes of it, when the future after a bar is another one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.honesty.futures import cut_feed, groups_of, turned_feed, turned_values

if TYPE_CHECKING:
    from ml4t_backtest.panels import Panels

__all__ = ["begun_at", "cut_data", "turned_data"]

_FEWEST = 20  # arrays and lists as long as the feed count as data from this many bars on
_TIMES = ("timestamp", "date", "datetime", "time")


def cut_data(value: Any, panels: Panels, bar: int) -> Any:
    """Return data without what comes after a bar; None where the value is no data by time."""
    return _changed(value, panels, bar, cut=True)


def turned_data(value: Any, panels: Panels, bar: int) -> Any:
    """Return data with its numbers after a bar turned round; None where the value is no data by time."""
    return _changed(value, panels, bar, cut=False)


def begun_at(frame: Any, panels: Panels, bar: int) -> Any:
    """Return a Polars or pandas frame by time without what comes before a bar; one without times as it is."""
    first = int(panels.times[bar])
    if type(frame).__module__.split(".")[0] == "polars":
        import polars as pl

        name = next((name for name in _TIMES if name in frame.columns and frame.schema[name].is_temporal()), None)
        return frame if name is None else frame.filter(pl.Series(_nanoseconds(frame[name]) >= first))
    times = _pandas_times(frame)
    return frame if times is None else frame[times >= first]


def _changed(value: Any, panels: Panels, bar: int, *, cut: bool) -> Any:
    kind = type(value)
    package = kind.__module__.split(".")[0]
    if isinstance(value, DataFeed):
        return _changed_feed(value, int(panels.times[bar]), cut=cut)
    if package in ("polars", "pandas"):
        change = _changed_polars if package == "polars" else _changed_pandas
        return change(value, panels, bar, cut=cut)
    return _changed_plain(value, panels, bar, cut=cut)


def _changed_plain(value: Any, panels: Panels, bar: int, *, cut: bool) -> Any:
    kind = type(value)
    if isinstance(value, np.ndarray):
        if value.ndim and len(value) == panels.bars >= _FEWEST and value.dtype.kind in "bif":
            return value[: bar + 1] if cut else turned_values(value, np.arange(len(value)) > bar)
    elif kind in (list, tuple) and len(value) == panels.bars >= _FEWEST and all(isinstance(one, (int, float)) for one in value):
        return value[: bar + 1] if cut else kind(turned_values(np.asarray(value), np.arange(len(value)) > bar).tolist())
    elif kind is dict and value and all(isinstance(key, (date, datetime)) for key in value):
        last = panels.timestamps[bar]
        if cut:
            return {key: one for key, one in value.items() if not _is_later(key, last)}
        numbers = {key: one for key, one in value.items() if isinstance(one, (int, float))}
        later = np.array([_is_later(key, last) for key in numbers], dtype=np.bool_)
        return {**value, **dict(zip(numbers, turned_values(np.array(list(numbers.values())), later).tolist(), strict=True))}
    return None


def _is_later(key: Any, last: datetime) -> bool:
    if not isinstance(key, datetime):
        return bool(key > last.date())
    if (key.tzinfo is None) != (last.tzinfo is None):
        key, last = (one if one.tzinfo else one.replace(tzinfo=UTC) for one in (key, last))
    return bool(key > last)


def _changed_feed(feed: DataFeed, last: int, *, cut: bool) -> Any:
    bar = int(np.searchsorted(feed.panels.times, last, side="right")) - 1
    if bar < 0 or bar == feed.n_bars - 1:
        return feed
    if cut:
        return cut_feed(feed, bar)
    for group in groups_of(feed):
        feed = turned_feed(feed, bar, group)
    return feed


def _changed_polars(value: Any, panels: Panels, bar: int, *, cut: bool) -> Any:
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        made = _changed_polars(value.collect(), panels, bar, cut=cut)
        return None if made is None else made.lazy()
    if isinstance(value, pl.Series):
        made = _changed_polars(value.to_frame("series"), panels, bar, cut=cut) if value.dtype.is_numeric() else None
        return None if made is None else made["series"].alias(value.name)
    if not isinstance(value, pl.DataFrame):
        return None
    times = next((name for name in _TIMES if name in value.columns and value.schema[name].is_temporal()), None)
    if times is None and (len(value) != panels.bars or panels.bars < _FEWEST):
        return None
    later = np.arange(len(value)) > bar if times is None else _nanoseconds(value[times]) > int(panels.times[bar])
    if cut:
        return value.filter(pl.Series(~later))
    return value.with_columns([_turned_series(one, later) for one in value.get_columns() if one.dtype.is_numeric()])


def _nanoseconds(times: Any) -> Any:
    import polars as pl

    if getattr(times.dtype, "time_zone", None) is not None:
        times = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return times.cast(pl.Datetime("ns")).to_physical().fill_null(0).to_numpy()


def _turned_series(series: Any, later: Any) -> Any:
    import polars as pl

    numbers = series.to_numpy() if series.null_count() == 0 else series.cast(pl.Float64).to_numpy()
    return pl.Series(series.name, turned_values(numbers, later))


def _pandas_times(value: Any) -> Any:
    """Return the times of a pandas frame or series in ns UTC, from its index or a column; None without."""
    import pandas as pd

    times = value.index if isinstance(value.index, pd.DatetimeIndex) else None
    if times is None and isinstance(value, pd.DataFrame):
        name = next((name for name in _TIMES if name in value.columns and value[name].dtype.kind == "M"), None)
        times = None if name is None else pd.DatetimeIndex(value[name])
    if times is None:
        return None
    plain = times.tz_convert("UTC").tz_localize(None) if times.tz is not None else times
    return plain.as_unit("ns").asi8


def _changed_pandas(value: Any, panels: Panels, bar: int, *, cut: bool) -> Any:
    import pandas as pd

    if not isinstance(value, (pd.DataFrame, pd.Series)):
        return None
    times = _pandas_times(value)
    if times is not None:
        later = times > int(panels.times[bar])
    elif len(value) == panels.bars >= _FEWEST:
        later = np.arange(len(value)) > bar
    else:
        return None
    if cut:
        return value[~later]
    made = value.copy()
    if isinstance(made, pd.Series):
        return (
            pd.Series(turned_values(value.to_numpy(), later), index=value.index, name=str(value.name))
            if value.dtype.kind in "bif"
            else made
        )
    for name in made.columns:
        if made[name].dtype.kind in "bif":
            made[name] = turned_values(made[name].to_numpy(), later)
    return made
