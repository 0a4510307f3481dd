"""Position rules as rows: evaluate the rule of every open position and submit the exits that fire.

A rule is one row, or a row ANY or ALL followed by the rows inside it. Rows are evaluated from the last to the first, so
that the rows inside are answered before the row around them. An answer is four numbers: part of the position (0 holds),
price (NaN without), code `When`, and the row that decided.
"""

from __future__ import annotations

from math import isnan, nan
from typing import NamedTuple

import numpy as np

from ._jit import array_at, call_function, kernel
from .codes import RuleKind, Stage, StepStatus, StopFill, TrailTiming
from .dtypes import NO_PRICE, FloatArray, IntArray, Record, Records
from .ledger import Bar, Ledger
from .liquidation import pending_exit
from .orders import submit_exit
from .participation import rounded_down
from .pnl import excursion

__all__ = ["RuleBook", "run_rules"]

_NOW, _NEXT_OPEN, _ON_CLOSE = 0.0, 1.0, 2.0
_BYTES = 8


class RuleBook(NamedTuple):
    """What rules need beside the ledger.

    rules: rule_dtype rows (in), steps: tier_dtype rows (in), memory, inputs: float64[assets, rows] (in-out), answers:
    float64[rows, 4] (out), remembered: int64[assets] position that memory and inputs belong to (in-out).
    """

    rules: Records
    steps: Records
    memory: FloatArray
    inputs: FloatArray
    answers: FloatArray
    remembered: IntArray


class _View(NamedTuple):
    """A position as a long sees it: for shorts prices are negated, so that every rule is written once."""

    side: float
    entry: float
    base: float
    mark: float
    open: float
    high: float
    low: float
    close: float


@kernel
def _view(params: Record, position: Record, bar: Bar, asset: int) -> _View:
    """Return the position and its bar seen as a long (params, position, bar: in; asset: column)."""
    longs = position["quantity"] > 0.0
    side = 1.0 if longs else -1.0
    entry = position["entry_price"]
    base = entry
    if params["stop_signal_price"] == 1 and not isnan(position["signal_price"]):
        base = position["signal_price"]
    mark = position["high_water_mark"] if longs else position["low_water_mark"]
    high = bar.high[asset] if longs else bar.low[asset]
    low = bar.low[asset] if longs else bar.high[asset]
    return _View(side, entry, base, mark, bar.open[asset], high, low, bar.close[asset])


@kernel
def _reaches(view: _View, price: float, level: float) -> bool:
    """Tell whether a price is at or beyond a stop level: at or below for a long (view: in)."""
    return price <= level if view.side > 0.0 else price >= level


@kernel
def _fraction(rule: Record, base: float) -> float:
    """Return the fraction of a rule with the sign that moves a level of a negative base the right way (rule: in)."""
    return rule["threshold"] if base > 0.0 else -rule["threshold"]  # type: ignore[no-any-return]


@kernel
def _level_price(view: _View, params: Record, level: float, gapped: bool, extreme: float) -> tuple[float, float]:  # noqa: FBT001
    """Return (price, when) of a rule whose level was reached.

    view, params: in. gapped: the open was already there. extreme: price of the bar in the mode BAR_EXTREME.
    """
    mode = params["stop_fill"]
    if mode == StopFill.NEXT_BAR_OPEN:
        return NO_PRICE, _NEXT_OPEN
    price = level
    if mode == StopFill.CLOSE_PRICE:
        price = view.close
    elif mode == StopFill.BAR_EXTREME:
        price = extreme
    elif gapped:
        price = view.open
    return price * (1.0 - view.side * params["stop_slippage_rate"]), _NOW


