"""Calendars: days, hours, holidays, both orders of arguments, daylight-saving weeks, refused input."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import calendar as calendars
from ml4t_backtest.calendar import (
    CALENDAR_ALIASES,
    filter_to_trading_days,
    filter_to_trading_sessions,
    generate_trading_minutes,
    get_calendar,
    get_early_closes,
    get_holidays,
    get_schedule,
    get_trading_days,
    is_market_open,
    is_trading_day,
    list_calendars,
    next_trading_day,
    previous_trading_day,
    schedules,
)
from ml4t_backtest.calendar.zones import first_instant, local_wall, zone_name

NEW_YORK, CHICAGO = ZoneInfo("America/New_York"), ZoneInfo("America/Chicago")
ZONES = sorted(available_timezones())


def utc(month: int, day: int, hour: int, minute: int = 0, year: int = 2024) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def days_frame(first: date, last: date, zone: str | None = None) -> pl.DataFrame:
    return pl.DataFrame({"timestamp": pl.datetime_range(first, last, "1d", time_zone=zone, eager=True)}).with_row_index()


def test_the_printed_example_runs() -> None:
    df = days_frame(date(2024, 12, 23), date(2024, 12, 27))
    nyse = get_calendar("NYSE")
    trading_data = filter_to_trading_days(df, calendar="NYSE")
    assert str(nyse.tz) == str(NEW_YORK)
    assert trading_data["index"].to_list() == [0, 1, 3, 4]
    assert not is_trading_day(datetime(2024, 12, 25), "NYSE")
    holidays = get_holidays("NYSE", start_date="2024-01-01", end_date="2024-12-31")
    assert len(holidays) == 10
    minutes = generate_trading_minutes(
        start_date="2024-01-01",
        end_date="2024-01-31",
        calendar="NYSE",
    )
    assert len(minutes) == 21 * 390


def test_calendars_are_cached_and_go_by_any_spelling() -> None:
    assert get_calendar("NYSE") is get_calendar("nyse") is get_calendar("XNYS") is get_calendar(calendar_id="xnys")
    names = list_calendars()
    assert {"NYSE", "NASDAQ", "ARCA", "BATS", "LSE", "TSX", "JPX", "HKEX", "ASX", "CME", "ICE", "EUREX", "24/7"} <= set(names)
    assert names == sorted(names)
    assert len(names) > 50
    for alias, name in CALENDAR_ALIASES.items():
        assert get_calendar(alias) is get_calendar(name)
        assert is_trading_day("2024-03-06", alias)
    assert CALENDAR_ALIASES["NYSE"] == "XNYS"
    assert CALENDAR_ALIASES["CME"] == "CME_Equity"
    assert CALENDAR_ALIASES["CRYPTO"] == "24/7"
    assert CALENDAR_ALIASES["FX"] == "CMEGlobex_FX"
    assert CALENDAR_ALIASES["LSE"] == "XLON"


@pytest.mark.parametrize(
    "day",
    [
        "2024-12-24",
        "2024-12-24T23:59",
        date(2024, 12, 24),
        datetime(2024, 12, 24, 23),
        datetime(2024, 12, 24, 23, tzinfo=ZoneInfo("Asia/Tokyo")),
        pd.Timestamp("2024-12-24"),
        np.datetime64("2024-12-24"),
        np.datetime64("2024-12-24T12", "ns"),
    ],
)
def test_a_day_is_given_in_any_form_and_in_either_order(day: Any) -> None:
    assert is_trading_day(day, "NYSE")
    assert is_trading_day("NYSE", day)
    assert is_trading_day(calendar_id="NYSE", date=day)
    assert is_trading_day(day, calendar="NYSE")
    assert is_trading_day("NYSE", date=day)
    assert next_trading_day("NYSE", day) == next_trading_day(day, "NYSE") == date(2024, 12, 26)
    assert previous_trading_day("NYSE", day) == date(2024, 12, 23)


def test_every_function_takes_the_calendar_before_or_after() -> None:
    start, end = "2024-07-01", "2024-07-05"
    df = days_frame(date(2024, 7, 1), date(2024, 7, 7))
    for name in RANGED:
        call: Any = getattr(calendars, name)
        forms = [call("NYSE", start, end), call(start, end, "NYSE"), call(calendar_id="NYSE", start_date=start, end_date=end)]
        forms += [call("NYSE", start=start, end=date(2024, 7, 5)), call(start, end, calendar="NYSE")]
        assert len({str(form) for form in forms}) == 1
    for call in (filter_to_trading_days, filter_to_trading_sessions):
        assert call(df, "NYSE").equals(call("NYSE", df))
        assert call(df, "NYSE").equals(call(df, calendar_id="NYSE"))
    assert generate_trading_minutes("NYSE", start, end, "5m").equals(generate_trading_minutes(start, end, "NYSE", freq="5m"))
    assert is_market_open("NYSE", utc(7, 1, 15)) is is_market_open(utc(7, 1, 15), "NYSE") is True


def test_next_and_previous_count_sessions() -> None:
    days = get_trading_days("NYSE", "1990-01-01", "2024-07-05").to_list()
    for n in (1, 2, 250, 8000):
        assert previous_trading_day("NYSE", "2024-07-05", n=n) == days[-1 - n]
        assert next_trading_day("NYSE", days[0], n) == days[n]
    assert next_trading_day("NYSE", "2024-07-03") == date(2024, 7, 5)
    assert previous_trading_day("NYSE", date(2024, 7, 7)) == date(2024, 7, 5)
    for n in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="n was .* expected a whole number >= 1"):
            next_trading_day("NYSE", "2024-07-03", n)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected years 1681 to 2258"):
        next_trading_day("NYSE", "2024-07-03", 10**6)


def test_schedules_follow_the_clocks_of_the_exchange() -> None:
    for calendar, opens, closes in (("NYSE", (9, 30), (16, 0)), ("CME_Equity", (17, 0), (16, 0))):
        zone = get_calendar(calendar).tz
        for week in (date(2024, 3, 4), date(2024, 10, 28)):  # clocks change on the Sunday after
            frame = get_schedule(calendar, week, week + timedelta(days=14))
            assert frame["timezone"].unique().to_list() == [str(zone)]
            assert len(frame) == 11
            for day, market_open, market_close in frame.select("session_date", "market_open", "market_close").iter_rows():
                local_open, local_close = market_open.astimezone(zone), market_close.astimezone(zone)
                assert (local_open.hour, local_open.minute) == opens
                assert (local_close.hour, local_close.minute) == closes
                assert local_close.date() == day
                assert local_open.date() == (day if calendar == "NYSE" else day - timedelta(days=1))
    march = get_schedule("CME", "2024-03-08", "2024-03-11")
    assert march["market_open"].to_list() == [utc(3, 7, 23), utc(3, 10, 22)]
    november = get_schedule("CME", "2024-11-01", "2024-11-04")
    assert november["market_open"].to_list() == [utc(10, 31, 22), utc(11, 3, 23)]


def test_schedule_columns_breaks_and_extended_hours() -> None:
    plain = get_schedule("NYSE", "2024-07-03", "2024-07-05")
    moment = pl.Datetime("us", "UTC")
    schema = {"session_date": pl.Date, "market_open": moment, "market_close": moment, "timezone": pl.String}
    assert plain.schema == schema
    assert plain["session_date"].to_list() == [date(2024, 7, 3), date(2024, 7, 5)]
    assert get_schedule("NYSE", "2024-07-04", "2024-07-04").schema == schema
    hong_kong = get_schedule("HKEX", "2012-12-24", "2012-12-27")  # the half day before Christmas has no lunch
    assert hong_kong["break_start"].to_list() == [None, utc(12, 27, 4, year=2012)]
    assert hong_kong["break_end"].to_list() == [None, utc(12, 27, 5, year=2012)]
    extended = get_schedule("NYSE", "2024-07-03", "2024-07-05", include_extended_hours=True)
    assert extended["pre_market_open"].to_list() == [utc(7, 3, 8), utc(7, 5, 8)]
    assert extended["post_market_close"][1] == utc(7, 6, 0)  # of the half day before, releases of the library differ
    with pytest.raises(ValueError, match="'LSE' has no extended hours"):
        get_schedule("LSE", "2024-07-03", "2024-07-05", include_extended_hours=True)


def test_early_closes() -> None:
    early = get_early_closes("NYSE", "2024-01-01", "2024-12-31")
    assert early["session_date"].to_list() == [date(2024, 7, 3), date(2024, 11, 29), date(2024, 12, 24)]
    assert early["market_close"].to_list() == [utc(7, 3, 17), utc(11, 29, 18), utc(12, 24, 18)]
    for day in ("2024-07-02", "2024-07-04"):
        assert get_early_closes("NYSE", day, day).schema == early.schema
        assert len(get_early_closes("NYSE", day, day)) == 0
    assert is_market_open("NYSE", utc(7, 3, 16, 59))
    assert not is_market_open("NYSE", utc(7, 3, 17))


def test_holidays_are_a_list_and_a_frame() -> None:
    holidays = get_holidays("NYSE", "2024-01-01", "2024-12-31")
    assert isinstance(holidays, list)
    assert date(2024, 12, 25) in holidays
    assert holidays[0] == date(2024, 1, 1)
    assert [str(day) for day in holidays[-2:]] == ["2024-11-28", "2024-12-25"]
    assert holidays["date"].to_list() == list(holidays)
    assert holidays["name"][-1] == "Christmas"
    assert holidays.height == len(holidays) == 10
    assert holidays.to_frame().schema == {"date": pl.Date, "name": pl.String}
    for twin in (copy.copy(holidays), pickle.loads(pickle.dumps(holidays))):
        assert twin == holidays
        assert twin.columns == ["date", "name"]
    with pytest.raises(AttributeError):
        _ = holidays.no_such_method
    assert get_holidays("NYSE", "2012-10-29", "2012-10-30")["name"].to_list() == [None, None]  # the hurricane has no rule
    assert get_holidays("24/7", "2024-01-01", "2024-12-31") == []
    assert get_holidays("NYSE", "2024-07-06", "2024-07-07").to_frame().schema == holidays.to_frame().schema


@pytest.mark.parametrize("calendar", ["NYSE", "CME_Equity", "HKEX", "24/7", "24/5"])
def test_sessions_and_holidays_divide_the_weekdays(calendar: str) -> None:
    start, end = date(2023, 1, 1), date(2024, 12, 31)
    every = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    trading, holidays = get_trading_days(calendar, start, end), get_holidays(calendar, start, end)
    assert trading.dtype == pl.Date
    assert not set(trading) & set(holidays)
    week = 7 if calendar == "24/7" else 5
    assert sorted([*trading, *holidays]) == [day for day in every if day.weekday() < week]
    assert [day for day in every if is_trading_day(day, calendar)] == trading.to_list()


def test_holidays_of_a_week_from_sunday() -> None:
    holidays = get_holidays("TASE", "2024-04-01", "2024-04-30")
    assert [str(day) for day in holidays] == ["2024-04-22", "2024-04-23", "2024-04-28", "2024-04-29"]


@pytest.mark.parametrize(
    ("calendar", "moment", "expected"),
    [
        ("NYSE", datetime(2024, 3, 11, 9, 30, tzinfo=NEW_YORK), True),
        ("NYSE", datetime(2024, 3, 11, 9, 29, 59, 999999, tzinfo=NEW_YORK), False),
        ("NYSE", datetime(2024, 3, 11, 15, 59, 59, 999999, tzinfo=NEW_YORK), True),
        ("NYSE", datetime(2024, 3, 11, 16, 0, tzinfo=NEW_YORK), False),
        ("NYSE", "2024-03-11T13:30:00", True),
        ("NYSE", "2024-03-08T13:30:00", False),  # before the change of clocks
        ("NYSE", datetime(2024, 3, 9, 12, tzinfo=NEW_YORK), False),
        ("CME", datetime(2024, 3, 10, 17, 0, tzinfo=CHICAGO), True),  # Sunday evening
        ("CME", datetime(2024, 3, 10, 16, 59, tzinfo=CHICAGO), False),
        ("CME", datetime(2024, 3, 11, 16, 30, tzinfo=CHICAGO), False),  # the daily halt
        ("CME", datetime(2024, 3, 12, 3, 0, tzinfo=CHICAGO), True),
        ("CME", datetime(2020, 3, 11, 15, 20, tzinfo=CHICAGO), False),  # the break of those years
        ("CME", datetime(2020, 3, 11, 15, 30, tzinfo=CHICAGO), True),
        ("JPX", pd.Timestamp("2024-03-11 11:30", tz="Asia/Tokyo"), False),
        ("JPX", pd.Timestamp("2024-03-11 12:30", tz="Asia/Tokyo"), True),
        ("24/7", np.datetime64("2024-01-01T00:00"), True),
        ("NYSE", np.datetime64("2024-03-11T14:00"), True),
    ],
)
def test_market_hours(calendar: str, moment: Any, expected: bool) -> None:
    assert is_market_open(calendar, moment) is expected
    if isinstance(moment, datetime) and not isinstance(moment, pd.Timestamp):
        offset = timezone(moment.utcoffset() or timedelta())
        assert is_market_open(calendar, moment.astimezone(offset)) is expected
        naive = moment.replace(tzinfo=None)
        assert is_market_open(calendar, naive, naive_tz=str(moment.tzinfo)) is expected
        frame = pl.DataFrame({"when": [naive]})
        kept = filter_to_trading_sessions(frame, calendar, "when", naive_tz=str(moment.tzinfo))
        assert len(kept) == expected


def test_filters_keep_rows_order_and_every_kind_of_frame() -> None:
    hours = pl.datetime_range(datetime(2024, 3, 8), datetime(2024, 3, 12), "30m", time_zone="UTC", eager=True)
    df = pl.DataFrame({"timestamp": hours}).with_row_index().sample(fraction=1.0, shuffle=True, seed=1)
    expected = [row for row, when in df.iter_rows() if is_market_open("NYSE", when)]
    assert len(expected) == 26
    sources = [df, df.lazy(), df.to_arrow(), df.to_pandas(), df.with_columns(pl.col("timestamp").dt.convert_time_zone("Asia/Tokyo"))]
    for source in sources:
        assert filter_to_trading_sessions(source, "NYSE")["index"].to_list() == expected
    days = filter_to_trading_days(df, "NYSE")
    assert days["timestamp"].dt.date().unique().sort().to_list() == [date(2024, 3, 8), date(2024, 3, 11), date(2024, 3, 12)]
    breaks = pl.DataFrame({"timestamp": [utc(3, 11, 3), utc(3, 11, 4), utc(3, 11, 7)]})
    assert len(filter_to_trading_sessions(breaks, "JPX")) == 1
    assert len(filter_to_trading_sessions(breaks, "JPX", include_breaks=True)) == 2


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Tokyo"])
def test_daily_bars_stamped_midnight_count_with_their_date(zone: str | None) -> None:
    df = days_frame(date(2024, 3, 1), date(2024, 4, 5), zone)
    kept = filter_to_trading_days(df, "NYSE")["timestamp"].dt.date().to_list()
    assert kept == get_trading_days("NYSE", "2024-03-01", "2024-04-05").to_list()
    assert filter_to_trading_days(df.with_columns(pl.col("timestamp").dt.date()), "NYSE")["timestamp"].to_list() == kept


def test_empty_frames_stay_empty() -> None:
    df = pl.DataFrame(schema={"timestamp": pl.Datetime("us"), "close": pl.Float64})
    for call in (filter_to_trading_days, filter_to_trading_sessions):
        assert call(df, "NYSE").equals(df)
        with pytest.raises(ValueError, match="calendar was 'NYSEE'"):
            call(df, calendar="NYSEE")


@pytest.mark.parametrize("freq", ["1m", "5m", "15m", "30m", "1h"])
@pytest.mark.parametrize("calendar", ["NYSE", "CME_Equity", "HKEX"])
def test_trading_minutes_are_open_minutes(calendar: str, freq: str) -> None:
    start, end = "2012-12-20", "2013-01-04"
    step = timedelta(minutes=60 if freq == "1h" else int(freq[:-1]))
    expected: list[tuple[datetime, date]] = []
    for row in get_schedule(calendar, start, end).iter_rows(named=True):
        when = row["market_open"]
        while when < row["market_close"]:
            if not (row.get("break_start") and row["break_start"] <= when < row["break_end"]):
                expected.append((when, row["session_date"]))
            when += step
    frame = generate_trading_minutes(start, end, calendar, freq)
    assert frame.rows() == expected
    assert frame.schema == {"timestamp": pl.Datetime("us", "UTC"), "session_date": pl.Date}
    assert len(filter_to_trading_sessions(frame, calendar)) == len(frame)
    closed = generate_trading_minutes(start, end, calendar, freq, include_close=True)
    extra = closed.join(frame, on="timestamp", how="anti")
    assert extra["timestamp"].to_list() == get_schedule(calendar, start, end)["market_close"].to_list()
    assert closed["timestamp"].is_sorted()


RANGED = ("get_schedule", "get_trading_days", "get_holidays", "get_early_closes", "generate_trading_minutes")
BAD: list[tuple[str, tuple[Any, ...], type[Exception], str]] = [
    ("get_calendar", ("NYES",), ValueError, "did you mean"),
    ("get_calendar", (7,), TypeError, "needs a calendar"),
    ("is_trading_day", (date(2024, 1, 2), "NASDQ"), ValueError, "did you mean 'NASDAQ'"),
    ("is_trading_day", (date(2024, 1, 2),), TypeError, "needs a calendar"),
    ("is_trading_day", ("noday", "NYSE"), ValueError, "date was 'noday', expected an ISO date"),
    ("is_trading_day", ("NYSE", 20240102), TypeError, "date was a int"),
    ("is_trading_day", ("NYSE", None), ValueError, "date was None"),
    ("is_trading_day", ("NYSE", pd.NaT), ValueError, "date was NaT"),
    ("is_trading_day", ("NYSE", np.datetime64("NaT")), ValueError, "date was None"),
    ("is_trading_day", ("NYSE", date(1600, 1, 1)), ValueError, "expected years 1681 to 2258"),
    ("is_trading_day", ("NYSE", date(2024, 1, 2), 3), TypeError, "takes 2 arguments"),
    *((name, ("NYSE", "2024-02-01", "2024-01-31"), ValueError, "start_date 2024-02-01 is after end_date 2024-01-31") for name in RANGED),
    ("generate_trading_minutes", ("NYSE", "2024-01-01", "2024-01-31", "2m"), ValueError, "freq was '2m', expected one of"),
    ("is_market_open", ("NYSE", date(2024, 1, 2)), TypeError, "of a date ask is_trading_day"),
    ("filter_to_trading_days", (5, "NYSE"), TypeError, "expected a Polars DataFrame"),
    ("filter_to_trading_days", (pl.DataFrame({"time": [1]}), "NYSE"), ValueError, "no column 'timestamp'"),
    ("filter_to_trading_days", (pl.DataFrame({"timestamp": ["2024"]}), "NYSE"), ValueError, "expected Datetime or Date"),
    ("filter_to_trading_days", (pl.DataFrame({"timestamp": [None, date(2024, 1, 2)]}), "NYSE"), ValueError, "1 nulls"),
    (
        "filter_to_trading_days",
        (days_frame(date(2024, 1, 1), date(2024, 1, 3)), "NYSE", "timestampp"),
        ValueError,
        "did you mean 'timestamp'",
    ),
    (
        "filter_to_trading_days",
        (pd.DataFrame({"timestamp": [pd.Timestamp(0, tz="UTC"), pd.Timestamp(0, tz="Asia/Tokyo")]}, dtype=object), "NYSE"),
        ValueError,
        "mixes time zones",
    ),
]


@pytest.mark.parametrize(("name", "args", "kind", "message"), BAD)
def test_bad_input_is_refused_by_name(name: str, args: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        getattr(calendars, name)(*args)


def test_bad_keywords_and_zones() -> None:
    call: Any = is_trading_day
    with pytest.raises(TypeError, match="no argument 'calendr'; did you mean 'calendar'"):
        call("2024-01-02", calendr="NYSE")
    with pytest.raises(TypeError, match="under two spellings"):
        call("2024-01-02", calendar_id="NYSE", calendar="NYSE")
    with pytest.raises(TypeError, match="both by position and by name"):
        call("NYSE", "2024-01-02", date="2024-01-02")
    with pytest.raises(ValueError, match="naive_tz was 'America/NewYork'.*did you mean 'America/New_York'"):
        is_market_open("NYSE", utc(1, 2, 15), naive_tz="America/NewYork")


def test_a_calendar_the_library_cannot_compute_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def schedule(self, *args: str) -> None:
            raise NotImplementedError("implemented by subclasses")

    monkeypatch.setattr(schedules, "library_calendar", lambda name: Broken())
    with pytest.raises(ValueError, match="'XBKK' is listed by pandas_market_calendars, which fails to compute it"):
        is_trading_day("2024-01-02", "XBKK")


def test_filters_read_a_path(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    days_frame(date(2024, 7, 3), date(2024, 7, 5)).write_parquet(path)
    assert filter_to_trading_days(str(path), "NYSE")["index"].to_list() == [0, 2]


@given(st.sampled_from(ZONES), st.lists(st.integers(-3_000_000_000, 5_000_000_000), min_size=1, max_size=9))
def test_wall_clocks_equal_the_standard_library(name: str, seconds: list[int]) -> None:
    times = np.array(seconds, dtype=np.int64) * 10**9
    walls = local_wall(times, name)
    epoch = datetime(1970, 1, 1)
    for second, wall in zip(seconds, walls, strict=True):
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).astimezone(ZoneInfo(name))
        assert epoch + timedelta(microseconds=int(wall) // 1000) == local.replace(tzinfo=None)
    first = first_instant(walls, name)
    assert (first <= times).all()
    assert (local_wall(first, name) == walls).all()  # these walls are shown, since an instant gave them
    skipped = first_instant(times, name)  # any wall: perhaps never shown
    assert (local_wall(skipped, name) >= times).all()
    assert (local_wall(skipped - 1, name) < times).all()


def test_zone_names() -> None:
    assert zone_name(NEW_YORK) == "America/New_York"
    assert zone_name(UTC) == "UTC"
    with pytest.raises(ValueError, match="no name"):
        zone_name(timezone(timedelta(hours=-6)))
    with pytest.raises(ValueError, match="timezone was 'America'"):
        zone_name("America")
    with pytest.raises(TypeError, match="expected the name of a time zone"):
        zone_name(5)  # type: ignore[arg-type]
