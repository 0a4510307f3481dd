"""`Study`: what a sweep leaves behind, as a frame with one row per parameter set and ways to look closer at a row."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import returns_from_values
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.studies.charts import AGGREGATES, drawn, pivoted
from ml4t_backtest.studies.ranking import best_rows, direction, metric_values, unbeaten
from ml4t_backtest.studies.runners import EngineRunner
from ml4t_backtest.studies.tables import FIXED, column_names, study_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.studies.blocks import Block, Kept
    from ml4t_backtest.studies.runners import Task
    from ml4t_backtest.studies.space import Space

__all__ = ["Study"]

_SHOWN = 10


class Study:
    """The rows of a sweep, made by `sweep`.

    status: "completed", or "interrupted" when some sets were not run. Wherever a method takes a `row`, it takes the number
    of a set (column `set`), a row of `frame` as a dict, or a frame of one row.
    """

    def __init__(self, task: Task, space: Space, load: Callable[[], Block], status: str) -> None:
        self.status = status
        self._task = task
        self._space = space
        self._load = load

    @cached_property
    def _block(self) -> Block:
        return self._load()

    @cached_property
    def _columns(self) -> dict[str, str]:
        """Names of parameters to their columns."""
        return column_names(self._space.names, self._block.names)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self._space.names

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return self._block.names

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row per set that was run, in the order of the grid.

        Columns: set (its number in the grid, Int64), the parameters (null where a set lacks one; a parameter with the name of
        another column gets the prefix "param_"), the metrics of `METRIC_NAMES` (null in failed rows), status ("completed",
        "failed"), error (text of the exception, null without), seconds (of the run, by the clock). Parameters that mix
        whole and broken numbers are Float64, those that mix numbers and texts are texts; objects are texts, enum
        members their values.
        """
        return study_frame(self._space, self._block, self._columns)

    def __len__(self) -> int:
        return len(self._block)

    # Choosing rows -------------------------------------------------------------------------------------------------------

    def best(self, metric: str = "sharpe", n: int = 1, *, higher: bool | None = None) -> pl.DataFrame:
        """Return the n best rows by a metric, best first, equal ones in the order of the grid.

        higher: whether high values are good, for metrics that do not say so themselves (num_trades). Failed rows never
        count. Raises ValueError for an unknown metric, one without a direction, and one that no row has.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"best(n={n!r}): expected a whole number >= 1")
        values = metric_values(self.frame, metric, self.metrics)
        return self.frame[best_rows(values, n, direction(metric, higher=higher))]

    def pareto(self, metrics: Sequence[str] = ("sharpe", "max_drawdown"), *, higher: Mapping[str, bool] | None = None) -> pl.DataFrame:
        """Return the rows that no other row beats: as good in every metric and better in one. In the order of the grid.

        higher: metric to whether high values are good, as in `best`. Errors as `best`.
        """
        if isinstance(metrics, str) or not metrics:
            raise ValueError(f"pareto(metrics={metrics!r}): expected a list of metrics: ['sharpe', 'max_drawdown']")
        values = [metric_values(self.frame, metric, self.metrics) for metric in metrics]
        return self.frame[unbeaten(values, [direction(metric, higher=(higher or {}).get(metric)) for metric in metrics])]

    # Tables and charts over two parameters ---------------------------------------------------------------------------------

    def pivot(self, x: str, y: str, metric: str = "sharpe", *, aggregate: str = "mean") -> pl.DataFrame:
        """Return a metric as a table: a row per value of y (first column), a column per value of x, both in the order of the grid.

        aggregate: what becomes of several rows with the same x and y, which differ in other parameters: "mean", "median",
        "min", "max". Cells without a completed row are null. Raises ValueError for unknown names.
        """
        self._check_axes(x, y, aggregate)
        metric_values(self.frame, metric, self.metrics)
        return pivoted(self.frame, self._columns[x], self._columns[y], metric, aggregate)

    def heatmap(self, x: str, y: str, metric: str = "sharpe", *, aggregate: str = "mean") -> Any:
        """Return `pivot` as a Plotly figure. Raises ImportError without plotly: pip install 'ml4t-backtest-numba[report]'."""
        table = self.pivot(x, y, metric, aggregate=aggregate)
        return drawn(table, x, y, metric if len(self.parameters) <= 2 else f"{aggregate} of {metric}")  # noqa: PLR2004 - x and y

    def _check_axes(self, x: str, y: str, aggregate: str) -> None:
        for axis, name in (("x", x), ("y", y)):
            if name not in self._columns:
                known = list(self._columns)
                raise ValueError(f"{axis} was {name!r}, expected a parameter: {', '.join(known)}{did_you_mean(str(name), known)}")
        if x == y:
            raise ValueError(f"x and y are both {x!r}, expected two parameters")
        if aggregate not in AGGREGATES:
            raise ValueError(f"aggregate was {aggregate!r}, expected one of {list(AGGREGATES)}{did_you_mean(str(aggregate), AGGREGATES)}")

    # One row -----------------------------------------------------------------------------------------------------------------

    def params(self, row: Any) -> dict[str, Any]:
        """Return the parameters of a row as they were given, objects included."""
        return self._space.at(self._number(row))

    def rerun(self, row: Any) -> BacktestResult:
        """Run the set of a row again in an engine and return everything about it; its metrics equal those of the row.

        A failed row raises what its run raised. Equal means `==` when strategy and models depend on nothing but their arguments and
        the data; rows of compiled and signal strategies, whose sums are made bar by bar, agree to nine digits, and account
        values per bar with `==`.
        """
        return EngineRunner(self._task).result(self.params(row))

    def equity(self, row: Any) -> pl.DataFrame:
        """Return the account value per bar of a row: columns timestamp, equity. Kept with keep="curve", else the set is run again."""
        kept = self._kept(row)
        if kept is None or kept.equity is None:
            return self.rerun(row).to_equity_dataframe().select("timestamp", "equity")
        import polars as pl

        from ml4t_backtest.frames import time_series
        from ml4t_backtest.lowering import trading_bars

        panels = trading_bars(self._task.feed.panels, EngineRunner(self._task).config_of(self.params(row)))
        times = time_series("timestamp", panels.times[: len(kept.equity)], panels.zone)
        return pl.DataFrame([times, pl.Series("equity", kept.equity)])

    def trades(self, row: Any) -> pl.DataFrame:
        """Return the trades of a row as `BacktestResult.to_trades_dataframe`. Kept with keep="trades", else the set is run again."""
        kept = self._kept(row)
        if kept is None or kept.trades is None:
            return self.rerun(row).to_trades_dataframe()
        from ml4t_backtest.analytics.tables import with_trade_extras
        from ml4t_backtest.lowering import trading_bars
        from ml4t_backtest.records import trades_frame

        panels = trading_bars(self._task.feed.panels, EngineRunner(self._task).config_of(self.params(row)))
        return with_trade_extras(trades_frame(kept.trades, panels))

    def deflated_sharpe(self, row: Any = None) -> float:
        """Return the probability that the Sharpe ratio of a row (None: the highest) is above what luck gives the best of so many sets.

        The number of trials is that of completed rows, their variance that of their Sharpe ratios per bar; length,
        skewness and kurtosis of the returns are those of the row, which is run once more. Raises ValueError when fewer
        than two rows were completed.
        """
        from ml4t_backtest.overfitting import deflated_sharpe_ratio

        completed = self.frame.filter(status="completed")
        if len(completed) < 2:  # noqa: PLR2004 - a variance needs two
            raise ValueError(f"{len(completed)} rows were completed, expected at least 2: the variance of the trials is needed")
        scale = np.sqrt(completed["periods_per_year"].to_numpy())
        sharpes = np.divide(completed["sharpe"].to_numpy(), scale, out=np.zeros(len(scale)), where=scale > 0.0)
        result = self.rerun(self.best("sharpe") if row is None else row)
        returns = returns_from_values(result._equity)
        centred = returns - (returns.mean() if len(returns) else 0.0)
        spread = math.sqrt(float(np.mean(centred * centred))) if len(returns) else 0.0
        if spread == 0.0:
            raise ValueError(f"the {len(returns)} returns of this row are all the same: its Sharpe ratio says nothing")
        return float(
            deflated_sharpe_ratio(
                result.metrics["sharpe"] / math.sqrt(result.metrics["periods_per_year"]),
                n_trials=len(completed),
                trials_variance=float(np.var(sharpes, ddof=1)),
                n_observations=len(returns),
                skewness=float(np.mean((centred / spread) ** 3)),
                kurtosis=float(np.mean((centred / spread) ** 4)),
            )
        )

    def _kept(self, row: Any) -> Kept | None:
        return self._block.kept.get(self._number(row))

    def _number(self, row: Any) -> int:
        """Return the number of a set that a row stands for. Raises ValueError for what is no row of this study."""
        if hasattr(row, "columns") and hasattr(row, "to_dicts"):
            if len(row) != 1:
                raise ValueError(f"row was a frame of {len(row)} rows, expected one: study.best(), or frame[3]")
            row = row.to_dicts()[0]
        number = row.get(FIXED[0]) if isinstance(row, Mapping) else row
        if number is None or isinstance(number, bool) or not hasattr(number, "__index__"):
            raise TypeError(f"row was {row!r}, expected the number of a set, a row of study.frame as a dict, or a frame of one row")
        number = operator.index(number)
        if not 0 <= number < len(self._space):
            raise ValueError(f"there is no set {number}, only 0 to {len(self._space) - 1}")
        return number

    # Showing -----------------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        failed = int(self._block.failed.sum())
        parts = [f"{len(self._block) - failed} of {len(self._space)} sets of {', '.join(self.parameters)}"]
        if failed:
            parts.append(f"{failed} failed")
        if failed < len(self._block):
            best = self.best().row(0, named=True)
            chosen = ", ".join(f"{name}={best[column]}" for name, column in self._columns.items())
            parts.append(f"highest Sharpe {best['sharpe']:.2f} with {chosen}")
        return f"Study({self.status}: {'; '.join(parts)})"

    def _repr_html_(self) -> str:
        from html import escape

        shown = self.best(n=_SHOWN) if not self._block.failed.all() else self.frame.head(_SHOWN)
        columns = [*self._columns.values(), "sharpe", "total_return_pct", "max_drawdown_pct", "num_trades", "status"]
        html: str = shown.select(FIXED[0], *columns)._repr_html_()
        return f"<p>{escape(repr(self))}</p>{html}"
