"""The scenario table: small, readable cases, one subject each. Every framework runs the forms that it can express."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from validation.runners.exchange import Event, Instruction, Job, Market
from validation.suite.markets import from_closes, walk
from validation.suite.published_scenarios import SCENARIOS as PUBLISHED

__all__ = ["SCENARIOS", "Scenario"]

CASH = 100_000.0
UNITS = 100.0


@dataclass(frozen=True)
class Scenario:
    """A subject and the forms in which frameworks express it: orders of their own, signals with stops, rules of positions."""

    number: int
    title: str
    forms: Callable[[], Iterator[Job]]

    def jobs(self) -> list[Job]:
        """Return the forms, named after the scenario."""
        return [Job(f"{self.number:02d} {job.id}", job.market, job.settings, job.script) for job in self.forms()]


def _settings(**given: Any) -> dict[str, Any]:
    return {"cash": CASH, **given}


def _told(market: Market, bar: int, verb: str, quantity: float = np.nan, asset: int = 0, **more: Any) -> Instruction:
    # No dots: those part the legs of a bracket from its label.
    label = more.pop("label", f"{bar}-{verb}-{asset}")
    return Instruction(int(market.times[bar]), market.assets[asset], verb, quantity, label=label, **more)


def _round_trips(market: Market, units: float = UNITS, every: int = 10, hold: int = 5, first: int = 0) -> list[Instruction]:
    """Buy (or sell short) every few bars and close some bars later."""
    bars = len(market.times)
    script = []
    for bar in range(first, bars, every):
        script.append(_told(market, bar, "market", units))
        if bar + hold < bars:
            script.append(_told(market, bar + hold, "close"))
    return script


def _job(name: str, market: Market, script: list[Instruction], **settings: Any) -> Job:
    return Job(name, market, _settings(**settings), tuple(script))


def _long_only() -> Iterator[Job]:
    market = walk("walk", seed=42)
    yield _job("orders", market, _round_trips(market))


def _flips() -> Iterator[Job]:
    market = walk("flips", seed=43)
    signs = [1.0, -2.0, 2.0, -2.0, 2.0, -2.0, 2.0, -2.0, 1.0]
    yield _job("orders", market, [_told(market, 10 * place, "market", sign * UNITS) for place, sign in enumerate(signs)])


def _fall() -> Market:
    return from_closes("fall", np.concatenate([np.full(3, 100.0), np.linspace(100.0, 80.0, 20)]), seed=1, gap=0.001)


def _rise() -> Market:
    return from_closes("rise", np.concatenate([np.full(3, 100.0), np.linspace(100.0, 124.0, 20)]), seed=2, gap=0.001)


def _waves() -> Market:
    bars = np.arange(100)
    return from_closes("waves", 100.0 + 0.3 * bars + 12.0 * np.sin(bars / 9.0), seed=3, gap=0.002)


def _entered(market: Market, bar: int, **rules: float) -> Iterator[Job]:
    """Yield one entry with exits as rules of positions, and as stops of signals."""
    rest = {"rules": rules}
    yield _job("rules", market, [_told(market, bar, "market", UNITS)], **rest)
    yield _job("signals", market, [_told(market, bar, "long_entry", UNITS)], **rest)


def _stop() -> Iterator[Job]:
    market = _fall()
    yield _job("orders", market, [_told(market, 0, "market", UNITS), _told(market, 1, "stop", -UNITS, stop_price=95.0)])
    yield from _entered(market, 0, stop_loss=0.05)


def _target() -> Iterator[Job]:
    market = _rise()
    yield _job("orders", market, [_told(market, 0, "market", UNITS), _told(market, 1, "limit", -UNITS, limit_price=110.0)])
    yield from _entered(market, 0, take_profit=0.1)


def _trail() -> Iterator[Job]:
    market = _waves()
    entries = [_told(market, bar, "market", UNITS) for bar in (0, 40)]
    trails = [_told(market, bar, "trailing_stop", -UNITS, trail_percent=0.05) for bar in (1, 41)]
    yield _job("orders", market, [entries[0], trails[0], entries[1], trails[1]])
    amounts = [_told(market, bar, "trailing_stop", -UNITS, trail_amount=4.0) for bar in (1, 41)]
    yield _job("amounts", market, [entries[0], amounts[0], entries[1], amounts[1]])
    yield from _entered(market, 0, trailing_stop=0.05)


def _bracket() -> Iterator[Job]:
    market = walk("volatile", seed=44, volatility=0.03)
    script = []
    for bar in (0, 20, 55):
        price = float(market.close[bar, 0])
        script.append(
            _told(market, bar, "bracket", UNITS, take_profit=round(1.1 * price, 2), stop_loss=round(0.95 * price, 2), label=f"{bar}")
        )
    yield _job("orders", market, script)
    yield from _entered(market, 0, stop_loss=0.05, take_profit=0.1)


def _short_only() -> Iterator[Job]:
    market = walk("short", seed=45, bars=200)
    yield _job("orders", market, _round_trips(market, -UNITS, every=20, hold=10, first=5), cash=1e6)


def _reentry() -> Iterator[Job]:
    market = _waves()
    script = []
    for bar in range(0, 90, 6):
        script += [_told(market, bar, "market", UNITS), _told(market, bar + 3, "close")]
    yield _job("orders", market, script)
    signals = [_told(market, bar, "long_entry", UNITS) for bar in range(90)]
    yield _job("signals", market, signals, rules={"trailing_stop": 0.03})


def _shared() -> Iterator[Job]:
    market = walk("five", seed=46, assets=5)
    script = []
    for bar in range(0, 95, 4):
        for asset in range(5):
            if (bar // 4 + asset) % 3 == 0:
                script.append(_told(market, bar, "market", 90.0 + 10.0 * asset, asset))
            elif (bar // 4 + asset) % 3 == 1:
                script.append(_told(market, bar, "close", asset=asset))
    yield _job("orders", market, script, cash=25_000.0)


def _with_costs(**settings: Any) -> Callable[[], Iterator[Job]]:
    def forms() -> Iterator[Job]:
        market = walk("walk", seed=42)
        yield _job("orders", market, _round_trips(market), **settings)

    return forms


def _partial_fills() -> Iterator[Job]:
    market = walk("thin", seed=47, volume=20_000.0)
    script = [_told(market, 2, "market", 3_000.0), _told(market, 30, "market", -1_800.0), _told(market, 60, "market", -1_200.0)]
    yield _job("orders", market, script, cash=1e6, slippage={"kind": "volume_share", "volume_limit": 0.025, "price_impact": 0.1})


def _filler() -> Iterator[Job]:
    market = walk("thin", seed=47, volume=20_000.0)
    script = [_told(market, 2, "market", 3_000.0), _told(market, 30, "market", -1_800.0), _told(market, 60, "market", -1_200.0)]
    yield _job("orders", market, script, cash=1e6, volume_limit=0.02)


def _fractional() -> Iterator[Job]:
    market = walk("walk", seed=42)
    yield _job("orders", market, _round_trips(market, 12.345), fractional=True)


def _jumpy(name: str, seed: int) -> Market:
    return walk(name, seed=seed, bars=120, volatility=0.02, gap=0.03)


def _levels(kind: str) -> Callable[[], Iterator[Job]]:
    """Buy and sell by orders with levels around the close, through opens that jump over them."""

    def forms() -> Iterator[Job]:
        market = _jumpy("gaps", 48)
        script = []
        for bar in range(0, 110, 10):
            close = float(market.close[bar, 0])
            below, above, far = round(0.985 * close, 2), round(1.015 * close, 2), round(1.005 * close, 2)
            levels = {
                "limit": ({"limit_price": below}, {"limit_price": above}),
                "stop": ({"stop_price": above}, {"stop_price": below}),
                "stop_limit": ({"stop_price": far, "limit_price": above}, {"stop_price": below, "limit_price": round(0.97 * close, 2)}),
            }[kind]
            script.append(_told(market, bar, kind, UNITS, label=f"{bar}-buy", **levels[0]))
            script.append(_told(market, bar + 5, "cancel", target=f"{bar}-buy", label=""))
            script.append(_told(market, bar + 5, kind, -UNITS, label=f"{bar}-sell", **levels[1]))
            script.append(_told(market, bar + 9, "cancel", target=f"{bar}-sell", label=""))
        yield _job("orders", market, script, shorts=True)

    return forms


def _targets() -> Iterator[Job]:
    market = walk("five", seed=46, assets=5)
    random = np.random.default_rng(49)
    for name, verb, scale in (
        ("weights", "target_percent", 1.0),
        ("values", "target_value", CASH),
        ("quantities", "target_quantity", 900.0),
    ):
        script = []
        for bar in range(0, 95, 5):
            weights = random.random(5)
            weights *= 0.8 / weights.sum()
            script += [
                _told(market, bar, verb, float(np.round(weights[asset] * scale, 4 if scale == 1.0 else 0)), asset) for asset in range(5)
            ]
        yield _job(name, market, script, cash=CASH)


def _futures() -> Iterator[Job]:
    market = walk("future", seed=50, start=4_000.0, volatility=0.01)
    script = [
        _told(market, bar, "market", units) for bar, units in ((1, 3.0), (12, 2.0), (25, -8.0), (50, 4.0), (70, -1.0), (85, 0.0)) if units
    ]
    contract = {market.assets[0]: {"multiplier": 50.0, "margin": 12_000.0}}
    commission = {"kind": "per_unit", "amount": 2.25, "minimum": 0.0}
    yield _job("orders", market, script, cash=500_000.0, futures=contract, commission=commission)


def _splits() -> Iterator[Job]:
    before = walk("splits", seed=51)
    bars = [30, 60]
    factor = np.ones(100)
    factor[30:] /= 2.0
    factor[60:] /= 1.5
    when = [int(before.times[bar]) for bar in bars]
    events = (Event(when[0], "A000", "split", 2.0), Event(when[1], "A000", "split", 1.5))
    market = from_closes("splits", before.close[:, 0] * factor, seed=52, gap=0.0, events=events)
    for bar in bars:  # the bar of a split opens at its own close, not at the price of the day before
        market.open[bar] = market.close[bar]
        market.high[bar], market.low[bar] = market.close[bar] + 0.5, market.close[bar] - 0.5
    yield _job("orders", market, [_told(market, 5, "market", 101.0), _told(market, 80, "close")])


def _dividends() -> Iterator[Job]:
    before = walk("dividends", seed=53)
    events = tuple(Event(int(before.times[bar]), "A000", "dividend", amount) for bar, amount in ((20, 0.5), (40, 0.25), (70, 1.0)))
    market = from_closes("dividends", before.close[:, 0], seed=54, events=events)
    yield _job("orders", market, _round_trips(market, hold=25, every=30))


def _stress() -> Iterator[Job]:
    random = np.random.default_rng(55)
    drifts = np.repeat([0.001, -0.002, 0.0, 0.003, -0.001, 0.0005, -0.004, 0.002, 0.0], 167)[:1500]
    widths = np.repeat([0.01, 0.03, 0.005, 0.02, 0.04, 0.008, 0.05, 0.015, 0.01], 167)[:1500]
    steps = drifts + widths * random.standard_normal(1500)
    steps[random.random(1500) < 0.01] *= 4.0
    market = from_closes("stress", np.maximum(100.0 * np.exp(np.cumsum(steps)), 1.0), seed=56, gap=0.01)
    script = _round_trips(market, every=35, hold=17)
    yield _job("orders", market, script)
    entries = [_told(market, bar, "long_entry", UNITS) for bar in range(0, 1500, 9)]
    yield _job("signals", market, entries, rules={"trailing_stop": 0.05})
    yield _job("rules", market, [_told(market, bar, "market", UNITS) for bar in range(0, 1500, 167)], rules={"trailing_stop": 0.05})


def _gaps() -> Iterator[Job]:
    missing = np.zeros((100, 3), dtype=bool)
    missing[:20, 1] = True  # listed late
    missing[[33, 34, 60], 2] = True
    missing[80:, 0] = True  # gone early
    market = walk("holes", seed=57, assets=3, missing=missing)
    script = []
    for asset, bars in ((0, (5, 45)), (1, (30, 70)), (2, (32, 62))):
        script += [_told(market, bars[0], "market", UNITS, asset), _told(market, bars[1], "close", asset=asset)]
    script += [_told(market, 60, "market", UNITS, 0)]
    yield _job("orders", market, sorted(script, key=lambda told: told.time))


def _published(make: Callable[[], Job]) -> tuple[str, Callable[[], Iterator[Job]]]:
    """Return a scenario by which the published engine compares itself with others, and its forms."""

    def forms() -> Iterator[Job]:
        job = make()
        rules = "rules" in job.settings
        yield replace(job, id="rules" if rules else "orders")
        if rules:
            entries = [
                told._replace(verb="long_entry" if told.quantity > 0 else "short_entry", quantity=abs(told.quantity)) for told in job.script
            ]
            yield replace(job, id="signals", script=tuple(entries))

    number, what = make().id.split(" ", 1)
    return f"As published, {number}: {what}", forms


SCENARIOS: tuple[Scenario, ...] = tuple(
    Scenario(number, title, forms)
    for number, (title, forms) in enumerate(
        [
            ("Long only", _long_only),
            ("Long and short, with flips", _flips),
            ("Stop loss", _stop),
            ("Take profit", _target),
            ("Trailing stop", _trail),
            ("Bracket", _bracket),
            ("Short only", _short_only),
            ("Re-entry", _reentry),
            ("Several assets, shared cash, not enough of it", _shared),
            ("Commission: percentage", _with_costs(commission={"kind": "percentage", "rate": 0.001})),
            ("Commission: per share", _with_costs(commission={"kind": "per_unit", "amount": 0.005, "minimum": 0.0})),
            ("Commission: per share with a minimum", _with_costs(commission={"kind": "per_unit", "amount": 0.005, "minimum": 1.0})),
            ("Commission: per order", _with_costs(commission={"kind": "per_order", "amount": 4.95})),
            ("Slippage: fixed", _with_costs(slippage={"kind": "fixed", "amount": 0.01})),
            ("Slippage: percentage", _with_costs(slippage={"kind": "percentage", "rate": 0.001})),
            ("Slippage: share of the volume, partial fills", _partial_fills),
            ("Partial fills by a part of the volume", _filler),
            ("Fractional shares", _fractional),
            ("Limit orders and gaps", _levels("limit")),
            ("Stop orders and gaps", _levels("stop")),
            ("Stop-limit orders and gaps", _levels("stop_limit")),
            ("Rebalancing to targets", _targets),
            ("Futures: margin and multiplier", _futures),
            ("Splits", _splits),
            ("Dividends", _dividends),
            ("Stress: 1,500 bars in nine regimes", _stress),
            ("Late, missing and last bars", _gaps),
            *map(_published, PUBLISHED),
        ],
        start=1,
    )
)
