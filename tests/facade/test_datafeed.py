"""The feed: every accepted source, every refused input with its message, and what strategies then see."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed
from tests.facade.feeds import days, prices

TWO = pl.DataFrame(
    {
        "timestamp": [day for day in days(3) for _ in range(2)],
        "symbol": ["B", "A"] * 3,
        "open": [20.0, 10.0, 21.0, 11.0, 22.0, 12.0],
        "high": [25.0, 15.0, 26.0, 16.0, 27.0, 17.0],
        "low": [15.0, 5.0, 16.0, 6.0, 17.0, 7.0],
        "close": [20.5, 10.5, 21.5, 11.5, 22.5, 12.5],
        "volume": [200, 100, 201, 101, 202, 102],
    }
)


def dump(feed: DataFeed) -> list[Any]:
    """Return everything a feed hands out."""
    return [(when, dict(data), context) for when, data, context in feed]


def test_every_kind_of_source_gives_the_same_feed(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    TWO.write_parquet(path)
    frame = TWO.to_pandas()
    sources = [TWO.lazy(), TWO.to_arrow(), frame, frame.set_index("timestamp"), path, str(path), pl.scan_parquet(path)]
    sources += [frame.set_index(["timestamp", "symbol"]), frame.set_index("timestamp").rename_axis(None)]
    expected = dump(DataFeed(TWO))
    assert expected[0][1]["A"] == {"open": 10.0, "high": 15.0, "low": 5.0, "close": 10.5, "volume": 100.0, "signals": {}}
    for source in sources:
        assert dump(DataFeed(source)) == expected
    assert dump(DataFeed(prices_path=path)) == expected
    assert isinstance(pa.table({"a": [1]}), type(TWO.to_arrow()))


@given(st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    shuffled = DataFeed(TWO[order])
    assert sorted(dump(shuffled)[0][1].items()) == sorted(dump(DataFeed(TWO))[0][1].items())
    assert [when for when, _, _ in shuffled] == days(3)


def test_assets_stand_in_the_order_of_the_rows_within_a_bar() -> None:
    assert DataFeed(TWO).assets == ("B", "A")
    assert DataFeed(TWO.sort("timestamp", "symbol")).assets == ("A", "B")
    late = prices({"A": [1.0, 2.0], "B": [None, 2.0], "C": [1.0, 2.0]})
    assert DataFeed(late).assets == ("A", "B", "C")


def test_shuffled_rows_give_alphabetical_assets() -> None:
    rows = pl.concat([TWO[0:2], TWO[2:4].reverse(), TWO[4:6]])
    assert DataFeed(rows).assets == ("A", "B")


@pytest.mark.parametrize("name", ["symbol", "asset", "product", "ticker"])
def test_the_asset_column_is_found_or_named(name: str) -> None:
    assert DataFeed(TWO.rename({"symbol": name})).assets == ("B", "A")
    assert DataFeed(TWO.rename({"symbol": "isin"}), entity_col="isin").assets == ("B", "A")


def refused(message: str, frame: Any, **keywords: Any) -> None:
    with pytest.raises(ValueError, match=message):
        DataFeed(frame, **keywords)


def test_missing_columns() -> None:
    refused("needs prices", None)
    refused(r"prices has no column 'timestamp', only \(none\)", pl.DataFrame())
    with pytest.raises(TypeError, match="no argument 'price_df'; did you mean 'prices_df'"):
        DataFeed(price_df=TWO)  # type: ignore[call-arg]
    refused("prices has no column 'timestamp'.*rename 'time' to 'timestamp'", TWO.rename({"timestamp": "time"}))
    refused("prices has no column that names the asset.*entity_col=", TWO.drop("symbol"))
    refused(r"prices has no column 'isin' \(entity_col\)", TWO, entity_col="isin")
    refused("prices has no column 'close'", TWO.drop("close"))
    refused("given twice", TWO, prices_path="x.parquet")


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="prices was a builtins.list, expected a Polars DataFrame"):
        DataFeed([1, 2, 3])
    with pytest.raises(FileNotFoundError, match="no such Parquet file: nowhere.parquet"):
        DataFeed("nowhere.parquet")
    refused("prices: .*test_datafeed.py cannot be read as Parquet", __file__)
    refused("'timestamp' has type String, expected Datetime or Date; parse it", TWO.with_columns(pl.col("timestamp").cast(pl.String)))
    refused("'timestamp' has type Int64", TWO.with_columns(pl.lit(1, pl.Int64).alias("timestamp")))
    refused("column 'close' has type String, expected numbers", TWO.with_columns(pl.col("close").cast(pl.String)))
    refused("signals column 'x' has type List", TWO, signals_df=TWO.select("timestamp", "symbol", x=pl.concat_list("close")))


def test_integers_decimals_and_dates_are_taken() -> None:
    frame = TWO.with_columns(pl.col("timestamp").cast(pl.Date), pl.col("open").cast(pl.Int32), pl.col("close").cast(pl.Decimal(10, 2)))
    assert dump(DataFeed(frame))[0][1]["A"]["close"] == 10.5
    assert dump(DataFeed(frame))[0][0] == datetime.combine(date(2024, 1, 1), datetime.min.time())


def test_nulls_in_keys() -> None:
    frame = TWO.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("timestamp")).alias("timestamp"))
    refused("'timestamp' has 1 nulls, the first in row 3", frame)
    refused("'symbol' has 6 nulls, the first in row 0", TWO.with_columns(pl.lit(None, pl.String).alias("symbol")))


def test_two_rows_for_one_asset_and_time() -> None:
    refused(
        r"prices has more than one row for asset 'A' at 2024-01-02 00:00:00 \(the second is row 6\); keep one.*keep='last'",
        pl.concat([TWO, TWO[3:4]]),
    )
    signals = TWO.select("timestamp", "symbol", x="close")
    refused("signals has more than one row for asset 'B'", TWO, signals_df=pl.concat([signals, signals[0:1]]))


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_infinite_zero_and_negative_prices(column: str) -> None:
    for value, words in ((math.inf, "finite numbers"), (-math.inf, "finite numbers"), (0.0, "prices > 0"), (-1.0, "prices > 0")):
        frame = TWO.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(value).otherwise(pl.col(column)).alias(column))
        refused(f"prices column '{column}' is {value!r} for asset 'A' at 2024-01-02 00:00:00: expected {words}", frame)
        if math.isfinite(value) and column in ("low", "open"):
            assert dump(DataFeed(frame, allow_nonpositive_prices=True))[1][1]["A"][column] == value


def test_high_below_low_and_bad_volume() -> None:
    def with_value(column: str, value: float) -> pl.DataFrame:
        return TWO.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(value).otherwise(pl.col(column)).alias(column))

    refused("prices column 'high' is 5.9 for asset 'A' at 2024-01-02 00:00:00: the low is above it", with_value("high", 5.9))
    refused("prices column 'volume' is -1.0 for asset 'A'", with_value("volume", -1.0))
    refused("prices column 'volume' is inf for asset 'A'", with_value("volume", math.inf))
    DataFeed(with_value("high", 6.0 * (1 - 1e-12)))  # rounding of adjusted prices


@pytest.mark.parametrize("missing", [None, math.nan])
def test_null_and_nan_mean_missing(missing: float | None) -> None:
    def without(column: str) -> Any:
        frame = TWO.with_columns(pl.col("volume").cast(pl.Float64))
        frame = frame.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(missing).otherwise(pl.col(column)).alias(column))
        return dump(DataFeed(frame))[1][1]["A"]

    for column in ("open", "high", "low"):
        assert without(column)[column] == 11.5
    assert without("volume")["volume"] == 0.0
    assert without("close")["close"] is None
    assert without("close")["open"] == 11.0


def test_columns_that_are_not_there() -> None:
    bar = dump(DataFeed(TWO.select("timestamp", "symbol", "close")))[0][1]["A"]
    assert bar == {"open": 10.5, "high": 10.5, "low": 10.5, "close": 10.5, "volume": 0.0, "signals": {}}


def test_late_start_early_end_and_gaps() -> None:
    feed = DataFeed(prices({"A": [1.0, 2.0, 3.0], "B": [None, 5.0, 6.0], "C": [7.0, None, 8.0], "D": [9.0]}))
    assert [list(data) for _, data, _ in feed] == [["A", "C", "D"], ["A", "B"], ["A", "B", "C"]]


def test_time_zones() -> None:
    zoned = TWO.with_columns(pl.col("timestamp").dt.replace_time_zone("America/New_York"))
    assert str(dump(DataFeed(zoned))[0][0]) == "2024-01-01 00:00:00-05:00"
    utc = zoned.select(pl.col("timestamp").dt.convert_time_zone("UTC"), "symbol", x="close")
    assert dump(DataFeed(zoned, utc))[0][1]["A"]["signals"] == {"x": 10.5}
    refused("signals column 'timestamp' is UTC, that of prices is without time zone; give both", TWO, signals_df=utc)
    refused(
        "context column 'timestamp' is without time zone, that of prices is America/New_York", zoned, context_df=TWO.select("timestamp")
    )
    mixed = pd.DataFrame({"timestamp": [pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-01-02")], "symbol": "A", "close": 1.0})
    refused("prices column 'timestamp' mixes time zones", mixed)


def test_the_hour_that_happens_twice_and_the_one_that_does_not() -> None:
    hours = pl.datetime_range(datetime(2024, 11, 3, 4), datetime(2024, 11, 3, 8), "1h", time_zone="UTC", eager=True)
    frame = pl.DataFrame({"timestamp": hours.dt.convert_time_zone("America/New_York"), "symbol": "A", "close": 1.0})
    stamps = [when for when, _, _ in DataFeed(frame)]
    assert len(stamps) == 5
    assert [when.utcoffset() for when in stamps] == [timedelta(hours=-4)] * 2 + [timedelta(hours=-5)] * 3


def test_times_outside_the_range_of_the_clock() -> None:
    refused("reaches from .* expected years 1678 to 2261", TWO.with_columns(pl.lit(datetime(2300, 1, 1)).alias("timestamp")))


def test_signals_of_every_type() -> None:
    signals = TWO.select("timestamp", "symbol").with_columns(
        real=pl.Series([0.5, None, math.nan, 1.5, 2.5, 3.5]),
        whole=pl.Series([1, None, 2, 3, 4, 5]),
        flag=pl.Series([True, None, False, True, True, False]),
        word=pl.Series(["buy", None, "sell", "buy", "hold", "sell"]),
        kind=pl.Series(["x", None, "y", "x", "y", "x"], dtype=pl.Categorical),
    )
    rows = [data for _, data, _ in DataFeed(TWO, signals)]
    assert rows[0]["B"]["signals"] == {"real": 0.5, "whole": 1, "flag": True, "word": "buy", "kind": "x"}
    assert rows[0]["A"]["signals"] == {}
    assert rows[1]["B"]["signals"] == {"whole": 2, "flag": False, "word": "sell", "kind": "y"}
    assert [type(value) for value in rows[0]["B"]["signals"].values()] == [float, int, bool, str, str]


def test_signals_that_no_price_matches() -> None:
    signals = TWO.select("timestamp", "symbol", x="close")
    other = pl.concat([signals, signals[0:1].with_columns(symbol=pl.lit("ZZ"))])
    with pytest.warns(UserWarning, match="signals of assets without prices are not used: 'ZZ'"):
        feed = DataFeed(TWO, other)
    assert dump(feed) == dump(DataFeed(TWO, signals))
    refused("signals are for 'ZZ', none of which has prices", TWO, signals_df=signals.with_columns(symbol=pl.lit("ZZ")))
    shifted = signals.with_columns(pl.col("timestamp") + pl.duration(hours=16))
    refused("no timestamp of signals is one of prices", TWO, signals_df=shifted)
    with pytest.warns(UserWarning, match="1 signal rows have no price row.*the first is asset 'A' at 2024-01-02"):
        DataFeed(TWO.filter(pl.int_range(pl.len()) != 3), signals)


def test_context_and_the_union_of_times() -> None:
    context = pl.DataFrame({"timestamp": [*days(1), *days(1), days(5)[4]], "VIX": [15.0, 99.0, None], "note": ["a", "b", "c"]})
    rows = dump(DataFeed(TWO, context_df=context))
    assert [when for when, _, _ in rows] == [*days(3), days(5)[4]]
    assert rows[0][2] == {"VIX": 15.0, "note": "a"}
    assert rows[1][2] == {}
    assert rows[3][1:] == ({}, {"VIX": None, "note": "c"})


def test_a_feed_can_be_read_again_and_tells_about_itself() -> None:
    feed = DataFeed(TWO)
    assert dump(feed) == dump(feed)
    assert len(feed) == feed.n_bars == 3
    assert repr(feed) == "DataFeed(3 bars, 2 assets, 2024-01-01 00:00:00 to 2024-01-03 00:00:00)"


@given(st.data())
def test_scatter_equals_a_dictionary(data: st.DataObject) -> None:
    cells = data.draw(st.dictionaries(st.tuples(st.integers(0, 6), st.sampled_from("ABCD")), st.integers(1, 99), min_size=1))
    order = data.draw(st.permutations(list(cells)))
    stamps = days(7)
    frame = pl.DataFrame(
        {
            "timestamp": [stamps[bar] for bar, _ in order],
            "symbol": [name for _, name in order],
            "close": [float(cells[key]) for key in order],
        }
    )
    feed = DataFeed(frame)
    index = {when: number for number, when in enumerate(stamps)}
    seen = {(index[when], name): bar["close"] for when, bars, _ in feed for name, bar in bars.items()}
    assert seen == cells


def test_prices_are_not_copied_when_they_are_a_panel_already() -> None:
    frame = TWO.rechunk()
    feed = DataFeed(frame)
    assert np.shares_memory(feed.panels.prices["close"], frame["close"].to_numpy())
    assert feed.panels.complete
