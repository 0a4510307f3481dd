"""What a limit says about one order, and what a rebalance did: `ExecutionResult`, `RebalanceResult`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ml4t_backtest.handles import Order

__all__ = ["ExecutionResult", "RebalanceResult"]


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """How much of an order fills on a bar.

    fillable_quantity, remaining_quantity: units, unsigned; together the quantity that was asked for. adjusted_price: price.
    impact_cost: price per unit, 0 from limits. participation_rate: fillable quantity over the bar's volume, 0 when that is
    unknown or 0.
    """

    fillable_quantity: float
    remaining_quantity: float
    adjusted_price: float
    impact_cost: float = 0.0
    participation_rate: float = 0.0

    @property
    def is_partial(self) -> bool:
        """Whether something fills and something remains."""
        return self.fillable_quantity > 0.0 and self.remaining_quantity > 0.0

    @property
    def is_full(self) -> bool:
        """Whether nothing remains."""
        return self.remaining_quantity == 0.0


class RebalanceResult(list["Order"]):
    """The orders of one rebalance: a list, with what else there is to say about it.

    orders_skipped: pairs (asset, reason). success: whether every trade that was called for was submitted; trades below a threshold
    are not called for. message: one line for people. projected_weights: asset to weight once the orders have filled at this bar's
    closes, without costs.
    """

    def __init__(
        self,
        orders: Iterable[Order] = (),
        *,
        orders_skipped: Iterable[tuple[str, str]] = (),
        success: bool = True,
        message: str = "",
        projected_weights: dict[str, float] | None = None,
    ) -> None:
        super().__init__(orders)
        self.orders_skipped = list(orders_skipped)
        self.success = success
        self.message = message
        self.projected_weights = {} if projected_weights is None else projected_weights

    @property
    def orders_placed(self) -> list[Order]:
        """The orders as a plain list."""
        return list(self)
