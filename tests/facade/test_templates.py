"""The strategy templates, run through the engine and compared with a plain count of what they should hold."""

from __future__ import annotations

import math
import random
from statistics import fmean, stdev
from typing import Any

import polars as pl
import pytest

from ml4t_backtest import DataFeed, Engine
from ml4t_backtest.strategies import LongShortStrategy, MeanReversionStrategy, MomentumStrategy, SignalFollowingStrategy
from tests.facade.feeds import START, Calls, days, feed, prices

NAN = math.nan


def signal_feed(closes: dict[str, list[Any]], signals: dict[str, list[Any]], name: str = "signal") -> DataFeed:
    """Return a feed with one signal per asset and bar; None is a missing one."""
    rows = [
        {"timestamp": when, "symbol": asset, name: series[number]}
        for asset, series in signals.items()
        for number, when in enumerate(days(len(series)))
        if closes[asset][number] is not None
    ]
    return DataFeed(prices(closes), pl.DataFrame(rows))


def trades(engine: Engine) -> list[tuple[int, str, float]]:
    """Return (bar, asset, signed quantity) of all fills."""
    return [((fill.timestamp - START).days, fill.asset, fill.signed_quantity) for fill in engine.broker.fills]


class AboveZero(SignalFollowingStrategy):
    def should_enter_long(self, signal: float) -> bool:
        return signal > 0.5

    def should_exit(self, signal: float) -> bool:
        return abs(signal) < 0.1

    def should_enter_short(self, signal: float) -> bool:
        return signal < -0.5


def test_a_signal_is_followed() -> None:
    closes = {"A": [10.0] * 6, "B": [20.0] * 6}
    signals = {"A": [1.0, None, 0.0, -1.0, -1.0, 0.0], "B": [None, 1.0, 1.0, 0.3, 0.0, 1.0]}
    engine = Engine(signal_feed(closes, signals), AboveZero())
    engine.run()
    assert trades(engine) == [(0, "A", 1_000.0), (1, "B", 500.0), (2, "A", -1_000.0), (4, "B", -500.0), (5, "B", 500.0)]

    short = Engine(
        signal_feed({"A": closes["A"]}, {"A": signals["A"]}), AboveZero(allow_shorts=True, position_size=0.5), account_type="crypto"
    )
    short.run()
    assert trades(short) == [(0, "A", 5_000.0), (2, "A", -5_000.0), (3, "A", -5_000.0), (5, "A", 5_000.0)]


def test_a_subclass_sets_its_signal_and_never_shorts_unless_it_says_how() -> None:
    class Score(SignalFollowingStrategy):
        signal_column = "score"
        allow_shorts = True

        def should_enter_long(self, signal: float) -> bool:
            return signal > 0

        def should_exit(self, signal: float) -> bool:
            return signal < 0

    engine = Engine(signal_feed({"A": [10.0] * 3}, {"A": [-1.0, 1.0, -1.0]}, "score"), Score())
    engine.run()
    assert trades(engine) == [(1, "A", 1_000.0), (2, "A", -1_000.0)]
    with pytest.raises(TypeError, match="abstract"):
        SignalFollowingStrategy()
    text = Engine(signal_feed({"A": [10.0]}, {"A": ["buy"]}, "score"), Score())
    with pytest.raises(TypeError, match="the signal 'score' was 'buy', expected a number"):
        text.run()


def test_whole_shares_and_waiting_assets() -> None:
    closes = {"A": [30.0, None, 30.0], "B": [7.0, 7.0, 7.0]}
    signals: dict[str, list[Any]] = {"A": [1.0] * 3, "B": [1.0] * 3}
    engine = Engine(signal_feed(closes, signals), AboveZero(allow_fractional=False), execution_mode="next_bar")
    engine.run()
    assert trades(engine) == [(1, "B", 1_428.0), (2, "A", 333.0)]


def walk(seed: int, count: int = 250) -> list[float]:
    """Return a random walk of prices."""
    numbers = random.Random(seed)
    price, path = 100.0, []
    for _ in range(count):
        price *= 1.0 + numbers.gauss(0.0, 0.03)
        path.append(price)
    return path


def held_bars(closes: list[float], score: Any, enters: Any, leaves: Any) -> list[bool]:
    """Return on which bars a rule of one score holds the asset after its decision."""
    held, every = False, []
    for bar in range(len(closes)):
        value = score(closes[: bar + 1])
        if value is not None:
            held = not leaves(value) if held else enters(value)
        every.append(held)
    return every


def test_momentum_holds_what_has_risen() -> None:
    for lookback in (2, 20):
        closes = {name: walk(seed) for seed, name in enumerate("AB")}
        engine = Engine(feed(closes), MomentumStrategy(lookback=lookback))
        result = engine.run()
        for name, path in closes.items():
            held = held_bars(
                path,
                lambda seen, n=lookback: seen[-1] / seen[-n] - 1.0 if len(seen) >= n else None,
                lambda value: value > 0.05,
                lambda value: value < -0.02,
            )
            changes = [bar for bar in range(len(path)) if held[bar] != (held[bar - 1] if bar else False)]
            assert [bar for bar, asset, _ in trades(engine) if asset == name] == changes
            assert len(changes) > 4
        assert len(result.trades) > 0


