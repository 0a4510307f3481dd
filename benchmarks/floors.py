"""What the strategies cost by themselves, on data that is simply there: no engine can be faster, and it tells how fast the machine is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dict_engine import DictFeed
from measure import Time, in_turn
from workloads import ArraySignals, EveryAsset, Frames

if TYPE_CHECKING:
    from ml4t_kernels.dtypes import FloatArray

_BARS = 504


class _Broker:
    """Has no positions and ignores orders."""

    def __init__(self) -> None:
        nothing: dict[str, Any] = {}
        self.get_position = nothing.get

    def submit_order(self, asset: str, quantity: float) -> None:
        """Do nothing."""

    def submit_orders(self, quantities: FloatArray, where: object = None) -> None:
        """Do nothing."""


class _Rows:
    """One bar of signals, and positions of nothing."""

    def __init__(self, pred: FloatArray, positions: FloatArray) -> None:
        self._pred = pred
        self.positions = positions

    def signal(self, name: str) -> FloatArray:
        """Return the one signal."""
        return self._pred


def every_asset(frames: Frames, repeats: int) -> Time:
    """Return the time of the loop of `EveryAsset` over one bar of plain dicts, per asset-bar."""
    now, data = next(DictFeed(frames.prices.head(frames.size.assets), frames.signals.head(frames.size.assets)).bars())
    strategy, broker = EveryAsset(), _Broker()

    def run() -> None:
        for _ in range(_BARS):
            strategy.on_data(now, data, {}, broker)

    return in_turn([lambda: run], repeats)[0] / (_BARS * frames.size.assets)


def array_signals(frames: Frames, repeats: int) -> Time:
    """Return the time of the decisions of `ArraySignals` on bare arrays, per asset-bar."""
    assets = frames.size.assets
    panel = frames.signals["pred"].head(_BARS * assets).to_numpy().reshape(_BARS, assets)
    rows: list[Any] = [_Rows(row, np.zeros(assets)) for row in panel]
    now = frames.prices["timestamp"][0]
    strategy, broker = ArraySignals(), _Broker()

    def run() -> None:
        for row in rows:
            strategy.on_arrays(now, row, {}, broker)

    return in_turn([lambda: run], repeats)[0] / (_BARS * assets)
