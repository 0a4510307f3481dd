"""Names of calendars, and the sessions of a calendar as arrays, cached."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numpy as np

from ml4t_backtest.calendar.instants import date_of, is_date_text
from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from ml4t_kernels.dtypes import IntArray

__all__ = [
    "CALENDAR_ALIASES",
    "SessionTable",
    "calendar_anywhere",
    "calendar_name",
    "get_calendar",
    "library_calendar",
    "list_calendars",
    "nanoseconds",
    "quiet_library",
    "session_table",
]

P = ParamSpec("P")
R = TypeVar("R")

#: Common names of markets and the calendar of pandas_market_calendars that each one means.
CALENDAR_ALIASES: dict[str, str] = {
    "AMEX": "XNYS",
    "ARCA": "XNYS",
    "ASX": "XASX",
    "BATS": "XNYS",
    "CBOT": "CBOT_Rate",
    "CME": "CME_Equity",
    "CME_Interest_Rate": "CME_InterestRate",
    "COMEX": "CMEGlobex_Metals",
    "CRYPTO": "24/7",
    "EURONEXT": "XPAR",
    "FOREX": "CMEGlobex_FX",
    "FX": "CMEGlobex_FX",
    "HKEX": "XHKG",
    "JPX": "XTKS",
    "LSE": "XLON",
    "NASDAQ": "XNYS",
    "NYMEX": "CMEGlobex_Energy",
    "NYSE": "XNYS",
    "SSE": "XSHG",
    "TSE": "XTKS",
    "TSX": "XTSE",
    "XETRA": "XETR",
    "XNAS": "XNYS",
}

_FIRST_YEAR, _LAST_YEAR = 1680, 2259  # whole decades that nanoseconds since 1970 can hold


@functools.lru_cache(maxsize=512)
def calendar_name(name: str) -> str:
    """Return the name pandas_market_calendars has for a calendar, given by name or alias in any case.

    Raises ValueError for an unknown name, with the closest one; TypeError for what is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"calendar was a {type(name).__name__}, expected a name such as 'NYSE'")
    names = _library_names()
    if name in CALENDAR_ALIASES or name in names:
        return CALENDAR_ALIASES.get(name, name)
    lowered = {known.lower(): known for known in (*names, *CALENDAR_ALIASES)}
    known = lowered.get(name.lower())
    if known is None:
        raise ValueError(
            f"calendar was {name!r}, expected a name such as 'NYSE' (all: list_calendars()){did_you_mean(name, lowered.values())}"
        )
    return CALENDAR_ALIASES.get(known, known)


@functools.lru_cache(maxsize=256)
def library_calendar(name: str) -> Any:
    """Return the calendar object for a name of the library's own, one per name; aliases are not looked at."""
    import pandas_market_calendars

    with quiet_library(name):
        return pandas_market_calendars.get_calendar(name)


