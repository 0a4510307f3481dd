"""Frames of equity, days, fills and orders: made from arrays, a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest import types
from ml4t_backtest.analytics.metrics import drawdowns
from ml4t_backtest.frames import time_series
from ml4t_kernels import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = [
    "ALERT_WORDS",
    "FLOW_WORDS",
    "ORDER_FIELDS",
    "ORDER_WORDS",
    "TIME_FIELDS",
    "TRADE_WORDS",
    "alerts_frame",
    "daily_frame",
    "equity_columns",
    "fills_frame",
    "flows_frame",
    "orders_frame",
    "with_trade_extras",
    "words",
]

TIME_FIELDS = ("entry_time", "exit_time", "timestamp", "created_at", "filled_at", "closed_at", "good_till")
ORDER_FIELDS = ("order_id", "parent_id", "sibling_id", "entry_order", "exit_order")
_PREFIX = "ORD-"
# What the kernels keep in order rows for themselves.
_BOOKKEEPING = {
    *("active_bar", "at_open", "dormant", "eligible_bar", "filled_bar", "has_children", "moved_bar", "position_id"),
    *("raw_commission", "rule", "session", "triggered"),
}


def _words_of(kind: str) -> tuple[str, ...]:
    """Return the words of a kernel enumeration by code: the values of the public one of that name, else its own names."""
    public: Any = getattr(types, kind, {})
    codes_of: Any = getattr(codes, kind, ())
    named = getattr(public, "__members__", {})
    return tuple(str(named[code.name].value) if code.name in named else code.name.lower() for code in codes_of)


# The words of every field that records hold as a code.
WORDS: dict[str, tuple[str, ...]] = {
    "order_type": _words_of("OrderType"),
    "reason": _words_of("OrderReason"),
    "exit_reason": _words_of("ExitReason"),
    "time_in_force": _words_of("TimeInForce"),
}
ORDER_WORDS = {**WORDS, "status": _words_of("OrderStatus")}
TRADE_WORDS = {**WORDS, "status": _words_of("TradeStatus")}
FLOW_WORDS = {"kind": tuple(code.name.lower() for code in codes.FlowKind)}
ALERT_WORDS = {"action": tuple(code.name.lower() for code in codes.LimitAction)}
_SIDES = ("buy", "sell")


def words(name: str, numbers: Any, choices: Sequence[str]) -> pl.Series:
    """Return a String series of the words that numbers stand for."""
    import polars as pl

    if len(numbers) == 0:
        return pl.Series(name, [], dtype=pl.String)
    return pl.Series(name, choices, dtype=pl.String).gather(pl.Series(np.asarray(numbers).astype(np.uint32)))


# Equity ------------------------------------------------------------------------------------------------------------------


def equity_columns(equity: FloatArray, start: float) -> list[pl.Series]:
    """Return the columns equity, return, cumulative_return, drawdown, high_water_mark of account values float64[points].

    start: money before the first point; the first return is against it, and it is the first peak.
    """
    import polars as pl

    before = np.concatenate([[start], equity[:-1]]) if len(equity) else equity
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.where(before > 0.0, equity / before - 1.0, 0.0)
        growth = equity / start - 1.0 if start > 0.0 else np.zeros(len(equity))
    high = np.maximum.accumulate(np.maximum(equity, start)) if len(equity) else equity
    return [
        pl.Series("equity", equity),
        pl.Series("return", returns),
        pl.Series("cumulative_return", growth),
        pl.Series("drawdown", drawdowns(equity, start)),
        pl.Series("high_water_mark", high),
    ]


def daily_frame(dates: pl.Series, equity: FloatArray, start: float) -> pl.DataFrame:
    """Return one row per date: date, open_equity, close_equity, high_equity, low_equity, num_bars (Int32), pnl,
    return_pct, cumulative_return.

    dates: one per account value, in order. start: the account value before the first. `pnl` is the change since the
    close of the day before, so that the days add up to the whole; `return_pct` the same as a fraction, 0 after a close
    that is not positive.
    """  # noqa: D205 - the columns are the summary
    import polars as pl

    equities = pl.col("equity")
    grouped = (
        pl.DataFrame([dates.cast(pl.Date).alias("date"), pl.Series("equity", equity, dtype=pl.Float64)])
        .group_by("date", maintain_order=True)
        .agg(
            equities.first().alias("open_equity"),
            equities.last().alias("close_equity"),
            equities.max().alias("high_equity"),
            equities.min().alias("low_equity"),
            pl.len().cast(pl.Int32).alias("num_bars"),
        )
    )
    close = pl.col("close_equity")
    before = close.shift(1, fill_value=start)
    return grouped.with_columns(
        (close - before).alias("pnl"),
        pl.when(before > 0.0).then(close / before - 1.0).otherwise(0.0).alias("return_pct"),
        (close / start - 1.0).alias("cumulative_return"),
    )


# Records -----------------------------------------------------------------------------------------------------------------


def fills_frame(fills: Records, panels: Panels, multipliers: FloatArray) -> pl.DataFrame:
    """Return fill rows as a frame; columns as `BacktestResult.to_fills_dataframe` documents."""
    import polars as pl

    columns = [
        _order_ids("order_id", fills),
        words("asset", fills["asset"], panels.assets),
        _sides(fills["quantity"]),
        pl.Series("quantity", np.abs(fills["quantity"])),
        _plain("quantity", fills).alias("signed_quantity"),
        _plain("price", fills),
        time_series("timestamp", fills["timestamp"], panels.zone),
        _plain("commission", fills),
        _plain("slippage", fills),
        pl.Series("multiplier", multipliers[fills["asset"]]),
        _plain("position", fills),
    ]
    return pl.DataFrame(_with_rest(columns, fills, panels))


def flows_frame(flows: Records, panels: Panels) -> pl.DataFrame:
    """Return cash flow rows as a frame; columns as `BacktestResult.to_cash_flows_dataframe` documents."""
    import polars as pl

    of_account = flows["asset"] < 0
    asset = words("asset", np.where(of_account, 0, flows["asset"]), panels.assets or ("",))
    return pl.DataFrame(
        [
            time_series("timestamp", flows["timestamp"], panels.zone),
            asset.set(pl.Series(of_account), None) if len(flows) else asset,
            words("kind", flows["kind"], FLOW_WORDS["kind"]),
            pl.Series("amount", np.ascontiguousarray(flows["amount"])),
        ]
    )


def alerts_frame(alerts: Records, panels: Panels, names: Sequence[str]) -> pl.DataFrame:
    """Return alert rows as a frame; columns as `BacktestResult.to_alerts_dataframe` documents. names: of the limit rows."""
    import polars as pl

    return pl.DataFrame(
        [
            time_series("timestamp", alerts["timestamp"], panels.zone),
            words("limit", alerts["limit"] + 1, ("margin_call", *names)),
            words("action", alerts["action"], ALERT_WORDS["action"]),
            pl.Series("value", np.ascontiguousarray(alerts["value"])),
            pl.Series("threshold", np.ascontiguousarray(alerts["threshold"])),
        ]
    )


def orders_frame(orders: Records, panels: Panels) -> pl.DataFrame:
    """Return order rows as a frame; columns as `BacktestResult.to_orders_dataframe` documents."""
    import polars as pl

    untouched = pl.Series(orders["filled_quantity"] == 0.0)
    columns = [
        _order_ids("order_id", orders),
        words("asset", orders["asset"], panels.assets),
        _sides(orders["quantity"]),
        words("order_type", orders["order_type"], WORDS["order_type"]),
        pl.Series("quantity", np.abs(orders["quantity"])),
        pl.Series("filled_quantity", np.abs(orders["filled_quantity"])),
        *(_plain(name, orders).fill_nan(None) for name in ("limit_price", "stop_price", "filled_price")),
        words("status", orders["status"], ORDER_WORDS["status"]),
        words("reason", orders["reason"], WORDS["reason"]),
        time_series("created_at", orders["created_at"], panels.zone),
        time_series("filled_at", orders["filled_at"], panels.zone).set(untouched, None),
        pl.Series("reduce_only", orders["reduce_only"] == 1),
    ]
    return pl.DataFrame(_with_rest(columns, orders, panels))


def with_trade_extras(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a trades frame with the columns that follow from others, where it lacks them.

    gross_return (= pnl_percent), net_return (pnl over entry notional), total_slippage_cost (= slippage, money),
    cost_drag (commission and slippage over entry notional); NaN where the entry notional is 0.
    """
    import polars as pl

    notional = (pl.col("entry_price") * pl.col("quantity")).abs() * pl.col("multiplier")
    none = pl.lit(float("nan"))
    extras = {
        "gross_return": pl.col("pnl_percent"),
        "net_return": pl.when(notional > 0.0).then(pl.col("pnl") / notional).otherwise(none),
        "total_slippage_cost": pl.col("slippage"),
        "cost_drag": pl.when(notional > 0.0).then((pl.col("commission") + pl.col("slippage")) / notional).otherwise(none),
    }
    return frame.with_columns([made.alias(name) for name, made in extras.items() if name not in frame.columns])