@kernel
def _trailing(view: _View, params: Record, rule: Record) -> tuple[float, float, float]:
    """Return (part, price, when) of a trailing stop (all in)."""
    timing = params["trail_timing"] if rule["timing"] < 0 else rule["timing"]
    if view.mark == 0.0:
        return 0.0, NO_PRICE, _NOW
    factor = 1.0 - view.side * _fraction(rule, view.mark)
    level = view.mark * factor
    new_mark = view.mark
    if (view.high > new_mark) if view.side > 0.0 else (view.high < new_mark):
        new_mark = view.high
    new_level = new_mark * factor
    slipped = 1.0 - view.side * params["stop_slippage_rate"]
    tested = new_level if timing == TrailTiming.INTRABAR else level
    if _reaches(view, view.open, level) and (timing == TrailTiming.INTRABAR or _reaches(view, view.low, level)):
        price = view.open
    elif _reaches(view, view.low, tested):
        price, when = _level_price(view, params, tested, False, view.low)
        return 1.0, price, when
    elif timing == TrailTiming.VBT_PRO and _reaches(view, view.close, new_level):
        price = view.close
    else:
        return 0.0, NO_PRICE, _NOW
    if params["stop_fill"] == StopFill.NEXT_BAR_OPEN:
        return 1.0, NO_PRICE, _NEXT_OPEN
    return 1.0, price * slipped, _NOW


@kernel
def _level_rule(view: _View, params: Record, rule: Record) -> tuple[float, float, float]:
    """Return (part, price, when) of a stop loss or a target (all in)."""
    if view.base == 0.0:
        return 0.0, NO_PRICE, _NOW
    fraction = _fraction(rule, view.base)
    if rule["kind"] == RuleKind.STOP_LOSS:
        level = view.base * (1.0 - view.side * fraction)
        if _reaches(view, view.low, level):
            price, when = _level_price(view, params, level, _reaches(view, view.open, level), view.low)
            return 1.0, price, when
        return 0.0, NO_PRICE, _NOW
    level = view.base * (1.0 + view.side * fraction)
    if (view.high >= level) if view.side > 0.0 else (view.high <= level):
        gapped = (view.open >= level) if view.side > 0.0 else (view.open <= level)
        price, when = _level_price(view, params, level, gapped, view.high)
        return 1.0, price, when
    return 0.0, NO_PRICE, _NOW


@kernel
def _signal(ledger: Ledger, book: RuleBook, asset: int, row: int) -> float:
    """Return the signal of a rule for an asset: the one given by hand, else the column's, NaN without (all in)."""
    given = book.inputs[asset, row]
    address = book.rules[row]["signal_address"]
    if not isnan(given) or address == 0:
        return given  # type: ignore[no-any-return]
    state = ledger.state[0]
    column = array_at(address + state["row"] * state["assets"] * _BYTES, state["assets"], np.float64)
    return column[asset]  # type: ignore[no-any-return]


@kernel
def _tightening(view: _View, book: RuleBook, rule: Record) -> float:
    """Return 1 when the close is beyond the trail of the highest step that the mark has reached, else 0 (all in)."""
    reached = excursion(view.entry, view.mark, view.side)
    trail = book.steps[rule["first_step"]]["rate"]
    for step in range(rule["first_step"], rule["first_step"] + rule["steps"]):
        if book.steps[step]["limit"] <= reached:
            trail = book.steps[step]["rate"]
    if view.mark == 0.0:
        return 0.0
    signed = trail if view.mark > 0.0 else -trail
    return 1.0 if _reaches(view, view.close, view.mark * (1.0 - view.side * signed)) else 0.0


@kernel
def _scaled(view: _View, book: RuleBook, rule: Record, memory: float) -> tuple[float, int]:
    """Return the part that the first unused target takes and its number, (0, 0) without (all in; memory: used targets as bits)."""
    used = 0 if isnan(memory) else int(memory)
    gained = excursion(view.entry, view.close, view.side)
    for step in range(rule["steps"]):
        target = book.steps[rule["first_step"] + step]
        if not (used >> step) & 1 and gained >= target["limit"]:
            return target["rate"], step
    return 0.0, 0


@kernel
def _volatility(ledger: Ledger, book: RuleBook, view: _View, asset: int, row: int) -> float:
    """Return 1 when the close is beyond the distance of a volatility stop from entry or mark, else 0 (book: in-out, the rest in)."""
    rule = book.rules[row]
    distance = _signal(ledger, book, asset, row)
    if rule["keep_first"] == 1:
        if isnan(book.memory[asset, row]):
            book.memory[asset, row] = distance
        distance = book.memory[asset, row]
    if not distance > 0.0:
        return 0.0
    start = view.entry if rule["kind"] == RuleKind.VOLATILITY_STOP else view.mark
    return 1.0 if _reaches(view, view.close, start - view.side * (distance * rule["threshold"])) else 0.0


