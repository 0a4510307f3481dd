"""Indicators as columns of a long frame."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed
from ml4t_backtest.indicators import crosses_above, sma, with_indicators


def frame(closes: dict[str, list[float]], start: datetime = datetime(2024, 1, 1)) -> pl.DataFrame:
    rows = [(start + timedelta(days=day), asset, value) for asset, values in closes.items() for day, value in enumerate(values)]
    return pl.DataFrame(rows, schema={"timestamp": pl.Datetime("us"), "symbol": pl.String, "close": pl.Float64}, orient="row")


@given(
    closes=st.dictionaries(st.sampled_from("ABCD"), st.lists(st.floats(1.0, 1e3), min_size=1, max_size=9), min_size=1),
    seed=st.integers(0, 99),
)
def test_every_asset_by_itself_whatever_the_order_of_rows(closes: dict[str, list[float]], seed: int) -> None:
    plain = frame(closes)
    mixed = plain.sample(fraction=1.0, shuffle=True, seed=seed)
    made = with_indicators(mixed, mean=lambda bars: sma(bars["close"], 3), up=lambda bars: crosses_above(bars["close"], 10.0))
    assert made.drop("mean", "up").equals(mixed)
    assert made.schema["up"] == pl.Boolean
    for asset, values in closes.items():
        own = made.filter(pl.col("symbol") == asset).sort("timestamp")
        np.testing.assert_array_equal(own["mean"].to_numpy(), sma(values, 3))
        np.testing.assert_array_equal(own["up"].to_numpy(), crosses_above(values, 10.0))


def test_the_columns_feed_a_strategy() -> None:
    prices = with_indicators(frame({"A": [1.0, 2.0, 3.0, 4.0]}), fast=lambda bars: sma(bars["close"], 2))
    feed = DataFeed(prices.select("timestamp", "symbol", "close"), prices.select("timestamp", "symbol", "fast"))
    assert [data["A"]["signals"] for _, data, _ in feed] == [{}, {"fast": 1.5}, {"fast": 2.5}, {"fast": 3.5}]


def test_a_frame_of_one_asset_needs_no_name_and_a_column_can_be_replaced() -> None:
    plain = frame({"A": [1.0, 2.0]}).drop("symbol")
    assert with_indicators(plain, close=lambda bars: 2 * bars["close"])["close"].to_list() == [2.0, 4.0]
    assert with_indicators(plain.head(0), mean=lambda bars: sma(bars["close"], 2)).columns == ["timestamp", "close", "mean"]
    assert with_indicators(plain).equals(plain)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda bars: sma(bars["closs"], 3), KeyError, "no column 'closs'.*did you mean 'close'"),
        (lambda bars: sma(bars["symbol"], 3), ValueError, "column 'symbol' has type String, expected numbers"),
        (lambda bars: sma(bars["close"], [1, 2]), ValueError, r"mean returned an array of the shape \(2, 3\) for 3 bars"),
        (lambda bars: ["a"] * 3, ValueError, "expected numbers or True and False"),
        (sma, TypeError, "window"),
        (20, TypeError, "mean was 20, expected a function of bars"),
    ],
)
def test_bad_functions(function: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        with_indicators(frame({"A": [1.0, 2.0, 3.0]}), mean=function)  # type: ignore[arg-type]


def test_bad_frames() -> None:
    good = frame({"A": [1.0, 2.0]})
    with pytest.raises(ValueError, match="'A' has two rows at 2024-01-01 00:00:00"):
        with_indicators(pl.concat([good, good.head(1)]), mean=lambda bars: bars["close"])
    with pytest.raises(ValueError, match="no column 'smbol'"):
        with_indicators(good, entity_col="smbol", mean=lambda bars: bars["close"])
    with pytest.raises(ValueError, match="cannot be called 'timestamp'"):
        with_indicators(good, timestamp=lambda bars: bars["close"])
