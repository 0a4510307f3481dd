"""Strategies and signals that cannot be made of little data: such bars are left out and said, not taken for leaks."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ml4t_backtest import DataFeed, check_lookahead, check_warmup
from tests.honesty.strategies import NEXT, PRICES, Averages

FEED = DataFeed(PRICES)


def needs_ten(feed: DataFeed) -> Averages:
    if feed.n_bars < 10:
        raise ValueError("a model needs ten bars")
    return Averages()


def signals_of_ten(prices: pl.DataFrame) -> pl.DataFrame:
    if len(prices) < 20:
        raise ValueError("twenty rows")
    return prices.select("timestamp", "symbol", mean=pl.col("close").rolling_mean(3).over("symbol"))


def test_a_strategy_that_needs_data() -> None:
    report = check_lookahead(needs_ten, FEED, NEXT, bars=[0, 5, 20], runs=4)
    assert report.passed
    assert "with another future after bar 0, 5, which was left out (ValueError: a model needs ten bars)" in str(report)


def test_signals_that_need_data() -> None:
    report = check_lookahead(None, FEED, signals=signals_of_ten, bars=[0, 20])
    assert report.passed
    assert "signals could not be made" in report.notes[0]
    with pytest.raises(ValueError, match="twenty rows") as caught:
        check_warmup(None, FEED, signals=signals_of_ten, start=35)
    assert any("name longer ones" in note for note in caught.value.__notes__)


def test_history_that_is_too_short_for_a_strategy() -> None:
    def needs_thirty(feed: DataFeed) -> Any:
        if feed.n_bars < 30:
            raise ValueError("thirty bars")
        return Averages()

    report = check_warmup(needs_thirty, FEED, NEXT, start=20, history=[0, 5])
    assert report.history["what"].to_list() == ["exception", "exception"]
    assert "thirty bars" in str(report)


def test_prices_without_times() -> None:
    with pytest.raises(ValueError, match="prices has no column 'timestamp'"):
        check_lookahead(None, FEED, signals=signals_of_ten, prices=PRICES.rename({"timestamp": "when"}))
