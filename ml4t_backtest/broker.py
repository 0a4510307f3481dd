"""`Broker`: order entry and account reads for strategies, a thin face of the ledger."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calls import call
from ml4t_backtest.handles import ORDER_TYPES, Order, Position, PositionBook
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.records import fills_of, trades_of
from ml4t_backtest.types import Fill, OrderSide, OrderType, Trade, member
from ml4t_kernels.codes import OrderReason, OrderStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_kernels.dtypes import IntArray

__all__ = ["Broker"]

_NONE = math.nan
_UPDATABLE = ("quantity", "limit_price", "stop_price")
_MARKET, _LIMIT, _STOP = (ORDER_TYPES.index(kind) for kind in (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP))


class Broker:
    """Orders, positions and cash of the account. Made by the engine and handed to the strategy."""

    get_position: Callable[[str], Position | None]

    def __init__(self, store: Store, panels: Panels) -> None:
        self._store = store
        self._panels = panels
        self._address = store.address
        self._submit = call("submit")
        self._columns = panels.column_of
        self._book = PositionBook(store, panels)
        self._positions: Mapping[str, Position] = MappingProxyType(self._book.open)
        self._cash: memoryview[float] = store.columns.cash
        self._equity: memoryview[float] = store.columns.equity
        # The bound dict method costs a third of a method of our own, and strategies call it for every asset on every bar.
        self.get_position = self._book.open.get

    # Account ---------------------------------------------------------------------------------------------------------

    @property
    def cash(self) -> float:
        """Cash [money]."""
        return self._cash[0]

    @property
    def account_value(self) -> float:
        """Cash plus the value of all positions at this bar's prices [money]."""
        return self._equity[0]

    def get_cash(self) -> float:
        """Return the cash [money]."""
        return self._cash[0]

    def get_account_value(self) -> float:
        """Return cash plus the value of all positions at this bar's prices [money]."""
        return self._equity[0]

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by asset, in position order; read-only and live."""
        self._book.sync()
        return self._positions

    @property
    def assets(self) -> tuple[str, ...]:
        """All assets of the feed."""
        return self._panels.assets

    # Orders ----------------------------------------------------------------------------------------------------------

    def submit_order(
        self,
        asset: str,
        quantity: float,
        side: OrderSide | str | None = None,
        order_type: OrderType | str = OrderType.MARKET,
        limit_price: float | None = None,
        stop_price: float | None = None,
        *,
        reduce_only: bool | None = None,
    ) -> Order | None:
        """Submit an order; it trades when its turn comes in a fill pass (docs/execution.md).

        quantity: signed when `side` is None (negative sells), else its magnitude counts. reduce_only: True never opens
        or flips a position; None decides from the position now. Returns the order, or None for a quantity of nothing
        (abs <= 1e-8). Raises ValueError for an unknown asset, NaN or infinite numbers, a missing limit or stop price.
        """
        column = self._columns.get(asset)
        if column is None:
            raise ValueError(self._unknown_asset(asset))
        code, limit, stop = _MARKET, _NONE, _NONE
        if order_type is not OrderType.MARKET or limit_price is not None or stop_price is not None:
            code, limit, stop = self._conditions(asset, order_type, limit_price, stop_price)
        if side is not None:
            quantity = self._with_side(quantity, side)
        reduce = -1 if reduce_only is None else int(reduce_only)
        if not _is_finite(quantity):
            raise ValueError(self._bad_number("quantity", quantity, asset))
        order_id = self._submit(self._address, column, quantity, code, limit, stop, reduce)
        if order_id < 0:
            self._store.grow_orders()
            order_id = self._submit(self._address, column, quantity, code, limit, stop, reduce)
        return Order(self._store.order_columns, order_id - 1, self._panels) if order_id else None

    def close_position(self, asset: str) -> Order | None:
        """Submit a market order for the whole position, which can never do more than close it. Returns None without a position."""
        if asset not in self._columns:
            raise ValueError(self._unknown_asset(asset))
        held = self._store.position_columns.quantity[self._columns[asset]]
        return self.submit_order(asset, -held, reduce_only=True) if held else None

    def order_target_percent(self, asset: str, weight: float) -> Order | None:
        """Submit the market order that brings an asset to a fraction of the account value at this bar's close.

        Returns None when the asset has no close now, or is within a cent of the target. Raises ValueError as
        `submit_order`.
        """
        column = self._columns.get(asset)
        if column is None:
            raise ValueError(self._unknown_asset(asset))
        if not _is_finite(weight):
            raise ValueError(self._bad_number("weight", weight, asset))
        if self._store.bar < 0:
            return None
        self._ensure_room(1)
        order_id = call("submit_target_weight")(self._address, column, float(weight))
        return Order(self._store.order_columns, order_id - 1, self._panels) if order_id else None

    def update_order(self, order_id: str, **updates: float) -> bool:
        """Change `quantity` (magnitude), `limit_price` or `stop_price` of a pending order.

        Returns False when the order is no longer pending. Raises ValueError for an unknown order, other keys, or bad
        numbers.
        """
        row = self._row(order_id)
        order = Order(self._store.order_columns, row, self._panels)
        for name, value in updates.items():
            if name not in _UPDATABLE:
                raise ValueError(f"cannot update {name!r} of an order, only {', '.join(_UPDATABLE)}{did_you_mean(name, _UPDATABLE)}")
            if not _is_finite(value) or (name == "quantity" and value <= 0):
                expected = "expected a finite number > 0" if name == "quantity" else "expected a finite number"
                raise ValueError(f"{name} of order {order_id} was {value!r} at {self._now()}: {expected}")
            if name != "quantity" and getattr(order, name) is None:
                raise ValueError(f"order {order_id} is a {order.order_type.value} order and has no {name}")
        changes = [float(updates.get(name, _NONE)) for name in _UPDATABLE]
        return bool(call("update")(self._address, row, *changes))

    def cancel_order(self, order_id: str) -> bool:
        """Cancel a pending order. Returns False when it is no longer pending; raises ValueError for an unknown order."""
        return bool(call("cancel")(self._address, self._row(order_id), OrderReason.CANCELLED_BY_USER.value))

    def get_order(self, order_id: str) -> Order:
        """Return an order by id. Raises ValueError for an unknown id."""
        return Order(self._store.order_columns, self._row(order_id), self._panels)

    @property
    def pending_orders(self) -> list[Order]:
        """Orders that may still trade, in order of submission."""
        live = self._store.live[: int(self._store.columns.live_count[0])]
        pending = live[self._store.orders["status"][live] == OrderStatus.PENDING]
        return self._handles(pending)

    @property
    def orders(self) -> list[Order]:
        """All orders of the run, in order of submission."""
        return self._handles(np.arange(int(self._store.columns.order_count[0])))

    @property
    def fills(self) -> list[Fill]:
        """All fills so far."""
        return fills_of(self._store.used_fills(), self._panels)

    @property
    def trades(self) -> list[Trade]:
        """Closed and partial trades so far."""
        return trades_of(self._store.used_trades(), self._panels)

    # Whole rows ------------------------------------------------------------------------------------------------------

    def submit_orders(self, quantities: npt.ArrayLike, where: npt.ArrayLike | None = None) -> IntArray:
        """Submit a market order for each asset: float[assets], signed; 0 is no order.

        where: bool[assets], leaves out the assets that are False. Returns int64[assets], the number n of each order
        "ORD-n", 0 for none. Raises ValueError for a wrong shape, and for NaN or infinity before anything is submitted.
        """
        return self._submit_row("submit_quantities", "quantity", quantities, where)

    def order_target_weights(self, weights: npt.ArrayLike, where: npt.ArrayLike | None = None) -> IntArray:
        """Bring each asset to a fraction of the account value: float[assets]; as `order_target_percent` for each asset in order.

        Arguments, result and errors as `submit_orders`. Assets without a close now get no order.
        """
        if self._store.bar < 0:
            return np.zeros(len(self._columns), dtype=np.int64)
        return self._submit_row("submit_target_weights", "weight", weights, where)

    def _submit_row(self, kernel: str, noun: str, values: npt.ArrayLike, where: npt.ArrayLike | None) -> IntArray:
        store = self._store
        store.scratch_values[:] = self._checked_row(noun, values)
        store.scratch_where[:] = 1 if where is None else self._checked_row("where", where).astype(np.bool_)
        self._ensure_room(len(self._columns))
        bad = call(kernel)(self._address, *store.scratch_addresses)
        if bad >= 0:
            raise ValueError(self._bad_number(noun, float(store.scratch_values[bad]), self._panels.assets[bad]))
        return store.scratch_ids.copy()

    def _checked_row(self, noun: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
        row = np.asarray(values)
        if row.shape != (len(self._columns),) or row.dtype.kind not in "fiub":
            raise ValueError(
                f"{noun} array has shape {row.shape} and type {row.dtype}, expected ({len(self._columns)},) numbers, one per asset"
            )
        return row

    # For the engine --------------------------------------------------------------------------------------------------

    def _read_on_demand(self) -> None:
        """Make position objects only when they are asked for, instead of after every bar with fills."""

        def get_position(asset: str) -> Position | None:
            self._book.sync()
            return self._book.open.get(asset)

        self.get_position = get_position

    # Inside ----------------------------------------------------------------------------------------------------------

    def _ensure_room(self, orders: int) -> None:
        columns = self._store.columns
        if max(columns.order_count[0], columns.live_count[0]) + orders > columns.order_capacity[0]:
            self._store.grow_orders(orders)

    def _handles(self, rows: IntArray) -> list[Order]:
        return [Order(self._store.order_columns, row, self._panels) for row in rows.tolist()]

    def _row(self, order_id: str) -> int:
        text = str(order_id)
        row = int(text[4:]) - 1 if text.startswith("ORD-") and text[4:].isdecimal() else -1
        if not 0 <= row < self._store.columns.order_count[0]:
            raise ValueError(f"unknown order {order_id!r}; ids are those of submitted orders, order.order_id")
        return row

    def _conditions(
        self, asset: str, order_type: OrderType | str, limit_price: float | None, stop_price: float | None
    ) -> tuple[int, float, float]:
        """Check the prices of an order against its type. Returns (code, limit price, stop price)."""
        kind = member(OrderType, order_type, "order_type")
        given = {"limit_price": limit_price, "stop_price": stop_price}
        wanted = {OrderType.MARKET: None, OrderType.LIMIT: "limit_price", OrderType.STOP: "stop_price"}[kind]
        for name, price in given.items():
            if name == wanted and price is None:
                raise ValueError(f"a {kind.value} order of {asset!r} at {self._now()} needs a {name}")
            if name != wanted and price is not None:
                raise ValueError(f"a {kind.value} order of {asset!r} at {self._now()} takes no {name}, it was {price!r}")
            if price is not None and not _is_finite(price):
                raise ValueError(self._bad_number(name, price, asset))
        limit = _NONE if limit_price is None else float(limit_price)
        return ORDER_TYPES.index(kind), limit, _NONE if stop_price is None else float(stop_price)

    @staticmethod
    def _with_side(quantity: float, side: OrderSide | str) -> float:
        return abs(quantity) if member(OrderSide, side, "side") is OrderSide.BUY else -abs(quantity)

    def _now(self) -> str:
        bar = self._store.bar
        return "the start" if bar < 0 else str(self._panels.timestamps[bar])

    def _bad_number(self, name: str, value: object, asset: str) -> str:
        return f"{name} was {value!r} for {asset!r} at {self._now()}: expected a finite number"

    def _unknown_asset(self, asset: object) -> str:
        known = self._panels.assets
        return f"unknown asset {asset!r} at {self._now()}; the feed has {shortened(known)}{did_you_mean(str(asset), known)}"


def _is_finite(value: object) -> bool:
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except TypeError:
        return False
