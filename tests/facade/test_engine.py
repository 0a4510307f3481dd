"""The engine as users meet it: defaults, results, stopping, growing."""

from __future__ import annotations

import math
import traceback
import warnings
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

import ml4t_backtest.store
from ml4t_backtest import (
    ArrayStrategy,
    BacktestConfig,
    ContractSpec,
    DataFeed,
    Engine,
    ExecutionMode,
    FixedSlippage,
    OrderStatus,
    PercentageCommission,
    PerShareCommission,
    Strategy,
    run_backtest,
)
from tests.facade.feeds import START, Calls, days, feed, prices
from tests.outcomes import engine_outcome

UP: dict[str, list[float | None]] = {"A": [10.0, 11.0, 12.0, 13.0], "B": [20.0, 19.0, 18.0, 17.0]}


def buy_once(bar: int, data: Any, broker: Any) -> None:
    if bar == 0:
        broker.submit_order("A", 100)


def test_without_a_config_orders_fill_at_the_same_close_for_free_in_a_cash_account() -> None:
    engine = Engine(feed(UP), Calls(buy_once))
    result = engine.run()
    assert [(fill.price, fill.commission, fill.slippage) for fill in result.fills] == [(10.0, 0.0, 0.0)]
    assert engine.config.account_type == "cash"
    assert result["initial_cash"] == 100_000.0
    assert result["final_value"] == 100_300.0


def test_with_a_config_its_values_hold_and_keywords_override() -> None:
    config = BacktestConfig(initial_cash=5_000.0)
    plain = Engine(feed(UP), Calls(buy_once), config).run()
    assert [fill.price for fill in plain.fills] == [11.0 + 0.001 * 11.0]
    assert [fill.commission for fill in plain.fills] == [100 * (11.0 + 0.001 * 11.0) * 1.0 * 0.001]
    other = Engine(
        feed(UP), Calls(buy_once), config, execution_mode="SAME_BAR", initial_cash=7_000, commission_model=PerShareCommission(0.02, 0)
    )
    result = other.run()
    assert [(fill.price, fill.commission) for fill in result.fills] == [(10.0 + 0.001 * 10.0, 2.0)]
    assert result["initial_cash"] == 7_000.0
    assert config.initial_cash == 5_000.0


def test_next_bar_fills_at_the_open_of_the_next_bar() -> None:
    columns: dict[str, list[float | None]] = {"open": [9.0, 10.5, 11.5], "high": [12.0] * 3, "low": [9.0] * 3}
    result = Engine(feed({"A": [10.0, 11.0, 12.0]}, **columns), Calls(buy_once), execution_mode=ExecutionMode.NEXT_BAR).run()
    assert [(fill.price, fill.timestamp) for fill in result.fills] == [(10.5, START + timedelta(days=1))]


def test_same_bar_at_the_open_is_honoured_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="look-ahead"):
        engine = Engine(feed({"A": [10.0, 11.0]}, open=[9.0, 10.0]), Calls(buy_once), execution_price="open")
    assert [fill.price for fill in engine.run().fills] == [9.0]


def test_multiplier_enters_cash_profit_and_commission() -> None:
    specs = {"A": ContractSpec("A", multiplier=50.0)}

    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 2)
        if bar == 2:
            broker.close_position("A")

    result = Engine(feed(UP), Calls(trade), contract_specs=specs, commission_model=PercentageCommission(0.01)).run()
    assert [fill.commission for fill in result.fills] == [10.0, 12.0]
    assert result.trades[0].pnl == 2 * 2.0 * 50 - 22.0
    assert result["final_value"] == 100_178.0


def test_exits_free_cash_before_entries_spend_it() -> None:
    def rotate(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 10)
        if bar == 1:
            broker.submit_order("B", 5)  # submitted first, filled second
            broker.close_position("A")

    engine = Engine(feed(UP), Calls(rotate), initial_cash=100.0)
    engine.run()
    assert [(fill.asset, fill.side.value) for fill in engine.broker.fills] == [("A", "buy"), ("A", "sell"), ("B", "buy")]


