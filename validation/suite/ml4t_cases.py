"""Random cases for the published `ml4t-backtest`."""

from __future__ import annotations

from typing import Any

import numpy as np

from validation.runners.exchange import Job, Market
from validation.suite.framework import Family
from validation.suite.markets import walk
from validation.suite.ml4t_script import Random, Script, pick

__all__ = ["FAMILIES"]

ACCOUNTS: tuple[dict[str, Any], ...] = (
    {},
    {"allow_short_selling": True},
    {"allow_short_selling": True, "allow_leverage": True},
)
TARGETS = ("target_percent", "target_value", "target_quantity")


def _market(random: Random, name: str, *, assets: int = 0, gaps: float = 0.01, missing: float = 0.0) -> Market:
    """Return 40 to 100 bars of 1 to 4 assets; the first asset has all its bars when others miss some."""
    bars, columns = int(random.integers(40, 101)), assets or int(random.integers(1, 5))
    holes = None
    if missing:
        holes = random.random((bars, columns)) < missing
        holes[0] = False
    seed = int(random.integers(1, 2**31))
    return walk(name, seed=seed, bars=bars, assets=columns, volatility=0.02, spread=0.015, gap=gaps, missing=holes)


def _mode(random: Random) -> dict[str, Any]:
    """Return an execution mode and the price of its market orders."""
    if random.random() < 0.5:
        return {"execution_mode": "next_bar", "next_bar_execution_price": pick(random, ("open", "open", "close", "mid"))}
    return {"execution_mode": "same_bar", "execution_price": pick(random, ("close", "close", "open", "mid"))}


def _queue(random: Random) -> dict[str, Any]:
    """Return the order of the queue."""
    ordering = pick(random, ("exit_first", "exit_first", "fifo", "sequential"))
    priority = pick(random, ("submission", "notional_desc", "notional_asc")) if ordering == "exit_first" else "submission"
    return {"fill_ordering": ordering, "entry_order_priority": priority}


def _commission(random: Random) -> dict[str, Any] | None:
    return pick(
        random,
        (
            None,
            {"kind": "percentage", "rate": 0.001},
            {"kind": "per_unit", "amount": 0.005},
            {"kind": "per_unit", "amount": 0.01, "minimum": 1.5},
            {"kind": "per_order", "amount": 2.0},
        ),
    )


def _slippage(random: Random) -> dict[str, Any]:
    return pick(
        random,
        ({"kind": "fixed", "amount": 0.02}, {"kind": "percentage", "rate": 0.001}, {"kind": "volume_based", "factor": 0.5}),
    )


def _job(name: str, seed: int, market: Market, script: Script, **settings: Any) -> Job:
    return Job(f"ml4t-{name}-{seed}", market, {"cash": 100_000.0, **settings}, tuple(script.told))


def market_orders(seed: int) -> Job:
    """Make a case of market orders, closes and targets."""
    random = np.random.default_rng([1, seed])
    market = _market(random, f"ml4t-market-{seed}")
    native = {**pick(random, ACCOUNTS), **_mode(random), **_queue(random)}
    script, shorts = Script(random, market, native), "allow_short_selling" in native
    fractional = bool(random.random() < 0.4)

    def write(bar: int, column: int) -> None:
        verb = pick(random, ("market", "market", "close", *TARGETS))
        if verb == "close":
            script.add(bar, column, verb)
        elif verb == "target_percent":
            script.add(bar, column, verb, quantity=float(np.round(random.uniform(-0.3 if shorts else 0.0, 0.3), 3)))
        elif verb == "target_value":
            script.add(bar, column, verb, quantity=float(np.round(random.uniform(-2e4 if shorts else 0.0, 2e4), 0)))
        else:
            size = float(random.integers(1, 121)) * (-1.0 if random.random() < (0.5 if shorts else 0.3) else 1.0)
            size = size * 0.37 if fractional else size
            script.add(bar, column, verb, quantity=max(size, 0.0) if verb == "target_quantity" and not shorts else size)

    script.sprinkle(0.25, write)
    return _job("market", seed, market, script, native=native, fractional=fractional, commission=_commission(random))


