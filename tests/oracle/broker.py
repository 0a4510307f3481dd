"""What a strategy may ask for: "Submitting" and "Target weights"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.oracle.account import Account
from tests.oracle.fills import reduces
from tests.oracle.numbers import Number
from tests.oracle.records import OracleOrder, OraclePosition, OrderType
from tests.oracle.settings import convert


class Broker:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._rules = account.rules

    @property
    def cash(self) -> Number:
        return self._account.cash

    @property
    def account_value(self) -> Number:
        """The account value of step 3 (the initial cash in on_start)."""
        return self._account.account_value

    @property
    def positions(self) -> dict[str, OraclePosition]:
        return self._account.positions

    @property
    def pending(self) -> list[OracleOrder]:
        return list(self._account.pending)

    def submit(
        self,
        asset: str,
        quantity: Any,
        order_type: OrderType = "market",
        limit_price: Any = None,
        stop_price: Any = None,
        reduce_only: bool | None = None,
    ) -> int | None:
        """Queue an order and return its id, or None when the quantity is too small to be an order."""
        self._require_known(asset)
        q = self._number(quantity, "quantity")
        limit = self._optional_number(limit_price, "limit price")
        stop = self._optional_number(stop_price, "stop price")
        if order_type not in ("market", "limit", "stop"):
            raise ValueError(f"unknown order type: {order_type}")
        if order_type == "limit" and limit is None:
            raise ValueError("a limit order needs a limit price")
        if order_type == "stop" and stop is None:
            raise ValueError("a stop order needs a stop price")
        held = self._account.quantity(asset)
        if q == 0 or (abs(q) <= self._rules.smallest_order and q != -held):
            return None
        if reduce_only is None:
            reduce_only = reduces(q, self._account.quantity(asset))
        now = self._account.bar_index
        order_id = len(self._account.orders) + 1
        order = OracleOrder(order_id, asset, q, order_type, limit, stop, reduce_only, self._rules.zero, created_bar=now, active_bar=now)
        self._account.orders.append(order)
        self._account.pending.append(order)
        return order_id

    def update(self, order_id: int, quantity: Any = None, limit_price: Any = None, stop_price: Any = None) -> bool:
        """Change a pending order in place: it keeps its side, its turn and whether it is reduce-only."""
        size = self._optional_number(quantity, "quantity")
        limit = self._optional_number(limit_price, "limit price")
        stop = self._optional_number(stop_price, "stop price")
        order = self._pending_order(order_id)
        if order is None or (size is not None and size <= self._rules.smallest_order):
            return False
        if size is not None:
            order.quantity = size if order.quantity > 0 else -size
        if limit is not None:
            order.limit_price = limit
        if stop is not None:
            order.stop_price = stop
        order.active_bar = self._account.bar_index
        return True

    def cancel(self, order_id: int) -> bool:
        order = self._pending_order(order_id)
        if order is None:
            return False
        order.status, order.reason = "cancelled", "CANCELLED_BY_USER"
        self._account.drop_finished_orders()
        return True

    def close(self, asset: str) -> int | None:
        """A reduce-only market order for the whole position; nothing when there is none."""
        self._require_known(asset)
        return self.submit(asset, -self._account.quantity(asset), reduce_only=True)

    def target_percent(self, asset: str, weight: Any) -> int | None:
        self._require_known(asset)
        w = self._number(weight, "weight")
        bar = self._account.bars.get(asset)
        if bar is None:
            return None
        if w == 0:
            return self.close(asset)
        m = self._rules.multipliers[asset]
        delta = self.account_value * w - (self._account.quantity(asset) * bar.close) * m
        if abs(delta) < self._rules.smallest_delta:
            return None
        unit = bar.close * m
        if unit == 0:
            return None
        return self.submit(asset, delta / unit)

    def target_weights(self, weights: Mapping[str, Any]) -> None:
        """The target weight of every asset in the mapping, in asset order; other assets are left alone."""
        for asset, weight in weights.items():
            self._require_known(asset)
            self._number(weight, "weight")
        for asset in self._rules.assets:
            if asset in weights:
                self.target_percent(asset, weights[asset])

    def _pending_order(self, order_id: int) -> OracleOrder | None:
        if not 1 <= order_id <= len(self._account.orders):
            return None
        order = self._account.orders[order_id - 1]
        return order if order.status == "pending" else None

    def _require_known(self, asset: str) -> None:
        if asset not in self._rules.multipliers:
            raise ValueError(f"unknown asset: {asset}")

    def _number(self, value: Any, name: str) -> Number:
        return convert(self._rules.number, value, name)

    def _optional_number(self, value: Any, name: str) -> Number | None:
        return None if value is None else self._number(value, name)
