"""Every integer code that kernels and records use. The facade maps its public enums to these by member name."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "CommissionKind",
    "ExitReason",
    "OrderReason",
    "OrderStatus",
    "OrderType",
    "PriceField",
    "SlippageKind",
    "Stage",
    "StepStatus",
    "TradeStatus",
]


class OrderType(IntEnum):
    """What makes an order trade."""

    MARKET = 0
    LIMIT = 1
    STOP = 2


class OrderStatus(IntEnum):
    """Where an order is in its life."""

    PENDING = 0
    FILLED = 1
    CANCELLED = 2
    REJECTED = 3


class OrderReason(IntEnum):
    """Why an order was cancelled or rejected."""

    NONE = 0
    CANCELLED_BY_USER = 1
    POSITION_CLOSED = 2
    RUN_STOPPED = 3
    INSUFFICIENT_CASH = 4
    SHORT_NOT_ALLOWED = 5
    REVERSAL_NOT_ALLOWED = 6


class ExitReason(IntEnum):
    """Why a position was closed or reduced."""

    SIGNAL = 0
    END_OF_DATA = 1


class TradeStatus(IntEnum):
    """What a trade record stands for: a closed position, a part that was sold, or a position open at the end."""

    CLOSED = 0
    PARTIAL = 1
    OPEN = 2


class PriceField(IntEnum):
    """The price of the bar at which market orders trade."""

    OPEN = 0
    CLOSE = 1


class CommissionKind(IntEnum):
    """Formula of the commission."""

    NONE = 0
    PERCENTAGE = 1
    PER_SHARE = 2


class SlippageKind(IntEnum):
    """Formula of the slippage per unit."""

    NONE = 0
    FIXED = 1
    PERCENTAGE = 2


class Stage(IntEnum):
    """Where inside a bar the step stands; the step resumes there after the host has grown a buffer."""

    CLOSED = 0
    FIRST_EXITS = 1
    FIRST_ENTRIES = 2
    STRATEGY = 3
    SECOND_EXITS = 4
    SECOND_ENTRIES = 5
    MARKING = 6


class StepStatus(IntEnum):
    """What a step asks of its host. Nothing of the item that could not be finished has been changed yet."""

    OK = 0
    OK_WITH_FILLS = 1
    GROW_FILLS = 2
    GROW_TRADES = 3
