"""The small family: market, limit and stop orders in cash accounts, as hypothesis strategies and, long and dense, from a seed.

Two families of numbers. "Rough" ones are what markets have: decimal prices, odd rates; every result is then compared in doubles. "Dyadic" ones are
small multiples of powers of two, on which doubles make no rounding in cash, so a run can be compared with exact fractions.
"""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tests.cases.case import OHLC, Action, Case

__all__ = ["cases", "dense_case"]


def _price(*, dyadic: bool) -> st.SearchStrategy[float]:
    if dyadic:
        return st.integers(40, 160).map(lambda quarters: quarters / 4)
    cents = st.integers(500, 5000).map(lambda number: number / 100)
    return st.one_of(cents, st.floats(5, 50, allow_subnormal=False))


@st.composite
def _ohlc(draw: st.DrawFn, *, dyadic: bool) -> OHLC:
    a, b, c, d = (draw(_price(dyadic=dyadic)) for _ in range(4))
    open_, close = a, b
    high, low = max(a, b, c, d), min(a, b, c, d)
    shape = draw(st.integers(0, 9))
    if shape == 0:
        return None, high, low, close
    if shape == 1:
        return open_, None, None, close
    if shape == 2:
        return open_, high, low, None
    return open_, high, low, close


def _quantity(*, dyadic: bool) -> st.SearchStrategy[float]:
    lots = st.sampled_from([100.0, -100.0, 50.0, -50.0, 200.0, -200.0, 0.0])
    whole = st.one_of(lots, st.integers(-300, 300).map(float))
    return whole if dyadic else st.one_of(whole, st.floats(-300, 300, allow_subnormal=False))


@st.composite
def _action(draw: st.DrawFn, assets: tuple[str, ...], *, dyadic: bool, arrays: bool) -> Action:
    asset = draw(st.sampled_from(assets))
    price = _price(dyadic=dyadic)
    quantity = _quantity(dyadic=dyadic)
    weight = st.floats(-0.5, 1.0) if not dyadic else st.just(0.0)
    if arrays:
        kind = draw(st.sampled_from(["quantities", "targets"]))
        values = {name: draw(quantity if kind == "quantities" else weight) for name in assets}
        chosen = [name for name in assets if draw(st.booleans())]
        return kind, {name: values[name] for name in chosen}
    kind = draw(st.sampled_from(["market", "market", "market", "limit", "stop", "close", "target", "cancel", "update"]))
    if kind in ("market", "limit", "stop"):
        level = draw(price) if kind != "market" else None
        reduce_only = draw(st.sampled_from([None, None, None, True, False]))
        return "submit", asset, draw(quantity), kind, level, reduce_only
    if kind == "close":
        return "close", asset
    if kind == "target":
        return "target", asset, draw(weight)
    if kind == "cancel":
        return "cancel", draw(st.integers(0, 30))
    return "update", draw(st.integers(0, 30)), abs(draw(quantity)) + 1.0, draw(price)


@st.composite
def cases(draw: st.DrawFn, *, dyadic: bool = False, arrays: bool = False, most_bars: int = 12) -> Case:
    """Build a case. dyadic: numbers on which doubles are exact in cash. arrays: only what an array strategy can say."""
    assets = tuple(f"A{number}" for number in range(draw(st.integers(1, 4))))
    bars = draw(
        st.lists(st.fixed_dictionaries({}, optional={asset: _ohlc(dyadic=dyadic) for asset in assets}), min_size=1, max_size=most_bars)
    )
    for asset in assets:  # an asset that never has a row would not be in the feed
        if not any(asset in bar for bar in bars):
            bars[-1][asset] = (10.0, 10.0, 10.0, 10.0)
    steps = st.lists(_action(assets, dyadic=dyadic, arrays=arrays), min_size=draw(st.integers(0, 2)), max_size=4).map(tuple)
    script = [draw(steps) for _ in range(len(bars) + 1)]
    rate = st.sampled_from([1 / 1024, 1 / 64]) if dyadic else st.floats(0, 0.05)
    amount = st.sampled_from([1 / 4, 1 / 2, 12.0]) if dyadic else st.floats(0, 12)
    commission = st.one_of(st.just(("none",)), st.tuples(st.just("percentage"), rate), st.tuples(st.just("per_share"), amount, amount))
    slippage = st.one_of(st.just(("none",)), st.tuples(st.just("fixed"), amount), st.tuples(st.just("percentage"), rate))
    return Case(
        assets=assets,
        bars=tuple(bars),
        script=tuple(script),
        initial_cash=draw(st.sampled_from([1_000_000.0, 30_000.0, 3_000.0, 100.0])),
        execution_mode=draw(st.sampled_from(["same_bar", "next_bar"])),
        execution_price=draw(st.sampled_from([None, None, "open", "close"])),
        commission=draw(commission),
        slippage=draw(slippage),
        allow_short=draw(st.booleans()),
        multipliers=draw(st.fixed_dictionaries({}, optional={asset: st.sampled_from([2.0, 50.0, 0.5]) for asset in assets})),
    )


