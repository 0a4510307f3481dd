"""`check_warmup`: windows and recursions are found to need the history that they need."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, Strategy, check_warmup
from tests.honesty.strategies import NEXT, Averages, RowPeek, trade
from tests.profiles import few
from tests.studies.strategies import walk

PRICES = walk(120)
FEED = DataFeed(PRICES)


class Window(Strategy):
    """Holds what closes above the mean of its last closes."""

    def __init__(self, length: int = 7) -> None:
        self.length, self.closes = length, {}

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        for asset, bar in data.items():
            closes = self.closes.setdefault(asset, [])
            closes.append(bar["close"])
            last = closes[-self.length :]
            trade(broker, asset, len(last) == self.length and bar["close"] > sum(last) / self.length)


class Exponential(Strategy):
    """Orders an exponential average, which never forgets."""

    def __init__(self) -> None:
        self.mean: float | None = None

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        close = data["A0"]["close"]
        self.mean = close if self.mean is None else 0.8 * self.mean + 0.2 * close
        broker.submit_order("A0", self.mean / 1000.0)


@few
@given(length=st.integers(2, 30))
def test_a_window_needs_its_length_less_the_bar_itself(length: int) -> None:
    report = check_warmup(lambda: Window(length), FEED, NEXT, start=60)
    assert report.bars is not None
    assert report.bars <= length - 1
    exact = check_warmup(lambda: Counted(length), FEED, NEXT, start=60)
    assert exact.bars == length - 1


class Counted(Strategy):
    """Orders as many units as it has seen bars, at most `length`."""

    def __init__(self, length: int) -> None:
        self.length, self.seen = length, 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.seen += 1
        broker.submit_order("A0", min(self.seen, self.length))


def test_what_never_settles_fails_and_shows_by_how_much() -> None:
    report = check_warmup(Exponential, FEED, NEXT)
    assert report.bars is None
    assert not report
    assert "never settle" in str(report)
    shrinking = report.history.filter(pl.col("history").is_in([10, 20, 50]))["largest_difference"].to_list()
    assert shrinking[0] > shrinking[1] > shrinking[2] > 0.0
    near = check_warmup(Exponential, FEED, NEXT, tolerance=1e-3)
    assert near.bars is not None
    assert 5 < near.bars < 40


def test_an_average_of_all_that_there_is_does_not_settle_early() -> None:
    report = check_warmup(Averages, FEED, NEXT, history=[1, 5, 10])
    assert report.history["history"].to_list() == [1, 5, 10]
    assert report.runs == 4
    assert not report


def test_signals_made_of_shorter_prices() -> None:
    def make(prices: pl.DataFrame) -> pl.DataFrame:
        close = pl.col("close")
        return prices.select(
            "timestamp",
            "symbol",
            mean=close.rolling_max(9).over("symbol"),
            since=(close / close.first()).over("symbol"),
        )

    report = check_warmup(None, FEED, signals=make, start=60)
    assert report.needed["mean"] == 10  # of the lengths tried by default, the first of at least 8
    assert report.needed["since"] is None
    assert (
        check_warmup(None, FEED, signals=make, prices=PRICES.to_pandas().pipe(pl.from_pandas), history=[7, 8], start=60).needed["mean"] == 8
    )


def test_strategies_of_every_kind() -> None:
    from ml4t_backtest import CompiledStrategy, SignalStrategy

    close = FEED.panels.prices["close"]
    up = close > 100.0
    assert check_warmup(SignalStrategy(up, ~up, size=3.0), FEED, NEXT, history=[0, 7]).bars == 0
    assert check_warmup(RowPeek, FEED, NEXT, history=[0, 7]).bars == 0

    def on_bar(ctx: Any, params: Any) -> None:
        if ctx.bar % 5 == 0:
            ctx.submit_market(0, 1.0)

    assert not check_warmup(CompiledStrategy(on_bar), FEED, NEXT, history=[1, 6])


def test_orders_that_are_declined_are_explained() -> None:
    class Needs(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            broker.submit_order("A0", 1).order_id  # noqa: B018

    with pytest.raises(AttributeError) as caught:
        check_warmup(Needs, FEED, NEXT)
    assert any("declined" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"start": 0}, ValueError, "start was 0"),
        ({"start": 120}, ValueError, "start was 120"),
        ({"history": 5}, TypeError, r"history=\[5\]"),
        ({"history": []}, ValueError, "history was"),
        ({"history": [60]}, ValueError, "from 0 to 59"),
        ({"history": [-1]}, ValueError, "history was -1"),
        ({"tolerance": -0.1}, ValueError, "tolerance was -0.1"),
        ({"begin": 5}, TypeError, "no argument 'begin'"),
    ],
)
def test_bad_arguments(keywords: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        check_warmup(Window, FEED, NEXT, **keywords)
