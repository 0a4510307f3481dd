"""Short runs of the oracle for examples by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from tests.oracle import Broker, Oracle, OracleResult, Settings

__all__ = ["Action", "F", "flat", "run", "statuses"]

F = Fraction
Action = Callable[[Broker], object]


def run(bars: Sequence[Any], actions: dict[int, Action], number: Any = float, **settings: Any) -> OracleResult:
    """Run `actions` (bar -> action, -1 is on_start); a bar is a dict, an OHLC tuple of "A", or a close of "A"."""

    def as_mapping(bar: Any) -> Any:
        if isinstance(bar, dict):
            return bar
        return {"A": bar if isinstance(bar, tuple) or bar is None else (bar, bar, bar, bar)}

    def nothing(_: Broker) -> None:
        return None

    settings = {"initial_cash": 10000, "execution_mode": "next_bar", **settings}
    oracle = Oracle(Settings(**settings), ["A", "B", "C"], number)
    times = [100 + t for t in range(len(bars))]
    mapped = [as_mapping(bar) for bar in bars]
    return oracle.run(times, mapped, lambda t, b: actions.get(t, nothing)(b), actions.get(-1))


def flat(price: Any) -> tuple[Any, Any, Any, Any]:
    return (price, price, price, price)


def statuses(result: OracleResult) -> list[tuple[str, str | None]]:
    return [(order.status, order.reason) for order in result.orders]