def test_mean_reversion_buys_what_has_fallen_far() -> None:
    path = walk(5)
    engine = Engine(feed({"A": path}), MeanReversionStrategy(lookback=10, entry_zscore=-1.5))
    engine.run()

    def score(seen: list[float]) -> float | None:
        window = seen[-11:-1]
        return (seen[-1] - fmean(window)) / stdev(window) if len(window) == 10 else None

    held = held_bars(path, score, lambda value: value < -1.5, lambda value: value > 0.0)
    changes = [bar for bar in range(1, len(path)) if held[bar] != held[bar - 1]]
    assert [bar for bar, _, _ in trades(engine)] == changes
    assert len(changes) > 4


def test_a_flat_market_has_no_score_and_a_gap_no_close() -> None:
    engine = Engine(feed({"A": [10.0] * 30 + [None] + [10.0] * 5}), MeanReversionStrategy(lookback=3, entry_zscore=1.0))
    engine.run()
    assert trades(engine) == []
    gap = Engine(feed({"A": [10.0, None, 11.0], "B": [1.0, 1.0, 1.0]}), MomentumStrategy(lookback=2))
    gap.run()
    assert [(bar, asset) for bar, asset, _ in trades(gap)] == [(2, "A")]


def test_long_short_ranks_on_its_bars() -> None:
    closes = {name: [10.0] * 5 for name in "ABCDE"}
    signals: dict[str, list[Any]] = {
        "A": [5.0, 0.0, 1.0, 0.0, 0.0],
        "B": [4.0, 0.0, 5.0, 0.0, None],
        "C": [3.0, 0.0, 3.0, 0.0, 9.0],
        "D": [2.0, 0.0, 4.0, 0.0, 3.0],
        "E": [1.0, 0.0, 1.0, 0.0, 9.0],
    }
    strategy = LongShortStrategy(long_count=2, short_count=1, position_size=0.1, rebalance_frequency=2)
    engine = Engine(signal_feed(closes, signals), strategy, account_type="crypto")
    engine.run()
    assert trades(engine) == [
        (0, "A", 1_000.0),
        (0, "B", 1_000.0),
        (0, "E", -1_000.0),
        (2, "A", -1_000.0),
        (2, "D", 1_000.0),
        (4, "B", -1_000.0),
        (4, "D", -1_000.0),
        (4, "C", 1_000.0),
        (4, "E", 2_000.0),
        (4, "A", -1_000.0),
    ]


def test_few_assets_are_long_first_and_equal_signals_keep_their_order() -> None:
    engine = Engine(
        signal_feed({name: [10.0] for name in "BAC"}, {name: [1.0] for name in "BAC"}),
        LongShortStrategy(long_count=2),
        account_type="crypto",
    )
    engine.run()
    sides = {asset: quantity > 0 for _, asset, quantity in trades(engine)}
    assert sides == {name: number < 2 for number, name in enumerate(engine.feed.assets)}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MomentumStrategy(lookbak=10), TypeError, "MomentumStrategy has no setting 'lookbak'; did you mean 'lookback'"),
        (lambda: MomentumStrategy(lookback=1), ValueError, r"MomentumStrategy\(lookback=1\): expected a whole number >= 2"),
        (lambda: MomentumStrategy(lookback=2.5), ValueError, "lookback=2.5"),
        (lambda: MomentumStrategy(entry_threshold=NAN), ValueError, "entry_threshold=nan"),
        (lambda: MeanReversionStrategy(lookback=True), ValueError, "lookback=True"),
        (lambda: MeanReversionStrategy(exit_zscore="0"), ValueError, "exit_zscore='0'"),
        (lambda: LongShortStrategy(long_count=-1), ValueError, "long_count=-1"),
        (lambda: LongShortStrategy(rebalance_frequency=0), ValueError, "rebalance_frequency=0"),
        (lambda: AboveZero(position_size=0.0), ValueError, "position_size=0.0"),
    ],
)
def test_bad_settings_are_refused_before_the_first_bar(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Engine(feed({"A": [10.0]}), make()).run()


def test_a_strategy_that_runs_again_starts_afresh() -> None:
    for strategy, source in (
        (MomentumStrategy(lookback=3), feed({"A": walk(1, 40)})),
        (LongShortStrategy(long_count=1, short_count=0, rebalance_frequency=7), signal_feed({"A": walk(1, 40)}, {"A": walk(2, 40)})),
    ):
        first, second = Engine(source, strategy), Engine(source, strategy)
        first.run()
        second.run()
        assert trades(first) == trades(second) != []


def test_a_multiplier_enters_the_size() -> None:
    sizes: list[float] = []

    class Fifty:
        def __init__(self, broker: Any) -> None:
            self.broker = broker

        def __getattr__(self, name: str) -> Any:
            return getattr(self.broker, name)

        def get_multiplier(self, asset: str) -> float:
            return 50.0

    Engine(feed({"A": [10.0]}), Calls(lambda bar, data, broker: sizes.append(MomentumStrategy()._size("A", 10.0, Fifty(broker))))).run()
    assert sizes == [100_000.0 * 0.10 / 500.0]
