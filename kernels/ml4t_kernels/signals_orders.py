"""What an action of signals orders: the quantity, and whether it can only close."""

from __future__ import annotations

from math import inf, isnan

from ._jit import kernel
from .codes import SignalAction, SizeKind

__all__ = ["order_of"]


@kernel
def _units(size: float, kind: int, price: float, equity: float, pays_all: bool) -> float:  # noqa: FBT001
    """Return the unsigned quantity of an entry, inf for all that the account can pay; arguments as `order_of`."""
    if size == inf:
        # The gate cuts an order to what can be paid; twice the account value at the close pays for any open down to half of it.
        return inf if pays_all else 2.0 * max(equity, 0.0) / price
    if kind == SizeKind.VALUE:
        return size / price
    if kind == SizeKind.EQUITY:
        return size * max(equity, 0.0) / price
    if kind == SizeKind.PERCENT:
        return inf if size > 0.0 else 0.0
    return size


@kernel
def order_of(action: int, held: float, size: float, kind: int, price: float, equity: float, pays_all: bool) -> tuple[float, int]:  # noqa: FBT001
    """Return the signed quantity of an order, infinite for a part of what the account can pay, NaN for none, and 1 if it can only close.

    action: code SignalAction. held: signed. size, kind: of entries, code SizeKind. price: the close with the multiplier. equity: account
    value [money]. pays_all: whether the account knows orders for all that it can pay.
    """
    if action == SignalAction.CLOSE:
        return -held, 1
    side = 1.0 if action == SignalAction.BUY or (action != SignalAction.SELL and held < 0.0) else -1.0
    units = _units(size, kind, price, equity, pays_all)
    if action == SignalAction.REDUCE:
        return (-held if units == inf else side * units), 1
    if action == SignalAction.REVERSE:  # without a size it only closes
        return (-held if isnan(units) else side * units - held), 0
    return side * units, 0
