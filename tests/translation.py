"""A case in the words of the engine (config, models, rules, limits) and in those of the oracle."""

from __future__ import annotations

from typing import Any

from ml4t_backtest import BacktestConfig, ContractSpec, risk
from ml4t_backtest import models as m
from ml4t_backtest.execution import impact as i
from ml4t_backtest.execution import limits as e
from tests.cases import Case
from tests.oracle import Commission, Contract, CostModel, Settings, limit_types, rule_types

__all__ = ["engine_config", "engine_contracts", "engine_limits", "engine_models", "engine_rule", "oracle_rule", "oracle_settings"]

PLAIN_COSTS = {"commission": ("none",), "slippage": ("none",), "impact": ("none",), "participation": None}
COMMISSIONS = {
    "none": m.NoCommission,
    "percentage": m.PercentageCommission,
    "per_share": m.PerShareCommission,
    "combined": m.CombinedCommission,
    "per_order": m.PerOrderCommission,
    "order_share": m.PerOrderPerShareCommission,
    "largest": m.FuturesCommission,
    "maker_taker": m.MakerTakerCommission,
}
COMMISSION_FIELDS = {
    "percentage": ("rate",),
    "per_share": ("per_unit", "minimum"),
    "combined": ("rate", "per_order", "per_unit", "minimum"),
    "per_order": ("per_order",),
    "order_share": ("per_order", "per_unit", "minimum"),
    "largest": ("minimum", "per_unit", "rate"),
    "maker_taker": ("maker_rate", "rate"),
}
IMPACTS = {"none": i.NoImpact, "linear": i.LinearImpact, "square_root": i.SquareRootImpact, "power": i.PowerLawImpact}
DEFAULT_TICK = 0.01  # of a contract spec


def costs_of(case: Case) -> dict[str, Any]:
    """Return the costs of the assets that have none of their own."""
    return {"commission": case.commission, "slippage": case.slippage, "impact": case.impact, "participation": case.participation}


# The engine -----------------------------------------------------------------------------------------------------------


def engine_config(case: Case) -> BacktestConfig:
    """Return the settings of a case."""
    settings = {
        "account_type": case.account_type,
        "execution_mode": case.execution_mode,
        "execution_price": case.execution_price,
        **case.settings,
    }
    return BacktestConfig(initial_cash=case.initial_cash, **settings)


def engine_models(case: Case) -> dict[str, Any]:
    """Return the cost models of a case as arguments of `Engine`."""
    default = costs_of(case)
    made = {name: _engine_costs(costs) for name, costs in [("", default), *case.asset_costs.items()]}
    if not case.asset_costs:
        return made[""]
    owners = {
        "commission_model": m.AssetCommission,
        "slippage_model": m.AssetSlippage,
        "market_impact_model": None,
        "execution_limits": e.AssetExecutionLimits,
    }
    return {
        name: made[""][name] if owner is None else owner({asset: made[asset][name] for asset in case.asset_costs}, made[""][name])
        for name, owner in owners.items()
    }


def _engine_costs(costs: dict[str, Any]) -> dict[str, Any]:
    kind, *numbers = costs["commission"]
    if kind in ("value_tiers", "quantity_tiers"):
        tiers = numbers[0] if kind == "value_tiers" else _ranges(numbers[0])
        commission: Any = m.TieredCommission(tiers)
    else:
        commission = COMMISSIONS[kind](*numbers)
    share = costs["participation"]
    return {
        "commission_model": commission,
        "slippage_model": _engine_slippage(*costs["slippage"]),
        "market_impact_model": IMPACTS[costs["impact"][0]](*costs["impact"][1:]),
        "execution_limits": e.NoLimits() if share is None else e.VolumeParticipationLimit(*share),
    }


def _ranges(tiers: Any) -> tuple[tuple[float, float, float], ...]:
    """Return tiers by quantity with both ends."""
    starts = [0.0, *(bound for bound, _ in tiers)]
    return tuple((start, bound, rate) for start, (bound, rate) in zip(starts, tiers, strict=False))


