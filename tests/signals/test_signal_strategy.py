"""`SignalStrategy`: conditions and arrays, many sets against one engine each, its compiled turn against its Python one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import AssetCommission, BacktestConfig, DataFeed, Engine, PercentageCommission, SignalStrategy, from_signals, sweep
from ml4t_backtest.signals import Conflicts, Indicators, above, below, crosses_above, crosses_below
from tests.profiles import few
from tests.signals.cases import random_run
from tests.signals.test_fused_equals_engine import check_metrics

seeds = st.integers(0, 2**32 - 1)
CONDITIONS = (above, below, crosses_above, crosses_below)


class PythonTurn(SignalStrategy):
    """Takes its turns in Python."""

    def _compiled_host(self, store: Any, panels: Any, broker: Any) -> None:
        return None


def feed_of(prices: dict[str, np.ndarray]) -> DataFeed:
    return DataFeed(feed_frame(prices))


def feed_frame(prices: dict[str, np.ndarray]) -> pl.DataFrame:
    bars, assets = prices["close"].shape
    days = pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 1) + pl.duration(days=bars - 1), "1d", eager=True)
    return pl.DataFrame(
        {
            "timestamp": pl.concat([days] * assets),
            "asset": [f"A{column}" for column in range(assets) for _ in range(bars)],
            **{name: panel.T.ravel() for name, panel in prices.items()},
        }
    )


@few
@given(seed=seeds)
def test_sets_of_conditions_are_runs_of_engines(seed: int) -> None:
    random, run = np.random.default_rng(seed), random_run(seed, bars=50, columns=1)
    lines = np.round(random.normal(0.0, 1.0, (4, 50)).cumsum(axis=1), 1)  # rounded, so that lines touch
    lines[random.random(lines.shape) < 0.05] = np.nan
    table = Indicators(dict(zip("abcd", lines, strict=True)))
    pick = lambda: CONDITIONS[int(random.integers(4))]
    strategy = SignalStrategy(
        [pick()(table.by("one"), table.by("other")), pick()(table["a"], 0.5)],
        pick()(table.by("one"), "level"),
        short_entries=pick()(table.by("other"), "level") if random.random() < 0.5 else None,
        size=0.7,
        size_type="equity",
        params={"one": "a", "other": "b", "level": 0.0},
    )
    config = run.arguments["config"].replace(partial_fills_allowed=True)
    sets: list[dict[str, Any]] = [
        {
            "one": str(random.choice(list("abcd"))),
            "level": float(random.choice([-1.0, 0.0, 1.5])),
            "stop_pct": [None, 0.03][int(random.integers(2))],
            "trail_pct": [None, 0.05][int(random.integers(2))],
            "max_bars": [None, 3][int(random.integers(2))],
            "size": float(random.choice([0.5, 1.0])),
        }
        for _ in range(5)
    ]
    feed = feed_of(run.prices)
    rows = strategy.run_sets(feed, config, sets)
    for values, row in zip(sets, rows, strict=True):
        engine = Engine(feed, strategy.with_params(**values), config).run()
        assert row["final_value"] == engine["final_value"]
        check_metrics(row, engine.metrics)


@few
@given(seed=seeds)
def test_the_compiled_turn_orders_what_the_python_turn_orders(seed: int) -> None:
    random, run = np.random.default_rng([seed, 1]), random_run(seed, bars=40, columns=4)
    config = run.arguments["config"].replace(partial_fills_allowed=True)
    if config.cash_ledger == "standard" and random.random() < 0.5:
        config = config.replace(account_type="margin", **{} if random.random() < 0.5 else {"max_positions": 2})
    if config.execution_mode == "same_bar" and random.random() < 0.3:
        config = config.replace(immediate_fill=True)
    size = np.where(random.random((40, 4)) < 0.1, math.nan, 20.0) if random.random() < 0.3 else 0.4
    given: dict[str, Any] = {
        "size": size,
        "size_type": "amount" if isinstance(size, np.ndarray) else "equity",
        "stop_pct": [None, 0.05][int(random.integers(2))],
        "conflicts": Conflicts(accumulate=bool(random.random() < 0.3)),
    }
    feed = feed_of(run.prices)
    one, other = (Engine(feed, kind(**run.signals, **given), config).run() for kind in (SignalStrategy, PythonTurn))
    assert one.to_orders_dataframe().equals(other.to_orders_dataframe())
    assert one.to_fills_dataframe().equals(other.to_fills_dataframe())
    assert one.to_equity_dataframe().equals(other.to_equity_dataframe())


def test_a_column_of_many_and_sizes_by_bar() -> None:
    run = random_run(5, bars=40, columns=1)
    signals = {"entries": np.random.default_rng(1).random((40, 3)) < 0.2, "exits": np.random.default_rng(2).random((40, 3)) < 0.2}
    feed, config = feed_of(run.prices), BacktestConfig.from_preset("vectorbt")
    sizes = np.where(np.arange(40) % 3 == 0, math.nan, 10.0)
    rows = SignalStrategy(**signals).run_sets(
        feed, config, [{"column": 2, "size": sizes}, {"column": 0}, {"column": 1, "target_pct": 0.02}]
    )
    for row, values in zip(rows, [{"column": 2, "size": sizes}, {"column": 0}, {"column": 1, "target_pct": 0.02}], strict=True):
        assert row["final_value"] == Engine(feed, SignalStrategy(**signals).with_params(**values), config).run()["final_value"]
    assert len({row["final_value"] for row in rows}) == 3


def test_sweep_takes_the_strategy_and_its_row_is_the_engines() -> None:
    run = random_run(9, bars=60, columns=1)
    feed, config = feed_of(run.prices), BacktestConfig.from_preset("vectorbt")
    strategy = SignalStrategy(**run.signals)
    study = sweep(feed, strategy, {"stop_pct": [0.01, 0.05, 0.2], "target_pct": [0.02, 0.1]}, config=config)
    frame = study.to_dataframe() if hasattr(study, "to_dataframe") else study.frame
    assert len(frame) == 6
    for row in frame.iter_rows(named=True):
        chosen = strategy.with_params(stop_pct=row["stop_pct"], target_pct=row["target_pct"])
        assert row["final_value"] == Engine(feed, chosen, config).run()["final_value"]


def test_runs_that_only_an_engine_takes_have_the_same_row() -> None:
    run = random_run(3, bars=40, columns=1)
    feed = feed_of(run.prices)
    config = BacktestConfig(account_type="margin", partial_fills_allowed=True)
    strategy = SignalStrategy(**run.signals, size=0.5, size_type="equity")
    (row,) = strategy.run_sets(feed, config, [{"stop_pct": 0.05}])
    result = Engine(feed, strategy.with_params(stop_pct=0.05), config).run()
    assert {name: row[name] for name in result.metrics} == result.metrics
    assert set(row) - set(result.metrics) == {"skewness", "kurtosis"}


def test_what_belongs_to_an_asset_or_a_feed_is_left_to_an_engine() -> None:
    run = random_run(3, bars=40, columns=1)
    frame = feed_frame(run.prices)
    strategy, base = SignalStrategy(**run.signals), BacktestConfig.from_preset("vectorbt")
    by_asset = base.replace(commission_model=AssetCommission({"A0": PercentageCommission(0.02)}, default=PercentageCommission(0.0)))
    quoted = BacktestConfig(slippage_type="spread", partial_fills_allowed=True)
    paying = frame.with_columns(dividend=pl.when(pl.int_range(pl.len()) == 20).then(1.5).otherwise(0.0))
    cases = (
        (frame, by_asset),
        (frame.with_columns(bid=pl.col("close") * 0.99, ask=pl.col("close") * 1.01), quoted),
        (paying, base),
    )
    for prices, config in cases:
        feed = DataFeed(prices)
        (row,) = strategy.run_sets(feed, config, [{}])
        assert row["final_value"] == Engine(feed, strategy, config).run()["final_value"]
        assert row["final_value"] != strategy.run_sets(DataFeed(frame), base, [{}])[0]["final_value"]
    with pytest.raises(ValueError, match="the feed has dividends"):
        from_signals(DataFeed(paying), run.signals["entries"])


TABLE = Indicators({5: np.arange(4.0), 10: np.arange(4.0)[::-1]})


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (SignalStrategy, TypeError, "needs signals"),
        (lambda: SignalStrategy(np.ones(3, bool), above(TABLE[5], 1.0)), TypeError, "all as conditions or all as arrays"),
        (lambda: SignalStrategy(np.ones(3, bool), np.ones(4, bool)), ValueError, "exits has the shape"),
        (lambda: SignalStrategy(np.array([1.0, 2.0])), ValueError, "entries was 2 at bar 1"),
        (lambda: SignalStrategy(above(TABLE.by("window"), 1.0), params={"windw": 5}), TypeError, "did you mean 'window'"),
        (lambda: SignalStrategy(above(TABLE.by("window"), 1.0), params={"window": 7}), ValueError, "no indicator 7"),
        (lambda: SignalStrategy(above(TABLE.by("size"), 1.0)), ValueError, "give it another name"),
        (lambda: SignalStrategy(above(TABLE[5], "level"), params={"level": math.nan}), ValueError, "'level' was nan"),
        (lambda: SignalStrategy(np.ones(3, bool), stop_pct=0.0), ValueError, "stop_pct was 0.0"),
        (lambda: SignalStrategy(np.ones(3, bool), max_bars=1.5), ValueError, "max_bars was 1.5"),
        (lambda: SignalStrategy(np.ones(3, bool), size=-1), ValueError, "size was -1"),
        (lambda: SignalStrategy(np.ones(3, bool), size_type="shares"), ValueError, "size_type was 'shares'"),
        (lambda: SignalStrategy(np.ones(3, bool), call_seq="random"), ValueError, "call_seq was 'random'"),
        (lambda: SignalStrategy(np.ones(3, bool), conflicts="both"), TypeError, "conflicts was 'both'"),
        (
            lambda: SignalStrategy(np.arange(3) == 0, short_entries=np.arange(3) == 1, size=0.5, size_type="percent"),
            ValueError,
            "cannot turn",
        ),
        (lambda: SignalStrategy(np.ones(3, bool), size=1.5, size_type="percent"), ValueError, "at most 1"),
        (lambda: Conflicts(upon_dir_conflict="log"), ValueError, "did you mean 'long'"),
        (lambda: Indicators({}), ValueError, "empty table"),
        (lambda: Indicators({1: np.ones(3), 2: np.ones(4)}), ValueError, "shape"),
        (lambda: Indicators({1: np.array([np.inf])}), ValueError, "infinite"),
        (lambda: TABLE[6], KeyError, "no indicator 6"),
        (lambda: TABLE.by("a b"), ValueError, "expected a name"),
        (lambda: above(np.ones(3), 1.0), TypeError, "expected an indicator"),
        (lambda: above(TABLE[5], True), TypeError, "right side"),
    ],
)
def test_bad_arguments_are_named(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("strategy", "config", "text"),
    [
        (SignalStrategy(np.ones((4, 2), bool)), "vectorbt", "choose one with column"),
        (SignalStrategy(np.ones(5, bool)), "vectorbt", "5"),
        (SignalStrategy(np.ones(4, bool)), "default", "partial_fills_allowed"),
        (SignalStrategy(np.ones(4, bool), size=0.5, size_type="percent"), "default", "needs cash_ledger"),
        (SignalStrategy(above(TABLE.by("window"), 1.0)), "vectorbt", "'window' has no value"),
        (SignalStrategy(np.ones(4, bool), size=np.ones(3)), "vectorbt", "size has the shape"),
    ],
)
def test_what_does_not_fit_a_feed_is_said_by_engine_and_by_sets(strategy: SignalStrategy, config: str, text: str) -> None:
    feed = feed_of({"close": np.full((4, 1), 10.0)})
    with pytest.raises(ValueError, match=text):
        Engine(feed, strategy, config).run()
    with pytest.raises(ValueError, match=text):
        strategy.run_sets(feed, config, [{}])


def test_a_set_with_a_bad_value_is_refused_before_any_runs() -> None:
    feed, strategy = feed_of({"close": np.full((4, 1), 10.0)}), SignalStrategy(np.ones(4, bool))
    for values, text in (({"stop_pct": -1.0}, "stop_pct was -1"), ({"max_bars": 0}, "max_bars was 0"), ({"size": -2}, "size was -2")):
        with pytest.raises(ValueError, match=text):
            strategy.run_sets(feed, "vectorbt", [{}, values])
    with pytest.raises(TypeError, match="no parameter 'stop'"):
        strategy.run_sets(feed, "vectorbt", [{"stop": 1.0}])
