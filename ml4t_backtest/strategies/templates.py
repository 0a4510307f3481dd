"""Strategies to start from: follow a signal, momentum, mean reversion, long/short by rank.

Settings are class attributes, set in a subclass or by keyword: `MomentumStrategy(lookback=10)`. All of them trade assets that have
a close on the bar, size an entry as `account value * position_size / (close * multiplier)`, and close a position whole.
`allow_fractional`: False truncates entries to whole shares, None does as the broker.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections import deque
from functools import cached_property
from itertools import islice
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from ml4t_backtest.execution.planning import multiplier_of, trades_whole_shares, truncated
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.models.checks import finite, positive
from ml4t_backtest.strategy import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ml4t_backtest.broker import Broker

__all__ = ["LongShortStrategy", "MeanReversionStrategy", "MomentumStrategy", "SignalFollowingStrategy"]


class _Template(Strategy):
    """What the templates share: settings, their checks, and sizing."""

    position_size: float = 0.10
    allow_fractional: bool | None = None

    def __init__(self, **settings: Any) -> None:
        """Set settings of this strategy. Raises TypeError for a name that is none."""
        known = self._settings()
        for name, value in settings.items():
            if name not in known:
                raise TypeError(f"{type(self).__name__} has no setting {name!r}{did_you_mean(name, known)} Settings: {', '.join(known)}")
            setattr(self, name, value)

    @classmethod
    def _settings(cls) -> list[str]:
        """Return the names of all settings: the annotated class attributes."""
        names = [name for owner in cls.__mro__ for name in inspect.get_annotations(owner)]
        return sorted({name for name in names if not name.startswith("_") and hasattr(cls, name)})

    def on_start(self, broker: Broker) -> None:  # noqa: ARG002
        """Check the settings and forget what a former run left. Raises ValueError that names the setting."""
        positive(type(self).__name__, position_size=self.position_size)
        self._check()

    def _check(self) -> None:
        """Check the settings of one template."""

    def _whole_number(self, least: int, **values: object) -> None:
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{type(self).__name__}({name}={value!r}): expected a whole number >= {least}")

    def _size(self, asset: str, close: float, broker: Broker) -> float:
        """Return the quantity of an entry, 0 when nothing can be bought."""
        unit = close * multiplier_of(broker, asset)
        value = broker.get_account_value() * self.position_size
        if not (unit > 0.0 and value > 0.0):
            return 0.0
        return float(truncated(value / unit)) if trades_whole_shares(broker, self.allow_fractional) else value / unit


def _close_of(bar: Mapping[str, Any]) -> float | None:
    """Return the close of a bar, None when there is none."""
    close = bar["close"]
    return None if close is None or math.isnan(close) else float(close)


def _signal_of(bar: Mapping[str, Any], column: str) -> float | None:
    """Return a signal of a bar, None when there is none. Raises TypeError for a signal that is no number."""
    value = bar.get("signals", {}).get(column)
    if isinstance(value, str):
        raise TypeError(f"the signal {column!r} was {value!r}, expected a number")
    return None if value is None or math.isnan(value) else float(value)


class SignalFollowingStrategy(_Template):
    """Enters and leaves each asset by its own signal. Subclass it and say when.

    signal_column: name of the signal. allow_shorts: enter short where `should_enter_short` says so. Assets without the signal on a
    bar are left alone.
    """

    signal_column: str = "signal"
    allow_shorts: bool = False

    @abstractmethod
    def should_enter_long(self, signal: float) -> bool:
        """Return whether to buy an asset that is not held."""

    @abstractmethod
    def should_exit(self, signal: float) -> bool:
        """Return whether to close the position."""

    def should_enter_short(self, signal: float) -> bool:  # noqa: ARG002
        """Return whether to sell short an asset that is not held; never, unless overridden."""
        return False

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Broker) -> None:  # noqa: ARG002
        """Look at each asset that has a close and the signal."""
        for asset, bar in data.items():
            signal, close = _signal_of(bar, self.signal_column), _close_of(bar)
            if signal is None or close is None:
                continue
            if broker.get_position(asset) is not None:
                if self.should_exit(signal):
                    broker.close_position(asset)
            elif self.should_enter_long(signal):
                broker.submit_order(asset, self._size(asset, close, broker))
            elif self.allow_shorts and self.should_enter_short(signal):
                broker.submit_order(asset, -self._size(asset, close, broker))


class _WindowTemplate(_Template):
    """A template that looks at the last closes of each asset. Bars without a close are not counted."""

    lookback: int = 20

    @cached_property
    def _closes(self) -> dict[str, deque[float]]:
        return {}

    def on_start(self, broker: Broker) -> None:
        """Check the settings and forget the closes of a former run."""
        super().on_start(broker)
        self._closes.clear()

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Broker) -> None:  # noqa: ARG002
        """Take each close into its window, and trade the assets whose window is full."""
        for asset, bar in data.items():
            close = _close_of(bar)
            if close is None:
                continue
            window = self._closes.setdefault(asset, deque(maxlen=self.lookback + 1))
            window.append(close)
            score = self._score(window)
            if score is None:
                continue
            if broker.get_position(asset) is None:
                if self._enters(score):
                    broker.submit_order(asset, self._size(asset, close, broker))
            elif self._leaves(score):
                broker.close_position(asset)

    @abstractmethod
    def _score(self, window: deque[float]) -> float | None:
        """Return the number that decides, None without enough closes. window: the last `lookback + 1` closes."""

    @abstractmethod
    def _enters(self, score: float) -> bool: ...

    @abstractmethod
    def _leaves(self, score: float) -> bool: ...


class MomentumStrategy(_WindowTemplate):
    """Holds what has risen: long when the return from the first to the last of `lookback` closes is above `entry_threshold`.

    Leaves when it is below `exit_threshold`. Thresholds are fractions; lookback is >= 2.
    """

    entry_threshold: float = 0.05
    exit_threshold: float = -0.02

    def _check(self) -> None:
        self._whole_number(2, lookback=self.lookback)
        finite(type(self).__name__, entry_threshold=self.entry_threshold, exit_threshold=self.exit_threshold)

    def _score(self, window: deque[float]) -> float | None:
        if len(window) < self.lookback:
            return None
        first = window[-self.lookback]
        return None if first == 0.0 else window[-1] / first - 1.0

    def _enters(self, score: float) -> bool:
        return score > self.entry_threshold

    def _leaves(self, score: float) -> bool:
        return score < self.exit_threshold


class MeanReversionStrategy(_WindowTemplate):
    """Buys what has fallen far: long when the close is below `entry_zscore` deviations from the mean of the `lookback` closes before.

    Leaves when the score is above `exit_zscore`. The deviation is that of a sample (n - 1); where it is 0 there is no score. lookback
    is >= 2.
    """

    entry_zscore: float = -2.0
    exit_zscore: float = 0.0

    def _check(self) -> None:
        self._whole_number(2, lookback=self.lookback)
        finite(type(self).__name__, entry_zscore=self.entry_zscore, exit_zscore=self.exit_zscore)

    def _score(self, window: deque[float]) -> float | None:
        if len(window) <= self.lookback:
            return None
        before = list(islice(window, self.lookback))
        deviation = stdev(before)
        return None if deviation == 0.0 else (window[-1] - fmean(before)) / deviation

    def _enters(self, score: float) -> bool:
        return score < self.entry_zscore

    def _leaves(self, score: float) -> bool:
        return score > self.exit_zscore


class LongShortStrategy(_Template):
    """Ranks the assets by a signal: long the `long_count` highest, short the `short_count` lowest.

    Acts on the first bar and each `rebalance_frequency` bars after. Closes what is in neither group, opens what is missing, turns
    what is on the wrong side, and leaves the size of the others alone. Assets with equal signals keep the order of the data; an
    asset that is in both groups, because there are few, is long. An asset that is held and has no signal or close now is closed.
    The account must allow short positions when `short_count` > 0.
    """

    signal_column: str = "signal"
    long_count: int = 5
    short_count: int = 5
    position_size: float = 0.05
    rebalance_frequency: int = 20
    _bar = 0

    def on_start(self, broker: Broker) -> None:
        """Check the settings and count bars from the start."""
        super().on_start(broker)
        self._bar = 0

    def _check(self) -> None:
        self._whole_number(0, long_count=self.long_count, short_count=self.short_count)
        self._whole_number(1, rebalance_frequency=self.rebalance_frequency)

    def on_data(self, timestamp: datetime, data: Mapping[str, Any], context: Mapping[str, Any], broker: Broker) -> None:  # noqa: ARG002
        """Rank and trade, on the bars of the schedule."""
        is_due = self._bar % self.rebalance_frequency == 0
        self._bar += 1
        if not is_due:
            return
        closes: dict[str, float] = {}
        signals: dict[str, float] = {}
        for asset, bar in data.items():
            signal, close = _signal_of(bar, self.signal_column), _close_of(bar)
            if signal is not None and close is not None:
                closes[asset], signals[asset] = close, signal
        ranked = sorted(signals, key=signals.__getitem__, reverse=True)
        longs = ranked[: self.long_count]
        below = ranked[len(longs) :]
        shorts = below[max(len(below) - self.short_count, 0) :]
        for asset in [held for held in broker.positions if held not in {*longs, *shorts}]:
            broker.close_position(asset)
        for side, group in ((1.0, longs), (-1.0, shorts)):
            for asset in group:
                self._hold(asset, side, closes[asset], broker)

    def _hold(self, asset: str, side: float, close: float, broker: Broker) -> None:
        position = broker.get_position(asset)
        held = 0.0 if position is None else position.quantity
        size = self._size(asset, close, broker)
        if held * side <= 0.0 and size > 0.0:
            broker.submit_order(asset, side * size - held)
