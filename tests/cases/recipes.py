"""What the cases of a family are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["RECIPES", "Recipe"]

SPOT = ("cash", "crypto")
LEVERAGED = ("margin", "futures")


@dataclass(frozen=True)
class Recipe:
    """Which parts of the rule book a family of cases goes through; percentages are chances per case or per action."""

    accounts: tuple[str, ...] = ("crypto",)
    assets: tuple[int, int] = (1, 2)
    bars: tuple[int, int] = (2, 9)
    actions: int = 3  # most actions a bar
    order_types: bool = False
    time_in_force: bool = False
    links: bool = False
    updates: bool = False
    lots: bool = False
    money: bool = False  # settings of the gate and order limits
    costs: bool = False
    rules: bool = False
    free_cash: int = 0  # percent of the accounts without leverage keep it
    events: bool = False
    limits: bool = False
    sessions: bool = False
    cash: tuple[float, ...] = (10_000.0, 100_000.0, 1_000.0)

    def dense(self) -> Recipe:
        """Return the recipe of long cases."""
        return replace(self, assets=(1, 5), bars=(40, 40), actions=4)


RECIPES = {
    "orders": Recipe(order_types=True, updates=True, sessions=True),
    "terms": Recipe(order_types=True, time_in_force=True, updates=True, sessions=True, lots=True, costs=True),
    "links": Recipe(order_types=True, links=True, updates=True, sessions=True),
    "money": Recipe(accounts=SPOT, money=True, lots=True, assets=(1, 3)),
    "leverage": Recipe(accounts=LEVERAGED, money=True, lots=True, assets=(1, 3), sessions=True),
    "costs": Recipe(accounts=("crypto", "cash", "margin"), costs=True, order_types=True, time_in_force=True),
    "rules": Recipe(accounts=("crypto", "margin"), rules=True, lots=True, costs=True, free_cash=40),
    "events": Recipe(accounts=("crypto", "margin", "futures", "cash"), events=True, lots=True, sessions=True, order_types=True),
    "free_cash": Recipe(
        accounts=("crypto", "crypto", "cash"),
        assets=(1, 3),
        order_types=True,
        time_in_force=True,
        links=True,
        updates=True,
        lots=True,
        money=True,
        costs=True,
        events=True,
        sessions=True,
        free_cash=100,
    ),
    "limits": Recipe(accounts=("crypto", "margin"), limits=True, sessions=True, lots=True, assets=(1, 3)),
    "everything": Recipe(
        accounts=(*SPOT, *LEVERAGED),
        order_types=True,
        time_in_force=True,
        links=True,
        updates=True,
        lots=True,
        money=True,
        costs=True,
        rules=True,
        events=True,
        limits=True,
        sessions=True,
        free_cash=25,
    ),
}
