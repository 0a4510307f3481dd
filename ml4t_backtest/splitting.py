"""Bars to choose parameters on, and bars to try them on: walk-forward windows and combinatorial purged cross-validation.

A splitter is a plain object; `split(feed)` gives a list of `Split`, each with the numbers of its training and of its test bars. No bar
is in both. Lengths are whole numbers or durations, all of one splitter alike:

* a whole number counts bars, or sessions with `unit="sessions"` (dates; with `calendar=` the sessions of that calendar);
* a `timedelta`, or text such as "90d", "8h", "30min" (w, d, h, min, s), is clock time from the first bar on. Windows that hold no bar
  are left out.

`purge` takes bars off the training on which a position or a label reaches into the test: as many as it may last. `embargo` takes more
off after a test, where prices still remember it. After Marcos Lopez de Prado, Advances in Financial Machine Learning (2018), chapters 7
and 12.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import polars as pl

    from ml4t_kernels.dtypes import IntArray

__all__ = [
    "CalendarWindows",
    "CombinatorialPurged",
    "ExpandingWindows",
    "RollingWindows",
    "Split",
    "purged_k_fold",
    "splits_frame",
]

Length: TypeAlias = "int | str | timedelta"

_UNITS = ("bars", "sessions")
_DURATION = re.compile(r"(\d+)\s*(w|d|h|min|s)")
_NANOSECONDS = {"w": 604_800 * 10**9, "d": 86_400 * 10**9, "h": 3_600 * 10**9, "min": 60 * 10**9, "s": 10**9}
_MONTHS = {"1mo": 1, "1q": 3, "1y": 12}
_MOST_SPLITS = 1_000_000
_TWO = 2


@dataclass(frozen=True, eq=False)
class Split:
    """One division of the bars.

    number: from 0. train, test: int64 numbers of bars, ascending, without one in common. groups: of cross-validation, the groups that
    are tested.
    """

    number: int
    train: IntArray
    test: IntArray
    groups: tuple[int, ...] = ()

    def masks(self, bars: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return the training and the test bars as bool[bars]."""
        train, test = np.zeros(bars, dtype=np.bool_), np.zeros(bars, dtype=np.bool_)
        train[self.train], test[self.test] = True, True
        return train, test

    def __repr__(self) -> str:
        return f"Split({self.number}: train {_spans(self.train)}, test {_spans(self.test)})"


def _spans(bars: IntArray) -> str:
    breaks = np.flatnonzero(np.diff(bars) != 1)
    firsts, lasts = bars[np.append(0, breaks + 1)], bars[np.append(breaks, len(bars) - 1)]
    return ", ".join(f"[{first}:{last + 1}]" for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True))


# Walk-forward ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RollingWindows:
    """Training windows of one length, each followed by its test.

    train, test: lengths. step: from one test to the next; None for the length of the test, so that tests follow one another. A step
    shorter than the test is refused: tests would overlap. purge: taken off the end of each training window. unit: "bars" or
    "sessions" for whole numbers. calendar, timezone: as `BacktestConfig` has them, for sessions.

    A last test that the data cuts short is left out, unless `partial` (by the clock, the last bar lasts as long as bars usually do).
    Raises ValueError for lengths <= 0 (purge < 0), of different kinds, and a purge that leaves nothing to train on.
    """

    train: Length
    test: Length
    step: Length | None = None
    purge: Length = 0
    unit: str = "bars"
    calendar: str | None = None
    timezone: str = "UTC"
    partial: bool = False

    _expanding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_windows(self)

    def split(self, feed: Any) -> list[Split]:
        """Return the windows of a feed, or of times (a series, datetimes, int64 ns). Raises ValueError for too few or unsorted times."""
        return _walk(self, feed, expanding=self._expanding)


@dataclass(frozen=True)
class ExpandingWindows(RollingWindows):
    """Training windows that all begin with the first bar, each followed by its test: anchored walk-forward.

    train: length of the first training window; it grows by `step`. All else as `RollingWindows`.
    """

    _expanding: ClassVar[bool] = True


