"""How much of a bar one order may take, and quantities rounded to lots."""

from __future__ import annotations

from math import ceil, floor, inf, isnan

from ._jit import call_function, kernel
from .codes import ParticipationKind
from .dtypes import Record

__all__ = ["participation_cap", "rounded_down", "rounded_up", "rounded_within"]

_LARGEST: float = 2.0**53  # above it every float is whole, and beyond 2**63 compiled code knows no whole number
_SLACK: float = 1e-9  # 0.3 / 0.1 is a hair below 3, and means 3


@kernel
def rounded_within(quantity: float, lot_size: float, slack: float) -> float:
    """Return a signed quantity rounded towards zero to whole lots.

    lot_size: 0 rounds nothing. slack: part of a lot by which a quantity may miss a lot and count as that lot.
    """
    if lot_size <= 0.0:
        return quantity
    lots = abs(quantity) / lot_size + slack
    if lots > _LARGEST:
        return quantity
    units = floor(lots) * lot_size
    return units if quantity > 0.0 else -units


@kernel
def rounded_down(quantity: float, lot_size: float) -> float:
    """Return a signed quantity rounded towards zero to whole lots (lot_size: 0 rounds nothing)."""
    return rounded_within(quantity, lot_size, _SLACK)


@kernel
def rounded_up(quantity: float, lot_size: float) -> float:
    """Return an unsigned quantity rounded up to whole lots (lot_size: 0 rounds nothing)."""
    if lot_size <= 0.0:
        return quantity
    return ceil(quantity / lot_size - _SLACK) * lot_size


@kernel
def participation_cap(cost: Record, asset: int, quantity: float, volume: float, price: float) -> float:
    """Return the most units that a turn may fill, unsigned, inf without a cap; NaN when a user's function failed.

    cost: record cost_dtype (in). asset: column. quantity: what is left, signed. volume: of the bar, NaN when unknown: no
    cap. price: base price.
    """
    kind = cost["participation_kind"]
    if kind == ParticipationKind.NONE:
        return inf
    if kind == ParticipationKind.FUNCTION:
        return call_function(cost["participation_function"], asset, abs(quantity), volume, price)
    if isnan(volume):
        return inf
    if volume < cost["participation_least_volume"]:
        return 0.0
    return volume * cost["participation"]  # type: ignore[no-any-return]
