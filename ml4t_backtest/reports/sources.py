"""What a report draws, as frames. Every figure is computed by the result itself; here it is only picked and laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.costs import COST_KINDS

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.result import BacktestResult

__all__ = ["account_of", "benchmark_name", "closed_trades", "cost_rows", "exposure_of", "rolling_of", "sums_by"]


def closed_trades(result: BacktestResult) -> pl.DataFrame:
    """Return the finished trades: those that are closed, and the parts of others that are."""
    import polars as pl

    return result.to_trades_dataframe().filter(pl.col("status") != "open")


def account_of(result: BacktestResult, benchmark: Any = None) -> pl.DataFrame:
    """Return a row per bar: timestamp, equity, drawdown; with a benchmark also its value, which starts as the account does.

    benchmark: as `BacktestResult.relative_to` takes it. Its value is null at bars for which it has none.
    """
    import polars as pl

    frame = result.to_equity_dataframe().select("timestamp", "equity", "drawdown")
    if benchmark is None:
        return frame
    both = result._compared(benchmark)
    values = np.full(frame.height, np.nan)
    values[both.places] = result._equity[both.places[0]] * np.cumprod(np.concatenate([[1.0], 1.0 + both.benchmark]))
    return frame.with_columns(pl.Series("benchmark", values).fill_nan(None))


def benchmark_name(benchmark: Any) -> str:
    """Return what a benchmark is called: the name of an asset or of a series, else "benchmark"."""
    name = benchmark if isinstance(benchmark, str) else getattr(benchmark, "name", None)
    return name if isinstance(name, str) and name else "benchmark"


def rolling_of(result: BacktestResult, window: int | None = None, benchmark: Any = None) -> pl.DataFrame:
    """Return a row per bar with a full window: timestamp, sharpe, volatility, and beta with a benchmark."""
    frame = result.rolling(window, benchmark)
    return frame.drop_nulls("sharpe")


def exposure_of(result: BacktestResult) -> pl.DataFrame:
    """Return a row per bar: timestamp, num_positions, and long, short, net over the account value (null on one that is not positive)."""
    import polars as pl

    equity = pl.Series("equity", result._equity)
    shares = [(pl.when(equity > 0.0).then(pl.col(name) / equity)).alias(name) for name in ("long", "short", "net")]
    return result.exposure().select("timestamp", *shares, "num_positions")


def sums_by(result: BacktestResult, group: str) -> tuple[list[str], list[float], list[int]]:
    """Return names, sums of P&L, and numbers of the finished trades by asset or exit_reason."""
    frame = result.trade_statistics(by=group)
    return frame[group].to_list(), frame["total_pnl"].to_list(), frame["num_trades"].to_list()


def cost_rows(result: BacktestResult) -> list[tuple[str, float]]:
    """Return what was paid by kind (negative: received), kinds that came to nothing left out."""
    row = result.costs().row(0, named=True)
    return [(kind, row[kind]) for kind in ("commission", "slippage", *COST_KINDS) if row[kind]]
