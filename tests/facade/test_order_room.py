"""Rules, limits and margin calls submit orders of their own: the buffer of orders grows until they have room."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ml4t_backtest import DataFeed, Engine, Strategy
from ml4t_backtest.risk import GrossExposureLimit, TimeExit
from ml4t_backtest.store import Store

ROOM = 256  # rows of the first buffer
ASSETS = [f"A{number:02}" for number in range(20)]
DAYS = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(6)]
PRICES = pl.DataFrame(
    [
        {"timestamp": day, "asset": asset, "close": price}
        for day, price in zip(DAYS, (10.0, 6.0, 5.0, 4.0, 6.0, 7.0), strict=True)
        for asset in ASSETS
    ]
)


class FillsTheBuffer(Strategy):
    """Buys every asset, and submits orders that never trade until only a few rows of the first buffer are left."""

    def __init__(self, rule: object, left: int) -> None:
        self.rule = rule
        self.left = left

    def on_start(self, broker: Any) -> None:
        broker.set_position_rules(self.rule)

    def on_data(self, timestamp: datetime, data: Any, context: Any, broker: Any) -> None:
        if not broker.orders:
            for asset in ASSETS:
                broker.submit_order(asset, 90)
            for _ in range(ROOM - len(ASSETS) - self.left):
                broker.submit_order(ASSETS[0], 1, order_type="limit", limit_price=0.01)


@pytest.mark.parametrize("left", [0, 1, 19, 20, 21, 39, 40, 41])
@pytest.mark.parametrize(
    ("rule", "settings", "reason"),
    [
        (TimeExit(2), {}, "time_stop"),
        (None, {"limits": [GrossExposureLimit(1.9, action="reduce")]}, "risk_liquidation"),
        (None, {}, "margin_call"),
        (None, {"margin_call_check": "intrabar"}, "margin_call"),
    ],
    ids=["rules", "limits", "margin call", "margin call within the bar"],
)
def test_a_nearly_full_buffer_grows(
    rule: object, settings: dict[str, Any], reason: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow, grown = Store.grow_orders, []

    def counted(self: Store, needed: int = 1) -> None:
        grown.append(len(self.orders))
        assert len(grown) < 5, "the kernel asks for room again and again"
        grow(self, needed)

    def trades(left: int) -> pl.DataFrame:
        engine = Engine(DataFeed(PRICES), FillsTheBuffer(rule, left), account_type="margin", initial_cash=11_000.0, **settings)
        return engine.run().to_trades_dataframe()

    monkeypatch.setattr(Engine, "_buffers", {"capacity": ROOM})
    plenty = trades(ROOM // 2)
    assert reason in set(plenty["exit_reason"])
    monkeypatch.setattr(Store, "grow_orders", counted)
    assert trades(left).equals(plenty)
    assert grown in ([ROOM], [] if left >= len(ASSETS) else [ROOM])
