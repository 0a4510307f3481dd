"""What the commands of `ml4t_backtest.cli` measure, print and write, and the demonstration itself."""

from __future__ import annotations

import os
import shutil
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.strategy import ArrayStrategy, Strategy

__all__ = ["Clock", "load_kernels", "print_results", "print_text", "run_demo", "settings_in_words", "tiny_backtest"]

_WIDE, _WIDEST = 100, 100  # from here on columns stand further apart; prose is never wider


# Time --------------------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """Seconds by part of a run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time until the end of the `with` block to a part."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start

    def rates(self, bars: int, assets: int) -> tuple[float, float]:
        """Return bars and asset-bars per second of the part "run"."""
        speed = bars / max(self.seconds["run"], 1e-9)
        return speed, speed * assets

    def in_words(self, bars: int, assets: int) -> str:
        """Return all parts and the speed in one line."""
        parts = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in self.seconds.items())
        speed, asset_speed = self.rates(bars, assets)
        return f"Time: {parts}; {speed:,.0f} bars/s, {asset_speed:,.0f} asset-bars/s"


def load_kernels() -> str:
    """Bind every kernel, so that no run is slowed by it; say so beforehand when that means compiling. Returns what was done."""
    from ml4t_backtest import calls
    from ml4t_kernels import _jit

    if not _jit.COMPILED:
        return "interpreted (NUMBA_DISABLE_JIT is set)"
    empty = next(_jit.cache_folder().rglob("*.nbi"), None) is None
    if empty:
        print("compiling kernels, once per installation (under a minute) ...", flush=True)
    start = perf_counter()
    for name in calls._SIGNATURES:
        calls.call(name)
    tiny_backtest()
    return f"{'compiled' if empty else 'loaded'} in {perf_counter() - start:.2f} s"


def tiny_backtest() -> None:
    """Run two assets over two bars, given in an order that needs every kernel of the feed."""
    from datetime import datetime

    import polars as pl

    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.engine import Engine
    from ml4t_backtest.examples import BuyAndHold

    days = [datetime(2024, 1, day) for day in (2, 2, 1, 1)]  # noqa: DTZ001 - feeds may be naive
    prices = pl.DataFrame({"timestamp": days, "symbol": ["B", "A", "B", "A"], "close": [1.0, 2.0, 3.0, 4.0]})
    Engine(DataFeed(prices), BuyAndHold()).run()


# Tables ------------------------------------------------------------------------------------------------------------------


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _percent(value: float) -> str:
    return f"{value * 100.0:,.2f} %"


def _count(value: float) -> str:
    return f"{value:,.0f}"


# None is a rule across the table.
_METRICS: tuple[tuple[str, str, Callable[[float], str]] | None, ...] = (
    ("Initial cash", "initial_cash", _money),
    ("Final value", "final_value", _money),
    ("Total return", "total_return", _percent),
    ("Return p.a.", "cagr", _percent),
    ("Volatility p.a.", "volatility", _percent),
    ("Max drawdown", "max_drawdown", _percent),
    None,
    ("Sharpe ratio", "sharpe", _money),
    ("Sortino ratio", "sortino", _money),
    ("Calmar ratio", "calmar", _money),
    None,
    ("Trades", "num_trades", _count),
    ("Still open", "num_open_trades", _count),
    ("Win rate", "win_rate", _percent),
    ("Profit factor", "profit_factor", _money),
    ("Mean bars held", "avg_bars_held", _count),
    None,
    ("Fills", "num_fills", _count),
    ("Commission", "total_commission", _money),
    ("Slippage", "total_slippage", _money),
)
_OF_TRADES = ("win_rate", "profit_factor", "avg_bars_held")  # say nothing while there is no trade

_Row = tuple[str, list[str]]


def print_results(headers: Sequence[tuple[str, str]], results: Sequence[BacktestResult]) -> None:
    """Print a table with one column per result and the metrics as rows. headers: two lines for each column."""
    rows: list[_Row | None] = [("", [header[line] for header in headers]) for line in (0, 1) if any(header[line] for header in headers)]
    rows.append(None)
    spans = [_span(result) for result in results]
    rows += [("From", [span[0] for span in spans]), ("To", [span[1] for span in spans])]
    rows += [("Bars", [_count(result["num_bars"]) for result in results]), None]
    for metric in _METRICS:
        rows.append(None if metric is None else (metric[0], [_cell(result, *metric[1:]) for result in results]))
    _print_table(rows)


def _span(result: BacktestResult) -> tuple[str, str]:
    times = result.to_equity_dataframe()["timestamp"]
    if times.is_empty():
        return "-", "-"
    ends = [times[0], times[-1]]
    form = "%Y-%m-%d" if all(end.hour == end.minute == 0 for end in ends) else "%Y-%m-%d %H:%M"
    return ends[0].strftime(form), ends[1].strftime(form)


def _cell(result: BacktestResult, name: str, form: Callable[[float], str]) -> str:
    return "-" if name in _OF_TRADES and not result["num_trades"] else form(result[name])


def _print_table(rows: Sequence[_Row | None]) -> None:
    """Print rows with the labels left and the cells right aligned; None is a rule across the table."""
    full = [row for row in rows if row is not None]
    gap = 4 if shutil.get_terminal_size().columns >= _WIDE else 2
    first = max(len(label) for label, _ in full)
    width = max(len(cell) for _, cells in full for cell in cells) + gap
    for row in rows:
        if row is None:
            print("-" * (first + width * len(full[0][1])))
        else:
            print(row[0].ljust(first) + "".join(cell.rjust(width) for cell in row[1]))


