"""What is wrong with a compiled strategy is said with the user's line, the bar and the asset; nothing is half done."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numba import njit

from ml4t_backtest import CompiledStrategy, Engine, StrategyCompileError
from ml4t_kernels._jit import COMPILED
from ml4t_kernels.codes import Refusal
from tests.facade.feeds import feed

CLOSES: dict[str, list[float | None]] = {"A": [10.0, 11.0, 12.0], "B": [20.0, 21.0, 22.0]}
needs_compiler = pytest.mark.skipif(not COMPILED, reason="needs the compiler")


def engine_of(strategy: Any, **keywords: Any) -> Engine:
    return Engine(feed(CLOSES), strategy, **keywords)


@njit
def refused(ctx, params):  # noqa: PLR0915 - a verb for each refusal
    if ctx.bar == 1:
        kind = params.kind
        if kind == 0:
            ctx.submit_market(5, 1.0)
        elif kind == 1:
            ctx.submit_market(1, math.nan)
        elif kind == 2:
            ctx.submit_market(1, math.inf)
        elif kind == 3:
            ctx.submit_order(1, 1.0, order_type=1)
        elif kind == 4:
            ctx.submit_order(1, 1.0, limit_price=3.0)
        elif kind == 5:
            ctx.submit_order(1, 1.0, order_type=99)
        elif kind == 6:
            ctx.submit_order(1, 1.0, order_type=4)
        elif kind == 7:
            ctx.cancel_order(7)
        elif kind == 8:
            ctx.order_target_percent(1, math.inf)
        elif kind == 9:
            ctx.submit_bracket(1, 1.0, 10.0, 30.0)
        elif kind == 10:
            ctx.order_cash_percent(1, 0.5)
        elif kind == 11:
            ctx.reduce_position(1, 1.5)
        elif kind == 12:
            ctx.closes(1, 0)
        elif kind == 13:
            ctx.order_target_weights(np.zeros(3))
        elif kind == 14:
            ctx.submit_order(1, 1.0, good_till=5, time_in_force=1)
        elif kind == 15:
            ctx.submit_order(1, 1.0, displayed_quantity=-1.0)
        elif kind == 16:
            ctx.submit_order(1, 1.0, parent=9)
        elif kind == 17:
            ctx.submit_limit(1, 1.0, math.inf)
        elif kind == 18:
            ctx.position(-1)
        elif kind == 19:
            ctx.submit_order(1, 1.0, order_type=4, trail_amount=-2.0)


REFUSALS = [
    (0, "asset is no column"),
    (1, "quantity has to be a finite number"),
    (2, "cash_ledger='free_cash'"),
    (3, "needs a limit_price"),
    (4, "takes no limit_price"),
    (5, "order_type or time_in_force is no code"),
    (6, "needs one of trail_amount and trail_percent"),
    (7, "no order has this id"),
    (8, "weight has to be a finite number"),
    (9, "two sides of the reference price"),
    (10, "order_cash_percent needs cash_ledger"),
    (11, r"fraction has to be in \(0, 1\]"),
    (12, "length of a window has to be at least 1"),
    (13, "one number for each asset"),
    (14, "good_till belongs to time_in_force GTD"),
    (15, "displayed_quantity has to be a finite number > 0"),
    (16, "no order has this id"),
    (17, "a price has to be a finite number"),
    (18, "asset is no column"),
    (19, "have to be finite numbers > 0"),
]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("kind", "message"), REFUSALS)
def test_a_refused_verb_names_the_bar_and_changes_nothing(kind: int, message: str, debug: bool) -> None:
    engine = engine_of(CompiledStrategy(refused, {"kind": kind}, debug=debug))
    with pytest.raises(ValueError, match=rf"refused at bar 1 \(2024-01-02 00:00:00\).*{message}"):
        engine.run()
    assert engine.result.status == "failed"
    assert len(engine.result._orders) == 0
    assert len(engine.result.equity_curve) == 2


def test_every_refusal_has_words() -> None:
    from ml4t_backtest.compiled.messages import refusal_text

    assert all(refusal_text(number) for number in Refusal)
    assert refusal_text(1000) is None


@njit
def raises(ctx, params):
    ctx.position(1)
    if ctx.bar == 2:
        raise RuntimeError("enough")


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_of_the_strategy_names_bar_and_asset(debug: bool) -> None:
    engine = engine_of(CompiledStrategy(raises, debug=debug))
    with pytest.raises(RuntimeError, match="enough") as caught:
        engine.run()
    notes = " ".join(caught.value.__notes__)
    assert "bar 2 (2024-01-03 00:00:00)" in notes
    assert "'B'" in notes
    assert len(engine.result.equity_curve) == 3


@njit
def early(ctx, params):
    if ctx.close[0] > 0.0:
        pass


def test_init_has_no_prices() -> None:
    with pytest.raises(ValueError, match="runs before the first bar"):
        engine_of(CompiledStrategy(early, init=early)).run()


@njit
def unknown_rule(ctx, params):
    ctx.set_position_rule(3)


def test_a_request_that_fails_is_raised_as_it_is() -> None:
    with pytest.raises(ValueError, match="the strategy has 0 rules") as caught:
        engine_of(CompiledStrategy(unknown_rule)).run()
    assert "unknown_rule at bar 0" in " ".join(caught.value.__notes__)


def misspelled(ctx, params):
    if ctx.positions(0) == 0.0:
        pass


def no_signal(ctx, params):
    if ctx.signal("momentun")[0] > 0.0:
        pass


def no_parameter(ctx, params):
    if params.fastt > 0:
        pass


def no_name(ctx, params):
    if nowhere > 0:  # type: ignore[name-defined]  # noqa: F821
        pass


def text_and_number(ctx, params):
    value = 1.0
    if ctx.bar > 2:
        value = "two"
    if value == 1.0:
        pass


@needs_compiler
@pytest.mark.parametrize(
    ("function", "line", "reason"),
    [
        (misspelled, "if ctx.positions(0) == 0.0:", "ctx has no 'positions'; did you mean 'position'?"),
        (no_signal, 'if ctx.signal("momentun")[0] > 0.0:', "there is no signal 'momentun', only 'momentum'; did you mean 'momentum'?"),
        (no_parameter, "if params.fastt > 0:", "'fastt'"),
        (no_name, "if nowhere > 0:", "'nowhere'"),
        (text_and_number, "", "value"),
    ],
)
def test_code_that_does_not_compile_shows_the_line(function: Any, line: str, reason: str) -> None:
    import polars as pl

    from ml4t_backtest import DataFeed
    from tests.facade.feeds import prices

    frame = prices(CLOSES)
    engine = Engine(DataFeed(frame, frame.select("timestamp", "symbol", momentum=pl.lit(1.0))), CompiledStrategy(function, {"fast": 1.0}))
    with pytest.raises(StrategyCompileError) as caught:
        engine.run()
    text = str(caught.value)
    assert f"{function.__name__} does not compile" in text
    assert "test_mistakes.py, line" in text
    assert line in text
    assert reason in text
    assert len(text.splitlines()) <= 3
    assert len(caught.value.details) > len(text) / 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "expected a function compiled with numba"),
        ((lambda ctx: None,), TypeError, r"expected \(ctx, params\)"),
        ((lambda ctx, params, state: None,), TypeError, "arrays of its own need state"),
        ((refused, 7), TypeError, "expected a dict of names and numbers"),
        ((refused, {"a": "x"}), TypeError, r"params\['a'\] was 'x'"),
        ((refused, {"a": None}), TypeError, "numbers, booleans and arrays"),
        ((refused, {"1a": 1}), ValueError, "expected an identifier"),
        ((refused, {"a": 1 << 70}), ValueError, "does not fit into 64 bits"),
    ],
)
def test_bad_arguments_of_the_constructor(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CompiledStrategy(*arguments)


def test_bad_parameters_of_a_copy() -> None:
    with pytest.raises(TypeError, match="has no parameter 'kinds'; did you mean 'kind'"):
        CompiledStrategy(refused, {"kind": 1}).with_params(kinds=2)
    with pytest.raises(TypeError, match=r"params\['kind'\] was 'x'"):
        CompiledStrategy(refused, {"kind": 1}).with_params(kind="x")


@njit
def nothing(ctx, params):
    pass


@njit
def nothing_more(ctx, params, state):
    pass


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (CompiledStrategy(nothing, signals=["momentum"]), ValueError, "the feed has no signal 'momentum'"),
        (CompiledStrategy(nothing_more, state={"a": 3.0}), TypeError, "expected an array"),
        (CompiledStrategy(nothing_more, state=lambda assets, params: 3), TypeError, "state gave a int"),
    ],
)
def test_what_only_the_run_can_tell(strategy: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        engine_of(strategy).run()


PROGRAM = """
import polars as pl
from datetime import datetime, timedelta
from numba import njit
from ml4t_backtest import CompiledStrategy, DataFeed, Engine
@njit
def on_bar(ctx, params):
    if ctx.bar == 0:
        ctx.submit_market(0, params.quantity)
times = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(3)]
feed = DataFeed(pl.DataFrame({"timestamp": times, "asset": ["A"] * 3, "close": [1.0, 2.0, 3.0]}))
print(Engine(feed, CompiledStrategy(on_bar, {"quantity": 2.0})).run()["final_value"])
"""


def test_a_strategy_from_standard_input() -> None:
    done = subprocess.run([sys.executable, "-"], input=PROGRAM, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "100004.0"
