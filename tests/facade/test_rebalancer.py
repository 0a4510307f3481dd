"""Rebalancing to target weights, through the engine where money moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t_backtest import ContractSpec, Engine
from ml4t_backtest.execution import RebalanceConfig, RebalanceMode, RebalanceResult, TargetWeightExecutor, WeightProvider
from tests.facade.feeds import Calls, feed

NAN = math.nan
CLOSES: dict[str, list[float | None]] = {
    "A": [10.0, 10.0, 12.0, 11.0],
    "B": [20.0, 20.0, 20.0, 25.0],
    "C": [50.0, None, 50.0, 40.0],
}
FREE = {"min_trade_value": 0.0, "min_weight_change": 0.0}


def run(turns: dict[int, Callable[[Any, Any], Any]], closes: dict[str, list[float | None]] = CLOSES, **keywords: Any) -> Engine:
    """Run with a function of (data, broker) on some bars."""
    engine = Engine(feed(closes), Calls(lambda bar, data, broker: turns[bar](data, broker) if bar in turns else None), **keywords)
    engine.run()
    return engine


def rebalance(weights: Any, found: list[Any], **config: Any) -> Callable[[Any, Any], Any]:
    """Return a turn that rebalances and keeps the result."""
    executor = TargetWeightExecutor(RebalanceConfig(**config))
    return lambda data, broker: found.append(executor.execute(weights, data, broker))


def holdings(engine: Engine) -> dict[str, float]:
    return {asset: position.quantity for asset, position in engine.broker.positions.items()}


def test_the_published_settings() -> None:
    config = TargetWeightExecutor().config
    assert (config.min_trade_value, config.min_weight_change, config.lot_size, config.max_single_weight) == (100.0, 0.01, 100, 1.0)
    assert (config.allow_fractional, config.round_lots, config.allow_short, config.max_gross_leverage) == (None, False, False, None)
    assert (config.cancel_before_rebalance, config.account_for_pending, config.rebalance_mode) == (True, True, RebalanceMode.SNAPSHOT)
    assert (config.allow_partial, config.max_rebalance_pct) == (True, None)
    assert RebalanceConfig(rebalance_mode="HYBRID").rebalance_mode is RebalanceMode.HYBRID


def test_weights_become_positions_and_the_result_is_a_list_of_orders() -> None:
    found: list[RebalanceResult] = []
    engine = run({0: rebalance({"A": 0.5, "B": 0.3}, found)})
    (result,) = found
    assert isinstance(result, list)
    assert [(order.asset, order.side.value, order.quantity) for order in result] == [("A", "buy", 5_000.0), ("B", "buy", 1_500.0)]
    assert result.orders_placed == list(result) == engine.broker.orders
    assert (result.success, result.orders_skipped, result.message) == (True, [], "2 orders submitted")
    assert result.projected_weights == {"A": 0.5, "B": 0.3}
    assert holdings(engine) == {"A": 5_000.0, "B": 1_500.0}


def test_sales_go_first_then_what_is_left_out_then_purchases() -> None:
    found: list[RebalanceResult] = []
    turns = {0: rebalance({"A": 0.4, "B": 0.6}, found), 2: rebalance({"C": 0.5, "B": 0.2}, found)}
    engine = run(turns)
    value = 100_000.0 + 4_000 * 2.0
    assert [order.asset for order in found[1]] == ["B", "A", "C"]
    assert found[1][0].quantity == pytest.approx(3_000 - 0.2 * value / 20)
    assert found[1][1].quantity == 4_000
    assert found[1][1].reduce_only
    assert holdings(engine) == pytest.approx({"B": 0.2 * value / 20, "C": 0.5 * value / 50})
    assert found[1].projected_weights == pytest.approx({"B": 0.2, "C": 0.5})
    assert all(order.status.value == "filled" for order in engine.broker.orders)


def test_equal_weights_again_do_nothing() -> None:
    found: list[RebalanceResult] = []
    run({0: rebalance({"A": 0.5, "B": 0.5}, found), 1: rebalance({"A": 0.5, "B": 0.5}, found, **FREE)})
    assert list(found[1]) == []
    assert found[1].orders_skipped == [("A", "trade_value_too_small"), ("B", "trade_value_too_small")]
    assert found[1].success
    assert found[1].message == "0 orders submitted; 2 below a threshold"


@pytest.mark.parametrize(
    ("config", "weights", "orders", "skipped"),
    [
        ({"min_trade_value": 500.0, "min_weight_change": 0.0}, {"A": 0.004, "B": 0.006}, [("B", 30.0)], [("A", "trade_value_too_small")]),
        ({}, {"A": 0.009, "B": 0.011}, [("B", 55.0)], [("A", "weight_change_too_small")]),
        ({"allow_fractional": False}, {"A": 0.12345, "C": 0.2}, [("A", 1_234.0), ("C", 400.0)], []),
        ({"allow_fractional": False, **FREE}, {"C": 0.0004}, [], [("C", "rounds_to_zero_shares")]),
        ({"round_lots": True}, {"A": 0.0349, "B": 0.0105}, [("A", 300.0), ("B", 100.0)], []),
        ({"round_lots": True, "lot_size": 1000}, {"A": 0.04}, [], [("A", "rounds_to_zero_shares")]),
        ({"max_single_weight": 0.25}, {"A": 0.5}, [("A", 2_500.0)], []),
        ({"max_gross_leverage": 0.5}, {"A": 0.6, "B": 0.4}, [("A", 3_000.0), ("B", 1_000.0)], []),
        ({"max_rebalance_pct": 0.5}, {"A": 0.6, "B": 0.4}, [("A", 3_000.0), ("B", 1_000.0)], []),
        ({}, {"A": -0.5, "B": 0.5}, [("B", 2_500.0)], [("A", "weight_change_too_small")]),
        ({}, {"A": 0.0}, [], [("A", "weight_change_too_small")]),
    ],
    ids=repr,
)
def test_thresholds_rounding_and_limits(config: dict[str, Any], weights: dict[str, float], orders: list[Any], skipped: list[Any]) -> None:
    found: list[RebalanceResult] = []
    run({0: rebalance(weights, found, **config)})
    assert [(order.asset, pytest.approx(order.quantity)) for order in found[0]] == orders
    assert found[0].orders_skipped == skipped
    assert found[0].success


def test_the_message_says_what_was_changed_and_why() -> None:
    found: list[RebalanceResult] = []
    run({0: rebalance({"A": 1.5, "B": 0.5, "C": -0.2}, found, max_gross_leverage=1.0, max_single_weight=0.6, max_rebalance_pct=0.5)})
    assert found[0].message == (
        "2 orders submitted; 1 below a threshold; negative weights of 'C' taken as 0 (allow_short=False);"
        " weights scaled from gross 2 to 1 (max_gross_leverage); weights of 'A' cut to 0.6 (max_single_weight);"
        " trades scaled from a turnover of 0.85 to 0.5 (max_rebalance_pct)"
    )


def test_a_limited_turnover_reaches_the_target_in_steps() -> None:
    found: list[RebalanceResult] = []
    turn = rebalance({"A": 0.8}, found, max_rebalance_pct=0.5)
    engine = run({0: turn, 1: turn}, {"A": [10.0, 10.0, 10.0]})
    assert [order.quantity for order in engine.broker.orders] == pytest.approx([5_000.0, 3_000.0])


def test_a_zero_target_and_a_position_left_out_close_to_the_last_share_whatever_the_thresholds() -> None:
    found: list[RebalanceResult] = []
    turns = {
        0: lambda data, broker: (broker.submit_order("A", 1 / 3), broker.submit_order("B", 1 / 7)),
        1: rebalance({"A": 0.0}, found, allow_fractional=False, round_lots=True),
    }
    engine = run(turns)
    assert holdings(engine) == {}
    assert [order.asset for order in found[0]] == ["A", "B"]
    assert found[0].projected_weights == {}


def test_assets_without_a_close_are_failures_not_errors() -> None:
    found: list[RebalanceResult] = []
    engine = run({1: rebalance({"C": 0.5, "A": 0.2}, found)})
    assert found[0].orders_skipped == [("C", "no_price")]
    assert not found[0].success
    assert found[0].message == "1 order submitted; not submitted: C (no_price)"
    assert holdings(engine) == {"A": 2_000.0}


def test_purchases_take_no_more_than_the_funds() -> None:
    found: list[RebalanceResult] = []
    engine = run({0: rebalance({"A": 0.9, "B": 0.3}, found)})
    assert [(order.asset, order.quantity) for order in found[0]] == [("A", 9_000.0), ("B", 500.0)]
    assert found[0].success
    assert found[0].message == "2 orders submitted; cut to the funds: B"
    assert found[0].projected_weights == pytest.approx({"A": 0.9, "B": 0.1})
    assert engine.broker.cash == 0.0

    whole: list[RebalanceResult] = []
    engine = run({0: rebalance({"A": 0.9, "B": 0.3}, whole, allow_partial=False)})
    assert whole[0].orders_skipped == [("B", "insufficient_funds")]
    assert not whole[0].success
    assert holdings(engine) == {"A": 9_000.0}


def test_orders_that_wait_are_cancelled_or_counted() -> None:
    def submit(data: Any, broker: Any) -> None:
        broker.submit_order("A", 3_000)
        broker.submit_order("B", 100, order_type="limit", limit_price=1.0)

    for config, expected in (({}, 5_000.0), ({"cancel_before_rebalance": False}, 2_000.0)):
        found: list[RebalanceResult] = []
        turn = rebalance({"A": 0.5}, found, **config)
        engine = run({0: lambda data, broker, turn=turn: (submit(data, broker), turn(data, broker))}, execution_mode="next_bar")
        assert [order.quantity for order in found[0]] == [expected]
        assert holdings(engine)["A"] == 5_000.0
        assert (engine.broker.get_order("ORD-2").status.value == "cancelled") == (not config)

    blind: list[RebalanceResult] = []
    turn = rebalance({"A": 0.5, "B": 0.5}, blind, cancel_before_rebalance=False, account_for_pending=False)
    run({0: lambda data, broker: (submit(data, broker), turn(data, broker))}, execution_mode="next_bar")
    assert [order.quantity for order in blind[0]] == [5_000.0, 1_000.0]
    assert blind[0].message == "2 orders submitted; cut to the funds: B"


def test_shorts_where_the_account_and_the_config_allow_them() -> None:
    found: list[RebalanceResult] = []
    turns = {0: rebalance({"A": -0.5}, found, allow_short=True), 1: rebalance({"A": 0.2}, found, allow_short=True)}
    engine = run(turns, {"A": [10.0, 10.0, 10.0]}, account_type="crypto")
    assert [(order.side.value, order.quantity) for result in found for order in result] == [("sell", 5_000.0), ("buy", 7_000.0)]
    assert holdings(engine) == {"A": 2_000.0}


def test_preview_touches_nothing_and_says_what_execute_does() -> None:
    rows: list[dict[str, Any]] = []
    found: list[RebalanceResult] = []
    executor = TargetWeightExecutor()
    weights = {"A": 0.5, "C": 0.3, "B": 0.505}

    def look(data: Any, broker: Any) -> None:
        waiting = broker.submit_order("B", 1, order_type="limit", limit_price=1.0)
        rows.extend(executor.preview(weights, data, broker))
        assert broker.pending_orders == [waiting]
        found.append(executor.execute(weights, data, broker))

    run({0: rebalance({"B": 0.5, "C": 0.4}, []), 2: look, 3: lambda data, broker: rows.extend(executor.preview({}, data, broker))})
    submitted = [(order.asset, order.quantity) for order in found[0]]
    assert [(row["asset"], abs(row["shares"])) for row in rows[:3] if row["skip_reason"] is None] == submitted
    assert rows[0] == {
        "asset": "C",
        "current_weight": 0.4,
        "target_weight": 0.3,
        "weight_delta": pytest.approx(-0.1),
        "shares": pytest.approx(-200.0),
        "value": pytest.approx(-10_000.0),
        "skip_reason": None,
    }
    assert (rows[2]["asset"], rows[2]["skip_reason"], rows[2]["shares"]) == ("B", "weight_change_too_small", 0.0)
    assert [(row["asset"], row["action"], row["target_weight"]) for row in rows[3:]] == [(name, "close_position", 0.0) for name in "BCA"]


def test_weights_may_come_from_a_provider_or_a_series() -> None:
    class Half:
        def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
            return dict.fromkeys(data, 0.5 / len(data))

    assert isinstance(Half(), WeightProvider)
    found: list[RebalanceResult] = []
    run({0: rebalance(Half(), found), 1: rebalance(pd.Series({"A": 0.5}), found)})
    assert [order.quantity for order in found[0]] == pytest.approx([0.5 / 3 * 1e5 / price for price in (10.0, 20.0, 50.0)])
    assert [order.asset for order in found[1]] == ["B", "A"]


BAD: list[tuple[Any, type[Exception], str]] = [
    ({"A": NAN}, ValueError, "the weight of 'A' was nan, expected a finite number"),
    ({"A": math.inf}, ValueError, "the weight of 'A' was inf"),
    ({"A": None}, ValueError, "the weight of 'A' was None"),
    ({"A": 0.1, "BB": 0.1}, ValueError, "unknown asset 'BB'; the feed has 'A', 'B', 'C'; did you mean 'B'"),
    ([0.1, 0.2], TypeError, "weights were a list, expected a mapping"),
]


@pytest.mark.parametrize(("weights", "error", "message"), BAD)
def test_bad_weights_are_refused_before_anything_is_cancelled(weights: Any, error: type[Exception], message: str) -> None:
    def turn(data: Any, broker: Any) -> None:
        broker.submit_order("A", 1, order_type="limit", limit_price=1.0)
        with pytest.raises(error, match=message):
            TargetWeightExecutor().execute(weights, data, broker)
        assert len(broker.pending_orders) == 1

    run({0: turn})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("min_trade_value", -1.0),
        ("min_weight_change", NAN),
        ("lot_size", 0),
        ("max_single_weight", 0.0),
        ("max_gross_leverage", -1.0),
        ("max_rebalance_pct", 0.0),
        ("rebalance_mode", "snapshoot"),
    ],
)
def test_bad_settings_name_the_setting(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=setting):
        RebalanceConfig(**{setting: value})
    with pytest.raises(TypeError, match="config was a dict, expected a RebalanceConfig"):
        TargetWeightExecutor({setting: value})


class Proxy:
    """A broker with what this one lacks."""

    def __init__(self, broker: Any, **more: Any) -> None:
        self._broker = broker
        self.__dict__.update(more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


@pytest.mark.parametrize(("mode", "second"), [("hybrid", 2_000.0), ("incremental", 1_800.0)])
def test_stepwise_modes_fill_each_order_before_the_next(mode: str, second: float) -> None:
    seen: list[Any] = []

    def turn(data: Any, broker: Any) -> None:
        executor = TargetWeightExecutor(RebalanceConfig(rebalance_mode=mode))
        with pytest.raises(TypeError, match=f"rebalance_mode='{mode}' fills each order before the next, and this Broker has no"):
            executor.execute({"A": 0.4}, data, object.__new__(type("Broker", (), {"assets": ("A",)})))
        shrinking = Proxy(
            broker,
            process_orders=lambda: seen.append(len(broker.orders)),
            get_account_value=lambda: 100_000.0 - 10_000.0 * len(broker.orders),
        )
        result = executor.execute({"A": 0.4, "B": 0.4}, data, shrinking)
        seen.append([order.quantity for order in result])

    run({0: turn})
    assert seen == [1, 2, [4_000.0, second]]


def test_orders_that_the_broker_refuses_are_skipped_with_its_reason() -> None:
    found: list[RebalanceResult] = []
    early: list[Any] = []
    engine = run(
        {0: lambda data, broker: early.append(broker.submit_order("C", -1)), 2: lambda data, broker: reject(data, broker, early, found)}
    )
    assert engine.broker.positions == {}
    assert found[0].orders_skipped == [("A", "rejected: Short selling not allowed in cash account"), ("B", "not_submitted")]
    assert not found[0].success
    assert found[0].projected_weights == {}


def reject(data: Any, broker: Any, early: list[Any], found: list[Any]) -> None:
    """Rebalance with a broker that gives a rejected order for A and none for B."""
    answers = {"A": early[0], "B": None}
    found.append(TargetWeightExecutor().execute({"A": 0.5, "B": 0.2}, data, Proxy(broker, submit_order=lambda asset, _: answers[asset])))


def test_an_account_without_value_is_not_rebalanced() -> None:
    found: list[RebalanceResult] = []
    run(
        {
            0: lambda data, broker: found.append(
                TargetWeightExecutor().execute({"A": 0.5}, data, Proxy(broker, get_account_value=lambda: 0.0))
            )
        }
    )
    assert found[0].orders_skipped == [("A", "account_value_not_positive")]
    assert not found[0].success


def test_the_broker_says_multiplier_share_type_and_buying_power() -> None:
    found: list[RebalanceResult] = []

    def turn(data: Any, broker: Any) -> None:
        proxy = Proxy(broker, get_multiplier=lambda asset: 50.0, share_type="INTEGER", get_buying_power=lambda: 60_000.0)
        found.append(TargetWeightExecutor().execute({"A": 0.999, "B": 0.1}, data, proxy))

    engine = run({0: turn}, contract_specs={"A": ContractSpec("A", multiplier=50.0), "B": ContractSpec("B", multiplier=50.0)})
    assert [(order.asset, order.quantity) for order in found[0]] == [("A", 120.0)]
    assert found[0].orders_skipped == [("B", "insufficient_funds")]
    assert holdings(engine) == {"A": 120.0}


@settings(max_examples=60)
@given(
    st.lists(st.dictionaries(st.sampled_from("ABC"), st.floats(0.0, 0.6).map(lambda weight: round(weight, 3))), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([None, 0.3]),
)
def test_positions_are_at_the_targets_or_the_result_says_why(targets: list[dict[str, float]], whole: bool, turnover: float | None) -> None:
    found: list[RebalanceResult] = []
    config = {"allow_fractional": not whole, "max_rebalance_pct": turnover, **FREE}
    weights_after: list[dict[str, float]] = []

    def look(bar: int, data: Any, broker: Any) -> None:
        weights_after.append({asset: position.market_value / broker.account_value for asset, position in broker.positions.items()})
        if bar < len(targets):
            rebalance(targets[bar], found, **config)(data, broker)

    closes: dict[str, list[float | None]] = {"A": [10.0] * 6, "B": [33.0] * 6, "C": [7.0] * 6}
    engine = Engine(feed(closes), Calls(look), initial_cash=10_000.0)
    engine.run()
    for bar, (wanted, result) in enumerate(zip(targets, found, strict=True)):
        after = weights_after[bar + 1]
        assert after == pytest.approx({asset: result.projected_weights.get(asset, 0.0) for asset in after}, abs=1e-9)
        assert all(order.status.value == "filled" for order in result)
        assert result.success or any(reason == "insufficient_funds" for _, reason in result.orders_skipped)
        if turnover is None and not whole and sum(wanted.values()) <= 1.0:
            assert after == pytest.approx({asset: weight for asset, weight in wanted.items() if weight > 0.0}, abs=1e-5)
        assert set(result.projected_weights) <= {"A", "B", "C"}
