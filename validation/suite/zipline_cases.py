"""Random cases for Zipline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validation.runners.exchange import Event, Instruction, Job, Market
from validation.suite.markets import from_closes

__all__ = ["FAMILIES"]

_BARS = 60
_SPLITS = (2.0, 4.0, 3.0, 1.5, 0.5, 0.25, 0.1, 10.0)  # new shares for one old


class _Cases:
    """Draws one case. busy: orders a bar and asset. Everything comes from the seed."""

    def __init__(self, family: str, seed: int, *, assets: int = 1, volume: float = 1e6, missing: float = 0.0, busy: float = 0.4) -> None:
        self.name = f"{family}-{seed}"
        self.random = np.random.default_rng([seed, *map(ord, family)])
        self._volume, self._missing, self._busy = volume, missing, busy
        self._assets = assets
        self.events: list[Event] = []

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def one_of(self, options: tuple[Any, ...]) -> Any:
        return options[int(self.random.integers(len(options)))]

    def market(self, *, actions: bool = False, empty: float = 0.0) -> Market:
        """Return bars; actions: with splits and dividends; empty: part of the bars whose volume is 0."""
        shape = (_BARS, self._assets)
        start = self.random.uniform(8.0, 120.0, self._assets)
        closes = start * np.exp(np.cumsum(0.02 * self.random.standard_normal(shape), axis=0))
        absent = self.random.random(shape) < self._missing
        absent[self.random.integers(_BARS, size=self._assets), np.arange(self._assets)] = False
        if actions:
            closes, absent = self._act(closes, absent)
        seed = int(self.random.integers(2**31))
        market = from_closes(self.name, np.maximum(closes, 0.5), seed=seed, volume=self._volume, missing=absent)
        market.volume[self.random.random(shape) < empty] *= 0.0
        stamped = [event._replace(time=int(market.times[event.time]), asset=market.assets[int(event.asset)]) for event in self.events]
        return Market(**{**market.__dict__, "events": tuple(stamped)})

    def _act(self, closes: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw splits and dividends on bars that exist; a dividend comes before a split of the same day, as in Zipline."""
        for bar in range(2, _BARS):
            for column in range(self._assets):
                paid, split = self.chance(0.06), self.chance(0.06)
                if paid:
                    self.events.append(Event(bar, str(column), "dividend", round(float(self.random.uniform(0.01, 0.8)), 2)))
                if split:
                    ratio = self.one_of(_SPLITS)
                    if 4.0 < closes[bar, column] / ratio < 1000.0:
                        self.events.append(Event(bar, str(column), "split", ratio))
                        closes[bar:, column] /= ratio
                if paid or split:
                    absent[bar, column] = False
        return closes, absent

    def commission(self) -> dict[str, Any] | None:
        amount = round(float(self.random.uniform(0.001, 0.05)), 4)
        return self.one_of(
            (
                None,
                {"kind": "per_unit", "amount": amount, "minimum": self.one_of((0.0, 1.0, 2.5))},
                {"kind": "per_order", "amount": self.one_of((1.0, 4.95))},
                {"kind": "percentage", "rate": round(amount / 10.0, 6)},
            )
        )

    def slippage(self, *, limited: bool = False) -> dict[str, Any] | None:
        limit = self.one_of((0.025, 0.1, 0.25))
        kinds: list[dict[str, Any] | None] = [
            {"kind": "volume_share", "volume_limit": limit, "price_impact": self.one_of((0.1, 0.5, 0.0))},
            {"kind": "basis_points", "basis_points": self.one_of((5.0, 20.0)), "volume_limit": limit},
        ]
        if not limited:
            kinds += [None, {"kind": "fixed", "amount": self.one_of((0.01, 0.125))}, {"kind": "percentage", "rate": 0.001}]
        return self.one_of(tuple(kinds))

    def settings(self, *, limited: bool = False) -> dict[str, Any]:
        told = {"cash": 100_000.0, "commission": self.commission(), "slippage": self.slippage(limited=limited)}
        return {name: value for name, value in told.items() if value is not None}

    def script(self, market: Market, verbs: tuple[str, ...], sizes: tuple[float, float]) -> tuple[Instruction, ...]:
        """Return orders on most bars; prices near the last close, with more digits than a tick has."""
        made: list[Instruction] = []
        last = np.full(len(market.assets), np.nan)
        for bar, time in enumerate(market.times.tolist()):
            now = market.close[bar]
            last = np.where(np.isnan(now), last, now)
            for column, asset in enumerate(market.assets):
                while self.chance(self._busy):
                    known = last[column] if np.isfinite(last[column]) else 20.0
                    made.append(self._instruction(made, time, asset, self.one_of(verbs), float(known), sizes))
        return tuple(made)

    def _instruction(
        self, made: list[Instruction], time: int, asset: str, verb: str, known: float, sizes: tuple[float, float]
    ) -> Instruction:
        label = f"o{len(made)}"
        if verb == "cancel":
            return Instruction(time, asset, verb, target=f"o{max(0, len(made) - int(self.random.integers(1, 12)))}")
        if verb == "target_percent":
            return Instruction(time, asset, verb, self.one_of((0.0, round(float(self.random.uniform(-0.5, 1.0)), 3))), label=label)
        if verb == "target_value":
            return Instruction(time, asset, verb, round(float(self.random.uniform(-3e4, 6e4)), 2), label=label)
        quantity = self.one_of((-1.0, 1.0)) * float(self.random.uniform(*sizes))
        if self.chance(0.7):
            quantity = round(quantity)
        elif self.chance(0.3):
            quantity = round(quantity) + self.one_of((-1.0, 1.0)) * self.one_of((5e-5, 2e-4))
        limit, stop = (self._price(known) for _ in range(2))
        prices = {"limit": {"limit_price": limit}, "stop": {"stop_price": stop}, "stop_limit": {"limit_price": limit, "stop_price": stop}}
        return Instruction(time, asset, verb, quantity, label=label, **prices.get(verb, {}))

    def _price(self, known: float) -> float:
        price = known * (1.0 + 0.02 * float(self.random.standard_normal()))
        return round(price, int(self.random.integers(2, 6)))


