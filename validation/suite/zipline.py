"""Zipline: runs of its daily simulation against the presets `zipline_strict` and `zipline_open_strict`.

Zipline has no check of cash, so that the strict presets are the ones to compare with. Three things are brought to one shape:
an order for which `order()` returns None, because it is for less than a share, is an order that we reject (`ROUNDS_TO_ZERO`) and
has no label here; "close" is an order for the whole position, which Zipline has no other word for than `order_target(asset, 0)`;
and an order that a split leaves with nothing to trade is cancelled (Zipline drops it and then calls it filled).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ml4t_backtest import (
    BacktestConfig,
    CumulativeVolumeShareSlippage,
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentageCommission,
    PercentageSlippage,
    PerShareCommission,
    execution,
    models,
)
from ml4t_backtest.types import OrderStatus
from validation.runners.exchange import Instruction, Job
from validation.suite.framework import EXACT, Family, Framework, Plan
from validation.suite.ours import FollowsScript
from validation.suite.zipline_cases import FAMILIES

__all__ = ["FRAMEWORK", "FollowsZipline", "plan", "refuses"]

_VERBS = {"market", "limit", "stop", "stop_limit", "close", "target_percent", "target_value", "target_quantity", "cancel"}
_PRESETS = {"close": "zipline_strict", "open": "zipline_open_strict"}


class FollowsZipline(FollowsScript):
    """Does what the script says in Zipline's words."""

    def play(self, broker: Any, told: Instruction) -> None:
        """Play one instruction; an order for less than a share is none."""
        super().play(broker, told)
        label = self.labels.get(told.label)
        if label is not None and told.verb != "cancel":
            order = broker.get_order(label)
            if order.status is OrderStatus.REJECTED and order.quantity < 1.0:
                del self.labels[told.label]

    def _close(self, broker: Any, told: Instruction) -> Any:
        return broker.order_target_quantity(told.asset, 0.0)


def _commission(told: dict[str, Any] | None) -> Any:
    if told is None:
        return NoCommission()
    if told["kind"] == "per_unit":
        return PerShareCommission(told["amount"], told.get("minimum", 0.0))
    if told["kind"] == "per_order":
        return models.PerOrderCommission(told["amount"])
    return PercentageCommission(told["rate"])


def _slippage(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return the slippage model and the limit of the volume."""
    told = settings.get("slippage", {"kind": "none"})
    share = told.get("volume_limit", settings.get("volume_limit"))
    limits = execution.NoLimits() if share is None else execution.SharedVolumeParticipationLimit(share)
    if told["kind"] == "volume_share":
        return CumulativeVolumeShareSlippage(share, told["price_impact"]), execution.NoLimits()
    made = {
        "none": NoSlippage,
        "fixed": lambda: FixedSlippage(told["amount"]),
        "percentage": lambda: PercentageSlippage(told["rate"]),
        "basis_points": lambda: PercentageSlippage(told["basis_points"] / 1e4),
    }
    return made[told["kind"]](), limits


def plan(job: Job, engine: str = "close") -> Plan:
    """Return how a case is run here."""
    settings = job.settings
    slippage, limits = _slippage(settings)
    config = BacktestConfig.from_preset(_PRESETS[engine]).replace(
        initial_cash=settings["cash"],
        commission_model=_commission(settings.get("commission")),
        slippage_model=slippage,
        # Of Zipline's models that by volume share waits for a price within the limit, the others pay any.
        beyond_limit="wait" if settings.get("slippage", {}).get("kind") == "volume_share" else "fill",
        **settings.get("config", {}),
    )
    return Plan(config, {"execution_limits": limits}, FollowsZipline)


def refuses(job: Job) -> str | None:
    """Return why Zipline cannot express a case."""
    for told in job.script:
        if told.verb not in _VERBS:
            return f"Zipline has no {told.verb.replace('_', ' ')} orders"
        if told.good_till or (told.target and told.verb != "cancel"):
            return "Zipline's orders do not expire, nor cancel each other"
    settings = job.settings
    reasons = {
        "Zipline trades whole shares": settings.get("fractional"),
        "Zipline has no exits by rules on positions": settings.get("rules"),
        "Zipline's futures know no margin, and the runner plays equities": settings.get("futures"),
        "Zipline's fixed slippage has no volume limit": settings.get("slippage", {}).get("kind") == "fixed"
        and settings.get("volume_limit"),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


FRAMEWORK = Framework(
    name="zipline",
    title="Zipline",
    package="zipline-reloaded",
    preset="zipline_strict",
    plan=plan,
    plans={"open": partial(plan, engine="open")},
    refuses=refuses,
    engines=("close", "open"),
    not_reported={
        "trades": "Zipline keeps positions at an average cost and has no round trips",
        "fills.slippage": "Zipline's transactions have the price after slippage only",
    },
    tolerances={("fills", "quantity"): EXACT, ("orders", "filled"): EXACT},
    at_scale=True,
    families=tuple(Family(name, count, make) for name, count, make in FAMILIES),
    notes=(
        "The engine `open` fills at the open by slippage classes of a user's own; limit and stop orders are still triggered by the close.",
        "After a split Zipline counts commission per share from the converted quantity of an order that has filled in part.",
        "Here what was paid for the old units stays paid; no case combines the two.",
        "Dividends are paid on the ex-date: Zipline pays on the pay date, which the cases set to the ex-date.",
    ),
)
