"""Orders that one side refuses, or cuts, for want of money: what docs/differences.md says, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from validation.suite.ml4t_explain import Finding, Row, Scene, close_to, with_setting, without
from validation.suite.ml4t_predictions import bar_at

__all__ = ["refused_for_money"]

_CENT = 0.01
_LEAST = 1e-8  # units
# The setting without which a difference cannot arise.
_SETTINGS: dict[str, tuple[str, Any]] = {
    "settlement in accounts with leverage": ("settlement_delay", 0),
    "shorts with `credit_proceeds`": ("short_cash_policy", "credit"),
    "`buying_power_reservation` and exits": ("buying_power_reservation", False),
}
_INITIAL_MARGIN = 0.5


@dataclass(frozen=True)
class _Account:
    """An account as an order has its turn.

    free: cash less what is unsettled, locked by shorts and kept back. held: of the order's asset. marks: least and most that positions add to the
    money that may be bound, by the prices at which either side may count them.
    """

    cash: float
    unsettled: float
    free: float
    held: float
    marks: tuple[float, float]


def refused_for_money(scene: Scene) -> Finding | None:
    """Explain an order that only one side fills, or that both cut differently, by the accounts of both rule books."""
    if scene.bar is None:
        return None
    for label in scene.labels():
        there, here = scene.odd(label)
        if "." in label or len(there) > 1 or len(here) > 1:
            continue
        for find in (_piece, _unsettled_margin, _marks, _flip, _cut, _base_price, _proceeds, _reserved):
            subject = find(scene, label, there, here)
            if subject is not None:
                changed = with_setting(scene.job, *_SETTINGS[subject]) if subject in _SETTINGS else without(scene.job, label)
                return Finding(subject, changed)
    return None


def _refused(scene: Scene, label: str, *, there: bool) -> bool:
    orders = scene.orders_there if there else scene.orders_here
    return orders.get(label, ("",))[0] in ("rejected", "cancelled")


def _account(scene: Scene, rows: list[Row], fill: Row, *, flip: bool) -> _Account:
    """Return the account before a fill of one side, from its fills."""
    past = rows[: rows.index(fill)]
    cash = float(scene.job.settings["cash"]) - sum(row[2] * row[3] + row[4] for row in past)
    delay, bar = scene.native.get("settlement_delay", 0), scene.bar or 0
    held_back = [-(row[2] * row[3] + row[4]) for row in past if scene.number(row[0]) + delay > bar]
    unsettled = sum(amount for amount in held_back if amount > 0) if scene.native.get("settlement_reduces_buying_power", True) else 0.0
    positions: dict[str, float] = {}
    for row in past:
        positions[row[1]] = positions.get(row[1], 0.0) + row[2]
    least = most = 0.0
    for asset, quantity in positions.items():
        if abs(quantity) < 1e-9:
            continue
        if flip and asset == fill[1]:
            worth = [quantity * fill[3]]
        else:
            prices = {*_prices(scene, asset), *(row[3] for row in (*past, fill) if row[1] == asset and row[0] == fill[0])}
            worth = [quantity * price - _INITIAL_MARGIN * abs(quantity * price) for price in prices]
        least, most = least + min(worth), most + max(worth)
    buffer = 1.0 - scene.native.get("cash_buffer_pct", 0.0)
    locked = _shorted([row for row in past if not (flip and row[1] == fill[1])]) if _locks(scene) else 0.0
    spendable = cash - unsettled - locked
    return _Account(cash, unsettled, spendable * buffer if spendable > 0 else spendable, positions.get(fill[1], 0.0), (least, most))


def _prices(scene: Scene, asset: str) -> set[float]:
    """Return the prices at which a position may be counted: of this bar, or the last close."""
    found: set[float] = set()
    for number in range(scene.bar or 0, -1, -1):
        bar = bar_at(scene.job, asset, number)
        if bar is not None:
            if number == scene.bar:
                found |= {bar.open, bar.close, (bar.high + bar.low) / 2.0}
            else:
                return found | {bar.close}
    return found


def _fee(scene: Scene, quantity: float, price: float) -> float:
    told: dict[str, Any] = scene.job.settings.get("commission") or {"kind": "none"}
    if told["kind"] == "percentage":
        return abs(quantity * price) * float(told["rate"])
    if told["kind"] == "per_unit":
        return max(abs(quantity) * told["amount"], told.get("minimum", 0.0))
    return float(told.get("amount", 0.0))


def _wanted(scene: Scene, label: str, fill: Row) -> float:
    """Return the quantity that an order asked for: that of the instruction, or of the fill where it follows from a target."""
    told = scene.told[label]
    return told.quantity if told.verb in ("market", "limit", "stop", "stop_limit", "trailing_stop") else float(fill[2])


def _need(account: _Account, quantity: float, price: float) -> float:
    closing = min(abs(account.held), abs(quantity)) if account.held * quantity < 0 else 0.0
    return (abs(quantity) - closing) * price


def _is_flip(rows: list[Row], fill: Row, quantity: float) -> bool:
    held = sum(row[2] for row in rows[: rows.index(fill)] if row[1] == fill[1])
    return held * (held + quantity) < -1e-9


def _sides(scene: Scene, label: str, there: list[Row], here: list[Row]) -> tuple[list[Row], Row, float]:
    """Return the fills of the side that filled more, its fill, and the quantity that was asked for."""
    rows, fill = (scene.there, there[0]) if there and (not here or abs(there[0][2]) >= abs(here[0][2])) else (scene.here, here[0])
    return rows, fill, _wanted(scene, label, fill)


def _piece(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Under a volume limit 0.2.0 judges all that is left of an order, we the piece that may trade now."""
    if "volume_limit" not in scene.job.settings or there or not here or not _refused(scene, label, there=True):
        return None
    filled = sum(row[2] for row in scene.there if row[6] == label)
    rest = _wanted(scene, label, here[0]) - filled
    held = sum(row[2] for row in scene.here[: scene.here.index(here[0])] if row[1] == here[0][1])
    short = not scene.native.get("allow_short_selling") and held + rest < -1e-9
    account = _account(scene, scene.here, here[0], flip=False)
    poor = _need(account, rest, here[0][3]) > account.free - _fee(scene, rest, here[0][3])
    return "an order under a volume limit that the account cannot take whole" if short or poor else None


