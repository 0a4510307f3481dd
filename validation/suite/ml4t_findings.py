"""The documented differences from 0.2.0, each with what it predicts; see `ml4t_explain`."""

from __future__ import annotations

from dataclasses import replace

from validation.runners.exchange import Instruction
from validation.suite.ml4t_explain import Explanation, Finding, Row, Scene, base_of, close_to, with_setting, without
from validation.suite.ml4t_money import refused_for_money
from validation.suite.ml4t_predictions import bar_at, held_before, reach

__all__ = ["EXPLANATIONS"]

_RESTING = {
    "limit": "limit orders and slippage",
    "stop": "stop orders submitted in SAME_BAR mode that the market is already beyond",
    "stop_limit": "STOP_LIMIT",
    "trailing_stop": "trailing stop orders",
}
_LEGS = "bracket legs"
_GONE = "reduce-only orders whose position is gone"
_TWO = "two exits for one position"


def resting_orders(scene: Scene) -> Finding | None:
    """Explain stop, stop-limit, trailing stop and limit orders by what both rule books say of them."""
    if scene.bar is None:
        return _idle_trails(scene)
    for label in scene.labels():
        told = scene.told.get(label)
        if told is None or told.verb not in _RESTING:
            continue
        expected = [reach(scene.job, told, scene.bar, there=there) for there in (True, False)]
        if expected[0] == expected[1]:
            continue
        pairs = list(zip(expected, scene.odd(label), strict=True))
        if all(
            not rows if point is None or point.bar != scene.bar else [close_to(base_of(row), point.price) for row in rows] == [True]
            for point, rows in pairs
        ):
            return Finding(_RESTING[told.verb], without(scene.job, label))
    return None


def _idle_trails(scene: Scene) -> Finding | None:
    """Explain trailing stops that were reached there, and refused, and never reached here."""
    last = len(scene.job.market.times) - 1
    for label, (status, _) in scene.orders_here.items():
        told = scene.told.get(label)
        if told is None or told.verb != "trailing_stop" or status != "open" or scene.orders_there.get(label, ("",))[0] != "rejected":
            continue
        if reach(scene.job, told, last, there=True) is not None and reach(scene.job, told, last, there=False) is None:
            return Finding(_RESTING["trailing_stop"], without(scene.job, label))
    return None


def flips(scene: Scene) -> Finding | None:
    """Explain orders that 0.2.0 cancelled because another order flipped the position of their asset."""
    if scene.bar is None:
        labels = [label for label, state in scene.orders_here.items() if scene.orders_there.get(label) != state]
        last = len(scene.job.market.times) - 1
    else:
        labels, last = scene.labels(), scene.bar
    for label in labels:
        told = scene.instruction(label)
        if told is None or scene.orders_there.get(label, ("",))[0] != "cancelled":
            continue
        if any(told.time <= time <= scene.job.market.times[last] for time in _flips_of(scene.there, told.asset, label)):
            return Finding("an order that flips a position", without(scene.job, label))
    return None


def _flips_of(rows: list[Row], asset: str, but: str) -> list[int]:
    """Return the times at which an order, other than one, flipped the position of an asset."""
    held, times = 0.0, []
    for row in rows:
        if row[1] == asset:
            if held * (held + row[2]) < -1e-9 and row[6] != but:
                times.append(row[0])
            held += row[2]
    return times


def blocked(scene: Scene) -> Finding | None:
    """Explain orders on the bar on which a rule closed the position: nothing there, a rejected order here."""
    if scene.bar is not None:
        return None
    for label, (status, _) in scene.orders_here.items():
        told = scene.told.get(label)
        if told is None or label in scene.orders_there or status != "rejected":
            continue
        if all(any(row[:2] == (told.time, told.asset) and row[6] is None for row in rows) for rows in (scene.there, scene.here)):
            return Finding("order on the bar on which a rule closed the position", without(scene.job, label))
    return None