def test_two_exits_never_flip_a_position() -> None:
    def trade(bar: int, data: Any, broker: Any) -> None:
        if bar == 0:
            broker.submit_order("A", 100)
        if bar == 1:
            broker.close_position("A")
            broker.submit_order("A", -100)

    engine = Engine(feed(UP), Calls(trade), account_type="crypto")
    result = engine.run()
    assert [trade.quantity for trade in result.trades] == [100.0]
    assert engine.broker.orders[2].status is OrderStatus.CANCELLED
    assert engine.broker.orders[2].rejection_reason == "Nothing left to reduce: the position was closed before"


def test_an_all_in_buy_is_accepted_and_leaves_no_negative_cash() -> None:
    for price in (3.0, 7.0, 0.3, 1.1, 49.99):
        engine = Engine(
            feed({"A": [price, price * 2]}),
            Calls(lambda bar, data, broker: bar or broker.submit_order("A", broker.cash / data["A"]["close"])),
            initial_cash=1_000.0,
        )
        result = engine.run()
        assert len(result.fills) == 1
        assert 0.0 <= engine.broker.cash < 1e-9
        assert result["final_value"] == pytest.approx(2_000.0)


def test_slippage_and_commission_enter_the_cash_check() -> None:
    engine = Engine(feed(UP), Calls(buy_once), initial_cash=1_000.0, slippage_model=FixedSlippage(0.01))
    engine.run()
    assert engine.broker.orders[0].rejection_reason == "Insufficient cash: need $1,001.00, have $1,000.00"


