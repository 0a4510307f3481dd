"""Rebalancing in a run: `broker.rebalance_to_weights` with its settings, and `TargetWeightExecutor`, by hand."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from ml4t_backtest import ContractSpec, Engine
from ml4t_backtest.execution import RebalanceConfig, TargetWeightExecutor
from tests.facade.feeds import Calls
from tests.facade.play import Action, Run, bars_feed, play

CRYPTO: dict[str, Any] = {"account_type": "crypto"}
SAME: dict[str, Any] = {"execution_mode": "same_bar"}
PAIR: dict[str, Any] = {"A": [10] * 5, "B": [20] * 5}


def weights(**targets: float) -> Action:
    return lambda broker: broker.rebalance_to_weights(targets)


def deals(run: Run) -> list[tuple[str, float, float]]:
    return [(fill.asset, round(fill.signed_quantity, 9), fill.price) for fill in run.result.fills]


# rebalance_to_weights --------------------------------------------------------------------------------------------------------


def test_weights_become_orders() -> None:
    run = play(PAIR, {0: weights(A=0.5, B=0.25)})
    assert deals(run) == [("A", 500, 10), ("B", 125, 20)]
    assert run.cash[-1] == 2_500


def test_reductions_go_first_then_what_is_left_out_then_purchases() -> None:
    bars: dict[str, Any] = {name: [10] * 4 for name in "ABCD"}
    run = play(bars, {0: weights(A=0.5, B=0.25, C=0.25), 1: weights(D=0.5, A=0.25, B=0.25)})
    # A falls, C is left out, D rises; B stays
    assert deals(run)[3:] == [("A", -250, 10), ("C", -250, 10), ("D", 500, 10)]
    assert [order.asset for order in run.orders[3:]] == ["A", "C", "D"]
    assert run.cash[-1] == 0


def test_a_weight_of_zero_closes_and_shorts_are_negative() -> None:
    run = play(PAIR, {0: weights(A=0.5, B=-0.5), 1: weights(A=0.0, B=0.5)}, **CRYPTO)
    assert deals(run) == [("B", -250, 20), ("A", 500, 10), ("A", -500, 10), ("B", 500, 20)]
    run = play(PAIR, {0: weights(A=0.5), 1: weights()})
    assert deals(run)[1:] == [("A", -500, 10)]


def test_whole_shares_multipliers_and_order_types() -> None:
    assert deals(play({"A": [7] * 3}, {0: weights(A=0.5)}, share_type="integer")) == [("A", 714, 7)]
    spec: dict[str, Any] = {"contract_specs": {"A": ContractSpec("A", multiplier=5)}}
    assert deals(play({"A": [7] * 3}, {0: weights(A=0.35)}, **spec)) == [("A", 100, 7)]

    def limited(broker: Any) -> None:
        (order,) = broker.rebalance_to_weights({"A": 0.5}, order_type="limit", limit_price=9)
        assert (order.order_type.value, order.limit_price, order.quantity) == ("limit", 9, 500)

    play({"A": [10] * 3}, {0: limited})


def test_a_series_of_weights() -> None:
    run = play(PAIR, {0: lambda broker: broker.rebalance_to_weights(pd.Series({"A": 0.5, "B": 0.25}))})
    assert deals(run) == [("A", 500, 10), ("B", 125, 20)]


def test_headroom_and_tolerance() -> None:
    assert deals(play(PAIR, {0: weights(A=1.0)}, rebalance_headroom_pct=0.98)) == [("A", 980, 10)]
    actions: dict[int, Any] = {0: weights(A=0.5), 1: weights(A=0.54), 2: weights(A=0.56), 3: weights(A=0.0)}
    run = play({"A": [10] * 5}, actions, target_weight_tolerance=0.05)
    # 4 % is left alone, 6 % is not; a weight of 0 always closes
    assert [quantity for _, quantity, _ in deals(run)] == [500, 60, -560]


def test_the_account_value_is_taken_once_or_anew() -> None:
    def both(mode: str) -> list[tuple[str, float]]:
        costs: dict[str, Any] = {"commission_type": "percentage", "commission_rate": 0.1}
        run = play(PAIR, {0: weights(A=0.4, B=0.4)}, rebalance_mode=mode, **SAME, **costs)
        return [(asset, quantity) for asset, quantity, _ in deals(run)]

    assert both("snapshot") == [("A", 400), ("B", 200)]
    assert both("hybrid") == [("A", 400), ("B", 200)]
    assert both("incremental") == [("A", 400), ("B", 192)]  # 9,600 after the first commission


def test_sales_fill_before_purchases_in_hybrid_mode() -> None:
    actions: dict[int, Any] = {0: weights(A=1.0), 1: weights(B=1.0)}
    run = play(PAIR, actions, rebalance_mode="hybrid", fill_ordering="fifo", **SAME)
    assert [order.status.value for order in run.orders] == ["filled"] * 3


@pytest.mark.parametrize(
    ("frequency", "months"),
    [
        (None, [1, 1, 2, 2, 4, 4]),
        ("daily", [1, 1, 2, 2, 4, 4]),
        ("weekly", [1, 2, 4]),
        ("monthly", [1, 2, 4]),
        ("quarterly", [1, 4]),
        ("yearly", [1]),
    ],
)
def test_how_often(frequency: str | None, months: list[int]) -> None:
    times = [datetime(2024, month, day) for month in (1, 2, 4) for day in (2, 3)]
    traded: list[int] = []

    def flip(bar: int, data: Any, broker: Any) -> None:
        if broker.rebalance_to_weights({"A": 0.0 if "A" in broker.positions else 0.5}):
            traded.append(times[bar].month)

    settings: dict[str, Any] = {"rebalance_frequency": frequency, **SAME}
    Engine(bars_feed([10] * 6, times), Calls(flip), **settings).run()
    assert traded == months


def test_missing_prices_and_late_assets() -> None:
    gap: dict[str, Any] = {"A": [10, None, 10], "B": [20, 20, 20]}
    assert deals(play(gap, {1: weights(A=0.5, B=0.5)})) == [("B", 250, 20)]
    assert deals(play(gap, {1: weights(A=0.5, B=0.5)}, missing_price_policy="use_last")) == [("A", 500, 10), ("B", 250, 20)]
    late: dict[str, Any] = {"A": [10] * 4, "B": [None, 20, 20, 20]}
    late_terms: dict[str, Any] = {"late_asset_policy": "require_history", "late_asset_min_bars": 2}
    actions: dict[int, Any] = {1: weights(A=0.5, B=0.5), 2: weights(A=0.5, B=0.5)}
    assert [(deal[0], fill.asset) for deal, fill in _dated(play(late, actions))] == [(2, "A"), (2, "B")]
    assert [(deal[0], fill.asset) for deal, fill in _dated(play(late, actions, **late_terms))] == [(2, "A"), (3, "B")]


def _dated(run: Run) -> list[tuple[Any, Any]]:
    return list(zip(run.deals, run.result.fills, strict=True))


def test_bad_weights_submit_nothing() -> None:
    def tries(broker: Any) -> None:
        for targets, message in (
            ({"A": 0.5, "C": 0.5}, "unknown asset 'C' at 2024-01-01 00:00:00; the feed has 'A', 'B'"),
            ({"A": 0.5, "B": math.nan}, "weight was nan for 'B' at 2024-01-01 00:00:00: expected a finite number"),
            ({"A": math.inf}, "weight was inf for 'A'"),
            ({"A": "half"}, "weight was 'half' for 'A'"),
            ({"A": None}, "weight was None for 'A'"),
        ):
            with pytest.raises(ValueError, match=message):
                broker.rebalance_to_weights(targets)
        for wrong in ([0.5, 0.5], 0.5, None):
            with pytest.raises(TypeError, match=r"weights were a .*, expected a mapping of asset to weight"):
                broker.rebalance_to_weights(wrong)
        with pytest.raises(ValueError, match="order_type was 'markt', expected one of .*did you mean 'market'"):
            broker.rebalance_to_weights({"A": 0.5}, order_type="markt")

    assert play(PAIR, {0: tries}).orders == []


def test_before_the_first_bar_there_is_nothing_to_weigh() -> None:
    assert play(PAIR, {-1: weights(A=1.0)}).orders == []


# TargetWeightExecutor ------------------------------------------------------------------------------------------------------------


def executed(config: RebalanceConfig, *targets: dict[str, float], start: Any = None, **arguments: Any) -> tuple[Run, list[Any]]:
    """Execute weights bar after bar; returns the run and the results."""
    executor, results = TargetWeightExecutor(config), []

    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar < len(targets):
            results.append(executor.execute(targets[bar], data, broker))

    settings: dict[str, Any] = {"initial_cash": 10_000, "execution_mode": "next_bar", **arguments}
    engine = Engine(bars_feed(start or PAIR), Calls(trade), **settings)
    return Run(engine, engine.run()), results


def test_the_executor_in_a_run() -> None:
    run, (first, second) = executed(RebalanceConfig(), {"A": 0.5, "B": 0.5}, {"A": 0.2})
    assert deals(run) == [("A", 500, 10), ("B", 250, 20), ("A", -300, 10), ("B", -250, 20)]
    assert [order.asset for order in first] == ["A", "B"]
    assert (first.success, second.success) == (True, True)
    assert first.projected_weights == {"A": 0.5, "B": 0.5}
    assert second.projected_weights == pytest.approx({"A": 0.2})


def test_thresholds_and_caps() -> None:
    _, (result,) = executed(RebalanceConfig(min_trade_value=600), {"A": 0.05, "B": 0.5})
    assert result.orders_skipped == [("A", "trade_value_too_small")]
    assert result.success
    run, (result,) = executed(RebalanceConfig(max_single_weight=0.3), {"A": 0.5, "B": 0.2})
    assert deals(run) == [("A", 300, 10), ("B", 100, 20)]
    run, (result,) = executed(RebalanceConfig(allow_short=False), {"A": 0.5, "B": -0.2}, **CRYPTO)
    assert deals(run) == [("A", 500, 10)]
    assert "negative weights of 'B' taken as 0 (allow_short=False)" in result.message


def test_weights_above_the_gross_cap_are_scaled_together() -> None:
    run, (result,) = executed(RebalanceConfig(max_gross_leverage=1.0, max_single_weight=2.0), {"A": 1.2, "B": 0.4})
    assert deals(run) == [("A", 750, 10), ("B", 125, 20)]
    assert "weights scaled from gross 1.6 to 1 (max_gross_leverage)" in result.message


def test_purchases_are_cut_to_the_funds_or_skipped() -> None:
    run, (result,) = executed(RebalanceConfig(max_single_weight=2.0), {"A": 0.8, "B": 0.4})
    assert deals(run) == [("A", 800, 10), ("B", 100, 20)]
    assert "cut to the funds: B" in result.message
    run, (result,) = executed(RebalanceConfig(allow_partial=False, max_single_weight=2.0), {"A": 0.8, "B": 0.4})
    assert deals(run) == [("A", 800, 10)]
    assert result.orders_skipped == [("B", "insufficient_funds")]
    assert not result.success


def test_pending_orders_are_cancelled_or_counted() -> None:
    waiting: dict[str, Any] = {"A": [10, 10, 10, 10]}
    run, _ = executed(RebalanceConfig(), {"A": 0.5}, {"A": 0.5}, start=waiting)
    assert deals(run) == [("A", 500, 10)]

    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 100, order_type="limit", limit_price=5)
            TargetWeightExecutor(RebalanceConfig(cancel_before_rebalance=False)).execute({"A": 0.5}, data, broker)
            assert [order.order_type.value for order in broker.pending_orders] == ["limit", "market"]
            TargetWeightExecutor().execute({"A": 0.5}, data, broker)
            assert [order.quantity for order in broker.pending_orders] == [500]

    engine = Engine(bars_feed(waiting), Calls(trade), initial_cash=10_000, execution_mode="next_bar")
    assert [fill.quantity for fill in engine.run().fills] == [500]


@pytest.mark.parametrize("mode", ["snapshot", "hybrid", "incremental"])
def test_modes_of_the_executor(mode: str) -> None:
    run, results = executed(RebalanceConfig(rebalance_mode=mode), {"A": 1.0}, {"B": 1.0}, **SAME)
    assert deals(run) == [("A", 1000, 10), ("A", -1000, 10), ("B", 500, 20)]
    assert all(result.success for result in results)


def test_lots_and_whole_shares() -> None:
    run, _ = executed(RebalanceConfig(round_lots=True), {"A": 0.46, "B": 0.5})
    # 460 are nearest to 5 lots, 250 to 3: 2 of them can be paid
    assert deals(run) == [("A", 500, 10), ("B", 200, 20)]
    run, _ = executed(RebalanceConfig(allow_fractional=False), {"A": 0.55555})
    assert deals(run) == [("A", 555, 10)]


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ({"C": 0.5}, ValueError, "weights name the unknown asset 'C'; the feed has 'A', 'B'"),
        ({"A": math.nan}, ValueError, "the weight of 'A' was nan, expected a finite number"),
        ({"A": None}, ValueError, "the weight of 'A' was None, expected a finite number"),
        ([0.5], TypeError, "weights were a list, expected a mapping of asset to weight"),
    ],
)
def test_bad_weights_of_the_executor(targets: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        executed(RebalanceConfig(), targets)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_gross_leverage": 0}, r"RebalanceConfig\(max_gross_leverage=0\): expected a finite number > 0"),
        ({"max_single_weight": -1}, r"RebalanceConfig\(max_single_weight=-1\)"),
        ({"min_trade_value": math.nan}, r"RebalanceConfig\(min_trade_value=nan\): expected a finite number >= 0"),
        ({"lot_size": 0}, r"RebalanceConfig\(lot_size=0\)"),
        ({"rebalance_mode": "snap"}, "rebalance_mode was 'snap', expected one of .*did you mean 'snapshot'"),
    ],
)
def test_bad_settings_of_a_rebalance(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RebalanceConfig(**settings)
