"""Market calendars: trading days, hours, holidays and early closes of exchanges.

Built over pandas_market_calendars, which is loaded on the first call. Calendars go by name, in any case: those of
`list_calendars()`, among them the aliases of `CALENDAR_ALIASES`. Where a function takes a calendar by position, it may
stand before or after the other arguments: it is the only one that is a name. `calendar_id=` is another spelling of
`calendar=`. A start or end given as a datetime counts with its date as written; both ends of a range are included.
"""

from __future__ import annotations

from ml4t_backtest.calendar.days import (
    Holidays,
    get_early_closes,
    get_holidays,
    get_schedule,
    get_trading_days,
    is_trading_day,
    next_trading_day,
    previous_trading_day,
)
from ml4t_backtest.calendar.hours import filter_to_trading_days, filter_to_trading_sessions, generate_trading_minutes, is_market_open
from ml4t_backtest.calendar.schedules import CALENDAR_ALIASES, get_calendar, list_calendars

__all__ = [
    "CALENDAR_ALIASES",
    "Holidays",
    "filter_to_trading_days",
    "filter_to_trading_sessions",
    "generate_trading_minutes",
    "get_calendar",
    "get_early_closes",
    "get_holidays",
    "get_schedule",
    "get_trading_days",
    "is_market_open",
    "is_trading_day",
    "list_calendars",
    "next_trading_day",
    "previous_trading_day",
]