def trailing_gap(scene: Scene) -> Finding | None:
    """Explain a trailing rule with `intrabar` timing on a bar that opens between the old level and the one it raises."""
    pct = scene.job.settings.get("rules", {}).get("trailing_stop")
    if scene.bar is None or pct is None or scene.native.get("trail_stop_timing") != "intrabar":
        return None
    for row in (row for row in scene.odd_there if row[6] is None):
        held = held_before(scene.job, scene.there, row[1], scene.bar)
        bar = bar_at(scene.job, row[1], scene.bar)
        if held is None or bar is None:
            continue
        side = 1.0 if held.quantity > 0 else -1.0
        old = (held.high if side > 0 else held.low) * (1.0 - side * pct)
        raised = (max(held.high, bar.high) if side > 0 else min(held.low, bar.low)) * (1.0 - side * pct)
        if side * old < side * bar.open < side * raised and close_to(base_of(row), bar.open * (1.0 - side * _stop_rate(scene))):
            return Finding("gap of a trailing rule with `intrabar` timing", with_setting(scene.job, "trail_stop_timing", "lagged"))
    return None


def _stop_rate(scene: Scene) -> float:
    return float(scene.native.get("stop_slippage_rate", 0.0))


def deferred_slippage(scene: Scene) -> Finding | None:
    """Explain `stop_slippage_rate`, which 0.2.0 takes off exits that were deferred to the next open, too."""
    rate = _stop_rate(scene)
    if scene.bar is None or not rate or scene.native.get("stop_fill_mode") != "next_bar_open":
        return None
    for row in (row for row in scene.odd_there if row[6] is None):
        bar = bar_at(scene.job, row[1], scene.bar)
        ours = [other for other in scene.odd_here if other[1] == row[1] and other[6] is None]
        if bar is None or len(ours) != 1:
            continue
        worse = bar.open * (1.0 - rate if row[2] < 0 else 1.0 + rate)
        if close_to(base_of(row), worse) and close_to(base_of(ours[0]), bar.open):
            return Finding("`stop_slippage_rate` and exits deferred to the next bar", with_setting(scene.job, "stop_slippage_rate", 0.0))
    return None


def competing_exits(scene: Scene) -> Finding | None:
    """Explain the exit of a rule that takes more than is left, because an order of the strategy took some of it first."""
    if scene.bar is None or "rules" not in scene.job.settings:
        return None
    deferred = scene.native.get("stop_fill_mode") == "next_bar_open"
    for row in (row for row in scene.odd_there if row[6] is None):
        before = scene.bar
        if deferred:
            before = next(number for number in range(scene.bar - 1, -1, -1) if bar_at(scene.job, row[1], number) is not None)
        since = int(scene.job.market.times[before])
        others = [
            one for one in scene.there if one[1] == row[1] and since <= one[0] <= row[0] and one[6] is not None and one[2] * row[2] > 0
        ]
        left = -scene.held(scene.there, row[1], before) - sum(one[2] for one in others)
        ours = sum(one[2] for one in scene.odd_here if one[1] == row[1] and one[6] is None)
        if others and close_to(row[2], -scene.held(scene.there, row[1], before)) and close_to(ours, left if left * row[2] > 0 else 0.0):
            subject = "exits of rules that are deferred" if deferred else _TWO
            return Finding(subject, without(scene.job, *(one[6] for one in others)))
    return None


def bracket_legs(scene: Scene) -> Finding | None:
    """Explain legs of brackets that are live before their entry, that look at the entry's own bar, or that compete."""
    if scene.bar is None:
        return _idle_legs(scene)
    for label in (label for label in scene.labels() if "." in label):
        told = scene.instruction(label)
        if told is None:
            continue
        entry, leg = label.split(".")
        there, here = scene.odd(label)
        if _before_entry(scene, told, entry, leg) or _on_entry_bar(scene, told, label) or _both_touched(scene, told, entry):
            return Finding(_LEGS, without(scene.job, label))
        if there and not here and not _reduces(scene.there, there[0]):
            return Finding(_GONE, without(scene.job, label))
        if here and _cut_to_position(scene, label, there, here):
            return Finding(_TWO, without(scene.job, label))
    return None


def _idle_legs(scene: Scene) -> Finding | None:
    for label, (status, filled) in scene.orders_here.items():
        other = scene.orders_there.get(label)
        if (
            "." in label
            and other is not None
            and status in ("cancelled", "open")
            and other[0] in ("open", "rejected")
            and filled == other[1] == 0.0
        ):
            return Finding(_LEGS, without(scene.job, label))
    return None


