"""Order entry: every bad argument has a message that names asset, time and argument; updates and cancels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from ml4t_backtest import Engine, OrderReason, OrderSide, OrderStatus, OrderType
from tests.facade.feeds import START, Calls, feed

CLOSES: dict[str, list[float | None]] = {"AAPL": [10.0, 12.0, 9.0, 11.0, 13.0], "MSFT": [20.0, None, 21.0, 22.0, 23.0]}


def on_bar(number: int, function: Callable[[Any], Any], **keywords: Any) -> Engine:
    """Run with a function called on one bar."""
    engine = Engine(feed(CLOSES), Calls(lambda bar, data, broker: function(broker) if bar == number else None), **keywords)
    engine.run()
    return engine


BAD: list[tuple[dict[str, Any], str]] = [
    ({"asset": "APPL"}, r"unknown asset 'APPL' at 2024-01-02 00:00:00; the feed has 'AAPL', 'MSFT'; did you mean 'AAPL'\?"),
    ({"quantity": math.nan}, r"quantity was nan for 'AAPL' at 2024-01-02 00:00:00: expected a finite number"),
    ({"quantity": -math.inf}, r"quantity was -inf for 'AAPL'"),
    ({"quantity": "10"}, r"quantity was '10' for 'AAPL'"),
    ({"quantity": None}, r"quantity was None for 'AAPL'"),
    ({"order_type": "limit"}, r"a limit order of 'AAPL' at 2024-01-02 00:00:00 needs a limit_price"),
    ({"order_type": OrderType.STOP}, r"a stop order of 'AAPL' at 2024-01-02 00:00:00 needs a stop_price"),
    ({"order_type": "limit", "limit_price": math.nan}, r"limit_price was nan for 'AAPL'"),
    ({"limit_price": 10.0}, r"a market order of 'AAPL' at .* takes no limit_price, it was 10.0"),
    ({"order_type": "limit", "limit_price": 9.0, "stop_price": 8.0}, r"takes no stop_price"),
    ({"order_type": "limitt", "limit_price": 9.0}, r"order_type was 'limitt', expected one of .*did you mean 'limit'"),
    ({"side": "by"}, r"side was 'by', expected one of"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_orders_are_refused_with_a_message(changes: dict[str, Any], message: str) -> None:
    def submit(broker: Any) -> None:
        with pytest.raises(ValueError, match=message):
            broker.submit_order(**{"asset": "AAPL", "quantity": 10.0, **changes})

    assert on_bar(1, submit).broker.orders == []


@pytest.mark.parametrize("quantity", [0, 0.0, -0.0, 1e-8, -1e-9])
def test_a_quantity_of_nothing_submits_nothing(quantity: float) -> None:
    def submit(broker: Any) -> None:
        assert broker.submit_order("AAPL", quantity) is None

    assert on_bar(0, submit).broker.orders == []


def test_a_tiny_rest_can_still_be_closed() -> None:
    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("AAPL", 1.0)
        if bar == 1:
            broker.submit_order("AAPL", -(1.0 - 2.0**-30))
        if bar == 2:
            assert broker.get_position("AAPL").quantity == 2.0**-30
            broker.close_position("AAPL")

    engine = Engine(feed(CLOSES), Calls(trade))
    engine.run()
    assert dict(engine.broker.positions) == {}


def test_sides_and_signs() -> None:
    def submit(broker: Any) -> None:
        made = [
            broker.submit_order("AAPL", 5),
            broker.submit_order("AAPL", -5),
            broker.submit_order("AAPL", 5, OrderSide.SELL),
            broker.submit_order("AAPL", -5, "buy"),
        ]
        assert [(order.side.value, order.quantity) for order in made] == [("buy", 5), ("sell", 5), ("sell", 5), ("buy", 5)]

    on_bar(0, submit)


def test_the_attributes_of_an_order() -> None:
    made: list[Any] = []

    def submit(broker: Any) -> None:
        made.append(broker.submit_order("AAPL", 5, order_type=OrderType.LIMIT, limit_price=9.5))

    on_bar(1, submit, execution_mode="next_bar")
    (order,) = made
    assert (order.order_id, order.asset, order.side, order.quantity) == ("ORD-1", "AAPL", OrderSide.BUY, 5.0)
    assert (order.order_type, order.limit_price, order.stop_price) == (OrderType.LIMIT, 9.5, None)
    assert (order.status, order.filled_price, order.filled_quantity, order.remaining_quantity) == (OrderStatus.FILLED, 9.5, 5.0, 0.0)
    assert ((order.created_at - START).days, (order.filled_at - START).days) == (1, 2)
    assert order.reason is None
    assert order.rejection_reason is None
    assert repr(order) == "<Order ORD-1 buy 5 'AAPL' limit limit 9.5 filled>"


def test_orders_wait_for_the_next_bar_of_their_asset() -> None:
    engine = on_bar(0, lambda broker: broker.submit_order("MSFT", 1), execution_mode="next_bar")
    assert [(fill.price, (fill.timestamp - START).days) for fill in engine.broker.fills] == [(21.0, 2)]


def test_update_changes_what_it_is_told_and_refuses_the_rest() -> None:
    def trade(broker: Any) -> None:
        order = broker.submit_order("AAPL", 5, order_type="limit", limit_price=1.0)
        assert broker.update_order(order.order_id, limit_price=2.0, quantity=7)
        assert (order.limit_price, order.quantity, order.side.value) == (2.0, 7.0, "buy")
        for changes, message in (
            ({"limit": 3.0}, r"cannot update 'limit' of an order.*did you mean 'limit_price'"),
            ({"stop_price": 3.0}, r"order ORD-1 is a limit order and has no stop_price"),
            ({"quantity": -1.0}, r"quantity of order ORD-1 was -1.0 at 2024-01-01 00:00:00: expected a finite number > 0"),
            ({"limit_price": math.nan}, r"limit_price of order ORD-1 was nan"),
        ):
            with pytest.raises(ValueError, match=message):
                broker.update_order(order.order_id, **changes)
        for call in (broker.cancel_order, broker.get_order, broker.update_order):
            for wrong in ("ORD-2", "ORD-0", "1", "ORD-x", None):
                with pytest.raises(ValueError, match="unknown order"):
                    call(wrong)
        assert broker.get_order("ORD-1") == order
        assert broker.cancel_order("ORD-1")
        assert not broker.cancel_order("ORD-1")
        assert not broker.update_order("ORD-1", quantity=3)
        assert order.reason is OrderReason.CANCELLED_BY_USER
        assert broker.pending_orders == []

    on_bar(0, trade)


def test_close_position_without_a_position_and_of_an_unknown_asset() -> None:
    def close(broker: Any) -> None:
        assert broker.close_position("AAPL") is None
        with pytest.raises(ValueError, match="unknown asset 'AAPPL'"):
            broker.close_position("AAPPL")
        with pytest.raises(ValueError, match="weight was nan for 'AAPL'"):
            broker.order_target_percent("AAPL", math.nan)
        with pytest.raises(ValueError, match="unknown asset"):
            broker.order_target_percent("X", 0.5)

    on_bar(0, close)


def test_rejections_say_what_was_needed_and_there() -> None:
    def trade(broker: Any) -> None:
        broker.submit_order("AAPL", 100_000)
        broker.submit_order("AAPL", -1)

    orders = on_bar(0, trade).broker.orders
    assert [order.status for order in orders] == [OrderStatus.REJECTED] * 2
    assert orders[0].rejection_reason == "Insufficient cash: need $1,000,000.00, have $100,000.00"
    assert orders[1].rejection_reason == "Short selling not allowed in cash account"


def test_positions_are_a_read_only_mapping() -> None:
    def look(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("AAPL", 5)
        else:
            assert list(broker.positions) == ["AAPL"]
            assert broker.positions["AAPL"] is broker.get_position("AAPL")
            with pytest.raises(TypeError):
                broker.positions["MSFT"] = None
        assert broker.get_position("MSFT") is None
        assert broker.get_position("unknown") is None

    Engine(feed(CLOSES), Calls(look)).run()


def test_fills_and_trades_can_be_read_while_running() -> None:
    def trade(bar: int, data: Any, broker: Any) -> None:
        assert len(broker.fills) == (bar > 0) + (bar > 1)
        assert len(broker.trades) == (bar > 1)
        if bar == 0:
            broker.submit_order("AAPL", 5)
        if bar == 1:
            broker.close_position("AAPL")

    Engine(feed(CLOSES), Calls(trade)).run()


def test_reading_a_bar_or_data_that_is_not_there() -> None:
    def look(bar: int, data: Any, broker: Any) -> None:
        if bar == 1:
            with pytest.raises(KeyError, match="no bar of 'MSFT' now"):
                data["MSFT"]
            assert data.get("MSFT") is None
            assert "MSFT" not in data
            with pytest.raises(KeyError, match=r"bar of 'AAPL' has no field 'clse'.*did you mean 'close'"):
                data["AAPL"]["clse"]
            assert data["AAPL"].get("clse", 7) == 7
            assert data["AAPL"].get("signals") == {}
            assert set(data["AAPL"]) == {"open", "high", "low", "close", "volume", "signals"}

    Engine(feed(CLOSES), Calls(look)).run()
