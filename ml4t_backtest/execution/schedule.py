"""Rebalance schedules: on which bars a strategy acts, decided from what is known on the bar.

    def on_start(self, broker):
        self.clock = RebalanceSchedule("monthly").clock()

    def on_data(self, timestamp, data, context, broker):
        if self.clock.due(timestamp):
            ...

The *first* session of a period needs nothing but the bar before. The *last* session of a period is known in advance from an
exchange calendar, or from a list of session dates, so it needs one of the two; a feed's own dates serve as such a list and give
away no prices.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ml4t_backtest.spelling import accepts
from ml4t_backtest.types import member

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "RebalanceCadence",
    "RebalanceClock",
    "RebalanceSchedule",
    "is_rebalance_timestamp",
    "resolve_rebalance_timestamps",
]

_ANY_YEAR = 2024
_MONTHS_OF_QUARTER = 3


class RebalanceCadence(str, Enum):
    """The period of a schedule: `bars` counts bars, the others are days, ISO weeks, months, quarters and years of session dates."""

    BARS = "bars"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class _Anchor(str, Enum):
    FIRST = "first"
    LAST = "last"


@accepts(frequency="cadence", every_n="every")
@dataclass(frozen=True, slots=True)
class RebalanceSchedule:
    """One bar per period: the first bar of the period's first or last session.

    cadence: `RebalanceCadence` or its name. every: act only in each n-th period, counted from the period of the first bar; with
    "bars", on bars 1, 1 + every, ... anchor: "first" or "last" session of the period. calendar: name of an exchange calendar
    ("NYSE"); bars on other days are no sessions. sessions: the session dates instead of a calendar (dates or times, rising).

    A bar's session date is its date in its own time zone. Without calendar and sessions every bar is in a session, and the first
    bar of a run is the first of its period. With them a run that starts in the middle of a period waits for the next one, a first
    session without a bar is made up for on the next session, a last session without a bar is not. The last date of `sessions` ends
    no period, because what follows is not known.

    Raises ValueError for `every` < 1, for anchor "last" without calendar and sessions, for both of them, and for sessions that are
    empty or do not rise.
    """

    cadence: RebalanceCadence | str = RebalanceCadence.MONTHLY
    every: int = 1
    anchor: str = "first"
    calendar: str | None = None
    sessions: Iterable[Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        cadence = member(RebalanceCadence, self.cadence, "cadence")
        anchor = member(_Anchor, self.anchor, "anchor")
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise ValueError(f"RebalanceSchedule(every={self.every!r}): expected a whole number >= 1")
        if self.calendar is not None and self.sessions is not None:
            raise ValueError("RebalanceSchedule takes a calendar or sessions, not both")
        if cadence is RebalanceCadence.BARS and (anchor is _Anchor.LAST or self.calendar is not None or self.sessions is not None):
            raise ValueError("RebalanceSchedule('bars') counts bars; it takes no anchor, calendar or sessions")
        if anchor is _Anchor.LAST and self.calendar is None and self.sessions is None:
            raise ValueError("the last session of a period is known only with calendar='NYSE' or sessions=[...]")
        object.__setattr__(self, "cadence", cadence)
        object.__setattr__(self, "anchor", anchor.value)
        if self.sessions is not None:
            object.__setattr__(self, "sessions", _rising_dates(self.sessions))
        if self.calendar is not None:
            _calendar_sessions(self.calendar, _ANY_YEAR)  # an unknown name is an error here, not on the first bar

    def clock(self) -> RebalanceClock:
        """Return a clock that has seen no bar yet; a run needs one of its own."""
        return RebalanceClock(self)

    def _period(self, day: date) -> int:
        """Return the number of the period of a day; consecutive periods have consecutive numbers."""
        if self.cadence is RebalanceCadence.DAILY:
            return day.toordinal()
        if self.cadence is RebalanceCadence.WEEKLY:
            return (day.toordinal() - 1) // 7
        if self.cadence is RebalanceCadence.MONTHLY:
            return day.year * 12 + day.month
        if self.cadence is RebalanceCadence.QUARTERLY:
            return day.year * 4 + (day.month - 1) // _MONTHS_OF_QUARTER
        return day.year

    def _session_bounds(self, day: date) -> tuple[date, date | None] | None:
        """Return the first and the last session of the period of a day (None: not known), None when it has no session.

        Raises ValueError for a day outside the known sessions.
        """
        if self.calendar is not None:
            years = sorted({(day + timedelta(days=days)).year for days in (-7, 0, 7)})
            known: tuple[date, ...] = tuple(session for year in years for session in _calendar_sessions(self.calendar, year))
            end = date.max
        else:
            known = tuple(self.sessions or ())
            end = known[-1]
            if not known[0] <= day <= end:
                raise ValueError(f"{day} is outside the known sessions, which go from {known[0]} to {end}")
        period = self._period(day)
        start = stop = bisect_left(known, day)
        while start > 0 and self._period(known[start - 1]) == period:
            start -= 1
        while stop < len(known) and self._period(known[stop]) == period:
            stop += 1
        if start == stop:
            return None
        return known[start], None if known[stop - 1] == end else known[stop - 1]


class RebalanceClock:
    """Tells on each bar of one run whether its schedule is due. Made by `RebalanceSchedule.clock`."""

    def __init__(self, schedule: RebalanceSchedule) -> None:
        self._schedule = schedule
        self._last: datetime | None = None
        self._answer = False
        self._bars = 0
        self._day: date | None = None
        self._period = self._first_period = 0
        self._bounds: tuple[date, date | None] | None = None
        self._waiting = False

    def due(self, timestamp: Any) -> bool:
        """Return whether the schedule is due on the bar at `timestamp`. Ask on every bar; asking twice gives the same answer.

        timestamp: datetime or date, rising from bar to bar. Raises ValueError when it falls or is outside the known sessions,
        TypeError when it is no time or mixes time zones.
        """
        now = _moment(timestamp)
        if self._last is not None:
            if (now.tzinfo is None) != (self._last.tzinfo is None):
                raise TypeError(f"timestamp {now} and the one before, {self._last}, differ in having a time zone")
            if now == self._last:
                return self._answer
            if now < self._last:
                raise ValueError(f"timestamps must rise: {now} came after {self._last}")
        self._answer = self._decide(now.date())
        self._last = now
        self._bars += 1
        return self._answer

    def _decide(self, day: date) -> bool:
        schedule = self._schedule
        if schedule.cadence is RebalanceCadence.BARS:
            return self._bars % schedule.every == 0
        if day == self._day:
            return False
        self._enter(day)
        self._day = day
        if not self._is_session(day) or (self._period - self._first_period) % schedule.every != 0:
            return False
        if schedule.anchor == _Anchor.LAST.value:
            return self._bounds is not None and day == self._bounds[1]
        first, self._waiting = self._waiting, False
        return first

    def _enter(self, day: date) -> None:
        """Move to the period of a day."""
        schedule, period = self._schedule, self._schedule._period(day)
        if self._day is not None and period == self._period:
            return
        fresh = self._day is None
        known = schedule.calendar is not None or schedule.sessions is not None
        self._period = period
        self._bounds = schedule._session_bounds(day) if known else None
        if fresh:
            self._first_period = period
        # A run that starts after the first session of a period has missed it.
        self._waiting = not (fresh and self._bounds is not None and day > self._bounds[0])

    def _is_session(self, day: date) -> bool:
        schedule = self._schedule
        if schedule.calendar is not None:
            return day in _calendar_set(schedule.calendar, day.year)
        if schedule.sessions is None:
            return True
        known: Any = schedule.sessions
        if day > known[-1]:
            raise ValueError(f"{day} is outside the known sessions, which go from {known[0]} to {known[-1]}")
        return bool(day == known[bisect_left(known, day)])


def is_rebalance_timestamp(timestamp: Any, timestamps: Iterable[Any], schedule: RebalanceSchedule | RebalanceCadence | str) -> bool:
    """Return whether `schedule` is due at `timestamp`, given the times of the bars from the first on.

    timestamps: those up to `timestamp` are read, later ones are not looked at. Raises ValueError when `timestamp` is not among
    them, else as `RebalanceClock.due`.
    """
    wanted = _moment(timestamp)
    clock = _schedule(schedule).clock()
    for each in timestamps:
        answer = clock.due(each)
        if _moment(each) == wanted:
            return answer
    raise ValueError(f"{timestamp} is not among the timestamps")


def resolve_rebalance_timestamps(timestamps: Iterable[Any], schedule: RebalanceSchedule | RebalanceCadence | str) -> list[Any]:
    """Return those of the rising `timestamps` of bars on which the schedule is due, as they were given.

    Each is decided from the ones before it alone. Errors as `RebalanceClock.due`.
    """
    clock = _schedule(schedule).clock()
    return [timestamp for timestamp in timestamps if clock.due(timestamp)]


def _schedule(schedule: RebalanceSchedule | RebalanceCadence | str) -> RebalanceSchedule:
    return schedule if isinstance(schedule, RebalanceSchedule) else RebalanceSchedule(schedule)


def _moment(timestamp: Any) -> datetime:
    """Return a datetime for a datetime, date or numpy time. Raises TypeError for anything else."""
    value = timestamp.astype("datetime64[us]").item() if hasattr(timestamp, "astype") else timestamp
    if isinstance(value, datetime):
        if value == value:  # noqa: PLR0124 - not-a-time of pandas
            return value
    elif isinstance(value, date):
        return datetime.combine(value, datetime.min.time())
    raise TypeError(f"timestamp was {timestamp!r}, expected a datetime or date")


def _rising_dates(sessions: Iterable[Any]) -> tuple[date, ...]:
    """Return the dates of sessions, each once."""
    days = [_moment(session).date() for session in sessions]
    if not days:
        raise ValueError("RebalanceSchedule(sessions=[]): expected at least one session")
    if any(later < earlier for earlier, later in pairwise(days)):
        raise ValueError("RebalanceSchedule: sessions must rise")
    return tuple(dict.fromkeys(days))


@lru_cache(maxsize=1024)
def _calendar_sessions(name: str, year: int) -> tuple[date, ...]:
    """Return the session dates of a calendar in a year. Raises ValueError for an unknown calendar."""
    from ml4t_backtest.calendar import get_trading_days

    return tuple(get_trading_days(name, date(year, 1, 1), date(year, 12, 31)).to_list())


@lru_cache(maxsize=1024)
def _calendar_set(name: str, year: int) -> frozenset[date]:
    return frozenset(_calendar_sessions(name, year))
