"""Limits on the tail of past returns: `VaRLimit` and `CVaRLimit`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.portfolio.measures import breach, percent, way_back
from ml4t_backtest.risk.types import LIMIT_ACTIONS, LimitResult
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from ml4t_backtest.risk.types import PortfolioState

__all__ = ["CVaRLimit", "VaRLimit"]

_SNAP = 1e-9


@dataclass(frozen=True, slots=True)
class _TailLimit:
    threshold: float
    confidence_level: float = 0.95
    lookback_days: int = 20
    action: str = "warn"
    returns_key: str = "historical_returns"

    def __post_init__(self) -> None:
        owner = type(self).__name__
        object.__setattr__(self, "threshold", checks.positive(owner, "threshold", self.threshold))
        object.__setattr__(self, "confidence_level", checks.fraction(owner, "confidence_level", self.confidence_level))
        object.__setattr__(self, "lookback_days", checks.whole(owner, "lookback_days", self.lookback_days, least=2))
        object.__setattr__(self, "action", checks.choice(owner, "action", self.action, LIMIT_ACTIONS))
        checks.text(owner, "returns_key", self.returns_key)

    def measure(self, state: PortfolioState) -> float:
        """Return the loss as a fraction of equity, negative for a gain, NaN while there are fewer than `lookback_days` returns."""
        returns = _known_returns(type(self).__name__, self.returns_key, state.context.get(self.returns_key))
        window = sorted(returns[-self.lookback_days :])
        return math.nan if len(window) < self.lookback_days else -self._tail(window)

    def _tail(self, window: list[float]) -> float:
        raise NotImplementedError

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is above the threshold, negative below, NaN when it is unknown."""
        return self.measure(state) - self.threshold

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do; with too few returns the result is not breached and says so."""
        loss = self.measure(state)
        name = type(self).__name__.removesuffix("Limit")
        if math.isnan(loss):
            return LimitResult.ok(f"{name} needs {self.lookback_days} returns in context[{self.returns_key!r}]")
        if loss <= self.threshold:
            return LimitResult.ok()
        reason = f"{name} {percent(loss)} above limit {percent(self.threshold)} ({self.confidence_level:.0%}, {self.lookback_days} returns)"
        return breach(self.action, reason, way_back(loss, self.threshold))


@accepts(max_var="threshold", confidence="confidence_level")
@dataclass(frozen=True, slots=True)
class VaRLimit(_TailLimit):
    """Historical value at risk: the loss that `confidence_level` of the last `lookback_days` returns did not exceed.

    The returns are the context's `returns_key`, oldest first, fractions per period; missing ones (None, NaN) are left
    out. The quantile is interpolated linearly between the sorted returns. With fewer than `lookback_days` returns
    nothing is breached; a tail needs about `1 / (1 - confidence_level)` returns (20 at 95 %, 100 at 99 %) to hold one.
    """

    threshold: float = 0.05

    def _tail(self, window: list[float]) -> float:
        return _quantile(window, 1.0 - self.confidence_level)


@accepts(max_cvar="threshold", confidence="confidence_level")
@dataclass(frozen=True, slots=True)
class CVaRLimit(_TailLimit):
    """Historical conditional value at risk: the mean loss of the returns at or below the quantile of `VaRLimit`."""

    threshold: float = 0.08

    def _tail(self, window: list[float]) -> float:
        edge = _quantile(window, 1.0 - self.confidence_level)
        tail = [value for value in window if value <= edge]
        return math.fsum(tail) / len(tail)


def _quantile(window: list[float], share: float) -> float:
    place = (len(window) - 1) * share
    if abs(place - round(place)) < _SNAP:
        place = float(round(place))  # 1 - 0.9 is not 0.1: without this the tail would lose the return at its edge
    lower = math.floor(place)
    upper = min(lower + 1, len(window) - 1)
    return window[lower] + (window[upper] - window[lower]) * (place - lower)


def _known_returns(owner: str, key: str, given: Any) -> list[float]:
    if given is None:
        return []
    try:
        returns = [math.nan if value is None else float(value) for value in given]
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: context[{key!r}] was {given!r}, expected a sequence of returns") from None
    if any(map(math.isinf, returns)):
        raise ValueError(f"{owner}: context[{key!r}] holds an infinite return")
    return [value for value in returns if not math.isnan(value)]
