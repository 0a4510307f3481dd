"""Sessions: the scalar rule, the whole-column rule, profit and loss by session, and the session of every bar."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.calendar import get_trading_days, is_market_open, is_trading_day
from ml4t_backtest.sessions import (
    FIRST_BAR,
    LAST_BAR,
    SessionConfig,
    align_to_sessions,
    assign_session_date,
    compute_session_pnl,
    session_numbers,
    sessions_open,
)

CHICAGO, NEW_YORK = ZoneInfo("America/Chicago"), ZoneInfo("America/New_York")
ZONES = sorted(available_timezones())
CME = SessionConfig("CME_Equity", "America/Chicago")
NUMBERS = st.floats(1.0, 1e6, allow_nan=False)


def nanoseconds(*times: datetime) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return datetimes, naive ones as UTC, as ns since 1970."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    aware = [when if when.tzinfo else when.replace(tzinfo=UTC) for when in times]
    return np.array([(when - epoch) // timedelta(microseconds=1) * 1000 for when in aware], dtype=np.int64)


def number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def test_the_printed_examples_run() -> None:
    chicago = ZoneInfo("America/Chicago")
    session = assign_session_date(
        timestamp=datetime(2024, 1, 8, 18, 0, tzinfo=chicago),
        timezone=chicago,
        session_start_hour=17,
    )
    assert session == datetime(2024, 1, 9)
    config = SessionConfig(
        calendar="CME_Equity",
        timezone="America/Chicago",
        session_start_time="17:00",
    )
    my_df = pl.DataFrame({"timestamp": [datetime(2024, 1, 8, hour) for hour in (16, 18)]})
    df_with_sessions = align_to_sessions(my_df, config, timestamp_col="timestamp")
    assert df_with_sessions["session_date"].to_list() == [date(2024, 1, 8), date(2024, 1, 9)]
    session_pnl = compute_session_pnl([(when, 100.0) for (when,) in my_df.iter_rows()], config)
    printed = ["session_date", "session_start", "session_end", "open_equity", "close_equity", "high_equity", "low_equity"]
    assert {*printed, "pnl", "return_pct", "cumulative_return", "intra_session_dd"} <= set(session_pnl.columns)


@pytest.mark.parametrize(
    ("local", "hour", "minute", "expected"),
    [
        (datetime(2024, 1, 8, 18), 17, 0, 9),
        (datetime(2024, 1, 8, 17), 17, 0, 9),
        (datetime(2024, 1, 8, 16, 59, 59, 999999), 17, 0, 8),
        (datetime(2024, 1, 9, 3), 17, 0, 9),
        (datetime(2024, 1, 8, 12), 12, 0, 9),
        (datetime(2024, 1, 8, 11, 59), 11, 59, 8),
        (datetime(2024, 1, 8, 11, 58), 11, 59, 7),
        (datetime(2024, 1, 8, 9, 29), 9, 30, 7),
        (datetime(2024, 1, 8, 9, 30), 9, 30, 8),
        (datetime(2024, 1, 8), 0, 0, 8),
        (datetime(2024, 1, 8, 23, 59), 0, 0, 8),
        (datetime(2024, 3, 10, 17), 17, 0, 11),  # clocks went forward that morning
        (datetime(2024, 3, 10, 16, 59), 17, 0, 10),
        (datetime(2024, 11, 3, 17), 17, 0, 4),  # and back on this one
        (datetime(2024, 11, 3, 16, 59), 17, 0, 3),
    ],
)
def test_session_dates_by_the_wall_clock(local: datetime, hour: int, minute: int, expected: int) -> None:
    aware = local.replace(tzinfo=CHICAGO)
    forms: list[Any] = [
        local,
        aware,
        aware.astimezone(UTC),
        aware.astimezone(ZoneInfo("Asia/Tokyo")),
        pd.Timestamp(aware),
        local.isoformat(),
    ]
    for form in forms:
        for zone in (CHICAGO, "America/Chicago"):
            session = assign_session_date(form, zone, hour, minute)
            assert session.day == expected
            assert type(session) is datetime
            assert (session.tzinfo, session.time()) == (None, time(0))
    assert assign_session_date(local, timezone(timedelta(hours=-6)), hour, minute).day == expected


@given(
    st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2150, 1, 1)), min_size=1, max_size=8),
    st.sampled_from(ZONES),
    st.sampled_from([*ZONES[::40], None]),
    st.times(),
)
def test_whole_columns_agree_with_single_times(times: list[datetime], name: str, column: str | None, start: time) -> None:
    config = SessionConfig("24/7", name, f"{start:%H:%M}")
    series = pl.Series("when", times, dtype=pl.Datetime("us"))
    moments = times
    if column is not None:
        series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(column)
        moments = [when.replace(tzinfo=UTC) for when in times]
    expected = [assign_session_date(when, name, start.hour, start.minute).date() for when in moments]
    frame = align_to_sessions(series.to_frame(), config, "when")
    assert frame["session_date"].to_list() == expected
    assert frame["when"].equals(series)


def test_aligning_replaces_keeps_and_accepts() -> None:
    df = pl.DataFrame({"timestamp": [datetime(2024, 1, 8, 18), datetime(2024, 1, 5)], "session_date": ["x", "y"], "close": [1, 2]})
    expected = [date(2024, 1, 9), date(2024, 1, 5)]
    for source in (df, df.lazy(), df.to_arrow(), df.to_pandas()):
        aligned = align_to_sessions(source, CME)
        assert aligned["session_date"].to_list() == expected
        assert aligned.columns == df.columns
    empty = align_to_sessions(df.clear(), CME)
    assert (len(empty), empty["session_date"].dtype) == (0, pl.Date)
    with pytest.raises(ValueError, match="no column 'time'"):
        align_to_sessions(df, CME, "time")


def test_default_starts_and_spellings() -> None:
    starts = {
        **dict.fromkeys(("CME_Equity", "CME_Agriculture", "CME_Interest_Rate", "CBOT", "CME", "CME_InterestRate"), time(17)),
        **dict.fromkeys(("NYMEX", "COMEX", "CMEGlobex_Energy"), time(18)),
        **dict.fromkeys(("NYSE", "NASDAQ", "XNYS", "nyse"), time(9, 30)),
        "LSE": time(8),
        "XETRA": time(9),
        "XETR": time(9),
        "JPX": time(0),
        "24/7": time(0),
    }
    assert {name: SessionConfig(name).start for name in starts} == starts
    assert SessionConfig("NYSE").timezone == "UTC"
    assert SessionConfig("NYSE", session_start_time=time(7, 5)).session_start_time == "07:05"  # type: ignore[arg-type]
    assert SessionConfig("NYSE", NEW_YORK, "7:05").start == time(7, 5)  # type: ignore[arg-type]
    build: Any = SessionConfig
    assert build(calendar_id="CME", tz="America/Chicago", session_start="16:00") == SessionConfig("CME", "America/Chicago", "16:00")
    for twin in (copy.deepcopy(CME), pickle.loads(pickle.dumps(CME))):
        assert (twin, twin.start) == (CME, time(17))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("CME_Equty",), ValueError, "calendar was 'CME_Equty'.*did you mean 'CME_Equity'"),
        (("CME_Equity", "America/Chcago"), ValueError, "timezone was 'America/Chcago'.*did you mean 'America/Chicago'"),
        (("CME_Equity", "UTC", "5pm"), ValueError, "session_start_time was '5pm', expected a time of the day"),
        (("CME_Equity", "UTC", "24:00"), ValueError, "session_start_time was '24:00'"),
        (("CME_Equity", "UTC", "17:00:30"), ValueError, "session_start_time was '17:00:30'"),
        (("CME_Equity", "UTC", time(17, 0, 30)), ValueError, "session_start_time was datetime.time"),
        (("CME_Equity", "UTC", 17), ValueError, "session_start_time was 17"),
        ((None,), TypeError, "calendar was a NoneType"),
    ],
)
def test_bad_settings_are_refused(arguments: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        SessionConfig(*arguments)
    with pytest.raises(ValueError, match="expected an hour 0 to 23"):
        assign_session_date(datetime(2024, 1, 1), "UTC", 24)


def curve(zone: str | None) -> list[tuple[datetime, float]]:
    """Return bars over the change of clocks in March 2024: one on Friday, three in Monday's session, two in Tuesday's."""
    local = [(8, 15), (10, 17), (11, 9), (11, 16), (11, 17), (12, 10)]
    values = [100.0, 102.0, 110.0, 99.0, 98.0, 105.0]
    times = [datetime(2024, 3, day, hour, tzinfo=CHICAGO) for day, hour in local]
    shown = [when.replace(tzinfo=None) if zone is None else when.astimezone(ZoneInfo(zone)) for when in times]
    return list(zip(shown, values, strict=True))


@pytest.mark.parametrize("zone", [None, "UTC", "America/Chicago", "Asia/Tokyo"])
def test_profit_and_loss_by_session(zone: str | None) -> None:
    frame = compute_session_pnl(curve(zone), CME)
    assert frame["session_date"].to_list() == [date(2024, 3, 8), date(2024, 3, 11), date(2024, 3, 12)]
    starts = [datetime(2024, 3, day, 17, tzinfo=CHICAGO) for day in (7, 10, 11)]
    ends = [datetime(2024, 3, day, 17, tzinfo=CHICAGO) for day in (8, 11, 12)]
    bare = [when.replace(tzinfo=None) for when in starts] if zone is None else starts
    assert frame["session_start"].to_list() == bare
    assert frame["session_start"].dtype == frame["session_end"].dtype == pl.Datetime("us", zone)
    assert frame["session_end"].to_list() == ([when.replace(tzinfo=None) for when in ends] if zone is None else ends)
    assert frame["open_equity"].to_list() == [100.0, 102.0, 98.0]
    assert frame["close_equity"].to_list() == [100.0, 99.0, 105.0]
    assert frame["high_equity"].to_list() == [100.0, 110.0, 105.0]
    assert frame["low_equity"].to_list() == [100.0, 99.0, 98.0]
    assert frame["num_bars"].to_list() == [1, 3, 2]
    assert frame["pnl"].to_list() == [0.0, -3.0, 7.0]
    assert frame["overnight_pnl"].to_list() == [0.0, 2.0, -1.0]
    assert frame["return_pct"].to_list() == pytest.approx([0.0, -0.01, 6 / 99])
    assert frame["intra_session_dd"].to_list() == pytest.approx([0.0, -0.1, 0.0])
    assert frame["cumulative_return"].to_list() == pytest.approx([0.0, -0.01, 0.05])


def test_every_kind_of_curve_gives_the_same_frame() -> None:
    pairs = curve("UTC")
    frame = pl.DataFrame(pairs, schema={"timestamp": pl.Datetime("us", "UTC"), "equity": pl.Float64}, orient="row")
    expected = compute_session_pnl(pairs, CME)
    kept = SimpleNamespace(timestamps=[when for when, _ in pairs], values=[value for _, value in pairs])
    for source in (frame, frame.lazy(), frame.to_pandas(), frame.to_arrow(), tuple(pairs), kept):
        assert compute_session_pnl(source, CME).equals(expected)
    offset = [(when.astimezone(timezone(timedelta(hours=9))), value) for when, value in pairs]
    assert compute_session_pnl(offset, CME).equals(expected)
    for empty in ([], frame.clear()):
        assert compute_session_pnl(empty, CME).select(pl.all().exclude("session_start", "session_end")).schema == (
            expected.select(pl.all().exclude("session_start", "session_end")).schema
        )
    dated: list[Any] = [(date(2024, 1, 5), 1.0), (date(2024, 1, 6), 2.0)]
    assert compute_session_pnl(dated, CME)["session_date"].to_list() == [day for day, _ in dated]
    below = compute_session_pnl([(pairs[0][0], -5.0), (pairs[1][0], -6.0)], CME)
    assert below.select("return_pct", "intra_session_dd", "cumulative_return").rows() == [(0.0, 0.0, 0.0)] * 2


@given(st.lists(st.tuples(st.integers(1, 90_000), NUMBERS), min_size=1, max_size=60), st.sampled_from(ZONES), st.times())
def test_sessions_divide_the_curve(steps: list[tuple[int, float]], name: str, start: time) -> None:
    config = SessionConfig("24/7", name, f"{start:%H:%M}")
    seconds = np.cumsum([step for step, _ in steps])
    pairs = [(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=int(s)), value) for s, (_, value) in zip(seconds, steps, strict=True)]
    frame = compute_session_pnl(pairs, config)
    assert frame["num_bars"].sum() == len(pairs)
    assert (frame["pnl"] + frame["overnight_pnl"]).sum() == pytest.approx(pairs[-1][1] - pairs[0][1], abs=1e-6)
    row = 0
    for session in frame.iter_rows(named=True):
        bars = pairs[row : row + session["num_bars"]]
        values = [value for _, value in bars]
        row += len(bars)
        assert session["session_start"] <= bars[0][0]
        assert bars[-1][0] < session["session_end"]
        assert (session["open_equity"], session["close_equity"]) == (values[0], values[-1])
        assert (session["high_equity"], session["low_equity"]) == (max(values), min(values))
        falls = [value / max(values[: place + 1]) - 1.0 for place, value in enumerate(values)]
        assert session["intra_session_dd"] == pytest.approx(min(falls))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([(datetime(2024, 1, 2), 1.0), (datetime(2024, 1, 1), 1.0)], "not in order of time: row 1"),
        ([(datetime(2024, 1, 1), 1.0), (datetime(2024, 1, 2, tzinfo=UTC), 1.0)], "mixes time zones"),
        ([(datetime(2024, 1, 1, tzinfo=CHICAGO), 1.0), (datetime(2024, 1, 2, tzinfo=UTC), 1.0)], "mixes time zones"),
        ([(datetime(2024, 1, 1), float("nan"))], "row 0 is nan, expected finite"),
        ([(datetime(2024, 1, 1), float("inf"))], "row 0 is inf, expected finite"),
        ([(None, 1.0)], "timestamp 0 of the equity curve was None"),
        (pl.DataFrame({"timestamp": [datetime(2024, 1, 1)], "value": [1.0]}), "needs a column 'equity'"),
        (pl.DataFrame({"timestamp": [datetime(2024, 1, 1)], "equity": ["1"]}), "needs a column 'equity' of numbers"),
    ],
)
def test_bad_curves_are_refused(bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute_session_pnl(bad, CME)


def test_without_a_calendar_a_session_is_a_date() -> None:
    times = nanoseconds(*(datetime(2024, 3, 9, 22) + timedelta(hours=3 * n) for n in range(5)))
    numbers, flags = session_numbers(times, calendar=None)
    assert (numbers.dtype, flags.dtype) == (np.int64, np.uint8)
    assert numbers.tolist() == [number(date(2024, 3, 9))] + [number(date(2024, 3, 10))] * 4
    assert flags.tolist() == [FIRST_BAR | LAST_BAR, FIRST_BAR, 0, 0, LAST_BAR]
    numbers, flags = session_numbers(times, calendar=None, timezone="America/Chicago")
    assert numbers.tolist() == [number(date(2024, 3, 9))] * 3 + [number(date(2024, 3, 10))] * 2
    assert flags.tolist() == [1, 0, 2, 1, 2]


def test_bars_between_sessions_belong_to_the_next_one() -> None:
    local = [(8, 9, 0), (8, 9, 30), (8, 16, 0), (8, 16, 1), (9, 12, 0), (11, 9, 29), (11, 15, 59), (11, 16, 1), (12, 0, 0)]
    times = nanoseconds(*(datetime(2024, 3, day, hour, minute, tzinfo=NEW_YORK) for day, hour, minute in local))
    numbers, flags = session_numbers(times, calendar="NYSE", timezone="America/New_York")
    friday, monday = number(date(2024, 3, 8)), number(date(2024, 3, 11))
    assert numbers.tolist() == [friday] * 3 + [monday] * 6  # the last two come after the last session of the data
    assert flags.tolist() == [1, 0, 2, 1, 0, 0, 0, 0, 2]


@pytest.mark.parametrize("week", [date(2024, 3, 8), date(2024, 11, 1)])
def test_overnight_sessions_over_changes_of_clocks(week: date) -> None:
    start = datetime(week.year, week.month, week.day, tzinfo=UTC)
    moments = [start + timedelta(minutes=10 * n) for n in range(6 * 24 * 5)]
    numbers, _ = session_numbers(nanoseconds(*moments), calendar="CME_Equity", timezone="America/Chicago")
    for moment, session in zip(moments, numbers.tolist(), strict=True):
        if is_market_open("CME_Equity", moment):
            assert session == number(assign_session_date(moment, CHICAGO, 17).date())
    assert (np.diff(numbers) >= 0).all()
    assert len(np.unique(numbers)) == 4
    opened = sessions_open(nanoseconds(*moments), "CME_Equity", "America/Chicago", "minute")
    assert opened.tolist() == [is_market_open("CME_Equity", moment) for moment in moments]


@pytest.mark.parametrize("calendar", [None, "NYSE", "CME_Equity", "JPX", "24/7"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "America/Chicago", "Asia/Tokyo"])
@pytest.mark.parametrize("stamp", ["UTC", "zone"])
@pytest.mark.parametrize("weekends", [True, False])
def test_daily_bars_are_a_session_each(calendar: str | None, zone: str, stamp: str, weekends: bool) -> None:
    clocks = ZoneInfo("UTC" if stamp == "UTC" else zone)
    every = [date(2024, 2, 26) + timedelta(days=n) for n in range(273)]
    days = every if weekends else [day for day in every if is_trading_day(day, calendar or "NYSE")]
    times = nanoseconds(*(datetime(day.year, day.month, day.day, tzinfo=clocks) for day in days))
    numbers, flags = session_numbers(times, calendar=calendar, timezone=zone)
    assert (np.diff(numbers) > 0).all()
    assert set(flags.tolist()) == {FIRST_BAR | LAST_BAR}
    if calendar is not None:
        for by in ("day", "minute"):
            assert sessions_open(times, calendar, zone, by).tolist() == [is_trading_day(day, calendar) for day in days]


def test_daily_bars_stamped_at_the_close_survive_early_closes() -> None:
    days = get_trading_days("NYSE", "2024-06-28", "2024-07-10").to_list()  # 3 July closes at 13:00
    times = nanoseconds(*(datetime(day.year, day.month, day.day, 16, tzinfo=NEW_YORK) for day in days))
    numbers, flags = session_numbers(times, calendar="NYSE", timezone="America/New_York")
    assert numbers.tolist() == [number(day) for day in days]
    assert set(flags.tolist()) == {3}
    assert sessions_open(times, "NYSE", "America/New_York", "day").all()


@given(
    st.lists(st.integers(0, 900_000), min_size=1, max_size=80),
    st.sampled_from([None, "NYSE", "CME_Equity", "JPX", "24/7"]),
    st.sampled_from(ZONES),
)
def test_numbers_never_fall_and_flags_mark_their_edges(minutes: list[int], calendar: str | None, zone: str) -> None:
    times = (np.array(sorted(minutes), dtype=np.int64) * 60 + 1_700_000_000) * 10**9
    numbers, flags = session_numbers(times, calendar=calendar, timezone=zone)
    change = np.diff(numbers)
    assert (change >= 0).all()
    assert ((flags & FIRST_BAR) > 0).tolist() == [True, *(change > 0).tolist()]
    assert ((flags & LAST_BAR) > 0).tolist() == [*(change > 0).tolist(), True]
    if calendar is not None:
        shuffled = np.random.default_rng(1).permutation(len(times))
        for by in ("day", "minute"):
            opened = sessions_open(times, calendar, zone, by)
            assert sessions_open(times[shuffled], calendar, zone, by).tolist() == opened[shuffled].tolist()


def test_days_and_minutes_differ() -> None:
    times = nanoseconds(*(datetime(2024, 7, day, hour, tzinfo=NEW_YORK) for day, hour in ((3, 3), (3, 12), (3, 13), (4, 12), (5, 20))))
    assert sessions_open(times, "NYSE", "America/New_York", by="day").tolist() == [True, True, True, False, True]
    assert sessions_open(times, "NYSE", "UTC", by="day").tolist() == [True, True, True, False, False]  # Friday evening is Saturday
    assert sessions_open(times, "NYSE", by="minute").tolist() == [False, True, False, False, False]


def test_bad_bars_are_refused_and_none_are_fine() -> None:
    some = np.array([2, 1], dtype=np.int64)
    none = some[:0]
    for calendar in (None, "NYSE"):
        assert [len(part) for part in session_numbers(none, calendar=calendar)] == [0, 0]
    assert len(sessions_open(none, "NYSE")) == 0
    with pytest.raises(ValueError, match="times_ns is not in order of time: row 1"):
        session_numbers(some, calendar=None)
    for empty in (none, some[:1]):
        with pytest.raises(ValueError, match="calendar was 'NYES'"):
            session_numbers(empty, calendar="NYES")
        with pytest.raises(ValueError, match="calendar was 'NYES'"):
            sessions_open(empty, "NYES")
        with pytest.raises(ValueError, match="timezone was 'Mars'"):
            session_numbers(empty, calendar=None, timezone="Mars")
    with pytest.raises(ValueError, match="by was 'minutes'.*did you mean 'minute'"):
        sessions_open(some, "NYSE", by="minutes")
    with pytest.raises(TypeError, match="times_ns has dtype float64"):
        session_numbers(np.zeros(2), calendar=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="times_ns has 2 dimensions"):
        session_numbers(np.zeros((2, 2), dtype=np.int64), calendar=None)
