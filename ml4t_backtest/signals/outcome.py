"""`SignalResult`: the metrics of all columns, and of one column whatever else is asked for, by running it again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.engine import Engine
from ml4t_backtest.frames import time_series
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.models import CombinedCommission, PercentageSlippage
from ml4t_backtest.signals.figures import shape_of
from ml4t_backtest.signals.fused import NEVER, Setting, replay, run_batch, why_not
from ml4t_backtest.signals.running import figures
from ml4t_backtest.signals.sources import Codes
from ml4t_backtest.signals.strategy import SIZE_TYPES, SignalStrategy

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.signals.conflicts import Conflicts
    from ml4t_backtest.signals.fused import Batch
    from ml4t_backtest.signals.markets import Prices
    from ml4t_kernels.codes import SizeKind
    from ml4t_kernels.dtypes import FloatArray

__all__ = ["Plan", "SignalResult"]


@dataclass(frozen=True)
class Plan:
    """All that a run of `from_signals` is made of."""

    setting: Setting
    prices: Prices
    batch: Batch
    conflicts: Conflicts
    size_kind: SizeKind
    given_names: tuple[str, ...] | None
    shared: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.given_names or tuple(str(number) for number in range(len(self.batch.sets)))

    def strategy(self, numbers: list[int]) -> SignalStrategy:
        """Return the strategy of some columns as an engine runs it; stops are those of the first."""
        sets, batch = self.batch.sets[numbers], self.batch
        rows = sets["signals"].tolist()
        codes = (batch.codes if rows == list(range(len(batch.codes))) else batch.codes[rows]).T
        size: Any = batch.sizes[sets["sizes"]].T if sets["sizes"][0] >= 0 else float(sets["size"][0])
        if sets["sizes"][0] < 0 and (sets["size"] != size).any():
            size = np.broadcast_to(sets["size"], codes.shape)
        levels: dict[str, Any] = {
            name: None if math.isinf(sets[name][0]) else float(sets[name][0]) for name in ("stop_pct", "trail_pct", "target_pct")
        }
        return SignalStrategy(
            Codes(codes),
            size=size,
            size_type=next(name for name, kind in SIZE_TYPES.items() if kind is self.size_kind),
            max_bars=None if sets["max_bars"][0] >= NEVER else int(sets["max_bars"][0]),
            conflicts=self.conflicts,
            **levels,
        )

    def engine(self, numbers: list[int]) -> Engine:
        """Return the engine of some columns."""
        first, setting = self.batch.sets[numbers[0]], self.setting
        models: dict[str, Any] = {}
        if first["own_costs"] == 1:
            models["commission_model"] = CombinedCommission(float(first["commission_rate"]), float(first["commission_per_order"]))
            models["slippage_model"] = PercentageSlippage(float(first["slippage_rate"]))
        names, prices = self.names, self.batch.sets["prices"]
        feed = self.prices.feed(prices[numbers].tolist(), [names[number] for number in numbers])
        return Engine(feed, self.strategy(numbers), setting.config.replace(initial_cash=float(first["initial_cash"])), **models)


class SignalResult:
    """The outcome of `from_signals`: `frame` has a row per column. `result["sharpe"]` is one metric of all columns.

    Nothing is kept per bar: `equity`, `trades` and `result` of a column run it again, in micro- to milliseconds. Columns go by name
    or number. With `cash_sharing` there is one account, and one row.
    """

    def __init__(self, plan: Plan, threads: int | None = None) -> None:
        self._plan = plan
        self._shared = _shared_result(plan) if plan.shared else None
        self._odd = None if plan.shared else why_not(plan.setting, plan.prices.bars)
        self._metrics = self._run(threads)

    def _run(self, threads: int | None) -> dict[str, FloatArray]:
        plan = self._plan
        if self._shared is None and self._odd is None:
            outcomes = run_batch(plan.setting, plan.prices.bars, plan.batch, threads)
            return figures(plan.setting, plan.prices.bars, plan.batch, outcomes)
        results = [self._shared] if self._shared is not None else (plan.engine([number]).run() for number in range(len(plan.batch.sets)))
        rows = [{**result.metrics, **shape_of(result._equity)} for result in results]
        return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; one name, "shared", with `cash_sharing`."""
        return ("shared",) if self._shared is not None else self._plan.names

    @property
    def fused(self) -> bool:
        """Whether the fused kernel ran the columns; else an engine did, with the same result."""
        return self._shared is None and self._odd is None

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row per column: its name, then its metrics under the names of `BacktestResult`, `skewness` and `kurtosis`."""
        import polars as pl

        return pl.DataFrame({"column": list(self.columns), **self._metrics})

    def __getitem__(self, metric: str) -> pl.Series:
        if metric not in self._metrics:
            raise KeyError(f"no metric {metric!r}{did_you_mean(metric, self._metrics)}")
        return self.frame[metric]

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return f"SignalResult({len(self)} columns of {len(self._plan.prices.bars.times)} bars: {shortened(self.columns)})"

    def _number(self, column: str | int | None) -> int:
        names = self.columns
        if column is None:
            if len(names) > 1:
                raise ValueError(f"there are {len(names)} columns: {shortened(names)}; say which one")
            return 0
        if isinstance(column, str) and column in names:
            return names.index(column)
        if isinstance(column, (int, np.integer)) and not isinstance(column, bool) and -len(names) <= column < len(names):
            return int(column) % len(names)
        hint = did_you_mean(column, names) if isinstance(column, str) else f"; numbers go from 0 to {len(names) - 1}"
        raise KeyError(f"no column {column!r}, only {shortened(names)}{hint}")

    def equity(self, column: str | int | None = None) -> pl.DataFrame:
        """Return the account value of a column: timestamp (Datetime[us]), equity, cash (money), one row per bar."""
        import polars as pl

        number, plan = self._number(column), self._plan
        if not self.fused:
            return self.result(number).to_equity_dataframe().select("timestamp", "equity", "cash")
        bars = replay(plan.setting, plan.prices.bars, plan.batch, number).bars
        times = time_series("timestamp", plan.prices.bars.times, plan.prices.zone)
        return pl.DataFrame([times, *(pl.Series(name, np.ascontiguousarray(bars[name])) for name in ("equity", "cash"))])

    def trades(self, column: str | int | None = None) -> pl.DataFrame:
        """Return the trades of a column, columns as `BacktestResult.to_trades_dataframe`."""
        from ml4t_backtest.analytics.tables import with_trade_extras
        from ml4t_backtest.panels import Panels
        from ml4t_backtest.records import open_trades, trades_frame

        number, plan = self._number(column), self._plan
        if not self.fused:
            return self.result(number).to_trades_dataframe()
        store = replay(plan.setting, plan.prices.bars, plan.batch, number)
        panels = Panels(plan.prices.bars.times, [], (plan.names[number],), {}, np.zeros((0, 1), dtype=np.uint8), zone=plan.prices.zone)
        return with_trade_extras(trades_frame(store.used_trades_and(open_trades(store)), panels))

    def result(self, column: str | int | None = None) -> BacktestResult:
        """Return the full result of a column, run by an engine."""
        number = self._number(column)
        return self._plan.engine([number]).run() if self._shared is None else self._shared


def _shared_result(plan: Plan) -> BacktestResult:
    """Return the result of one account for all columns. Raises ValueError for numbers that differ by column."""
    sets = plan.batch.sets
    for name in (
        "stop_pct",
        "trail_pct",
        "target_pct",
        "max_bars",
        "initial_cash",
        "commission_rate",
        "commission_per_order",
        "slippage_rate",
    ):
        if (sets[name] != sets[name][0]).any():
            raise ValueError(f"{name} differs between columns, but with cash_sharing there is one account; give one number")
    if len(plan.prices.bars.close) != len(sets):
        raise ValueError(f"cash_sharing needs prices for each column: close has {len(plan.prices.bars.close)}, the signals {len(sets)}")
    return plan.engine(list(range(len(sets)))).run()
