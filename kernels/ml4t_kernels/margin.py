"""What an order needs, what the account has for it, and whether it may trade."""

from __future__ import annotations

from ._jit import kernel
from .codes import OrderReason

__all__ = ["CASH_TOLERANCE", "DUST", "check_cash", "opening_quantity"]

# An all-in order of cash / price units costs cash give or take a rounding of the last bit; a strict comparison would
# refuse every other one. A ten-billionth of the order's own cost is far above rounding and far below money.
CASH_TOLERANCE: float = 1e-10

# A position that a fill leaves at less than this part of itself is flat: only rounding of the quantities does that
# (0.1 + 0.2 sold out of 0.3).
DUST: float = 1e-12


@kernel
def opening_quantity(held: float, quantity: float) -> float:
    """Return the unsigned part of `quantity` that opens or adds; the rest reduces what is `held`. Both are signed.

    What misses the position by rounding only closes it and opens nothing.
    """
    if held * quantity >= 0.0:
        return abs(quantity)
    if abs(held + quantity) <= DUST * abs(held):
        return 0.0
    return max(abs(quantity) - abs(held), 0.0)


@kernel
def check_cash(
    held: float,
    quantity: float,
    price: float,
    multiplier: float,
    commission: float,
    cash: float,
    allow_short: bool,  # noqa: FBT001 - kernels take positional arguments only
) -> tuple[int, float, float]:
    """Judge an order against a cash account: what it opens is paid in full, costs included, out of cash.

    held, quantity: signed. price: after slippage. commission, cash: money. multiplier: money per point and unit.
    allow_short: short positions allowed. Returns (code OrderReason, need, have); need and have are money and meaningful
    for INSUFFICIENT_CASH.
    """
    opening = opening_quantity(held, quantity)
    new = held + quantity
    if opening > 0.0:
        if new < 0.0 and not allow_short:
            if held > 0.0:
                return OrderReason.REVERSAL_NOT_ALLOWED.value, 0.0, 0.0
            return OrderReason.SHORT_NOT_ALLOWED.value, 0.0, 0.0
        closing = abs(held) if held * quantity < 0.0 else 0.0
        if quantity > 0.0:
            have = cash - closing * price * multiplier - commission
            need = opening * price * multiplier
        else:
            have = cash - -closing * price * multiplier - commission
            need = abs(opening * price * multiplier)
        if need - have > CASH_TOLERANCE * abs(need):
            return OrderReason.INSUFFICIENT_CASH.value, need, have
    elif not allow_short:
        have = cash - quantity * price * multiplier
        if have - commission < 0.0:
            return OrderReason.INSUFFICIENT_CASH.value, commission, have
    return OrderReason.NONE.value, 0.0, 0.0