def dense_case(seed: int, *, dyadic: bool = False, arrays: bool = False, bars: int = 60) -> Case:
    """Make a long case with many fills, flips, partial exits and rejections from a seed."""
    rng = random.Random(seed)
    assets = tuple(f"A{number}" for number in range(rng.randint(1, 6)))
    level = dict.fromkeys(assets, 40.0)
    rows: list[dict[str, OHLC]] = [
        {asset: _step(rng, level, asset, dyadic=dyadic) for asset in assets if rng.random() < 0.93 or not bar} for bar in range(bars)
    ]
    script = [
        tuple(_dense_action(rng, assets, level, dyadic=dyadic, arrays=arrays) for _ in range(rng.randint(0, 5))) for _ in range(bars + 1)
    ]
    rate = rng.choice([1 / 1024, 1 / 256]) if dyadic else rng.random() * 0.01
    amount = rng.choice([1 / 4, 1 / 8]) if dyadic else rng.random() / 4
    return Case(
        assets=assets,
        bars=tuple(rows),
        script=tuple(script),
        initial_cash=rng.choice([20_000.0, 100_000.0, 1_000_000.0]),
        execution_mode=rng.choice(["same_bar", "next_bar"]),
        execution_price=rng.choice([None, None, "open", "close"]),
        commission=rng.choice([("none",), ("percentage", rate), ("per_share", amount, 8 * amount)]),
        slippage=rng.choice([("none",), ("percentage", rate), ("fixed", amount)]),
        allow_short=rng.random() < 0.6,
        multipliers={asset: rng.choice([0.5, 2.0, 10.0]) for asset in assets if rng.random() < 0.3},
    )


def _step(rng: random.Random, level: dict[str, float], asset: str, *, dyadic: bool) -> OHLC:
    def move() -> float:
        return rng.randint(-8, 8) / 4 if dyadic else rng.gauss(0.0, 1.0)

    open_ = max(level[asset] + move(), 5.0)
    close = max(open_ + move(), 5.0)
    level[asset] = close
    high, low = max(open_, close) + abs(move()), max(min(open_, close) - abs(move()), 1.0)
    return (open_, high, low, None if rng.random() < 0.03 else close)


def _dense_action(rng: random.Random, assets: tuple[str, ...], level: dict[str, float], *, dyadic: bool, arrays: bool) -> Action:
    asset = rng.choice(assets)
    lots = (100.0, -100.0, 50.0, -50.0, 200.0, -200.0, 30.0, -30.0)
    if arrays:
        chosen = [name for name in assets if rng.random() < 0.7]
        if rng.random() < 0.5:
            return "quantities", {name: rng.choice(lots) for name in chosen}
        return "targets", {name: rng.choice([0.0, rng.uniform(-0.3, 0.6)]) for name in chosen}
    kind = rng.choices(("market", "limit", "stop", "close", "target", "cancel", "update"), weights=(8, 4, 4, 2, 0 if dyadic else 2, 1, 1))[
        0
    ]
    offset = rng.randint(-12, 12) / 4 if dyadic else rng.gauss(0.0, 2.0)
    price = max(level[asset] + offset, 1.0)
    if kind in ("market", "limit", "stop"):
        quantity = rng.choice(lots) if dyadic or rng.random() < 0.7 else rng.uniform(-250.0, 250.0)
        return "submit", asset, quantity, kind, None if kind == "market" else price, rng.choice([None, None, None, True, False])
    if kind == "close":
        return "close", asset
    if kind == "target":
        return "target", asset, rng.choice([0.0, rng.uniform(-0.5, 1.0)])
    if kind == "cancel":
        return "cancel", rng.randint(0, 1000)
    return "update", rng.randint(0, 1000), float(rng.randint(1, 250)), price
