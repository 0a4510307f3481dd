"""Bad arguments of `check_lookahead` are refused by name, and what it shows."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import DataFeed, check_lookahead
from tests.honesty.strategies import NEXT, PRICES, Averages, HeldPeek

FEED = DataFeed(PRICES)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "text"),
    [
        ((HeldPeek, FEED), {}, TypeError, "needs frame; give a function"),
        ((int, FEED), {}, TypeError, "expected a subclass of Strategy"),
        ((3, FEED), {}, TypeError, "expected a Strategy class"),
        ((lambda: 3, FEED), {}, TypeError, "returned a int"),
        ((lambda a, b: None, FEED), {}, TypeError, "needs a, b"),
        ((None, FEED), {}, TypeError, "give a strategy, or signals"),
        ((Averages, PRICES), {}, TypeError, "expected a DataFeed"),
        ((Averages, FEED.between(0, 1)), {}, ValueError, "expected at least 2"),
        ((Averages, FEED), {"runs": 3}, ValueError, "runs was 3"),
        ((Averages, FEED), {"run": 3}, TypeError, "did you mean 'runs'"),
        ((Averages, FEED), {"seed": -1}, ValueError, "seed was -1"),
        ((Averages, FEED), {"bars": 5}, TypeError, r"bars=\[5\]"),
        ((Averages, FEED), {"bars": [39]}, ValueError, "bars has 39"),
        ((Averages, FEED), {"bars": []}, ValueError, "bars was empty"),
        ((Averages, FEED), {"known": "calendar"}, TypeError, r"known=\['calendar'\]"),
        ((Averages, FEED), {"signals": 3}, TypeError, "signals was a int"),
        ((Averages, FEED), {"tolerance": 2}, ValueError, "tolerance was 2"),
        ((Averages, FEED), {"signals": lambda prices: 3}, TypeError, "signals was a builtins.int"),
    ],
)
def test_bad_arguments(arguments: Any, keywords: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        check_lookahead(*arguments, **keywords)


def test_the_same_object_again_is_refused() -> None:
    one = Averages()
    with pytest.raises(TypeError, match="same Averages object twice"):
        check_lookahead(lambda: one, FEED, NEXT)


def test_bars_may_be_times() -> None:
    report = check_lookahead(Averages, FEED, NEXT, bars=[5, "2024-01-20"], runs=4)
    assert report.cuts == (5, 19)
    assert report.runs == 6
    assert "<pre" in report._repr_html_()


def test_what_the_strategy_raises_is_raised() -> None:
    class Broken(Averages):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        check_lookahead(Broken, FEED, NEXT)
