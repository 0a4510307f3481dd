"""The prices of `from_signals`: a feed, or a close with the other prices as arrays or wide frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.frames import datetimes
from ml4t_backtest.memory import constant
from ml4t_backtest.panels import Panels
from ml4t_backtest.signals.fused import Bars
from ml4t_backtest.signals.wide import Wide, read_wide

if TYPE_CHECKING:
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["Prices", "read_prices"]

_UNITS = {"d": 86_400, "h": 3_600, "min": 60, "m": 60, "t": 60, "s": 1}
_OTHERS = ("open", "high", "low", "volume")


@dataclass(frozen=True)
class Prices:
    """Bars by column, their names (None where the source has none) and the time zone of their times."""

    bars: Bars
    names: tuple[str, ...] | None
    zone: str | None

    def feed(self, columns: list[int], names: list[str]) -> DataFeed:
        """Return the feed of some columns."""
        bars = self.bars
        known, whole = bars.volume is not None, columns == list(range(len(bars.close)))
        source = bars.packed if "packed" in vars(bars) else vars(bars)  # what has run already
        given = {name: source[name] for name in ("open", "high", "low", "close", *(("volume",) if known else ()))}
        distinct = {id(array): array for array in given.values()}
        turned = {key: np.ascontiguousarray((array if whole else array[columns]).T) for key, array in distinct.items()}
        prices = {name: turned[id(array)] for name, array in given.items()}
        shape = prices["close"].shape
        made = DataFeed.__new__(DataFeed)  # the prices have been checked
        made.panels = Panels(
            times=bars.times,
            timestamps=datetimes(bars.times, self.zone),
            assets=tuple(names),
            prices=prices if known else {**prices, "volume": constant(0.0, shape)},
            present=constant(1, shape, np.uint8),
            zone=self.zone,
            extras={} if bars.vwap is None else {"vwap": np.ascontiguousarray(bars.vwap[columns].T)},
            has_volume=known,
        )
        return made


def read_prices(close: Any, others: dict[str, Any], freq: Any) -> Prices:
    """Return the prices of a run.

    close: a `DataFeed`, or float64[bars, columns] as `read_wide` takes it. others: open, high, low, volume in the same way, None without;
    missing ones are the close (the volume: unknown). freq: distance of bars without times, "1d", "4h", "15min"; None is a day.
    Raises ValueError for shapes that differ, infinite and non-positive prices, and highs below lows.
    """
    if isinstance(close, DataFeed):
        given = [name for name, value in others.items() if value is not None]
        if given:
            raise TypeError(f"from_signals() got a feed and {given[0]!r}, which the feed has already")
        from ml4t_backtest.signals.running import bars_of

        bars = bars_of(close.panels)
        if bars.events:
            raise ValueError("the feed has dividends, splits or funding rates; run SignalStrategy in an Engine, which applies them")
        return Prices(bars, close.panels.assets, close.panels.zone)
    wide = read_wide("close", close)
    panels: dict[str, Any] = {"close": wide.values.T}
    for name in _OTHERS:
        panels[name] = _other(name, others.get(name), wide, panels["close"])
    _check(panels, wide.names)
    times = wide.times if wide.times is not None else np.arange(len(wide.values), dtype=np.int64) * _nanoseconds(freq)
    return Prices(Bars(times, **panels), wide.names, wide.zone)


def _other(name: str, given: Any, close: Wide, closes: FloatArray) -> FloatArray | None:
    if given is None:
        return None if name == "volume" else closes
    wide = read_wide(name, given)
    if wide.values.shape != close.values.shape:
        raise ValueError(f"{name} has the shape {wide.values.shape}, close {close.values.shape} (bars, columns); they have to be equal")
    same_times("close", close.times, name, wide.times)
    values = wide.values.T
    if name == "volume":
        return np.nan_to_num(values, nan=0.0)
    missing = np.isnan(values)
    return np.where(missing, closes, values) if missing.any() else values


def same_times(name: str, times: IntArray | None, other: str, other_times: IntArray | None) -> None:
    """Raise ValueError where two arguments have times that differ."""
    if times is None or other_times is None or np.array_equal(times, other_times):
        return
    if len(times) != len(other_times):
        raise ValueError(f"{other} has {len(other_times)} bars, {name} {len(times)}")
    bar = int(np.flatnonzero(times != other_times)[0])
    at = [np.datetime64(int(found[bar]), "ns") for found in (other_times, times)]
    raise ValueError(f"{other} and {name} have different times: bar {bar} is {at[0]} and {at[1]}; align the frames first")


def _check(panels: dict[str, FloatArray], names: tuple[str, ...] | None) -> None:
    for name in ("close", "open", "high", "low"):
        panel = panels[name]
        if name != "close" and panel is panels["close"]:
            continue
        if panel.min() > 0.0 and panel.max() < np.inf:  # without NaN, and fine
            continue
        bad = ~((panel > 0.0) & (panel < np.inf) | np.isnan(panel))
        if bad.any():
            column, bar = np.argwhere(bad)[0].tolist()
            where = repr(names[column]) if names else column
            raise ValueError(f"{name} was {panel[column, bar]:g} at bar {bar}, column {where}, expected a finite price > 0; NaN is no bar")
    if panels["high"] is panels["low"]:
        return
    below = panels["high"] < panels["low"]
    if below.any():
        column, bar = np.argwhere(below)[0].tolist()
        raise ValueError(f"high is below low at bar {bar}, column {repr(names[column]) if names else column}")


def _nanoseconds(freq: Any) -> int:
    """Return the distance of bars. Raises ValueError for a text that is none."""
    if freq is None:
        return 86_400 * 10**9
    if hasattr(freq, "total_seconds"):
        return int(freq.total_seconds() * 1e9)
    text = str(freq).strip().lower()
    digits = "".join(letter for letter in text if letter.isdigit())
    unit = text[len(digits) :]
    if not text.startswith(digits) or unit not in _UNITS or digits == "0":
        raise ValueError(f"freq was {freq!r}, expected a distance such as '1d', '4h', '15min' or '30s', or a timedelta")
    return int(digits or 1) * _UNITS[unit] * 10**9
