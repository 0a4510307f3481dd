"""The loop of a compiled strategy: bar, turn, bar, turn, without the host in between."""

from __future__ import annotations

from ._jit import array_at, call_entry, kernel, long_entry
from .addresses import HOST, STATE
from .codes import StepStatus
from .dtypes import Record

__all__ = ["drive"]


@kernel
def _part(host: Record, status: int) -> int:
    """Return the address of the entry that a step asks for, 0 when the host has to see to it (host: in, status: code StepStatus)."""
    if status == StepStatus.RUN_RULES:
        return host["rules_entry"]  # type: ignore[no-any-return]
    if status == StepStatus.RUN_EVENTS:
        return host["events_entry"]  # type: ignore[no-any-return]
    if status == StepStatus.RUN_SORTING:
        return host["sorting_entry"]  # type: ignore[no-any-return]
    if status == StepStatus.RUN_MARGIN_CALL:
        return host["margin_call_entry"]  # type: ignore[no-any-return]
    return host["limits_entry"] if status == StepStatus.RUN_LIMITS else 0


@long_entry
def drive(address: int, last_bar: int) -> int:
    """Give the strategy its turn on one bar after the other up to bar `last_bar`. Returns a StepStatus; resumable.

    OK: the strategy has had its turn on that bar. Anything else is for the host to do, which then calls again. An exception of the
    strategy goes through; the bar is then as it has left it.
    """
    state = array_at(address, 1, STATE)[0]
    host = array_at(state["host_address"], 1, HOST)[0]
    while True:
        if host["on_turn"] == 0:
            status = call_entry(host["advance_address"], address)
            if status > StepStatus.OK_WITH_FILLS:
                part = _part(host, status)
                if part == 0 or call_entry(part, address) != StepStatus.OK:
                    return status
                continue
        host["on_turn"] = 0
        call_entry(host["strategy_address"], address)
        if state["bar"] >= last_bar:
            return StepStatus.OK.value
