"""Walk-forward of strategies that hold arrays of the whole feed: every window gets its own bars of them."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t_backtest import BacktestConfig, Engine, SignalStrategy, walk_forward
from ml4t_backtest.indicators import sma
from ml4t_backtest.signals import Indicators, above, crosses_above, crosses_below
from ml4t_backtest.splitting import RollingWindows
from tests.research.strategies import made_feed

CONFIG = BacktestConfig.from_preset("vectorbt")
WINDOWS = RollingWindows(30, 12)
LENGTHS = [2, 4, 8]


@pytest.mark.parametrize("warmup", [0, 5])
def test_conditions_read_the_bars_of_their_window(warmup: int) -> None:
    feed = made_feed(80, 2)
    close = feed.panels.prices["close"]
    table = Indicators(dict(zip(LENGTHS, sma(close, LENGTHS), strict=True)))
    price = Indicators({"close": close})["close"]
    strategy = SignalStrategy(
        [crosses_above(price, table.by("length")), above(price, 1e9)],
        crosses_below(price, table.by("length")),
        size=50.0,
        params={"length": 4},
    )
    walk = walk_forward(feed, strategy, {"length": LENGTHS}, WINDOWS, warmup=warmup, config=CONFIG)
    assert len(walk) == 4
    cash, equity = CONFIG.initial_cash, []
    for window in walk.windows:
        start, end = int(window.split.test[0]), int(window.split.test[-1]) + 1
        rises = close > sma(close, window.parameters["length"])
        falls = close < sma(close, window.parameters["length"])
        entries, exits = (np.vstack([now[:1] & False, now[1:] & other[:-1]]) for now, other in ((rises, ~rises), (falls, ~falls)))
        first = np.isnan(sma(close, window.parameters["length"]))
        entries[1:] &= ~first[:-1]
        if not warmup:  # the bar before the window is not seen
            entries[start] = exits[start] = False
        run = Engine(
            feed.between(start, end),
            SignalStrategy(entries[start:end], exits[start:end], size=50.0),
            CONFIG,
            initial_cash=cash,
            close_at_end=True,
        ).run()
        equity += run._equity.tolist()
        cash = run["final_value"]
    assert walk.result._equity.tolist() == equity
    assert walk.result["num_trades"] > 8


def test_arrays_and_sizes_are_cut() -> None:
    feed = made_feed(60, 4)
    close = feed.panels.prices["close"]
    rising = close > np.roll(close, 1, axis=0)
    sizes = np.arange(1.0, 61.0)[:, np.newaxis] * np.ones((1, 2))
    strategy = SignalStrategy(rising, ~rising, size=sizes)
    part = strategy.between(20, 35)
    runs = [
        Engine(feed.between(20, 35), one, CONFIG).run() for one in (part, SignalStrategy(rising[20:35], ~rising[20:35], size=sizes[20:35]))
    ]
    assert runs[0].metrics == runs[1].metrics
    assert runs[0]["num_trades"] > 5
    walk = walk_forward(feed, strategy, {"max_bars": [2, 6]}, WINDOWS, config=CONFIG)
    assert set(walk.frame["max_bars"]) <= {2, 6}
    assert strategy.params["size"].shape == (60, 2)
