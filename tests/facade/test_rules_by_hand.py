"""Position rules evaluated by hand: worked examples, memory, composites, bad arguments."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from ml4t_backtest.risk import (
    ActionType,
    AllOf,
    AnyOf,
    PositionAction,
    PositionRule,
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
from ml4t_backtest.risk.position import signal
from ml4t_backtest.types import ExecutionMode
from tests.facade.positions import state

HOLD = PositionAction.hold()
FULL, PARTIAL = ActionType.EXIT_FULL, ActionType.EXIT_PARTIAL


def answer(rule: PositionRule, *args: Any, **more: Any) -> tuple[ActionType, float | None, bool]:
    action = rule.evaluate(state(*args, **more))
    return action.action, action.fill_price, action.defer_fill


# open, high, low, close; the level of StopLoss(0.05) on an entry of 100 is 95 (long) or 105 (short)
@pytest.mark.parametrize(
    ("side", "bar", "close", "mode", "fill"),
    [
        ("long", (99.0, 100.0, 94.0), 96.0, "stop_price", 95.0),
        ("long", (94.5, 96.0, 94.0), 96.0, "stop_price", 94.5),
        ("long", (95.0, 96.0, 94.0), 96.0, "stop_price", 95.0),
        ("long", (99.0, 100.0, 95.0), 96.0, "stop_price", 95.0),
        ("long", (99.0, 100.0, 94.0), 96.0, "close_price", 96.0),
        ("long", (94.5, 100.0, 94.0), 96.0, "bar_extreme", 94.0),
        ("long", (None, None, None), 93.0, "stop_price", 93.0),
        ("long", (math.nan, 97.0, 93.0), 94.0, "stop_price", 95.0),
        ("short", (101.0, 106.0, 100.0), 104.0, "stop_price", 105.0),
        ("short", (105.5, 106.0, 100.0), 104.0, "stop_price", 105.5),
        ("short", (101.0, 106.0, 100.0), 104.0, "bar_extreme", 106.0),
    ],
)
def test_stop_loss_examples(side: str, bar: tuple[float, float, float], close: float, mode: str, fill: float) -> None:
    kind, price, deferred = answer(StopLoss(0.05), close, side=side, bar=bar, context={"stop_fill_mode": mode})
    assert (kind, price, deferred) == (FULL, fill, False)


def test_stop_loss_holds_above_its_level_and_defers_when_told() -> None:
    assert StopLoss(0.05).evaluate(state(96.0, bar=(99.0, 100.0, 95.01))) == HOLD
    deferred = StopLoss(0.05).evaluate(state(94.0, bar=(90.0, 95.0, 89.0), context={"stop_fill_mode": "NEXT_BAR_OPEN"}))
    assert deferred == PositionAction(FULL, stop_price=95.0, reason="stop_loss_5.0%", defer_fill=True, exit_reason="STOP_LOSS")


def test_levels_count_from_the_signal_price_when_asked_for() -> None:
    basis = {"stop_level_basis": "signal_price", "signal_price": 104.0}
    assert StopLoss(0.05).evaluate(state(98.0, context=basis)).stop_price == 104.0 * 0.95
    assert StopLoss(0.05).evaluate(state(98.0, context={**basis, "stop_level_basis": "fill_price"})) == HOLD
    assert StopLoss(0.05).evaluate(state(98.0, context={"stop_level_basis": "signal_price"})) == HOLD
    assert TakeProfit(0.05).evaluate(state(108.0, context=basis)) == HOLD


@pytest.mark.parametrize(
    ("side", "bar", "close", "mode", "fill"),
    [
        ("long", (104.0, 111.0, 103.0), 108.0, "stop_price", 110.00000000000001),
        ("long", (112.0, 113.0, 103.0), 108.0, "stop_price", 112.0),
        ("long", (104.0, 111.0, 103.0), 108.0, "close_price", 108.0),
        ("long", (104.0, 111.0, 103.0), 108.0, "bar_extreme", 111.0),
        ("short", (95.0, 96.0, 89.0), 92.0, "stop_price", 90.0),
        ("short", (88.0, 96.0, 87.0), 92.0, "stop_price", 88.0),
        ("short", (95.0, 96.0, 89.0), 92.0, "bar_extreme", 89.0),
        ("long", (104.0, 111.0, 103.0), 108.0, "next_bar_open", None),
    ],
)
def test_take_profit_examples(side: str, bar: tuple[float, float, float], close: float, mode: str, fill: float | None) -> None:
    kind, price, deferred = answer(TakeProfit(0.10), close, side=side, bar=bar, context={"stop_fill_mode": mode})
    assert (kind, price, deferred) == (FULL, fill, fill is None)
    assert answer(TakeProfit(0.25), 120.0, bar=(110.0, 125.0, 105.0)) == (FULL, 125.0, False)
    assert TakeProfit(2.0).evaluate(state(299.0)) == HOLD  # more than doubling is a target like any other


# mark 110, trail 5 %: the level of the bars before is 104.5; a high of 120 makes it 114
@pytest.mark.parametrize(
    ("timing", "bar", "close", "mode", "fill"),
    [
        ("lagged", (110.0, 110.0, 104.0), 106.0, "stop_price", 104.5),
        ("lagged", (110.0, 120.0, 105.0), 106.0, "stop_price", "hold"),
        ("lagged", (104.5, 110.0, 104.0), 106.0, "close_price", 104.5),
        ("lagged", (103.0, 110.0, 102.0), 106.0, "bar_extreme", 103.0),
        ("lagged", (110.0, 110.0, 102.0), 106.0, "bar_extreme", 102.0),
        ("lagged", (103.0, 110.0, 102.0), 106.0, "next_bar_open", None),
        ("intrabar", (110.0, 120.0, 113.0), 118.0, "stop_price", 114.0),
        ("intrabar", (112.0, 120.0, 105.0), 118.0, "stop_price", 114.0),
        ("intrabar", (104.0, 120.0, 103.0), 118.0, "stop_price", 104.0),
        ("intrabar", (112.0, 120.0, 114.5), 118.0, "stop_price", "hold"),
        ("intrabar", (112.0, 120.0, 113.0), 118.0, "close_price", 118.0),
        ("vbt_pro", (110.0, 120.0, 104.0), 118.0, "stop_price", 104.5),
        ("vbt_pro", (110.0, 120.0, 105.0), 113.0, "stop_price", 113.0),
        ("vbt_pro", (110.0, 120.0, 105.0), 114.5, "stop_price", "hold"),
        ("vbt_pro", (110.0, 120.0, 105.0), 113.0, "next_bar_open", None),
    ],
)
def test_trailing_stop_examples(timing: str, bar: tuple[float, float, float], close: float, mode: str, fill: float | str | None) -> None:
    context = {"stop_fill_mode": mode, "trail_stop_timing": timing}
    expected = (ActionType.HOLD, None, False) if fill == "hold" else (FULL, fill, fill is None)
    assert answer(TrailingStop(0.05), close, mark=110.0, bar=bar, context=context) == expected
    assert answer(TrailingStop(0.05, timing=timing), close, mark=110.0, bar=bar, context={"stop_fill_mode": mode}) == expected


def test_a_short_trails_its_low_mark() -> None:
    assert answer(TrailingStop(0.05), 92.0, side="short", mark=90.0, bar=(91.0, 95.0, 91.0)) == (FULL, 94.5, False)
    assert answer(TrailingStop(0.05), 92.0, side="short", mark=90.0, bar=(96.0, 97.0, 91.0)) == (FULL, 96.0, False)
    assert answer(TrailingStop(0.05), 92.0, side="short", mark=90.0, bar=(91.0, 94.0, 91.0)) == (ActionType.HOLD, None, False)


def test_a_trailing_stop_may_keep_a_mark_of_its_own() -> None:
    bars = [state(100.0, bar=(100.0, 120.0, 99.0)), state(113.0, bar=(114.5, 115.0, 113.0))]
    assert [TrailingStop(0.05).evaluate(bar).fires for bar in bars] == [False, False]
    extreme, closes = TrailingStop(0.05, hwm_source="high"), TrailingStop(0.05, trail_hwm_source="close")
    assert [extreme.evaluate(bar).fill_price for bar in bars] == [None, 114.0]
    assert [closes.evaluate(bar).fires for bar in bars] == [False, False]
    extreme.reset()
    assert not extreme.evaluate(bars[1]).fires


@pytest.mark.parametrize(
    ("mark", "close", "reason"),
    [
        (100.0, 95.0, "tightening_trail_5.0%"),
        (100.0, 95.1, None),
        (110.0, 106.7, "tightening_trail_3.0%"),
        (109.0, 104.0, None),
        (120.0, 118.8, "tightening_trail_1.0%"),
        (120.0, 118.9, None),
        (120.0, 105.0, "tightening_trail_1.0%"),
    ],
)
def test_tightening_trail_examples(mark: float, close: float, reason: str | None) -> None:
    rule = TighteningTrailingStop([(0.2, 0.01), (0.0, 0.05), (0.1, 0.03)])
    assert rule.schedule == ((0.0, 0.05), (0.1, 0.03), (0.2, 0.01))
    action = rule.evaluate(state(close, mark=mark, bar=(close, 130.0, 50.0)))
    assert (action.reason or None, action.fill_price) == (reason, None)


def test_volatility_stops_look_at_the_close_and_carry_no_price() -> None:
    stop, trail = VolatilityStop(2.0), VolatilityTrailingStop(3.0)
    at = {"atr": 2.0}
    assert stop.evaluate(state(96.5, bar=(100.0, 100.0, 90.0), context=at)) == HOLD
    assert stop.evaluate(state(96.0, context=at)).fill_price is None
    assert stop.evaluate(state(104.0, side="short", context=at)).stop_price == 104.0
    assert trail.evaluate(state(104.0, mark=110.0, context=at)).stop_price == 104.0
    assert trail.evaluate(state(104.1, mark=110.0, context=at)) == HOLD
    assert trail.evaluate(state(96.0, side="short", mark=90.0, context=at)).stop_price == 96.0
    for unknown in ({}, {"atr": None}, {"atr": math.nan}, {"atr": 0.0}, {"atr": math.inf}):
        assert VolatilityStop().evaluate(state(1.0, context=unknown)) == trail.evaluate(state(1.0, context=unknown)) == HOLD
    with pytest.raises(TypeError, match=r"context\['atr'\] was 'two'"):
        trail.evaluate(state(1.0, context={"atr": "two"}))


def test_the_first_volatility_is_kept_for_each_position() -> None:
    kept, current = VolatilityStop(2.0), VolatilityStop(2.0, use_entry_atr=False)
    assert [rule.evaluate(state(97.0, context={"atr": 2.0})).fires for rule in (kept, current)] == [False, False]
    assert [rule.evaluate(state(97.0, context={"atr": 1.0})).fires for rule in (kept, current)] == [False, True]
    other = state(97.0, context={"atr": 1.0}, asset="B")
    assert kept.evaluate(other).fires
    assert kept.evaluate(state(97.0, context={"atr": 1.0}, position_id=2)).fires


def test_a_lookback_measures_the_closes_of_the_context() -> None:
    closes = [100.0, 102.0, 100.0, 102.0]  # changes 2, -2, 2: mean 2/3, deviation sqrt(16/3) = 2.309
    rule = VolatilityStop(n_std=2.0, lookback=3, use_entry_atr=False)
    assert rule.evaluate(state(95.4, context={"closes": closes})) == HOLD
    assert rule.evaluate(state(95.3, context={"closes": closes})).stop_price == pytest.approx(100.0 - 2.0 * math.sqrt(16.0 / 3.0))
    for few in (closes[:3], [], [100.0] * 4, [1.0, math.nan, 1.0, 2.0], [1.0, math.inf, math.inf, 2.0], None):
        assert rule.evaluate(state(1.0, context={"closes": few})) == HOLD
    with pytest.raises(TypeError, match="expected a sequence of closes"):
        rule.evaluate(state(1.0, context={"closes": 5.0}))


def test_scaled_exits_use_one_target_a_bar_and_each_once() -> None:
    rule = ScaledExit([(0.10, 0.5), (0.05, 0.25)])
    actions = [rule.evaluate(state(close)) for close in (104.0, 112.0, 112.0, 112.0, 130.0)]
    assert [action.reason for action in actions] == ["", "scale_out_5%_25%", "scale_out_10%_50%", "", ""]
    assert [(action.action, action.pct, action.fill_price) for action in actions[1:3]] == [(PARTIAL, 0.25, None), (PARTIAL, 0.5, None)]
    rule.reset()
    assert rule.evaluate(state(112.0)).reason == "scale_out_5%_25%"


def test_memory_follows_the_position_id_and_not_the_entry_time() -> None:
    from datetime import UTC, datetime

    rule = ScaledExit(levels=[(0.05, 0.25)])
    times = [datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3)]
    assert [rule.evaluate(state(106.0, entry_time=time)).fires for time in times] == [True, False]
    assert [rule.evaluate(state(106.0, position_id=number)).fires for number in (7, 8, 7)] == [True, True, False]
    assert rule.evaluate(state(106.0, asset="B")).fires
    assert rule.evaluate(state(94.0, side="short")).fires


def test_time_and_signal_exits() -> None:
    assert [TimeExit(bars=3).evaluate(state(100.0, bars_held=held)).reason for held in (2, 3, 4)] == [
        "",
        "time_exit_3bars",
        "time_exit_3bars",
    ]
    rule = SignalExit("exit_signal", threshold=0.3)
    for value, side, reason in [
        (-0.5, "long", "signal_exit_-0.50"),
        (-0.3, "long", ""),
        (0.5, "long", ""),
        (0.5, "short", "signal_exit_0.50"),
        (-0.5, "short", ""),
        (math.nan, "long", ""),
        (None, "long", ""),
    ]:
        action = rule.evaluate(state(100.0, side=side, context={"exit_signal": value}))
        assert (action.reason, action.fill_price) == (reason, None)
    assert rule.evaluate(state(100.0)) == HOLD
    with pytest.raises(TypeError, match=r"context\['exit_signal'\] was 'sell'"):
        rule.evaluate(state(100.0, context={"exit_signal": "sell"}))


def test_reasons_and_the_exit_reasons_of_trades() -> None:
    rules: list[Any] = [StopLoss(0.05), TakeProfit(0.1), TrailingStop(0.05), VolatilityStop(2), VolatilityTrailingStop(), TimeExit(20)]
    assert [(rule.reason, rule.exit_reason) for rule in rules] == [
        ("stop_loss_5.0%", "STOP_LOSS"),
        ("take_profit_10.0%", "TAKE_PROFIT"),
        ("trailing_stop_5.0%", "TRAILING_STOP"),
        ("volatility_stop_2.0x_atr", "VOLATILITY_STOP"),
        ("vol_trailing_stop_3.0x_atr", "VOLATILITY_STOP"),
        ("time_exit_20bars", "TIME_STOP"),
    ]
    assert (ScaledExit([(0.05, 0.25)]).reasons, ScaledExit.exit_reason) == (("scale_out_5%_25%",), "SCALED_EXIT")
    assert (TighteningTrailingStop([(0, 0.03)]).reasons, TighteningTrailingStop.exit_reason) == (
        ("tightening_trail_3.0%",),
        "TRAILING_STOP",
    )
    assert (SignalExit.reason_for(-0.5), SignalExit.exit_reason) == ("signal_exit_-0.50", "SIGNAL")
    fired: list[tuple[Any, PositionState]] = [
        (rules[0], state(90.0)),
        (rules[1], state(120.0)),
        (rules[2], state(90.0)),
        (rules[5], state(1.0, bars_held=20)),
    ]
    assert all(rule.evaluate(seen).reason == rule.reason and rule.evaluate(seen).exit_reason == rule.exit_reason for rule, seen in fired)


class Every:
    """A rule of a user's own."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.asked = 0

    def evaluate(self, state: PositionState) -> Any:
        self.asked += 1
        return self.result


