"""Time zones over whole arrays: instants to wall clocks and back, from the same rules as the standard library's zoneinfo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from ml4t_kernels.dtypes import IntArray

__all__ = ["DAY", "first_instant", "local_wall", "years_of", "zone_name"]

DAY = 86_400 * 10**9
_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS = np.iinfo(np.int64).min


@lru_cache(maxsize=256)
def _known(name: str) -> bool:
    """Tell whether the time zone database has a zone of this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones, such as "America"
        return False
    return True


def zone_name(zone: str | tzinfo, argument: str = "timezone") -> str:
    """Return the name of a time zone given by name or as an object that knows its name (zoneinfo, pytz, `datetime.UTC`).

    Raises ValueError for an unknown name and for a fixed offset, which has none; TypeError for anything else.
    """
    if isinstance(zone, tzinfo):
        if zone is UTC:
            return "UTC"
        named = getattr(zone, "key", None) or getattr(zone, "zone", None)
        if named is None:
            raise ValueError(f"{argument} was {zone!r}, which has no name; expected a named zone, for example 'America/Chicago'")
        zone = str(named)
    if not isinstance(zone, str):
        raise TypeError(f"{argument} was {zone!r}, expected the name of a time zone or a ZoneInfo")
    if not _known(zone):
        raise ValueError(
            f"{argument} was {zone!r}, expected a time zone such as 'America/Chicago'{did_you_mean(zone, available_timezones())}"
        )
    return zone


def years_of(times: IntArray) -> tuple[int, int]:
    """Return the years of the earliest and the latest of some times in ns since 1970 (at least one)."""
    ends = np.array([times.min(), times.max()], dtype="datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    return int(ends[0]), int(ends[1])


def local_wall(times: IntArray, zone: str) -> IntArray:
    """Return what the clocks of a zone show at some instants.

    times: int64 ns since 1970 UTC, in any order; the result is ns since 1970 of the wall clock.
    """
    if zone == "UTC" or not len(times):
        return times
    starts, offsets = _segments_around(times, zone)
    if len(starts) == 1:
        return np.add(times, offsets[:1])
    segment = np.searchsorted(starts, times, side="right") - 1
    return np.add(times, offsets[segment])


def first_instant(walls: IntArray, zone: str) -> IntArray:
    """Return the first instant at which the clocks of a zone show a time or, where they skip it, a later one.

    walls: int64 ns since 1970 of the wall clock; the result is int64 ns since 1970 UTC. Times that occur twice, when
    clocks are set back, give the first of the two.
    """
    if zone == "UTC" or not len(walls):
        return walls
    starts, offsets = _segments_around(walls, zone)
    reached = np.maximum.accumulate(starts[1:] + offsets[:-1])
    segment = np.searchsorted(reached, walls, side="right")
    return np.maximum(np.subtract(walls, offsets[segment]), starts[segment])


def _segments_around(times: IntArray, zone: str) -> tuple[IntArray, IntArray]:
    """Return the segments of constant offset that cover some times, with years to spare."""
    low, high = years_of(times)
    return _segments(zone, (low - 1) // 10 * 10, (high + 1) // 10 * 10 + 10)


@lru_cache(maxsize=128)
def _segments(zone: str, first_year: int, end_year: int) -> tuple[IntArray, IntArray]:
    """Return where the offset of a zone from UTC changes: starts [ns UTC, the first open] and offsets [ns], one per segment.

    The offset is read once a day and every change is then narrowed down to its second. No zone has changed its offset
    and back within a day.
    """
    rules = ZoneInfo(zone)

    def offset_at(second: int) -> int:
        delta = (_EPOCH + timedelta(seconds=second)).astimezone(rules).utcoffset()
        return 0 if delta is None else delta.days * 86_400 + delta.seconds

    first = int((datetime(first_year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    end = int((datetime(end_year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    starts, offsets = [], [offset_at(first)]
    for day in range(first, end, 86_400):
        after = offset_at(day + 86_400)
        if after == offsets[-1]:
            continue
        low, high = day, day + 86_400
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset_at(middle) == offsets[-1] else (low, middle)
        starts.append(high * _SECOND)
        offsets.append(after)
    return np.array([_ALWAYS, *starts], dtype=np.int64), np.array(offsets, dtype=np.int64) * _SECOND
