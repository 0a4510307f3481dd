"""Trades and account values in the shapes that other libraries take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.analytics.metrics import returns_from_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from ml4t_backtest.types import Trade

__all__ = ["RECORD_KEYS", "frame_to_trade_records", "to_equity_dataframe", "to_returns_series", "to_trade_record", "to_trade_records"]

# Of the frame's columns, in this order; duration, timestamp, entry_timestamp and signed_quantity are made.
RECORD_KEYS = (
    *("timestamp", "symbol", "asset", "entry_price", "exit_price", "pnl", "duration", "direction", "quantity"),
    *("signed_quantity", "multiplier", "entry_timestamp", "entry_time", "exit_time", "bars_held", "pnl_percent", "fees"),
    *("commission", "mfe", "mae", "entry_slippage", "exit_slippage", "total_slippage_cost", "gross_pnl", "net_return"),
    *("cost_drag", "exit_reason", "status"),
)


def to_trade_record(trade: Trade) -> dict[str, Any]:
    """Return a trade as the keyword arguments of a trade record of the diagnostic package, and more.

    timestamp (= exit_time), entry_timestamp, duration (timedelta), quantity (positive; signed_quantity has the sign),
    fees (= commission) [money], exit_reason and status as words. There is no key "slippage": a record's P&L is its price
    move less fees and slippage, and our prices hold the slippage already; what it cost is total_slippage_cost [money].
    Fractions of the entry notional are NaN where that is 0.
    """
    notional = abs(trade.entry_price * trade.quantity) * trade.multiplier
    made: dict[str, Any] = {
        "timestamp": trade.exit_time,
        "entry_timestamp": trade.entry_time,
        "duration": trade.exit_time - trade.entry_time,
        "quantity": abs(trade.quantity),
        "signed_quantity": trade.quantity,
        "total_slippage_cost": trade.slippage,
        "net_return": trade.pnl / notional if notional > 0.0 else float("nan"),
        "cost_drag": (trade.commission + trade.slippage) / notional if notional > 0.0 else float("nan"),
        "exit_reason": trade.exit_reason.value,
        "status": trade.status.value,
    }
    return {key: made[key] if key in made else getattr(trade, key) for key in RECORD_KEYS}


def to_trade_records(trades: Iterable[Trade]) -> list[dict[str, Any]]:
    """Return trades as dicts, each as `to_trade_record`."""
    return [to_trade_record(trade) for trade in trades]


def frame_to_trade_records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a trades frame as dicts, each as `to_trade_record`."""
    import polars as pl

    made = frame.with_columns(
        pl.col("exit_time").alias("timestamp"),
        pl.col("entry_time").alias("entry_timestamp"),
        (pl.col("exit_time") - pl.col("entry_time")).alias("duration"),
        pl.col("quantity").abs(),
        pl.col("quantity").alias("signed_quantity"),
    )
    return made.select(RECORD_KEYS).to_dicts()


def to_returns_series(equity_curve: Any) -> pl.Series:
    """Return the returns from value to value as a series "returns", one fewer than the values; 0 after one that is not positive."""
    import polars as pl

    return pl.Series("returns", returns_from_values(equity_curve), dtype=pl.Float64)


def to_equity_dataframe(equity_history: Sequence[float], timestamps: Sequence[datetime] | None = None) -> pl.DataFrame:
    """Return account values as a frame: equity, returns (first 0), and timestamp, or bar (from 0) without timestamps.

    Raises ValueError for lists of different lengths and values that are no finite numbers.
    """
    import polars as pl

    if timestamps is not None and len(timestamps) != len(equity_history):
        raise ValueError(f"{len(equity_history)} values and {len(timestamps)} timestamps, expected as many of each")
    changes = to_returns_series(equity_history)
    first = pl.Series("returns", [0.0] * min(1, len(equity_history)), dtype=pl.Float64)
    axis = (
        pl.Series("bar", range(len(equity_history)), dtype=pl.Int64)
        if timestamps is None
        else pl.Series("timestamp", timestamps, dtype=None if len(timestamps) else pl.Datetime("us"))
    )
    return pl.DataFrame([pl.Series("equity", equity_history, dtype=pl.Float64), first.append(changes), axis])
