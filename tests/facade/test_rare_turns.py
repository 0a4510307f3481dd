"""Corners of the rule book, by hand: what random cases have found once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml4t_backtest import ArrayStrategy, BacktestConfig, DataFeed, Engine
from tests.cases import Case
from tests.outcomes import build_engine, engine_outcome, feed_of, oracle_outcome, run_oracle

Row = tuple[float | None, ...]
FLAT: Row = (10.0, 10.0, 10.0, 10.0)


def ran(bars: list[Any], script: dict[int, list[Any]], **case: Any) -> tuple[Engine, dict[str, Any]]:
    """Run one asset A0 over bars, or several over mappings; script by bar, -1 for the start. The oracle agrees."""
    rows = tuple(bar if isinstance(bar, dict) else {"A0": bar} for bar in bars)
    assets = tuple(sorted({asset for row in rows for asset in row}))
    actions = tuple(tuple(script.get(bar, ())) for bar in range(-1, len(rows)))
    settings = {"account_type": "crypto", **case.pop("settings", {})}
    made = Case(assets=assets, bars=rows, script=actions, initial_cash=100_000.0, settings=settings, **case)
    engine = build_engine(made)
    engine.run()
    outcome = engine_outcome(engine)
    assert outcome == oracle_outcome(run_oracle(made))
    return engine, outcome


def order(asset: str, quantity: float, kind: str = "market", **options: Any) -> tuple[Any, ...]:
    """Return the action that submits an order."""
    return "order", asset, quantity, kind, options


def statuses(outcome: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return status and reason of every order."""
    return [(row[6], row[9]) for row in outcome["orders"]]


def sequence(outcome: dict[str, Any]) -> list[int]:
    """Return the numbers of the orders in the order in which they filled."""
    return [fill[0] for fill in outcome["fills"]]


CLOSING = {
    -1: [order("A0", 10.0)],
    0: [order("A1", 5.0, "market_on_close"), order("A1", 9.0, "market_on_close"), order("A0", -10.0, "market_on_close")],
}
TWO: list[Any] = [{"A0": FLAT, "A1": FLAT}] * 2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1, 4, 2, 3]),
        ({"fill_ordering": "fifo"}, [1, 2, 3, 4]),
        ({"entry_order_priority": "notional_desc"}, [1, 4, 3, 2]),
        ({"entry_order_priority": "notional_desc", "fill_ordering": "fifo"}, [1, 2, 3, 4]),
    ],
)
def test_the_pass_at_the_close_has_the_order_of_every_pass(settings: dict[str, Any], expected: list[int]) -> None:
    assert sequence(ran(TWO, CLOSING, settings=settings)[1]) == expected


def test_a_priority_goes_by_what_is_left_of_an_order() -> None:
    # 40 of 50 trade on bar 0; on bar 1 there are 10 left of it, less than the 20 of the other
    script = {-1: [order("A0", 50.0, displayed_quantity=40.0)], 0: [order("A1", 20.0)]}
    _, outcome = ran([{"A0": FLAT, "A1": FLAT}] * 2, script, settings={"entry_order_priority": "notional_desc"})
    assert sequence(outcome) == [1, 2, 1]
    _, outcome = ran([{"A0": FLAT, "A1": FLAT}] * 2, script, settings={"entry_order_priority": "notional_asc"})
    assert sequence(outcome) == [1, 1, 2]


@pytest.mark.parametrize(("priority", "filled"), [("stop_first", 3), ("limit_first", 2)])
def test_of_two_members_at_the_open_the_priority_decides(priority: str, filled: int) -> None:
    legs = [
        order("A0", -5.0, "limit", limit_price=9.0, reduce_only=True),
        order("A0", -5.0, "stop", stop_price=11.0, reduce_only=True, oco=0),
    ]
    _, outcome = ran([FLAT] * 3, {-1: [order("A0", 5.0)], 0: legs}, settings={"bracket_priority": priority})
    assert sequence(outcome) == [1, filled]


def test_a_member_without_a_level_goes_before_the_others() -> None:
    legs = [order("A0", -5.0, "stop", stop_price=11.0, reduce_only=True), order("A0", -5.0, reduce_only=True, oco=0)]
    _, outcome = ran([FLAT] * 3, {-1: [order("A0", 5.0)], 0: legs})
    assert sequence(outcome) == [1, 3]
    assert statuses(outcome)[1] == ("cancelled", "SIBLING_FILLED")


def test_an_update_must_leave_something_to_fill() -> None:
    script = {-1: [order("A0", 50.0, displayed_quantity=30.0)], 0: [("update", 0, {"quantity": 30.0}), ("update", 0, {"quantity": 40.0})]}
    engine, outcome = ran([FLAT] * 3, script)
    assert engine.strategy.answers == [1, False, True]  # type: ignore[union-attr]
    assert [fill[2] for fill in outcome["fills"]] == [30.0, 10.0]


