"""From what the kernel leaves behind to the metrics of a run, under the names and by the formulas of `analytics.metrics`.

All sets at once: every figure is an array with a number per set. Beside those of `METRIC_NAMES` there are `skewness` and `kurtosis` of the
returns per bar (third and fourth standardised moment of the population; 3 is the kurtosis of a normal distribution), NaN without spread.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import METRIC_NAMES, YEAR_NS

if TYPE_CHECKING:
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["SHAPE_NAMES", "doubtful", "metrics_of", "shape_of"]

SHAPE_NAMES = ("skewness", "kurtosis")
_NO_SPREAD = 1e-15
_LARGEST_EXPONENT = 700.0
_PAIRS = {"sharpe": "sharpe_ratio", "sortino": "sortino_ratio", "calmar": "calmar_ratio"}
_SUMS = ("total_pnl", "gross_profit", "gross_loss", "total_gross_pnl", "num_fills", "total_commission", "total_slippage")
_COUNTS = ("num_trades", "num_open_trades", "winning_trades", "losing_trades")
_LEAST = 2
_ROUNDING, _WANTED = 2e-15, 1e-10  # of a sum of few numbers, with room; of a spread


def metrics_of(outcomes: Records, initial_cash: FloatArray, times: IntArray) -> dict[str, FloatArray]:
    """Return every metric as float64[sets].

    outcomes: outcome_dtype[sets]. initial_cash: float64[sets]. times: int64[bars] ns UTC.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        made = _of_values(outcomes, initial_cash, times) | _of_trades(outcomes)
    made |= {other: made[name] for name, other in _PAIRS.items()}
    made["num_bars"] = np.full(len(outcomes), float(len(times)))
    made["skipped_bars"] = np.zeros(len(outcomes))
    return {name: made[name] for name in (*METRIC_NAMES, *SHAPE_NAMES)}


def _of_values(rows: Records, cash: FloatArray, times: IntArray) -> dict[str, FloatArray]:
    final = rows["final_value"].copy()
    total = final / cash - 1.0
    depth = np.abs(rows["max_drawdown"])
    returns = max(len(times) - 1, 0)
    years = float(times[-1] - times[0]) / YEAR_NS if len(times) > 1 else 0.0
    per_year = returns / years if years > 0.0 else 0.0
    growth = _growth(final / cash, years)
    mean, spread, shape = _moments(rows, returns)
    scale = math.sqrt(per_year)
    losses = _spread_of(rows["losses"], rows["loss_first"], rows["loss_second"])
    return {
        "initial_cash": cash.copy(),
        "final_value": final,
        "total_return": total,
        "total_return_pct": total * 100.0,
        "max_drawdown": depth,
        "max_drawdown_pct": depth * 100.0,
        "cagr": growth,
        "volatility": spread * scale,
        "sharpe": np.where(spread > 0.0, mean / spread * scale, 0.0),
        "sortino": np.where(losses > 0.0, mean / losses * scale, np.where(mean > 0.0, np.inf, 0.0)),
        "calmar": np.where(depth > 0.0, growth / depth, np.where(growth > 0.0, np.inf, 0.0)),
        "periods_per_year": np.full(len(rows), per_year),
        **dict(zip(SHAPE_NAMES, shape, strict=True)),
    }


def _growth(factor: FloatArray, years: float) -> FloatArray:
    """Return the yearly growth rates of growth factors, as `annual_growth`."""
    if years <= 0.0:
        return np.where(factor <= 0.0, -1.0, 0.0)
    exponent = np.log(np.where(factor > 0.0, factor, 1.0)) / years
    growth = np.where(exponent < _LARGEST_EXPONENT, np.expm1(exponent), np.inf)
    return np.where(factor > 0.0, growth, -1.0)


