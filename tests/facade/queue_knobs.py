"""Settings of the queue of orders and of what one order's turn does, each with a small run; part of the table of `test_config_knobs`."""

from __future__ import annotations

from tests.facade.knobs import Knob, bars_held, bracket, buy, close, deals, last, prices

__all__ = ["QUEUE"]

CRYPTO = {"account_type": "crypto"}
# the open of the third bar is beyond the target, and its low reaches the stop
BEYOND = [10, 10, (13, 13, 8, 10), 10]
SLIPPED = {"slippage_type": "fixed", "slippage_fixed": 0.5}
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
]
