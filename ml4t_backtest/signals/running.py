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
from ml4t_kernels.codes import SizeKind
from ml4t_kernels.dtypes import condition_dtype, set_dtype, signal_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["bars_of", "batch_of", "blank_sets", "figures", "run_sets"]

_OF_RETURNS = ("volatility", "sharpe", "sharpe_ratio", "sortino", "sortino_ratio", "skewness", "kurtosis")
_EVENTS = ("dividend", "split", "funding_rate")
_LEVELS = ("stop_pct", "trail_pct", "target_pct")


def run_sets(
    strategy: SignalStrategy,
    feed: DataFeed,
    config: BacktestConfig | Mode | str,
    sets: Sequence[Mapping[str, Any]],
    threads: int | None = None,
) -> list[dict[str, float]]:
    """Return the metrics of every parameter set; see `SignalStrategy.run_sets`."""
    if isinstance(config, (Mode, str)):
        config = BacktestConfig.from_preset(config)
    members = [_merged(strategy, values) for values in sets]
    _check(strategy, members, sets)
    for size in {id(member["size"]): member["size"] for member in members}.values():
        check_account(strategy.size_kind, size, config)
    panels = feed.panels
    bars, setting = bars_of(panels), Setting(config)
    if not members or len(panels.assets) > 1 or why_not(setting, bars) is not None:
        return [_in_engine(strategy.with_params(**values), feed, config) for values in sets]
    batch, order = batch_of(strategy, members, panels, config.initial_cash)
    outcomes = run_batch(setting, bars, batch, threads)
    columns = figures(setting, bars, batch, outcomes)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*(column.tolist() for column in columns.values()), strict=True)]
    return [rows[place] for place in np.argsort(order, kind="stable").tolist()]


