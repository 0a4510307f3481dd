"""One run as plain data: bars, settings, costs, contracts, events, and a script of what the strategy does on each bar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["OHLC", "Action", "Case"]

Action: TypeAlias = tuple[Any, ...]
OHLC: TypeAlias = tuple[float | None, ...]

DAY_NS = 86_400_000_000_000
QUARTER_NS = 900_000_000_000  # between the bars of a day


@dataclass(frozen=True)
class Case:
    """One run. Everything is plain data, so that it can be printed, pickled, and given to engine and oracle alike.

    `bars[t]` maps asset to open, high, low, close and the values of `columns` (of volume, bid, ask, vwap); an absent asset has
    no row, a close of None has a row without a price. `script[0]` runs in on_start, `script[t + 1]` on bar t. `settings` are
    those of `BacktestConfig`. `days[t]` is the day of bar t; without it every bar has a day of its own. Contracts, costs,
    rules, limits and events are spelled as in `tests/translation.py`.
    """

    assets: tuple[str, ...]
    bars: tuple[dict[str, OHLC], ...]
    script: tuple[tuple[Action, ...], ...]
    initial_cash: float = 10_000.0
    execution_mode: str = "next_bar"
    execution_price: str | None = None
    commission: tuple[Any, ...] = ("none",)
    slippage: tuple[Any, ...] = ("none",)
    allow_short: bool = False
    multipliers: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    days: tuple[int, ...] = ()
    impact: tuple[Any, ...] = ("none",)
    participation: tuple[float, float] | None = None  # largest fraction of the volume, least volume
    asset_costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    contracts: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: tuple[tuple[int, str, str, float], ...] = ()  # bar, kind, asset, value
    signals: tuple[dict[str, dict[str, float | None]], ...] = ()
    rules: tuple[Any, ...] = ()
    limits: tuple[tuple[Any, ...], ...] = ()
    exposures: dict[str, tuple[str, float, float]] = field(default_factory=dict)  # asset: sector, beta, loading

    @property
    def account_type(self) -> str:
        """Type of the account."""
        return str(self.settings.get("account_type", "crypto" if self.allow_short else "cash"))

    @property
    def times(self) -> list[int]:
        """Times of the bars in ns."""
        days = self.days or tuple(range(1, len(self.bars) + 1))
        return [day * DAY_NS + (days[: bar + 1].count(day) - 1) * QUARTER_NS for bar, day in enumerate(days)]
