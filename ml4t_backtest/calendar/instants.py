"""What users give as dates, times and time columns, to day numbers and nanoseconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.calendar.zones import DAY, first_instant, local_wall, zone_name
from ml4t_backtest.frames import TIMESTAMP, time_axis
from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.frames import TimeAxis
    from ml4t_kernels.dtypes import IntArray

__all__ = [
    "DateLike",
    "date_of",
    "datetime_of",
    "day_number",
    "day_range",
    "days_of",
    "instant",
    "instants_of",
    "is_date_text",
    "time_column",
]

DateLike: TypeAlias = "str | date | np.datetime64"  # ISO text, a date, a datetime or a pandas Timestamp, a numpy time

_ORDINAL_1970 = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: counts wall clock time
_MICROSECOND = timedelta(microseconds=1)


def is_date_text(value: str) -> bool:
    """Tell whether a text is an ISO date or time."""
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def datetime_of(value: object, argument: str) -> datetime:
    """Return a datetime for ISO text, a date (its midnight), a datetime, a pandas Timestamp or a numpy time.

    Raises ValueError for other text and for "not a time", TypeError for other types.
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str):
        if not is_date_text(value):
            raise ValueError(f"{argument} was {value!r}, expected an ISO date such as '2024-01-31'")
        return datetime.fromisoformat(value)
    if value is None or value != value:  # noqa: PLR0124 - pandas' NaT is a datetime that equals nothing
        raise ValueError(f"{argument} was {value!r}, expected a date")
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no zone
    raise TypeError(f"{argument} was a {type(value).__name__}, expected a date, a datetime or ISO text")


def day_number(value: object, argument: str) -> int:
    """Return the days since 1970 of a date; of a datetime, aware or not, the date as it is written. Errors as `datetime_of`."""
    if type(value) is datetime or type(value) is date:
        return value.toordinal() - _ORDINAL_1970
    return datetime_of(value, argument).toordinal() - _ORDINAL_1970


def date_of(day: int) -> date:
    """Return the date of a number of days since 1970."""
    return date.fromordinal(int(day) + _ORDINAL_1970)


def day_range(start: DateLike, end: DateLike) -> tuple[int, int]:
    """Return the day numbers of both ends of a range. Raises ValueError when the start is after the end."""
    first, last = day_number(start, "start_date"), day_number(end, "end_date")
    if first > last:
        raise ValueError(f"start_date {date_of(first)} is after end_date {date_of(last)}")
    return first, last


def instant(value: object, argument: str, naive_tz: str) -> int:
    """Return the ns since 1970 UTC of a time; a naive one is on the clocks of `naive_tz`. Errors as `datetime_of`."""
    moment = datetime_of(value, argument)
    if moment.tzinfo is not None:
        return (moment.astimezone(UTC).replace(tzinfo=None) - _EPOCH) // _MICROSECOND * 1000
    wall = np.array([(moment - _EPOCH) // _MICROSECOND * 1000], dtype=np.int64)
    return int(first_instant(wall, naive_tz)[0])


def time_column(frame: pl.DataFrame, name: str) -> TimeAxis:
    """Check the time column of a frame and return it. Raises ValueError for a missing, empty-celled or textual one."""
    if name == TIMESTAMP:
        return time_axis(frame, "df")
    if name not in frame.columns:
        known = frame.columns
        raise ValueError(f"df has no column {name!r} (timestamp_col), only {shortened(known)}{did_you_mean(name, known)}")
    return time_axis(frame.select(frame[name].alias(TIMESTAMP)), f"df (timestamp_col={name!r})")


def instants_of(axis: TimeAxis, naive_tz: str) -> IntArray:
    """Return a time column as int64 ns since 1970 UTC; naive times are on the clocks of `naive_tz`."""
    times: Any = axis.nanoseconds.to_numpy()
    return times if axis.zone is not None else first_instant(times, zone_name(naive_tz, "naive_tz"))


def days_of(axis: TimeAxis) -> IntArray:
    """Return the dates of a time column as they are written in its own zone, int64 days since 1970."""
    times: Any = axis.nanoseconds.to_numpy()
    wall = times if axis.zone is None else local_wall(times, axis.zone)
    return wall // DAY
