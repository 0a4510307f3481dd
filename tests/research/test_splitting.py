"""No bar is trained on and tested, purge and embargo are kept, paths go through all bars once, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from math import comb

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed
from ml4t_backtest.splitting import CalendarWindows, CombinatorialPurged, ExpandingWindows, RollingWindows, purged_k_fold, splits_frame

HOUR = 3_600 * 10**9


@given(
    bars=st.integers(2, 200),
    train=st.integers(1, 40),
    test=st.integers(1, 30),
    more=st.integers(0, 9),
    purge=st.integers(0, 10),
    partial=st.booleans(),
    kind=st.sampled_from([RollingWindows, ExpandingWindows]),
)
def test_windows(bars: int, train: int, test: int, more: int, purge: int, partial: bool, kind: type[RollingWindows]) -> None:
    purge = min(purge, train - 1)
    windows = kind(train, test, step=test + more, purge=purge, partial=partial)
    if bars < train + (1 if partial else test):
        with pytest.raises(ValueError, match="too few for train="):
            windows.split(np.arange(bars))
        return
    splits = windows.split(np.arange(bars))
    for number, split in enumerate(splits):
        start = number * (test + more)
        begin = 0 if kind is ExpandingWindows else start
        assert split.number == number
        assert split.train.tolist() == list(range(begin, start + train - purge))
        assert split.test.tolist() == list(range(start + train, min(start + train + test, bars)))
        assert len(split.test) == test or (partial and number == len(splits) - 1)
    following = len(splits) * (test + more) + train
    assert following >= bars if partial else following + test > bars


@given(
    gaps=st.lists(st.integers(1, 50), min_size=20, max_size=120),
    train=st.integers(20, 200),
    test=st.integers(10, 100),
    purge=st.integers(0, 19),
)
def test_windows_by_the_clock(gaps: list[int], train: int, test: int, purge: int) -> None:
    times = np.cumsum(gaps) * HOUR
    windows = RollingWindows(f"{train}h", timedelta(hours=test), purge=f"{purge}h" if purge else 0)
    hours = (times - times[0]) // HOUR
    end = hours[-1] + np.median(np.diff(hours))
    wanted = []
    for start in range(0, int(end), test):
        own = [
            np.flatnonzero((hours >= low) & (hours < high)).tolist()
            for low, high in ((start, start + train - purge), (start + train, start + train + test))
        ]
        if start + train + test <= end and all(own):
            wanted.append(own)
    if not wanted:
        with pytest.raises(ValueError, match="too few"):
            windows.split(times)
        return
    assert [[split.train.tolist(), split.test.tolist()] for split in windows.split(times)] == wanted


@given(
    bars=st.integers(12, 150),
    groups=st.integers(2, 7),
    tested=st.integers(1, 6),
    purge=st.integers(0, 4),
    embargo=st.integers(0, 4),
)
def test_combinatorial_splits(bars: int, groups: int, tested: int, purge: int, embargo: int) -> None:
    tested = min(tested, groups - 1)
    splitter = CombinatorialPurged(groups, tested, purge=purge, embargo=embargo)
    if bars // groups <= 2 * purge + embargo:
        with suppress(ValueError):
            splitter.split(np.arange(bars))
        return
    splits = splitter.split(np.arange(bars))
    assert len(splits) == splitter.n_splits == comb(groups, tested)
    for split in splits:
        train, test = split.masks(bars)
        assert not (train & test).any()
        for bar in range(bars):
            near = test[bar : bar + purge + 1].any() or test[max(bar - purge - embargo, 0) : bar + 1].any()
            assert train[bar] == (not near)
    paths = splitter.paths()
    assert paths.shape == (splitter.n_paths, groups)
    own = [np.array([g * bars // groups, (g + 1) * bars // groups]) for g in range(groups)]
    for path in paths:
        covered = np.zeros(bars, dtype=np.int64)
        for group, number in enumerate(path):
            assert group in splits[number].groups
            covered[own[group][0] : own[group][1]] += np.isin(np.arange(*own[group]), splits[number].test)
        assert (covered == 1).all()
    assert len({(group, number) for path in paths for group, number in enumerate(path)}) == paths.size


def test_the_published_number_of_paths() -> None:
    assert CombinatorialPurged(6, 2).n_splits == 15  # Lopez de Prado (2018), section 12.4
    assert CombinatorialPurged(6, 2).n_paths == 5
    assert purged_k_fold(5).n_splits == 5
    assert purged_k_fold(5, purge=1).paths().tolist() == [[0, 1, 2, 3, 4]]


def minutes(days: int = 10, per_day: int = 6) -> list[datetime]:
    return [datetime(2024, 1, 1) + timedelta(days=day, hours=10 + hour) for day in range(days) for hour in range(per_day)]


def test_sessions_are_never_cut() -> None:
    times = minutes()
    del times[3]  # a short day
    splits = RollingWindows(4, 2, purge=1, unit="sessions").split(times)
    assert [repr(split) for split in splits] == [
        "Split(0: train [0:17], test [23:35])",
        "Split(1: train [11:29], test [35:47])",
        "Split(2: train [23:41], test [47:59])",
    ]
    for split in CombinatorialPurged(5, 2, purge=1, unit="sessions").split(times):
        days = [times[bar].date() for bar in split.test.tolist()]
        assert all(days.count(day) == (5 if day.day == 1 else 6) for day in set(days))


def test_sessions_of_a_calendar() -> None:
    evening = [datetime(2024, 1, 2, 23) + timedelta(hours=12 * half) for half in range(6)]  # 23:00 and 11:00 UTC: one session
    splits = RollingWindows(1, 1, unit="sessions", calendar="CME_Equity").split(evening)
    assert [split.test.tolist() for split in splits] == [[2, 3], [4, 5]]


def test_calendar_windows() -> None:
    days = [datetime(2020, 1, 15) + timedelta(days=day) for day in range(365 * 3)]
    days = [day for day in days if day.weekday() < 5]
    frame = splits_frame(CalendarWindows("1y", train=1).split(days), pl.Series(days))
    assert frame["test_start"].to_list() == [datetime(2021, 1, 1), datetime(2022, 1, 3)]
    assert frame["train_start"].to_list() == [datetime(2020, 1, 15), datetime(2021, 1, 1)]
    assert frame["test_bars"].to_list() == [261, 260]
    growing = CalendarWindows("1q", first=4, purge=5, partial=True).split(days)
    assert len(growing) == 9
    for one, other in pairwise(growing):
        assert one.train[0] == other.train[0] == 0
        assert one.test[-1] + 1 == other.test[0]
        assert other.train[-1] + 6 == other.test[0]
    assert growing[-1].test[-1] == len(days) - 1
    months = CalendarWindows("1mo", train=2).split(days)
    assert len(months) == 34  # from 2020-03 to 2022-12; the days of 2023-01 are no whole month
    assert CalendarWindows("1y").split([datetime(2020, 12, 1), datetime(2021, 12, 31)])[0].test.tolist() == [1]


def test_splits_of_a_feed() -> None:
    times = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 10), "1d", eager=True, time_zone="UTC")
    feed = DataFeed(pl.DataFrame({"timestamp": times, "symbol": ["A"] * 10, "close": [1.0] * 10}))
    splits = RollingWindows("4d", "2d").split(feed)
    assert [split.test.tolist() for split in splits] == [[4, 5], [6, 7], [8, 9]]
    frame = splits_frame(splits, feed)
    assert frame["test_start"].to_list() == times.to_list()[4::2]
    assert frame.columns == ["split", "train_start", "train_end", "train_bars", "test_start", "test_end", "test_bars"]
    by_series = RollingWindows("4d", "2d").split(times)
    assert [repr(split) for split in by_series] == [repr(split) for split in splits]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RollingWindows(0, 5), ValueError, "train was 0, expected a whole number >= 1"),
        (lambda: RollingWindows(5, 2.5), TypeError, "test was 2.5, expected a whole number"),
        (lambda: RollingWindows(5, True), TypeError, "test was True"),
        (lambda: RollingWindows("5d", 5), ValueError, "train was '5d' and test 5: give whole numbers or durations, not both"),
        (lambda: RollingWindows("5 days", "1d"), ValueError, "train was '5 days', expected a whole number, a timedelta, or text"),
        (lambda: RollingWindows("0d", "1d"), ValueError, "train was '0d', expected a duration > 0"),
        (lambda: RollingWindows(5, 3, step=2), ValueError, "step was 2 and test 3: tests would overlap"),
        (lambda: RollingWindows(5, 3, purge=5), ValueError, "purge was 5 and train 5: nothing is left to train on"),
        (lambda: RollingWindows(5, 3, unit="session"), ValueError, "unit was 'session'.*did you mean 'sessions'"),
        (lambda: RollingWindows("5d", "3d", unit="sessions"), ValueError, "sessions are counted with whole numbers"),
        (lambda: RollingWindows(5, 3).split([3, 1, 2]), ValueError, "times are not ascending: number 1"),
        (lambda: RollingWindows(5, 3).split([1, 1, 2]), ValueError, "times are not ascending: number 1"),
        (lambda: RollingWindows(5, 3).split([]), ValueError, "no times to split"),
        (lambda: RollingWindows(5, 3).split(np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")), ValueError, "time 1 is missing"),
        (lambda: RollingWindows(5, 3).split(np.zeros((2, 2), dtype=int)), ValueError, "times have 2 dimensions"),
        (lambda: RollingWindows(5, 3).split(np.arange(7)), ValueError, "7 bars are too few for train=5 and test=3"),
        (lambda: RollingWindows("5d", "3d").split([0, HOUR]), ValueError, "bars over 2:00:00 are too few"),
        (lambda: CombinatorialPurged(1), ValueError, "groups was 1, expected a whole number >= 2"),
        (lambda: CombinatorialPurged(4, 4), ValueError, "test_groups was 4 of 4 groups: none is left to train on"),
        (lambda: CombinatorialPurged(40, 20), ValueError, "20 of 40 groups make 137,846,528,820 splits"),
        (lambda: CombinatorialPurged(6).split(np.arange(5)), ValueError, "5 bars are too few for 6 groups"),
        (lambda: CombinatorialPurged(3, 2, purge=3, embargo=4).split(np.arange(12)), ValueError, "purge=3 and embargo=4 leave nothing"),
        (lambda: CalendarWindows("1m"), ValueError, "every was '1m', expected one of .*did you mean '1mo'"),
        (lambda: CalendarWindows("1y", train=0), ValueError, "train was 0"),
        (lambda: CalendarWindows("1mo").split([datetime(2024, 1, 1)]), ValueError, "1 periods of 1mo are too few"),
        (lambda: CalendarWindows("1mo", purge=9).split(minutes(60, 1)[25:]), ValueError, "purge=9 leaves nothing of the 6 training bars"),
    ],
)
def test_bad_arguments(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()  # type: ignore[operator]
