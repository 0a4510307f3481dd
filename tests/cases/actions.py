"""What strategies do: orders of every kind, changes, rules, values for rules."""

from __future__ import annotations

import math
from typing import Any

from tests.cases.case import DAY_NS, Action
from tests.cases.chooser import Chooser
from tests.cases.recipes import Recipe

__all__ = ["Desk"]

PLAIN = ("market", "market", "limit", "stop")
ALL = (*PLAIN, "stop_limit", "trailing_stop", "market_on_open", "limit_on_open", "market_on_close", "limit_on_close")
LEAST_PRICE = 0.5  # the largest tick
LOTS = (100.0, -100.0, 50.0, -50.0, 200.0, -30.0, 7.0)


class Desk:
    """Chooses actions. `levels` are the prices that the assets have now, `day` is today."""

    def __init__(self, pick: Chooser, recipe: Recipe, assets: tuple[str, ...], rules: int, *, free_cash: bool = False) -> None:
        self.pick = pick
        self.recipe = recipe
        self.assets = assets
        self.rules = rules
        self.free_cash = free_cash
        self.levels: dict[str, float] = {}
        self.day = 0

    def actions(self) -> tuple[Action, ...]:
        """Return the actions of one bar."""
        return tuple(self.action() for _ in self.pick.several(0, self.recipe.actions, percent=60))

    def action(self) -> Action:
        """Return one action."""
        pick, recipe = self.pick, self.recipe
        kinds = ["order", "order", "order", "close"]
        kinds += ["order", "update", "update", "cancel"] if recipe.updates else ["cancel"]
        if not pick.dyadic:
            kinds += ["target", "reduce"]
        if recipe.links:
            kinds += ["bracket", "bracket", "order"]
        if recipe.rules:
            kinds += ["rule", "rule", "context"]
        if self.free_cash and not pick.dyadic:
            kinds += ["all", "all", "infinite"]
        kind, asset = pick.one_of(kinds), pick.one_of(self.assets)
        if kind == "order":
            return "order", asset, self.quantity(), *self.order(asset)
        if kind == "close":
            return "close", asset
        if kind == "target":
            return "target", asset, pick.one_of([0.0, 0.3, -0.3, 1.0]) if pick.chance(70) else pick.number(-0.6, 1.2)
        if kind == "all":
            return "all", asset, pick.one_of([1.0, -1.0, 0.5, -0.5, 0.0]) if pick.chance(60) else pick.number(-1, 1)
        if kind == "infinite":
            return "order", asset, pick.one_of([math.inf, -math.inf]), "market", {"reduce_only": True} if pick.chance(15) else {}
        if kind == "reduce":
            return "reduce", asset, pick.one_of([0.5, 1.0, 0.1])
        if kind == "bracket":
            return self.bracket(asset)
        if kind == "rule":
            scope = pick.one_of(["strategy", "asset", "position"])
            return "rule", scope, asset, pick.integer(0, self.rules - 1) if pick.chance(85) else None
        if kind == "context":
            return "context", asset, pick.one_of(["atr", "exit"]), pick.one_of([None, -1.0, 1.0, 0.5])
        return self.change(asset) if kind == "update" else ("cancel", pick.integer(0, 30))

    def quantity(self) -> float:
        """Return a signed quantity."""
        pick = self.pick
        if pick.chance(70):
            return pick.one_of(LOTS)
        if pick.chance(10):
            return pick.one_of([0.0, 0.25, -0.25, 1e-9])
        return pick.number(-250, 250, steps=2)

    def price(self, asset: str) -> float:
        """Return an order price near the market."""
        price = self.levels[asset] + self.pick.number(-2, 2)
        too_small = 0.0 < price < LEAST_PRICE or (price <= 0.0 and self.levels[asset] >= 1.0)
        return LEAST_PRICE if too_small else price

    def order(self, asset: str) -> tuple[str, dict[str, Any]]:
        """Return the type of an order and its options."""
        pick, recipe = self.pick, self.recipe
        kind = pick.one_of(ALL if recipe.order_types else PLAIN)
        options: dict[str, Any] = {}
        if "limit" in kind:
            options["limit_price"] = self.price(asset)
        if kind in ("stop", "stop_limit"):
            options["stop_price"] = self.price(asset)
        if kind == "trailing_stop":
            name = pick.one_of(["trail_amount", "trail_percent"])
            options[name] = pick.number(0.25, 2) if name == "trail_amount" else pick.fraction(0.02, 0.25)
            if pick.chance(15):
                options["stop_price"] = self.price(asset)
        if pick.chance(25):
            options["reduce_only"] = pick.one_of([True, False])
        if recipe.time_in_force:
            self._terms(options)
        if recipe.links and pick.chance(40):
            options[pick.one_of(["oco", "parent"])] = pick.integer(0, 4)
        return kind, options

    def _terms(self, options: dict[str, Any]) -> None:
        pick = self.pick
        terms = pick.one_of(["gtc", "day", "ioc", "fok", "gtd"])
        if terms != "gtc":
            options["time_in_force"] = terms
        if terms == "gtd":
            options["good_till"] = (self.day + pick.integer(0, 3)) * DAY_NS
        if not pick.dyadic and pick.chance(25):  # the mean price of two fills divides
            options["displayed_quantity"] = pick.one_of([30.0, 10.5, 1.0, 100.0])

    def bracket(self, asset: str) -> Action:
        """Return an entry with a target and a stop, prices on the right sides or not."""
        pick = self.pick
        entry_type = pick.one_of(["market", "market", "limit", "stop", "stop_limit"])
        prices: dict[str, Any] = {"take_profit": self.price(asset), "stop_loss": self.price(asset)}
        if "limit" in entry_type:
            prices["entry_limit"] = self.price(asset)
        if entry_type.startswith("stop"):
            prices["entry_stop"] = self.price(asset)
        return "bracket", asset, self.quantity(), entry_type, prices

    def change(self, asset: str) -> Action:
        """Return a change of an order; the runner takes what the order's type has."""
        pick = self.pick
        changes: dict[str, float] = {}
        if pick.chance(50):
            changes["quantity"] = abs(self.quantity())
        if pick.chance(60):
            changes["limit_price"] = self.price(asset)
        if pick.chance(60):
            changes["stop_price"] = self.price(asset)
        if pick.chance(50):
            changes["trail_amount"], changes["trail_percent"] = pick.number(0.25, 3), pick.fraction(0.02, 0.25)
        return "update", pick.integer(0, 30), changes
