"""Trading sessions: which session a time belongs to, profit and loss by session, and the session of every bar of a run.

Two rules live here. `SessionConfig` and the functions that take one cut time at a fixed hour of the wall clock, as
published session reports do. `session_numbers` and `sessions_open` serve the engine and follow the real hours of a
calendar, with holidays, early closes and breaks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import numpy as np

from ml4t_backtest.calendar.instants import datetime_of, time_column
from ml4t_backtest.calendar.schedules import calendar_name, session_table
from ml4t_backtest.calendar.zones import DAY, first_instant, local_wall, zone_name
from ml4t_backtest.frames import FrameLike, TimeAxis, read_frame, time_axis, time_series
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = [
    "FIRST_BAR",
    "LAST_BAR",
    "SessionConfig",
    "align_to_sessions",
    "assign_session_date",
    "compute_session_pnl",
    "session_numbers",
    "sessions_open",
]

FIRST_BAR, LAST_BAR = 1, 2

_MINUTE = 60 * 10**9
_NOON = time(12)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: counts wall clock time
# Published start times of sessions, on the exchange's own clocks.
_DEFAULT_STARTS = {
    "CBOT": "17:00",
    "CME_Agriculture": "17:00",
    "CME_Equity": "17:00",
    "CME_Interest_Rate": "17:00",
    "COMEX": "18:00",
    "LSE": "08:00",
    "NASDAQ": "09:30",
    "NYMEX": "18:00",
    "NYSE": "09:30",
    "XETRA": "09:00",
}


@accepts(calendar_id="calendar", tz="timezone", session_start="session_start_time")
@dataclass(frozen=True)
class SessionConfig:
    """When sessions start, for reports that follow a fixed hour of the wall clock.

    calendar: a name of `list_calendars()`; it gives the start when `session_start_time` is None: 17:00 for CME_Equity,
    CME_Agriculture, CME_Interest_Rate and CBOT, 18:00 for NYMEX and COMEX, 9:30 for NYSE and NASDAQ, 8:00 for LSE, 9:00
    for XETRA, midnight for all others. timezone: on whose clocks the start is; give the exchange's, the default is UTC.
    session_start_time: "HH:MM" or a `datetime.time`.

    Raises ValueError for an unknown calendar or zone and for a start that is no time of the day in whole minutes.
    """

    calendar: str
    timezone: str = "UTC"
    session_start_time: str | None = None

    def __post_init__(self) -> None:
        default = _default_start(self.calendar)
        object.__setattr__(self, "timezone", zone_name(self.timezone))
        start: object = self.session_start_time
        if isinstance(start, time) and not (start.second or start.microsecond):
            object.__setattr__(self, "session_start_time", f"{start:%H:%M}")
        match = _CLOCK.fullmatch(str(default if start is None else self.session_start_time))
        if match is None:
            raise ValueError(f"session_start_time was {start!r}, expected a time of the day such as '17:00'")
        object.__setattr__(self, "_start", time(int(match[1]), int(match[2])))

    @property
    def start(self) -> time:
        """Start of a session on the clocks of `timezone`."""
        return cast("time", self.__dict__["_start"])


def _default_start(calendar: str) -> str:
    """Return the published start of a calendar's sessions, under any of its names. Raises ValueError for an unknown one."""
    if calendar in _DEFAULT_STARTS:  # spares loading the calendars for the commonest names
        return _DEFAULT_STARTS[calendar]
    wanted = calendar_name(calendar)
    return next((start for name, start in _DEFAULT_STARTS.items() if calendar_name(name) == wanted), "00:00")


