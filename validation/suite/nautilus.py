"""NautilusTrader with daily bars: how its cases run here, and random cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml4t_backtest import AssetClass, BacktestConfig, ContractSpec
from ml4t_backtest.models import FixedSlippage, PercentageCommission, PerOrderCommission, PerShareCommission
from validation.runners.exchange import Instruction, Job
from validation.suite.framework import Family, Framework, Plan, Tolerance
from validation.suite.markets import walk
from validation.suite.ours import FollowsScript

__all__ = ["FRAMEWORK"]

_VERBS = {"market", "limit", "stop", "trailing_stop", "bracket", "close", "cancel"}
_FIXED_POINT = "prices and money are fixed-point numbers of nine decimals there; every fee, profit and balance is rounded to them"


class _PlaysPlainOrders(FollowsScript):
    """No order but `close` and the legs of brackets is reduce-only."""

    reduce_only = False


def _commission(told: dict[str, Any]) -> Any:
    if told["kind"] == "percentage":
        return PercentageCommission(told["rate"])
    return PerShareCommission(told["amount"], 0.0) if told["kind"] == "per_unit" else PerOrderCommission(told["amount"])


def _plan(job: Job) -> Plan:
    settings = job.settings
    changes: dict[str, Any] = {
        "initial_cash": settings["cash"],
        "share_type": "integer",
        "submission_bar_range": "close",
        "skip_cash_validation": True,  # a margin account whose instruments need no margin
        "fill_ordering": "fifo",
        "trail_update": "bar_first",
        "limit_fill": "better_close",
        "stop_gap_fill": "stop_price",
        # the high comes before the low: the target of a long, the stop of a short
        "bracket_priority": "stop_first" if _sides(job) == {-1.0} else "limit_first",
    }
    if settings.get("commission"):
        changes["commission_model"] = _commission(settings["commission"])
    if settings.get("slippage"):
        changes["slippage_model"] = FixedSlippage(settings["slippage"]["amount"])
    keywords: dict[str, Any] = {}
    if settings.get("futures"):  # what ours settle every day stays in the position there; the account value is the same
        changes["account_type"] = "futures"
        changes["fixed_margin_schedule"] = {asset: (future["margin"], future["margin"]) for asset, future in settings["futures"].items()}
        specs = {
            asset: ContractSpec(asset, AssetClass.FUTURE, multiplier=future["multiplier"]) for asset, future in settings["futures"].items()
        }
        keywords["contract_specs"] = specs
    config = BacktestConfig.from_preset("fast").replace(**changes, **settings.get("config", {}))
    return Plan(config, keywords, strategy=_PlaysPlainOrders, flat_to_flat=True, by_label=True)


def _sides(job: Job) -> set[float]:
    """Return the sides of the brackets: 1.0 long, -1.0 short."""
    return {float(np.sign(told.quantity)) for told in job.script if told.verb == "bracket"}


def _refuses(job: Job) -> str | None:  # noqa: PLR0911 - one reason each
    settings, market, script = job.settings, job.market, job.script
    unknown = {told.verb for told in script} - _VERBS
    if unknown:
        return f"no {', '.join(sorted(unknown))} orders"
    if settings.get("rules"):
        return "its exits are orders, not rules of positions"
    if market.events:
        return "its bars bring no splits and dividends"
    if settings.get("fractional") or any(told.quantity != round(told.quantity) for told in script if told.quantity == told.quantity):
        return "whole units only"
    if len(_sides(job)) > 1:
        return "brackets on both sides: the high comes before the low, which means the target of one side and the stop of the other"
    if any(told.verb == "bracket" and not np.isnan(told.limit_price) for told in script):
        return "brackets with a limit entry: their legs see the rest of the entry's bar, tick by tick"
    if any(told.verb == "trailing_stop" and told.quantity > 0 for told in script):
        return "no trailing stop that buys: the bar's high is tested before its low moves the stop, and its close after that"
    least = float(np.nanmin(market.volume)) / 4.0
    if settings.get("volume_limit") or any(abs(told.quantity) > least for told in script):
        return "a quarter of the bar's volume fills at the price, the rest one tick worse"
    return _refuses_costs(settings, script)


def _refuses_costs(settings: dict[str, Any], script: tuple[Instruction, ...]) -> str | None:
    slippage, commission = settings.get("slippage"), settings.get("commission")
    if slippage and (slippage["kind"] != "fixed" or any(told.verb not in ("market", "close") for told in script)):
        return "slippage is one tick, and takes limit orders beyond their limit"
    if commission and commission.get("minimum"):
        return "no least commission"
    return None


class _Script:
    """A script in the making: at most one order waits at a time, since the path within a bar decides between several."""

    def __init__(self, seed: int, name: str, assets: int) -> None:
        self.random = np.random.default_rng([seed, 31])
        volatility = float(self.random.uniform(0.008, 0.03))
        self.market = walk(
            f"{name}-{seed}",
            seed=seed,
            bars=int(self.random.integers(20, 60)),
            assets=assets,
            volatility=volatility,
            gap=0.006,
            spread=0.04 if seed % 3 == 1 else 0.01,
        )
        self.told: list[Instruction] = []

    def price(self, bar: int, column: int, least: float, most: float) -> float:
        """Return a price in cents, so many parts above the close of a bar."""
        return round(float(self.market.close[bar, column] * (1.0 + self.random.uniform(least, most))), 2)

    def add(self, bar: int, column: int, verb: str, quantity: float = np.nan, **terms: Any) -> str:
        """Add an instruction and return its label."""
        label = "" if verb == "cancel" else f"o{len(self.told):03d}"
        self.told.append(Instruction(int(self.market.times[bar]), self.market.assets[column], verb, quantity, label=label, **terms))
        return label

    def job(self, name: str, **more: Any) -> Job:
        """Return the case, with or without a commission."""
        kind = str(self.random.choice(["none", "percentage", "per_unit", "per_order"]))
        commission = (
            {"kind": kind, "rate": 0.0015} if kind == "percentage" else {"kind": kind, "amount": float(self.random.choice([0.01, 1.5]))}
        )
        settings = {"cash": 1_000_000.0, **more, **({} if kind == "none" else {"commission": commission})}
        return Job(name, self.market, settings, tuple(self.told))


def _orders(seed: int) -> Job:
    """Return a case of market, limit, stop and closing orders of one to three assets."""
    script = _Script(seed, "orders", seed % 3 + 1)
    random, last = script.random, len(script.market.times)
    for column in range(len(script.market.assets)):
        waiting = ""
        for bar in sorted(random.choice(last, int(random.integers(4, 12)), replace=False).tolist()):
            if waiting:
                script.add(bar, column, "cancel", target=waiting)
            waiting, side, size = "", int(random.choice([-1, 1])), int(random.integers(1, 500))
            verb = str(random.choice(["market", "limit", "stop", "close"]))
            if verb == "limit":
                waiting = script.add(
                    bar, column, verb, side * size, limit_price=script.price(bar, column, *sorted((-0.03 * side, 0.01 * side)))
                )
            elif verb == "stop":
                waiting = script.add(
                    bar, column, verb, side * size, stop_price=script.price(bar, column, *sorted((0.03 * side, -0.01 * side)))
                )
            elif verb == "market":
                script.add(bar, column, verb, side * size)
            else:
                script.add(bar, column, verb)
    contracts = {asset: {"multiplier": float(random.choice([5.0, 50.0])), "margin": 5.0} for asset in script.market.assets}
    return script.job(f"orders-{seed}", **({"futures": contracts} if random.random() < 0.2 else {}))


def _exits(seed: int) -> Job:
    """Return a case of brackets on one side, or of longs with trailing stops, one position after the other."""
    script = _Script(seed, "exits", 1)
    random, last, bar = script.random, len(script.market.times), 0
    side, trails = (1 if seed % 4 < 3 else -1), seed % 4 == 0
    while bar < last - 1:
        size = side * int(random.integers(1, 500))
        if trails:
            script.add(bar, 0, "market", size)
            leg = script.add(bar, 0, "trailing_stop", -size, trail_amount=float(round(random.uniform(0.5, 6.0), 2)))
        else:
            target, stop = (script.price(bar, 0, *sorted((near * side, far * side))) for near, far in ((0.005, 0.05), (-0.005, -0.05)))
            leg = script.add(bar, 0, "bracket", size, take_profit=target, stop_loss=stop)
        bar = min(bar + int(random.integers(3, 15)), last - 1)
        for name in (leg,) if trails else (leg, leg + ".target", leg + ".stop"):
            script.add(bar, 0, "cancel", target=name)
        script.add(bar, 0, "close")
        bar += 1
    return script.job(f"exits-{seed}")


FRAMEWORK = Framework(
    name="nautilus",
    title="NautilusTrader",
    package="nautilus_trader",
    preset="fast",
    plan=_plan,
    refuses=_refuses,
    python="3.12",
    tolerances={
        ("fills", "commission"): Tolerance(1e-9, 1e-8, _FIXED_POINT),
        ("trades", "pnl"): Tolerance(1e-9, 1e-7, _FIXED_POINT),
        ("equity", "value"): Tolerance(1e-9, 1e-7, _FIXED_POINT),
    },
    not_reported={
        "fills.slippage": "it tells prices only",
        "trades.commission": "its positions tell their profit after fees, and no fees",
        "equity.cash": "the balance of its margin account is not lowered by what positions cost",
    },
    notes=(
        (
            "a bar is four ticks, open, high, low and close: of a bracket that one bar touches on both sides the high decides, the target of a"
            " long and the stop of a short"
        ),
        "stops fill at their stop, also where the bar opens beyond it: `stop_gap_fill` has that rule, and the defaults do not",
        "orders that are open together are tried one at a time, since the path within the bar decides between several",
    ),
    families=(Family("orders", 60, _orders), Family("exits", 40, _exits)),
)
