"""Rules that read a signal or a volatility from the position's context."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, ClassVar

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.position import dynamic
from ml4t_backtest.risk.position.dynamic import VolatilityStop
from ml4t_backtest.risk.types import ActionType, PositionAction
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from ml4t_backtest.risk.types import PositionState

__all__ = ["SignalExit", "VolatilityStop", "VolatilityTrailingStop"]


@accepts()
@dataclass(frozen=True, slots=True)
class SignalExit:
    """Close a long when the context's signal is below `-threshold`, a short when it is above `threshold`, at the price of the pass.

    threshold: finite, at least 0. A missing or NaN signal holds; anything but a number raises TypeError.
    """

    signal_name: str = "exit_signal"
    threshold: float = 0.0
    exit_reason: ClassVar[str] = "SIGNAL"

    def __post_init__(self) -> None:
        checks.text("SignalExit", "signal_name", self.signal_name)
        object.__setattr__(self, "threshold", checks.not_negative("SignalExit", "threshold", self.threshold))

    @staticmethod
    def reason_for(signal: float) -> str:
        """Return the text of the exit for a signal, as in "signal_exit_-0.50"."""
        return f"signal_exit_{signal:.2f}"

    def evaluate(self, state: PositionState) -> PositionAction:
        """Return the exit when the signal has turned against the position, else hold."""
        signal = state.context.get(self.signal_name)
        if signal is None or not state.is_priced:
            return PositionAction.hold()
        if not isinstance(signal, Real):
            raise TypeError(f"SignalExit: context[{self.signal_name!r}] was {signal!r}, expected a number")
        value = float(signal)
        against = value < -self.threshold if state.is_long else value > self.threshold
        if not against:
            return PositionAction.hold()
        return PositionAction(ActionType.EXIT_FULL, reason=self.reason_for(value), exit_reason=self.exit_reason)


class VolatilityTrailingStop(dynamic.VolatilityTrailingStop):
    """The rule of `dynamic` with the argument order and the default of older notebooks: the key first, a multiplier of 2."""

    __slots__ = ()

    def __init__(self, volatility_key: str = "atr", multiplier: float = 2.0) -> None:
        dynamic.VolatilityTrailingStop.__init__(self, multiplier=multiplier, atr_key=volatility_key)
