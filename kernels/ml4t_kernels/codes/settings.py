"""Codes of settings: what an account and its costs are like."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "BeyondLimit",
    "BracketPriority",
    "ChildActivation",
    "CommissionKind",
    "EntryPriority",
    "FillOrdering",
    "ImpactKind",
    "InitialMark",
    "LimitFill",
    "MarginCallPolicy",
    "ParticipationKind",
    "PriceField",
    "ShortCashPolicy",
    "SlippageKind",
    "StopFill",
    "TrailTiming",
    "TrailUpdate",
]


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
