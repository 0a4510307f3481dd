"""Codes of signal runs."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ConditionKind", "SignalAction", "SignalBit", "SizeKind"]


class SignalBit(IntEnum):
    """The four signals; what a bar says is the sum of those that are on."""

    LONG_ENTRY = 1
    LONG_EXIT = 2
    SHORT_ENTRY = 4
    SHORT_EXIT = 8


class SignalAction(IntEnum):
    """What the signals of a bar come to for a position."""

    NOTHING = 0
    BUY = 1
    SELL = 2
    CLOSE = 3
    REDUCE = 4
    REVERSE = 5


class ConditionKind(IntEnum):
    """How an indicator has to stand to another one or to a level; crossing is from at or beyond it on the bar before."""

    ABOVE = 0
    BELOW = 1
    CROSSES_ABOVE = 2
    CROSSES_BELOW = 3


class SizeKind(IntEnum):
    """What the size of an entry is: units, money, part of the account value, part of what the account can pay."""

    AMOUNT = 0
    VALUE = 1
    EQUITY = 2
    PERCENT = 3