def test_chains_take_the_first_that_fires_and_all_of_joins() -> None:
    behind, partial = Every(HOLD), Every(PositionAction.exit_partial(0.5, "half", fill_price=3.0))
    for chain in (RuleChain([StopLoss(0.05), partial, behind]), AnyOf(StopLoss(0.05), partial, behind)):
        assert chain.evaluate(state(100.0)) == partial.result
        assert chain.evaluate(state(90.0)).reason == "stop_loss_5.0%"
    assert (partial.asked, behind.asked) == (2, 0)
    both = AllOf([partial, StopLoss(0.05)])
    assert both.evaluate(state(100.0)) == HOLD
    assert both.evaluate(state(90.0)) == PositionAction(PARTIAL, 0.5, reason="half AND stop_loss_5.0%")
    assert AllOf(TimeExit(1), partial).evaluate(state(90.0)).exit_reason == "TIME_STOP"
    adjust = Every(PositionAction.adjust_stop(3.0))
    assert RuleChain(adjust, StopLoss(0.05)).evaluate(state(90.0)) == adjust.result
    assert [kind(rules=[]).evaluate(state(90.0)) for kind in (RuleChain, AnyOf, AllOf)] == [HOLD] * 3


def test_a_target_counts_as_used_only_when_it_was_taken() -> None:
    rule = AllOf(ScaledExit([(0.05, 0.25)]), SignalExit())
    assert [rule.evaluate(state(106.0, context={"exit_signal": value})).fires for value in (1.0, -1.0, -1.0)] == [False, True, False]
    chain = RuleChain(TimeExit(5), ScaledExit([(0.05, 0.25)]))
    assert [chain.evaluate(state(106.0, bars_held=held)).action for held in (5, 4, 3)] == [FULL, PARTIAL, ActionType.HOLD]
    chain.reset()
    assert chain.evaluate(state(106.0)).action is PARTIAL


