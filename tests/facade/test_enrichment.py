"""Signals at entry and exit of trades: against a search row by row, and every kind of input that is refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.engine import Engine
from ml4t_backtest.enrichment import enrich_trades_with_signals
from ml4t_backtest.result import enrich_trades_with_signals as as_published
from tests.facade.feeds import START, Calls, feed


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def frame_of_trades(rows: list[tuple[str, float, float]]) -> pl.DataFrame:
    schema = {"asset": pl.String, "entry_time": pl.Datetime("us"), "exit_time": pl.Datetime("us")}
    return pl.DataFrame([(asset, at(entry), at(leave)) for asset, entry, leave in rows], schema=schema, orient="row")


def frame_of_signals(rows: list[tuple[str, float, float | None]]) -> pl.DataFrame:
    schema = {"asset": pl.String, "timestamp": pl.Datetime("us"), "score": pl.Float64}
    return pl.DataFrame([(asset, at(day), score) for asset, day, score in rows], schema=schema, orient="row")


TRADES = frame_of_trades([("B", 4, 6), ("A", 1, 3), ("A", 0, 5)])
SIGNALS = frame_of_signals([("A", 3, 0.3), ("B", 5, 0.9), ("A", 1, 0.1), ("A", 4, None)])


def test_the_readme_call_on_a_real_run() -> None:
    engine = Engine(
        feed({"A": [10.0, 12.0, 9.0, 11.0]}),
        Calls(lambda bar, data, broker: broker.submit_order("A", 10) if bar == 1 else bar == 3 and broker.close_position("A")),
    )
    trades = engine.run().to_trades_dataframe()
    signals = pl.DataFrame(
        {"timestamp": [at(0), at(2)], "asset": ["A", "A"], "momentum": [1.0, 2.0], "rsi": [30, 70], "ml_score": ["x", "y"]}
    )
    enriched = as_published(trades.sort("entry_time"), signals, signal_columns=["momentum", "rsi", "ml_score"])
    assert enriched.columns == [
        *trades.columns,
        *(f"{when}_{name}" for when in ("entry", "exit") for name in ("momentum", "rsi", "ml_score")),
    ]
    assert enriched.row(0)[-6:] == (1.0, 30, "x", 2.0, 70, "y")
    assert enriched.schema["entry_rsi"] == pl.Int64


def test_latest_rows_in_the_order_of_the_trades() -> None:
    enriched = enrich_trades_with_signals(TRADES, SIGNALS)
    assert enriched.drop("entry_score", "exit_score").equals(TRADES)
    assert enriched["entry_score"].to_list() == [None, 0.1, None]
    assert enriched["exit_score"].to_list() == [0.9, 0.3, None]
    strict = enrich_trades_with_signals(TRADES, SIGNALS, allow_exact_matches=False)
    assert strict["entry_score"].to_list() == [None, None, None]
    assert strict["exit_score"].to_list() == [0.9, 0.1, None]


def test_signals_without_assets_hold_for_all() -> None:
    market = pl.DataFrame({"when": [at(0), at(5)], "vix": [10.0, 30.0]})
    enriched = enrich_trades_with_signals(TRADES, market, timestamp_col="when")
    assert enriched["entry_vix"].to_list() == [10.0, 10.0, 10.0]
    assert enriched["exit_vix"].to_list() == [30.0, 10.0, 30.0]


def test_columns_of_any_name_and_frames_of_any_kind() -> None:
    trades = TRADES.rename({"asset": "name"}).with_columns(pl.col("name").cast(pl.Categorical))
    signals = SIGNALS.rename({"asset": "ric", "timestamp": "time"}).to_pandas()
    enriched = enrich_trades_with_signals(trades, signals, timestamp_col="time", asset_col="ric", trades_asset_col="name")
    assert enriched["exit_score"].to_list()[:2] == [0.9, 0.3]
    dates = pl.DataFrame({"timestamp": [date(2024, 1, 2)], "symbol": ["A"], "score": [1.0]})
    assert enrich_trades_with_signals(TRADES, dates)["entry_score"].to_list() == [None, 1.0, None]


def test_time_zones() -> None:
    utc = SIGNALS.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
    local = TRADES.with_columns(pl.col("entry_time", "exit_time").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York"))
    assert enrich_trades_with_signals(local, utc)["exit_score"].to_list() == [0.9, 0.3, None]
    for trades, signals in ((local, SIGNALS), (TRADES, utc)):
        with pytest.raises(ValueError, match="give both a zone"):
            enrich_trades_with_signals(trades, signals)


def test_empty_frames() -> None:
    enriched = enrich_trades_with_signals(TRADES.clear(), SIGNALS)
    assert enriched.is_empty()
    assert enriched.schema["exit_score"] == pl.Float64
    nothing = enrich_trades_with_signals(TRADES, SIGNALS.clear())
    assert nothing["entry_score"].to_list() == [None, None, None]
    assert nothing.schema == enriched.schema


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal_columns": ["scor"]}, "did you mean 'score'"),
        ({"timestamp_col": "tim"}, "no column 'tim'"),
        ({"asset_col": "name"}, "no column 'name'"),
        ({"trades_asset_col": "name"}, "no column 'name'"),
        ({"signal_columns": []}, "no signal columns"),
        ({"signals_df": SIGNALS.rename({"score": "time"})}, "have a column 'entry_time' already; rename the signal 'time'"),
        ({"signals_df": pl.concat([SIGNALS, SIGNALS[2:3]])}, r"more than one row for 2024-01-02 00:00:00 and 'A' \(the second is row 4\)"),
        ({"signals_df": SIGNALS.with_columns(pl.lit(None).cast(pl.Datetime("us")).alias("timestamp"))}, "nulls"),
        ({"signals_df": SIGNALS.with_columns(pl.lit(None).cast(pl.String).alias("asset"))}, "nulls"),
        ({"trades_df": TRADES.drop("exit_time")}, "no column 'exit_time'"),
        ({"trades_df": TRADES.drop("asset")}, "names the asset"),
        ({"trades_df": TRADES.with_columns(pl.lit("x").alias("entry_time"))}, "type String"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        enrich_trades_with_signals(**{"trades_df": TRADES, "signals_df": SIGNALS, **change})


def test_a_text_is_no_list_of_columns() -> None:
    with pytest.raises(TypeError, match=r"expected a list of names: \['score'\]"):
        enrich_trades_with_signals(TRADES, SIGNALS, signal_columns="score")


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 9), st.integers(0, 9)), max_size=12),
    st.dictionaries(st.tuples(st.sampled_from("AB"), st.integers(0, 9)), st.floats(0, 1), max_size=15),
    st.booleans(),
)
def test_it_equals_a_search_row_by_row(rows: list[tuple[str, int, int]], known: dict[tuple[str, int], float], exact: bool) -> None:
    signals = frame_of_signals([(asset, day, score) for (asset, day), score in known.items()])
    enriched = enrich_trades_with_signals(frame_of_trades(list(rows)), signals, allow_exact_matches=exact)
    for number, (asset, *days) in enumerate(rows):
        for name, day in zip(("entry_score", "exit_score"), days, strict=True):
            before = [when for owner, when in known if owner == asset and (when < day or (exact and when == day))]
            assert enriched[name][number] == (known[asset, max(before)] if before else None)
