"""Rules with a fixed level or a fixed time: `StopLoss`, `TakeProfit`, `TimeExit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.position.levels import above, below, exit_at, fill_mode, seen, stop_base, stop_price
from ml4t_backtest.risk.types import ActionType, PositionAction
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from ml4t_backtest.risk.types import PositionState

__all__ = ["StopLoss", "TakeProfit", "TimeExit"]


@accepts()
@dataclass(frozen=True, slots=True)
class StopLoss:
    """Close a long when the bar reaches `base * (1 - pct)`, a short when it reaches `base * (1 + pct)`; pct is between 0 and 1.

    base is the entry price, or the signal's close when the position's context says `stop_level_basis="signal_price"`
    and holds a `signal_price`; a base of 0 has no level. Fills by the context's `stop_fill_mode`: stop_price (the open
    when it is already at or beyond the level, else the level, or the close when the range of the bar is unknown),
    close_price, bar_extreme (the low of a long's bar), next_bar_open (deferred). Touching the level is enough.
    """

    pct: float
    exit_reason: ClassVar[str] = "STOP_LOSS"

    def __post_init__(self) -> None:
        object.__setattr__(self, "pct", checks.fraction("StopLoss", "pct", self.pct))

    @property
    def reason(self) -> str:
        """Text of the exit, as in "stop_loss_5.0%"."""
        return f"stop_loss_{self.pct:.1%}"

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return the exit when the level is reached, else hold."""
        bar = seen(state)
        level = below(stop_base(state), self.pct)
        if not (bar.worst <= level or bar.close <= level):
            return PositionAction.hold()
        mode = fill_mode(state)
        return exit_at(bar, level, stop_price(bar, level, mode, gap=bar.opening <= level), mode, self.reason, self.exit_reason)


@accepts()
@dataclass(frozen=True, slots=True)
class TakeProfit:
    """Close a long when the bar reaches `base * (1 + pct)`, a short when it reaches `base * (1 - pct)`; pct is above 0.

    base and fill modes are those of `StopLoss`, on the other side: an open already at or beyond the level fills at the
    open, which is the better price, and bar_extreme is the high of a long's bar.
    """

    pct: float
    exit_reason: ClassVar[str] = "TAKE_PROFIT"

    def __post_init__(self) -> None:
        object.__setattr__(self, "pct", checks.positive("TakeProfit", "pct", self.pct))

    @property
    def reason(self) -> str:
        """Text of the exit, as in "take_profit_10.0%"."""
        return f"take_profit_{self.pct:.1%}"

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return the exit when the level is reached, else hold."""
        bar = seen(state)
        level = above(stop_base(state), self.pct)
        if not (bar.best >= level or bar.close >= level):
            return PositionAction.hold()
        mode = fill_mode(state)
        price = bar.best if mode == "bar_extreme" else stop_price(bar, level, mode, gap=bar.opening >= level)
        return exit_at(bar, level, price, mode, self.reason, self.exit_reason)


@accepts(bars="max_bars")
@dataclass(frozen=True, slots=True)
class TimeExit:
    """Close a position that was held for `max_bars` bars (an integer, at least 1), at the price of the pass."""

    max_bars: int
    exit_reason: ClassVar[str] = "TIME_STOP"

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_bars", checks.whole("TimeExit", "max_bars", self.max_bars, least=1))

    @property
    def reason(self) -> str:
        """Text of the exit, as in "time_exit_20bars"."""
        return f"time_exit_{self.max_bars}bars"

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return the exit when the time is up, else hold."""
        if not state.is_priced or state.bars_held < self.max_bars:
            return PositionAction.hold()
        return PositionAction(ActionType.EXIT_FULL, reason=self.reason, exit_reason=self.exit_reason)
