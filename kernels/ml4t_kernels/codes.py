"""Every integer code that kernels and records use. The facade maps its public enums to these by member name."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "BarFlag",
    "BeyondLimit",
    "BracketPriority",
    "ChildActivation",
    "CommissionKind",
    "EntryPriority",
    "EventKind",
    "ExitReason",
    "FillOrdering",
    "FlowKind",
    "ImpactKind",
    "InitialMark",
    "LimitAction",
    "LimitFill",
    "LimitKind",
    "MarginCallPolicy",
    "OrderReason",
    "OrderStatus",
    "OrderType",
    "ParticipationKind",
    "PriceField",
    "RuleKind",
    "ShortCashPolicy",
    "SlippageKind",
    "Stage",
    "StepStatus",
    "StopFill",
    "TimeInForce",
    "TradeStatus",
    "TrailTiming",
    "TrailUpdate",
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


class PriceField(IntEnum):
    """The price of the bar at which market orders trade."""

    OPEN = 0
    CLOSE = 1
    MID = 2
    VWAP = 3


class FillOrdering(IntEnum):
    """In which order pending orders have their turns."""

    EXIT_FIRST = 0
    FIFO = 1
    NEWEST_EXIT_FIRST = 2


class EntryPriority(IntEnum):
    """In which order entries have their turns."""

    SUBMISSION = 0
    NOTIONAL_DESC = 1
    NOTIONAL_ASC = 2


class BeyondLimit(IntEnum):
    """What an order does whose price after slippage is beyond its limit."""

    LIMIT = 0
    WAIT = 1
    FILL = 2


class TrailUpdate(IntEnum):
    """When and from which price trailing stop orders move."""

    AFTER_BAR = 0
    CLOSE = 1
    BAR_FIRST = 2


class ChildActivation(IntEnum):
    """When the children of an order wake."""

    AFTER_OPEN = 0
    SAME_BAR = 1
    NEXT_BAR = 2
    AFTER_MARKET = 3


class BracketPriority(IntEnum):
    """Which member of a one-cancels-other group goes first when a bar touches several."""

    STOP_FIRST = 0
    LIMIT_FIRST = 1
    NEAREST = 2
    STOP_ALWAYS = 3
    SUBMISSION = 4


class ShortCashPolicy(IntEnum):
    """How much cash short positions lock in accounts without leverage, as a multiple of their value at entry."""

    CREDIT = 0
    CREDIT_PROCEEDS = 1
    LOCK_NOTIONAL = 2


class MarginCallPolicy(IntEnum):
    """What happens below the maintenance requirement."""

    RESTORE = 0
    LIQUIDATE = 1
    IGNORE = 2


class CommissionKind(IntEnum):
    """Formula of the commission."""

    NONE = 0
    LINEAR = 1
    TIERED_VALUE = 2
    TIERED_QUANTITY = 3
    LARGEST = 4
    FUNCTION = 5


class SlippageKind(IntEnum):
    """Formula of the slippage per unit."""

    NONE = 0
    FIXED = 1
    PERCENTAGE = 2
    VOLUME_SHARE = 3
    VOLUME_SHARE_SQUARED = 4
    QUOTED_SPREAD = 5
    FUNCTION = 6


class ImpactKind(IntEnum):
    """Formula of the market impact per unit."""

    NONE = 0
    LINEAR = 1
    SQUARE_ROOT = 2
    POWER = 3
    FUNCTION = 4


class ParticipationKind(IntEnum):
    """How much of a bar's volume one order may take."""

    NONE = 0
    VOLUME = 1
    FUNCTION = 2


class LimitFill(IntEnum):
    """Where a limit order fills that the gap price satisfies: at its limit, at that price, or at it on its own bar only."""

    LIMIT = 0
    BETTER_OPEN = 1
    BETTER_CLOSE = 2


class StopFill(IntEnum):
    """Where rules with a level fill."""

    STOP_PRICE = 0
    CLOSE_PRICE = 1
    BAR_EXTREME = 2
    NEXT_BAR_OPEN = 3


class TrailTiming(IntEnum):
    """Which high-water mark a trailing stop rule sees."""

    LAGGED = 0
    INTRABAR = 1
    VBT_PRO = 2


class InitialMark(IntEnum):
    """Where the water marks of a new position start."""

    FILL_PRICE = 0
    BAR_CLOSE = 1
    BAR_HIGH = 2
    SIGNAL_PRICE = 3


class RuleKind(IntEnum):
    """Position rules; ANY and ALL hold the rows that follow them."""

    STOP_LOSS = 0
    TAKE_PROFIT = 1
    TRAILING_STOP = 2
    TIME_EXIT = 3
    TIGHTENING_TRAIL = 4
    VOLATILITY_STOP = 5
    VOLATILITY_TRAIL = 6
    SCALED_EXIT = 7
    SIGNAL_EXIT = 8
    FUNCTION = 9
    ANY = 10
    ALL = 11


class EventKind(IntEnum):
    """What happens to holders at the start of a bar."""

    DIVIDEND = 0
    SPLIT = 1
    FUNDING = 2


class FlowKind(IntEnum):
    """Cash that moves without a fill."""

    DIVIDEND = 0
    FUNDING = 1
    CASH_INTEREST = 2
    MARGIN_INTEREST = 3
    BORROW_FEE = 4


class LimitKind(IntEnum):
    """What a portfolio limit measures."""

    POSITIONS = 0
    LARGEST_POSITION = 1
    GROSS_EXPOSURE = 2
    NET_EXPOSURE = 3
    FACTOR_GROSS = 4
    FACTOR_NET = 5
    DAILY_LOSS = 6
    DRAWDOWN = 7
    VALUE_AT_RISK = 8
    CONDITIONAL_VALUE_AT_RISK = 9


class LimitAction(IntEnum):
    """What a breached portfolio limit does."""

    NONE = 0
    WARN = 1
    BLOCK = 2
    REDUCE = 3
    LIQUIDATE = 4
    HALT = 5


class BarFlag(IntEnum):
    """Where a bar stands in its session; values add up."""

    FIRST_OF_SESSION = 1
    LAST_OF_SESSION = 2


class Stage(IntEnum):
    """Where inside a bar the step stands; the step resumes there after the host has done what was asked."""

    CLOSED = 0
    EVENTS = 1
    RULES = 2
    FIRST_TOTALS = 3
    FIRST_EXITS = 4
    FIRST_SORTING = 5
    FIRST_ENTRIES = 6
    CLOSING_TOTALS = 7
    CLOSING_EXITS = 8
    CLOSING_SORTING = 9
    CLOSING_ENTRIES = 10
    FIRST_MARKING = 11
    MARGIN_CALL = 12
    LIMITS = 13
    READY = 14
    STRATEGY = 15
    SECOND_TOTALS = 16
    SECOND_EXITS = 17
    SECOND_SORTING = 18
    SECOND_ENTRIES = 19
    MARKING = 20


class StepStatus(IntEnum):
    """What a step asks of its host. Nothing of the item that could not be finished has been changed yet.

    RUN_x: call the entry point of that name and go on. Those parts are compiled apart, so that a run without them never
    pays for them.
    """

    OK = 0
    OK_WITH_FILLS = 1
    GROW_FILLS = 2
    GROW_TRADES = 3
    GROW_ORDERS = 4
    GROW_FLOWS = 5
    GROW_ALERTS = 6
    RUN_EVENTS = 7
    RUN_RULES = 8
    RUN_SORTING = 9
    RUN_MARGIN_CALL = 10
    RUN_LIMITS = 11
    HOST_FAILED = 12
