"""Hands a run to pyfolio-reloaded and quantstats: figures, round trips, full tear sheet, HTML report."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")  # of the libraries, on each other
logging.disable(logging.WARNING)  # fonts

import pyfolio  # noqa: E402
import quantstats  # noqa: E402

from validation.readers.handing_over import compare, sample_run  # noqa: E402


def main() -> None:
    """Hand over a run and compare the figures of the packages with ours."""
    result = sample_run()
    given = result.to_pyfolio()
    daily = result.to_daily_returns().to_numpy()
    sharpe = daily.mean() / daily.std(ddof=1) * np.sqrt(252)
    stats = pyfolio.timeseries.perf_stats(given.returns, positions=given.positions, transactions=given.transactions)
    trips = pyfolio.round_trips.extract_round_trips(given.transactions)
    open_trades = [trade for trade in result.trades if trade.status.value == "open"]
    gross = sum(trade.pnl + trade.commission for trade in result.trades if trade not in open_trades)
    assert given.positions is not None
    exposure = result.exposure()
    series = result.to_quantstats()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        os.chdir(folder)
        pyfolio.create_full_tear_sheet(*given)
        quantstats.reports.html(series, output="report.html", title="run")
        assert Path("report.html").stat().st_size > 10_000
    compare(
        "pyfolio and quantstats",
        [
            ("pyfolio: cumulative returns", stats["Cumulative returns"], result["total_return"]),
            ("pyfolio: largest drawdown", -stats["Max drawdown"], result["max_drawdown"]),
            ("pyfolio: Sharpe ratio", stats["Sharpe ratio"], sharpe),
            ("pyfolio: account value of the positions", given.positions.iloc[-1].sum(), result["final_value"]),
            ("pyfolio: long exposure at the end", given.positions.drop(columns="cash").iloc[-1].sum(), exposure["net"][-1]),
            ("pyfolio: P&L of round trips", trips["pnl"].sum(), gross),
            ("pyfolio: round trips", len(trips), result["num_trades"]),
            ("quantstats: compounded return", quantstats.stats.comp(series), result["total_return"]),
            ("quantstats: largest drawdown", -quantstats.stats.max_drawdown(series), result["max_drawdown"]),
            ("quantstats: Sharpe ratio", quantstats.stats.sharpe(series), sharpe),
        ],
    )


if __name__ == "__main__":
    main()
