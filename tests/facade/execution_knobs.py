"""Knobs of the settings of execution."""

from __future__ import annotations

import polars as pl

from ml4t_backtest import ContractSpec
from tests.facade.feeds import days
from tests.facade.knobs import Knob, bars_held, bracket, buy, cash, held, last, prices

__all__ = ["EXECUTION"]

RISE = [(9, 11, 8, 10), (11, 13, 10, 12, 1000, 11.25), (12, 12, 9, 11), (11, 15, 11, 14)]
FLAT = [10, 10, 10, 10]
SAME = {"execution_mode": "same_bar"}
LIMITED = {0: buy(10, order_type="limit", limit_price=11.5)}
TRAIL = [10, 10, (10, 14, 10, 12), (12, 12, 9.5, 11)]
DIP = [10, (10, 12, 9, 11), (10, 11, 8, 9), 10]
LOW = {0: buy(10, order_type="limit", limit_price=9.5)}
LEGS = [10, 10, (10, 12, 8, 10), 10]
EXECUTION = [
    Knob("execution_mode", RISE, {0: buy(10)}, prices, [("next_bar", [11.0]), ("same_bar", [10.0])]),
    Knob(
        "execution_price",
        RISE,
        {0: buy(10)},
        prices,
        [(None, [11.0]), ("open", [11.0]), ("close", [12.0]), ("mid", [11.5]), ("vwap", [11.25])],
    ),
    Knob("close_at_end", RISE, {0: buy(10)}, prices, [(False, [11.0]), (True, [11.0, 14.0])]),
    Knob(
        "submission_bar_range",
        RISE,
        {0: buy(10, order_type="limit", limit_price=8.5)},
        prices,
        [("range", [8.5]), ("close", [])],
        SAME,
    ),
    Knob("limit_fill", RISE, LIMITED, prices, [("limit", [11.5]), ("better_open", [11.0])]),
    Knob("trigger_price", DIP, LOW, prices, [("range", [9.5]), ("close", [9.0])], {"execution_price": "close"}),
    Knob(
        "beyond_limit",
        RISE,
        {0: buy(10, order_type="limit", limit_price=11)},
        prices,
        [("limit", [11.0]), ("wait", []), ("fill", [11.25])],
        {"slippage_type": "fixed", "slippage_fixed": 0.25},
    ),
    Knob("trade_without_volume", [10, (10, 10, 10, 10, 0), 12], {0: buy(10)}, prices, [(True, [10.0]), (False, [12.0])]),
    Knob(
        "trail_update",
        TRAIL,
        {0: buy(10), 1: buy(-10, order_type="trailing_stop", trail_amount=1.5)},
        last,
        [("after_bar", 12.0), ("close", 10.5), ("bar_first", 10.0)],
    ),
    # the entry at its limit trades after the open of a bar that then touches the target
    Knob(
        "child_activation",
        [10, (10, 12, 9, 10), 10, (10, 13, 10, 10)],
        {0: bracket(11.5, 5, entry_limit=9.5)},
        bars_held,
        [("same_bar", [0]), ("after_open", [2]), ("next_bar", [2])],
    ),
    Knob(
        "child_activation",
        [10, (10, 12, 9, 10), 10, (10, 13, 10, 10)],
        {0: bracket(11.5, 5)},
        bars_held,
        [("same_bar", [0]), ("after_open", [0]), ("next_bar", [2])],
    ),
    Knob("bracket_priority", LEGS, {0: bracket(10.8, 9)}, last, [("stop_first", 9.0), ("limit_first", 10.8), ("nearest", 10.8)]),
    Knob("bracket_priority", LEGS, {0: bracket(10.8, 9.5)}, last, [("limit_first", 10.8), ("nearest", 9.5)]),
    Knob(
        "round_to_tick",
        RISE,
        {0: buy(10, order_type="limit", limit_price=11.3)},
        prices,
        [(False, [11.3]), (True, [11.0])],
        engine={"contract_specs": {"A": ContractSpec("A", tick_size=0.5)}},
    ),
    # 11.48 is within 5 % of a tick of 11.5
    Knob(
        "tick_rounding",
        RISE,
        {0: buy(10, order_type="limit", limit_price=11.48)},
        prices,
        [("passive", [11.0]), ("lenient", [11.5])],
        {"round_to_tick": True},
        engine={"contract_specs": {"A": ContractSpec("A", tick_size=0.5)}},
    ),
    Knob(
        "default_tick_size",
        RISE,
        {0: buy(10, order_type="limit", limit_price=11.3)},
        prices,
        [(None, [11.3]), (0.5, [11.0])],
        {"round_to_tick": True},
    ),
    # 3 units at 10 with 0.30 of commission cost 10.10 each, 20.20 after one for two; half a unit is left, worth 12 at the close before
    Knob(
        "split_accounting",
        [10, 10, 12, 24],
        {0: buy(3)},
        cash,
        [("market", 981.7), ("cost_basis", 979.8)],
        {"share_type": "integer", "commission_type": "per_share", "commission_per_share": 0.1},
        engine={"events": pl.DataFrame({"timestamp": days(4)[3:], "asset": ["A"], "kind": ["split"], "value": [0.5]})},
    ),
    Knob("lot_tolerance", FLAT, {0: buy(2.99)}, held, [(1e-9, 2.0), (0.05, 3.0)], {"share_type": "integer"}),
    Knob("share_type", FLAT, {0: buy(2.5)}, held, [("fractional", 2.5), ("integer", 2.0)]),
]
