"""Market impact: how far an order's own size moves the price, before slippage."""

from __future__ import annotations

from math import sqrt

from ._jit import call_function, kernel
from .codes import ImpactKind
from .dtypes import Record

__all__ = ["impact"]


@kernel
def impact(cost: Record, quantity: float, price: float, volume: float) -> float:
    """Return the impact per unit, >= 0; NaN when a user's function failed.

    cost: record cost_dtype (in). quantity: signed. price: base price. volume: of the bar; NaN or 0 gives the least impact.
    """
    kind = cost["impact_kind"]
    if kind == ImpactKind.NONE:
        return 0.0
    if kind == ImpactKind.FUNCTION:
        side = 1 if quantity > 0.0 else -1
        return abs(call_function(cost["impact_function"], side, abs(quantity), price, volume))
    least: float = cost["impact_minimum"]
    if not volume > 0.0:
        return least
    if kind == ImpactKind.LINEAR:
        return cost["impact_coefficient"] * (abs(quantity) / volume) * abs(price)  # type: ignore[no-any-return]
    if kind == ImpactKind.SQUARE_ROOT:
        root = sqrt(abs(quantity) / (volume * cost["impact_volume_factor"]))
        return cost["impact_coefficient"] * cost["impact_volatility"] * root * abs(price)  # type: ignore[no-any-return]
    moved = cost["impact_coefficient"] * (abs(quantity) / volume) ** cost["impact_exponent"] * abs(price)
    return least if moved < least else moved