def _resting(script: Script, bar: int, column: int) -> None:
    """Add one limit, stop, stop-limit or trailing stop order, or cancel one that was added before."""
    random = script.random
    verb = pick(random, ("limit", "limit", "stop", "stop", "stop_limit", "trailing_stop", "cancel"))
    size = script.quantity(column)
    side = 1.0 if size > 0 else -1.0
    if verb == "cancel":
        if script.told:
            script.add(bar, column, "cancel", target=pick(random, script.told).label)
    elif verb == "limit":
        script.add(bar, column, verb, quantity=size, limit_price=script.near(bar, column))
    elif verb == "stop":
        script.add(bar, column, verb, quantity=size, stop_price=script.stop(bar, column, side))
    elif verb == "stop_limit":
        price = script.stop(bar, column, side)
        # The limit at the stop, or (NEXT_BAR) on its better side; seldom on its worse side, as brokers know it.
        away = pick(random, (0.0, 0.0 if script.same_bar else -0.005)) if random.random() > 0.02 else 0.005
        script.add(bar, column, verb, quantity=size, stop_price=price, limit_price=round(price * (1.0 + side * away), 2))
    else:
        _trailing(script, bar, column, size)


def _trailing(script: Script, bar: int, column: int, size: float) -> None:
    """Add a trailing stop order whose first level is where 0.2.0 would move it anyway, with few exceptions."""
    high, low, close = script.seen(bar, column)
    trail = round(high - low + 0.01 + close * script.random.uniform(0.005, 0.03), 2)
    level = {"stop_price": round(low + trail if size > 0 else high - trail, 2)} if script.random.random() > 0.04 else {}
    script.add(bar, column, "trailing_stop", quantity=size, trail_amount=trail, **level)


def resting_orders(seed: int, *, name: str = "resting", missing: float = 0.0) -> Job:
    """Make a case of market, limit, stop, stop-limit and trailing stop orders, some of them cancelled."""
    random = np.random.default_rng([2, seed])
    market = _market(random, f"ml4t-{name}-{seed}", missing=missing, assets=int(random.integers(2, 5)) if missing else 0)
    native = {**pick(random, ACCOUNTS), **_mode(random), **_queue(random)}
    script = Script(random, market, native)

    def write(bar: int, column: int) -> None:
        chance = random.random()
        if chance < 0.3:
            script.add(bar, column, "market", quantity=script.quantity(column))
        elif chance < 0.4:
            script.add(bar, column, "close")
        else:
            _resting(script, bar, column)

    script.sprinkle(0.2, write)
    return _job(name, seed, market, script, native=native, commission=_commission(random))


def missing_bars(seed: int) -> Job:
    """Make a case of several assets that miss bars."""
    return resting_orders(seed, name="missing", missing=0.15)


def _bracket(script: Script, bar: int, column: int, near: float = 0.02) -> None:
    """Add a bracket on the asset's side. near: the least distance of its prices from the bar's range, a fraction."""
    random, side = script.random, script.sides[column]
    high, low, close = script.seen(bar, column)
    top, bottom = high * (1.0 + random.uniform(near, near + 0.05)), low * (1.0 - random.uniform(near, near + 0.05))
    prices = (top, bottom) if side > 0 else (bottom, top)
    limit = {"limit_price": round(close * (1.0 - side * random.uniform(0.0, 0.01)), 2)} if random.random() < 0.4 else {}
    size = side * float(random.integers(20, 121))
    script.add(bar, column, "bracket", quantity=size, take_profit=round(prices[0], 2), stop_loss=round(prices[1], 2), **limit)


def brackets(seed: int) -> Job:
    """Make a case of brackets, entered by market and limit orders."""
    random = np.random.default_rng([3, seed])
    market = _market(random, f"ml4t-brackets-{seed}", assets=int(random.integers(1, 4)))
    native = {**pick(random, ACCOUNTS), **_mode(random), **_queue(random)}
    script = Script(random, market, native)
    script.sprinkle(0.06, lambda bar, column: _bracket(script, bar, column))
    return _job("brackets", seed, market, script, native=native, commission=_commission(random))


