"""Rows about compiled strategies: a run with the full ledger, compiling a new one, and sweeps."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import first_sweep
import numpy as np
from measure import ROOM, child, in_turn, middle
from numba import njit
from report import UNITS, Row
from workloads import INITIAL_CASH, QUANTITY, RARELY, make_strategy

from ml4t_backtest import CompiledStrategy, DataFeed, Engine, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from setting import Setting

_SCRIPT = str(ROOM / "first_sweep.py")


def every_asset_turn(ctx: Any, params: Any) -> None:
    """Decide as the workload "every asset" does."""
    close, pred = ctx.close, ctx.signal("pred")
    for asset in range(ctx.n_assets):
        held = ctx.position(asset)
        if held == 0.0:
            if pred[asset] > params.threshold and close[asset] > 0.0:
                ctx.submit_market(asset, params.quantity)
        elif pred[asset] < -params.threshold:
            ctx.close_position(asset)


_PARAMS = {"threshold": float(RARELY), "quantity": float(QUANTITY)}


def compiled(setting: Setting) -> list[Row]:
    """Return the cost of the trades of `every_asset` decided by a compiled function, and of compiling it."""
    frames = setting.many
    feed = DataFeed(prices_df=frames.prices, signals_df=frames.signals)
    last: dict[str, Any] = {}
    strategy = CompiledStrategy(njit(every_asset_turn), _PARAMS)

    def ours() -> Callable[[], None]:
        engine = Engine(feed, strategy, initial_cash=INITIAL_CASH)
        return lambda: last.update(ours=engine.run())

    ours()()
    (run,) = in_turn([ours], setting.repeats + 2)
    python = Engine(feed, make_strategy("every_asset"), initial_cash=INITIAL_CASH).run()
    if python.metrics != last["ours"].metrics:
        raise AssertionError("the compiled strategy and the loop over data differ")
    each = run / (frames.size.cells * UNITS["ns"])
    label = f"compiled, {int(last['ours']['num_fills']):,} fills"
    return [Row(label, "per asset-bar", "ns", each.cpu, each.wall, 20.0, 8.0), _compiling(feed, setting)]


def _compiling(feed: DataFeed, setting: Setting) -> Row:
    """Return the time that a new function takes on top of a run."""
    small = feed.between(*(feed.panels.timestamps[place] for place in (0, 1)))

    def fresh() -> Callable[[], object]:
        engine = Engine(small, CompiledStrategy(njit(every_asset_turn), _PARAMS), initial_cash=INITIAL_CASH)
        return engine.run

    fresh()()
    (took,) = in_turn([fresh], setting.repeats + 2)
    return Row("compiling a new strategy", "first run of two bars", "s", took.cpu, took.wall, 0.5, 0.4)


def compiled_sweep(setting: Setting) -> list[Row]:
    """Return the cost of a sweep of a compiled strategy on one and two threads, and of the first one of a process."""
    feed, strategy = first_sweep.feed(), first_sweep.strategy()
    sets = 200 if setting.quick else 2_000
    grid = {"quick": np.linspace(0.05, 0.5, sets // 20).tolist(), "slow": np.linspace(0.005, 0.05, 20).tolist()}

    def on(workers: int) -> Callable[[], Callable[[], object]]:
        return lambda: lambda: sweep(feed, strategy, grid, executor="threads", workers=workers, progress=False)

    on(1)()()
    times = in_turn([on(1), on(2)], setting.repeats)
    cells = sets * first_sweep.BARS * UNITS["ns"]
    rows = [
        Row(
            f"compiled sweep, {sets:,} sets, {workers} threads",
            "per bar and set (wall counts)",
            "ns",
            (time / cells).cpu,
            (time / cells).wall,
        )
        for workers, time in zip((1, 2), times, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        child([_SCRIPT], ML4T_KERNELS_CACHE=folder)
        warm = middle([child([_SCRIPT], ML4T_KERNELS_CACHE=folder) for _ in range(setting.repeats)])
    return [*rows, Row("first sweep, warm cache", "whole process", "s", warm.cpu, warm.wall, 1.5)]
