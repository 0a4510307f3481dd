"""Which rows of a study are better: the direction of every metric, the best rows, and those that nothing beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import polars as pl

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["best_rows", "direction", "metric_values", "unbeaten"]

_TWO = 2
_HIGHER = frozenset(
    (
        *("final_value", "total_return", "total_return_pct", "cagr", "sharpe", "sharpe_ratio", "sortino", "sortino_ratio"),
        *("calmar", "calmar_ratio", "win_rate", "total_pnl", "avg_pnl", "gross_profit", "profit_factor", "expectancy", "avg_trade"),
        *("avg_win", "largest_win", "payoff_ratio", "total_gross_pnl", "gross_profit_factor", "winning_trades"),
        *("gross_loss", "avg_loss", "largest_loss"),  # of trades that lost, and so below zero
    )
)
_LOWER = frozenset(
    (
        *("max_drawdown", "max_drawdown_pct", "volatility", "losing_trades", "total_commission", "total_slippage", "total_costs"),
        "avg_cost_drag",
    )
)


def direction(metric: str, *, higher: bool | None = None) -> int:
    """Return 1 when higher values of a metric are better, -1 when lower ones are; `higher` says it for metrics with no known direction.

    Raises ValueError when it is known nowhere.
    """
    if higher is not None:
        return 1 if higher else -1
    if metric in _HIGHER:
        return 1
    if metric in _LOWER:
        return -1
    raise ValueError(f"whether a high {metric!r} is good is for you to say: higher=True or higher=False")


def metric_values(frame: pl.DataFrame, metric: str, metrics: Sequence[str]) -> FloatArray:
    """Return one metric as floats, NaN where a row has none. Raises ValueError for an unknown one, and for one that no row has."""
    if metric not in metrics:
        raise ValueError(f"there is no metric {metric!r}{did_you_mean(str(metric), metrics)} Metrics: {', '.join(metrics)}")
    values = frame[metric].cast(float).to_numpy().astype(np.float64)
    values = np.where((frame["status"] == "completed").to_numpy(), values, np.nan)
    if np.isnan(values).all():
        failed = int((frame["status"] == "failed").sum())
        first = f"; the first error: {frame['error'].drop_nulls()[0]}" if failed else ""
        raise ValueError(f"no row has a value of {metric!r}: {failed} of {len(frame)} rows failed{first}")
    return values


def best_rows(values: FloatArray, n: int, sign: int) -> IntArray:
    """Return the rows of the n best values, best first; equal ones in the order of the grid, NaN never."""
    order = np.argsort(-sign * values, kind="stable")
    return order[~np.isnan(values[order])][:n]


def unbeaten(values: Sequence[FloatArray], signs: Sequence[int]) -> IntArray:
    """Return the rows, in order, for which no other row is at least as good in every metric and better in one."""
    points = np.column_stack([sign * column for sign, column in zip(signs, values, strict=True)])
    rows = np.flatnonzero(~np.isnan(points).any(axis=1))
    # Best first by every metric in turn: a row can only be beaten by one that comes before it.
    order = rows[np.lexsort(tuple(-points[rows, place] for place in reversed(range(points.shape[1]))))]
    if points.shape[1] == _TWO and len(order):
        return np.sort(order[_unbeaten_pairs(points[order, 0], points[order, 1])])
    front: list[int] = []
    for row in order.tolist():
        ahead = points[front]
        beaten = (ahead >= points[row]).all(axis=1) & (ahead > points[row]).any(axis=1)
        if not beaten.any():
            front.append(row)
    return np.array(sorted(front), dtype=np.int64)


def _unbeaten_pairs(first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which of some pairs no other one beats; they are sorted, best first, by the first number and then the second."""
    starts = np.flatnonzero(np.concatenate([[True], first[1:] != first[:-1]]))  # of pairs with the same first number
    best = second[starts]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(best)[:-1]])
    leads = (best > before) | (starts == 0)
    group = np.cumsum(np.concatenate([[True], first[1:] != first[:-1]])) - 1
    unbeaten_pairs: npt.NDArray[np.bool_] = leads[group] & (second == best[group])
    return unbeaten_pairs
