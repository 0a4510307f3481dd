"""One column at a time: to floats, gaps filled, every value checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.panels import Words

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import polars as pl

    from ml4t_kernels.dtypes import FloatArray

__all__ = ["check_prices", "floats", "signal_values"]

# Adjusted prices carry rounding of the last digits; a high this close below the low is equal to it.
_ROUNDING = 1e-9

Describe: TypeAlias = "Callable[[int, int], str]"


def check_prices(panels: dict[str, FloatArray], present: npt.NDArray[np.uint8], describe: Describe, *, positive: bool) -> None:
    """Fill gaps of open, high, low from the close, of volume with 0, and raise ValueError for the first bad value.

    describe: (row, column) of a panel to the words that name asset and time.
    """
    for name in ("close", "open", "high", "low"):
        panel = panels[name]
        if panel is not panels["close"]:
            panel = panels[name] = _filled(panel, panels["close"])
        _refuse(name, panel, np.isinf, "expected finite numbers", describe)
        if positive:
            advice = "expected prices > 0 (DataFeed(allow_nonpositive_prices=True) admits zero and negative ones)"
            _refuse(name, panel, lambda values: values <= 0.0, advice, describe)
    low = panels["low"]
    if panels["high"] is not low:
        _refuse("high", panels["high"], lambda high: high < low - _ROUNDING * np.abs(low), "the low is above it", describe)
    volume = panels["volume"]
    if np.isnan(volume).any():
        volume = panels["volume"] = np.where(np.isnan(volume) & (present == 1), 0.0, volume)
    _refuse("volume", volume, np.isinf, "expected finite numbers", describe)
    _refuse("volume", volume, lambda values: values < 0.0, "expected volumes >= 0", describe)


def _filled(panel: FloatArray, close: FloatArray) -> FloatArray:
    """Return a price panel with its gaps taken from the close; the same object when it has none to fill."""
    gaps = np.isnan(panel)
    if not gaps.any():
        return panel
    gaps &= ~np.isnan(close)
    return np.where(gaps, close, panel) if gaps.any() else panel


def _refuse(name: str, panel: FloatArray, test: Callable[[FloatArray], npt.NDArray[np.bool_]], problem: str, describe: Describe) -> None:
    """Raise ValueError for the first cell, by time, that fails a test."""
    bad = test(panel)
    if bad.any():
        bar, column = (int(place) for place in np.argwhere(bad)[0])
        raise ValueError(f"prices column {name!r} is {float(panel[bar, column])!r} for {describe(bar, column)}: {problem}")


def signal_values(column: pl.Series) -> tuple[FloatArray, Callable[[float], Any] | None]:
    """Return a signal column as floats, null as NaN, and the function that turns a float back into the user's value."""
    import polars as pl

    kind = column.dtype
    decoder: Callable[[float], Any] | None = None
    if kind == pl.Boolean:
        decoder = bool
    elif kind.is_integer():
        decoder = int
    elif kind in (pl.String, pl.Categorical) or isinstance(kind, pl.Enum):
        names = column.cast(pl.String).unique(maintain_order=True).drop_nulls().to_list()
        column = column.cast(pl.String).cast(pl.Enum(names)).to_physical()
        decoder = Words(tuple(names))
    elif not (kind.is_numeric() or kind == pl.Null):
        raise ValueError(f"signals column {column.name!r} has type {kind}, expected numbers, booleans or text; cast or drop it")
    values = column.cast(pl.Float64).rechunk().to_numpy()
    return np.ascontiguousarray(values, dtype=np.float64), decoder


def floats(frame: pl.DataFrame, name: str) -> FloatArray:
    """Return a numeric column as contiguous floats, null as NaN; without a copy where it can be."""
    return np.ascontiguousarray(frame[name].rechunk().to_numpy(), dtype=np.float64)
