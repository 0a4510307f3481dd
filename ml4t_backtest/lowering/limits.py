"""Portfolio limits to limit rows, with the weights of sectors, betas and factors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.memory import address_of
from ml4t_backtest.risk.portfolio import limits as p
from ml4t_backtest.risk.portfolio import ranges as r
from ml4t_backtest.risk.portfolio import tails as t
from ml4t_kernels.codes import LimitAction, LimitKind
from ml4t_kernels.dtypes import limit_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["LimitTable"]


class LimitTable:
    """Collects limit rows and a name for each. Raises TypeError for what is no limit of the library, ValueError for missing context."""

    def __init__(self, assets: Sequence[str], context: Mapping[str, Any] | None) -> None:
        self._assets = assets
        self._context = dict(context or {})
        self._rows: list[tuple[Any, ...]] = []
        self.names: list[str] = []
        self.kept: list[FloatArray] = []

    def add(self, limit: Any) -> None:
        """Append the rows of a limit."""
        kind, name = type(limit), type(limit).__name__
        if kind is p.MaxDrawdownLimit:
            self._row(limit, LimitKind.DRAWDOWN, limit.max_drawdown, part=limit.reduction_pct)
            if limit.warn_threshold is not None:
                self._row(limit, LimitKind.DRAWDOWN, limit.warn_threshold, action="warn")
        elif kind is p.DailyLossLimit:
            self._row(limit, LimitKind.DAILY_LOSS, limit.max_daily_loss, part=limit.reduction_pct)
        elif kind is p.MaxPositionsLimit:
            if limit.action == "reduce":
                raise ValueError("MaxPositionsLimit: action 'reduce' does not lower the number of positions; use 'block', 'halt' or 'liquidate'")
            self._row(limit, LimitKind.POSITIONS, limit.max_positions)
        elif kind is p.MaxExposureLimit:
            self._row(limit, LimitKind.LARGEST_POSITION, limit.max_exposure)
        elif kind is p.GrossExposureLimit:
            self._row(limit, LimitKind.GROSS_EXPOSURE, limit.max_gross_exposure)
        elif kind is r.NetExposureLimit:
            self._row(limit, LimitKind.NET_EXPOSURE, limit.max_net_exposure, least=limit.min_net_exposure)
        elif kind is p.SectorExposureLimit:
            self._sectors(limit)
        elif kind is r.BetaLimit:
            betas = self._lookup(limit.beta_key, name)
            self._row(limit, LimitKind.FACTOR_NET, limit.max_beta, least=limit.min_beta, weights=self._weights(betas, 1.0, name))
        elif kind is r.FactorExposureLimit:
            self._factor(limit)
        elif kind in (t.VaRLimit, t.CVaRLimit):
            measure = LimitKind.VALUE_AT_RISK if kind is t.VaRLimit else LimitKind.CONDITIONAL_VALUE_AT_RISK
            self._row(limit, measure, limit.threshold, confidence=limit.confidence_level, lookback=limit.lookback_days)
        else:
            hint = f": {limit.__name__}(...)" if isinstance(limit, type) else "; use RiskManager in the strategy for limits of your own"
            raise TypeError(f"limits holds {limit!r}, expected a portfolio limit of ml4t_backtest.risk{hint}")

    def records(self) -> Records:
        """Return the limit rows."""
        rows = np.zeros(len(self._rows), dtype=limit_dtype)
        for row, values in zip(rows, self._rows, strict=True):
            for name, value in zip(limit_dtype.names or (), values, strict=True):
                row[name] = value
        return rows

    def _row(
        self,
        limit: Any,
        kind: LimitKind,
        threshold: float,
        *,
        least: float = -math.inf,
        action: str | None = None,
        part: float = math.nan,
        weights: FloatArray | None = None,
        label: str = "",
        confidence: float = 0.0,
        lookback: int = 0,
    ) -> None:
        if weights is not None:
            self.kept.append(weights)
        chosen = LimitAction[(action or limit.action).upper()]
        address = 0 if weights is None else address_of(weights)
        values = {
            "threshold": threshold,
            "least": least,
            "confidence": confidence,
            "part": part,
            "lookback": lookback,
            "factor_address": address,
            "kind": kind,
            "action": chosen,
        }
        self._rows.append(tuple(values[name] for name in limit_dtype.names or ()))
        self.names.append(type(limit).__name__ + label)

    def _sectors(self, limit: p.SectorExposureLimit) -> None:
        sectors = self._lookup(limit.sector_key, "SectorExposureLimit")
        of_asset = [sectors.get(asset, "Unknown") for asset in self._assets]
        for sector in sorted(set(map(str, of_asset))):
            weights = np.array([float(str(own) == sector) for own in of_asset])
            self._row(limit, LimitKind.FACTOR_GROSS, limit.max_sector_exposure, weights=weights, label=f"[{sector}]")

    def _factor(self, limit: r.FactorExposureLimit) -> None:
        loadings = self._lookup(limit.factor_key, "FactorExposureLimit")
        by_asset = loadings.get(limit.factor_name) if limit.factor_name not in self._assets else None
        if by_asset is None:
            by_asset = {asset: row.get(limit.factor_name, 0.0) for asset, row in loadings.items() if asset in self._assets}
        weights = self._weights(by_asset, 0.0, "FactorExposureLimit")
        self._row(
            limit, LimitKind.FACTOR_NET, limit.max_exposure, least=limit.min_exposure, weights=weights, label=f"[{limit.factor_name}]"
        )

    def _weights(self, values: Mapping[str, float], missing: float, owner: str) -> FloatArray:
        weights = np.array([float(values.get(asset, missing)) for asset in self._assets])
        if not np.isfinite(weights).all():
            asset = self._assets[int(np.flatnonzero(~np.isfinite(weights))[0])]
            raise ValueError(f"{owner}: the value of {asset!r} was {values.get(asset)!r}, expected a finite number")
        return weights

    def _lookup(self, key: str, owner: str) -> Mapping[str, Any]:
        found = self._context.get(key)
        if found is None:
            raise ValueError(f"{owner} needs risk_context[{key!r}], a mapping by asset: Engine(..., risk_context={{{key!r}: ...}})")
        return found  # type: ignore[no-any-return]
