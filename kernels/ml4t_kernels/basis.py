"""The cost basis of positions, kept where splits are settled at it: the average price with all commissions spread over the units."""

from __future__ import annotations

from math import floor, isnan

from ._jit import kernel
from .codes import OrderReason, OrderStatus
from .dtypes import Record
from .ledger import Ledger
from .orders import end, remaining_quantity
from .participation import rounded_within
from .pnl import average

__all__ = ["add_commission", "in_cents", "move_basis", "split_order_in_cents"]

_HALVES: float = 200.0  # half cents in one
_SPLITTER: float = 134217729.0  # 2**27 + 1: cuts a double into two halves of which products are exact


@kernel
def in_cents(value: float) -> float:
    """Return a number rounded to two decimals as its exact binary value says, ties to the even cent; NaN stays NaN.

    value: price or money. Between two cents only a value that is the double nearest to the middle needs more than a comparison: its
    distance from the true middle is worked out exactly.
    """
    size = abs(value)
    if isnan(value) or size >= 1e13:  # noqa: PLR2004 - so large that a double has no cents
        return value
    cents = float(floor(size * 100.0))
    if cents / 100.0 > size:
        cents -= 1.0
    middle = (2.0 * cents + 1.0) / _HALVES
    if size == middle:
        big = _SPLITTER * middle
        high = big - (big - middle)
        beyond = (high * _HALVES - (2.0 * cents + 1.0)) + (middle - high) * _HALVES
        up = beyond > 0.0 or (beyond == 0.0 and cents % 2.0 == 1.0)
    else:
        up = size > middle
    rounded = (cents + 1.0 if up else cents) / 100.0
    return rounded if value > 0.0 else -rounded


@kernel
def add_commission(position: Record) -> None:
    """Spread what was paid on the last bar over the units that were left after it (position: in-out)."""
    if position["quantity"] != 0.0:
        position["cost_basis"] += position["basis_commission"] / (position["quantity"] * position["multiplier"])
    position["basis_commission"] = 0.0
    position["basis_bar"] = 0


@kernel
def move_basis(position: Record, held: float, quantity: float, price: float, cost: float, number: int) -> None:
    """Move the cost basis of a position by a fill; the commissions of a bar count after all of its fills.

    position: in-out. held: before the fill, signed. quantity: signed. price: of the fill. cost: commission [money]. number: of the bar.
    """
    position["basis_commission"] += cost
    position["basis_bar"] = number + 1
    if position["quantity"] == 0.0:
        position["cost_basis"] = 0.0
    elif held * quantity > 0.0:
        position["cost_basis"] = average(held, position["cost_basis"], quantity, price)
    elif abs(quantity) > abs(held):
        position["cost_basis"] = price


@kernel
def split_order_in_cents(ledger: Ledger, order: Record, lot: float, ratio: float) -> None:
    """Convert a pending order at cost: what is left and what has filled are cut to whole lots apart, prices are rounded to cents.

    ledger, order: in-out. lot: size of a lot, 0 for any. ratio: new units for one old.
    """
    factor = 1.0 / ratio
    left = rounded_within(remaining_quantity(order) / factor, lot, 0.0)
    order["filled_quantity"] = rounded_within(order["filled_quantity"] / factor, lot, 0.0)
    order["released_quantity"] = rounded_within(order["released_quantity"] / factor, lot, 0.0)
    order["quantity"] = order["filled_quantity"] + order["released_quantity"] + left
    order["displayed_quantity"] /= factor
    order["limit_price"] = in_cents(order["limit_price"] * factor)
    order["stop_price"] = in_cents(order["stop_price"] * factor)
    order["filled_price"] *= factor
    order["trail_amount"] *= factor
    order["signal_price"] *= factor
    if left == 0.0:
        end(ledger, order, OrderStatus.CANCELLED, OrderReason.ROUNDS_TO_ZERO, ledger.params[0])
