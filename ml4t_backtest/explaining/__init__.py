"""Why a trade was made and what it came to: the chain of bars, orders, fills and costs behind one row of a result."""

from __future__ import annotations

from ml4t_backtest.explaining.explanation import Explanation, Step

__all__ = ["Explanation", "Step"]
