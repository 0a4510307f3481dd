"""The rows about one fill and about position rules: the compiled entry points driven as the engine drives them, without any strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from measure import in_turn
from report import UNITS, Row
from workloads import INITIAL_CASH, QUANTITY, Empty, Size, make_frames

from ml4t_backtest import DataFeed, Engine, RuleChain, StopLoss, TakeProfit, TrailingStop
from ml4t_backtest.calls import call, step
from ml4t_kernels.codes import StepStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from setting import Setting

    from ml4t_backtest.store import Store

_SIZE = Size(assets=250, bars=1_000)
_RULED = Size(assets=100, bars=2_000)


def drive(store: Store, *, orders: bool) -> None:
    """Run all bars; with orders, buy every asset on one bar and sell it on the next."""
    rows, assets = store.market.close.shape
    quantities = (np.full(assets, QUANTITY), np.full(assets, -QUANTITY))
    addresses = tuple(one.ctypes.data for one in quantities)
    where, ids = store.scratch_where.ctypes.data, store.scratch_ids.ctypes.data
    advance, submit = call("advance"), call("submit_quantities")
    columns, address = store.columns, store.address
    for bar in range(rows + 1):  # the last call closes the last bar
        status = advance(address)
        if status > StepStatus.OK_WITH_FILLS:
            step("advance", store, status)
        if orders and bar < rows:
            if columns.order_count[0] + assets > columns.order_capacity[0]:
                store.grow_orders(assets)
            submit(address, addresses[bar % 2], where, ids)


def _contestants(feed: DataFeed) -> list[Callable[[], Callable[[], None]]]:
    """Return what prepares a run without orders, one with growing records, and one whose records have room from the start."""

    def prepare(*, orders: bool, room: bool) -> Callable[[], None]:
        store = Engine(feed, Empty(), initial_cash=INITIAL_CASH)._store
        while room and len(store.fills) < _SIZE.cells:
            store.grow_fills()
            store.grow_trades()
        if room:
            store.grow_orders(_SIZE.cells)

        def run() -> None:
            drive(store, orders=orders)
            if orders and int(store.columns.fill_count[0]) != _SIZE.cells:
                raise AssertionError(f"{store.columns.fill_count[0]} fills, expected {_SIZE.cells}")

        return run

    return [
        lambda: prepare(orders=False, room=False),
        lambda: prepare(orders=True, room=False),
        lambda: prepare(orders=True, room=True),
    ]


def one_fill(setting: Setting) -> list[Row]:
    """Return the cost of submitting and filling one order, half of them opening and half closing a position, records written.

    The limit is about the kernels; how the host makes room for the records is a row of its own.
    """
    feed = DataFeed(prices_df=make_frames(_SIZE).prices)
    idle, growing, roomy = in_turn(_contestants(feed), setting.repeats + 2)
    counted = "per fill incl. order, records"
    kernel, grown = ((one - idle) / (_SIZE.cells * UNITS["ns"]) for one in (roomy, growing))
    return [
        Row("one fill in the kernel", counted, "ns", kernel.cpu, kernel.wall, 100.0, 40.0),
        Row("the same, records grow", counted, "ns", grown.cpu, grown.wall),
    ]


def position_rules(setting: Setting) -> list[Row]:
    """Return what a stop, a target and a trailing stop on every position cost a bar, none of them near; the same without is subtracted."""
    feed = DataFeed(prices_df=make_frames(_RULED).prices)

    def prepare(*, ruled: bool) -> Callable[[], None]:
        engine = Engine(feed, Empty(), initial_cash=INITIAL_CASH)
        store = engine._store
        if ruled:
            engine.broker.set_position_rules(RuleChain(StopLoss(0.99), TakeProfit(1_000.0), TrailingStop(0.99)))
        advance, address = call("advance"), store.address
        step("advance", store)
        engine.broker.submit_orders(np.full(_RULED.assets, 1.0))
        step("advance", store)
        if int(store.columns.open_positions[0]) != _RULED.assets:
            raise AssertionError(f"{store.columns.open_positions[0]} positions, expected {_RULED.assets}")

        def run() -> None:
            for _ in range(_RULED.bars - 3):
                status = advance(address)
                if status > StepStatus.OK_WITH_FILLS:
                    step("advance", store, status)
            if int(store.columns.open_positions[0]) != _RULED.assets:
                raise AssertionError("a rule has fired")

        return run

    plain, ruled = in_turn([lambda: prepare(ruled=False), lambda: prepare(ruled=True)], setting.repeats + 2)
    cost = (ruled - plain) / (_RULED.assets * (_RULED.bars - 3) * UNITS["ns"])
    return [Row("stop, target and trail on all", "per asset-bar, beyond a run without", "ns", cost.cpu, cost.wall, 25.0)]