def assign_session_date(
    timestamp: datetime, timezone: str | tzinfo = "UTC", session_start_hour: int = 0, session_start_minute: int = 0
) -> datetime:
    """Return the date of the session that a time belongs to, as a naive midnight.

    The clocks of `timezone` count; a naive timestamp is taken as being on them. When sessions start at noon or later, a
    time at or after the start belongs to the session of the next date; when they start earlier, a time before the start
    belongs to the session of the previous date. Weekends and holidays are not skipped.

    timestamp: a datetime, ISO text, a pandas or numpy time. timezone: a name or a tzinfo. Raises ValueError for an
    unknown zone and for a start outside 0:00 to 23:59.
    """
    try:
        start = time(session_start_hour, session_start_minute)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"session start was {session_start_hour!r}:{session_start_minute!r}, expected an hour 0 to 23 and a minute 0 to 59"
        ) from error
    zone = timezone if isinstance(timezone, tzinfo) else ZoneInfo(zone_name(timezone))
    moment = datetime_of(timestamp, "timestamp")
    local = moment if moment.tzinfo is None else moment.astimezone(zone)
    midnight = datetime(local.year, local.month, local.day)  # noqa: DTZ001 - the published result is naive
    if start >= _NOON:
        return midnight + timedelta(days=1) if local.time() >= start else midnight
    return midnight if local.time() >= start else midnight - timedelta(days=1)


def align_to_sessions(df: FrameLike, config: SessionConfig, timestamp_col: str = "timestamp") -> pl.DataFrame:
    """Return a frame with a column session_date (Date): what `assign_session_date` says of every row, all at once.

    df: any frame that `DataFeed` takes, in any order of rows; a column session_date it has is replaced. Naive times are
    taken as being on the clocks of `config.timezone`. Raises ValueError for a missing, null or textual time column.
    """
    import polars as pl

    frame = read_frame(df, "df")
    days = _session_days(time_column(frame, timestamp_col), config)
    return frame.with_columns(pl.Series("session_date", days.astype(np.int32)).cast(pl.Date))


def _session_days(axis: TimeAxis, config: SessionConfig) -> IntArray:
    """Return the session dates of a time column as int64 days since 1970."""
    times: Any = axis.nanoseconds.to_numpy()
    wall = times if axis.zone is None else local_wall(times, config.timezone)
    return (wall - _start_of(config)) // DAY + int(config.start >= _NOON)


def _start_of(config: SessionConfig) -> int:
    """Return the start of sessions in ns since midnight."""
    return (config.start.hour * 60 + config.start.minute) * _MINUTE


def compute_session_pnl(equity_curve: Any, config: SessionConfig) -> pl.DataFrame:
    """Return one row per session of an equity curve.

    equity_curve: pairs of time and account value, as `BacktestResult.equity_curve`; a frame with the columns timestamp
    and equity; or an object with `timestamps` and `values`. In order of time.

    Columns: session_date (Date); session_start, session_end (Datetime[us] in the zone of the curve: the start of the
    session and that of the next one, which no longer belongs to it); open_equity, close_equity, high_equity, low_equity
    (money, of the session's bars); num_bars (Int64); pnl (money, close less open); return_pct (fraction, close against
    the close before, 0 for the first session); intra_session_dd (fraction <= 0, the deepest fall from the highest value
    so far in the session); cumulative_return (fraction, close against the first value of the curve); overnight_pnl
    (money, open less the close before, 0 for the first), so that pnl and overnight_pnl add up to the whole change.
    Fractions of values that are not positive are 0.

    Raises ValueError for times out of order, of mixed zones or missing, and for values that are not finite numbers.
    """
    axis, equity = _read_curve(equity_curve)
    # where clocks are set back across the start of a session, its first bars stay in it
    days = np.maximum.accumulate(_session_days(axis, config))
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(days) != 0])) if len(days) else np.zeros(0, dtype=np.int64)
    return _session_frame(days, firsts, equity, axis.zone, config)


