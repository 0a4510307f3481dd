"""Compiled strategies: what a function is given, its parameters and arrays, and that results are those of a run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit

from ml4t_backtest import CompiledStrategy, DataFeed, Engine, StopLoss
from ml4t_backtest.compiled import OrderStatus, OrderType
from ml4t_kernels._jit import COMPILED
from tests.facade.feeds import Calls, feed, prices

CLOSES: dict[str, list[float | None]] = {"A": [10.0, 11.0, 12.0, 11.0, 9.0, 8.0], "B": [20.0, 20.0, None, 21.0, 22.0, 23.0]}
PAGE = Path(__file__).parents[2] / "docs" / "compiled.md"


@njit
def buy_once(ctx, params):
    if ctx.bar == params.bar:
        ctx.submit_market(params.asset, params.quantity)


def run(strategy: CompiledStrategy, closes: Any = None, **keywords: Any) -> Any:
    engine = Engine(feed(closes or CLOSES), strategy, **keywords)
    engine.run()
    return engine


def test_the_page_runs() -> None:
    names: dict[str, Any] = {"feed": feed({"A": [10.0 + math.sin(bar / 3.0) for bar in range(60)]})}
    for listing in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        if not COMPILED and "StrategyCompileError" in listing:
            continue
        exec(compile(listing, "<compiled listing>", "exec"), names)
    assert names["result"]["num_trades"] > 0


def test_every_answer_of_a_context_is_on_the_page() -> None:
    from ml4t_kernels.context import PlainContext

    page = PAGE.read_text()
    for name in dir(PlainContext):
        if not name.startswith("_"):
            assert re.search(rf"`(ctx\.)?{name}\b", page), name


def test_parameters_change_without_another_compilation() -> None:
    from ml4t_backtest.compiled.host import _programs_of

    strategy = CompiledStrategy(buy_once, {"bar": 1, "asset": 0, "quantity": 5.0})
    assert [fill.quantity for fill in run(strategy).result.fills] == [5.0]
    programs = dict(_programs_of(strategy))
    other = strategy.with_params(quantity=7, bar=2.0)
    assert other.params == {"bar": 2, "asset": 0, "quantity": 7.0}
    assert [(fill.quantity, fill.price) for fill in run(other).result.fills] == [(7.0, 12.0)]
    assert dict(_programs_of(strategy)) == programs
    assert strategy.params["quantity"] == 5.0


class Given(NamedTuple):
    bar: int
    asset: int
    quantity: float


@pytest.mark.parametrize("given", [Given(0, 0, 3.0), {"bar": np.int32(0), "asset": True, "quantity": 3}])
def test_parameters_come_as_a_mapping_or_a_tuple(given: Any) -> None:
    assert len(run(CompiledStrategy(buy_once, given)).result.fills) == 1


def test_parameters_come_as_a_dataclass() -> None:
    @dataclass
    class Params:
        bar: int = 0
        asset: int = 1
        quantity: float = 2.0

    assert run(CompiledStrategy(buy_once, Params())).result.fills[0].asset == "B"


@njit
def seen(ctx, params, state):
    bar = ctx.bar
    state.close[bar] = ctx.close[0]
    state.window[bar] = len(ctx.closes(0, 3))
    state.mean[bar] = ctx.closes(0, 3).mean()
    state.held[bar] = ctx.position(0)
    state.value[bar] = ctx.account_value
    state.age[bar] = ctx.bars_held(0)
    state.entry[bar] = ctx.entry_price(0)
    state.profit[bar] = ctx.unrealized_pnl(0)
    if bar == 1:
        ctx.submit_market(0, 10.0)


def test_what_a_strategy_sees() -> None:
    names = ("close", "window", "mean", "held", "value", "age", "entry", "profit")
    kept = {name: np.zeros(6) for name in names}
    for debug in (False, True):
        strategy = CompiledStrategy(seen, state=lambda assets, params: kept, debug=debug)
        engine = run(strategy, execution_mode="next_bar", execution_price="open")
        memory = engine.strategy_arrays
        assert memory["close"].tolist() == CLOSES["A"]
        assert memory["window"].tolist() == [1, 2, 3, 3, 3, 3]
        assert memory["mean"].tolist() == pytest.approx([10.0, 10.5, 11.0, 34 / 3, 32 / 3, 28 / 3])
        assert memory["held"].tolist() == [0, 0, 10, 10, 10, 10]
        assert memory["age"].tolist() == [-1, -1, 0, 1, 2, 3]
        assert memory["profit"].tolist() == [0.0, 0.0, 0.0, -10.0, -30.0, -40.0]
        assert memory["value"].tolist() == [100_000.0] * 3 + [99_990.0, 99_970.0, 99_960.0]
        assert np.isnan(memory["entry"][:2]).all()
        assert kept["close"].tolist() == [0.0] * 6  # the run has a copy


@njit
def looks_back_at_volumes(ctx, params, state):
    state.total[ctx.bar] = ctx.volumes(0, 3).sum() + ctx.volume[0]


@pytest.mark.parametrize("volumes", [None, [5.0, 6.0, 7.0]])
def test_volumes_that_the_feed_does_not_have_are_nan(volumes: list[float | None] | None) -> None:
    columns = {} if volumes is None else {"volume": volumes}
    for debug in (False, True):
        strategy = CompiledStrategy(looks_back_at_volumes, state=lambda assets, params: {"total": np.zeros(3)}, debug=debug)
        engine = Engine(feed({"A": [10.0, 11.0, 12.0]}, **columns), strategy)
        engine.run()
        expected = [np.nan] * 3 if volumes is None else [10.0, 17.0, 25.0]
        assert np.array_equal(engine.strategy_arrays["total"], expected, equal_nan=True)


@njit
def by_rule(ctx, params):
    if ctx.bar < 0:
        ctx.set_position_rule(0)
    elif ctx.bar == 0:
        ctx.submit_market(0, 10.0)


def test_rules_are_set_by_number() -> None:
    strategy = CompiledStrategy(
        by_rule, {"stop": 0.15}, init=by_rule, rules=lambda params: [StopLoss(params.stop)], signals=(), debug=False
    )
    trades = run(strategy).result.trades
    assert [(trade.exit_reason, trade.exit_price) for trade in trades] == [("stop_loss", 8.0)]
    assert [trade.status for trade in run(strategy.with_params(stop=0.5)).result.trades] == ["open"]


@njit
def orders_of_all_kinds(ctx, params, state):
    if ctx.bar == 0:
        state.ids[0] = ctx.submit_limit(0, 10.0, 9.5)
        state.ids[1] = ctx.submit_stop(1, 10.0, 21.5)
        state.ids[2] = ctx.submit_trailing_stop(0, -10.0, 0.1, 1)
        state.ids[3] = ctx.submit_order(0, 5.0, order_type=OrderType.LIMIT, limit_price=1.0)
        state.ids[4] = ctx.submit_bracket(1, 4.0, 23.0, 15.0)
    if ctx.bar == 1:
        ctx.cancel_order(state.ids[3])
    if ctx.bar == 5:
        for number in range(5):
            state.ends[number] = ctx.order_status(state.ids[number])


def test_orders_and_their_ends() -> None:
    state = {"ids": np.zeros(5, dtype=np.int64), "ends": np.zeros(5, dtype=np.int64)}
    engine = run(CompiledStrategy(orders_of_all_kinds, state=state))
    orders = engine.result.to_orders_dataframe()
    assert orders["order_type"].to_list() == ["limit", "stop", "trailing_stop", "limit", "market", "limit", "stop"]
    status = dict(zip(orders["order_id"], orders["status"], strict=True))
    assert status["ORD-1"] == "filled"
    assert status["ORD-4"] == OrderStatus.CANCELLED.name.lower()
    assert status["ORD-6"] == "filled"
    assert status["ORD-7"] == "cancelled"


@njit
def many(ctx, params):
    for number in range(params.count):
        ctx.submit_limit(0, 1.0 + number, 0.5)


def test_buffers_grow_in_the_middle_of_a_turn() -> None:
    engine = run(CompiledStrategy(many, {"count": 5_000}))
    assert len(engine.result._orders) == 30_000
    assert engine.result._orders["quantity"][29_999] == 5_000.0


def test_a_plain_function_is_compiled() -> None:
    def plain(ctx, params):
        if ctx.bar == 0:
            ctx.submit_market(1, 2.0)

    assert [fill.asset for fill in run(CompiledStrategy(plain)).result.fills] == ["B"]


def test_the_result_is_that_of_a_python_strategy() -> None:
    costs: dict[str, Any] = {"commission_rate": 0.01, "commission_type": "percentage"}
    ours = run(CompiledStrategy(buy_once, {"bar": 1, "asset": 0, "quantity": 5.0}), **costs).result
    same = Calls(lambda bar, data, broker: broker.submit_order("A", 5.0) if bar == 1 else None)
    theirs = Engine(feed(CLOSES), same, **costs).run()
    assert ours.metrics == theirs.metrics
    assert ours.to_fills_dataframe().equals(theirs.to_fills_dataframe())
    assert ours.status == "completed"
    assert len(ours.to_equity_dataframe()) == 6
    assert ours.to_trades_dataframe()["status"].to_list() == ["open"]


def test_an_empty_feed_runs() -> None:
    engine = Engine(DataFeed(prices(CLOSES).clear()), CompiledStrategy(buy_once, {"bar": 0, "asset": 0, "quantity": 1.0}))
    assert engine.run()["num_bars"] == 0
