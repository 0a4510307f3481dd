"""Cases of the whole rule book: a family for each part of it, and one that mixes everything."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.cases.actions import Desk
from tests.cases.case import OHLC, Case
from tests.cases.chooser import Chooser
from tests.cases.recipes import RECIPES, Recipe
from tests.cases.terms import (
    choose_contracts,
    choose_costs,
    choose_events,
    choose_limits,
    choose_rule,
    choose_settings,
    choose_simple_costs,
)

__all__ = ["FAMILIES", "family_cases", "rich_case"]

FAMILIES = tuple(RECIPES)


@st.composite
def family_cases(draw: st.DrawFn, family: str, *, dyadic: bool = False) -> Case:
    """Build a short case of a family."""
    return make_case(Chooser.drawing(draw, dyadic=dyadic), RECIPES[family])


def rich_case(seed: int, family: str = "everything", *, dyadic: bool = False, bars: int | None = None) -> Case:
    """Make a long case of a family, full of fills, from a seed."""
    recipe = RECIPES[family].dense()
    return make_case(Chooser.seeded(seed, dyadic=dyadic), recipe, bars)


def make_case(pick: Chooser, recipe: Recipe, count: int | None = None) -> Case:
    """Return a case of a recipe."""
    assets = tuple(f"A{number}" for number in range(pick.integer(*recipe.assets)))
    # The basis of a future is an average, which divides.
    account = pick.one_of([name for name in recipe.accounts if not (pick.dyadic and name == "futures")])
    settings = choose_settings(pick, recipe, account)
    columns = _columns(pick, recipe)
    settings["execution_price"] = pick.one_of([None, None, "open", "close", "mid", *(["vwap"] if "vwap" in columns else [])])
    rules = tuple(choose_rule(pick) for _ in pick.several(1, 3)) if recipe.rules else ()
    free_cash = "cash_ledger" in settings
    desk = Desk(pick, recipe, assets, len(rules), free_cash=free_cash)
    market = _Market(pick, assets, columns)
    desk.levels, desk.day = market.levels, 1
    bars, script = [], [desk.actions()]
    days: list[int] = []
    for _ in range(count or pick.integer(*recipe.bars)):
        if days:
            desk.day += pick.one_of([1, 0, 0, 0, 3]) if recipe.sessions else 1
        days.append(desk.day)
        bars.append(market.bar())
        script.append(desk.actions())
    for asset in assets:  # an asset that never has a row would not be in the feed
        if not any(asset in bar for bar in bars):
            bars[-1][asset] = market.row(asset)
    return Case(
        assets=assets,
        bars=tuple(bars),
        script=tuple(script),
        initial_cash=pick.one_of(recipe.cash),
        settings=settings,
        columns=columns,
        days=tuple(days),
        contracts=choose_contracts(pick, recipe, account, assets),
        rules=rules,
        signals=tuple(_signals(pick, assets) for _ in bars) if recipe.rules else (),
        events=tuple(choose_events(pick, account, assets, len(bars))) if recipe.events else (),
        limits=choose_limits(pick) if recipe.limits else (),
        exposures={asset: (pick.one_of(["x", "y"]), pick.one_of([1.0, 0.5, -1.0]), pick.one_of([0.0, 1.0, 2.0])) for asset in assets},
        **_costs(pick, recipe, assets, columns, free_cash=free_cash),
    )


def _columns(pick: Chooser, recipe: Recipe) -> tuple[str, ...]:
    if not recipe.costs:
        return ()
    return tuple(name for name in ("volume", "bid", "ask", "vwap") if pick.chance(80) or (name == "ask" and pick.dyadic))


def _costs(pick: Chooser, recipe: Recipe, assets: tuple[str, ...], columns: tuple[str, ...], *, free_cash: bool) -> dict[str, Any]:
    if not recipe.costs:
        return {"slippage": ("fixed", 0.25)} if pick.chance(20) else {}
    if free_cash:
        return {**choose_simple_costs(pick), "asset_costs": {asset: choose_simple_costs(pick) for asset in assets if pick.chance(20)}}
    columns = columns if {"bid", "ask"} <= set(columns) else ()
    own = {asset: choose_costs(pick, columns) for asset in assets if pick.chance(20)}
    return {**choose_costs(pick, columns), "asset_costs": own}


def _signals(pick: Chooser, assets: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    made: dict[str, dict[str, float | None]] = {}
    for asset in assets:
        made[asset] = {
            "atr": pick.one_of([0.5, 1.0, None, 0.25]),
            "exit": pick.one_of([0.0, 0.0, 1.0, -1.0, None]),
        }
    return made


class _Market:
    """Random walks with gaps, missing rows and missing prices."""

    def __init__(self, pick: Chooser, assets: tuple[str, ...], columns: tuple[str, ...]) -> None:
        self.pick = pick
        self.columns = columns
        self.levels = dict.fromkeys(assets, 10.0)
        self.least = -30.0 if pick.chance(4) else 1.0

    def bar(self) -> dict[str, OHLC]:
        """Return the rows of the next bar."""
        return {asset: self.row(asset) for asset in self.levels if not self.pick.chance(5)}

    def row(self, asset: str) -> OHLC:
        """Return the next row of an asset."""
        pick = self.pick
        open_ = max(self.levels[asset] + pick.number(-1, 1), self.least)
        close = max(open_ + pick.number(-1, 1), self.least)
        high, low = max(open_, close) + pick.number(0, 1), max(min(open_, close) - pick.number(0, 1), min(self.least, 0.5))
        self.levels[asset] = close
        prices: OHLC = (open_, high, low, close)
        if pick.chance(8):
            prices = pick.one_of([(open_, high, low, None), (None, high, low, close), (open_, None, None, close)])
        return *prices, *(self._value(name, low, close) for name in self.columns)

    def _value(self, name: str, low: float, close: float) -> float | None:
        pick = self.pick
        if name == "volume":
            return pick.one_of([200.0, 1_000.0, 64.0, 0.0, None])
        if pick.chance(8):
            return None
        return {"bid": close - 0.125, "ask": close + 0.125, "vwap": (low + close) / 2}[name]
