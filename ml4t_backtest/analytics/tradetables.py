"""Figures of finished trades by asset, exit, side or time: `trade_figures` for groups, with excursions, streaks and R multiples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.analytics.tables import TRADE_WORDS, words
from ml4t_backtest.frames import time_series
from ml4t_backtest.hints import did_you_mean
from ml4t_kernels.codes import OrderType

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["GROUPS", "longest_runs", "r_multiples", "trade_columns", "trade_table"]

GROUPS = ("asset", "exit_reason", "side", "month", "year", "weekday", "hour")
_DAY_NS = 86_400e9
_COLUMNS = ("asset", "exit_reason", "exit_time", "pnl", "pnl_percent", "commission", "slippage", "mfe", "mae", "bars_held")
_UNKNOWN = ("avg_r_multiple",)  # null where it is not known; every other figure of nothing is 0


def trade_columns(trades: Records, multiples: FloatArray) -> pl.DataFrame:
    """Return the columns that figures of trades are made of, unknown numbers null.

    trades: record rows without open ones, in order of exit. multiples: float64[trades], NaN where unknown.
    """
    import polars as pl

    columns = [pl.Series(name, np.ascontiguousarray(trades[name])) for name in _COLUMNS]
    held = (trades["exit_time"] - trades["entry_time"]) / _DAY_NS
    short = pl.Series("short", trades["quantity"] < 0.0)
    frame = pl.DataFrame([*columns, pl.Series("days", held, dtype=pl.Float64), short, pl.Series("r", multiples)])
    return frame.with_columns(pl.col("pnl_percent", "mfe", "mae", "r").fill_nan(None))


def trade_table(frame: pl.DataFrame, panels: Panels, by: str | None) -> pl.DataFrame:
    """Return figures of finished trades as a frame; columns as `BacktestResult.trade_statistics` documents.

    frame: `trade_columns`. by: one of `GROUPS`, or None for one row. Raises ValueError for others.
    """
    import polars as pl

    if by is not None and by not in GROUPS:
        raise ValueError(f"by was {by!r}, expected None or one of {list(GROUPS)}{did_you_mean(str(by), GROUPS)}")
    keys = pl.Series("key", np.zeros(len(frame), dtype=np.int8)) if by is None else _keys(frame, panels, by)
    frame = frame.with_columns(keys)
    made = frame.select(_figures()) if by is None else frame.group_by("key", maintain_order=True).agg(_figures())
    distinct, groups = np.unique(keys.to_physical().to_numpy(), return_inverse=True)
    made = made.sort("key") if by is not None else made
    for name, chosen in (("max_consecutive_wins", frame["pnl"] > 0.0), ("max_consecutive_losses", frame["pnl"] < 0.0)):
        longest = longest_runs(chosen.to_numpy(), groups, max(len(distinct), len(made)))
        made = made.with_columns(pl.Series(name, longest, dtype=pl.Int64))
    finished = _with_ratios(made)
    return finished if by is None else _named(finished, panels, by)


def _keys(frame: pl.DataFrame, panels: Panels, by: str) -> pl.Series:
    """Return what trades are grouped by, in an order that sorts: codes for words, parts of the exit's time on the feed's clocks."""
    if by in ("asset", "exit_reason"):
        return frame[by].alias("key")
    if by == "side":
        return frame["short"].cast(int).alias("key")
    when = time_series("key", frame["exit_time"].to_numpy(), panels.zone)
    if by == "month":
        return when.dt.date().dt.month_start()
    return {"year": when.dt.year, "weekday": when.dt.weekday, "hour": when.dt.hour}[by]()


def _named(frame: pl.DataFrame, panels: Panels, by: str) -> pl.DataFrame:
    choices = {"asset": panels.assets, "exit_reason": TRADE_WORDS["exit_reason"], "side": ("long", "short")}
    if by not in choices:
        return frame.rename({"key": by})
    return frame.with_columns(words("key", frame["key"].to_numpy(), choices[by])).rename({"key": by})


def _figures() -> list[pl.Expr]:
    import polars as pl

    pnl, move = pl.col("pnl"), pl.col("pnl_percent")
    won, lost = pnl > 0.0, pnl < 0.0
    return [
        pl.len().cast(pl.Int64).alias("num_trades"),
        won.sum().cast(pl.Int64).alias("winning_trades"),
        lost.sum().cast(pl.Int64).alias("losing_trades"),
        pnl.sum().alias("total_pnl"),
        pnl.mean().alias("avg_pnl"),
        pnl.filter(won).sum().alias("gross_profit"),
        pnl.filter(lost).sum().alias("gross_loss"),
        move.mean().alias("avg_trade"),
        move.filter(won).mean().alias("avg_win"),
        move.filter(lost).mean().alias("avg_loss"),
        move.filter(won).max().alias("largest_win"),
        move.filter(lost).min().alias("largest_loss"),
        pl.col("bars_held").mean().alias("avg_bars_held"),
        pl.col("days").mean().alias("avg_days_held"),
        pl.col("days").max().alias("max_days_held"),
        pl.col("mfe").mean().alias("avg_mfe"),
        pl.col("mae").mean().alias("avg_mae"),
        pl.col("r").mean().alias("avg_r_multiple"),
        pl.col("r").count().cast(pl.Int64).alias("num_r_multiples"),
        pl.col("commission").sum().alias("total_commission"),
        pl.col("slippage").sum().alias("total_slippage"),
    ]


def _with_ratios(made: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with what follows from its columns, by the rules of `trade_figures` and `MAEMFEAnalyzer`."""
    import polars as pl

    column = pl.col
    made = made.with_columns(pl.exclude("key", *_UNKNOWN).fill_null(0))
    ratios = {
        "win_rate": _over(column("winning_trades"), column("num_trades"), nothing=0.0),
        "profit_factor": _over(column("gross_profit"), -column("gross_loss"), nothing=math.inf),
        "expectancy": _over(
            column("winning_trades") * column("avg_win") + column("losing_trades") * column("avg_loss"), column("num_trades"), nothing=0.0
        ),
        "payoff_ratio": _over(column("avg_win"), -column("avg_loss"), nothing=0.0),
        "edge_ratio": _over(column("avg_mfe"), -column("avg_mae"), nothing=math.inf),
    }
    made = made.with_columns([ratio.alias(name) for name, ratio in ratios.items()])
    first = ["key"] if "key" in made.columns else []
    return made.select(*first, *_ORDER)


