"""What portfolio limits share: exposures as fractions of equity, the check of an action, the way back to a limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.types import LIMIT_ACTIONS, LimitResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.risk.types import PortfolioState

__all__ = ["breach", "checked_range", "lookup", "outside", "percent", "share_of", "way_back"]


def share_of(value: float, equity: float) -> float:
    """Return money as a fraction of equity; infinite with the sign of the money when equity is 0 or less, 0 for no money."""
    if equity > 0.0:
        return value / equity
    return math.copysign(math.inf, value) if value else 0.0


def percent(value: float) -> str:
    """Return a fraction as text, as in "12.5%"."""
    return f"{value:.1%}"


def way_back(value: float, bound: float) -> float:
    """Return the part to sell of what makes up `value` so that `bound` is left, from 0 to 1; both have the same sign or the bound is 0."""
    return min(max(1.0 - bound / value, 0.0), 1.0) if value else 0.0


def outside(value: float, least: float, most: float) -> float:
    """Return how far a value is above `most` or below `least`, negative inside."""
    return max(value - most, least - value)


def breach(action: str, reason: str, reduction_pct: float, assets: tuple[str, ...] = ()) -> LimitResult:
    """Return the result of a breached limit; only the action "reduce" carries a part to sell."""
    if action == "reduce":
        return LimitResult.reduce(reason, reduction_pct, assets)
    return LimitResult(breached=True, action=action, reason=reason, assets=assets)


def lookup(owner: str, key: str, state: PortfolioState) -> Mapping[str, Any]:
    """Return a mapping from the context, empty when it is missing. Raises TypeError for anything else."""
    found = state.context.get(key)
    if found is None:
        return {}
    if not hasattr(found, "get"):
        raise TypeError(f"{owner}: context[{key!r}] was {found!r}, expected a mapping")
    return found  # type: ignore[no-any-return]


def checked_range(limit: Any, most: str, least: str) -> None:
    """Check and set the two bounds and the action of a limit on both sides.

    Raises ValueError unless least < most. Selling a part of everything moves an exposure towards 0, so the action
    "reduce" needs 0 between the bounds.
    """
    owner = type(limit).__name__
    high, low = checks.finite(owner, most, getattr(limit, most)), checks.finite(owner, least, getattr(limit, least))
    action = checks.choice(owner, "action", limit.action, LIMIT_ACTIONS)
    if low >= high:
        raise ValueError(f"{owner}({most}={high!r}, {least}={low!r}): expected {least} < {most}")
    if action == "reduce" and not low <= 0.0 <= high:
        raise ValueError(f"{owner}({most}={high!r}, {least}={low!r}): the action 'reduce' needs 0 between the two")
    for name, value in ((most, high), (least, low), ("action", action)):
        object.__setattr__(limit, name, value)
