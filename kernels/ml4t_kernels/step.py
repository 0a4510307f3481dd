"""One bar. The engine loops over it, a live feed calls it once per closed bar from a one-row buffer.

`proceed` is resumable: it returns a StepStatus other than OK *before* changing the item it cannot finish; the host does
what is asked and calls again. The stage in the state record tells where to go on. Rare parts (events, rules, margin calls,
portfolio limits, sorting) are asked for in the same way: they are entry points of their own, compiled when first needed.
"""

from __future__ import annotations

from ._jit import kernel
from .account import close_gaps, mark
from .codes import BarFlag, FillOrdering, Stage, StepStatus
from .dtypes import Special
from .ledger import Bar, Ledger
from .links import is_due
from .orders import drop_finished
from .turn import closes_without_limit, is_exit, take_turn

__all__ = ["fill_pass", "mark_account", "proceed"]

_HOLDS_MASK = 7


@kernel
def _is_exit_stage(stage: int) -> bool:
    """Tell whether a stage is the first sweep of a fill pass (stage: code Stage)."""
    return stage == Stage.FIRST_EXITS or stage == Stage.SECOND_EXITS or stage == Stage.CLOSING_EXITS


@kernel
def _sweep(ledger: Ledger, bar: Bar, stage: int, special: Special) -> int:
    """Give the due orders their turns from the cursor on, in an exit stage only the exits. Returns a StepStatus.

    ledger: in-out. bar, special: in. stage: code Stage. Room for two fills (of a flip), two trades and an open position is made sure of
    before each turn.
    """
    state = ledger.state[0]
    at_close = stage == Stage.CLOSING_EXITS or stage == Stage.CLOSING_ENTRIES
    exits = _is_exit_stage(stage)
    listed = ledger.live if exits else ledger.turns
    newest, count = exits and ledger.params[0]["fill_ordering"] == FillOrdering.NEWEST_EXIT_FIRST, state["live_count"]
    for place in range(state["cursor"], count):
        order = ledger.orders[listed[count - 1 - place if newest else place]]
        if not is_due(state, bar, order, at_close):
            continue
        position = ledger.positions[order["asset"]]
        if exits and not (closes_without_limit(order) if newest else is_exit(order, position["quantity"])):
            continue
        state["cursor"] = place
        if state["fill_count"] + 1 >= state["fill_capacity"]:
            return StepStatus.GROW_FILLS.value
        if state["trade_count"] + 1 >= state["trade_capacity"]:
            return StepStatus.GROW_TRADES.value
        if state["open_count"] >= state["open_capacity"]:
            close_gaps(state, ledger.positions, ledger.open_list)
        status = take_turn(ledger, bar, order, position, special)
        if status != StepStatus.OK:
            return status
    state["cursor"] = 0
    return StepStatus.OK.value


@kernel
def fill_pass(ledger: Ledger, bar: Bar, special: Special) -> int:
    """Work through the stages of a fill pass: exits first, then the rest; then what trades at the close. Returns a StepStatus.

    ledger: in-out. bar: in. special: params or None. Resumes at stage and cursor.
    """
    state, params = ledger.state[0], ledger.params[0]
    while state["stage"] != Stage.FIRST_MARKING and state["stage"] != Stage.MARKING:
        stage = state["stage"]
        if stage == Stage.CLOSING_TOTALS and (
            state["closing_orders"] == 0 or (bar.record[0]["flags"] & BarFlag.LAST_OF_SESSION.value) == 0
        ):
            state["stage"] = Stage.FIRST_MARKING
            break
        if stage == Stage.FIRST_TOTALS or stage == Stage.SECOND_TOTALS or stage == Stage.CLOSING_TOTALS:
            if params["leverage"] == 1 or params["short_cash_policy"] != 0:
                mark(ledger, bar, special)
        elif stage == Stage.FIRST_SORTING or stage == Stage.SECOND_SORTING or stage == Stage.CLOSING_SORTING:
            if params["entry_priority"] != 0 and state["live_count"] > 0:
                return StepStatus.RUN_SORTING.value
        elif params["fill_ordering"] != FillOrdering.FIFO or (
            stage != Stage.FIRST_EXITS and stage != Stage.SECOND_EXITS and stage != Stage.CLOSING_EXITS
        ):
            status = _sweep(ledger, bar, stage, special)
            if status != StepStatus.OK:
                return status
        state["stage"] += 1
    drop_finished(ledger)
    return StepStatus.OK.value


@kernel
def _begin(ledger: Ledger, bar: Bar) -> None:
    """Move the clock to the next bar and release settled proceeds (ledger: in-out, bar: in)."""
    state = ledger.state[0]
    state["bar"] += 1
    state["row"] += state["row_step"]
    state["time"] = bar.record[0]["time"]
    state["stage"] = Stage.EVENTS
    if ledger.params[0]["settlement_delay"] > 0:
        ledger.holds[state["bar"] & _HOLDS_MASK] = 0.0
        unsettled = 0.0
        for place in range(len(ledger.holds)):
            unsettled += ledger.holds[place]
        state["unsettled"] = unsettled


