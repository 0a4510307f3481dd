"""The groups that kernels pass around: everything the account owns, one bar of the market, and their parts for one order."""

from __future__ import annotations

from typing import NamedTuple

from .dtypes import FloatArray, IntArray, Prices, Record, Records

__all__ = ["Bar", "Item", "Ledger", "Quote"]


class Ledger(NamedTuple):
    """All that an account owns. Every array is changed in place; none is ever replaced by a kernel.

    state: state_dtype[1], params: params_dtype[1], contracts: contract_dtype[assets], costs: cost_dtype[cost_count],
    tiers: tier_dtype[tier_count], positions: position_dtype[assets], open_list: int64[open_capacity] columns of open
    positions in position order, orders: order_dtype[order_capacity], live: int64[order_capacity] rows of pending orders in
    order of submission, turns: the same in the order in which entries have their turns, fills: fill_dtype[fill_capacity],
    trades: trade_dtype[trade_capacity], holds: float64[8] proceeds by bar of settlement.
    """

    state: Records
    params: Records
    contracts: Records
    costs: Records
    tiers: Records
    positions: Records
    open_list: IntArray
    orders: Records
    live: IntArray
    turns: IntArray
    fills: Records
    trades: Records
    holds: FloatArray


class Bar(NamedTuple):
    """One bar of every asset; NaN in `close` means that the asset has no bar.

    record: bar_dtype[1] (time, session and flags in; equity and cash written when the bar closes), open, high, low, close,
    volume, vwap, bid, ask: float64[assets]. Without columns for them vwap, bid and ask are the closes.
    """

    record: Records
    open: Prices
    high: Prices
    low: Prices
    close: Prices
    volume: Prices
    vwap: Prices
    bid: Prices
    ask: Prices


class Quote(NamedTuple):
    """The prices of one asset on one bar: what market orders pay (market), the first price an order could see (gap), the range."""

    market: float
    gap: float
    open: float
    high: float
    low: float
    close: float
    volume: float


class Item(NamedTuple):
    """The rows that one order's turn works on."""

    order: Record
    position: Record
    contract: Record
    cost: Record
