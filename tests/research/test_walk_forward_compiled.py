"""Walk-forward of a compiled strategy: the windows, choices and orders of the same strategy in Python, warm-ups included."""

from __future__ import annotations

from typing import Any

import numba
import pytest

from ml4t_backtest import CompiledStrategy, walk_forward
from ml4t_backtest.splitting import RollingWindows
from tests.research.strategies import AboveMean, made_feed


@numba.njit
def above_mean(ctx: Any, params: Any) -> None:
    for asset in range(ctx.n_assets):
        closes = ctx.closes(asset, params.length)
        total = 0.0
        for close in closes:
            total += close
        wanted = len(closes) == params.length and closes[-1] > total / params.length
        held = ctx.position(asset)
        if wanted and held == 0.0:
            ctx.order_target_percent(asset, 0.45)
        elif not wanted and held != 0.0:
            ctx.close_position(asset)


@pytest.mark.parametrize("warmup", [0, 9])
def test_it_walks_as_in_python(warmup: int) -> None:
    options: dict[str, Any] = {"warmup": warmup, "commission_rate": 0.001, "commission_type": "percentage", "execution_mode": "next_bar"}
    compiled = CompiledStrategy(above_mean, params={"length": 5})
    grid = {"length": [3, 5, 9]}
    one, two = (
        walk_forward(made_feed(60, 8), strategy, grid, RollingWindows(30, 10), executor="serial", **options)
        for strategy in (compiled, AboveMean)
    )
    assert one.frame.equals(two.frame)
    for part in ("equity", "orders", "trades"):
        assert one.to_dataframe(part).equals(two.to_dataframe(part))
    assert one.result["num_trades"] >= 3