def _engine_slippage(kind: str, *numbers: Any) -> Any:
    if kind == "volume_share":
        return m.VolumeShareSlippage(impact_factor=numbers[0])
    if kind == "squared_volume_share":
        return m.VolumeShareSlippage(volume_limit=numbers[0], price_impact=numbers[1])
    if kind in ("spread", "bid_ask"):
        return m.SpreadSlippage(*numbers)
    return {"none": m.NoSlippage, "fixed": m.FixedSlippage, "percentage": m.PercentageSlippage}[kind](*numbers)


def engine_contracts(case: Case) -> dict[str, ContractSpec]:
    """Return the contract specs of a case."""
    specs: dict[str, dict[str, Any]] = {asset: {"multiplier": multiplier} for asset, multiplier in case.multipliers.items()}
    for asset, given in case.contracts.items():
        kind = "future" if given.get("future") else "equity"
        specs[asset] = {"asset_class": kind, **{name: value for name, value in given.items() if name != "future"}}
    return {asset: ContractSpec(asset, **spec) for asset, spec in specs.items()}


def engine_limits(case: Case) -> dict[str, Any]:
    """Return the portfolio limits of a case and their context, as arguments of `Engine`."""
    makers: dict[str, Any] = {
        "positions": lambda most, action: risk.MaxPositionsLimit(most, action=action),
        "largest": lambda most, action: risk.MaxExposureLimit(most, action=action),
        "gross": lambda most, action: risk.GrossExposureLimit(most, action=action),
        "net": lambda most, least, action: risk.NetExposureLimit(most, least, action=action),
        "sector": lambda most, action: risk.SectorExposureLimit(most, action=action),
        "beta": lambda most, least, action: risk.BetaLimit(most, least, action=action),
        "factor": lambda most, least, action: risk.FactorExposureLimit("f", most, least, action=action),
        "daily_loss": lambda most, action, part: risk.DailyLossLimit(most, action=action, reduction_pct=part),
        "drawdown": lambda most, action, part: risk.MaxDrawdownLimit(most, action=action, reduction_pct=part),
        "value_at_risk": risk.VaRLimit,
        "conditional": risk.CVaRLimit,
    }
    context = {
        "asset_sectors": {asset: sector for asset, (sector, _, _) in case.exposures.items()},
        "asset_betas": {asset: beta for asset, (_, beta, _) in case.exposures.items()},
        "factor_loadings": {"f": {asset: loading for asset, (_, _, loading) in case.exposures.items()}},
    }
    return {"limits": [makers[kind](*numbers) for kind, *numbers in case.limits], "risk_context": context}


def engine_rule(rule: tuple[Any, ...]) -> Any:
    """Return a position rule."""
    kind, *numbers = rule
    if kind in ("chain", "any", "all"):
        owner: Any = {"chain": risk.RuleChain, "any": risk.AnyOf, "all": risk.AllOf}[kind]
        return owner(*map(engine_rule, numbers[0]))
    makers: dict[str, Any] = {
        "stop_loss": risk.StopLoss,
        "take_profit": risk.TakeProfit,
        "trailing_stop": risk.TrailingStop,
        "time_exit": risk.TimeExit,
        "tightening": risk.TighteningTrailingStop,
        "volatility_stop": lambda multiple, keep: risk.VolatilityStop(multiple, use_entry_atr=keep),
        "volatility_trail": risk.VolatilityTrailingStop,
        "scaled": risk.ScaledExit,
        "signal": lambda threshold: risk.SignalExit("exit", threshold),
    }
    return makers[kind](*numbers)


# The oracle -----------------------------------------------------------------------------------------------------------