_ORDERS = ("market", "limit", "limit", "stop", "stop", "stop_limit", "stop_limit", "cancel")
_TARGETS = ("target_percent", "target_value", "target_quantity", "close", "market")


def _job(cases: _Cases, market: Market, settings: dict[str, Any], verbs: tuple[str, ...], sizes: tuple[float, float]) -> Job:
    return Job(cases.name, market, settings, cases.script(market, verbs, sizes))


def _orders(seed: int) -> Job:
    cases = _Cases("orders", seed)
    return _job(cases, cases.market(), cases.settings(), _ORDERS, (0.2, 400.0))


def _targets(seed: int) -> Job:
    cases = _Cases("targets", seed, assets=3, busy=0.15)
    return _job(cases, cases.market(), cases.settings(), _TARGETS, (0.2, 400.0))


def _partial(seed: int) -> Job:
    cases = _Cases("partial", seed, assets=2, volume=4e3)
    settings = cases.settings(limited=True)
    if cases.chance(0.25):  # a limit without slippage
        settings["volume_limit"] = settings.pop("slippage")["volume_limit"]
    return _job(cases, cases.market(), settings, (*_ORDERS, "market", "close"), (1.0, 600.0))


def _gaps(seed: int) -> Job:
    cases = _Cases("gaps", seed, assets=4, missing=0.25, busy=0.2)
    return _job(cases, cases.market(empty=0.1), cases.settings(), (*_ORDERS, *_TARGETS), (0.2, 400.0))


def _events(seed: int) -> Job:
    cases = _Cases("events", seed, assets=2, missing=0.05)
    return _job(cases, cases.market(actions=True), cases.settings(), (*_ORDERS, *_TARGETS), (1.0, 300.0))


def _events_partial(seed: int) -> Job:
    cases = _Cases("events_partial", seed, assets=1, volume=5e3)
    settings = cases.settings(limited=True)
    if settings.get("commission", {}).get("kind") == "per_unit":  # see the note of the framework on them
        settings["commission"] = {"kind": "percentage", "rate": 0.001}
    return _job(cases, cases.market(actions=True), settings, (*_ORDERS, "close"), (1.0, 600.0))


def _long_only(seed: int) -> Job:
    """Return a case that an account with a cash check takes as well: never short, never short of cash.

    One market order a bar and asset, since the plain presets let exits go first.
    """
    cases = _Cases("long_only", seed, assets=3)
    market = cases.market(actions=True)
    made: list[Instruction] = []
    for time in market.times.tolist():
        for asset in market.assets:
            verb = cases.one_of(("target_quantity", "target_value", "target_percent", "close", "", "", ""))
            sizes = {"target_quantity": 400.0, "target_value": 4e4, "target_percent": 1e-5, "close": 0.0}
            if verb:
                quantity = float(cases.random.uniform(0.0, sizes[verb]))
                made.append(Instruction(time, asset, verb, quantity, label=f"o{len(made)}"))
    settings = cases.settings()
    for name in ("slippage", "volume_limit"):  # a part that waits for volume could leave a later target short
        settings.pop(name, None)
    plain = {"allow_short_selling": False, "skip_cash_validation": False, "fill_ordering": "exit_first"}
    return Job(cases.name, market, {**settings, "cash": 1e9, "config": plain}, tuple(made))


FAMILIES: tuple[tuple[str, int, Callable[[int], Job]], ...] = (
    ("orders", 40, _orders),
    ("targets", 30, _targets),
    ("partial fills", 30, _partial),
    ("missing bars and bars without volume", 30, _gaps),
    ("splits and dividends", 30, _events),
    ("splits of orders that have filled in part", 20, _events_partial),
    ("long only, with the cash check of the plain presets", 20, _long_only),
)
