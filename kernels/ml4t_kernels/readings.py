"""What a compiled strategy's `ctx` answers about the market, the account and its orders.

Each function here is compiled into the user's code and also runs as plain Python, so both forms are one text: it works on `ctx` only
through `address_in`, `array_at` and calls of entries by address. Assets are numbers of columns. What is refused raises ValueError with the
number of a `Refusal`; the host puts that into words with the bar and the asset.
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from ._jit import array_at, table_at
from ._jit.strategies import address_in, named_reading, reading, shared, verb
from .addresses import CONTRACT, HOST, ORDER, POSITION, STATE
from .codes import Refusal

__all__ = ["granted"]

_BYTES = 8


@shared
def granted(answer: Any) -> Any:
    """Return an answer of a verb. Raises ValueError with the number of the refusal."""
    if answer < 0:
        raise ValueError(-answer)
    return answer


def _named(function: Any, name: str, text: str) -> Any:
    """Return a function under a name of its own, with its documentation."""
    function.__name__, function.__doc__ = name, text
    return function


# The market ----------------------------------------------------------------------------------------------------------------


@reading
def n_assets(ctx: Any) -> Any:
    """Return the number of assets; their columns are 0 to n_assets - 1, in the order of `feed.assets`."""
    return array_at(address_in(ctx), 1, STATE)[0]["assets"]


@reading
def bar(ctx: Any) -> Any:
    """Return the number of the bar, from 0; -1 in `init`."""
    return array_at(address_in(ctx), 1, STATE)[0]["bar"]


@reading
def time(ctx: Any) -> Any:
    """Time of the bar [ns UTC]; in `init` that of the first bar."""
    return array_at(address_in(ctx), 1, STATE)[0]["time"]


def _row(name: str, field: str, text: str) -> None:
    """Register a price column of the bar as an attribute (field: of the state, the address of the column)."""

    def row(ctx: Any) -> Any:
        state = array_at(address_in(ctx), 1, STATE)[0]
        granted(-Refusal.BEFORE_START.value if state["row"] < 0 else 0)
        return array_at(state[field] + state["row"] * state["assets"] * _BYTES, state["assets"], np.float64)

    reading(_named(row, name, f"{text} of the bar, float64[assets], NaN where an asset has none. Not to be written to."))


_row("open", "opens_address", "Open prices")
_row("high", "highs_address", "High prices")
_row("low", "lows_address", "Low prices")
_row("close", "closes_address", "Close prices")
_row("volume", "volumes_address", "Volumes")


@named_reading("signals")
def signal(ctx: Any, name: Any) -> Any:
    """Return a signal of the bar by name or number, float64[assets], NaN where an asset has none. Not to be written to."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    host = array_at(state["host_address"], 1, HOST)[0]
    granted(-Refusal.BEFORE_START.value if state["row"] < 0 else (0 if 0 <= name < host["signals"] else -Refusal.UNKNOWN_SIGNAL.value))
    tables: Any = array_at(host["signals_table"], name + 1, np.int64)
    return array_at(tables[name] + state["row"] * state["assets"] * _BYTES, state["assets"], np.float64)


def _window(name: str, field: str, text: str) -> None:
    """Register the last bars of a price column as a method (field: of the state, the address of the column)."""

    def window(ctx: Any, asset: Any, length: Any) -> Any:
        state = array_at(address_in(ctx), 1, STATE)[0]
        assets, rows = state["assets"], state["row"] + 1
        granted(-Refusal.UNKNOWN_ASSET.value if not 0 <= asset < assets else (-Refusal.SHORT_WINDOW.value if length < 1 else 0))
        return table_at(state[field], rows, assets, np.float64)[max(0, rows - length) :, asset]

    verb(
        _named(
            window,
            name,
            f"Return the {text} of an asset on the last `length` bars, this one included: float64[length], fewer near the start.",
        )
    )


_window("opens", "opens_address", "open prices")
_window("highs", "highs_address", "high prices")
_window("lows", "lows_address", "low prices")
_window("closes", "closes_address", "closes")
_window("volumes", "volumes_address", "volumes")


