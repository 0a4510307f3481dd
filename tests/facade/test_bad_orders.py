"""Orders, changes and settings that make no sense: what is said, and that nothing was submitted."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from ml4t_backtest import ContractSpec, DataFeed, Engine, OrderStatus
from tests.facade.play import Plays, buy, play

MARGIN: dict[str, Any] = {"account_type": "margin"}
LOW: dict[str, Any] = {"order_type": "limit", "limit_price": 5}


def refused(message: str, call: Any, error: type[Exception] = ValueError, **arguments: Any) -> None:
    """Check that a call on the second bar is refused with a message, and that it submits nothing."""

    def act(broker: Any) -> None:
        before = len(broker.orders)
        with pytest.raises(error, match=message):
            call(broker)
        assert len(broker.orders) == before

    play({"A": [10, 10, 10], "B": [20, 20, 20]}, {1: act}, **arguments)


# Submitting ----------------------------------------------------------------------------------------------------------------------

WHEN = "2024-01-02 00:00:00"
TRAIL: dict[str, Any] = {"order_type": "trailing_stop"}


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"asset": "C"}, rf"unknown asset 'C' at {WHEN}; the feed has 'A', 'B'"),
        ({"asset": None}, rf"unknown asset None at {WHEN}"),
        ({"quantity": "5", "side": "buy"}, rf"quantity was '5' for 'A' at {WHEN}: expected a finite number"),
        ({"quantity": math.nan, "side": "sell"}, "quantity was nan for 'A'"),
        ({"side": "long"}, r"side was 'long', expected one of \['buy', 'sell'\]"),
        (TRAIL, rf"a trailing_stop order of 'A' at {WHEN} needs one of trail_amount and trail_percent"),
        ({**TRAIL, "trail_amount": 1, "trail_percent": 0.1}, "needs one of trail_amount and trail_percent"),
        ({**TRAIL, "trail_amount": 0}, rf"trail_amount was 0 for 'A' at {WHEN}: expected a finite number > 0"),
        ({**TRAIL, "trail_amount": -1.0}, "trail_amount was -1.0 for 'A' at .*: expected a finite number > 0"),
        ({**TRAIL, "trail_percent": 0.0}, "trail_percent was 0.0 for 'A' at .*: expected a finite number > 0"),
        ({**TRAIL, "trail_percent": math.inf}, "trail_percent was inf for 'A' at .*: expected a finite number > 0"),
        ({**TRAIL, "trail_amount": 1, "limit_price": 9}, "a trailing_stop order of 'A' at .* takes no limit_price, it was 9"),
        ({"trail_amount": 1}, "a market order of 'A' at .* takes no trail_amount, it was 1"),
        ({"trail_percent": 0.1}, "a market order of 'A' at .* takes no trail_percent, it was 0.1"),
        ({**LOW, "trail_amount": 1}, "a limit order of 'A' at .* takes no trail_amount, it was 1"),
        ({"order_type": "stop_limit", "stop_price": 9}, "a stop_limit order of 'A' at .* needs a limit_price"),
        ({"order_type": "market_on_open", "limit_price": 9}, "a market_on_open order of 'A' at .* takes no limit_price, it was 9"),
        ({"order_type": "limit_on_close"}, "a limit_on_close order of 'A' at .* needs a limit_price"),
        ({"order_type": "limit", "limit_price": "9"}, "limit_price was '9' for 'A' at .*: expected a finite number"),
        ({"displayed_quantity": 0}, rf"displayed_quantity was 0 for 'A' at {WHEN}: expected a finite number > 0"),
        ({"displayed_quantity": -5}, "displayed_quantity was -5 for 'A' at .*: expected a finite number > 0"),
        ({"displayed_quantity": math.nan}, "displayed_quantity was nan for 'A' at .*: expected a finite number > 0"),
        ({"time_in_force": "gtx"}, r"time_in_force was 'gtx', expected one of \['gtc', 'day', 'gtd', 'ioc', 'fok'\]"),
        ({"time_in_force": "gtd"}, "order of 'A' at .*: good_till belongs to time_in_force GTD, they were None and 'gtd'"),
        (
            {"time_in_force": "day", "good_till": date(2024, 1, 3)},
            r"good_till belongs to .*, they were datetime.date\(2024, 1, 3\) and 'day'",
        ),
        ({"good_till": datetime(2024, 1, 3, tzinfo=UTC)}, "good_till .* and the feed's times must both have a time zone or neither"),
        ({"parent": "ORD-7"}, "unknown order 'ORD-7'; ids are those of submitted orders, order.order_id"),
        ({"oco": "first"}, "unknown order 'first'"),
        ({"parent": 1}, "unknown order '1'"),
    ],
)
def test_bad_orders(terms: dict[str, Any], message: str) -> None:
    refused(message, lambda broker: broker.submit_order(**{"asset": "A", "quantity": 5, **terms}))


def test_a_time_that_is_none() -> None:
    refused(
        "good_till was 'tomorrow', expected a datetime or date", lambda broker: broker.submit_order("A", 5, good_till="tomorrow"), TypeError
    )


def test_a_naive_time_beside_a_feed_with_a_zone() -> None:
    clock = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    frame = pl.DataFrame({"timestamp": clock, "symbol": ["A"] * 3, "close": [10.0, 10.0, 9.0]})

    def act(broker: Any) -> None:
        with pytest.raises(ValueError, match="good_till .* and the feed's times must both have a time zone or neither"):
            broker.submit_order("A", 1, **LOW, good_till=datetime(2024, 1, 2))
        broker.submit_order("A", 1, order_type="limit", limit_price=9, good_till=clock[2])
        broker.submit_order("A", 1, order_type="limit", limit_price=9, good_till=date(2024, 1, 2))

    engine = Engine(DataFeed(frame), Plays({0: act}), execution_mode="next_bar")
    engine.run()
    assert [order.status for order in engine.broker.orders] == [OrderStatus.FILLED, OrderStatus.EXPIRED]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda broker: broker.buy("A"), "buy of 'A' needs exactly one of shares, contracts, amount, dollars; it got none"),
        (lambda broker: broker.sell("A", shares=1, dollars=9), r"sell of 'A' needs exactly one of .*; it got \['dollars', 'shares'\]"),
        (lambda broker: broker.buy("A", shares=math.nan), "shares was nan for 'A'"),
        (lambda broker: broker.buy("A", dollars="9"), "dollars was '9' for 'A'"),
        (lambda broker: broker.buy("C", shares=1), "unknown asset 'C'"),
        (lambda broker: broker.buy("C", dollars=1), "unknown asset 'C'"),
        (lambda broker: broker.reduce_position("A", 0), r"fraction was 0 for 'A', expected a number in \(0, 1\]"),
        (lambda broker: broker.reduce_position("A", 1.5), r"fraction was 1.5 for 'A', expected a number in \(0, 1\]"),
        (lambda broker: broker.reduce_position("C", 0.5), "unknown asset 'C'"),
        (lambda broker: broker.order_target_value("A", math.inf), "value was inf for 'A'"),
        (lambda broker: broker.order_target_value("C", 1), "unknown asset 'C'"),
        (lambda broker: broker.order_target_quantity("A", None), "quantity was None for 'A'"),
        (lambda broker: broker.order_target_quantity("C", 1), "unknown asset 'C'"),
        (lambda broker: broker.cancel_all_orders("C"), "unknown asset 'C'"),
        (lambda broker: broker.get_pending_orders("C"), "unknown asset 'C'"),
        (lambda broker: broker.get_rejected_orders("C"), "unknown asset 'C'"),
        (lambda broker: broker.get_orders("C"), "unknown asset 'C'"),
        (lambda broker: broker.get_orders(status="done"), "status was 'done', expected one of"),
        (lambda broker: broker.get_contract_spec("C"), "unknown asset 'C'"),
        (lambda broker: broker.get_multiplier("C"), "unknown asset 'C'"),
    ],
)
def test_bad_shorthands(call: Any, message: str) -> None:
    refused(message, call)


def test_unknown_arguments_of_shorthands() -> None:
    refused(r"buy\(\) has no argument 'share'; did you mean 'shares'", lambda broker: broker.buy("A", share=1), TypeError)


# Brackets and groups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "target", "stop", "terms", "message"),
    [
        (
            5,
            9,
            8,
            {},
            rf"bracket of 'A' at {WHEN}: stop_loss 8 must be below and take_profit 9 above the reference price 10.0; validate_prices",
        ),
        (5, 12, 11, {}, "stop_loss 11 must be below and take_profit 12 above the reference price 10.0"),
        (5, 10, 8, {}, "stop_loss 8 must be below and take_profit 10 above the reference price 10.0"),
        (-5, 12, 8, {}, "stop_loss 8 must be above and take_profit 12 below the reference price 10.0"),
        (5, 12, 8, {"entry_limit": 7}, "stop_loss 8 must be below and take_profit 12 above the reference price 7"),
        (5, 12, 8, {"entry_type": "stop", "entry_stop": 13}, "reference price 13"),
        (5, math.nan, 8, {}, "take_profit was nan for 'A'"),
        (5, 12, "8", {}, "stop_loss was '8' for 'A'"),
        (math.nan, 12, 8, {}, "quantity was nan for 'A'"),
        ("5", 12, 8, {}, "quantity was '5' for 'A'"),
        (5, 12, 8, {"entry_type": "limit"}, "a limit order of 'A' at .* needs a limit_price"),
        (5, 12, 8, {"entry_type": "peg"}, "entry_type was 'peg', expected one of"),
    ],
)
def test_bad_brackets(quantity: Any, target: Any, stop: Any, terms: dict[str, Any], message: str) -> None:
    refused(message, lambda broker: broker.submit_bracket("A", quantity, target, stop, **terms))


def test_brackets_of_unknown_assets_and_brackets_that_are_wanted_as_they_are() -> None:
    refused("unknown asset 'C'", lambda broker: broker.submit_bracket("C", 5, 12, 8))
    run = play([10, 10, 10], {0: lambda broker: broker.submit_bracket("A", 5, 9, 8, validate_prices=False)})
    assert run.deals == [(1, 5, 10), (1, -5, 9)]
    # before the first bar there is no reference: the legs have to lie around something
    refused_early: list[str] = []

    def early(broker: Any) -> None:
        with pytest.raises(ValueError, match="bracket of 'A' at the start: stop_loss 12") as caught:
            broker.submit_bracket("A", 5, 8, 12)
        refused_early.append(str(caught.value))
        assert broker.submit_bracket("A", 1e-12, 12, 8) is None

    assert play([10], {-1: early}).orders == []
    assert refused_early


def test_bad_groups() -> None:
    def act(broker: Any) -> None:
        first, second, third = (broker.submit_order("A", 1, **LOW) for _ in range(3))
        broker.cancel_order(third)
        for orders, message in (
            ([], f"a one-cancels-other group at {WHEN} needs at least two different orders, it got none"),
            ([first], "needs at least two different orders, it got ORD-1"),
            ([first, first], "it got ORD-1, ORD-1"),
            ([first, second, first], "it got ORD-1, ORD-2, ORD-1"),
            ([first, "ORD-9"], "unknown order 'ORD-9'"),
            ([first, third], f"order ORD-3 is cancelled at {WHEN}; a group is made of pending orders"),
        ):
            with pytest.raises(ValueError, match=message):
                broker.submit_oco(orders)
        broker.submit_oco([first, second])
        with pytest.raises(ValueError, match=r"order ORD-1 is in a group already; submit_order\(..., oco=...\) joins one"):
            broker.submit_oco([first, broker.submit_order("A", 1, **LOW)])

    play([10, 10, 10], {1: act})


def test_a_parent_that_is_over() -> None:
    def act(broker: Any) -> None:
        broker.cancel_order("ORD-2")
        filled, cancelled = broker.orders
        awake = broker.submit_order("A", 1, **LOW, parent=filled)
        late = broker.submit_order("A", 1, **LOW, parent=cancelled)
        assert (awake.is_active, awake.is_waiting) == (True, False)
        assert (late.status, late.reason.value) == (OrderStatus.CANCELLED, "parent_not_filled")

    run = play([10, 10, 5], {0: [buy(1), buy(1, **LOW)], 1: act})
    assert run.deals == [(1, 1, 10), (2, 1, 5)]


# Changes ----------------------------------------------------------------------------------------------------------------------------


def test_bad_changes() -> None:
    def act(broker: Any) -> None:
        trail = broker.submit_order("A", -1, order_type="trailing_stop", trail_percent=0.1)
        for order, changes, message in (
            (trail, {"trail_percent": 0}, rf"trail_percent of order ORD-2 was 0 at {WHEN}: expected a finite number > 0"),
            (trail.order_id, {"trail_percent": -0.1}, "trail_percent of order ORD-2 was -0.1 at .*: expected a finite number > 0"),
            (trail, {"trail_amount": 1}, "order ORD-2 is a trailing_stop order and has no trail_amount"),
            (trail, {"quantity": 0}, "quantity of order ORD-2 was 0 at .*: expected a finite number > 0"),
            (trail, {"quantity": math.nan}, "quantity of order ORD-2 was nan"),
            (trail, {"stop_price": None}, "stop_price of order ORD-2 was None"),
            (trail, {"displayed_quantity": 5}, "cannot update 'displayed_quantity' of an order, only quantity, limit_price"),
            ("ORD-3", {"quantity": 1}, "unknown order 'ORD-3'"),
        ):
            with pytest.raises(ValueError, match=message):
                broker.update_order(order, **changes)
        for call in (broker.cancel_order, broker.get_order):
            with pytest.raises(ValueError, match="unknown order 'ORD-3'"):
                call("ORD-3")
        assert broker.get_order(trail) == trail
        # the first one is filled: it stays as it is
        assert not broker.update_order("ORD-1", quantity=9)
        assert not broker.cancel_order("ORD-1")
        assert broker.get_order("ORD-1").quantity == 1

    play([10, 10], {0: buy(1), 1: act}, account_type="crypto")


# Ticks --------------------------------------------------------------------------------------------------------------------------------

TICKS: dict[str, Any] = {"round_to_tick": True, "contract_specs": {"A": ContractSpec("A", tick_size=0.25)}, "account_type": "crypto"}


@pytest.mark.parametrize(
    ("quantity", "terms", "rounded"),
    [
        (1, {"order_type": "limit", "limit_price": 9.3}, (9.25, None)),
        (-1, {"order_type": "limit", "limit_price": 10.3}, (10.5, None)),
        (1, {"order_type": "stop", "stop_price": 10.3}, (None, 10.5)),
        (-1, {"order_type": "stop", "stop_price": 9.3}, (None, 9.25)),
        (1, {"order_type": "stop_limit", "stop_price": 10.3, "limit_price": 10.8}, (10.75, 10.5)),
        (1, {"order_type": "limit_on_open", "limit_price": 9.3}, (9.25, None)),
        (1, {"order_type": "limit", "limit_price": 9.25}, (9.25, None)),
        (1, {"order_type": "limit", "limit_price": 9.25 - 1e-13}, (9.25, None)),  # a rounding error is no step
    ],
)
def test_prices_on_the_tick_promise_no_more_than_asked(quantity: float, terms: dict[str, Any], rounded: tuple[Any, Any]) -> None:
    (order,) = play([10], {0: buy(quantity, **terms)}, **TICKS).orders
    assert (order.limit_price, order.stop_price) == rounded
    free = {**TICKS, "round_to_tick": False}
    (order,) = play([10], {0: buy(quantity, **terms)}, **free).orders
    assert (order.limit_price, order.stop_price) == (terms.get("limit_price"), terms.get("stop_price"))


def test_updates_and_brackets_are_rounded_too() -> None:
    def act(broker: Any) -> None:
        order = broker.submit_order("A", 1, order_type="limit", limit_price=9)
        broker.update_order(order, limit_price=9.9)
        assert order.limit_price == 9.75
        _, target, stop = broker.submit_bracket("A", 1, 12.1, 8.1)
        assert (target.limit_price, stop.stop_price) == (12.25, 8.0)

    play([10], {0: act}, **TICKS)


def test_a_price_below_a_tick() -> None:
    low: dict[str, Any] = {"order_type": "limit", "limit_price": 0.1}
    message = rf"limit_price was 0.1 for 'A' at {WHEN}, which rounds to 0.0; expected at least its tick 0.25"
    refused(message, lambda broker: broker.submit_order("A", 1, **low), **TICKS)
    refused("stop_price was 0.2 for 'A'", lambda broker: broker.submit_order("A", -1, order_type="stop", stop_price=0.2), **TICKS)
    refused("stop_price was 0.2 for 'A'", lambda broker: broker.submit_bracket("A", 1, 12, 0.2), **TICKS)
    # sold no lower than asked, so up to a tick
    (order,) = play([10], {0: buy(-1, **low)}, **TICKS).orders
    assert order.limit_price == 0.25

    def update(broker: Any) -> None:
        with pytest.raises(ValueError, match="limit_price was 0.1 for 'A'"):
            broker.update_order("ORD-1", limit_price=0.1)
        assert broker.get_order("ORD-1").limit_price == 5

    play([10, 10], {0: buy(1, **LOW), 1: update}, **TICKS)


# Settings ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial_margin": 0}, "initial_margin was 0, expected a finite number > 0 and <= 1"),
        ({"initial_margin": 1.1}, "initial_margin was 1.1, expected a finite number > 0 and <= 1"),
        ({"long_maintenance_margin": -0.1}, "long_maintenance_margin was -0.1, expected a finite number > 0 and <= 1"),
        ({"short_maintenance_margin": 2}, "short_maintenance_margin was 2, expected a finite number > 0 and <= 1"),
        ({"futures_margin_rate": 1.5}, "futures_margin_rate was 1.5, expected a finite number > 0 and <= 1, or None"),
        ({**MARGIN, "long_maintenance_margin": 0.6}, "long_maintenance_margin was 0.6, above initial_margin 0.5"),
        (
            {"initial_margin_per_contract": 5, "maintenance_margin_per_contract": 6},
            "maintenance_margin_per_contract was 6, expected at most",
        ),
        ({"fixed_margin_schedule": {"A": (5, 6)}}, r"fixed_margin_schedule\['A'\] was \(5, 6\), expected 0 < maintenance <= initial"),
        ({"margin_pct_schedule": {"A": (1.5, 0.5)}}, r"margin_pct_schedule\['A'\] was \(1.5, 0.5\), expected .* <= 1"),
        ({"fixed_margin_schedule": {"C": (6, 5)}}, r"fixed_margin_schedule has 'C', which is no asset of the feed \('A'\)"),
        ({"commission_rate": -0.001}, "commission_rate was -0.001, expected a finite number >= 0"),
        ({"slippage_rate": math.nan}, "slippage_rate was nan, expected a finite number >= 0"),
        ({"cash_buffer_pct": 1.5}, "cash_buffer_pct was 1.5, expected a finite number >= 0 and <= 1"),
        ({"settlement_delay": 8}, "settlement_delay was 8, expected a whole number from 0 to 7"),
        ({"max_positions": 0}, "max_positions was 0, expected a whole number >= 1"),
        ({"account_type": "cash", "allow_short_selling": True}, "account_type"),
        ({"skip_cash_validation": True}, "skip_cash_validation would let a cash account go negative"),
        ({"immediate_fill": True}, "immediate_fill fills within the bar of the order, which contradicts execution_mode NEXT_BAR"),
        ({"bracket_priority": "target_first"}, "bracket_priority was 'target_first', expected one of"),
        ({"stop_fill_mode": "stop_pric"}, "stop_fill_mode was 'stop_pric', expected one of .*did you mean 'stop_price'"),
        ({"config": "realistik"}, "unknown preset 'realistik'.*did you mean 'realistic'"),
        ({"contract_specs": {"C": ContractSpec("C")}}, r"contract_specs has 'C', which is no asset of the feed \('A'\)"),
    ],
)
def test_settings_that_contradict_or_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play([10], {}, **settings)


def test_settings_that_are_none() -> None:
    with pytest.raises(TypeError, match="Engine.. has no argument 'comission_rate'; did you mean 'commission_rate'"):
        play([10], {}, comission_rate=0.1)
    with pytest.raises(TypeError, match=r"contract_specs\['A'\] was a int, expected a ContractSpec"):
        play([10], {}, contract_specs={"A": 50})
