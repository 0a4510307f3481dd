"""The part of a result that other libraries take: the diagnostic package, pyfolio, quantstats."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ml4t_backtest.frames import time_series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import polars as pl

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.sessions import SessionConfig

__all__ = ["HandedOverResult", "PyfolioInput"]

# Columns of the published engine's frames that our runs have no values for: quotes, and words on orders.
_QUOTES = ("quote_mid_price", "bid_price", "ask_price", "spread", "available_size")
_OF_FILLS = (*_QUOTES, "reference_price", "bid_size", "ask_size", "limit_price", "stop_price")
_WORDS_OF_FILLS = ("order_type", "price_source", "exit_reason", "exit_reason_detail", "rebalance_id", "currency")
_OF_TRADES = tuple(f"{side}_{name}" for side in ("entry", "exit") for name in _QUOTES)
_STATE = ("timestamp", "equity", "cash", "gross_exposure", "net_exposure", "open_positions")


class PyfolioInput(NamedTuple):
    """What `pyfolio.create_full_tear_sheet(*result.to_pyfolio())` takes, in pandas, by days in UTC.

    returns: Series, one per day. positions: frame of money by day, one column per asset that was held and `cash`; None where a
    result has no prices. transactions: frame with amount, price, symbol, one row per fill.
    """

    returns: pd.Series
    positions: pd.DataFrame | None
    transactions: pd.DataFrame


class HandedOverResult:
    """Hand-over to other libraries."""

    def to_portfolio_analysis(self, *arguments: Any, **options: Any) -> Any:
        """Return the diagnostic package's portfolio analysis of this run. arguments, options: as it takes them.

        Raises ImportError without ml4t-diagnostic, which is looked up now. That package imports `ml4t.backtest`; where the
        published engine is not installed, this package stands in under that name (as after `import ml4t_backtest.dropin`).
        """
        return _diagnostic("portfolio_analysis_from_result", "to_portfolio_analysis")(_Published(self), *arguments, **options)

    def compute_metrics(self, *arguments: Any, **options: Any) -> Any:
        """Return the diagnostic package's metrics of this run. Arguments and errors: as `to_portfolio_analysis`."""
        return _diagnostic("compute_metrics_from_result", "compute_metrics")(_Published(self), *arguments, **options)

    def to_tearsheet(self, *arguments: Any, **options: Any) -> Any:
        """Return the diagnostic package's tear sheet of this run as HTML. Arguments and errors: as `to_portfolio_analysis`.

        It is drawn with plotly (`pip install "ml4t-diagnostic[viz]"`), and its page loads the drawing code from the network.
        """
        return _diagnostic("generate_tearsheet_from_result", "to_tearsheet")(_Published(self), *arguments, **options)

    def to_quantstats(self, calendar: str | None = None, session_aligned: bool | None = None) -> pd.Series:  # noqa: FBT001 - as to_daily_returns
        """Return the daily returns as a pandas Series "returns" by date (naive, midnight), as quantstats takes them.

        calendar, session_aligned: as `to_daily_returns`.
        """
        import pandas as pd

        dates, returns = self._by_day(cast("BacktestResult", self)._sessions_for(calendar, session_aligned))
        return pd.Series(returns.to_numpy(), index=_midnights(dates), name="returns")

    def to_pyfolio(self, calendar: str | None = None, session_aligned: bool | None = None) -> PyfolioInput:  # noqa: FBT001 - as to_daily_returns
        """Return daily returns, positions and transactions as pyfolio takes them, in pandas.

        calendar, session_aligned: as `to_daily_returns`; what is said about a day belongs to its session then. Amounts are units times
        the multiplier of the contract, so that amount times price is money. Times are those of the clock of the feed, named UTC,
        as pyfolio cuts days; of sessions the date. Positions need the prices of the run: None for a result from a folder.
        """
        import pandas as pd

        result = cast("BacktestResult", self)
        sessions = result._sessions_for(calendar, session_aligned)
        dates, returns = self._by_day(sessions)
        index = _midnights(dates).tz_localize("UTC")
        days = self._day_of_bars(sessions)
        fills, multipliers = result._fills, result._multipliers
        bars = np.searchsorted(result._times, fills["timestamp"])
        if sessions is None:
            clock = time_series("", fills["timestamp"], result._panels.zone).dt.replace_time_zone(None).to_pandas()
        else:
            clock = days.gather(bars).to_pandas()
        transactions = pd.DataFrame(
            {
                "amount": fills["quantity"] * multipliers[fills["asset"]],
                "price": fills["price"],
                "symbol": np.asarray(result.assets, dtype=object)[fills["asset"]] if len(fills) else np.zeros(0, dtype=object),
            },
            index=pd.DatetimeIndex(clock, name="date").tz_localize("UTC"),
        )
        return PyfolioInput(pd.Series(returns.to_numpy(), index=index, name="returns"), self._positions(days, index), transactions)

    def _by_day(self, sessions: SessionConfig | None) -> tuple[pl.Series, pl.Series]:
        frame = cast("BacktestResult", self).to_daily_pnl(session_config=sessions)
        return frame["date"], frame["return_pct"]

    def _day_of_bars(self, sessions: SessionConfig | None) -> pl.Series:
        """Return the day of each bar, as a Date."""
        import polars as pl

        result = cast("BacktestResult", self)
        if sessions is None:
            return time_series("", result._times, result._panels.zone).dt.date()
        return result._session_dates(sessions).cast(pl.Date)

    def _positions(self, days: pl.Series, index: pd.DatetimeIndex) -> pd.DataFrame | None:
        """Return the value of every asset and the cash at the end of each day [money]."""
        import pandas as pd

        from ml4t_backtest.analytics.exposure import values_at

        result = cast("BacktestResult", self)
        close = result._panels.prices.get("close")
        if close is None:
            return None
        last = np.flatnonzero(np.append((days[1:] != days[:-1]).to_numpy(), values=True)) if len(days) else np.zeros(0, dtype=np.int64)
        rows = np.searchsorted(result._panels.times, result._times)
        assets, values = values_at(result._holdings, close, rows, result._multipliers, last)
        made = pd.DataFrame(values.T, index=index, columns=[result.assets[asset] for asset in assets.tolist()])
        made["cash"] = result._equity[last] - made.sum(axis=1).to_numpy()
        return made