def own_way(seed: int) -> Job:
    """Make a case of brackets, trailing stops and closes that our engine plays by its own defaults, not the old way."""
    random = np.random.default_rng([8, seed])
    market = _market(random, f"ml4t-own-{seed}", assets=int(random.integers(1, 3)))
    native = {**pick(random, ACCOUNTS), "execution_mode": "next_bar", "fill_ordering": "exit_first"}
    script = Script(random, market, native)

    def write(bar: int, column: int) -> None:
        chance, size = random.random(), script.quantity(column)
        if chance < 0.35:
            _bracket(script, bar, column, near=0.0)
        elif chance < 0.5:
            script.add(bar, column, "close")
        elif chance < 0.7:
            _trailing(script, bar, column, -abs(size) * script.sides[column])
        else:
            script.add(bar, column, "market", quantity=size)

    script.sprinkle(0.07, write)
    config = {"child_activation": "after_open", "bracket_priority": "stop_first", "trail_update": "after_bar", "reduce_only": True}
    return _job("own", seed, market, script, native=native, config=config)


def position_rules(seed: int) -> Job:
    """Make a case whose positions are closed by rules."""
    random = np.random.default_rng([4, seed])
    market = _market(random, f"ml4t-rules-{seed}", assets=int(random.integers(1, 4)))
    named = {
        "stop_loss": float(np.round(random.uniform(0.02, 0.07), 3)),
        "take_profit": float(np.round(random.uniform(0.02, 0.08), 3)),
        "trailing_stop": float(np.round(random.uniform(0.02, 0.06), 3)),
    }
    names = list(named)
    random.shuffle(names)
    rules = {name: named[name] for name in names[: int(random.integers(1, 4))]}
    stops = {
        "stop_fill_mode": pick(random, ("stop_price", "stop_price", "close_price", "bar_extreme", "next_bar_open")),
        "stop_level_basis": pick(random, ("fill_price", "signal_price")),
        "trail_hwm_source": pick(random, ("close", "bar_extreme")),
        "initial_hwm_source": pick(random, ("fill_price", "bar_close", "bar_high", "signal_price")),
        "trail_stop_timing": pick(random, ("lagged", "lagged", "intrabar", "vbt_pro")),
        "stop_slippage_rate": pick(random, (0.0, 0.0, 0.001)),
    }
    if stops["stop_fill_mode"] == "next_bar_open" and random.random() < 0.7:
        stops["stop_slippage_rate"] = 0.0
    native = {**pick(random, ACCOUNTS), **_mode(random), **_queue(random), **stops}
    script = Script(random, market, native)

    def write(bar: int, column: int) -> None:
        if random.random() < 0.05:
            script.add(bar, column, "close")
        else:
            script.add(bar, column, "market", quantity=abs(script.quantity(column)) * script.sides[column])

    script.sprinkle(0.08, write)
    return _job("rules", seed, market, script, native=native, rules=rules, commission=_commission(random))


def slippage(seed: int) -> Job:
    """Make a case of market and stop orders that pay slippage, one in five with limit orders, which then never fill in 0.2.0."""
    random = np.random.default_rng([5, seed])
    market = _market(random, f"ml4t-slippage-{seed}")
    native = {**pick(random, ACCOUNTS), **_mode(random), **_queue(random)}
    script, limits = Script(random, market, native), random.random() < 0.2

    def write(bar: int, column: int) -> None:
        chance, size = random.random(), script.quantity(column)
        if chance < 0.1:
            script.add(bar, column, "close")
        elif chance < 0.3:
            script.add(bar, column, "stop", quantity=size, stop_price=script.stop(bar, column, np.sign(size)))
        elif chance < 0.35 and limits:
            script.add(bar, column, "limit", quantity=size, limit_price=script.near(bar, column))
        else:
            script.add(bar, column, "market", quantity=size)

    script.sprinkle(0.2, write)
    return _job("slippage", seed, market, script, native=native, commission=_commission(random), slippage=_slippage(random))


def refusals(seed: int) -> Job:
    """Make a case whose account cannot pay for everything."""
    random = np.random.default_rng([6, seed])
    market = _market(random, f"ml4t-refusals-{seed}", assets=int(random.integers(2, 5)))
    native = {
        **pick(random, ACCOUNTS),
        **_mode(random),
        **_queue(random),
        "reject_on_insufficient_cash": bool(random.random() < 0.7),
        "settlement_delay": pick(random, (0, 0, 1, 2)),
        "settlement_reduces_buying_power": bool(random.random() < 0.8),
        "cash_buffer_pct": pick(random, (0.0, 0.0, 0.05)),
        "partial_fills_allowed": bool(random.random() < 0.2),
    }
    script = Script(random, market, native)

    def write(bar: int, column: int) -> None:
        chance = random.random()
        if chance < 0.15:
            script.add(bar, column, "close")
        elif chance < 0.25:
            script.add(bar, column, "limit", quantity=script.quantity(column), limit_price=script.near(bar, column))
        else:
            script.add(bar, column, "market", quantity=script.quantity(column))

    script.sprinkle(0.3, write)
    fractional = "allow_leverage" not in native and random.random() < 0.3
    return _job("refusals", seed, market, script, cash=15_000.0, fractional=bool(fractional), native=native, commission=_commission(random))


