"""What signals come to: the rules for signals that contradict each other or the position, in one table for every host.

The rules and the names of the settings are VectorBT's. A bar may have up to four signals at once; for each combination and each
kind of position (flat, long, short) the table holds one `SignalAction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.hints import did_you_mean
from ml4t_kernels.codes import SignalAction, SignalBit

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FLAT", "LONG", "SHORT", "Conflicts"]

FLAT, LONG, SHORT = 0, 1, 2
_COMBINATIONS = 16
_SIDES = {"long": (SignalBit.LONG_ENTRY, SignalBit.LONG_EXIT), "short": (SignalBit.SHORT_ENTRY, SignalBit.SHORT_EXIT)}
_OF_ONE_SIDE = ("ignore", "entry", "exit", "adjacent", "opposite")
_CHOICES = {
    "upon_long_conflict": _OF_ONE_SIDE,
    "upon_short_conflict": _OF_ONE_SIDE,
    "upon_dir_conflict": ("ignore", "long", "short", "adjacent", "opposite"),
    "upon_opposite_entry": ("ignore", "close", "closereduce", "reverse", "reversereduce"),
    "accumulate": ("disabled", "both", "addonly", "removeonly"),
}


@dataclass(frozen=True, slots=True)
class Conflicts:
    """How contradictions are settled. The names are VectorBT's, in any case and with or without underscores.

    upon_long_conflict, upon_short_conflict: an entry and an exit of one side on one bar: "ignore" drops both, "entry" or "exit" keeps
    that one, "adjacent" and "opposite" keep the entry and the exit while there is a position and else drop both. upon_dir_conflict:
    entries of both sides: "ignore", "long", "short", "adjacent" (the side of the position), "opposite". upon_opposite_entry: an
    entry against the position: "ignore"; "close" closes it; "closereduce" closes it, or reduces it where entries accumulate;
    "reverse" turns it; "reversereduce" turns it, or reduces it where entries accumulate. accumulate: False; True or "both" adds to
    and reduces positions by the size of an entry, "addonly" and "removeonly" do one of the two. Raises ValueError for other words.
    """

    accumulate: bool | str = False
    upon_long_conflict: str = "ignore"
    upon_short_conflict: str = "ignore"
    upon_dir_conflict: str = "ignore"
    upon_opposite_entry: str = "reversereduce"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            object.__setattr__(self, name, _chosen(name, getattr(self, name), choices))

    @property
    def adds(self) -> bool:
        """Whether an entry adds to a position of its side."""
        return self.accumulate in ("both", "addonly")

    @property
    def removes(self) -> bool:
        """Whether an exit, or an entry of the other side, takes the size of an entry off a position."""
        return self.accumulate in ("both", "removeonly")

    def table(self) -> npt.NDArray[np.uint8]:
        """Return the action of every combination of signals when flat, long and short, uint8[48] (codes SignalAction), read-only."""
        return _table(self)

    def action(self, code: int, place: int) -> SignalAction:
        """Return what signals come to (code: SignalBit added up; place: FLAT, LONG or SHORT)."""
        on = {bit for bit in SignalBit if code & bit}
        whole = self._settle(on, place) if on & {SignalBit.LONG_ENTRY, SignalBit.SHORT_ENTRY} else False
        if place == FLAT:
            if SignalBit.LONG_ENTRY in on:
                return SignalAction.BUY
            return SignalAction.SELL if SignalBit.SHORT_ENTRY in on else SignalAction.NOTHING
        (entry, leave), (against, _) = (_SIDES["long"], _SIDES["short"]) if place == LONG else (_SIDES["short"], _SIDES["long"])
        adding, removing = (SignalAction.BUY, SignalAction.SELL) if place == LONG else (SignalAction.SELL, SignalAction.BUY)
        if against in on:
            return removing if self.removes and not whole else SignalAction.REVERSE
        if leave in on:
            return SignalAction.REDUCE if self.removes and not whole else SignalAction.CLOSE
        return adding if entry in on and self.adds and not whole else SignalAction.NOTHING

    def _settle(self, on: set[SignalBit], place: int) -> bool:
        """Settle contradictions. Returns whether the order takes or turns the whole position, though entries accumulate."""
        for side, (entry, leave) in _SIDES.items():
            if entry in on and leave in on:
                kept = _kept(getattr(self, f"upon_{side}_conflict"), in_market=place != FLAT)
                on -= {entry, leave} - {{"entry": entry, "exit": leave}.get(kept)}
        longs, shorts = SignalBit.LONG_ENTRY, SignalBit.SHORT_ENTRY
        if longs in on and shorts in on:
            own, other = (longs, shorts) if place == LONG else (shorts, longs)
            sides = {"long": longs, "short": shorts}
            if place != FLAT:
                sides |= {"adjacent": own, "opposite": other}
            on -= {longs, shorts} - {sides.get(self.upon_dir_conflict)}
        against, leave = (shorts, SignalBit.LONG_EXIT) if place == LONG else (longs, SignalBit.SHORT_EXIT)
        if place == FLAT or against not in on:
            return False
        if self.upon_opposite_entry in ("ignore", "close", "closereduce"):
            on.discard(against)
        if self.upon_opposite_entry in ("close", "closereduce"):
            on.add(leave)
        return self.upon_opposite_entry in ("close", "reverse")


@cache
def _table(conflicts: Conflicts) -> npt.NDArray[np.uint8]:
    rows = [conflicts.action(code, place) for place in (FLAT, LONG, SHORT) for code in range(_COMBINATIONS)]
    made = np.array(rows, dtype=np.uint8)
    made.flags.writeable = False
    return made


def _kept(mode: str, *, in_market: bool) -> str:
    """Return which of an entry and an exit of the same side holds: "entry", "exit" or "ignore"."""
    if mode in ("adjacent", "opposite"):
        return "ignore" if not in_market else ("entry" if mode == "adjacent" else "exit")
    return mode


def _chosen(name: str, given: object, choices: tuple[str, ...]) -> str:
    if name == "accumulate" and isinstance(given, (bool, np.bool_)):
        return "both" if given else "disabled"
    word = str(getattr(given, "name", given)).lower().replace("_", "").replace(" ", "")
    if word not in choices:
        more = "True, False or " if name == "accumulate" else ""
        raise ValueError(f"{name} was {given!r}, expected {more}one of {list(choices)}{did_you_mean(str(given), choices)}")
    return word