@named_reading("signals")
def signals(ctx: Any, name: Any, asset: Any, length: Any) -> Any:
    """Return a signal, by name or number, of an asset on the last `length` bars; as `closes`."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    assets, rows = state["assets"], state["row"] + 1
    granted(-Refusal.UNKNOWN_ASSET.value if not 0 <= asset < assets else (-Refusal.SHORT_WINDOW.value if length < 1 else 0))
    host = array_at(state["host_address"], 1, HOST)[0]
    granted(0 if 0 <= name < host["signals"] else -Refusal.UNKNOWN_SIGNAL.value)
    tables: Any = array_at(host["signals_table"], name + 1, np.int64)
    return table_at(tables[name], rows, assets, np.float64)[max(0, rows - length) :, asset]


# The account ---------------------------------------------------------------------------------------------------------------


@reading
def cash(ctx: Any) -> Any:
    """Cash [money]."""
    return array_at(address_in(ctx), 1, STATE)[0]["cash"]


@reading
def account_value(ctx: Any) -> Any:
    """Cash plus the value of all positions at this bar's prices [money]."""
    return array_at(address_in(ctx), 1, STATE)[0]["equity"]


@reading
def open_positions(ctx: Any) -> Any:
    """Return the number of open positions."""
    return array_at(address_in(ctx), 1, STATE)[0]["open_positions"]


@verb
def position(ctx: Any, asset: Any) -> Any:
    """Return the signed quantity held of an asset, 0 when flat."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 0 <= asset < state["assets"] else -Refusal.UNKNOWN_ASSET.value)
    array_at(state["host_address"], 1, HOST)[0]["asset"] = asset
    return array_at(state["positions_address"], state["assets"], POSITION)[asset]["quantity"]


@verb
def entry_price(ctx: Any, asset: Any) -> Any:
    """Return the average entry price of an asset's position, NaN when flat."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 0 <= asset < state["assets"] else -Refusal.UNKNOWN_ASSET.value)
    held = array_at(state["positions_address"], state["assets"], POSITION)[asset]
    return held["entry_price"] if held["quantity"] != 0.0 else nan


@verb
def bars_held(ctx: Any, asset: Any) -> Any:
    """Return the bars since the entry of an asset's position, 0 on the entry bar, -1 when flat."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 0 <= asset < state["assets"] else -Refusal.UNKNOWN_ASSET.value)
    held = array_at(state["positions_address"], state["assets"], POSITION)[asset]
    return state["bar"] - np.int64(held["entry_bar"]) if held["quantity"] != 0.0 else np.int64(-1)


@verb
def unrealized_pnl(ctx: Any, asset: Any) -> Any:
    """Return the profit of an asset's position at its current price, before costs [money]; 0 when flat."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 0 <= asset < state["assets"] else -Refusal.UNKNOWN_ASSET.value)
    held = array_at(state["positions_address"], state["assets"], POSITION)[asset]
    multiplier = array_at(state["contracts_address"], state["assets"], CONTRACT)[asset]["multiplier"]
    return (held["current_price"] - held["entry_price"]) * held["quantity"] * multiplier if held["quantity"] != 0.0 else 0.0


# Orders --------------------------------------------------------------------------------------------------------------------


@verb
def order_status(ctx: Any, order_id: Any) -> Any:
    """Return where an order is in its life: code `OrderStatus`, 0 pending, 1 filled, 2 cancelled, 3 rejected, 4 expired."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 1 <= order_id <= state["order_count"] else -Refusal.UNKNOWN_ORDER.value)
    return np.int64(array_at(state["orders_address"], state["order_capacity"], ORDER)[order_id - 1]["status"])


@verb
def order_type(ctx: Any, order_id: Any) -> Any:
    """Return the code `OrderType` of an order."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 1 <= order_id <= state["order_count"] else -Refusal.UNKNOWN_ORDER.value)
    return np.int64(array_at(state["orders_address"], state["order_capacity"], ORDER)[order_id - 1]["order_type"])


def _of_order(field: str, text: str) -> None:
    """Register a number of an order's record as a method of the same name."""

    def number(ctx: Any, order_id: Any) -> Any:
        state = array_at(address_in(ctx), 1, STATE)[0]
        granted(0 if 1 <= order_id <= state["order_count"] else -Refusal.UNKNOWN_ORDER.value)
        return array_at(state["orders_address"], state["order_capacity"], ORDER)[order_id - 1][field]

    verb(_named(number, field, f"Return {text}."))


_of_order("filled_quantity", "the signed quantity of an order that was filled so far")
_of_order("filled_price", "the average price of an order's fills, NaN before the first")
_of_order("limit_price", "the limit price of an order, NaN without")
_of_order("stop_price", "the stop price of an order, of a trailing stop where it stands now; NaN without")
_of_order("trail_amount", "the distance of a trailing stop [price], 0 without")
_of_order("trail_percent", "the distance of a trailing stop as a fraction of the price, 0 without")


@reading
def order_count(ctx: Any) -> Any:
    """Return the number of orders so far: the id of the last one."""
    return array_at(address_in(ctx), 1, STATE)[0]["order_count"]