def _midnights(dates: pl.Series) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(dates.to_numpy(), name="date")


class _Published:
    """A result with what the diagnostic package asks of the published engine's, beside all of its own."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)

    @property
    def config(self) -> _PublishedSettings | None:
        """The settings, None when they are unknown."""
        return None if self._result.config is None else _PublishedSettings(self._result.config)

    @property
    def portfolio_state(self) -> list[tuple[Any, ...]]:
        """Rows of `to_portfolio_state_dataframe`."""
        return self.to_portfolio_state_dataframe().rows()

    def to_portfolio_state_dataframe(self) -> pl.DataFrame:
        """Return one row per bar: timestamp, equity, cash, gross_exposure, net_exposure [money], open_positions (Int32)."""
        import polars as pl

        exposure: pl.DataFrame = self._result.exposure()
        equity: pl.DataFrame = self._result.to_equity_dataframe()
        made = exposure.with_columns(
            equity["equity"],
            equity["cash"],
            pl.col("gross").alias("gross_exposure"),
            pl.col("net").alias("net_exposure"),
            pl.col("num_positions").cast(pl.Int32).alias("open_positions"),
        ).select(_STATE)
        return made if made["gross_exposure"].null_count() == 0 else made.clear()

    def to_fills_dataframe(self) -> pl.DataFrame:
        """Return the fills, with null where the published engine has quotes."""
        return _with_nulls(self._result.to_fills_dataframe(), _OF_FILLS, _WORDS_OF_FILLS)

    def to_trades_dataframe(self) -> pl.DataFrame:
        """Return the trades, with null where the published engine has quotes."""
        return _with_nulls(self._result.to_trades_dataframe(), _OF_TRADES, ("exit_reason_detail",))

    def _auto_session_aligned(self, calendar: str | None) -> bool:
        return calendar is not None and self._result._sessions_for(calendar, None) is not None


def _with_nulls(frame: pl.DataFrame, numbers: Sequence[str], words: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    kinds = {**dict.fromkeys(numbers, pl.Float64), **dict.fromkeys(words, pl.String)}
    return frame.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in kinds.items() if name not in frame.columns)


class _PublishedSettings:
    """Settings of which none is left open: the price of orders is the one that the others imply."""

    metadata: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, config: BacktestConfig) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        return self._config.price_of_market_orders if name == "execution_price" and value is None else value


def _diagnostic(function: str, method: str) -> Any:
    """Return a function of the diagnostic package. Raises ImportError when the package or the function is missing."""
    try:
        import_module("ml4t.diagnostic")
        if "ml4t.backtest" not in sys.modules and find_spec("ml4t.backtest") is None:
            import_module("ml4t_backtest.dropin")
        return getattr(import_module("ml4t.diagnostic.integration"), function)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"ml4t-diagnostic is required for BacktestResult.{method}(): pip install ml4t-diagnostic (Python 3.12 or newer; {error})"
        ) from error
