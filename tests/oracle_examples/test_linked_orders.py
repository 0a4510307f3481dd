"""Hand-computed examples of docs/execution.md: children, groups, brackets, and what reduce-only orders are bound to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle import Broker
from tests.oracle_examples.running import Action, fills, flat, run, statuses

FILLED = ("filled", None)
SIBLING = ("cancelled", "SIBLING_FILLED")
CLOSED = ("cancelled", "POSITION_CLOSED")


def bracket(target: float = 12, stop: float = 8, **kwargs: Any) -> dict[int, Action]:
    return {0: lambda b: b.bracket("A", 5, target, stop, **kwargs)}


def test_the_target_cancels_the_stop_and_names_its_trade() -> None:
    result = run([10, 10, (10, 13, 9, 12), 5], bracket())
    assert fills(result) == [(1, 1, 5, 10), (2, 2, -5, 12)]
    assert statuses(result) == [FILLED, FILLED, SIBLING]
    assert result.trades[0].exit_reason == "take_profit"
    assert [order.parent for order in result.orders] == [None, 1, 1]


def test_the_stop_goes_first_when_both_are_reached() -> None:
    bars = [10, 10, (10, 13, 7, 12)]
    result = run(bars, bracket())
    assert fills(result)[1:] == [(3, 2, -5, 8)]
    assert result.trades[0].exit_reason == "stop_loss"
    assert fills(run(bars, bracket(), bracket_priority="limit_first"))[1:] == [(2, 2, -5, 12)]
    # 12 is 2 away from the open as is 8: the stop; 11.5 is nearer.
    assert fills(run(bars, bracket(), bracket_priority="nearest"))[1:] == [(3, 2, -5, 8)]
    assert fills(run(bars, bracket(target=11.5), bracket_priority="nearest"))[1:] == [(2, 2, -5, 11.5)]


def test_what_the_open_satisfies_goes_first() -> None:
    result = run([10, 10, (13, 13, 7, 12)], bracket(), limit_fill="better_open")
    assert fills(result)[1:] == [(2, 2, -5, 13)]


def test_the_better_member_trades_at_its_own_place_and_the_other_waits() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "limit", limit_price=9)
        b.submit("B", 1)
        b.submit("A", 1, "stop", stop_price=12, oco=1)
        b.submit("A", 1, "limit", limit_price=9, oco=1)

    result = run([{"A": flat(10), "B": flat(10)}, {"A": (10, 13, 8, 10), "B": flat(10)}], {0: orders})
    assert [fill.order_id for fill in result.fills] == [2, 3]
    assert statuses(result) == [SIBLING, FILLED, FILLED, SIBLING]
    result = run([{"A": flat(10), "B": flat(10)}, {"A": (10, 13, 8, 10)}], {0: orders}, bracket_priority="limit_first")
    # Equal ones: the first turn counts.
    assert fills(result) == [(1, 1, 1, 9)]


def test_an_immediate_order_that_waits_expires() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "limit", limit_price=9, time_in_force="IOC")
        b.submit("A", 1, "stop", stop_price=12, oco=1)

    assert statuses(run([10, (10, 13, 8, 10)], {0: orders})) == [("expired", "TIME_IN_FORCE"), FILLED]


def test_only_members_of_the_same_asset_compete() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "limit", limit_price=9)
        b.submit("B", 1, "stop", stop_price=12, oco=1)

    result = run([{"A": flat(10), "B": flat(10)}, {"A": (10, 13, 8, 10), "B": (10, 13, 8, 10)}], {0: orders})
    assert statuses(result) == [FILLED, SIBLING]


def test_a_trailing_stop_that_was_moved_does_not_compete() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", -1, "trailing_stop", trail_amount=2)
        b.submit("A", -1, "limit", limit_price=13, oco=2)

    # The trail goes from 8 to 12, above the open, and is over for this bar.
    result = run([10, 10, (10, 14, 9, 13)], {0: lambda b: b.submit("A", 1), 1: orders})
    assert fills(result)[1:] == [(3, 2, -1, 13)]


@pytest.mark.parametrize(("activation", "expected"), [("after_open", 1), ("same_bar", 1), ("next_bar", 2)])
def test_children_of_an_entry_at_the_open(activation: str, expected: int) -> None:
    result = run([10, (10, 11, 7, 9), (7.5, 8, 7, 7)], bracket(), child_activation=activation)
    assert fills(result)[1:] == [(3, expected, -5, 8 if expected == 1 else 7.5)]


@pytest.mark.parametrize(("activation", "expected"), [("after_open", (2, 7.5)), ("same_bar", (1, 8)), ("next_bar", (2, 7.5))])
def test_children_of_an_entry_after_the_open(activation: str, expected: tuple[int, float]) -> None:
    actions = bracket(entry_type="limit", entry_limit=9)
    result = run([10, (10, 11, 7, 9), (7.5, 8, 7, 7)], actions, child_activation=activation)
    assert fills(result)[1:] == [(3, expected[0], -5, expected[1])]


def test_a_limit_order_that_the_open_satisfies_trades_at_the_open() -> None:
    result = run([10, (10, 11, 7, 9)], bracket(entry_type="limit", entry_limit=11))
    assert fills(result) == [(1, 1, 5, 11), (3, 1, -5, 8)]


def test_a_child_that_was_submitted_on_the_bar_refers_to_the_close() -> None:
    bars = [(10, 12, 7, 7.5)]
    assert fills(run(bars, bracket(), execution_mode="same_bar", execution_price="open")) == [(1, 0, 5, 10), (3, 0, -5, 7.5)]


def test_the_pass_at_the_close_is_for_orders_at_the_close() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 2, "market_on_close")
        b.submit("A", -1, parent=1)
        b.submit("A", -1, "market_on_close", parent=1)

    bars = [10, (10, 12, 9, 11), (12, 13, 12, 13)]
    result = run(bars, {0: orders}, child_activation="same_bar")
    assert fills(result) == [(1, 1, 2, 11), (3, 1, -1, 11), (2, 2, -1, 12)]


def test_a_child_that_woke_after_the_open_refers_to_the_close() -> None:
    # The entry at 9 is after the open; the close of 7 is already below the stop of 8.
    actions = bracket(entry_type="limit", entry_limit=9)
    result = run([10, (10, 11, 7, 7), 7], actions, child_activation="same_bar")
    assert fills(result)[1:] == [(3, 1, -5, 7)]


def test_children_end_with_a_parent_that_did_not_trade() -> None:
    actions: dict[int, Action] = {**bracket(entry_type="limit", entry_limit=5), 1: lambda b: b.cancel(1)}
    result = run([10, 10, 10], actions)
    assert statuses(result) == [("cancelled", "CANCELLED_BY_USER")] + [("cancelled", "PARENT_NOT_FILLED")] * 2
    result = run([10, 10], bracket(), initial_cash=1)
    assert statuses(result) == [("rejected", "INSUFFICIENT_CASH")] + [("cancelled", "PARENT_NOT_FILLED")] * 2


def test_a_child_fills_at_most_what_its_parent_has_filled() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 10, displayed_quantity=4)
        b.submit("A", -10, "limit", limit_price=10, reduce_only=False, parent=1)

    result = run([10] * 5, {0: orders}, account="crypto")
    # Both fill 4, 4 and 2, the child after its parent.
    assert fills(result) == [(1, 1, 4, 10), (2, 1, -4, 10), (1, 2, 4, 10), (2, 2, -4, 10), (1, 3, 2, 10), (2, 3, -2, 10)]
    assert statuses(result) == [FILLED, FILLED]


def test_a_child_of_a_parent_that_has_traded_is_awake() -> None:
    result = run([10, 10, 10], {0: lambda b: b.submit("A", 1), 1: lambda b: b.submit("A", -1, parent=1)})
    assert fills(result)[1:] == [(2, 2, -1, 10)]


def test_a_partial_fill_takes_from_the_other_members() -> None:
    def orders(b: Broker) -> None:
        first = b.submit("A", 10, "limit", limit_price=9, displayed_quantity=6)
        b.submit("A", 8, "stop", stop_price=12, oco=first)
        b.submit("A", 6, "stop", stop_price=12, oco=first)

    result = run([10, 9, (10, 12, 10, 12)], {0: orders})
    # 6 of the first leave 4, 2 and 0; then the second fills 2 and leaves 2 of the first.
    assert fills(result) == [(1, 1, 6, 9), (2, 2, 2, 12)]
    assert statuses(result) == [("pending", None), FILLED, SIBLING]
    assert result.orders[0].left == 2


def test_a_reduce_only_order_is_bound_to_its_position() -> None:
    def protect(b: Broker) -> None:
        b.submit("A", -5, "stop", stop_price=5)
        b.close("A")
        b.submit("A", 3)

    result = run([10, 10, 10, 4], {0: lambda b: b.submit("A", 5), 1: protect})
    # The stop belongs to the position of 5; the new one of 3 is not its business, although 4 is below 5.
    assert statuses(result) == [FILLED, CLOSED, FILLED, FILLED]
    assert result.positions["A"].quantity == 3


def test_an_order_that_is_bound_is_cancelled_on_its_next_turn_whatever_the_price() -> None:
    def protect(b: Broker) -> None:
        b.submit("A", -5, "stop", stop_price=1)
        b.submit("A", -7, reduce_only=False)

    # The flip has no place among the exits, so the stop had its turn of bar 2 before it.
    result = run([10, 10, 10, 10], {0: lambda b: b.submit("A", 5), 1: protect}, account="crypto")
    assert statuses(result) == [FILLED, CLOSED, FILLED]
    assert result.orders[1].ended_time == 103


def test_a_bracket_leg_is_bound_to_the_position_of_its_entry() -> None:
    def orders(b: Broker) -> None:
        b.bracket("A", 5, 20, 8, "limit", 10)
        b.close("A")

    bars = [10, 11, (11, 11, 11, 11), (11, 11, 10, 11), (8, 8, 8, 8)]
    result = run(bars, {0: lambda b: b.submit("A", 2), 1: orders})
    # The first position is gone when the entry fills on bar 3, on which the legs are bound.
    assert fills(result) == [(1, 1, 2, 11), (5, 2, -2, 11), (2, 3, 5, 10), (4, 4, -5, 8)]


def test_two_assets_may_share_a_group() -> None:
    def orders(b: Broker) -> None:
        first = b.submit("A", 2, "limit", limit_price=9)
        b.submit("B", 3, "limit", limit_price=9, oco=first)

    result = run([{"A": flat(10), "B": flat(10)}, {"A": flat(9), "B": flat(10)}, {"A": flat(9), "B": flat(9)}], {0: orders})
    assert fills(result) == [(1, 1, 2, 9), (2, 2, 1, 9)]


def test_update_keeps_the_queue_and_counts_the_filled_part() -> None:
    def change(b: Broker) -> None:
        assert not b.update(1, quantity=4)
        assert b.update(1, quantity=7)

    result = run([10] * 4, {0: lambda b: b.submit("A", 9, displayed_quantity=4), 1: change})
    assert fills(result) == [(1, 1, 4, 10), (1, 2, 3, 10)]
    assert (result.orders[0].quantity, result.orders[0].status) == (7, "filled")