def _plain(name: str, records: Records) -> pl.Series:
    import polars as pl

    return pl.Series(name, np.ascontiguousarray(records[name]))


def _order_ids(name: str, records: Records) -> pl.Series:
    """Return order numbers as the ids that orders show, null for the 0 that stands for none."""
    import polars as pl

    numbers = _plain(name, records)
    return (_PREFIX + numbers.cast(pl.String)).alias(name).set(numbers == 0, None)


def _times(name: str, records: Records, panels: Panels) -> pl.Series:
    import polars as pl

    return time_series(name, records[name], panels.zone).set(pl.Series(records[name] == 0), None)


def _sides(quantity: Any) -> pl.Series:
    return words("side", quantity < 0.0, _SIDES)


def _with_rest(columns: list[pl.Series], records: Records, panels: Panels) -> list[pl.Series]:
    """Return the columns and after them every field of the records that is not among them and says something to a reader."""
    made = {column.name for column in columns} | _BOOKKEEPING
    for name in records.dtype.names or ():
        if name in made:
            continue
        if name in WORDS:
            columns.append(words(name, records[name], WORDS[name]))
        elif name in TIME_FIELDS:
            columns.append(_times(name, records, panels))
        elif name in ORDER_FIELDS:
            columns.append(_order_ids(name, records))
        else:
            columns.append(_plain(name, records))
    return columns
