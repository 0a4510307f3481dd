"""What `result.plot` draws, by name: from a result to a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.reports import curves, trading
from ml4t_backtest.reports.sources import account_of, benchmark_name, closed_trades, cost_rows, exposure_of, rolling_of, sums_by
from ml4t_backtest.reports.thinning import thinned
from ml4t_backtest.reports.wording import drawn_text, worded

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from ml4t_backtest.result import BacktestResult

__all__ = ["MOST_POINTS", "PICTURES", "picture", "rolling_figure", "title_of"]

MOST_POINTS = 4_000
_ROLLING = (("sharpe", "Sharpe", ".3~g"), ("volatility", "Volatility", ".3~p"), ("beta", "Beta", ".3~g"))


def _equity(result: BacktestResult, title: str, *, log: bool = False, benchmark: Any = None) -> Any:
    frame = account_of(result, benchmark)
    if log and not (frame["equity"] > 0.0).any():
        raise ValueError("log was True, but the account value is never positive; a logarithmic axis has nothing to show")
    name = "" if benchmark is None else benchmark_name(benchmark)
    return curves.equity(thinned(frame, frame.columns[1:], MOST_POINTS), name, log=log, title=title)


def _drawdown(result: BacktestResult, title: str) -> Any:
    return curves.drawdown(thinned(account_of(result), ["drawdown"], MOST_POINTS), title=title)


def _monthly(result: BacktestResult, title: str) -> Any:
    return curves.monthly(result.monthly_returns(), title=title)


def _yearly(result: BacktestResult, title: str) -> Any:
    return curves.yearly(result.yearly_returns(), title=title)


def _rolling(result: BacktestResult, title: str, *, window: int | None = None, benchmark: Any = None) -> Any:
    return rolling_figure(rolling_of(result, window, benchmark), title)


def rolling_figure(frame: pl.DataFrame, title: str = "") -> Any:
    """Return the panels of a moving window. frame: of `rolling_of`."""
    parts = [part for part in _ROLLING if part[0] in frame.columns]
    return curves.panels(thinned(frame, [name for name, _, _ in parts], MOST_POINTS), parts, title=title)


def _exposure(result: BacktestResult, title: str) -> Any:
    frame = exposure_of(result)
    return curves.exposure(thinned(frame, frame.columns[1:], MOST_POINTS), title=title)


def _trades(result: BacktestResult, title: str) -> Any:
    return trading.excursions(closed_trades(result), title=title)


def _returns(result: BacktestResult, title: str) -> Any:
    return trading.distribution(closed_trades(result), title=title)


def _exit_reasons(result: BacktestResult, title: str) -> Any:
    reasons, sums, counts = sums_by(result, "exit_reason")
    return trading.amounts(trading.leading([worded(reason) for reason in reasons], sums, counts), title=title)


def _assets(result: BacktestResult, title: str) -> Any:
    return trading.amounts(trading.leading(*sums_by(result, "asset")), title=title)


def _costs(result: BacktestResult, title: str) -> Any:
    return trading.cost_bars([(worded(kind), amount) for kind, amount in cost_rows(result)], title=title)


PICTURES: dict[str, tuple[str, Callable[..., Any]]] = {
    "equity": ("Account value", _equity),
    "drawdown": ("Drawdown", _drawdown),
    "monthly": ("Monthly returns, %", _monthly),
    "yearly": ("Returns by year", _yearly),
    "rolling": ("Rolling Sharpe and volatility", _rolling),
    "exposure": ("Exposure", _exposure),
    "trades": ("Best and worst moments of trades", _trades),
    "returns": ("Distribution of trade returns", _returns),
    "exit_reasons": ("P&amp;L by exit reason", _exit_reasons),
    "assets": ("P&amp;L by asset", _assets),
    "costs": ("Costs", _costs),
}
_OPTIONS = {"equity": ("log", "benchmark"), "rolling": ("window", "benchmark")}


def title_of(what: str) -> str:
    """Return what a picture is called."""
    return PICTURES[what][0].replace("&amp;", "&")


def picture(result: BacktestResult, what: str, title: str | None, options: dict[str, Any]) -> Any:
    """Return a picture by name. title: None for its own, "" for none.

    Raises ValueError for unknown names, TypeError for options that the picture does not have, ImportError without plotly.
    """
    if what not in PICTURES:
        raise ValueError(f"what was {what!r}, expected one of {list(PICTURES)}{did_you_mean(str(what), PICTURES)}")
    known = ("title", *_OPTIONS.get(what, ()))
    for name in options:
        if name not in known:
            raise TypeError(f"plot({what!r}) has no option {name!r}; it takes {', '.join(known)}{did_you_mean(name, known)}")
    own, draw = PICTURES[what]
    return draw(result, own if title is None else drawn_text(title, 200), **options)
