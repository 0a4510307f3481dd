"""The sixteen scenarios by which `ml4t.backtest` compares itself with other engines, as cases: one asset, 100 units an entry.

Their settings are those that all frameworks share; `shorts` where the account must be able to sell short. The bars are our own, made to
the same description. Exits 03, 04, 09, 10 and 12 to 16 are position rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from validation.runners.exchange import Instruction, Job, Market
from validation.suite.markets import from_closes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["SCENARIOS"]

SEED = 42
UNITS = 100.0
ASSET = "A000"


def _walk(name: str, bars: int, *, drift: float = 0.0005, volatility: float = 0.015) -> Market:
    random = np.random.default_rng(SEED)
    return from_closes(name, 100.0 * np.exp(np.cumsum(drift + volatility * random.standard_normal(bars))), seed=SEED)


def _path(name: str, returns: list[float], *, start: float = 100.0, **bar: float) -> Market:
    """Return bars that start at a close and go on by given returns."""
    closes = start * np.cumprod(1.0 + np.array([0.0, *returns]))
    return from_closes(name, closes, seed=SEED, **{"spread": 0.004, "gap": 0.001, **bar})


def _drift(bars: int, mean: float, volatility: float) -> list[float]:
    return [float(step) for step in mean + volatility * np.random.default_rng(SEED).standard_normal(bars)]


def _job(number: int, what: str, market: Market, orders: Iterable[tuple[int, float | None]], **settings: Any) -> Job:
    """Return a case. orders: bar and signed quantity, None closes the position."""
    script = []
    for bar, quantity in orders:
        label, time = f"n{len(script)}", int(market.times[bar])
        if quantity is None:
            script.append(Instruction(time, ASSET, "close", label=label))
        else:
            script.append(Instruction(time, ASSET, "market", quantity=quantity, label=label))
    return Job(f"{number:02d} {what}", market, {"cash": 100_000.0, **settings}, tuple(script))


def _round_trips(bars: int, *, first: int, every: int, held: int, sizes: tuple[float, ...] = (UNITS,)) -> list[tuple[int, float | None]]:
    """Return an entry every few bars, and its exit some bars later."""
    entries = range(first, bars - held - 1, every)
    return [order for turn, bar in enumerate(entries) for order in ((bar, sizes[turn % len(sizes)]), (bar + held, None))]


_TEN = {"first": 0, "every": 10, "held": 5}


def long_only() -> Job:
    """Return 01: longs on a random walk."""
    return _job(1, "long only", _walk("published-01", 100), _round_trips(100, **_TEN))


def long_short() -> Job:
    """Return 02: longs and shorts in turn (the published one takes no short, as both of its signals are the same)."""
    return _job(2, "long and short", _walk("published-02", 100), _round_trips(100, **_TEN, sizes=(UNITS, -UNITS)), shorts=True)


def stop_loss() -> Job:
    """Return 03: a steady decline and a stop."""
    market = _path("published-03", [float(step) for step in np.diff(np.log(np.linspace(100.0, 80.0, 20)))])
    return _job(3, "stop loss", market, [(0, UNITS)], rules={"stop_loss": 0.05})


def take_profit() -> Job:
    """Return 04: a steady rise and a target."""
    market = _path("published-04", [float(step) for step in np.diff(np.log(np.linspace(100.0, 124.0, 20)))])
    return _job(4, "take profit", market, [(0, UNITS)], rules={"take_profit": 0.10})


def percentage_commission() -> Job:
    """Return 05: a commission of 0.1 %."""
    commission = {"kind": "percentage", "rate": 0.001}
    return _job(5, "percentage commission", _walk("published-05", 100), _round_trips(100, **_TEN), commission=commission)


def commission_per_unit() -> Job:
    """Return 06: a commission of half a cent a unit."""
    commission = {"kind": "per_unit", "amount": 0.005}
    return _job(6, "commission per unit", _walk("published-06", 100), _round_trips(100, **_TEN), commission=commission)


def fixed_slippage() -> Job:
    """Return 07: a cent of slippage."""
    return _job(7, "fixed slippage", _walk("published-07", 100), _round_trips(100, **_TEN), slippage={"kind": "fixed", "amount": 0.01})


def percentage_slippage() -> Job:
    """Return 08: 0.1 % of slippage."""
    slippage = {"kind": "percentage", "rate": 0.001}
    return _job(8, "percentage slippage", _walk("published-08", 100), _round_trips(100, **_TEN), slippage=slippage)


def trailing_stop() -> Job:
    """Return 09: a trend with two pullbacks, and a trailing stop."""
    returns = [*[0.006] * 24, *[-0.015] * 6, *[0.006] * 34, *[-0.015] * 6, *[0.004] * 29]
    return _job(9, "trailing stop", _path("published-09", returns), [(0, UNITS), (40, UNITS)], rules={"trailing_stop": 0.05})


def bracket() -> Job:
    """Return 10: a stop and a target on volatile bars."""
    market = from_closes("published-10", 100.0 * np.exp(np.cumsum(_drift(100, 0.0, 0.025))), seed=SEED, spread=0.015)
    rules = {"stop_loss": 0.05, "take_profit": 0.10}
    return _job(10, "bracket", market, [(0, UNITS), (20, UNITS), (55, UNITS)], rules=rules)


def short_only() -> Job:
    """Return 11: shorts on a random walk."""
    orders = _round_trips(200, first=5, every=20, held=10, sizes=(-UNITS,))
    return _job(11, "short only", _walk("published-11", 200, drift=-0.0005), orders, cash=1_000_000.0, shorts=True)


def short_trailing_stop() -> Job:
    """Return 12: a decline with two rallies, and a trailing stop of a short."""
    returns = [*[-0.006] * 24, *[0.015] * 6, *[-0.006] * 34, *[0.015] * 6, *[-0.004] * 29]
    market, rules = _path("published-12", returns), {"trailing_stop": 0.05}
    return _job(12, "short trailing stop", market, [(0, -UNITS), (40, -UNITS)], rules=rules, cash=1_000_000.0, shorts=True)


def trail_and_target() -> Job:
    """Return 13: a steady rise with a trailing stop and a target."""
    return _job(
        13, "trail and target", _path("published-13", [0.007] * 49), [(0, UNITS)], rules={"trailing_stop": 0.05, "take_profit": 0.08}
    )


def trail_and_stop() -> Job:
    """Return 14: a rise, a fall of 6 %, and a drift, with a trailing stop and a stop."""
    market = _path("published-14", [*[0.006] * 10, -0.06, *_drift(38, 0.0005, 0.004)])
    return _job(14, "trail and stop", market, [(0, UNITS)], rules={"trailing_stop": 0.05, "stop_loss": 0.08})


def three_rules() -> Job:
    """Return 15: three falls of 3 %, and a drift, with a trailing stop, a target and a stop."""
    market = _path("published-15", [0.0, *[-0.03] * 3, *_drift(45, 0.0005, 0.004)])
    return _job(15, "three rules", market, [(0, UNITS)], rules={"trailing_stop": 0.03, "take_profit": 0.10, "stop_loss": 0.05})


_REGIMES = (  # bars, drift, volatility, jump at the start
    (150, 0.0008, 0.008, 0.0),
    (200, -0.0006, 0.018, -0.04),
    (150, 0.0, 0.005, 0.0),
    (200, 0.0012, 0.012, 0.05),
    (150, -0.0015, 0.025, -0.08),
    (200, 0.0005, 0.010, 0.0),
    (150, 0.0, 0.030, 0.06),
    (150, 0.0010, 0.007, 0.0),
    (150, -0.0004, 0.015, -0.05),
)


def stress() -> Job:
    """Return 16: nine regimes with jumps between them, and a trailing stop."""
    random, steps, entries = np.random.default_rng(SEED), [], []
    for bars, drift, volatility, jump in _REGIMES:
        entries.append(len(steps) + 5)
        steps += [jump, *(drift + volatility * random.standard_normal(bars - 1))]
    market = from_closes("published-16", np.maximum(100.0 * np.exp(np.cumsum(steps)), 5.0), seed=SEED)
    return _job(16, "stress", market, [(bar, UNITS) for bar in entries], rules={"trailing_stop": 0.05})


SCENARIOS: tuple[Callable[[], Job], ...] = (
    long_only,
    long_short,
    stop_loss,
    take_profit,
    percentage_commission,
    commission_per_unit,
    fixed_slippage,
    percentage_slippage,
    trailing_stop,
    bracket,
    short_only,
    short_trailing_stop,
    trail_and_target,
    trail_and_stop,
    three_rules,
    stress,
)
