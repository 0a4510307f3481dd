"""The decision table: what every order type does on every kind of bar, by the engine and by the oracle."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from ml4t_backtest import DataFeed, Engine, Strategy
from ml4t_backtest.types import OrderType
from tests.oracle import Oracle, Settings

__all__ = ["ACCOUNTS", "CASES", "KINDS", "MODES", "SIDES", "engine_says", "oracle_says", "table"]

KINDS = [kind.value for kind in OrderType]
SIDES = {"buy": 10.0, "sell": -10.0}
MODES = ("next_bar", "same_bar")
ACCOUNTS = ("cash", "crypto", "margin", "futures")
QUIET = (100.0, 100.0, 100.0, 100.0)
CASES: dict[str, tuple[float, float, float, float]] = {
    "quiet": (100.0, 101.0, 99.0, 100.0),
    "touches 98": (100.0, 101.0, 98.0, 99.0),
    "touches 102": (100.0, 102.0, 99.0, 101.0),
    "touches both": (100.0, 103.0, 97.0, 100.0),
    "opens at 97": (97.0, 99.0, 96.0, 98.5),
    "opens at 103": (103.0, 104.0, 101.0, 101.5),
    "opens at 95": (95.0, 96.0, 94.0, 95.5),
    "opens at 105": (105.0, 106.0, 104.0, 104.5),
}


def _prices(kind: str, side: str) -> dict[str, float]:
    """Return the prices of an order: limits on the better side of 100, stops on the worse, the limit of a stop-limit behind its stop."""
    low, high = (98.0, 102.0) if side == "buy" else (102.0, 98.0)
    if kind == "stop_limit":
        return {"stop_price": high, "limit_price": 103.0 if side == "buy" else 97.0}
    if kind == "stop":
        return {"stop_price": high}
    if kind == "trailing_stop":
        return {"trail_amount": 2.0}
    return {"limit_price": low} if kind.startswith("limit") else {}


def _bars(mode: str, case: str) -> list[tuple[float, float, float, float]]:
    """Return the bars: the order is submitted on the second, which is the case itself in SAME_BAR mode."""
    return [QUIET, QUIET, CASES[case]] if mode == "next_bar" else [QUIET, CASES[case]]


class _Once(Strategy):
    def __init__(self, kind: str, side: str) -> None:
        self.kind, self.side, self.bar = kind, side, -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        if self.bar == 1:
            broker.submit_order("A", SIDES[self.side], order_type=self.kind, **_prices(self.kind, self.side))


def _words(status: str, price: float | None, reason: str | None) -> str:
    if price is not None:
        return f"{price:g}"
    return "waits" if status == "pending" else f"{status}: {(reason or '').lower()}"


def engine_says(kind: str, side: str, case: str, mode: str, account: str) -> str:
    """Return what becomes of the order in the engine."""
    bars = _bars(mode, case)
    frame = pl.DataFrame(
        {
            "timestamp": [datetime(2024, 1, 1) + timedelta(days=day) for day in range(len(bars))],
            "asset": "A",
            **{name: [bar[place] for bar in bars] for place, name in enumerate(("open", "high", "low", "close"))},
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        engine = Engine(DataFeed(frame), _Once(kind, side), execution_mode=mode, account_type=account, **_margins(account))
        engine.run()
    (order,) = engine.broker.orders
    status = "pending" if order.is_active else order.status.value
    return _words(status, order.filled_price, order.reason.name if order.reason else None)


def _margins(account: str) -> dict[str, float]:
    return {"futures_margin_rate": 0.1} if account == "futures" else {}


def oracle_says(kind: str, side: str, case: str, mode: str, account: str) -> str:
    """Return what becomes of the order in the oracle."""
    bars = _bars(mode, case)

    def act(bar: int, broker: Any) -> None:
        if bar == 1:
            broker.submit("A", SIDES[side], kind, **_prices(kind, side))

    rates = {"initial_margin": 0.1, "long_maintenance_margin": 0.1, "short_maintenance_margin": 0.1} if account == "futures" else {}
    settings = Settings(initial_cash=100_000, execution_mode=mode, account=account, **rates)
    result = Oracle(settings, ["A"], float).run([100 + bar for bar in range(len(bars))], [{"A": bar} for bar in bars], act, None)
    (order,) = result.orders
    return _words(order.status, order.filled_price, order.reason)


def table(mode: str, account: str = "margin") -> str:
    """Return the table of a mode as Markdown."""
    lines = [f"| order | {' | '.join(CASES)} |", "| --- |" + " --- |" * len(CASES)]
    for kind in KINDS:
        for side in SIDES:
            cells = [engine_says(kind, side, case, mode, account) for case in CASES]
            lines.append(f"| {side} {kind.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)
