"""Codes of orders and trades."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "ExitReason",
    "OrderReason",
    "OrderStatus",
    "OrderType",
    "TimeInForce",
    "TradeStatus",
]


class OrderType(IntEnum):
    """What makes an order trade."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4
    MARKET_ON_OPEN = 5
    LIMIT_ON_OPEN = 6
    MARKET_ON_CLOSE = 7
    LIMIT_ON_CLOSE = 8


class OrderStatus(IntEnum):
    """Where an order is in its life."""

    PENDING = 0
    FILLED = 1
    CANCELLED = 2
    REJECTED = 3
    EXPIRED = 4


class OrderReason(IntEnum):
    """Why an order was cancelled, rejected or expired."""

    NONE = 0
    CANCELLED_BY_USER = 1
    POSITION_CLOSED = 2
    RUN_STOPPED = 3
    INSUFFICIENT_CASH = 4
    SHORT_NOT_ALLOWED = 5
    REVERSAL_NOT_ALLOWED = 6
    INSUFFICIENT_BUYING_POWER = 7
    ROUNDS_TO_ZERO = 8
    REENTRY_BLOCKED = 9
    PARENT_NOT_FILLED = 10
    SIBLING_FILLED = 11
    TIME_IN_FORCE = 12
    ORDER_SIZE = 13
    POSITION_SIZE = 14
    TOO_MANY_POSITIONS = 15
    RISK_BLOCKED = 16
    RUN_ENDED = 17
    HALTED = 18
    SUBMISSION_CHECK = 19
    RESERVATION = 20
    GROUP_ENDED = 21


class TimeInForce(IntEnum):
    """How long an order stays."""

    GTC = 0
    DAY = 1
    GTD = 2
    IOC = 3
    FOK = 4


class ExitReason(IntEnum):
    """Why a position was closed or reduced."""

    SIGNAL = 0
    END_OF_DATA = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3
    TRAILING_STOP = 4
    TIME_STOP = 5
    VOLATILITY_STOP = 6
    SCALED_EXIT = 7
    MARGIN_CALL = 8
    RISK_LIQUIDATION = 9
    CORPORATE_ACTION = 10


class TradeStatus(IntEnum):
    """What a trade record stands for: a closed position, a part that was sold, or a position open at the end."""

    CLOSED = 0
    PARTIAL = 1
    OPEN = 2
