"""What users subclass: `Strategy`, called once per bar, and `ArrayStrategy`, called with whole rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ml4t_backtest.broker import Broker
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.rows import Rows
    from ml4t_backtest.store import Store

__all__ = ["ArrayStrategy", "Strategy"]


class _Callbacks(ABC):
    """The two optional callbacks around a run."""

    def on_start(self, broker: Broker) -> None:  # noqa: B027 - optional by design
        """Run once before the first bar; orders submitted here are pending for it."""

    def on_end(self, broker: Broker) -> None:  # noqa: B027 - optional by design
        """Run once after the last bar; orders submitted here never trade."""


class Strategy(_Callbacks):
    """Decides bar by bar, asset by asset."""

    @abstractmethod
    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Broker) -> None:
        """Run on each bar.

        timestamp: of the bar, in the feed's time zone. data: asset to bar, of the assets that have one now; a bar has
        open, high, low, close, volume (floats, None when missing) and signals. context: market-wide values of the bar.
        broker: orders and account.
        """


class ArrayStrategy(_Callbacks):
    """Decides bar by bar on whole rows: one numpy array for all assets."""

    @abstractmethod
    def on_arrays(self, timestamp: datetime, rows: Rows, context: Mapping[str, Any], broker: Broker) -> None:
        """Run on each bar.

        rows: float64[assets] arrays of prices, signals, positions and weights in the order of `rows.assets`. Submit
        with `broker.submit_orders(quantities)` or `broker.order_target_weights(weights)`.
        """

    def _compiled_host(self, store: Store, panels: Panels, broker: Broker) -> Any:  # noqa: ARG002 - for those that have one
        """Return what runs the strategy without Python between the bars, None where nothing does. For strategies of this library."""
        return None
