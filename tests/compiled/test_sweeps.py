"""Sweeps of compiled strategies share one account per worker; each row is that of a run of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from ml4t_backtest import BacktestConfig, CompiledStrategy, StopLoss, sweep
from ml4t_kernels._jit import COMPILED
from tests.facade.feeds import feed
from tests.profiles import dense

pytestmark = pytest.mark.skipif(not COMPILED, reason="plain runs take an engine for every set")

RANDOM = np.random.default_rng(5)
PATHS = 50.0 * np.exp(np.cumsum(RANDOM.normal(0.0, 0.02, (120, 3)), axis=0))
FEED = feed({name: PATHS[:, column].tolist() for column, name in enumerate("ABC")})


@njit
def trader(ctx, params, state):
    for asset in range(ctx.n_assets):
        price = ctx.close[asset]
        state.average[asset] += params.speed * (price - state.average[asset]) if ctx.bar > 0 else price
        held = ctx.position(asset)
        if held == 0.0 and price > state.average[asset]:
            ctx.order_target_percent(asset, params.weight)
        elif held > 0.0 and price < state.average[asset]:
            ctx.close_position(asset)
        if params.limits and ctx.bar % 7 == 0:
            ctx.submit_limit(asset, 5.0, price * 0.98)


def strategy(**keywords: Any) -> CompiledStrategy:
    params = {"speed": 0.1, "weight": 0.3, "limits": False}
    return CompiledStrategy(trader, params, state=lambda assets, params: {"average": np.zeros(assets)}, **keywords)


def compare(study: Any) -> None:
    """Hold every row against a run of its own."""
    for row in range(len(study.frame)):
        metrics, whole = study.frame.row(row, named=True), study.rerun(row)
        for name, value in whole.metrics.items():
            ours = metrics[name]
            assert ours == pytest.approx(value, rel=1e-9, abs=1e-12) or (math.isnan(ours) and math.isnan(value)), (row, name)
        assert metrics["final_value"] == whole["final_value"]


@dense
@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.9), st.floats(0.0, 0.6), st.booleans(), st.sampled_from([None, 0.02, 0.1])), min_size=1, max_size=6
    ),
    st.sampled_from(["serial", "threads"]),
    st.sampled_from(["same_bar", "next_bar"]),
    st.sampled_from(["cash", "margin"]),
)
def test_rows_are_runs_of_their_own(sets: list[Any], executor: str, mode: str, account: str) -> None:
    named = [dict(zip(("speed", "weight", "limits", "stop_pct"), one, strict=True)) for one in sets]
    unique = list({tuple(one.items()): one for one in named}.values())
    config = BacktestConfig(execution_mode=mode, account_type=account, initial_cash=10_000.0)
    study = sweep(FEED, strategy(), unique, config=config, executor=executor, workers=2 if executor == "threads" else None, progress=False)
    assert study.frame["status"].to_list() == ["completed"] * len(unique)
    compare(study)


def test_settings_and_rules_in_the_grid() -> None:
    grid = {"speed": [0.05, 0.3], "commission_rate": [0.0, 0.01], "stop_pct": [0.01, 0.05], "max_bars": [3, 50], "initial_cash": [5e3, 1e6]}
    study = sweep(FEED, strategy(), grid, config=BacktestConfig(), executor="serial", progress=False)
    assert len(study.frame) == 32
    assert study.frame["final_value"].n_unique() > 20
    compare(study)


@njit
def greedy(ctx, params):
    for number in range(params.count):
        ctx.submit_limit(0, 1.0 + number, 0.01)
    ctx.submit_market(1, 1.0)
    ctx.close_position(1)


def test_buffers_that_grow_in_one_set_serve_the_next() -> None:
    study = sweep(FEED, CompiledStrategy(greedy, {"count": 1}), {"count": [400, 1, 300, 2]}, executor="serial", progress=False)
    assert study.frame["status"].to_list() == ["completed"] * 4
    compare(study)


@njit
def careful(ctx, params):
    if ctx.bar == params.bar:
        raise RuntimeError("not on this bar")
    if ctx.bar == params.bad:
        ctx.submit_market(17, 1.0)
    if ctx.bar == 3:
        ctx.submit_market(0, 10.0)


def test_a_failing_set_is_a_row_and_the_next_starts_anew() -> None:
    grid = [{"bar": bar, "bad": bad} for bar, bad in ((500, 500), (5, 500), (500, 7), (500, 501))]
    study = sweep(FEED, CompiledStrategy(careful, {"bar": 0, "bad": 0}), grid, executor="serial", progress=False)
    frame = study.frame
    assert frame["status"].to_list() == ["completed", "failed", "failed", "completed"]
    errors = frame["error"].to_list()
    assert "RuntimeError: not on this bar" in errors[1]
    assert "bar 5 (" in errors[1]
    assert "the asset is no column" in errors[2]
    assert "bar 7 (" in errors[2]
    assert frame["final_value"][0] == frame["final_value"][3]


@njit
def ruled(ctx, params):
    if ctx.bar < 0:
        ctx.set_position_rule(params.rule)
    elif ctx.bar % 10 == 0 and ctx.position(0) == 0.0:
        ctx.submit_market(0, 10.0)


def test_rules_that_the_strategy_sets_are_those_of_its_run() -> None:
    made = CompiledStrategy(ruled, {"rule": -1}, init=ruled, rules=[StopLoss(0.01), StopLoss(0.05)])
    study = sweep(FEED, made, {"rule": [-1, 0, 1]}, executor="serial", progress=False)
    compare(study)
    assert study.frame["num_trades"].to_list()[0] < study.frame["num_trades"].to_list()[1]


def test_curves_are_kept() -> None:
    study = sweep(FEED, strategy(), {"speed": [0.1, 0.2]}, keep="curve", executor="serial", progress=False)
    assert study.equity(1)["equity"].to_list() == study.rerun(1).to_equity_dataframe()["equity"].to_list()


def test_whole_numbers_and_fractions_in_one_grid() -> None:
    study = sweep(FEED, strategy(), {"speed": [1, 0.5], "weight": [0.2]}, executor="serial", progress=False)
    compare(study)


def test_the_runner_is_the_one_that_shares_accounts() -> None:
    from ml4t_backtest.studies.compiled_runs import takes

    study = sweep(FEED, strategy(), {"speed": [0.1]}, executor="serial", progress=False)
    assert takes(study._task)
    assert not takes(sweep(FEED, strategy(debug=True), {"speed": [0.1]}, executor="serial", progress=False)._task)


def test_processes_make_the_same_rows() -> None:
    grid = {"speed": [0.05, 0.1, 0.3], "weight": [0.2, 0.4]}
    here = sweep(FEED, strategy(), grid, executor="serial", progress=False)
    there = sweep(FEED, strategy(), grid, executor="processes", workers=2, progress=False)
    assert there.frame.drop("seconds").equals(here.frame.drop("seconds"))
