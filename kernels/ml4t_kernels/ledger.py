"""The groups that kernels pass around: everything the account owns, one bar of the market, and their parts for one order."""

from __future__ import annotations

from typing import NamedTuple

from .dtypes import FloatArray, IntArray, Record, Records

__all__ = ["Bar", "Desk", "Ledger", "Quote"]


class Ledger(NamedTuple):
    """All that an account owns. Every array is changed in place; none is ever replaced by a kernel.

    state: state_dtype[1], params: params_dtype[1], contracts: contract_dtype[assets], positions:
    position_dtype[assets], open_list: int64[open_capacity] columns of open positions in position order, orders:
    order_dtype[order_capacity], live: int64[order_capacity] rows of pending orders in order of submission, fills:
    fill_dtype[fill_capacity], trades: trade_dtype[trade_capacity].
    """

    state: Records
    params: Records
    contracts: Records
    positions: Records
    open_list: IntArray
    orders: Records
    live: IntArray
    fills: Records
    trades: Records


class Bar(NamedTuple):
    """One bar of every asset; NaN in `close` means that the asset has no bar.

    record: bar_dtype[1] (time in; equity and cash written when the bar closes), open, high, low, close:
    float64[assets].
    """

    record: Records
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


class Desk(NamedTuple):
    """What every fill needs of an account: the state and params records, and the open list (int64[open_capacity])."""

    state: Record
    params: Record
    open_list: IntArray


class Quote(NamedTuple):
    """The prices of one asset on one bar."""

    open: float
    high: float
    low: float
    close: float
