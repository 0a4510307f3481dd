"""Laws of position rules that hold on every bar: mirror image, composites of one, memory for each position, fills inside the bar."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.risk import (
    AllOf,
    AnyOf,
    PositionAction,
    PositionState,
    RuleChain,
    ScaledExit,
    SignalExit,
    StopLoss,
    TakeProfit,
    TighteningTrailingStop,
    TimeExit,
    TrailingStop,
    VolatilityStop,
    VolatilityTrailingStop,
)
from tests.facade.positions import state

HOLD = PositionAction.hold()
MODES = ("stop_price", "close_price", "bar_extreme", "next_bar_open")
TIMINGS = ("lagged", "intrabar", "vbt_pro")


def rules() -> list[Any]:
    return [
        StopLoss(0.05),
        TakeProfit(0.04),
        TrailingStop(0.03),
        TrailingStop(0.03, trail_hwm_source="bar_extreme", trail_stop_timing="intrabar"),
        TrailingStop(0.03, trail_hwm_source="close", trail_stop_timing="vbt_pro"),
        TighteningTrailingStop([(0.0, 0.05), (0.03, 0.02)]),
        VolatilityStop(1.5),
        VolatilityStop(1.0, lookback=2, use_entry_atr=False),
        VolatilityTrailingStop(1.5),
        TimeExit(4),
        ScaledExit([(0.02, 0.25), (0.04, 1.0)]),
        SignalExit(threshold=0.2),
        RuleChain(StopLoss(0.05), ScaledExit([(0.02, 0.5)])),
        AllOf(TimeExit(2), VolatilityTrailingStop(1.0)),
    ]


KINDS = range(len(rules()))
moves = st.floats(-0.08, 0.08)


@st.composite
def histories(draw: st.DrawFn) -> list[PositionState]:
    """Bars of one long position, in order, each with the mark of the bars before it; prices of either sign."""
    entry = draw(st.floats(1.0, 500.0)) * draw(st.sampled_from([1.0, 1.0, -1.0]))
    mode, timing = draw(st.sampled_from(MODES)), draw(st.sampled_from(TIMINGS))
    mark, close, closes, states = entry, entry, [entry], []
    for held in range(1, draw(st.integers(1, 6)) + 1):
        opening, after = close + abs(entry) * draw(moves), close + abs(entry) * draw(moves)
        high = max(opening, after) + abs(entry) * abs(draw(moves))
        low = min(opening, after) - abs(entry) * abs(draw(moves))
        closes.append(after)
        context = {"stop_fill_mode": mode, "trail_stop_timing": timing, "closes": list(closes)}
        context |= {"atr": abs(entry) * draw(st.floats(0.0, 0.05)), "exit_signal": draw(st.floats(-1.0, 1.0))}
        states.append(state(after, entry=entry, mark=mark, bar=(opening, high, low), bars_held=held, context=context))
        mark, close = max(mark, after), after
    return states


def mirrored(seen: PositionState) -> PositionState:
    context = {**seen.context, "exit_signal": -seen.context["exit_signal"], "closes": [-close for close in seen.context["closes"]]}
    bar = (-(seen.bar_open or 0.0), -(seen.bar_low or 0.0), -(seen.bar_high or 0.0))
    return state(
        -seen.current_price,
        side="short",
        entry=-seen.entry_price,
        mark=-seen.high_water_mark,
        bar=bar,
        bars_held=seen.bars_held,
        context=context,
        unrealized_return=seen.unrealized_return,
    )


def negated(price: float | None) -> float | None:
    return None if price is None else -price


@given(histories(), st.sampled_from(KINDS))
def test_a_short_on_mirrored_prices_does_what_the_long_does(bars: list[PositionState], kind: int) -> None:
    rule, other = rules()[kind], rules()[kind]
    for bar in bars:
        long, short = rule.evaluate(bar), other.evaluate(mirrored(bar))
        assert (short.action, short.pct, short.defer_fill) == (long.action, long.pct, long.defer_fill)
        assert (short.fill_price, short.stop_price) == (negated(long.fill_price), negated(long.stop_price))


@given(histories(), st.sampled_from(KINDS))
def test_one_rule_alone_in_a_composite_is_that_rule(bars: list[PositionState], kind: int) -> None:
    made = [rules()[kind] for _ in range(5)]
    chain, any_of, twice, once = RuleChain(made[1]), AnyOf([made[2]]), AllOf(made[3], made[3]), AllOf(made[4])
    for bar in bars:
        alone = made[0].evaluate(bar)
        assert chain.evaluate(bar) == any_of.evaluate(bar) == alone
        joined = twice.evaluate(bar)
        assert (joined.action, joined.pct, joined.fill_price) == (alone.action, alone.pct, None)
        assert joined.reason == (f"{alone.reason} AND {alone.reason}" if alone.fires else "")
        assert once.evaluate(bar).reason == alone.reason


@given(histories(), histories(), st.sampled_from(KINDS))
def test_a_rule_shared_by_assets_treats_each_as_if_it_were_alone(
    first: list[PositionState], second: list[PositionState], kind: int
) -> None:
    shared, alone = rules()[kind], rules()[kind]
    answers = []
    for place, bar in enumerate(first):
        answers.append(shared.evaluate(bar))
        for other in second[place : place + 1]:
            shared.evaluate(dataclasses.replace(other, asset="B"))
    assert answers == [alone.evaluate(bar) for bar in first]


@given(histories(), st.sampled_from(KINDS))
def test_fills_lie_inside_the_bar_and_close_triggered_rules_name_none(bars: list[PositionState], kind: int) -> None:
    rule = rules()[kind]
    for bar in bars:
        action = rule.evaluate(bar)
        if action.fill_price is not None:
            assert isinstance(rule, (StopLoss, TakeProfit, TrailingStop, RuleChain))
            assert bar.bar_low is not None
            assert bar.bar_high is not None
            assert bar.bar_low <= action.fill_price <= bar.bar_high
            assert bar.context["stop_fill_mode"] != "next_bar_open"


@given(histories(), st.floats(0.005, 0.2), st.floats(0.005, 0.2))
def test_a_tighter_stop_fires_whenever_a_wider_one_does(bars: list[PositionState], one: float, other: float) -> None:
    tight, wide = sorted((one, other))
    makers: list[Callable[[float], Any]] = [StopLoss, TakeProfit, TrailingStop, lambda pct: TighteningTrailingStop([(0.0, pct)])]
    for make in makers:
        assert all(make(tight).evaluate(bar).fires for bar in bars if make(wide).evaluate(bar).fires)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bar_without_a_price_is_held(kind: int) -> None:
    context = {"exit_signal": -1.0, "atr": 0.1, "closes": [1.0, 2.0, 4.0]}
    unpriced = state(math.nan, bar=(1.0, 500.0, 0.5), bars_held=9, context=context, unrealized_return=9.0)
    assert rules()[kind].evaluate(unpriced) == HOLD


def test_an_entry_price_of_0_has_no_percentage_levels() -> None:
    flat = state(-5.0, entry=0.0, bar=(1.0, 5.0, -9.0), unrealized_return=math.nan)
    pair = TighteningTrailingStop([(0.0, 0.05)])
    assert [rule.evaluate(flat) for rule in (StopLoss(0.1), TakeProfit(0.1), TrailingStop(0.1), pair)] == [HOLD] * 4
