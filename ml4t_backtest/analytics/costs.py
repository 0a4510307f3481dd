"""What trading and holding cost, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["COST_KINDS", "costs_frame"]

COST_KINDS = ("dividend", "funding", "cash_interest", "margin_interest", "borrow_fee")
_CHOICES = ("asset",)


def costs_frame(fills: Records, flows: pl.DataFrame, assets: tuple[str, ...], multipliers: FloatArray, by: str | None) -> pl.DataFrame:
    """Return costs as a frame; columns as `BacktestResult.costs` documents.

    fills: record rows. flows: the cash flows frame. assets: names. multipliers: float64[assets]. by: None or "asset"; ValueError for
    others.
    """
    import polars as pl

    if by is not None and by not in _CHOICES:
        raise ValueError(f"by was {by!r}, expected None or one of {list(_CHOICES)}{did_you_mean(str(by), _CHOICES)}")
    count, asset = len(assets), fills["asset"]
    units = np.abs(fills["quantity"]) * multipliers[asset]
    parts = {
        "commission": np.bincount(asset, weights=fills["commission"], minlength=count),
        "slippage": np.bincount(asset, weights=fills["slippage"] * units, minlength=count),
    }
    traded = np.bincount(asset, weights=np.abs(fills["price"]) * units, minlength=count)
    names = pl.Series("asset", assets, dtype=pl.String)
    frame = pl.DataFrame([names, *(pl.Series(name, values, dtype=pl.Float64) for name, values in parts.items())])
    frame = frame.with_columns(pl.Series("traded", traded, dtype=pl.Float64), pl.Series("num_fills", np.bincount(asset, minlength=count)))
    paid = flows.group_by("asset", maintain_order=True).agg(
        [(-pl.col("amount").filter(pl.col("kind") == kind).sum() + 0.0).alias(kind) for kind in COST_KINDS]
    )
    joined = frame.join(paid, on="asset", how="full", coalesce=True, nulls_equal=True, maintain_order="left_right")
    numbers = joined.with_columns(pl.exclude("asset").fill_null(0))
    if by is None:
        numbers = numbers.select(pl.exclude("asset").sum())
    kinds = ("commission", "slippage", *COST_KINDS)
    made = numbers.with_columns(pl.sum_horizontal(kinds).alias("total"))
    first = () if by is None else ("asset",)
    chosen = made.select(*first, *kinds, "total", "traded", pl.col("num_fills").cast(pl.Int64))
    return chosen if by is None else chosen.filter((pl.col("num_fills") > 0) | pl.any_horizontal(pl.col(*COST_KINDS) != 0.0))
