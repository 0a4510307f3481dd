"""The loop of a compiled strategy: bar, turn, bar, turn, without the host in between."""

from __future__ import annotations

from math import inf

import numpy as np

from ._jit import array_at, call_entry, fetch, kernel, layout, long_entry
from .addresses import BAR, HOST, STATE, ledger_at
from .codes import Stage, StepStatus
from .dtypes import Record, bare, batch_dtype, order_dtype, outcome_dtype
from .signals_bar import tally
from .signals_path import begun, followed, put_down, setting_out

__all__ = ["drive", "drive_sets"]

_BYTES = 8
_LINE, _AHEAD = 64, 8_192  # bytes of a cache line, and how many of a bar are fetched ahead
_ORDER_BYTES = order_dtype.itemsize
_BATCH = layout(bare(batch_dtype), "batch")
_OUTCOME = layout(bare(outcome_dtype), "outcome")


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


@kernel
def _advanced(address: int, host: Record) -> int:
    """Close the bar and open the next, with the parts that are there. Returns a StepStatus, OK or what the host has to do."""
    while True:
        status = call_entry(host["advance_address"], address)
        if status <= StepStatus.OK_WITH_FILLS:
            return StepStatus.OK.value
        part = _part(host, status)
        if part == 0 or call_entry(part, address) != StepStatus.OK:
            return status


@kernel
def _look_ahead(state: Record) -> None:
    """Ask for the closes of the next bar while the strategy has its turn on this one (state: in)."""
    row_bytes = state["assets"] * _BYTES
    start = state["closes_address"] + (state["row"] + 1) * row_bytes
    for place in range(0, min(row_bytes, _AHEAD), _LINE):
        fetch(start + place)


@kernel
def _driven(address: int, state: Record, host: Record, last_bar: int) -> int:
    """Do what `drive` says (state, host: in-out)."""
    while True:
        if host["on_turn"] == 0:
            status = _advanced(address, host)
            if status != StepStatus.OK:
                return status
        host["on_turn"] = 0
        _look_ahead(state)
        call_entry(host["strategy_address"], address)
        if state["bar"] >= last_bar:
            return StepStatus.OK.value


@long_entry
def drive(address: int, last_bar: int) -> int:
    """Give the strategy its turn on one bar after the other up to bar `last_bar`. Returns a StepStatus; resumable.

    OK: the strategy has had its turn on that bar. Anything else is for the host to do, which then calls again. An exception of the
    strategy goes through; the bar is then as it has left it.
    """
    state = array_at(address, 1, STATE)[0]
    return _driven(address, state, array_at(state["host_address"], 1, HOST)[0], last_bar)


@kernel
def _copy(source: int, target: int, size: int) -> None:
    """Copy bytes from an address to another."""
    given, taken = array_at(source, size, np.uint8), array_at(target, size, np.uint8)
    for place in range(size):
        taken[place] = given[place]


@kernel
def _begin(address: int, state: Record, host: Record, batch: Record) -> None:
    """Bring account and strategy to the start of a run of the next set (state, host, batch: in-out)."""
    number, run = batch["set"], host["run"]
    used = array_at(state["orders_address"], state["order_count"] * _ORDER_BYTES, np.uint8)
    for place in range(len(used)):  # rows are zeros before they are used
        used[place] = 0
    _copy(batch["start_address"], address, batch["state_bytes"])
    regions = array_at(batch["regions_address"], 3 * batch["regions"], np.int64)
    for region in range(batch["regions"]):
        _copy(regions[3 * region], regions[3 * region + 1], regions[3 * region + 2])
    if batch["rules_from"] != 0:
        _copy(batch["rules_from"] + number * batch["rule_bytes"], state["rules_address"], batch["rule_bytes"])
    host["params_table"] = batch["params_address"] + number * batch["params_bytes"]
    host["memory_table"] = batch["memory_address"] + number * batch["memory_bytes"]
    host["run"] = run + 1


@kernel
def _put_down(address: int, batch: Record) -> None:
    """Write what a finished run leaves behind (batch: in)."""
    ledger = ledger_at(address)
    state, number, bars = ledger.state[0], batch["set"], batch["last_bar"] + 1
    outcome = array_at(batch["outcomes_address"], number + 1, _OUTCOME)[number]
    outcome["largest_win"], outcome["largest_loss"] = -inf, inf
    rows = array_at(state["bars_address"], bars, BAR)
    path = begun(setting_out(batch["initial_cash"]), rows[0]["equity"])
    for bar in range(1, bars):
        path = followed(path, rows[bar]["equity"])
    put_down(path, outcome)
    tally(ledger, outcome, 0, 0)
    outcome["num_open_trades"] = state["open_positions"]
    if batch["equity_address"] != 0:
        kept = array_at(batch["equity_address"] + number * bars * _BYTES, bars, np.float64)
        for bar in range(bars):
            kept[bar] = rows[bar]["equity"]


@long_entry
def drive_sets(address: int, batch_address: int, last: int) -> int:
    """Run the parameter sets of a batch up to before set `last`, each from the start. Returns a StepStatus; resumable.

    batch_address: of a batch record, whose `set` says which is next; last: number of a set. What a run asks of its host comes as in
    `drive`. After an exception of the strategy the host puts `set` one on and `phase` to 0.
    """
    state = array_at(address, 1, STATE)[0]
    host = array_at(state["host_address"], 1, HOST)[0]
    batch = array_at(batch_address, 1, _BATCH)[0]
    while batch["set"] < last:
        if batch["phase"] == 0:
            _begin(address, state, host, batch)
            batch["phase"] = 1
            if batch["init_address"] != 0:
                call_entry(batch["init_address"], address)
        if batch["phase"] == 1:
            status = _driven(address, state, host, batch["last_bar"])
            if status != StepStatus.OK:
                return status
            batch["phase"] = 2
        if state["stage"] != Stage.CLOSED:
            status = _advanced(address, host)
            if status != StepStatus.OK:
                return status
        _put_down(address, batch)
        batch["set"] += 1
        batch["phase"] = 0
    return StepStatus.OK.value
