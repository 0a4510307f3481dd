"""Slippage, commission, profit, fills and cash checks: examples by hand, plain == compiled, and exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_kernels.codes import CommissionKind, OrderReason, OrderType, SlippageKind
from ml4t_kernels.commission import commission
from ml4t_kernels.dtypes import bare, params_dtype
from ml4t_kernels.fill import base_price
from ml4t_kernels.margin import check_cash, opening_quantity
from ml4t_kernels.pnl import average, excursion, notional, profit
from ml4t_kernels.slippage import fill_price, per_unit
from tests.kernels.forms import both, compiled, plain

NAN = math.nan
prices = st.floats(-1e6, 1e6, allow_subnormal=False)
sizes = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda size: abs(size) > 1e-6)
COMPILED = {kernel: compiled(kernel) for kernel in (base_price, check_cash, commission, excursion, fill_price, per_unit)}


def params(**values: Any) -> Any:
    row = np.zeros(1, dtype=bare(params_dtype))[0]
    for name, value in values.items():
        row[name] = value
    return row


@pytest.mark.parametrize("form", both(per_unit))
def test_slippage_per_unit(form: Any) -> None:
    assert form(params(), 50.0) == 0.0
    assert form(params(slippage_kind=SlippageKind.FIXED, slippage_amount=0.25), 50.0) == 0.25
    assert form(params(slippage_kind=SlippageKind.PERCENTAGE, slippage_rate=0.5), -50.0) == 25.0


@pytest.mark.parametrize("form", both(fill_price))
@pytest.mark.parametrize(
    ("base", "slippage", "quantity", "limit", "price"),
    [
        (100.0, 0.5, 10.0, NAN, 100.5),
        (100.0, 0.5, -10.0, NAN, 99.5),
        (100.0, 0.5, 10.0, 100.0, 100.0),  # a limit order never trades beyond its limit
        (100.0, 0.5, -10.0, 100.0, 100.0),
        (0.25, 0.5, -10.0, NAN, 0.0),  # slippage alone cannot make a price negative
        (0.0, 0.5, -10.0, NAN, 0.0),
        (-3.0, 0.5, -10.0, NAN, -3.5),  # a market that is negative already can be
    ],
)
def test_fill_price(form: Any, base: float, slippage: float, quantity: float, limit: float, price: float) -> None:
    assert form(base, slippage, quantity, limit) == price


@given(prices, st.floats(0, 1e3), sizes, prices)
def test_fill_price_is_never_in_favour_and_never_beyond_the_limit(base: float, slippage: float, quantity: float, limit: float) -> None:
    price = COMPILED[fill_price](base, slippage, quantity, NAN)
    assert price == plain(fill_price)(base, slippage, quantity, NAN)
    assert price >= base if quantity > 0 else price <= base
    bounded = COMPILED[fill_price](base, slippage, quantity, limit)
    assert bounded == plain(fill_price)(base, slippage, quantity, limit)
    assert bounded <= limit if quantity > 0 else bounded >= limit


@pytest.mark.parametrize("form", both(commission))
def test_commission(form: Any) -> None:
    assert form(params(), 100.0, 50.0, 1.0) == 0.0
    assert form(params(commission_kind=CommissionKind.PERCENTAGE, commission_rate=0.001), -100.0, 50.0, 20.0) == 100.0
    per_share = params(commission_kind=CommissionKind.PER_SHARE, commission_per_share=0.01, commission_minimum=1.0)
    assert form(per_share, 50.0, 99.0, 5.0) == 1.0
    assert form(per_share, -500.0, 99.0, 5.0) == 5.0


def test_commission_in_exact_fractions() -> None:
    class Row(dict[str, Any]):
        """A params record of fractions."""

    row = Row(commission_kind=CommissionKind.PERCENTAGE, commission_rate=Fraction(3, 1000))
    assert plain(commission)(row, Fraction(1001, 10), Fraction(1), Fraction(1)) == Fraction(3003, 10000)
    assert plain(profit)(Fraction(1, 3), Fraction(2, 3), Fraction(3), Fraction(50)) == 50
    assert plain(average)(Fraction(1), Fraction(1, 3), Fraction(2), Fraction(2, 3)) == Fraction(5, 9)
    assert plain(excursion)(Fraction(3), Fraction(4), Fraction(-1)) == Fraction(-1, 3)
    assert plain(check_cash)(Fraction(0), Fraction(1), Fraction(1, 3), Fraction(3), Fraction(1, 7), Fraction(8, 7), False)[0] == 0


@given(
    sizes,
    prices,
    st.sampled_from([1.0, 50.0, 0.1]),
    st.floats(0, 0.1),
    st.floats(0, 10),
    st.floats(0, 10),
    st.sampled_from(list(CommissionKind)),
)
def test_commission_compiled_is_plain(
    quantity: float, price: float, multiplier: float, rate: float, per_share: float, minimum: float, kind: CommissionKind
) -> None:
    row = params(commission_kind=kind, commission_rate=rate, commission_per_share=per_share, commission_minimum=minimum)
    cost = COMPILED[commission](row, quantity, price, multiplier)
    assert cost == plain(commission)(row, quantity, price, multiplier)
    assert cost >= 0.0


@pytest.mark.parametrize("form", both(excursion))
def test_excursion(form: Any) -> None:
    assert form(100.0, 110.0, 1.0) == 0.1
    assert form(100.0, 110.0, -1.0) == -0.1
    assert form(-100.0, -90.0, 1.0) == 0.1
    assert math.isnan(form(0.0, 5.0, 1.0))


def test_profit_and_notional_have_the_multiplier() -> None:
    assert plain(profit)(4000.0, 4010.0, -2.0, 50.0) == -1000.0
    assert plain(notional)(-2.0, 4000.0, 50.0) == -400_000.0


FILLS = [
    # type, quantity, limit, stop, market, gap, high, low, expected
    (OrderType.MARKET, 1, NAN, NAN, 100.0, 99.0, 105.0, 95.0, 100.0),
    (OrderType.LIMIT, 1, 96.0, NAN, 100.0, 99.0, 105.0, 95.0, 96.0),
    (OrderType.LIMIT, 1, 95.0, NAN, 100.0, 99.0, 105.0, 95.0, 95.0),  # a touch trades
    (OrderType.LIMIT, 1, 94.99, NAN, 100.0, 99.0, 105.0, 95.0, NAN),
    (OrderType.LIMIT, 1, 120.0, NAN, 100.0, 99.0, 105.0, 95.0, 120.0),  # no price improvement
    (OrderType.LIMIT, -1, 104.0, NAN, 100.0, 99.0, 105.0, 95.0, 104.0),
    (OrderType.LIMIT, -1, 105.01, NAN, 100.0, 99.0, 105.0, 95.0, NAN),
    (OrderType.STOP, 1, NAN, 104.0, 100.0, 99.0, 105.0, 95.0, 104.0),
    (OrderType.STOP, 1, NAN, 98.0, 100.0, 99.0, 105.0, 95.0, 99.0),  # opened beyond the stop
    (OrderType.STOP, 1, NAN, 106.0, 100.0, 99.0, 105.0, 95.0, NAN),
    (OrderType.STOP, -1, NAN, 96.0, 100.0, 99.0, 105.0, 95.0, 96.0),
    (OrderType.STOP, -1, NAN, 99.0, 100.0, 99.0, 105.0, 95.0, 99.0),
    (OrderType.STOP, -1, NAN, 99.5, 100.0, 99.0, 105.0, 95.0, 99.0),  # gapped through: the worse price
    (OrderType.STOP, -1, NAN, 94.0, 100.0, 99.0, 105.0, 95.0, NAN),
]


@pytest.mark.parametrize("case", FILLS)
@pytest.mark.parametrize("form", both(base_price))
def test_base_price(form: Any, case: tuple[float, ...]) -> None:
    kind, quantity, *numbers, expected = case
    assert form(int(kind), float(quantity), *numbers) == pytest.approx(expected, rel=0, nan_ok=True)


@given(st.sampled_from([1, 2]), sizes, prices, prices, prices, prices)
def test_conditional_fills_lie_in_the_bar_or_at_the_limit(kind: int, quantity: float, level: float, a: float, b: float, gap: float) -> None:
    high, low = max(a, b, gap), min(a, b, gap)
    arguments = (kind, quantity, level, level, a, gap, high, low)
    price = COMPILED[base_price](*arguments)
    other = plain(base_price)(*arguments)
    assert price == other or (math.isnan(price) and math.isnan(other))
    if not math.isnan(price):
        assert price == level or (kind == OrderType.STOP and price == gap)
        if kind == OrderType.STOP:
            assert low <= price <= high
            assert price >= level if quantity > 0 else price <= level


CHECKS = [
    # held, quantity, price, multiplier, commission, cash, allow short: expected reason, need, have
    ((0.0, 10.0, 10.0, 1.0, 0.0, 100.0, False), (OrderReason.NONE, 0.0, 0.0)),
    ((0.0, 10.0, 10.0, 1.0, 1.0, 100.0, False), (OrderReason.INSUFFICIENT_CASH, 100.0, 99.0)),
    ((0.0, 10.0, 10.0, 5.0, 0.0, 100.0, False), (OrderReason.INSUFFICIENT_CASH, 500.0, 100.0)),
    ((0.0, -10.0, 10.0, 1.0, 0.0, 100.0, False), (OrderReason.SHORT_NOT_ALLOWED, 0.0, 0.0)),
    ((5.0, -10.0, 10.0, 1.0, 0.0, 100.0, False), (OrderReason.REVERSAL_NOT_ALLOWED, 0.0, 0.0)),
    ((5.0, -5.0, 10.0, 1.0, 60.0, 0.0, False), (OrderReason.INSUFFICIENT_CASH, 60.0, 50.0)),
    ((5.0, -15.0, 10.0, 1.0, 0.0, 50.0, True), (OrderReason.NONE, 0.0, 0.0)),  # the sale pays for the short
    ((5.0, -15.0, 10.0, 1.0, 1.0, 49.0, True), (OrderReason.INSUFFICIENT_CASH, 100.0, 98.0)),
    ((-5.0, 15.0, 10.0, 1.0, 0.0, 149.0, True), (OrderReason.INSUFFICIENT_CASH, 100.0, 99.0)),
    ((-5.0, 5.0, 10.0, 1.0, 0.0, 0.0, True), (OrderReason.NONE, 0.0, 0.0)),  # a cover is always let through
    ((0.3, -(0.1 + 0.2), 10.0, 1.0, 0.0, 0.0, False), (OrderReason.NONE, 0.0, 0.0)),  # rounding dust is no reversal
]


@pytest.mark.parametrize(("arguments", "expected"), CHECKS)
@pytest.mark.parametrize("form", both(check_cash))
def test_check_cash(form: Any, arguments: tuple[Any, ...], expected: tuple[float, ...]) -> None:
    assert form(*arguments) == expected


@given(sizes, sizes)
def test_opening_and_closing_parts(held: float, quantity: float) -> None:
    opening = plain(opening_quantity)(held, quantity)
    assert 0.0 <= opening <= abs(quantity)
    if held * quantity < 0 and abs(quantity) <= abs(held):
        assert opening == 0.0


@given(sizes, sizes, prices, st.floats(0, 100), st.floats(0, 1e7), st.booleans())
def test_check_cash_compiled_is_plain(held: float, quantity: float, price: float, cost: float, cash: float, short: bool) -> None:
    arguments = (held, quantity, price, 1.0, cost, cash, short)
    assert COMPILED[check_cash](*arguments) == plain(check_cash)(*arguments)