def test_rules_behind_the_one_that_fired_still_see_the_bar() -> None:
    chain = RuleChain(ScaledExit([(0.05, 0.25)]), TrailingStop(0.05, trail_hwm_source="close"))
    assert [chain.evaluate(state(close)).reason for close in (120.0, 113.0)] == ["scale_out_5%_25%", "trailing_stop_5.0%"]


def test_a_subclass_with_its_own_evaluate_is_asked_itself() -> None:
    class Never(ScaledExit):
        def evaluate(self, state: PositionState) -> PositionAction:
            return HOLD

    assert RuleChain(Never([(0.05, 0.25)])).evaluate(state(120.0)) == HOLD


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StopLoss(5), r"StopLoss\(pct=5\): expected a fraction between 0 and 1"),
        (lambda: StopLoss(0.0), "pct=0.0"),
        (lambda: StopLoss(True), "pct=True"),
        (lambda: StopLoss("0.05"), "pct='0.05'"),
        (lambda: TakeProfit(-0.1), r"TakeProfit\(pct=-0.1\)"),
        (lambda: TakeProfit(math.inf), "pct=inf"),
        (lambda: TrailingStop(math.nan), "pct=nan"),
        (lambda: TrailingStop(0.05, timing="lag"), "trail_stop_timing='lag'.*did you mean 'lagged'"),
        (lambda: TrailingStop(0.05, hwm_source="low"), "trail_hwm_source='low'"),
        (lambda: TighteningTrailingStop([]), "schedule.*expected pairs"),
        (lambda: TighteningTrailingStop([0.1, 0.2]), "schedule.*expected pairs"),
        (lambda: TighteningTrailingStop([(0.1, 0.2), (0.1, 0.3)]), "must differ"),
        (lambda: TighteningTrailingStop([(0.1, 1.0)]), "schedule=1.0"),
        (lambda: ScaledExit([(-0.1, 0.5)]), "targets=-0.1"),
        (lambda: ScaledExit([(0.1, 1.5)]), "targets=1.5.*at most 1"),
        (lambda: VolatilityStop(0.0), "multiplier=0.0"),
        (lambda: VolatilityStop(2.0, 20), "atr_key=20"),
        (lambda: VolatilityStop(lookback=1), "lookback=1.*integer >= 2"),
        (lambda: VolatilityTrailingStop(-1.0), "multiplier=-1.0"),
        (lambda: TimeExit(0), "max_bars=0"),
        (lambda: TimeExit(2.5), "max_bars=2.5"),
        (lambda: TimeExit(True), "max_bars=True"),
        (lambda: SignalExit(""), "signal_name=''"),
        (lambda: SignalExit(threshold=-0.1), "threshold=-0.1"),
        (lambda: state(100.0, side="flat"), "side='flat'"),
        (lambda: PositionAction.exit_partial(0.0), "pct=0.0"),
        (lambda: StopLoss(0.05).evaluate(state(90.0, context={"stop_fill_mode": "stop"})), r"context\(stop_fill_mode='stop'\)"),
    ],
)
def test_bad_values_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StopLoss(percent=0.05), "no argument 'percent'"),
        (lambda: TimeExit(bars=3, max_bars=3), "both 'max_bars' and its other spelling 'bars'"),
        (lambda: RuleChain([StopLoss]), r"RuleChain: rule 0 was the class StopLoss, expected an object"),
        (lambda: AllOf(StopLoss(0.1), 3), "AllOf: rule 1 was 3"),
        (lambda: AnyOf(StopLoss(0.1), rules=[]), "both by position and by keyword"),
        (lambda: RuleChain(Every(None)).evaluate(state(1.0)), r"Every.evaluate\(\) returned None"),
    ],
)
def test_wrong_kinds_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_other_spellings_and_plain_values() -> None:
    assert TighteningTrailingStop(thresholds=[(0, 0.05)]) == TighteningTrailingStop(schedule=((0.0, 0.05),))
    old, new = signal.VolatilityTrailingStop("natr"), VolatilityTrailingStop(2.0, volatility_key="natr")
    assert (old.atr_key, old.multiplier) == (new.atr_key, new.multiplier) == ("natr", 2.0)
    assert old.evaluate(state(96.0, context={"natr": 2.0})) == new.evaluate(state(96.0, context={"natr": 2.0}))
    assert pickle.loads(pickle.dumps(RuleChain(ScaledExit([(0.1, 0.5)]), StopLoss(0.05)))) == RuleChain(
        [ScaledExit([(0.1, 0.5)]), StopLoss(0.05)]
    )
    assert hash(StopLoss(0.05)) == hash(StopLoss(0.05))
    assert RuleChain(StopLoss(0.1)) != AnyOf(StopLoss(0.1))
    assert all(isinstance(rule, PositionRule) for rule in (StopLoss(0.1), RuleChain(), old, Every(None)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        StopLoss(0.05).pct = 0.1  # type: ignore[misc]
    with pytest.raises(ValueError, match="expected one of"):
        StopLoss(0.05).evaluate(state(90.0, context={"stop_fill_mode": ExecutionMode.SAME_BAR}))
