"""`from_signals`: entries and exits of many columns to their results, in the words of VectorBT's users."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.config import BacktestConfig, Mode, ShortCashPolicy
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.signals.arguments import other_names, per_column, stops_of
from ml4t_backtest.signals.conflicts import Conflicts
from ml4t_backtest.signals.fused import NEVER, Batch, Setting
from ml4t_backtest.signals.markets import Prices, read_prices, same_times
from ml4t_backtest.signals.outcome import Plan, SignalResult
from ml4t_backtest.signals.running import blank_sets
from ml4t_backtest.signals.sources import SIGNAL_NAMES, possible_codes
from ml4t_backtest.signals.strategy import SIZE_TYPES, check_account, check_percent
from ml4t_backtest.signals.wide import read_flags, read_wide
from ml4t_kernels.codes import SignalBit, SizeKind
from ml4t_kernels.dtypes import signal_dtype

if TYPE_CHECKING:
    import numpy.typing as npt

    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["from_signals"]

_BITS = (SignalBit.LONG_ENTRY, SignalBit.LONG_EXIT, SignalBit.SHORT_ENTRY, SignalBit.SHORT_EXIT)
_DIRECTIONS = {"longonly": (0, 1), "shortonly": (2, 3), "both": (0, 2), "all": (0, 2)}  # which signals entries and exits are
_LEVELS = ("stop_pct", "trail_pct", "target_pct")
_COSTS = ("fees", "fixed_fees", "slippage")
_CONFLICTS = ("accumulate", "upon_long_conflict", "upon_short_conflict", "upon_dir_conflict", "upon_opposite_entry")
_NAMED = (
    *("close", *SIGNAL_NAMES, "open", "high", "low", "volume", "size", "size_type", *_COSTS, *_LEVELS, "max_bars", "initial_cash"),
    *("direction", *_CONFLICTS, "lock_cash", "allow_partial", "size_granularity", "cash_sharing", "freq", "config", "threads"),
)


def from_signals(  # noqa: PLR0913 - the arguments that users of VectorBT know
    close: Any,
    entries: Any = None,
    exits: Any = None,
    short_entries: Any = None,
    short_exits: Any = None,
    *,
    open: Any = None,  # noqa: A002 - the name of the price
    high: Any = None,
    low: Any = None,
    volume: Any = None,
    size: Any = math.inf,
    size_type: str = "amount",
    fees: Any = None,
    fixed_fees: Any = None,
    slippage: Any = None,
    stop_pct: Any = None,
    trail_pct: Any = None,
    target_pct: Any = None,
    max_bars: Any = None,
    initial_cash: Any = None,
    direction: str | None = None,
    lock_cash: bool | None = None,
    allow_partial: bool | None = None,
    size_granularity: float | None = None,
    cash_sharing: bool = False,
    freq: Any = None,
    config: BacktestConfig | Mode | str | None = None,
    threads: int | None = None,
    **others: Any,
) -> SignalResult:
    """Run entries and exits, each column an account of its own, and return the metrics of all columns.

    close: prices of bars by columns (numpy array, pandas or Polars Series or wide frame), or a `DataFeed`. open, high, low, volume:
    likewise; without them rules look at the close alone. entries, exits, short_entries, short_exits: booleans, bars by columns. One
    column of prices serves many columns of signals, one column of signals many of prices.

    size: of an entry: a number, one per column, or an array of bars by columns (NaN: no entry); inf is all that the account can pay.
    size_type: "amount", "value", "equity" or "percent", as `SignalStrategy`. fees (fraction of the value), fixed_fees (money per
    order), slippage (fraction of the price), stop_pct, trail_pct, target_pct (fractions; NaN: none), max_bars, initial_cash (money,
    100,000 unless the config says otherwise): numbers, or one per column. Without costs those of the config count.

    direction: "longonly", "shortonly" or "both" says what entries and exits mean when short signals are not given. accumulate,
    upon_long_conflict, upon_short_conflict, upon_dir_conflict, upon_opposite_entry: as `Conflicts`. lock_cash: shorts lock cash.
    allow_partial: an order that costs too much is cut. size_granularity: 1 for whole units. cash_sharing: one account for all
    columns, in an engine. freq: distance of bars without times, "1d" unless said otherwise. config: settings, a preset or a `Mode`;
    the preset "vectorbt" without one. threads: at most so many.

    VectorBT's names (`init_cash`, `sl_stop`, `sl_trail`, `tp_stop`) are taken, too; docs/signals.md goes through its arguments. Raises
    TypeError for unknown arguments, ValueError for values, both by name, before anything runs.
    """
    given = {name: value for name, value in locals().items() if name not in ("others", "close", *_CONFLICTS)}
    del given["open"]
    conflicts = Conflicts(**{name: others.pop(name) for name in _CONFLICTS if name in others})
    translated = other_names(others, _NAMED)
    stops: dict[str, Any] = {name: translated.pop(name) for name in ("sl_stop", "sl_trail") if name in translated}
    for name, value in translated.items():
        if given.get(name) is not None:
            raise TypeError(f"from_signals() got {name!r} under two names")
        given[name] = value
    given.update(stops)
    stops_of(given)
    prices = read_prices(close, {"open": open, "high": high, "low": low, "volume": volume}, freq)
    return _Reader(prices, given, conflicts).result()


class _Reader:
    """Puts the arguments of a call together."""

    def __init__(self, prices: Prices, given: dict[str, Any], conflicts: Conflicts) -> None:
        self._prices, self._given, self._conflicts = prices, given, conflicts
        self._codes, self._names = self._read_signals()
        self._sizes = self._read_sizes()
        self._columns = self._count()

    def result(self) -> SignalResult:
        """Return the result of the run."""
        config = self._config()
        kind = SIZE_TYPES.get(str(self._given["size_type"]).lower())
        if kind is None:
            hint = did_you_mean(str(self._given["size_type"]), SIZE_TYPES)
            raise ValueError(f"size_type was {self._given['size_type']!r}, expected one of {list(SIZE_TYPES)}{hint}")
        sets = self._sets(config, kind)
        sizes = sets["size"] if self._sizes is None else self._sizes
        check_account(kind, sizes, config)
        if kind is SizeKind.PERCENT:
            check_percent(sizes, possible_codes(self._codes), self._conflicts)
        signals = np.zeros(len(self._codes), dtype=signal_dtype)
        signals["codes"] = np.arange(len(signals))
        batch = Batch(sets, self._conflicts.table()[np.newaxis], signals, codes=self._codes)
        if self._sizes is not None:
            batch.sizes = self._sizes
        plan = Plan(Setting(config), self._prices, batch, self._conflicts, kind, self._names, bool(self._given["cash_sharing"]))
        return SignalResult(plan, self._given["threads"])

    def _read_signals(self) -> tuple[npt.NDArray[np.uint8], tuple[str, ...] | None]:
        """Return codes uint8[columns, bars], and the names of the columns."""
        there = {name: self._given[name] for name in SIGNAL_NAMES if self._given[name] is not None}
        if not there:
            raise TypeError("from_signals() needs signals: give entries, short_entries, or both")
        bars, names = self._prices.bars.close.shape[1], None
        made: npt.NDArray[np.uint8] | None = None
        for name, bit in zip(SIGNAL_NAMES, self._meanings(there), strict=True):
            if name not in there:
                continue
            flags, wide = read_flags(name, there[name])
            if len(flags) != bars:
                raise ValueError(f"{name} has {len(flags)} bars, close {bars}")
            same_times("close", self._prices.bars.times if wide.times is not None and self._prices.names else None, name, wide.times)
            codes = flags.view(np.uint8) if bit == 1 and len(there) > 1 else flags.view(np.uint8) * np.uint8(bit)
            if made is not None and codes.shape[1] != made.shape[1] and 1 not in (codes.shape[1], made.shape[1]):
                raise ValueError(f"{name} has {codes.shape[1]} columns, the signals before it {made.shape[1]}")
            if made is not None:
                ours = bit > 1 and made.shape in (codes.shape, (bars, 1))  # a first one may be the user's
                codes = np.bitwise_or(made, codes, out=codes if ours else None)
            made = codes
            if wide.names is not None and len(wide.names) == made.shape[1]:
                names = wide.names
        return made.T, names  # type: ignore[union-attr]

    def _meanings(self, there: dict[str, Any]) -> list[SignalBit]:
        direction = self._given["direction"]
        if direction is None:
            return list(_BITS)
        word = str(getattr(direction, "name", direction)).lower().replace("_", "")
        if word not in _DIRECTIONS:
            raise ValueError(f"direction was {direction!r}, expected one of {list(_DIRECTIONS)}{did_you_mean(word, _DIRECTIONS)}")
        both = [name for name in SIGNAL_NAMES[2:] if name in there]
        if both:
            raise ValueError(f"direction says what entries and exits mean, but {both[0]} was given as well; leave out one of the two")
        first, second = _DIRECTIONS[word]
        return [_BITS[first], _BITS[second], *_BITS[2:]]

    def _read_sizes(self) -> FloatArray | None:
        """Return sizes by bar, float64[columns, bars]; None for a size that stays the same."""
        size, bars = self._given["size"], self._prices.bars.close.shape[1]
        shape = np.shape(size)
        if not shape or (len(shape) == 1 and shape[0] != bars) or shape[0] == 1:
            return None
        values = read_wide("size", size).values
        if len(values) != bars:
            raise ValueError(f"size has the shape {values.shape}, expected a number, one per column, or {bars} bars by columns")
        odd = np.argwhere(values < 0.0)
        if len(odd):
            where = f"bar {odd[0][0]}, column {odd[0][1]}"
            raise ValueError(f"size was {values[tuple(odd[0])]:g} at {where}, expected numbers >= 0; the signals tell the side")
        return np.ascontiguousarray(values.T)

    def _count(self) -> int:
        counts = {"close": len(self._prices.bars.close), "the signals": len(self._codes)}
        if self._sizes is not None:
            counts["size"] = len(self._sizes)
        for name in (*_COSTS, *_LEVELS, "max_bars", "initial_cash", *(() if self._sizes is not None else ("size",))):
            shape = np.shape(self._given[name])
            counts[name] = shape[-1] if shape else 1
        columns = max(counts.values())
        for name, count in counts.items():
            if count not in (1, columns):
                largest = max(counts, key=counts.__getitem__)
                raise ValueError(f"{name} has {count} columns, {largest} {columns}; each has to have one or {columns}")
        names = self._names if self._names is not None and len(self._names) == columns else self._prices.names
        self._names = names if names is not None and len(names) == columns else None
        if self._names is not None and len(set(self._names)) < columns:
            raise ValueError(f"the columns have names that come twice: {shortened(self._names)}")
        self._check_order(columns)
        return columns

    def _check_order(self, columns: int) -> None:
        """Refuse frames of prices and signals whose columns have the same names in another order."""
        names, prices = self._names, self._prices.names
        if names is not None and prices is not None and len(prices) == columns and set(names) == set(prices) and names != prices:
            raise ValueError(f"signals have the columns {shortened(names)}, close {shortened(prices)}; bring them into the same order")

    def _config(self) -> BacktestConfig:
        given, config = self._given, self._given["config"]
        if config is None:
            config = "vectorbt"
        if isinstance(config, (Mode, str)):
            config = BacktestConfig.from_preset(config)
        if not isinstance(config, BacktestConfig):
            raise TypeError(f"config was a {type(config).__name__}, expected a BacktestConfig, a preset name or a Mode")
        changes: dict[str, Any] = {}
        if given["lock_cash"] is not None:
            changes["short_cash_policy"] = ShortCashPolicy.LOCK_NOTIONAL if given["lock_cash"] else ShortCashPolicy.CREDIT
        if given["allow_partial"] is not None:
            changes["partial_fills_allowed"] = given["allow_partial"]
        if given["size_granularity"] is not None:
            if given["size_granularity"] != 1.0:
                raise ValueError(
                    f"size_granularity was {given['size_granularity']!r}, expected 1 (whole units) or None; other lots need a ContractSpec"
                )
            changes["share_type"] = "integer"
        return config.replace(**changes) if changes else config

    def _sets(self, config: BacktestConfig, kind: Any) -> Records:
        given, count = self._given, self._columns
        sets = blank_sets(count, config.initial_cash)
        for name, rows in (("prices", len(self._prices.bars.close)), ("signals", len(self._codes))):
            sets[name] = np.arange(count) if rows > 1 else 0
        sets["size_kind"] = kind
        if self._sizes is not None:
            sets["sizes"] = np.arange(count) if len(self._sizes) > 1 else 0
        else:
            sets["size"] = per_column("size", given["size"], count, 0.0, above=True, blank=math.inf)
        for name in _LEVELS:
            sets[name] = per_column(name, given[name], count, 0.0, above=True, blank=math.inf)
        bars = per_column("max_bars", given["max_bars"], count, 1.0, above=False, blank=float(NEVER))
        if (bars != np.floor(bars)).any():
            raise ValueError(f"max_bars was {given['max_bars']!r}, expected whole numbers >= 1")
        sets["max_bars"] = bars.astype(np.int64)
        sets["initial_cash"] = per_column("initial_cash", given["initial_cash"], count, 0.0, above=True, blank=config.initial_cash)
        if any(given[name] is not None for name in _COSTS):
            sets["own_costs"] = 1
            for name, target in zip(_COSTS, ("commission_rate", "commission_per_order", "slippage_rate"), strict=True):
                sets[target] = per_column(name, given[name], count, 0.0, above=False, blank=0.0)
        return sets