@kernel
def _needs_events(ledger: Ledger, bar: Bar) -> bool:
    """Tell whether events or interest are due on this bar (all in)."""
    state = ledger.state[0]
    if state["next_event_bar"] <= state["bar"]:
        return True
    return ledger.params[0]["charges_interest"] == 1 and bar.record[0]["session"] + 1 != state["interest_session"]  # type: ignore[no-any-return]


@kernel
def _open(ledger: Ledger, bar: Bar) -> int:
    """Bring a bar from its start to the strategy's turn. Returns a StepStatus (ledger: in-out, bar: in)."""
    state, params = ledger.state[0], ledger.params[0]
    if state["stage"] == Stage.CLOSED:
        _begin(ledger, bar)
    if state["stage"] == Stage.EVENTS:
        if _needs_events(ledger, bar):
            return StepStatus.RUN_EVENTS.value
        state["stage"] = Stage.RULES
    if state["stage"] == Stage.RULES:
        if state["open_positions"] > 0 and (params["has_rules"] == 1 or params["margin_intrabar"] == 1):
            return StepStatus.RUN_RULES.value
        state["stage"] = Stage.FIRST_TOTALS
    if state["stage"] == Stage.FIRST_TOTALS and state["live_count"] == 0:
        state["stage"] = Stage.FIRST_MARKING
    return StepStatus.OK.value


@kernel
def mark_account(ledger: Ledger, bar: Bar, special: Special) -> None:
    """Mark the account; without positions the account value is the cash (ledger: in-out; bar, special: in)."""
    state = ledger.state[0]
    if state["open_count"] > 0:
        mark(ledger, bar, special)
        return
    state["equity"] = state["cash"]
    state["initial_requirement"] = 0.0
    state["maintenance_requirement"] = 0.0


@kernel
def _nobody_looks(ledger: Ledger) -> bool:
    """Tell whether the marks before the strategy's turn are not looked at, as those after it are all that is kept (ledger: in)."""
    state, params = ledger.state[0], ledger.params[0]
    unseen = state["stage"] == Stage.FIRST_MARKING and state["marks_for_turn"] == 0
    return unseen and params["leverage"] == 0 and params["has_limits"] == 0  # type: ignore[no-any-return]


@kernel
def _after_marking(ledger: Ledger) -> int:
    """Ask for the margin call and the portfolio limits where they are due. Returns a StepStatus (ledger: in-out)."""
    state, params = ledger.state[0], ledger.params[0]
    if state["stage"] == Stage.MARGIN_CALL:
        if params["leverage"] == 1 and state["equity"] < state["maintenance_requirement"]:
            return StepStatus.RUN_MARGIN_CALL.value
        state["stage"] = Stage.LIMITS
    if state["stage"] == Stage.LIMITS:
        if params["has_limits"] == 1:
            return StepStatus.RUN_LIMITS.value
        state["stage"] = Stage.READY
    state["stage"] = Stage.STRATEGY
    return StepStatus.OK.value


@kernel
def proceed(ledger: Ledger, bar: Bar, special: Special) -> int:
    """Go on to the strategy's turn (stage STRATEGY) or, from there, to the end of the bar (stage CLOSED). Returns a StepStatus.

    ledger: in-out. bar: in, `equity` and `cash` of its record out; the row `state.row + state.row_step` when the bar before is
    closed, else the current row. special: params or None.
    """
    state = ledger.state[0]
    if state["stage"] < Stage.FIRST_EXITS:
        status = _open(ledger, bar)
        if status != StepStatus.OK:
            return status
    elif state["stage"] == Stage.STRATEGY:
        again = ledger.params[0]["same_bar"] == 1 and state["live_count"] > 0
        state["stage"] = Stage.SECOND_TOTALS if again else Stage.MARKING
    if state["stage"] < Stage.FIRST_MARKING or Stage.STRATEGY < state["stage"] < Stage.MARKING:
        status = fill_pass(ledger, bar, special)
        if status != StepStatus.OK:
            return status
    if state["stage"] == Stage.FIRST_MARKING or state["stage"] == Stage.MARKING:
        if not _nobody_looks(ledger):
            mark_account(ledger, bar, special)
        if state["stage"] == Stage.MARKING:
            record = bar.record[0]
            record["equity"] = state["equity"]
            record["cash"] = state["cash"]
            state["stage"] = Stage.CLOSED
            return StepStatus.OK.value
        state["stage"] = Stage.MARGIN_CALL
    return _after_marking(ledger)
