"""Backtrader against the preset `backtrader_strict`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml4t_backtest import AssetClass, BacktestConfig, ContractSpec, VolumeParticipationLimit
from ml4t_backtest.types import OrderReason
from validation.runners.exchange import Instruction, Job
from validation.suite.backtrader_cases import families
from validation.suite.framework import EXACT, Framework, Plan
from validation.suite.ours import FollowsScript

__all__ = ["FRAMEWORK"]

_TARGETS = {"target_percent", "target_value"}
_ORDERS = {"market", "limit", "stop", "stop_limit", "trailing_stop", "bracket", "close", "target_quantity", "cancel", *_TARGETS}
_SETTINGS = {"cash", "fractional", "commission", "slippage", "volume_limit", "futures", "shorts", "config"}


class _LikeThere(FollowsScript):
    """Follows the script, and lists the orders that Backtrader would: not a target that rounds to no unit, and none of the last bar."""

    def play(self, broker: Any, told: Instruction) -> None:
        """Play one instruction, and forget orders that are not listed."""
        if told.time == self._times[-1]:
            return
        super().play(broker, told)
        order_id = self.labels.get(told.label)
        if told.verb in _TARGETS and order_id is not None and broker.get_order(order_id).reason is OrderReason.ROUNDS_TO_ZERO:
            del self.labels[told.label]


def _plan(job: Job) -> Plan:
    settings = job.settings
    changes: dict[str, Any] = {"initial_cash": settings["cash"], **_costs(settings), **settings.get("config", {})}
    if settings.get("fractional"):
        changes["share_type"] = "fractional"
    keywords: dict[str, Any] = {}
    if settings.get("volume_limit"):
        keywords["execution_limits"] = VolumeParticipationLimit(settings["volume_limit"])
    if settings.get("futures"):
        changes["account_type"] = "futures"
        changes["fixed_margin_schedule"] = {asset: (future["margin"], future["margin"]) for asset, future in settings["futures"].items()}
        keywords["contract_specs"] = {
            asset: ContractSpec(asset, AssetClass.FUTURE, multiplier=future["multiplier"]) for asset, future in settings["futures"].items()
        }
    config = BacktestConfig.from_preset("backtrader_strict").replace(**changes)
    return Plan(config, keywords, strategy=_LikeThere, flat_to_flat=True)


def _costs(settings: dict[str, Any]) -> dict[str, Any]:
    commission = settings.get("commission", {"kind": "percentage", "rate": 0.0})
    if commission["kind"] == "percentage":
        costs: dict[str, Any] = {"commission_type": "percentage", "commission_rate": commission["rate"]}
    else:
        costs = {"commission_type": "per_share", "commission_per_share": commission["amount"]}
    slippage = settings.get("slippage")
    if slippage is None:
        return {**costs, "slippage_type": "none"}
    if slippage["kind"] == "fixed":
        return {**costs, "slippage_type": "fixed", "slippage_fixed": slippage["amount"]}
    return {**costs, "slippage_type": "percentage", "slippage_rate": slippage["rate"]}


def _refuses(job: Job) -> str | None:
    """Say why Backtrader, or this comparison, cannot express a case."""
    settings, verbs = job.settings, {told.verb for told in job.script}
    if job.market.events:
        return "Backtrader has no corporate actions"
    if unknown := verbs - _ORDERS:
        return f"Backtrader has no {', '.join(sorted(unknown))}"
    if settings.get("rules"):
        return "Backtrader has no position rules; stops and targets are orders"
    if unknown := set(settings) - _SETTINGS:
        return f"the setting {', '.join(sorted(unknown))} is not one of Backtrader's"
    return _refused_costs(settings) or _refused_futures(settings, verbs) or _refused_script(job)


def _refused_costs(settings: dict[str, Any]) -> str | None:
    commission, slippage = settings.get("commission", {}), settings.get("slippage") or {"kind": "fixed"}
    if commission.get("kind") == "per_order":
        return "Backtrader has no commission per order"
    if commission.get("minimum"):
        return "Backtrader has no least commission"
    if slippage["kind"] not in ("fixed", "percentage"):
        return f"Backtrader has no slippage of the kind {slippage['kind']}"
    return None


def _refused_futures(settings: dict[str, Any], verbs: set[str]) -> str | None:
    if not settings.get("futures"):
        return None
    if settings.get("commission", {}).get("kind") == "percentage" and settings["commission"]["rate"]:
        return "Backtrader's percentage commission leaves out the multiplier"
    if verbs & _TARGETS:
        return "Backtrader counts targets of futures in margin"
    return None


def _refused_script(job: Job) -> str | None:
    bars = {moment: row for row, moment in enumerate(job.market.times.tolist())}
    made = {told.label: told.time for told in job.script if told.label}
    column = {asset: place for place, asset in enumerate(job.market.assets)}
    fractional = bool(job.settings.get("fractional"))
    for told in job.script:
        if told.verb == "cancel":
            if made.get(told.target.split(".")[0]) == told.time:
                return "Backtrader cannot cancel an order on the bar that submits it"
            continue
        if np.isnan(job.market.close[bars[told.time], column[told.asset]]):
            return "on a date without a bar Backtrader acts on the last one, where here an order has no price to be judged by"
        if told.verb not in (*_TARGETS, "close") and not fractional and told.quantity % 1:
            return "Backtrader does not round sizes that are given"
        if told.good_till and told.verb not in ("limit", "stop", "stop_limit", "trailing_stop"):
            return "a market order does not expire in Backtrader"
    if fractional and {told.verb for told in job.script} & _TARGETS:
        return "Backtrader rounds targets to whole units"
    return None


FRAMEWORK = Framework(
    name="backtrader",
    title="Backtrader",
    package="backtrader",
    preset="backtrader_strict",
    plan=_plan,
    refuses=_refuses,
    tolerances=dict.fromkeys((("fills", "quantity"), ("trades", "quantity"), ("orders", "filled")), EXACT),
    not_reported={"fills.slippage": "Backtrader does not say how much of a price is slippage"},
    at_scale=True,
    families=families(),
    notes=(
        "Trades go from flat to flat: all that was closed, at the entry price of the last exit and the average price of the exits.",
        "A fill of an asset without a bar, which Backtrader dates with the asset's last bar, has the date on which it happened.",
        "Backtrader takes the margin of futures out of cash; it is added back before cash is compared.",
        "A target that is less than a unit away is no order. Orders of the last bar, which Backtrader never looks at, are left out.",
        "Parts of a unit are compared in eighths, whose sums are exact: Backtrader keeps, and trades, the dust that other sums leave.",
    ),
)
