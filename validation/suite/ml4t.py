"""The published `ml4t-backtest` 0.2.0, which our engine replaces: the same settings under the same names, and what differs is documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest import BacktestConfig, VolumeParticipationLimit
from validation.runners.exchange import Answers, Instruction, Job
from validation.suite.framework import Framework, Plan
from validation.suite.launch import run_there
from validation.suite.ml4t_cases import FAMILIES
from validation.suite.ml4t_explain import attribute
from validation.suite.ml4t_findings import EXPLANATIONS
from validation.suite.ours import FollowsScript, run_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from validation.suite.compare import Comparison

__all__ = ["FRAMEWORK", "OLD_WAY"]

# The settings by which docs/differences.md brings back the published behaviour.
OLD_WAY: Mapping[str, Any] = {
    "child_activation": "same_bar",
    "bracket_priority": "limit_first",
    "trail_update": "bar_first",
    "margin_call": "ignore",
    "limit_fill": "limit",
    "submission_bar_range": "range",
}
_NOT_OURS = ("commission_type", "next_bar_execution_price", "execution_price")


class _NeverReduceOnly:
    """A broker whose orders are never reduce-only, which is how docs/differences.md brings back exits that open the other side."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def submit_order(self, asset: str, quantity: float, **order: Any) -> Any:
        return self._broker.submit_order(asset, quantity, **{**order, "reduce_only": False})

    def close_position(self, asset: str) -> Any:
        position = self._broker.get_position(asset)
        return None if position is None else self.submit_order(asset, -position.quantity)

    def order_target_percent(self, asset: str, weight: float) -> Any:
        return self._broker.order_target_percent(asset, weight, reduce_only=False)

    def order_target_value(self, asset: str, value: float) -> Any:
        return self._broker.order_target_value(asset, value, reduce_only=False)

    def order_target_quantity(self, asset: str, quantity: float) -> Any:
        return self._broker.order_target_quantity(asset, quantity, reduce_only=False)


class _OldWay(FollowsScript):
    """Plays the script with orders that are never reduce-only."""

    def play(self, broker: Any, told: Instruction) -> None:
        super().play(_NeverReduceOnly(broker), told)


def plan(job: Job) -> Plan:
    """Translate the published settings into ours; `settings["config"]` goes before the old way."""
    settings, native = job.settings, job.settings.get("native", {})
    wanted = {**OLD_WAY, **settings.get("config", {})}
    reduce_only = wanted.pop("reduce_only", False)
    chosen = {name: value for name, value in native.items() if name not in _NOT_OURS}
    price = "execution_price" if native.get("execution_mode") == "same_bar" else "next_bar_execution_price"
    config = BacktestConfig(
        initial_cash=settings["cash"],
        share_type="fractional" if settings.get("fractional") else "integer",
        execution_price=native.get(price, "open"),
        **_commission(settings.get("commission")),
        **_slippage(settings.get("slippage")),
        **wanted,
        **{**dict.fromkeys(("allow_short_selling", "allow_leverage"), bool(settings.get("shorts"))), **chosen},
    )
    limit = settings.get("volume_limit")
    keywords = {} if limit is None else {"execution_limits": VolumeParticipationLimit(max_participation=limit)}
    return Plan(config, keywords, None if reduce_only else _OldWay)


def _commission(told: Mapping[str, Any] | None) -> dict[str, Any]:
    if told is None:
        return {"commission_type": "none"}
    if told["kind"] == "percentage":
        return {"commission_type": "percentage", "commission_rate": told["rate"]}
    if told["kind"] == "per_unit":
        return {"commission_type": "per_share", "commission_per_share": told["amount"], "commission_minimum": told.get("minimum", 0.0)}
    return {"commission_type": "per_trade", "commission_per_trade": told["amount"]}


def _slippage(told: Mapping[str, Any] | None) -> dict[str, Any]:
    if told is None:
        return {"slippage_type": "none"}
    if told["kind"] == "fixed":
        return {"slippage_type": "fixed", "slippage_fixed": told["amount"]}
    if told["kind"] == "percentage":
        return {"slippage_type": "percentage", "slippage_rate": told["rate"]}
    return {"slippage_type": "volume_based", "slippage_rate": told["factor"]}


_SIGNALS = {"long_entry", "long_exit", "short_entry", "short_exit"}


def refuses(job: Job) -> str | None:
    """Return why 0.2.0 cannot express a case."""
    slippage = job.settings.get("slippage") or {}
    reasons = {
        "it has no signals of entries and exits, a strategy submits orders": any(told.verb in _SIGNALS for told in job.script),
        "its trailing stop orders trail by an amount, not by a percentage": any(
            told.verb == "trailing_stop" and not np.isnan(told.trail_percent) for told in job.script
        ),
        "its orders have no last time": any(told.good_till for told in job.script),
        "it has no one-cancels-other groups but brackets": any(told.target and told.verb != "cancel" for told in job.script),
        "a percentage together with an amount is not mapped": "fixed" in (job.settings.get("commission") or {}),
        "its splits and dividends need a manifest of declared terms, which the runner does not make": bool(job.market.events),
        "its futures settle variation by dated settlement events, which the case does not have": "futures" in job.settings,
        f"it has no slippage of the kind {slippage.get('kind')}": slippage.get("kind") in {"volume_share", "basis_points"},
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def explain(jobs: list[Job], comparisons: Mapping[str, Comparison], theirs: Answers, ours: Answers) -> dict[str, tuple[str, ...]]:
    """Attribute the cases that differ to entries of docs/differences.md, in the order found; () is a mismatch."""
    return attribute(EXPLANATIONS, jobs, comparisons, theirs, ours, _play)


def _play(jobs: list[Job]) -> tuple[Answers, Answers]:
    ours = Answers()
    for job in jobs:
        run_here(job, plan(job), ours)
    return run_there(FRAMEWORK, jobs), ours


FRAMEWORK = Framework(
    name="ml4t",
    title="ml4t-backtest",
    package="ml4t-backtest",
    preset="default",
    plan=plan,
    refuses=refuses,
    python="3.12",
    at_scale=True,
    families=FAMILIES,
    explain=explain,
    notes=(
        "Settings have the same names on both sides; `next_bar_execution_price` there is `execution_price` here in NEXT_BAR mode.",
        "The old way of docs/differences.md is on: orders never reduce-only, legs that wake at once, target first, trails moved first.",
        "`per_order_per_share` and `per_order` commissions there are `per_share` and `per_trade` here, which always count the order.",
    ),
)