def _moments(rows: Records, count: int) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray]]:
    """Return mean, standard deviation (ddof 1) and the shape of the returns; bars that are left out have a return of 0."""
    if count == 0:
        nothing, unknown = np.zeros(len(rows)), np.full(len(rows), math.nan)
        return nothing, nothing, (unknown, unknown)
    mean, square = rows["first"] / count, rows["second"] / count
    second = square - mean * mean
    third = rows["third"] / count - 3.0 * mean * square + 2.0 * mean * mean * mean
    fourth = rows["fourth"] / count - 4.0 * mean * rows["third"] / count + 6.0 * mean * mean * square - 3.0 * mean * mean * mean * mean
    spread = np.sqrt(np.maximum(second, 0.0) * count / (count - 1)) if count >= _LEAST else np.zeros(len(rows))
    spread = np.where(spread > _NO_SPREAD, spread, 0.0)
    known = spread > 0.0
    shape = np.where(known, third / second**1.5, math.nan), np.where(known, fourth / (second * second), math.nan)
    return mean, spread, shape


def doubtful(outcomes: Records, bars: int) -> IntArray:
    """Return the sets whose sums have lost digits: a spread of returns that is small beside their mean.

    The spread is a difference of two sums, each right but for rounding; what it keeps of it goes with their size over its own, and with
    the root of their number.
    """
    found = np.zeros(len(outcomes), dtype=bool)
    for count, first, second in (
        (np.full(len(outcomes), bars - 1), outcomes["first"], outcomes["second"]),
        (outcomes["losses"], outcomes["loss_first"], outcomes["loss_second"]),
    ):
        squares = second - first * first / np.maximum(count, 1)
        found |= (second > 0.0) & (count >= _LEAST) & (second * np.sqrt(np.maximum(count, 1)) * _ROUNDING > squares * _WANTED)
    return np.flatnonzero(found)


def _spread_of(counts: IntArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the standard deviation (ddof 1) behind counts and sums, 0 where there is none."""
    several = counts >= _LEAST
    squares = second - first * first / np.maximum(counts, 1)
    spread = np.sqrt(np.where(several, np.maximum(squares, 0.0) / np.maximum(counts - 1, 1), 0.0))
    return np.where(spread > _NO_SPREAD, spread, 0.0)


def _of_trades(rows: Records) -> dict[str, FloatArray]:
    made: dict[str, Any] = {name: rows[name].astype(np.float64) for name in (*_COUNTS, *_SUMS)}
    count, wins, losses = made["num_trades"], made["winning_trades"], made["losing_trades"]
    won, lost = _over(rows["won"], wins), _over(rows["lost"], losses)
    made |= {
        "win_rate": _over(wins, count),
        "avg_pnl": _over(made["total_pnl"], count),
        "profit_factor": _factor(made["gross_profit"], made["gross_loss"]),
        "expectancy": _over(wins * won + losses * lost, count),
        "avg_trade": _over(rows["moved"], count),
        "avg_win": won,
        "avg_loss": lost,
        "largest_win": np.where(wins > 0.0, rows["largest_win"], 0.0),
        "largest_loss": np.where(losses > 0.0, rows["largest_loss"], 0.0),
        "payoff_ratio": np.where(lost < 0.0, won / -lost, 0.0),
        "avg_bars_held": _over(rows["bars_held"], count),
        "gross_profit_factor": _factor(rows["gained_gross"], rows["lost_gross"]),
        "avg_cost_drag": _over(rows["cost_drag"], count),
        "total_costs": made["total_commission"] + made["total_slippage"],
    }
    return made


def _over(amounts: FloatArray, counts: FloatArray) -> FloatArray:
    return np.where(counts > 0.0, amounts / counts, 0.0)


def _factor(gained: FloatArray, given: FloatArray) -> FloatArray:
    return np.where(given < 0.0, gained / -given, np.where(gained > 0.0, np.inf, 0.0))


def shape_of(equity: FloatArray) -> dict[str, float]:
    """Return skewness and kurtosis of the returns of an equity curve, NaN without spread."""
    from ml4t_backtest.analytics.metrics import returns_from_values

    returns = returns_from_values(equity)
    centred = returns - returns.mean() if len(returns) else returns
    variance = float(np.mean(centred * centred)) if len(returns) else 0.0
    if math.sqrt(variance) <= _NO_SPREAD:
        return dict.fromkeys(SHAPE_NAMES, math.nan)
    squares = centred * centred  # powers by multiplication, which takes a tenth of the time
    skewness, kurtosis = float(np.mean(squares * centred)), float(np.mean(squares * squares))
    return {"skewness": skewness / variance**1.5, "kurtosis": kurtosis / (variance * variance)}
