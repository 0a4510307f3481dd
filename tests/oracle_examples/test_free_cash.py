"""Hand-computed examples of docs/execution.md: the ledger that keeps free cash."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.oracle import Broker, Commission, Contract
from tests.oracle_examples.running import Action, F, fills, run, statuses

FREE: dict[str, Any] = {
    "account": "crypto",
    "initial_cash": 1000,
    "execution_mode": "same_bar",
    "cash_ledger": "free_cash",
    "partial_fills_allowed": True,
}


def all_in(b: Broker) -> None:
    b.submit("A", math.inf)


def all_short(b: Broker) -> None:
    b.submit("A", -math.inf)


def sell(quantity: int) -> Action:
    return lambda b: b.submit("A", -quantity)


def test_all_the_cash_and_its_commission() -> None:
    result = run([10], {0: all_in}, F, commission=Commission(rate=F(1, 100), per_order=10), **FREE)
    (fill,) = result.fills
    assert fill.quantity == F(990) / (1 + F(1, 100)) / 10
    assert (fill.commission, result.cash) == (1000 - F(990) / (1 + F(1, 100)), [0])
    assert result.orders[0].quantity == fill.quantity


def test_all_that_can_be_sold_short() -> None:
    assert fills(run([10, 8], {0: all_short, 1: all_in}, F, **FREE)) == [(1, 0, -100, 10), (2, 1, 250, 8)]
    assert fills(run([10, 12], {0: all_in, 1: all_short}, F, **FREE)) == [(1, 0, 100, 10), (2, 1, -200, 12)]
    assert fills(run([10], {0: lambda b: b.cash_percent("A", F(-1, 4))}, F, **FREE)) == [(1, 0, -25, 10)]


def test_shorts_lock_cash() -> None:
    lock = {**FREE, "short_cash_policy": "lock_notional"}
    assert fills(run([10], {0: sell(300)}, F, **lock)) == [(1, 0, -100, 10)]
    # 60 sold at 10: cash 1600, debt 600, free 400. At 25 all are bought back and 4 more; at 40 only (400 / (40 - 20)) of them.
    assert fills(run([10, 25], {0: sell(60), 1: all_in}, F, **lock))[1] == (2, 1, 64, 25)
    assert fills(run([10, 40], {0: sell(60), 1: all_in}, F, **lock))[1] == (2, 1, 20, 40)
    # At 20 the divisor is 0: nothing can be bought back.
    broke = {**lock, "commission": Commission(per_order=1)}
    assert statuses(run([10, 20], {0: sell(100), 1: all_in}, F, **broke))[1] == ("rejected", "INSUFFICIENT_CASH")


def test_money_from_events_is_free_and_fractions_of_a_short_are_bought_back() -> None:
    lock = {**FREE, "short_cash_policy": "lock_notional"}
    result = run([10, 10], {0: sell(50), 1: all_short}, F, events={1: [("dividend", "A", F(2))]}, **lock)
    # Free are 1000 + 500 - 1000, then the short pays 100.
    assert [fill.quantity for fill in result.fills] == [-50, -40]
    result = run(
        [10, 20], {0: sell(5), 1: all_short}, F, events={1: [("split", "A", F(1, 2))]}, contracts={"A": Contract(lot_size=1)}, **lock
    )
    # Two and a half at 20, of which the half is bought back: cash 1040, debt 40, free 960.
    assert [fill.quantity for fill in result.fills] == [-5, -48]


def test_what_is_refused() -> None:
    strict = {**FREE, "partial_fills_allowed": False}
    result = run([10], {0: lambda b: b.submit("A", 150)}, F, **strict)
    assert (*statuses(result)[0], result.orders[0].need, result.orders[0].have) == ("rejected", "INSUFFICIENT_CASH", 1500, 1000)
    result = run([10], {0: lambda b: b.submit("A", 150, time_in_force="FOK")}, F, **FREE)
    assert statuses(result) == [("rejected", "INSUFFICIENT_CASH")]
    assert fills(run([10], {0: all_in}, F, **strict)) == [(1, 0, 100, 10)]
    assert statuses(run([10], {0: all_short}, F, **{**FREE, "account": "cash"})) == [("rejected", "SHORT_NOT_ALLOWED")]
    assert fills(run([10, 10], {0: all_in, 1: all_short}, F, **{**FREE, "account": "cash"})) == [(1, 0, 100, 10), (2, 1, -100, 10)]
    assert statuses(run([-5], {0: all_in}, F, **FREE)) == [("rejected", "INSUFFICIENT_CASH")]


def test_settings_and_costs_that_it_does_not_know() -> None:
    for odd in ({"settlement_delay": 1}, {"account": "margin"}, {"commission": ("per_share", 1, 0)}, {"slippage": ("spread", 1)}):
        with pytest.raises(ValueError, match="free cash"):
            run([10], {}, **{**FREE, **odd})
