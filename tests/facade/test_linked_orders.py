"""Brackets, one-cancels-other groups and children through the engine, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import VolumeParticipationLimit
from tests.facade.play import Action, buy, play

FILLED = ("filled", None)
PENDING = ("pending", None)
SIBLING = ("cancelled", "sibling_filled")
ORPHAN = ("cancelled", "parent_not_filled")
CLOSED = ("cancelled", "position_closed")
THIN: dict[str, Any] = {"execution_limits": VolumeParticipationLimit(0.01)}  # 10 of the 1,000 units of a bar
CRYPTO: dict[str, Any] = {"account_type": "crypto"}


def bracket(quantity: float = 5, target: float = 12, stop: float = 8, **terms: Any) -> Action:
    return lambda broker: broker.submit_bracket("A", quantity, target, stop, **terms)


# Brackets -------------------------------------------------------------------------------------------------------------------


def test_the_target_names_the_trade_and_cancels_the_stop() -> None:
    run = play([10, 10, (10, 13, 9, 12), 5], {0: bracket()})
    assert run.deals == [(1, 5, 10), (2, -5, 12)]
    assert run.states == [FILLED, FILLED, SIBLING]
    assert run.exits == [("take_profit", 5, 12)]
    entry, target, stop = run.orders
    assert (entry.reduce_only, target.reduce_only, stop.reduce_only) == (False, True, True)
    assert (entry.parent_id, target.parent_id, stop.parent_id) == (None, "ORD-1", "ORD-1")
    assert (target.limit_price, stop.stop_price) == (12, 8)


def test_the_stop_names_the_trade_and_cancels_the_target() -> None:
    run = play([10, 10, (10, 11, 7, 9), 20], {0: bracket()})
    assert run.deals == [(1, 5, 10), (2, -5, 8)]
    assert run.states == [FILLED, SIBLING, FILLED]
    assert run.exits == [("stop_loss", 5, 8)]


def test_a_short_bracket_is_the_mirror_image() -> None:
    run = play([10, 10, (10, 11, 7, 8), 10], {0: bracket(-5, 8, 12)}, **CRYPTO)
    assert run.deals == [(1, -5, 10), (2, 5, 8)]
    assert run.exits == [("take_profit", -5, 8)]
    run = play([10, 10, (10, 13, 10, 11), 10], {0: bracket(-5, 8, 12)}, **CRYPTO)
    assert run.exits == [("stop_loss", -5, 12)]


@pytest.mark.parametrize(
    ("priority", "target", "expected"),
    [
        ("stop_first", 11, ("stop_loss", 5, 8)),
        ("limit_first", 12, ("take_profit", 5, 12)),
        ("nearest", 11, ("take_profit", 5, 11)),  # 1 from the open, the stop is 2
        ("nearest", 12, ("stop_loss", 5, 8)),  # as near: the stop
        ("nearest", 12.5, ("stop_loss", 5, 8)),
    ],
)
def test_a_bar_that_reaches_both_assumes_the_stop_unless_told(priority: str, target: float, expected: Any) -> None:
    run = play([10, 10, (10, 13, 7, 11)], {0: bracket(target=target)}, bracket_priority=priority)
    assert run.exits == [expected]
    assert sorted(run.states[1:]) == sorted([FILLED, SIBLING])


def test_an_open_beyond_one_level_decides_before_any_priority() -> None:
    bars = [10, 10, (13, 13, 7, 11)]
    assert play(bars, {0: bracket()}).exits == [("take_profit", 5, 12)]
    assert play(bars, {0: bracket()}, limit_fill="better_open").exits == [("take_profit", 5, 13)]
    assert play([10, 10, (7, 13, 7, 11)], {0: bracket()}, bracket_priority="limit_first").exits == [("stop_loss", 5, 7)]


def test_legs_sleep_until_the_entry_fills() -> None:
    # bars 1 and 2 reach the levels of the legs, but the entry at 9 fills on bar 3 only
    bars = [10, (12, 12, 10, 12), (12, 12, 10, 11), (10, 10, 9, 10), (10, 12, 10, 11)]
    run = play(bars, {0: bracket(entry_type="limit", entry_limit=9)})
    assert run.deals == [(3, 5, 9), (4, -5, 12)]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("after_open", [(1, 5, 10), (1, -5, 8)]),  # the entry traded at the open, so the bar is like any other
        ("same_bar", [(1, 5, 10), (1, -5, 8)]),
        ("next_bar", [(1, 5, 10), (2, -5, 12)]),
    ],
)
def test_legs_of_an_entry_at_the_open(activation: str, expected: Any) -> None:
    bars = [10, (10, 11, 8, 10), (10, 12, 10, 11)]
    assert play(bars, {0: bracket()}, child_activation=activation).deals == expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("after_open", [(1, 5, 9), (2, -5, 12)]),
        # after the fill at 9 it sees the range of the bar, and the close of 10 as its first price
        ("same_bar", [(1, 5, 9), (1, -5, 8)]),
        ("next_bar", [(1, 5, 9), (2, -5, 12)]),
    ],
)
def test_legs_of_an_entry_within_the_bar(activation: str, expected: Any) -> None:
    bars = [10, (10, 11, 8, 10), (10, 12, 10, 11)]
    entry = bracket(entry_type="limit", entry_limit=9)
    assert play(bars, {0: entry}, child_activation=activation).deals == expected


def test_legs_are_cancelled_with_an_entry_that_is_refused_cancelled_or_expired() -> None:
    run = play([10, 10, 10], {0: bracket(2000)})
    assert run.states == [("rejected", "insufficient_cash"), ORPHAN, ORPHAN]
    run = play([10, 10, 10], {0: bracket(entry_type="limit", entry_limit=9), 1: lambda broker: broker.cancel_order("ORD-1")})
    assert run.states == [("cancelled", "cancelled_by_user"), ORPHAN, ORPHAN]
    assert run.orders[1].rejection_reason == "The parent order ended without a fill"


def test_legs_follow_an_entry_that_fills_in_parts() -> None:
    # 10 of 25 a bar; on bar 3 the target sells 10 of the 20 that are there, then the last 5 are bought, and sold with the rest
    bars = [10, 10, 10, (10, 12, 10, 12), (12, 12, 11, 12), (12, 12, 11, 12)]
    run = play(bars, {0: bracket(25)}, **THIN)
    assert run.deals == [(1, 10, 10), (2, 10, 10), (3, -10, 12), (3, 5, 10), (4, -10, 12), (5, -5, 12)]
    assert run.states == [FILLED, FILLED, SIBLING]


def test_a_target_that_fills_in_parts_takes_from_the_stop() -> None:
    bars = [10, (10, 10, 10, 10, 9999), (10, 12, 10, 12), 10, (10, 10, 8, 9, 9999), 10]
    run = play(bars, {0: bracket(25)}, **THIN)
    assert run.deals == [(1, 25, 10), (2, -10, 12), (4, -15, 8)]
    assert run.states == [FILLED, SIBLING, FILLED]
    assert [order.filled_quantity for order in run.orders] == [25, 10, 15]
    assert [(trade.exit_reason.value, trade.status.value) for trade in run.result.trades] == [
        ("take_profit", "partial"),
        ("stop_loss", "closed"),
    ]


def test_legs_end_with_the_position_they_belong_to() -> None:
    run = play([10, 10, 10, 12, 12], {0: bracket(), 1: lambda broker: broker.close_position("A"), 2: buy(3)})
    # the position is gone, and the new one is another
    assert run.deals == [(1, 5, 10), (2, -5, 10), (3, 3, 12)]
    assert run.states == [FILLED, CLOSED, CLOSED, FILLED, FILLED]


def test_entries_by_stop_and_stop_limit() -> None:
    bars = [10, (10, 11, 10, 11), (11, 14, 11, 13)]
    assert play(bars, {0: bracket(5, 13, 9, entry_type="stop", entry_stop=10.5)}).deals == [(1, 5, 10.5), (2, -5, 13)]
    entry = bracket(5, 13, 9, entry_type="stop_limit", entry_stop=10.5, entry_limit=10.75)
    assert play(bars, {0: entry}).deals == [(1, 5, 10.5), (2, -5, 13)]


# Groups ---------------------------------------------------------------------------------------------------------------------


def test_a_group_of_entries_for_a_breakout() -> None:
    def submit(broker: Any) -> None:
        up = broker.submit_order("A", 5, order_type="stop", stop_price=12)
        down = broker.submit_order("A", -5, order_type="stop", stop_price=8)
        broker.submit_oco([up, down.order_id])

    run = play([10, 10, (10, 13, 10, 12), 7], {0: submit}, **CRYPTO)
    assert run.deals == [(2, 5, 12)]
    assert run.states == [FILLED, SIBLING]
    assert play([10, 10, (10, 10, 7, 8), 13], {0: submit}, **CRYPTO).deals == [(2, -5, 8)]


def test_a_part_taken_by_one_member_is_taken_off_the_others() -> None:
    def submit(broker: Any) -> None:
        broker.submit_order("A", 25, order_type="limit", limit_price=9)
        broker.submit_order("A", 15, order_type="stop", stop_price=11, oco="ORD-1")
        broker.submit_order("A", 5, order_type="stop", stop_price=20, oco="ORD-2")

    run = play([10, (10, 10, 9, 10), 10, (10, 11, 10, 11), 11], {0: submit}, **THIN)
    # 10 at 9 leave 15, 5 and nothing
    assert run.deals == [(1, 10, 9), (3, 5, 11)]
    assert run.states[1:] == [FILLED, SIBLING]
    assert (run.orders[0].filled_quantity, run.orders[0].remaining_quantity) == (10, 10)


def test_members_of_different_assets_do_not_compete_but_cancel() -> None:
    def submit(broker: Any) -> None:
        broker.submit_order("A", 5, order_type="limit", limit_price=9)
        broker.submit_order("B", 5, order_type="limit", limit_price=9, oco="ORD-1")

    dip = [10, (10, 10, 9, 10)]
    run = play({"A": dip, "B": dip}, {0: submit})
    assert run.states == [FILLED, SIBLING]


def test_a_member_that_ends_without_a_fill_leaves_the_others_alone() -> None:
    def submit(broker: Any) -> None:
        broker.submit_order("A", 5, order_type="limit", limit_price=9, time_in_force="ioc")
        broker.submit_order("A", 5, order_type="stop", stop_price=12, oco="ORD-1")

    run = play([10, 10, 12], {0: submit})
    assert run.states == [("expired", "time_in_force"), FILLED]


# Children -------------------------------------------------------------------------------------------------------------------


def test_a_child_wakes_with_the_first_fill_of_its_parent() -> None:
    waiting: list[bool] = []

    def submit(broker: Any) -> None:
        parent = broker.submit_order("A", 5, order_type="limit", limit_price=9)
        child = broker.submit_order("B", 5, parent=parent)
        waiting.append(child.is_waiting)

    run = play({"A": [10, 10, (10, 10, 9, 9), 9], "B": [20, 21, 22, 23]}, {0: submit})
    assert run.deals == [(2, 5, 9), (3, 5, 23)]
    assert waiting == [True]
    assert not run.orders[1].is_waiting


def test_a_child_may_fill_no_more_than_its_parent_until_that_is_done() -> None:
    def submit(broker: Any) -> None:
        parent = broker.submit_order("A", 15)
        broker.submit_order("B", 40, parent=parent)

    bars: dict[str, Any] = {"A": [10] * 5, "B": [(10, 10, 10, 10, 99_999)] * 5}
    run = play(bars, {0: submit}, **THIN)
    fills = [(deal[0], fill.asset, fill.quantity) for deal, fill in zip(run.deals, run.result.fills, strict=True)]
    assert fills == [(1, "A", 10), (1, "B", 10), (2, "A", 5), (2, "B", 30)]


def test_grandchildren_wait_for_their_own_parent() -> None:
    def submit(broker: Any) -> None:
        parent = broker.submit_order("A", 5, order_type="limit", limit_price=9)
        child = broker.submit_order("A", 5, order_type="limit", limit_price=8, parent=parent)
        broker.submit_order("A", 5, order_type="limit", limit_price=7, parent=child.order_id)

    run = play([10, 9, 8, 7, 7], {0: submit})
    assert run.deals == [(1, 5, 9), (2, 5, 8), (3, 5, 7)]
    run = play([10, 10, 7], {0: submit, 1: lambda broker: broker.cancel_order("ORD-1")})
    assert run.states == [("cancelled", "cancelled_by_user"), ORPHAN, ORPHAN]


def test_a_run_that_ends_leaves_what_is_pending() -> None:
    run = play([10, 10], {0: bracket()})
    assert run.states == [FILLED, PENDING, PENDING]
    run = play([10, 10], {0: bracket()}, close_at_end=True)
    assert run.deals == [(1, 5, 10), (1, -5, 10)]
    assert run.states == [FILLED, ("cancelled", "run_ended"), ("cancelled", "run_ended"), FILLED]
    assert run.exits == [("end_of_data", 5, 10)]
