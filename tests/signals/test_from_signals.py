"""`from_signals`: forms of its arguments, both spellings, cash sharing, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml4t_backtest import BacktestConfig, DataFeed, from_signals
from tests.signals.cases import random_run

BARS = 60
DATES = pd.date_range("2021-01-01", periods=BARS)


def prices(columns: int = 3) -> np.ndarray:
    return 50.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.03, (BARS, columns)), axis=0))


def signals(columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.random((BARS, columns)) < 0.15, random.random((BARS, columns)) < 0.15


def test_arrays_and_frames_of_every_kind_give_the_same() -> None:
    close, (entries, exits) = prices(), signals()
    plain = from_signals(close, entries, exits).frame
    names = ["X", "Y", "Z"]
    frames = [pd.DataFrame(array, index=DATES, columns=names) for array in (close, entries, exits)]
    wide = [pl.DataFrame(array, schema=names).with_columns(timestamp=pl.Series(DATES)) for array in (close, entries, exits)]
    feed = DataFeed(wide[0].unpivot(index="timestamp", variable_name="asset", value_name="close"))
    numbers = [frame.astype(float) for frame in frames[1:]]
    for given in (frames, wide, [feed, entries, exits], [frames[0], *numbers], [close, *frames[1:]]):
        made = from_signals(*given)
        assert made.frame.drop("column").equals(plain.drop("column"))
        assert made.columns == ("X", "Y", "Z")
    assert plain["column"].to_list() == ["0", "1", "2"]


def test_one_column_of_prices_serves_many_of_signals_and_the_other_way() -> None:
    close, (entries, exits) = prices(), signals()
    many = from_signals(close[:, 0], entries, exits)
    for column in range(3):
        assert many["final_value"][column] == from_signals(close[:, 0], entries[:, column], exits[:, column])["final_value"][0]
    one = from_signals(close, entries[:, 0], exits[:, 0], stop_pct=[0.02, math.nan, 0.1])
    assert one["final_value"][2] == from_signals(close[:, 2], entries[:, 0], exits[:, 0], stop_pct=0.1)["final_value"][0]
    assert one["final_value"][1] == from_signals(close[:, 1], entries[:, 0], exits[:, 0])["final_value"][0]


def test_the_other_spellings_mean_the_same() -> None:
    close, (entries, exits) = prices(), signals()
    ours = from_signals(close, entries, exits, initial_cash=500.0, trail_pct=0.05, target_pct=0.1)
    theirs = from_signals(close, entries, exits, init_cash=500.0, sl_stop=0.05, sl_trail=True, tp_stop=0.1)
    assert ours.frame.equals(theirs.frame)
    assert from_signals(close, entries, exits, sl_stop=0.05).frame.equals(from_signals(close, entries, exits, stop_pct=0.05).frame)


def test_direction_says_what_entries_and_exits_are() -> None:
    close, (entries, exits) = prices(), signals()
    short = from_signals(close, entries, exits, direction="shortonly")
    assert short.frame.equals(from_signals(close, short_entries=entries, short_exits=exits).frame)
    both = from_signals(close, entries, exits, direction="both")
    assert both.frame.equals(from_signals(close, entries, short_entries=exits).frame)
    assert from_signals(close, entries, exits, direction="longonly").frame.equals(from_signals(close, entries, exits).frame)


def test_shared_cash_is_one_account_in_an_engine() -> None:
    close, (entries, exits) = prices(), signals()
    shared = from_signals(close, entries, exits, size=5.0, fees=0.001, cash_sharing=True)
    apart = from_signals(close, entries, exits, size=5.0, fees=0.001)
    assert shared.columns == ("shared",)
    gained = sum(value - 100_000.0 for value in apart["final_value"])
    assert shared["final_value"][0] - 100_000.0 == pytest.approx(gained)
    assert len(shared.trades()) == sum(len(apart.trades(column)) for column in range(3))
    assert shared.equity()["equity"][-1] == shared["final_value"][0]


def test_a_config_of_the_engine_counts() -> None:
    close, (entries, exits) = prices(), signals()
    config = BacktestConfig(initial_cash=7_000.0, partial_fills_allowed=True)  # next open, 0.1 % and 0.1 %
    made = from_signals(close, entries, exits, config=config)
    assert made.fused
    assert made["initial_cash"].to_list() == [7_000.0] * 3
    assert (made["total_commission"] > 0.0).all()
    free = from_signals(close, entries, exits, config=config, fees=0.0)
    assert (free["total_commission"] == 0.0).all()
    margin = from_signals(close, entries, exits, config=config.replace(account_type="margin"))
    assert not margin.fused
    assert margin.equity(1)["equity"][-1] == margin["final_value"][1]


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml4t_backtest.signals.fused._CELLS", 100)  # so that small runs are spread as well
    run = random_run(8, bars=50, columns=20)
    arguments: dict[str, Any] = {**run.prices, **run.signals, "size": 1.0}
    one, two = (from_signals(**arguments, threads=threads).frame for threads in (1, 3))
    assert one.equals(two)


def test_whole_units_and_locked_cash_do_what_they_say() -> None:
    close, (entries, exits) = prices(), signals()
    whole = from_signals(close, entries, exits, size_granularity=1)
    assert all(quantity == int(quantity) for quantity in whole.trades(0)["quantity"])
    short = {"short_entries": entries, "short_exits": exits, "size": 5_000.0}
    assert from_signals(close, **short, lock_cash=True).trades(0)["quantity"][0] > from_signals(close, **short).trades(0)["quantity"][0]


def test_returns_that_are_nearly_equal_keep_their_digits() -> None:
    close = 100.0 * 1.001 ** np.arange(400.0)
    close[200:] *= 1.0 + 1e-9
    result = from_signals(close, np.arange(400) == 0)
    assert result["volatility"][0] == pytest.approx(result.result()["volatility"], rel=1e-9)
    assert result["sharpe"][0] == pytest.approx(result.result()["sharpe"], rel=1e-9)


def test_columns_go_by_name_or_number() -> None:
    frame = pd.DataFrame(prices(), columns=["X", "Y", "Z"])
    result = from_signals(frame, *signals())
    assert result.equity("Y").equals(result.equity(1))
    assert result.equity(-1).equals(result.equity("Z"))
    assert len(result) == 3
    assert "3 columns" in repr(result)
    with pytest.raises(KeyError, match="no column 'YY'"):
        result.equity("YY")
    with pytest.raises(KeyError, match="0 to 2"):
        result.trades(3)
    with pytest.raises(ValueError, match="say which one"):
        result.result()
    with pytest.raises(KeyError, match="did you mean 'sharpe'"):
        _ = result["sharp"]


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"init_cahs": 1.0}, TypeError, "did you mean 'init_cash'"),
    ({"init_cash": 1.0, "initial_cash": 1.0}, TypeError, "under two names"),
    ({"sl_stop": 0.1, "stop_pct": 0.1}, TypeError, "other spelling"),
    ({"sl_stop": 0.1, "sl_trail": [True, False, True]}, ValueError, "sl_trail was"),
    ({"reject_prob": 0.5}, TypeError, "no argument 'reject_prob': leave out entries"),
    ({"fees": -0.1}, ValueError, "fees was -0.1 for column 0"),
    ({"fees": [0.1, 0.2]}, ValueError, "fees has 2 columns"),
    ({"fees": "0.1 %"}, ValueError, "fees was '0.1 %'"),
    ({"stop_pct": np.full((BARS, 3), 0.1)}, ValueError, "not one per bar"),
    ({"target_pct": [0.1, 0.0, 0.1]}, ValueError, "target_pct was 0 for column 1"),
    ({"max_bars": 2.5}, ValueError, "whole numbers"),
    ({"size": np.full((BARS, 3), -1.0)}, ValueError, "size was -1 at bar 0"),
    ({"size_type": "percnt"}, ValueError, "did you mean 'percent'"),
    ({"size": 0.5, "size_type": "percent", "direction": "both"}, ValueError, "cannot turn"),
    ({"direction": "short"}, ValueError, "did you mean 'shortonly'"),
    ({"direction": "both", "short_entries": np.ones((BARS, 3), bool)}, ValueError, "leave out one of the two"),
    ({"size_granularity": 0.1}, ValueError, "size_granularity was 0.1"),
    ({"freq": "2 weeks"}, ValueError, "freq was '2 weeks'"),
    ({"config": 3}, TypeError, "config was a int"),
    ({"config": "default"}, ValueError, "partial_fills_allowed"),
    ({"high": np.full((BARS, 3), 1e-3)}, ValueError, "high is below low at bar 0"),
    ({"open": np.full((BARS, 2), 1.0)}, ValueError, "open has the shape"),
    ({"low": np.full((BARS, 3), -1.0)}, ValueError, "low was -1"),
    ({"accumulate": "often"}, ValueError, "accumulate was 'often'"),
    ({"cash_sharing": True, "stop_pct": [0.1, 0.2, 0.3]}, ValueError, "with cash_sharing there is one account"),
]


@pytest.mark.parametrize(("given", "error", "text"), BAD, ids=lambda value: next(iter(value)) if isinstance(value, dict) else None)
def test_bad_arguments_are_named(given: dict[str, Any], error: type[Exception], text: str) -> None:
    entries, exits = signals()
    with pytest.raises(error, match=text):
        from_signals(prices(), entries, exits, **given)


def test_prices_and_signals_that_do_not_fit_are_refused() -> None:
    close, (entries, exits) = prices(), signals()
    with pytest.raises(TypeError, match="needs signals"):
        from_signals(close)
    with pytest.raises(ValueError, match="entries has 59 bars, close 60"):
        from_signals(close, entries[1:])
    with pytest.raises(ValueError, match="exits has 2 columns"):
        from_signals(close, entries, exits[:, :2])
    with pytest.raises(ValueError, match="column 1, expected a finite price"):
        from_signals(np.where(np.arange(3) == 1, -close, close), entries)
    later = pd.DataFrame(entries, index=DATES + pd.Timedelta("1D"))
    with pytest.raises(ValueError, match="different times: bar 0"):
        from_signals(pd.DataFrame(close, index=DATES), later)
    with pytest.raises(ValueError, match="same order"):
        from_signals(pd.DataFrame(close, columns=list("ABC")), pd.DataFrame(entries, columns=list("CBA")))
    with pytest.raises(ValueError, match="come twice"):
        from_signals(pd.DataFrame(close, columns=list("AAB")), entries)
    with pytest.raises(ValueError, match="time of bar 1 does not come after"):
        from_signals(pd.DataFrame(close, index=DATES[::-1]), entries)
    with pytest.raises(TypeError, match="which the feed has already"):
        frame = pl.DataFrame({"timestamp": pl.Series(DATES), "asset": "A", "close": close[:, 0]})
        from_signals(DataFeed(frame), entries[:, 0], high=close)