def _over(gain: pl.Expr, loss: pl.Expr, nothing: float) -> pl.Expr:
    """Return gain over loss; over no loss `nothing` for a gain, and 0 without a gain."""
    import polars as pl

    return pl.when(loss > 0.0).then(gain / loss).when(gain > 0.0).then(nothing).otherwise(0.0)


_ORDER = (
    *("num_trades", "winning_trades", "losing_trades", "win_rate", "total_pnl", "avg_pnl", "gross_profit", "gross_loss"),
    *("profit_factor", "expectancy", "avg_trade", "avg_win", "avg_loss", "largest_win", "largest_loss", "payoff_ratio"),
    *("avg_bars_held", "avg_days_held", "max_days_held", "avg_mfe", "avg_mae", "edge_ratio"),
    *("max_consecutive_wins", "max_consecutive_losses", "avg_r_multiple", "num_r_multiples", "total_commission", "total_slippage"),
)


def longest_runs(chosen: npt.NDArray[np.bool_], groups: IntArray, count: int) -> IntArray:
    """Return the longest run of chosen rows in a row, for each group; rows of other groups in between do not break it.

    chosen: bool[n]. groups: int64[n], 0 to before `count`.
    """
    order = np.argsort(groups, kind="stable")
    marked, group = chosen[order], groups[order]
    starts = np.flatnonzero(
        np.concatenate([np.ones(min(1, len(group)), dtype=np.bool_), (group[1:] != group[:-1]) | (marked[1:] != marked[:-1])])
    )
    lengths = np.diff(np.append(starts, len(group)))
    longest = np.zeros(count, dtype=np.int64)
    runs = marked[starts]
    np.maximum.at(longest, group[starts][runs], lengths[runs])
    return longest


def r_multiples(trades: Records, orders: Records, times: IntArray, split_assets: IntArray) -> FloatArray:
    """Return P&L over initial risk, float64[trades], NaN where the risk is not known.

    The risk is known where the order that opened the position has one child that is a stop or stop-limit order (`submit_bracket`),
    whose stop was not changed after the bar of the entry: `abs(quantity) * multiplier` times the distance from entry price to stop. It
    is not known for position rules and trailing stops, whose first level is in no record, and in assets that were split.

    trades, orders: record rows. times: int64[bars] ns UTC. split_assets: columns of assets.
    """
    kind = orders["order_type"]
    stops = np.flatnonzero((orders["parent_id"] > 0) & ((kind == OrderType.STOP) | (kind == OrderType.STOP_LIMIT)))
    if not len(stops) or not len(trades):
        return np.full(len(trades), math.nan)
    parents = orders["parent_id"][stops]
    size = int(max(parents.max(), trades["entry_order"].max())) + 1
    level = np.full(size, math.nan)
    level[parents] = orders["stop_price"][stops]
    level[np.bincount(parents, minlength=size) != 1] = math.nan
    created, active = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    created[parents], active[parents] = orders["created_bar"][stops], orders["active_bar"][stops]
    entry = trades["entry_order"]
    bars = np.searchsorted(times, trades["entry_time"])
    distance = (trades["entry_price"] - level[entry]) * np.sign(trades["quantity"])
    kept = ((active[entry] == created[entry]) | (active[entry] <= bars)) & ~np.isin(trades["asset"], split_assets) & (entry > 0)
    risk = np.where(kept & (distance > 0.0), distance, math.nan) * np.abs(trades["quantity"]) * trades["multiplier"]
    multiples: FloatArray = trades["pnl"] / risk
    return multiples
