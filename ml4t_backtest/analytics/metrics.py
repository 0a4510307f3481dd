"""The numbers of a run: from the account value per bar and the trade rows to one flat dictionary, and the formulas alone.

Formulas: Sharpe = mean / standard deviation (ddof 1) of the returns times the square root of periods per year; Sortino
divides by the standard deviation (ddof 1) of the negative returns. `compute_metrics` counts bars per year over the run
(years of 365.25 days) and lets the drawdown start from the initial cash; the plain functions assume 252 periods unless
told otherwise. Trade figures are over closed and partial trades; winners made money after costs; averages of wins and
losses are fractions of the entry price.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.analytics.trades import FIGURED, trade_figures
from ml4t_kernels.codes import TradeStatus

if TYPE_CHECKING:
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = [
    "METRIC_NAMES",
    "PERIODS_PER_YEAR",
    "YEAR_NS",
    "annual_growth",
    "cagr",
    "calmar_ratio",
    "compute_metrics",
    "deepest",
    "drawdowns",
    "max_drawdown",
    "returns_from_values",
    "sharpe_ratio",
    "sortino_ratio",
    "volatility",
]

Values: TypeAlias = Any  # a list, tuple, numpy array, Polars or pandas Series of numbers

YEAR_NS = 365.25 * 86_400 * 1e9
PERIODS_PER_YEAR = 252.0

# Returns are quotients less one, so that equal ones differ by rounding of this size; less is no spread.
_NO_SPREAD = 1e-15
_LARGEST_EXPONENT = 700.0  # exp overflows a little above
_PAIR = 2

# Both spellings answer; each pair holds one number.
_PAIRS = {"sharpe": "sharpe_ratio", "sortino": "sortino_ratio", "calmar": "calmar_ratio"}


# Of a run ----------------------------------------------------------------------------------------------------------------


def compute_metrics(
    initial_cash: float, times: IntArray, equity: FloatArray, fills: Records, trades: Records, multipliers: FloatArray
) -> dict[str, float]:
    """Return all metrics of a run as plain numbers.

    times: int64[bars] ns UTC. equity: float64[bars]. fills, trades: record rows, open trades among them. multipliers:
    float64[assets].
    """
    final = float(equity[-1]) if len(equity) else initial_cash
    total = final / initial_cash - 1.0
    drawdown = _depth(drawdowns(equity, initial_cash))
    metrics: dict[str, float] = {
        "initial_cash": initial_cash,
        "final_value": final,
        "total_return": total,
        "total_return_pct": total * 100.0,
        "max_drawdown": drawdown,
        "max_drawdown_pct": drawdown * 100.0,
    }
    metrics.update(_return_metrics(initial_cash, times, equity, drawdown))
    done = trades["status"] != TradeStatus.OPEN
    count = int(np.count_nonzero(done))
    chosen = slice(count) if done[:count].all() else done  # those that are open stand behind the others, in a run
    figures = trade_figures({name: np.ascontiguousarray(trades[name][chosen]) for name in FIGURED})
    figures["num_open_trades"] = len(trades) - figures["num_trades"]
    slippage = fills["slippage"] * np.abs(fills["quantity"]) * multipliers[fills["asset"]]
    figures["num_bars"] = len(equity)
    figures["num_fills"] = len(fills)
    figures["total_commission"] = float(np.sum(fills["commission"]))
    figures["total_slippage"] = float(np.sum(slippage))
    figures["total_costs"] = figures["total_commission"] + figures["total_slippage"]
    metrics.update({name: figures[name] for name in _TRADE_METRICS})
    for name, other in _PAIRS.items():
        metrics[other] = metrics[name]
    return metrics


def _return_metrics(initial_cash: float, times: IntArray, equity: FloatArray, drawdown: float) -> dict[str, float]:
    returns = _changes(equity)
    years = float(times[-1] - times[0]) / YEAR_NS if len(times) > 1 else 0.0
    per_year = len(returns) / years if years > 0.0 else 0.0
    scale = math.sqrt(per_year)
    growth = annual_growth(float(equity[-1]) / initial_cash if len(equity) else 1.0, years)
    return {
        "cagr": growth,
        "volatility": _spread(returns) * scale,
        "sharpe": _sharpe(returns, scale),
        "sortino": _sortino(returns, scale),
        "calmar": _calmar(growth, drawdown),
        "periods_per_year": per_year,
    }


# Of returns and values ---------------------------------------------------------------------------------------------------


def returns_from_values(values: Values) -> FloatArray:
    """Return the returns from value to value, float64[n - 1]; 0 after a value that is not positive."""
    return _changes(_finite(values, "values"))


def _changes(values: FloatArray) -> FloatArray:
    if len(values) < _PAIR:
        return np.zeros(0)
    before = values[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, values[1:] / before - 1.0, 0.0)


def volatility(returns: Values, annualize: bool = True, periods_per_year: float = PERIODS_PER_YEAR) -> float:  # noqa: FBT001, FBT002 - published
    """Return the standard deviation (ddof 1) of returns, per year unless `annualize` is off; 0 for fewer than two.

    A number in the place of `annualize` is taken as `periods_per_year`.
    """
    if not isinstance(annualize, (bool, np.bool_)):
        annualize, periods_per_year = True, annualize
    return _spread(_finite(returns, "returns")) * _scale(annualize=bool(annualize), periods=periods_per_year)


def sharpe_ratio(
    returns: Values,
    risk_free_rate: float = 0.0,
    annualize: bool = True,  # noqa: FBT001, FBT002 - published
    periods_per_year: float = PERIODS_PER_YEAR,
) -> float:
    """Return mean over standard deviation (ddof 1) of the returns above the risk-free rate; 0 without spread.

    returns: fractions per period. risk_free_rate: a year's rate, of which each period bears its part.
    """
    excess = _finite(returns, "returns") - _per_period(risk_free_rate, periods_per_year)
    return _sharpe(excess, _scale(annualize=annualize, periods=periods_per_year))


def _sharpe(excess: FloatArray, scale: float) -> float:
    spread = _spread(excess)
    return float(np.mean(excess)) / spread * scale if spread > 0.0 else 0.0


def sortino_ratio(
    returns: Values,
    risk_free_rate: float = 0.0,
    annualize: bool = True,  # noqa: FBT001, FBT002 - published
    periods_per_year: float = PERIODS_PER_YEAR,
    *,
    target_return: float = 0.0,
) -> float:
    """Return mean over standard deviation (ddof 1) of the negative ones among the returns above the target.

    The target is `target_return` per period plus the period's part of the yearly `risk_free_rate`. With fewer than two
    negative returns, or equal ones, the ratio is infinite for a positive mean and else 0.
    """
    excess = _finite(returns, "returns") - _per_period(risk_free_rate, periods_per_year) - target_return
    return _sortino(excess, _scale(annualize=annualize, periods=periods_per_year))


def _sortino(excess: FloatArray, scale: float) -> float:
    spread = _spread(excess[excess < 0.0])
    mean = float(np.mean(excess)) if len(excess) else 0.0
    if spread == 0.0:
        return math.inf if mean > 0.0 else 0.0
    return mean / spread * scale


def calmar_ratio(
    returns: Values = None, max_dd: float | None = None, *, cagr_value: float | None = None, periods_per_year: float = PERIODS_PER_YEAR
) -> float:
    """Return the yearly growth over the deepest drawdown: of returns, or of two numbers `calmar_ratio(cagr, max_dd)`.

    The sign of `max_dd` does not matter. Infinite without drawdown for positive growth, else 0. Raises TypeError when
    neither returns nor both numbers are given.
    """
    growth = cagr_value if cagr_value is not None else returns
    if max_dd is None:
        if returns is None or np.ndim(returns) != 1:
            raise TypeError("calmar_ratio() takes the returns, or the two numbers cagr and max_dd")
        path = np.asarray(np.cumprod(1.0 + _finite(returns, "returns")), dtype=np.float64)
        growth = annual_growth(float(path[-1]), len(path) / periods_per_year) if len(path) else 0.0
        max_dd = _depth(drawdowns(path, 1.0))
    if growth is None or np.ndim(growth) != 0:
        raise TypeError(f"calmar_ratio(): cagr was {growth!r}, expected a number beside max_dd")
    return _calmar(float(growth), abs(max_dd))


def _calmar(growth: float, depth: float) -> float:
    if depth == 0.0:
        return math.inf if growth > 0.0 else 0.0
    return growth / depth


def cagr(initial_value: float, final_value: float, years: float | None = None, *, num_years: float | None = None) -> float:
    """Return the yearly growth rate from one value to another: -1 when nothing is left, 0 over no time.

    `num_years` is another spelling of `years`. Raises ValueError for an initial value that is not positive, negative
    years, and what is no finite number; TypeError without years.
    """
    span = num_years if years is None else years
    if span is None:
        raise TypeError("cagr() needs the number of years")
    for name, value, fits in (
        ("initial_value", initial_value, initial_value > 0.0),
        ("final_value", final_value, True),
        ("years", span, span >= 0.0),
    ):
        if not math.isfinite(value) or not fits:
            raise ValueError(f"cagr(): {name} was {value!r}, expected a finite number{' > 0' if name == 'initial_value' else ' >= 0'}")
    return annual_growth(final_value / initial_value, span)


def annual_growth(growth: float, years: float) -> float:
    """Return the yearly growth rate of a growth factor: infinite when a short run compounds beyond all numbers."""
    if growth <= 0.0:
        return -1.0
    if years <= 0.0:
        return 0.0
    exponent = math.log(growth) / years
    return math.expm1(exponent) if exponent < _LARGEST_EXPONENT else math.inf


def max_drawdown(values: Values) -> tuple[Any, ...]:
    """Return the deepest fall below an earlier peak.

    Of plain numbers: (drawdown, peak, bottom), the drawdown as a fraction of the peak <= 0 and the places of both. Of
    an `EquityCurve` or (time, value) pairs: (drawdown, percent), both >= 0, as the metrics of the same names. Nothing at
    all gives (0.0, 0, 0).
    """
    if hasattr(values, "drawdown_series"):
        falls = values.drawdown_series()
    elif isinstance(values, (list, tuple)) and len(values) and isinstance(values[0], (list, tuple)) and len(values[0]) == _PAIR:
        falls = drawdowns(_finite([value for _, value in values], "values"))
    else:
        return deepest(_finite(values, "values"))
    depth = _depth(falls)
    return depth, depth * 100.0


def _depth(falls: FloatArray) -> float:
    return abs(float(np.min(falls))) if len(falls) else 0.0


def deepest(numbers: FloatArray) -> tuple[float, int, int]:
    """Return the deepest fall (<= 0) of plain numbers, the place of its peak and of its bottom."""
    falls = drawdowns(numbers)
    bottom = int(np.argmin(falls)) if len(falls) else 0
    if not len(falls) or falls[bottom] == 0.0:
        return 0.0, 0, 0
    return float(falls[bottom]), int(np.argmax(numbers[: bottom + 1])), bottom


def drawdowns(values: FloatArray, start: float | None = None) -> FloatArray:
    """Return each value's distance below the highest one so far (or `start`) as a fraction of that, <= 0; 0 below no positive peak."""
    if not len(values):
        return np.zeros(0)
    peaks = np.maximum.accumulate(values if start is None else np.maximum(values, start))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(peaks > 0.0, values / peaks - 1.0, 0.0)


