"""Hand-computed examples of docs/execution.md: portfolio limits."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.oracle import (
    Alert,
    Broker,
    ConditionalValueAtRisk,
    DailyLoss,
    Drawdown,
    FactorExposure,
    GrossExposure,
    LargestPosition,
    NetExposure,
    OracleResult,
    PositionsLimit,
    SectorExposure,
    ValueAtRisk,
)
from tests.oracle_examples.running import Action, F, fills, flat, run, statuses


def hold(a: float, b: float, limits: list[Any], prices: tuple[float, ...] = (10, 10, 10), **settings: Any) -> OracleResult:
    """Hold A and B from bar 1 on, with 1000 in the account; a price counts for both."""

    def start(broker: Broker) -> None:
        broker.submit("A", a)
        broker.submit("B", b)

    settings = {"initial_cash": 1000, "account": "crypto", **settings}
    return run([{"A": flat(price), "B": flat(price)} for price in prices], {0: start}, limits=limits, **settings)


def test_measures_and_bounds() -> None:
    limits = [
        *(PositionsLimit(2), LargestPosition(0.4), LargestPosition(0.375), GrossExposure(0.6), GrossExposure(0.5)),
        *(NetExposure(0.5), NetExposure(1, least=0.75), SectorExposure(0.25, weights={"A": 1, "B": -0.5})),
        FactorExposure(0.5, weights={"A": 1, "B": -1}, least=0.25),
    ]
    found = hold(40, 20, limits, (10, 10)).alerts
    # Nothing is held on bar 0, which is too little for the two lower bounds.
    assert [(alert.limit, alert.measure) for alert in found if alert.bar == 0] == [(6, 0), (8, 0)]
    expected = [(0, 2, 2), (2, 0.4, 0.375), (4, 0.6, 0.5), (5, 0.6, 0.5), (6, 0.6, 0.75), (7, 0.5, 0.25), (8, 0.2, 0.25)]
    assert found[2:] == [Alert(1, limit, measure, bound, "WARN") for limit, measure, bound in expected]


def test_shorts_count_against_the_net_exposure_only() -> None:
    found = hold(40, -30, [GrossExposure(0.5), NetExposure(0), NetExposure(1, least=0.2)], (10, 10)).alerts
    assert [(alert.limit, alert.measure) for alert in found if alert.bar == 1] == [(0, 0.7), (1, 0.1), (2, 0.1)]


def test_a_block_holds_new_risk_back_until_the_next_check() -> None:
    def both(b: Broker) -> None:
        b.submit("A", 1)
        b.submit("A", -10)

    actions: dict[int, Action] = {0: lambda b: b.submit("A", 40), 1: both, 2: lambda b: b.submit("A", -20), 3: both}
    result = run([10] * 5, actions, initial_cash=1000, limits=[GrossExposure(0.25, "block")])
    assert [(alert.bar, alert.measure, alert.action) for alert in result.alerts] == [(1, 0.4, "BLOCK"), (2, 0.3, "BLOCK")]
    filled = ("filled", None)
    assert statuses(result) == [filled, ("rejected", "RISK_BLOCKED"), filled, filled, filled, filled]


def test_reduce_takes_the_excess_off_every_position() -> None:
    limits = [GrossExposure(0.25, "reduce")]
    result = hold(30, 20, limits)
    assert fills(result)[2:] == [(3, 2, -15, 10), (4, 2, -10, 10)]
    assert [trade.exit_reason for trade in result.trades[:2]] == ["risk_liquidation"] * 2
    assert [alert.bar for alert in result.alerts] == [1]
    # In whole shares 12.5 are 13; in SAME_BAR mode they trade in the second pass of the bar.
    result = hold(25, 25, limits, share_type="integer", execution_mode="same_bar")
    assert fills(result)[2:] == [(3, 1, -13, 10), (4, 1, -13, 10)]


def test_reduce_goes_by_the_limit() -> None:
    assert fills(hold(40, 20, [LargestPosition(0.25, "reduce")]))[2:] == [(3, 2, -15, 10)]
    assert fills(hold(40, 20, [SectorExposure(0.2, "reduce", {"A": 1})]))[2:] == [(3, 2, -20, 10)]
    assert fills(hold(-40, 20, [FactorExposure(1, "reduce", {"A": 0.5, "C": 9}, -0.1)]))[2:] == [(3, 2, 20, 10)]
    assert fills(hold(40, 20, [DailyLoss(0.25, "reduce", 0.25)], (10, 10, 5, 5)))[2:] == [(3, 3, -10, 5), (4, 3, -5, 5)]


def test_a_drawdown_counts_from_the_peak() -> None:
    # Account values 1000, 1000, 1500, 1125.
    result = hold(30, 20, [Drawdown(0.25, "liquidate")], (10, 10, 20, 12.5, 13))
    assert result.alerts == [Alert(3, 0, 0.25, 0.25, "LIQUIDATE")]
    assert fills(result)[2:] == [(3, 4, -30, 13), (4, 4, -20, 13)]


def test_a_daily_loss_counts_from_the_end_of_the_session_before() -> None:
    prices = (10, 10, 5, 5)
    assert hold(30, 20, [DailyLoss(0.25)], prices).alerts == [Alert(2, 0, 250 / 750, 0.25, "WARN")]
    found = hold(30, 20, [DailyLoss(0.25)], prices, sessions=[1, 1, 2, 2]).alerts
    assert [(alert.bar, alert.measure) for alert in found] == [(2, 250 / 750), (3, 250 / 750)]


def test_halt_cancels_what_may_add_and_blocks_for_good() -> None:
    def orders(b: Broker) -> None:
        b.submit("A", 50)
        b.submit("A", 5, "limit", limit_price=1)

    actions: dict[int, Action] = {
        0: orders,
        1: lambda b: b.submit("A", -50, "limit", limit_price=20),
        3: lambda b: b.submit("A", 1),
    }
    result = run([10, 10, 5, 10, 20], actions, initial_cash=1000, limits=[Drawdown(0.25, "halt")])
    assert result.alerts == [Alert(2, 0, 0.25, 0.25, "HALT")]
    assert statuses(result)[1:] == [("cancelled", "HALTED"), ("filled", None), ("rejected", "RISK_BLOCKED")]


def test_value_at_risk() -> None:
    limits = [ValueAtRisk(F(1, 10), "warn", F(3, 4), 4), ConditionalValueAtRisk(F(1, 10), "warn", F(3, 4), 4)]
    result = run([10, 10, 8, 10, 9], {-1: lambda b: b.submit("A", 100)}, F, initial_cash=1000, limits=limits)
    # Returns 0, -0.2, 0.25, -0.1; the quantile is three quarters of the way from -0.2 to -0.1.
    assert result.alerts == [Alert(4, 0, F(1, 8), F(1, 10), "WARN"), Alert(4, 1, F(1, 5), F(1, 10), "WARN")]


def test_an_account_that_is_worth_nothing_has_infinite_exposure() -> None:
    kwargs: dict[str, Any] = {"account": "margin", "margin_call": "ignore"}
    for limit in (GrossExposure(9, "reduce"), LargestPosition(9, "reduce"), DailyLoss(9, "reduce", 1)):
        result = hold(100, 100, [limit], (10, 10, 4, 4), **kwargs)
        assert result.alerts[:2] == [Alert(2, -1, -200, 200, "WARN"), Alert(2, 0, math.inf, 9, "REDUCE")]
        assert fills(result)[2:] == [(3, 3, -100, 4), (4, 3, -100, 4)]


def test_a_position_that_is_leaving_in_part_is_reduced_no_further_but_liquidated() -> None:
    limits = [Drawdown(0.25, action, 0.5) for action in ("reduce", "reduce", "liquidate")]
    result = hold(50, 50, limits, (10, 10, 5))
    assert [order.quantity for order in result.orders[2:]] == [-25, -25, -50, -50]
    assert [(alert.bar, alert.limit) for alert in result.alerts] == [(2, 0), (2, 1), (2, 2)]


def test_unknown_limits() -> None:
    for limit in (GrossExposure(1, "stop"), "gross", DailyLoss(float("nan"))):
        with pytest.raises(ValueError):
            run([10], {}, limits=[limit])