def _session_frame(days: IntArray, firsts: IntArray, equity: FloatArray, zone: str | None, config: SessionConfig) -> pl.DataFrame:
    """Lay out the frame of `compute_session_pnl` from the session of every bar and the first bar of every session."""
    import polars as pl

    ends = np.append(firsts[1:], len(days))[: len(firsts)]
    opens, closes = equity[firsts], equity[ends - 1]
    before = np.concatenate([opens[:1], closes[:-1]])
    returns = _growth(closes, before)
    returns[:1] = 0.0
    high_so_far = pl.DataFrame({"day": days, "equity": equity}).select(pl.col("equity").cum_max().over("day")).to_series().to_numpy()
    starts = days[firsts] * DAY + _start_of(config) - (DAY if config.start >= _NOON else 0)
    edges = [starts, starts + DAY]
    if zone is not None:
        edges = [first_instant(edge, config.timezone) for edge in edges]
    return pl.DataFrame(
        [
            pl.Series("session_date", days[firsts].astype(np.int32)).cast(pl.Date),
            time_series("session_start", edges[0], zone),
            time_series("session_end", edges[1], zone),
            pl.Series("open_equity", opens),
            pl.Series("close_equity", closes),
            pl.Series("high_equity", _by_session(np.maximum, equity, firsts)),
            pl.Series("low_equity", _by_session(np.minimum, equity, firsts)),
            pl.Series("num_bars", ends - firsts, dtype=pl.Int64),
            pl.Series("pnl", closes - opens),
            pl.Series("return_pct", returns),
            pl.Series("intra_session_dd", _by_session(np.minimum, _growth(equity, high_so_far), firsts)),
            pl.Series("cumulative_return", _growth(closes, np.full(len(closes), equity[0] if len(equity) else 1.0))),
            pl.Series("overnight_pnl", opens - before),
        ]
    )


def _growth(values: FloatArray, bases: FloatArray) -> FloatArray:
    """Return values against bases as fractions, 0 where a base is not positive."""
    positive = bases > 0.0
    return np.where(positive, values / np.where(positive, bases, 1.0) - 1.0, 0.0)


def _by_session(reduction: np.ufunc, values: FloatArray, firsts: IntArray) -> FloatArray:
    """Reduce values to one per session; firsts holds the first row of each."""
    return cast("FloatArray", reduction.reduceat(values, firsts)) if len(firsts) else values


def _read_curve(curve: Any) -> tuple[TimeAxis, FloatArray]:
    """Return the times and values of an equity curve, checked."""
    import polars as pl

    from ml4t_backtest.columns import floats

    if hasattr(curve, "timestamps") and hasattr(curve, "values"):
        curve = list(zip(curve.timestamps, curve.values, strict=True))
    if isinstance(curve, (list, tuple)):
        times = [datetime_of(when, f"timestamp {row} of the equity curve") for row, (when, _) in enumerate(curve)]
        frame = pl.DataFrame([_times_to_series(times), pl.Series("equity", [float(value) for _, value in curve], dtype=pl.Float64)])
    else:
        frame = read_frame(curve, "equity_curve")
    axis = time_axis(frame, "equity_curve")
    if "equity" not in frame.columns or not (frame["equity"].dtype.is_numeric() or not len(frame)):
        raise ValueError(f"equity_curve needs a column 'equity' of numbers, it has {frame.schema!r}")
    equity = floats(frame, "equity") if len(frame) else np.zeros(0)
    wrong = np.flatnonzero(~np.isfinite(equity))
    if len(wrong):
        raise ValueError(f"equity_curve row {int(wrong[0])} is {float(equity[wrong[0]])!r}, expected finite numbers")
    _in_order(axis.nanoseconds.to_numpy(), "equity_curve")
    return axis, equity


