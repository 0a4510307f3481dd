"""Questions about days: which are trading days, which are holidays, when sessions open and close."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calendar.instants import DateLike, date_of, day_number, day_range
from ml4t_backtest.calendar.schedules import (
    calendar_anywhere,
    calendar_name,
    get_calendar,
    library_calendar,
    nanoseconds,
    quiet_library,
    session_table,
)

if TYPE_CHECKING:
    import polars as pl

    from ml4t_kernels.dtypes import IntArray

__all__ = [
    "Holidays",
    "get_early_closes",
    "get_holidays",
    "get_schedule",
    "get_trading_days",
    "is_trading_day",
    "next_trading_day",
    "previous_trading_day",
]

# The library's mirror of the New York calendar has regular hours only; its own one knows the extended hours.
_EXTENDED = {"XNYS": "NYSE"}
_WEEK = 7
_MONDAY = 3  # 1970-01-01 was a Thursday, so (day + 3) % 7 is 0 on Mondays


class Holidays(list[date]):
    """The holidays of a range as a list of dates that is also read like a frame.

    `holidays[0]`, `date(2024, 12, 25) in holidays` and `len(holidays)` are those of a list; `holidays["date"]`,
    `holidays["name"]` and every method of a Polars frame that lists lack (`height`, `filter`, `join`, ...) are those of
    `to_frame()`. Changing the list does not change the frame.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        super().__init__(frame["date"].to_list())
        self._frame = frame

    def to_frame(self) -> pl.DataFrame:
        """Return the frame: date (Date), name (String, null where the calendar has none)."""
        return self._frame

    def __getitem__(self, key: Any) -> Any:
        return self._frame[key] if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._frame, name)


@calendar_anywhere(day="date", timestamp="date")
def is_trading_day(date: DateLike, calendar: DateLike) -> bool:
    """Tell whether a calendar has a session of a date. The two arguments may be given in either order.

    date: ISO text, a date, a datetime (aware or not: its date as written), a pandas or numpy time. calendar: a name.
    Raises ValueError for an unknown calendar and for text that is no date.
    """
    day = day_number(date, "date")
    return day in session_table(str(calendar), day, day).day_set


@calendar_anywhere()
def get_trading_days(calendar: str, start_date: DateLike, end_date: DateLike) -> pl.Series:
    """Return the session dates of a range as a Polars Date series "session_date", ascending.

    Raises ValueError for an unknown calendar and for a start after the end.
    """
    first, last = day_range(start_date, end_date)
    table = session_table(calendar, first, last)
    return _dates("session_date", table.days[table.between(first, last)])


@calendar_anywhere(day="date", days="n")
def next_trading_day(calendar: str, date: DateLike, n: int = 1) -> date:
    """Return the n-th session date after a date, which itself does not count. Raises ValueError for n < 1."""
    return _step(calendar, day_number(date, "date"), n, forward=True)


@calendar_anywhere(day="date", days="n")
def previous_trading_day(calendar: str, date: DateLike, n: int = 1) -> date:
    """Return the n-th session date before a date, which itself does not count. Raises ValueError for n < 1."""
    return _step(calendar, day_number(date, "date"), n, forward=False)


def _step(calendar: str, day: int, n: int, *, forward: bool) -> date:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n was {n!r}, expected a whole number >= 1")
    reach = 0
    while True:
        table = session_table(calendar, *((day, day + reach) if forward else (day - reach, day)))
        if forward:
            place = int(np.searchsorted(table.days, day, side="right")) + n - 1
        else:
            place = int(np.searchsorted(table.days, day, side="left")) - n
        if 0 <= place < len(table.days):
            return date_of(table.days[place])
        reach = max(2 * reach, 2 * n, 366)


@calendar_anywhere(extended="include_extended_hours", include_extended="include_extended_hours")
def get_schedule(calendar: str, start_date: DateLike, end_date: DateLike, *, include_extended_hours: bool = False) -> pl.DataFrame:
    """Return one row per session of a range.

    Columns: session_date (Date), market_open, market_close (Datetime[us, UTC]), timezone (String, that of the exchange);
    for calendars with breaks break_start, break_end (null in a session without one); with include_extended_hours
    pre_market_open, post_market_close (null where unknown). Overnight sessions open on the evening before their date.

    Raises ValueError for an unknown calendar, for a start after the end, and for extended hours that the calendar lacks.
    """
    import polars as pl

    first, last = day_range(start_date, end_date)
    table = session_table(calendar, first, last)
    rows = table.between(first, last)
    columns = [
        _dates("session_date", table.days[rows]),
        _utc("market_open", table.opens[rows]),
        _utc("market_close", table.closes[rows]),
        pl.Series("timezone", [table.zone] * (rows.stop - rows.start), dtype=pl.String),
    ]
    frame = pl.DataFrame(columns)
    if table.has_breaks:
        some = pl.col("break_start") < pl.col("break_end")
        frame = frame.with_columns(_utc("break_start", table.break_starts[rows]), _utc("break_end", table.break_ends[rows]))
        frame = frame.with_columns(pl.when(some).then(pl.col("break_start", "break_end")))
    if include_extended_hours:
        frame = frame.join(_extended_hours(calendar, first, last), on="session_date", how="left").sort("session_date")
    return frame