def submission_checks(seed: int) -> Job:
    """Make a case of market orders that are judged at submission, fill at once, or are asked for less, or nothing, when they fill."""
    random = np.random.default_rng([9, seed])
    market = _market(random, f"ml4t-checks-{seed}", assets=int(random.integers(2, 5)))
    kind = pick(random, ("precheck", "reservation", "immediate", "unchecked", "open cash", "proceeds"))
    same_bar = kind == "immediate" or (kind == "unchecked" and random.random() < 0.5)
    account = {"allow_short_selling": True} if kind in ("unchecked", "open cash", "proceeds") or random.random() < 0.5 else {}
    native: dict[str, Any] = {**account, **_queue(random), "execution_mode": "same_bar" if same_bar else "next_bar"}
    native |= {
        "precheck": {"next_bar_submission_precheck": True},
        "reservation": {"buying_power_reservation": True, "fill_ordering": "exit_first"},
        "immediate": {"immediate_fill": True, "execution_price": "close"},
        "unchecked": {"skip_cash_validation": True},
        "open cash": {"next_bar_submission_precheck": True, "next_bar_simple_cash_check": True, "fill_ordering": "fifo"},
        "proceeds": {"short_cash_policy": "credit_proceeds"},
    }[kind]
    script = Script(random, market, native)

    def write(bar: int, column: int) -> None:
        if random.random() < 0.2:
            script.add(bar, column, "close")
        else:
            script.add(bar, column, "market", quantity=script.quantity(column))

    script.sprinkle(0.25, write)
    return _job("checks", seed, market, script, cash=20_000.0, native=native, commission=_commission(random))


def participation(seed: int) -> Job:
    """Make a case whose orders take several bars, because only a part of the volume may trade."""
    random = np.random.default_rng([7, seed])
    bars, columns = int(random.integers(40, 81)), int(random.integers(1, 4))
    drawn = {"seed": int(random.integers(1, 2**31)), "bars": bars, "assets": columns, "volume": 2_000.0}
    market = walk(f"ml4t-volume-{seed}", volatility=0.02, spread=0.015, gap=0.01, **drawn)
    native = {**pick(random, ACCOUNTS), **_mode(random), **_queue(random)}
    script, commission, settings = Script(random, market, native), _commission(random), {}
    if commission and "minimum" in commission and random.random() < 0.3:
        native["commission_type"] = "per_share"  # whose minimum counts every fill
    if random.random() < 0.1:
        settings["rules"] = {"stop_loss": 0.04}

    def write(bar: int, column: int) -> None:
        chance, size = random.random(), script.quantity(column, 400)
        if chance < 0.1:
            script.add(bar, column, "close")
        elif chance < 0.3:
            script.add(bar, column, "limit", quantity=size, limit_price=script.near(bar, column))
        elif chance < 0.34:
            script.add(bar, column, "stop", quantity=size, stop_price=script.stop(bar, column, np.sign(size)))
        else:
            script.add(bar, column, "market", quantity=size)

    script.sprinkle(0.08, write)
    settings |= {"native": native, "commission": commission, "volume_limit": 0.05, "cash": 500_000.0}
    return _job("volume", seed, market, script, **settings)


FAMILIES = (
    Family("market orders", 120, market_orders),
    Family("resting orders", 130, resting_orders),
    Family("missing bars", 90, missing_bars),
    Family("brackets", 90, brackets),
    Family("position rules", 150, position_rules),
    Family("slippage", 90, slippage),
    Family("refusals", 100, refusals),
    Family("participation", 90, participation),
    Family("submission checks", 80, submission_checks),
    Family("our own way", 60, own_way),
)
