"""The nine order types through the engine, both sides, on bars that gap, touch and miss, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.facade.play import buy, play, sessions

MODES = ("next_bar", "same_bar")
# The bar after the order: open 98, high 104, low 95, close 101; before and after it the price is 100.
BARS = [100, (98, 104, 95, 101), 100]
SHORTS: dict[str, Any] = {"account_type": "crypto"}


def one(terms: dict[str, Any], quantity: float = 1.0, bars: Any = BARS, **settings: Any) -> list[tuple[int, float]]:
    """Return bar and price of the fills of one order."""
    run = play(bars, {0: buy(quantity, **terms)}, **{**SHORTS, **settings})
    assert all(deal[1] == quantity for deal in run.deals)
    return [(bar, price) for bar, _, price in run.deals]


# order, side, what NEXT_BAR makes of it, what SAME_BAR does: there the bar of submission counts with H = L = C = 100
TABLE: list[tuple[dict[str, Any], int, list[tuple[int, float]], list[tuple[int, float]]]] = [
    ({}, 1, [(1, 98)], [(0, 100)]),
    ({}, -1, [(1, 98)], [(0, 100)]),
    # limit: a touch trades, at the limit; an open beyond it makes no better price
    ({"order_type": "limit", "limit_price": 96}, 1, [(1, 96)], [(1, 96)]),
    ({"order_type": "limit", "limit_price": 95}, 1, [(1, 95)], [(1, 95)]),
    ({"order_type": "limit", "limit_price": 94.9}, 1, [], []),
    ({"order_type": "limit", "limit_price": 99}, 1, [(1, 99)], [(1, 99)]),
    ({"order_type": "limit", "limit_price": 103}, -1, [(1, 103)], [(1, 103)]),
    ({"order_type": "limit", "limit_price": 104}, -1, [(1, 104)], [(1, 104)]),
    ({"order_type": "limit", "limit_price": 104.1}, -1, [], []),
    ({"order_type": "limit", "limit_price": 100}, 1, [(1, 100)], [(0, 100)]),
    # stop: at the stop on the way, at the open when that is beyond it
    ({"order_type": "stop", "stop_price": 103}, 1, [(1, 103)], [(1, 103)]),
    ({"order_type": "stop", "stop_price": 104}, 1, [(1, 104)], [(1, 104)]),
    ({"order_type": "stop", "stop_price": 104.5}, 1, [], []),
    ({"order_type": "stop", "stop_price": 97}, -1, [(1, 97)], [(1, 97)]),
    ({"order_type": "stop", "stop_price": 99}, -1, [(1, 98)], [(1, 98)]),
    ({"order_type": "stop", "stop_price": 94}, -1, [], []),
    ({"order_type": "stop", "stop_price": 97.5}, 1, [(1, 98)], [(0, 100)]),
    ({"order_type": "stop", "stop_price": 102}, -1, [(1, 98)], [(0, 100)]),
    # stop-limit: the stop where the limit allows it; else the limit when the close came back to it
    ({"order_type": "stop_limit", "stop_price": 102, "limit_price": 103}, 1, [(1, 102)], [(1, 102)]),
    ({"order_type": "stop_limit", "stop_price": 103, "limit_price": 102}, 1, [(1, 102)], [(1, 102)]),
    ({"order_type": "stop_limit", "stop_price": 103, "limit_price": 100.5}, 1, [(2, 100.5)], [(2, 100.5)]),
    ({"order_type": "stop_limit", "stop_price": 96, "limit_price": 95.5}, -1, [(1, 96)], [(1, 96)]),
    ({"order_type": "stop_limit", "stop_price": 99, "limit_price": 99.5}, -1, [(1, 99.5)], [(1, 99.5)]),  # the open triggers
    ({"order_type": "stop_limit", "stop_price": 105, "limit_price": 106}, 1, [], []),
    # trailing stop: starts from the close at submission, 100; moved after a bar without a trade, never on its first
    ({"order_type": "trailing_stop", "trail_amount": 4}, -1, [(1, 96)], [(1, 96)]),
    ({"order_type": "trailing_stop", "trail_amount": 1}, -1, [(1, 98)], [(1, 98)]),
    ({"order_type": "trailing_stop", "trail_percent": 0.03}, 1, [(1, 103)], [(1, 103)]),
    ({"order_type": "trailing_stop", "trail_amount": 6}, -1, [], []),  # 94 holds; then 98 = 104 - 6 holds at 100
    ({"order_type": "trailing_stop", "trail_amount": 5, "stop_price": 90}, -1, [], []),  # a start of its own, then 99
    ({"order_type": "trailing_stop", "trail_amount": 3.5, "stop_price": 90}, -1, [(2, 100)], [(2, 100)]),  # 100.5, and opens below
    # on open and on close: the only price they know
    ({"order_type": "market_on_open"}, 1, [(1, 98)], [(1, 98)]),
    ({"order_type": "limit_on_open", "limit_price": 98}, 1, [(1, 98)], [(1, 98)]),
    ({"order_type": "limit_on_open", "limit_price": 97}, 1, [], []),  # and not on the low of 95
    ({"order_type": "limit_on_open", "limit_price": 97}, -1, [(1, 98)], [(1, 98)]),
    ({"order_type": "market_on_close"}, -1, [(1, 101)], [(1, 101)]),
    ({"order_type": "limit_on_close", "limit_price": 101}, -1, [(1, 101)], [(1, 101)]),
    ({"order_type": "limit_on_close", "limit_price": 100.5}, 1, [(2, 100)], [(2, 100)]),
    ({"order_type": "limit_on_close", "limit_price": 102}, -1, [], []),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: str(case[0].get("order_type", "market")))
def test_where_orders_trade(case: Any) -> None:
    terms, quantity, following, same = case
    assert one(terms, quantity) == following
    assert one(terms, quantity, execution_mode="same_bar") == same


def test_same_bar_orders_see_the_range_of_their_own_bar_or_its_close_only() -> None:
    bars = [(98, 104, 95, 101), 101]
    terms = {"order_type": "limit", "limit_price": 96}
    assert one(terms, bars=bars, execution_mode="same_bar") == [(0, 96)]
    assert one(terms, bars=bars, execution_mode="same_bar", submission_bar_range="close") == []
    # the open was before the order: a stop that it satisfies trades at the close
    assert one({"order_type": "stop", "stop_price": 97}, bars=bars, execution_mode="same_bar") == [(0, 101)]
    # a trailing stop sees the close only, in either setting
    assert one({"order_type": "trailing_stop", "trail_amount": 3}, -1, bars=bars, execution_mode="same_bar") == []


def test_an_updated_order_has_its_gap_price_at_the_close() -> None:
    def lower(broker: Any) -> None:
        assert broker.update_order("ORD-1", stop_price=99)

    run = play([100, (98, 104, 95, 101), 100], {0: buy(1, order_type="stop", stop_price=200), 1: lower}, execution_mode="same_bar")
    assert run.deals == [(1, 1, 101)]


@pytest.mark.parametrize(("limit", "quantity", "price"), [(99, 1, 98), (97, -1, 98), (96, 1, 96), (103, -1, 103)])
def test_better_open(limit: float, quantity: float, price: float) -> None:
    assert one({"order_type": "limit", "limit_price": limit}, quantity, limit_fill="better_open") == [(1, price)]


@pytest.mark.parametrize(
    ("limit", "quantity", "expected"),
    [
        (102, 1, [(0, 101)]),  # the close of 101 is better
        (101, 1, [(0, 101)]),
        (99, 1, [(1, 99)]),  # the open of 98 is no longer
        (100, -1, [(0, 101)]),
        (105, -1, [(2, 105)]),
    ],
)
def test_better_close_on_the_bar_of_the_submission_only(limit: float, quantity: float, expected: Any) -> None:
    bars = [(98, 104, 95, 101), (98, 100, 97, 99), (106, 106, 106, 106)]
    settings = {"execution_mode": "same_bar", "submission_bar_range": "close", "limit_fill": "better_close"}
    assert one({"order_type": "limit", "limit_price": limit}, quantity, bars=bars, **settings) == expected


@pytest.mark.parametrize(("stop", "quantity", "price"), [(97, 1, 97), (104, 1, 104), (99, -1, 99), (96, -1, 96)])
def test_stops_may_fill_at_their_stop_though_the_bar_opens_beyond_it(stop: float, quantity: float, price: float) -> None:
    bars = [100, (98, 104, 95, 101), 101]
    assert one({"order_type": "stop", "stop_price": stop}, quantity, bars=bars, stop_gap_fill="stop_price") == [(1, price)]
    beyond = stop <= 98 if quantity > 0 else stop >= 98
    assert one({"order_type": "stop", "stop_price": stop}, quantity, bars=bars) == [(1, 98 if beyond else price)]


def test_on_open_and_on_close_wait_for_the_ends_of_a_session() -> None:
    bars = [100, 101, 102, 103, 104, 105]
    times = sessions(2, 3)
    assert one({"order_type": "market_on_open"}, bars=bars, times=times) == [(3, 103)]
    assert one({"order_type": "market_on_close"}, bars=bars, times=times) == [(2, 102)]
    run = play(bars, {2: buy(1, order_type="market_on_close"), 3: buy(1, order_type="market_on_open")}, times=times)
    assert run.deals == [(5, 1, 105)]  # never on the bar of their submission
    run = play(bars, {-1: [buy(1, order_type="market_on_open"), buy(1, order_type="market_on_close")]}, times=times)
    assert run.deals == [(0, 1, 100), (2, 1, 102)]


@pytest.mark.parametrize(("price", "filled"), [(None, 98), ("open", 98), ("close", 101), ("mid", 99.5), ("vwap", 97.25)])
def test_the_pass_price_is_for_market_orders(price: str | None, filled: float) -> None:
    extra = {"vwap": [100.0, 97.25, 100.0]}
    run = play(BARS, {0: [buy(1), buy(1, order_type="limit", limit_price=96)]}, extra=extra, execution_price=price)
    assert run.deals == [(1, 1, filled), (1, 1, 96)]


def test_the_mid_price_needs_no_column_and_vwap_does() -> None:
    with pytest.raises(ValueError, match="execution_price 'vwap' needs a column 'vwap' in prices"):
        play(BARS, {}, execution_price="vwap")
    with pytest.warns(UserWarning, match="look-ahead"):
        run = play(BARS, {1: buy(1)}, execution_price="mid", execution_mode="same_bar")
    assert run.deals == [(1, 1, 99.5)]


def test_orders_wait_while_their_asset_has_no_bar() -> None:
    bars: dict[str, Any] = {"A": [100, None, 102], "B": [50, 51, 52]}
    run = play(bars, {0: [buy(1), buy(1, "B")]})
    assert run.deals == [(1, 1, 51), (2, 1, 102)]


class TestTrailing:
    """A trailing stop over several bars: which price moves it, and when."""

    # 100; up to 110; from 109 down to 105
    BARS = (100, (100, 110, 100, 108), (109, 109, 105, 106), 106)

    @pytest.mark.parametrize(
        ("update", "expected"),
        [
            ("after_bar", [(2, 109)]),  # 110 - 0.5 = 109.5, and the next bar opens at 109
            ("close", [(2, 107.5)]),  # 108 - 0.5
            ("bar_first", [(1, 100)]),  # the mark takes 110 first: the open of 100 is below 109.5
        ],
    )
    def test_sells(self, update: str, expected: list[tuple[int, float]]) -> None:
        terms = {"order_type": "trailing_stop", "trail_amount": 0.5, "stop_price": 99}
        assert one(terms, -1, bars=self.BARS, trail_update=update) == expected

    def test_buys_are_the_mirror_image(self) -> None:
        mirrored = (100, (100, 100, 90, 92), (91, 95, 91, 94), 94)
        terms = {"order_type": "trailing_stop", "trail_amount": 0.5, "stop_price": 101}
        assert one(terms, 1, bars=mirrored) == [(2, 91)]
        assert one(terms, 1, bars=mirrored, trail_update="close") == [(2, 92.5)]

    def test_percent_of_the_high(self) -> None:
        run = play(self.BARS, {0: buy(-1, order_type="trailing_stop", trail_percent=0.05)}, **SHORTS)
        assert run.orders[0].stop_price == 104.5  # 110 * 0.95; started at 95
        assert run.deals == []

    def test_without_a_price_at_submission_it_starts_from_the_first_close_it_sees(self) -> None:
        run = play(self.BARS, {-1: buy(-1, order_type="trailing_stop", trail_amount=4)}, **SHORTS)
        # 96 from the first bar, 106 from the second
        assert run.deals == [(2, -1, 106)]