@contextlib.contextmanager
def quiet_library(name: str) -> Iterator[None]:
    """Silence warnings about the library's own use of pandas; of a calendar it fails to compute say so in a ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (NotImplementedError, ValueError) as error:
            raise ValueError(f"calendar {name!r} is listed by pandas_market_calendars, which fails to compute it: {error}") from error


def list_calendars() -> list[str]:
    """Return all names that calendars go by, aliases included, in alphabetical order."""
    return sorted({*_library_names(), *CALENDAR_ALIASES})


def _library_names() -> list[str]:
    import pandas_market_calendars

    return cast("list[str]", pandas_market_calendars.get_calendar_names())


def calendar_anywhere(**spellings: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take its argument `calendar` at any position, and other spellings of keywords.

    Of the positional arguments the calendar is the text that names one; if none does, the first text that is no date
    is taken for a misspelt one. Unknown keywords raise TypeError with the closest name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = list(inspect.signature(function).parameters)
        others = [name for name in known if name != "calendar"]
        renamed = {"calendar_id": "calendar", "start": "start_date", "end": "end_date", **spellings}
        owner = getattr(function, "__name__", "function")

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            named: dict[str, Any] = {}
            for key, value in kwargs.items():
                name = key if key in known else renamed.get(key, key)
                if name not in known:
                    raise TypeError(f"{owner}() has no argument {key!r}{did_you_mean(key, known)} Arguments: {', '.join(known)}")
                if name in named:
                    raise TypeError(f"{owner}() got {name!r} twice, under two spellings")
                named[name] = value
            rest = list(args)
            if "calendar" not in named:
                named["calendar"] = rest.pop(_calendar_place(args, owner))
            if len(rest) > len(others):
                raise TypeError(f"{owner}() takes {len(known)} arguments: {', '.join(known)}")
            for name, value in zip(others, rest, strict=False):
                if name in named:
                    raise TypeError(f"{owner}() got {name!r} both by position and by name")
                named[name] = value
            return cast("Callable[..., R]", function)(**named)

        return call

    return decorate


def _calendar_place(args: tuple[object, ...], owner: str) -> int:
    """Return which of the positional arguments names the calendar."""
    texts = [place for place, value in enumerate(args) if isinstance(value, str) and not is_date_text(value)]
    for place in texts:
        try:
            calendar_name(cast("str", args[place]))
        except ValueError:
            continue
        return place
    if not texts:
        raise TypeError(f"{owner}() needs a calendar, for example calendar='NYSE'")
    return texts[0]


@calendar_anywhere(name="calendar")
def get_calendar(calendar: str) -> Any:
    """Return the calendar object of pandas_market_calendars; the same object for every spelling of its name.

    calendar: a name of `list_calendars()`, in any case. Raises ValueError for an unknown one.
    """
    return library_calendar(calendar_name(calendar))


@dataclass(frozen=True, eq=False)
class SessionTable:
    """The sessions of a calendar over whole decades, in order: parallel int64 arrays.

    days: session dates as days since 1970. opens, closes, break_starts, break_ends: ns since 1970 UTC; where a session
    has no break, both break times equal its close. zone: name of the exchange's time zone.
    """

    days: IntArray
    opens: IntArray
    closes: IntArray
    break_starts: IntArray
    break_ends: IntArray
    has_breaks: bool
    zone: str
    day_set: frozenset[int]

    def between(self, first: int, last: int) -> slice:
        """Return the rows of the sessions dated from one day to another, both included."""
        return slice(int(np.searchsorted(self.days, first, side="left")), int(np.searchsorted(self.days, last, side="right")))

    def holds(self, days: IntArray) -> npt.NDArray[np.bool_]:
        """Tell for day numbers, in any order, which ones are session dates."""
        place = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return cast("npt.NDArray[np.bool_]", self.days[place] == days)

    def is_open(self, times: IntArray, *, in_breaks: bool = False) -> npt.NDArray[np.bool_]:
        """Tell for instants [ns UTC], in any order, which lie inside a session: open included, close excluded.

        in_breaks: whether breaks count as inside.
        """
        place = np.maximum(np.searchsorted(self.opens, times, side="right") - 1, 0)
        inside = (times >= self.opens[place]) & (times < self.closes[place])
        if self.has_breaks and not in_breaks:
            inside &= (times < self.break_starts[place]) | (times >= self.break_ends[place])
        return inside


_tables: dict[str, tuple[int, int, SessionTable]] = {}


def session_table(calendar: str, first: int, last: int) -> SessionTable:
    """Return the sessions of a calendar over the decades around two day numbers, at least a year to either side.

    Raises ValueError for days outside the years 1681 to 2258, and for a calendar that the installed libraries list but
    cannot compute.
    """
    name = calendar_name(calendar)
    low, high = date_of(first).year, date_of(last).year
    if low <= _FIRST_YEAR or high >= _LAST_YEAR:
        raise ValueError(f"calendar {calendar!r} was asked about {date_of(first)} to {date_of(last)}, expected years 1681 to 2258")
    begin, end = (low - 1) // 10 * 10, (high + 1) // 10 * 10 + 9
    known = _tables.get(name)
    if known is not None:
        if known[0] <= begin and end <= known[1]:
            return known[2]
        begin, end = min(begin, known[0]), max(end, known[1])
    table = _read_table(name, begin, end)
    _tables[name] = (begin, end, table)
    return table


def _read_table(name: str, begin: int, end: int) -> SessionTable:
    """Ask the library for all sessions of some years."""
    calendar = library_calendar(name)
    with quiet_library(name):
        schedule = calendar.schedule(f"{begin}-01-01", f"{end}-12-31")
    days = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    opens, closes = nanoseconds(schedule["market_open"]), nanoseconds(schedule["market_close"])
    has_breaks = "break_start" in schedule.columns
    break_starts, break_ends = closes, closes
    if has_breaks:
        break_starts, break_ends = nanoseconds(schedule["break_start"]), nanoseconds(schedule["break_end"])
        none = (break_ends <= break_starts) | (break_starts < opens)  # "not a time" is before every open
        break_starts, break_ends = np.where(none, closes, break_starts), np.where(none, closes, break_ends)
    return SessionTable(days, opens, closes, break_starts, break_ends, has_breaks, str(calendar.tz), frozenset(days.tolist()))


def nanoseconds(column: Any) -> IntArray:
    """Return a pandas column of aware times as int64 ns since 1970 UTC."""
    import pandas as pd

    stamps = pd.DatetimeIndex(pd.to_datetime(column, utc=True)).tz_convert(None)
    return cast("IntArray", stamps.to_numpy().astype("datetime64[ns]").astype(np.int64))
