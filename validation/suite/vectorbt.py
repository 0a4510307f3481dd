"""VectorBT (open source): its signals and orders as a strategy of ours, and random cases."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

from ml4t_backtest import BacktestConfig, CombinedCommission, PercentageSlippage, Strategy
from ml4t_backtest.signals.conflicts import FLAT, LONG, SHORT, Conflicts
from ml4t_kernels.codes import SignalAction, SignalBit, SizeKind
from ml4t_kernels.signals_orders import order_of
from validation.runners.exchange import Instruction, Job
from validation.suite.framework import EXACT, Family, Framework, Plan
from validation.suite.markets import walk
from validation.suite.ours import position_rules

__all__ = ["FRAMEWORK", "FollowsSignals", "FollowsSizes"]

_SIGNALS = {bit.name.lower(): bit for bit in SignalBit}  # long_entry, long_exit, short_entry, short_exit
_SIDES = tuple(_SIGNALS)
_CONFLICTS = ("accumulate", "upon_long_conflict", "upon_short_conflict", "upon_dir_conflict", "upon_opposite_entry")
_VERBS = {*_SIGNALS, "market", "close", "target_percent", "target_value", "target_quantity"}
_RULES = ("stop_loss", "trailing_stop", "take_profit")  # the stop is looked at before the target


class _Follows(Strategy):
    """What both kinds of strategy know: the script by bar, and who has a bar now."""

    def __init__(self, job: Job) -> None:
        self.labels: dict[str, str] = {}
        self.native = job.settings.get("native", {})
        self._job = job
        self._times = job.market.times.tolist()
        self._place = {asset: column for column, asset in enumerate(job.market.assets)}
        self._close = job.market.close
        self._last = np.full(len(job.market.assets), np.nan)
        self._bar = -1
        self._orders = 0
        self._has_rules = bool(job.settings.get("rules"))
        self._todo: dict[int, dict[str, list[Instruction]]] = defaultdict(lambda: defaultdict(list))
        for told in job.script:
            self._todo[told.time][told.asset].append(told)

    def on_start(self, broker: Any) -> None:
        rules = self._job.settings.get("rules", {})
        rule = position_rules({name: rules[name] for name in _RULES if name in rules})
        if rule is not None:
            broker.set_position_rules(rule)

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self._bar += 1
        close = self._close[self._bar]
        self._last = np.where(np.isnan(close), self._last, close)
        told = self._todo.get(self._times[self._bar], {})
        held = {asset: 0.0 if (position := broker.get_position(asset)) is None else position.quantity for asset in told}
        orders = broker.orders if self._has_rules else []
        stopped = {order.asset for order in orders[self._orders :]}  # where a stop had its turn, filled or refused, signals are dropped
        wanted = [
            (asset, *self.decide(asset, told[asset], held, broker))
            for asset in sorted(told, key=self._place.__getitem__)
            if asset not in stopped
        ]
        if self.native.get("call_seq") == "auto":
            values = {asset: quantity * self._last[self._place[asset]] if quantity else 0.0 for asset, quantity, _ in wanted}
            wanted.sort(key=lambda order: values[order[0]])
        for asset, quantity, only_closes in wanted:
            if quantity and not math.isnan(quantity) and not math.isnan(close[self._place[asset]]):
                self.submit(asset, quantity, broker, told[asset][-1].label, only_closes=only_closes)
        self._orders = len(broker.orders) if self._has_rules else 0

    def submit(self, asset: str, quantity: float, broker: Any, label: str, *, only_closes: bool) -> None:
        """Send one order."""
        order = broker.submit_order(asset, float(quantity), reduce_only=only_closes)
        if order is not None and label:
            self.labels[label] = order.order_id

    def decide(self, asset: str, told: list[Instruction], held: dict[str, float], broker: Any) -> tuple[float, bool]:
        """Return the signed quantity of an asset's order (0 for none), and whether it can only close."""
        raise NotImplementedError


class FollowsSizes(_Follows):
    """Orders of a given size, value or target, each sized from cash and positions at the start of the bar."""

    def decide(self, asset: str, told: list[Instruction], held: dict[str, float], broker: Any) -> tuple[float, bool]:
        (order,) = told
        price, size = self._last[self._place[asset]], order.quantity
        if order.verb == "close":
            return -held[asset], False
        if order.verb == "market":
            return size, False
        if order.verb == "target_percent":
            value = broker.get_cash()
            for other, column in self._place.items():
                position = broker.get_position(other)
                if position is not None:
                    value += position.quantity * self._last[column]
            if value <= 0.0:
                return 0.0, False
            size *= value
        if order.verb in ("target_percent", "target_value"):
            size /= price
        return size - held[asset], False