def _merged(strategy: SignalStrategy, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a set. Raises TypeError for unknown names."""
    made = strategy.params | dict(values)
    if len(made) > len(strategy.params):
        strategy.with_params(**values)  # raises, and says which
    return made


def _check(strategy: SignalStrategy, members: list[dict[str, Any]], sets: Sequence[Mapping[str, Any]]) -> None:
    """Raise what `with_params` raises for sets with values that are not what they should be; all sets at once are looked at faster."""
    for name in (*_LEVELS, "max_bars"):
        given = [1.0 if member[name] is None else member[name] for member in members]
        known = np.array([value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan for value in given])
        fits = (known > 0.0) & np.isfinite(known) & ((known == np.floor(known)) if name == "max_bars" else True)
        for number in np.flatnonzero(~fits).tolist():
            strategy.with_params(**sets[number])
    for number, member in enumerate(members):
        size = member["size"]
        if type(size) is not float or not size > 0.0 or (size > 1.0 and strategy.size_kind is SizeKind.PERCENT):
            member["size"] = strategy.with_params(**sets[number]).params["size"]


def figures(setting: Setting, bars: Bars, batch: Batch, outcomes: Records) -> dict[str, FloatArray]:
    """Return the metrics of every set, float64[sets] each; where sums have lost digits the set runs again and its values are looked at."""
    cash = batch.sets["initial_cash"]
    columns = metrics_of(outcomes, cash, bars.times)
    for number in doubtful(outcomes, len(bars.times)).tolist():
        equity = replay(setting, bars, batch, number).bars["equity"]
        exact = {**_return_metrics(float(cash[number]), bars.times, equity, float(columns["max_drawdown"][number])), **shape_of(equity)}
        exact |= {"sharpe_ratio": exact["sharpe"], "sortino_ratio": exact["sortino"]}
        for name in _OF_RETURNS:
            columns[name][number] = exact[name]
    return columns


def _in_engine(strategy: SignalStrategy, feed: DataFeed, config: BacktestConfig) -> dict[str, float]:
    result = Engine(feed, strategy, config).run()
    return {**result.metrics, **shape_of(result._equity)}


def bars_of(panels: Panels) -> Bars:
    """Return the bars of a feed by asset; a volume that the feed does not have is unknown."""
    turned: dict[int, FloatArray] = {}  # panels that are one array stay one

    def by_asset(panel: FloatArray) -> FloatArray:
        return turned.setdefault(id(panel), panel.T)

    prices = {name: by_asset(panels.prices[name]) for name in ("open", "high", "low", "close")}
    volume, vwap = (panels.prices["volume"].T if panels.has_volume else None), panels.extras.get("vwap")
    events = any(name in panels.extras for name in _EVENTS)
    return Bars(panels.times, **prices, volume=volume, vwap=None if vwap is None else by_asset(vwap), events=events)


def blank_sets(count: int, cash: float) -> Records:
    """Return parameter sets without signals of their own, stops or costs, set_dtype[count]."""
    sets = np.zeros(count, dtype=set_dtype)
    sets["sizes"], sets["size"], sets["max_bars"], sets["initial_cash"] = -1, math.inf, NEVER, cash
    for name in _LEVELS:
        sets[name] = math.inf
    return sets


def batch_of(strategy: SignalStrategy, members: Sequence[dict[str, Any]], panels: Panels, cash: float) -> tuple[Batch, list[int]]:
    """Return parameter sets of a strategy as records, ordered by their signals, and which set each row is."""
    shape = panels.bars, len(panels.assets)
    signals = _Conditions(strategy, shape[0]) if strategy.sources.conditions else _Columns(strategy, shape[0])
    rows = [signals.row(member) for member in members]
    order = sorted(range(len(members)), key=rows.__getitem__)
    sets = blank_sets(len(members), cash)
    chosen = [members[number] for number in order]
    sets["signals"], sets["size_kind"] = sorted(rows), strategy.size_kind
    for name in _LEVELS:
        sets[name] = [math.inf if member[name] is None else member[name] for member in chosen]
    sets["max_bars"] = [NEVER if member["max_bars"] is None else member["max_bars"] for member in chosen]
    sets["size"] = [member["size"] if isinstance(member["size"], float) else math.inf for member in chosen]
    tables = {id(member["size"]): member["size"] for member in chosen if not isinstance(member["size"], float)}
    if tables:
        places = {key: place for place, key in enumerate(tables)}
        sets["sizes"] = [places.get(id(member["size"]), -1) for member in chosen]
    made = Batch(sets, strategy.conflicts.table()[np.newaxis], signals.records())
    signals.fill(made)
    if tables:
        made.sizes = np.stack([_size_row(table, shape[0]) for table in tables.values()])
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
        batch.codes = self._matrix.T


class _Conditions:
    """Signals that are conditions: a row for each combination of indicators and levels that some set has."""

    def __init__(self, strategy: SignalStrategy, bars: int) -> None:
        self._bits = strategy.sources.bits()
        self._tables = strategy.sources.tables()
        self._names = strategy.sources.parameters()
        starts = np.cumsum([0, *(len(table) for table in self._tables)]).tolist()
        self._starts = {id(table): start for table, start in zip(self._tables, starts, strict=False)}
        self._rows: dict[tuple[Any, ...], int] = {}
        self._known: dict[tuple[Any, ...], int] = {}  # values of the parameters to rows
        for table in self._tables:
            if table.values.shape[1] != bars or table.values[0].size != bars:
                raise ValueError(f"the indicators have the shape {table.values.shape[1:]}, the feed has {bars} bars of one asset")

    def row(self, params: Mapping[str, Any]) -> int:
        asked = tuple([params[name] for name in self._names])
        row = self._known.get(asked)
        if row is None:
            row = self._known[asked] = self._new_row(params)
        return row

    def _new_row(self, params: Mapping[str, Any]) -> int:
        missing = [name for name in self._names if params[name] is None]
        if missing:
            raise ValueError(f"parameter {missing[0]!r} has no value; each set has to give it, or SignalStrategy(..., params=...)")
        key = []
        for condition, _ in self._bits:
            left, right = self._at(condition.left, params), self._at(condition.right, params)
            key.append((left, right, condition.level(params) if right < 0 else 0.0))
        return self._rows.setdefault(tuple(key), len(self._rows))

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
            (left, right, level, condition.kind, bit)
            for key in self._rows
            for (left, right, level), (condition, bit) in zip(key, self._bits, strict=True)
        ]
        batch.conditions = np.array(rows, dtype=[(name, condition_dtype[name]) for name in condition_dtype.names or ()]).view(
            condition_dtype
        )
