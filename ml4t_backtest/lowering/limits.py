"""Portfolio limits to limit rows, with the weights of sectors, betas and factors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import shortened
from ml4t_backtest.memory import address_of
from ml4t_backtest.risk.portfolio import limits as p
from ml4t_backtest.risk.portfolio import ranges as r
from ml4t_backtest.risk.portfolio import tails as t
from ml4t_kernels.codes import LimitAction, LimitKind
from ml4t_kernels.dtypes import limit_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["LimitTable"]


class LimitTable:
    """Collects limit rows and a name for each. Raises TypeError for what is no limit of the library, ValueError for missing context."""

    def __init__(self, assets: Sequence[str], context: Mapping[str, Any] | None) -> None:
        if context is not None and not isinstance(context, Mapping):
            raise TypeError(f"risk_context was {context!r}, expected a mapping of names to mappings by asset")
        self._assets = assets
        self._context = dict(context or {})
        self._rows: list[tuple[Any, ...]] = []
        self.names: list[str] = []
        self.kept: list[FloatArray] = []

    def add(self, limit: Any) -> None:
        """Append the rows of a limit."""
        ways: dict[type, Any] = {
            p.MaxDrawdownLimit: self._drawdown,
            p.DailyLossLimit: lambda one: self._row(one, LimitKind.DAILY_LOSS, one.max_daily_loss, part=one.reduction_pct),
            p.MaxPositionsLimit: self._positions,
            p.MaxExposureLimit: lambda one: self._row(one, LimitKind.LARGEST_POSITION, one.max_exposure),
            p.GrossExposureLimit: lambda one: self._row(one, LimitKind.GROSS_EXPOSURE, one.max_gross_exposure),
            r.NetExposureLimit: self._net,
            p.SectorExposureLimit: self._sectors,
            r.BetaLimit: self._beta,
            r.FactorExposureLimit: self._factor,
            t.VaRLimit: lambda one: self._tail(one, LimitKind.VALUE_AT_RISK),
            t.CVaRLimit: lambda one: self._tail(one, LimitKind.CONDITIONAL_VALUE_AT_RISK),
        }
        lower = ways.get(type(limit))
        if lower is None:
            raise TypeError(f"limits holds {limit!r}, expected a portfolio limit of ml4t_backtest.risk{_hint(limit)}")
        lower(limit)

    def _drawdown(self, limit: p.MaxDrawdownLimit) -> None:
        self._row(limit, LimitKind.DRAWDOWN, limit.max_drawdown, part=limit.reduction_pct)
        if limit.warn_threshold is not None:
            self._row(limit, LimitKind.DRAWDOWN, limit.warn_threshold, action="warn")

    def _positions(self, limit: p.MaxPositionsLimit) -> None:
        if limit.action == "reduce":
            raise ValueError("MaxPositionsLimit: action 'reduce' sells parts, which closes no position; use 'block', 'halt' or 'liquidate'")
        self._row(limit, LimitKind.POSITIONS, limit.max_positions)

    def _net(self, limit: r.NetExposureLimit) -> None:
        self._row(limit, LimitKind.NET_EXPOSURE, limit.max_net_exposure, least=limit.min_net_exposure)

    def _beta(self, limit: r.BetaLimit) -> None:
        weights = self._weights(self._lookup(limit.beta_key, "BetaLimit"), 1.0, "BetaLimit")
        self._row(limit, LimitKind.FACTOR_NET, limit.max_beta, least=limit.min_beta, weights=weights)

    def _tail(self, limit: t.VaRLimit | t.CVaRLimit, kind: LimitKind) -> None:
        self._row(limit, kind, limit.threshold, confidence=limit.confidence_level, lookback=limit.lookback_days)

    def records(self) -> Records:
        """Return the limit rows."""
        rows = np.zeros(len(self._rows), dtype=limit_dtype)
        for row, values in zip(rows, self._rows, strict=True):
            for name, value in zip(limit_dtype.names or (), values, strict=True):
                row[name] = value
        return rows

    def _row(  # noqa: PLR0913 - one argument per field of a row
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
        by_asset: Any = loadings.get(limit.factor_name) if limit.factor_name not in self._assets else None
        if by_asset is not None and not isinstance(by_asset, Mapping):
            raise TypeError(f"FactorExposureLimit: the loadings of {limit.factor_name!r} were {by_asset!r}, expected a mapping of assets")
        if by_asset is None:
            by_asset = {asset: _row_of(asset, row).get(limit.factor_name, 0.0) for asset, row in loadings.items() if asset in self._assets}
        weights = self._weights(by_asset, 0.0, "FactorExposureLimit")
        self._row(
            limit, LimitKind.FACTOR_NET, limit.max_exposure, least=limit.min_exposure, weights=weights, label=f"[{limit.factor_name}]"
        )

    def _weights(self, values: Any, missing: float, owner: str) -> FloatArray:
        weights = np.full(len(self._assets), missing)
        for column, asset in enumerate(self._assets):
            value = values.get(asset)
            if value is None:
                continue
            if isinstance(value, (bool, str)) or not isinstance(value, Real) or not math.isfinite(value):
                raise ValueError(f"{owner}: the value of {asset!r} was {value!r}, expected a finite number")
            weights[column] = value
        return weights

    def _lookup(self, key: str, owner: str) -> Mapping[str, Any]:
        found = self._context.get(key)
        if found is None:
            given = f"; it has {shortened(list(self._context))}" if self._context else ""
            raise ValueError(f"{owner} needs risk_context[{key!r}], a mapping by asset: Engine(..., risk_context={{{key!r}: ...}}){given}")
        if not isinstance(found, Mapping):
            raise TypeError(f"{owner}: risk_context[{key!r}] was {found!r}, expected a mapping by asset")
        return found


def _hint(limit: object) -> str:
    """Say what to do with something that is no limit of the library."""
    if isinstance(limit, type):
        return f": {limit.__name__}(...)"
    if callable(getattr(limit, "evaluate", None)):
        return "; a position rule is set with broker.set_position_rules(...)"
    return "; use RiskManager in the strategy for limits of your own"


def _row_of(asset: str, row: Any) -> Mapping[str, Any]:
    """Return the loadings of an asset by factor."""
    if not isinstance(row, Mapping):
        raise TypeError(f"FactorExposureLimit: the loadings of {asset!r} were {row!r}, expected a mapping of factors")
    return row
