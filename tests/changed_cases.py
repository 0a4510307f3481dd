"""A case changed in a way whose effect is known: scaled, renamed, mirrored, split, stretched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.cases import Action, Case

__all__ = ["alone", "mirrored", "plain_orders", "renamed", "scaled", "split", "stretched"]

PRICES = ("limit_price", "stop_price", "take_profit", "stop_loss", "entry_limit", "entry_stop")


def _acted(case: Case, change: Callable[[Action], list[Action]]) -> tuple[tuple[Action, ...], ...]:
    return tuple(tuple(new for action in actions for new in change(action)) for actions in case.script)


def _without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def _options(action: Action, change: Callable[[str, Any], Any]) -> Action:
    """Return an action with its options changed one by one; they stand last."""
    return *action[:-1], {name: change(name, value) for name, value in action[-1].items()}


# Scale ------------------------------------------------------------------------------------------------------------------

MONEY_SETTINGS = ("max_order_size", "max_position_size")
COMMISSION_MONEY = {
    "per_share": (1, 2),
    "combined": (2, 3, 4),
    "per_order": (1,),
    "order_share": (1, 2, 3),
    "largest": (1, 2),
}


def scaled(case: Case, factor: float) -> Case:
    """Return the case in another unit of money. Left out: ticks, which round in decimals, and target weights, which know a cent."""

    def money(name: str, value: Any) -> Any:
        return value * factor if name in (*PRICES, "trail_amount") else value

    def change(action: Action) -> list[Action]:
        if action[0] == "target":
            return []
        if action[0] == "context" and action[2] == "atr" and action[3] is not None:
            return [(*action[:3], action[3] * factor)]
        return [_options(action, money)] if isinstance(action[-1], dict) else [action]

    def row(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
        volume = 4 + case.columns.index("volume") if "volume" in case.columns else -1
        return tuple(value if value is None or place == volume else value * factor for place, value in enumerate(values))

    settings = _without(case.settings, "round_to_tick")
    settings |= {name: settings[name] * factor for name in MONEY_SETTINGS if settings.get(name) is not None}
    return replace(
        case,
        bars=tuple({asset: row(values) for asset, values in bar.items()} for bar in case.bars),
        script=_acted(case, change),
        initial_cash=case.initial_cash * factor,
        settings=settings,
        contracts={asset: _scaled_contract(contract, factor) for asset, contract in case.contracts.items()},
        events=tuple((bar, kind, asset, value * factor if kind == "dividend" else value) for bar, kind, asset, value in case.events),
        signals=tuple({asset: _scaled_signals(own, factor) for asset, own in signals.items()} for signals in case.signals),
        asset_costs={asset: {**costs, **_scaled_costs(costs, factor)} for asset, costs in case.asset_costs.items()},
        **_scaled_costs({"commission": case.commission, "slippage": case.slippage, "impact": case.impact}, factor),
    )


def _scaled_contract(contract: dict[str, Any], factor: float) -> dict[str, Any]:
    money = ("margin", "maintenance_margin")
    return {name: value * factor if name in money else value for name, value in contract.items()}


def _scaled_signals(signals: dict[str, float | None], factor: float) -> dict[str, float | None]:
    return {name: value * factor if name == "atr" and value is not None else value for name, value in signals.items()}


def _scaled_costs(costs: dict[str, Any], factor: float) -> dict[str, Any]:
    kind, *numbers = costs["commission"]
    if kind == "value_tiers":
        numbers = [tuple((bound * factor, rate) for bound, rate in numbers[0])]
    elif kind == "quantity_tiers":
        numbers = [tuple((bound, rate * factor) for bound, rate in numbers[0])]
    else:
        numbers = [number * factor if place + 1 in COMMISSION_MONEY.get(kind, ()) else number for place, number in enumerate(numbers)]
    slippage, impact = costs["slippage"], costs["impact"]
    if slippage[0] in ("fixed", "spread"):
        slippage = (slippage[0], slippage[1] * factor)
    if impact[0] == "power":
        impact = (*impact[:3], impact[3] * factor)
    return {"commission": (kind, *numbers), "slippage": slippage, "impact": impact}


# Names ------------------------------------------------------------------------------------------------------------------


def renamed(case: Case, names: Mapping[str, str]) -> Case:
    """Return the case with other names, and so another order of columns. Left out: events, which go by the order of assets."""

    def change(action: Action) -> list[Action]:
        return [tuple(names.get(part, part) if isinstance(part, str) else part for part in action)]

    def keys(values: Mapping[str, Any]) -> dict[str, Any]:
        return {names[asset]: value for asset, value in values.items()}

    return replace(
        case,
        assets=tuple(sorted(names[asset] for asset in case.assets)),
        bars=tuple(keys(bar) for bar in case.bars),
        script=_acted(case, change),
        contracts=keys(case.contracts),
        asset_costs=keys(case.asset_costs),
        signals=tuple(keys(signals) for signals in case.signals),
        exposures=keys(case.exposures),
        events=(),
    )


def alone(case: Case, asset: str) -> Case:
    """Return what one asset does in the case; orders are not referred to, because their numbers change."""

    def change(action: Action) -> list[Action]:
        return [action] if asset in action else []

    return replace(
        case,
        assets=(asset,),
        bars=tuple({asset: bar[asset]} if asset in bar else {} for bar in case.bars),
        script=_acted(case, change),
        contracts={name: contract for name, contract in case.contracts.items() if name == asset},
    )


# Plain orders -------------------------------------------------------------------------------------------------------------


def plain_orders(case: Case) -> Case:
    """Return the case with orders that stand for themselves, an account that refuses nothing, and no costs."""
    kept = ("limit_price", "stop_price", "trail_amount")

    def change(action: Action) -> list[Action]:
        if action[0] != "order" or "trail_percent" in action[-1]:
            return []
        options = {name: value for name, value in action[-1].items() if name in kept}
        return [(*action[:-1], {**options, "reduce_only": False})]

    uneven = ("stop_limit_fill", "slippage_bound")  # a bar that closes at its open has not risen; a sale has no bound beside its limit
    settings = _without(case.settings, "round_to_tick", "entry_order_priority", "share_type", *uneven)
    return replace(
        case,
        script=_acted(case, change),
        initial_cash=2.0**30,
        settings={**settings, "account_type": "crypto", "skip_cash_validation": True},
        contracts={asset: {"multiplier": contract.get("multiplier", 1.0)} for asset, contract in case.contracts.items()},
        slippage=("none",),
    )


def mirrored(case: Case, center: float) -> Case:
    """Return plain orders on prices mirrored at `center / 2`: highs become lows, buys sells."""

    def row(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
        open_, high, low, close = (None if value is None else center - value for value in values[:4])
        return open_, low, high, close

    def price(name: str, value: Any) -> Any:
        return center - value if name in PRICES else value

    def change(action: Action) -> list[Action]:
        verb, asset, quantity, *rest = _options(action, price)
        return [(verb, asset, -quantity, *rest)]

    bars = tuple({asset: row(values) for asset, values in bar.items()} for bar in case.bars)
    return replace(case, bars=bars, script=_acted(case, change), columns=())


def split(case: Case) -> Case:
    """Return plain orders in two halves each."""

    def change(action: Action) -> list[Action]:
        verb, asset, quantity, *rest = action
        return [(verb, asset, quantity / 2, *rest)] * 2

    return replace(case, script=_acted(case, change))


# Time --------------------------------------------------------------------------------------------------------------------


def stretched(case: Case, places: list[int]) -> Case:
    """Return the case with bars on which nothing has a price and nothing is done, after the bars of these numbers."""
    bars: list[Any] = []
    script = [case.script[0]]
    signals: list[Any] = []
    for bar, row in enumerate(case.bars):
        empty = places.count(bar)
        bars += [row, *({} for _ in range(empty))]
        script += [case.script[bar + 1], *(() for _ in range(empty))]
        if case.signals:
            signals += [case.signals[bar]] * (1 + empty)
    return replace(case, bars=tuple(bars), script=tuple(script), signals=tuple(signals), days=())
