"""What an order needs, what the account has for it, and whether it may trade."""

from __future__ import annotations

from math import isnan

from ._jit import kernel
from .codes import OrderReason
from .dtypes import Record

__all__ = [
    "CASH_TOLERANCE",
    "DUST",
    "available_cash",
    "check_buying_power",
    "check_cash",
    "check_short",
    "free_margin",
    "initial_requirement",
    "locked_value",
    "maintenance_requirement",
    "opening_quantity",
]

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
def initial_requirement(contract: Record, quantity: float, price: float) -> float:
    """Return the initial margin of a quantity at a price [money] (contract: record contract_dtype, in)."""
    margin = contract["initial_margin"]
    if isnan(margin):
        return abs(quantity * price) * contract["multiplier"] * contract["initial_rate"]  # type: ignore[no-any-return]
    return abs(quantity) * margin  # type: ignore[no-any-return]


@kernel
def maintenance_requirement(contract: Record, quantity: float, price: float) -> float:
    """Return the maintenance margin of a signed quantity at a price [money] (contract: record contract_dtype, in)."""
    margin = contract["maintenance_margin"]
    if isnan(margin):
        rate = contract["long_rate"] if quantity > 0.0 else contract["short_rate"]
        return abs(quantity * price) * contract["multiplier"] * rate  # type: ignore[no-any-return]
    return abs(quantity) * margin  # type: ignore[no-any-return]


@kernel
def locked_value(position: Record, contract: Record) -> float:
    """Return what a short position counts for the short cash policy: its value at entry [money], 0 for a long.

    position, contract: records (in).
    """
    held = position["quantity"]
    if held >= 0.0:
        return 0.0
    return -held * position["entry_price"] * contract["multiplier"]  # type: ignore[no-any-return]


@kernel
def available_cash(params: Record, cash: float, short_value: float, unsettled: float) -> float:
    """Return the cash that may be spent [money].

    params: record params_dtype (in). cash, unsettled: money. short_value: of the short positions that lock cash.
    """
    free = cash - params["short_cash_policy"] * short_value
    if params["hold_unsettled"] == 1:
        free -= unsettled
    return free * (1.0 - params["cash_buffer"]) if free > 0.0 else free  # type: ignore[no-any-return]


@kernel
def check_short(held: float, quantity: float, opening: float, allow_short: bool) -> int:  # noqa: FBT001
    """Return a code OrderReason: whether the order would open, reach or add to a short that the account does not allow.

    held, quantity: signed. opening: unsigned opening part. allow_short: of the account.
    """
    if allow_short or opening <= 0.0 or held + quantity >= 0.0:
        return OrderReason.NONE.value
    return OrderReason.REVERSAL_NOT_ALLOWED.value if held > 0.0 else OrderReason.SHORT_NOT_ALLOWED.value


@kernel
def check_cash(
    held: float,
    quantity: float,
    price: float,
    multiplier: float,
    commission: float,
    cash: float,
    available: float,
    allow_short: bool,  # noqa: FBT001 - kernels take positional arguments only
) -> tuple[int, float, float]:
    """Judge an order against a cash account: what it opens is paid in full, costs included, out of available cash.

    held, quantity: signed. price: after slippage. commission, cash, available: money. multiplier: money per point and
    unit. allow_short: short positions allowed. Returns (code OrderReason, need, have); need and have are money.
    """
    opening = opening_quantity(held, quantity)
    if opening > 0.0:
        closing = abs(held) if held * quantity < 0.0 else 0.0
        if quantity > 0.0:
            have = available - closing * price * multiplier - commission
            need = opening * price * multiplier
        else:
            have = available - -closing * price * multiplier - commission
            need = abs(opening * price * multiplier)
        if need - have > CASH_TOLERANCE * abs(need):
            return OrderReason.INSUFFICIENT_CASH.value, need, have
        return OrderReason.NONE.value, need, have
    if not allow_short:
        have = cash - quantity * price * multiplier
        if have - commission < 0.0:
            return OrderReason.INSUFFICIENT_CASH.value, commission, have
    return OrderReason.NONE.value, 0.0, 0.0


@kernel
def check_buying_power(
    state: Record, position: Record, contract: Record, quantity: float, price: float, commission: float, withheld: float, basis: int
) -> tuple[int, float, float]:
    """Judge an order against a leveraged account: the account value has to cover the requirements of what is held and opened.

    state, position, contract: records (in). quantity: signed. price: after slippage. commission: money. withheld: cash
    that may not be spent [money]. basis: 1 counts maintenance requirements of what is held, 0 initial ones. Returns (code
    OrderReason, need, have) [money].
    """
    held = position["quantity"]
    opening = opening_quantity(held, quantity)
    if opening <= 0.0:
        return OrderReason.NONE.value, 0.0, 0.0
    mark, paid, multiplier = position["current_price"], position["basis"], contract["multiplier"]
    kept = 0.0 if held * quantity < 0.0 else held
    value = state["equity"] - held * (mark - paid) * multiplier + held * (price - paid) * multiplier
    if basis == 1:
        others = state["maintenance_requirement"] - maintenance_requirement(contract, held, mark)
        own = maintenance_requirement(contract, kept, price)
    else:
        others = state["initial_requirement"] - initial_requirement(contract, held, mark)
        own = initial_requirement(contract, kept, price)
    have = value - commission - withheld - others - own
    need = initial_requirement(contract, opening, price)
    if need - have > CASH_TOLERANCE * abs(need):
        return OrderReason.INSUFFICIENT_BUYING_POWER.value, need, have
    return OrderReason.NONE.value, need, have


@kernel
def free_margin(state: Record, position: Record, contract: Record, quantity: float, price: float, commission: float) -> float:
    """Return what a future's fill would leave of the settled cash above the initial requirements of all positions [money].

    state, position, contract: records (in). quantity: signed. price: after slippage. commission: money. The part that it closes
    settles at the price; what is held on does not.
    """
    held, mark = position["quantity"], position["current_price"]
    paid = held * (price - position["basis"]) * contract["multiplier"] if held * quantity < 0.0 else 0.0
    others = state["initial_requirement"] - initial_requirement(contract, held, mark)
    cash = state["cash"] + paid - commission
    return cash - others - initial_requirement(contract, held + quantity, price)  # type: ignore[no-any-return]
