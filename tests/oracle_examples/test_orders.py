"""Hand-computed examples of docs/execution.md: bars, submission, which orders trade, and at which price."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from tests.oracle import Broker
from tests.oracle_examples.running import Action, flat, run, statuses

# One bar -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "price", "expected_bar", "expected_price"),
    [
        ("next_bar", None, 1, 20),
        ("same_bar", None, 0, 11),
        ("next_bar", "close", 1, 21),
        ("same_bar", "open", 0, 10),
    ],
)
def test_pass_price(mode: str, price: str | None, expected_bar: int, expected_price: float) -> None:
    bars = [(10, 12, 9, 11), (20, 22, 19, 21)]
    result = run(bars, {0: lambda b: b.submit("A", 1)}, execution_mode=mode, execution_price=price)
    (fill,) = result.fills
    assert (fill.bar, fill.price, fill.time) == (expected_bar, expected_price, 100 + expected_bar)


def test_on_start_orders_trade_on_the_first_bar_and_unpriced_assets_wait() -> None:
    result = run([None, (5, None, None, 6)], {-1: lambda b: b.submit("A", 2)})
    assert [(fill.bar, fill.price) for fill in result.fills] == [(1, 5)]
    assert (result.orders[0].created_bar, result.orders[0].active_bar) == (-1, -1)
    assert result.cash == [10000, 9990]
    assert result.equity == [10000, 10002]


def test_missing_prices_are_the_close() -> None:
    result = run([10, (None, None, None, 12)], {0: lambda b: b.submit("A", 1, "stop", stop_price=11)})
    assert result.fills[0].price == 12


def test_marking_and_bars_held_and_excursions() -> None:
    seen: list[tuple[float, int, float]] = []

    def look(b: Broker) -> None:
        position = b.positions["A"]
        seen.append((float(b.account_value), position.bars_held, float(position.current_price)))

    bars = [10, (10, 15, 5, 12), None, 8, (9, 99, 1, 20)]
    actions: dict[int, Action] = dict.fromkeys((1, 2), look)
    result = run(bars, {**actions, 0: lambda b: b.submit("A", 10), 3: lambda b: b.close("A")})
    assert seen == [(10020, 0, 12), (10020, 1, 12)]
    (trade,) = result.trades
    assert (trade.entry_time, trade.exit_time, trade.bars_held) == (101, 104, 3)
    assert (trade.mfe, trade.mae) == ((12 - 10.0) / 10, (8 - 10.0) / 10)  # closes only, not the high or low
    assert (trade.pnl, trade.pnl_percent, trade.status, trade.exit_reason) == (-10, -0.1, "closed", "signal")


def test_position_order_survives_a_flip_and_not_a_close() -> None:
    bars = [{"A": flat(10), "B": flat(10)}] * 4
    seen: list[list[str]] = []

    def enter(b: Broker) -> None:
        b.submit("A", 1)
        b.submit("B", 1)

    def flip(b: Broker) -> None:
        seen.append(list(b.positions))
        b.submit("A", -2)

    def leave(b: Broker) -> None:
        seen.append(list(b.positions))
        b.close("A")
        b.submit("A", 5, "limit", limit_price=10, reduce_only=False)

    result = run(bars, {0: enter, 1: flip, 2: leave}, allow_short=True)
    assert seen == [["A", "B"], ["A", "B"]]
    assert list(result.positions) == ["B", "A"]


def test_account_value_is_summed_from_cash_in_position_order() -> None:
    bars = [{"A": flat(0.1), "B": flat(0.2), "C": flat(0.3)}] * 2

    def enter(b: Broker) -> None:
        for asset in ("C", "A", "B"):
            b.submit(asset, 1.1)

    result = run(bars, {0: enter}, initial_cash=1.3, multipliers={"B": 1.7})
    cash = 1.3 - (1.1 * 0.3) * 1.0 - 0.0
    cash = cash - (1.1 * 0.1) * 1.0 - 0.0
    cash = cash - (1.1 * 0.2) * 1.7 - 0.0
    assert result.cash[-1] == cash
    assert result.equity[-1] == cash + 1.1 * 0.3 * 1.0 + 1.1 * 0.1 * 1.0 + 1.1 * 0.2 * 1.7


def test_products_are_taken_from_left_to_right() -> None:
    result = run([0.6, 1.9], {-1: lambda b: b.submit("A", 1.1)}, initial_cash=10, multipliers={"A": 1.7})
    cash = 10.0 - (1.1 * 0.6) * 1.7 - 0.0
    assert cash + 1.1 * 1.9 * 1.7 != cash + 1.1 * (1.9 * 1.7)
    assert result.equity[-1] == cash + 1.1 * 1.9 * 1.7
    assert result.trades[0].pnl == ((1.9 - 0.6) * 1.1) * 1.7 - 0.0


# Submitting ----------------------------------------------------------------------------------------------------------


def test_submission_limits() -> None:
    def submit(b: Broker) -> None:
        assert b.submit("A", 1e-8) is None
        assert b.submit("A", -1e-8) is None
        assert b.close("A") is None
        assert b.submit("A", 2e-8) == 1
        for bad in (float("nan"), float("inf")):
            with pytest.raises(ValueError):
                b.submit("A", bad)
            with pytest.raises(ValueError):
                b.submit("A", 1, "limit", limit_price=bad)
            with pytest.raises(ValueError):
                b.update(1, quantity=bad)
            with pytest.raises(ValueError):
                b.target_percent("A", bad)
        bad_calls: list[Callable[[], object]] = [
            lambda: b.submit("Z", 1),
            lambda: b.close("Z"),
            lambda: b.target_weights({"Z": 0}),
            lambda: b.submit("A", 1, "limit"),
            lambda: b.submit("A", 1, "stop", limit_price=3),
        ]
        for call in bad_calls:
            with pytest.raises(ValueError):
                call()

    assert len(run([10], {0: submit}).orders) == 1
    assert len(run([10], {0: submit}, Fraction).orders) == 1


def test_reduce_only_is_inferred_at_submission() -> None:
    def submit(b: Broker) -> None:
        b.submit("A", -5)
        b.submit("A", -6)
        b.submit("A", 1)
        b.submit("A", -1, reduce_only=False)
        b.close("A")

    result = run([10, 10, 10], {0: lambda b: b.submit("A", 5), 1: submit})
    assert [order.reduce_only for order in result.orders] == [False, True, False, False, False, True]


def test_reduce_only_waits_for_its_price_then_is_cut_or_cancelled() -> None:
    def protect(b: Broker) -> None:
        b.submit("A", -3)
        b.submit("A", -5, "limit", limit_price=12)
        b.submit("A", -5, "stop", stop_price=8)

    result = run([10, 10, 10, (10, 13, 10, 10), 10, (10, 10, 7, 9)], {0: lambda b: b.submit("A", 5), 1: protect})
    assert [(fill.order_id, fill.quantity, fill.bar) for fill in result.fills] == [(1, 5, 1), (2, -3, 2), (3, -2, 3)]
    assert (result.orders[2].quantity, result.orders[2].filled_quantity) == (-5, -2)
    assert statuses(result)[3] == ("cancelled", "POSITION_CLOSED")
    assert result.positions == {}


def test_update_and_cancel() -> None:
    def change(b: Broker) -> None:
        assert b.update(1, quantity=7, limit_price=9)
        assert b.update(2, quantity=3)
        assert b.cancel(3)
        assert not b.cancel(3)
        assert not b.update(3, quantity=1)
        assert not b.update(99)
        assert not b.update(1, quantity=0)
        assert [order.order_id for order in b.pending] == [1, 2]

    def submit(b: Broker) -> None:
        b.submit("A", 5, "limit", limit_price=1)
        b.submit("A", -5, "limit", limit_price=50)
        b.submit("A", 5, "limit", limit_price=1)

    result = run([10, 10, 9], {0: submit, 1: change})
    assert [(order.quantity, order.status, order.active_bar) for order in result.orders] == [
        (7, "filled", 1),
        (-3, "pending", 1),
        (5, "cancelled", 0),
    ]
    assert result.orders[2].reason == "CANCELLED_BY_USER"
    assert result.fills[0].price == 9


# A fill pass: which orders trade, and at which price -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "order_type", "level", "expected"),
    [
        (1, "market", None, 10),
        (-1, "market", None, 10),
        (1, "limit", 7, None),
        (1, "limit", 8, 8),
        (1, "limit", 15, 15),  # the limit, even when the open is better
        (-1, "limit", 13, None),
        (-1, "limit", 12, 12),
        (-1, "limit", 9, 9),
        (1, "stop", 13, None),
        (1, "stop", 12, 12),
        (1, "stop", 10, 10),
        (1, "stop", 9, 10),  # gapped through: the open
        (-1, "stop", 7, None),
        (-1, "stop", 8, 8),
        (-1, "stop", 10, 10),
        (-1, "stop", 11, 10),
    ],
)
def test_base_price_table(quantity: int, order_type: Any, level: float | None, expected: float | None) -> None:
    result = run(
        [10, (10, 12, 8, 11)],
        {0: lambda b: b.submit("A", quantity, order_type, limit_price=level, stop_price=level)},
        allow_short=True,
    )
    assert [fill.price for fill in result.fills] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("quantity", "stop", "expected"),
    [(1, 10.5, 11), (1, 11.5, 11.5), (1, 12.5, None), (-1, 10.5, 10.5), (-1, 11, 11), (-1, 11.5, 11)],
)
def test_a_stop_of_this_bar_refers_to_the_close(quantity: int, stop: float, expected: float | None) -> None:
    result = run(
        [(10, 12, 8, 11)],
        {0: lambda b: b.submit("A", quantity, "stop", stop_price=stop)},
        execution_mode="same_bar",
        allow_short=True,
    )
    assert [fill.price for fill in result.fills] == ([] if expected is None else [expected])


def test_an_old_stop_refers_to_the_open_until_it_is_updated() -> None:
    bars = [10, (12, 14, 9, 13)]

    def submit(b: Broker) -> None:
        b.submit("A", 1, "stop", stop_price=11)
        b.submit("A", 1, "stop", stop_price=20)

    result = run(bars, {0: submit, 1: lambda b: b.update(2, stop_price=11)}, execution_mode="same_bar")
    assert [(fill.order_id, fill.price) for fill in result.fills] == [(1, 12), (2, 13)]


def test_exits_go_first_and_free_the_cash() -> None:
    bars = [{"A": flat(10), "B": flat(10)}] * 3

    def rotate(b: Broker) -> None:
        b.submit("B", 10)
        b.close("A")

    result = run(bars, {0: lambda b: b.submit("A", 10), 1: rotate}, initial_cash=100)
    assert [fill.order_id for fill in result.fills] == [1, 3, 2]
    assert result.cash == [100, 0, 0]


def test_an_exit_is_judged_at_its_turn() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1)
        b.submit("A", -6, reduce_only=False)
        b.submit("A", -6, reduce_only=False)

    # Of 10, the first -6 is an exit; the second is larger than the 4 left and waits for the second sweep.
    result = run([10] * 3, {0: lambda b: b.submit("A", 10), 1: orders}, allow_short=True)
    assert [fill.order_id for fill in result.fills] == [1, 3, 2, 4]
    assert [fill.position for fill in result.fills] == [10, 4, 5, -1]


# Slippage and commission ---------------------------------------------------------------------------------------------


def test_slippage() -> None:
    def both(b: Broker) -> None:
        b.submit("A", 2)
        b.submit("B", -2)

    bars = [{"A": flat(10), "B": flat(10)}] * 2
    for slippage, s in ((("fixed", 0.5), 0.5), (("percentage", 0.1), 1.0), (("none",), 0.0)):
        result = run(bars, {0: both}, slippage=slippage, allow_short=True)
        assert [(fill.price, fill.slippage) for fill in result.fills] == [(10 + s, s), (10 - s, s)]


def test_a_sale_never_goes_below_zero_unless_its_base_is_not_positive() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", -1)}
    (fill,) = run([3, 3], actions, slippage=("fixed", 5), allow_short=True).fills
    assert (fill.price, fill.slippage) == (0, 3)
    (fill,) = run([-3, -3], actions, slippage=("fixed", 5), allow_short=True).fills
    assert (fill.price, fill.slippage) == (-8, 5)
    (fill,) = run([-4, -4], actions, slippage=("percentage", 0.5), allow_short=True).fills
    assert (fill.price, fill.slippage) == (-6, 2)


def test_a_limit_order_never_trades_beyond_its_limit() -> None:
    def both(b: Broker) -> None:
        b.submit("A", 1, "limit", limit_price=9)
        b.submit("A", -1, "limit", limit_price=11)
        b.submit("A", 1, "stop", stop_price=11)

    result = run([10, (10, 12, 8, 10)], {0: both}, slippage=("fixed", 1), allow_short=True)
    assert [(fill.price, fill.slippage) for fill in result.fills] == [(9, 0), (11, 0), (12, 1)]


def test_commission() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 10), 1: lambda b: b.submit("A", -200)}
    kwargs: dict[str, Any] = {"allow_short": True, "multipliers": {"A": 2}}
    result = run([10] * 3, actions, commission=("per_share", 0.01, 1), **kwargs)
    assert [fill.commission for fill in result.fills] == [1, 2]
    result = run([10] * 3, actions, commission=("percentage", 0.001), **kwargs)
    assert [fill.commission for fill in result.fills] == [abs(10 * 10) * 2 * 0.001, abs(-200 * 10) * 2 * 0.001]
    with pytest.raises(ValueError):
        run([], {}, commission=("per_share", 1))
