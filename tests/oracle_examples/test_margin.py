"""Hand-computed examples of docs/execution.md: accounts with leverage and margin calls."""

from __future__ import annotations

from typing import Any

from tests.oracle import Alert, Broker, Contract, ScaledExit
from tests.oracle_examples.running import Action, fills, flat, run, statuses

MARGIN: dict[str, Any] = {"account": "margin", "initial_cash": 1000}
RATES: dict[str, Any] = {"initial_margin": 0.5, "long_maintenance_margin": 0.25, "short_maintenance_margin": 0.5}


def test_twice_the_money() -> None:
    for quantity, status in ((200, "filled"), (-200, "filled"), (201, "rejected")):
        result = run([10, 10], {0: lambda b, q=quantity: b.submit("A", q)}, **MARGIN)  # type: ignore[misc]
        assert result.orders[0].status == status
    order = result.orders[0]
    assert (order.reason, order.need, order.have) == ("INSUFFICIENT_BUYING_POWER", 1005, 1000)
    assert run([10, 10], {0: lambda b: b.submit("A", 200)}, **MARGIN).cash == [1000, -1000]


def test_have_counts_gains_other_positions_and_commission() -> None:
    bars = [{"A": flat(10), "B": flat(10)}, {"A": flat(10), "B": flat(10)}, {"A": flat(12), "B": flat(20)}]
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 100), 1: lambda b: b.submit("B", 1000)}
    result = run(bars, actions, commission=("per_share", 0, 7), **MARGIN)
    # Value 1000 - 7 + 200; A needs 600 at its mark of 12; the commission of 7.
    assert (result.orders[1].need, result.orders[1].have) == (10000, 1193 - 7 - 600)
    result = run(bars, actions, buying_power_basis="maintenance", cash_buffer_pct=0.5, **{**MARGIN, "initial_cash": 2000})
    # 2200 - half of the cash of 1000 - 0.25 * 1200.
    assert (result.orders[1].need, result.orders[1].have) == (10000, 2200 - 500 - 300)


def test_adding_and_flipping() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 100), 1: lambda b: b.submit("A", 1000)}
    order = run([10, 10, 12], actions, **MARGIN).orders[1]
    assert (order.need, order.have) == (6000, 1200 - 600)
    actions[1] = lambda b: b.submit("A", -1100)
    order = run([10, 10, 12], actions, **MARGIN).orders[1]
    assert (order.need, order.have) == (6000, 1200)


def test_the_totals_follow_each_fill_of_a_pass() -> None:
    def both(b: Broker) -> None:
        b.submit("A", 100)
        b.submit("B", 200)

    order = run([{"A": flat(10), "B": flat(10)}] * 2, {0: both}, slippage=("fixed", 1), **MARGIN).orders[1]
    # A was bought and marked at 11: requirement 550, no change in value.
    assert (order.need, order.have) == (0.5 * 2200, 1000 - 550)


def test_margin_in_money() -> None:
    contracts = {"A": Contract(multiplier=50, initial_margin=400, maintenance_margin=300)}
    order = run([100, 100], {0: lambda b: b.submit("A", 3)}, account="margin", initial_cash=1000, contracts=contracts).orders[0]
    assert (order.need, order.have) == (1200, 1000)


def test_a_partial_fill_with_leverage() -> None:
    result = run([10, 10], {0: lambda b: b.submit("A", 500)}, partial_fills_allowed=True, **MARGIN)
    assert fills(result) == [(1, 1, 200, 10)]


def test_a_call_restores_the_requirement() -> None:
    result = run([10, 10, 6, 6], {0: lambda b: b.submit("A", 200)}, **MARGIN, **RATES)
    # At 6: value 200, requirement 300, 1.5 for each unit: 66.67 units have to go.
    order = result.orders[1]
    assert order.quantity == -(100 / 1.5)
    assert [fill.bar for fill in result.fills] == [1, 3]
    assert result.trades[0].exit_reason == "margin_call"
    assert order.reduce_only