@kernel
def _simple_rule(view: _View, params: Record, rule: Record, bars_held: int) -> tuple[float, float, float]:
    """Return (part, price, when) of a rule that needs levels and the bars held only (all in)."""
    kind = rule["kind"]
    if kind == RuleKind.TRAILING_STOP:
        return _trailing(view, params, rule)
    if kind == RuleKind.TIME_EXIT:
        return (1.0 if bars_held >= rule["max_bars"] else 0.0), NO_PRICE, _NOW
    return _level_rule(view, params, rule)


@kernel
def _answer_simple(ledger: Ledger, book: RuleBook, view: _View, asset: int, first: int) -> float:
    """Write the answer of a simple rule, the first inside that fires, and return its part; most bars end here (book: in-out)."""
    held = ledger.state[0]["bar"] - ledger.positions[asset]["entry_bar"]
    for row in range(first, first + book.rules[first]["rows"]):
        rule = book.rules[row]
        if rule["kind"] == RuleKind.ANY:
            continue
        part, price, when = _simple_rule(view, ledger.params[0], rule, held)
        if part > 0.0:
            answer = book.answers[first]
            answer[0], answer[1], answer[2], answer[3] = part, price, when, row
            return part
    return 0.0


@kernel
def _answer_leaf(ledger: Ledger, book: RuleBook, view: _View, asset: int, row: int) -> bool:
    """Write the answer of one rule; False when a user's rule failed (book: in-out; the rest in)."""
    rule, answer = book.rules[row], book.answers[row]
    position, kind = ledger.positions[asset], rule["kind"]
    part, price, when = 0.0, NO_PRICE, _ON_CLOSE
    if rule["simple"] == 1:
        part, price, when = _simple_rule(view, ledger.params[0], rule, ledger.state[0]["bar"] - position["entry_bar"])
    elif kind == RuleKind.TIGHTENING_TRAIL:
        part = _tightening(view, book, rule)
    elif kind == RuleKind.SCALED_EXIT:
        part, _ = _scaled(view, book, rule, book.memory[asset, row])
    elif kind == RuleKind.SIGNAL_EXIT:
        signal = _signal(ledger, book, asset, row) * view.side
        part = 1.0 if signal < -rule["threshold"] else 0.0
    elif kind == RuleKind.FUNCTION:
        answer[1], answer[2] = nan, _ON_CLOSE
        part = call_function(rule["function"], asset, float(row), view.close, 0.0)
        price, when = answer[1], answer[2]
    else:
        part = _volatility(ledger, book, view, asset, row)
    answer[0], answer[1], answer[2], answer[3] = part, price, when, row
    return not isnan(part)


@kernel
def _answer_group(book: RuleBook, row: int) -> None:
    """Write the answer of ANY (the first inside that fires) or ALL (all fire; part of the first, no price) (book: in-out)."""
    rule, answer = book.rules[row], book.answers[row]
    answer[0], answer[1], answer[2], answer[3] = 0.0, nan, _ON_CLOSE, row
    inside, end, first = row + 1, row + rule["rows"], True
    while inside < end:
        part = book.answers[inside, 0]
        if rule["kind"] == RuleKind.ANY:
            if part > 0.0:
                for place in range(len(answer)):
                    answer[place] = book.answers[inside, place]
                return
        elif part <= 0.0:
            answer[0] = 0.0
            return
        elif first:
            answer[0] = part
        first = False
        inside += book.rules[inside]["rows"]


@kernel
def _decides(book: RuleBook, first: int, leaf: int) -> bool:
    """Tell whether every ANY around a rule, from row `first` on, took its answer from there (book: in; leaf: row of the rule)."""
    for row in range(first, leaf):
        if book.rules[row]["kind"] == RuleKind.ANY and leaf < row + book.rules[row]["rows"]:
            chosen = int(book.answers[row, 3])
            if leaf < chosen or leaf >= chosen + book.rules[chosen]["rows"]:
                return False
    return True


