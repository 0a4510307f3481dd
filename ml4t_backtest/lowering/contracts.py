"""Contract specs and margins to one contract row per asset."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.config import AccountType, ShareType
from ml4t_backtest.contracts import AssetClass, ContractSpec
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_kernels.dtypes import contract_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.config import BacktestConfig
    from ml4t_kernels.dtypes import Record, Records

__all__ = ["lower_contracts", "specs_by_column"]


def specs_by_column(assets: Sequence[str], specs: Mapping[str, ContractSpec] | None) -> list[ContractSpec | None]:
    """Return the spec of each asset, None without.

    Raises ValueError for a spec of an asset that the feed does not have, TypeError for what is no ContractSpec.
    """
    given = dict(specs or {})
    _check_assets("contract_specs", given, assets)
    for asset, spec in given.items():
        if not isinstance(spec, ContractSpec):
            raise TypeError(f"contract_specs[{asset!r}] was a {type(spec).__name__}, expected a ContractSpec")
    return [given.get(asset) for asset in assets]


def lower_contracts(assets: Sequence[str], specs: Sequence[ContractSpec | None], config: BacktestConfig) -> Records:
    """Return one contract row per asset, contract_dtype[assets]; assets without a spec have multiplier 1.

    Raises ValueError for margins of unknown assets, and for a future without any margin in a futures account.
    """
    for name in ("fixed_margin_schedule", "margin_pct_schedule"):
        _check_assets(name, getattr(config, name) or {}, assets)
    contracts = np.zeros(len(assets), dtype=contract_dtype)
    alike = not any(specs) and not config.fixed_margin_schedule and not config.margin_pct_schedule
    for column, asset in enumerate(assets[:1] if alike else assets):
        _lower_one(contracts[column], asset, specs[column], config)
    if alike:
        contracts[1:] = contracts[:1]
    return contracts


def _lower_one(row: Record, asset: str, spec: ContractSpec | None, config: BacktestConfig) -> None:
    row["multiplier"] = 1.0 if spec is None else spec.multiplier
    lot = None if spec is None else spec.lot_size
    row["lot_size"] = (1.0 if config.share_type is ShareType.INTEGER else 0.0) if lot is None else lot
    row["borrow_rate"] = config.borrow_rate
    row["initial_margin"] = row["maintenance_margin"] = math.nan
    row["initial_rate"] = config.initial_margin
    row["long_rate"], row["short_rate"] = config.long_maintenance_margin, config.short_maintenance_margin
    is_future = spec is not None and spec.asset_class is AssetClass.FUTURE
    row["settles"] = config.account_type is AccountType.FUTURES or (is_future and config.account_type is AccountType.MARGIN)
    margins = _margins(asset, spec, config)
    if margins is not None:
        row["initial_margin"], row["maintenance_margin"] = margins
        return
    rates = (config.margin_pct_schedule or {}).get(asset)
    if rates is not None:
        row["initial_rate"] = rates[0]
        row["long_rate"] = row["short_rate"] = rates[1]
    elif row["settles"] and config.futures_margin_rate is not None:
        row["initial_rate"] = row["long_rate"] = row["short_rate"] = config.futures_margin_rate
    elif config.account_type is AccountType.FUTURES:
        raise ValueError(
            f"no margin for {asset!r}: exchanges change them weekly, so none is built in. Give ContractSpec(margin=...), a margin table"
            " (load_margin_table, apply_margins), fixed_margin_schedule, initial_margin_per_contract, or, as a fraction of the"
            " notional, margin_pct_schedule or futures_margin_rate"
        )


def _margins(asset: str, spec: ContractSpec | None, config: BacktestConfig) -> tuple[float, float] | None:
    """Return (initial, maintenance) money per contract: the schedule, else the spec, else the account's; None without."""
    scheduled = (config.fixed_margin_schedule or {}).get(asset)
    if scheduled is not None:
        return scheduled
    if spec is not None and spec.margin is not None:
        maintenance = spec.effective_maintenance_margin
        return spec.margin, spec.margin if maintenance is None else maintenance
    if config.initial_margin_per_contract is not None and config.account_type is AccountType.FUTURES:
        maintenance = config.maintenance_margin_per_contract
        return config.initial_margin_per_contract, config.initial_margin_per_contract if maintenance is None else maintenance
    return None


def _check_assets(name: str, given: Mapping[str, object], assets: Sequence[str]) -> None:
    for asset in given:
        if asset not in assets:
            raise ValueError(
                f"{name} has {asset!r}, which is no asset of the feed ({shortened(assets)}){did_you_mean(str(asset), list(assets))}"
            )
