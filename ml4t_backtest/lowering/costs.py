"""Cost models to rows: one row for each different combination of commission, slippage, impact and execution limits."""

from __future__ import annotations

import math
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest import models as m
from ml4t_backtest.execution import impact as i
from ml4t_backtest.execution import limits as e
from ml4t_backtest.models.checks import call_with_known
from ml4t_kernels.codes import CommissionKind, ImpactKind, ParticipationKind, SlippageKind
from ml4t_kernels.dtypes import cost_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.lowering.hosts import HostCalls
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import IntArray, Record, Records

__all__ = ["CostTable"]

_WINDOW = 20  # bars of returns behind the volatility that an adaptive limit sees

_OF_THE_ASSET = (m.SpreadSlippage, m.FuturesSlippage)  # their numbers depend on the asset


class CostTable:
    """Collects cost rows and tiers. Raises TypeError for what is no model, ValueError for models that the feed cannot serve."""

    def __init__(self, panels: Panels, specs: Sequence[ContractSpec | None], hosts: HostCalls) -> None:
        self._panels = panels
        self._specs = specs
        self._hosts = hosts
        self._rows: dict[tuple[Any, ...], int] = {}
        self._records: list[Records] = []
        self.tiers: list[tuple[float, float]] = []

    def lower(self, commission: Any, slippage: Any, impact: Any, limits: Any) -> tuple[Records, IntArray]:
        """Return the cost rows and each asset's row, int64[assets]."""
        models = (commission, slippage, impact, limits)
        by_asset = any(hasattr(model, "model_for") for model in models) or isinstance(slippage, _OF_THE_ASSET)
        rows = np.zeros(len(self._panels.assets), dtype=np.int64)
        for column, asset in enumerate(self._panels.assets if by_asset else self._panels.assets[:1]):
            spec = self._specs[column]
            kind = None if spec is None else spec.asset_class
            chosen = [model.model_for(asset, kind) if hasattr(model, "model_for") else model for model in models]
            rows[column] = self._row(column, chosen)
        if not self._records:
            self._records.append(np.zeros(1, dtype=cost_dtype))
        return np.concatenate(self._records), rows

    def _row(self, column: int, chosen: list[Any]) -> int:
        own = isinstance(chosen[1], _OF_THE_ASSET)
        key = (*(id(model) for model in chosen), column if own else -1)
        if key not in self._rows:
            record = np.zeros(1, dtype=cost_dtype)
            row = record[0]
            self._commission(row, chosen[0])
            self._slippage(row, chosen[1], column)
            self._impact(row, chosen[2])
            self._participation(row, chosen[3], chosen[1])
            self._rows[key] = len(self._records)
            self._records.append(record)
        return self._rows[key]

    def _commission(self, row: Record, model: Any) -> None:
        kind = type(model)
        if kind is m.NoCommission:
            return
        row["commission_kind"] = CommissionKind.LINEAR
        if kind is m.PercentageCommission:
            row["commission_rate"] = row["maker_rate"] = model.percentage
        elif kind is m.PerShareCommission:
            row["commission_per_unit"], row["commission_minimum"] = model.cost_per_share, model.min_cost
        elif kind is m.CombinedCommission:
            row["commission_rate"] = row["maker_rate"] = model.percentage
            row["commission_per_unit"], row["commission_per_order"] = model.per_share, model.fixed
            row["commission_minimum"] = model.min_cost
        elif kind is m.PerOrderCommission:
            row["commission_per_order"] = model.amount
        elif kind is m.PerOrderPerShareCommission:
            row["commission_per_order"], row["commission_per_unit"] = model.per_order, model.per_share
            row["commission_minimum"] = model.min_cost
        elif kind is m.MakerTakerCommission:
            row["commission_rate"], row["maker_rate"] = model.taker, model.maker
            row["commission_minimum"] = -math.inf  # a rebate is a negative commission
        elif kind is m.FuturesCommission:
            row["commission_kind"] = CommissionKind.LARGEST
            row["commission_minimum"], row["commission_per_unit"] = model.per_trade, model.per_block
            row["commission_rate"] = model.percentage
        elif kind is m.TieredCommission:
            row["commission_kind"] = CommissionKind.TIERED_QUANTITY if model.by_quantity else CommissionKind.TIERED_VALUE
            row["first_tier"], row["tiers"] = len(self.tiers), len(model.tiers)
            self.tiers.extend((tier[-2], tier[-1]) for tier in model.tiers)
        else:
            row["commission_kind"] = CommissionKind.FUNCTION
            row["commission_minimum"] = -math.inf
            row["commission_function"] = self._function(model, "commission_model", lambda _, multiplier: {"multiplier": multiplier})

    def _slippage(self, row: Record, model: Any, column: int) -> None:
        kind = type(model)
        if kind is m.NoSlippage:
            return
        if kind is m.FixedSlippage:
            row["slippage_kind"], row["slippage_amount"] = SlippageKind.FIXED, model.amount
        elif kind is m.PercentageSlippage:
            row["slippage_kind"], row["slippage_rate"] = SlippageKind.PERCENTAGE, model.percentage
        elif kind is m.VolumeShareSlippage and model.impact_factor is not None:
            row["slippage_kind"], row["slippage_rate"] = SlippageKind.VOLUME_SHARE, model.impact_factor
        elif kind is m.VolumeShareSlippage:
            row["slippage_kind"], row["slippage_rate"] = SlippageKind.VOLUME_SHARE_SQUARED, model.price_impact
            row["slippage_volume_limit"] = model.volume_limit
        elif kind is m.SpreadSlippage:
            self._spread(row, model, self._panels.assets[column])
        elif kind is m.FuturesSlippage:
            spec = self._specs[column]
            tick = None if spec is None else spec.tick_size
            row["slippage_kind"] = SlippageKind.FIXED
            row["slippage_amount"] = model.calculate(self._panels.assets[column], 1.0, 1.0, tick_size=tick)
        else:
            row["slippage_kind"] = SlippageKind.FUNCTION
            filled = self._filled_now if kind is m.CumulativeVolumeShareSlippage else None
            row["slippage_function"] = self._function(
                model,
                "slippage_model",
                lambda asset, volume: {"volume": _known(volume), **({} if filled is None else {"filled": filled(asset)})},
            )

    def _spread(self, row: Record, model: m.SpreadSlippage, asset: str) -> None:
        spread = model.spread_of(asset)
        if spread is not None:
            row["slippage_kind"], row["slippage_amount"] = SlippageKind.FIXED, spread / 2.0
            return
        missing = [name for name in ("bid", "ask") if name not in self._panels.extras]
        if missing:
            raise ValueError(f"SpreadSlippage has no spread for {asset!r}, and prices have no column {' and no column '.join(missing)}")
        row["slippage_kind"] = SlippageKind.QUOTED_SPREAD

    def _impact(self, row: Record, model: Any) -> None:
        kind = type(model)
        if model is None or kind is i.NoImpact:
            return
        row["impact_volatility"] = row["impact_volume_factor"] = 1.0
        if kind is i.LinearImpact:
            row["impact_kind"], row["impact_coefficient"] = ImpactKind.LINEAR, model.coefficient
        elif kind is i.SquareRootImpact:
            row["impact_kind"], row["impact_coefficient"] = ImpactKind.SQUARE_ROOT, model.coefficient
            row["impact_volatility"], row["impact_volume_factor"] = model.volatility, model.adv_factor
        elif kind is i.PowerLawImpact:
            row["impact_kind"], row["impact_coefficient"] = ImpactKind.POWER, model.coefficient
            row["impact_exponent"], row["impact_minimum"] = model.exponent, model.min_impact
        else:
            row["impact_kind"] = ImpactKind.FUNCTION
            row["impact_function"] = self._impact_function(model)

    def _participation(self, row: Record, model: Any, slippage: Any) -> None:
        kind = type(model)
        row["participation_kind"] = ParticipationKind.VOLUME
        share = math.inf
        if isinstance(slippage, m.VolumeShareSlippage) and slippage.volume_limit is not None:
            share = slippage.volume_limit
        if kind is e.VolumeParticipationLimit:
            row["participation"], row["participation_least_volume"] = min(share, model.max_participation), model.min_volume
        elif model is None or kind is e.NoLimits:
            row["participation"] = share
            if share == math.inf:
                row["participation_kind"] = ParticipationKind.NONE
            if isinstance(slippage, m.CumulativeVolumeShareSlippage):
                row["participation_kind"] = ParticipationKind.FUNCTION
                row["participation_function"] = self._hosts.address(self._cap_of_slippage(slippage), "slippage_model.fillable")
        else:
            row["participation_kind"] = ParticipationKind.FUNCTION
            plain = _is_function(model)
            owner = "execution_limits" if plain else f"{type(model).__name__}.calculate"
            row["participation_function"] = self._hosts.address(self._cap_of(model, share, owner), owner)

    def _function(self, model: Any, argument: str, known: Callable[[int, float], dict[str, Any]]) -> int:
        """Return the address of a user's commission or slippage: an object with calculate(...), or a (compiled) function."""
        if _is_function(model):
            return self._hosts.address(model, argument)
        method = getattr(model, "calculate", None)
        if isinstance(model, type) or not callable(method):
            hint = f": {model.__name__}(...)" if isinstance(model, type) else ""
            raise TypeError(f"{argument} was {model!r}, expected an object with calculate(...) or a function compiled with numba{hint}")
        assets = self._panels.assets

        def call(column: int, quantity: float, price: float, last: float) -> Any:
            return call_with_known(method, assets[column], quantity, price, **known(column, last))

        return self._hosts.address(call, f"{type(model).__name__}.calculate")

    def _impact_function(self, model: Any) -> int:
        if _is_function(model):
            return self._hosts.address(model, "market_impact_model")
        method = getattr(model, "calculate", None)
        if isinstance(model, type) or not callable(method):
            raise TypeError(f"market_impact_model was {model!r}, expected an object with calculate(quantity, price, volume, is_buy)")

        def call(side: int, quantity: float, price: float, volume: float) -> Any:
            return method(quantity, price, _known(volume), side > 0)

        return self._hosts.address(call, f"{type(model).__name__}.calculate")

    def _cap_of(self, model: Any, share: float, owner: str) -> Callable[[int, float, float, float], float]:
        """Return the cap of a limit: what the model answers, and at most a share of the volume.

        Compiled functions are called from here as well, since their answer is checked: a negative one would turn the order.
        """
        method = model if owner == "execution_limits" else getattr(model, "calculate", None)
        if isinstance(model, type) or not callable(method):
            hint = f": {model.__name__}(...)" if isinstance(model, type) else ""
            raise TypeError(f"execution_limits was {model!r}, expected an object with calculate(quantity, volume, price){hint}")
        shared, adaptive = isinstance(model, e.SharedVolumeParticipationLimit), isinstance(model, e.AdaptiveParticipationLimit)

        def call(column: int, quantity: float, volume: float, price: float) -> float:
            known: dict[str, Any] = {}
            if shared:
                known["filled"] = self._filled_now(column)
            if adaptive:
                known["volatility"] = self._volatility_now(column)
            answer: float
            if method is model:
                answer = model(column, quantity, volume, price)
            else:
                answer = _fillable(call_with_known(method, quantity, _known(volume), price, **known), owner)
            if answer < 0:
                raise ValueError(f"{owner} lets {answer!r} units fill, expected a number >= 0")
            return min(answer, share * volume) if volume == volume and share != math.inf else answer  # noqa: PLR0124 - NaN

        return call

    def _cap_of_slippage(self, model: m.CumulativeVolumeShareSlippage) -> Callable[[int, float, float, float], float]:
        def call(column: int, quantity: float, volume: float, price: float) -> float:  # noqa: ARG001
            return model.fillable(quantity, _known(volume), self._filled_now(column))

        return call

    def _filled_now(self, column: int) -> float:
        """Return the units of an asset that have filled on this bar, unsigned."""
        store = self._hosts.the_store
        fills = store.used_fills()
        now = fills[np.searchsorted(fills["bar"], store.bar) :]
        return float(np.sum(np.abs(now["quantity"][now["asset"] == column])))

    def _volatility_now(self, column: int) -> float | None:
        """Return the sample standard deviation of the last 20 returns before this bar, None while there are too few."""
        store = self._hosts.the_store
        closes = self._panels.prices["close"][max(0, store.bar - _WINDOW - 1) : store.bar, column]
        if len(closes) <= _WINDOW or np.isnan(closes).any() or (closes <= 0.0).any():
            return None
        return float(np.std(closes[1:] / closes[:-1] - 1.0, ddof=1))


def _fillable(result: Any, owner: str) -> Any:
    """Return what an `ExecutionResult` lets fill. Raises TypeError, naming the model, for anything else."""
    try:
        return result.fillable_quantity
    except AttributeError:
        raise TypeError(f"{owner} returned {result!r}, expected an ExecutionResult(fillable_quantity, remaining_quantity, price)") from None


def _known(volume: float) -> float | None:
    return None if math.isnan(volume) else volume


def _is_function(model: Any) -> bool:
    """Tell a function, plain or compiled with numba, from an object with calculate(...)."""
    return hasattr(model, "py_func") or isinstance(model, FunctionType)
