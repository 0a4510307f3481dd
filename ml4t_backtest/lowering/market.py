"""Panels to the market that kernels read, with the session of every bar."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ml4t_backtest.config import DataFrequency, MissingBarOrders
from ml4t_backtest.memory import constant
from ml4t_backtest.store import Market

if TYPE_CHECKING:
    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.panels import Panels

__all__ = ["lower_market", "trading_bars"]


def lower_market(panels: Panels, config: BacktestConfig, *, windows: bool = False) -> Market:
    """Return the bars as kernels see them. Runs over one feed share them.

    windows: volumes that the feed does not have are a panel of NaN, whose columns can be looked back on; else they are None. Raises
    ValueError for a vwap price without its column.
    """
    if config.price_of_market_orders.value == "vwap" and "vwap" not in panels.extras:
        raise ValueError("execution_price 'vwap' needs a column 'vwap' in prices")
    key = "market", windows, config.calendar, config.timezone, config.missing_bar_orders
    if key not in panels.lowered:
        panels.lowered[key] = _market(panels, config, windows=windows)
    market: Market = panels.lowered[key]
    return market


def _market(panels: Panels, config: BacktestConfig, *, windows: bool) -> Market:
    from ml4t_backtest.sessions import session_numbers

    prices, extras = panels.prices, panels.extras
    numbers, flags = session_numbers(panels.times, calendar=config.calendar, timezone=config.timezone)
    unknown = constant(math.nan, prices["close"].shape) if windows else None
    volume = prices["volume"] if panels.has_volume else unknown
    market = Market(
        panels.times,
        numbers,
        flags.astype(np.int64),
        prices["open"],
        prices["high"],
        prices["low"],
        prices["close"],
        volume,
        extras.get("vwap"),
        extras.get("bid"),
        extras.get("ask"),
    )
    if config.missing_bar_orders is MissingBarOrders.LAST_BAR and np.isnan(market.close).any():
        return _with_last_bars(market)
    return market


def _with_last_bars(market: Market) -> Market:
    """Return the market with an asset's last bar where it has none: close and quotes stay missing, the vwap is the last close."""
    close = market.close
    missing = np.isnan(close)
    rows = np.where(missing, 0, np.arange(len(close))[:, np.newaxis])
    last = np.maximum.accumulate(rows, axis=0), np.arange(close.shape[1])
    known = ("open", "high", "low", *(() if market.volume is None else ("volume",)))
    changed = {name: np.where(missing, getattr(market, name)[last], getattr(market, name)) for name in known}
    changed["vwap"] = np.where(missing, close[last], close if market.vwap is None else market.vwap)
    quotes = {name: getattr(market, name) for name in ("bid", "ask")}
    changed |= {name: np.where(missing, math.nan, panel) for name, panel in quotes.items() if panel is not None}
    return replace(market, **changed)


def trading_bars(panels: Panels, config: BacktestConfig) -> Panels:
    """Return the panels without the bars outside the calendar's sessions, when `enforce_sessions` is set."""
    if not config.enforce_sessions or config.calendar is None:
        return panels
    from ml4t_backtest.sessions import sessions_open

    by = "day" if config.data_frequency is DataFrequency.DAILY else "minute"
    key = "bars", config.calendar, config.timezone, by
    if key not in panels.lowered:
        wanted = sessions_open(panels.times, config.calendar, config.timezone, by)
        panels.lowered[key] = None if wanted.all() else panels.only(wanted)
    part: Panels | None = panels.lowered[key]
    return panels if part is None else part
