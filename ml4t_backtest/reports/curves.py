"""Figures over time: the account value, drawdowns, months and years, rolling statistics, exposure. They take frames and draw them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.reports.palette import GAIN, LINES, LOSS, LOSS_FILL, MUTED, SCALE, figure, graphs, subplots
from ml4t_backtest.reports.wording import drawn_text, percent, stamps, tenths, worded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

__all__ = ["MONTHS", "drawdown", "equity", "exposure", "growth", "line", "matrix", "monthly", "one_moment", "panels", "values", "yearly"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DASHES = ("solid", "dash", "dot", "dashdot")  # once all colours are taken


def values(column: pl.Series) -> list[float | None]:
    """Return numbers as JSON takes them: what is not finite is None, a gap in the line."""
    numbers = np.asarray(column.to_numpy(), dtype=np.float64)
    return [value if finite else None for value, finite in zip(numbers.tolist(), np.isfinite(numbers).tolist(), strict=True)]


def line(times: Sequence[Any], column: pl.Series, name: str, color: str, **options: Any) -> Any:
    """Return a line of a column over times. options: of Plotly's `Scatter`. A single point is drawn as a dot."""
    mode = "lines" if len(times) > 1 else "markers"
    return graphs().Scatter(
        x=times, y=values(column), name=name, mode=mode, line={"color": color, "width": 1.5}, marker={"color": color}, **options
    )


def one_moment(made: Any, times: Sequence[str]) -> Any:
    """Return a figure whose time axis goes a day around a single time, which has no axis of its own."""
    if len(set(times)) == 1:
        moment = datetime.fromisoformat(times[0])
        made.update_xaxes(range=[str(moment - timedelta(days=1)), str(moment + timedelta(days=1))])
        made.update_traces(cliponaxis=False)
    return made


def equity(frame: pl.DataFrame, benchmark: str = "", *, log: bool = False, title: str = "") -> Any:
    """Return account value above drawdown. frame: timestamp, equity, drawdown, and benchmark where it has a name.

    log: a logarithmic axis, which shows positive values only.
    """
    made = subplots((0.7, 0.3), 430, title=title, hovermode="x unified")
    times = stamps(frame["timestamp"])
    if benchmark:
        made.add_trace(line(times, frame["benchmark"], drawn_text(benchmark), LINES[1], connectgaps=True), row=1, col=1)
    made.add_trace(line(times, frame["equity"], "Account value", GAIN), row=1, col=1)
    made.add_trace(_falls(times, frame["drawdown"]), row=2, col=1)
    flat = None if log or benchmark else _flat(frame["equity"])
    made.update_yaxes(title={"text": "Account value"}, type="log" if log else "linear", range=flat, row=1, col=1)
    made.update_yaxes(title={"text": "Drawdown"}, tickformat=".3~p", range=_below(frame["drawdown"]), row=2, col=1)
    made.update_layout(showlegend=bool(benchmark), legend_traceorder="reversed")
    return one_moment(made, times)


def _falls(times: list[str], column: pl.Series) -> Any:
    return line(times, column, "Drawdown", LOSS, fill="tozeroy", fillcolor=LOSS_FILL, hovertemplate="%{y:.2%}", showlegend=False)


def drawdown(frame: pl.DataFrame, *, title: str = "") -> Any:
    """Return the distance below the highest account value. frame: timestamp, drawdown."""
    made = figure(280, title=title, hovermode="x unified")
    times = stamps(frame["timestamp"])
    made.add_trace(_falls(times, frame["drawdown"]))
    made.update_yaxes(tickformat=".3~p", range=_below(frame["drawdown"]))
    return one_moment(made, times)


def _below(falls: pl.Series) -> list[float]:
    """Return the axis of drawdowns: from a little below the deepest one (a hundredth when there is none) to 0."""
    lowest = falls.min()
    return [1.06 * lowest if isinstance(lowest, float) and lowest < 0.0 else -0.01, 0.0]


def _flat(column: pl.Series) -> list[float] | None:
    """Return an axis around a value that never changes, which has none of its own; None for others."""
    lowest, highest = column.min(), column.max()
    if not isinstance(lowest, float) or lowest != highest:
        return None
    room = abs(lowest) / 100.0 or 0.01
    return [lowest - room, lowest + room]


