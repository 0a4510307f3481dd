"""Short runs of the oracle for examples by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from tests.oracle import Broker, Oracle, OracleResult, Settings

__all__ = ["Action", "F", "fills", "flat", "run", "statuses"]

F = Fraction
Action = Callable[[Broker], object]


def run(bars: Sequence[Any], actions: dict[int, Action], number: Any = float, **settings: Any) -> OracleResult:
    """Run `actions` (bar -> action, -1 is on_start); a bar is a dict, a tuple of "A", or a close of "A"."""
    extras = {name: settings.pop(name) for name in ("on_end", "sessions", "signals", "events") if name in settings}
    times = settings.pop("times", [100 + t for t in range(len(bars))])

    def as_mapping(bar: Any) -> Any:
        if isinstance(bar, dict):
            return bar
        return {"A": bar if isinstance(bar, tuple) or bar is None else (bar, bar, bar, bar)}

    def nothing(_: Broker) -> None:
        return None

    settings = {"initial_cash": 10000, "execution_mode": "next_bar", **settings}
    oracle = Oracle(Settings(**settings), ["A", "B", "C"], number)
    mapped = [as_mapping(bar) for bar in bars]
    return oracle.run(times, mapped, lambda t, b: actions.get(t, nothing)(b), actions.get(-1), **extras)


def flat(price: Any, *more: Any) -> tuple[Any, ...]:
    """A bar with one price; `more`: volume, bid, ask, vwap."""
    return (price, price, price, price, *more)


def fills(result: OracleResult) -> list[tuple[int, int, float, float]]:
    return [(fill.order_id, fill.bar, float(fill.quantity), float(fill.price)) for fill in result.fills]


def statuses(result: OracleResult) -> list[tuple[str, str | None]]:
    return [(order.status, order.reason) for order in result.orders]
