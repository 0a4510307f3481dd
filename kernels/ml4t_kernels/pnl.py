"""Profit arithmetic with the contract multiplier."""

from __future__ import annotations

from ._jit import kernel
from .dtypes import NO_PRICE

__all__ = ["average", "excursion", "notional", "profit"]


@kernel
def notional(quantity: float, price: float, multiplier: float) -> float:
    """Return the signed value of a quantity at a price [money] (multiplier: money per point and unit)."""
    return quantity * price * multiplier


@kernel
def profit(entry_price: float, exit_price: float, quantity: float, multiplier: float) -> float:
    """Return the profit of a signed quantity from entry_price to exit_price before costs [money].

    multiplier: money per point and unit.
    """
    return (exit_price - entry_price) * quantity * multiplier


@kernel
def average(held: float, held_value: float, added: float, added_value: float) -> float:
    """Return the average of held_value and added_value weighted by the quantities held and added, which have the same sign."""
    return (held * held_value + added * added_value) / (held + added)


@kernel
def excursion(entry_price: float, price: float, quantity: float) -> float:
    """Return the move in favour of the position as a fraction of the entry price; NaN when the entry price is 0.

    entry_price, price: from and to. quantity: signed, only its sign counts.
    """
    if entry_price == 0.0:
        return NO_PRICE
    move = (price - entry_price) / abs(entry_price)
    return move if quantity > 0.0 else -move
