"""Commission, requirements, checks of cash and buying power, order limits: by hand, plain == compiled, and exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_kernels import dtypes
from ml4t_kernels._jit import function_at
from ml4t_kernels.codes import CommissionKind, OrderReason
from ml4t_kernels.commission import commission, raw_commission
from ml4t_kernels.gate import affordable, check_limits, check_money, commission_of
from ml4t_kernels.margin import (
    available_cash,
    check_buying_power,
    check_cash,
    check_short,
    initial_requirement,
    locked_value,
    maintenance_requirement,
    opening_quantity,
)
from tests.kernels.forms import both, plain
from tests.kernels.records import contract, cost, item, ledger, order, params, position, record

KERNELS = (
    affordable,
    available_cash,
    check_buying_power,
    check_cash,
    check_limits,
    check_money,
    check_short,
    commission,
    commission_of,
    initial_requirement,
    locked_value,
    maintenance_requirement,
    opening_quantity,
    raw_commission,
)
FORMS = {kernel: both(kernel) for kernel in KERNELS}
F = Fraction
OK = (OrderReason.NONE, 0.0, 0.0)

prices = st.floats(-1e6, 1e6, allow_subnormal=False)
sizes = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda size: abs(size) > 1e-6)
NO_TIERS = np.zeros(1, dtype=dtypes.bare(dtypes.tier_dtype))


def same(kernel: Any, *arguments: Any) -> Any:
    """Return the answer of both forms, which has to be the same."""
    first, second = (form(*arguments) for form in FORMS[kernel])
    assert first == second
    return second


def state(**values: Any) -> Any:
    return record(dtypes.state_dtype, **values)


# Commission ---------------------------------------------------------------------------------------------------------------

LINEAR = {"commission_kind": CommissionKind.LINEAR}
LARGEST = {"commission_kind": CommissionKind.LARGEST}


@pytest.mark.parametrize(
    ("row", "maker", "expected"),
    [
        ({"commission_rate": 0.5}, False, 0.0),  # no kind, no cost
        ({**LINEAR, "commission_rate": 0.001}, False, 100.0),  # 100 * 50 * 20 = 100,000 of notional
        ({**LINEAR, "commission_rate": 0.001, "maker_rate": -0.0005}, True, -50.0),
        ({**LINEAR, "commission_per_unit": 0.25}, False, 25.0),
        ({**LINEAR, "commission_rate": 0.001, "commission_per_unit": 0.25}, False, 125.0),
        ({**LARGEST, "commission_per_order": 5.0, "commission_per_unit": 0.25}, False, 25.0),
        ({**LARGEST, "commission_per_order": 50.0, "commission_per_unit": 0.25}, False, 50.0),
        ({**LARGEST, "commission_per_order": 5.0, "commission_rate": 0.001}, False, 100.0),
    ],
)
def test_raw_commission(row: dict[str, Any], maker: bool, expected: float) -> None:
    assert same(raw_commission, cost(**row), NO_TIERS, 0, -100.0, 50.0, 20.0, maker) == expected


@pytest.mark.parametrize(
    ("kind", "quantity", "expected"),
    [
        (CommissionKind.TIERED_QUANTITY, 10.0, 10 * 0.5),  # the tier holds up to its limit, inclusively
        (CommissionKind.TIERED_QUANTITY, 11.0, 11 * 0.25),
        (CommissionKind.TIERED_QUANTITY, 500.0, 500 * 0.25),  # beyond the last limit: the last tier
        (CommissionKind.TIERED_VALUE, 2.0, 10.0 * 0.5),  # 2 at 5 are worth 10
        (CommissionKind.TIERED_VALUE, 3.0, 15.0 * 0.25),
    ],
)
def test_tiers(kind: CommissionKind, quantity: float, expected: float) -> None:
    tiers = np.array([(0.0, 9.0), (10.0, 0.5), (100.0, 0.25)], dtype=[("limit", "f8"), ("rate", "f8")]).view(NO_TIERS.dtype)
    row = cost(commission_kind=kind, first_tier=1, tiers=2)
    assert same(raw_commission, row, tiers, 0, quantity, 5.0, 1.0, False) == expected


def test_a_commission_function_gets_asset_quantity_price_and_multiplier() -> None:
    address, kept = function_at(lambda number, quantity, price, multiplier: number * 1000 + quantity * price * multiplier)
    row = cost(commission_kind=CommissionKind.FUNCTION, commission_function=address)
    # the plain form cannot call addresses unless nothing is compiled
    assert FORMS[raw_commission][1](row, NO_TIERS, 2, -3.0, 10.0, 5.0, False) == 2150.0
    assert kept is not None


@pytest.mark.parametrize(
    ("row", "paid", "raw", "expected"),
    [
        ({}, (0.0, 0.0), 7.0, 0.0),
        (LINEAR, (0.0, 0.0), 7.0, 7.0),
        ({**LINEAR, "commission_per_order": 2.0}, (0.0, 0.0), 7.0, 9.0),  # once per order
        ({**LINEAR, "commission_per_order": 2.0}, (7.0, 9.0), 7.0, 7.0),
        ({**LINEAR, "commission_minimum": 10.0}, (0.0, 0.0), 7.0, 10.0),  # with the first part the minimum
        ({**LINEAR, "commission_minimum": 10.0}, (7.0, 10.0), 2.0, 0.0),  # the second stays below it
        ({**LINEAR, "commission_minimum": 10.0}, (9.0, 10.0), 3.0, 2.0),  # the third pays what is above
        ({**LINEAR, "commission_minimum": -math.inf}, (0.0, 0.0), -7.0, -7.0),  # a rebate
    ],
)
def test_commission_of_an_order_over_its_fills(row: dict[str, Any], paid: tuple[float, float], raw: float, expected: float) -> None:
    assert same(commission, cost(**row), order(raw_commission=paid[0], commission=paid[1]), raw) == expected


@given(sizes, prices, st.sampled_from([1.0, 50.0, 0.1]), st.floats(0, 0.1), st.floats(0, 10), st.floats(0, 10))
def test_commission_compiled_is_plain(quantity: float, price: float, multiplier: float, rate: float, unit: float, least: float) -> None:
    for kind in (CommissionKind.NONE, CommissionKind.LINEAR, CommissionKind.LARGEST):
        row = cost(commission_kind=kind, commission_rate=rate, commission_per_unit=unit, commission_per_order=least)
        raw = same(raw_commission, row, NO_TIERS, 0, quantity, price, multiplier, False)
        assert same(commission, row, order(), raw) >= raw >= 0.0


def test_commission_in_exact_fractions() -> None:
    row = {"commission_kind": CommissionKind.LINEAR, "commission_rate": F(3, 1000), "commission_per_unit": F(1, 7)}
    assert plain(raw_commission)(row, [], 0, F(-7), F(100), F(1, 3), False) == F(7, 10) + 1
    bill = {"commission_kind": CommissionKind.LINEAR, "commission_per_order": F(1, 3), "commission_minimum": F(0)}
    assert plain(commission)(bill, {"raw_commission": F(1, 3), "commission": F(1, 2)}, F(1, 6)) == F(1, 3)


# Requirements and what is available ----------------------------------------------------------------------------------------

BY_RATE = {"multiplier": 5.0, "initial_rate": 0.5, "long_rate": 0.25, "short_rate": 0.3}


def test_requirements() -> None:
    assert same(initial_requirement, contract(**BY_RATE), -2.0, 100.0) == 500.0
    assert same(maintenance_requirement, contract(**BY_RATE), 2.0, 100.0) == 250.0
    assert same(maintenance_requirement, contract(**BY_RATE), -2.0, 100.0) == 300.0
    money = contract(**BY_RATE, initial_margin=120.0, maintenance_margin=90.0)
    assert same(initial_requirement, money, -2.0, 100.0) == 240.0
    assert same(maintenance_requirement, money, -2.0, -100.0) == 180.0


def test_locked_and_available_cash() -> None:
    assert same(locked_value, position(quantity=-3.0, entry_price=10.0), contract(multiplier=5.0)) == 150.0
    assert same(locked_value, position(quantity=3.0, entry_price=10.0), contract()) == 0.0
    for policy, free in ((0, 1000.0), (1, 900.0), (2, 800.0)):
        assert same(available_cash, params(short_cash_policy=policy), 1000.0, 100.0, 50.0) == free
    assert same(available_cash, params(hold_unsettled=1), 1000.0, 0.0, 50.0) == 950.0
    assert same(available_cash, params(cash_buffer=0.25), 1000.0, 0.0, 0.0) == 750.0
    assert same(available_cash, params(cash_buffer=0.25), -1000.0, 0.0, 0.0) == -1000.0


@pytest.mark.parametrize(
    ("held", "quantity", "opening"),
    [(0, 5, 5), (3, 5, 5), (3, -2, 0), (3, -3, 0), (3, -5, 2), (-3, 5, 2), (0.3, -(0.1 + 0.2), 0)],
)
def test_opening_quantity(held: float, quantity: float, opening: float) -> None:
    assert same(opening_quantity, float(held), float(quantity)) == opening
    refused = OrderReason.NONE if held + quantity >= 0 or not opening else OrderReason.REVERSAL_NOT_ALLOWED
    assert same(check_short, float(held), float(quantity), float(opening), False) == refused
    assert same(check_short, float(held), float(quantity), float(opening), True) == OrderReason.NONE


def test_shorts_are_refused_by_what_is_held() -> None:
    assert same(check_short, 0.0, -5.0, 5.0, False) == OrderReason.SHORT_NOT_ALLOWED
    assert same(check_short, 2.0, -5.0, 3.0, False) == OrderReason.REVERSAL_NOT_ALLOWED


CHECKS = [
    # held, quantity, price, multiplier, commission, cash, available, allow short: expected reason, need, have
    ((0, 10, 10, 1, 0, 100, 100, False), (OrderReason.NONE, 100.0, 100.0)),
    ((0, 10, 10, 1, 1, 100, 100, False), (OrderReason.INSUFFICIENT_CASH, 100.0, 99.0)),
    ((0, 10, 10, 1, 0, 100, 90, False), (OrderReason.INSUFFICIENT_CASH, 100.0, 90.0)),  # a buffer, or unsettled
    ((0, 10, 10, 5, 0, 100, 100, False), (OrderReason.INSUFFICIENT_CASH, 500.0, 100.0)),
    ((5, -5, 10, 1, 60, 0, 0, False), (OrderReason.INSUFFICIENT_CASH, 60.0, 50.0)),
    ((5, -5, 10, 1, 50, 0, 0, False), OK),
    ((5, -15, 10, 1, 0, 50, 50, True), (OrderReason.NONE, 100.0, 100.0)),  # the sale pays for the short
    ((5, -15, 10, 1, 1, 49, 49, True), (OrderReason.INSUFFICIENT_CASH, 100.0, 98.0)),
    ((-5, 15, 10, 1, 0, 149, 149, True), (OrderReason.INSUFFICIENT_CASH, 100.0, 99.0)),
    ((-5, 5, 10, 1, 0, 0, 0, True), OK),  # a cover is always let through
    ((0.3, -(0.1 + 0.2), 10, 1, 0, 0, 0, False), OK),  # rounding dust is no reversal
]


@pytest.mark.parametrize(("arguments", "expected"), CHECKS)
def test_check_cash(arguments: tuple[Any, ...], expected: tuple[float, ...]) -> None:
    numbers = [float(value) for value in arguments[:-1]]
    assert same(check_cash, *numbers, arguments[-1]) == expected


@given(sizes, sizes, prices, st.floats(0, 100), st.floats(0, 1e7), st.booleans())
def test_check_cash_compiled_is_plain(held: float, quantity: float, price: float, fee: float, cash: float, short: bool) -> None:
    reason, need, have = same(check_cash, held, quantity, price, 1.0, fee, cash, cash, short)
    assert (reason == OrderReason.INSUFFICIENT_CASH) <= (need > have)


@given(sizes, sizes)
def test_opening_and_closing_parts(held: float, quantity: float) -> None:
    opening = same(opening_quantity, held, quantity)
    assert 0.0 <= opening <= abs(quantity)
    if held * quantity < 0 and abs(quantity) <= abs(held):
        assert opening == 0.0


def test_checks_in_exact_fractions() -> None:
    numbers = (F(0), F(1), F(1, 3), F(3), F(1, 7), F(8, 7), F(8, 7))
    assert plain(check_cash)(*numbers, False) == (0, 1, 1)
    third = {"initial_margin": math.nan, "multiplier": F(1, 3), "initial_rate": F(1, 2)}
    assert plain(initial_requirement)(third, F(-2), F(5)) == F(5, 3)


# 100 units at 10 held in an account worth 1,000; 50 % initially, 25 % to keep
HELD = {"quantity": 100.0, "current_price": 10.0}
ACCOUNT = {"cash": 0.0, "equity": 1000.0, "initial_requirement": 500.0, "maintenance_requirement": 250.0}
HALF = {"initial_rate": 0.5, "long_rate": 0.25, "short_rate": 0.25}


@pytest.mark.parametrize(
    ("quantity", "price", "fee", "withheld", "basis", "need", "have"),
    [
        (100.0, 10.0, 0.0, 0.0, 0, 500.0, 500.0),
        (101.0, 10.0, 0.0, 0.0, 0, 505.0, 500.0),
        (100.0, 10.0, 1.0, 0.0, 0, 500.0, 499.0),
        (100.0, 10.0, 0.0, 20.0, 0, 500.0, 480.0),
        (100.0, 12.0, 0.0, 0.0, 0, 600.0, 600.0),  # at the price of the fill the account is worth 1,200
        (100.0, 10.0, 0.0, 0.0, 1, 500.0, 750.0),  # by maintenance
        (-300.0, 10.0, 0.0, 0.0, 0, 1000.0, 1000.0),  # a flip keeps nothing of the long
        (-301.0, 10.0, 0.0, 0.0, 0, 1005.0, 1000.0),
        (-50.0, 10.0, 99.0, 0.0, 0, 0.0, 0.0),  # what opens nothing always passes
    ],
)
def test_check_buying_power(quantity: float, price: float, fee: float, withheld: float, basis: int, need: float, have: float) -> None:
    refused = OrderReason.INSUFFICIENT_BUYING_POWER if need > have else OrderReason.NONE
    answer = same(check_buying_power, state(**ACCOUNT), position(**HELD), contract(**HALF), quantity, price, fee, withheld, basis)
    assert answer == (refused, need, have)


def test_buying_power_of_futures_counts_from_what_is_settled() -> None:
    future = contract(multiplier=50.0, initial_margin=400.0, maintenance_margin=300.0, settles=1)
    held = position(quantity=1.0, current_price=102.0, basis=100.0)
    worth = state(cash=1000.0, equity=1100.0, initial_requirement=400.0, maintenance_requirement=300.0)
    # at 104 the contract has made 200: 1,200 less the 400 of the one that is kept
    assert same(check_buying_power, worth, held, future, 2.0, 104.0, 0.0, 0.0, 0) == (OrderReason.NONE, 800.0, 800.0)


# The gate -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "now", "held", "quantity", "expected"),
    [
        ({}, {}, 0.0, 10.0, OK),
        ({"max_order_size": 1000.0}, {}, 0.0, 10.0, OK),
        ({"max_order_size": 999.0}, {}, 0.0, 10.0, (OrderReason.ORDER_SIZE, 1000.0, 999.0)),
        ({"max_order_size": 1.0}, {}, 20.0, -10.0, OK),  # a reduction is never refused
        ({"max_position_size": 2999.0}, {}, 20.0, 10.0, (OrderReason.POSITION_SIZE, 3000.0, 2999.0)),
        ({"max_position_size": 999.0}, {}, 20.0, -30.0, (OrderReason.POSITION_SIZE, 1000.0, 999.0)),
        ({"max_positions": 3}, {"open_positions": 3}, 0.0, 10.0, (OrderReason.TOO_MANY_POSITIONS, 4.0, 3.0)),
        ({"max_positions": 3}, {"open_positions": 3}, 20.0, 10.0, OK),
        ({}, {"blocked": 1}, 0.0, 10.0, (OrderReason.RISK_BLOCKED, 0.0, 0.0)),
        ({}, {"blocked": 1}, 20.0, -10.0, OK),
    ],
)
def test_check_limits(settings: dict[str, Any], now: dict[str, Any], held: float, quantity: float, expected: tuple[float, ...]) -> None:
    rows = item(position=position(quantity=held), contract=contract(multiplier=5.0))
    assert same(check_limits, state(**now), params(**settings), rows, quantity, 20.0) == expected


@pytest.mark.parametrize(
    ("settings", "now", "held", "quantity", "expected"),
    [
        ({}, {"cash": 100.0}, 0.0, 10.0, (OrderReason.NONE, 100.0, 100.0)),
        ({}, {"cash": 100.0}, 0.0, -10.0, (OrderReason.SHORT_NOT_ALLOWED, 0.0, 0.0)),
        ({"allow_short": 1, "skip_cash_check": 1}, {}, 0.0, 10.0, OK),
        ({"open_cash_check": 1}, {"cash": 100.0}, 0.0, 11.0, (OrderReason.INSUFFICIENT_CASH, 0.0, -10.0)),
        ({"open_cash_check": 1}, {"cash": 100.0}, 0.0, 10.0, (OrderReason.NONE, 0.0, 0.0)),
        ({"hold_unsettled": 1}, {"cash": 100.0, "unsettled": 30.0}, 0.0, 10.0, (OrderReason.INSUFFICIENT_CASH, 100.0, 70.0)),
        # 5 short at 8 lock 40, which the flip sets free
        ({"allow_short": 1, "short_cash_policy": 1}, {"cash": 100.0, "short_value": 40.0}, -5.0, 10.0, (OrderReason.NONE, 50.0, 50.0)),
        ({"allow_short": 1, "leverage": 1}, {"cash": 40.0, "equity": 40.0}, 0.0, 10.0, (OrderReason.INSUFFICIENT_BUYING_POWER, 50.0, 40.0)),
    ],
)
def test_check_money(settings: dict[str, Any], now: dict[str, Any], held: float, quantity: float, expected: tuple[float, ...]) -> None:
    rows = item(position=position(quantity=held, entry_price=8.0, current_price=10.0), contract=contract(**HALF))
    assert same(check_money, state(**now), params(**settings), rows, quantity, 10.0, 0.0, params(**settings)) == expected


@pytest.mark.parametrize(
    ("cash", "held", "lot", "bill", "quantity", "afforded"),
    [
        (105.0, 0.0, 0.0, {}, 20.0, 10.5),
        (105.0, 0.0, 1.0, {}, 20.0, 10.0),
        (105.0, 0.0, 1.0, {**LINEAR, "commission_per_unit": 0.5}, 20.0, 10.0),  # 105 / 10.5
        (105.0, 0.0, 0.0, {**LINEAR, "commission_per_order": 5.0}, 20.0, 10.0),  # 7 with the fee for each unit; 105 - 5 pays 10
        (105.0, 0.0, 1.0, {**LINEAR, "commission_per_unit": 0.25, "commission_minimum": 2.0}, 20.0, 10.0),  # 8; 103 pays 10, with 2.5
        # 40 with a fee of 6 for each unit; (640 - 6) / 10 = 63, for 636.3: the gate takes all three
        (640.0, 0.0, 1.0, {**LINEAR, "commission_per_unit": 0.1, "commission_minimum": 6.0}, 90.0, 63.0),
        # 66; (1000 - 26.4) / 10 = 97, but with 38.8 that is too much; (1000 - 38.8) / 10 = 96, for 998.4
        (1000.0, 0.0, 1.0, {**LINEAR, "commission_per_unit": 0.4, "commission_minimum": 5.0}, 200.0, 96.0),
        (9.0, 0.0, 1.0, {}, 20.0, 0.0),
        (100.0, -4.0, 0.0, {}, 20.0, 10.0),  # 4 are covered, 6 more for the 60 that are left
    ],
)
def test_affordable(cash: float, held: float, lot: float, bill: dict[str, Any], quantity: float, afforded: float) -> None:
    book = ledger({"cash": cash}, params(allow_short=1))
    rows = item(position=position(quantity=held), contract=contract(lot_size=lot), cost=cost(**bill))
    fee, raw = same(commission_of, book, rows, quantity, 10.0, False)
    assert fee >= raw
    refused, need, have = same(check_money, book.state[0], book.params[0], rows, quantity, 10.0, fee, None)
    assert refused == OrderReason.INSUFFICIENT_CASH
    assert same(affordable, book, rows, quantity, 10.0, fee, need, have, False) == afforded


def test_nothing_costs_nothing() -> None:
    rows = item(cost=cost(**LINEAR, commission_per_order=5.0))
    assert same(commission_of, ledger({}, params()), rows, 0.0, 10.0, False) == (0.0, 0.0)
