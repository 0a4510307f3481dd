"""The settings behind the preset `backtrader_strict`, each by hand; the preset as a whole is compared with Backtrader in `validation/`."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t_backtest import AssetClass, BacktestConfig, Broker, ContractSpec, VolumeParticipationLimit
from ml4t_backtest.execution import ExecutionResult
from tests.facade.feeds import days
from tests.facade.play import buy, play

CRYPTO: dict[str, Any] = {"account_type": "crypto"}
FILLED, PENDING = ("filled", None), ("pending", None)
FORTY = VolumeParticipationLimit(0.04)  # of 1,000 a bar
SHADOW: dict[str, Any] = {"next_bar_submission_precheck": True, "submission_check_orders": "all", "initial_cash": 1000.0}


def bracket(target: float = 12, stop: float = 8, quantity: float = 5, **entry: Any) -> Any:
    return lambda broker: broker.submit_bracket("A", quantity, target, stop, **entry)


def cancel(number: int) -> Any:
    return lambda broker: broker.cancel_order(f"ORD-{number}")


def close(broker: Any) -> None:
    broker.close_position("A")


# Stop-limits and slippage ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "bar", "limit", "prices"),
    [
        # buys from 11 on, not above 10.5: the bar touches 11 and closes within the limit
        (5, (10, 12, 10, 10.4), 10.5, {"close": 10.5, "turned_bar": None}),
        (5, (10.6, 12, 10, 10.4), 10.5, {"close": 10.5, "turned_bar": 10.5}),
        (5, (10.6, 12, 10, 10.6), 10.5, {"close": None, "turned_bar": None}),
        (5, (10, 12, 10, 10.4), 11, {"close": 11, "turned_bar": 11}),
        # sells from 9 on, not below 9.5
        (-5, (10, 10, 8, 9.6), 9.5, {"close": 9.5, "turned_bar": None}),
        (-5, (9.4, 10, 8, 9.6), 9.5, {"close": 9.5, "turned_bar": 9.5}),
        (-5, (9.6, 10, 8, 9.6), 9.5, {"close": 9.5, "turned_bar": 9.5}),
    ],
)
def test_a_stop_limit_on_the_bar_of_its_stop(quantity: float, bar: Any, limit: float, prices: dict[str, Any]) -> None:
    order = buy(quantity, order_type="stop_limit", stop_price=11 if quantity > 0 else 9, limit_price=limit)
    for how, price in prices.items():
        run = play([10, bar], {0: order}, stop_limit_fill=how, **CRYPTO)
        assert run.deals == ([] if price is None else [(1, quantity, price)]), how


BAR = (10, 10.5, 9.75, 10)


@pytest.mark.parametrize(
    ("order", "free", "bounded"),
    [
        (buy(5), 11, 10.5),
        (buy(-5), 9, 9.75),
        (buy(5, order_type="stop", stop_price=10.25), 11.25, 10.5),
        (buy(-5, order_type="stop", stop_price=9.75), 8.75, 9.75),
        # at the open, 10: within limit and range; a sale with a limit has the limit only
        (buy(5, order_type="limit", limit_price=10.25), 10.25, 10.25),
        (buy(5, order_type="limit", limit_price=10.75), 10.75, 10.5),
        (buy(-5, order_type="limit", limit_price=9.5), 9.5, 9.5),
        (buy(-5, order_type="limit", limit_price=9.9), 9.9, 9.9),
        (buy(-5, order_type="limit", limit_price=10.5), 10.5, 10.5),
        # at its stop the limit does not hold a stop-limit back
        (buy(5, order_type="stop_limit", stop_price=10.25, limit_price=10.3), 10.3, 10.5),
        (buy(-5, order_type="stop_limit", stop_price=9.8, limit_price=9.78), 9.78, 9.75),
        # through its stop at the open it is a limit order
        (buy(5, order_type="stop_limit", stop_price=9.9, limit_price=10.2), 10.2, 10.2),
    ],
)
def test_slippage_stays_within_the_bar(order: Any, free: float, bounded: float) -> None:
    costs = {"slippage_type": "fixed", "slippage_fixed": 1.0, "limit_fill": "better_open", **CRYPTO}
    for bound, price in (("none", free), ("bar_range", bounded)):
        ((_, _, paid),) = play([10, BAR], {0: order}, slippage_bound=bound, **costs).deals
        assert paid == price, bound


def test_the_bound_never_improves_a_price() -> None:
    # a vwap above the bar's high stays where it is
    arguments = {"slippage_type": "fixed", "slippage_fixed": 1.0, "execution_price": "vwap", "slippage_bound": "bar_range"}
    run = play([10, BAR], {0: buy(5)}, extra={"vwap": [10, 10.75]}, **arguments)
    assert run.deals == [(1, 5, 10.75)]


# Linked orders --------------------------------------------------------------------------------------------------------


def test_linked_as_one_legs_wait_for_the_whole_entry() -> None:
    # 40 of 1,000 units a bar fill: the entry is complete on bar 3, the target is touched on bars 2 and 4
    bars = [10, 10, (10, 13, 10, 10), 10, (10, 13, 10, 10), 10, 10]
    entry = {0: [lambda broker: broker.submit_bracket("A", 100, 12, 8)]}
    arguments: dict[str, Any] = {"child_activation": "next_bar", "fill_ordering": "fifo", "execution_limits": FORTY}
    by_quantity = play(bars, entry, **arguments)
    assert [deal for deal in by_quantity.deals if deal[1] < 0] == [(2, -40, 12), (4, -40, 12)]
    as_one = play(bars, entry, linked_orders="as_one", **arguments)
    assert as_one.deals == [(1, 40, 10), (2, 40, 10), (3, 20, 10), (4, -40, 12)]
    assert as_one.states == [FILLED, ("partially_filled", None), PENDING]  # a leg cancels the other when it is filled


@pytest.mark.parametrize("number", [1, 2, 3])
def test_cancelling_one_of_a_bracket_ends_all_of_it(number: int) -> None:
    ended = [("cancelled", "group_ended")] * 3
    ended[number - 1] = ("cancelled", "cancelled_by_user")
    if number == 1:
        ended[1:] = [("cancelled", "parent_not_filled")] * 2
    actions = {0: bracket(entry_limit=9), 1: cancel(number)}
    assert play([10, 10, 10], actions, linked_orders="as_one").states == ended
    apart = play([10, 10, 10], actions).states
    assert apart == (ended if number == 1 else [PENDING, *([PENDING, ended[2]] if number == 3 else [ended[1], PENDING])])


def test_an_expired_member_takes_its_group_along() -> None:
    def two(broker: Any) -> None:
        first = broker.submit_order("A", 5, order_type="limit", limit_price=8, time_in_force="day")
        broker.submit_order("A", 5, order_type="limit", limit_price=7, oco=first)

    expired = ("expired", "time_in_force")
    assert play([10, 10, 10], {0: two}).states == [expired, PENDING]
    assert play([10, 10, 10], {0: two}, linked_orders="as_one").states == [expired, ("cancelled", "group_ended")]


def test_the_first_fill_cancels_the_group_whatever_its_quantity() -> None:
    def two(broker: Any) -> None:
        first = broker.submit_order("A", 2, order_type="limit", limit_price=9)
        broker.submit_order("A", 5, order_type="limit", limit_price=8, oco=first)

    bars = [10, (10, 10, 9, 10), (10, 10, 8, 10)]
    assert play(bars, {0: two}).deals == [(1, 2, 9), (2, 3, 8)]
    run = play(bars, {0: two}, linked_orders="as_one")
    assert (run.deals, run.states) == ([(1, 2, 9)], [FILLED, ("cancelled", "sibling_filled")])


def test_a_member_that_was_refused_at_its_submission_has_no_group_to_join() -> None:
    def three(broker: Any) -> None:
        first = broker.submit_order("A", 200, order_type="limit", limit_price=9)  # 1,800 of 1,000
        for price in (8, 7):
            broker.submit_order("A", -2, order_type="stop", stop_price=price, oco=first)

    check = {**SHADOW, **CRYPTO, "linked_orders": "as_one"}
    # 800 below 0, and 16 and 14 more do not change that: all are refused
    run = play([10, 10, (10, 10, 7, 7)], {0: three}, **check)
    assert [state for state, _ in run.states] == ["rejected"] * 3
    run = play([10, 10, (10, 10, 7, 7)], {0: lambda broker: (_rich(broker), three(broker))}, **check)
    assert [state for state, _ in run.states] == ["filled", "rejected", "filled", "filled"]  # the last two know nothing of each other


def _rich(broker: Any) -> None:
    """Sell 79 at 10: then 10 are missing for the order that follows, and the 16 of the first stop bring them."""
    broker.submit_order("A", -79)


def test_in_submission_order_the_stop_stands_before_the_target_and_nothing_looks_ahead() -> None:
    bars = [10, 10, (13, 13, 7, 11)]
    assert play(bars, {0: bracket()}).exits == [("take_profit", 5, 12)]
    run = play(bars, {0: bracket()}, bracket_priority="submission")
    assert run.exits == [("stop_loss", 5, 8)]
    assert [order.order_type.value for order in run.orders] == ["market", "stop", "limit"]
    entry, target, stop = run.engine.broker.orders[0], run.orders[2], run.orders[1]
    assert (target.parent_id, stop.parent_id) == (entry.order_id, entry.order_id)


# Orders that are nothing but orders -----------------------------------------------------------------------------------


def test_two_closes_turn_a_position_round_when_exits_are_plain_orders() -> None:
    actions = {0: buy(5), 1: [close, close]}
    assert play([10, 10, 10], actions, **CRYPTO).deals == [(1, 5, 10), (2, -5, 10)]
    assert play([10, 10, 10], actions, implicit_reduce_only=False, **CRYPTO).deals == [(1, 5, 10), (2, -5, 10)]
    run = play([10, 10, 10], actions, exits_reduce_only=False, **CRYPTO)
    assert run.deals == [(1, 5, 10), (2, -5, 10), (2, -5, 10)]
    assert not any(order.reduce_only for order in run.orders)
    # what asks for it is still held to it
    run = play([10, 10, 10], {0: buy(5), 1: [close, buy(-5, reduce_only=True)]}, exits_reduce_only=False, **CRYPTO)
    assert run.deals == [(1, 5, 10), (2, -5, 10)]


def test_plain_legs_open_the_other_side_and_still_name_their_trades() -> None:
    run = play([10, 10, 10, (10, 12, 10, 10)], {0: bracket(), 1: close}, exits_reduce_only=False, **CRYPTO)
    assert run.deals == [(1, 5, 10), (2, -5, 10), (3, -5, 12)]
    run = play([10, 10, (10, 10, 8, 8)], {0: bracket()}, exits_reduce_only=False)
    assert run.exits == [("stop_loss", 5, 8)]


# Money ----------------------------------------------------------------------------------------------------------------


def test_a_reversal_without_money_closes() -> None:
    # short 50 at 10: cash 1,500; 300 more would need 2,500 above the 500 that cover the short
    arguments: dict[str, Any] = {"initial_cash": 1000.0, "commission_type": "per_share", "commission_per_share": 0.5, **CRYPTO}
    actions = {0: buy(-50), 1: buy(300)}
    assert play([10, 10, 10], actions, **arguments).deals == [(1, -50, 10)]
    run = play([10, 10, 10], actions, refused_reversal="close", **arguments)
    assert run.deals == [(1, -50, 10), (2, 50, 10)]
    assert run.states[1] == ("rejected", "insufficient_cash")
    assert run.orders[1].filled_quantity == 50
    assert run.orders[1].commission == 25
    assert run.cash[-1] == 1000 - 25 - 25
    # an order that only opens is refused as ever, and so is one that must trade whole or not at all
    assert play([10, 10], {0: buy(300)}, refused_reversal="close", **arguments).deals == []
    whole = {0: buy(-50), 1: buy(300, time_in_force="fok")}
    assert play([10, 10, 10], whole, refused_reversal="close", **arguments).deals == [(1, -50, 10)]
    # a cut goes first
    run = play([10, 10, 10], actions, refused_reversal="close", partial_fills_allowed=True, **arguments)
    assert run.deals == [(1, -50, 10), (2, 140.476190476, 10)]  # 1,475 of cash, 10.5 a unit
    assert run.states[1] == FILLED


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        (buy(120, order_type="limit", limit_price=8), False),  # 960
        (buy(120, order_type="limit", limit_price=9), True),  # 1,080
        (buy(90, order_type="stop", stop_price=12), True),
        (buy(90, order_type="stop_limit", stop_price=11, limit_price=12), False),  # the stop counts
        (buy(90, order_type="trailing_stop", trail_amount=1.5), True),  # 11.5 at first
        (buy(-100, order_type="limit", limit_price=9), False),
    ],
)
def test_all_orders_are_checked_at_their_own_prices(order: Any, refused: bool) -> None:
    run = play([10, 10], {0: order}, **SHADOW, **CRYPTO)
    assert (run.states == [("rejected", "submission_check")]) == refused
    unchecked = play([10, 10], {0: order}, **{**SHADOW, "submission_check_orders": "market"}, **CRYPTO)
    assert unchecked.states[0][0] != "rejected"


def test_orders_from_before_the_first_bar_are_checked_against_the_initial_cash() -> None:
    orders = {-1: [buy(120, order_type="limit", limit_price=8), buy(10, order_type="limit", limit_price=8)]}
    assert [state for state, _ in play([10, 10], orders, **SHADOW, **CRYPTO).states] == ["pending", "rejected"]


def test_the_exits_at_the_end_are_not_checked() -> None:
    actions = {0: buy(90), 1: [buy(50), buy(50)]}
    run = play([10, 10], actions, close_at_end=True, next_bar_submission_precheck=True, initial_cash=1000.0)
    assert run.deals == [(1, 90, 10), (1, -90, 10)]


FUTURE = {"contract_specs": {"A": ContractSpec("A", AssetClass.FUTURE, multiplier=10)}, "account_type": "futures", "margin_call": "ignore"}


def futures(bars: Any, actions: Any, *, margin: float = 100.0, cash: float = 1000.0, **settings: Any) -> Any:
    given: dict[str, Any] = {"next_bar_simple_cash_check": True, "initial_margin_per_contract": margin, "initial_cash": cash}
    return play(bars, actions, **{**FUTURE, **given, **settings})


def test_futures_need_settled_cash_above_their_margins() -> None:
    assert futures([10, 10], {0: buy(10)}).deals == [(1, 10, 10)]  # exactly
    assert futures([10, 10], {0: buy(11)}).states == [("rejected", "insufficient_cash")]
    # 5 at 10; the open at 12 has made 5 * 2 * 10 = 100, which is not settled: 6 more need 600 of 500
    assert futures([10, 10, (12, 12, 12, 12)], {0: buy(5), 1: buy(6)}).states[1] == ("rejected", "insufficient_cash")
    assert futures([10, 10, (12, 12, 12, 12)], {0: buy(5), 1: buy(6)}, next_bar_simple_cash_check=False).states[1] == FILLED
    assert futures([10, 10, 12, 12], {0: buy(5), 2: buy(6)}).states[1] == FILLED
    # a flip is paid what it closes: 100 for the 5, then 11 short need 1,100
    assert futures([10, 10, 12], {0: buy(5), 1: buy(-16)}).states[1] == FILLED
    assert futures([10, 10, 12], {0: buy(5), 1: buy(-17)}).states[1] == ("rejected", "insufficient_cash")


def test_adding_to_a_future_settles_what_was_held() -> None:
    # 5 at 10, 1 more at the open of 12: 100 come in, so that of 1,100 now 5 more margins of 100 are free, and after them no sixth
    actions = {0: buy(5), 1: [buy(1), buy(5), buy(1)]}
    run = futures([10, 10, (12, 12, 11, 11)], actions)
    assert run.states == [FILLED, FILLED, FILLED, ("rejected", "insufficient_cash")]
    # at the close of 11: 5 * (12 - 10) * 10 for the first, (11 - 12) * 11 * 10 for all
    assert run.cash[-1] == run.equity[-1] == 1000 + 100 - 110
    assert futures([10, 10, (12, 12, 11, 11)], actions, next_bar_simple_cash_check=False).equity[-1] == 990


def test_checks_at_submission_count_the_margin_of_futures() -> None:
    check = {"next_bar_submission_precheck": True}
    # 10 of 1,000 are enough; the 11th is not; what closes gives its margin back
    assert futures([10, 10], {0: [buy(10), buy(1)]}, **check).states == [FILLED, ("rejected", "submission_check")]
    run = futures([10, 10, 10], {0: buy(10), 1: [buy(-4), buy(3), buy(1), buy(1)]}, **check)
    assert [state for state, _ in run.states] == ["filled", "filled", "filled", "filled", "rejected"]
    # 5 at 10 have lost 50 at the close of 9: 450 are left for 4
    run = futures([10, (10, 10, 9, 9), 9], {0: buy(5), 1: [buy(4), buy(1)]}, **check)
    assert run.states == [FILLED, FILLED, ("rejected", "submission_check")]


def test_a_margin_account_has_no_simple_cash_check() -> None:
    with pytest.raises(ValueError, match="next_bar_simple_cash_check looks at cash, which contradicts a margin account"):
        BacktestConfig(account_type="margin", next_bar_simple_cash_check=True)


# Missing bars ---------------------------------------------------------------------------------------------------------

B = {"B": [10] * 5}
LAST: dict[str, Any] = {"missing_bar_orders": "last_bar"}


@pytest.mark.parametrize(
    ("order", "price"),
    [
        (buy(5, order_type="limit", limit_price=9), 9),
        (buy(5, order_type="stop", stop_price=11), 11),
        (buy(-5, order_type="limit", limit_price=11), 11),
        (buy(-5, order_type="trailing_stop", trail_amount=1), 9),
        (buy(5, order_type="stop_limit", stop_price=11, limit_price=10.5), 10.5),
    ],
)
def test_orders_with_a_level_see_the_last_bar_again(order: Any, price: float) -> None:
    bars = {"A": [(10, 11, 9, 10), None, 10, 10, 10], **B}
    assert play(bars, {0: order}, **CRYPTO).deals == []
    run = play(bars, {0: order}, **LAST, **CRYPTO)
    assert [(bar, paid) for bar, _, paid in run.deals] == [(1, price)]


def test_a_position_from_the_last_bar_is_worth_its_close() -> None:
    bars = {"A": [(10, 11, 9, 10), None, None, 12], "B": [10] * 4}
    run = play(bars, {0: buy(5, order_type="limit", limit_price=9)}, **LAST)
    assert run.equity == [10_000, 10_005, 10_005, 10_015]


def test_market_orders_wait_for_a_bar_until_they_have_seen_one() -> None:
    bars = {"A": [10, None, (11, 11, 11, 11), None, 12], **B}
    assert play(bars, {0: buy(5)}, **LAST).deals == [(2, 5, 11)]
    # 40 a bar: the rest goes on at the open of the last bar
    assert play(bars, {0: buy(100)}, execution_limits=FORTY, **LAST).deals == [(2, 40, 11), (3, 40, 11), (4, 20, 12)]
    assert play(bars, {0: buy(100)}, execution_limits=FORTY).deals == [(2, 40, 11), (4, 40, 12)]


def test_an_order_expires_on_a_bar_of_its_asset() -> None:
    bars = {"A": [(10, 10, 9.5, 10), None, None, (10, 10, 8, 10)], "B": [10] * 4}
    terms = buy(5, order_type="limit", limit_price=9, good_till=days(4)[1])
    run = play(bars, {0: terms}, **LAST)
    assert run.states == [("expired", "time_in_force")]
    assert run.orders[0].history[-1][0] == days(4)[3]
    assert play(bars, {0: terms}).orders[0].history[-1][0] == days(4)[2]


def test_splits_are_refused_where_orders_see_the_last_bar_again() -> None:
    with pytest.raises(ValueError, match="missing_bar_orders 'last_bar' would test orders against prices from before a split"):
        play([10, 10], {}, extra={"split": [None, 2.0]}, **LAST)


def test_by_hand_the_last_bar_is_seen_again_too() -> None:
    broker = Broker(execution_mode="next_bar", commission_type="none", slippage_type="none", missing_bar_orders="last_bar")
    low = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 100.0}
    for bar, when in enumerate(days(3)):
        quotes: dict[str, Any] = {"B": low} if bar == 1 else {"A": low, "B": low}
        broker.update_time(when, *_columns(quotes))
        broker.process_orders()
        if bar == 0:
            broker.submit_order("A", 5, order_type="limit", limit_price=9.5)
        broker.process_orders()
    assert [(fill.timestamp, fill.price) for fill in broker.fills] == [(days(3)[1], 9.5)]


def _columns(quotes: dict[str, dict[str, float]]) -> list[dict[str, float]]:
    return [{asset: quote[name] for asset, quote in quotes.items()} for name in ("close", "open", "high", "low", "volume")]


def test_validate_warns_of_the_look_ahead() -> None:
    sentences = BacktestConfig(missing_bar_orders="last_bar").validate(warn=False)
    assert any("missing_bar_orders='last_bar'" in sentence for sentence in sentences)


def test_a_trailing_stop_that_follows_closes_moves_after_a_part_of_it_has_traded() -> None:
    # bar 2 touches 9, sells 40 and closes at 10.5: the rest stands at 9.5 then, which bar 3 touches
    bars = [10, 10, (10, 10.5, 9, 10.5), (10.5, 10.5, 9.5, 10)]
    actions = {0: buy(80), 1: buy(-80, order_type="trailing_stop", trail_amount=1, reduce_only=True)}
    limits = {"execution_limits": _FortyOut(), "trail_update": "close"}
    assert play(bars, actions, **limits).deals == [(1, 80, 10), (2, -40, 9), (3, -40, 9.5)]
    assert play(bars, actions, **{**limits, "trail_update": "after_bar"}).deals == [(1, 80, 10), (2, -40, 9)]


class _FortyOut:
    """A limit of 40 units below a price of 10."""

    def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
        filled = min(quantity, 40.0) if price < 10.0 else quantity
        return ExecutionResult(filled, quantity - filled, price)
