"""The account value on its way through a run: what its returns add up to, and its deepest fall, without keeping any of them.

Bars without a position have a return of 0 and are left out. Powers are added up as they are; where that loses digits (a spread that is
small beside the mean) the sums show it, and the host looks at the values themselves.
"""

from __future__ import annotations

from math import inf, isnan
from typing import NamedTuple

from ._jit import kernel
from .dtypes import FloatArray, Record
from .pnl import notional

__all__ = ["Path", "begun", "followed", "followed_along", "put_down", "setting_out"]

_STRETCH = 16  # bars


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
def _with_value(path: Path, value: float, peak: float, bottom: float, deepest: float) -> Path:
    """Return the path with another account value, peak, lowest value since then and deepest fall (all in)."""
    returns = path.first, path.second, path.third, path.fourth
    return Path(value, peak, bottom, deepest, *returns, path.losses, path.loss_first, path.loss_second)


@kernel
def _valued(path: Path, value: float) -> Path:
    """Return the path with another value, its peak and its falls (path: in; value: of the account at the end of the next bar).

    The quotient of the lowest value since the peak is the deepest one, so that it is taken at most once a peak.
    """
    peak, bottom, deepest = path.peak, path.bottom, path.deepest
    if value > peak:
        if bottom < peak:
            deepest = min(deepest, bottom / peak - 1.0)
        peak, bottom = value, value
    elif value < bottom:
        bottom = value
    return _with_value(path, value, peak, bottom, deepest)


@kernel
def _change(before: float, value: float) -> float:
    """Return the return from one value to the next, 0 after one that is not positive."""
    return value / before - 1.0 if before > 0.0 else 0.0


@kernel
def _returned(path: Path, change: float) -> Path:
    """Return the path with a return added up. It has no branches: which way a return goes cannot be foretold (path: in)."""
    square, loss = change * change, min(change, 0.0)
    return Path(
        path.value,
        path.peak,
        path.bottom,
        path.deepest,
        path.first + change,
        path.second + square,
        path.third + square * change,
        path.fourth + square * square,
        path.losses + (1 if change < 0.0 else 0),
        path.loss_first + loss,
        path.loss_second + loss * loss,
    )


@kernel
def followed(path: Path, value: float) -> Path:
    """Return the path one bar on (path: in; value: of the account at its end)."""
    return _valued(_returned(path, _change(path.value, value)), value)


@kernel
def followed_along(
    path: Path, closes: FloatArray, bar: int, until: int, cash: float, held: float, multiplier: float, price: float
) -> tuple[Path, float]:
    """Return the path over the bars from `bar` to before `until` of an unchanged position, and its last price.

    path, closes: in; NaN is no bar. cash: of the account. held: signed. multiplier: of the contract. price: of the position so far. The
    account value rises or falls with the price alone, so its extremes are at those of the prices: most stretches make no new peak, and
    need no look at their bars in order.
    """
    before = path.value
    while bar < until:
        stop, highest, lowest = min(bar + _STRETCH, until), -inf, inf
        for row in range(bar, stop):
            price = price if isnan(closes[row]) else closes[row]
            value = cash + notional(held, price - 0.0, multiplier)
            highest, lowest = max(highest, value), min(lowest, value)
            path = _returned(path, _change(before, value))
            before = value
        if highest <= path.peak:
            path = _with_value(path, before, path.peak, min(path.bottom, lowest), path.deepest)
            bar = stop
        while bar < stop:
            if not isnan(closes[bar]):
                path = _valued(path, cash + notional(held, closes[bar] - 0.0, multiplier))
            bar += 1
    return path, price


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