def growth(series: Mapping[str, pl.DataFrame], form: str, *, log: bool = False, title: str = "") -> Any:
    """Return the lines of several runs in one panel. series: by name, frames of timestamp and value. form: of numbers."""
    made = figure(380 + 8 * len(series), title=title, hovermode="closest", showlegend=True)
    for number, (name, frame) in enumerate(series.items()):
        color, dash = LINES[number % len(LINES)], _DASHES[number // len(LINES) % len(_DASHES)]
        times = stamps(frame["timestamp"])
        made.add_trace(line(times, frame["value"], drawn_text(name), color, hovertemplate=f"%{{x}}: %{{y:{form}}}"))
        made.data[-1].line.dash = dash
    made.update_yaxes(tickformat=form, type="log" if log else "linear")
    return made


def panels(frame: pl.DataFrame, parts: Sequence[tuple[str, str, str]], *, title: str = "") -> Any:
    """Return a panel for each column, one below the other. parts: (column, label, number format), rows of `frame` by timestamp."""
    made = subplots((1.0 / len(parts),) * len(parts), 60 + 130 * len(parts), title=title, hovermode="x unified", showlegend=False)
    times = stamps(frame["timestamp"])
    for number, (column, label, form) in enumerate(parts):
        made.add_trace(line(times, frame[column], label, LINES[number % len(LINES)]), row=number + 1, col=1)
        made.update_yaxes(title={"text": label}, tickformat=form, range=_flat(frame[column].drop_nulls()), row=number + 1, col=1)
    return made


def exposure(frame: pl.DataFrame, *, title: str = "") -> Any:
    """Return long, short and net exposure over the account value (long alone without shorts), and the number of positions below.

    frame: timestamp, long, short, net (fractions of the account value), num_positions.
    """
    made = subplots((0.7, 0.3), 380, title=title, hovermode="x unified")
    times = stamps(frame["timestamp"])
    shorts = bool((frame["short"] < 0.0).any())
    kinds = (("net", "Net", MUTED), ("long", "Long", GAIN), ("short", "Short", LOSS)) if shorts else (("long", "Long", GAIN),)
    for column, label, color in kinds:
        made.add_trace(line(times, frame[column], label, color, hovertemplate="%{y:.1%}", line_shape="hv"), row=1, col=1)
    made.add_trace(line(times, frame["num_positions"], "Positions", MUTED, showlegend=False, line_shape="hv"), row=2, col=1)
    made.update_layout(showlegend=shorts)
    made.update_yaxes(title={"text": "Of account value"}, tickformat=".3~p", rangemode="tozero", row=1, col=1)
    made.update_yaxes(title={"text": "Positions"}, rangemode="tozero", row=2, col=1)
    return one_moment(made, times)


def yearly(frame: pl.DataFrame, *, title: str = "") -> Any:
    """Return a bar per year. frame: year, return (fraction)."""
    made = figure(300, title=title)
    colors = [LOSS if value < 0.0 else GAIN for value in frame["return"]]
    years = frame["year"].to_list()
    made.add_trace(
        graphs().Bar(
            x=years,
            y=values(frame["return"]),
            marker={"color": colors},
            width=0.7,
            text=[percent(value) for value in frame["return"]],
            textposition="none",
            hovertemplate="%{x}: %{y:.2%}<extra></extra>",
        )
    )
    made.update_yaxes(tickformat=".3~p")
    if years:  # few years do not fill the width
        middle, half = (years[0] + years[-1]) / 2.0, max(len(years), 5) / 2.0 + 0.2
        made.update_xaxes(range=[middle - half, middle + half])
    made.update_yaxes(range=_flat(frame["return"]) if not any(frame["return"]) else None)
    # every year a tick while they fit side by side on a phone
    made.update_xaxes(tickmode="array", tickvals=years[:: -(-len(years) // 8) or 1], tickformat="d", tickangle=0, showgrid=False)
    return made


def monthly(frame: pl.DataFrame, *, title: str = "") -> Any:
    """Return a map of months by years. frame: year, month (1 to 12), return (fraction)."""
    years = sorted(set(frame["year"].to_list()), reverse=True)
    cells: list[list[float | None]] = [[None] * 12 for _ in years]
    for year, month, value in frame.select("year", "month", "return").iter_rows():
        cells[years.index(year)][month - 1] = value
    bound = max((abs(value) for row in cells for value in row if value is not None and np.isfinite(value)), default=0.0)
    made = figure(90 + 26 * max(2, len(years)), title=title)
    made.add_trace(
        graphs().Heatmap(
            x=list(MONTHS),
            y=[str(year) for year in years],
            z=cells,
            text=[["" if value is None else tenths(value) for value in row] for row in cells],
            texttemplate="%{text}",
            colorscale=[list(step) for step in SCALE],
            zmin=-bound or -1.0,
            zmax=bound or 1.0,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="%{x} %{y}: %{z:.2%}<extra></extra>",
        )
    )
    made.update_yaxes(type="category", autorange="reversed")
    made.update_xaxes(side="top", showgrid=False)
    return made


def matrix(names: Sequence[str], cells: Sequence[Sequence[float | None]], *, title: str = "") -> Any:
    """Return a map of numbers from -1 to 1, such as correlations. names: of rows and columns."""
    shown = [drawn_text(worded(name), 24) for name in names]
    made = figure(140 + 34 * len(names), title=title)
    made.add_trace(
        graphs().Heatmap(
            x=list(range(len(names))),
            y=list(range(len(names))),
            z=[list(row) for row in cells],
            text=[["–" if value is None else f"{value:.2f}" for value in row] for row in cells],  # noqa: RUF001 - a dash
            texttemplate="%{text}",
            colorscale=[list(step) for step in SCALE],
            zmin=-1.0,
            zmax=1.0,
            showscale=False,
            hoverinfo="text",
        )
    )
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": shown, "showgrid": False}
    made.update_xaxes(side="top", **ticks)
    made.update_yaxes(autorange="reversed", **ticks)
    return made
