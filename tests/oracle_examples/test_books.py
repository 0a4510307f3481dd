"""Hand-computed examples of docs/execution.md: the gate, positions, trades, targets, and the identities that hold exactly in fractions."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.oracle import Broker, OracleResult
from tests.oracle_examples.running import Action, F, flat, run, statuses

# The gate ------------------------------------------------------------------------------------------------------------


def test_no_short_positions_in_a_cash_account() -> None:
    def enter(b: Broker) -> None:
        b.submit("A", 5)
        b.submit("B", -1)

    bars = [{"A": flat(10), "B": flat(10)}] * 3
    result = run(bars, {0: enter, 1: lambda b: b.submit("A", -6)})
    assert statuses(result) == [
        ("filled", None),
        ("rejected", "SHORT_NOT_ALLOWED"),
        ("rejected", "REVERSAL_NOT_ALLOWED"),
    ]
    assert result.positions["A"].quantity == 5


def test_a_rejection_is_final_and_tells_need_and_have() -> None:
    result = run([10, 10, 1], {0: lambda b: b.submit("A", 10)}, initial_cash=100, commission=("per_share", 0, 1))
    order = result.orders[0]
    assert (order.status, order.reason, order.need, order.have) == ("rejected", "INSUFFICIENT_CASH", 100, 99)
    assert result.fills == []


def test_the_cash_tolerance_and_the_clamp_to_zero() -> None:
    for excess, status in ((F(9, 10**11), "filled"), (F(11, 10**11), "rejected")):
        result = run([10, 10], {0: lambda b, x=excess: b.submit("A", 1 + x)}, F, initial_cash=10)  # type: ignore[misc]
        assert result.orders[0].status == status
        assert result.cash[-1] == (0 if status == "filled" else 10)


def test_a_short_sale_needs_its_value_in_cash() -> None:
    result = run([10, 10], {0: lambda b: b.submit("A", -11)}, initial_cash=100, allow_short=True)
    assert (result.orders[0].reason, result.orders[0].need, result.orders[0].have) == ("INSUFFICIENT_CASH", 110, 100)
    result = run([10, 10], {0: lambda b: b.submit("A", -10)}, initial_cash=100, allow_short=True)
    assert result.cash[-1] == 200
    assert result.equity[-1] == 100


def test_a_short_sale_at_a_negative_price_needs_its_absolute_value() -> None:
    result = run([-10, -10], {0: lambda b: b.submit("A", -11)}, initial_cash=100, allow_short=True)
    assert (result.orders[0].reason, result.orders[0].need, result.orders[0].have) == ("INSUFFICIENT_CASH", 110, 100)


def test_a_reversal_counts_the_proceeds_of_its_closing_part() -> None:
    # Long 10 at 10 with no cash left: selling 20 frees 100, which is exactly what the new short of 10 needs.
    for quantity, status in ((-20, "filled"), (-21, "rejected")):
        result = run(
            [10] * 3,
            {0: lambda b: b.submit("A", 10), 1: lambda b, q=quantity: b.submit("A", q)},  # type: ignore[misc]
            initial_cash=100,
            allow_short=True,
        )
        assert result.orders[1].status == status
    assert (result.orders[1].need, result.orders[1].have) == (110, 100)


def test_a_covering_buy_may_overdraw_only_an_account_with_shorts() -> None:
    actions: dict[int, Action] = {0: lambda b: b.submit("A", -10), 1: lambda b: b.close("A")}
    result = run([10, 10, 25], actions, initial_cash=100, allow_short=True)
    assert result.cash[-1] == 200 - 250


def test_an_exit_that_costs_more_than_it_brings_is_rejected_in_a_cash_account() -> None:
    result = run(
        [10, 10, 1],
        {0: lambda b: b.submit("A", 1), 1: lambda b: b.close("A")},
        initial_cash=15,
        commission=("per_share", 0, 5),
    )
    order = result.orders[1]
    assert (order.reason, order.need, order.have) == ("INSUFFICIENT_CASH", 5, 1)


# Positions and trades ------------------------------------------------------------------------------------------------


def test_add_averages_price_and_slippage() -> None:
    result = run(
        [10, 10, 20],
        {0: lambda b: b.submit("A", 1), 1: lambda b: b.submit("A", 3)},
        Fraction,
        slippage=("percentage", F(1, 10)),
        commission=("per_share", 1, 0),
    )
    position = result.positions["A"]
    assert (position.quantity, position.entry_price, position.entry_slippage) == (4, F(11 + 3 * 22, 4), F(1 + 3 * 2, 4))
    assert (position.entry_commission, position.entry_time) == (4, 101)


def test_reduce_moves_its_share_of_the_entry_commission() -> None:
    result = run(
        [10, 10, 12, 12],
        {0: lambda b: b.submit("A", 4), 1: lambda b: b.submit("A", -1)},
        commission=("per_share", 0, 2),
        slippage=("fixed", 0.5),
        multipliers={"A": 10},
    )
    trade, rest = result.trades
    assert (trade.status, trade.quantity, trade.entry_price, trade.exit_price) == ("partial", 1, 10.5, 11.5)
    assert (trade.commission, trade.pnl) == (2 * 0.25 + 2, 1 * 10 - 0.5 - 2)
    assert (trade.slippage, trade.multiplier) == ((0.5 + 0.5) * 1 * 10, 10)
    assert (rest.status, rest.quantity, rest.commission, rest.exit_reason) == ("open", 3, 1.5, "end_of_data")
    assert (rest.exit_price, rest.exit_slippage, rest.exit_time, rest.pnl) == (12, 0, 103, 1.5 * 3 * 10 - 1.5)
    assert rest.slippage == 0.5 * 3 * 10


def test_flip_splits_the_commission() -> None:
    result = run(
        [10, 10, 12, 11],
        {0: lambda b: b.submit("A", 2), 1: lambda b: b.submit("A", -8)},
        commission=("per_share", 1, 0),
        allow_short=True,
    )
    closed, opened = result.trades
    assert (closed.status, closed.quantity, closed.commission, closed.pnl) == ("closed", 2, 2 + 2, 2 * 2 - 4)
    assert (opened.quantity, opened.entry_price, opened.entry_time, opened.bars_held) == (-6, 12, 102, 1)
    assert (opened.commission, opened.pnl, opened.pnl_percent) == (6, 6 - 6, 1 / 12)


def test_a_trade_widens_its_own_excursions_only() -> None:
    result = run([10, 10, (15, 15, 10, 10), 10], {0: lambda b: b.submit("A", 2), 1: lambda b: b.submit("A", -1)})
    assert result.trades[0].mfe == 0.5
    assert (result.trades[1].mfe, result.positions["A"].max_favorable_excursion) == (0, 0)


def test_short_excursions_are_negated() -> None:
    result = run([10, 10, 8, 13], {0: lambda b: b.submit("A", -1)}, allow_short=True)
    position = result.positions["A"]
    assert (position.max_favorable_excursion, position.max_adverse_excursion) == (0.2, -0.3)
    assert result.trades[0].pnl_percent == -0.3


def test_rounding_dust_is_flat() -> None:
    def buy(b: Broker) -> None:
        b.submit("A", 0.1)
        b.submit("A", 0.2)

    result = run([10] * 3, {0: buy, 1: lambda b: b.submit("A", -0.3)})
    assert result.positions == {}
    assert (result.trades[0].status, result.trades[0].quantity) == ("closed", 0.1 + 0.2)
    assert result.fills[-1].position == 0
    # A sale that is larger only by dust ends flat as well, so it is no reversal.
    result = run([10] * 3, {0: lambda b: b.submit("A", 0.3), 1: lambda b: b.submit("A", -(0.1 + 0.2))})
    assert result.positions == {}
    assert (result.orders[1].status, result.orders[1].filled_quantity) == ("filled", -(0.1 + 0.2))


@pytest.mark.parametrize("number", [float, Fraction])
def test_an_entry_price_of_zero_has_no_percentage(number: Any) -> None:
    result = run([0, 0, 5, 5], {0: lambda b: b.submit("A", 1), 2: lambda b: b.close("A")}, number)
    (trade,) = result.trades
    assert (trade.pnl, trade.pnl_percent, trade.mfe, trade.mae) == (5, None, 0, 0)


# Target weights ------------------------------------------------------------------------------------------------------


def test_target_percent() -> None:
    def rebalance(b: Broker) -> None:
        assert b.target_percent("B", 0.5) is None  # not priced
        assert b.target_percent("A", 0.5) is None  # already there
        assert b.target_percent("A", 0.5000009) is None  # a change of 0.009
        assert b.target_percent("A", 0.25) == 2

    result = run(
        [10, 10, 10],
        {-1: lambda b: b.target_percent("A", 1), 0: lambda b: b.target_percent("A", 0.5), 1: rebalance},
        multipliers={"A": 2},
    )
    assert [fill.quantity for fill in result.fills] == [250, -125]
    assert [order.reduce_only for order in result.orders] == [False, True]


def test_target_weights_go_in_asset_order_and_zero_closes() -> None:
    bars = [{"A": flat(10), "B": flat(20), "C": flat(40)}] * 3
    result = run(
        bars,
        {
            0: lambda b: b.target_weights({"C": 0.25, "A": 0.5}),
            1: lambda b: b.target_weights({"C": 0.5, "B": 0.5, "A": 0}),
        },
    )
    assert [(order.asset, order.quantity) for order in result.orders] == [
        ("A", 500),
        ("C", 62.5),
        ("A", -500),
        ("B", 250),
        ("C", 62.5),
    ]
    assert result.orders[2].reduce_only
    assert result.cash[-1] == 0


def test_a_target_at_a_close_of_zero_submits_nothing() -> None:
    assert run([0], {0: lambda b: b.target_percent("A", 1)}).orders == []


# Exact identities ----------------------------------------------------------------------------------------------------


def random_actions(rng: random.Random, t: int, b: Broker) -> None:
    for _ in range(rng.randrange(4)):
        asset = rng.choice("ABC")
        level = F(rng.randrange(20, 80), 4)
        kind: Any = rng.choice(("market", "limit", "stop", "close", "target", "update", "cancel"))
        if kind == "close":
            b.close(asset)
        elif kind == "target":
            b.target_percent(asset, F(rng.randrange(-2, 5), 4))
        elif kind == "update":
            b.update(rng.randrange(1, 30), quantity=rng.randrange(1, 30), limit_price=level, stop_price=level)
        elif kind == "cancel":
            b.cancel(rng.randrange(1, 30))
        else:
            quantity = rng.choice((-1, 1)) * rng.randrange(1, 40)
            b.submit(asset, quantity, kind, level, level, rng.choice((None, None, True, False)))


def random_bars(rng: random.Random, count: int) -> list[dict[str, Any]]:
    def bar() -> Any:
        prices = sorted(F(rng.randrange(20, 80), 4) for _ in range(4))
        ohlc = [rng.choice(prices), prices[-1], prices[0], rng.choice(prices)]
        return tuple(None if i < 3 and rng.random() < 0.05 else price for i, price in enumerate(ohlc))

    return [{asset: bar() for asset in "ABC" if rng.random() < 0.85} for _ in range(count)]


def random_settings(rng: random.Random) -> dict[str, Any]:
    return {
        "initial_cash": rng.choice((300, 1000, 5000)),
        "execution_mode": rng.choice(("same_bar", "next_bar")),
        "execution_price": rng.choice((None, None, "open", "close")),
        "commission": rng.choice((("none",), ("percentage", F(1, 100)), ("per_share", F(1, 20), 1))),
        "slippage": rng.choice((("none",), ("fixed", F(1, 8)), ("percentage", F(1, 50)))),
        "allow_short": rng.random() < 0.5,
        "multipliers": {"B": rng.choice((1, 5))},
    }


def random_run(seed: int, number: Any) -> tuple[dict[str, Any], OracleResult]:
    rng = random.Random(seed)
    settings = random_settings(rng)
    bars = random_bars(rng, 12)
    actions: dict[int, Action] = {t: lambda b, t=t: random_actions(rng, t, b) for t in range(-1, 12)}  # type: ignore[misc]
    return settings, run(bars, actions, number, **settings)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_the_pnl_identity_is_exact(seed: int) -> None:
    settings, result = random_run(seed, Fraction)
    initial = F(settings["initial_cash"])
    zero = F(0)
    assert sum((trade.pnl for trade in result.trades), zero) == result.equity[-1] - initial
    assert all(type(value) is Fraction for value in result.equity + result.cash)
    multiplier = {"A": 1, "B": settings["multipliers"]["B"], "C": 1}
    spent = sum((f.quantity * f.price * multiplier[f.asset] + f.commission for f in result.fills), zero)
    assert result.cash[-1] == initial - spent
    for asset in "ABC":
        held = sum((fill.quantity for fill in result.fills if fill.asset == asset), zero)
        position = result.positions.get(asset)
        assert held == (0 if position is None else position.quantity)
    assert sum((fill.commission for fill in result.fills), zero) == sum((t.commission for t in result.trades), zero)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([float, Fraction]))
def test_invariants_of_any_run(seed: int, number: Any) -> None:
    settings, result = random_run(seed, number)
    if not settings["allow_short"]:
        assert min(result.cash) >= 0
        assert all(fill.position >= 0 for fill in result.fills)
    for order in result.orders:
        assert (order.status == "filled") == (order.filled_price is not None)
        assert (order.need is not None) == (order.reason == "INSUFFICIENT_CASH")
        assert abs(order.filled_quantity) <= abs(order.quantity)
        if order.filled_price is not None and order.order_type == "limit":
            assert order.limit_price is not None
            bought = order.quantity > 0
            within = order.filled_price <= order.limit_price if bought else order.filled_price >= order.limit_price
            assert within
    for trade in result.trades:
        assert trade.mae <= 0 <= trade.mfe
        assert trade.pnl_percent is None or trade.mae <= trade.pnl_percent <= trade.mfe
