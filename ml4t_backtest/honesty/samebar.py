"""Fills at prices from before the decision: what `SAME_BAR` makes possible when the price is not the close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.types import ExecutionMode
from ml4t_kernels.codes import ExitReason, OrderType

if TYPE_CHECKING:
    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.honesty.watching import Trace

__all__ = ["early_fills"]

_OF_ACCOUNT = (ExitReason.MARGIN_CALL, ExitReason.RISK_LIQUIDATION)
_CLOSE = 1e-9


def early_fills(trace: Trace, config: BacktestConfig) -> list[dict[str, Any]]:
    """Return a row for the first fill on the bar of its own decision at another price than the close; none where there is no such fill.

    What the strategy submits on a bar it decides at the close. Exits of rules and margin calls are decided within the bar.
    """
    if config.execution_mode is not ExecutionMode.SAME_BAR or not len(trace.fills):
        return []
    fills = trace.fills
    orders = trace.orders[fills["order_id"] - 1]
    by_strategy = (orders["rule"] == 0) & ~np.isin(orders["exit_reason"], [int(one) for one in _OF_ACCOUNT])
    on_own_bar = orders["active_bar"] == fills["bar"]
    close = trace.panels.prices["close"][fills["bar"], fills["asset"]]
    base = np.where(fills["quantity"] > 0.0, fills["price"] - fills["slippage"], fills["price"] + fills["slippage"])
    other = np.abs(base - close) > _CLOSE * np.abs(close)
    early = np.flatnonzero(by_strategy & on_own_bar & other)
    if not len(early):
        return []
    place = int(early[0])
    fill, order = fills[place], orders[place]
    bar = int(fill["bar"])
    kind = OrderType(int(order["order_type"])).name.lower()
    remedy = "submission_bar_range='close'" if order["order_type"] != OrderType.MARKET else "execution_price='close'"
    return [
        {
            "source": "fill",
            "column": f"{kind} order",
            "bar": bar,
            "what": "fill",
            "field": "price",
            "timestamp": trace.panels.timestamps[bar],
            "asset": trace.panels.assets[fill["asset"]],
            "order_id": f"ORD-{fill['order_id']}",
            "expected": f"{float(close[place])!r} (close)",
            "found": f"{float(base[place])!r} (earlier in the bar; NEXT_BAR or {remedy} avoids it)",
            "future_from": None,
        }
    ]
