"""Prices of one fill: base price, trail, impact, slippage, profit, lots: by hand, plain == compiled, and exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_kernels._jit import function_at
from ml4t_kernels.codes import BeyondLimit, ImpactKind, OrderType, ParticipationKind, PriceField, SlippageKind, TrailUpdate
from ml4t_kernels.fill import base_price, is_satisfied, market_price, move_trail, quote_for
from ml4t_kernels.impact import impact
from ml4t_kernels.ledger import Quote
from ml4t_kernels.participation import participation_cap, rounded_down, rounded_up
from ml4t_kernels.pnl import average, excursion, notional, profit
from ml4t_kernels.slippage import fill_price, per_unit
from tests.kernels.forms import both, plain
from tests.kernels.records import NAN, bar, cost, order, params, quote

KERNELS = (
    base_price,
    excursion,
    fill_price,
    impact,
    is_satisfied,
    market_price,
    move_trail,
    participation_cap,
    per_unit,
    quote_for,
    rounded_down,
    rounded_up,
)
FORMS = {kernel: both(kernel) for kernel in KERNELS}
COMPILED = 1  # the plain form of a kernel cannot call addresses unless nothing is compiled
F = Fraction
PLAIN = params()

prices = st.floats(-1e6, 1e6, allow_subnormal=False)
sizes = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda size: abs(size) > 1e-6)
volumes = st.one_of(st.floats(0.001, 1e6), st.sampled_from([0.0, NAN]))


def same(kernel: Any, *arguments: Any) -> Any:
    """Return the answer of both forms, which has to be the same."""
    first, second = (form(*arguments) for form in FORMS[kernel])
    assert first == second or (math.isnan(first) and math.isnan(second))
    return second


# Base prices ---------------------------------------------------------------------------------------------------------

# kind, quantity, limit, stop; a bar that opens at 99, with a range from 95 to 105, a close of 101 and a pass price of 100
LEVELS = [
    (OrderType.MARKET, 1, NAN, NAN, 100.0),
    (OrderType.LIMIT, 1, 96.0, NAN, 96.0),
    (OrderType.LIMIT, 1, 95.0, NAN, 95.0),  # a touch trades
    (OrderType.LIMIT, 1, 94.99, NAN, NAN),
    (OrderType.LIMIT, 1, 120.0, NAN, 120.0),  # no price improvement
    (OrderType.LIMIT, -1, 104.0, NAN, 104.0),
    (OrderType.LIMIT, -1, 105.0, NAN, 105.0),
    (OrderType.LIMIT, -1, 105.01, NAN, NAN),
    (OrderType.STOP, 1, NAN, 104.0, 104.0),
    (OrderType.STOP, 1, NAN, 98.0, 99.0),  # opened beyond the stop
    (OrderType.STOP, 1, NAN, 106.0, NAN),
    (OrderType.STOP, -1, NAN, 96.0, 96.0),
    (OrderType.STOP, -1, NAN, 99.0, 99.0),
    (OrderType.STOP, -1, NAN, 99.5, 99.0),  # gapped through: the worse price
    (OrderType.STOP, -1, NAN, 94.0, NAN),
    (OrderType.TRAILING_STOP, -1, NAN, 96.0, 96.0),
    (OrderType.TRAILING_STOP, 1, NAN, 98.0, 99.0),
    (OrderType.MARKET_ON_OPEN, 1, NAN, NAN, 99.0),
    (OrderType.LIMIT_ON_OPEN, 1, 99.0, NAN, 99.0),
    (OrderType.LIMIT_ON_OPEN, 1, 98.0, NAN, NAN),  # though the range touches 98
    (OrderType.LIMIT_ON_OPEN, -1, 98.0, NAN, 99.0),
    (OrderType.LIMIT_ON_OPEN, -1, 99.5, NAN, NAN),
    (OrderType.MARKET_ON_CLOSE, -1, NAN, NAN, 101.0),
    (OrderType.LIMIT_ON_CLOSE, 1, 101.5, NAN, 101.0),
    (OrderType.LIMIT_ON_CLOSE, 1, 100.5, NAN, NAN),
    (OrderType.LIMIT_ON_CLOSE, -1, 100.5, NAN, 101.0),
]


@pytest.mark.parametrize("case", LEVELS)
def test_base_price(case: tuple[Any, ...]) -> None:
    kind, quantity, limit, stop, expected = case
    made = order(order_type=kind, quantity=quantity, limit_price=limit, stop_price=stop)
    for form in FORMS[base_price]:
        price, triggered = form(made, quote(100, 99, 105, 95, 101), PLAIN, 5, None)
        assert price == pytest.approx(expected, rel=0, nan_ok=True)
        assert triggered == 0


@pytest.mark.parametrize(("limit", "quantity", "expected"), [(100.0, 1, 99.0), (98.0, 1, 98.0), (98.0, -1, 99.0), (104.0, -1, 104.0)])
def test_a_limit_that_the_open_satisfies_may_fill_there(limit: float, quantity: float, expected: float) -> None:
    made = order(order_type=OrderType.LIMIT, quantity=quantity, limit_price=limit)
    for form in FORMS[base_price]:
        assert form(made, quote(100, 99, 105, 95), params(limit_fill=1), 5, None) == (expected, 0)


# quantity, stop, limit, close; expected price and whether the stop was seen; bar from 95 to 105, opened at 99
STOP_LIMITS = [
    (1, 104.0, 106.0, 100.0, 104.0, 1),  # touched on the way: the stop, which the limit allows
    (1, 104.0, 103.0, 102.0, 103.0, 1),  # beyond the limit, but the close came back: the limit
    (1, 104.0, 103.0, 104.5, NAN, 1),  # triggered, and waits
    (1, 98.0, 99.0, 100.0, 99.0, 1),  # opened beyond the stop: then as a limit order
    (1, 98.0, 94.0, 100.0, NAN, 1),
    (1, 106.0, 107.0, 100.0, NAN, 0),  # not reached
    (-1, 96.0, 94.0, 100.0, 96.0, 1),
    (-1, 96.0, 97.0, 98.0, 97.0, 1),
    (-1, 96.0, 97.0, 96.5, NAN, 1),
    (-1, 100.0, 99.0, 96.0, 99.0, 1),
    (-1, 94.0, 93.0, 96.0, NAN, 0),
]


@pytest.mark.parametrize("case", STOP_LIMITS)
def test_stop_limits(case: tuple[Any, ...]) -> None:
    quantity, stop, limit, close, expected, seen = case
    made = order(order_type=OrderType.STOP_LIMIT, quantity=quantity, stop_price=stop, limit_price=limit)
    for form in FORMS[base_price]:
        price, triggered = form(made, quote(100, 99, 105, 95, close), PLAIN, 5, None)
        assert price == pytest.approx(expected, rel=0, nan_ok=True)
        assert triggered == seen


def test_a_stop_limit_is_a_limit_order_from_the_bar_after_its_trigger() -> None:
    made = order(order_type=OrderType.STOP_LIMIT, quantity=1.0, stop_price=110.0, limit_price=96.0, triggered=1, moved_bar=5)
    for form in FORMS[base_price]:
        assert form(made, quote(100, 99, 105, 95), PLAIN, 5, None) == (96.0, 1)
        assert math.isnan(form(made, quote(100, 99, 105, 95), PLAIN, 4, None)[0])  # the very bar: the stop is not reached


@given(st.sampled_from([1, 2]), sizes, prices, prices, prices, prices)
def test_conditional_fills_lie_in_the_bar_or_at_the_limit(kind: int, quantity: float, level: float, a: float, b: float, gap: float) -> None:
    made = order(order_type=kind, quantity=quantity, limit_price=level, stop_price=level)
    seen = quote(a, gap, max(a, b, gap), min(a, b, gap))
    price, other = (form(made, seen, PLAIN, 0, None)[0] for form in FORMS[base_price])
    assert price == other or (math.isnan(price) and math.isnan(other))
    if not math.isnan(price):
        assert price == level or (kind == OrderType.STOP and price == gap)
        if kind == OrderType.STOP:
            assert seen.low <= price <= seen.high
            assert price >= level if quantity > 0 else price <= level


def test_base_prices_in_exact_fractions() -> None:
    exact: list[Any] = [F(1, 3), F(1, 7), F(1, 7), F(2, 3), F(1, 9), F(1, 3), F(1)]
    seen = Quote(*exact)
    made = {"order_type": OrderType.STOP, "quantity": F(1), "stop_price": F(1, 2), "limit_price": NAN}
    assert plain(base_price)(made, seen, PLAIN, 0, None) == (F(1, 2), 0)
    assert plain(base_price)({**made, "stop_price": F(1, 8)}, seen, PLAIN, 0, None) == (F(1, 7), 0)
    assert plain(base_price)({**made, "order_type": OrderType.LIMIT, "limit_price": F(1, 9)}, seen, PLAIN, 0, None) == (F(1, 9), 0)


@pytest.mark.parametrize(
    ("kind", "quantity", "limit", "stop", "satisfied"),
    [
        (OrderType.LIMIT, 1, 10.0, NAN, True),
        (OrderType.LIMIT, 1, 9.9, NAN, False),
        (OrderType.LIMIT, -1, 10.0, NAN, True),
        (OrderType.STOP, 1, NAN, 10.0, True),
        (OrderType.STOP, -1, NAN, 9.9, False),
        (OrderType.STOP_LIMIT, 1, 11.0, 9.0, True),
        (OrderType.STOP_LIMIT, 1, 9.5, 9.0, False),  # the stop is seen, the limit is not
        (OrderType.STOP_LIMIT, 1, 12.0, 11.0, False),
    ],
)
def test_is_satisfied(kind: OrderType, quantity: float, limit: float, stop: float, satisfied: bool) -> None:
    made = order(order_type=kind, quantity=quantity, limit_price=limit, stop_price=stop)
    for form in FORMS[is_satisfied]:
        assert bool(form(made, 10.0, 0)) is satisfied


@pytest.mark.parametrize(
    ("field", "expected"), [(PriceField.OPEN, 9.0), (PriceField.CLOSE, 10.0), (PriceField.MID, 10.5), (PriceField.VWAP, 10.25)]
)
def test_market_price(field: PriceField, expected: float) -> None:
    for form in FORMS[market_price]:
        assert form(int(field), bar(open=9, high=13, low=8, close=10, vwap=10.25), 0, 10.0) == expected
        assert math.isnan(form(int(field), bar(close=NAN), 0, NAN))
    if field is PriceField.VWAP:
        assert [form(int(field), bar(close=10, vwap=NAN), 0, 10.0) for form in FORMS[market_price]] == [10.0, 10.0]


def test_what_an_order_sees_without_a_bar() -> None:
    missing = bar(open=9, high=13, low=8, close=NAN, vwap=10, volume=500)
    again = params(price_field=PriceField.MID, last_bar_again=1)
    for form in FORMS[quote_for]:
        for kind in (OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP):
            assert tuple(form(again, order(active_bar=3, order_type=kind), missing, 4, again)) == (10.5, 9, 9, 13, 8, 10, 500)
        assert tuple(form(again, order(active_bar=3, moved_bar=3), missing, 4, again)) == (10.5, 9, 9, 13, 8, 10, 500)
        waits = (order(active_bar=3), order(active_bar=3, order_type=OrderType.LIMIT_ON_OPEN, moved_bar=3))
        assert all(math.isnan(form(again, waiting, missing, 4, again).close) for waiting in waits)
        assert math.isnan(form(params(), order(active_bar=3, order_type=OrderType.LIMIT), missing, 4, None).close)


def test_what_an_order_sees_on_its_own_bar() -> None:
    bars = bar(open=9, high=13, low=8, close=10, volume=500)
    settings = params(price_field=PriceField.OPEN)
    for form in FORMS[quote_for]:
        assert tuple(form(settings, order(active_bar=3), bars, 4, None)) == (9, 9, 9, 13, 8, 10, 500)
        assert tuple(form(settings, order(active_bar=4), bars, 4, None)) == (9, 10, 9, 13, 8, 10, 500)
        assert tuple(form(settings, order(active_bar=4, order_type=OrderType.TRAILING_STOP), bars, 4, None)) == (9, 10, 9, 10, 10, 10, 500)
        assert tuple(form(params(submission_close_only=1), order(active_bar=4), bars, 4, None)) == (9, 10, 9, 10, 10, 10, 500)
        at_open = form(params(price_field=PriceField.CLOSE), order(active_bar=4, at_open=1), bars, 4, None)
        assert at_open[0] == 9


@pytest.mark.parametrize(
    ("quantity", "trail", "before", "update", "after"),
    [
        (-1, {"trail_amount": 2.0}, 7.0, TrailUpdate.AFTER_BAR, 11.0),  # 13 - 2
        (-1, {"trail_amount": 2.0}, 12.0, TrailUpdate.AFTER_BAR, 12.0),  # never loosened
        (-1, {"trail_amount": 2.0}, 7.0, TrailUpdate.CLOSE, 8.0),
        (-1, {"trail_percent": 0.25}, 7.0, TrailUpdate.BAR_FIRST, 9.75),
        (1, {"trail_amount": 2.0}, 15.0, TrailUpdate.AFTER_BAR, 10.0),  # 8 + 2
        (1, {"trail_percent": 0.25}, 15.0, TrailUpdate.CLOSE, 12.5),
        (1, {"trail_amount": 2.0}, 9.0, TrailUpdate.AFTER_BAR, 9.0),
        (-1, {"trail_amount": 2.0}, NAN, TrailUpdate.CLOSE, 8.0),  # the first level
    ],
)
def test_move_trail(quantity: float, trail: dict[str, float], before: float, update: TrailUpdate, after: float) -> None:
    for form in FORMS[move_trail]:
        made = order(order_type=OrderType.TRAILING_STOP, quantity=quantity, stop_price=before, **trail)
        form(made, 13.0, 8.0, 10.0, int(update))
        assert made["stop_price"] == after


# Impact and slippage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "quantity", "price", "volume", "expected"),
    [
        ({}, 100.0, 50.0, 1000.0, 0.0),
        ({"impact_kind": ImpactKind.LINEAR, "impact_coefficient": 0.5}, -100.0, 50.0, 1000.0, 2.5),
        ({"impact_kind": ImpactKind.LINEAR, "impact_coefficient": 0.5}, 100.0, -50.0, 1000.0, 2.5),
        ({"impact_kind": ImpactKind.LINEAR, "impact_coefficient": 0.5}, 100.0, 50.0, 0.0, 0.0),
        ({"impact_kind": ImpactKind.LINEAR, "impact_coefficient": 0.5}, 100.0, 50.0, NAN, 0.0),
        (
            {"impact_kind": ImpactKind.SQUARE_ROOT, "impact_coefficient": 0.5, "impact_volatility": 0.02, "impact_volume_factor": 4.0},
            100.0,
            50.0,
            100.0,
            0.25,  # 0.5 * 0.02 * sqrt(100 / 400) * 50
        ),
        ({"impact_kind": ImpactKind.POWER, "impact_coefficient": 2.0, "impact_exponent": 2.0}, 50.0, 50.0, 100.0, 25.0),
        ({"impact_kind": ImpactKind.POWER, "impact_coefficient": 2.0, "impact_exponent": 2.0, "impact_minimum": 30.0}, 50, 50, 100, 30.0),
        ({"impact_kind": ImpactKind.POWER, "impact_coefficient": 2.0, "impact_minimum": 0.5}, 50.0, 50.0, NAN, 0.5),
    ],
)
def test_impact(row: dict[str, Any], quantity: float, price: float, volume: float, expected: float) -> None:
    assert same(impact, cost(**row), float(quantity), float(price), float(volume)) == expected


@pytest.mark.parametrize(
    ("row", "price", "volume", "spread", "expected"),
    [
        ({}, 50.0, 1000.0, 0.0, 0.0),
        ({"slippage_kind": SlippageKind.FIXED, "slippage_amount": 0.25}, 50.0, 1000.0, 0.0, 0.25),
        ({"slippage_kind": SlippageKind.PERCENTAGE, "slippage_rate": 0.5}, -50.0, 1000.0, 0.0, 25.0),
        ({"slippage_kind": SlippageKind.QUOTED_SPREAD}, 50.0, 1000.0, 0.5, 0.25),
        ({"slippage_kind": SlippageKind.VOLUME_SHARE, "slippage_rate": 0.5}, 50.0, 1000.0, 0.0, 2.5),
        ({"slippage_kind": SlippageKind.VOLUME_SHARE, "slippage_rate": 0.5}, 50.0, 0.0, 0.0, 0.0),
        ({"slippage_kind": SlippageKind.VOLUME_SHARE, "slippage_rate": 0.5}, 50.0, NAN, 0.0, 0.0),
        # a tenth of the volume, of which a twentieth counts: 50 * 8 * 0.05 ** 2
        ({"slippage_kind": SlippageKind.VOLUME_SHARE_SQUARED, "slippage_rate": 8.0, "slippage_volume_limit": 0.05}, 50, 1000, 0, 1.0),
        ({"slippage_kind": SlippageKind.VOLUME_SHARE_SQUARED, "slippage_rate": 8.0, "slippage_volume_limit": 0.5}, 50, 400, 0, 25.0),
    ],
)
def test_slippage_per_unit(row: dict[str, Any], price: float, volume: float, spread: float, expected: float) -> None:
    answer = same(per_unit, cost(**row), 0, -100.0, float(price), float(volume), float(spread))
    assert answer == pytest.approx(expected, rel=1e-15)


def test_functions_of_the_user_get_unsigned_quantities_and_the_side() -> None:
    address, kept = function_at(lambda number, quantity, price, volume: number * 1000 + quantity + price + volume)
    slips = cost(slippage_kind=SlippageKind.FUNCTION, slippage_function=address)
    assert FORMS[per_unit][COMPILED](slips, 3, -2.0, 10.0, 0.5, 0.0) == 3012.5
    moves = cost(impact_kind=ImpactKind.FUNCTION, impact_function=address)
    assert FORMS[impact][COMPILED](moves, -2.0, 10.0, 0.5) == 987.5  # abs(-1000 + 12.5)
    assert FORMS[impact][COMPILED](moves, 2.0, 10.0, 0.5) == 1012.5
    capped = cost(participation_kind=ParticipationKind.FUNCTION, participation_function=address)
    assert FORMS[participation_cap][COMPILED](capped, 3, -2.0, 10.0, 0.5) == 3012.5
    assert kept is not None


@pytest.mark.parametrize(
    ("base", "moved", "slippage", "quantity", "limit", "price"),
    [
        (100.0, 100.0, 0.5, 10.0, NAN, 100.5),
        (100.0, 101.0, 0.5, 10.0, NAN, 101.5),  # after impact
        (100.0, 99.0, 0.5, -10.0, NAN, 98.5),
        (100.0, 101.0, 0.5, 10.0, 100.0, 100.0),  # an order with a limit never trades beyond it
        (100.0, 99.0, 0.5, -10.0, 100.0, 100.0),
        (0.25, 0.25, 0.5, -10.0, NAN, 0.0),  # slippage alone cannot make a price negative
        (0.25, -0.1, 0.0, -10.0, NAN, 0.0),
        (0.0, 0.0, 0.5, -10.0, NAN, 0.0),
        (-3.0, -3.0, 0.5, -10.0, NAN, -3.5),  # a market that is negative already can be
    ],
)
def test_fill_price(base: float, moved: float, slippage: float, quantity: float, limit: float, price: float) -> None:
    assert same(fill_price, base, moved, slippage, quantity, limit, BeyondLimit.LIMIT.value) == price


@given(prices, st.floats(0, 1e3), st.floats(0, 1e3), sizes, prices)
def test_fill_price_is_never_in_favour_and_never_beyond_the_limit(
    base: float, moved: float, slippage: float, quantity: float, limit: float
) -> None:
    moved = base + moved if quantity > 0 else base - moved
    price = same(fill_price, base, moved, slippage, quantity, NAN, BeyondLimit.LIMIT.value)
    assert price >= base if quantity > 0 else price <= base
    bounded = same(fill_price, base, moved, slippage, quantity, limit, BeyondLimit.LIMIT.value)
    assert bounded <= limit if quantity > 0 else bounded >= limit


@given(st.sampled_from(list(SlippageKind)[:5]), sizes, prices, volumes, st.floats(0, 10), st.floats(0.01, 1))
def test_slippage_compiled_is_plain(kind: SlippageKind, size: float, price: float, volume: float, rate: float, limit: float) -> None:
    row = cost(slippage_kind=kind, slippage_amount=rate, slippage_rate=rate, slippage_volume_limit=limit)
    assert same(per_unit, row, 0, size, price, volume, rate) >= 0.0


@given(st.sampled_from(list(ImpactKind)[:4]), sizes, prices, volumes, st.floats(0, 10), st.floats(0.5, 2))
def test_impact_compiled_is_plain(kind: ImpactKind, size: float, price: float, volume: float, rate: float, exponent: float) -> None:
    row = cost(impact_kind=kind, impact_coefficient=rate, impact_volatility=1.0, impact_volume_factor=1.0, impact_exponent=exponent)
    first, second = (form(row, size, price, volume) for form in FORMS[impact])
    assert first == pytest.approx(second, rel=1e-15)  # a power may differ in its last bit between libraries
    assert second >= 0.0


def test_slippage_and_impact_in_exact_fractions() -> None:
    row = {"slippage_kind": SlippageKind.VOLUME_SHARE_SQUARED, "slippage_rate": F(3), "slippage_volume_limit": F(1, 3)}
    assert plain(per_unit)(row, 0, F(-1), F(7), F(2), F(0)) == F(7, 3)
    linear = {"impact_kind": ImpactKind.LINEAR, "impact_coefficient": F(1, 3), "impact_minimum": F(0)}
    assert plain(impact)(linear, F(-1), F(7), F(2)) == F(7, 6)
    assert plain(fill_price)(F(1, 3), F(1, 3), F(1, 7), F(1), NAN, 0) == F(10, 21)


# Lots and profit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "lot", "down", "up"), [(7.5, 2.0, 6.0, 8.0), (0.3, 0.1, 0.1 * 3, 0.1 * 3), (5.25, 0.0, 5.25, 5.25), (0.5, 1.0, 0.0, 1.0)]
)
def test_rounding_to_lots(quantity: float, lot: float, down: float, up: float) -> None:
    assert same(rounded_down, quantity, lot) == down
    assert same(rounded_down, -quantity, lot) == -down
    assert same(rounded_up, quantity, lot) == up


def test_rounding_in_exact_fractions() -> None:
    assert plain(rounded_down)(F(-7, 3), F(1, 2)) == -2
    assert plain(rounded_up)(F(7, 3), F(1, 2)) == F(5, 2)


@pytest.mark.parametrize(
    ("row", "volume", "expected"),
    [
        ({}, 1000.0, math.inf),
        ({"participation_kind": ParticipationKind.VOLUME, "participation": 0.125}, 1000.0, 125.0),
        ({"participation_kind": ParticipationKind.VOLUME, "participation": 0.125}, 0.0, 0.0),
        ({"participation_kind": ParticipationKind.VOLUME, "participation": 0.125}, NAN, math.inf),
        ({"participation_kind": ParticipationKind.VOLUME, "participation": 0.125, "participation_least_volume": 1001.0}, 1000.0, 0.0),
    ],
)
def test_participation_cap(row: dict[str, Any], volume: float, expected: float) -> None:
    assert same(participation_cap, cost(**row), 0, -500.0, volume, 50.0) == expected


def test_excursion() -> None:
    assert same(excursion, 100.0, 110.0, 1.0) == 0.1
    assert same(excursion, 100.0, 110.0, -1.0) == -0.1
    assert same(excursion, -100.0, -90.0, 1.0) == 0.1
    assert math.isnan(same(excursion, 0.0, 5.0, 1.0))


def test_profit_in_exact_fractions() -> None:
    assert plain(profit)(4000.0, 4010.0, -2.0, 50.0) == -1000.0
    assert plain(notional)(-2.0, 4000.0, 50.0) == -400_000.0
    assert plain(profit)(F(1, 3), F(2, 3), F(3), F(50)) == 50
    assert plain(average)(F(1), F(1, 3), F(2), F(2, 3)) == F(5, 9)
    assert plain(excursion)(F(3), F(4), F(-1)) == F(-1, 3)
