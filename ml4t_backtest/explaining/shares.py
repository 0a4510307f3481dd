"""The commissions of one trade apart: what was paid at the entry and what at the exit, by playing the fills of its asset once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ml4t_backtest.result import BacktestResult
    from ml4t_kernels.dtypes import Records

__all__ = ["Played", "play"]

_DUST = 1e-9


@dataclass(frozen=True)
class Played:
    """The fills of a trade: those that built the position, the one that made the trade, and the commissions that it bears [money].

    whole: whether the fills explain the position, which they do not where a split changed quantities.
    """

    entries: tuple[Any, ...]
    exit: Any | None
    entry_commission: float
    exit_commission: float
    whole: bool


def play(result: BacktestResult, row: Any) -> Played:
    """Return the fills and commissions of a trade. row: its record."""
    fills = _of_asset(result._fills, row)
    entries: list[Any] = []
    held, paid, whole = 0.0, 0.0, True
    for fill in fills:
        quantity, after = float(fill["quantity"]), float(fill["position"])
        commission = float(fill["commission"])
        if abs(held + quantity - after) > _DUST * max(abs(held), abs(quantity)):
            held, whole = after - quantity, False
        closes = held * quantity < 0.0
        if closes and _is_exit(fill, row):
            share, own = _shares(held, after, quantity, paid, commission)
            return Played(tuple(entries), fill, share, own, whole)
        if held == 0.0:
            entries, paid, whole = [fill], commission, True
        elif not closes:
            entries.append(fill)
            paid += commission
        elif after == 0.0:
            entries, paid = [], 0.0
        elif after * held > 0.0:
            paid -= paid * (abs(quantity) / abs(held))
        else:
            entries, paid, whole = [fill], commission - commission * (abs(held) / abs(quantity)), True
        held = after
    return Played(tuple(entries), None, float(row["commission"]), 0.0, whole)


def _of_asset(fills: Records, row: Any) -> Records:
    chosen: Records = fills[(fills["asset"] == row["asset"]) & (fills["timestamp"] <= row["exit_time"])]
    return chosen


def _is_exit(fill: Any, row: Any) -> bool:
    same = fill["order_id"] == row["exit_order"] and fill["timestamp"] == row["exit_time"]
    return bool(same and np.isclose(fill["price"], row["exit_price"], rtol=0.0, atol=0.0))


def _shares(held: float, after: float, quantity: float, paid: float, commission: float) -> tuple[float, float]:
    """Return what a closing fill makes the trade bear of the commissions, as the ledger does it."""
    if after == 0.0:
        return paid, commission
    if after * held > 0.0:
        return paid * (abs(quantity) / abs(held)), commission
    return paid, commission * (abs(held) / abs(quantity))
