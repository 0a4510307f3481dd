"""Hand-computed examples of docs/execution.md: closes that trigger, bars without volume, splits at cost, and what else Zipline does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle import Broker, Commission, Contract
from tests.oracle_examples.running import Action, fills, flat, run, statuses

CLOSE: dict[str, Any] = {"trigger_price": "close", "execution_price": "close"}
CAPPED: dict[str, Any] = {**CLOSE, "participation": 0.1, "share_type": "integer", "fill_ordering": "fifo", "account": "crypto"}


def test_a_close_triggers_and_the_range_does_not() -> None:
    bars = [10, (10, 12, 8, 11), (11, 12, 8, 9), 10]
    buy: dict[int, Action] = {0: lambda b: b.submit("A", 1, "limit", limit_price=9.5)}
    assert fills(run(bars, buy, **CLOSE)) == [(1, 2, 1, 9)]
    assert fills(run(bars, buy)) == [(1, 1, 1, 9.5)]
    # the open of the bar whose close triggers: the price is then beyond the limit, and becomes it unless something else is said
    assert fills(run(bars, buy, trigger_price="close")) == [(1, 2, 1, 9.5)]
    assert fills(run(bars, buy, trigger_price="close", beyond_limit="fill")) == [(1, 2, 1, 11)]


def test_a_stop_limit_needs_two_closes_or_one_that_does_both() -> None:
    def order(b: Broker) -> None:
        b.submit("A", 1, "stop_limit", limit_price=11, stop_price=12)

    assert fills(run([10, 13, 11.5, 10.5], {0: order}, **CLOSE)) == [(1, 3, 1, 10.5)]
    assert fills(run([10, 11.5, 11, 10.5], {0: order}, **CLOSE)) == []  # the stop was never seen
    both: dict[int, Action] = {0: lambda b: b.submit("A", 1, "stop_limit", limit_price=12.5, stop_price=12)}
    assert fills(run([10, 12, 10], both, **CLOSE)) == [(1, 1, 1, 12)]


def test_what_is_triggered_stays_so_and_a_bar_out_of_volume_tests_nothing() -> None:
    # A tenth of 5 is no lot. The first order is triggered by the close of 10 all the same, and at 12 not asked about its limit again; the
    # second has no test on that bar, and fails the one at 12.
    dry = [flat(10, 100), flat(10, 5), flat(12, 1000), flat(12, 1000)]
    alone: dict[int, Action] = {0: lambda b: (b.submit("A", 1, "limit", limit_price=10), b.submit("A", 1, "limit", limit_price=10))}
    assert fills(run(dry, alone, **{**CAPPED, "beyond_limit": "fill"})) == [(1, 2, 1, 12)]
    assert fills(run(dry, alone, **CAPPED)) == [(1, 2, 1, 10)]


def test_a_price_beyond_the_limit_waits_or_trades() -> None:
    buy: dict[int, Action] = {0: lambda b: b.submit("A", 1, "limit", limit_price=10)}
    costs: dict[str, Any] = {**CLOSE, "slippage": ("fixed", 0.5)}
    assert fills(run([10, 10, 9], buy, **costs)) == [(1, 1, 1, 10)]
    assert fills(run([10, 10, 9], buy, **costs, beyond_limit="wait")) == [(1, 2, 1, 9.5)]
    assert fills(run([10, 10, 9], buy, **costs, beyond_limit="fill")) == [(1, 1, 1, 10.5)]


def test_no_volume_no_trade() -> None:
    buy: dict[int, Action] = {0: lambda b: b.submit("A", 1)}
    bars = [flat(10, 5), flat(10, 0), flat(11, 5)]
    assert fills(run(bars, buy)) == [(1, 1, 1, 10)]
    assert fills(run(bars, buy, trade_without_volume=False)) == [(1, 2, 1, 11)]
    assert fills(run([10, 10], buy, trade_without_volume=False)) == [(1, 1, 1, 10)]  # nobody knows the volume


@pytest.mark.parametrize(
    ("quantity", "limit", "rounded"),
    [(1, 10.0194, 10.01), (1, 10.0196, 10.02), (-1, 10.0104, 10.01), (-1, 10.0106, 10.02), (1, 10.01, 10.01), (-1, 10.01, 10.01)],
)
def test_five_per_cent_beside_a_tick(quantity: float, limit: float, rounded: float) -> None:
    settings: dict[str, Any] = {"round_to_tick": True, "tick_rounding": "lenient", "default_tick_size": 0.01, "account": "crypto"}
    result = run([10], {0: lambda b: b.submit("A", quantity, "limit", limit_price=limit)}, **settings)
    price = result.orders[0].limit_price
    assert price is not None
    assert float(price) == pytest.approx(rounded, rel=1e-15)


def test_orders_that_reduce_may_open_unless_asked_not_to() -> None:
    twice: dict[int, Action] = {0: lambda b: b.submit("A", 5), 1: lambda b: (b.submit("A", -5), b.submit("A", -5))}
    kept = run([10] * 3, twice, account="crypto", implicit_reduce_only=False)
    assert kept.positions["A"].quantity == -5
    assert statuses(run([10] * 3, twice, account="crypto"))[2] == ("cancelled", "POSITION_CLOSED")


def test_nearly_a_lot_is_one() -> None:
    buy: dict[int, Action] = {0: lambda b: (b.submit("A", 2.99995), b.submit("A", 2.9998))}
    result = run([10, 10], buy, share_type="integer", lot_tolerance=1e-4)
    assert [order.quantity for order in result.orders] == [3, 2]


def test_a_split_at_cost() -> None:
    def sells(b: Broker) -> None:
        b.submit("A", -51, "limit", limit_price=20.13)

    commission = Commission(per_unit=0.01)
    settings: dict[str, Any] = {"share_type": "integer", "split_accounting": "cost_basis", "commission": commission}
    # 101 at 10 with 1.01 of commission: 10.01 each. One new for two old: 50.5 at cents(20.02), half a unit for cents(10.01).
    events = {2: [("split", "A", 0.5)]}
    result = run([10, 10, 20], {0: lambda b: b.submit("A", 101), 1: sells}, events=events, **settings)
    assert result.cash == [10000, 8988.99, 8999.0]
    assert (result.positions["A"].quantity, result.positions["A"].cost_basis) == (50, 20.02)
    trade = result.trades[0]
    assert (trade.quantity, trade.exit_price, trade.exit_reason) == (0.5, pytest.approx(20.02), "corporate_action")
    # 51 became 25.5, so 25; 20.13 * 2
    order = result.orders[1]
    assert (order.quantity, order.limit_price) == (-25, 40.26)
    # two new for one old: half of 20.13 is 10.065, which in binary is a little less
    result = run([10, 10, 5], {0: lambda b: b.submit("A", 101), 1: sells}, events={2: [("split", "A", 2)]}, **settings)
    assert result.orders[1].limit_price == 10.06
    assert result.positions["A"].cost_basis == round(10.01 / 2, 2)


def test_what_has_filled_and_what_is_left_are_cut_apart() -> None:
    settings: dict[str, Any] = {"share_type": "integer", "split_accounting": "cost_basis", "participation": 0.1}
    bars = [flat(10, 50), flat(10, 50), flat(20, 1)]
    result = run(bars, {0: lambda b: b.submit("A", 10)}, events={2: [("split", "A", 0.5)]}, **settings)
    # 5 filled and 5 left: 2 and 2
    assert (result.orders[0].quantity, result.orders[0].filled_quantity) == (4, 2)
    result = run(bars, {0: lambda b: b.submit("A", 6)}, events={2: [("split", "A", 0.5)]}, **settings)
    assert statuses(result) == [("cancelled", "ROUNDS_TO_ZERO")]  # 1 left is less than a lot


def test_a_future_is_paid_out_as_ever() -> None:
    settings: dict[str, Any] = {"account": "futures", "share_type": "integer", "initial_margin": 0.5, "long_maintenance_margin": 0.5}
    contracts = {"A": Contract(multiplier=2)}
    events = {2: [("split", "A", 0.5)]}
    buy: dict[int, Action] = {0: lambda b: b.submit("A", 3)}
    usual = run([10, 10, 20], buy, contracts=contracts, events=events, **settings)
    at_cost = run([10, 10, 20], buy, contracts=contracts, events=events, split_accounting="cost_basis", **settings)
    assert usual.cash == at_cost.cash


def test_a_target_by_the_last_close() -> None:
    target: dict[int, Action] = {1: lambda b: b.target_percent("A", 0.5)}
    assert fills(run([10, None, 20], target)) == []
    assert fills(run([10, None, 20], target, target_price_policy="use_last")) == [(1, 2, 500, 20)]