def _extended_hours(calendar: str, first: int, last: int) -> pl.DataFrame:
    """Return session_date, pre_market_open and post_market_close of a calendar that has them."""
    import polars as pl

    name = calendar_name(calendar)
    owner = library_calendar(_EXTENDED.get(name, name))
    if not {"pre", "post"} <= set(owner.market_times):
        raise ValueError(f"calendar {calendar!r} has no extended hours; leave include_extended_hours out")
    with quiet_library(name):
        schedule = owner.schedule(str(date_of(first)), str(date_of(last)), start="pre", end="post")
    return pl.DataFrame(
        [
            _dates("session_date", schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)),
            _utc("pre_market_open", nanoseconds(schedule["pre"])),
            _utc("post_market_close", nanoseconds(schedule["post"])),
        ]
    )


@calendar_anywhere()
def get_early_closes(calendar: str, start_date: DateLike, end_date: DateLike) -> pl.DataFrame:
    """Return the rows of `get_schedule` that close before the regular time of their date. Errors as `get_schedule`."""
    import polars as pl

    frame = get_schedule(calendar, start_date, end_date)
    first, last = day_range(start_date, end_date)
    owner = get_calendar(calendar)
    with quiet_library(calendar):
        early = owner.early_closes(owner.schedule(str(date_of(first)), str(date_of(last)))) if len(frame) else None
    if early is None:
        return frame
    days = early.index.to_numpy().astype("datetime64[D]")
    return frame.filter(pl.Series(np.isin(frame["session_date"].to_numpy(), days), dtype=pl.Boolean))


@calendar_anywhere()
def get_holidays(calendar: str, start_date: DateLike, end_date: DateLike) -> Holidays:
    """Return the days of a range on which a market that is usually open has no session.

    Usually open is a day of the week of which the calendar held a session at least every second time in that year; for
    most markets that means Monday to Friday. The result is a list of dates that is also read like a frame with the
    columns date and name, see `Holidays`. Raises ValueError for an unknown calendar and for a start after the end.
    """
    import polars as pl

    first, last = day_range(start_date, end_date)
    table = session_table(calendar, first, last)
    low, high = date_of(first).year, date_of(last).year
    every = np.arange(day_number(f"{low:04}-01-01", "start_date"), day_number(f"{high:04}-12-31", "end_date") + 1)
    held = table.holds(every)
    years = every.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970 - low
    kind = years * _WEEK + (every + _MONDAY) % _WEEK
    sessions, days = np.bincount(kind, weights=held), np.bincount(kind)
    usual = (2 * sessions >= days)[kind]
    dates = _dates("date", every[usual & ~held & (every >= first) & (every <= last)])
    names = _holiday_names(calendar, first, last)
    return Holidays(pl.DataFrame([dates, pl.Series("name", [names.get(day) for day in dates], dtype=pl.String)]))


def _holiday_names(calendar: str, first: int, last: int) -> dict[date, str]:
    """Return the names of the regular holidays of a range, of which some calendars have none."""
    rules = get_calendar(calendar).regular_holidays
    if rules is None or not hasattr(rules, "holidays"):
        return {}
    with quiet_library(calendar):
        named = rules.holidays(str(date_of(first)), str(date_of(last)), return_name=True)
    return {stamp.date(): str(name) for stamp, name in named.items()} if len(named) else {}


def _dates(name: str, days: IntArray) -> pl.Series:
    """Return day numbers as a Polars Date series."""
    import polars as pl

    return pl.Series(name, days.astype(np.int32)).cast(pl.Date)


def _utc(name: str, times: IntArray) -> pl.Series:
    """Return ns since 1970 as a Polars Datetime[us, UTC] series."""
    from ml4t_backtest.frames import time_series

    return time_series(name, times, "UTC")