def _times_to_series(times: list[datetime]) -> pl.Series:
    """Return datetimes of one zone, or all naive, as a Polars series; aware ones of a fixed offset come out in UTC."""
    zones = {None if when.tzinfo is None else str(when.tzinfo) for when in times}
    if len(zones) > 1:
        raise ValueError(f"equity_curve mixes time zones ({', '.join(sorted(map(str, zones)))}); convert its times to one")
    since = [(when.replace(tzinfo=None) - _EPOCH - (when.utcoffset() or timedelta())) // timedelta(microseconds=1) for when in times]
    zone = times[0].tzinfo if times else None
    named = getattr(zone, "key", None) or getattr(zone, "zone", None) or "UTC"
    return time_series("timestamp", np.array(since, dtype=np.int64) * 1000, None if zone is None else str(named))


def _in_order(times: IntArray, argument: str) -> None:
    """Raise ValueError when times go back."""
    back = np.flatnonzero(times[1:] < times[:-1])
    if len(back):
        raise ValueError(f"{argument} is not in order of time: row {int(back[0]) + 1} is before the one above; sort it")


def session_numbers(times_ns: IntArray, *, calendar: str | None, timezone: str = "UTC") -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Return the session of every bar, and which bars are the first and the last of theirs.

    times_ns: int64 ns since 1970 UTC, ascending. The numbers are int64 and never fall: the session date as days since
    1970. The flags are uint8: 1 (`FIRST_BAR`) on the first bar of a session, 2 (`LAST_BAR`) on the last, 3 on an only one.

    Without a calendar a session is the date in `timezone`. With one it is the calendar's, from the open to the close,
    breaks and the closing instant included (unless the next session opens at it); a bar between two sessions belongs
    to the next one, bars after the last session that has any belong to that one. Where this would put two bars into one
    session although all dates differ (in `timezone`, the exchange's zone or UTC), the bars are daily and each one is a
    session of its own, numbered by its date.

    Raises ValueError for times out of order, an unknown calendar or zone.
    """
    times, zone = _bar_times(times_ns), zone_name(timezone)
    _in_order(times, "times_ns")
    if not len(times):
        if calendar is not None:
            calendar_name(calendar)
        return times, np.zeros(0, dtype=np.uint8)
    numbers = np.maximum.accumulate(local_wall(times, zone) // DAY) if calendar is None else _calendar_numbers(times, calendar, zone)
    change = numbers[1:] != numbers[:-1]
    flags = np.zeros(len(times), dtype=np.uint8)
    flags[np.concatenate([[True], change])] |= FIRST_BAR
    flags[np.concatenate([change, [True]])] |= LAST_BAR
    return numbers, flags


def _calendar_numbers(times: IntArray, calendar: str, zone: str) -> IntArray:
    """Return the session dates of bars by a calendar, as days since 1970."""
    table = session_table(calendar, int(times[0] // DAY), int(times[-1] // DAY))
    # a bar stamped with its end carries the closing instant of the session it was traded in
    ends = table.closes + np.append(table.opens[1:] > table.closes[:-1], True)
    passed = np.bincount(np.searchsorted(times, ends, side="left"), minlength=len(times) + 1)
    place = np.minimum(np.cumsum(passed)[: len(times)], len(ends) - 1)
    inside = np.flatnonzero(times >= table.opens[place])
    if len(inside):
        place = np.minimum(place, place[inside[-1]])
    numbers = table.days[place]
    if (numbers[1:] > numbers[:-1]).all():
        return numbers
    if len(times) <= (times[-1] - times[0]) // DAY + 2:  # else some date has two bars for sure
        for name in (zone, table.zone, "UTC"):
            dates = local_wall(times, name) // DAY
            if (dates[1:] > dates[:-1]).all():
                return dates
    return numbers


def sessions_open(times_ns: IntArray, calendar: str, timezone: str = "UTC", by: str = "day") -> npt.NDArray[np.bool_]:
    """Tell which bars fall on trading days, or inside trading hours: a bool per bar.

    times_ns: int64 ns since 1970 UTC, in any order. by: "day" asks whether the date in `timezone` is a session date;
    "minute" whether the instant is inside a session, open included, close and breaks excluded. Where all bars are
    stamped midnight (in `timezone`, the exchange's zone or UTC) they are daily and count by that date either way.

    Raises ValueError for an unknown calendar, zone, or `by`.
    """
    choices = ("day", "minute")
    if by not in choices:
        raise ValueError(f"by was {by!r}, expected one of {list(choices)}{did_you_mean(str(by), choices)}")
    times, zone = _bar_times(times_ns), zone_name(timezone)
    if not len(times):
        calendar_name(calendar)
        return np.zeros(0, dtype=np.bool_)
    table = session_table(calendar, int(times.min() // DAY), int(times.max() // DAY))
    for name in (zone, table.zone, "UTC"):
        if local_wall(times[:1], name)[0] % DAY == 0:
            wall = local_wall(times, name)
            if (wall % DAY == 0).all():
                return table.holds(wall // DAY)
    return table.holds(local_wall(times, zone) // DAY) if by == "day" else table.is_open(times)


def _bar_times(times_ns: IntArray) -> IntArray:
    """Return times as an int64 array. Raises TypeError for another type and ValueError for another shape."""
    times = np.asarray(times_ns)
    if times.dtype != np.int64:
        raise TypeError(f"times_ns has dtype {times.dtype}, expected int64 nanoseconds since 1970 UTC")
    if times.ndim != 1:
        raise ValueError(f"times_ns has {times.ndim} dimensions, expected one")
    return times
