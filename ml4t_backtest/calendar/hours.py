"""Questions about hours: is a market open, which rows lie inside trading days or sessions, which minutes are traded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.calendar.instants import DateLike, datetime_of, day_range, days_of, instant, instants_of, time_column
from ml4t_backtest.calendar.schedules import calendar_anywhere, session_table
from ml4t_backtest.calendar.zones import DAY, zone_name
from ml4t_backtest.frames import FrameLike, read_frame, time_series
from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    import polars as pl

__all__ = ["filter_to_trading_days", "filter_to_trading_sessions", "generate_trading_minutes", "is_market_open"]

_MINUTE = 60 * 10**9
_FREQUENCIES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60}


@calendar_anywhere(dt="timestamp")
def is_market_open(timestamp: DateLike, calendar: DateLike, *, naive_tz: str = "UTC") -> bool:
    """Tell whether a market trades at an instant: from the open on, before the close, not in a break.

    timestamp: a datetime, ISO text with a time, a pandas or numpy time; a naive one is on the clocks of `naive_tz`. It
    and the calendar may be given in either order. Raises ValueError for an unknown calendar or zone, TypeError for a date
    without a time.
    """
    from datetime import date, datetime

    if isinstance(timestamp, date) and not isinstance(timestamp, datetime):
        raise TypeError(f"timestamp was the date {timestamp}, expected a time; of a date ask is_trading_day")
    moment = np.array([instant(datetime_of(timestamp, "timestamp"), "timestamp", zone_name(naive_tz, "naive_tz"))], dtype=np.int64)
    day = int(moment[0] // DAY)
    return bool(session_table(str(calendar), day, day).is_open(moment)[0])


@calendar_anywhere(time_col="timestamp_col", data="df", frame="df")
def filter_to_trading_days(df: FrameLike, calendar: FrameLike, timestamp_col: str = "timestamp") -> pl.DataFrame:
    """Return the rows of a frame whose date is a session date of a calendar, in their order, as a Polars frame.

    df: any frame that `DataFeed` takes. The date of a row is the one written, in the zone of the column: daily bars
    stamped midnight count with their date. For intraday rows of markets that trade overnight see
    `filter_to_trading_sessions`. Raises ValueError for an unknown calendar and a missing, null or textual time column.
    """
    frame = read_frame(df, "df")
    days = days_of(time_column(frame, timestamp_col))
    if not len(days):
        session_table(calendar, 0, 0)
        return frame
    return frame.filter(session_table(calendar, int(days.min()), int(days.max())).holds(days))


@calendar_anywhere(time_col="timestamp_col", data="df", frame="df")
def filter_to_trading_sessions(
    df: FrameLike, calendar: FrameLike, timestamp_col: str = "timestamp", *, naive_tz: str = "UTC", include_breaks: bool = False
) -> pl.DataFrame:
    """Return the rows of a frame that lie inside a session (open included, close excluded), as a Polars frame.

    naive_tz: the zone on whose clocks naive times are; of a time that occurs twice, when clocks are set back, the first is
    taken. include_breaks: whether rows inside a break of the session stay. Daily bars stamped midnight lie outside most
    sessions: see `filter_to_trading_days`. Errors as there, and ValueError for an unknown zone.
    """
    frame = read_frame(df, "df")
    times = instants_of(time_column(frame, timestamp_col), naive_tz)
    if not len(times):
        session_table(calendar, 0, 0)
        return frame
    table = session_table(calendar, int(times.min() // DAY), int(times.max() // DAY))
    return frame.filter(table.is_open(times, in_breaks=include_breaks))


@calendar_anywhere(frequency="freq")
def generate_trading_minutes(
    start_date: DateLike, end_date: DateLike, calendar: str, freq: str = "1m", *, include_close: bool = False
) -> pl.DataFrame:
    """Return the times at which bars of a length start, over all sessions dated in a range.

    freq: "1m", "5m", "15m", "30m" or "1h", counted from the open of each session; times inside a break are left out.
    include_close: add the close of each session as its last time. Columns: timestamp (Datetime[us, UTC]), session_date
    (Date). Raises ValueError for an unknown calendar or freq and for a start after the end.
    """
    import polars as pl

    if freq not in _FREQUENCIES:
        raise ValueError(f"freq was {freq!r}, expected one of {list(_FREQUENCIES)}{did_you_mean(str(freq), _FREQUENCIES)}")
    first, last = day_range(start_date, end_date)
    table = session_table(calendar, first, last)
    rows = table.between(first, last)
    step = _FREQUENCIES[freq] * _MINUTE
    opens, closes = table.opens[rows], table.closes[rows]
    counts = -((opens - closes) // step) + int(include_close)
    session = np.repeat(np.arange(len(opens)), counts)
    nth = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
    times = np.minimum(opens[session] + nth * step, closes[session])
    kept = (times < table.break_starts[rows][session]) | (times >= table.break_ends[rows][session])
    days = table.days[rows][session][kept]
    return pl.DataFrame(
        [time_series("timestamp", times[kept], "UTC"), pl.Series("session_date", days.astype(np.int32)).cast(pl.Date)],
    )
