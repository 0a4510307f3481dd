"""What rules and limits read and answer: position and portfolio at one moment, actions and results."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from ml4t_backtest.risk import checks

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from datetime import datetime

__all__ = ["LIMIT_ACTIONS", "ActionType", "LimitResult", "PortfolioState", "PositionAction", "PositionState"]

LIMIT_ACTIONS = ("none", "warn", "reduce", "block", "halt", "liquidate")


class ActionType(Enum):
    """What a rule wants done with a position."""

    HOLD = auto()
    EXIT_FULL = auto()
    EXIT_PARTIAL = auto()
    ADJUST_STOP = auto()


@dataclass(slots=True)
class PositionState:
    """One position on one bar, as a rule sees it before the strategy does.

    side: "long" or "short". entry_price, current_price (the close), high_water_mark, low_water_mark (of the bars
    before this one), bar_open, bar_high, bar_low: prices; None or NaN is unknown: an unknown high or low counts as the
    close, with an unknown open there is no gap. quantity, initial_quantity: units. unrealized_pnl: money.
    unrealized_return, max_favorable_excursion, max_adverse_excursion: fractions of the entry price, positive when
    favourable. context: the position's own values, among them the stop settings it was opened with. position_id:
    anything hashable that no other position has, also of other runs; rules key their memory by it (and by asset and
    side). Raises ValueError for another side.
    """

    asset: str
    side: str
    entry_price: float
    current_price: float
    quantity: float
    initial_quantity: float
    unrealized_pnl: float
    unrealized_return: float
    bars_held: int
    high_water_mark: float
    low_water_mark: float
    bar_open: float | None = None
    bar_high: float | None = None
    bar_low: float | None = None
    max_favorable_excursion: float = 0.0
    max_adverse_excursion: float = 0.0
    entry_time: datetime | None = None
    current_time: datetime | None = None
    context: dict[str, Any] = field(default_factory=dict)
    position_id: Hashable = None

    def __post_init__(self) -> None:
        self.side = checks.choice("PositionState", "side", self.side, ("long", "short"))

    @property
    def is_long(self) -> bool:
        """Whether the position gains when the price rises."""
        return self.side == "long"

    @property
    def is_short(self) -> bool:
        """Whether the position gains when the price falls."""
        return self.side == "short"

    @property
    def is_priced(self) -> bool:
        """Whether the bar has a price; rules hold a position without."""
        return not math.isnan(self.current_price)


@dataclass(frozen=True, slots=True)
class PositionAction:
    """The answer of a rule.

    pct: part of the current quantity that EXIT_PARTIAL sells, above 0 and at most 1. stop_price: the level that was
    tested. fill_price: price of the exit, None for the price of the pass in which it fills. defer_fill: fill at the
    next open instead. reason: text for people. exit_reason: name of the member of `ExitReason` that a trade gets.
    Raises ValueError for a pct outside its range.
    """

    action: ActionType
    pct: float = 1.0
    stop_price: float | None = None
    fill_price: float | None = None
    reason: str = ""
    defer_fill: bool = False
    exit_reason: str = "SIGNAL"

    def __post_init__(self) -> None:
        object.__setattr__(self, "pct", checks.part("PositionAction", "pct", self.pct))

    @property
    def fires(self) -> bool:
        """Whether the rule wants anything but to hold."""
        return self.action is not ActionType.HOLD

    @classmethod
    def hold(cls, reason: str = "") -> PositionAction:
        """Leave the position alone."""
        return cls(ActionType.HOLD, reason=reason) if reason else _HOLD

    @classmethod
    def exit_full(cls, reason: str = "", fill_price: float | None = None, *, defer_fill: bool = False) -> PositionAction:
        """Close the position."""
        return cls(ActionType.EXIT_FULL, fill_price=fill_price, reason=reason, defer_fill=defer_fill)

    @classmethod
    def exit_partial(cls, pct: float, reason: str = "", fill_price: float | None = None) -> PositionAction:
        """Close a part of the current quantity."""
        return cls(ActionType.EXIT_PARTIAL, pct=pct, fill_price=fill_price, reason=reason)

    @classmethod
    def adjust_stop(cls, stop_price: float, reason: str = "") -> PositionAction:
        """Name a new stop price; engines accept and ignore it."""
        return cls(ActionType.ADJUST_STOP, stop_price=stop_price, reason=reason)


_HOLD = PositionAction(ActionType.HOLD)


@dataclass(frozen=True, slots=True)
class PortfolioState:
    """The portfolio at one moment, as a limit sees it.

    equity, initial_equity, high_water_mark, daily_pnl, gross_exposure (sum of absolute values), net_exposure (sum of
    signed values) and the values of `positions` (asset to signed market value): money. current_drawdown: fraction of
    the high mark, >= 0. context: what the strategy hands to limits (returns, betas, sectors, loadings). Raises
    ValueError for numbers that are not finite.
    """

    equity: float
    initial_equity: float
    high_water_mark: float
    current_drawdown: float
    num_positions: int
    positions: Mapping[str, float]
    daily_pnl: float
    gross_exposure: float
    net_exposure: float
    timestamp: datetime | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for asset, value in self.positions.items():
            checks.finite("PortfolioState", f"positions[{asset!r}]", value)
        for name in ("equity", "initial_equity", "high_water_mark", "current_drawdown", "daily_pnl", "gross_exposure", "net_exposure"):
            checks.finite("PortfolioState", name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class LimitResult:
    """The answer of a limit.

    action: none, warn (say so), reduce (sell `reduction_pct`), block (no new risk while breached), halt (no new risk
    until `reset_halt`) or liquidate (halt and close everything). reduction_pct: part to sell of each position in
    `assets`, of every position when `assets` is empty. Raises ValueError for another action or a part outside 0 to 1.
    """

    breached: bool
    action: str = "none"
    reason: str = ""
    reduction_pct: float = 0.0
    assets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "action", checks.choice("LimitResult", "action", self.action, LIMIT_ACTIONS))
        if checks.not_negative("LimitResult", "reduction_pct", self.reduction_pct) > 1.0:
            raise ValueError(f"LimitResult(reduction_pct={self.reduction_pct!r}): expected a number from 0 to 1")

    @classmethod
    def ok(cls, reason: str = "") -> LimitResult:
        """Nothing is breached; `reason` may say why nothing could be tested."""
        return cls(breached=False, reason=reason)

    @classmethod
    def warn(cls, reason: str) -> LimitResult:
        """Breached, worth saying."""
        return cls(breached=True, action="warn", reason=reason)

    @classmethod
    def reduce(cls, reason: str, reduction_pct: float, assets: tuple[str, ...] = ()) -> LimitResult:
        """Breached; selling `reduction_pct` brings the exposure back to the limit."""
        return cls(breached=True, action="reduce", reason=reason, reduction_pct=reduction_pct, assets=assets)

    @classmethod
    def block(cls, reason: str) -> LimitResult:
        """Breached; no new risk while it is."""
        return cls(breached=True, action="block", reason=reason)

    @classmethod
    def halt(cls, reason: str) -> LimitResult:
        """Breached; no new risk until `RiskManager.reset_halt`."""
        return cls(breached=True, action="halt", reason=reason)

    @classmethod
    def liquidate(cls, reason: str) -> LimitResult:
        """Breached; no new risk, and everything is to be closed."""
        return cls(breached=True, action="liquidate", reason=reason)
