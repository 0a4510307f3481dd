"""Positions and portfolios for rules and limits evaluated by hand."""

from __future__ import annotations

import math
from typing import Any

from ml4t_backtest.risk import PortfolioState, PositionState


def state(close: float, *, side: str = "long", entry: float = 100.0, mark: float | None = None, **more: Any) -> PositionState:
    """A position of 10 units; `mark` is the mark that counts for the side, `bar` is (open, high, low)."""
    sign = 1.0 if side == "long" else -1.0
    opening, high, low = more.pop("bar", (None, None, None))
    reached = entry if mark is None else mark
    known: dict[str, Any] = {
        "asset": "A",
        "side": side,
        "entry_price": entry,
        "current_price": close,
        "quantity": sign * 10.0,
        "initial_quantity": sign * 10.0,
        "unrealized_pnl": sign * 10.0 * (close - entry),
        "unrealized_return": sign * (close - entry) / (abs(entry) or 1.0),
        "bars_held": 1,
        "high_water_mark": reached,
        "low_water_mark": reached,
        "bar_open": opening,
        "bar_high": high,
        "bar_low": low,
    }
    return PositionState(**(known | more))


def portfolio(equity: float = 1000.0, positions: dict[str, float] | None = None, **more: Any) -> PortfolioState:
    held = positions or {}
    known: dict[str, Any] = {
        "equity": equity,
        "initial_equity": 1000.0,
        "high_water_mark": 1000.0,
        "current_drawdown": 0.0,
        "num_positions": len(held),
        "positions": held,
        "daily_pnl": 0.0,
        "gross_exposure": math.fsum(map(abs, held.values())),
        "net_exposure": math.fsum(held.values()),
    }
    return PortfolioState(**(known | more))