def _place(rows: list[Row], label: str) -> int:
    """Return the place of an order's first fill among all, after all when it has none."""
    return next((place for place, row in enumerate(rows) if row[6] == label), len(rows))


def _before_entry(scene: Scene, told: Instruction, entry: str, leg: str) -> bool:
    """Tell whether the market reached a leg there before its entry was filled: it then traded, or was refused for good."""
    label = f"{entry}.{leg}"
    filled = _place(scene.there, entry)
    if label in {row[6] for row in scene.odd_there}:
        return _place(scene.there, label) < filled
    if scene.orders_there.get(label, ("",))[0] != "rejected":
        return False
    first = scene.number(told.time) + (0 if scene.same_bar else 1)
    last = scene.number(scene.there[filled][0]) if filled < len(scene.there) else scene.bar
    return any(_touches(scene, told, leg, number) for number in range(first, (last or 0) + 1))


def _touches(scene: Scene, told: Instruction, leg: str, number: int) -> bool:
    bar = bar_at(scene.job, told.asset, number)
    if bar is None:
        return False
    up = (leg == "target") == (told.quantity > 0)
    price = told.take_profit if leg == "target" else told.stop_loss
    return bar.high >= price if up else bar.low <= price


def _on_entry_bar(scene: Scene, told: Instruction, label: str) -> bool:
    """Tell whether a leg was reached on the bar of its entry: there as if it had been there at the open."""
    entry, leg = label.split(".")
    bar = bar_at(scene.job, told.asset, scene.bar or 0)
    if bar is None or any(row[0] != int(scene.job.market.times[scene.bar or 0]) for row in scene.there if row[6] == entry):
        return False
    there, here = scene.odd(label)
    side = 1.0 if told.quantity > 0 else -1.0
    expected, own = told.take_profit, None
    if leg == "stop":
        expected = bar.open if side * bar.open <= side * told.stop_loss else told.stop_loss
        own = bar.close if side * bar.close <= side * told.stop_loss else told.stop_loss
    as_told = bool(there) and close_to(base_of(there[0]), expected)
    if scene.job.settings.get("config", {}).get("child_activation") == "after_open":
        return as_told and not here
    return as_told and bool(here) and own is not None and close_to(base_of(here[0]), own) and expected != own


def _both_touched(scene: Scene, told: Instruction, entry: str) -> bool:
    """Tell whether one bar reached both legs, and the target went first there, the stop here."""
    if scene.job.settings.get("config", {}).get("bracket_priority") != "stop_first" or scene.bar is None:
        return False
    sides = [{row[6] for row in rows} for rows in (scene.odd_there, scene.odd_here)]
    return (
        f"{entry}.target" in sides[0]
        and f"{entry}.stop" in sides[1]
        and all(_touches(scene, told, leg, scene.bar) for leg in ("target", "stop"))
    )


def _cut_to_position(scene: Scene, label: str, there: list[Row], here: list[Row]) -> bool:
    """Tell whether an exit took what was left here, and there more than that, or was refused for wanting more."""
    taken, held = abs(here[0][2]), abs(sum(row[2] for row in scene.here[: scene.here.index(here[0])] if row[1] == here[0][1]))
    if there:
        return close_to(taken, held) and abs(there[0][2]) > taken + 1e-9 and not _reduces(scene.there, there[0])
    told = scene.instruction(label)
    ordered = 0.0 if told is None else abs(told.quantity)
    return close_to(taken, held) and ordered > taken + 1e-9 and scene.orders_there.get(label, ("",))[0] == "rejected"


def _reduces(rows: list[Row], fill: Row) -> bool:
    """Tell whether a fill only reduced what was held."""
    held = sum(row[2] for row in rows[: rows.index(fill)] if row[1] == fill[1])
    return held * fill[2] < 0 and abs(fill[2]) <= abs(held) + 1e-9


