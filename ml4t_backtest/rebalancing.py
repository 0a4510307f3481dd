"""Rebalancing to target weights, the other half of `Broker`'s order entry."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ml4t_backtest.config import LateAssetPolicy, RebalanceFrequency, RebalanceMode
from ml4t_backtest.orderchecks import OrderChecks, is_finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.handles import Order
    from ml4t_backtest.types import OrderType

__all__ = ["Rebalancing"]

_CENT = 0.01
_EPOCH = date(1970, 1, 1)


class Rebalancing(OrderChecks):
    """Orders towards a set of weights."""

    def rebalance_to_weights(self, weights: Mapping[str, float], order_type: OrderType | str = "market", **order: Any) -> list[Order]:
        """Submit the orders that bring the account to target weights. Returns them: reductions, then closes, then purchases.

        weights: asset to fraction of the account value, scaled by `rebalance_headroom_pct`. Positions that are not in it are
        closed. Settings: an asset without a price is skipped, or priced at its last close (`missing_price_policy`); assets
        seen on fewer than `late_asset_min_bars` bars are left out (`late_asset_policy`); changes of weight below
        `target_weight_tolerance` are left alone; with `rebalance_frequency` nothing happens but on the first bar of a day, week,
        month, quarter or year of session dates. With `rebalance_mode` snapshot the account value is taken once; in SAME_BAR mode
        hybrid fills each order at once, incremental also takes the account value anew. Raises, before anything is submitted:
        TypeError when the weights are no mapping, ValueError for unknown assets and for weights that are no finite numbers.
        """
        if not hasattr(weights, "keys"):
            raise TypeError(f"weights were a {type(weights).__name__}, expected a mapping of asset to weight: {{'AAPL': 0.6, 'MSFT': 0.4}}")
        weights = {asset: weights[asset] for asset in weights.keys()}  # noqa: SIM118 - a pandas Series iterates its values
        for asset, weight in weights.items():
            self._column(asset)
            if not is_finite(weight):
                raise ValueError(self._bad_number("weight", weight, asset))
        if self._store.bar < 0 or not self._is_due():
            return []
        config = self.config
        equity = float(self._store.columns.equity[0])
        if equity <= 0.0:
            return []
        closing = [name for name in self._open_names() if name not in weights]
        plan = {asset: weight * config.rebalance_headroom_pct for asset, weight in weights.items() if self._is_seasoned(asset)}
        before = {asset: self._weight_now(asset, equity) for asset in plan}
        falling = [asset for asset, weight in plan.items() if weight < (before[asset] or 0.0)]
        rising = [asset for asset in plan if asset not in falling]
        made: list[Order | None] = []
        for asset in falling:
            made.append(self._towards(asset, plan[asset], equity, order_type, order))
            equity = self._after_one(equity)
        for asset in closing:
            made.append(self.close_position(asset))  # type: ignore[attr-defined]
            equity = self._after_one(equity)
        for asset in rising:
            made.append(self._towards(asset, plan[asset], equity, order_type, order))
            equity = self._after_one(equity)
        return [entry for entry in made if entry is not None]

    def _towards(self, asset: str, weight: float, equity: float, order_type: OrderType | str, order: dict[str, Any]) -> Order | None:
        price, held = self._price_for(asset), self._held(asset)
        if price is None or price == 0.0:
            return None
        multiplier = float(self._store.multipliers[self._columns[asset]])
        value = held * price * multiplier
        delta = equity * weight - value
        if abs(delta) < _CENT or (weight != 0.0 and abs(delta) < self.config.target_weight_tolerance * equity):
            return None
        quantity = -held if weight == 0.0 else delta / (price * multiplier)
        submitted: Order | None = self.submit_order(asset, quantity, order_type=order_type, **order)  # type: ignore[attr-defined]
        return submitted

    def _after_one(self, equity: float) -> float:
        """Fill what was just ordered where the mode says so, and return the account value for the next."""
        mode = self.config.rebalance_mode
        if mode is RebalanceMode.SNAPSHOT:
            return equity
        self.process_orders()  # type: ignore[attr-defined]
        return float(self._store.columns.equity[0]) if mode is RebalanceMode.INCREMENTAL else equity

    def _open_names(self) -> list[str]:
        return [self._panels.assets[column] for column in self._store.open_assets().tolist()]

    def _weight_now(self, asset: str, equity: float) -> float | None:
        price = self._price_for(asset)
        if price is None:
            return None
        return self._held(asset) * price * float(self._store.multipliers[self._columns[asset]]) / equity

    def _price_for(self, asset: str) -> float | None:
        """Return the close now, or the last one where the account says so."""
        return self._priced(asset, self.config.missing_price_policy)

    def _is_seasoned(self, asset: str) -> bool:
        if self.config.late_asset_policy is LateAssetPolicy.ALLOW:
            return True
        closes = self._store.market.close[: self._store.columns.row[0] + 1, self._columns[asset]]
        return int((closes == closes).sum()) >= self.config.late_asset_min_bars  # noqa: PLR0124 - NaN

    def _is_due(self) -> bool:
        """Tell whether this bar begins a period of `rebalance_frequency`."""
        frequency = self.config.rebalance_frequency
        if frequency is None:
            return True
        bar, sessions = self._store.bar, self._store.bars["session"]
        return bar == 0 or _period(int(sessions[bar]), frequency) != _period(int(sessions[bar - 1]), frequency)


def _period(session: int, frequency: RebalanceFrequency | str) -> tuple[int, ...]:
    """Return the period that a session (its date as days since 1970) belongs to."""
    day = _EPOCH + timedelta(days=session)
    if frequency is RebalanceFrequency.DAILY:
        return (session,)
    if frequency is RebalanceFrequency.WEEKLY:
        return tuple(day.isocalendar())[:2]
    if frequency is RebalanceFrequency.MONTHLY:
        return day.year, day.month
    if frequency is RebalanceFrequency.QUARTERLY:
        return day.year, math.ceil(day.month / 3)
    return (day.year,)
