"""What a strategy keeps must not change under its hands, and must stay readable after the run."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import DataFeed, Engine
from tests.facade.feeds import Calls, feed, prices

CLOSES: dict[str, list[float | None]] = {
    "A": [10.0, 11.0, 12.0, 13.0, 14.0, 15.0],
    "B": [20.0, None, 22.0, 23.0, None, 25.0],
    "C": [None, None, 32.0, 33.0, 34.0, 35.0],
}


def run(function: Any, data: str = "views") -> None:
    frame = prices(CLOSES)
    signals = frame.select("timestamp", "symbol", (pl.col("close") * 100).alias("pred"))
    Engine(DataFeed(frame, signals), Calls(function), data=data).run()


def test_bars_kept_across_bars_stay_as_they_were() -> None:
    kept: list[tuple[float, float, Any, Any]] = []

    def keep(bar: int, data: Any, broker: Any) -> None:
        for view in data.values():
            kept.append((view["close"], view["signals"]["pred"], view, view["signals"]))

    run(keep)
    assert len(kept) == 14
    for close, pred, view, signals in kept:
        assert view["close"] == view["open"] == close
        assert dict(view)["signals"] == {"pred": pred}
        assert signals["pred"] == signals.get("pred") == pred


def test_only_the_signals_kept() -> None:
    kept: list[tuple[float, Any]] = []
    run(lambda bar, data, broker: kept.append((data["A"]["close"] * 100, data["A"]["signals"])))
    assert [pred for pred, _ in kept] == [signals["pred"] for _, signals in kept]
    gc.collect()
    assert [pred for pred, _ in kept] == [signals["pred"] for _, signals in kept]


def test_the_whole_data_kept() -> None:
    kept: list[tuple[dict[str, float], Any]] = []
    run(lambda bar, data, broker: kept.append(({asset: view["close"] for asset, view in data.items()}, data)))
    for closes, data in kept:
        assert {asset: data[asset]["close"] for asset in data} == closes
        assert list(data) == list(closes)
        assert len(data) == len(closes)


def test_only_the_items_of_data_kept() -> None:
    kept: list[tuple[dict[str, float], Any]] = []
    run(lambda bar, data, broker: kept.append(({asset: view["close"] for asset, view in data.items()}, data.items())))
    for closes, items in kept:
        assert {asset: view["close"] for asset, view in items} == closes


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["A", "B", "C"]), st.sampled_from(["bar", "signals", "data", "get"])), max_size=12
    )
)
def test_any_mixture_of_things_kept(wanted: list[tuple[int, str, str]]) -> None:
    kept: list[tuple[float, Any]] = []

    def keep(bar: int, data: Any, broker: Any) -> None:
        for when, asset, what in wanted:
            if when != bar or asset not in data:
                continue
            close = data[asset]["close"]
            readers = {
                "bar": lambda view=data[asset]: view["close"],
                "signals": lambda view=data[asset]["signals"]: view["pred"] / 100,
                "data": lambda data=data, asset=asset: data[asset]["close"],
                "get": data.get(asset).get,
            }
            kept.append((close, readers[what]))

    run(keep)
    for close, read in kept:
        assert (read("close") if getattr(read, "__name__", "") == "get" else read()) == pytest.approx(close)


def test_a_bar_kept_in_a_cycle_or_a_closure_is_kept_too() -> None:
    kept: list[Any] = []

    def keep(bar: int, data: Any, broker: Any) -> None:
        cycle: dict[str, Any] = {"view": data["A"], "close": data["A"]["close"]}
        cycle["self"] = cycle
        kept.append(cycle)

    run(keep)
    assert all(cycle["view"]["close"] == cycle["close"] for cycle in kept)


def test_copies_and_pickles_are_plain_dicts() -> None:
    copies: list[Any] = []

    def keep(bar: int, data: Any, broker: Any) -> None:
        copies.extend((copy.deepcopy(data["A"]), pickle.loads(pickle.dumps(data["A"])), copy.deepcopy(data)["A"]))

    run(keep)
    assert all(type(made) is dict and type(made["signals"]) is dict for made in copies)
    assert [made["close"] for made in copies[::3]] == CLOSES["A"]


def test_plain_dicts_on_request_can_be_changed() -> None:
    seen: list[Any] = []

    def change(bar: int, data: Any, broker: Any) -> None:
        data["A"]["mark"] = bar
        seen.append(data["A"])

    run(change, data="dict")
    assert [made["mark"] for made in seen] == [0, 1, 2, 3, 4, 5]
    assert type(seen[0]) is dict
    assert type(seen[0]["signals"]) is dict


@pytest.mark.parametrize("kind", ["views", "dict"])
def test_positions_kept_across_bars_stay_as_they_were(kind: str) -> None:
    kept: list[tuple[dict[str, float], Any]] = []

    def trade(bar: int, data: Any, broker: Any) -> None:
        position = broker.get_position("A")
        if position is not None:
            kept.append(({name: getattr(position, name) for name in NAMES}, position))
        if bar < 4:
            broker.submit_order("A", 10)
        else:
            broker.close_position("A")

    engine = Engine(feed(CLOSES), Calls(trade), data=kind)
    engine.run()
    assert len(kept) == 4
    del engine
    gc.collect()
    for values, position in kept:
        assert {name: getattr(position, name) for name in NAMES} == values
    assert [position.quantity for _, position in kept] == [10.0, 20.0, 30.0, 40.0]
    assert [position.bars_held for _, position in kept] == [1, 2, 3, 4]


NAMES = [
    "asset",
    "quantity",
    "entry_price",
    "avg_entry_price",
    "entry_time",
    "current_price",
    "bars_held",
    "initial_quantity",
    "multiplier",
    "market_value",
    "cost_basis",
    "unrealized_pnl",
    "entry_commission",
    "entry_slippage",
    "max_favorable_excursion",
    "max_adverse_excursion",
    "side",
]


def test_orders_are_handles_and_follow_the_order() -> None:
    made: list[Any] = []

    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            made.append(broker.submit_order("A", 10, order_type="limit", limit_price=5.0))
        if bar == 2:
            assert broker.pending_orders == made
            broker.cancel_order(made[0].order_id)

    Engine(feed(CLOSES), Calls(trade)).run()
    assert made[0].status.value == "cancelled"
    assert made[0].rejection_reason == "Cancelled by the strategy"


def test_values_are_plain_python_numbers() -> None:
    def look(bar: int, data: Any, broker: Any) -> None:
        broker.submit_order("A", 1)
        numbers = [*(data["A"][name] for name in ("open", "high", "low", "close", "volume")), data["A"]["signals"]["pred"]]
        numbers += [broker.cash, broker.account_value, broker.get_cash(), broker.get_account_value()]
        assert all(type(number) is float for number in numbers)
        position = broker.get_position("A")
        if position:
            assert all(type(getattr(position, name)) is float for name in NAMES if "price" in name or name == "quantity")
            assert type(position.bars_held) is int
            assert isinstance(position.unrealized_pnl, float)
            assert position.unrealized_pnl(100.0) == (100.0 - position.entry_price) * position.quantity

    run(look)
