"""Limits on the whole portfolio. Each is a small frozen object with `check(state)`.

Money is compared as a fraction of equity. With an equity of 0 or less every exposure is infinite, so its limits are
breached. Unless said otherwise a limit is breached above its threshold, not at it. Actions are those of `LimitResult`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.portfolio.measures import breach, lookup, percent, share_of, way_back
from ml4t_backtest.risk.portfolio.ranges import BetaLimit, FactorExposureLimit, NetExposureLimit
from ml4t_backtest.risk.portfolio.tails import CVaRLimit, VaRLimit
from ml4t_backtest.risk.types import LIMIT_ACTIONS, LimitResult, PortfolioState
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "BetaLimit",
    "CVaRLimit",
    "DailyLossLimit",
    "FactorExposureLimit",
    "GrossExposureLimit",
    "LimitResult",
    "MaxDrawdownLimit",
    "MaxExposureLimit",
    "MaxPositionsLimit",
    "NetExposureLimit",
    "PortfolioLimit",
    "PortfolioState",
    "SectorExposureLimit",
    "VaRLimit",
]


@runtime_checkable
class PortfolioLimit(Protocol):
    """Any object with `check(state)`. `RiskManager` asks it at every update."""

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        ...


def _checked(limit: Any, name: str, check: Callable[[str, str, Any], float]) -> None:
    owner = type(limit).__name__
    object.__setattr__(limit, name, check(owner, name, getattr(limit, name)))
    object.__setattr__(limit, "action", checks.choice(owner, "action", limit.action, LIMIT_ACTIONS))


@accepts(max_drawdown_pct="max_drawdown")
@dataclass(frozen=True, slots=True)
class MaxDrawdownLimit:
    """The drawdown from the high mark stays below `max_drawdown`, a fraction; at it the limit is breached.

    From `warn_threshold` (below max_drawdown, None for none) on the result is a warning. A drawdown cannot be sold back:
    with the action "reduce" the result carries `reduction_pct`, above 0 and at most 1, as given here.
    """

    max_drawdown: float = 0.20
    action: str = "halt"
    warn_threshold: float | None = None
    reduction_pct: float = 0.5

    def __post_init__(self) -> None:
        _checked(self, "max_drawdown", checks.fraction)
        object.__setattr__(self, "reduction_pct", checks.part("MaxDrawdownLimit", "reduction_pct", self.reduction_pct))
        if self.warn_threshold is not None:
            object.__setattr__(self, "warn_threshold", checks.fraction("MaxDrawdownLimit", "warn_threshold", self.warn_threshold))
            if self.warn_threshold >= self.max_drawdown:
                raise ValueError(f"MaxDrawdownLimit(warn_threshold={self.warn_threshold!r}): expected less than {self.max_drawdown!r}")

    def measure(self, state: PortfolioState) -> float:
        """Return the drawdown."""
        return state.current_drawdown

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is above the threshold, negative below."""
        return self.measure(state) - self.max_drawdown

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        drawdown = self.measure(state)
        if drawdown >= self.max_drawdown:
            reason = f"Drawdown {percent(drawdown)} reached limit {percent(self.max_drawdown)}"
            return breach(self.action, reason, self.reduction_pct)
        if self.warn_threshold is not None and drawdown >= self.warn_threshold:
            return LimitResult.warn(f"Drawdown {percent(drawdown)} reached warning level {percent(self.warn_threshold)}")
        return LimitResult.ok()


@accepts()
@dataclass(frozen=True, slots=True)
class MaxPositionsLimit:
    """The number of positions stays below `max_positions` (an integer, at least 1); at it the limit is breached.

    So a portfolio may hold `max_positions` positions, and opens no more. With the action "reduce" the part to sell is
    that of the positions above the limit.
    """

    max_positions: int = 10
    action: str = "halt"

    def __post_init__(self) -> None:
        _checked(self, "max_positions", lambda owner, name, value: checks.whole(owner, name, value, least=1))

    def measure(self, state: PortfolioState) -> float:
        """Return the number of positions."""
        return state.num_positions

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is above the threshold, negative below."""
        return self.measure(state) - self.max_positions

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        count = self.measure(state)
        if count < self.max_positions:
            return LimitResult.ok()
        return breach(self.action, f"{count} positions reached limit {self.max_positions}", way_back(count, self.max_positions))


def _excess(shares: Iterable[float], most: float) -> float:
    """Return the sum of what is above a limit, or how far the largest share is below it, negative."""
    known = list(shares)
    return math.fsum(share - most for share in known if share > most) or max(known, default=0.0) - most


def _largest(action: str, name: str, shares: Mapping[str, float], most: float, members: Callable[[str], tuple[str, ...]]) -> LimitResult:
    """Name the largest share; what is to be sold are the members of every share above the limit, by the part of the largest."""
    over = sorted((share for share in shares if shares[share] > most), key=lambda share: (-shares[share], share))
    if not over:
        return LimitResult.ok()
    worst = shares[over[0]]
    assets = tuple(sorted(asset for share in over for asset in members(share)))
    return breach(action, f"{name} {over[0]} {percent(worst)} above limit {percent(most)}", way_back(worst, most), assets)


@accepts(max_exposure_pct="max_exposure")
@dataclass(frozen=True, slots=True)
class MaxExposureLimit:
    """No position is larger than `max_exposure` of equity, long or short. The result's `assets` are those above it."""

    max_exposure: float = 0.10
    action: str = "warn"

    def __post_init__(self) -> None:
        _checked(self, "max_exposure", checks.positive)

    def measure(self, state: PortfolioState) -> float:
        """Return the largest absolute value over equity."""
        return max(self._shares(state).values(), default=0.0)

    def overshoot(self, state: PortfolioState) -> float:
        """Return the sum of what positions are above the threshold, negative when none is."""
        return _excess(self._shares(state).values(), self.max_exposure)

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        return _largest(self.action, "Position", self._shares(state), self.max_exposure, lambda asset: (asset,))

    def _shares(self, state: PortfolioState) -> dict[str, float]:
        return {asset: abs(share_of(value, state.equity)) for asset, value in state.positions.items()}


