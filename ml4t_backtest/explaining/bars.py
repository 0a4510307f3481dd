"""Bars of a trade's asset: prices and signals on one, and the extremes while the position was held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.config import InitialHwmSource, WaterMarkSource
from ml4t_backtest.explaining.explanation import Step, number_text

if TYPE_CHECKING:
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.result import BacktestResult

__all__ = ["bar_of", "bar_values", "bar_words", "held_step", "water_mark"]

_PRICES = ("open", "high", "low", "close")


def bar_of(panels: Panels, time: int) -> int | None:
    """Return the bar of a time in ns, None where there is none."""
    bar = int(np.searchsorted(panels.times, time))
    return bar if bar < len(panels.times) and panels.times[bar] == time else None


def bar_values(panels: Panels, bar: int | None, column: int) -> dict[str, Any]:
    """Return prices and signals of an asset on a bar; empty where the result has none."""
    if bar is None or not panels.prices or not panels.present[bar, column]:
        return {}
    values: dict[str, Any] = {name: float(panels.prices[name][bar, column]) for name in _PRICES}
    if panels.has_volume:
        values["volume"] = float(panels.prices["volume"][bar, column])
    signals = {}
    for name, panel in panels.signals.items():
        number = float(panel[bar, column])
        if number == number:  # noqa: PLR0124 - NaN is no signal
            decoder = panels.decoders.get(name)
            signals[name] = number if decoder is None else decoder(number)
    return {**values, "signals": signals} if signals else values


def bar_words(values: dict[str, Any]) -> list[str]:
    """Return the lines that show prices and signals of a bar."""
    if not values:
        return []
    lines = ["bar: " + ", ".join(f"{name} {number_text(value)}" for name, value in values.items() if name != "signals")]
    signals = values.get("signals", {})
    if signals:
        lines.append(
            "signals: " + ", ".join(f"{name} {number_text(one) if isinstance(one, float) else one}" for name, one in signals.items())
        )
    return lines


def held_step(result: BacktestResult, row: Any) -> Step:
    """Return what happened while the position was held: best and worst move with their bars, and the extremes of the price."""
    panels, column = result._panels, int(row["asset"])
    first, last = bar_of(panels, int(row["entry_time"])), bar_of(panels, int(row["exit_time"]))
    best, worst = float(row["mfe"]), float(row["mae"])
    values: dict[str, Any] = {"bars_held": int(row["bars_held"]), "mfe": best, "mae": worst}
    bars = int(row["bars_held"])
    lines = [f"for {bars} bar{'' if bars == 1 else 's'}"]
    moves = None if first is None or last is None or not panels.prices else _moves(result, row, first, last)
    for name, move, what in (("mfe", best, "best move (MFE)"), ("mae", worst, "worst move (MAE)")):
        place = None if moves is None or first is None or last is None else _place(moves, name, move, first, last, row)
        when = None if place is None else panels.timestamps[place]
        values[f"{name}_bar"], values[f"{name}_time"] = place, when
        lines.append(f"{what} " + ("none" if move == 0.0 else f"{move:+.4%}" + (f" on {when} (bar {place})" if when is not None else "")))
    if moves is not None and first is not None and last is not None:
        words, marks = _extremes(panels, column, first, last)
        lines.append(words)
        values.update(marks)
    return Step("held", None, None, tuple(lines), values)


def _moves(result: BacktestResult, row: Any, first: int, last: int) -> dict[str, Any]:
    """Return the favourable and the adverse move at the end of each bar, as the ledger takes them in."""
    panels, column, entry = result._panels, int(row["asset"]), float(row["entry_price"])
    long = row["quantity"] > 0.0
    close = panels.prices["close"][first : last + 1, column]
    high, low = close.copy(), close.copy()
    if result.config is None or result.config.trail_hwm_source is WaterMarkSource.BAR_EXTREME:
        high[1:], low[1:] = panels.prices["high"][first + 1 : last + 1, column], panels.prices["low"][first + 1 : last + 1, column]
    with np.errstate(divide="ignore", invalid="ignore"):
        up, down = ((price - entry) / abs(entry) for price in (high, low))
    return {"mfe": up if long else -down, "mae": down if long else -up}


def _place(moves: dict[str, Any], name: str, move: float, first: int, last: int, row: Any) -> int | None:
    """Return the bar on which an excursion was reached: one before the exit, the exit itself, or None where it is not known."""
    if move == 0.0:
        return None
    found = np.flatnonzero(moves[name][: last - first] == move)
    if len(found):
        return first + int(found[0])
    return last if move == row["pnl_percent"] else None


def water_mark(result: BacktestResult, row: Any, entry: Any, until: int) -> float | None:
    """Return the water mark of a position before a bar: the high one of a long, the low one of a short; None where it is not known.

    entry: the fill that opened it. until: number of the bar.
    """
    panels, column, config = result._panels, int(row["asset"]), result.config
    first = bar_of(panels, int(entry["timestamp"]))
    if config is None or first is None or not panels.prices:
        return None
    long = row["quantity"] > 0.0
    side = panels.prices["high" if long else "low"]
    start = float(entry["price"])
    if config.initial_hwm_source is InitialHwmSource.SIGNAL_PRICE:
        order = result._orders[result._orders["order_id"] == entry["order_id"]]
        start = start if not len(order) or np.isnan(order["signal_price"][0]) else float(order["signal_price"][0])
    elif config.initial_hwm_source is not InitialHwmSource.FILL_PRICE:
        at_once = side if config.initial_hwm_source is InitialHwmSource.BAR_HIGH else panels.prices["close"]
        start = start if np.isnan(at_once[first, column]) else float(at_once[first, column])
    later = side if config.trail_hwm_source is WaterMarkSource.BAR_EXTREME else panels.prices["close"]
    if until <= first:
        return start
    seen = [panels.prices["close"][first, column], *later[first + 1 : until, column]]
    return float((np.fmax if long else np.fmin).reduce([start, *seen]))


def _extremes(panels: Panels, column: int, first: int, last: int) -> tuple[str, dict[str, Any]]:
    """Return the highest and lowest price from the entry bar to the exit bar, with their bars."""
    high, low = panels.prices["high"][first : last + 1, column], panels.prices["low"][first : last + 1, column]
    if np.isnan(high).all():
        return "no prices", {}
    top, bottom = first + int(np.nanargmax(high)), first + int(np.nanargmin(low))
    marks = {"highest": float(high[top - first]), "highest_bar": top, "lowest": float(low[bottom - first]), "lowest_bar": bottom}
    words = f"prices of its bars from {number_text(marks['lowest'])} (bar {bottom}) to {number_text(marks['highest'])} (bar {top})"
    return words, marks
