"""One asset's bar, and the sessions that the bars of a run belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.oracle.numbers import Number, NumberType, convert, missing, optional

RawBar: TypeAlias = tuple[Any, ...]  # open, high, low, close, and as far as known volume, bid, ask, vwap


@dataclass(frozen=True)
class Bar:
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number | None = None
    bid: Number | None = None
    ask: Number | None = None
    vwap: Number | None = None

    def price(self, name: str) -> Number:
        """The pass price of that name; a missing vwap is the close, as any other missing price."""
        if name == "mid":
            return (self.high + self.low) / 2
        if name == "vwap":
            return self.close if self.vwap is None else self.vwap
        return self.open if name == "open" else self.close


def read_bars(raw: Mapping[str, RawBar | None], assets: tuple[str, ...], number: NumberType) -> dict[str, Bar]:
    """The bars of the priced assets: a missing open, high or low is the close, no close is no bar."""
    unknown = set(raw) - set(assets)
    if unknown:
        raise ValueError(f"bars for unknown assets: {sorted(unknown)}")
    bars: dict[str, Bar] = {}
    for asset, values in raw.items():
        if values is None or missing(values[3]):
            continue
        close = convert(number, values[3], "close")
        o, h, low = (close if missing(value) else convert(number, value, "price") for value in values[:3])
        bars[asset] = Bar(o, h, low, close, *(optional(number, value, "bar") for value in values[4:]))
    return bars


@dataclass(frozen=True)
class Session:
    """Which session a bar belongs to, and where in it the bar stands."""

    number: Any
    first: bool
    last: bool


def read_sessions(numbers: Sequence[Any] | None, count: int) -> list[Session]:
    """The session of every bar; without numbers every bar is a session of its own."""
    marks = list(range(count)) if numbers is None else list(numbers)
    if len(marks) != count:
        raise ValueError("sessions and bars differ in length")
    return [Session(mark, t == 0 or marks[t - 1] != mark, t == count - 1 or marks[t + 1] != mark) for t, mark in enumerate(marks)]
