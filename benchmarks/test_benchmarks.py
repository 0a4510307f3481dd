"""Small versions for pytest-benchmark: pytest benchmarks --benchmark-only. They compare commits on one machine and promise nothing."""

from __future__ import annotations

from typing import Any

import pytest
from dict_engine import DictEngine, DictFeed
from rows_kernel import drive
from workloads import ARRAY_STRATEGIES, INITIAL_CASH, STRATEGIES, Empty, EveryAssetHeavy, Frames, Size, make_frames, make_strategy, shuffled

from ml4t_backtest import DataFeed, Engine

pytest.importorskip("pytest_benchmark")

_SIZE = Size(assets=50, bars=500)
_ROUNDS = 5
_SAME = 1e-9


@pytest.fixture(scope="module", autouse=True)
def only_when_asked_for(request: pytest.FixtureRequest) -> None:
    """Keep timings out of a run of the whole test suite."""
    if not request.config.getoption("--benchmark-only"):
        pytest.skip("benchmarks run with --benchmark-only")


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Return the data."""
    return make_frames(_SIZE)


@pytest.fixture(scope="module")
def feed(frames: Frames) -> DataFeed:
    """Return a feed of the data, kernels loaded."""
    made = DataFeed(prices_df=frames.prices, signals_df=frames.signals)
    for workload in (*STRATEGIES, *ARRAY_STRATEGIES):
        _fresh_engine(made, workload).run()
    return made


def _fresh_engine(feed: DataFeed, workload: str) -> Engine:
    return Engine(feed, make_strategy(workload), initial_cash=INITIAL_CASH)


@pytest.mark.parametrize("workload", ["empty", "one_asset", "every_asset", "every_asset_heavy", "array_signals", "array_weights_every_bar"])
def test_run(benchmark: Any, feed: DataFeed, workload: str) -> None:
    """A run over all bars: dispatch alone, the loops over assets, whole rows."""
    result = benchmark.pedantic(Engine.run, setup=lambda: ((_fresh_engine(feed, workload),), {}), rounds=_ROUNDS)
    assert result["num_bars"] == _SIZE.bars


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_ingest(benchmark: Any, frames: Frames, order: str) -> None:
    """Building a feed."""
    prices = frames.prices if order == "sorted" else shuffled(frames.prices)
    made = benchmark.pedantic(DataFeed, args=(prices,), rounds=_ROUNDS, warmup_rounds=1)
    assert made.n_bars == _SIZE.bars


def test_one_fill(benchmark: Any, feed: DataFeed) -> None:
    """Orders and fills of every asset on every bar, straight in the kernels: divide by 25,000 for one."""

    def setup() -> tuple[tuple[Engine], dict[str, object]]:
        return (Engine(feed, Empty(), initial_cash=INITIAL_CASH),), {}

    def fill(engine: Engine) -> int:
        drive(engine._store, orders=True)
        return len(engine._store.used_fills())

    assert benchmark.pedantic(fill, setup=setup, rounds=_ROUNDS) == _SIZE.cells


def test_dict_engine(benchmark: Any, frames: Frames, feed: DataFeed) -> None:
    """The yardstick, which has to end where the library ends."""

    def setup() -> tuple[tuple[DictEngine], dict[str, object]]:
        return (DictEngine(DictFeed(frames.prices, frames.signals), EveryAssetHeavy(), INITIAL_CASH),), {}

    theirs = benchmark.pedantic(DictEngine.run, setup=setup, rounds=_ROUNDS)
    ours = _fresh_engine(feed, "every_asset_heavy").run()
    assert theirs.final_value == pytest.approx(ours["final_value"], rel=_SAME)
    assert len(theirs.fills) == len(ours.fills)
