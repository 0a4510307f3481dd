"""Several results side by side: a table of their figures, their curves together, how their returns go together, a report."""

from __future__ import annotations

from functools import cached_property
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.reports.headlines import SHORT, headline_text
from ml4t_backtest.reports.wording import NOTHING, drawn_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from ml4t_backtest.result import BacktestResult

__all__ = ["Comparison", "compare"]

_CELL = "text-align:right;white-space:nowrap;padding-left:1em"
_LEAST_DAYS = 3  # two points always lie on a line
PLOTS = ("equity", "drawdown", "correlation")
_TAKEN = ("metric", "date", "name")  # columns of the frames


def compare(results: Mapping[str, BacktestResult]) -> Comparison:
    """Return several results side by side. results: by name, which stands in tables and pictures.

    Raises TypeError for what is no mapping of names to results, ValueError for an empty one, for a name that is empty or
    one of "metric", "date", "name", and for results of which only some have a time zone.
    """
    if not hasattr(results, "items"):
        raise TypeError(f"results was a {type(results).__name__}, expected a mapping of names: compare({{'fast': result, 'slow': other}})")
    every: dict[str, Any] = dict(results.items())
    if not every:
        raise ValueError("results was empty, expected at least one BacktestResult by name")
    for name, result in every.items():
        if not isinstance(name, str):
            raise TypeError(f"results has the name {name!r}, a {type(name).__name__}; expected a text such as {str(name)!r}")
        if not name.strip() or name in _TAKEN:
            raise ValueError(f"results has the name {name!r}, which a column of the table cannot have; choose another")
        if not hasattr(result, "to_equity_dataframe"):
            raise TypeError(f"results[{name!r}] was a {type(result).__name__}, expected a BacktestResult")
    zoned = {name for name, result in every.items() if result._panels.zone is not None}
    if zoned and len(zoned) < len(every):
        plain = next(name for name in every if name not in zoned)
        raise ValueError(f"results[{plain!r}] has no time zone, results[{min(zoned)!r}] has one; make the feeds alike")
    return Comparison(every)


class Comparison:
    """Results by name, in the order in which they were given. Made by `compare`; curves and returns are computed when asked for."""

    def __init__(self, results: Mapping[str, BacktestResult]) -> None:
        self.results: Mapping[str, BacktestResult] = MappingProxyType(dict(results))

    @cached_property
    def frame(self) -> pl.DataFrame:
        """A row per metric: metric (its name), and a column of each result (Float64, null where it has none).

        The metrics of `result.metrics`, then those of `result.statistics` that are not among them.
        """
        import polars as pl

        figures = {name: {**result.statistics, **result.metrics} for name, result in self.results.items()}
        listed = (*(name for one in self.results.values() for name in one.metrics), *(name for one in figures.values() for name in one))
        metrics = list(dict.fromkeys(listed))
        columns = [pl.Series(name, [one.get(metric) for metric in metrics], dtype=pl.Float64) for name, one in figures.items()]
        return pl.DataFrame([pl.Series("metric", metrics, dtype=pl.String), *columns])

    @cached_property
    def daily_returns(self) -> pl.DataFrame:
        """A row per day that any result has: date, and the daily returns of each result (null on days without bars)."""
        import polars as pl

        made: pl.DataFrame | None = None
        for name, result in self.results.items():
            own = result._days().select("date", pl.col("return_pct").alias(name))
            made = own if made is None else made.join(own, on="date", how="full", coalesce=True)
        assert made is not None  # noqa: S101 - there is at least one result
        return made.sort("date")

    @cached_property
    def correlation(self) -> pl.DataFrame:
        """Correlations of daily returns: name, and a column of each result.

        Of two results the days that both have count; null for fewer than three of these, and where returns have no spread.
        """
        import polars as pl

        columns = [self.daily_returns[name].to_numpy() for name in self.results]
        cells = [[_correlation(one, other) for other in columns] for one in columns]
        names = list(self.results)
        rows = [pl.Series(name, [row[place] for row in cells], dtype=pl.Float64) for place, name in enumerate(names)]
        return pl.DataFrame([pl.Series("name", names, dtype=pl.String), *rows])

    def plot(self, what: str = "equity", *, title: str | None = None, log: bool = False) -> Any:
        """Return a Plotly figure: "equity" (account values over the initial cash of each), "drawdown", "correlation".

        title: None for the picture's own, "" for none. log: a logarithmic axis, of "equity" only. Raises ValueError for another
        name, and for log with a picture that has no such axis; ImportError without plotly.
        """
        from ml4t_backtest.reports.compared import picture

        if what not in PLOTS:
            raise ValueError(f"what was {what!r}, expected one of {list(PLOTS)}{did_you_mean(str(what), PLOTS)}")
        if log and what != "equity":
            raise ValueError(f"log was True, but the picture {what!r} has no logarithmic axis; only 'equity' has")
        return picture(self, what, None if title is None else drawn_text(title, 200), log=log)

    def report(self, path: str | Path, *, title: str | None = None) -> Path:
        """Write the comparison as one HTML file that needs no network, and return its path. Errors as `BacktestResult.report`."""
        from ml4t_backtest.reports.compared import page_of
        from ml4t_backtest.reports.parts import checked_path, written

        target = checked_path(path)
        return written(page_of(self, title), target)

    def _repr_html_(self) -> str:
        heads = "".join(f"<th style='{_CELL}'>{escape(one.label)}</th>" for one in SHORT)
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            + "".join(f"<td style='{_CELL}'>{escape(headline_text(one, result.metrics))}</td>" for one in SHORT)
            + "</tr>"
            for name, result in self.results.items()
        )
        return f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"

    def __repr__(self) -> str:
        rows = [["", *(one.label for one in SHORT)]]
        rows += [[name, *(headline_text(one, result.metrics) for one in SHORT)] for name, result in self.results.items()]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]).rstrip()
            for row in rows
        ]
        return "\n".join([f"Comparison of {len(self.results)} results", *lines])


def _correlation(one: Any, other: Any) -> float | None:
    both = np.isfinite(one) & np.isfinite(other)
    if np.count_nonzero(both) < _LEAST_DAYS:
        return None
    first, second = one[both] - np.mean(one[both]), other[both] - np.mean(other[both])
    spread = float(np.sqrt(np.sum(first * first) * np.sum(second * second)))
    if spread <= 1e-20:  # noqa: PLR2004 - rounding of equal returns
        return None
    return max(-1.0, min(1.0, float(np.sum(first * second)) / spread))


def shown_cell(value: float | None) -> str:
    """Return a correlation as text."""
    return NOTHING if value is None else f"{value:.2f}"
