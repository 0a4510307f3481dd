"""The pictures of the pages, which are those of the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.result import BacktestResult

__all__ = ["compared", "pictures"]

_PICTURES = ("equity", "monthly")
_OF_TRADES = ("trades", "exit_reasons", "assets")


def pictures(result: BacktestResult) -> list[Any]:
    """Return the figures of one result; none of a result without bars, none of trades without trades."""
    names = (_PICTURES if len(result._equity) else ()) + (_OF_TRADES if result.metrics.get("num_trades") else ())
    return [result.plot(name) for name in names]


def compared(results: Mapping[str, BacktestResult]) -> Any:
    """Return the cumulative returns of several results in one figure."""
    import polars as pl

    from ml4t_backtest.reports.curves import growth
    from ml4t_backtest.reports.plotting import MOST_POINTS
    from ml4t_backtest.reports.thinning import thinned

    lines = {
        name: thinned(result.to_equity_dataframe().select("timestamp", pl.col("cumulative_return").alias("value")), ["value"], MOST_POINTS)
        for name, result in results.items()
    }
    return growth(lines, ".2%", title="Cumulative return")
