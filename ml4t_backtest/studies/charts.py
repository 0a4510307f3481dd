"""A metric over two parameters, as a table and as a heatmap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AGGREGATES", "drawn", "pivoted"]

AGGREGATES = ("mean", "median", "min", "max")


def pivoted(frame: pl.DataFrame, x: str, y: str, metric: str, aggregate: str) -> pl.DataFrame:
    """Return a row per value of y and a column per value of x. Arguments: names of columns, one of AGGREGATES."""
    import polars as pl

    wanted = frame.select(pl.col(y), pl.col(x).cast(pl.String).fill_null("null"), pl.col(metric).alias("value"))
    grouped = wanted.group_by([y, x], maintain_order=True).agg(getattr(pl.col("value"), aggregate)())
    rows = wanted.select(y).unique(maintain_order=True)
    for name in wanted[x].unique(maintain_order=True):
        cells = grouped.filter(pl.col(x) == name).select(pl.col(y), pl.col("value").alias(f"{name}" if name != y else f"{x}={name}"))
        rows = rows.join(cells, on=y, how="left", nulls_equal=True, maintain_order="left")
    return rows


def drawn(table: pl.DataFrame, x: str, y: str, title: str) -> Any:
    """Return a table of `pivoted` as a Plotly heatmap. Raises ImportError without plotly."""
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError("heatmaps need plotly: pip install 'ml4t-backtest-numba[report]'; study.pivot(...) works without") from error
    columns = table.columns[1:]
    heat = go.Heatmap(
        x=columns, y=[str(value) for value in table[table.columns[0]]], z=table.select(columns).to_numpy(), colorbar={"title": title}
    )
    figure = go.Figure(heat)
    figure.update_layout(title=f"{title} over {x} and {y}", xaxis={"title": x, "type": "category"}, yaxis={"title": y, "type": "category"})
    return figure
