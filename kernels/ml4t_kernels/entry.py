"""Entry points for Python: thin shims that take the address of the state record and call the kernels.

One int64 costs about 0.05 us to pass, a structured array 0.1 us and a group of them several; the record holds the
address of every other array. The store owns those arrays and keeps the addresses true. `bind` from `_jit` skips the
dispatcher.
"""

from __future__ import annotations

import numpy as np

from . import orders, step
from ._jit import array_at, entry, kernel
from .codes import Stage, StepStatus
from .dtypes import (
    bar_dtype,
    bare,
    contract_dtype,
    fill_dtype,
    order_dtype,
    params_dtype,
    position_dtype,
    state_dtype,
    trade_dtype,
)
from .ledger import Bar, Ledger

__all__ = [
    "advance",
    "cancel",
    "cancel_since",
    "close_bar",
    "open_bar",
    "submit",
    "submit_quantities",
    "submit_target_weight",
    "submit_target_weights",
    "update",
]

_BYTES = 8
_BAR_BYTES = bar_dtype.itemsize
_BAR = bare(bar_dtype)
_STATE = bare(state_dtype)
_PARAMS = bare(params_dtype)
_CONTRACT = bare(contract_dtype)
_POSITION = bare(position_dtype)
_ORDER = bare(order_dtype)
_FILL = bare(fill_dtype)
_TRADE = bare(trade_dtype)


@kernel
def _ledger_at(address: int) -> Ledger:
    records = array_at(address, 1, _STATE)
    state = records[0]
    assets = state["assets"]
    return Ledger(
        records,
        array_at(state["params_address"], 1, _PARAMS),
        array_at(state["contracts_address"], assets, _CONTRACT),
        array_at(state["positions_address"], assets, _POSITION),
        array_at(state["open_address"], state["open_capacity"], np.int64),
        array_at(state["orders_address"], state["order_capacity"], _ORDER),
        array_at(state["live_address"], state["order_capacity"], np.int64),
        array_at(state["fills_address"], state["fill_capacity"], _FILL),
        array_at(state["trades_address"], state["trade_capacity"], _TRADE),
    )


@kernel
def _bar_at(address: int) -> Bar:
    """Return the bar that the next kernel works on: the next row after a closed bar, else the current one."""
    state = array_at(address, 1, _STATE)[0]
    row = state["row"]
    if state["stage"] == Stage.CLOSED:
        row += state["row_step"]
    assets = state["assets"]
    prices = row * assets * _BYTES
    return Bar(
        array_at(state["bars_address"] + row * _BAR_BYTES, 1, _BAR),
        array_at(state["opens_address"] + prices, assets, np.float64),
        array_at(state["highs_address"] + prices, assets, np.float64),
        array_at(state["lows_address"] + prices, assets, np.float64),
        array_at(state["closes_address"] + prices, assets, np.float64),
    )


@entry
def open_bar(address: int) -> int:
    """Open the next bar, or resume opening it. Returns a StepStatus."""
    return step.open_bar(_ledger_at(address), _bar_at(address))


@entry
def close_bar(address: int) -> int:
    """Close the current bar, or resume closing it. Returns a StepStatus."""
    return step.close_bar(_ledger_at(address), _bar_at(address))


@entry
def advance(address: int) -> int:
    """Close the current bar if one is open, then open the next if there is one: one call a bar. Resumable.

    Returns a StepStatus: OK, OK_WITH_FILLS when anything was filled since the host last had control, or what to grow.
    """
    state = array_at(address, 1, _STATE)[0]
    ledger = _ledger_at(address)
    if state["stage"] >= Stage.STRATEGY:
        status = step.close_bar(ledger, _bar_at(address))
        if status != StepStatus.OK:
            return status
        if state["row"] + state["row_step"] >= state["rows"]:
            return StepStatus.OK.value
    status = step.open_bar(ledger, _bar_at(address))
    if status != StepStatus.OK:
        return status
    if state["fill_count"] != state["fills_before"]:
        state["fills_before"] = state["fill_count"]
        return StepStatus.OK_WITH_FILLS.value
    return StepStatus.OK.value


@entry
def submit(
    address: int,
    asset: int,
    quantity: float,
    order_type: int,
    limit_price: float,
    stop_price: float,
    reduce_only: int,
) -> int:
    """Submit an order; arguments and result of `orders.submit`."""
    return orders.submit(_ledger_at(address), asset, quantity, order_type, limit_price, stop_price, reduce_only)


@entry
def update(address: int, row: int, quantity: float, limit_price: float, stop_price: float) -> bool:
    """Update an order; arguments and result of `orders.update`."""
    return orders.update(_ledger_at(address), row, quantity, limit_price, stop_price)


@entry
def cancel(address: int, row: int, reason: int) -> bool:
    """Cancel an order; arguments and result of `orders.cancel`."""
    return orders.cancel(_ledger_at(address), row, reason)


@entry
def cancel_since(address: int, first_row: int, reason: int) -> None:
    """Cancel the pending orders from a row on; arguments of `orders.cancel_since`."""
    orders.cancel_since(_ledger_at(address), first_row, reason)


@entry
def submit_target_weight(address: int, asset: int, weight: float) -> int:
    """Submit a target weight at the current bar; result of `orders.submit_target_weight`."""
    return orders.submit_target_weight(_ledger_at(address), asset, _bar_at(address).close[asset], weight)


@entry
def submit_target_weights(address: int, weights: int, where: int, order_ids: int) -> int:
    """Submit target weights at the current bar; addresses of the arrays of `orders.submit_target_weights`."""
    assets = array_at(address, 1, _STATE)[0]["assets"]
    return orders.submit_target_weights(
        _ledger_at(address),
        _bar_at(address).close,
        array_at(weights, assets, np.float64),
        array_at(where, assets, np.uint8),
        array_at(order_ids, assets, np.int64),
    )


@entry
def submit_quantities(address: int, quantities: int, where: int, order_ids: int) -> int:
    """Submit quantities; addresses of the arrays of `orders.submit_quantities`."""
    assets = array_at(address, 1, _STATE)[0]["assets"]
    return orders.submit_quantities(
        _ledger_at(address),
        array_at(quantities, assets, np.float64),
        array_at(where, assets, np.uint8),
        array_at(order_ids, assets, np.int64),
    )
