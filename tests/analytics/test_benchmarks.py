"""What a run is compared with: every kind of benchmark comes to the same numbers, and what cannot be compared is refused by name."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import BacktestResult
from ml4t_backtest.analytics.relative import relative_figures
from tests.analytics.runs import START, close_to, made, random_prices, random_run, trade_at_random

BARS = 120
PRICES = random_prices(4, bars=BARS)


def run(frame: pl.DataFrame = PRICES) -> Any:
    return made(frame, trade_at_random(4))


def closes() -> pl.DataFrame:
    """Return the closes of B."""
    return PRICES.filter(pl.col("symbol") == "B").select("timestamp", "close")


def returns() -> pl.DataFrame:
    return closes().select("timestamp", (pl.col("close") / pl.col("close").shift(1) - 1.0).fill_null(0.0).alias("return"))


def as_series(frame: pl.DataFrame, name: str) -> Any:
    return frame.to_pandas().set_index("timestamp").iloc[:, 0].rename(name)


KINDS: dict[str, Any] = {
    "asset": lambda: "B",
    "frame": closes,
    "frame with a capital": lambda: closes().rename({"close": "Close"}),
    "lazy frame": lambda: closes().lazy(),
    "frame of returns": returns,
    "pandas": lambda: closes().to_pandas(),
    "pandas with an index": lambda: closes().to_pandas().set_index("timestamp").rename(columns={"close": "Close"}),
    "series of prices": lambda: as_series(closes(), "Close"),
    "series of returns": lambda: as_series(returns(), "SPY"),
    "array": lambda: np.asarray(returns()["return"]),
    "list": lambda: list(returns()["return"]),
    "polars series": lambda: returns()["return"],
    "dates": lambda: closes().with_columns(pl.col("timestamp").dt.date()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_benchmark_comes_to_the_same(kind: str) -> None:
    figures, expected = run().relative_to(KINDS[kind]()), run().relative_to(closes())
    assert list(figures) == list(expected)
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-9), name
    assert figures["num_periods"] == BARS - 1
    assert 0.1 < figures["correlation"] < 1.0


def test_a_run_against_itself() -> None:
    result = run()
    figures = result.relative_to(result)
    assert figures["beta"] == pytest.approx(1.0, rel=1e-12)
    assert figures["correlation"] == pytest.approx(1.0, rel=1e-12)
    assert figures["alpha"] == pytest.approx(0.0, abs=1e-12)
    assert figures["tracking_error"] == 0.0
    assert math.isnan(figures["information_ratio"])
    assert figures["up_capture"] == figures["down_capture"] == figures["capture_ratio"] == 1.0
    assert figures["excess_return"] == 0.0
    for name, mine in (("benchmark_sharpe", "sharpe"), ("benchmark_volatility", "volatility")):
        assert figures[name] == pytest.approx(result[mine], rel=1e-12)
    assert figures["periods_per_year"] == result["periods_per_year"]


def test_a_saved_run_compares_alike(tmp_path: Any) -> None:
    result = run()
    result.to_parquet(tmp_path / "run")
    loaded = BacktestResult.from_parquet(tmp_path / "run")
    assert loaded.relative_to(closes()) == result.relative_to("B")
    assert result.relative_to(loaded)["tracking_error"] == 0.0
    with pytest.raises(ValueError, match="benchmark 'B': a result read from a folder has no prices"):
        loaded.relative_to("B")


def test_only_common_times_count() -> None:
    kept = closes()[::3]
    figures = run().relative_to(kept)
    equity = run().to_equity_dataframe()["equity"].to_numpy()[::3]
    own = equity[1:] / equity[:-1] - 1.0
    other = (kept["close"] / kept["close"].shift(1) - 1.0)[1:].to_numpy()
    expected = relative_figures(own, other, 365.25 / 3)
    for name, value in expected.items():
        assert close_to(figures[name], value, 1e-9), name
    # returns between the kept rows are compounded when the run lacks some of the benchmark's times
    short = made(PRICES.filter(pl.col("timestamp").is_in(kept["timestamp"].implode())), trade_at_random(4))
    assert short.relative_to(returns())["beta"] == pytest.approx(short.relative_to("B")["beta"], rel=1e-9)


def hourly() -> Any:
    frames = []
    for asset in ("A", "B"):
        daily = PRICES.filter(pl.col("symbol") == asset)
        for hour in (10, 15):
            frames.append(daily.with_columns(pl.col("timestamp") + timedelta(hours=hour)))
    return made(pl.concat(frames).sort("timestamp", "symbol"), trade_at_random(4))


def test_dates_are_matched_with_the_last_bar_of_a_day() -> None:
    result = hourly()
    expected = result.relative_to(closes().with_columns(pl.col("timestamp") + timedelta(hours=15)))
    assert result.relative_to(closes()) == expected
    assert result.relative_to(closes().with_columns(pl.col("timestamp").dt.date())) == expected
    new_york = closes().with_columns(pl.col("timestamp").dt.replace_time_zone("America/New_York"))
    assert result.relative_to(new_york) == expected
    assert expected["num_periods"] == BARS - 1


@given(
    rows=st.lists(st.tuples(st.integers(-400, 400), st.integers(-400, 400)), min_size=2, max_size=30),
    rate=st.sampled_from([0.0, 0.05]),
)
def test_figures_by_definition(rows: list[tuple[int, int]], rate: float) -> None:
    own, other = [a / 10_000 for a, _ in rows], [b / 10_000 for _, b in rows]
    figures = relative_figures(own, other, 252.0, rate)
    count = len(rows)
    free = rate / 252.0
    excess, market = [a - free for a in own], [b - free for b in other]
    mean_excess, mean_market = math.fsum(excess) / count, math.fsum(market) / count
    spread = math.fsum((b - mean_market) ** 2 for b in market)
    if max(other) - min(other) > 1e-9:
        beta = math.fsum((a - mean_excess) * (b - mean_market) for a, b in zip(excess, market, strict=True)) / spread
        assert figures["beta"] == pytest.approx(beta, rel=1e-9, abs=1e-12)
        assert figures["alpha"] == pytest.approx((mean_excess - beta * mean_market) * 252.0, rel=1e-8, abs=1e-10)
        assert figures["r_squared"] == pytest.approx(figures["correlation"] ** 2, nan_ok=True)
    else:
        assert math.isnan(figures["beta"])
        assert math.isnan(figures["alpha"])
    ups = [(a, b) for a, b in zip(own, other, strict=True) if b > 0.0]
    if ups:
        growth = [math.prod(1.0 + pair[side] for pair in ups) ** (1 / len(ups)) - 1.0 for side in (0, 1)]
        assert figures["up_capture"] == pytest.approx(growth[0] / growth[1], rel=1e-7, abs=1e-10)
    assert figures["batting_average"] == sum(a > b for a, b in zip(own, other, strict=True)) / count


# Refused -----------------------------------------------------------------------------------------------------------------


def with_close(row: int, value: float | None) -> pl.DataFrame:
    values: list[float | None] = closes()["close"].to_list()
    values[row] = value
    return closes().with_columns(pl.Series("close", values))


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown asset": (lambda: "b", "benchmark 'b' is no asset of the feed .*did you mean 'B'"),
    "no overlap": (
        lambda: closes().with_columns(pl.col("timestamp") + timedelta(days=1000, hours=1)),
        "have 0 times in common, expected at least 2; run: 120 from 2021-01-01.*benchmark: 120 from 2023-09-28",
    ),
    "missing": (lambda: with_close(7, None), "benchmark close at 2021-01-08 00:00:00 was nan, expected a finite number"),
    "not a number": (lambda: with_close(7, math.nan), "benchmark close at 2021-01-08 00:00:00 was nan"),
    "infinite": (lambda: with_close(7, math.inf), "benchmark close at 2021-01-08 00:00:00 was inf"),
    "no price": (lambda: with_close(3, 0.0), "benchmark close at 2021-01-04 00:00:00 was 0.0, expected a number > 0"),
    "below -1": (lambda: [0.0] * 5 + [-1.5] + [0.0] * (BARS - 6), "benchmark return at row 5 was -1.5, expected a return >= -1"),
    "prices as returns": (lambda: closes()["close"], "looks like prices or percent"),
    "unsorted": (lambda: closes().sort("close"), "benchmark row .* after a later one, expected times in order"),
    "twice": (lambda: PRICES.sort("timestamp"), r"benchmark row 1 has the time 2021-01-01 00:00:00 again, expected one row per time"),
    "no column": (lambda: closes().rename({"close": "last"}), "benchmark has no column 'close' or 'return', only 'timestamp', 'last'"),
    "text": (lambda: closes().with_columns(pl.col("close").cast(pl.String)), "benchmark column 'close' has type String"),
    "zone": (
        lambda: closes().with_columns((pl.col("timestamp") + timedelta(hours=3)).dt.replace_time_zone("UTC")),
        "benchmark column 'timestamp' has a time zone, the run has none",
    ),
    "too few": (lambda: [0.0, 0.1], "benchmark has 2 returns, the run has 120 bars; give one per bar"),
    "an index of dates": (
        lambda: pd.Series([0.0] * BARS, index=pd.Index(closes()["timestamp"].dt.date().to_list(), dtype=object)),
        "is a series over Index of object",
    ),
    "an index of periods": (
        lambda: pd.Series([0.0] * BARS, index=pd.period_range("2021-01-01", periods=BARS)),
        r"is a series over PeriodIndex of period\[D\], which is no time; make it one with pd.to_datetime",
    ),
    "a table": (lambda: np.zeros((BARS, 2)), "benchmark had more than one number per bar"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compared_is_refused(name: str) -> None:
    benchmark, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        run().relative_to(benchmark())
    with pytest.raises(ValueError, match=message):
        run().rolling(10, benchmark())


def test_what_is_no_benchmark_is_refused() -> None:
    for nothing in (object(), None, 5, {"SPY": 1.0}, ["SPY"] * BARS):
        with pytest.raises(TypeError, match="benchmark was a .*, expected the name of an asset, a frame"):
            run().relative_to(nothing)
    one = made(PRICES.filter(pl.col("timestamp") == START), lambda bar, data, broker: None)
    with pytest.raises(ValueError, match="the run has 1 bars in common with the benchmark"):
        one.relative_to("A")
    for bad in (-1, 0, math.inf, "252", True):
        with pytest.raises(ValueError, match="periods_per_year was .*, expected a finite number > 0"):
            run().relative_to("A", periods_per_year=bad)
        with pytest.raises(ValueError, match="periods_per_year was"):
            run().rolling(10, periods_per_year=bad)
    for bad in (math.nan, "3 %", None):
        with pytest.raises(ValueError, match="risk_free_rate was .*, expected a yearly rate"):
            run().relative_to("A", bad)


def test_an_asset_counts_from_its_first_price() -> None:
    frame = PRICES.filter((pl.col("symbol") == "A") | (pl.col("timestamp") >= datetime(2021, 2, 1)))
    assert made(frame, trade_at_random(4)).relative_to("B")["num_periods"] == BARS - 31 - 1


def test_a_flat_benchmark() -> None:
    figures = run().relative_to([0.0] * BARS)
    assert all(math.isnan(figures[name]) for name in ("alpha", "beta", "correlation", "up_capture", "down_capture"))
    assert figures["benchmark_sharpe"] == figures["benchmark_cagr"] == figures["benchmark_max_drawdown"] == 0.0
    assert figures["excess_return"] == figures["cagr"]


def test_a_rate_is_taken_off_both_sides() -> None:
    plain, excess = run().relative_to("B"), run().relative_to("B", 0.05)
    assert excess["beta"] == pytest.approx(plain["beta"], rel=1e-9)
    assert excess["alpha"] == pytest.approx(plain["alpha"] - 0.05 * (1.0 - plain["beta"]), rel=1e-9)


def test_bars_on_a_zone(tmp_path: Any) -> None:
    frame = PRICES.with_columns((pl.col("timestamp") + timedelta(hours=16)).dt.replace_time_zone("America/New_York"))
    result = made(frame, trade_at_random(4))
    expected = result.relative_to("B")
    assert result.relative_to(closes().with_columns(pl.col("timestamp").dt.date())) == expected
    assert result.relative_to(as_series(closes(), "close")) == expected
    path = tmp_path / "benchmark.parquet"
    closes().with_columns((pl.col("timestamp") + timedelta(hours=16)).dt.replace_time_zone("America/New_York")).write_parquet(path)
    assert result.relative_to(path) == expected
    assert closes()["timestamp"][0].date() == date(2021, 1, 1)
    assert pd.Timestamp(result.rolling(10, "B")["timestamp"][0]) == pd.Timestamp("2021-01-02 16:00", tz="America/New_York")
    assert random_run(1, bars=10).rolling(2).columns == ["timestamp", "return", "volatility", "sharpe"]
