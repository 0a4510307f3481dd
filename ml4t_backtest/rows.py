"""`Rows`: one bar of every asset as numpy arrays, for array strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_kernels.dtypes import FloatArray

__all__ = ["Rows"]


class Rows:
    """The arrays of one bar, each float64[assets] in the order of `assets`. Safe to keep.

    Prices and signals are read-only views of history (NaN = missing); positions and weights are copies of the account
    at this bar.
    """

    __slots__ = ("_bar", "_panels", "_store", "positions", "weights")

    def __init__(self, panels: Panels, store: Store, bar: int) -> None:
        self._panels = panels
        self._store = store
        self._bar = bar
        self.positions: FloatArray = store.held.copy()
        weights: FloatArray = store.marked_at * self.positions
        weights *= store.multipliers
        weights /= store.columns.equity[0] or float("nan")
        self.weights = weights

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the assets."""
        return self._panels.assets

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which assets have a row on this bar, bool[assets]."""
        present: npt.NDArray[np.bool_] = self._panels.present[self._bar].view("bool")
        return present

    @property
    def open(self) -> FloatArray:
        """Open prices."""
        return self._row(self._panels.prices["open"])

    @property
    def high(self) -> FloatArray:
        """High prices."""
        return self._row(self._panels.prices["high"])

    @property
    def low(self) -> FloatArray:
        """Low prices."""
        return self._row(self._panels.prices["low"])

    @property
    def close(self) -> FloatArray:
        """Close prices."""
        return self._row(self._panels.prices["close"])

    @property
    def volume(self) -> FloatArray:
        """Volumes."""
        return self._row(self._panels.prices["volume"])

    def signal(self, name: str) -> FloatArray:
        """Return one signal: numbers as they are, booleans as 1.0 and 0.0, missing as NaN.

        Raises KeyError for an unknown signal, TypeError for a text signal.
        """
        panel = self._panels.signals.get(name)
        if panel is None:
            known = self._panels.signals
            raise KeyError(f"no signal {name!r}, only {shortened(known)}{did_you_mean(name, known)}")
        if self._panels.is_text(name):
            raise TypeError(f"signal {name!r} is text, which has no array of numbers; encode it as numbers in signals_df")
        return self._row(panel)

    def _row(self, panel: FloatArray) -> FloatArray:
        row: FloatArray = panel[self._bar]
        return row