def test_a_call_takes_the_largest_first_in_whole_lots_and_counts_pending_ones() -> None:
    def enter(b: Broker) -> None:
        b.submit("A", 80)
        b.submit("B", 120)

    bars: list[Any] = [{"A": flat(10), "B": flat(10)}] * 2 + [{"A": flat(6), "B": flat(6)}, {}, {"A": flat(6), "B": flat(6)}]
    result = run(bars, {0: enter}, share_type="integer", **MARGIN, **RATES)
    # B needs 180 of 300, so it goes down by 100 / 1.5, rounded up; bar 3 is a call that is already answered.
    assert [(order.asset, order.quantity) for order in result.orders[2:]] == [("B", -67)]
    assert fills(result)[2:] == [(3, 4, -67, 6)]


def test_a_call_goes_on_to_the_next_position() -> None:
    def enter(b: Broker) -> None:
        b.submit("A", 95)
        b.submit("B", 105)

    bars = [{"A": flat(10), "B": flat(10)}] * 2 + [{"A": flat(5.2), "B": flat(5.2)}]
    result = run(bars, {0: enter}, **MARGIN, **RATES)
    # Value 40, requirement 260, 1.3 for each unit; B covers 136.5 of 220.
    assert [order.asset for order in result.orders[2:]] == ["B", "A"]
    assert abs(result.orders[2].quantity) == 105
    assert abs(abs(result.orders[3].quantity) - (220 - 136.5) / 1.3) < 1e-9


def test_a_call_counts_what_a_rule_will_release() -> None:
    def enter(b: Broker) -> None:
        b.set_rules(ScaledExit(((-0.5, 0.25),)), asset="A")
        b.submit("A", 100)
        b.submit("B", 100)

    result = run([{"A": flat(10), "B": flat(10)}] * 2 + [{"A": flat(6), "B": flat(6)}], {0: enter}, **MARGIN, **RATES)
    # 100 are missing at 1.5 a unit; the rule takes 25 of A, which leaves it out.
    assert [(order.asset, order.quantity) for order in result.orders[2:]] == [("A", -25), ("B", -(62.5 / 1.5))]


def test_calls_are_recorded() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 200)}
    for how, action in (("restore", "REDUCE"), ("liquidate", "LIQUIDATE"), ("ignore", "WARN")):
        assert run([10, 10, 6], actions, margin_call=how, **MARGIN).alerts == [Alert(2, -1, 200, 300, action)]


def test_liquidate_ignore_and_the_second_pass() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 200)}
    result = run([10, 10, 6, 7], actions, margin_call="liquidate", **MARGIN)
    assert fills(result)[1:] == [(2, 3, -200, 7)]
    result = run([10, 6, 7], actions, margin_call="liquidate", execution_mode="same_bar", **MARGIN)
    assert fills(result)[1:] == [(2, 1, -200, 6)]
    assert len(run([10, 10, 6, 7], actions, margin_call="ignore", **MARGIN).orders) == 1


def test_an_intrabar_check_trades_at_the_worst_price_of_the_bar() -> None:
    bars = [10, 10, (10, 11, 6, 10)]
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 200)}
    result = run(bars, actions, margin_call_check="intrabar", margin_call="liquidate", **MARGIN)
    assert fills(result)[1:] == [(2, 2, -200, 6)]
    assert len(run(bars, actions, margin_call="liquidate", **MARGIN).orders) == 1
    actions = {0: lambda b: b.submit("A", -100)}
    result = run([10, 10, (10, 18, 9, 10)], actions, margin_call_check="intrabar", margin_call="liquidate", **MARGIN)
    assert fills(result)[1:] == [(2, 2, 100, 18)]


def test_a_margin_account_without_short_selling() -> None:
    assert statuses(run([10, 10], {0: lambda b: b.submit("A", -1)}, allow_short=False, **MARGIN)) == [("rejected", "SHORT_NOT_ALLOWED")]
