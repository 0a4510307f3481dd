"""`Order`: a handle on one row of the order table. Every attribute is read from the ledger at the moment it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t_backtest.types import OrderReason, OrderSide, OrderStatus, OrderType, TimeInForce
from ml4t_kernels import codes

if TYPE_CHECKING:
    from datetime import datetime

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Columns

__all__ = ["ORDER_REASONS", "ORDER_STATUSES", "ORDER_TYPES", "TIMES_IN_FORCE", "Order", "known_price"]

ORDER_TYPES = tuple(OrderType[code.name] for code in codes.OrderType)
ORDER_STATUSES = tuple(OrderStatus[code.name] for code in codes.OrderStatus)
ORDER_REASONS = tuple(OrderReason[code.name] for code in codes.OrderReason)

TIMES_IN_FORCE = tuple(TimeInForce[code.name] for code in codes.TimeInForce)

_SENTENCES = {
    OrderReason.INSUFFICIENT_CASH: "Insufficient cash: need ${need:,.2f}, have ${have:,.2f}",
    OrderReason.INSUFFICIENT_BUYING_POWER: "Insufficient buying power: need ${need:,.2f}, have ${have:,.2f}",
    OrderReason.SHORT_NOT_ALLOWED: "Short selling not allowed in cash account",
    OrderReason.REVERSAL_NOT_ALLOWED: "Position reversal not allowed in cash account",
    OrderReason.POSITION_CLOSED: "Nothing left to reduce: the position was closed before",
    OrderReason.CANCELLED_BY_USER: "Cancelled by the strategy",
    OrderReason.RUN_STOPPED: "The run was stopped while the strategy was submitting",
    OrderReason.RUN_ENDED: "The run ended",
    OrderReason.ROUNDS_TO_ZERO: "Quantity rounds to zero: it is below the smallest lot (share_type=INTEGER means whole units)",
    OrderReason.REENTRY_BLOCKED: "A position rule closed the position on this bar; allow_reentry_on_exit_bar=True accepts such orders",
    OrderReason.PARENT_NOT_FILLED: "The parent order ended without a fill",
    OrderReason.SIBLING_FILLED: "Another order of the one-cancels-other group was filled",
    OrderReason.GROUP_ENDED: "An order that it is linked with ended",
    OrderReason.TIME_IN_FORCE: "Time in force is over",
    OrderReason.ORDER_SIZE: "Order of ${need:,.2f} is above max_order_size ${have:,.2f}",
    OrderReason.POSITION_SIZE: "Position of ${need:,.2f} would be above max_position_size ${have:,.2f}",
    OrderReason.TOO_MANY_POSITIONS: "{need:.0f} open positions would be more than max_positions {have:.0f}",
    OrderReason.RISK_BLOCKED: "A portfolio limit refuses new risk",
    OrderReason.HALTED: "A portfolio limit halted trading",
    OrderReason.SUBMISSION_CHECK: "Insufficient cash (submission precheck): ${have:,.2f} would be left",
    OrderReason.RESERVATION: "Insufficient buying power: need ${need:,.2f}, have ${have:,.2f} not reserved",
}


def known_price(value: float) -> float | None:
    """Return a price, None for NaN."""
    return value if value == value else None  # noqa: PLR0124 - NaN


class Order:
    """A submitted order. Every attribute is read from the ledger at the moment it is asked for."""

    __slots__ = ("_columns", "_panels", "_row")

    def __init__(self, columns: Columns, row: int, panels: Panels) -> None:
        self._columns = columns
        self._row = row
        self._panels = panels

    @property
    def order_id(self) -> str:
        """Identifier, "ORD-1" for the first order of a run."""
        return f"ORD-{self._row + 1}"

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._panels.assets[int(self._columns.asset[self._row])]

    @property
    def side(self) -> OrderSide:
        """Buy or sell."""
        return OrderSide.BUY if self._columns.quantity[self._row] > 0 else OrderSide.SELL

    @property
    def quantity(self) -> float:
        """Ordered quantity, positive."""
        return abs(float(self._columns.quantity[self._row]))

    @property
    def filled_quantity(self) -> float:
        """Quantity filled so far, positive; a reduce-only order may fill less than it asked for."""
        return abs(float(self._columns.filled_quantity[self._row]))

    @property
    def remaining_quantity(self) -> float:
        """Quantity that can still be filled: 0 once the order is filled, cancelled, rejected or expired."""
        if self._columns.status[self._row] != codes.OrderStatus.PENDING:
            return 0.0
        return self.quantity - self.filled_quantity - abs(float(self._columns.released_quantity[self._row]))

    @property
    def order_type(self) -> OrderType:
        """What makes the order trade."""
        return ORDER_TYPES[int(self._columns.order_type[self._row])]

    @property
    def status(self) -> OrderStatus:
        """Where the order is in its life; pending orders with a fill are partially filled."""
        code = int(self._columns.status[self._row])
        if code == codes.OrderStatus.PENDING and self._columns.filled_quantity[self._row]:
            return OrderStatus.PARTIALLY_FILLED
        return ORDER_STATUSES[code]

    @property
    def is_active(self) -> bool:
        """Whether the order may still trade."""
        return bool(self._columns.status[self._row] == codes.OrderStatus.PENDING)

    @property
    def is_waiting(self) -> bool:
        """Whether the order waits for its parent's first fill."""
        return self.is_active and bool(self._columns.dormant[self._row])

    @property
    def time_in_force(self) -> TimeInForce:
        """How long the order stays."""
        return TIMES_IN_FORCE[int(self._columns.time_in_force[self._row])]

    @property
    def parent_id(self) -> str | None:
        """The order that this one waits or waited for, None without."""
        parent = int(self._columns.parent_id[self._row])
        return f"ORD-{parent}" if parent else None

    @property
    def trail_amount(self) -> float | None:
        """Distance of a trailing stop [price], None without."""
        return self._columns.trail_amount[self._row] or None

    @property
    def trail_percent(self) -> float | None:
        """Distance of a trailing stop as a fraction of the price, None without."""
        return self._columns.trail_percent[self._row] or None

    @property
    def displayed_quantity(self) -> float | None:
        """Most that one bar fills, None without."""
        return self._columns.displayed_quantity[self._row] or None

    @property
    def commission(self) -> float:
        """Commission paid so far [money]."""
        return float(self._columns.commission[self._row])

    @property
    def rule_reason(self) -> str | None:
        """Which position rule made the order, as in "stop_loss_5.0%"; None for other orders."""
        rule = int(self._columns.rule[self._row])
        text_of = self._columns.rule_text
        if not rule or text_of is None:
            return None
        return text_of(rule - 1, int(self._columns.asset[self._row]), int(self._columns.created_bar[self._row]))

    @property
    def history(self) -> list[tuple[datetime, OrderStatus, str | None]]:
        """What became of the order: (time, status, reason) from submission to its end."""
        events: list[tuple[datetime, OrderStatus, str | None]] = [(self.created_at, OrderStatus.PENDING, None)]
        filled, status = self.filled_at, self.status
        if filled is not None and status is not OrderStatus.FILLED:
            events.append((filled, OrderStatus.PARTIALLY_FILLED, None))
        if not self.is_active:
            events.append((self._panels.timestamp_of(self._columns.closed_at[self._row]), status, self.rejection_reason))
        return events

    @property
    def reduce_only(self) -> bool:
        """Whether the order may only reduce a position."""
        return bool(self._columns.reduce_only[self._row])

    @property
    def limit_price(self) -> float | None:
        """Limit price, None without."""
        return known_price(self._columns.limit_price[self._row])

    @property
    def stop_price(self) -> float | None:
        """Stop price, None without."""
        return known_price(self._columns.stop_price[self._row])

    @property
    def filled_price(self) -> float | None:
        """Average fill price, None before the first fill."""
        return known_price(self._columns.filled_price[self._row])

    @property
    def created_at(self) -> datetime:
        """Time of the bar of submission; orders of `on_start` carry the first bar's time."""
        return self._panels.timestamp_of(self._columns.created_at[self._row])

    @property
    def filled_at(self) -> datetime | None:
        """Time of the bar of the last fill, None before."""
        if self._columns.filled_quantity[self._row] == 0.0:
            return None
        return self._panels.timestamp_of(self._columns.filled_at[self._row])

    @property
    def reason(self) -> OrderReason | None:
        """Why the order was cancelled or rejected, None otherwise."""
        code = self._columns.reason[self._row]
        return ORDER_REASONS[code] if code else None

    @property
    def rejection_reason(self) -> str | None:
        """The reason as a sentence with the numbers, None for orders that were not cancelled or rejected."""
        reason = self.reason
        if reason is None:
            return None
        need, have = self._columns.need[self._row], self._columns.have[self._row]
        return _SENTENCES[reason].format(need=need, have=have)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and other._columns is self._columns and other._row == self._row

    def __hash__(self) -> int:
        return hash((id(self._columns), self._row))

    def __repr__(self) -> str:
        prices = "".join(
            f" {name} {price:g}" for name, price in (("limit", self.limit_price), ("stop", self.stop_price)) if price is not None
        )
        return (
            f"<Order {self.order_id} {self.side.value} {self.quantity:g} {self.asset!r} {self.order_type.value}{prices}"
            f" {self.status.value}>"
        )
