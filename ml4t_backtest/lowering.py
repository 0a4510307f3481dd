"""From settings to the one params record that kernels read. The only place where cost models become codes and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.config import AccountType, BacktestConfig
from ml4t_backtest.contracts import ContractSpec
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.models import (
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentageCommission,
    PercentageSlippage,
    PerShareCommission,
)
from ml4t_backtest.types import ExecutionMode
from ml4t_kernels.codes import CommissionKind, PriceField, SlippageKind
from ml4t_kernels.dtypes import contract_dtype, params_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_kernels.dtypes import Record, Records

__all__ = ["CostModels", "lower_contracts", "lower_params"]


@dataclass(frozen=True, slots=True)
class CostModels:
    """The two cost models of a run."""

    commission: object
    slippage: object


def lower_params(config: BacktestConfig, costs: CostModels) -> Records:
    """Return the params record, params_dtype[1]. Raises TypeError for a cost model that has no kernel."""
    params = np.zeros(1, dtype=params_dtype)
    row = params[0]
    row["same_bar"] = config.execution_mode is ExecutionMode.SAME_BAR
    row["price_field"] = PriceField[config.price_of_market_orders.name]
    row["allow_short"] = config.account_type is AccountType.CRYPTO
    _lower_commission(row, costs.commission)
    _lower_slippage(row, costs.slippage)
    return params


def _lower_commission(row: Record, model: object) -> None:
    if isinstance(model, PercentageCommission):
        row["commission_kind"] = CommissionKind.PERCENTAGE
        row["commission_rate"] = model.percentage
    elif isinstance(model, PerShareCommission):
        row["commission_kind"] = CommissionKind.PER_SHARE
        row["commission_per_share"] = model.cost_per_share
        row["commission_minimum"] = model.min_cost
    elif not isinstance(model, NoCommission):
        raise TypeError(f"commission_model was {model!r}, expected NoCommission(), PercentageCommission(...) or PerShareCommission(...)")


def _lower_slippage(row: Record, model: object) -> None:
    if isinstance(model, FixedSlippage):
        row["slippage_kind"] = SlippageKind.FIXED
        row["slippage_amount"] = model.amount
    elif isinstance(model, PercentageSlippage):
        row["slippage_kind"] = SlippageKind.PERCENTAGE
        row["slippage_rate"] = model.percentage
    elif not isinstance(model, NoSlippage):
        raise TypeError(f"slippage_model was {model!r}, expected NoSlippage(), FixedSlippage(...) or PercentageSlippage(...)")


def lower_contracts(assets: Sequence[str], specs: Mapping[str, ContractSpec] | None) -> Records:
    """Return one contract row per asset, contract_dtype[assets]; assets without a spec have multiplier 1.

    Raises ValueError for a spec of an asset that the feed does not have, TypeError for what is no ContractSpec.
    """
    contracts = np.zeros(len(assets), dtype=contract_dtype)
    contracts["multiplier"] = 1.0
    columns = {asset: column for column, asset in enumerate(assets)}
    for asset, spec in (specs or {}).items():
        if asset not in columns:
            raise ValueError(
                f"contract_specs has {asset!r}, which is no asset of the feed ({shortened(assets)}){did_you_mean(asset, assets)}"
            )
        if not isinstance(spec, ContractSpec):
            raise TypeError(f"contract_specs[{asset!r}] was a {type(spec).__name__}, expected a ContractSpec")
        contracts[columns[asset]]["multiplier"] = spec.multiplier
    return contracts
