"""`BacktestResult`: what a run leaves behind, as metrics, frames and plain objects."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import compute_metrics
from ml4t_backtest.frames import time_series
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.records import fills_of, open_trades, trades_frame, trades_of

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView
    from datetime import datetime

    import polars as pl

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_backtest.types import Fill, Trade
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["BacktestResult"]

_LISTS = ("trades", "fills", "equity_curve")


class BacktestResult:
    """Metrics, equity and trades of a run. Metrics are read like a dictionary: `result["sharpe"]`.

    status: "completed"; "interrupted" after Ctrl-C and "failed" after an exception in the strategy hold the run up to
    there.
    """

    def __init__(self, store: Store, panels: Panels, config: BacktestConfig, status: str) -> None:
        bars = store.bar + 1
        self.config = config
        self.status = status
        self._panels = panels
        self._times = panels.times[:bars]
        self._equity: FloatArray = np.ascontiguousarray(store.bars["equity"][:bars])
        self._cash: FloatArray = np.ascontiguousarray(store.bars["cash"][:bars])
        self._fills: Records = store.used_fills()
        self._trades: Records = store.used_trades_and(open_trades(store))
        self.metrics: dict[str, float] = compute_metrics(
            config.initial_cash, self._times, self._equity, self._fills, self._trades, store.multipliers
        )

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the assets of the feed."""
        return self._panels.assets

    @cached_property
    def trades(self) -> list[Trade]:
        """Closed and partial trades in order of their exit, then the positions open at the end."""
        return trades_of(self._trades, self._panels)

    @cached_property
    def fills(self) -> list[Fill]:
        """All fills in order."""
        return fills_of(self._fills, self._panels)

    @cached_property
    def equity_curve(self) -> list[tuple[datetime, float]]:
        """Pairs of time and account value, one per bar."""
        return list(zip(self._panels.timestamps[: len(self._equity)], self._equity.tolist(), strict=True))

    def to_trades_dataframe(self) -> pl.DataFrame:
        """Return one row per trade.

        Columns: asset, entry_time, exit_time (Datetime[us]), entry_price, exit_price, quantity (negative for shorts),
        direction ("long", "short"), pnl (money, after commission), pnl_percent (fraction of the entry price, before
        costs), bars_held (Int32), commission, slippage (money), mfe, mae (fractions), exit_reason, status ("closed",
        "partial", "open"); then symbol (= asset), fees (= commission), entry_slippage, exit_slippage (price per unit),
        multiplier, gross_pnl (money).
        """
        return trades_frame(self._trades, self._panels)

    def to_equity_dataframe(self) -> pl.DataFrame:
        """Return one row per bar.

        Columns: timestamp, equity, cash (money), return (of the bar; the first bar against the initial cash),
        cumulative_return, drawdown (<= 0, fraction of the high-water mark), high_water_mark (starts at the initial
        cash).
        """
        import polars as pl

        start = self.config.initial_cash
        equity = pl.Series("equity", self._equity)
        before = np.concatenate([[start], self._equity[:-1]]) if len(self._equity) else self._equity
        high = np.maximum.accumulate(np.maximum(self._equity, start)) if len(self._equity) else self._equity
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = np.where(before > 0.0, self._equity / before - 1.0, 0.0)
        return pl.DataFrame(
            [
                time_series("timestamp", self._times, self._panels.zone),
                equity,
                pl.Series("cash", self._cash),
                pl.Series("return", returns),
                (equity / start - 1.0).alias("cumulative_return"),
                (equity / pl.Series(high) - 1.0).alias("drawdown"),
                pl.Series("high_water_mark", high),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics together with the lists trades, fills and equity_curve."""
        return {**self.metrics, **{name: getattr(self, name) for name in _LISTS}}

    def __getitem__(self, key: str) -> Any:
        if key in self.metrics:
            return self.metrics[key]
        if key in _LISTS:
            return getattr(self, key)
        known = (*self.metrics, *_LISTS)
        raise KeyError(f"no metric {key!r}{did_you_mean(key, known)} Known: {', '.join(known)}")

    def __contains__(self, key: object) -> bool:
        return key in self.metrics or key in _LISTS

    def __iter__(self) -> Iterator[str]:
        return iter((*self.metrics, *_LISTS))

    def __len__(self) -> int:
        return len(self.metrics) + len(_LISTS)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a metric or list, or `default`."""
        return self[key] if key in self else default

    def keys(self) -> KeysView[str]:
        """Return the names of all metrics and lists."""
        return self.to_dict().keys()

    def items(self) -> ItemsView[str, Any]:
        """Return pairs of name and value."""
        return self.to_dict().items()

    def __repr__(self) -> str:
        metrics = self.metrics
        return (
            f"BacktestResult({self.status}: {len(self._equity)} bars, final value {metrics['final_value']:,.2f}"
            f" ({metrics['total_return_pct']:+.2f} %), max drawdown {metrics['max_drawdown_pct']:.2f} %,"
            f" Sharpe {metrics['sharpe']:.2f}, {metrics['num_trades']:.0f} trades)"
        )
