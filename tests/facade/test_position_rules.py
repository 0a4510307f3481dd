"""Position rules set through the broker: every rule, their scopes, rules of the user's own, and what is said of their exits."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import ContractSpec
from ml4t_backtest.risk import (
    AllOf,
    AnyOf,
    PositionAction,
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
from tests.facade.play import Action, Run, buy, play

SAME: dict[str, Any] = {"execution_mode": "same_bar"}
CRYPTO: dict[str, Any] = {"account_type": "crypto"}


def rule(made: Any, asset: str | None = None, **scope: Any) -> Action:
    return lambda broker: broker.set_position_rules(made, asset, **scope)


def held(made: Any, bars: list[Any], quantity: float = 10, **arguments: Any) -> Run:
    """Run a position of A that is opened at 100 on the first bar after the start, with a rule for all positions."""
    return play([100, *bars], {-1: [rule(made), buy(quantity)]}, **arguments)


def out(run: Run) -> list[tuple[int, float, str, str | None]]:
    """Return bar, price, exit reason and text of every exit."""
    texts = [order.rule_reason for order in run.orders if order.rule_reason is not None]
    exits = [deal for deal in run.deals if deal[0] > 0]
    return [(bar, price, trade[0], text) for (bar, _, price), trade, text in zip(exits, run.exits, texts, strict=True)]


# One rule after the other ----------------------------------------------------------------------------------------------------

LEVELS: list[tuple[Any, int, list[Any], list[Any]]] = [
    (StopLoss(0.05), 10, [(100, 101, 94, 96)], [(1, 95, "stop_loss", "stop_loss_5.0%")]),
    (StopLoss(0.05), 10, [(100, 101, 95, 96)], [(1, 95, "stop_loss", "stop_loss_5.0%")]),  # a touch
    (StopLoss(0.05), 10, [(100, 101, 95.01, 96)], []),
    (StopLoss(0.05), 10, [(93, 96, 92, 96)], [(1, 93, "stop_loss", "stop_loss_5.0%")]),  # opened beyond it
    (StopLoss(0.05), -10, [(100, 106, 99, 104)], [(1, 105, "stop_loss", "stop_loss_5.0%")]),
    (TakeProfit(0.1), 10, [(100, 111, 99, 105)], [(1, 110, "take_profit", "take_profit_10.0%")]),
    (TakeProfit(0.1), 10, [(112, 113, 99, 105)], [(1, 112, "take_profit", "take_profit_10.0%")]),
    (TakeProfit(0.1), -10, [(100, 101, 89, 95)], [(1, 90, "take_profit", "take_profit_10.0%")]),
    # the mark is the best close of the bars before: 110
    (TrailingStop(0.05), 10, [110, (109, 112, 104, 105)], [(2, 104.5, "trailing_stop", "trailing_stop_5.0%")]),
    (TrailingStop(0.05), 10, [110, (104, 112, 103, 105)], [(2, 104, "trailing_stop", "trailing_stop_5.0%")]),
    (TrailingStop(0.05), -10, [90, (91, 96, 88, 95)], [(2, 94.5, "trailing_stop", "trailing_stop_5.0%")]),
    (TrailingStop(0.05, trail_stop_timing="intrabar"), 10, [(100, 120, 110, 112)], [(1, 114, "trailing_stop", "trailing_stop_5.0%")]),
    (TrailingStop(0.05, trail_stop_timing="vbt_pro"), 10, [(100, 120, 99, 112)], [(1, 112, "trailing_stop", "trailing_stop_5.0%")]),
    (TimeExit(2), 10, [101, (102, 103, 101, 103), 104], [(2, 102, "time_stop", "time_exit_2bars")]),
]


@pytest.mark.parametrize("case", LEVELS, ids=lambda case: str(case[0]))
def test_rules_with_a_level_or_a_time(case: tuple[Any, int, list[Any], list[Any]]) -> None:
    made, quantity, bars, expected = case
    assert out(held(made, bars, quantity, **CRYPTO)) == expected


def test_a_trailing_stop_that_the_close_reaches_is_put_off_as_everything_in_that_mode() -> None:
    run = held(TrailingStop(0.05, trail_stop_timing="vbt_pro"), [(100, 120, 99, 112), 111], stop_fill_mode="next_bar_open", **CRYPTO)
    assert out(run) == [(2, 111, "trailing_stop", "trailing_stop_5.0%")]


# Those that look at the close fill there in SAME_BAR mode, and at the next open in NEXT_BAR mode.
CLOSES: list[tuple[Any, int, list[Any], int, str, str]] = [
    # from a gain of 10 % on the trail is 5 % of the best close: 106.4
    (TighteningTrailingStop(((0.0, 0.2), (0.1, 0.05))), 10, [112, 107, 106], 3, "trailing_stop", "tightening_trail"),
    (TighteningTrailingStop(((0.0, 0.03),)), 10, [110, 106], 2, "trailing_stop", "tightening_trail_3.0%"),
    (VolatilityStop(2.0), 10, [95, 94], 2, "volatility_stop", "volatility_stop_2.0x_atr"),  # 100 - 2 * 3
    (VolatilityStop(2.0), -10, [105, 106], 2, "volatility_stop", "volatility_stop_2.0x_atr"),
    (VolatilityTrailingStop(3.0), 10, [110, 102, 101], 3, "volatility_stop", "vol_trailing_stop_3.0x_atr"),  # 110 - 3 * 3
    (SignalExit("flag", 0.5), 10, [100, 100], 2, "signal", "signal_exit"),  # -0.6 on bar 2, -0.4 before
    (AllOf(TimeExit(1), TakeProfit(0.1)), 10, [105, (105, 111, 105, 106)], 2, "time_stop", "time_exit_1bars AND take_profit_10.0%"),
    (AllOf(SignalExit("flag"), TimeExit(1)), 10, [100], 1, "signal", "signal_exit AND time_exit_1bars"),
]
SIGNALS: dict[str, list[float]] = {"atr": [3.0] * 6, "flag": [0.0, -0.4, -0.6, 0.0, 0.0, 0.0]}


@pytest.mark.parametrize("case", CLOSES, ids=lambda case: str(case[0]))
def test_rules_that_look_at_the_close(case: Any) -> None:
    made, quantity, bars, bar, reason, text = case
    signals = {name: values[: len(bars) + 2] for name, values in SIGNALS.items()}
    bars = [*bars, 90]
    close = bars[bar - 1][3] if isinstance(bars[bar - 1], tuple) else bars[bar - 1]
    assert out(held(made, bars, quantity, signals=signals, **CRYPTO)) == [(bar + 1, 90, reason, text)]
    assert out(held(made, bars, quantity, signals=signals, **CRYPTO, **SAME)) == [(bar, close, reason, text)]


def test_scaled_exits_sell_parts_of_what_is_left() -> None:
    made = ScaledExit(((0.05, 0.5), (0.1, 0.5), (0.2, 1.0)))
    run = held(made, [105, 106, 121, 121, 121], **SAME)
    # one target a bar, the lowest that is not used
    assert run.deals[1:] == [(1, -5, 105), (3, -2.5, 121), (4, -2.5, 121)]
    assert [trade[0] for trade in run.exits] == ["scaled_exit"] * 3
    assert {order.rule_reason for order in run.orders[1:]} == {"scale_out"}
    (single,) = held(ScaledExit(((0.05, 0.5),)), [105, 106], **SAME).orders[1:]
    assert (single.rule_reason, single.quantity) == ("scale_out_5%_50%", 5)
    whole: dict[str, Any] = {"contract_specs": {"A": ContractSpec("A", lot_size=4)}}
    assert held(made, [105, 111, 121], 12, **SAME, **whole).deals[1:] == [(1, -4, 105), (2, -4, 111), (3, -4, 121)]


@pytest.mark.parametrize(
    ("mode", "stop", "target"),
    [
        ("stop_price", (1, 95), (1, 105)),
        ("close_price", (1, 96), (1, 104)),
        ("bar_extreme", (1, 94), (1, 106)),
        ("next_bar_open", (2, 97), (2, 97)),
    ],
)
def test_where_levels_fill(mode: str, stop: tuple[int, float], target: tuple[int, float]) -> None:
    after = (97, 98, 97, 98)
    assert [made[:2] for made in out(held(StopLoss(0.05), [(100, 101, 94, 96), after], stop_fill_mode=mode))] == [stop]
    assert [made[:2] for made in out(held(TakeProfit(0.05), [(100, 106, 99, 104), after], stop_fill_mode=mode))] == [target]


def test_exits_of_levels_may_slip() -> None:
    assert held(StopLoss(0.05), [90], stop_slippage_rate=0.01).deals[-1] == (1, -10, 89.1)
    assert held(StopLoss(0.05), [110], -10, stop_slippage_rate=0.01, **CRYPTO).deals[-1] == (1, 10, 111.1)


def test_levels_may_count_from_the_signal() -> None:
    bars = [100, (104, 104, 104, 104), (104, 104, 98, 99)]
    actions: dict[int, Any] = {-1: rule(StopLoss(0.05)), 0: buy(10)}
    # bought at 104: 98.8; from the close of 100 at submission it would be 95
    assert play(bars, actions).deals[1:] == [(2, -10, 98.8)]
    assert play(bars, actions, stop_level_basis="signal_price").deals[1:] == []


def test_the_water_mark_may_take_the_range_and_start_elsewhere() -> None:
    bars = [(100, 110, 100, 100), 102, (102, 102, 100, 100)]
    made = rule(TrailingStop(0.05))
    runs = {
        source: play(bars, {-1: [made, buy(10)]}, initial_hwm_source=source).deals[1:]
        for source in ("fill_price", "bar_close", "bar_high", "signal_price")
    }
    assert runs == {"fill_price": [], "bar_close": [], "bar_high": [(1, -10, 102)], "signal_price": []}  # below 104.5
    wide = [100, (100, 120, 100, 118), (117, 117, 113, 115)]
    assert play(wide, {-1: [made, buy(10)]}).deals[1:] == []  # 118 * 0.95 = 112.1
    assert play(wide, {-1: [made, buy(10)]}, trail_hwm_source="bar_extreme").deals[1:] == [(2, -10, 114)]


# Several rules ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chain", [RuleChain(StopLoss(0.05), TakeProfit(0.05)), AnyOf([StopLoss(0.05), TakeProfit(0.05)]), [StopLoss(0.05), TakeProfit(0.05)]]
)
def test_the_first_rule_that_fires_decides(chain: Any) -> None:
    assert out(held(chain, [(100, 106, 94, 100)])) == [(1, 95, "stop_loss", "stop_loss_5.0%")]
    assert out(held(chain, [(100, 106, 96, 100)])) == [(1, 105, "take_profit", "take_profit_5.0%")]


def test_rules_of_a_position_win_over_those_of_its_asset_and_those_over_all() -> None:
    bars = {"A": [100, 100, 97, 94, 89], "B": [100, 100, 97, 94, 89], "C": [100, 100, 97, 94, 89]}
    actions: dict[int, Any] = {
        -1: [rule(StopLoss(0.1)), rule(StopLoss(0.05), "B"), rule(StopLoss(0.05), "C"), buy(10), buy(10, "B"), buy(10, "C")],
        1: rule(StopLoss(0.02), "C", position=True),
    }
    run = play(bars, actions)
    exits = [(fill.asset, deal[0]) for deal, fill in zip(run.deals, run.result.fills, strict=True) if deal[1] < 0]
    assert exits == [("C", 2), ("B", 3), ("A", 4)]


def test_the_rule_of_a_position_ends_with_it() -> None:
    def again(broker: Any) -> None:
        broker.submit_order("A", 10)

    actions: dict[int, Any] = {-1: buy(10), 1: rule(StopLoss(0.02), "A", position=True), 3: again}
    run = play([100, 100, 97, 97, 97, 90], actions)
    assert run.deals == [(0, 10, 100), (2, -10, 97), (4, 10, 97)]  # the second position has no rule


def test_rules_may_be_taken_away() -> None:
    run = play([100, 100, 90, 90], {-1: [rule(StopLoss(0.05)), buy(10)], 1: rule(None)})
    assert run.deals == [(0, 10, 100)]
    run = play([100, 100, 90], {-1: [rule(StopLoss(0.05)), rule(StopLoss(0.5), "A"), buy(10)], 1: rule(None, "A")})
    assert run.deals[1:] == [(2, -10, 90)]  # without one of its own an asset follows the one for all


def test_orders_of_rules_are_marked() -> None:
    run = held(StopLoss(0.05), [90])
    entry, stop = run.orders
    assert (entry.rule_reason, stop.rule_reason, stop.reduce_only) == (None, "stop_loss_5.0%", True)


# Values given by hand ----------------------------------------------------------------------------------------------------------


def context(**values: Any) -> Action:
    return lambda broker: broker.update_position_context("A", values)


def test_values_given_by_hand_win_over_the_column() -> None:
    bars = [100, 100, 97, 97]
    stop = rule(VolatilityStop(2.0, use_entry_atr=False))
    assert play(bars, {-1: [stop, buy(10)]}, **SAME, signals={"atr": [1.0] * 4}).deals[1:] == [(2, -10, 97)]
    assert play(bars, {-1: [stop, buy(10)], 1: context(atr=2.0)}, **SAME, signals={"atr": [1.0] * 4}).deals[1:] == []
    assert play(bars, {-1: [stop, buy(10)], 1: context(atr=1.5)}, **SAME).deals[1:] == [(2, -10, 97)]
    back: dict[int, Any] = {-1: [stop, buy(10)], 0: context(atr=9.0), 1: context(atr=None)}
    assert play(bars, back, **SAME, signals={"atr": [1.0] * 4}).deals[1:] == [(2, -10, 97)]


def test_a_signal_given_by_hand_closes_the_position() -> None:
    run = play([100] * 5, {-1: [rule(SignalExit()), buy(10)], 1: context(exit_signal=0.5), 2: context(exit_signal=-0.5)}, **SAME)
    assert run.deals[1:] == [(3, -10, 100)]


# Rules of the user's own ---------------------------------------------------------------------------------------------------------


class Weekly:
    """Sells half on the second bar and the rest on the third, at a price of its own."""

    def __init__(self) -> None:
        self.states: list[Any] = []

    def evaluate(self, state: Any) -> PositionAction:
        self.states.append(state)
        if state.bars_held == 2:
            return PositionAction.exit_partial(0.5, "half_way")
        if state.bars_held == 3:
            return PositionAction.exit_full("all_out", fill_price=state.bar_low)
        return PositionAction.hold()


def test_a_rule_of_the_users_own() -> None:
    mine = Weekly()
    run = held(mine, [101, 102, (103, 105, 99, 104)], signals={"score": [1.0, 2.0, 3.0, 4.0]}, **SAME)
    assert run.deals[1:] == [(2, -5, 102), (3, -5, 99)]
    assert out(run) == [(2, 102, "signal", "half_way"), (3, 99, "signal", "all_out")]
    first, second, third = mine.states
    assert (first.asset, first.side, first.quantity, first.entry_price, first.current_price) == ("A", "long", 10, 100, 101)
    assert (second.bars_held, second.high_water_mark, second.context["score"]) == (2, 101, 3)
    assert (third.bar_open, third.bar_high, third.bar_low, third.quantity, third.initial_quantity) == (103, 105, 99, 5, 10)
    assert (third.unrealized_pnl, third.unrealized_return) == (20, 0.04)


def test_a_rule_of_the_users_own_beside_others() -> None:
    class Never:
        def evaluate(self, state: Any) -> PositionAction:
            return PositionAction.adjust_stop(1.0)

    assert out(held([Never(), StopLoss(0.05)], [90])) == [(1, 90, "stop_loss", "stop_loss_5.0%")]

    class Deferred:
        def evaluate(self, state: Any) -> PositionAction:
            return PositionAction.exit_full("later", defer_fill=True)

    assert out(held(Deferred(), [(101, 102, 100, 101), (103, 103, 102, 102)], **SAME)) == [(2, 103, "signal", "later")]


# Around the exit ------------------------------------------------------------------------------------------------------------------


def test_no_entry_on_the_bar_of_an_exit() -> None:
    actions: dict[int, Any] = {-1: [rule(StopLoss(0.05)), buy(10)], 1: [buy(5), buy(-5)], 2: buy(3)}
    run = play([100, 90, 90, 90], actions, **CRYPTO)
    assert run.states[2:] == [("rejected", "reentry_blocked"), ("rejected", "reentry_blocked"), ("filled", None)]
    assert "allow_reentry_on_exit_bar=True" in str(run.orders[2].rejection_reason)
    assert run.deals == [(0, 10, 100), (1, -10, 90), (3, 3, 90)]
    free = play([100, 90, 90, 90], actions, allow_reentry_on_exit_bar=True, **CRYPTO)
    assert [state for state, _ in free.states] == ["filled"] * 5


def test_a_rule_leaves_alone_what_its_own_exit_takes_already() -> None:
    bars: dict[str, list[Any]] = {"A": [100, 90, None, 80, 80], "B": [1] * 5}
    run = play(bars, {-1: [rule(StopLoss(0.05)), buy(10)]}, stop_fill_mode="next_bar_open")
    assert run.deals[1:] == [(3, -10, 80)]
    assert len(run.orders) == 2


def test_unpriced_positions_are_held() -> None:
    bars: dict[str, list[Any]] = {"A": [100, None, 90, 90], "B": [1, 1, 1, 1]}
    run = play(bars, {-1: [rule(TimeExit(1)), buy(10)]})
    assert run.deals[1:] == [(2, -10, 90)]


def test_what_is_no_rule_and_where_there_is_no_position() -> None:
    def tries(broker: Any) -> None:
        with pytest.raises(TypeError, match=r"rule was 0.05, expected a position rule: an object with evaluate\(state\)"):
            broker.set_position_rules(0.05)
        with pytest.raises(TypeError, match=r"rule was <class .*StopLoss'>, expected .*: StopLoss\(...\)"):
            broker.set_position_rules(StopLoss)
        with pytest.raises(ValueError, match="unknown asset 'B' at 2024-01-01"):
            broker.set_position_rules(StopLoss(0.1), "B")
        for asset in ("A", None):
            with pytest.raises(ValueError, match=rf"there is no open position of {asset!r} at 2024-01-01 00:00:00 to set a rule for"):
                broker.set_position_rules(StopLoss(0.1), asset, position=True)
        with pytest.raises(ValueError, match="unknown asset 'B'"):
            broker.update_position_context("B", {})

    play([100, 100], {0: tries})


def test_an_addition_moves_the_marks_and_not_the_excursions() -> None:
    bars = [(100, 100, 100, 100), (100, 120, 90, 110), (110, 112, 104, 108)]
    for reset, mark, low in ((True, 112, 104), (False, 120, 90)):
        run = play(
            [100, *bars],
            {-1: buy(10), 1: buy(10)},
            stop_reset_on_add=reset,
            trail_hwm_source="bar_extreme",
            initial_hwm_source="bar_close",
        )
        position = run.broker.positions["A"]
        # Added at 100 on a bar from 90 to 120 that closes at 110; the marks of the next bar are 112 and 104.
        assert (position.high_water_mark, position.low_water_mark) == (mark, low)
        assert (round(position.max_favorable_excursion, 9), round(position.max_adverse_excursion, 9)) == (0.2, -0.1)


def test_margin_calls_take_slippage_whatever_the_exits_of_rules_do() -> None:
    # 180 bought at 10.5 of 1,000; at the low of 5 the account is worth 10 of 900, of which a quarter is required.
    run = play(
        [10, 10, (10, 10, 5, 9)],
        {0: buy(180)},
        initial_cash=1_000.0,
        account_type="margin",
        margin_call="liquidate",
        margin_call_check="intrabar",
        slippage_type="fixed",
        slippage_fixed=0.5,
        rule_exit_slippage=False,
    )
    assert run.exits == [("margin_call", 180, 4.5)]
