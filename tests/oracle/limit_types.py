"""The portfolio limits, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.oracle.numbers import NumberType, convert

ACTIONS = ("warn", "block", "reduce", "liquidate", "halt")


@dataclass(frozen=True)
class Limit:
    """`bound`: what the measure is compared with."""

    bound: Any
    action: str = "warn"


@dataclass(frozen=True)
class PositionsLimit(Limit):
    pass


@dataclass(frozen=True)
class LargestPosition(Limit):
    pass


@dataclass(frozen=True)
class GrossExposure(Limit):
    pass


@dataclass(frozen=True)
class NetExposure(Limit):
    least: Any = None  # None: no lower bound


@dataclass(frozen=True)
class SectorExposure(Limit):
    weights: Mapping[str, Any] = field(default_factory=dict)  # by asset, 0 for the others


@dataclass(frozen=True)
class FactorExposure(Limit):
    weights: Mapping[str, Any] = field(default_factory=dict)
    least: Any = None


@dataclass(frozen=True)
class DailyLoss(Limit):
    part: Any = 0.5  # of each position, what `reduce` takes off


@dataclass(frozen=True)
class Drawdown(Limit):
    part: Any = 0.5


@dataclass(frozen=True)
class ValueAtRisk(Limit):
    confidence: Any = 0.95
    lookback: int = 20


@dataclass(frozen=True)
class ConditionalValueAtRisk(ValueAtRisk):
    pass


def in_numbers(limit: Any, number: NumberType) -> Any:
    """The limit in the number type of the run."""
    if type(limit) is Limit or not isinstance(limit, Limit):
        raise ValueError(f"unknown limit: {limit}")
    if limit.action not in ACTIONS:
        raise ValueError(f"unknown action: {limit.action}")
    changed: dict[str, Any] = {
        name: convert(number, getattr(limit, name), name)
        for name in ("bound", "least", "part", "confidence")
        if getattr(limit, name, None) is not None
    }
    if isinstance(limit, (SectorExposure, FactorExposure)):
        changed["weights"] = {asset: convert(number, weight, "weight") for asset, weight in limit.weights.items()}
    return replace(limit, **changed)
