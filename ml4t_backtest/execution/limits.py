"""Execution limits: how much of an order fills on a bar.

Each limit is a small frozen object. `calculate(quantity, volume, price)` gives an `ExecutionResult`; the engine fills the fillable
part and keeps the rest for the following bars. quantity: its magnitude counts. volume: units traded on the bar. One rule for all
limits but `NoLimits`: an unknown volume (None, NaN) fills everything, a volume of 0 nothing. Shares of volume are > 0 and at
most 1 (ValueError).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ml4t_backtest.execution.result import ExecutionResult
from ml4t_backtest.models.checks import call_with_known, checked_models, known_volume, model_of, not_negative, positive
from ml4t_backtest.spelling import accepts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

__all__ = [
    "AdaptiveParticipationLimit",
    "AssetExecutionLimits",
    "ExecutionLimits",
    "NoLimits",
    "PositiveVolumeLimit",
    "SharedVolumeParticipationLimit",
    "VolumeParticipationLimit",
]


@runtime_checkable
class ExecutionLimits(Protocol):
    """What a limit of your own needs: this one method."""

    def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
        """Return how much of an order fills on a bar."""
        ...


def _share(owner: str, **values: float) -> None:
    positive(owner, **values)
    for name, value in values.items():
        if value > 1.0:
            raise ValueError(f"{owner}({name}={value!r}): expected a share of the volume, at most 1")


def _result(quantity: float, volume: float | None, price: float, most: float) -> ExecutionResult:
    """Return the result of filling `most` units at most."""
    wanted = abs(quantity)
    fillable = min(wanted, most)
    return ExecutionResult(fillable, wanted - fillable, price, 0.0, fillable / volume if volume else 0.0)


def _participation(quantity: float, volume: float | None, price: float, rate: float, least_volume: float = 0.0) -> ExecutionResult:
    known = known_volume(volume)
    if known is None:
        return _result(quantity, None, price, abs(quantity))
    return _result(quantity, known, price, 0.0 if known < least_volume else rate * known)


@dataclass(frozen=True, slots=True)
class NoLimits:
    """Orders fill whole, whatever the volume."""

    def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
        """Return how much of an order fills on a bar: all of it."""
        return _result(quantity, known_volume(volume), price, abs(quantity))


@accepts(volume_limit="max_participation")
@dataclass(frozen=True, slots=True)
class VolumeParticipationLimit:
    """Each fill is at most `max_participation * volume`; nothing fills on bars with less than `min_volume` units."""

    max_participation: float = 0.10
    min_volume: float = 0.0

    def __post_init__(self) -> None:
        _share("VolumeParticipationLimit", max_participation=self.max_participation)
        not_negative("VolumeParticipationLimit", min_volume=self.min_volume)

    def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
        """Return how much of an order fills on a bar."""
        return _participation(quantity, volume, price, self.max_participation, self.min_volume)


@dataclass(frozen=True, slots=True)
class SharedVolumeParticipationLimit:
    """All fills of an asset on one bar together are at most `max_participation * volume`.

    With `filled` the units that filled in the asset before on this bar, an order fills at most
    `max_participation * volume - filled`. Nothing fills on bars with less than `min_volume` units.
    """

    max_participation: float = 0.10
    min_volume: float = 0.0

    def __post_init__(self) -> None:
        _share("SharedVolumeParticipationLimit", max_participation=self.max_participation)
        not_negative("SharedVolumeParticipationLimit", min_volume=self.min_volume)

    def calculate(self, quantity: float, volume: float | None, price: float, *, filled: float = 0.0) -> ExecutionResult:
        """Return how much of an order fills on a bar. filled: unsigned, of this asset on this bar."""
        known = known_volume(volume)
        if known is None:
            return _result(quantity, None, price, abs(quantity))
        room = 0.0 if known < self.min_volume else max(0.0, self.max_participation * known - filled)
        return _result(quantity, known, price, room)


@accepts(base="base_participation", max="max_participation", min="min_participation")
@dataclass(frozen=True, slots=True)
class AdaptiveParticipationLimit:
    """A share of the volume that shrinks when the market is more volatile than usual and grows when it is calmer.

    The share is `base_participation * (1 - volatility_factor * (volatility / avg_volatility - 1))`, held between
    `min_participation` and `max_participation`; without a volatility it is `base_participation`. volatility, avg_volatility: of
    one bar's return, fractions.
    """

    base_participation: float = 0.10
    volatility_factor: float = 0.5
    max_participation: float = 0.25
    min_participation: float = 0.02
    avg_volatility: float = 0.02

    def __post_init__(self) -> None:
        owner = "AdaptiveParticipationLimit"
        shares = (self.min_participation, self.base_participation, self.max_participation)
        _share(owner, min_participation=shares[0], base_participation=shares[1], max_participation=shares[2])
        not_negative(owner, volatility_factor=self.volatility_factor)
        positive(owner, avg_volatility=self.avg_volatility)
        if not shares[0] <= shares[1] <= shares[2]:
            raise ValueError(f"{owner}: expected min_participation <= base_participation <= max_participation, they were {shares}")

    def participation(self, volatility: float | None = None) -> float:
        """Return the share of the volume for a volatility; None and NaN are unknown."""
        known = known_volume(volatility)
        if known is None:
            return self.base_participation
        rate = self.base_participation * (1.0 - self.volatility_factor * (known / self.avg_volatility - 1.0))
        return min(max(rate, self.min_participation), self.max_participation)

    def calculate(self, quantity: float, volume: float | None, price: float, *, volatility: float | None = None) -> ExecutionResult:
        """Return how much of an order fills on a bar."""
        return _participation(quantity, volume, price, self.participation(volatility))


@dataclass(frozen=True, slots=True)
class PositiveVolumeLimit:
    """Orders fill whole on bars with volume, and wait on bars without."""

    def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
        """Return how much of an order fills on a bar: all or nothing."""
        known = known_volume(volume)
        return _result(quantity, known, price, 0.0 if known == 0.0 else abs(quantity))


@dataclass(frozen=True, slots=True)
class AssetExecutionLimits:
    """A limit per asset, per asset class, and for the rest: `AssetExecutionLimits({"ES": a, AssetClass.EQUITY: b}, default=c)`.

    Keys, precedence and errors as `models.AssetCommission`.
    """

    limits: Mapping[str | Enum, Any]
    default: ExecutionLimits | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", checked_models("AssetExecutionLimits", self.limits, self.default))

    def model_for(self, asset: str | None, asset_class: Enum | None = None) -> Any:
        """Return the limit of an asset. Raises ValueError when there is none."""
        return model_of("AssetExecutionLimits", self.limits, self.default, asset, asset_class)

    def calculate(
        self,
        quantity: float,
        volume: float | None,
        price: float,
        *,
        asset: str | None = None,
        asset_class: Enum | None = None,
        **facts: float | None,
    ) -> ExecutionResult:
        """Return how much of an order fills on a bar by the limit of its asset; without an asset, by the default.

        facts: filled, volatility, handed to limits that take them.
        """
        limit = self.model_for(asset, asset_class)
        result: ExecutionResult = call_with_known(limit.calculate, quantity, volume, price, **facts)
        return result
