"""`Statistics`: the rich figures of a run by name, each computed when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.analytics import ratios
from ml4t_backtest.analytics.metrics import (
    METRIC_NAMES,
    YEAR_NS,
    _calmar,
    _changes,
    annual_growth,
    drawdowns,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)
from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.analytics.exposure import Exposure
    from ml4t_backtest.analytics.of_result import StatisticsOfResult
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["STATISTIC_NAMES", "Statistics"]


class Statistics(Mapping[str, float]):
    """Rich figures of a run by name; each is computed when it is first asked for and kept.

    Names, formulas and units: `docs/statistics.md`. NaN is a figure that the run does not define. `using(...)` returns the same figures
    with other periods per year or a risk-free rate. Raises KeyError for an unknown name.
    """

    def __init__(self, run: StatisticsOfResult, periods_per_year: float | None = None, risk_free_rate: float = 0.0) -> None:
        self.run = run
        self.risk_free_rate = ratios.checked_rate(risk_free_rate)
        self._given = ratios.checked_periods(periods_per_year)
        self._known: dict[str, float] = {}

    def using(self, *, periods_per_year: float | None = None, risk_free_rate: float = 0.0) -> Statistics:
        """Return the statistics with other bars per year (None: as the run has them) and a yearly risk-free rate (a fraction).

        Raises ValueError for periods that are not above 0 and rates that are no finite number.
        """
        return Statistics(self.run, periods_per_year, risk_free_rate)

    def __getitem__(self, name: str) -> float:
        if name not in self._known:
            if name not in _FIGURES:
                if name in METRIC_NAMES:
                    raise KeyError(f"{name!r} is no statistic but a metric: result[{name!r}]")
                raise KeyError(f"no statistic {name!r}{did_you_mean(str(name), _FIGURES)} Known: {', '.join(_FIGURES)}")
            self._known[name] = float(_FIGURES[name](self))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_FIGURES)

    def __len__(self) -> int:
        return len(_FIGURES)

    def __contains__(self, name: object) -> bool:
        return name in _FIGURES

    def __repr__(self) -> str:
        width = max(len(name) for name in _FIGURES)
        return "\n".join(f"{name:<{width}}  {value:,.6g}" for name, value in self.items())

    # What figures are made of --------------------------------------------------------------------------------------------

    @cached_property
    def returns(self) -> FloatArray:
        """Returns from bar to bar, float64[bars - 1]."""
        return _changes(self.run._equity)

    @cached_property
    def years(self) -> float:
        """Time from the first to the last bar in years of 365.25 days."""
        times = self.run._times
        return float(times[-1] - times[0]) / YEAR_NS if len(times) > 1 else 0.0

    @cached_property
    def periods_per_year(self) -> float:
        """Bars per year: as given, else as many as the run had."""
        if self._given is not None:
            return self._given
        return len(self.returns) / self.years if self.years > 0.0 else 0.0

    @cached_property
    def growth(self) -> float:
        """Yearly growth."""
        equity = self.run._equity
        return annual_growth(float(equity[-1]) / self.run._initial_cash if len(equity) else 1.0, self.years)

    @cached_property
    def falls(self) -> FloatArray:
        """Drawdown of each bar, float64[bars], fractions <= 0."""
        return drawdowns(self.run._equity, self.run._initial_cash)

    @cached_property
    def depth(self) -> float:
        """The deepest drawdown without sign."""
        return abs(float(np.min(self.falls, initial=0.0)))

    @cached_property
    def ulcer(self) -> float:
        """The Ulcer index."""
        return ratios.ulcer_index(self.run._equity, self.run._initial_cash)

    @cached_property
    def days(self) -> FloatArray:
        """Returns of days or sessions."""
        return self.run._days()["return_pct"].to_numpy()

    @cached_property
    def months(self) -> FloatArray:
        """Returns of months."""
        return self.run.monthly_returns()["return"].to_numpy()

    @cached_property
    def calendar_years(self) -> FloatArray:
        """Returns of calendar years."""
        return self.run.yearly_returns()["return"].to_numpy()

    @cached_property
    def declines(self) -> pl.DataFrame:
        """The drawdowns, one by one."""
        return self.run.drawdowns()

    @cached_property
    def trades(self) -> dict[str, float]:
        """The figures of all trades."""
        return self.run.trade_statistics().row(0, named=True)

    @cached_property
    def exposed(self) -> Exposure:
        """The exposure of each bar."""
        return self.run._exposed()

    @cached_property
    def leverage(self) -> FloatArray:
        """Gross exposure over account value of each bar; infinite with positions on no value."""
        return self._over_equity(self.exposed.long - self.exposed.short)

    def _over_equity(self, money: FloatArray) -> FloatArray:
        equity = self.run._equity
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(equity > 0.0, money / equity, np.where(money != 0.0, np.copysign(math.inf, money), money))

    def scaled(self, ratio: Callable[..., float], returns: FloatArray, periods: float) -> float:
        """Return a ratio of returns per year above the risk-free rate; 0 without periods, as the metrics."""
        return ratio(returns, self.risk_free_rate if periods > 0.0 else 0.0, periods_per_year=periods)

    @cached_property
    def days_per_year(self) -> float:
        """Sessions per year."""
        return self.run._days_per_year()


def _best(numbers: FloatArray | IntArray) -> float:
    return float(np.max(numbers)) if len(numbers) else math.nan


def _worst(numbers: FloatArray) -> float:
    return float(np.min(numbers)) if len(numbers) else math.nan


def _mean(numbers: FloatArray | IntArray) -> float:
    return float(np.mean(numbers)) if len(numbers) else math.nan


def _share(numbers: FloatArray | IntArray) -> float:
    return float(np.count_nonzero(numbers)) / len(numbers) if len(numbers) else math.nan


def _of_parts(name: str, measure: Callable[[FloatArray], float]) -> dict[str, Callable[[Statistics], float]]:
    """Return the figures of a measure over bars, days, months and years; {} in the name stands for the part."""

    def of_part(part: str) -> Callable[[Statistics], float]:
        return lambda of: measure(getattr(of, part))

    parts = {"bar": "returns", "day": "days", "month": "months", "year": "calendar_years"}
    return {name.format(word): of_part(part) for word, part in parts.items()}


def _of_drawdowns(column: str, measure: str) -> Callable[[Statistics], float]:
    """Return the figure of a column of the drawdowns; NaN without any."""

    def figure(of: Statistics) -> float:
        value = getattr(of.declines[column], measure)()
        return math.nan if value is None else float(value)

    return figure


def _of_trades(name: str) -> Callable[[Statistics], float]:
    """Return a figure of all trades; NaN where it is not known."""

    def figure(of: Statistics) -> float:
        value = of.trades[name]
        return math.nan if value is None else float(value)

    return figure


def _annual_turnover(of: Statistics) -> float:
    equity = _mean(of.run._equity)
    traded = float(of.run.turnover()["traded"].sum())
    return traded / 2.0 / equity / of.years if equity > 0.0 and of.years > 0.0 else math.nan


_FIGURES: dict[str, Callable[[Statistics], float]] = {
    "cagr": lambda of: of.growth,
    "volatility": lambda of: volatility(of.returns, periods_per_year=of.periods_per_year),
    "downside_deviation": lambda of: ratios.downside_deviation(of.returns, periods_per_year=of.periods_per_year),
    "sharpe": lambda of: of.scaled(sharpe_ratio, of.returns, of.periods_per_year),
    "sortino": lambda of: of.scaled(sortino_ratio, of.returns, of.periods_per_year),
    "calmar": lambda of: _calmar(of.growth, of.depth),
    "daily_volatility": lambda of: volatility(of.days, periods_per_year=of.days_per_year),
    "daily_sharpe": lambda of: of.scaled(sharpe_ratio, of.days, of.days_per_year),
    "daily_sortino": lambda of: of.scaled(sortino_ratio, of.days, of.days_per_year),
    "omega": lambda of: ratios.omega_ratio(of.returns),
    "gain_to_pain": lambda of: ratios.gain_to_pain(of.returns),
    "tail_ratio": lambda of: ratios.tail_ratio(of.returns),
    "skew": lambda of: ratios.skewness(of.returns),
    "kurtosis": lambda of: ratios.kurtosis(of.returns),
    "value_at_risk": lambda of: ratios.value_at_risk(of.returns),
    "expected_shortfall": lambda of: ratios.expected_shortfall(of.returns),
    "value_at_risk_99": lambda of: ratios.value_at_risk(of.returns, 0.99),
    "expected_shortfall_99": lambda of: ratios.expected_shortfall(of.returns, 0.99),
    "daily_value_at_risk": lambda of: ratios.value_at_risk(of.days),
    "daily_expected_shortfall": lambda of: ratios.expected_shortfall(of.days),
    "stability": lambda of: ratios.stability(of.run._equity),
    **_of_parts("best_{}", _best),
    **_of_parts("worst_{}", _worst),
    **_of_parts("positive_{}s", ratios.positive_share),
    "max_drawdown": lambda of: of.depth,
    "current_drawdown": lambda of: -float(of.falls[-1]) + 0.0 if len(of.falls) else math.nan,
    "avg_drawdown": lambda of: -_of_drawdowns("depth", "mean")(of) + 0.0,
    "num_drawdowns": lambda of: float(len(of.declines)),
    "avg_drawdown_days": _of_drawdowns("days", "mean"),
    "max_drawdown_days": _of_drawdowns("days", "max"),
    "time_under_water": lambda of: _share(of.falls),
    "ulcer_index": lambda of: of.ulcer,
    "ulcer_performance": lambda of: ratios.ulcer_performance(of.growth, of.ulcer, of.risk_free_rate),
    "recovery_factor": lambda of: ratios.recovery_factor(of.run._equity, of.run._initial_cash),
    "time_in_market": lambda of: _share(of.exposed.num_positions),
    "avg_num_positions": lambda of: _mean(of.exposed.num_positions),
    "max_num_positions": lambda of: _best(of.exposed.num_positions),
    "avg_leverage": lambda of: _mean(of.leverage),
    "max_leverage": lambda of: _best(of.leverage),
    "avg_net_exposure": lambda of: _mean(of._over_equity(of.exposed.long + of.exposed.short)),
    "annual_turnover": _annual_turnover,
    **{name: _of_trades(name) for name in ("avg_mfe", "avg_mae", "edge_ratio", "avg_days_held", "max_days_held")},
    **{name: _of_trades(name) for name in ("max_consecutive_wins", "max_consecutive_losses", "avg_r_multiple")},
}

STATISTIC_NAMES: tuple[str, ...] = tuple(_FIGURES)
