"""Pictures and the page of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.reports import curves
from ml4t_backtest.reports.comparison import shown_cell
from ml4t_backtest.reports.headlines import SHORT, facts_of, form_of, headline_text
from ml4t_backtest.reports.listings import settings_rows
from ml4t_backtest.reports.parts import Heat, Page, Section, Table
from ml4t_backtest.reports.plotting import MOST_POINTS
from ml4t_backtest.reports.sections import footer
from ml4t_backtest.reports.thinning import thinned
from ml4t_backtest.reports.wording import FORMS, cut, percent, worded

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.reports.comparison import Comparison

__all__ = ["page_of", "picture"]

_TITLES = {
    "equity": "Account value over initial cash",
    "drawdown": "Drawdown",
    "correlation": "Correlation of daily returns",
}
_LEAST_POINTS = 400


def picture(comparison: Comparison, what: str, title: str | None, *, log: bool = False) -> Any:
    """Return a picture by name. title: None for its own, "" for none."""
    named = _TITLES[what] if title is None else title
    if what == "correlation":
        frame = comparison.correlation
        return curves.matrix(list(comparison.results), [row[1:] for row in frame.iter_rows()], title=named)
    frames = {name: _shown(comparison, name, what) for name in comparison.results}
    return curves.growth(frames, ".3~f" if what == "equity" else ".3~p", log=log, title=named)


def _shown(comparison: Comparison, name: str, what: str) -> pl.DataFrame:
    """Return timestamp and value of a curve, thinned out; the more results, the fewer points each."""
    import polars as pl

    result = comparison.results[name]
    value = pl.col("equity") / result._initial_cash if what == "equity" else pl.col("drawdown")
    frame = result.to_equity_dataframe().select("timestamp", value.alias("value"))
    return thinned(frame, ["value"], max(_LEAST_POINTS, 4 * MOST_POINTS // max(4, len(comparison.results))))


def page_of(comparison: Comparison, title: str | None) -> Page:
    """Return the report of a comparison as a page. title: None for "Comparison"."""
    results = comparison.results
    bars = any(len(result._times) for result in results.values())
    ruined = any((result._equity <= 0.0).any() for result in results.values())
    note = _note(comparison)
    charts = [
        Section("equity", _TITLES["equity"], chart=picture(comparison, "equity", ""), note=note, wide=True, log=not ruined),
        Section("drawdown", _TITLES["drawdown"], chart=picture(comparison, "drawdown", ""), wide=True),
    ]
    unfinished = [
        f"{cut(name)}: this run did not finish, its status is {one.status!r}." for name, one in results.items() if one.status != "completed"
    ]
    return Page(
        title=cut(title, 200) if title else "Comparison",
        facts=[f"{len(results)} results"],
        cards=[],
        sections=[
            _figures(comparison),
            *(charts if bars else []),
            _years(comparison),
            _correlations(comparison),
            _every(comparison),
            _settings(comparison),
        ],
        warnings=unfinished,
        footer=footer(""),
    )


def _note(comparison: Comparison) -> str:
    rows = {name: len(result._times) for name, result in comparison.results.items()}
    thin = [name for name in rows if _shown(comparison, name, "equity").height < rows[name]]
    if not thin:
        return ""
    return "Long curves are drawn with the bars of highest and lowest value of each of many equal stretches, the first, and the last."


def _figures(comparison: Comparison) -> Section:
    rows = [
        (cut(name), *(headline_text(one, result.metrics) for one in SHORT), *facts_of(result)[1:2])
        for name, result in comparison.results.items()
    ]
    heads = ("Result", *(one.label for one in SHORT), "Days")
    return Section("figures", "Side by side", tables=[Table(heads, rows, kind="side")], wide=True)


def _years(comparison: Comparison) -> Section:
    returns = {name: dict(one.yearly_returns().select("year", "return").iter_rows()) for name, one in comparison.results.items()}
    years = sorted({year for own in returns.values() for year in own}, reverse=True)
    bound = max((abs(value) for own in returns.values() for value in own.values()), default=0.0) or 1.0
    rows = [
        (cut(name), *(Heat(percent(own[year]), own[year] / bound) if year in own else "" for year in years))
        for name, own in returns.items()
    ]
    return Section("yearly", "Returns by year", tables=[Table(("Result", *map(str, years)), rows, kind="map")], wide=True)


def _correlations(comparison: Comparison) -> Section:
    cells = comparison.correlation.iter_rows()
    rows = [
        (cut(name), *(Heat(shown_cell(value), value or 0.0) for value in row[1:]))
        for name, row in zip(comparison.results, cells, strict=True)
    ]
    note = "Of two results the days count that both have."
    table = Table(("Result", *map(cut, comparison.results)), rows, kind="map")
    return Section("correlation", _TITLES["correlation"], tables=[table], note=note, wide=True)


def _every(comparison: Comparison) -> Section:
    frame = comparison.frame
    rows = [(worded(metric), *(FORMS[form_of(metric)](value) for value in values)) for metric, *values in frame.iter_rows()]
    table = Table(("Figure", *map(cut, comparison.results)), rows, caption=f"All {frame.height} figures", kind="side", folded=True)
    return Section("statistics", "Statistics", tables=[table], wide=True)


def _settings(comparison: Comparison) -> Section:
    """Return the settings in which the results differ."""
    found = {name: settings_rows(result.config) for name, result in comparison.results.items()}
    keys = list(dict.fromkeys(key for rows in found.values() for key in rows))
    differing = [key for key in keys if len({rows.get(key) for rows in found.values()}) > 1]
    title = "Settings that differ"
    unknown = [cut(name) for name, result in comparison.results.items() if result.config is None]
    note = f"The settings of {', '.join(unknown)} were not saved." if unknown else ""
    if not differing:
        return Section("settings", title, empty="All settings are the same.", note=note, wide=True)
    rows = [(section, name, *(own.get((section, name), "") for own in found.values())) for section, name in differing]
    table = Table(("Section", "Setting", *map(cut, comparison.results)), rows, texts=2 + len(found))
    return Section("settings", title, tables=[table], note=note, wide=True)
