"""A `Broker` that is built and stepped by hand: equal to the engine over the same bars, and by hand on small accounts."""

from __future__ import annotations

import inspect
import math
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import (
    BacktestConfig,
    Broker,
    ContractSpec,
    Engine,
    ExecutionMode,
    ExitReason,
    NoCommission,
    NoSlippage,
    OrderStatus,
    PercentageCommission,
    StopLoss,
)
from ml4t_backtest.risk import PositionAction, SignalExit, VolatilityTrailingStop
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
    assert broker.trades == engine.broker.trades
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