def _check_windows(windows: RollingWindows) -> None:
    _unit_of(windows.unit)
    train, test = _length(windows.train, "train"), _length(windows.test, "test")
    step = test if windows.step is None else _length(windows.step, "step")
    purge = _length(windows.purge, "purge", least=0)
    for name, value in (("test", test), ("step", step), ("purge", purge)):
        if value[0] != train[0] and not (name == "purge" and value[1] == 0):
            raise ValueError(
                f"train was {windows.train!r} and {name} {getattr(windows, name)!r}: give whole numbers or durations, not both"
            )
    if train[0] == "duration" and windows.unit == "sessions":
        raise ValueError(f"unit was 'sessions' and train {windows.train!r}: sessions are counted with whole numbers")
    if purge[1] >= train[1]:
        raise ValueError(f"purge was {windows.purge!r} and train {windows.train!r}: nothing is left to train on; train longer")
    if step[1] < test[1]:
        raise ValueError(f"step was {windows.step!r} and test {windows.test!r}: tests would overlap; step >= test")


def _walk(windows: RollingWindows, feed: Any, *, expanding: bool) -> list[Split]:
    times = _times_of(feed)
    kind, train = _length(windows.train, "train")
    test, purge = _length(windows.test, "test")[1], _length(windows.purge, "purge", least=0)[1]
    step = test if windows.step is None else _length(windows.step, "step")[1]
    if kind == "duration":
        places = times - times[0]
        end = int(places[-1]) + (int(np.median(np.diff(times))) if len(times) > 1 else 1)  # the last bar lasts as long as a usual one
    else:
        places = _units(times, windows.unit, windows.calendar, windows.timezone)
        end = int(places[-1]) + 1
    splits: list[Split] = []
    for start in range(0, end, step):
        middle, last = start + train, start + train + test
        if middle >= end or (last > end and not windows.partial):
            break
        begin = 0 if expanding else start
        first, cut, opening, closing = np.searchsorted(places, [begin, middle - purge, middle, last]).tolist()
        if cut > first and closing > opening:
            splits.append(Split(len(splits), np.arange(first, cut), np.arange(opening, closing)))
    if not splits:
        have = f"{end} {windows.unit}" if kind == "count" else f"bars over {timedelta(microseconds=end // 1000)}"
        raise ValueError(f"{have} are too few for train={windows.train!r} and test={windows.test!r}; give shorter windows, or more data")
    return splits


