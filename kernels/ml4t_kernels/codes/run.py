"""Codes of what happens in a run: rules, events, limits, stages of a bar, what a step asks for."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "BarFlag",
    "EventKind",
    "FlowKind",
    "HostRequest",
    "LimitAction",
    "LimitKind",
    "Refusal",
    "RuleKind",
    "Stage",
    "StepStatus",
]


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


class HostRequest(IntEnum):
    """What a compiled strategy asks of its host in the middle of a bar; the numbers that go with it."""

    GROW_ORDERS = 0  # how many
    FINISH_ORDER = 1  # order id
    TICK_LIMIT = 2  # asset, price, 1 when it buys: the price on its tick
    TICK_STOP = 3  # likewise
    SET_RULE = 4  # number of the rule or -1, asset or -1, 1 for its present position only
    SET_INPUT = 5  # asset, number of the input, value
    RUN_PASS = 6


class Refusal(IntEnum):
    """What is wrong with something that a compiled strategy asks for; verbs return it with a minus."""

    HOST_FAILED = 1
    UNKNOWN_ASSET = 2
    UNKNOWN_ORDER = 3
    UNKNOWN_TYPE = 4
    BAD_QUANTITY = 5
    BAD_PRICE = 6
    BAD_WEIGHT = 7
    BAD_VALUE = 8
    BAD_FRACTION = 9
    BAD_CASH_FRACTION = 10
    BAD_DISPLAYED = 11
    BAD_TRAIL = 12
    BAD_GOOD_TILL = 13
    NEEDS_LIMIT = 14
    NEEDS_STOP = 15
    NEEDS_TRAIL = 16
    TAKES_NO_LIMIT = 17
    TAKES_NO_STOP = 18
    TAKES_NO_TRAIL = 19
    ALL_IS_PLAIN = 20
    NOT_FREE_CASH = 21
    BAD_BRACKET = 22
    BAD_UPDATE = 23
    FILLED_ALREADY = 24
    NO_QUANTITY = 25
    WRONG_LENGTH = 26
    SHORT_WINDOW = 27
    BEFORE_START = 28
    UNKNOWN_SIGNAL = 29
