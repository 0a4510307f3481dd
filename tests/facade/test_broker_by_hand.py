"""A `Broker` that is built and stepped by hand: equal to the engine over the same bars, and by hand on small accounts."""

from __future__ import annotations

import inspect
import math
import warnings
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import (
    BacktestConfig,
    Broker,
    Engine,
    ExecutionMode,
    ExitReason,
    NoCommission,
    NoSlippage,
    OrderStatus,
    PercentageCommission,
    StopLoss,
)
from ml4t_backtest.broker import HandBroker
from ml4t_kernels.codes import BarFlag
from tests.cases import FAMILIES, Case, dense_case, rich_case
from tests.facade.feeds import START, Calls, feed
from tests.outcomes import build_engine, engine_outcome
from tests.profiles import few
from tests.scripted import Scripted, at
from tests.translation import engine_config, engine_contracts, engine_models

SEEDS = st.integers(0, 2**32 - 1)
FIELDS = ("open", "high", "low", "close")


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def stepped(case: Case, last: list[bool]) -> Any:
    """Play a case by hand; returns what `engine_outcome` reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SAME_BAR at the open is part of the tests
        broker = Broker(
            config=engine_config(case), contract_specs=engine_contracts(case), allow_nonpositive_prices=True, **engine_models(case)
        )
    script = Scripted(case)
    script.play(broker)
    for number, time in enumerate(case.times):
        bars = {asset: dict(zip((*FIELDS, *case.columns), row, strict=False)) for asset, row in case.bars[number].items()}
        for bar in bars.values():
            if "volume" in case.columns and bar["volume"] is None:
                bar["volume"] = 0.0  # what a feed with volumes takes it for; by hand it is unknown
        signals = {asset: case.signals[number][asset] for asset in bars} if case.signals else None
        broker.update_time(at(time), bars, signals=signals, last_of_session=last[number])
        broker.process_orders()
        script.play(broker)
        broker.process_orders()
    broker._update_water_marks()
    return broker


def compared(case: Case) -> None:
    engine = build_engine(case)
    engine.run()
    last = (engine._store.bars["flags"] & BarFlag.LAST_OF_SESSION.value) != 0
    broker = stepped(case, last.tolist())
    wanted, found = engine_outcome(engine), engine_outcome(SimpleNamespace(_store=broker._store, _panels=broker._panels))  # type: ignore[arg-type]
    found["bars"] = found["bars"][: len(case.bars)]
    assert found == wanted
    assert broker.equity_curve == engine.result.equity_curve
    assert broker.fills == engine.broker.fills
    assert repr(broker.trades) == repr(engine.broker.trades)  # a move from an entry price of 0 is NaN, which equals nothing
    assert broker.cash == engine.broker.cash
    assert list(broker.positions) == list(engine.broker.positions)
    assert [order.history for order in broker.orders] == [order.history for order in engine.broker.orders]


@pytest.mark.no_identities  # money limits and futures are among the cases; other tests check the engine
@few
@given(SEEDS)
def test_a_run_by_hand_equals_the_engine(seed: int) -> None:
    compared(dense_case(seed, bars=40))


@pytest.mark.no_identities
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("events", "limits")])
@few
@given(seed=SEEDS)
def test_every_part_of_the_rule_book_by_hand_equals_the_engine(family: str, seed: int) -> None:
    case = rich_case(seed, family)
    compared(replace(case, events=(), limits=(), settings={**case.settings, "close_at_end": False}))


def test_the_constructor_is_the_one_by_hand() -> None:
    broker = Broker(100_000.0, NoCommission(), NoSlippage(), execution_mode=ExecutionMode.NEXT_BAR, account_type="margin")
    assert isinstance(broker, Broker)
    assert (broker.cash, broker.account_type, broker.execution_mode) == (100_000.0, "margin", ExecutionMode.NEXT_BAR)
    assert broker.positions == {}
    assert (broker.fills, broker.trades, broker.orders, broker.equity_curve, broker.assets) == ([], [], [], [], ())
    plain = Broker()
    assert (plain.cash, plain.account_type, plain.execution_mode) == (100_000.0, "cash", ExecutionMode.SAME_BAR)
    assert isinstance(plain.commission_model, NoCommission)
    assert isinstance(plain.slippage_model, NoSlippage)
    assert Broker(commission_type="percentage", commission_rate=0.01).commission_model is None
    assert Broker.from_config(BacktestConfig(initial_cash=5.0)).cash == 5.0
    assert Broker(7.0, config="fast").cash == 7.0
    assert list(inspect.signature(Broker).parameters)[:3] == ["initial_cash", "commission_model", "slippage_model"]


def test_brokers_of_your_own_derive_from_the_one_by_hand() -> None:
    class Own(HandBroker):
        def everything(self) -> float:
            return self.cash

    class Wrong(Broker):
        pass

    assert Own(5.0).everything() == 5.0
    with pytest.raises(TypeError, match="Wrong is built by hand: derive it from ml4t_backtest.broker.HandBroker"):
        Wrong(5.0)


def test_account_and_gatekeeper_read_the_account_by_hand() -> None:
    broker = Broker(1_000.0)
    broker.update_time(day(0), {"AAPL": 10.0})
    order = broker.submit_order("AAPL", 10)
    assert order is not None
    assert broker.gatekeeper.validate_order(order, 10.0)[0]
    assert not broker.gatekeeper.validate_order(order, 1_000.0)[0]
    broker.process_orders()
    broker.update_time(day(1), {"AAPL": 12.0, "MSFT": 5.0})
    assert broker.account.total_equity == 1_020.0
    assert broker.account.get_position_quantity("AAPL") == 10.0
    assert broker.account.get_position_quantity("MSFT") == 0.0


def test_the_broker_of_a_run_is_a_broker_and_keeps_its_settings() -> None:
    engine = Engine(feed({"AAPL": [10.0, 11.0]}), Calls(lambda bar, data, broker: None))
    engine.run()
    assert type(engine.broker) is Broker
    with pytest.raises(AttributeError, match="execution_mode cannot be assigned to this broker; give it to the constructor"):
        engine.broker.execution_mode = ExecutionMode.NEXT_BAR
    with pytest.raises(AttributeError, match="cash"):
        engine.broker.cash = 5.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"account_type": "other"}, ValueError, "Unknown account_type 'other'.*expected one of"),
        ({"initial_cas": 5.0}, TypeError, "has no argument 'initial_cas'; did you mean 'initial_cash'"),
        ({"initial_cash": -5.0}, ValueError, "initial_cash"),
        ({"config": 5}, TypeError, "config was a int, expected a BacktestConfig"),
        ({"commission_model": PercentageCommission}, TypeError, "commission_model was .*expected an object with calculate"),
        ({"execution_limits": 5}, TypeError, "execution_limits was 5"),
        ({"contract_specs": {"ES": 50.0}}, TypeError, r"contract_specs\['ES'\] was a float, expected a ContractSpec"),
        ({"close_at_end": True}, ValueError, "close_at_end was True: it needs all bars"),
        ({"enforce_sessions": True, "calendar": "NYSE"}, ValueError, "enforce_sessions was True: it needs all bars"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Broker(**arguments)


def test_a_price_from_before_the_decision_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="look-ahead"):
        Broker(execution_price="open")


def test_same_bar_fills_at_the_close_of_the_bar_of_submission() -> None:
    broker = Broker(1_000.0)
    broker._update_time(day(0), {"AAPL": 10.0}, {"AAPL": 9.0}, {"AAPL": 11.0}, {"AAPL": 8.0}, {"AAPL": 500.0}, {})
    order = broker.submit_order("AAPL", 10)
    assert order is not None
    assert order.status is OrderStatus.PENDING
    broker._process_orders()
    assert (order.status, order.filled_price, order.filled_at, broker.cash) == (OrderStatus.FILLED, 10.0, day(0), 900.0)
    assert broker.get_order(order.order_id) == order
    broker._update_time(day(1), {"AAPL": 12.0})
    assert broker.get_account_value() == 1_020.0
    assert broker.positions["AAPL"].high_water_mark == 10.0
    assert broker._process_pending_exits() == []
    broker._update_water_marks()
    broker._update_water_marks()
    assert broker.positions["AAPL"].high_water_mark == 12.0
    assert broker.equity_curve == [(day(0), 1_000.0), (day(1), 1_020.0)]


def test_next_bar_fills_at_the_open_of_the_next_bar() -> None:
    broker = Broker(1_000.0, execution_mode="next_bar")
    early = broker.submit_order("AAPL", 1)
    assert early is not None
    with pytest.raises(LookupError, match="there is no bar yet"):
        _ = early.created_at
    broker.process_orders()
    assert early.is_active
    broker._update_time(day(0), {"AAPL": 10.0}, {"AAPL": 9.0})
    before_the_pass = broker.submit_order("AAPL", 2)
    broker._process_orders(use_open=True)
    after_the_pass = broker.submit_order("AAPL", 3)
    broker._process_orders(use_open=False)
    assert [fill.price for fill in broker.fills] == [9.0]
    assert early.created_at == day(0)
    broker._update_time(day(1), {"AAPL": 10.5}, {"AAPL": 10.25})
    broker._process_orders(use_open=False)
    assert before_the_pass is not None
    assert after_the_pass is not None
    assert [before_the_pass.filled_price, after_the_pass.filled_price] == [10.25, 10.25]
    assert [fill.quantity for fill in broker.fills] == [1.0, 2.0, 3.0]


def test_use_open_takes_the_open_in_either_mode() -> None:
    broker = Broker(1_000.0)
    broker.submit_order("AAPL", 1)
    broker.update_time(day(0), {"AAPL": 10.0}, {"AAPL": 9.0})
    broker.process_orders(use_open=True)
    broker.submit_order("AAPL", 1)
    broker.process_orders()
    assert [fill.price for fill in broker.fills] == [9.0, 10.0]


def test_orders_that_are_not_processed_wait() -> None:
    broker = Broker(1_000.0)
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.submit_order("AAPL", 1)
    broker.update_time(day(1), {"AAPL": 11.0})
    assert broker.fills == []
    broker.update_water_marks()
    late = broker.submit_order("AAPL", 2)
    broker.process_orders()  # the bar is over
    assert broker.fills == []
    assert late is not None
    assert late.created_at == day(1)
    broker.update_time(day(2), {"AAPL": 12.0})
    broker.process_orders()
    assert [(fill.price, fill.quantity) for fill in broker.fills] == [(12.0, 1.0), (12.0, 2.0)]


def test_immediate_fill() -> None:
    broker = Broker(1_000.0, immediate_fill=True)
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.submit_order("AAPL", 5)
    assert broker.get_position("AAPL") is not None
    assert broker.get_cash() == 950.0
    with pytest.raises(ValueError, match="immediate_fill fills within the bar"):
        broker.execution_mode = "next_bar"


def test_the_mode_may_be_changed_on_the_way() -> None:
    broker = Broker(1_000.0)
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.submit_order("AAPL", 5)
    broker.process_orders()
    broker.execution_mode = "next_bar"
    assert broker.execution_mode is ExecutionMode.NEXT_BAR
    broker.submit_order("AAPL", 5)
    broker.update_time(day(1), {"AAPL": 12.0}, {"AAPL": 11.0})
    broker.process_orders()
    assert [fill.price for fill in broker.fills] == [10.0, 11.0]
    with pytest.raises(AttributeError, match="commission_rate cannot be assigned to this broker"):
        broker.commission_rate = 0.1


def test_stop_fill_mode_may_be_assigned() -> None:
    prices = []
    for mode in ("stop_price", "close_price"):
        broker = Broker(1_000.0)
        broker.set_position_rules(StopLoss(0.05), "AAPL")
        broker.update_time(day(0), {"AAPL": 10.0})
        broker.submit_order("AAPL", 10)
        broker.process_orders()
        broker.stop_fill_mode = mode
        broker.update_time(day(1), {"AAPL": 9.25}, {"AAPL": 10.0})
        assert [order.asset for order in broker._process_pending_exits()] == ["AAPL"]
        broker.process_orders()
        prices.append(broker.fills[-1].price)
        assert broker.trades[0].exit_reason is ExitReason.STOP_LOSS
    assert prices == [9.5, 9.25]


def test_cash_may_be_set_and_positions_may_not() -> None:
    broker = Broker(1_000.0)
    broker.update_time(day(0), {"AAPL": 10.0})
    broker.submit_order("AAPL", 10)
    broker.process_orders()
    broker.cash = 2_000.0
    assert (broker.cash, broker.get_cash(), broker.get_account_value()) == (2_000.0, 2_000.0, 2_100.0)
    assert broker.equity_curve == [(day(0), 2_100.0)]
    broker.update_time(day(1), {"AAPL": 11.0})
    assert broker.get_account_value() == 2_110.0
    for bad in (math.nan, -1.0, "5", None, True):
        with pytest.raises(ValueError, match="cash was"):
            broker.cash = bad  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"broker.positions\['AAPL'\] cannot be written: positions come from fills"):
        broker.positions["AAPL"] = None  # type: ignore[index]
    with pytest.raises(TypeError, match="cannot be written"):
        del broker.positions["AAPL"]  # type: ignore[attr-defined]
    short = Broker(100.0, account_type="crypto")
    short.cash = -5.0
    assert short.cash == -5.0