@dataclass(frozen=True)
class CalendarWindows:
    """Tests that are whole months, quarters or years of the calendar, trained on the periods before.

    every: "1mo", "1q" or "1y", the length of a test and of a period. train: number of periods before it to train on; None for all
    there are, `first` of them at least. purge: bars taken off the end of the training. timezone: whose dates count. The first period may be
    incomplete. The last one is left out when a weekday of it comes after the last bar, unless `partial`.
    """

    every: str
    train: int | None = None
    first: int = 1
    purge: int = 0
    timezone: str = "UTC"
    partial: bool = False

    def __post_init__(self) -> None:
        if self.every not in _MONTHS:
            raise ValueError(f"every was {self.every!r}, expected one of {list(_MONTHS)}{did_you_mean(str(self.every), _MONTHS)}")
        for name, least in (("first", 1), ("purge", 0), *((("train", 1),) if self.train is not None else ())):
            _whole(getattr(self, name), name, least)

    def split(self, feed: Any) -> list[Split]:
        """Return the windows, as `RollingWindows.split`. Raises ValueError where a purge leaves nothing to train on."""
        from ml4t_backtest.calendar.zones import DAY, local_wall, zone_name

        times = _times_of(feed)
        days = (local_wall(times, zone_name(self.timezone)) // DAY).astype("datetime64[D]")
        periods = days.astype("datetime64[M]").astype(np.int64) // _MONTHS[self.every]
        starts = np.append(np.flatnonzero(np.diff(periods, prepend=periods[0] - 1)), len(times)).tolist()
        before = self.first if self.train is None else self.train
        splits: list[Split] = []
        for period in range(before, len(starts) - 1):
            if period == len(starts) - _TWO and not self.partial and not self._complete(days[-1]):
                break
            start = 0 if self.train is None else starts[period - self.train]
            if starts[period] - self.purge <= start:
                raise ValueError(
                    f"purge={self.purge} leaves nothing of the {starts[period] - start} training bars before bar {starts[period]}"
                )
            splits.append(Split(len(splits), np.arange(start, starts[period] - self.purge), np.arange(starts[period], starts[period + 1])))
        if not splits:
            raise ValueError(f"{len(starts) - 1} periods of {self.every} are too few to train on {before} and test on a whole one")
        return splits

    def _complete(self, last: np.datetime64) -> bool:
        """Tell whether the last period is over: no weekday of it comes after the last bar."""
        following = np.busday_offset(last + 1, 0, roll="forward")
        months = np.array([last, following], dtype="datetime64[M]").astype(np.int64) // _MONTHS[self.every]
        return bool(months[0] != months[1])


# Cross-validation --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CombinatorialPurged:
    """Every choice of `test_groups` out of `groups` consecutive groups of bars is tested once, trained on the rest.

    groups: number of groups, as equal in length as can be. test_groups: how many of them are tested at a time. purge, embargo: training
    before a test ends `purge` early; training after one begins `purge + embargo` late. unit: "bars" or "sessions" for groups, purge and
    embargo; a session is never cut. calendar, timezone: as `BacktestConfig` has them, for sessions.

    Source: Lopez de Prado (2018), chapter 12. Raises ValueError for fewer than two groups, test_groups that leave none to train on, and
    more than a million splits.
    """

    groups: int = 6
    test_groups: int = 2
    purge: int = 0
    embargo: int = 0
    unit: str = "bars"
    calendar: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        _unit_of(self.unit)
        for name, least in (("groups", 2), ("test_groups", 1), ("purge", 0), ("embargo", 0)):
            _whole(getattr(self, name), name, least)
        if self.test_groups >= self.groups:
            raise ValueError(f"test_groups was {self.test_groups} of {self.groups} groups: none is left to train on")
        if self.n_splits > _MOST_SPLITS:
            raise ValueError(f"{self.test_groups} of {self.groups} groups make {self.n_splits:,} splits, expected at most {_MOST_SPLITS:,}")

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return math.comb(self.groups, self.test_groups)

    @property
    def n_paths(self) -> int:
        """Number of ways through all bars that can be put together from the tests, each bar being tested once in each."""
        return self.n_splits * self.test_groups // self.groups

    def split(self, feed: Any) -> list[Split]:
        """Return the splits of a feed, or of times (a series, datetimes, int64 ns).

        Raises ValueError for fewer bars (sessions) than groups, unsorted times, and a split of which purge and embargo leave no training.
        """
        times = _times_of(feed)
        places = _units(times, self.unit, self.calendar, self.timezone)
        units = int(places[-1]) + 1
        if units < self.groups:
            raise ValueError(f"{units} {self.unit} are too few for {self.groups} groups")
        edges = [group * units // self.groups for group in range(self.groups + 1)]
        bars = np.searchsorted(places, np.arange(units + 1))
        return [self._one(number, chosen, edges, bars) for number, chosen in enumerate(combinations(range(self.groups), self.test_groups))]

    def _one(self, number: int, chosen: tuple[int, ...], edges: list[int], bars: IntArray) -> Split:
        units = edges[-1]
        tested, kept = np.zeros(units, dtype=np.bool_), np.ones(units, dtype=np.bool_)
        for group in chosen:
            tested[edges[group] : edges[group + 1]] = True
            kept[max(edges[group] - self.purge, 0) : edges[group + 1] + self.purge + self.embargo] = False
        lengths = np.diff(bars)
        train, test = np.flatnonzero(np.repeat(kept, lengths)), np.flatnonzero(np.repeat(tested, lengths))
        if not len(train):
            raise ValueError(
                f"purge={self.purge} and embargo={self.embargo} leave nothing to train on where the groups {list(chosen)} are tested"
                f" (groups have {units // self.groups} {self.unit}); make them shorter, or take fewer groups"
            )
        return Split(number, train.astype(np.int64), test.astype(np.int64), chosen)

    def paths(self) -> IntArray:
        """Return int64[n_paths, groups]: the number of the split from which each path takes each group."""
        splits: list[list[int]] = [[] for _ in range(self.groups)]
        for number, chosen in enumerate(combinations(range(self.groups), self.test_groups)):
            for group in chosen:
                splits[group].append(number)
        return np.array(splits, dtype=np.int64).T


def purged_k_fold(folds: int, *, purge: int = 0, embargo: int = 0, **options: Any) -> CombinatorialPurged:
    """Return the splitter that tests each of `folds` groups once, trained on the others; arguments as `CombinatorialPurged`."""
    return CombinatorialPurged(groups=folds, test_groups=1, purge=purge, embargo=embargo, **options)


def splits_frame(splits: Sequence[Split], feed: Any) -> pl.DataFrame:
    """Return one row per split: split, train_start, train_end, train_bars, test_start, test_end, test_bars.

    feed: what was split. Starts and ends are the times of the first and the last bar, Datetime[us] in the time zone of a feed.
    """
    import polars as pl

    from ml4t_backtest.frames import time_series

    times = _times_of(feed)
    zone = getattr(getattr(feed, "panels", None), "zone", None)
    columns = [pl.Series("split", [split.number for split in splits], dtype=pl.Int64)]
    for part in ("train", "test"):
        bars: list[IntArray] = [getattr(split, part) for split in splits]
        for name, place in (("start", 0), ("end", -1)):
            chosen = times[np.array([own[place] for own in bars], dtype=np.int64)]
            columns.append(time_series(f"{part}_{name}", chosen, zone))
        columns.append(pl.Series(f"{part}_bars", [len(own) for own in bars], dtype=pl.Int64))
    return pl.DataFrame(columns)


# Arguments ---------------------------------------------------------------------------------------------------------------


def _unit_of(unit: str) -> None:
    if unit not in _UNITS:
        raise ValueError(f"unit was {unit!r}, expected one of {list(_UNITS)}{did_you_mean(str(unit), _UNITS)}")


def _whole(value: Any, name: str, least: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} was {value!r}, expected a whole number")
    if value < least:
        raise ValueError(f"{name} was {value}, expected a whole number >= {least}")
    return int(value)


def _length(value: Length, name: str, least: int = 1) -> tuple[str, int]:
    """Return "count" and a number of bars or sessions, or "duration" and ns."""
    if isinstance(value, timedelta):
        length = (value.days * 86_400 + value.seconds) * 10**9 + value.microseconds * 1000
    elif isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(
                f"{name} was {value!r}, expected a whole number, a timedelta, or text such as '90d' or '8h' (CalendarWindows has years)"
            )
        length = int(match[1]) * _NANOSECONDS[match[2]]
    else:
        return "count", _whole(value, name, least)
    if length < least:
        raise ValueError(f"{name} was {value!r}, expected a duration > 0")
    return "duration", length


def _times_of(feed: Any) -> IntArray:
    """Return the times of a feed, or given ones, as int64 ns. Raises ValueError for none, missing and unsorted ones."""
    panels = getattr(feed, "panels", None)
    if panels is not None:
        times = panels.times
    else:
        times = feed.to_numpy() if hasattr(feed, "to_numpy") else feed
        times = np.asarray(times)
        if times.dtype.kind != "i":
            times = times.astype("datetime64[ns]")
            if np.isnat(times).any():
                raise ValueError(f"time {int(np.argmax(np.isnat(times)))} is missing")
        times = times.astype(np.int64)
    if times.ndim != 1 or not len(times):
        raise ValueError("there are no times to split" if times.ndim == 1 else f"times have {times.ndim} dimensions, expected one")
    back = np.flatnonzero(times[1:] <= times[:-1])
    if len(back):
        raise ValueError(
            f"times are not ascending: number {int(back[0]) + 1} is not after the one before; sort them, and give each bar once"
        )
    ascending: IntArray = times
    return ascending


def _units(times: IntArray, unit: str, calendar: str | None, timezone: str) -> IntArray:
    """Return the number of the bar or of the session, counted from 0, for every bar."""
    if unit == "bars":
        return np.arange(len(times), dtype=np.int64)
    from ml4t_backtest.sessions import FIRST_BAR, session_numbers

    _, flags = session_numbers(times, calendar=calendar, timezone=timezone)
    return np.cumsum((flags & FIRST_BAR) > 0).astype(np.int64) - 1
