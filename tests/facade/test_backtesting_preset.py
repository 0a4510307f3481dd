"""The rules of backtesting.py's preset, by hand: what differs from the defaults, on bars that tell one from the other."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import BacktestConfig, PercentageCommission
from tests.facade.play import Action, Run, buy, play

FILLED = ("filled", None)
NO_POWER = ("rejected", "insufficient_buying_power")
SIBLING = ("cancelled", "sibling_filled")
GONE = ("cancelled", "position_closed")
ORPHAN = ("cancelled", "parent_not_filled")


def run(bars: Any, actions: Any, **changes: Any) -> Run:
    return play(bars, actions, config=BacktestConfig.from_preset("backtesting"), **changes)


def bracket(quantity: float = 5, target: float = 12, stop: float = 8, **terms: Any) -> Action:
    return lambda broker: broker.submit_bracket("A", quantity, target, stop, **terms)


def closes(broker: Any) -> None:
    broker.close_position("A")


@pytest.mark.parametrize(
    ("quantity", "stop", "limit", "expected"),
    [
        (1, 104, 106, [(1, 1, 104)]),  # reached on the way up: at the stop
        (1, 98, 106, [(1, 1, 98)]),  # the open of 99 is beyond the stop, the fill is not
        (1, 104, 103, [(2, 1, 103)]),  # the stop is worse than the limit: not on this bar, though the close of 101 is within the limit
        (1, 104, 104, [(2, 1, 104)]),
        (1, 98, 94, []),  # the range does not reach the limit, nor does any later bar
        (-1, 96, 94, [(1, -1, 96)]),
        (-1, 96, 97, [(2, -1, 97)]),
        (-1, 99.5, 94, [(1, -1, 99.5)]),
    ],
)
def test_stop_limits_fill_at_their_stop_or_later(quantity: float, stop: float, limit: float, expected: Any) -> None:
    bars = [100, (99, 105, 95, 101), (101 if quantity < 0 else 106, 107, 96, 100)]
    bars[2] = (96, 97, 96, 97) if quantity < 0 else (106, 106, 103, 104)
    order = buy(quantity, order_type="stop_limit", stop_price=stop, limit_price=limit)
    assert run(bars, {0: order}).deals == expected


def test_a_stop_goes_before_a_target_that_the_open_is_beyond() -> None:
    assert run([10, 10, (13, 13, 7, 11)], {0: bracket()}).exits == [("stop_loss", 5, 8)]
    # the stop of an entry at the open, within its bar
    assert run([10, (10, 13, 7, 11)], {0: bracket()}).exits == [("stop_loss", 5, 8)]


def test_legs_wake_on_the_bar_of_a_market_entry_only() -> None:
    bars = [10, (10, 13, 9, 10), (10, 12, 10, 11)]
    assert run(bars, {0: bracket()}).deals == [(1, 5, 10), (1, -5, 12)]
    assert run(bars, {0: bracket(entry_type="limit", entry_limit=10.5)}).deals == [(1, 5, 10), (2, -5, 12)]


def test_a_closing_order_goes_before_the_stop_that_is_older() -> None:
    """And the other legs go with the position."""
    bars = [10, 10, (10, 10, 7, 8), 10]
    first = run(bars, {0: bracket(), 1: closes})
    assert first.deals == [(1, 5, 10), (2, -5, 10)]
    assert first.states[0] == first.states[3] == FILLED
    assert GONE in first.states
    # other orders of the other side wait for theirs: they may open
    second = run(bars, {0: bracket(), 1: buy(-5)})
    assert second.deals == [(1, 5, 10), (2, -5, 8), (2, -5, 10)]


def test_the_newest_of_two_stops_goes_first() -> None:
    stops = [buy(-3, order_type="stop", stop_price=stop, reduce_only=True) for stop in (9, 8)]
    assert run([10, 10, (10, 10, 7, 8)], {0: buy(5), 1: stops}).deals == [(1, 5, 10), (2, -3, 8), (2, -2, 9)]


def test_a_flip_closes_even_when_the_rest_is_too_expensive() -> None:
    bars = [100, 100, 100, 100]
    flip = run(bars, {0: buy(10), 1: buy(-1500)})
    assert flip.deals == [(1, 10, 100), (2, -10, 100)]
    assert flip.states == [FILLED, NO_POWER]
    assert flip.orders[1].filled_quantity == 10
    flip = run(bars, {0: buy(10), 1: buy(-50)})
    assert flip.deals == [(1, 10, 100), (2, -10, 100), (2, -40, 100)]
    assert flip.states == [FILLED, FILLED]


def test_legs_of_a_bracket_that_flips_belong_to_what_it_opens() -> None:
    bars = [10, 10, 10, (10, 10, 8, 9)]
    flip = run(bars, {0: buy(5), 1: bracket(-8, 8.5, 12)})
    assert flip.deals == [(1, 5, 10), (2, -5, 10), (2, -3, 10), (3, 3, 8.5)]
    # refused: no legs
    refused = run(bars, {0: buy(5), 1: bracket(-800, 8.5, 12)}, initial_cash=1000)
    assert refused.deals == [(1, 5, 10), (2, -5, 10)]
    assert refused.states == [FILLED, NO_POWER, ORPHAN, ORPHAN]


def test_the_spread_is_paid_by_what_opens() -> None:
    """1 % of 100: 101 in, 100 out; a flip closes at 100 and opens at 99."""
    spread = {"slippage_type": "percentage", "slippage_rate": 0.01}
    turn = run([100, 100, 100, 100], {0: buy(10), 1: buy(-30), 2: closes}, **spread)
    assert turn.deals == [(1, 10, 101), (2, -10, 100), (2, -20, 99), (3, 20, 100)]
    assert turn.cash[-1] == 10_000 - 10 - 20


def test_each_part_of_a_flip_pays_its_commission() -> None:
    turn = run([100, 100, 100], {0: buy(10), 1: buy(-30)}, commission_model=PercentageCommission(0.01))
    assert [round(fill.commission, 9) for fill in turn.result.fills] == [10, 10, 20]
    assert [round(trade.pnl, 9) for trade in turn.result.trades if not trade.is_open] == [-20]


def test_units_are_paid_in_full_on_both_sides_and_nothing_is_called() -> None:
    assert run([100, 100], {0: buy(101)}).states == [NO_POWER]
    assert run([100, 100], {0: buy(-101)}).states == [NO_POWER]
    assert run([100, 100, 180, 180], {0: buy(-100)}).deals == [(1, -100, 100)]
