"""Commission of one fill."""

from __future__ import annotations

from ._jit import kernel
from .codes import CommissionKind
from .dtypes import Record

__all__ = ["commission"]


@kernel
def commission(params: Record, quantity: float, price: float, multiplier: float) -> float:
    """Return the commission of a fill [money].

    params: record params_dtype (in). quantity: signed. price: after slippage. multiplier: money per point and unit.
    Percentages are of the notional including the multiplier; the per-share minimum holds for each fill.
    """
    kind = params["commission_kind"]
    if kind == CommissionKind.PERCENTAGE:
        return abs(quantity * price) * multiplier * params["commission_rate"]  # type: ignore[no-any-return]
    if kind == CommissionKind.PER_SHARE:
        cost = abs(quantity) * params["commission_per_share"]
        minimum = params["commission_minimum"]
        return minimum if cost < minimum else cost  # type: ignore[no-any-return]
    return 0.0
