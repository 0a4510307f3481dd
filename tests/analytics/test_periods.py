"""Drawdowns, months, years and moving windows against plain Python, and at their edges."""

from __future__ import annotations

import math
import statistics
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.analytics.periods import drawdown_frame, rolling_frame, window_of
from ml4t_backtest.frames import time_series
from tests.analytics.runs import START, made, random_prices, random_run, trade_at_random

DAY = 86_400_000_000_000


def by_hand(values: list[float], start: float) -> list[tuple[int, int, int | None, float]]:
    """Return peak, trough, end (None when open) and depth of each drawdown."""
    found: list[tuple[int, int, int | None, float]] = []
    peak, since, lowest, trough = start, 0, 0.0, 0
    for bar, value in enumerate(values):
        if value >= peak:
            if lowest < 0.0:
                found.append((since, trough, bar, lowest))
            peak, since, lowest = value, bar, 0.0
        elif value / peak - 1.0 < lowest:
            lowest, trough = value / peak - 1.0, bar
    if lowest < 0.0:
        found.append((since, trough, None, lowest))
    return found


@given(
    values=st.lists(st.floats(1.0, 9.0).map(lambda value: round(value, 1)), max_size=30),
    start=st.sampled_from([1.0, 5.0, 9.5]),
    count=st.none() | st.integers(0, 3),
)
def test_drawdowns_by_definition(values: list[float], start: float, count: int | None) -> None:
    times = np.arange(len(values), dtype=np.int64) * DAY
    frame = drawdown_frame(times, np.array(values), start, None, count)
    expected = sorted(by_hand(values, start), key=lambda found: found[3])[:count]
    assert len(frame) == len(expected)
    for row, (peak, trough, end, depth) in zip(frame.iter_rows(named=True), expected, strict=True):
        last = len(values) - 1 if end is None else end
        assert row["depth"] == depth
        assert row["recovered"] == (end is not None)
        assert (row["start"], row["trough"]) == (datetime(1970, 1, 1) + timedelta(days=peak), datetime(1970, 1, 1) + timedelta(days=trough))
        assert (row["bars"], row["days"]) == (last - peak, last - peak)
        assert (row["bars_to_trough"], row["days_to_trough"]) == (trough - peak, trough - peak)
        assert (row["bars_to_recovery"], row["end"] is None) == ((None, True) if end is None else (end - trough, False))


def test_drawdowns_of_a_run() -> None:
    result = random_run(3)
    frame = result.drawdowns()
    assert -frame["depth"][0] == result["max_drawdown"] == result.statistics["max_drawdown"]
    assert frame["depth"].is_sorted()
    assert len(result.drawdowns(2)) == 2
    assert len(result.drawdowns(0)) == 0
    assert result.statistics["num_drawdowns"] == len(frame)
    assert result.statistics["max_drawdown_days"] == frame["days"].max()
    below = (result.to_equity_dataframe()["drawdown"] < 0.0).sum()
    assert result.statistics["time_under_water"] == below / 300
    for bad in (-1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="n was .*, expected a whole number of drawdowns"):
            result.drawdowns(bad)


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_months_and_years_are_those_of_the_feed(zone: str | None) -> None:
    frame = random_prices(2, bars=400)
    if zone:
        frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone(zone))
    result = made(frame, trade_at_random(2))
    closes: dict[tuple[int, int], float] = {}
    for when, value in result.equity_curve:
        closes[when.year, when.month] = value
    months = result.monthly_returns()
    before = [50_000.0, *closes.values()]
    assert list(zip(months["year"], months["month"], strict=True)) == list(closes)
    assert months["close_equity"].to_list() == list(closes.values())
    assert months["return"].to_list() == [b / a - 1.0 for a, b in pairwise(before)]
    assert months["pnl"].to_list() == [b - a for a, b in pairwise(before)]
    assert months["num_bars"].sum() == months["num_days"].sum() == 400
    years = result.yearly_returns()
    assert years["year"].to_list() == [2021, 2022]
    assert math.prod(1.0 + value for value in months["return"]) == pytest.approx(1.0 + result["total_return"])
    assert math.prod(1.0 + value for value in years["return"]) == pytest.approx(1.0 + result["total_return"])
    assert years["pnl"].sum() == pytest.approx(result["final_value"] - 50_000.0)
    assert result.statistics["best_month"] == months["return"].max()
    assert result.statistics["positive_months"] == (months["return"] > 0.0).sum() / len(months)
    assert result.statistics["worst_year"] == years["return"].min()


def test_months_of_evening_sessions_are_months_of_sessions() -> None:
    stamps = [datetime(2024, 1, 31, 10), datetime(2024, 1, 31, 18), datetime(2024, 2, 1, 10)]
    rows = [{"timestamp": when, "symbol": "A", "close": 100.0 + number} for number, when in enumerate(stamps)]
    frame = pl.DataFrame(rows).with_columns(pl.col("timestamp").dt.replace_time_zone("America/Chicago"))
    result = made(frame, lambda bar, data, broker: None, calendar="CME_Equity", timezone="America/Chicago")
    assert result.monthly_returns()["num_bars"].to_list() == [1, 2]
    assert result.monthly_returns()["num_days"].to_list() == [1, 1]
    assert result.statistics["best_day"] == result.to_daily_returns().max()