class FollowsSignals(_Follows):
    """Entries and exits, long and short: what they come to is what the library's own signal strategies make of them."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._conflicts = Conflicts(**{name: self.native[name] for name in _CONFLICTS if name in self.native})
        self._kind = SizeKind[self.native.get("size_type", "amount").upper()]

    def decide(self, asset: str, told: list[Instruction], held: dict[str, float], broker: Any) -> tuple[float, bool]:
        position, price = held[asset], float(self._last[self._place[asset]])
        size = next((order.quantity for order in reversed(told) if not math.isnan(order.quantity)), math.inf)
        code = sum({int(_SIGNALS[order.verb]) for order in told})
        action = self._conflicts.action(code, FLAT if position == 0.0 else (LONG if position > 0.0 else SHORT))
        if action == SignalAction.NOTHING:
            return 0.0, False
        quantity, only_closes = order_of(action, position, size, self._kind, price, math.nan, True)
        return quantity, bool(only_closes)


def plan(job: Job) -> Plan:
    """Return the `vectorbt` preset with the costs of the case."""
    settings = job.settings
    native = settings.get("native", {})
    commission, slippage = settings.get("commission", {}), settings.get("slippage", {})
    config = BacktestConfig.from_preset("vectorbt").replace(
        initial_cash=settings["cash"],
        share_type="fractional" if settings.get("fractional") else "integer",
        short_cash_policy="lock_notional" if native.get("lock_cash") else "credit",
        partial_fills_allowed=native.get("allow_partial", True),
        **settings.get("config", {}),
    )
    keywords: dict[str, Any] = {}
    if commission:
        fixed = commission.get("fixed", commission.get("amount", 0.0))
        keywords["commission_model"] = CombinedCommission(percentage=commission.get("rate", 0.0), fixed=fixed)
    if slippage:
        keywords["slippage_model"] = PercentageSlippage(slippage["rate"])
    signals = any(told.verb in _SIGNALS for told in job.script)
    return Plan(config, keywords, FollowsSignals if signals else FollowsSizes)


def refuses(job: Job) -> str | None:
    """Return why VectorBT cannot express a case."""
    settings, verbs = job.settings, {told.verb for told in job.script}
    odd = sorted(verbs - _VERBS)
    commission, slippage = settings.get("commission", {}), settings.get("slippage", {})
    reasons = {
        f"it has no {', '.join(odd).replace('_', '-')} orders": bool(odd),
        "it has one stop, fixed or trailing": len(settings.get("rules", {}).keys() & {"stop_loss", "trailing_stop"}) > 1,
        "its stops belong to signals": bool(settings.get("rules")) and not verbs & set(_SIGNALS),
        "it takes one order an asset and bar": not verbs & set(_SIGNALS) and len({told[:2] for told in job.script}) < len(job.script),
        "its fees are a fraction of the value and an amount per order": commission.get("kind", "percentage")
        not in ("percentage", "per_order"),
        "its slippage is a fraction of the price": slippage.get("kind", "percentage") != "percentage",
        "it has no volume limits": "volume_limit" in settings,
        "it has no futures": "futures" in settings,
        "it has no splits and dividends": bool(job.market.events),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _settings(random: np.random.Generator) -> dict[str, Any]:
    """Return costs and cash as either kind of case has them."""
    settings: dict[str, Any] = {"cash": float(random.choice([1e3, 1e4, 1e5])), "fractional": bool(random.random() < 0.75), "native": {}}
    if random.random() < 0.7:
        rate = float(random.choice([0.0, 0.001, 0.0025, 0.02]))
        settings["commission"] = {"kind": "percentage", "rate": rate, "fixed": float(random.choice([0.0, 0.0, 1.0, 7.5]))}
    if random.random() < 0.6:
        settings["slippage"] = {"kind": "percentage", "rate": float(random.choice([0.0005, 0.002, 0.01]))}
    if random.random() < 0.3:
        settings["native"]["lock_cash"] = True
    return settings


def _gaps(random: np.random.Generator, bars: int, assets: int) -> np.ndarray | None:
    if random.random() < 0.6:
        return None
    missing = random.random((bars, assets)) < 0.05
    missing[0] = False
    return missing


def _size(random: np.random.Generator, cash: float, price: float) -> float:
    return float(np.round(cash / price * random.choice([0.1, 0.5, 0.9, 1.0, 1.5]) * (0.5 + random.random()), random.choice([0, 2, 8])))


def signals_case(seed: int) -> Job:
    """Return random entries and exits of one asset."""
    random = np.random.default_rng([1, seed])
    bars = int(random.integers(20, 90))
    volatility = float(random.choice([0.01, 0.03, 0.06]))
    market = walk(f"s{seed}", seed=seed, bars=bars, volatility=volatility, missing=_gaps(random, bars, 1))
    settings = _settings(random)
    native = settings["native"]
    for name in ("upon_long_conflict", "upon_short_conflict"):
        native[name] = str(random.choice(["ignore", "entry", "exit", "adjacent", "opposite"]))
    native["upon_dir_conflict"] = str(random.choice(["ignore", "long", "short", "adjacent", "opposite"]))
    native["upon_opposite_entry"] = str(random.choice(["ignore", "close", "closereduce", "reverse", "reversereduce"]))
    native["accumulate"] = [False, True, "addonly", "removeonly"][int(random.integers(4))] if random.random() < 0.4 else False
    finite = random.random() < 0.6
    if finite and random.random() < 0.4:
        native["size_type"] = "value"
    if random.random() < 0.6:
        kind = str(random.choice(["stop_loss", "trailing_stop"]))
        settings["rules"] = {kind: float(random.choice([0.01, 0.03, 0.1]))}
    if random.random() < 0.4:
        settings.setdefault("rules", {})["take_profit"] = float(random.choice([0.01, 0.04, 0.1]))
    chance = float(random.choice([0.05, 0.15, 0.4]))
    sides = _SIDES if random.random() < 0.7 else (_SIDES[:2] if random.random() < 0.5 else _SIDES[2:])
    script = []
    for row, when in enumerate(market.times):
        size = math.nan
        if finite:
            units = _size(random, settings["cash"], float(market.close[0, 0]))
            size = units * 100.0 if native.get("size_type") == "value" else units
        for verb in sides:
            if random.random() < chance:
                script.append(Instruction(int(when), market.assets[0], verb, size, label=f"{row}"))
    if not script:
        script.append(Instruction(int(market.times[1]), market.assets[0], sides[0], 1.0, label="1"))
    return Job(f"signals {seed}", market, settings, tuple(script))


def orders_case(seed: int) -> Job:
    """Return random orders of one asset."""
    return _orders_case(seed, 2, 1)


def shared_case(seed: int) -> Job:
    """Return random orders of several assets that share their cash."""
    return _orders_case(seed, 3, 2 + seed % 5)


def _orders_case(seed: int, family: int, assets: int) -> Job:
    random = np.random.default_rng([family, seed])
    bars = int(random.integers(20, 80))
    market = walk(f"o{family}.{seed}", seed=seed, bars=bars, assets=assets, volatility=0.03, missing=_gaps(random, bars, assets))
    settings = _settings(random)
    if assets > 1 and random.random() < 0.5:
        settings["native"]["call_seq"] = "auto"
    cash, chance = settings["cash"], float(random.choice([0.1, 0.3, 0.8]))
    script = []
    for row, when in enumerate(market.times):
        for column, asset in enumerate(market.assets):
            if random.random() >= chance:
                continue
            units = _size(random, cash / assets, float(market.close[0, column])) * float(random.choice([1.0, 1.0, -1.0]))
            verb = str(random.choice(["market", "market", "target_percent", "target_value", "target_quantity", "close"]))
            size = {"target_percent": units * 100.0 / cash, "target_value": units * 100.0, "close": math.nan}.get(verb, units)
            if verb == "market" and random.random() < 0.1:
                size = math.copysign(math.inf, size)
            script.append(Instruction(int(when), asset, verb, size, label=f"{row}.{asset}"))
    return Job(f"orders {family}.{seed}", market, settings, tuple(script))


FRAMEWORK = Framework(
    name="vectorbt",
    title="VectorBT",
    package="vectorbt",
    preset="vectorbt",
    plan=plan,
    refuses=refuses,
    engines=("numba", "rust"),
    at_scale=True,
    tolerances={("fills", name): EXACT for name in ("quantity", "price", "commission")},
    not_reported={
        "fills.label": "VectorBT's records do not say which signal made an order",
        "fills.slippage": "VectorBT's records hold the price after slippage only",
        "orders": "VectorBT records filled orders only",
    },
    families=(
        Family("signals of one asset", 2500, signals_case),
        Family("orders of one asset", 2500, orders_case),
        Family("orders of several assets with shared cash", 1000, shared_case),
    ),
)
