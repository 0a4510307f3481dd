"""The turn of a signal strategy in an engine: what the signals of a bar order for every asset, in one call."""

from __future__ import annotations

from math import isinf, isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from ._jit import array_at, entry, kernel, layout
from .addresses import bar_at, ledger_at
from .codes import SizeKind
from .desk import cash_percent, host_at, market, market_form
from .dtypes import IntArray, Prices, Record, bare, turn_dtype
from .ledger import Ledger
from .signals_orders import order_of

__all__ = ["take_signals"]

_BYTES = 8
_COMBINATIONS = 16
_TURN = layout(bare(turn_dtype), "turn")


@kernel
def _mark_stopped(ledger: Ledger, turn: Record) -> None:
    """Mark the assets for which a rule has made an order since the last turn: their signals are dropped (ledger: in; turn: in-out)."""
    state = ledger.state[0]
    stopped = array_at(turn["stopped_address"], state["assets"], np.int64)
    for row in range(turn["orders"], state["order_count"]):
        stopped[ledger.orders[row]["asset"]] = state["bar"] + 1


@kernel
def _order(address: int, asset: int, action: int, size: float, turn: Record, equity: float) -> int:
    """Submit the order of an action (asset: column; action: code SignalAction; size: of an entry; turn: in; equity: account value)."""
    ledger = ledger_at(address)
    pays_all, price = ledger.params[0]["clearing"] != 0, bar_at(address).close[asset] * ledger.contracts[asset]["multiplier"]
    quantity, reduces = order_of(action, ledger.positions[asset]["quantity"], size, turn["size_kind"], price, equity, pays_all)
    if isnan(quantity):
        return 0
    if isinf(quantity) and turn["size_kind"] == SizeKind.PERCENT and size < 1.0:
        host = host_at(address)
        host["asset"] = asset
        market_form(host)
        return cash_percent(address, asset, size if quantity > 0.0 else -size)
    return market(address, asset, quantity, reduces)


@kernel
def _row(held: float) -> int:
    """Return the row in the table of actions from which those of a position begin (held: signed)."""
    return 2 * _COMBINATIONS if held < 0.0 else (_COMBINATIONS if held > 0.0 else 0)


@kernel
def _follow(ledger: Ledger, turn: Record, rows: npt.NDArray[Any]) -> None:
    """Bring the rows of the assets up to date (ledger: in; turn: in-out; rows: uint8[assets], in-out).

    Positions come and go with fills, and with events, which say nothing here of what they have changed.
    """
    state = ledger.state[0]
    if state["event_count"] > 0:
        for asset in range(len(rows)):
            rows[asset] = _row(ledger.positions[asset]["quantity"])
    else:
        for place in range(turn["fills"], state["fill_count"]):
            filled = ledger.fills[place]["asset"]
            rows[filled] = _row(ledger.positions[filled]["quantity"])
    turn["fills"] = state["fill_count"]


@kernel
def _candidates(codes: npt.NDArray[Any], rows: npt.NDArray[Any], acting: int, candidates: IntArray) -> int:
    """List the assets whose signals do something to their position (candidates: int64[assets], out). Returns how many there are.

    codes: signals of the bar, uint8[assets] (in). rows: where each asset's actions begin, uint8[assets] (in). acting: one bit for each
    action. Few signals do something and no pattern tells which, so nothing here branches on them.
    """
    found = 0
    for asset in range(len(codes)):
        candidates[found] = asset
        found += (acting >> (int(rows[asset]) + int(codes[asset]))) & 1
    return found


@entry
def take_signals(address: int) -> int:
    """Order what the signals of the current bar come to, asset by asset. Returns 0, or a `Refusal` with a minus.

    The strategy's own record (turn_dtype) stands where the host record has the table of parameters.
    """
    turn = array_at(host_at(address)["params_table"], 1, _TURN)[0]
    ledger = ledger_at(address)
    state = ledger.state[0]
    assets, bar, equity = state["assets"], state["bar"], state["equity"]
    _mark_stopped(ledger, turn)
    codes, close = array_at(turn["codes_address"] + bar * assets, assets, np.uint8), bar_at(address).close
    candidates = array_at(turn["candidates_address"], assets, np.int64)
    stopped = array_at(turn["stopped_address"], assets, np.int64)
    actions = array_at(turn["actions_address"], 3 * _COMBINATIONS, np.uint8)
    sizes: Prices = array_at(turn["sizes_address"] + bar * turn["sizes_step"] * _BYTES, assets, np.float64)
    rows = array_at(turn["rows_address"], assets, np.uint8)
    _follow(ledger, turn, rows)
    for place in range(_candidates(codes, rows, turn["acting"], candidates)):
        asset = candidates[place]
        if isnan(close[asset]) or stopped[asset] == bar + 1:
            continue
        action: Any = actions[int(rows[asset]) + int(codes[asset])]
        made = _order(address, asset, action, sizes[asset], turn, equity)
        if made < 0:
            return made
    turn["orders"] = ledger_at(address).state[0]["order_count"]
    return 0
