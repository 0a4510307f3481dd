"""Kernels behind settings of frameworks: closes that trigger, prices beyond a limit, whole cents, the cost basis; in plain Python and compiled."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_kernels.basis import add_commission, in_cents, move_basis
from ml4t_kernels.codes import BeyondLimit, OrderType
from ml4t_kernels.fill import base_price
from ml4t_kernels.slippage import fill_price
from tests.kernels.forms import both, plain
from tests.kernels.records import NAN, order, params, position, quote

CENTS, BASE, PRICE = both(in_cents), both(base_price), both(fill_price)

# kind, quantity, limit, stop, what was triggered before; price and what is triggered by a close of 101, market orders pay 100
CLOSES = [
    (OrderType.LIMIT, 1, 101.0, NAN, 0, 100.0, 2),
    (OrderType.LIMIT, 1, 100.0, NAN, 0, NAN, 0),  # the low of 95 does not count
    (OrderType.LIMIT, -1, 101.5, NAN, 0, NAN, 0),
    (OrderType.LIMIT, 1, 96.0, NAN, 2, 100.0, 2),  # for good
    (OrderType.STOP, 1, NAN, 101.0, 0, 100.0, 2),
    (OrderType.STOP, 1, NAN, 102.0, 0, NAN, 0),  # the high of 105 does not count
    (OrderType.STOP, -1, NAN, 100.0, 0, NAN, 0),
    (OrderType.STOP_LIMIT, 1, 102.0, 101.0, 0, 100.0, 2),
    (OrderType.STOP_LIMIT, 1, 100.5, 101.0, 0, NAN, 1),
    (OrderType.STOP_LIMIT, 1, 101.5, 104.0, 1, 100.0, 2),  # the stop was seen before
    (OrderType.STOP_LIMIT, -1, 100.0, 100.5, 0, NAN, 0),
]


@pytest.mark.parametrize("case", CLOSES)
def test_closes_trigger_alone(case: tuple[Any, ...]) -> None:
    kind, quantity, limit, stop, before, expected, seen = case
    made = order(order_type=kind, quantity=quantity, limit_price=limit, stop_price=stop, triggered=before)
    settings = params(trigger_close=1)
    for form in BASE:
        price, triggered = form(made, quote(100, 99, 105, 95, 101), settings, 5, settings)
        assert price == pytest.approx(expected, rel=0, nan_ok=True)
        assert triggered == seen


@pytest.mark.parametrize(
    ("beyond", "quantity", "limit", "price"),
    [
        (BeyondLimit.LIMIT, 1.0, 100.0, 100.0),
        (BeyondLimit.WAIT, 1.0, 100.0, math.inf),
        (BeyondLimit.FILL, 1.0, 100.0, 100.5),
        (BeyondLimit.WAIT, 1.0, 100.5, 100.5),  # not worse than the limit
        (BeyondLimit.WAIT, -1.0, 100.0, math.inf),
        (BeyondLimit.FILL, -1.0, 100.0, 99.5),
        (BeyondLimit.WAIT, -1.0, NAN, 99.5),
    ],
)
def test_prices_beyond_a_limit(beyond: BeyondLimit, quantity: float, limit: float, price: float) -> None:
    assert [form(100.0, 100.0, 0.5, quantity, limit, beyond.value) for form in PRICE] == [price, price]


# What prints as half a cent is a little more or less; only multiples of 1/8 are true halves, and go to the even cent.
HALVES = [
    (0.125, 0.12),
    (0.375, 0.38),
    (2.675, 2.67),
    (1.005, 1.0),
    (26.675, 26.68),
    (0.285, 0.28),
    (0.005, 0.01),
    (-0.125, -0.12),
    (0.0, 0.0),
]


@pytest.mark.parametrize(("value", "rounded"), HALVES)
def test_half_cents(value: float, rounded: float) -> None:
    assert [form(value) for form in CENTS] == [rounded, rounded] == [round(value, 2)] * 2


@given(st.one_of(st.integers(-(10**9), 10**9).map(lambda mills: mills / 1000), st.floats(-1e12, 1e12), st.floats(-1.0, 1.0)))
def test_cents_round_as_the_exact_value_says(value: float) -> None:
    expected = round(value, 2)  # Python rounds the exact binary value, ties to even
    assert all(form(value) == expected for form in CENTS)


def test_no_price_has_no_cents() -> None:
    assert all(math.isnan(form(NAN)) and form(1e15) == 1e15 for form in CENTS)


def test_the_cost_basis_takes_commissions_after_the_fills_of_their_bar() -> None:
    held = position(multiplier=1.0)
    steps: list[tuple[float, float, float]] = [(10.0, 20.0, 3.0), (-4.0, 22.0, 3.0), (6.0, 24.0, 6.0)]  # quantity, price, commission
    for quantity, price, cost in steps:
        before = float(held["quantity"])
        held["quantity"] += quantity
        plain(move_basis)(held, before, quantity, price, cost, 7)
    # 10 at 20; selling leaves 20; (6 * 20 + 6 * 24) / 12 = 22; then 12 of commission over 12 units
    assert held["cost_basis"] == 22.0
    plain(add_commission)(held)
    assert (held["cost_basis"], held["basis_commission"], held["basis_bar"]) == (23.0, 0.0, 0)
    held["quantity"] = -2.0
    plain(move_basis)(held, 12.0, -14.0, 30.0, 1.0, 8)
    plain(add_commission)(held)
    assert held["cost_basis"] == 29.5  # a flip starts anew at its price; a short's commission lowers what it was sold for