def _finite(values: Values, name: str) -> FloatArray:
    """Return numbers as float64[n]. Raises ValueError for other shapes and for what is no finite number."""
    try:
        numbers = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} was a {type(values).__name__} that holds no plain numbers: {error}") from error
    if numbers.ndim != 1:
        raise ValueError(f"{name} had {numbers.ndim} dimensions, expected one row of numbers")
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] was {numbers[bad[0]]}, expected finite numbers ({len(bad)} are not); drop or fill them")
    return numbers


def _spread(numbers: FloatArray) -> float:
    spread = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0
    return spread if spread > _NO_SPREAD else 0.0


def _scale(*, annualize: bool, periods: float) -> float:
    if not (math.isfinite(periods) and periods >= 0.0):
        raise ValueError(f"periods_per_year was {periods!r}, expected a finite number >= 0")
    return math.sqrt(periods) if annualize else 1.0


def _per_period(rate: float, periods: float) -> float:
    return rate / periods if rate else 0.0


_TRADE_METRICS = (
    "num_trades",
    "num_open_trades",
    "winning_trades",
    "losing_trades",
    "win_rate",
    "total_pnl",
    "avg_pnl",
    "gross_profit",
    "gross_loss",
    "profit_factor",
    "expectancy",
    "avg_trade",
    "avg_win",
    "avg_loss",
    "largest_win",
    "largest_loss",
    "payoff_ratio",
    "avg_bars_held",
    "total_gross_pnl",
    "gross_profit_factor",
    "avg_cost_drag",
    "num_bars",
    "num_fills",
    "total_commission",
    "total_slippage",
    "total_costs",
)

METRIC_NAMES: tuple[str, ...] = (
    *("initial_cash", "final_value", "total_return", "total_return_pct", "max_drawdown", "max_drawdown_pct"),
    *("cagr", "volatility", "sharpe", "sortino", "calmar", "periods_per_year"),
    *_TRADE_METRICS,
    *_PAIRS.values(),
    "skipped_bars",
)