def _margin(scene: Scene) -> bool:
    return bool(scene.native.get("allow_leverage"))


def _unsettled_margin(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """0.2.0 holds unsettled proceeds back in accounts with leverage, too."""
    if not _margin(scene) or not here or (not there and not _refused(scene, label, there=True)):
        return None
    rows, fill, wanted = _sides(scene, label, there, here)
    account = _account(scene, rows, fill, flip=_is_flip(rows, fill, wanted))
    need, fee = _need(account, wanted, fill[3]), _fee(scene, wanted, fill[3])
    poor = (account.free - fee + account.marks[0]) / _INITIAL_MARGIN < need
    settled = account.cash * (1.0 - scene.native.get("cash_buffer_pct", 0.0)) if account.cash > 0 else account.cash
    taken = _need(account, here[0][2], fill[3])
    rich = (settled - _fee(scene, here[0][2], fill[3]) + account.marks[1]) / _INITIAL_MARGIN + _CENT >= taken
    return "settlement in accounts with leverage" if account.unsettled > 0 and poor and rich else None


def _marks(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Both count positions at prices of their own: 0.2.0 at its last mark, we at the pass price and this asset at the fill price."""
    if (
        not _margin(scene)
        or (not there and not _refused(scene, label, there=True))
        or (not here and not _refused(scene, label, there=False))
    ):
        return None
    rows, fill, wanted = _sides(scene, label, there, here)
    account = _account(scene, rows, fill, flip=_is_flip(rows, fill, wanted))
    taken = [abs(side[0][2]) if side else 0.0 for side in (there, here)]
    band = []
    for mark in account.marks:
        room = [quantity for quantity in _steps(scene, wanted) if _can(scene, account, quantity, fill, mark)]
        band.append(max(room, default=0.0))
    low, high = min(band), max(band)
    if not scene.native.get("partial_fills_allowed"):
        return "buying power" if low < abs(wanted) <= high else None
    return "buying power" if all(low - 1.0 <= size <= high for size in taken) and low < abs(wanted) else None


def _steps(scene: Scene, wanted: float) -> list[float]:
    return [float(size) for size in range(1, int(abs(wanted)) + 1)]


def _can(scene: Scene, account: _Account, size: float, fill: Row, mark: float) -> bool:
    quantity, price = (size if fill[2] > 0 else -size), fill[3]
    free = account.free - _fee(scene, quantity, price)
    if _margin(scene):
        return _need(account, quantity, price) <= (free + mark) / _INITIAL_MARGIN + _CENT
    if account.held * quantity < 0:
        if size <= abs(account.held):
            return True
        free += account.held * price  # the closing part comes first
    return _need(account, quantity, price) <= free + _CENT


def _flip(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Find flips: there one may spend the buffer and what is unsettled."""
    less = abs(here[0][2]) < abs(there[0][2]) if here and there else _refused(scene, label, there=False)
    if not there or not less or not _is_flip(scene.there, there[0], there[0][2]):
        return None
    account = _account(scene, scene.there, there[0], flip=True)
    quantity, price = there[0][2], there[0][3]
    closing = account.held * price if not _margin(scene) else account.marks[1]
    scale = _INITIAL_MARGIN if _margin(scene) else 1.0
    need, fee = _need(account, quantity, price), _fee(scene, quantity, price)
    rich = (account.cash + closing - fee) / scale + _CENT >= need
    poor = (account.free + (account.marks[0] if _margin(scene) else closing) - fee) / scale < need
    return "flips and cash that is kept back" if rich and poor and account.free < account.cash else None


def _cut(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Parts of units: there the most that can be paid with a cent too much, less what a cent buys; here what there is."""
    if _margin(scene) or not there or not scene.native.get("partial_fills_allowed") or not scene.job.settings.get("fractional"):
        return None
    if not here:  # there, even next to nothing trades
        return "orders cut to the money there is" if abs(there[0][2]) <= _LEAST and _refused(scene, label, there=False) else None
    fill, wanted = there[0], abs(_wanted(scene, label, there[0]))
    account = _account(scene, scene.there, fill, flip=False)
    low, high = 0.0, wanted
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _can(scene, account, middle, fill, 0.0) else (low, middle)
    cent = _CENT / fill[3]
    cut = close_to(abs(fill[2]), low - cent) and low < wanted
    return "orders cut to the money there is" if cut and low - cent <= abs(here[0][2]) + 1e-9 and abs(here[0][2]) <= low + 1e-9 else None


def _base_price(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Find short sales that are judged before slippage there, too, where they are dearer."""
    if there or not here or here[0][2] > 0 or not here[0][5] or _margin(scene) or not _refused(scene, label, there=True):
        return None
    account = _account(scene, scene.here, here[0], flip=False)
    need = [_need(account, here[0][2], price) + _fee(scene, here[0][2], price) for price in (here[0][3], here[0][3] + here[0][5])]
    return "cash" if need[0] <= account.free < need[1] - _CENT else None


def _proceeds(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Find shorts that are not asked for money there, as their proceeds may be spent (`credit_proceeds`)."""
    if not _locks(scene) or not there or here or not _refused(scene, label, there=False):
        return None
    account = _account(scene, scene.there, there[0], flip=False)
    quantity, price = there[0][2], there[0][3]
    if account.held + quantity > -1e-9:
        return None
    closing = account.held * price if account.held > 0 else 0.0
    poor = _need(account, quantity, price) > account.free + closing - _fee(scene, quantity, price)
    return "shorts with `credit_proceeds`" if poor else None


def _locks(scene: Scene) -> bool:
    """Tell whether what shorts were sold for is locked."""
    return scene.native.get("short_cash_policy") == "credit_proceeds" and not _margin(scene)


def _shorted(rows: list[Row]) -> float:
    """Return what the open shorts were sold for."""
    held: dict[str, tuple[float, float]] = {}
    for row in rows:
        quantity, price = held.get(row[1], (0.0, 0.0))
        after = quantity + row[2]
        if quantity * after <= 0:
            price = row[3]
        elif quantity * row[2] > 0:
            price = (quantity * price + row[2] * row[3]) / after
        held[row[1]] = (after, price)
    return sum(-quantity * price for quantity, price in held.values() if quantity < 0)


def _reserved(scene: Scene, label: str, there: list[Row], here: list[Row]) -> str | None:
    """Find orders that only what the bar's exits bring can pay: at submission, 0.2.0 counts that as money already."""
    if not scene.native.get("buying_power_reservation") or not there or here or not _refused(scene, label, there=False):
        return None
    time = scene.told[label].time
    past = [row for row in scene.there if row[0] <= time]
    held: dict[str, float] = {}
    for row in past:
        held[row[1]] = held.get(row[1], 0.0) + row[2]
    cash = float(scene.job.settings["cash"]) - sum(row[2] * row[3] + row[4] for row in past)
    shadows = [cash, cash]  # without and with what exits bring
    for told in (told for told in scene.job.script if told.time == time):
        bar, before = bar_at(scene.job, told.asset, scene.number(time)), held.get(told.asset, 0.0)
        quantity = -before if told.verb == "close" else told.quantity
        if bar is None or abs(quantity) < 1e-9:
            continue
        closing = min(abs(before), abs(quantity)) if before * quantity < 0 else 0.0
        need = (abs(quantity) - closing) * bar.close + _fee(scene, quantity, bar.close)
        brings = closing * bar.close * (1.0 if quantity < 0 else -1.0)
        if told.label == label:
            return "`buying_power_reservation` and exits" if shadows[0] < need <= shadows[1] + brings else None
        if scene.orders_there.get(told.label, ("rejected",))[0] != "rejected":
            held[told.asset] = before + quantity
            opens = abs(quantity) > closing
            shadows = [shadows[0] - (need if opens else 0.0), shadows[1] + brings - need]
    return None
