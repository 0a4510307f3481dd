"""Many parameter sets of a `SignalStrategy` over a feed: fused where that can be, else one engine after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import _return_metrics
from ml4t_backtest.config import BacktestConfig, Mode
from ml4t_backtest.engine import Engine
from ml4t_backtest.signals.figures import doubtful, metrics_of, shape_of
from ml4t_backtest.signals.fused import NEVER, Bars, Batch, Setting, replay, run_batch, why_not
from ml4t_backtest.signals.sources import check_column
from ml4t_backtest.signals.strategy import SignalStrategy, check_account
from ml4t_kernels.dtypes import condition_dtype, set_dtype, signal_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["bars_of", "batch_of", "blank_sets", "figures", "run_sets"]

_OF_RETURNS = ("volatility", "sharpe", "sharpe_ratio", "sortino", "sortino_ratio", "skewness", "kurtosis")
_LEVELS = ("stop_pct", "trail_pct", "target_pct")


def run_sets(
    strategy: SignalStrategy, feed: DataFeed, config: BacktestConfig | Mode | str, sets: Sequence[Mapping[str, Any]]
) -> list[dict[str, float]]:
    """Return the metrics of every parameter set; see `SignalStrategy.run_sets`."""
    if isinstance(config, (Mode, str)):
        config = BacktestConfig.from_preset(config)
    members = [strategy.with_params(**values) for values in sets]
    for member in members:
        check_account(member.size_kind, member.params["size"], config)
    panels = feed.panels
    if not members or len(panels.assets) > 1:
        return [_in_engine(member, feed, config) for member in members]
    bars, setting = bars_of(panels), Setting(config)
    if why_not(setting, bars) is not None:
        return [_in_engine(member, feed, config) for member in members]
    batch, order = batch_of(strategy, members, panels, config.initial_cash)
    outcomes = run_batch(setting, bars, batch)
    columns = figures(setting, bars, batch, outcomes)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*(column.tolist() for column in columns.values()), strict=True)]
    return [rows[place] for place in np.argsort(order, kind="stable").tolist()]


def figures(setting: Setting, bars: Bars, batch: Batch, outcomes: Records) -> dict[str, FloatArray]:
    """Return the metrics of every set, float64[sets] each; where sums have lost digits the set runs again and its values are looked at."""
    cash = batch.sets["initial_cash"]
    columns = metrics_of(outcomes, cash, bars.times)
    for number in doubtful(outcomes, len(bars.times)).tolist():
        equity = replay(setting, bars, batch, number).bars["equity"]
        exact = {**_return_metrics(float(cash[number]), bars.times, equity, columns["max_drawdown"][number]), **shape_of(equity)}
        exact |= {"sharpe_ratio": exact["sharpe"], "sortino_ratio": exact["sortino"]}
        for name in _OF_RETURNS:
            columns[name][number] = exact[name]
    return columns


def _in_engine(strategy: SignalStrategy, feed: DataFeed, config: BacktestConfig) -> dict[str, float]:
    result = Engine(feed, strategy, config).run()
    return {**result.metrics, **shape_of(result._equity)}


def bars_of(panels: Panels) -> Bars:
    """Return the bars of a feed by asset; a volume that the feed does not have is unknown."""
    prices = {name: np.ascontiguousarray(panels.prices[name].T) for name in ("open", "high", "low", "close", "volume")}
    if not panels.has_volume:
        prices["volume"] = np.full_like(prices["close"], math.nan)
    vwap = panels.extras.get("vwap")
    return Bars(panels.times, **prices, vwap=None if vwap is None else np.ascontiguousarray(vwap.T))


def blank_sets(count: int, cash: float) -> Records:
    """Return parameter sets without signals of their own, stops or costs, set_dtype[count]."""
    sets = np.zeros(count, dtype=set_dtype)
    sets["sizes"], sets["size"], sets["max_bars"], sets["initial_cash"] = -1, math.inf, NEVER, cash
    for name in _LEVELS:
        sets[name] = math.inf
    return sets


def batch_of(strategy: SignalStrategy, members: Sequence[SignalStrategy], panels: Panels, cash: float) -> tuple[Batch, list[int]]:
    """Return parameter sets of a strategy as records, ordered by their signals, and which set each row is."""
    shape = panels.bars, len(panels.assets)
    signals = _Conditions(strategy, shape[0]) if strategy.sources.conditions else _Columns(strategy, shape[0])
    rows = [signals.row(member.params) for member in members]
    order = sorted(range(len(members)), key=rows.__getitem__)
    sets = blank_sets(len(members), cash)
    sizes: dict[int, int] = {}
    tables: list[FloatArray] = []
    for one, number in zip(sets, order, strict=True):
        params = members[number].params
        one["signals"], one["size_kind"] = rows[number], strategy.size_kind
        for name in _LEVELS:
            one[name] = math.inf if params[name] is None else params[name]
        one["max_bars"] = NEVER if params["max_bars"] is None else params["max_bars"]
        if isinstance(params["size"], float):
            one["size"] = params["size"]
        else:
            one["sizes"] = sizes.setdefault(id(params["size"]), len(sizes))
            if len(tables) < len(sizes):
                tables.append(_size_row(params["size"], shape[0]))
    made = Batch(sets, strategy.conflicts.table()[np.newaxis], signals.records())
    signals.fill(made)
    if tables:
        made.sizes = np.stack(tables)
    return made, order


def _size_row(size: FloatArray, bars: int) -> FloatArray:
    if size.shape != (bars, 1):
        raise ValueError(f"size has the shape {size.shape}, the feed has {(bars, 1)} (bars, assets)")
    return size[:, 0]


class _Columns:
    """Signals that are arrays: a row for each column."""

    def __init__(self, strategy: SignalStrategy, bars: int) -> None:
        matrix = strategy.sources.matrices
        if matrix is None or len(matrix) != bars:
            raise ValueError(f"the signals have {0 if matrix is None else len(matrix)} bars, the feed has {bars}")
        self._matrix = matrix

    def row(self, params: Mapping[str, Any]) -> int:
        columns = self._matrix.shape[1]
        if params["column"] is None and columns > 1:
            raise ValueError(f"the signals have {columns} columns, the feed one asset; choose one with column=0 to {columns - 1}")
        return check_column(params["column"] or 0, columns)

    def records(self) -> Records:
        made = np.zeros(self._matrix.shape[1], dtype=signal_dtype)
        made["codes"] = np.arange(len(made))
        return made

    def fill(self, batch: Batch) -> None:
        batch.codes = np.ascontiguousarray(self._matrix.T)


class _Conditions:
    """Signals that are conditions: a row for each combination of indicators and levels that some set has."""

    def __init__(self, strategy: SignalStrategy, bars: int) -> None:
        self._bits = strategy.sources.bits()
        self._tables = strategy.sources.tables()
        self._names = strategy.sources.parameters()
        starts = np.cumsum([0, *(len(table) for table in self._tables)]).tolist()
        self._starts = {id(table): start for table, start in zip(self._tables, starts, strict=False)}
        self._rows: dict[tuple[Any, ...], int] = {}
        for table in self._tables:
            if table.values.shape[1] != bars or table.values[0].size != bars:
                raise ValueError(f"the indicators have the shape {table.values.shape[1:]}, the feed has {bars} bars of one asset")

    def row(self, params: Mapping[str, Any]) -> int:
        missing = [name for name in self._names if params[name] is None]
        if missing:
            raise ValueError(f"parameter {missing[0]!r} has no value; each set has to give it, or SignalStrategy(..., params=...)")
        key = tuple(
            (self._at(condition.left, params), self._at(condition.right, params), condition.level(params)) for condition, _ in self._bits
        )
        return self._rows.setdefault(tuple(map(_comparable, key)), len(self._rows))

    def _at(self, side: Any, params: Mapping[str, Any]) -> int:
        return self._starts[id(side.table)] + side.row(params) if hasattr(side, "table") else -1

    def records(self) -> Records:
        made = np.zeros(len(self._rows), dtype=signal_dtype)
        made["codes"], made["conditions"] = -1, len(self._bits)
        made["first_condition"] = np.arange(len(made)) * len(self._bits)
        return made

    def fill(self, batch: Batch) -> None:
        batch.indicators = np.concatenate([table.values.reshape(len(table), -1) for table in self._tables])
        rows = [
            (left, right, 0.0 if right >= 0 else level, condition.kind, bit)
            for key in self._rows
            for (left, right, level), (condition, bit) in zip(key, self._bits, strict=True)
        ]
        batch.conditions = np.array(rows, dtype=[(name, condition_dtype[name]) for name in condition_dtype.names or ()]).view(
            condition_dtype
        )


def _comparable(sides: tuple[int, int, float]) -> tuple[int, int, float]:
    """Return the sides of a condition so that equal ones compare equal, which NaN does not."""
    left, right, level = sides
    return left, right, 0.0 if right >= 0 else level
