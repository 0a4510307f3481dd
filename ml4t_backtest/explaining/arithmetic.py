"""The P&L of a trade as a sum of amounts that is exact to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.explaining.explanation import number_text

if TYPE_CHECKING:
    from ml4t_backtest.explaining.shares import Played

__all__ = ["added_up", "profit_lines"]


def added_up(lines: tuple[tuple[str, float], ...]) -> float:
    """Return the sum from the first line to the last."""
    total = lines[0][1]
    for _, amount in lines[1:]:
        total = total + amount
    return total


def profit_lines(row: Any, played: Played) -> tuple[tuple[str, float], ...]:
    """Return pairs of text and amount [money] that add up to the P&L of a trade with ==.

    row: the record of the trade. Slippage has no line of its own: it is in the prices.
    """
    entry, price, quantity, multiplier = (float(row[name]) for name in ("entry_price", "exit_price", "quantity", "multiplier"))
    gross = (price - entry) * quantity * multiplier
    times = "" if multiplier == 1.0 else f" * {number_text(multiplier)} (multiplier)"
    move = (f"({number_text(price)} - {number_text(entry)}) * {number_text(quantity)}{times}", gross)
    pnl = float(row["pnl"])
    paid, total = played.entry_commission, float(row["commission"])
    entered = ("entry commission", -paid)
    both = (("commission", -total),)
    for costs in ((entered, ("exit commission", -played.exit_commission)), (entered, ("exit commission", -(total - paid))), both):
        lines = (move, *costs)
        if added_up(lines) == pnl:
            return lines
    return _with_rest((move, *both), pnl)


def _with_rest(lines: tuple[tuple[str, float], ...], pnl: float) -> tuple[tuple[str, float], ...]:
    """Return the lines with one for what rounding leaves, where the commissions are only known together."""
    rest = pnl - added_up(lines)
    return (*lines, ("rounding", rest)) if added_up(lines) + rest == pnl else (("P&L as the ledger has it", pnl),)
