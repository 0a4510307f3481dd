"""From the address of the state record to the arrays behind it: the layouts as compiled code spells them, the ledger, the bar."""

from __future__ import annotations

import numpy as np

from ._jit import array_at, kernel, layout
from .codes import Stage
from .dtypes import (
    alert_dtype,
    bar_dtype,
    bare,
    contract_dtype,
    cost_dtype,
    event_dtype,
    fill_dtype,
    flow_dtype,
    host_dtype,
    limit_dtype,
    order_dtype,
    params_dtype,
    position_dtype,
    rule_dtype,
    state_dtype,
    tier_dtype,
    trade_dtype,
)
from .ledger import Bar, Ledger

__all__ = [
    "ALERT",
    "BAR",
    "CONTRACT",
    "COST",
    "EVENT",
    "FILL",
    "FLOW",
    "HOST",
    "LIMIT",
    "ORDER",
    "PARAMS",
    "POSITION",
    "RULE",
    "STATE",
    "TIER",
    "TRADE",
    "bar_at",
    "ledger_at",
]

_BYTES = 8
_BAR_BYTES = bar_dtype.itemsize
BAR = layout(bare(bar_dtype), "bar")
STATE = layout(bare(state_dtype), "state")
PARAMS = layout(bare(params_dtype), "params")
CONTRACT = layout(bare(contract_dtype), "contract")
COST = layout(bare(cost_dtype), "cost")
TIER = layout(bare(tier_dtype), "tier")
POSITION = layout(bare(position_dtype), "position")
ORDER = layout(bare(order_dtype), "order")
FILL = layout(bare(fill_dtype), "fill")
TRADE = layout(bare(trade_dtype), "trade")
FLOW = layout(bare(flow_dtype), "flow")
ALERT = layout(bare(alert_dtype), "alert")
RULE = layout(bare(rule_dtype), "rule")
EVENT = layout(bare(event_dtype), "event")
LIMIT = layout(bare(limit_dtype), "limit")
HOST = layout(bare(host_dtype), "host")
_HOLDS = 8


@kernel
def ledger_at(address: int) -> Ledger:
    """Return the ledger behind a state record (address: of the record)."""
    records = array_at(address, 1, STATE)
    state = records[0]
    assets = state["assets"]
    return Ledger(
        records,
        array_at(state["params_address"], 1, PARAMS),
        array_at(state["contracts_address"], assets, CONTRACT),
        array_at(state["costs_address"], state["cost_count"], COST),
        array_at(state["tiers_address"], state["tier_count"], TIER),
        array_at(state["positions_address"], assets, POSITION),
        array_at(state["open_address"], state["open_capacity"], np.int64),
        array_at(state["orders_address"], state["order_capacity"], ORDER),
        array_at(state["live_address"], state["order_capacity"], np.int64),
        array_at(state["turns_address"], state["order_capacity"], np.int64),
        array_at(state["fills_address"], state["fill_capacity"], FILL),
        array_at(state["trades_address"], state["trade_capacity"], TRADE),
        array_at(state["holds_address"], _HOLDS, np.float64),
    )


@kernel
def bar_at(address: int) -> Bar:
    """Return the bar that the next kernel works on: the next row after a closed bar, else the current one."""
    state = array_at(address, 1, STATE)[0]
    row = state["row"]
    if state["stage"] == Stage.CLOSED:
        row += state["row_step"]
    assets = state["assets"]
    prices = row * assets * _BYTES
    return Bar(
        array_at(state["bars_address"] + row * _BAR_BYTES, 1, BAR),
        array_at(state["opens_address"] + prices, assets, np.float64),
        array_at(state["highs_address"] + prices, assets, np.float64),
        array_at(state["lows_address"] + prices, assets, np.float64),
        array_at(state["closes_address"] + prices, assets, np.float64),
        array_at(state["volumes_address"] + prices * state["volume_step"], assets, np.float64),
        array_at(state["vwaps_address"] + prices, assets, np.float64),
        array_at(state["bids_address"] + prices, assets, np.float64),
        array_at(state["asks_address"] + prices, assets, np.float64),
    )