class Raises(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        broker.submit_order("A", 10)
        if timestamp == days(3)[2]:
            raise ZeroDivisionError("the user's own mistake")


def test_an_exception_points_at_the_users_line_and_leaves_the_result_so_far() -> None:
    engine = Engine(feed(UP), Raises())
    with pytest.raises(ZeroDivisionError) as caught:
        engine.run()
    last = traceback.extract_tb(caught.tb)[-1]
    assert last.line == 'raise ZeroDivisionError("the user\'s own mistake")'
    assert "Raises at bar 2 (2024-01-03 00:00:00); engine.result holds" in caught.value.__notes__[0]
    result = engine.result
    assert result.status == "failed"
    assert len(result.equity_curve) == 3
    assert len(result.fills) == 2  # what the bar of the exception had ordered is cancelled
    assert engine.broker.orders[2].rejection_reason == "The run was stopped while the strategy was submitting"


def test_ctrl_c_stops_with_the_result_so_far() -> None:
    def interrupt(bar: int, data: Any, broker: Any) -> None:
        broker.submit_order("A", 10)
        if bar == 2:
            raise KeyboardInterrupt

    engine = Engine(feed(UP), Calls(interrupt), execution_mode="next_bar")
    with pytest.warns(UserWarning, match="holds 3 of 4 bars"):
        result = engine.run()
    assert result.status == "interrupted"
    assert result is engine.result
    assert len(result.equity_curve) == 3
    assert len(result.fills) == 2


@pytest.mark.parametrize("callback", ["on_start", "on_end"])
def test_exceptions_in_the_other_callbacks_leave_a_result_too(callback: str) -> None:
    strategy = Calls(buy_once)

    def fail(broker: Any) -> None:
        raise RuntimeError("no")

    setattr(strategy, callback, fail)
    engine = Engine(feed(UP), strategy)
    with pytest.raises(RuntimeError, match="no"):
        engine.run()
    assert len(engine.result.equity_curve) == (0 if callback == "on_start" else 4)


def test_an_engine_runs_once() -> None:
    engine = Engine(feed(UP), Calls(buy_once))
    with pytest.raises(RuntimeError, match="before Engine.run"):
        _ = engine.result
    engine.run()
    with pytest.raises(RuntimeError, match="has run already"):
        engine.run()


def test_buffers_that_grow_hundreds_of_times_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def churn(bar: int, data: Any, broker: Any) -> None:
        for _ in range(3):
            broker.submit_order("A", 2)
            broker.submit_order("A", -1)
            broker.submit_order("B", 1)
        if bar % 5 == 4:
            broker.close_position("A")

    closes: dict[str, list[float | None]] = {"A": [10.0 + bar % 7 for bar in range(60)], "B": [20.0] * 60}
    plain = Engine(feed(closes), Calls(churn))
    plain.run()
    grown = 0

    def by_one(capacity: int) -> int:
        nonlocal grown
        grown += 1
        return capacity + 1

    monkeypatch.setattr(ml4t_backtest.store, "FIRST_CAPACITY", 1)
    monkeypatch.setattr(ml4t_backtest.store.Store.__init__, "__defaults__", (1,))
    monkeypatch.setattr(ml4t_backtest.store, "grown_capacity", by_one)
    small = Engine(feed(closes), Calls(churn))
    small.run()
    assert grown > 600
    assert engine_outcome(small) == engine_outcome(plain)


def test_order_handles_survive_growing_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_buffers", {"capacity": 16})
    made: list[Any] = []

    def trade(bar: int, data: Any, broker: Any) -> None:
        made.extend(broker.submit_order("A", 1) for _ in range(100))

    Engine(feed(UP), Calls(trade)).run()
    assert len({order.order_id for order in made}) == 400
    assert all(order.status is OrderStatus.FILLED for order in made)


def test_on_start_orders_fill_on_the_first_bar_and_on_end_orders_never() -> None:
    class Ends(Strategy):
        def on_start(self, broker: Any) -> None:
            assert broker.submit_order("A", 1).created_at == START

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            pass

        def on_end(self, broker: Any) -> None:
            assert list(broker.positions) == ["A"]
            broker.submit_order("A", 5)

    engine = Engine(feed(UP), Ends(), execution_mode="next_bar")
    result = engine.run()
    assert [(fill.quantity, fill.timestamp) for fill in result.fills] == [(1.0, START)]
    assert [order.status.value for order in engine.broker.orders] == ["filled", "pending"]


def test_progress_is_quiet_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Engine(feed(UP), Calls(buy_once)).run(progress=True)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ml4t_backtest.progress._has_reader", lambda: True)
    Engine(feed(UP), Calls(buy_once)).run(progress=True)
    assert "backtest: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("prices_frame", ["none", "columns"])
def test_empty_frames_run_to_an_empty_result(prices_frame: str) -> None:
    schema: dict[str, Any] = {"timestamp": pl.Datetime("us"), "symbol": pl.String, "close": pl.Float64}
    frame = pl.DataFrame(schema=schema) if prices_frame == "columns" else pl.DataFrame({name: [] for name in schema})
    result = Engine(DataFeed(frame), Calls(buy_once)).run()
    assert result["final_value"] == 100_000.0
    assert result["num_trades"] == 0
    assert result.to_trades_dataframe().height == result.to_equity_dataframe().height == 0
    assert all(math.isfinite(value) for value in result.metrics.values())


def test_wrong_arguments_say_what_was_expected() -> None:
    with pytest.raises(TypeError, match=r"strategy was the class Raises, expected an object: Raises\(\)"):
        Engine(feed(UP), Raises)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="feed was a DataFrame, expected a DataFeed"):
        Engine(prices(UP), Raises())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no argument 'comission_model'; did you mean 'commission_model'"):
        Engine(feed(UP), Raises(), comission_model=None)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"account_type was 'margn', expected one of \['cash', 'crypto', 'margin', 'futures'\]"):
        Engine(feed(UP), Raises(), account_type="margn")
    with pytest.raises(TypeError, match="commission_model was 0.001, expected an object with calculate"):
        Engine(feed(UP), Raises(), commission_model=0.001)
    with pytest.raises(ValueError, match="initial_cash was -1"):
        Engine(feed(UP), Raises(), initial_cash=-1)
    with pytest.raises(ValueError, match="contract_specs has 'AA'"):
        Engine(feed(UP), Raises(), contract_specs={"AA": ContractSpec("AA")})
    with pytest.raises(TypeError, match="config was a int"):
        Engine(feed(UP), Raises(), 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="data was 'dicts'"):
        Engine(feed(UP), Raises(), data="dicts")


