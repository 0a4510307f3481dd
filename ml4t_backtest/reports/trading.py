"""Figures of trades: excursions, returns, profit by exit reason and by asset, costs. They take frames and draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.reports.palette import GAIN, LINES, LOSS, MUTED, figure, graphs
from ml4t_backtest.reports.thinning import kept_trades
from ml4t_backtest.reports.wording import count, drawn_text, money, stamps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from ml4t_kernels.dtypes import FloatArray

__all__ = ["MOST_BARS", "MOST_TRADES", "amounts", "cost_bars", "distribution", "excursions", "leading", "outliers", "returns_of"]

MOST_TRADES = 3_000
MOST_BARS = 20
_BINS = 50
_TAILS = (1.0, 99.0)


def excursions(trades: pl.DataFrame, *, title: str = "", most: int = MOST_TRADES) -> Any:
    """Return each trade's best against its worst moment. trades: a trades frame; `mae` and `mfe` in fractions."""
    made = figure(380, title=title, hovermode="closest")
    if trades.height > most:
        trades = trades[kept_trades([trades[name].to_numpy() for name in ("pnl", "mae", "mfe")], most)]
    won = trades["pnl"].to_numpy() > 0.0
    for label, chosen, color, symbol in (("Losers and even", ~won, LOSS, "x-thin-open"), ("Winners", won, GAIN, "circle-open")):
        part = trades.filter(chosen)
        made.add_trace(
            graphs().Scatter(
                x=(-part["mae"].abs()).to_list(),
                y=part["mfe"].to_list(),
                mode="markers",
                name=label,
                marker={"color": color, "symbol": symbol, "size": 6, "opacity": 0.75, "line": {"width": 1.2, "color": color}},
                text=[
                    f"{drawn_text(asset)}, {direction}<br>{begun} to {ended}<br>P&amp;L {money(pnl)}"
                    for asset, direction, begun, ended, pnl in zip(
                        part["asset"], part["direction"], stamps(part["entry_time"]), stamps(part["exit_time"]), part["pnl"], strict=True
                    )
                ],
                hovertemplate="%{text}<br>worst %{x:.2%}, best %{y:.2%}<extra></extra>",
            )
        )
    made.update_xaxes(title={"text": "Worst moment (MAE)"}, tickformat=".3~p")
    made.update_yaxes(title={"text": "Best moment (MFE)"}, tickformat=".3~p", rangemode="tozero")
    return made


def returns_of(trades: pl.DataFrame) -> FloatArray:
    """Return the trades' returns before costs that are finite, float64[trades]."""
    returns = trades["pnl_percent"].to_numpy()
    return np.asarray(returns[np.isfinite(returns)], dtype=np.float64)


def outliers(returns: FloatArray) -> tuple[float, float]:
    """Return from where to where a histogram is drawn: all of it, unless a few far returns would press the rest together."""
    lowest, highest = float(np.min(returns)), float(np.max(returns))
    low, high = (float(bound) for bound in np.percentile(returns, _TAILS))
    if highest - lowest <= 2.0 * (high - low) or high == low:
        return lowest, highest
    return low, high


def distribution(trades: pl.DataFrame, *, title: str = "") -> Any:
    """Return a histogram of the trades' returns, counted here: the page holds counts. trades: a trades frame.

    Returns beyond the range of `outliers` stand in the first and the last bar.
    """
    made = figure(300, title=title, bargap=0.04)
    returns = returns_of(trades)
    if len(returns):
        low, high = outliers(returns)
        if high - low <= abs(high) * 1e-12:
            low, high = low - 0.005, high + 0.005
        # an edge on zero, so that no bar holds winners and losers
        width = (high - low) / min(_BINS, max(8, len(returns) // 3))
        edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1.5) * width
        counts, _ = np.histogram(np.clip(returns, edges[0], edges[-1]), bins=edges)
        middles = (edges[:-1] + edges[1:]) / 2.0
        made.add_trace(
            graphs().Bar(
                x=middles.tolist(),
                y=counts.tolist(),
                width=width * 0.96,
                marker={"color": [LOSS if middle < 0.0 else GAIN for middle in middles]},
                customdata=[[edges[place], edges[place + 1]] for place in range(len(counts))],
                hovertemplate="%{customdata[0]:.2%} to %{customdata[1]:.2%}: %{y:,}<extra></extra>",
            )
        )
    made.update_xaxes(title={"text": "Return of a trade, before costs"}, tickformat=".3~p")
    made.update_yaxes(title={"text": "Trades"})
    return made


def leading(names: Sequence[str], sums: Sequence[float], counts: Sequence[int], most: int = MOST_BARS) -> list[tuple[str, float, int]]:
    """Return (name, sum, count) from the highest sum to the lowest; of more than `most` the middle as one, "231 others"."""
    ranked = sorted(zip(names, sums, counts, strict=True), key=lambda row: (-row[1], row[0]))
    if len(ranked) <= most:
        return ranked
    half = most // 2
    middle = ranked[half:-half]
    others = (f"{len(middle):,} others", float(sum(row[1] for row in middle)), int(sum(row[2] for row in middle)))
    return [*ranked[:half], others, *ranked[-half:]]


def amounts(rows: Sequence[tuple[str, float, int]], *, title: str = "", unit: str = "trades", label: str = "P&L") -> Any:
    """Return a bar of money for each row. rows: (name, sum, count) from the top to the bottom."""
    made = figure(80 + 26 * max(2, len(rows)), title=title, bargap=0.3)
    places = list(range(len(rows)))
    made.add_trace(
        graphs().Bar(
            x=[row[1] for row in rows],
            y=places,
            orientation="h",
            marker={"color": [LOSS if row[1] < 0.0 else GAIN for row in rows]},
            text=[f"{drawn_text(name)}: {money(total)}, {count(number)} {unit}" for name, total, number in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    made.update_yaxes(
        tickmode="array", tickvals=places, ticktext=[drawn_text(row[0], 20) for row in rows], autorange="reversed", showgrid=False
    )
    made.update_xaxes(title={"text": drawn_text(label)})
    return made


def cost_bars(rows: Sequence[tuple[str, float]], *, title: str = "") -> Any:
    """Return a bar for each kind of cost. rows: (kind, money paid; negative when the account received)."""
    made = figure(80 + 30 * max(2, len(rows)), title=title, bargap=0.35)
    places = list(range(len(rows)))
    colors = [MUTED if amount < 0.0 else LINES[number % len(LINES)] for number, (_, amount) in enumerate(rows)]
    made.add_trace(
        graphs().Bar(
            x=[amount for _, amount in rows],
            y=places,
            orientation="h",
            marker={"color": colors},
            text=[f"{drawn_text(kind)}: {money(amount)}" for kind, amount in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    made.update_yaxes(tickmode="array", tickvals=places, ticktext=[drawn_text(kind, 24) for kind, _ in rows], autorange="reversed")
    made.update_xaxes(title={"text": "Paid"})
    return made
