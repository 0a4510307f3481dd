"""`StatisticsOfResult`: what a `BacktestResult` says about itself beyond its plain metrics. Nothing is computed before it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.annualization import follows_sessions, get_annualization_factor
from ml4t_backtest.analytics.figures import Statistics
from ml4t_backtest.analytics.metrics import YEAR_NS, _changes
from ml4t_backtest.analytics.ratios import checked_periods
from ml4t_backtest.config import AccountType
from ml4t_backtest.frames import time_series
from ml4t_kernels.codes import TradeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from ml4t_backtest.analytics.benchmarks import Comparison
    from ml4t_backtest.analytics.exposure import Exposure, Holdings
    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.sessions import SessionConfig
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["StatisticsOfResult"]

_PAID_IN_FULL = (AccountType.CASH, AccountType.CRYPTO)


class StatisticsOfResult:
    """The statistics of a run."""

    _saved_exposure: Exposure | None = None

    if TYPE_CHECKING:
        config: BacktestConfig
        _panels: Panels
        _initial_cash: float
        _times: IntArray
        _equity: FloatArray
        _cash: FloatArray
        _fills: Records
        _orders: Records
        _trades: Records
        _multipliers: FloatArray

        def to_daily_pnl(  # noqa: D102
            self,
            session_aligned: bool = False,  # noqa: FBT001, FBT002 - published
            *,
            session_config: SessionConfig | None = None,
        ) -> pl.DataFrame: ...
        def to_cash_flows_dataframe(self) -> pl.DataFrame: ...  # noqa: D102
        def _sessions_of(self, calendar: str | None) -> SessionConfig: ...

    @property
    def statistics(self) -> Statistics:
        """The rich figures by name, a lazy mapping: ratios, tails, best and worst, drawdowns, exposure, turnover, excursions.

        `docs/statistics.md` defines each. Per year means bars per year as the run had them, and sessions per year for the daily ones;
        `statistics.using(periods_per_year=..., risk_free_rate=...)` counts otherwise. NaN: not defined for this run.
        """
        return self._statistics

    @cached_property
    def _statistics(self) -> Statistics:
        return Statistics(self)

    def relative_to(self, benchmark: Any, risk_free_rate: float = 0.0, *, periods_per_year: float | None = None) -> Mapping[str, float]:
        """Return figures against a benchmark: alpha, beta, correlation, information_ratio, tracking_error, capture, excess_return and more.

        benchmark: the name of an asset of the feed (its closes), a frame with timestamp and close (or return), a pandas series with times
        (prices when it is named close, price, value or equity, else returns), another `BacktestResult`, or one return per bar as an
        array or list. Compared is from each time that both have to the next; dates mean the last bar of a day. risk_free_rate: a
        year's. periods_per_year: None counts the common times over their span.

        Raises ValueError and TypeError for what cannot be compared, as `docs/statistics.md` lists.
        """
        from ml4t_backtest.analytics.relative import relative_figures

        given = checked_periods(periods_per_year)
        both = self._compared(benchmark)
        per_year = self._pace(both.places) if given is None else given
        return relative_figures(both.returns, both.benchmark, per_year, risk_free_rate)

    def _compared(self, benchmark: Any) -> Comparison:
        from ml4t_backtest.analytics.benchmarks import compared

        return compared(benchmark, self._times, self._equity, self._panels)

    def _pace(self, places: IntArray) -> float:
        """Return how many of the returns between some bars there are per year."""
        years = float(self._times[places[-1]] - self._times[places[0]]) / YEAR_NS if len(places) > 1 else 0.0
        return (len(places) - 1) / years if years > 0.0 else 0.0

    # In time -------------------------------------------------------------------------------------------------------------

    def drawdowns(self, n: int | None = None) -> pl.DataFrame:
        """Return one row per drawdown, the deepest first; n: only so many.

        Columns: start (time of the last bar at the high-water mark; of the first bar for a fall from the initial cash), trough, end
        (time at which the mark was reached again, null while it was not), depth (fraction <= 0), recovered (Boolean), bars,
        bars_to_trough, bars_to_recovery (from the trough, null before), days, days_to_trough, days_to_recovery (days of 24 hours). bars
        and days of an open one count to the last bar. Raises ValueError for an n that is no whole number >= 0.
        """
        from ml4t_backtest.analytics.periods import drawdown_frame

        return drawdown_frame(self._times, self._equity, self._initial_cash, self._panels.zone, n)

    def monthly_returns(self) -> pl.DataFrame:
        """Return one row per month with bars.

        Columns: year (Int32), month (Int8), close_equity, pnl [money, since the close of the month before, at first the initial cash],
        return (the same as a fraction), num_days, num_bars (Int32). Months are those of the days of `to_daily_returns`: dates in the
        feed's time zone, sessions for calendars whose sessions start in the evening.
        """
        from ml4t_backtest.analytics.periods import monthly_frame

        return monthly_frame(self._days(), self._initial_cash)

    def yearly_returns(self) -> pl.DataFrame:
        """Return one row per year with bars; columns as `monthly_returns` without month."""
        from ml4t_backtest.analytics.periods import yearly_frame

        return yearly_frame(self._days(), self._initial_cash)

    def _days(self) -> pl.DataFrame:
        """Return the frame of days that `to_daily_returns` reads."""
        return self._daily

    @cached_property
    def _daily(self) -> pl.DataFrame:
        name = getattr(self.config, "calendar", None)
        return self.to_daily_pnl(session_config=self._sessions_of(name) if follows_sessions(name) else None)

    def _days_per_year(self) -> float:
        """Return the sessions per year of the config's calendar, else the days per year that the run had."""
        name = getattr(self.config, "calendar", None)
        if name is not None:
            return float(get_annualization_factor(name))
        dates = self._days()["date"]
        span = (dates[-1] - dates[0]).days / 365.25 if len(dates) > 1 else 0.0
        return (len(dates) - 1) / span if span > 0.0 else 0.0

    def rolling(self, window: int | None = None, benchmark: Any = None, *, periods_per_year: float | None = None) -> pl.DataFrame:
        """Return figures of a moving window of bars, one row per bar after the first; null before the window is full.

        window: number of returns; None is half a year of them, but at most a quarter of the run. benchmark: as `relative_to` takes it;
        rows then are the common times after the first. Columns: timestamp, return (compounded over the window), volatility, sharpe (per
        year), and with a benchmark beta, correlation (null where one side has no spread). Raises ValueError for a window that is no
        whole number >= 2.
        """
        from ml4t_backtest.analytics.periods import rolling_frame, window_of

        given = checked_periods(periods_per_year)
        both = None if benchmark is None else self._compared(benchmark)
        places = np.arange(len(self._times)) if both is None else both.places
        returns = _changes(self._equity) if both is None else both.returns
        per_year = self._pace(places) if given is None else given
        stamps = time_series("timestamp", self._times[places[1:]], self._panels.zone)
        other = None if both is None else both.benchmark
        return rolling_frame(stamps, returns, other, window_of(window, len(returns), per_year), per_year)

    # Positions and trading -----------------------------------------------------------------------------------------------

    def exposure(self) -> pl.DataFrame:
        """Return what was held at the end of each bar, one row per bar.

        Columns: timestamp, long, short (<= 0), gross (long - short), net (long + short) [money: quantity times last close times
        multiplier; of a future its notional], leverage (gross over account value; infinite on a value that is not positive),
        num_positions (Int64). A result read from a folder of an older version has neither prices nor exposure: money and leverage
        are null, unless it was a cash or crypto account that was never short, where the positions are account value less cash.
        """
        from ml4t_backtest.analytics.exposure import exposure_frame

        return exposure_frame(self._exposed(), self._times, self._equity, self._panels.zone)

    def _exposed(self) -> Exposure:
        """Return the exposure of each bar as arrays, as it was saved where a result comes from a folder."""
        return self._measured_exposure if self._saved_exposure is None else self._saved_exposure

    @cached_property
    def _measured_exposure(self) -> Exposure:
        from ml4t_backtest.analytics.exposure import measured

        close = self._panels.prices.get("close")
        rows = np.searchsorted(self._panels.times, self._times)
        found = measured(self._holdings, close, rows, self._multipliers)
        if close is not None or getattr(self.config, "account_type", None) not in _PAID_IN_FULL or np.any(self._fills["position"] < 0.0):
            return found
        # without futures and shorts the account's own books say what the positions were worth
        value = np.where(found.num_positions > 0, self._equity - self._cash, 0.0)
        return found._replace(long=value, short=np.zeros(len(value)))

    @cached_property
    def _fill_bars(self) -> IntArray:
        """The bar of each fill, by its time: numbers of bars may be missing in a folder of another version."""
        bars: IntArray = np.searchsorted(self._times, self._fills["timestamp"])
        return bars

    @cached_property
    def _holdings(self) -> Holdings:
        from ml4t_backtest.analytics.exposure import holdings_of, splits_of

        splits = splits_of(self._panels, getattr(self, "_events", None))
        return holdings_of(self._times, self._fills, self._fill_bars, self._trades, splits, self._panels.times)

    def turnover(self) -> pl.DataFrame:
        """Return what was traded on each bar, one row per bar.

        Columns: timestamp, bought, sold, traded (their sum) [money >= 0, with multiplier], turnover (half of traded over the account
        value at the end of the bar; null where that is not positive), num_fills (Int64).
        """
        from ml4t_backtest.analytics.exposure import turnover_frame

        return turnover_frame(self._times, self._equity, self._fills, self._fill_bars, self._multipliers, self._panels.zone)

    def trade_statistics(self, by: str | None = None) -> pl.DataFrame:
        """Return figures of the finished trades (closed and partial): one row, or one row per group.

        by: asset, exit_reason, side (long, short), or of the exit's time on the feed's clocks: month (first day), year, weekday (1 is
        Monday), hour. The first column is named so; rows are in its order, assets in that of the feed.

        Columns, those of the metrics with their meaning: num_trades, winning_trades, losing_trades, win_rate, total_pnl, avg_pnl,
        gross_profit, gross_loss, profit_factor, expectancy, avg_trade, avg_win, avg_loss, largest_win, largest_loss, payoff_ratio,
        avg_bars_held; avg_days_held, max_days_held (24 hours), avg_mfe, avg_mae, edge_ratio (mean MFE over mean MAE),
        max_consecutive_wins, max_consecutive_losses (in order of exit, within the group), avg_r_multiple (null where no risk is known),
        num_r_multiples, total_commission, total_slippage [money]. Raises ValueError for another `by`.
        """
        from ml4t_backtest.analytics.tradetables import trade_table

        return trade_table(self._trade_columns, self._panels, by)

    @cached_property
    def _trade_columns(self) -> pl.DataFrame:
        """The columns of the finished trades; those still open stand behind them in a run."""
        from ml4t_backtest.analytics.tradetables import trade_columns

        done = self._trades["status"] != TradeStatus.OPEN
        count = int(np.count_nonzero(done))
        chosen = slice(count) if done[:count].all() else done
        return trade_columns(self._trades[chosen], self._r_multiples[chosen])

    @cached_property
    def _r_multiples(self) -> FloatArray:
        """P&L over initial risk of each trade row, NaN where it is not known."""
        from ml4t_backtest.analytics.tradetables import r_multiples

        return r_multiples(self._trades, self._orders, self._times, self._holdings.splits[1])

    def r_multiples(self) -> pl.Series:
        """Return P&L over initial risk of each row of `to_trades_dataframe`, null where the risk is not known.

        Known is the risk of positions opened by an order with one child that is a stop (as `submit_bracket` makes), which was not
        changed after the bar of the entry: the distance from entry price to stop, times quantity and multiplier. Position rules and
        trailing stops leave no record of their first level.
        """
        import polars as pl

        return pl.Series("r_multiple", self._r_multiples).fill_nan(None)

    def costs(self, by: str | None = None) -> pl.DataFrame:
        """Return what trading and holding cost: one row, or with by="asset" one row per asset and one (null) for the account.

        Columns, all money, positive when paid and negative when received: commission, slippage (given up in the prices of fills), dividend,
        funding, cash_interest, margin_interest, borrow_fee, total; then traded (value of all fills) and num_fills. Raises ValueError
        for another `by`.
        """
        from ml4t_backtest.analytics.costs import costs_frame

        return costs_frame(self._fills, self.to_cash_flows_dataframe(), self._panels.assets, self._multipliers, by)
