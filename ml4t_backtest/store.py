"""The run's arrays: allocate, grow, and keep every address in the state record true.

Kernels see memory only through those addresses, so this is the one file that writes them, and whoever holds a store
holds every array that an address points to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.memory import address_of, view_of
from ml4t_kernels.dtypes import (
    bar_dtype,
    contract_dtype,
    fill_dtype,
    order_dtype,
    params_dtype,
    position_dtype,
    state_dtype,
    trade_dtype,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["Columns", "Market", "Store", "grown_capacity"]

FIRST_CAPACITY = 1024


def grown_capacity(capacity: int) -> int:
    """Return the capacity that replaces a full one."""
    return capacity * 2


class Columns:
    """One memoryview per field of a record array, as attributes: indexing gives plain Python numbers.

    Views hold the `Columns`, not the memoryviews, so that a grown buffer reaches all of them at once.
    """

    def __init__(self, records: Records) -> None:
        self.bind(records)

    def bind(self, records: Records) -> None:
        """Point every attribute at a (new) record array."""
        for name in records.dtype.names or ():
            setattr(self, name, view_of(records[name]))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> memoryview[Any]: ...


class Market:
    """The bars that a run reads: times int64[rows], prices float64[rows, assets]. A live host keeps one row and rewrites it."""

    __slots__ = ("close", "high", "low", "open", "times")

    def __init__(self, times: IntArray, open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray) -> None:
        self.times = times
        self.open = open_
        self.high = high
        self.low = low
        self.close = close


class Store:
    """All arrays of one account over one market, and the state record through which kernels find them."""

    def __init__(self, market: Market, params: Records, contracts: Records, initial_cash: float, capacity: int = FIRST_CAPACITY) -> None:
        bars, assets = market.close.shape
        self.market = market
        self.params = _exactly(params, params_dtype)
        self.contracts = _exactly(contracts, contract_dtype)
        self.state = np.zeros(1, dtype=state_dtype)
        self.positions = np.zeros(assets, dtype=position_dtype)
        self.positions["slot"] = -1
        self.open_list = np.zeros(2 * assets + 8, dtype=np.int64)
        self.orders = np.zeros(capacity, dtype=order_dtype)
        self.live = np.zeros(capacity, dtype=np.int64)
        self.fills = np.zeros(capacity, dtype=fill_dtype)
        self.trades = np.zeros(capacity, dtype=trade_dtype)
        self.bars = np.zeros(bars, dtype=bar_dtype)
        self.bars["time"] = market.times
        # One row each of numbers, choices and order ids, for orders given as arrays; their addresses never change.
        self.scratch_values = np.zeros(assets, dtype=np.float64)
        self.scratch_where = np.ones(assets, dtype=np.uint8)
        self.scratch_ids = np.zeros(assets, dtype=np.int64)
        rows: tuple[npt.NDArray[Any], ...] = (self.scratch_values, self.scratch_where, self.scratch_ids)
        self.scratch_addresses = tuple(address_of(row) for row in rows)
        state = self.state[0]
        state["cash"] = initial_cash
        state["equity"] = initial_cash
        state["time"] = market.times[0] if bars else 0
        state["bar"] = -1
        state["row"] = -1
        state["row_step"] = 1
        state["rows"] = bars
        state["assets"] = assets
        state["open_capacity"] = len(self.open_list)
        self._write_addresses()
        self.address = address_of(self.state)
        self.held = self.positions["quantity"]
        self.marked_at = self.positions["current_price"]
        self.multipliers = np.ascontiguousarray(self.contracts["multiplier"])
        self.columns = Columns(self.state)
        self.order_columns = Columns(self.orders)
        self.position_columns = Columns(self.positions)

    def _write_addresses(self) -> None:
        state = self.state[0]
        state["order_capacity"] = len(self.orders)
        state["fill_capacity"] = len(self.fills)
        state["trade_capacity"] = len(self.trades)
        for field, array in (
            ("params_address", self.params),
            ("contracts_address", self.contracts),
            ("positions_address", self.positions),
            ("open_address", self.open_list),
            ("orders_address", self.orders),
            ("live_address", self.live),
            ("fills_address", self.fills),
            ("trades_address", self.trades),
            ("bars_address", self.bars),
            ("opens_address", self.market.open),
            ("highs_address", self.market.high),
            ("lows_address", self.market.low),
            ("closes_address", self.market.close),
        ):
            state[field] = address_of(array)

    def grow_orders(self, needed: int = 1) -> None:
        """Make room for at least `needed` more orders, pending ones included."""
        capacity = len(self.orders)
        target = max(int(self.columns.order_count[0]), int(self.columns.live_count[0])) + needed
        while capacity < target:
            capacity = grown_capacity(capacity)
        self.orders = _enlarged(self.orders, capacity)
        self.live = _enlarged(self.live, capacity)
        self.order_columns.bind(self.orders)
        self._write_addresses()

    def grow_fills(self) -> None:
        """Make room for more fills."""
        self.fills = _enlarged(self.fills, grown_capacity(len(self.fills)))
        self._write_addresses()

    def grow_trades(self) -> None:
        """Make room for more trades."""
        self.trades = _enlarged(self.trades, grown_capacity(len(self.trades)))
        self._write_addresses()

    @property
    def bar(self) -> int:
        """Number of the current bar, -1 before the first."""
        return int(self.columns.bar[0])

    def used_orders(self) -> Records:
        """Return the orders so far, a view."""
        return self.orders[: int(self.columns.order_count[0])]

    def used_fills(self) -> Records:
        """Return the fills so far, a view."""
        return self.fills[: int(self.columns.fill_count[0])]

    def used_trades(self) -> Records:
        """Return the trades so far, a view."""
        return self.trades[: int(self.columns.trade_count[0])]

    def used_trades_and(self, more: Records) -> Records:
        """Return the trades so far followed by more rows, a view where the buffer has room; its own count stays."""
        count = int(self.columns.trade_count[0])
        if count + len(more) > len(self.trades):
            joined: Records = np.concatenate([self.trades[:count], more])
            return joined
        self.trades[count : count + len(more)] = more
        return self.trades[: count + len(more)]

    def open_assets(self) -> IntArray:
        """Return the columns of open positions in position order."""
        listed = self.open_list[: int(self.columns.open_count[0])]
        return listed[listed >= 0]


def _exactly(records: Records, dtype: np.dtype[np.void]) -> Records:
    """Refuse an array whose layout is not the declared one: compiled code would read it at wrong offsets."""
    if records.dtype != dtype:
        raise TypeError(f"record layout {records.dtype} is not the declared layout {dtype}")
    return records


def _enlarged(array: npt.NDArray[Any], capacity: int) -> npt.NDArray[Any]:
    """Return a copy with more rows. Bytes are copied, not records: numpy copies a record field by field."""
    larger = np.zeros(capacity, dtype=array.dtype)
    larger.view(np.uint8)[: array.nbytes] = array.view(np.uint8)
    return larger
