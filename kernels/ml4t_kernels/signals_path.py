"""The account value on its way through a run: what its returns add up to, and its deepest fall, without keeping any of them.

Bars without a position have a return of 0 and are left out. Powers are added up as they are; where that loses digits (a spread that is
small beside the mean) the sums show it, and the host looks at the values themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from ._jit import kernel
from .dtypes import Record

__all__ = ["Path", "begun", "followed", "put_down", "setting_out"]

_NEARLY_ONE: float = 1.000000001  # more than rounding can be off


class Path(NamedTuple):
    """A run so far: account value, its peak and the lowest since then, deepest fall, sums of powers of returns, of negative ones apart."""

    value: float
    peak: float
    bottom: float
    deepest: float
    first: float
    second: float
    third: float
    fourth: float
    losses: int
    loss_first: float
    loss_second: float


@kernel
def setting_out(cash: float) -> Path:
    """Return the path before the first bar (cash: of the account)."""
    return Path(cash, cash, cash, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)


@kernel
def begun(path: Path, value: float) -> Path:
    """Return the path after the first bar, which has no return (path: in; value: of the account at its end)."""
    peak = max(value, path.peak)
    return Path(value, peak, value, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)


@kernel
def followed(path: Path, value: float) -> Path:
    """Return the path one bar on (path: in; value: of the account at its end).

    The quotient of the lowest value since the peak is the deepest one, so that it is taken at most once a peak. The rest has no
    branches: which way a return goes cannot be foretold.
    """
    before, peak, bottom, deepest = path.value, path.peak, path.bottom, path.deepest
    change = value / before - 1.0 if before > 0.0 else 0.0
    rises = value > peak
    if rises & (bottom < peak * (deepest + _NEARLY_ONE)):  # the fall since that peak may be the deepest
        deepest = min(deepest, bottom / peak - 1.0)
    bottom = value if rises | (value < bottom) else bottom
    peak = value if rises else peak
    square = change * change
    loss = change if change < 0.0 else 0.0
    return Path(
        value,
        peak,
        bottom,
        deepest,
        path.first + change,
        path.second + square,
        path.third + square * change,
        path.fourth + square * square,
        path.losses + (1 if change < 0.0 else 0),
        path.loss_first + loss,
        path.loss_second + loss * loss,
    )


@kernel
def put_down(path: Path, outcome: Record) -> None:
    """Write the sums of a finished path (path: in; outcome: out)."""
    outcome["final_value"] = path.value
    outcome["max_drawdown"] = min(path.deepest, path.bottom / path.peak - 1.0) if path.bottom < path.peak else path.deepest
    outcome["first"] = path.first
    outcome["second"] = path.second
    outcome["third"] = path.third
    outcome["fourth"] = path.fourth
    outcome["losses"] = path.losses
    outcome["loss_first"] = path.loss_first
    outcome["loss_second"] = path.loss_second
