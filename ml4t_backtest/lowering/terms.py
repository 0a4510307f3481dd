"""Everything about a run in one set of records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest import models as m
from ml4t_backtest.config import CashLedger, CommissionType, SlippageType
from ml4t_backtest.lowering.contracts import lower_contracts, specs_by_column
from ml4t_backtest.lowering.costs import CostTable
from ml4t_backtest.lowering.events import lower_events
from ml4t_backtest.lowering.limits import LimitTable
from ml4t_backtest.lowering.params import lower_params
from ml4t_backtest.store import Terms
from ml4t_kernels.codes import CommissionKind, ImpactKind, SlippageKind
from ml4t_kernels.dtypes import tier_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.frames import FrameLike
    from ml4t_backtest.lowering.hosts import HostCalls
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import Records

__all__ = ["CostModels", "Extras", "lower_terms"]


@dataclass(frozen=True, slots=True)
class CostModels:
    """Model objects that win over the config's; None leaves the config's."""

    commission: object | None = None
    slippage: object | None = None
    impact: object | None = None
    limits: object | None = None


@dataclass(frozen=True, slots=True)
class Extras:
    """What a run may have beside settings and cost models."""

    contract_specs: Mapping[str, ContractSpec] | None = None
    events: FrameLike | None = None
    funding: FrameLike | None = None
    limits: Sequence[Any] = ()
    risk_context: Mapping[str, Any] | None = None


def lower_terms(config: BacktestConfig, panels: Panels, costs: CostModels, extras: Extras, hosts: HostCalls) -> tuple[Terms, list[str]]:
    """Return the records of a run, and a name for each limit row. Errors as the rooms of `lowering`, all before anything runs."""
    specs = specs_by_column(panels.assets, extras.contract_specs)
    contracts = lower_contracts(panels.assets, specs, config)
    table = CostTable(panels, specs, hosts)
    commission = _commission(config) if costs.commission is None else costs.commission
    slippage = _slippage(config) if costs.slippage is None else costs.slippage
    rows, chosen = table.lower(commission, slippage, costs.impact, costs.limits)
    contracts["costs"] = chosen
    if config.cash_ledger is CashLedger.FREE_CASH:
        _check_simple(rows)
    limits = LimitTable(panels.assets, extras.risk_context)
    for limit in extras.limits:
        limits.add(limit)
    params = lower_params(config)
    params["has_limits"] = bool(limits.names)
    tiers = np.zeros(len(table.tiers), dtype=tier_dtype)
    for tier, (bound, rate) in zip(tiers, table.tiers, strict=True):
        tier["limit"], tier["rate"] = bound, rate
    terms = Terms(
        params=params,
        contracts=contracts,
        costs=rows,
        tiers=tiers,
        events=lower_events(panels, extras.events, extras.funding, config),
        limits=limits.records(),
        keep=[hosts, *limits.kept],
        failure=hosts.failure,
    )
    return terms, limits.names


def _check_simple(rows: Records) -> None:
    """Raise ValueError for costs that the free cash ledger cannot solve for the quantity."""
    odd = (rows["commission_kind"] > CommissionKind.LINEAR) | (rows["commission_per_unit"] != 0.0) | (rows["commission_minimum"] != 0.0)
    odd |= ~np.isin(rows["slippage_kind"], (SlippageKind.NONE, SlippageKind.PERCENTAGE, SlippageKind.FIXED))
    odd |= (rows["impact_kind"] != ImpactKind.NONE) | (rows["maker_rate"] != rows["commission_rate"])
    if odd.any():
        raise ValueError(
            "cash_ledger='free_cash' takes commissions that are a fraction of the value plus an amount per order, slippage that is a"
            " fraction of the price or an amount per unit, and no market impact; choose such models, or cash_ledger='standard'"
        )


def _commission(config: BacktestConfig) -> Any:
    """Return the commission model that the settings describe."""
    if config.commission_model is not None:
        return config.commission_model
    if config.commission_type in (CommissionType.PERCENTAGE, CommissionType.TIERED):
        percentage, least = config.commission_rate, config.commission_minimum
        return m.CombinedCommission(percentage=percentage, min_cost=least) if least else m.PercentageCommission(percentage)
    if config.commission_type is CommissionType.PER_SHARE:
        return m.PerShareCommission(config.commission_per_share, config.commission_minimum)
    if config.commission_type is CommissionType.PER_TRADE:
        return m.PerOrderCommission(config.commission_per_trade)
    return m.NoCommission()


def _slippage(config: BacktestConfig) -> Any:
    """Return the slippage model that the settings describe."""
    if config.slippage_model is not None:
        return config.slippage_model
    if config.slippage_type is SlippageType.PERCENTAGE:
        return m.PercentageSlippage(config.slippage_rate)
    if config.slippage_type is SlippageType.FIXED:
        return m.FixedSlippage(config.slippage_fixed)
    if config.slippage_type is SlippageType.VOLUME_BASED:
        return m.VolumeShareSlippage(impact_factor=config.slippage_rate)
    if config.slippage_type is SlippageType.SPREAD:
        return m.SpreadSlippage(spread=config.slippage_spread or None)
    return m.NoSlippage()
