"""Hands a run to ml4t-diagnostic: portfolio analysis, metrics, tear sheet, trade records, and the recipes of the cookbook."""

from __future__ import annotations

import os
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from ml4t.diagnostic.evaluation import TradeAnalysis
from ml4t.diagnostic.integration import TradeRecord

from ml4t_backtest import BacktestResult
from tests.recipes import RECIPES, engine_of, run_block, signal_frame, usual_names
from validation.readers.handing_over import compare, sample_run


def play_recipes() -> None:
    """Run what docs/cookbook.md shows of this package, as printed there."""
    for heading in ("Portfolio analysis", "Trade analysis", "Features at trades"):
        with redirect_stdout(StringIO()):
            run_block(RECIPES[heading], {**usual_names(), "result": engine_of().run(), "signals_df": signal_frame()})
        print(f"ml4t-diagnostic: the recipe {heading!r} runs")


def main() -> None:
    """Hand over a run, and the same run read from a folder, and compare the figures of the package with ours."""
    result = sample_run()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        result.to_parquet("saved")
        loaded = BacktestResult.from_parquet("saved")
        page = result.to_tearsheet(output_path="tear.html")
        assert Path("tear.html").stat().st_size > 10_000
        assert "<html" in page.lower()
        play_recipes()
    daily = result.to_daily_returns().to_numpy()
    sharpe = daily.mean() / daily.std(ddof=1) * np.sqrt(252)
    figures = []
    for title, each in (("run", result), ("loaded", loaded)):
        summary = each.to_portfolio_analysis().compute_summary_stats()
        metrics = each.compute_metrics()
        figures += [
            (f"{title}: total return of the analysis", summary.total_return, result["total_return"]),
            (f"{title}: largest drawdown of the analysis", -summary.max_drawdown, result["max_drawdown"]),
            (f"{title}: Sharpe ratio of the analysis", summary.sharpe_ratio, sharpe),
            (f"{title}: total return of the metrics", metrics["total_return"], result["total_return"]),
            (f"{title}: trades", metrics["num_trades"], result["num_trades"]),
            (f"{title}: win rate", metrics["win_rate"], result["win_rate"]),
            (f"{title}: profit factor", metrics["profit_factor"], result["profit_factor"]),
        ]
    records = [TradeRecord(**record) for record in result.to_trade_records()]
    trades = TradeAnalysis(records)
    figures += [
        ("P&L of the trade records", sum(record.pnl for record in records), sum(trade.pnl for trade in result.trades)),
        ("worst trade", trades.worst_trades(n=1)[0].pnl, min(trade.pnl for trade in result.trades)),
    ]
    compare("ml4t-diagnostic", figures)


if __name__ == "__main__":
    main()