def oracle_settings(case: Case) -> Settings:
    """Return the settings of a case for the oracle."""
    given = {"execution_mode": case.execution_mode, "execution_price": case.execution_price, **case.settings}
    given["account"] = case.account_type
    given.pop("account_type", None)
    if given.pop("next_bar_simple_cash_check", False):
        given["cash_check"] = "open_cash"
    rate = given.pop("futures_margin_rate", None)
    if rate is not None:
        given |= dict.fromkeys(("initial_margin", "long_maintenance_margin", "short_maintenance_margin"), rate)
    return Settings(
        initial_cash=case.initial_cash,
        **given,
        **_oracle_costs(costs_of(case)),
        multipliers=case.multipliers,
        contracts={asset: _oracle_contract(contract) for asset, contract in case.contracts.items()},
        asset_costs={asset: CostModel(**_oracle_costs(costs)) for asset, costs in _own_costs(case).items()},
        limits=[made for limit in case.limits for made in _oracle_limits(case, *limit)],
    )


def _own_costs(case: Case) -> dict[str, dict[str, Any]]:
    """Return the costs of assets with costs of their own; the impact is the same for all."""
    return {asset: {**costs, "impact": case.impact} for asset, costs in case.asset_costs.items()}


def _oracle_contract(given: dict[str, Any]) -> Contract:
    names = {"margin": "initial_margin"}
    return Contract(**{"tick_size": DEFAULT_TICK, **{names.get(name, name): value for name, value in given.items()}})


def _oracle_costs(costs: dict[str, Any]) -> dict[str, Any]:
    kind, *numbers = costs["commission"]
    if kind in ("value_tiers", "quantity_tiers"):
        commission = Commission(**{kind: numbers[0]})
    else:
        commission = Commission(**dict(zip(COMMISSION_FIELDS.get(kind, ()), numbers, strict=True)), largest_of=kind == "largest")
    slippage, share = tuple(costs["slippage"]), costs["participation"]
    caps = [] if share is None else [share[0]]
    if slippage[0] == "squared_volume_share":
        caps.append(slippage[1])
    return {
        "commission": commission,
        "slippage": slippage,
        "impact": costs["impact"],
        "participation": min(caps) if caps else None,
        "min_volume": 0 if share is None else share[1],
    }


def _oracle_limits(case: Case, kind: str, *numbers: Any) -> list[Any]:
    t: Any = limit_types
    if kind == "sector":
        sectors = sorted({sector for sector, _, _ in case.exposures.values()})
        members = [{asset: 1.0 for asset, own in case.exposures.items() if own[0] == sector} for sector in sectors]
        return [t.SectorExposure(*numbers, weights=weights) for weights in members]
    if kind in ("beta", "factor"):
        most, least, action = numbers
        place = 1 if kind == "beta" else 2
        weights = {asset: own[place] for asset, own in case.exposures.items()}
        return [t.FactorExposure(most, action, weights=weights, least=least)]
    if kind == "net":
        return [t.NetExposure(numbers[0], numbers[2], least=numbers[1])]
    if kind in ("value_at_risk", "conditional"):
        owner = t.ValueAtRisk if kind == "value_at_risk" else t.ConditionalValueAtRisk
        return [owner(numbers[0], numbers[3], confidence=numbers[1], lookback=numbers[2])]
    owners = {
        "positions": t.PositionsLimit,
        "largest": t.LargestPosition,
        "gross": t.GrossExposure,
        "daily_loss": t.DailyLoss,
        "drawdown": t.Drawdown,
    }
    return [owners[kind](*numbers)]


def oracle_rule(rule: tuple[Any, ...]) -> Any:
    """Return a position rule for the oracle."""
    kind, *numbers = rule
    t: Any = rule_types
    if kind in ("chain", "any", "all"):
        owner: Any = {"chain": t.Chain, "any": t.AnyOf, "all": t.AllOf}[kind]
        return owner(tuple(map(oracle_rule, numbers[0])))
    makers: dict[str, Any] = {
        "stop_loss": t.StopLoss,
        "take_profit": t.TakeProfit,
        "trailing_stop": t.TrailingStop,
        "time_exit": t.TimeExit,
        "tightening": t.Tightening,
        "volatility_stop": lambda multiple, keep: t.VolatilityStop(multiple, "atr", keep),
        "volatility_trail": lambda multiple: t.VolatilityTrailingStop(multiple, "atr"),
        "scaled": t.ScaledExit,
        "signal": lambda threshold: t.SignalExit("exit", threshold),
    }
    return makers[kind](*numbers)