@accepts(max_daily_loss_pct="max_daily_loss")
@dataclass(frozen=True, slots=True)
class DailyLossLimit:
    """The loss since the day began stays at or below `max_daily_loss` of current equity.

    A loss cannot be sold back: with the action "reduce" the result carries `reduction_pct`, above 0 and at most 1, as
    given here.
    """

    max_daily_loss: float = 0.02
    action: str = "halt"
    reduction_pct: float = 0.5

    def __post_init__(self) -> None:
        _checked(self, "max_daily_loss", checks.fraction)
        object.__setattr__(self, "reduction_pct", checks.part("DailyLossLimit", "reduction_pct", self.reduction_pct))

    def measure(self, state: PortfolioState) -> float:
        """Return the day's loss over current equity, negative for a gain."""
        return share_of(-state.daily_pnl, state.equity)

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is above the threshold, negative below."""
        return self.measure(state) - self.max_daily_loss

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        loss = self.measure(state)
        if loss <= self.max_daily_loss:
            return LimitResult.ok()
        return breach(self.action, f"Daily loss {percent(loss)} above limit {percent(self.max_daily_loss)}", self.reduction_pct)


@accepts(max_gross="max_gross_exposure")
@dataclass(frozen=True, slots=True)
class GrossExposureLimit:
    """Gross exposure over equity stays at or below `max_gross_exposure` (1.0 is no leverage)."""

    max_gross_exposure: float = 1.0
    action: str = "halt"

    def __post_init__(self) -> None:
        _checked(self, "max_gross_exposure", checks.positive)

    def measure(self, state: PortfolioState) -> float:
        """Return gross exposure over equity."""
        return share_of(state.gross_exposure, state.equity)

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is above the threshold, negative below."""
        return self.measure(state) - self.max_gross_exposure

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        gross = self.measure(state)
        if gross <= self.max_gross_exposure:
            return LimitResult.ok()
        reason = f"Gross exposure {percent(gross)} above limit {percent(self.max_gross_exposure)}"
        return breach(self.action, reason, way_back(gross, self.max_gross_exposure))


@accepts(max_sector_weight="max_sector_exposure")
@dataclass(frozen=True, slots=True)
class SectorExposureLimit:
    """The gross exposure of each sector over equity stays at or below `max_sector_exposure`.

    Sectors are the context's mapping `sector_key` of asset to sector; a missing one is "Unknown". The result's `assets`
    are those of the sectors above the limit.
    """

    max_sector_exposure: float = 0.30
    action: str = "warn"
    sector_key: str = "asset_sectors"

    def __post_init__(self) -> None:
        _checked(self, "max_sector_exposure", checks.positive)
        checks.text("SectorExposureLimit", "sector_key", self.sector_key)

    def _members(self, state: PortfolioState) -> dict[str, list[str]]:
        sectors = lookup("SectorExposureLimit", self.sector_key, state)
        members: dict[str, list[str]] = {}
        for asset in state.positions:
            members.setdefault(str(sectors.get(asset) or "Unknown"), []).append(asset)
        return members

    def _shares(self, state: PortfolioState) -> dict[str, float]:
        values = {sector: math.fsum(abs(state.positions[asset]) for asset in assets) for sector, assets in self._members(state).items()}
        return {sector: share_of(value, state.equity) for sector, value in values.items()}

    def measure(self, state: PortfolioState) -> float:
        """Return the gross exposure of the largest sector over equity."""
        return max(self._shares(state).values(), default=0.0)

    def overshoot(self, state: PortfolioState) -> float:
        """Return the sum of what sectors are above the threshold, negative when none is."""
        return _excess(self._shares(state).values(), self.max_sector_exposure)

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        members = self._members(state)
        return _largest(self.action, "Sector", self._shares(state), self.max_sector_exposure, lambda sector: tuple(members[sector]))