def print_text(text: str) -> None:
    """Print a paragraph, broken to the width of the terminal."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    print(textwrap.fill(text, width, break_on_hyphens=False, break_long_words=False), flush=True)


def settings_in_words(settings: BacktestConfig) -> str:
    """Return the settings in one line: the numbers of a run mean nothing without them."""
    costs = []
    for noun, kind, rate, model in (
        ("commission", settings.commission_type, settings.commission_rate, settings.commission_model),
        ("slippage", settings.slippage_type, settings.slippage_rate, settings.slippage_model),
    ):
        costs.append({"none": f"no {noun}", "percentage": f"{noun} {100.0 * rate:g} %"}.get(kind, str(model)))
    plain = settings.to_dict()
    when = str(plain["execution"]["execution_mode"]).replace("_", " ")
    return (
        f"Settings {settings.preset_name!r}: {when} at the {settings.price_of_market_orders.value}, {', '.join(costs)},"
        f" {plain['account']['type']} account with {settings.initial_cash:,.2f}"
    )


# The demonstration -------------------------------------------------------------------------------------------------------


@dataclass
class _Part:
    """One of the runs: what it is called, what it does, and afterwards its results."""

    name: str
    title: str
    headers: tuple[str, str]
    strategy: Strategy | ArrayStrategy
    load: Callable[[], tuple[pl.DataFrame, pl.DataFrame | None]]
    clock: Clock = field(default_factory=Clock)
    feed: DataFeed | None = None
    results: list[BacktestResult] = field(default_factory=list)


def _parts() -> list[_Part]:
    from ml4t_backtest import sample_data
    from ml4t_backtest.examples import InverseVolatility, SmaCross, sma_signals

    def stocks() -> tuple[pl.DataFrame, None]:
        return sample_data.load("us_stocks"), None

    def index() -> tuple[pl.DataFrame, pl.DataFrame]:
        prices = sample_data.load("nasdaq")
        return prices, sma_signals(prices)

    return [
        _Part(
            "stocks",
            "20 US stocks by inverse volatility, rebalanced monthly, at the next close",
            ("Inverse vol.", "20 stocks"),
            InverseVolatility(),
            stocks,
        ),
        _Part(
            "nasdaq",
            "NASDAQ index while its 50-day average is above the 200-day, at the next open",
            ("SMA 50/200", "NASDAQ"),
            SmaCross(),
            index,
        ),
    ]


def run_demo(folder: Path, *, quiet: bool = False) -> None:
    """Run the demonstration and print its results; each run writes its files into its own folder below `folder`.

    quiet: print the results only, no progress and no timings. Raises KeyboardInterrupt after Ctrl-C, what has run is
    written then.
    """
    from ml4t_backtest import __version__

    if not quiet:
        print_text(f"ml4t-backtest {__version__}: two backtests on market data that comes with the package")
        print(flush=True)
    _prepare(quiet=quiet)
    parts = _parts()
    from ml4t_backtest.config import BacktestConfig

    settings = BacktestConfig(slippage_rate=0.0005)  # and by default: 100,000 of cash, the next bar, commission 0.1 %
    for number, part in enumerate(parts, 1):
        if not quiet:
            print_text(f"{number}. {part.title}")
        _run_part(part, settings, folder / part.name, progress=not quiet)
    _report(parts, folder, quiet=quiet)


def _prepare(*, quiet: bool) -> None:
    start = perf_counter()
    for library in ("numba", "polars", "ml4t_backtest.engine"):
        import_module(library)

    seconds = perf_counter() - start
    kernels = load_kernels()
    if not quiet:
        print(f"Libraries loaded in {seconds:.2f} s, kernels {kernels}\n", flush=True)


def _run_part(part: _Part, settings: BacktestConfig, folder: Path, *, progress: bool) -> None:
    """Run the strategy with the clock on, write its files, and run buy and hold on the same feed."""
    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.engine import Engine
    from ml4t_backtest.examples import BuyAndHold

    clock = part.clock
    with clock.part("load data"):
        prices, signals = part.load()
    with clock.part("feed"):
        part.feed = DataFeed(prices, signals)
    with clock.part("run"):
        result = Engine(part.feed, part.strategy, settings).run(progress=progress)
    with clock.part("results"):
        result.to_parquet(folder)
    if result.status == "interrupted":
        raise KeyboardInterrupt
    part.results = [result, Engine(part.feed, BuyAndHold(), settings).run()]


def _report(parts: Sequence[_Part], folder: Path, *, quiet: bool) -> None:
    headers = [headers for part in parts for headers in (part.headers, ("Buy & hold", part.headers[1]))]
    if not quiet:
        print()
    print_results(headers, [result for part in parts for result in part.results])
    print()
    print_text("All with commission 0.1 %, slippage 0.05 %, and 2 % kept in cash. Trade figures leave out open positions.")
    print()
    print_text(
        "A demonstration of the tool, not of a strategy: the 20 stocks were picked with hindsight (survivorship bias),"
        " and nobody can buy an index."
    )
    if not quiet:
        print()
        _print_times(parts)
    print("\nResults, for BacktestResult.from_parquet, in")
    for part in parts:
        print(f"  {folder / part.name}{os.sep}")


def _print_times(parts: Sequence[_Part]) -> None:
    rows: list[_Row | None] = [("Seconds", [part.headers[1] for part in parts]), None]
    names = list(parts[0].clock.seconds)
    rows += [(name.capitalize(), [f"{part.clock.seconds[name]:.3f}" for part in parts]) for name in names]
    rates = [part.clock.rates(part.feed.n_bars, len(part.feed.assets)) for part in parts if part.feed is not None]
    rows += [None, ("Bars per second", [_count(rate[0]) for rate in rates])]
    rows += [("Asset-bars per second", [_count(rate[1]) for rate in rates])]
    _print_table(rows)
