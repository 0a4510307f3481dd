"""Settings of the queue of orders and of what one order's turn does, each with a small run; part of the table of `test_config_knobs`."""

from __future__ import annotations

from typing import Any

from tests.facade.knobs import Knob, bars_held, bracket, buy, close, deals, held, last, prices, states

__all__ = ["QUEUE"]

CRYPTO = {"account_type": "crypto"}
# the open of the third bar is beyond the target, and its low reaches the stop
BEYOND = [10, 10, (13, 13, 8, 10), 10]
SLIPPED = {"slippage_type": "fixed", "slippage_fixed": 0.5}
FLAT = [10, 10, 10, 10]
REJECTED = ["rejected"]


def two_limits(broker: Any) -> None:
    """Submit two limit orders of which a fill of one takes off the other."""
    first = broker.submit_order("A", 5, order_type="limit", limit_price=5)
    broker.submit_order("A", 5, order_type="limit", limit_price=4, oco=first)


QUEUE = [
    Knob(
        "stop_gap_fill", [10, 12], {0: buy(10, order_type="stop", stop_price=11)}, prices, [("gap_price", [12.0]), ("stop_price", [11.0])]
    ),
    Knob(
        "limit_fill",
        [10, 10],
        {0: buy(10, order_type="limit", limit_price=11)},
        prices,
        [("limit", [11.0]), ("better_close", [10.0])],
        {"execution_mode": "same_bar", "submission_bar_range": "close"},
    ),
    # at a better open of a later bar it fills at its limit
    Knob(
        "limit_fill",
        [10, 8],
        {0: buy(10, order_type="limit", limit_price=9)},
        prices,
        [("better_open", [8.0]), ("better_close", [9.0])],
        {"execution_mode": "same_bar", "submission_bar_range": "close"},
    ),
    # 12 at the open is beyond the stop of 11: a limit order from there on, which fills at its limit; or at the stop
    Knob(
        "stop_limit_fill",
        [10, (12, 14, 11, 12)],
        {0: buy(10, order_type="stop_limit", stop_price=11, limit_price=13)},
        prices,
        [("close", [13.0]), ("at_stop", [11.0])],
    ),
    # the entry at a limit that the open satisfies trades at the open, and the bar reaches the target
    Knob(
        "child_activation",
        [10, (10, 12, 9, 10), 10, (10, 13, 10, 10)],
        {0: bracket(11.5, 5, entry_limit=10.5)},
        bars_held,
        [("after_open", [0]), ("after_market", [2])],
    ),
    Knob(
        "child_activation",
        [10, (10, 12, 9, 10), 10, (10, 13, 10, 10)],
        {0: bracket(11.5, 5)},
        bars_held,
        [("after_market", [0]), ("next_bar", [2])],
    ),
    Knob("bracket_priority", BEYOND, {0: bracket(12, 9)}, last, [("stop_first", 12.0), ("stop_always", 9.0)]),
    Knob("slippage_fills", [10, 10, 10], {0: buy(10), 1: close()}, prices, [("all", [10.5, 9.5]), ("opening", [10.5, 10.0])], SLIPPED),
    Knob(
        "split_flips",
        [10, 10, 10],
        {0: buy(10), 1: buy(-15)},
        deals,
        [(False, [("A", 10.0), ("A", -15.0)]), (True, [("A", 10.0), ("A", -10.0), ("A", -5.0)])],
        CRYPTO,
    ),
    # the position is closed at the open of 10 before the stop of 9 is reached, or the older stop has its turn first
    Knob(
        "fill_ordering",
        [10, 10, (10, 10, 8, 9), 10],
        {0: bracket(12, 9), 1: close()},
        last,
        [("exit_first", 9.0), ("newest_exit_first", 10.0)],
    ),
    # the open is at the target, the low at the stop
    Knob("bracket_priority", [10, 10, (13, 13, 7, 11)], {0: bracket(12, 8)}, last, [("stop_first", 12.0), ("submission", 8.0)]),
    Knob(
        "stop_limit_fill",
        [10, (10, 12, 10, 10.4)],
        {0: buy(10, order_type="stop_limit", stop_price=11, limit_price=10.5)},
        prices,
        [("close", [10.5]), ("turned_bar", [])],
    ),
    Knob(
        "missing_bar_orders",
        {"A": [(10, 10, 9, 10), None, 10], "B": FLAT},
        {0: buy(10, order_type="limit", limit_price=9.5)},
        prices,
        [("wait", []), ("last_bar", [9.5])],
    ),
    Knob(
        "linked_orders",
        FLAT,
        {0: two_limits, 1: lambda broker: broker.cancel_order("ORD-1")},
        states,
        [("by_quantity", ["cancelled", "pending"]), ("as_one", ["cancelled", "cancelled"])],
    ),
    Knob("exits_reduce_only", FLAT, {0: buy(10), 1: (close(), close())}, held, [(True, 0.0), (False, -10.0)], CRYPTO),
    Knob(
        "slippage_bound",
        [10, (11, 11.5, 10, 11)],
        {0: buy(10)},
        prices,
        [("none", [12.0]), ("bar_range", [11.5])],
        {"slippage_type": "fixed", "slippage_fixed": 1.0},
    ),
    Knob(
        "submission_check_orders",
        FLAT,
        {0: buy(200, order_type="limit", limit_price=9)},
        states,
        [("market", ["pending"]), ("all", REJECTED)],
        {"next_bar_submission_precheck": True},
    ),
    Knob("refused_reversal", FLAT, {0: buy(-50), 1: buy(300)}, held, [("reject", -50.0), ("close", 0.0)], CRYPTO),
]
