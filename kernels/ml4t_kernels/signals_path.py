"""The account value on its way through a run: what its returns add up to, and its deepest fall, without keeping any of them.

Returns are shifted by the first one before they are added up: a spread that is small beside the mean then keeps its digits.
"""

from __future__ import annotations

from typing import NamedTuple

from ._jit import kernel
from .dtypes import Record

__all__ = ["Path", "begun", "followed", "put_down", "setting_out"]


class Path(NamedTuple):
    """Sums of a run so far: account value now, highest and the lowest since then, deepest fall, shifted powers of returns."""

    value: float
    peak: float
    trough: float
    deepest: float
    moves: int
    shift: float
    first: float
    second: float
    third: float
    fourth: float
    losses: int
    loss_shift: float
    loss_first: float
    loss_second: float


@kernel
def setting_out(cash: float) -> Path:
    """Return the path before the first bar (cash: of the account)."""
    return Path(cash, cash, cash, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0)


@kernel
def begun(path: Path, value: float) -> Path:
    """Return the path after the first bar, which has no return (path: in; value: of the account at its end)."""
    peak = max(value, path.peak)
    return Path(value, peak, value, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0)


@kernel
def followed(path: Path, value: float) -> Path:
    """Return the path one bar on (path: in; value: of the account at its end).

    The quotient of the lowest value since the peak is the deepest one, so that it is taken once a peak.
    """
    before, peak, trough, deepest = path.value, path.peak, path.trough, path.deepest
    change = value / before - 1.0 if before > 0.0 else 0.0
    if value > peak:
        if trough < peak:
            deepest = min(deepest, trough / peak - 1.0)
        peak = value
        trough = value
    elif value < trough:
        trough = value
    shift = change if path.moves == 0 else path.shift
    moved = change - shift
    square = moved * moved
    lost, loss_shift, loss = path.losses, path.loss_shift, 0.0
    if change < 0.0:
        if lost == 0:
            loss_shift = change
        lost += 1
        loss = change - loss_shift
    return Path(
        value,
        peak,
        trough,
        deepest,
        path.moves + 1,
        shift,
        path.first + moved,
        path.second + square,
        path.third + square * moved,
        path.fourth + square * square,
        lost,
        loss_shift,
        path.loss_first + loss,
        path.loss_second + loss * loss,
    )


@kernel
def put_down(path: Path, outcome: Record) -> None:
    """Write the sums of a finished path (path: in; outcome: out)."""
    outcome["final_value"] = path.value
    outcome["max_drawdown"] = min(path.deepest, path.trough / path.peak - 1.0) if path.trough < path.peak else path.deepest
    outcome["moves"] = path.moves
    outcome["shift"] = path.shift
    outcome["first"] = path.first
    outcome["second"] = path.second
    outcome["third"] = path.third
    outcome["fourth"] = path.fourth
    outcome["losses"] = path.losses
    outcome["loss_shift"] = path.loss_shift
    outcome["loss_first"] = path.loss_first
    outcome["loss_second"] = path.loss_second
