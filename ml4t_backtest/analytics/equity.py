"""`EquityCurve`: account values over time, and what follows from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import (
    YEAR_NS,
    annual_growth,
    calmar_ratio,
    deepest,
    drawdowns,
    returns_from_values,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import polars as pl

    from ml4t_kernels.dtypes import FloatArray

__all__ = ["EquityCurve"]


class EquityCurve:
    """Account values in order of time, filled by `append` or at once.

    timestamps, values: the points so far. initial_cash: money before the first point; when given, growth and drawdown
    start from it, else from the first value. periods_per_year: overrides the count of periods over the curve's own
    span (years of 365.25 days).

    Ratios are those of `analytics.metrics`. Raises ValueError for values that are no finite numbers, times out of
    order, times with and without a zone in one curve, lists of different lengths, and an initial cash that is not
    positive. Equal times are allowed.
    """

    def __init__(
        self,
        timestamps: Iterable[datetime] = (),
        values: Iterable[float] = (),
        *,
        initial_cash: float | None = None,
        periods_per_year: float | None = None,
    ) -> None:
        for name, number in (("initial_cash", initial_cash), ("periods_per_year", periods_per_year)):
            if number is not None and not (math.isfinite(number) and number > 0.0):
                raise ValueError(f"{name} was {number!r}, expected a finite number > 0")
        self.initial_cash = initial_cash
        self.timestamps: list[datetime] = []
        self.values: list[float] = []
        self._periods_per_year = periods_per_year
        times, numbers = list(timestamps), list(values)
        if len(times) != len(numbers):
            raise ValueError(f"EquityCurve got {len(times)} timestamps and {len(numbers)} values, expected as many of each")
        for when, value in zip(times, numbers, strict=True):
            self.append(when, value)

    @classmethod
    def _of(cls, timestamps: list[datetime], values: list[float], initial_cash: float) -> EquityCurve:
        """Return the curve of a run, whose points need no check."""
        curve = cls(initial_cash=initial_cash)
        curve.timestamps, curve.values = timestamps, values
        return curve

    def append(self, timestamp: datetime, value: float) -> None:
        """Add a point. Raises ValueError for a value that is no finite number and a time before the last one."""
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"the value at {timestamp} was {value!r}, expected a finite number")
        if self.timestamps:
            last = self.timestamps[-1]
            if (last.tzinfo is None) != (timestamp.tzinfo is None):
                raise ValueError(f"timestamp {timestamp!r} follows {last!r}: give all times a time zone, or none")
            if timestamp < last:
                raise ValueError(f"timestamp {timestamp} comes before the last one, {last}")
        self.timestamps.append(timestamp)
        self.values.append(number)

    def update(self, timestamp: datetime, equity: float) -> None:
        """Add a point, as `append`."""
        self.append(timestamp, equity)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"EquityCurve({len(self)} points, {self.initial_value:,.2f} to {self.final_value:,.2f})"

    # Numbers -------------------------------------------------------------------------------------------------------------

    @property
    def initial_value(self) -> float:
        """The initial cash, else the first value, else 0 [money]."""
        if self.initial_cash is not None:
            return self.initial_cash
        return self.values[0] if self.values else 0.0

    @property
    def final_value(self) -> float:
        """The last value, else the initial one [money]."""
        return self.values[-1] if self.values else self.initial_value

    @property
    def total_return(self) -> float:
        """Growth from the initial to the final value, a fraction; 0 from a value that is not positive."""
        return self.final_value / self.initial_value - 1.0 if self.initial_value > 0.0 else 0.0

    @property
    def returns(self) -> FloatArray:
        """Returns from point to point, float64[points - 1]."""
        return returns_from_values(self.values)

    @property
    def cumulative_returns(self) -> FloatArray:
        """Growth from the initial value to each point, float64[points]; 0 from a value that is not positive."""
        if self.initial_value <= 0.0:
            return np.zeros(len(self))
        growth: FloatArray = np.asarray(self.values, dtype=np.float64) / self.initial_value - 1.0
        return growth

    @property
    def years(self) -> float:
        """Time from the first to the last point in years of 365.25 days."""
        if not self.timestamps:
            return 0.0
        return (self.timestamps[-1] - self.timestamps[0]).total_seconds() * 1e9 / YEAR_NS

    @property
    def periods_per_year(self) -> float:
        """Returns per year over the span of the curve, or as given; 0 over no time."""
        if self._periods_per_year is not None:
            return self._periods_per_year
        return (len(self) - 1) / self.years if self.years > 0.0 else 0.0

    def drawdown_series(self) -> FloatArray:
        """Return each point's distance below the highest one so far, float64[points], fractions <= 0."""
        return drawdowns(np.asarray(self.values, dtype=np.float64), self.initial_cash)

    @property
    def max_dd(self) -> float:
        """The deepest drawdown, a fraction <= 0."""
        return float(np.min(self.drawdown_series(), initial=0.0))

    def max_drawdown_info(self) -> tuple[float, int, int]:
        """Return the deepest drawdown between two points (fraction <= 0), and the places of its peak and its bottom."""
        return deepest(np.asarray(self.values, dtype=np.float64))

    @property
    def cagr(self) -> float:
        """Yearly growth over the span of the curve; -1 when nothing is left."""
        return annual_growth(1.0 + self.total_return, self.years)

    @property
    def volatility(self) -> float:
        """Standard deviation of the returns per year."""
        return volatility(self.returns, periods_per_year=self.periods_per_year)

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per year without a risk-free rate."""
        return sharpe_ratio(self.returns, periods_per_year=self.periods_per_year)

    @property
    def sortino(self) -> float:
        """Sortino ratio per year with target 0."""
        return sortino_ratio(self.returns, periods_per_year=self.periods_per_year)

    @property
    def calmar(self) -> float:
        """Yearly growth over the deepest drawdown."""
        return calmar_ratio(self.cagr, self.max_dd)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name; `max_drawdown` is `max_dd`, `trading_days` the number of points."""
        return {
            "initial_value": self.initial_value,
            "final_value": self.final_value,
            "total_return": self.total_return,
            "cagr": self.cagr,
            "sharpe": self.sharpe,
            "sortino": self.sortino,
            "max_drawdown": self.max_dd,
            "calmar": self.calmar,
            "volatility": self.volatility,
            "trading_days": len(self),
            "years": self.years,
        }

    # Points --------------------------------------------------------------------------------------------------------------

    def to_list(self) -> list[tuple[datetime, float]]:
        """Return pairs of time and value."""
        return list(zip(self.timestamps, self.values, strict=True))

    def to_dataframe(self) -> pl.DataFrame:
        """Return one row per point: timestamp, equity, return, cumulative_return, drawdown, high_water_mark.

        Times are Datetime[us]. The first return is against the initial cash, 0 without one.
        """
        import polars as pl

        from ml4t_backtest.analytics.tables import equity_columns

        times = pl.Series("timestamp", self.timestamps, dtype=None if self.timestamps else pl.Datetime("us"))
        values = np.asarray(self.values, dtype=np.float64)
        return pl.DataFrame([times, *equity_columns(values, self.initial_value)])
