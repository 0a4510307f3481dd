"""The rules that positions follow, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.oracle.numbers import NumberType, convert


@dataclass(frozen=True)
class StopLoss:
    pct: Any
    reason = "stop_loss"


@dataclass(frozen=True)
class TakeProfit:
    pct: Any
    reason = "take_profit"


@dataclass(frozen=True)
class TrailingStop:
    pct: Any
    reason = "trailing_stop"


@dataclass(frozen=True)
class TimeExit:
    bars: int
    reason = "time_stop"


@dataclass(frozen=True)
class Tightening:
    """`schedule`: pairs (return at the water mark, trail)."""

    schedule: tuple[tuple[Any, Any], ...]
    reason = "trailing_stop"


@dataclass(frozen=True)
class VolatilityStop:
    multiplier: Any
    signal: str
    use_entry_atr: bool = False
    reason = "volatility_stop"


@dataclass(frozen=True)
class VolatilityTrailingStop:
    multiplier: Any
    signal: str
    use_entry_atr: bool = False
    reason = "volatility_stop"


@dataclass(frozen=True)
class ScaledExit:
    """`targets`: pairs (return, part of the position)."""

    targets: tuple[tuple[Any, Any], ...]
    reason = "scaled_exit"


@dataclass(frozen=True)
class SignalExit:
    signal: str
    threshold: Any
    reason = "signal"


@dataclass(frozen=True)
class Chain:
    rules: tuple[Any, ...]


@dataclass(frozen=True)
class AnyOf:
    rules: tuple[Any, ...]


@dataclass(frozen=True)
class AllOf:
    rules: tuple[Any, ...]


def in_numbers(rule: Any, number: NumberType) -> Any:
    """The rule in the number type of the run."""

    def pairs(values: Any) -> tuple[Any, ...]:
        return tuple((convert(number, first, "rule"), convert(number, second, "rule")) for first, second in values)

    if rule is None or isinstance(rule, TimeExit):
        return rule
    if isinstance(rule, (Chain, AnyOf, AllOf)):
        return type(rule)(tuple(in_numbers(inner, number) for inner in rule.rules))
    if isinstance(rule, Tightening):
        return Tightening(pairs(rule.schedule))
    if isinstance(rule, ScaledExit):
        return ScaledExit(pairs(rule.targets))
    if isinstance(rule, SignalExit):
        return SignalExit(rule.signal, convert(number, rule.threshold, "threshold"))
    if isinstance(rule, (VolatilityStop, VolatilityTrailingStop)):
        return type(rule)(convert(number, rule.multiplier, "multiplier"), rule.signal, rule.use_entry_atr)
    if isinstance(rule, (StopLoss, TakeProfit, TrailingStop)):
        return type(rule)(convert(number, rule.pct, "pct"))
    raise ValueError(f"unknown rule: {rule}")