def test_other_spellings() -> None:
    assert Engine(datafeed=feed(UP), strategy=Calls(buy_once)).run()["final_value"] == 100_300.0  # type: ignore[call-arg]
    assert PerShareCommission(per_share=0.01, minimum=2.0) == PerShareCommission(cost_per_share=0.01, min_cost=2.0)  # type: ignore[call-arg]
    assert PercentageCommission(rate=0.01) == PercentageCommission(percentage=0.01)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="both 'percentage' and its other spelling 'rate'"):
        PercentageCommission(percentage=0.01, rate=0.01)  # type: ignore[call-arg]


def test_run_backtest_takes_frames_and_a_preset_name() -> None:
    assert run_backtest(prices(UP), Calls(buy_once), config="fast", initial_cash=2_000)["final_value"] == 2_300.0
    with pytest.raises(ValueError, match="unknown preset 'fats'.*did you mean 'fast'"):
        run_backtest(prices(UP), Calls(buy_once), config="fats")


class KeepsRows(ArrayStrategy):
    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.copies: list[Any] = []

    def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
        self.rows.append(rows)
        self.copies.append((rows.close.tolist(), rows.positions.tolist(), rows.weights.tolist(), rows.signal("pred").tolist()))
        assert rows.assets == ("A", "B")
        assert broker.submit_orders([10, 5]).tolist() == [2 * len(self.rows) - 1, 2 * len(self.rows)]
        position = broker.get_position("A")
        assert (position.quantity if position else 0.0) == rows.positions[0]
        with pytest.raises(ValueError, match="read-only"):
            rows.close[0] = 1.0


def test_rows_of_array_strategies() -> None:
    frame = prices(UP)
    strategy = KeepsRows()
    result = Engine(DataFeed(frame, frame.select("timestamp", "symbol", pred=pl.col("close") / 10)), strategy).run()
    for rows, (close, positions, weights, pred) in zip(strategy.rows, strategy.copies, strict=True):
        assert [rows.close.tolist(), rows.positions.tolist(), rows.weights.tolist()] == [close, positions, weights]
        assert rows.signal("pred").tolist() == pred
        assert rows.open.tolist() == rows.high.tolist() == rows.low.tolist() == close
        assert rows.volume.tolist() == [0.0, 0.0]
        assert rows.present.tolist() == [True, True]
    equity = [value for _, value in result.equity_curve]
    assert strategy.copies[1][2] == [110.0 / (equity[0] + 10 - 5), 95.0 / (equity[0] + 10 - 5)]
    with pytest.raises(KeyError, match="no signal 'prd'.*did you mean 'pred'"):
        strategy.rows[0].signal("prd")


def test_bad_arrays_submit_nothing() -> None:
    class Bad(ArrayStrategy):
        def on_arrays(self, timestamp: Any, rows: Any, context: Any, broker: Any) -> None:
            with pytest.raises(ValueError, match=r"quantity was nan for 'B' at 2024-01-0"):
                broker.submit_orders([1.0, float("nan")])
            with pytest.raises(ValueError, match=r"weight was inf for 'A'"):
                broker.order_target_weights([float("inf"), 0.0])
            with pytest.raises(ValueError, match=r"shape \(3,\)"):
                broker.submit_orders([1.0, 2.0, 3.0])
            with pytest.raises(ValueError, match="type"):
                broker.submit_orders(["1", "2"])
            assert broker.orders == []

    Engine(feed(UP), Bad()).run()


def test_no_warning_in_an_ordinary_run() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Engine(feed(UP), Calls(buy_once)).run()
