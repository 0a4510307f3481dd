"""How many periods a year has, by calendar."""

from __future__ import annotations

__all__ = ["follows_sessions", "get_annualization_factor"]

# Sessions of a usual year. Other calendars are counted over 2024.
_SESSIONS = {
    **dict.fromkeys(("24/7", "CRYPTO"), 365),
    **dict.fromkeys(("LSE", "XLON"), 253),
    **dict.fromkeys(("JPX", "XTKS", "XJPX"), 245),
    **dict.fromkeys(("NYSE", "XNYS", "NASDAQ", "XNAS", "CME", "CME_Equity", "CBOT", "NYMEX", "COMEX", "ICE"), 252),
}
_USUAL = 252
_COUNTED_YEAR = ("2024-01-01", "2024-12-31")
_EVENING = ("CME", "CBOT", "NYMEX", "COMEX")


def follows_sessions(calendar: str | None) -> bool:
    """Tell whether days of a calendar are sessions by default: those of the futures exchanges, which start in the evening."""
    return calendar is not None and str(calendar).startswith(_EVENING)


def get_annualization_factor(calendar: str | None) -> int:
    """Return the sessions per year of a calendar; 252 for None.

    Crypto has 365, London 253, Tokyo 245, New York and the Chicago futures exchanges 252; of every other calendar of
    pandas_market_calendars the sessions of 2024 are counted. Raises ValueError for an unknown calendar.
    """
    if calendar is None:
        return _USUAL
    known = _SESSIONS.get(calendar)
    if known is not None:
        return known
    from ml4t_backtest.calendar import get_calendar

    return len(get_calendar(calendar).valid_days(*_COUNTED_YEAR))