@kernel
def _use_targets(book: RuleBook, view: _View, asset: int, row: int) -> None:
    """Mark the targets of scaled exits that have just fired as used (book: in-out; row: the deciding row)."""
    for inside in range(row, row + book.rules[row]["rows"]):
        rule = book.rules[inside]
        if rule["kind"] == RuleKind.SCALED_EXIT and book.answers[inside, 0] > 0.0 and _decides(book, row, inside):
            memory = book.memory[asset, inside]
            _, step = _scaled(view, book, rule, memory)
            book.memory[asset, inside] = float((0 if isnan(memory) else int(memory)) | (1 << step))


@kernel
def _submit(ledger: Ledger, book: RuleBook, view: _View, asset: int, first: int) -> None:
    """Submit the exit that the rule in row `first` has answered (ledger, book: in-out; view: in; asset: column)."""
    params, state, position = ledger.params[0], ledger.state[0], ledger.positions[asset]
    part, price, when = book.answers[first, 0], book.answers[first, 1], book.answers[first, 2]
    chosen = int(book.answers[first, 3])
    held = position["quantity"]
    quantity = -held if part >= 1.0 else rounded_down(-held * part, ledger.contracts[asset]["lot_size"])
    _use_targets(book, view, asset, chosen)
    if quantity == 0.0:
        return
    at_once = when == _ON_CLOSE and params["same_bar"] == 1
    if at_once:
        price = view.close
    reason = chosen
    while book.rules[reason]["kind"] == RuleKind.ALL:
        reason = int(book.answers[reason + 1, 3])
    order = submit_exit(ledger, asset, quantity, book.rules[reason]["exit_reason"], chosen + 1, price)
    if when == _NEXT_OPEN or (when == _ON_CLOSE and not at_once):
        order["eligible_bar"] = state["bar"] + 1
        order["at_open"] = 1 if when == _NEXT_OPEN else 0


@kernel
def _decide(ledger: Ledger, book: RuleBook, bar: Bar, asset: int, first: int) -> bool:
    """Evaluate the rule in row `first` for a position and submit its exit; False when a user's rule failed (ledger, book: in-out)."""
    params, position = ledger.params[0], ledger.positions[asset]
    view = _view(params, position, bar, asset)
    if book.remembered[asset] != position["position_id"]:
        book.remembered[asset] = position["position_id"]
        for row in range(len(book.rules)):
            book.memory[asset, row] = nan
            book.inputs[asset, row] = nan
    simple = book.rules[first]["simple"] == 1
    if simple and _answer_simple(ledger, book, view, asset, first) <= 0.0:
        return True
    for offset in range(0 if simple else book.rules[first]["rows"]):
        row = first + book.rules[first]["rows"] - 1 - offset
        if book.rules[row]["kind"] == RuleKind.ANY or book.rules[row]["kind"] == RuleKind.ALL:
            _answer_group(book, row)
        elif not _answer_leaf(ledger, book, view, asset, row):
            return False
    if book.answers[first, 0] > 0.0:
        _submit(ledger, book, view, asset, first)
    return True


@kernel
def run_rules(ledger: Ledger, bar: Bar, book: RuleBook) -> int:
    """Evaluate the rules of all open positions in position order and go on to the first pass.

    ledger, book: in-out. bar: in. Returns OK; GROW_ORDERS before any change; HOST_FAILED when a user's rule failed. Resumes
    at the cursor.
    """
    state, params = ledger.state[0], ledger.params[0]
    if state["order_count"] + state["open_count"] > state["order_capacity"]:
        return StepStatus.GROW_ORDERS.value
    for place in range(state["cursor"], state["open_count"]):
        asset = ledger.open_list[place]
        if params["has_rules"] == 0 or asset < 0 or isnan(bar.close[asset]):
            continue
        position = ledger.positions[asset]
        first = position["rule_set"]
        if first == 0:
            first = ledger.contracts[asset]["rule_set"]
        if first == 0:
            first = state["rule_set"]
        if first == 0 or pending_exit(ledger, position) >= abs(position["quantity"]):
            continue
        state["cursor"] = place
        if not _decide(ledger, book, bar, asset, first - 1):
            return StepStatus.HOST_FAILED.value
    state["cursor"] = 0
    state["stage"] = Stage.FIRST_TOTALS
    return StepStatus.OK.value