def reduce_only(scene: Scene) -> Finding | None:
    """Explain exits that are reduce-only here: there, they open the other side, or are refused for wanting to."""
    if not scene.job.settings.get("config", {}).get("reduce_only"):
        return None
    if scene.bar is None:
        for label, (status, _) in scene.orders_here.items():
            other = scene.orders_there.get(label)
            if other is not None and status == "cancelled" and other[0] in ("rejected", "open", "filled"):
                return Finding(_exit_subject(scene, label, len(scene.job.market.times) - 1), without(scene.job, label))
        return None
    for label in (label for label in scene.labels() if "." not in label):
        there, here = scene.odd(label)
        taken = sum(row[2] for row in here)
        if there and not _reduces(scene.there, there[0]) and abs(taken) < abs(there[0][2]):
            return Finding(_exit_subject(scene, label, scene.bar), without(scene.job, label))
        if here and _cut_to_position(scene, label, there, here):
            return Finding(_TWO, without(scene.job, label))
    return None


def _exit_subject(scene: Scene, label: str, last: int) -> str:
    """Return which entry it is: the position of the order went away on an earlier bar, or on this one."""
    told = scene.told[label]
    held = [scene.held(scene.here, told.asset, number) for number in range(scene.number(told.time) + 1, last + 1)]
    return _GONE if any(abs(quantity) < 1e-9 for quantity in held) else _TWO


def fee_per_fill(scene: Scene) -> Finding | None:
    """Explain the minimum commission of `per_share`, which counts every fill there and the order here."""
    told = scene.job.settings.get("commission") or {}
    if scene.native.get("commission_type") != "per_share":
        return None
    for row in scene.odd_there:
        fee = max(abs(row[2]) * told["amount"], told["minimum"])
        ours = [other for other in scene.odd_here if other[:4] == row[:4] and other[6] == row[6]]
        if close_to(row[4], fee) and ours and ours[0][4] < fee:
            return Finding("commission minimum", with_setting(scene.job, "commission_type", None))
    return None


def rest_of_exit(scene: Scene) -> Finding | None:
    """Explain what is left of a rule's exit under a volume limit: at the old price there, at the pass price here."""
    if scene.bar is None or "rules" not in scene.job.settings or "volume_limit" not in scene.job.settings:
        return None
    for row in (row for row in scene.odd_there if row[6] is None):
        earlier = [one for one in scene.there if one[1] == row[1] and one[6] is None and one[0] < row[0] and one[2] * row[2] > 0]
        if earlier and close_to(base_of(earlier[-1]), base_of(row)):
            settings = {key: value for key, value in scene.job.settings.items() if key != "volume_limit"}
            return Finding("remainder of a rule's exit under a volume limit", replace(scene.job, settings=settings))
    return None


def rest_of_stop(scene: Scene) -> Finding | None:
    """Explain what is left of a stop order under a volume limit: a market order there, reached again or not here."""
    if scene.bar is None or "volume_limit" not in scene.job.settings:
        return None
    name = "execution_price" if scene.same_bar else "next_bar_execution_price"
    for label in scene.labels():
        told, (there, here) = scene.told.get(label), scene.odd(label)
        bar = None if told is None else bar_at(scene.job, told.asset, scene.bar)
        if told is None or bar is None or told.verb != "stop" or len(there) != 1:
            continue
        at = {"open": bar.open, "close": bar.close, "mid": (bar.high + bar.low) / 2.0}[scene.native.get(name, "open")]
        up = told.quantity > 0
        reached = (bar.high >= told.stop_price) if up else (bar.low <= told.stop_price)
        price = max(bar.open, told.stop_price) if up else min(bar.open, told.stop_price)
        begun = all(any(row[6] == label and row[0] < there[0][0] for row in rows) for rows in (scene.there, scene.here))
        as_told = [close_to(base_of(row), price) for row in here] == ([True] if reached else [])
        if begun and close_to(base_of(there[0]), at) and as_told:
            return Finding("what is left of a stop order under a volume limit", without(scene.job, label))
    return None


EXPLANATIONS: tuple[Explanation, ...] = (
    resting_orders,
    bracket_legs,
    flips,
    trailing_gap,
    deferred_slippage,
    competing_exits,
    fee_per_fill,
    rest_of_exit,
    rest_of_stop,
    refused_for_money,
    reduce_only,
    blocked,
)