def test_an_order_that_is_late_and_without_a_position_has_expired() -> None:
    script = {
        -1: [order("A0", 5.0)],
        0: [order("A0", -5.0, "limit", limit_price=99.0, reduce_only=True, time_in_force="gtd", good_till=0), ("close", "A0")],
    }
    assert statuses(ran([FLAT] * 4, script, settings={"fill_ordering": "fifo"})[1])[1] == ("expired", "TIME_IN_FORCE")


def test_a_trailing_stop_that_traded_in_part_is_not_moved_on_that_bar() -> None:
    bars = [FLAT, (10.0, 12.0, 8.0, 9.0), (9.0, 12.0, 9.0, 12.0)]
    trail = order("A0", -50.0, "trailing_stop", trail_amount=1.0, displayed_quantity=30.0)
    _, outcome = ran(bars[:2], {-1: [order("A0", 50.0)], 0: [trail]}, settings={"execution_mode": "same_bar"})
    assert outcome["orders"][1][4] == 9.0


def test_a_split_keeps_whole_lots_and_pays_the_rest() -> None:
    contracts = {"A0": {"lot_size": 0.1}}
    _, outcome = ran([FLAT] * 2, {-1: [order("A0", 249.2)]}, contracts=contracts, events=((1, "split", "A0", 2.0),))
    assert [row[1] for row in outcome["positions"]] == [4984 * 0.1]
    engine, outcome = ran([FLAT] * 2, {-1: [order("A0", 3.0)]}, contracts={"A0": {"lot_size": 1.0}}, events=((1, "split", "A0", 0.1),))
    assert not engine.broker.positions
    assert [row[1:3] for row in outcome["trades"]] == [("closed", "corporate_action")]


def test_an_order_that_a_split_leaves_nothing_of_takes_its_children_along() -> None:
    bracket = ("bracket", "A0", 1.0, "limit", {"take_profit": 12.0, "stop_loss": 8.0, "entry_limit": 5.0})
    _, outcome = ran([FLAT] * 2, {-1: [bracket]}, contracts={"A0": {"lot_size": 1.0}}, events=((1, "split", "A0", 0.5),))
    assert statuses(outcome) == [("cancelled", "ROUNDS_TO_ZERO")] + [("cancelled", "PARENT_NOT_FILLED")] * 2


def test_every_breach_of_a_halting_limit_cancels_entries_with_their_children() -> None:
    bracket = ("bracket", "A0", 1.0, "limit", {"take_profit": 12.0, "stop_loss": 4.0, "entry_limit": 5.0})
    _, outcome = ran([FLAT] * 3, {-1: [order("A0", 5.0)], 1: [bracket]}, limits=(("positions", 1, "halt"),))
    assert statuses(outcome)[1:] == [("cancelled", "HALTED")] + [("cancelled", "PARENT_NOT_FILLED")] * 2


def test_liquidation_takes_positions_that_the_limit_does_not_count() -> None:
    exposures = {"A0": ("x", 0.0, 1.0), "A1": ("x", 0.0, 0.0)}
    script = {-1: [order("A0", 5000.0), order("A1", 10.0)]}
    _, outcome = ran([{"A0": FLAT, "A1": FLAT}] * 2, script, limits=(("factor", 0.2, -0.2, "liquidate"),), exposures=exposures)
    assert [row[:3] for row in outcome["trades"]] == [("A0", "closed", "risk_liquidation"), ("A1", "closed", "risk_liquidation")]


def test_order_limits_speak_before_blocked_risk() -> None:
    script = {-1: [order("A0", 5.0)], 0: [order("A0", 500.0), order("A0", 5.0)]}
    _, outcome = ran([FLAT] * 2, script, settings={"max_order_size": 1000.0}, limits=(("positions", 1, "block"),))
    assert [reason for _, reason in statuses(outcome)[1:]] == ["ORDER_SIZE", "RISK_BLOCKED"]


def test_the_reason_of_all_of_is_that_of_what_decided_inside() -> None:
    rules = (("all", (("any", (("take_profit", 0.5), ("stop_loss", 0.1))), ("time_exit", 1))),)
    script = {-1: [order("A0", 5.0), ("rule", "strategy", "A0", 0)]}
    _, outcome = ran([FLAT, (10.0, 10.0, 8.0, 9.0), FLAT], script, rules=rules)
    assert [row[2] for row in outcome["trades"]] == ["stop_loss"]


def test_targets_of_a_rule_that_did_not_decide_stay() -> None:
    first, second = ("scaled", ((0.1, 0.5),)), ("scaled", ((0.1, 0.25),))
    rules = (("all", (("any", (first, second)),)),)
    high: Row = (12.0, 12.0, 12.0, 12.0)
    script = {-1: [order("A0", 8.0), ("rule", "strategy", "A0", 0)]}
    _, outcome = ran([FLAT, high, high], script, rules=rules, settings={"execution_mode": "same_bar"})
    assert [fill[2] for fill in outcome["fills"]] == [8.0, -4.0, -1.0]


