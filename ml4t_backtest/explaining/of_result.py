"""The part of a result that explains its trades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml4t_backtest.explaining.explanation import Explanation

__all__ = ["ExplainedResult"]


class ExplainedResult:
    """Explains trades of a run."""

    def explain(self, trade: Any) -> Explanation:
        """Return what led to a trade and what it came to: orders, bars, prices before and after slippage, costs, P&L line by line.

        trade: an item of `trades`, its number there (negative ones count from the end), or a row of the trades frame: a frame of one
        row, a dict (`frame.row(3, named=True)`), a tuple, a pandas row. The answer prints as text and shows in notebooks; `to_dict()`
        has every number. What the result does not hold is said (`missing`): one that was loaded from a folder has no prices of bars.

        Raises IndexError for a number that is none, KeyError for a trade that is not of this result, TypeError for what is no trade.
        """
        from ml4t_backtest.explaining.chain import explained

        return explained(self, trade)
