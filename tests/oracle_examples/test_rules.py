"""Hand-computed examples of docs/execution.md: position rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle import (
    AllOf,
    AnyOf,
    Broker,
    Chain,
    OracleResult,
    ScaledExit,
    SignalExit,
    StopLoss,
    TakeProfit,
    Tightening,
    TimeExit,
    TrailingStop,
    VolatilityStop,
    VolatilityTrailingStop,
)
from tests.oracle_examples.running import Action, fills, run, statuses


def follow(rule: Any, bars: list[Any], quantity: float = 8, **settings: Any) -> OracleResult:
    """Hold `quantity` of A from bar 1 on, bought at 10."""

    def start(b: Broker) -> None:
        b.set_rules(rule)
        b.submit("A", quantity)

    settings = {"account": "crypto", **settings}
    return run([10, 10, *bars], {0: start}, **settings)


def exits(result: OracleResult) -> list[tuple[int, float, float]]:
    return [row[1:] for row in fills(result)[1:]]


# Stops and targets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("stop_price", (2, -8, 9)), ("close_price", (2, -8, 10)), ("bar_extreme", (2, -8, 8.5)), ("next_bar_open", (3, -8, 7))],
)
def test_stop_loss(mode: str, expected: tuple[int, float, float]) -> None:
    result = follow(StopLoss(0.1), [(10, 11, 8.5, 10), (7, 8, 6, 7)], stop_fill_mode=mode)
    assert exits(result) == [expected]
    assert result.trades[0].exit_reason == "stop_loss"


def test_a_gap_takes_the_open() -> None:
    assert exits(follow(StopLoss(0.25), [(7, 8, 6, 8)])) == [(2, -8, 7)]
    assert exits(follow(TakeProfit(0.25), [(13, 14, 12, 12)])) == [(2, -8, 13)]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("stop_price", (2, -8, 12.5)), ("close_price", (2, -8, 12)), ("bar_extreme", (2, -8, 14)), ("next_bar_open", (3, -8, 11))],
)
def test_take_profit(mode: str, expected: tuple[int, float, float]) -> None:
    result = follow(TakeProfit(0.25), [(10, 14, 10, 12), 11], stop_fill_mode=mode)
    assert exits(result) == [expected]
    assert result.trades[0].exit_reason == "take_profit"


def test_shorts_are_mirrored() -> None:
    bars = [(10, 13, 7, 10)]
    assert exits(follow(StopLoss(0.25), bars, quantity=-8)) == [(2, 8, 12.5)]
    assert exits(follow(TakeProfit(0.25), bars, quantity=-8)) == [(2, 8, 7.5)]
    assert exits(follow(StopLoss(0.25), bars, quantity=-8, stop_fill_mode="bar_extreme")) == [(2, 8, 13)]
    assert exits(follow(TimeExit(1), [11], quantity=-8)) == [(2, 8, 11)]


def test_slippage_rates_and_models_add_up() -> None:
    result = follow(StopLoss(0.5), [(10, 11, 4, 10)], stop_slippage_rate=0.25, slippage=("fixed", 1))
    # Bought at 11; the level of 5.5 less a quarter, less 1.
    assert exits(result) == [(2, -8, 5.5 * 0.75 - 1)]
    assert result.fills[1].slippage == 1


def test_the_level_may_come_from_the_signal_price() -> None:
    def start(b: Broker) -> None:
        b.set_rules(StopLoss(0.25))
        b.submit("A", 1)

    bars = [8, 10, (10, 10, 7, 9), (9, 9, 6, 6)]
    assert fills(run(bars, {0: start}))[1:] == [(2, 2, -1, 7.5)]
    assert fills(run(bars, {0: start}, stop_level_basis="signal_price"))[1:] == [(2, 3, -1, 6)]


def test_levels_of_negative_and_zero_prices() -> None:
    def start(b: Broker) -> None:
        b.set_rules(Chain((StopLoss(0.25), TakeProfit(0.25))))
        b.submit("A", 1)

    assert fills(run([-10, -10, (-10, -9, -13, -11)], {0: start}))[1:] == [(2, 2, -1, -12.5)]
    assert fills(run([-10, -10, (-10, -7, -11, -8)], {0: start}))[1:] == [(2, 2, -1, -7.5)]
    assert fills(run([0, 0, (0, 9, -9, 1)], {0: start}))[1:] == []


# Trailing ------------------------------------------------------------------------------------------------------------


def test_a_trailing_stop_lags_by_a_bar() -> None:
    bars = [(10, 20, 10, 20), (18, 19, 14, 16)]
    # The mark is 20 after bar 2: level 15.
    assert exits(follow(TrailingStop(0.25), bars)) == [(3, -8, 15)]
    # The marks are those of closes unless the bars' extremes are asked for.
    bars = [(10, 20, 10, 12), (12, 12, 10, 11)]
    assert exits(follow(TrailingStop(0.25), bars)) == []
    assert exits(follow(TrailingStop(0.25), bars, trail_hwm_source="bar_extreme")) == [(3, -8, 12)]


def test_an_intrabar_trail_sees_the_high_of_the_bar() -> None:
    bars = [(10, 20, 10, 12)]
    # Level 7.5 by the mark of 10; 15 by the high, which came after the open of 10.
    assert exits(follow(TrailingStop(0.25), bars)) == []
    assert exits(follow(TrailingStop(0.25), bars, trail_stop_timing="intrabar")) == [(2, -8, 15)]
    assert exits(follow(TrailingStop(0.25), bars, trail_stop_timing="intrabar", stop_fill_mode="close_price")) == [(2, -8, 12)]
    assert exits(follow(TrailingStop(0.25), [(16, 20, 10, 12)], trail_stop_timing="intrabar")) == [(2, -8, 15)]
    assert exits(follow(TrailingStop(0.25), [(7, 20, 6, 12)], trail_stop_timing="intrabar", stop_fill_mode="bar_extreme")) == [(2, -8, 7)]


def test_the_close_decides_last() -> None:
    bars = [(10, 20, 10, 14), 13]
    deferred = follow(TrailingStop(0.25), bars, trail_stop_timing="vbt_pro", stop_fill_mode="next_bar_open")
    assert exits(deferred) == [(3, -8, 13)]  # as everything in that mode
    assert exits(follow(TrailingStop(0.25), bars, trail_stop_timing="vbt_pro")) == [(2, -8, 14)]
    assert exits(follow(TrailingStop(0.25), [(10, 20, 10, 16)], trail_stop_timing="vbt_pro")) == []
    assert exits(follow(TrailingStop(0.25), [(10, 20, 7, 16)], trail_stop_timing="vbt_pro")) == [(2, -8, 7.5)]


def test_a_short_trails_the_low_mark() -> None:
    assert exits(follow(TrailingStop(0.25), [(10, 10, 8, 8), (8, 11, 8, 9)], quantity=-8)) == [(3, 8, 10)]


@pytest.mark.parametrize(("source", "mark"), [("fill_price", 10), ("bar_close", 11), ("bar_high", 14), ("signal_price", 8)])
def test_where_the_water_mark_starts(source: str, mark: float) -> None:
    marks: list[tuple[float, float]] = []

    def look(b: Broker) -> None:
        marks.append((float(b.positions["A"].high_mark), float(b.positions["A"].low_mark)))

    run([8, (10, 14, 6, 11)], {0: lambda b: b.submit("A", 1), 1: look}, initial_hwm_source=source)
    assert marks == [(mark, 6 if source == "bar_high" else mark)]


def test_a_tightening_stop() -> None:
    rule = Tightening(((0.5, 0.1), (0.0, 0.5)))
    # Mark 12: trail 0.5. Mark 16: r = 0.6, trail 0.1, level 14.4; the close of 14 is below, and the next open trades.
    assert exits(follow(rule, [12, 8, 16, 14, 13])) == [(6, -8, 13)]
    assert exits(follow(rule, [12, 8, 16, (15, 15, 13, 14)], execution_mode="same_bar")) == [(5, -8, 14)]


# Signals and volatility ----------------------------------------------------------------------------------------------


def with_signal(values: list[Any], name: str = "atr") -> list[dict[str, dict[str, Any]]]:
    return [{"A": {name: value}} for value in values]


def test_volatility_stops() -> None:
    signals = with_signal([None, None, None, 1.0, 0.5, 0.5])
    # Entry 10: 10 - 2 * 1 on bar 3, where 9 holds; 10 - 2 * 0.5 on bar 4, where 9 fires; traded on bar 5.
    assert exits(follow(VolatilityStop(2, "atr"), [9, 9, 9, 8.5], signals=signals)) == [(5, -8, 8.5)]
    assert exits(follow(VolatilityStop(2, "atr", use_entry_atr=True), [9, 9, 9, 8.5], signals=signals)) == []
    # Mark 14: 14 - 2 * 1 on bar 3, where 12 fires.
    assert exits(follow(VolatilityTrailingStop(2, "atr"), [14, 12, 11, 8], signals=signals)) == [(4, -8, 11)]


def test_signal_exits() -> None:
    signals = with_signal([0, 0, -1, -2, 0], "score")
    assert exits(follow(SignalExit("score", 1), [11, 12, 13], signals=signals)) == [(4, -8, 13)]
    signals = with_signal([0, 0, 1, 2, float("nan")], "score")
    result = follow(SignalExit("score", 1), [11, 12, 13], quantity=-8, signals=signals)
    assert exits(result) == [(4, 8, 13)]
    assert result.trades[0].exit_reason == "signal"


def test_exit_reasons() -> None:
    signals = with_signal([1.0] * 5)
    for rule, reason in (
        (TimeExit(1), "time_stop"),
        (Tightening(((0.0, 0.1),)), "trailing_stop"),
        (VolatilityStop(1, "atr"), "volatility_stop"),
        (VolatilityTrailingStop(1, "atr"), "volatility_stop"),
    ):
        assert follow(rule, [8, 8], signals=signals).trades[0].exit_reason == reason


# Parts and combinations ----------------------------------------------------------------------------------------------


def test_scaled_exits_use_each_target_once() -> None:
    rule = ScaledExit(((0.2, 0.5), (0.1, 0.5)))
    # Bar 2: 12 reaches the first. Bar 3: 13 reaches the second before the first part has traded.
    result = follow(ScaledExit(((0.2, 0.5), (0.1, 0.25))), [12, 13, 14, 15], quantity=10)
    assert exits(result) == [(3, -5, 13), (4, -2.5, 14)]
    assert exits(follow(rule, [12, 13, 14], quantity=10, execution_mode="same_bar")) == [(2, -5, 12), (3, -2.5, 13)]
    assert [trade.status for trade in result.trades] == ["partial", "partial", "open"]


def test_a_part_that_waits_does_not_silence_a_stop() -> None:
    rule = AnyOf((StopLoss(0.1), ScaledExit(((0.2, 0.25),))))
    result = follow(rule, [12, (8, 8, 7, 8)])
    assert exits(result) == [(3, -2, 8), (3, -6, 8)]
    assert [trade.exit_reason for trade in result.trades] == ["scaled_exit", "stop_loss"]


def test_all_of_uses_the_targets_of_all() -> None:
    rule = AllOf((ScaledExit(((0.1, 0.25), (0.2, 0.25))), ScaledExit(((0.1, 0.5),))))
    assert exits(follow(rule, [12, 13, 14])) == [(3, -2, 13)]


def test_a_part_that_rounds_to_nothing_uses_its_target() -> None:
    rule = ScaledExit(((0.1, 0.125), (0.2, 0.5)))
    assert exits(follow(rule, [12, 12, 12], quantity=4, share_type="integer")) == [(4, -2, 12)]


def test_scaled_exits_are_rounded_down() -> None:
    result = follow(ScaledExit(((0.2, 0.5),)), [12, 13], quantity=9, share_type="integer")
    assert exits(result) == [(3, -4, 13)]


def test_chains_and_any_of_take_the_first_that_fires() -> None:
    bars = [(10, 14, 7, 10)]
    for kind in (Chain, AnyOf):
        assert exits(follow(kind((TakeProfit(0.25), StopLoss(0.25))), bars)) == [(2, -8, 12.5)]
        assert exits(follow(kind((TakeProfit(0.5), StopLoss(0.25))), bars)) == [(2, -8, 7.5)]


def test_all_of_is_triggered_at_the_close() -> None:
    rule = AllOf((StopLoss(0.25), TimeExit(2)))
    bars = [(10, 14, 7, 10), (10, 14, 7, 9), 8]
    result = follow(rule, bars)
    assert exits(result) == [(4, -8, 8)]
    assert result.trades[0].exit_reason == "stop_loss"
    assert exits(follow(rule, bars, execution_mode="same_bar")) == [(2, -8, 10)]
    assert exits(follow(AllOf((ScaledExit(((0.1, 0.25),)), TimeExit(1))), [12, 12])) == [(3, -2, 12)]


# Which rule, and what goes on around it ------------------------------------------------------------------------------


def test_the_nearest_rule_counts() -> None:
    def rules(b: Broker) -> None:
        b.set_rules(StopLoss(0.2))
        b.set_rules(StopLoss(0.5), asset="A")
        b.submit("A", 1)
        b.submit("B", 1)

    bars: list[Any] = [{"A": (10,) * 4, "B": (10,) * 4}] * 2 + [{"A": (10, 10, 4, 10), "B": (10, 10, 4, 10)}]
    assert fills(run(bars, {0: rules}))[2:] == [(3, 2, -1, 5), (4, 2, -1, 8)]
    own: Action = lambda b: b.set_rules(StopLoss(0.25), asset="A", position=True)
    assert fills(run(bars, {0: rules, 1: own}))[2:] == [(3, 2, -1, 7.5), (4, 2, -1, 8)]
    with pytest.raises(ValueError):
        run([10], {0: own})


def test_unpriced_positions_and_pending_exits_wait() -> None:
    result = follow(TimeExit(2), [None, None, 11])
    assert exits(result) == [(4, -8, 11)]
    # Deferred to bar 3, which has no price: one exit only, at the open of bar 4.
    result = follow(StopLoss(0.1), [8, None, (7, 8, 6, 7)], stop_fill_mode="next_bar_open")
    assert exits(result) == [(4, -8, 7)]
    assert len(result.orders) == 2


def test_an_exit_in_parts_goes_on_at_the_pass_price() -> None:
    bars = [(10, 10, 8, 9, 40), (12, 12, 12, 11, 400)]
    result = follow(StopLoss(0.1), bars, participation=0.1)
    assert exits(result) == [(2, -4, 9), (3, -4, 12)]


def test_no_way_back_in_on_the_bar_of_the_exit() -> None:
    def again(b: Broker) -> None:
        b.submit("A", 1)

    def start(b: Broker) -> None:
        b.set_rules(StopLoss(0.1))
        b.submit("A", 1)

    bars = [10, 10, (10, 10, 8, 9), 9, 9]
    result = run(bars, {0: start, 2: again, 3: again})
    assert statuses(result)[2:] == [("rejected", "REENTRY_BLOCKED"), ("filled", None)]
    result = run(bars, {0: start, 2: again}, allow_reentry_on_exit_bar=True)
    assert statuses(result)[2:] == [("filled", None)]
    # A deferred exit closes on the next bar and blocks nothing there.
    result = run(bars, {0: start, 3: again}, stop_fill_mode="next_bar_open")
    assert statuses(result)[2:] == [("filled", None)]


def test_an_order_of_the_strategy_comes_before_the_exit_of_a_rule() -> None:
    actions: dict[int, Action] = {1: lambda b: b.close("A")}

    def start(b: Broker) -> None:
        b.set_rules(StopLoss(0.1))
        b.submit("A", 1)

    result = run([10, 10, (10, 10, 8, 9)], {0: start, **actions})
    assert statuses(result)[1:] == [("filled", None), ("cancelled", "POSITION_CLOSED")]


def test_the_excursions_may_take_in_the_extremes() -> None:
    result = follow(None, [(10, 15, 5, 11)], trail_hwm_source="bar_extreme")
    position = result.positions["A"]
    assert (position.max_favorable_excursion, position.max_adverse_excursion) == (0.5, -0.5)
