"""The numbers of a run: from the account value per bar and the trade rows to one flat dictionary.

Formulas: Sharpe = mean / standard deviation (ddof 1) of bar returns times the square root of bars per year; Sortino
divides by the standard deviation (ddof 1) of the negative returns; bars per year are counted over the run (years of
365.25 days), not assumed. Drawdown starts from the initial cash. Trade figures are over closed and partial trades;
winners made money after costs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_kernels.codes import TradeStatus

if TYPE_CHECKING:
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["METRIC_NAMES", "compute_metrics"]

_YEAR_NS = 365.25 * 86_400 * 1e9

# Both spellings answer; each pair holds one number.
_PAIRS = {"sharpe": "sharpe_ratio", "sortino": "sortino_ratio", "calmar": "calmar_ratio"}


def compute_metrics(
    initial_cash: float, times: IntArray, equity: FloatArray, fills: Records, trades: Records, multipliers: FloatArray
) -> dict[str, float]:
    """Return all metrics of a run as plain numbers.

    times: int64[bars] ns UTC. equity: float64[bars]. fills, trades: record rows, open trades among them. multipliers:
    float64[assets].
    """
    final = float(equity[-1]) if len(equity) else initial_cash
    total = final / initial_cash - 1.0
    drawdown = max_drawdown(initial_cash, equity)
    metrics: dict[str, float] = {
        "initial_cash": initial_cash,
        "final_value": final,
        "total_return": total,
        "total_return_pct": total * 100.0,
        "max_drawdown": drawdown,
        "max_drawdown_pct": drawdown * 100.0,
    }
    metrics.update(_return_metrics(initial_cash, times, equity, drawdown))
    metrics.update(_trade_metrics(trades))
    slippage = fills["slippage"] * np.abs(fills["quantity"]) * multipliers[fills["asset"]]
    metrics["num_bars"] = len(equity)
    metrics["num_fills"] = len(fills)
    metrics["total_commission"] = float(np.sum(fills["commission"]))
    metrics["total_slippage"] = float(np.sum(slippage))
    for name, other in _PAIRS.items():
        metrics[other] = metrics[name]
    return metrics


def max_drawdown(initial_cash: float, equity: FloatArray) -> float:
    """Return the deepest fall below an earlier peak as a positive fraction of the peak; the initial cash is the first peak."""
    if not len(equity):
        return 0.0
    peaks = np.maximum.accumulate(np.maximum(equity, initial_cash))
    return float(np.max(1.0 - equity / peaks))


def bar_returns(equity: FloatArray) -> FloatArray:
    """Return the returns from bar to bar, float64[bars - 1]; 0 after a value that is not positive."""
    if len(equity) < 2:  # noqa: PLR2004 - two values make one return
        return np.zeros(0)
    before = equity[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, equity[1:] / before - 1.0, 0.0)


def _return_metrics(initial_cash: float, times: IntArray, equity: FloatArray, drawdown: float) -> dict[str, float]:
    returns = bar_returns(equity)
    years = float(times[-1] - times[0]) / _YEAR_NS if len(times) > 1 else 0.0
    per_year = len(returns) / years if years > 0.0 else 0.0
    mean = float(np.mean(returns)) if len(returns) else 0.0
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    losses = returns[returns < 0.0]
    downside = float(np.std(losses, ddof=1)) if len(losses) > 1 else 0.0
    scale = math.sqrt(per_year)
    growth = float(equity[-1]) / initial_cash if len(equity) else 1.0
    cagr = _annual_growth(growth, years)
    return {
        "cagr": cagr,
        "volatility": spread * scale,
        "sharpe": mean / spread * scale if spread > 0.0 else 0.0,
        "sortino": mean / downside * scale if downside > 0.0 else (math.inf if mean > 0.0 else 0.0),
        "calmar": cagr / drawdown if drawdown > 0.0 else (math.inf if cagr > 0.0 else 0.0),
        "periods_per_year": per_year,
    }


def _annual_growth(growth: float, years: float) -> float:
    """Return the yearly growth rate: -1 when nothing is left, infinite when a short run compounds beyond all numbers."""
    if growth <= 0.0:
        return -1.0
    if years <= 0.0:
        return 0.0
    exponent = math.log(growth) / years
    return math.expm1(exponent) if exponent < 700.0 else math.inf  # noqa: PLR2004 - exp overflows there


def _trade_metrics(trades: Records) -> dict[str, float]:
    done = trades["status"] != TradeStatus.OPEN
    count = int(np.count_nonzero(done))
    pnl, move = trades["pnl"][done], trades["pnl_percent"][done]
    wins, losses = pnl[pnl > 0.0], pnl[pnl < 0.0]
    gained, lost = float(np.sum(wins)), float(-np.sum(losses))
    average_win = _mean(move[pnl > 0.0])
    average_loss = _mean(move[pnl < 0.0])
    return {
        "num_trades": count,
        "num_open_trades": len(trades) - count,
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "win_rate": len(wins) / count if count else 0.0,
        "total_pnl": float(np.sum(pnl)),
        "profit_factor": gained / lost if lost > 0.0 else (math.inf if gained > 0.0 else 0.0),
        "expectancy": _mean(pnl),
        "avg_trade": _mean(move),
        "avg_win": average_win,
        "avg_loss": average_loss,
        "largest_win": float(np.max(wins)) if len(wins) else 0.0,
        "largest_loss": float(np.min(losses)) if len(losses) else 0.0,
        "payoff_ratio": average_win / -average_loss if average_loss < 0.0 else 0.0,
        "avg_bars_held": _mean(trades["bars_held"][done]),
    }


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else 0.0


METRIC_NAMES: tuple[str, ...] = (
    "initial_cash",
    "final_value",
    "total_return",
    "total_return_pct",
    "max_drawdown",
    "max_drawdown_pct",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "calmar",
    "periods_per_year",
    "num_trades",
    "num_open_trades",
    "winning_trades",
    "losing_trades",
    "win_rate",
    "total_pnl",
    "profit_factor",
    "expectancy",
    "avg_trade",
    "avg_win",
    "avg_loss",
    "largest_win",
    "largest_loss",
    "payoff_ratio",
    "avg_bars_held",
    "num_bars",
    "num_fills",
    "total_commission",
    "total_slippage",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
)
