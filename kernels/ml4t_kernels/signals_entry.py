"""The entry point of signal runs: many parameter sets over the bars of one asset, in one call that lets other threads run.

The account is an ordinary one, of which a job holds the address; a set leaves one row of sums behind, and with `keeps` also the account's
records of orders, fills, trades and bars.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._jit import array_at, kernel, layout, long_entry
from .addresses import ledger_at
from .codes import CommissionKind, SlippageKind, StepStatus
from .dtypes import (
    Record,
    bare,
    condition_dtype,
    job_dtype,
    outcome_dtype,
    position_dtype,
    rule_dtype,
    set_dtype,
    signal_dtype,
)
from .ledger import Ledger
from .signals_bar import forget_orders, tally, work
from .signals_path import begun, followed, put_down, setting_out
from .signals_run import Masks, Tape, acting, actions_on, hold, levels_of, list_events, next_event
from .signals_when import fill_codes

__all__ = ["run_signals"]

_BYTES = 8
_TABLE = 48
_JOB = layout(bare(job_dtype), "job")
_SET = layout(bare(set_dtype), "set")
_SIGNAL = layout(bare(signal_dtype), "signal")
_CONDITION = layout(bare(condition_dtype), "condition")
_OUTCOME = layout(bare(outcome_dtype), "outcome")
_RULE = layout(bare(rule_dtype), "rule")
_POSITION_BYTES = position_dtype.itemsize
_OUTCOME_BYTES = outcome_dtype.itemsize
_STOP, _TRAIL, _TARGET, _TIME = 1, 2, 3, 4  # rows of the rules, after the one that holds them


@kernel
def _clear(address: int, size: int) -> None:
    """Write zeros to memory (address, size: of its first byte and in bytes)."""
    words = array_at(address, size, np.uint8)
    for place in range(len(words)):
        words[place] = 0


@kernel
def _set_terms(ledger: Ledger, chosen: Record) -> None:
    """Write the costs and levels of a set to the rows that the ledger reads (ledger: in-out; chosen: in)."""
    state, cost = ledger.state[0], ledger.costs[ledger.contracts[0]["costs"]]
    if chosen["own_costs"] == 1:
        cost["commission_kind"], cost["slippage_kind"] = CommissionKind.LINEAR, SlippageKind.PERCENTAGE
        cost["commission_rate"], cost["maker_rate"] = chosen["commission_rate"], chosen["commission_rate"]
        cost["commission_per_order"], cost["commission_per_unit"], cost["commission_minimum"] = chosen["commission_per_order"], 0.0, 0.0
        cost["slippage_rate"] = chosen["slippage_rate"]
    if state["rule_count"] > 0:
        rules = array_at(state["rules_address"], state["rule_count"], _RULE)
        rules[_STOP]["threshold"] = chosen["stop_pct"]
        rules[_TRAIL]["threshold"] = chosen["trail_pct"]
        rules[_TARGET]["threshold"] = chosen["target_pct"]
        rules[_TIME]["max_bars"] = chosen["max_bars"]
        _clear(state["remembered_address"], _BYTES)


@kernel
def _start(ledger: Ledger, chosen: Record) -> None:
    """Bring the account to before the first bar of a set (ledger: in-out; chosen: in)."""
    state, position = ledger.state[0], ledger.positions[0]
    state["live_count"] = 0
    forget_orders(ledger)
    multiplier = position["multiplier"]
    _clear(state["positions_address"], _POSITION_BYTES)
    position["multiplier"], position["slot"] = multiplier, -1
    cash = chosen["initial_cash"]
    state["cash"], state["free_cash"], state["equity"] = cash, cash, cash
    state["short_value"], state["cursor"] = 0.0, 0
    state["open_count"], state["open_gaps"], state["open_positions"], state["positions_opened"] = 0, 0, 0, 0
    _set_terms(ledger, chosen)


@kernel
def _run_set(ledger: Ledger, tape: Tape, chosen: Record, outcome: Record, job: Record) -> int:
    """Run one set over all bars. Returns a StepStatus; other than OK, the host makes room and the set starts anew (outcome: out)."""
    state, bars, bar = ledger.state[0], len(tape.close), 0
    actions = array_at(job["actions_address"] + chosen["actions"] * _TABLE, _TABLE, np.uint8)
    masks = Masks(acting(actions, 0), acting(actions, 1), acting(actions, 2))
    sizes = array_at(job["sizes_address"] + max(chosen["sizes"], 0) * bars * _BYTES, bars if chosen["sizes"] >= 0 else 0, np.float64)
    _start(ledger, chosen)
    path, place = setting_out(chosen["initial_cash"]), 0
    while bar < bars:
        if job["keeps"] == 0 and state["live_count"] == 0:
            held = ledger.positions[0]["quantity"]
            place, until = next_event(tape, masks.flat if held == 0.0 else (masks.long if held > 0.0 else masks.short), place, bar)
            if held == 0.0:
                bar = until
            else:
                bar, path = hold(ledger, tape, path, levels_of(ledger, chosen), bar, until)
            if bar == bars:
                break
        fills, trades, size = state["fill_count"], state["trade_count"], chosen["size"]
        if len(sizes) > 0:
            size = sizes[bar]
        status = work(ledger, job, bar, tape.close[bar], actions_on(actions, tape.codes[bar]), size, chosen["size_kind"])
        if status != StepStatus.OK:
            return status
        tally(ledger, outcome, fills, trades)
        path = begun(path, state["equity"]) if bar == 0 else followed(path, state["equity"])
        if job["keeps"] == 0:
            forget_orders(ledger)
        bar += 1
    put_down(path, outcome)
    outcome["num_open_trades"] = state["open_positions"]
    return StepStatus.OK.value


@kernel
def _take_prices(state: Record, job: Record, row: int, codes: npt.NDArray[Any], events: int) -> Tape:
    """Point the account at a row of prices and return them with the signals (state: in-out; job, codes: in; events: their number)."""
    bars = job["bars"]
    start = row * bars * _BYTES
    state["opens_address"], state["highs_address"] = job["opens_address"] + start, job["highs_address"] + start
    state["lows_address"], state["closes_address"] = job["lows_address"] + start, job["closes_address"] + start
    state["volumes_address"], state["vwaps_address"] = job["volumes_address"] + start * state["volume_step"], job["vwaps_address"] + start
    state["bids_address"], state["asks_address"] = state["closes_address"], state["closes_address"]
    return Tape(
        array_at(state["opens_address"], bars, np.float64),
        array_at(state["highs_address"], bars, np.float64),
        array_at(state["lows_address"], bars, np.float64),
        array_at(state["closes_address"], bars, np.float64),
        codes,
        array_at(job["events_address"], events, np.int32),
    )


@long_entry
def run_signals(address: int, first: int, last: int) -> int:
    """Run the sets from `first` to before `last` of a job (address: of its record, in-out).

    Returns `last`; or, with what the host has to do in its `status`, the set that has to run anew.
    """
    job = array_at(address, 1, _JOB)[0]
    ledger, bars, known = ledger_at(job["state_address"]), job["bars"], -1
    sets, outcomes = array_at(job["sets_address"], job["set_count"], _SET), array_at(job["outcomes_address"], job["set_count"], _OUTCOME)
    signals = array_at(job["signals_address"], job["signal_count"], _SIGNAL)
    conditions = array_at(job["conditions_address"], job["condition_count"], _CONDITION)
    codes, events = array_at(job["scratch_address"], bars, np.uint8), 0
    for number in range(first, last):
        chosen = sets[number]
        if chosen["signals"] != known:  # sets of the same signals stand together
            known = chosen["signals"]
            signal: Record = signals[known]
            if signal["codes"] >= 0:
                codes = array_at(job["codes_address"] + signal["codes"] * bars, bars, np.uint8)
            else:
                codes = array_at(job["scratch_address"], bars, np.uint8)
                fill_codes(codes, job["indicators_address"], conditions, signal["first_condition"], signal["conditions"])
            events = list_events(codes, array_at(job["events_address"], bars, np.int32))
        tape = _take_prices(ledger.state[0], job, chosen["prices"], codes, events)
        _clear(job["outcomes_address"] + number * _OUTCOME_BYTES, _OUTCOME_BYTES)
        outcomes[number]["largest_win"], outcomes[number]["largest_loss"] = -np.inf, np.inf
        job["status"] = _run_set(ledger, tape, chosen, outcomes[number], job)
        if job["status"] != StepStatus.OK:
            return number
    return last
