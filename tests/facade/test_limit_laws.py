"""Laws of portfolio limits: tighter thresholds, order of the limits, reductions that end at the limit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.risk import (
    BetaLimit,
    CVaRLimit,
    DailyLossLimit,
    FactorExposureLimit,
    GrossExposureLimit,
    MaxDrawdownLimit,
    MaxExposureLimit,
    MaxPositionsLimit,
    NetExposureLimit,
    PortfolioState,
    RiskManager,
    SectorExposureLimit,
    VaRLimit,
)
from tests.facade.positions import portfolio

START = datetime(2024, 1, 2, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)

amounts = st.floats(-2000.0, 2000.0).filter(lambda value: abs(value) > 1e-3)
books = st.dictionaries(st.sampled_from("ABCDEF"), amounts, max_size=6)
contexts = st.fixed_dictionaries(
    {
        "historical_returns": st.lists(st.floats(-0.3, 0.3), min_size=15, max_size=30),
        "asset_betas": st.dictionaries(st.sampled_from("ABCDEF"), st.floats(-1.0, 3.0)),
        "asset_sectors": st.dictionaries(st.sampled_from("ABCDEF"), st.sampled_from(["Tech", "Energy"])),
        "factor_loadings": st.dictionaries(st.sampled_from("ABCDEF"), st.fixed_dictionaries({"size": st.floats(-2.0, 2.0)})),
    }
)
states = st.builds(
    lambda equity, held, context, drawdown, pnl: portfolio(equity, held, context=context, current_drawdown=drawdown, daily_pnl=pnl),
    st.floats(1.0, 5000.0),
    books,
    contexts,
    st.floats(0.0, 0.99),
    st.floats(-500.0, 500.0),
)
MAKERS: list[Callable[[float, str], Any]] = [
    MaxDrawdownLimit,
    lambda threshold, action: MaxPositionsLimit(1 + int(threshold * 6), action),
    MaxExposureLimit,
    DailyLossLimit,
    GrossExposureLimit,
    lambda threshold, action: NetExposureLimit(threshold, -threshold, action),
    lambda threshold, action: VaRLimit(threshold, action=action),
    lambda threshold, action: CVaRLimit(threshold, action=action),
    lambda threshold, action: BetaLimit(threshold, -threshold, action),
    SectorExposureLimit,
    lambda threshold, action: FactorExposureLimit("size", threshold, -threshold, action),
]
thresholds = st.floats(0.01, 0.95)


@given(states, st.sampled_from(MAKERS), thresholds, thresholds)
def test_a_tighter_limit_is_breached_whenever_a_wider_one_is(state: PortfolioState, make: Any, one: float, other: float) -> None:
    tight, wide = sorted((one, other))
    if make(wide, "halt").check(state).breached:
        assert make(tight, "halt").check(state).breached


@given(states, st.sampled_from([MAKERS[place] for place in (2, 3, 4, 5, 6, 7, 8, 9, 10)]), thresholds)
def test_an_overshoot_above_0_is_a_breach(state: PortfolioState, make: Any, threshold: float) -> None:
    limit = make(threshold, "halt")
    assert limit.check(state).breached == (limit.overshoot(state) > 0.0)


@given(states, st.sampled_from([MAKERS[place] for place in (2, 4, 5, 8, 9, 10)]), thresholds)
def test_selling_the_reduction_ends_at_the_limit(state: PortfolioState, make: Any, threshold: float) -> None:
    limit = make(threshold, "reduce")
    result = limit.check(state)
    if not result.breached:
        return
    assert 0.0 <= result.reduction_pct <= 1.0
    sold = {
        asset: value * (1.0 - result.reduction_pct * (not result.assets or asset in result.assets))
        for asset, value in state.positions.items()
    }
    after = portfolio(state.equity, sold, context=state.context)
    assert abs(limit.measure(after)) == pytest.approx(threshold)


@given(
    st.lists(st.tuples(st.sampled_from(MAKERS), thresholds, st.sampled_from(["warn", "reduce", "block", "halt", "liquidate"])), max_size=6),
    st.data(),
)
def test_the_order_of_limits_does_not_matter(chosen: list[Any], data: st.DataObject) -> None:
    limits = [make(threshold, action) for make, threshold, action in chosen]
    managers = [RiskManager(limits), RiskManager(data.draw(st.permutations(limits)))]
    for day in range(data.draw(st.integers(1, 3))):
        equity, held, context = data.draw(st.floats(1.0, 5000.0)), data.draw(books), data.draw(contexts)
        results = [manager.update(equity, held, START + day * DAY, context) for manager in managers]
        assert sorted(map(repr, results[0])) == sorted(map(repr, results[1]))
        assert managers[0].halt_reason == managers[1].halt_reason
        assert managers[0].liquidating == managers[1].liquidating
        assert managers[0].can_open_position() == managers[1].can_open_position()
        asset, amount = data.draw(st.sampled_from("ABCDEF")), data.draw(amounts)
        assert managers[0].can_increase_position(asset, amount)[0] == managers[1].can_increase_position(asset, amount)[0]
