"""Hand-computed examples of docs/execution.md: impact, slippage by volume and spread, commissions, order limits, available cash."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from tests.oracle import Broker, Commission, CostModel
from tests.oracle_examples.running import Action, F, fills, flat, run, statuses

BUY: dict[int, Action] = {0: lambda b: b.submit("A", 25)}
SELL: dict[int, Action] = {0: lambda b: b.submit("A", -25)}


@pytest.mark.parametrize(
    ("impact", "i", "unknown"),
    [
        (("linear", 0.5), 0.5 * (25 / 100) * 10, 0),
        (("square_root", 0.5, 0.25, 4), 0.5 * 0.25 * math.sqrt(25 / 400) * 10, 0),
        (("power", 0.5, 2, 0.001), 0.5 * 0.0625 * 10, 0.001),
        (("power", 0.5, 2, 3), 3, 3),
    ],
)
def test_impact(impact: tuple[Any, ...], i: float, unknown: float) -> None:
    for volume, expected in ((100, i), (None, unknown), (0, unknown)):
        result = run([flat(10, volume)] * 2, BUY, impact=impact)
        assert (result.fills[0].price, result.fills[0].slippage) == (10 + expected, abs(10 + expected - 10))
    assert run([flat(10, 100)] * 2, SELL, impact=impact, account="crypto").fills[0].price == 10 - i


@pytest.mark.parametrize(
    ("slippage", "s"),
    [
        (("volume_share", 0.5), 10 * 0.25 * 0.5),
        (("squared_volume_share", 0.125, 2), 10 * 2 * 0.125 * 0.125),
        (("squared_volume_share", 0.5, 2), 10 * 2 * 0.25 * 0.25),
        (("spread", 0.5), 0.25),
        (("bid_ask",), 0.75),
    ],
)
def test_slippage(slippage: tuple[Any, ...], s: float) -> None:
    bar = flat(10, 100, 9, 10.5)
    assert run([bar] * 2, BUY, slippage=slippage).fills[0].price == 10 + s
    assert run([bar] * 2, SELL, slippage=slippage, account="crypto").fills[0].price == 10 - s


def test_without_a_volume_there_is_no_share() -> None:
    for kind in (("volume_share", 0.5), ("squared_volume_share", 0.125, 2)):
        assert run([10, 10], BUY, slippage=kind).fills[0].price == 10


def test_without_a_bid_or_an_ask_the_order_waits() -> None:
    action: dict[int, Action] = {0: lambda b: [b.submit("A", 1), b.submit("A", 1, time_in_force="IOC")]}
    for missing in (flat(10, 100, None, 11), flat(10, 100, 9, None)):
        result = run([10, missing, flat(10, 100, 9, 10.5)], action, slippage=("bid_ask",))
        assert fills(result) == [(1, 2, 1, 10.75)]
        assert statuses(result)[1] == ("expired", "TIME_IN_FORCE")


def test_slippage_comes_on_top_of_impact() -> None:
    result = run([flat(10, 100)] * 2, BUY, Fraction, impact=("linear", 1), slippage=("percentage", F(1, 10)))
    assert (result.fills[0].price, result.fills[0].slippage) == (F(1375, 100), F(375, 100))


def test_no_limit_order_trades_beyond_its_limit() -> None:
    action: Action = lambda b: b.submit("A", 1, "stop_limit", limit_price=11, stop_price=10)
    assert fills(run([9, 10], {0: action}, slippage=("fixed", 5))) == [(1, 1, 1, 11)]


def test_commission_across_partial_fills() -> None:
    commission = Commission(per_unit=0.5, per_order=1, minimum=4)
    action: Action = lambda b: b.submit("A", 10, displayed_quantity=4)
    result = run([10] * 4, {0: action}, commission=commission)
    # Totals: max(2 + 1, 4), max(4 + 1, 4), 5 + 1.
    assert [fill.commission for fill in result.fills] == [4, 1, 1]
    assert result.orders[0].commission == 6


def test_makers_pay_the_maker_rate() -> None:
    commission = Commission(rate=0.01, maker_rate=0.001)
    for limit, expected in ((11, 11 * 0.01), (9, 9 * 0.001)):
        action: Action = lambda b, limit=limit: b.submit("A", 1, "limit", limit_price=limit)  # type: ignore[misc]
        assert run([10, (10, 10, 9, 10)], {0: action}, commission=commission).fills[0].commission == expected


def test_a_triggered_stop_limit_is_no_maker() -> None:
    action: Action = lambda b: b.submit("A", 1, "stop_limit", limit_price=9.5, stop_price=11.5)
    commission = Commission(rate=0.01, maker_rate=0.001)
    result = run([10, (10, 12, 8, 12), (10, 10, 9, 9)], {0: action}, commission=commission)
    assert (fills(result), result.fills[0].commission) == ([(1, 2, 1, 9.5)], 9.5 * 0.01)


def test_a_rebate_stays_unless_there_is_a_minimum() -> None:
    action: Action = lambda b: b.submit("A", 4, "limit", limit_price=9)
    for minimum, expected in ((None, -9), (0, 0)):
        commission = Commission(rate=0.25, maker_rate=-0.25, minimum=minimum)
        result = run([10, (10, 10, 9, 10)], {0: action}, commission=commission)
        assert (result.fills[0].commission, result.cash[-1]) == (expected, 10000 - 36 - expected)


def test_tiers() -> None:
    by_value = Commission(value_tiers=((100, 0.01), (1000, 0.001)))
    by_quantity = Commission(quantity_tiers=((10, 1), (100, 0.5)))
    for quantity, value_fee, quantity_fee in ((10, 100 * 0.01, 10), (11, 110 * 0.001, 5.5), (200, 2000 * 0.001, 100)):
        action: Action = lambda b, quantity=quantity: b.submit("A", quantity)  # type: ignore[misc]
        assert run([10, 10], {0: action}, commission=by_value).fills[0].commission == value_fee
        assert run([10, 10], {0: action}, commission=by_quantity).fills[0].commission == quantity_fee


def test_largest_of() -> None:
    commission = Commission(largest_of=True, per_trade=2, per_unit=0.5, rate=0.01)
    for quantity, price, expected in ((1, 10, 2), (10, 10, 5), (10, 100, 10)):
        action: Action = lambda b, quantity=quantity: b.submit("A", quantity)  # type: ignore[misc]
        assert run([price, price], {0: action}, commission=commission).fills[0].commission == expected


def test_costs_of_one_asset() -> None:
    def both(b: Broker) -> None:
        b.submit("A", 1)
        b.submit("B", 1)

    costs = {"B": CostModel(commission=("percentage", 0.5))}
    result = run([{"A": flat(10), "B": flat(10)}] * 2, {0: both}, commission=("per_share", 1, 0), asset_costs=costs)
    assert [fill.commission for fill in result.fills] == [1, 5]


# Order limits --------------------------------------------------------------------------------------------------------


def test_order_limits() -> None:
    bars = [{"A": flat(10), "B": flat(10)}] * 3
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 5), 1: lambda b: b.submit("A", 4)}

    def refused(**limits: Any) -> tuple[Any, ...]:
        order = run(bars, actions, **limits).orders[1]
        return order.reason, order.need, order.have

    assert refused(max_order_size=50) == (None, None, None)
    assert refused(max_position_size=80) == ("POSITION_SIZE", 90, 80)
    assert run(bars, actions, max_order_size=45).orders[0].reason == "ORDER_SIZE"
    actions[1] = lambda b: b.submit("B", 1)
    assert refused(max_positions=1) == ("TOO_MANY_POSITIONS", 2, 1)
    # Limits do not hold back what only reduces.
    actions[1] = lambda b: b.submit("A", -5)
    assert statuses(run(bars, actions, max_positions=1, max_order_size=50))[1] == ("filled", None)


# Available cash ------------------------------------------------------------------------------------------------------


def test_the_buffer_leaves_a_part_of_the_cash() -> None:
    result = run([10, 10], {0: lambda b: b.submit("A", 10)}, initial_cash=100, cash_buffer_pct=0.25)
    assert (result.orders[0].need, result.orders[0].have) == (100, 75)


@pytest.mark.parametrize(("policy", "have"), [("credit", 150), ("credit_proceeds", 100), ("lock_notional", 50)])
def test_short_cash_policies(policy: str, have: float) -> None:
    bars = [{"A": flat(10), "B": flat(10)}] * 3
    actions: dict[int, Action] = {0: lambda b: b.submit("A", -5), 1: lambda b: b.submit("B", 100)}
    result = run(bars, actions, initial_cash=100, account="crypto", short_cash_policy=policy)
    assert (result.orders[1].need, result.orders[1].have) == (1000, have)


def test_a_flip_of_a_short_frees_what_it_had_locked() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", -5), 1: lambda b: b.submit("A", 500)}
    result = run([10] * 3, actions, initial_cash=100, account="crypto", short_cash_policy="lock_notional")
    assert (result.orders[1].need, result.orders[1].have) == (4950, 150 - 50)


def test_what_shorts_lock_follows_the_fills_of_a_pass() -> None:
    bars = [{"A": flat(10), "B": flat(10)}] * 3

    def cover_and_buy(b: Broker) -> None:
        b.submit("A", 2)
        b.submit("B", 100)

    actions: dict[int, Action] = {0: lambda b: b.submit("A", -5), 1: cover_and_buy}
    order = run(bars, actions, initial_cash=100, account="crypto", short_cash_policy="lock_notional").orders[2]
    assert (order.need, order.have) == (1000, 150 - 20 - 2 * 30)


def test_proceeds_settle_later() -> None:
    def sell_and_buy(b: Broker) -> None:
        b.close("A")
        b.submit("B", 1)

    bars = [{"A": flat(10), "B": flat(10)}] * 6
    actions: dict[int, Action] = {t: lambda b: b.submit("B", 1) for t in (2, 3)}
    actions |= {0: lambda b: b.submit("A", 10), 1: sell_and_buy}
    result = run(bars, actions, initial_cash=100, settlement_delay=2)
    # Sold on bar 2, so free on bar 4.
    assert statuses(result)[2:] == [("rejected", "INSUFFICIENT_CASH")] * 2 + [("filled", None)]
    assert (result.orders[2].have, result.fills[-1].bar) == (0, 4)
    result = run(bars, actions, initial_cash=100, settlement_delay=2, settlement_reduces_buying_power=False)
    assert statuses(result)[2:] == [("filled", None)] * 3


def test_unsettled_proceeds_are_added_up_by_bar_modulo_8() -> None:
    sales = {2: -0.2, 3: -0.3, 4: -0.4}
    actions: dict[int, Action] = {t: lambda b, q=q: b.submit("A", q) for t, q in sales.items()}  # type: ignore[misc]
    actions |= {0: lambda b: b.submit("A", 10), 5: lambda b: b.submit("B", 1000)}
    result = run([{"A": flat(1), "B": flat(1)}] * 7, actions, initial_cash=10, settlement_delay=4)
    changes = [after - before for before, after in zip(result.cash[2:5], result.cash[3:6], strict=True)]
    # Sold on bars 3, 4 and 5, free on 7, 8 and 9: places 7, 0 and 1.
    unsettled = changes[1] + changes[2] + changes[0]
    assert unsettled != changes[0] + changes[1] + changes[2]
    assert result.orders[4].have == result.cash[5] - unsettled
    with pytest.raises(ValueError):
        run([10], {}, settlement_delay=8)


def test_a_cancelled_order_instead_of_a_rejected_one() -> None:
    result = run([10, 10], {0: lambda b: b.submit("A", 11)}, initial_cash=100, reject_on_insufficient_cash=False)
    assert statuses(result) == [("cancelled", "INSUFFICIENT_CASH")]


def test_without_validation() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 11)}
    assert run([10, 10], actions, initial_cash=100, skip_cash_validation=True, account="crypto").cash[-1] == -10
    assert statuses(run([10, 10], actions, initial_cash=100, skip_cash_validation=True)) == [("rejected", "INSUFFICIENT_CASH")]


def test_open_cash_looks_at_the_cash_after_the_fill() -> None:
    kwargs: dict[str, Any] = {"initial_cash": 100, "account": "crypto", "cash_check": "open_cash"}
    result = run([10, 10], {0: lambda b: b.submit("A", 11)}, **kwargs)
    assert (result.orders[0].reason, result.orders[0].need, result.orders[0].have) == ("INSUFFICIENT_CASH", 0, -10)
    assert statuses(run([10, 10], {0: lambda b: b.submit("A", -50)}, **kwargs)) == [("filled", None)]
    actions: dict[int, Action] = {0: lambda b: b.submit("A", -5), 1: lambda b: b.submit("A", 500)}
    result = run([10] * 3, actions, partial_fills_allowed=True, **kwargs)
    assert statuses(result)[1] == ("rejected", "INSUFFICIENT_CASH")


def test_open_cash_leaves_exits_to_the_normal_check() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 1), 1: lambda b: b.close("A")}
    result = run([10, 10, 1], actions, initial_cash=15, commission=("per_share", 0, 5), cash_check="open_cash")
    order = result.orders[1]
    assert (order.reason, order.need, order.have) == ("INSUFFICIENT_CASH", 5, 1)


def test_partial_fills_for_the_money_there_is() -> None:
    kwargs: dict[str, Any] = {"initial_cash": 100, "partial_fills_allowed": True}
    result = run([10, 10], {0: lambda b: b.submit("A", 15)}, **kwargs)
    assert (fills(result), statuses(result)) == ([(1, 1, 10, 10)], [("filled", None)])
    # A fee of 0.5 for each unit: 100 / (10 + 0.5), in whole units 9.
    result = run([10, 10], {0: lambda b: b.submit("A", 15)}, commission=("per_share", 0.5, 0), share_type="integer", **kwargs)
    assert (fills(result), result.cash[-1]) == ([(1, 1, 9, 10)], 100 - 90 - 4.5)
    # At least 5 for an order: 9 pay 95 with it, where a fee of 5 for each unit would leave 6.
    result = run([10, 10], {0: lambda b: b.submit("A", 15)}, commission=("per_share", 0.01, 5), share_type="integer", **kwargs)
    assert (fills(result), result.cash[-1]) == ([(1, 1, 9, 10)], 100 - 90 - 5)
    result = run([10, 200], {0: lambda b: b.submit("A", 15)}, share_type="integer", **kwargs)
    assert (result.orders[0].need, result.orders[0].have) == (3000, 100)


def test_a_partial_flip_keeps_the_closing_part() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", 10), 1: lambda b: b.submit("A", -25)}
    kwargs: dict[str, Any] = {"initial_cash": 100, "partial_fills_allowed": True, "account": "crypto"}
    result = run([10] * 3, actions, **kwargs)
    # 100 from the closing part carry a short of 10.
    assert fills(result)[1:] == [(2, 2, -20, 10)]
    kill: Action = lambda b: b.submit("A", -25, time_in_force="FOK")
    assert statuses(run([10] * 3, {**actions, 1: kill}, **kwargs))[1] == ("rejected", "INSUFFICIENT_CASH")
