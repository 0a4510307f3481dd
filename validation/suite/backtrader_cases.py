"""Random cases for Backtrader: prices, sizes and conditions that are often refused, touched, gapped and cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from validation.runners.exchange import Instruction, Job, Market
from validation.suite.framework import Family
from validation.suite.markets import walk

__all__ = ["families"]

_ENTRIES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
_TARGETS = ("target_percent", "target_value", "target_quantity", "close")


class _Writer:
    """Writes the script of one case."""

    def __init__(self, seed: int, market: Market, cash: float, size: float) -> None:
        self.random = np.random.default_rng(seed)
        self.script: list[Instruction] = []
        self._market, self._cash, self._size = market, cash, size
        self.fractional = False
        self._labels: dict[str, int] = {}

    def bars(self) -> range:
        """Return the bars on which something may be done: those of the last one would never be looked at."""
        return range(len(self._market.times) - 1)

    def assets(self, bar: int) -> list[int]:
        """Return the columns that have a bar, in random order."""
        priced = np.flatnonzero(~np.isnan(self._market.close[bar]))
        return [int(column) for column in self.random.permutation(priced)]

    def chance(self, probability: float) -> bool:
        """Tell whether something happens."""
        return bool(self.random.random() < probability)

    def add(self, bar: int, column: int, verb: str, **told: Any) -> str:
        """Add an instruction and return its label."""
        label = f"L{len(self.script)}"
        moment = int(self._market.times[bar])
        self.script.append(Instruction(moment, self._market.assets[column], verb, label=label, **told))
        self._labels[label] = bar
        return label

    def quantity(self, bar: int, column: int) -> float:
        """Return a size of up to a part of the starting cash, either side."""
        units = 1.0 + self.random.integers(int(self._cash * self._size / self._market.close[bar, column]) + 1)
        if self.fractional:
            units = np.ceil(8.0 * units * self.random.random()) / 8.0  # sums of eighths are exact
        return float(units if self.chance(0.6) else -units)

    def price(self, bar: int, column: int, away: float) -> float:
        """Return a price near the close; away: up to this fraction above (negative: below)."""
        return float(np.round(self._market.close[bar, column] * (1.0 + away * self.random.random()), 2))

    def conditions(self, bar: int, column: int, verb: str, side: float) -> dict[str, Any]:
        """Return the prices that a kind of order needs; one in five is on the side that trades at once."""
        side *= 1.0 if self.chance(0.8) else -1.0
        if verb == "limit":
            return {"limit_price": self.price(bar, column, -0.04 * side)}
        if verb == "stop":
            return {"stop_price": self.price(bar, column, 0.04 * side)}
        if verb == "stop_limit":
            stop = self.price(bar, column, 0.03 * side)
            return {"stop_price": stop, "limit_price": float(np.round(stop * (1.0 + 0.02 * self.random.uniform(-1.0, 1.0)), 2))}
        if verb == "trailing_stop":
            if self.chance(0.5):
                return {"trail_percent": float(np.round(self.random.uniform(0.005, 0.05), 3))}
            return {"trail_amount": float(np.round(self._market.close[bar, column] * self.random.uniform(0.005, 0.05), 2))}
        return {}

    def entry(self, bar: int, column: int, **terms: Any) -> str:
        """Add an order of any kind."""
        verb = str(self.random.choice(_ENTRIES))
        quantity = self.quantity(bar, column)
        if verb != "market" and self.chance(0.25) and not terms:
            terms = {"good_till": int(self._market.times[min(bar + self.random.integers(1, 6), len(self._market.times) - 1)])}
        return self.add(bar, column, verb, quantity=quantity, **self.conditions(bar, column, verb, np.sign(quantity)), **terms)

    def target(self, bar: int, column: int) -> None:
        """Add an order to a target."""
        verb = str(self.random.choice(_TARGETS[2:] if self.fractional else _TARGETS))
        quantity = np.nan
        if verb == "target_percent":
            quantity = float(self.random.choice([0.0, np.round(self.random.uniform(-1.0, 1.5) * 2 * self._size, 3)], p=[0.15, 0.85]))
        elif verb == "target_value":
            quantity = float(np.round(self.random.uniform(-1.0, 1.5) * self._size * self._cash, 2))
        elif verb == "target_quantity":
            quantity = self.quantity(bar, column) if self.chance(0.85) else 0.0
        self.add(bar, column, verb, quantity=quantity)

    def cancel(self, bar: int) -> None:
        """Cancel some earlier order, which may be long gone."""
        earlier = [label for label, made in self._labels.items() if bar - 8 < made < bar]
        if earlier:
            told = Instruction(int(self._market.times[bar]), self._market.assets[0], "cancel", target=str(self.random.choice(earlier)))
            self.script.append(told)

    def bracket(self, bar: int, column: int) -> None:
        """Add a bracket around a market or a limit entry."""
        quantity = self.quantity(bar, column)
        side = np.sign(quantity)
        limit = {"limit_price": self.price(bar, column, -0.02 * side)} if self.chance(0.4) else {}
        prices = {"take_profit": self.price(bar, column, 0.05 * side), "stop_loss": self.price(bar, column, -0.05 * side)}
        self.add(bar, column, "bracket", quantity=quantity, **prices, **limit)

    def group(self, bar: int, column: int) -> None:
        """Add two or three orders of which one cancels the others."""
        first = self.entry(bar, column, good_till=0)
        for _ in range(1 + int(self.chance(0.3))):
            self.entry(bar, column, target=first)


def _costs(random: np.random.Generator) -> dict[str, Any]:
    commissions: tuple[dict[str, Any], ...] = (
        {"kind": "percentage", "rate": 0.0},
        {"kind": "percentage", "rate": float(np.round(random.uniform(0.0, 0.004), 4))},
        {"kind": "per_unit", "amount": float(np.round(random.uniform(0.0, 0.1), 3))},
    )
    slippages: tuple[dict[str, Any] | None, ...] = (
        None,
        {"kind": "percentage", "rate": float(np.round(random.uniform(0.0, 0.01), 4))},
        {"kind": "fixed", "amount": float(np.round(random.uniform(0.0, 1.0), 2))},
    )
    costs = {"commission": commissions[random.integers(3)]}
    slippage = slippages[random.integers(3)]
    return costs if slippage is None else {**costs, "slippage": slippage}


def _market(name: str, seed: int, random: np.random.Generator, assets: int, missing: float = 0.0) -> Market:
    bars = int(random.integers(60, 151))
    absent = None
    if missing:
        absent = random.random((bars, assets)) < missing
        absent[:, 0] = False  # a date without any bar is none
    shape = {"volatility": random.uniform(0.005, 0.03), "gap": random.uniform(0.001, 0.02), "spread": random.uniform(0.002, 0.02)}
    return walk(name, seed=seed, bars=bars, assets=assets, start=float(random.uniform(20.0, 200.0)), missing=absent, **shape)


def _job(name: str, seed: int, market: Market, settings: dict[str, Any], writer: _Writer) -> Job:
    return Job(f"{name}-{seed}", market, settings, tuple(writer.script))


def _single(seed: int) -> Job:
    """One asset, every kind of order, targets, cancels, expiries; some cases with fills cut by volume, some with parts of a unit."""
    random = np.random.default_rng([1, seed])
    market = _market(f"single-{seed}", seed, random, 1)
    cash = float(np.round(random.uniform(2e3, 2e5), 2))
    settings = {"cash": cash, **_costs(random)}
    market = _maybe_thin(market, settings, random)
    writer = _Writer(seed, market, cash, float(random.choice([0.2, 0.5, 0.9])))
    if "volume_limit" not in settings and random.random() < 0.15:
        settings["fractional"] = writer.fractional = True
    busy = random.uniform(0.1, 0.5)
    for bar in writer.bars():
        for _ in range(int(random.poisson(busy))):
            if writer.chance(0.65):
                writer.entry(bar, 0)
            elif writer.chance(0.7):
                writer.target(bar, 0)
            else:
                writer.cancel(bar)
    return _job("single", seed, market, settings, writer)


def _maybe_thin(market: Market, settings: dict[str, Any], random: np.random.Generator) -> Market:
    """In a third of the cases let fills be cut by volume, and return the market with a volume, in whole hundreds, that cuts them."""
    if random.random() > 0.33:
        return market
    settings["volume_limit"] = float(random.choice([0.01, 0.05, 0.1]))
    units = settings["cash"] / settings["volume_limit"] / market.close
    return replace(market, volume=np.maximum(np.round(market.volume / 1e6 * units * random.uniform(0.05, 1.0), -2), 100.0))


def _shared(seed: int) -> Job:
    """Several assets that share the cash, with refusals, targets and missing bars."""
    random = np.random.default_rng([2, seed])
    market = _market(f"shared-{seed}", seed, random, int(random.integers(2, 7)), float(random.choice([0.0, 0.05, 0.2])))
    cash = float(np.round(random.uniform(5e3, 2e5), 2))
    settings = {"cash": cash, **_costs(random)}
    market = _maybe_thin(market, settings, random)
    writer = _Writer(seed, market, cash, float(random.choice([0.2, 0.4])))
    busy = random.uniform(0.05, 0.4)
    for bar in writer.bars():
        for column in writer.assets(bar):
            if writer.chance(busy):
                (writer.target if writer.chance(0.6) else writer.entry)(bar, column)
    return _job("shared", seed, market, settings, writer)


def _futures(seed: int) -> Job:
    """Contracts with a multiplier on margin, often more than the cash carries."""
    random = np.random.default_rng([3, seed])
    market = _market(f"futures-{seed}", seed, random, int(random.integers(1, 4)), float(random.choice([0.0, 0.1])))
    cash = float(np.round(random.uniform(2e4, 2e5), 2))
    futures = {
        asset: {"multiplier": float(random.choice([1.0, 5.0, 50.0])), "margin": float(np.round(random.uniform(200.0, 6000.0), 0))}
        for asset in market.assets
    }
    settings = {"cash": cash, **_costs(random), "futures": futures}
    settings["commission"] = {"kind": "per_unit", "amount": float(np.round(random.uniform(0.0, 5.0), 2))}
    market = _maybe_thin(market, settings, random)
    writer = _Writer(seed, market, cash, 0.01 * float(random.choice([1.0, 3.0])))
    for bar in writer.bars():
        for column in writer.assets(bar):
            if writer.chance(0.25):
                writer.entry(bar, column)
            elif writer.chance(0.1):
                verb = str(random.choice(["close", "target_quantity"]))
                writer.add(bar, column, verb, quantity=np.nan if verb == "close" else writer.quantity(bar, column))
    return _job("futures", seed, market, settings, writer)


def _linked(seed: int) -> Job:
    """Brackets, groups and trailing stops, with cancels and other orders in between."""
    random = np.random.default_rng([4, seed])
    market = _market(f"linked-{seed}", seed, random, int(random.integers(1, 4)), float(random.choice([0.0, 0.1])))
    cash = float(np.round(random.uniform(5e3, 2e5), 2))
    settings = {"cash": cash, **_costs(random)}
    market = _maybe_thin(market, settings, random)
    writer = _Writer(seed, market, cash, float(random.choice([0.2, 0.5])))
    for bar in writer.bars():
        for column in writer.assets(bar):
            if writer.chance(0.12):
                writer.bracket(bar, column)
            elif writer.chance(0.1):
                writer.group(bar, column)
            elif writer.chance(0.1):
                writer.entry(bar, column)
            elif writer.chance(0.08):
                writer.cancel(bar)
    return _job("linked", seed, market, settings, writer)


def families() -> tuple[Family, ...]:
    """Return the families of random cases."""
    makes: tuple[tuple[str, int, Callable[[int], Job]], ...] = (
        ("one asset", 500, _single),
        ("shared cash", 300, _shared),
        ("futures", 100, _futures),
        ("linked orders", 100, _linked),
    )
    return tuple(Family(name, count, make) for name, count, make in makes)
