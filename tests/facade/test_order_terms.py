"""Time in force, displayed quantity, changes, sizes and targets of orders through the engine, by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ml4t_backtest import ContractSpec, OrderStatus, OrderType, TimeInForce, VolumeParticipationLimit
from tests.facade.feeds import START
from tests.facade.play import Run, buy, days, play, sessions

FILLED = ("filled", None)
EXPIRED = ("expired", "time_in_force")
LOW: dict[str, Any] = {"order_type": "limit", "limit_price": 9}
THIN: dict[str, Any] = {"execution_limits": VolumeParticipationLimit(0.1)}  # 100 of the 1,000 units of a bar


# Time in force ------------------------------------------------------------------------------------------------------------


def test_day_orders_end_with_the_session_of_their_first_turn() -> None:
    times = sessions(2, 3)
    dip = [10, 10, 10, 9, 9, 9]
    run = play(dip, {0: [buy(1, **LOW, time_in_force="day"), buy(1, **LOW)]}, times=times)
    assert run.states == [EXPIRED, FILLED]
    assert run.deals == [(3, 1, 9)]
    # submitted on the last bar of a session, its first turn is in the next one
    run = play(dip, {2: buy(1, **LOW, time_in_force=TimeInForce.DAY)}, times=times)
    assert run.deals == [(3, 1, 9)]


@pytest.mark.parametrize(
    ("good_till", "state"),
    [
        (START + timedelta(days=2), FILLED),
        (START + timedelta(days=2) - timedelta(microseconds=1), EXPIRED),
        (date(2024, 1, 3), FILLED),  # a date means its last moment
        (date(2024, 1, 2), EXPIRED),
    ],
)
def test_gtd_orders_expire_after_their_time(good_till: Any, state: tuple[str, str | None]) -> None:
    run = play([10, 10, 9, 9], {0: buy(1, **LOW, time_in_force="gtd", good_till=good_till)})
    assert run.states == [state]
    assert run.orders[0].time_in_force is TimeInForce.GTD
    assert run.deals == ([(2, 1, 9)] if state == FILLED else [])


def test_a_time_makes_an_order_gtd() -> None:
    run = play([10, 10, 9], {0: buy(1, **LOW, good_till=days(2)[1])})
    assert (run.orders[0].time_in_force, run.states) == (TimeInForce.GTD, [EXPIRED])


def test_gtc_orders_have_no_end() -> None:
    run = play([10.0] * 30 + [9.0], {0: buy(1, **LOW, time_in_force="GTC")})
    assert run.deals == [(30, 1, 9)]


def test_ioc_takes_what_there_is_and_fok_all_or_nothing() -> None:
    run = play([10] * 4, {0: [buy(150, time_in_force="ioc"), buy(150, time_in_force="fok"), buy(150)]}, **THIN)
    assert run.deals == [(1, 100, 10), (1, 100, 10), (2, 50, 10)]
    assert run.states == [EXPIRED, EXPIRED, FILLED]
    assert [order.filled_quantity for order in run.orders] == [100, 0, 150]
    assert [order.remaining_quantity for order in run.orders] == [0, 0, 0]
    run = play(
        [10] * 3, {0: [buy(100, time_in_force="fok"), buy(1, **LOW, time_in_force="ioc"), buy(1, **LOW, time_in_force="fok")]}, **THIN
    )
    assert run.states == [FILLED, EXPIRED, EXPIRED]


def test_an_order_to_fill_or_kill_is_never_cut_for_money() -> None:
    run = play([10] * 3, {0: [buy(1500, time_in_force="fok"), buy(1500, time_in_force="ioc")]}, partial_fills_allowed=True)
    assert run.states == [("rejected", "insufficient_cash"), FILLED]
    assert run.deals == [(1, 1000, 10)]


def test_immediate_orders_have_their_turn_on_the_bar_of_submission_in_same_bar_mode() -> None:
    run = play([10, 9, 9], {0: [buy(1, **LOW, time_in_force="ioc"), buy(1, time_in_force="fok")]}, execution_mode="same_bar")
    assert (run.deals, run.states) == ([(0, 1, 10)], [EXPIRED, FILLED])


# Displayed quantity and participation ----------------------------------------------------------------------------------------


def test_an_iceberg_shows_its_tip_once_a_bar() -> None:
    run = play([10, 10, 11, 12], {0: buy(25, displayed_quantity=10)})
    assert run.deals == [(1, 10, 10), (2, 10, 11), (3, 5, 12)]
    (order,) = run.orders
    assert order.displayed_quantity == 10
    assert order.filled_price == pytest.approx((100 + 110 + 60) / 25)


def test_the_smaller_of_tip_and_participation_counts_in_whole_lots() -> None:
    spec = {"A": ContractSpec("A", lot_size=8)}
    run = play([10, (10, 10, 10, 10, 50), 10], {0: buy(24, displayed_quantity=10)}, contract_specs=spec, **THIN)
    assert run.deals == [(2, 8, 10)]  # 5 of 50 units are no lot; then 10 make one
    run = play([10, (10, 10, 10, 10, 50), 10], {0: buy(24, displayed_quantity=10)}, **THIN)
    assert run.deals == [(1, 5, 10), (2, 10, 10)]


def test_a_part_filled_order_waits_for_the_next_bar_in_both_passes() -> None:
    run = play([10, 10, 10], {0: buy(150)}, execution_mode="same_bar", **THIN)
    assert run.deals == [(0, 100, 10), (1, 50, 10)]


# Status and its history ---------------------------------------------------------------------------------------------------------


def test_the_history_of_an_order() -> None:
    seen: list[tuple[OrderStatus, float]] = []

    def look(broker: Any) -> None:
        order = broker.get_order("ORD-1")
        seen.append((order.status, order.remaining_quantity))

    run = play([10] * 4, {0: [buy(150), look], 1: look, 2: look}, **THIN)
    assert seen == [(OrderStatus.PENDING, 150), (OrderStatus.PARTIALLY_FILLED, 50), (OrderStatus.FILLED, 0)]
    clock = days(4)
    assert run.orders[0].history == [(clock[0], OrderStatus.PENDING, None), (clock[2], OrderStatus.FILLED, None)]
    assert (run.orders[0].created_at, run.orders[0].filled_at) == (clock[0], clock[2])


def test_the_history_says_why_and_when() -> None:
    def cancel(broker: Any) -> None:
        assert broker.cancel_order("ORD-1")

    run = play([10] * 4, {0: [buy(150), buy(1, **LOW, good_till=days(3)[1]), buy(10_000)], 1: cancel}, **THIN)
    clock = days(4)
    assert run.orders[0].history == [
        (clock[0], OrderStatus.PENDING, None),
        (clock[1], OrderStatus.PARTIALLY_FILLED, None),
        (clock[1], OrderStatus.CANCELLED, "Cancelled by the strategy"),
    ]
    assert run.orders[1].history[1:] == [(clock[2], OrderStatus.EXPIRED, "Time in force is over")]
    assert run.orders[2].status is OrderStatus.PARTIALLY_FILLED  # 100 units on each bar
    run = play([10] * 3, {0: buy(10_000)})
    assert run.orders[0].history[1:] == [(clock[1], OrderStatus.REJECTED, "Insufficient cash: need $100,000.00, have $10,000.00")]


# Changes ------------------------------------------------------------------------------------------------------------------------


def update(**changes: Any) -> Any:
    return lambda broker: broker.update_order("ORD-1", **changes)


def test_updates_of_price_and_quantity() -> None:
    run = play([10, 10, (10, 10, 9, 9), 9], {0: buy(5, order_type="limit", limit_price=5), 1: update(limit_price=9.5, quantity=7)})
    assert run.deals == [(2, 7, 9.5)]
    run = play([10, 10, (10, 12, 10, 11)], {0: buy(5, order_type="stop", stop_price=20), 1: update(stop_price=11)})
    assert run.deals == [(2, 5, 11)]


def test_the_quantity_of_an_update_is_that_of_the_whole_order() -> None:
    run = play([10] * 4, {0: buy(150), 1: update(quantity=120)}, **THIN)
    assert run.deals == [(1, 100, 10), (2, 20, 10)]

    def too_small(broker: Any) -> None:
        with pytest.raises(
            ValueError, match=r"quantity of order ORD-1 was 100 at 2024-01-02 00:00:00: expected a finite number > 100, what is"
        ):
            broker.update_order("ORD-1", quantity=100)

    assert play([10] * 4, {0: buy(150), 1: too_small}, **THIN).deals == [(1, 100, 10), (2, 50, 10)]


def test_updates_of_a_trail_move_nothing_by_themselves() -> None:
    stop: dict[str, Any] = {"order_type": "trailing_stop", "trail_amount": 2}
    run = play([10, 10, 12, 12, 12], {0: buy(-1, **stop), 1: update(trail_amount=1)}, account_type="crypto")
    (order,) = run.orders
    assert (order.trail_amount, order.stop_price) == (1, 11)
    run = play([10, 10], {0: buy(-1, **stop), 1: update(trail_amount=1)}, account_type="crypto")
    assert run.orders[0].stop_price == 8
    run = play(
        [10, 10, 12], {0: buy(-1, order_type="trailing_stop", trail_percent=0.25), 1: update(trail_percent=0.5)}, account_type="crypto"
    )
    assert (run.orders[0].trail_percent, run.orders[0].stop_price) == (0.5, 7.5)  # 6 would be looser


def test_cancels() -> None:
    def cancel(broker: Any) -> None:
        first, second, third = broker.pending_orders
        assert broker.cancel_order(second)  # an order, or its id
        assert broker.cancel_all_orders("A") == 1
        assert broker.get_pending_orders() == [third]
        assert broker.cancel_all_orders() == 1
        assert not broker.cancel_order(first.order_id)

    bars = {"A": [10, 10, 9], "B": [10, 10, 9]}
    run = play(bars, {0: [buy(1, **LOW), buy(2, **LOW), buy(1, "B", **LOW)], 1: cancel})
    assert run.states == [("cancelled", "cancelled_by_user")] * 3
    assert run.deals == []


# Sizes ------------------------------------------------------------------------------------------------------------------------


def sizes(action: Any, *, start: float = 0, **settings: Any) -> list[float]:
    """Return the signed quantities of what an action orders at a close of 20 with 10,000."""
    run = play([20, 20, 20, 20], {0: buy(start), 1: action}, **{"account_type": "crypto", **settings})
    made = run.orders[1 if start else 0 :]
    return [order.quantity if order.side.value == "buy" else -order.quantity for order in made]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda broker: broker.buy("A", shares=5), [5]),
        (lambda broker: broker.sell("A", shares=5), [-5]),
        (lambda broker: broker.buy("A", contracts=2), [2]),
        (lambda broker: broker.buy("A", dollars=500), [25]),
        (lambda broker: broker.sell("A", amount=500), [-25]),
        (lambda broker: broker.buy("A", shares=0), []),
        (lambda broker: broker.buy("A", shares=-3), []),
        (lambda broker: broker.order_target_quantity("A", -4), [-4]),
        (lambda broker: broker.order_target_value("A", 1000), [50]),
        (lambda broker: broker.order_target_value("A", 0), []),
        (lambda broker: broker.order_target_percent("A", 0.25), [125]),
        (lambda broker: broker.order_target_percent("A", 0.0), []),
        (lambda broker: broker.reduce_position("A", 0.5), []),
        (lambda broker: broker.close_position("A"), []),
    ],
)
def test_sizes_without_a_position(action: Any, expected: list[float]) -> None:
    assert sizes(action) == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda broker: broker.order_target_quantity("A", 40), []),
        (lambda broker: broker.order_target_quantity("A", 10), [-30]),
        (lambda broker: broker.order_target_quantity("A", -10), [-50]),
        (lambda broker: broker.order_target_value("A", 1000), [10]),
        (lambda broker: broker.order_target_value("A", 800.001), []),  # within a cent
        (lambda broker: broker.order_target_value("A", 0), [-40]),
        (lambda broker: broker.order_target_percent("A", 0.04), [-20]),
        (lambda broker: broker.order_target_percent("A", 0), [-40]),
        (lambda broker: broker.reduce_position("A", 0.25), [-10]),
        (lambda broker: broker.close_position("A"), [-40]),
        (lambda broker: broker.flatten_all_positions(), [-40]),
    ],
)
def test_sizes_from_a_position_of_40(action: Any, expected: list[float]) -> None:
    assert sizes(action, start=40) == expected


def test_sizes_count_the_multiplier_and_whole_units() -> None:
    spec: dict[str, Any] = {"contract_specs": {"A": ContractSpec("A", multiplier=5)}}
    assert sizes(lambda broker: broker.buy("A", dollars=550), **spec) == [5.5]
    assert sizes(lambda broker: broker.buy("A", dollars=550), **spec, share_type="integer") == [5]
    assert sizes(lambda broker: broker.order_target_value("A", -550), **spec) == [-5.5]
    assert sizes(lambda broker: broker.order_target_percent("A", 0.25), **spec) == [25]


def test_sizes_take_limits() -> None:
    def act(broker: Any) -> None:
        broker.buy("A", dollars=500, order_type="limit", limit_price=9)
        broker.order_target_value("A", 500, order_type="limit", limit_price=8)
        broker.order_target_percent("A", 0.5, order_type=OrderType.LIMIT, limit_price=7)
        broker.order_target_quantity("A", 3, order_type="stop", stop_price=30)

    run = play([20, 20], {0: act})
    assert [(order.quantity, order.limit_price, order.stop_price) for order in run.orders] == [
        (25, 9, None),
        (25, 8, None),
        (250, 7, None),
        (3, None, 30),
    ]


def test_reduce_only_orders_never_open_and_say_so() -> None:
    run = play([10] * 4, {0: [buy(5), buy(-5, reduce_only=True)], 1: buy(-8, reduce_only=True)}, account_type="crypto")
    assert run.deals == [(1, 5, 10), (2, -5, 10)]
    assert run.states == [FILLED, ("cancelled", "position_closed"), FILLED]
    assert [order.reduce_only for order in run.orders] == [False, True, True]
    # an order on the other side of a position, not larger than it, is one by itself
    run = play([10] * 4, {0: buy(5), 1: [buy(-5), buy(-5)]}, account_type="crypto")
    assert (run.deals[1:], run.states[1:]) == ([(2, -5, 10)], [FILLED, ("cancelled", "position_closed")])
    run = play([10] * 4, {0: buy(5), 1: [buy(-5), buy(-5, reduce_only=False)]}, account_type="crypto")
    assert run.deals[1:] == [(2, -5, 10), (2, -5, 10)]


def by_status(run: Run, status: str) -> list[str]:
    return [order.order_id for order in run.broker.get_orders(status=status)]


def test_orders_by_asset_and_status() -> None:
    run = play({"A": [10, 10], "B": [10, 10]}, {0: [buy(1), buy(9999), buy(1, "B", **LOW)]})
    assert (by_status(run, "filled"), by_status(run, "REJECTED"), by_status(run, "pending")) == (["ORD-1"], ["ORD-2"], ["ORD-3"])
    assert [order.order_id for order in run.broker.get_orders("B")] == ["ORD-3"]
    assert run.broker.last_rejection_reason == "Insufficient cash: need $99,990.00, have $9,990.00"
    assert [order.order_id for order in run.broker.get_rejected_orders("A")] == ["ORD-2"]
    assert run.broker.get_rejected_orders("B") == []
