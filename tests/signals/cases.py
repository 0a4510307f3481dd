"""Random runs of signals: prices with gaps, signals that contradict each other, every size, cost, rule and account that the kernel takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml4t_backtest import BacktestConfig
from ml4t_backtest.signals import Conflicts

__all__ = ["Run", "random_run"]

_SIDES = ("ignore", "entry", "exit", "adjacent", "opposite")


@dataclass
class Run:
    """Arguments of `from_signals`, and those of its signals."""

    prices: dict[str, np.ndarray]
    signals: dict[str, np.ndarray]
    arguments: dict[str, Any] = field(default_factory=dict)


def random_run(seed: int, bars: int = 60, columns: int = 3) -> Run:
    """Return a run of some columns."""
    random = np.random.default_rng(seed)
    prices = _prices(random, bars, columns)
    chance = random.choice([0.05, 0.15, 0.4], size=4) * (random.random(4) < 0.8)
    chance[0] = max(chance[0], 0.05)
    names = ("entries", "exits", "short_entries", "short_exits")
    signals = {name: random.random((bars, columns)) < part for name, part in zip(names, chance, strict=True)}
    arguments: dict[str, Any] = {"initial_cash": float(random.choice([1e3, 1e5]))}
    config = _account(random)
    arguments |= _costs(random, columns) | _rules(random, columns) | _conflicts(random)
    arguments |= _size(random, config, prices["close"], arguments, signals)
    return Run(prices, signals, {**arguments, "config": config})


def _prices(random: np.random.Generator, bars: int, columns: int) -> dict[str, np.ndarray]:
    volatility = float(random.choice([0.01, 0.03, 0.08]))
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, volatility, (bars, columns)), axis=0))
    close = np.maximum(np.round(close, int(random.integers(1, 4))), 0.1)
    before = np.vstack([close[:1], close[:-1]])
    opened = np.maximum(before * (1.0 + random.normal(0.0, volatility / 3.0, close.shape)), 0.05)
    high = np.maximum(opened, close) * (1.0 + np.abs(random.normal(0.0, volatility / 2.0, close.shape)))
    low = np.minimum(opened, close) / (1.0 + np.abs(random.normal(0.0, volatility / 2.0, close.shape)))
    if random.random() < 0.5:
        close[random.random(close.shape) < 0.1] = np.nan  # no bar, though other prices may be there
    for panel in (opened, high, low):
        if random.random() < 0.2:
            panel[random.random(close.shape) < 0.1] = np.nan
    found = {"close": close, "open": opened, "high": high, "low": low}
    for name in ("open", "high", "low"):  # a missing one is the close, which may lie outside of the others
        gap = np.isnan(found[name])
        found[name][gap] = close[gap]
    found["high"] = np.fmax(found["high"], np.fmax(found["open"], close))
    found["low"] = np.fmin(found["low"], np.fmin(found["open"], close))
    return found


def _account(random: np.random.Generator) -> BacktestConfig:
    common: dict[str, Any] = {
        "share_type": str(random.choice(["fractional", "fractional", "integer"])),
        "partial_fills_allowed": bool(random.random() < 0.6),
        "stop_fill_mode": str(random.choice(["stop_price", "stop_price", "close_price", "bar_extreme", "next_bar_open"])),
        "trail_stop_timing": str(random.choice(["lagged", "lagged", "intrabar", "vbt_pro"])),
        "stop_slippage_rate": float(random.choice([0.0, 0.0, 0.002])),
    }
    if random.random() < 0.5:
        policy = str(random.choice(["credit", "lock_notional"]))
        base = BacktestConfig.from_preset("vectorbt").replace(short_cash_policy=policy, **common)
    else:
        settings = {
            "trail_hwm_source": str(random.choice(["close", "bar_extreme"])),
            "initial_hwm_source": str(random.choice(["fill_price", "bar_close", "bar_high"])),
            "stop_level_basis": str(random.choice(["fill_price", "signal_price"])),
            "fill_ordering": str(random.choice(["exit_first", "fifo"])),
            "refused_reversal": str(random.choice(["reject", "close"])),
            "cash_buffer_pct": float(random.choice([0.0, 0.1])),
        }
        shorts = bool(random.random() < 0.6)
        if shorts:
            settings["short_cash_policy"] = str(random.choice(["credit", "credit_proceeds", "lock_notional"]))
        base = BacktestConfig(allow_short_selling=shorts, **settings, **common)
    if random.random() < 0.5:
        return base.replace(execution_mode="next_bar", execution_price=str(random.choice(["open", "close"])))
    return base.replace(execution_mode="same_bar", execution_price="close")


def _costs(random: np.random.Generator, columns: int) -> dict[str, Any]:
    if random.random() < 0.3:
        return {}
    rates = random.choice([0.0, 0.001, 0.02], size=columns)
    return {"fees": rates, "fixed_fees": float(random.choice([0.0, 1.0, 7.5])), "slippage": float(random.choice([0.0, 0.0005, 0.01]))}


def _rules(random: np.random.Generator, columns: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, choices in (("stop_pct", [0.01, 0.05]), ("trail_pct", [0.02, 0.1]), ("target_pct", [0.02, 0.1]), ("max_bars", [1, 4, 12])):
        if random.random() < 0.4:
            made[name] = random.choice([*map(float, choices), math.nan], size=columns)
    return made


def _conflicts(random: np.random.Generator) -> dict[str, Any]:
    opposite = ["ignore", "close", "closereduce", "reverse", "reversereduce"]
    return {
        "upon_long_conflict": str(random.choice(_SIDES)),
        "upon_short_conflict": str(random.choice(_SIDES)),
        "upon_dir_conflict": str(random.choice(["ignore", "long", "short", "adjacent", "opposite"])),
        "upon_opposite_entry": str(random.choice(opposite)),
        "accumulate": [False, True, "addonly", "removeonly"][int(random.integers(4))] if random.random() < 0.4 else False,
    }


def _size(
    random: np.random.Generator, config: BacktestConfig, close: np.ndarray, arguments: dict[str, Any], signals: dict[str, np.ndarray]
) -> dict[str, Any]:
    cash, kind = arguments["initial_cash"], str(random.choice(["all", "amount", "value", "equity", "percent"]))
    free = config.cash_ledger == "free_cash"
    if kind == "percent":
        settled = Conflicts(**{name: arguments[name] for name in ("accumulate", "upon_opposite_entry")})
        one_side = not signals["short_entries"].any()
        if free and not settled.removes and (one_side or settled.upon_opposite_entry in ("ignore", "close", "closereduce")):
            return {"size_type": "percent", "size": float(random.choice([0.3, 1.0]))}
        kind = "equity"
    if kind == "all" and (free or config.partial_fills_allowed):
        return {}
    if kind == "equity":
        return {"size_type": "equity", "size": float(random.choice([0.3, 0.9, 1.5]))}
    units = cash / 100.0 * random.choice([0.1, 0.5, 1.0, 1.6], size=close.shape)
    units[random.random(close.shape) < 0.05] = math.nan
    size: Any = units if random.random() < 0.4 else float(np.round(cash / 100.0 * random.choice([0.2, 0.9]), 2))
    return {"size": size * 100.0, "size_type": "value"} if kind == "value" else {"size": size, "size_type": "amount"}
