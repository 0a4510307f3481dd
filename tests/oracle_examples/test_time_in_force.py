"""Hand-computed examples of docs/execution.md: order types, passes, time in force, rounding at submission."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle import Broker, Contract, CostModel
from tests.oracle_examples.running import Action, fills, flat, run, statuses

BAR = (10, 12, 8, 11)

# Order types ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "stop", "limit", "expected"),
    [
        (1, 9, 10, 10),  # triggered by the open, then a limit order: the limit
        (1, 9, 7, None),  # triggered, the limit is not reached
        (1, 11.5, 12, 11.5),  # reached during the bar: the stop
        (1, 11.5, 11, 11),  # the stop is beyond the limit, the close is within it
        (1, 11.5, 10.5, None),  # not even the close
        (1, 12.5, 13, None),
        (-1, 10, 9, 9),
        (-1, 9, 8.5, 9),
        (-1, 9, 10, 10),
        (-1, 9, 11.5, None),
    ],
)
def test_stop_limit(quantity: int, stop: float, limit: float, expected: float | None) -> None:
    action: Action = lambda b: b.submit("A", quantity, "stop_limit", limit_price=limit, stop_price=stop)
    result = run([10, BAR], {0: action}, account="crypto")
    assert [fill.price for fill in result.fills] == ([] if expected is None else [expected])


def test_a_triggered_stop_limit_is_a_limit_order_from_the_next_bar_on() -> None:
    bars = [10, (10, 12, 8, 12), (9.5, 9.8, 9, 9)]
    submit: Action = lambda b: b.submit("A", 1, "stop_limit", limit_price=9.5, stop_price=11.5)
    assert fills(run(bars, {0: submit}, account="crypto")) == [(1, 2, 1, 9.5)]
    # The trigger bar is tested twice in SAME_BAR mode; its low may have been before the trigger.
    assert fills(run(bars, {0: submit}, account="crypto", execution_mode="same_bar")) == [(1, 2, 1, 9.5)]


def test_better_open() -> None:
    submit: Action = lambda b: b.submit("A", 1, "limit", limit_price=11)
    assert fills(run([10, BAR], {0: submit}, limit_fill="better_open")) == [(1, 1, 1, 10)]
    assert fills(run([10, (12, 12, 8, 9)], {0: submit}, limit_fill="better_open")) == [(1, 1, 1, 11)]


def test_the_range_of_the_bar_of_submission() -> None:
    submit: Action = lambda b: b.submit("A", 1, "limit", limit_price=9)
    kwargs: dict[str, Any] = {"execution_mode": "same_bar"}
    assert fills(run([BAR], {0: submit}, **kwargs)) == [(1, 0, 1, 9)]
    assert fills(run([BAR], {0: submit}, submission_bar_range="close", **kwargs)) == []


def test_pass_prices() -> None:
    submit: Action = lambda b: b.submit("A", 1)
    bars = [10, (10, 12, 8, 11, 100, 1, 2, 10.25)]
    assert fills(run(bars, {0: submit}, execution_price="mid")) == [(1, 1, 1, 10)]
    assert fills(run(bars, {0: submit}, execution_price="vwap")) == [(1, 1, 1, 10.25)]


def test_on_open_and_on_close_orders_know_the_sessions() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "market_on_open")
        b.submit("A", 1, "limit_on_open", limit_price=14)
        b.submit("A", 1, "market_on_close")
        b.submit("A", 1, "limit_on_close", limit_price=16)

    bars = [10, (10, 12, 8, 11), (15, 17, 13, 16), (14, 20, 14, 18), (13, 14, 12, 13)]
    result = run(bars, {0: orders}, sessions=[1, 1, 2, 2, 3])
    # Bar 1 ends session 1; session 2 opens above the second order's limit, session 3 below; its close is 18, then 13.
    assert fills(result) == [(3, 1, 1, 11), (4, 1, 1, 11), (1, 2, 1, 15), (2, 4, 1, 13)]


def test_the_on_close_pass_comes_after_the_main_one() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "market_on_close")
        b.submit("A", 1)

    assert fills(run([10, BAR], {0: orders})) == [(2, 1, 1, 10), (1, 1, 1, 11)]
    # In SAME_BAR mode an order of this bar has missed the close.
    assert fills(run([10, BAR], {0: orders}, execution_mode="same_bar")) == [(2, 0, 1, 10), (1, 1, 1, 11)]


def test_no_order_at_the_open_of_the_bar_of_its_submission() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "market_on_open")
        b.submit("A", 1, "limit_on_open", limit_price=20, time_in_force="IOC")

    assert fills(run([BAR, (13, 14, 12, 13)], {0: orders}, execution_mode="same_bar")) == [(1, 1, 1, 13), (2, 1, 1, 13)]


# Trailing stops ------------------------------------------------------------------------------------------------------


def sell_trail(**trail: Any) -> dict[int, Action]:
    def orders(b: Broker) -> None:
        b.submit("A", -1, "trailing_stop", **trail)

    return {-1: lambda b: b.submit("A", 1), 0: orders}


def test_a_trailing_stop_follows_the_high_and_does_not_see_its_own_move() -> None:
    bars = [10, (10, 14, 9, 13), (13, 13, 11.5, 12), (11, 11, 10, 10)]
    # Starts at 10 - 2; bar 1: 8 is not reached, then 14 - 2; bar 2: low 11.5 reaches 12.
    result = run(bars, sell_trail(trail_amount=2))
    assert fills(result)[1:] == [(2, 2, -1, 12)]
    assert result.trades[0].exit_reason == "trailing_stop"


def test_a_trail_that_was_moved_is_over_for_the_bar() -> None:
    # Bar 1: 8 is not reached, then 14 - 2 = 12; the close of 11 is below, and so is the open of bar 2.
    result = run([10, (10, 14, 9, 11), (11.5, 12, 11, 11)], sell_trail(trail_amount=2), execution_mode="same_bar")
    assert fills(result)[1:] == [(2, 2, -1, 11.5)]


def test_the_bar_of_an_update_moves_no_trail() -> None:
    actions = sell_trail(trail_amount=2)
    actions[0] = lambda b: [b.submit("A", -1, "trailing_stop", trail_amount=2), b.update(2, trail_amount=1)]
    actions[1] = lambda b: b.update(2, stop_price=5)
    result = run([10, (10, 14, 9, 13), (9, 9, 8.5, 9)], actions, execution_mode="same_bar")
    # Bar 1: to 14 - 1 = 13, then set to 5, where the second pass leaves it. Bar 2: 9 - 1.
    assert (fills(result)[1:], result.orders[1].stop_price) == ([], 8)


def test_a_trail_that_was_updated_before_its_first_turn_of_the_bar_does_not_move() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1, "limit", limit_price=5)
        b.submit("A", -1, "trailing_stop", trail_amount=2, reduce_only=True, parent=1)

    update: Action = lambda b: [b.update(1, limit_price=11), b.update(2, trail_amount=1)]
    actions: dict[int, Action] = {0: orders, 1: update}
    result = run([10, (10, 12, 9, 11)], actions, execution_mode="same_bar", child_activation="same_bar")
    # The parent trades in the second pass of bar 1, and the child has a turn there.
    assert (fills(result), result.orders[1].stop_price) == ([(1, 1, 1, 11)], 8)


def test_trail_updates() -> None:
    bars = [10, (10, 14, 9, 13), (13, 13, 11.5, 12), (11, 11, 10, 10)]
    # By the close: 13 - 2 = 11 after bar 1, open of bar 3.
    assert fills(run(bars, sell_trail(trail_amount=2), trail_update="close"))[1:] == [(2, 3, -1, 11)]
    # The high first: 14 - 2 = 12 on bar 1 itself; the open of 10 is already below.
    assert fills(run(bars, sell_trail(trail_amount=2), trail_update="bar_first"))[1:] == [(2, 1, -1, 10)]


def test_a_trail_in_percent_and_never_loosened() -> None:
    bars = [10, (10, 20, 9.5, 20), (19, 19, 18.5, 19), (19, 19, 17.5, 18)]
    # 10 - 1 = 9, then 20 - 0.1 * 20 = 18; 19 - 1.9 would be looser.
    assert fills(run(bars, sell_trail(trail_percent=0.1)))[1:] == [(2, 3, -1, 18)]


def test_without_a_signal_price_the_first_close_starts_the_trail() -> None:
    action: Action = lambda b: b.submit("A", 1, "trailing_stop", trail_amount=2)
    bars = [None, (10, 20, 5, 10), (10, 11, 9, 10), (10, 12, 10, 12)]
    # Bar 1: starts at 10 + 2 and cannot trade; bar 2: 11 < 12, then 9 + 2; bar 3: high 12 reaches 11.
    assert fills(run(bars, {-1: action})) == [(1, 3, 1, 11)]


def test_a_trailing_stop_sees_only_the_close_of_its_first_bar() -> None:
    bars = [(10, 12, 5, 10), (10, 11, 9.5, 11)]

    def orders(b: Broker) -> None:
        b.submit("A", 1)
        b.submit("A", -1, "trailing_stop", trail_amount=1, reduce_only=True)

    result = run(bars, {0: orders}, execution_mode="same_bar")
    assert fills(result) == [(1, 0, 1, 10)]
    assert result.orders[1].stop_price == 11 - 1


# Time in force -------------------------------------------------------------------------------------------------------


def test_good_till_date() -> None:
    action: Action = lambda b: b.submit("A", 1, "limit", limit_price=5, time_in_force="GTD", good_till=101)
    assert statuses(run([10, 10, 5], {0: action})) == [("expired", "TIME_IN_FORCE")]
    assert statuses(run([10, 5, 5], {0: action})) == [("filled", None)]
    with pytest.raises(ValueError):
        run([10], {0: lambda b: b.submit("A", 1, time_in_force="GTD")})


def test_day_orders_live_in_the_session_of_their_first_turn() -> None:
    action: Action = lambda b: b.submit("A", 1, "limit", limit_price=5, time_in_force="DAY")
    result = run([10, 10, 10, 5], {0: action}, sessions=[1, 2, 2, 2])
    assert fills(result) == [(1, 3, 1, 5)]
    result = run([10, 10, 10, 5], {0: action}, sessions=[1, 2, 2, 3])
    assert statuses(result) == [("expired", "TIME_IN_FORCE")]
    assert result.orders[0].ended_time == 103


def test_immediate_or_cancel_and_fill_or_kill() -> None:
    def orders(b: Broker) -> None:
        for tif in ("IOC", "FOK"):
            b.submit("A", 15, time_in_force=tif)
            b.submit("A", 10, time_in_force=tif)
            b.submit("A", 1, "limit", limit_price=5, time_in_force=tif)

    result = run([flat(10, 100), flat(10, 100), flat(5, 100)], {0: orders}, participation=0.1)
    assert fills(result) == [(1, 1, 10, 10), (2, 1, 10, 10), (5, 1, 10, 10)]
    expired, filled = ("expired", "TIME_IN_FORCE"), ("filled", None)
    assert statuses(result) == [expired, filled, expired, expired, filled, expired]


def test_an_unpriced_bar_is_a_turn() -> None:
    action: Action = lambda b: b.submit("A", 1, time_in_force="IOC")
    assert statuses(run([10, None, 10], {0: action})) == [("expired", "TIME_IN_FORCE")]


# Lots, ticks, limits of execution ------------------------------------------------------------------------------------


def test_lots() -> None:
    def orders(b: Broker) -> None:
        assert b.submit("A", 5) == 1  # rounds to 0
        assert b.submit("A", 0) is None
        assert b.submit("A", 1e-9) is None
        b.submit("A", 29.99999999999)
        b.submit("A", -19)

    result = run([10, 10], {0: orders}, contracts={"A": Contract(lot_size=10)}, account="crypto")
    assert statuses(result)[0] == ("rejected", "ROUNDS_TO_ZERO")
    assert [order.quantity for order in result.orders] == [5, 30, -10]
    result = run([10, 10], {0: lambda b: b.submit("A", 2.7)}, share_type="integer")
    assert result.orders[0].quantity == 2


def test_ticks_never_make_an_order_more_aggressive() -> None:
    def orders(b: Broker) -> None:
        for quantity in (1, -1):
            b.submit("A", quantity, "stop_limit", limit_price=1.13, stop_price=1.13)

    result = run([10], {0: orders}, round_to_tick=True, contracts={"A": Contract(tick_size=0.25)})
    assert [(order.limit_price, order.stop_price) for order in result.orders] == [(1.0, 1.25), (1.25, 1.0)]


def test_participation_and_displayed_quantity_trade_once_per_bar() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 25)
        b.submit("A", 5, displayed_quantity=2)

    bars = [flat(10, 100), flat(10, 100), flat(10, 40), flat(10, None), flat(10, 1000)]
    result = run(bars, {0: orders}, participation=0.1, min_volume=50, execution_mode="same_bar")
    # 10 % of 100, once per bar; nothing of 40, below the minimum; no cap without a volume.
    assert fills(result) == [(1, 0, 10, 10), (2, 0, 2, 10), (1, 1, 10, 10), (2, 1, 2, 10), (1, 3, 5, 10), (2, 3, 1, 10)]
    assert statuses(result) == [("filled", None)] * 2


def test_caps_are_rounded_down_to_the_lot() -> None:
    kwargs: dict[str, Any] = {"asset_costs": {"A": CostModel(participation=0.25)}, "share_type": "integer"}
    result = run([flat(10, 7)] * 3, {0: lambda b: b.submit("A", 2)}, **kwargs)
    assert fills(result) == [(1, 1, 1, 10), (1, 2, 1, 10)]


def test_the_second_sweep_by_notional() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 1)
        b.submit("B", 3)
        b.submit("C", 2)

    bars = [{"A": flat(10), "B": flat(10), "C": flat(10)}] * 2
    for priority, expected in (("notional_desc", [2, 3, 1]), ("notional_asc", [1, 3, 2])):
        result = run(bars, {0: orders}, entry_order_priority=priority)
        assert [fill.order_id for fill in result.fills] == expected


def test_first_in_first_out_does_not_prefer_exits() -> None:
    def rotate(b: Broker) -> None:
        b.submit("B", 10)
        b.close("A")

    bars = [{"A": flat(10), "B": flat(10)}] * 3
    result = run(bars, {0: lambda b: b.submit("A", 10), 1: rotate}, initial_cash=100, fill_ordering="fifo")
    assert statuses(result)[1:] == [("rejected", "INSUFFICIENT_CASH"), ("filled", None)]
    # The end of the data closes what is left, at the close and with costs.
    result = run([10, (10, 10, 10, 13)], {0: lambda b: b.submit("A", 2)}, close_at_end=True, slippage=("fixed", 1))
    (trade,) = result.trades
    assert (trade.exit_price, trade.exit_reason, trade.status, result.positions) == (12, "end_of_data", "closed", {})


def test_orders_of_on_end_never_trade_and_pending_ones_are_cancelled_when_closing() -> None:
    def bracket(b: Broker) -> None:
        b.bracket("A", 1, 20, 5, "limit", 1)

    result = run([10, 10], {0: bracket}, on_end=lambda b: b.submit("A", 1), close_at_end=True)
    assert statuses(result) == [("cancelled", "RUN_ENDED")] * 3 + [("pending", None)]
