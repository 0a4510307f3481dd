"""Statistics of a finished run in money, under the names of the first published analyzer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.bridge import to_equity_dataframe, to_returns_series, to_trade_records
from ml4t_backtest.types import TradeStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from ml4t_backtest.engine import Engine
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.types import Trade

__all__ = ["BacktestAnalyzer", "TradeStatistics"]


@dataclass(frozen=True)
class TradeStatistics:
    """Figures of finished trades, all money but the counts, `win_rate`, `profit_factor` and `payoff_ratio`.

    Winners made money after costs, losers lost some. `pnl_std` has ddof 1. Without trades everything is 0; factors are
    infinite without losers. Losses are negative.
    """

    n_trades: int
    n_winners: int
    n_losers: int
    win_rate: float
    profit_factor: float
    total_pnl: float
    avg_pnl: float
    pnl_std: float
    avg_winner: float
    avg_loser: float
    max_winner: float
    max_loser: float
    total_commission: float
    total_slippage: float

    @classmethod
    def from_trades(cls, trades: Iterable[Trade]) -> TradeStatistics:
        """Count trades; positions still open (status "open") are left out."""
        done = [trade for trade in trades if trade.status is not TradeStatus.OPEN]
        pnl = np.array([trade.pnl for trade in done], dtype=np.float64)
        won, lost = pnl[pnl > 0.0], pnl[pnl < 0.0]
        gained, given = float(np.sum(won)), float(-np.sum(lost))
        return cls(
            n_trades=len(pnl),
            n_winners=len(won),
            n_losers=len(lost),
            win_rate=len(won) / len(pnl) if len(pnl) else 0.0,
            profit_factor=_quotient(gained, given),
            total_pnl=float(np.sum(pnl)),
            avg_pnl=_mean(pnl),
            pnl_std=float(np.std(pnl, ddof=1)) if len(pnl) > 1 else 0.0,
            avg_winner=_mean(won),
            avg_loser=_mean(lost),
            max_winner=float(np.max(won, initial=0.0)),
            max_loser=float(np.min(lost, initial=0.0)),
            total_commission=math.fsum(trade.commission for trade in done),
            total_slippage=math.fsum(trade.slippage for trade in done),
        )

    @property
    def expectancy(self) -> float:
        """Win rate times average winner plus loss rate times average loser [money]."""
        if not self.n_trades:
            return 0.0
        return (self.n_winners * self.avg_winner + self.n_losers * self.avg_loser) / self.n_trades

    @property
    def payoff_ratio(self) -> float:
        """Average winner over average loser, positive; infinite without losers."""
        return _quotient(self.avg_winner, -self.avg_loser)

    def to_dict(self) -> dict[str, float]:
        """Return all figures by name, expectancy and payoff_ratio among them."""
        return {**asdict(self), "expectancy": self.expectancy, "payoff_ratio": self.payoff_ratio}

    def summary(self) -> str:
        """Return the figures as lines of text."""
        rows = [
            ("Trades", f"{self.n_trades:,} ({self.n_winners:,} won, {self.n_losers:,} lost)"),
            ("Win rate", f"{self.win_rate:.2%}"),
            ("Profit factor", f"{self.profit_factor:,.2f}"),
            ("Payoff ratio", f"{self.payoff_ratio:,.2f}"),
            ("Total P&L", f"{self.total_pnl:,.2f}"),
            ("Mean P&L", f"{self.avg_pnl:,.2f} (standard deviation {self.pnl_std:,.2f})"),
            ("Mean winner, loser", f"{self.avg_winner:,.2f}, {self.avg_loser:,.2f}"),
            ("Largest winner, loser", f"{self.max_winner:,.2f}, {self.max_loser:,.2f}"),
            ("Commission", f"{self.total_commission:,.2f}"),
            ("Slippage", f"{self.total_slippage:,.2f}"),
        ]
        return "\n".join(f"{label:<24}{value}" for label, value in rows)


class BacktestAnalyzer:
    """Reads a finished run: its closed trades (partial exits among them) and its account values.

    engine: an `Engine` that has run, or a `BacktestResult`. Raises RuntimeError when the engine has not run.
    """

    def __init__(self, engine: Engine | BacktestResult) -> None:
        found: Any = engine
        self.result: BacktestResult = found if hasattr(found, "to_trades_dataframe") else found.result

    @cached_property
    def trades(self) -> list[Trade]:
        """Closed and partial trades in order of their exit."""
        return [trade for trade in self.result.trades if trade.status is not TradeStatus.OPEN]

    @property
    def equity_history(self) -> list[float]:
        """The account value of every bar [money]."""
        return [value for _, value in self.result.equity_curve]

    @cached_property
    def trade_statistics(self) -> TradeStatistics:
        """The figures of the trades."""
        return TradeStatistics.from_trades(self.trades)

    def get_trade_records(self) -> list[dict[str, Any]]:
        """Return the trades as dicts, as `analytics.bridge.to_trade_record`."""
        return to_trade_records(self.trades)

    def get_returns_series(self) -> pl.Series:
        """Return the returns from bar to bar, one fewer than the bars."""
        return to_returns_series(self.equity_history)

    def get_equity_dataframe(self) -> pl.DataFrame:
        """Return one row per bar: equity, returns (first 0), timestamp."""
        return to_equity_dataframe(self.equity_history, [when for when, _ in self.result.equity_curve])

    def get_trades_dataframe(self) -> pl.DataFrame:
        """Return one row per closed or partial trade; columns as `BacktestResult.to_trades_dataframe`."""
        import polars as pl

        return self.result.to_trades_dataframe().filter(pl.col("status") != TradeStatus.OPEN.value)

    def summary(self) -> str:
        """Return the figures of the run and of its trades as lines of text."""
        metrics = self.result.metrics
        rows = [
            ("Initial cash", f"{metrics['initial_cash']:,.2f}"),
            ("Final value", f"{metrics['final_value']:,.2f} ({metrics['total_return_pct']:+.2f} %)"),
            ("Max drawdown", f"{metrics['max_drawdown_pct']:.2f} %"),
            ("Sharpe ratio", f"{metrics['sharpe']:.2f}"),
        ]
        return "\n".join([*(f"{label:<24}{value}" for label, value in rows), self.trade_statistics.summary()])


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _quotient(above: float, below: float) -> float:
    if below > 0.0:
        return above / below
    return math.inf if above > 0.0 else 0.0
