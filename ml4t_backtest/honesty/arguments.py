"""Arguments that all checks take: settings of the runs, bars by number or time, whole numbers."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.engine import Engine, _settings_of
from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ml4t_backtest.config import Mode
    from ml4t_backtest.datafeed import DataFeed

__all__ = ["checked_count", "checked_fraction", "checked_names", "chosen_settings", "listed_bars"]

_OF_ENGINE = tuple(
    name for name in inspect.signature(Engine.__init__).parameters if name not in ("self", "feed", "strategy", "config", "settings")
)
_OF_CONFIG = (*(entry.name for entry in dataclasses.fields(BacktestConfig)), "fill_timing", "fractional_shares")


def chosen_settings(
    check: Callable[..., Any], config: BacktestConfig | Mode | str | None, keywords: dict[str, Any]
) -> tuple[BacktestConfig, dict[str, Any]]:
    """Return the settings of the runs, without `close_at_end`, and the other arguments of the engine.

    Raises TypeError for a keyword that neither the check nor the engine has.
    """
    own = [name for name in inspect.signature(check).parameters if name != "keywords"]
    for name in keywords:
        if name not in (*_OF_ENGINE, *_OF_CONFIG):
            hint = did_you_mean(name, [*own, *_OF_ENGINE, *_OF_CONFIG])
            raise TypeError(f"{check.__name__}() has no argument {name!r}{hint} It takes {', '.join(own)}, and what Engine takes")
    settings = {name: value for name, value in keywords.items() if name in _OF_CONFIG}
    made = _settings_of(config, settings)
    if made.close_at_end:
        made = made.replace(close_at_end=False)
    return made, {name: value for name, value in keywords.items() if name not in settings}


def listed_bars(bars: Any, feed: DataFeed) -> list[int]:
    """Return bars given by number or time as numbers of bars that have another one after them, in order.

    Raises TypeError for what is no list, ValueError for bars that the feed does not have.
    """
    if isinstance(bars, (str, bytes)) or not hasattr(bars, "__iter__"):
        raise TypeError(f"bars was {bars!r}, expected a list of bar numbers or times: bars=[{bars!r}]")
    made = [_bar_of(bar, feed) for bar in bars]
    if not made:
        raise ValueError("bars was empty, expected at least one bar, or None for a choice of them")
    return sorted(set(made))


def _bar_of(bar: Any, feed: DataFeed) -> int:
    place = feed._bar_at(bar, "bars", 0)
    if not 0 <= place < feed.n_bars - 1:
        raise ValueError(f"bars has {bar!r}, expected bars from 0 to {feed.n_bars - 2}: at least one has to come after it")
    return place


def checked_count(name: str, value: Any, least: int) -> int:
    """Return a whole number. Raises ValueError for another one."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} was {value!r}, expected a whole number >= {least}")
    return int(value)


def checked_fraction(name: str, value: Any) -> float:
    """Return a number from 0 to below 1. Raises ValueError for another one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not 0.0 <= value < 1.0:
        raise ValueError(f"{name} was {value!r}, expected a number from 0 to below 1")
    return float(value)


def checked_names(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return a list of names. Raises TypeError for a text."""
    if isinstance(value, str):
        raise TypeError(f"{name} was the text {value!r}, expected a list of names: {name}=[{value!r}]")
    names = tuple(value)
    if not all(isinstance(one, str) for one in names):
        raise TypeError(f"{name} was {shortened(map(repr, names))}, expected a list of names")
    return names