def test_a_tightening_trail_counts_the_other_way_on_negative_prices() -> None:
    low: Row = (-10.0, -10.0, -10.0, -10.0)
    script = {-1: [order("A0", 5.0), ("rule", "strategy", "A0", 0)]}
    rules = (("tightening", ((0.0, 0.5),)),)
    assert not ran([low, (-14.0, -14.0, -14.0, -14.0), low], script, rules=rules)[1]["fills"][1:]
    assert len(ran([low, (-16.0, -16.0, -16.0, -16.0), low], script, rules=rules)[1]["fills"]) == 2


def test_a_lagged_trail_needs_the_low() -> None:
    # A missing low is the close, above the open.
    script = {-1: [order("A0", 5.0), ("rule", "strategy", "A0", 0)]}
    bars = [FLAT, (9.0, None, None, 10.0), FLAT]
    for timing, fills in (("lagged", 1), ("intrabar", 2)):
        _, outcome = ran(bars, script, rules=(("trailing_stop", 0.05),), settings={"trail_stop_timing": timing})
        assert len(outcome["fills"]) == fills


def test_a_rule_that_needs_the_close_trades_there_whatever_the_pass_price() -> None:
    script = {-1: [order("A0", 5.0), ("rule", "strategy", "A0", 0)]}
    settings = {"execution_mode": "same_bar", "execution_price": "open"}
    signals = ({"A0": {"exit": 0.0}}, {"A0": {"exit": -1.0}})
    _, outcome = ran([FLAT, (10.0, 11.0, 9.0, 9.5)], script, rules=(("signal", 0.0),), settings=settings, signals=signals)
    assert [fill[3] for fill in outcome["fills"]] == [10.0, 9.5]


def test_values_given_for_a_position_end_with_it_and_reach_later_rules() -> None:
    script = {
        -1: [order("A0", 5.0), ("context", "A0", "exit", -1.0)],
        0: [("rule", "strategy", "A0", 0)],
        1: [("context", "A0", "exit", -1.0), ("rule", "strategy", "A0", 1)],
        2: [order("A0", 5.0)],
    }
    settings = {"execution_mode": "same_bar", "allow_reentry_on_exit_bar": True}
    _, outcome = ran([FLAT] * 5, script, rules=(("signal", 0.0), ("signal", 0.5)), settings=settings)
    assert [fill[2] for fill in outcome["fills"]] == [5.0, -5.0, 5.0]


def test_water_marks_of_a_new_position_take_the_range_of_its_bar() -> None:
    settings = {"execution_mode": "same_bar", "submission_bar_range": "close", "initial_hwm_source": "bar_high"}
    _, outcome = ran([(10.0, 12.0, 8.0, 9.0)], {0: [order("A0", 5.0)]}, settings=settings)
    assert outcome["positions"][0][9:11] == (12.0, 8.0)


def test_a_yielding_stop_limit_order_is_triggered() -> None:
    legs = [order("A0", 5.0, reduce_only=False), order("A0", 3.0, "stop_limit", stop_price=9.0, limit_price=11.0, oco=0)]
    _, outcome = ran([FLAT] * 2, {-1: legs})
    assert outcome["orders"][1][19] is False  # cancelled before its turn
    legs.reverse()
    legs[0], legs[1] = order("A0", 50.0, "stop_limit", stop_price=9.0, limit_price=11.0), order("A0", 5.0, reduce_only=False, oco=0)
    _, outcome = ran([FLAT], {-1: legs}, settings={"fill_ordering": "fifo"})
    assert outcome["orders"][0][19] is True


def test_a_child_that_has_more_than_its_parent_after_a_split_waits() -> None:
    both = {"A0": FLAT, "A1": FLAT}
    script = {-1: [order("A0", 50.0, displayed_quantity=10.0), order("A1", 50.0, parent=0)]}
    _, outcome = ran([both] * 4, script, events=((2, "split", "A1", 3.0),))
    assert [fill[1:3] for fill in outcome["fills"] if fill[1] == "A1"] == [("A1", 10.0), ("A1", 10.0)]


class OnStart(ArrayStrategy):
    """Buys with whole rows before the first bar."""

    def on_start(self, broker: Any) -> None:
        broker.submit_orders(np.array([5.0]))

    def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
        """Do nothing."""


def test_whole_rows_before_the_first_bar_have_no_signal_price() -> None:
    feed: DataFeed = feed_of(Case(assets=("A0",), bars=({"A0": FLAT},), script=((), ())))
    engine = Engine(feed, OnStart(), BacktestConfig(commission_type="none", slippage_type="none"))
    engine.run()
    assert np.isnan(engine._store.used_orders()["signal_price"]).all()
