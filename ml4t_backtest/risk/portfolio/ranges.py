"""Limits with two sides: net exposure, beta, exposure to one factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml4t_backtest.risk import checks
from ml4t_backtest.risk.portfolio.measures import breach, checked_range, lookup, outside, share_of, way_back
from ml4t_backtest.risk.types import LimitResult
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from ml4t_backtest.risk.types import PortfolioState

__all__ = ["BetaLimit", "FactorExposureLimit", "NetExposureLimit"]


def _weighted(owner: str, state: PortfolioState, weights: Mapping[str, Any], missing: float) -> float:
    terms: list[float] = []
    for asset, value in state.positions.items():
        given = weights.get(asset)
        weight = missing if given is None else checks.finite(owner, f"weight of {asset!r}", given)
        terms.append(value * weight)
    return share_of(math.fsum(terms), state.equity)


def _range_result(limit: Any, name: str, value: float, least: float, most: float) -> LimitResult:
    if outside(value, least, most) <= 0.0:
        return LimitResult.ok()
    bound, word = (most, "above") if value > most else (least, "below")
    return breach(limit.action, f"{name} {value:.2f} {word} limit {bound:.2f}", way_back(value, bound))


@accepts(max_net="max_net_exposure", min_net="min_net_exposure")
@dataclass(frozen=True, slots=True)
class NetExposureLimit:
    """Net exposure over equity stays from `min_net_exposure` to `max_net_exposure` (fractions, the first may be negative)."""

    max_net_exposure: float = 1.0
    min_net_exposure: float = -1.0
    action: str = "warn"

    def __post_init__(self) -> None:
        checked_range(self, "max_net_exposure", "min_net_exposure")

    def measure(self, state: PortfolioState) -> float:
        """Return net exposure over equity."""
        return share_of(state.net_exposure, state.equity)

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is beyond its bounds, negative inside."""
        return outside(self.measure(state), self.min_net_exposure, self.max_net_exposure)

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        return _range_result(self, "Net exposure", self.measure(state), self.min_net_exposure, self.max_net_exposure)


@accepts()
@dataclass(frozen=True, slots=True)
class BetaLimit:
    """Beta of the portfolio, `sum(value * beta) / equity`, stays from `min_beta` to `max_beta`.

    Betas are the context's mapping `beta_key` of asset to beta; a missing one is 1.
    """

    max_beta: float = 1.5
    min_beta: float = -0.5
    action: str = "warn"
    beta_key: str = "asset_betas"

    def __post_init__(self) -> None:
        checked_range(self, "max_beta", "min_beta")
        checks.text("BetaLimit", "beta_key", self.beta_key)

    def measure(self, state: PortfolioState) -> float:
        """Return the beta of the portfolio."""
        return _weighted("BetaLimit", state, lookup("BetaLimit", self.beta_key, state), missing=1.0)

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is beyond its bounds, negative inside."""
        return outside(self.measure(state), self.min_beta, self.max_beta)

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        return _range_result(self, "Beta", self.measure(state), self.min_beta, self.max_beta)


@accepts(max_factor_exposure="max_exposure", min_factor_exposure="min_exposure")
@dataclass(frozen=True, slots=True)
class FactorExposureLimit:
    """Exposure to one factor, `sum(value * loading) / equity`, stays from `min_exposure` to `max_exposure`.

    Loadings are the context's mapping `factor_key`: asset to a mapping of factor to loading, or factor to a mapping of
    asset to loading (told apart by `factor_name` being a key that is no position). A missing loading is 0.
    """

    factor_name: str
    max_exposure: float = 1.0
    min_exposure: float = -1.0
    action: str = "warn"
    factor_key: str = "factor_loadings"

    def __post_init__(self) -> None:
        checks.text("FactorExposureLimit", "factor_name", self.factor_name)
        checked_range(self, "max_exposure", "min_exposure")
        checks.text("FactorExposureLimit", "factor_key", self.factor_key)

    def measure(self, state: PortfolioState) -> float:
        """Return the exposure to the factor."""
        loadings = lookup("FactorExposureLimit", self.factor_key, state)
        if self.factor_name in loadings and self.factor_name not in state.positions:
            by_asset = loadings[self.factor_name]
        else:
            by_asset = {asset: self._loading(asset, loadings.get(asset)) for asset in state.positions}
        if not isinstance(by_asset, Mapping):
            raise TypeError(f"FactorExposureLimit: loadings of {self.factor_name!r} were {by_asset!r}, expected a mapping of assets")
        return _weighted("FactorExposureLimit", state, by_asset, missing=0.0)

    def _loading(self, asset: str, row: Any) -> Any:
        if row is None:
            return None
        if not isinstance(row, Mapping):
            raise TypeError(f"FactorExposureLimit: loadings of {asset!r} were {row!r}, expected a mapping of factors")
        return row.get(self.factor_name)

    def overshoot(self, state: PortfolioState) -> float:
        """Return how far the measure is beyond its bounds, negative inside."""
        return outside(self.measure(state), self.min_exposure, self.max_exposure)

    def check(self, state: PortfolioState) -> LimitResult:
        """Return whether the limit is breached, and what to do."""
        return _range_result(self, f"Exposure to {self.factor_name}", self.measure(state), self.min_exposure, self.max_exposure)
