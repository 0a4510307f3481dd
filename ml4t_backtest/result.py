"""`BacktestResult`: what a run leaves behind, as metrics, frames, plain objects and files."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.annualization import follows_sessions
from ml4t_backtest.analytics.annualization import get_annualization_factor as _get_annualization_factor
from ml4t_backtest.analytics.equity import EquityCurve
from ml4t_backtest.analytics.handover import HandedOverResult
from ml4t_backtest.analytics.metrics import compute_metrics
from ml4t_backtest.analytics.of_result import StatisticsOfResult
from ml4t_backtest.analytics.trades import TradeAnalyzer
from ml4t_backtest.enrichment import enrich_trades_with_signals
from ml4t_backtest.explaining.of_result import ExplainedResult
from ml4t_backtest.frames import time_series
from ml4t_backtest.records import fills_of, open_trades, trades_frame, trades_of
from ml4t_backtest.reports.of_result import PicturesOfResult
from ml4t_backtest.resultmapping import ResultMapping
from ml4t_backtest.storedresult import StoredResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.sessions import SessionConfig
    from ml4t_backtest.store import Store
    from ml4t_backtest.types import Fill, Trade
    from ml4t_kernels.dtypes import FloatArray, Records

__all__ = ["BacktestResult", "_get_annualization_factor", "enrich_trades_with_signals"]


class BacktestResult(StatisticsOfResult, PicturesOfResult, ExplainedResult, StoredResult, HandedOverResult, ResultMapping):
    """Metrics, equity and trades of a run. Metrics are read like a dictionary: `result["sharpe"]`.

    status: "completed"; "interrupted" after Ctrl-C and "failed" after an exception in the strategy hold the run up to
    there. config: the settings of the run; None for a result loaded from a folder that has none. contract_specs: asset to
    `ContractSpec`, as the engine was given them. strategy_name: class of the strategy, None when unknown.
    """

    contract_specs: Mapping[str, ContractSpec] = MappingProxyType({})
    strategy_name: str | None = None

    def __init__(
        self,
        store: Store,
        panels: Panels,
        config: BacktestConfig,
        status: str,
        *,
        limit_names: Sequence[str] = (),
        skipped_bars: int = 0,
        contract_specs: Mapping[str, ContractSpec] | None = None,
        strategy_name: str | None = None,
    ) -> None:
        bars = store.bar + 1
        self.config = config
        self.status = status
        self._panels = panels
        self._initial_cash: float = config.initial_cash
        self._times = panels.times[:bars]
        self._timestamps = panels.timestamps[:bars]
        self._equity: FloatArray = np.ascontiguousarray(store.bars["equity"][:bars])
        self._cash: FloatArray = np.ascontiguousarray(store.bars["cash"][:bars])
        self._fills: Records = store.used_fills()
        self._orders: Records = store.used_orders()
        self._trades: Records = store.used_trades_and(open_trades(store))
        self._multipliers: FloatArray = store.multipliers
        self._flows: Records = store.used_flows()
        self._alerts: Records = store.used_alerts()
        self._rules: Records = store.terms.rules  # for `explain`
        self._events: Records = store.terms.events
        self._limit_names = tuple(limit_names)
        self._skipped_bars = skipped_bars
        self.contract_specs = dict(contract_specs or {})
        self.strategy_name = strategy_name
        self.metrics: dict[str, float] = self._computed_metrics()
        self.metrics["skipped_bars"] = float(skipped_bars)

    def _computed_metrics(self) -> dict[str, float]:
        return compute_metrics(self._initial_cash, self._times, self._equity, self._fills, self._trades, self._multipliers)

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
        return list(zip(self._timestamps, self._equity.tolist(), strict=True))

    @cached_property
    def equity(self) -> EquityCurve:
        """The account values with their statistics; the curve starts from the initial cash."""
        return EquityCurve._of(list(self._timestamps), self._equity.tolist(), self._initial_cash)

    @cached_property
    def trade_analyzer(self) -> TradeAnalyzer:
        """Figures of the finished trades, by property and by part."""
        return TradeAnalyzer(self.trades)

    # Frames --------------------------------------------------------------------------------------------------------------

    @cached_property
    def _trades_frame(self) -> pl.DataFrame:
        from ml4t_backtest.analytics.tables import with_trade_extras

        return with_trade_extras(trades_frame(self._trades, self._panels))

    def to_trades_dataframe(self) -> pl.DataFrame:
        """Return one row per trade, the same frame every time.

        Columns: asset, entry_time, exit_time (Datetime[us]), entry_price, exit_price, quantity (negative for shorts),
        direction ("long", "short"), pnl (money, after commission), pnl_percent (fraction of the entry price, before
        costs), bars_held (Int32), commission, slippage (money), mfe, mae (fractions), exit_reason, status ("closed",
        "partial", "open"); then symbol (= asset), fees (= commission), entry_slippage, exit_slippage (price per unit),
        multiplier, gross_pnl (money), gross_return (= pnl_percent), net_return (pnl over entry notional),
        total_slippage_cost (= slippage), cost_drag (commission and slippage over entry notional).
        """
        return self._trades_frame

    def to_equity_dataframe(self) -> pl.DataFrame:
        """Return one row per bar.

        Columns: timestamp, equity, cash (money), return (of the bar; the first bar against the initial cash),
        cumulative_return, drawdown (<= 0, fraction of the high-water mark), high_water_mark (starts at the initial
        cash).
        """
        import polars as pl

        from ml4t_backtest.analytics.tables import equity_columns

        equity, *rest = equity_columns(self._equity, self._initial_cash)
        return pl.DataFrame([time_series("timestamp", self._times, self._panels.zone), equity, pl.Series("cash", self._cash), *rest])

    def to_fills_dataframe(self) -> pl.DataFrame:
        """Return one row per fill.

        Columns: order_id ("ORD-1"), asset, side ("buy", "sell"), quantity (positive), signed_quantity, price,
        timestamp (Datetime[us]), commission (money), slippage (price per unit), multiplier, position (after the fill,
        signed), and what else the ledger holds on fills, by the names of its fields.
        """
        from ml4t_backtest.analytics.tables import fills_frame

        return fills_frame(self._fills, self._panels, self._multipliers)

    def to_orders_dataframe(self) -> pl.DataFrame:
        """Return one row per order, refused ones included, as they stood at the end of the run.

        Columns: order_id ("ORD-1"), asset, side, order_type, quantity, filled_quantity (positive), limit_price,
        stop_price, filled_price (null without), status, reason ("none" unless it was cancelled or refused), created_at,
        filled_at (Datetime[us], null before), reduce_only (Boolean), and what else the ledger holds on orders, by the
        names of its fields.
        """
        from ml4t_backtest.analytics.tables import orders_frame

        return orders_frame(self._orders, self._panels)

    @cached_property
    def _flows_frame(self) -> pl.DataFrame:
        from ml4t_backtest.analytics.tables import flows_frame

        return flows_frame(self._flows, self._panels)

    def to_cash_flows_dataframe(self) -> pl.DataFrame:
        """Return one row per amount of cash that moved without a fill.

        Columns: timestamp (Datetime[us]), asset (null for the account as a whole), kind ("dividend", "funding",
        "cash_interest", "margin_interest", "borrow_fee"), amount (money, negative when the account pays).
        """
        return self._flows_frame

    @cached_property
    def _alerts_frame(self) -> pl.DataFrame:
        from ml4t_backtest.analytics.tables import alerts_frame

        return alerts_frame(self._alerts, self._panels, self._limit_names)

    def to_alerts_dataframe(self) -> pl.DataFrame:
        """Return one row per breach of a portfolio limit and per margin call.

        Columns: timestamp (Datetime[us]), limit (name of the limit, or "margin_call"), action ("warn", "block", "reduce",
        "liquidate", "halt"), value (what was measured), threshold (the bound that it crossed).
        """
        return self._alerts_frame

    def to_daily_pnl(self, session_aligned: bool = False, *, session_config: SessionConfig | None = None) -> pl.DataFrame:  # noqa: FBT001, FBT002 - published
        """Return one row per day.

        Columns: date, open_equity, close_equity, high_equity, low_equity (first, last, highest, lowest account value of
        the day), num_bars (Int32), pnl (money, since the close of the day before), return_pct (the same as a fraction),
        cumulative_return (since the initial cash). Days without bars have no row.

        Days are dates in the time zone of the feed. session_aligned: days are trading sessions of the config's
        calendar (an evening start belongs to the next date), or of `session_config`; a column session_date repeats
        the date. Raises ValueError when there is neither.
        """
        import polars as pl

        from ml4t_backtest.analytics.tables import daily_frame

        if not session_aligned and session_config is None:
            dates = time_series("timestamp", self._times, self._panels.zone).dt.date()
            return daily_frame(dates, self._equity, self._initial_cash)
        sessions = session_config or self._sessions_of(getattr(self.config, "calendar", None))
        frame = daily_frame(self._session_dates(sessions), self._equity, self._initial_cash)
        return frame.with_columns(pl.col("date").alias("session_date"))

    def to_daily_returns(self, calendar: str | None = None, session_aligned: bool | None = None) -> pl.Series:  # noqa: FBT001 - published
        """Return the returns from day to day as a series "returns", one per day with bars, the first against the initial cash.

        session_aligned: days are sessions of `calendar` (of the config's for None) instead of dates; None does so for
        the futures exchanges whose sessions start in the evening (CME, CBOT, NYMEX, COMEX). Raises ValueError for
        session_aligned=True without a calendar.
        """
        sessions = self._sessions_for(calendar, session_aligned)
        return self.to_daily_pnl(session_config=sessions)["return_pct"].alias("returns")

    def _sessions_for(self, calendar: str | None, session_aligned: bool | None) -> SessionConfig | None:  # noqa: FBT001
        """Return the sessions that are the days of `to_daily_returns`, None for dates."""
        name = calendar if calendar is not None else getattr(self.config, "calendar", None)
        if session_aligned is None:
            session_aligned = follows_sessions(name)
        return self._sessions_of(name) if session_aligned else None

    def _sessions_of(self, calendar: str | None) -> SessionConfig:
        from ml4t_backtest.calendar import get_calendar
        from ml4t_backtest.sessions import SessionConfig

        if calendar is None:
            raise ValueError(
                "no calendar says when sessions start: set BacktestConfig(calendar=...), or give session_config=SessionConfig(...)"
            )
        return SessionConfig(calendar=calendar, timezone=str(get_calendar(calendar).tz))

    def _session_dates(self, sessions: SessionConfig) -> pl.Series:
        from ml4t_backtest.sessions import align_to_sessions

        times = time_series("timestamp", self._times, self._panels.zone)
        return align_to_sessions(times.to_frame(), sessions, timestamp_col="timestamp")["session_date"]

    def to_returns_series(self) -> pl.Series:
        """Return the returns from bar to bar as a series "returns", one per bar.

        The first is against the initial cash: 0 unless something traded on the first bar. Compounded they make the
        total return.
        """
        return self.to_equity_dataframe()["return"].alias("returns")

    def to_trade_records(self) -> list[dict[str, Any]]:
        """Return one dict per row of the trades frame, with the keys of `analytics.bridge.to_trade_record`."""
        from ml4t_backtest.analytics.bridge import frame_to_trade_records

        return frame_to_trade_records(self._trades_frame)

    def __repr__(self) -> str:
        metrics = self.metrics
        return (
            f"BacktestResult({self.status}: {len(self._equity)} bars, final value {metrics['final_value']:,.2f}"
            f" ({metrics['total_return_pct']:+.2f} %), max drawdown {metrics['max_drawdown_pct']:.2f} %,"
            f" Sharpe {metrics['sharpe']:.2f}, {metrics['num_trades']:.0f} trades)"
        )
