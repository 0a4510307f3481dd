"""Hand-computed examples of docs/execution.md: dividends, splits, funding, interest."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.oracle import Broker, Contract
from tests.oracle_examples.running import Action, F, run, statuses

YEAR = 365 * 86400 * 10**9


def flows(result: Any) -> list[tuple[Any, ...]]:
    return [(flow.bar, flow.asset, flow.kind, flow.amount) for flow in result.cash_flows]


def test_a_dividend_is_paid_to_what_was_held_before_the_bar() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 4)}
    events = {1: [("dividend", "A", 1)], 2: [("dividend", "A", 0.5), ("dividend", "B", 9)]}
    result = run([10, 10, 10], actions, events=events, multipliers={"A": 2})
    assert flows(result) == [(2, "A", "dividend", 4)]
    assert result.cash == [10000, 9920, 9924]
    result = run([10, 10, 10], {0: lambda b: b.submit("A", -4)}, events=events, account="crypto")
    assert flows(result) == [(2, "A", "dividend", -2)]


def test_funding_is_paid_by_longs_on_the_last_mark() -> None:
    result = run([10, 12, 20], {-1: lambda b: b.submit("A", 4)}, events={2: [("funding", "A", 0.25)]}, account="crypto")
    assert flows(result) == [(2, "A", "funding", -(4 * 12 * 0.25))]
    with pytest.raises(ValueError):
        run([10], {}, events={0: [("funding", "A", 0.25)]})


def test_a_split_keeps_the_value() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 10, "limit", limit_price=6, displayed_quantity=4)
        b.submit("A", -10, "trailing_stop", trail_amount=9)

    result = run([10, 10, 5], {-1: lambda b: b.submit("A", 10), 1: orders}, Fraction, events={2: [("split", "A", 2)]})
    position = result.positions["A"]
    assert (position.quantity, position.entry_price, position.signal_price, position.high_mark) == (20, 5, None, 5)
    assert result.equity == [10000] * 3
    limit, trail = result.orders[1:]
    assert (limit.quantity, limit.limit_price, limit.displayed_quantity) == (20, 3, 8)
    assert (trail.quantity, trail.trail_amount, trail.stop_price) == (-20, F(9, 2), F(1, 2))


def test_a_split_takes_the_slippage_and_the_filled_part_along() -> None:
    action: Action = lambda b: b.submit("A", 5, displayed_quantity=3)
    kwargs: dict[str, Any] = {"slippage": ("fixed", 2), "share_type": "integer", "events": {2: [("split", "A", F(3, 2))]}}
    result = run([10, 10, None], {0: action}, Fraction, **kwargs)
    position, order = result.positions["A"], result.orders[0]
    # 3 become 4.5, of which 0.5 are paid out at 10 / 1.5.
    assert (position.quantity, position.initial_quantity) == (4, F(9, 2))
    assert (position.entry_price, position.entry_slippage) == (8, F(4, 3))
    assert (order.quantity, order.filled_quantity, order.displayed_quantity) == (7, F(9, 2), F(9, 2))
    assert (order.filled_price, order.signal_price) == (8, F(20, 3))
    assert result.cash[-1] == 10000 - 36 + F(1, 2) * F(20, 3)
    assert result.cash_flows == []


def test_a_split_of_a_future_pays_what_it_gained_since_the_settlement() -> None:
    contracts = {"A": Contract(multiplier=10, initial_margin=10, lot_size=1, future=True)}
    kwargs: dict[str, Any] = {"account": "margin", "contracts": contracts, "sessions": [1, 1, 1, 1]}
    result = run([10, 10, 12, None], {0: lambda b: b.submit("A", 3)}, events={3: [("split", "A", 0.5)]}, **kwargs)
    # 1.5 at 24, bought at 20: half a contract has gained 0.5 * 4 * 10.
    assert (result.positions["A"].quantity, result.trades[0].pnl) == (1, 20)
    assert result.cash[-2:] == [10000, 10000 + 20 + 40]


def test_what_a_split_leaves_over_is_paid_out() -> None:
    contracts = {"A": Contract(lot_size=1)}
    kwargs: dict[str, Any] = {"contracts": contracts, "commission": ("per_share", 0, 5), "events": {1: [("split", "A", 0.5)]}}
    result = run([10, 24], {-1: lambda b: b.submit("A", 5)}, **kwargs)
    paid, rest = result.trades
    # 5 become 2.5 at 20, and the half is paid out at 20.
    assert (paid.quantity, paid.entry_price, paid.exit_price, paid.pnl, paid.commission) == (0.5, 20, 20, -1, 1)
    assert (paid.status, paid.exit_reason) == ("partial", "corporate_action")
    assert (rest.quantity, rest.commission, result.cash[-1]) == (2, 4, 10000 - 50 - 5 + 10)
    result = run([10, 24], {-1: lambda b: b.submit("A", 1)}, **kwargs)
    assert (result.positions, result.trades[0].status, result.cash[-1]) == ({}, "closed", 10000 - 10 - 5 + 10)


def test_pending_orders_that_round_to_nothing_are_cancelled() -> None:
    action: Action = lambda b: b.submit("A", 1, "limit", limit_price=1)
    result = run([10, 20], {0: action}, events={1: [("split", "A", 0.5)]}, share_type="integer")
    assert statuses(result) == [("cancelled", "ROUNDS_TO_ZERO")]


def test_interest_at_the_start_of_a_session() -> None:
    kwargs: dict[str, Any] = {"times": [0, YEAR // 4, YEAR // 2, YEAR], "sessions": [1, 1, 2, 3], "cash_interest_rate": 0.5}
    result = run([10] * 4, {}, initial_cash=1000, **kwargs)
    assert flows(result) == [(2, None, "interest", 250), (3, None, "interest", 312.5)]
    assert result.equity == [1000, 1000, 1250, 1562.5]


def test_debt_and_borrowed_assets_cost() -> None:
    times = [0, YEAR // 2, YEAR]
    kwargs: dict[str, Any] = {"account": "margin", "initial_cash": 1000, "times": times}
    result = run([10] * 3, {0: lambda b: b.submit("A", 200)}, margin_interest_rate=0.125, **kwargs)
    assert flows(result) == [(2, None, "interest", -1000 * 0.125 * 0.5)]
    result = run([10] * 3, {0: lambda b: b.submit("A", -100)}, borrow_rate=0.25, **kwargs)
    assert flows(result) == [(2, "A", "borrow", -125)]


def test_a_short_future_is_not_borrowed() -> None:
    contracts = {"A": Contract(initial_margin=1, future=True)}
    kwargs: dict[str, Any] = {"times": [0, YEAR // 2, YEAR], "contracts": contracts, "borrow_rate": 0.25}
    assert flows(run([10] * 3, {0: lambda b: b.submit("A", -100)}, account="margin", **kwargs)) == []


def test_unknown_events() -> None:
    for event in (("dividend", "Z", 1), ("merger", "A", 1)):
        with pytest.raises(ValueError):
            run([10], {}, events={0: [event]})
