"""The figures that come first: in the page of a report, in a notebook, in a comparison."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from ml4t_backtest.reports.wording import FORMS, NOTHING, count, worded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.result import BacktestResult

__all__ = [
    "COUNTS",
    "HEADLINES",
    "MONEY",
    "PERCENTS",
    "SHORT",
    "Headline",
    "facts_of",
    "figure_rows",
    "form_of",
    "headline_text",
    "notebook_table",
    "tone_of",
]


class Headline(NamedTuple):
    """A figure: its name among the metrics, what it is called, how it is written ("money", ...), and what it means."""

    name: str
    label: str
    form: str
    meaning: str
    signed: bool = False


HEADLINES = (
    Headline("total_return", "Total return", "percent", "Final value over initial cash, less one", signed=True),
    Headline("cagr", "Growth per year", "percent", "Compound annual growth rate over years of 365.25 days", signed=True),
    Headline("final_value", "Final value", "money", "Account value on the last bar"),
    Headline("max_drawdown", "Max drawdown", "percent", "Deepest fall below an earlier high of the account value"),
    Headline("volatility", "Volatility", "percent", "Standard deviation of returns per year"),
    Headline("sharpe", "Sharpe", "number", "Mean over standard deviation of returns, per year"),
    Headline("sortino", "Sortino", "number", "Mean over standard deviation of negative returns, per year"),
    Headline("calmar", "Calmar", "number", "Growth per year over the deepest drawdown"),
    Headline("num_trades", "Trades", "count", "Closed and partly closed trades"),
    Headline("win_rate", "Win rate", "percent", "Share of trades that made money after costs"),
    Headline("profit_factor", "Profit factor", "number", "Money won over money lost, of trades after costs"),
    Headline("avg_pnl", "Average P&L", "money", "Mean profit of a trade, after costs", signed=True),
    Headline("avg_bars_held", "Bars held", "number", "Mean number of bars from entry to exit"),
    Headline("total_costs", "Costs", "money", "Commission and slippage of all fills"),
)
_NOTEBOOK = (
    "total_return",
    "cagr",
    "sharpe",
    "max_drawdown",
    "volatility",
    "calmar",
    "final_value",
    "num_trades",
    "win_rate",
    "profit_factor",
)
_OF_TRADES = ("win_rate", "profit_factor", "avg_pnl", "avg_bars_held")
SHORT = tuple(headline for headline in HEADLINES if headline.name in _NOTEBOOK)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# How each figure is written; those that are not named are ratios and plain numbers.
PERCENTS = _names(
    "total_return max_drawdown cagr volatility win_rate expectancy avg_trade avg_win avg_loss largest_win largest_loss avg_cost_drag"
    " downside_deviation daily_volatility value_at_risk expected_shortfall value_at_risk_99 expected_shortfall_99 daily_value_at_risk"
    " daily_expected_shortfall best_bar worst_bar positive_bars best_day worst_day positive_days best_month worst_month positive_months"
    " best_year worst_year positive_years current_drawdown avg_drawdown time_under_water ulcer_index time_in_market avg_mfe avg_mae"
    " alpha tracking_error up_capture down_capture batting_average benchmark_total_return benchmark_cagr excess_return"
    " benchmark_volatility benchmark_max_drawdown"
)
MONEY = _names(
    "initial_cash final_value total_pnl avg_pnl gross_profit gross_loss total_gross_pnl total_commission total_slippage total_costs"
)
COUNTS = _names(
    "num_trades num_open_trades winning_trades losing_trades num_bars num_fills skipped_bars num_drawdowns max_num_positions"
    " max_consecutive_wins max_consecutive_losses num_periods"
)
_TWICE = _names("total_return_pct max_drawdown_pct sharpe_ratio sortino_ratio calmar_ratio")  # other spellings


def form_of(name: str) -> str:
    """Return how a figure is written: "percent", "money", "count", "number"."""
    if name in PERCENTS:
        return "percent"
    return "money" if name in MONEY else "count" if name in COUNTS else "number"


def figure_rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return figures as pairs of texts, name and value; those that stand there under two names once."""
    return [(worded(name), FORMS[form_of(name)](value)) for name, value in figures.items() if name not in _TWICE]


def headline_text(headline: Headline, metrics: Mapping[str, Any]) -> str:
    """Return a headline figure as text; figures of trades are a dash when there were none."""
    if headline.name in _OF_TRADES and not metrics.get("num_trades"):
        return NOTHING
    return str(FORMS[headline.form](metrics.get(headline.name)))


def tone_of(headline: Headline, value: float) -> str:
    """Return "up" or "down" for a figure that is a gain or a loss, else nothing."""
    if not headline.signed or value == 0.0 or math.isnan(value):
        return ""
    return "up" if value > 0.0 else "down"


def facts_of(result: BacktestResult) -> list[str]:
    """Return what a run was: its status, its days, the number of bars and assets."""
    facts = [result.status]
    times = result._timestamps
    if times:
        first, last = (moment.strftime("%Y-%m-%d") for moment in (times[0], times[-1]))
        facts.append(first if first == last else f"{first} to {last}")
    facts.append(f"{count(len(times))} {'bar' if len(times) == 1 else 'bars'}")
    assets = result.assets
    facts.append(f"{count(len(assets))} assets" if len(assets) != 1 else assets[0])
    return facts


def notebook_table(title: str, facts: str, metrics: Mapping[str, Any]) -> str:
    """Return headline figures as a small HTML table, without style sheets or scripts, for a notebook on any ground."""
    cells = [
        f"<th style='text-align:left;font-weight:normal;opacity:0.75'>{escape(headline.label)}</th>"
        f"<td style='text-align:right;padding-right:2em'>{escape(headline_text(headline, metrics))}</td>"
        for headline in SHORT
    ]
    half = (len(cells) + 1) // 2
    pairs = zip(cells[:half], [*cells[half:], ""][:half], strict=True)
    rows = "".join(f"<tr>{left}{right}</tr>" for left, right in pairs)
    heading = f"<b>{escape(title)}</b> <span style='opacity:0.75'>{escape(facts)}</span>"
    return f"<div>{heading}<table style='margin-top:4px'><tbody>{rows}</tbody></table></div>"