def test_daily_figures_count_sessions_of_the_calendar() -> None:
    frame = random_prices(2)
    plain, nyse = made(frame, trade_at_random(2)), made(frame, trade_at_random(2), calendar="NYSE")
    spread = statistics.stdev(plain.to_daily_returns())
    assert plain.statistics["daily_volatility"] == pytest.approx(spread * math.sqrt(365.25))
    assert nyse.statistics["daily_volatility"] == pytest.approx(spread * math.sqrt(252.0))
    assert nyse.statistics["sharpe"] == plain.statistics["sharpe"]


# Moving windows ----------------------------------------------------------------------------------------------------------


@given(
    rows=st.lists(st.tuples(st.sampled_from([0, 0, 1, 5, -30, 80]), st.sampled_from([0, 0, 3, -4, 50])), min_size=1, max_size=25),
    window=st.integers(2, 6),
)
def test_moving_windows_by_definition(rows: list[tuple[int, int]], window: int) -> None:
    own, other = [a / 1000 for a, _ in rows], [b / 1000 for _, b in rows]
    stamps = time_series("timestamp", np.arange(len(rows), dtype=np.int64) * DAY, None)
    frame = rolling_frame(stamps, np.array(own), np.array(other), window, 252.0)
    assert all(frame[name].slice(0, window - 1).null_count() == min(window - 1, len(rows)) for name in frame.columns[1:])
    for end in range(window, len(rows) + 1):
        mine, theirs, row = own[end - window : end], other[end - window : end], frame.row(end - 1, named=True)
        spread, market = statistics.stdev(mine), statistics.stdev(theirs)
        sharpe = statistics.fmean(mine) / spread * math.sqrt(252.0) if spread else 0.0
        assert row["return"] == pytest.approx(math.prod(1.0 + value for value in mine) - 1.0, abs=1e-12)
        assert row["volatility"] == pytest.approx(spread * math.sqrt(252.0), rel=1e-9, abs=1e-12)
        assert row["sharpe"] == pytest.approx(sharpe, rel=1e-9, abs=1e-9)
        together = statistics.covariance(mine, theirs)
        assert (row["beta"] is None) == (market == 0.0)
        assert (row["correlation"] is None) == (market == 0.0 or spread == 0.0)
        if row["beta"] is not None:
            assert row["beta"] == pytest.approx(together / market**2, rel=1e-9, abs=1e-9)
        if row["correlation"] is not None:
            assert row["correlation"] == pytest.approx(together / (spread * market), rel=1e-9, abs=1e-9)


def test_the_window_is_half_a_year_unless_the_run_is_short() -> None:
    assert window_of(None, 1000, 252.0) == 126
    assert window_of(None, 100, 252.0) == 25
    assert window_of(None, 3, 252.0) == 2
    assert window_of(60, 10, 252.0) == 60
    result = random_run(3)
    assert result.rolling()["volatility"].null_count() == 73  # 299 returns, windows of 74
    assert result.rolling(500)["sharpe"].null_count() == 299
    assert result.rolling(299)["sharpe"][-1] == pytest.approx(result["sharpe"], rel=1e-12)
    assert result.rolling(299, periods_per_year=4)["volatility"][-1] == pytest.approx(
        result["volatility"] * math.sqrt(4 / result["periods_per_year"]), rel=1e-12
    )
    for bad in (1, 0, 2.5, True, "20"):
        with pytest.raises(ValueError, match="window was .*, expected a whole number of bars >= 2"):
            result.rolling(bad)


def test_a_window_that_lost_everything() -> None:
    stamps = time_series("timestamp", np.arange(4, dtype=np.int64) * DAY, None)
    frame = rolling_frame(stamps, np.array([0.1, -1.0, 0.0, 0.0]), None, 2, 252.0)
    assert frame["return"].to_list() == [None, -1.0, -1.0, 0.0]


# Short runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bars", [1, 2, 3])
def test_short_runs_answer_everything(bars: int) -> None:
    result = made(random_prices(1, bars=bars), lambda bar, data, broker: None)
    figures = dict(result.statistics)
    assert all(isinstance(value, float) for value in figures.values())
    assert len(result.rolling()) == bars - 1
    assert len(result.drawdowns()) == 0
    assert len(result.exposure()) == len(result.turnover()) == bars
    assert result.monthly_returns()["return"].to_list() == [0.0]
    assert figures["sharpe"] == result["sharpe"]
    assert figures["time_in_market"] == 0.0
    assert math.isnan(figures["avg_drawdown"])
    assert math.isnan(figures["skew"])
    assert math.isnan(figures["best_bar"]) == (bars == 1)


def interrupted_before_the_first_bar() -> Any:
    """Return a result without bars."""
    from ml4t_backtest import BacktestResult

    result: Any = BacktestResult.__new__(BacktestResult)
    full = made(random_prices(1, bars=2), lambda bar, data, broker: None)
    result.__dict__.update(full.__dict__)
    for name in ("_times", "_timestamps", "_equity", "_cash"):
        setattr(result, name, getattr(full, name)[:0])
    return result


def test_a_run_without_bars_answers_everything() -> None:
    result = interrupted_before_the_first_bar()
    figures = dict(result.statistics)
    assert math.isnan(figures["time_in_market"])
    assert figures["cagr"] == figures["max_drawdown"] == 0.0
    for frame in (
        result.drawdowns(),
        result.monthly_returns(),
        result.yearly_returns(),
        result.exposure(),
        result.turnover(),
        result.rolling(),
    ):
        assert len(frame) == 0
    assert result.trade_statistics()["num_trades"].item() == 0


def test_dates_are_of_the_run() -> None:
    assert random_run(3).to_daily_pnl()["date"][0] == START.date() == date(2021, 1, 1)
