"""The orders of a run, by what is asked for."""

from __future__ import annotations

import numpy as np

from ml4t_backtest.handles import Order
from ml4t_backtest.orderchecks import OrderChecks, id_of
from ml4t_backtest.types import OrderStatus, member
from ml4t_kernels import codes

__all__ = ["OrderLists"]


class OrderLists(OrderChecks):
    """Look-ups of orders; see `Broker`."""

    def get_order(self, order_id: str) -> Order:
        """Return an order by id. Raises ValueError for an unknown id."""
        return Order(self._store.order_columns, self._row(id_of(order_id)), self._panels)

    @property
    def pending_orders(self) -> list[Order]:
        """Orders that may still trade, in order of submission."""
        live = self._store.live[: int(self._store.columns.live_count[0])]
        return self._handles(live[self._store.orders["status"][live] == codes.OrderStatus.PENDING])

    def get_pending_orders(self, asset: str | None = None) -> list[Order]:
        """Return the orders that may still trade (of an asset), in order of submission."""
        return self._of_asset(self.pending_orders, asset)

    def get_rejected_orders(self, asset: str | None = None) -> list[Order]:
        """Return the rejected orders of the run (of an asset)."""
        used = self._store.used_orders()
        return self._of_asset(self._handles(np.flatnonzero(used["status"] == codes.OrderStatus.REJECTED)), asset)

    @property
    def last_rejection_reason(self) -> str | None:
        """Why the last rejected order was rejected, None without."""
        rejected = np.flatnonzero(self._store.used_orders()["status"] == codes.OrderStatus.REJECTED)
        return self._handles(rejected[-1:])[0].rejection_reason if len(rejected) else None

    @property
    def orders(self) -> list[Order]:
        """All orders of the run, in order of submission."""
        return self._handles(np.arange(int(self._store.columns.order_count[0])))

    def get_orders(self, asset: str | None = None, status: OrderStatus | str | None = None) -> list[Order]:
        """Return the orders of the run, those of an asset or status only when asked."""
        wanted = None if status is None else member(OrderStatus, status, "status")
        return [order for order in self._of_asset(self.orders, asset) if wanted in (None, order.status)]
