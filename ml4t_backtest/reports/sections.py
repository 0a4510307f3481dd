"""The report of one result: from its frames to the sections of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.reports import curves, trading
from ml4t_backtest.reports.headlines import HEADLINES, facts_of, figure_rows, headline_text, tone_of
from ml4t_backtest.reports.listings import alert_section, order_section, settings_section
from ml4t_backtest.reports.parts import Card, Heat, Page, Section, Table
from ml4t_backtest.reports.plotting import MOST_POINTS, picture, rolling_figure, title_of
from ml4t_backtest.reports.sources import account_of, benchmark_name, closed_trades, cost_rows, exposure_of, rolling_of
from ml4t_backtest.reports.thinning import thinned, thinning_note
from ml4t_backtest.reports.wording import count, cut, money, percent, stamps, tenths, worded

if TYPE_CHECKING:
    import polars as pl

    from ml4t_backtest.result import BacktestResult

__all__ = ["footer", "page_of"]

_DRAWDOWNS = 10
_NO_BARS = "The run has no bars."


def page_of(result: BacktestResult, title: str | None, benchmark: Any) -> Page:
    """Return the report of a result as a page. title, benchmark: as `BacktestResult.report`."""
    against = [] if benchmark is None else [_relative(result, benchmark)]
    sections = [
        _equity(result, benchmark),
        *against,
        _months(result),
        _years(result),
        _rolling(result, benchmark),
        _drawdowns(result),
        _exposure(result),
        *_of_trades(result, closed_trades(result)),
        _costs(result),
        _statistics(result),
        order_section(result.to_orders_dataframe()),
        alert_section(result.to_alerts_dataframe()),
        settings_section(result.config, result.contract_specs),
    ]
    metrics = result.metrics
    cards = [
        Card(one.label, headline_text(one, metrics), one.meaning, tone_of(one, metrics[one.name]))
        for one in HEADLINES
        if one.name in metrics
    ]
    return Page(
        title=cut(title or result.strategy_name or "Backtest", 200),
        facts=[cut(fact, 80) for fact in facts_of(result)],
        cards=cards,
        sections=sections,
        warnings=_warnings(result),
        footer=footer(f"Time zone: {result._panels.zone or 'as in the prices'}."),
    )


def footer(note: str) -> str:
    """Return the last line of a page."""
    from ml4t_backtest import __version__

    return f"Made by ml4t-backtest-numba {__version__}. {note}".strip()


def _warnings(result: BacktestResult) -> list[str]:
    """Return what a reader must know before the figures."""
    found = []
    if result.status != "completed":
        done = count(len(result._times))
        found.append(f"This run did not finish: its status is {result.status!r}. Everything below is of its first {done} bars.")
    ruined = np.flatnonzero(result._equity <= 0.0)
    if len(ruined):
        moment = str(result._timestamps[int(ruined[0])])
        found.append(f"The account was worth nothing or less on {moment}. Returns after that are 0, and ratios mean little.")
    skipped = result.metrics.get("skipped_bars", 0.0)
    if skipped:
        found.append(f"{count(skipped)} bars outside the sessions of the calendar were skipped.")
    return found


# Over time ---------------------------------------------------------------------------------------------------------------


def _equity(result: BacktestResult, benchmark: Any) -> Section:
    frame = account_of(result, benchmark)
    title = title_of("equity")
    if not frame.height:
        return Section("equity", title, empty=_NO_BARS, wide=True)
    shown = thinned(frame, frame.columns[1:], MOST_POINTS)
    note = thinning_note(shown.height, frame.height)
    positive = bool((frame["equity"] > 0.0).all())
    if not positive:
        note = f"{note} There is no log scale, since the account value is not always positive.".strip()
    name = "" if benchmark is None else benchmark_name(benchmark)
    return Section("equity", title, chart=curves.equity(shown, name), note=note, wide=True, log=positive)


def _relative(result: BacktestResult, benchmark: Any) -> Section:
    table = Table((), figure_rows(result.relative_to(benchmark)), kind="pairs")
    note = "Compared at the times that both have."
    return Section("relative", f"Against {cut(benchmark_name(benchmark))}", tables=[table], note=note, wide=True)


def _months(result: BacktestResult) -> Section:
    frame = result.monthly_returns()
    title = title_of("monthly")
    if not frame.height:
        return Section("monthly", title, empty=_NO_BARS, wide=True)
    bound = float(np.max(np.abs(frame["return"].to_numpy()))) or 1.0
    cells: dict[int, list[Any]] = {year: [""] * 12 for year in sorted(frame["year"].unique(), reverse=True)}
    for year, month, value in frame.select("year", "month", "return").iter_rows():
        cells[year][month - 1] = Heat(tenths(value), value / bound)
    totals = dict(result.yearly_returns().select("year", "return").iter_rows())
    rows = [(str(year), *months, Heat(tenths(totals[year]))) for year, months in cells.items()]
    return Section("monthly", title, tables=[Table(("Year", *curves.MONTHS, "All"), rows, kind="heat")], wide=True)


def _years(result: BacktestResult) -> Section:
    if not len(result._times):
        return Section("yearly", title_of("yearly"), empty=_NO_BARS)
    return Section("yearly", title_of("yearly"), chart=picture(result, "yearly", "", {}))


def _rolling(result: BacktestResult, benchmark: Any) -> Section:
    frame = rolling_of(result, None, benchmark)
    title = title_of("rolling") if benchmark is None else "Rolling Sharpe, volatility and beta"
    if not frame.height:
        return Section("rolling", title, empty="The run is too short for a window.")
    chart = rolling_figure(frame)
    window = len(result._times) - frame.height if benchmark is None else 0
    note = f"Over {count(window)} bars." if window else "Over half a year, at most a quarter of the run."
    return Section("rolling", title, chart=chart, note=f"{note} {thinning_note(len(chart.data[0].x), frame.height)}".strip())


def _drawdowns(result: BacktestResult) -> Section:
    frame = result.drawdowns(_DRAWDOWNS)
    title = "Deepest drawdowns"
    if not frame.height:
        return Section("drawdowns", title, empty="The account value never fell below an earlier high.", wide=True)
    columns = [stamps(frame[name]) for name in ("start", "trough", "end")]
    figures = (frame[name] for name in ("depth", "days_to_trough", "days", "bars"))
    rows = [
        (start, trough, end or "not yet", percent(depth), f"{down:,.1f}".removesuffix(".0"), f"{days:,.1f}".removesuffix(".0"), count(bars))
        for start, trough, end, depth, down, days, bars in zip(*columns, *figures, strict=True)
    ]
    heads = ("From high", "Lowest", "Recovered", "Depth", "Days down", "Days in all", "Bars in all")
    return Section("drawdowns", title, tables=[Table(heads, rows, texts=3)], wide=True)


def _exposure(result: BacktestResult) -> Section:
    frame = exposure_of(result)
    title = title_of("exposure")
    if not frame.height:
        return Section("exposure", title, empty=_NO_BARS, wide=True)
    shown = thinned(frame, frame.columns[1:], MOST_POINTS)
    note = thinning_note(shown.height, frame.height)
    if frame["long"].is_null().all() and (result._equity > 0.0).any():
        note = f"Only the number of positions: this result was read from a folder, which holds neither prices nor exposure. {note}".strip()
    return Section("exposure", title, chart=curves.exposure(shown), note=note, wide=True)


# Of trades ---------------------------------------------------------------------------------------------------------------


def _of_trades(result: BacktestResult, trades: pl.DataFrame) -> list[Section]:
    keys = ("trades", "returns", "assets", "exit_reasons")
    if not trades.height:
        return [Section("trades", "Closed trades", empty="No trade was closed.", wide=True)]
    notes = dict.fromkeys(keys, "")
    if trades.height > trading.MOST_TRADES:
        notes["trades"] = (
            f"About {trading.MOST_TRADES:,} of {trades.height:,} trades: the {trading.MOST_TRADES // 10:,} with the lowest and the highest"
            " P&L, MAE and MFE each, and every n-th of the others."
        )
    returns = trading.returns_of(trades)
    if len(returns) and trading.outliers(returns) != (returns.min(), returns.max()):
        ends = f"{percent(returns.min())} to {percent(returns.max())}"
        notes["returns"] = f"Returns go from {ends}; the first and the last bar hold all that is beyond the axis."
    names = trades["asset"].n_unique()
    if names > trading.MOST_BARS:
        notes["assets"] = f"The best and the worst of {names:,} assets; those between are one bar."
    return [Section(key, title_of(key), chart=picture(result, key, "", {}), note=notes[key], wide=key == "assets") for key in keys]


def _costs(result: BacktestResult) -> Section:
    rows = cost_rows(result)
    alone = not result.metrics["num_trades"]
    if not rows:
        return Section("costs", "Costs", empty="Nothing was paid: no commission, slippage, interest or fees.", wide=alone)
    total = result.costs()["total"].item()
    table = Table(("Kind", "Paid"), [*((worded(kind), money(amount)) for kind, amount in rows), ("total", money(total))])
    note = "Negative amounts were received." if any(amount < 0.0 for _, amount in rows) else ""
    return Section("costs", "Costs", chart=picture(result, "costs", "", {}), tables=[table], note=note, wide=alone)


def _statistics(result: BacktestResult) -> Section:
    rows = figure_rows({**result.metrics, **result.statistics})
    table = Table((), rows, caption=f"All {len(rows)} figures", kind="pairs", folded=True)
    return Section("statistics", "Statistics", tables=[table], wide=True)
