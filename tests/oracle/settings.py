"""The settings of a run, and the same settings converted to the number type of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tests.oracle.costs import Costs
from tests.oracle.numbers import Number, NumberType

PriceName: TypeAlias = Literal["open", "close"]


@dataclass(frozen=True)
class Settings:
    initial_cash: Any
    execution_mode: Literal["same_bar", "next_bar"]
    execution_price: PriceName | None = None
    commission: tuple[Any, ...] = ("none",)
    slippage: tuple[Any, ...] = ("none",)
    allow_short: bool = False
    multipliers: Mapping[str, Any] = field(default_factory=dict)


def convert(number: NumberType, value: Any, name: str) -> Number:
    """Turn an incoming value into the number type of the run; NaN and infinity are a ValueError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is not finite: {value}")
    return number(value)


@dataclass(frozen=True)
class Rules:
    """Everything that does not change during a run."""

    number: NumberType
    zero: Number
    smallest_order: Number  # submissions up to this size are ignored
    flat_tolerance: Number  # rounding dust, relative to the position
    cash_tolerance: Number  # relative to the need
    smallest_delta: Number  # target weights ignore smaller changes, in money
    assets: tuple[str, ...]
    multipliers: dict[str, Number]
    initial_cash: Number
    costs: Costs
    allow_short: bool
    same_bar: bool
    pass_price: PriceName


def build_rules(settings: Settings, assets: Sequence[str], number: NumberType) -> Rules:
    if len(set(assets)) != len(assets):
        raise ValueError("assets must be distinct")
    unknown = set(settings.multipliers) - set(assets)
    if unknown:
        raise ValueError(f"multipliers for unknown assets: {sorted(unknown)}")
    if settings.execution_mode not in ("same_bar", "next_bar"):
        raise ValueError(f"unknown execution mode: {settings.execution_mode}")
    same_bar = settings.execution_mode == "same_bar"
    pass_price = settings.execution_price or ("close" if same_bar else "open")
    if pass_price not in ("open", "close"):
        raise ValueError(f"unknown execution price: {pass_price}")
    return Rules(
        number=number,
        zero=number(0),
        smallest_order=number(1e-8),
        flat_tolerance=number(1e-12),
        cash_tolerance=number(1e-10),
        smallest_delta=number(0.01),
        assets=tuple(assets),
        multipliers={asset: convert(number, settings.multipliers.get(asset, 1), "multiplier") for asset in assets},
        initial_cash=convert(number, settings.initial_cash, "initial cash"),
        costs=Costs(
            commission_kind=settings.commission[0],
            commission_numbers=tuple(convert(number, value, "commission") for value in settings.commission[1:]),
            slippage_kind=settings.slippage[0],
            slippage_numbers=tuple(convert(number, value, "slippage") for value in settings.slippage[1:]),
            zero=number(0),
        ),
        allow_short=settings.allow_short,
        same_bar=same_bar,
        pass_price=pass_price,
    )
