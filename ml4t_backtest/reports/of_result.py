"""The part of a result that is pictures: the report, single figures, what a notebook shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pathlib import Path

    from ml4t_backtest.result import BacktestResult

__all__ = ["PicturesOfResult"]


class PicturesOfResult:
    """Reports and figures of a run."""

    def report(self, path: str | Path, *, title: str | None = None, benchmark: Any = None) -> Path:
        """Write a report as one HTML file that needs no network, and return its path.

        path: of the file, which appears whole or not at all; folders are made. title: of the page, None for the
        name of the strategy. benchmark: as `relative_to`
        takes it, drawn beside the account and compared with it.

        Needs `pip install 'ml4t-backtest-numba[report]'`: raises ImportError without. Raises TypeError for what is no path,
        IsADirectoryError for a folder, NotADirectoryError where a file stands in the place of a folder, PermissionError and
        other OSErrors for what cannot be written, before anything is computed; for a benchmark as `relative_to`.
        """
        from ml4t_backtest.reports.parts import checked_path, written
        from ml4t_backtest.reports.sections import page_of

        target = checked_path(path)
        return written(page_of(cast("BacktestResult", self), title, benchmark), target)

    def plot(self, what: str = "equity", *, title: str | None = None, **options: Any) -> Any:
        """Return a Plotly figure.

        what: "equity" (with drawdown; options log=True for a logarithmic axis, benchmark), "drawdown", "monthly", "yearly",
        "rolling" (options window, benchmark), "exposure", "trades" (best against worst moments), "returns" (of trades),
        "exit_reasons", "assets", "costs". title: None for the picture's own, "" for none. benchmark: as `relative_to` takes it;
        window: as `rolling`.

        Long curves are thinned out to at most 4,000 points among which all extremes are. Raises ValueError for an unknown
        name, TypeError for an option that the picture does not have, ImportError without plotly.
        """
        from ml4t_backtest.reports.plotting import picture

        return picture(cast("BacktestResult", self), what, title, options)

    def _repr_html_(self) -> str:
        from ml4t_backtest.reports.headlines import facts_of, notebook_table

        result = cast("BacktestResult", self)
        return notebook_table(result.strategy_name or "Backtest", " · ".join(facts_of(result)), result.metrics)
