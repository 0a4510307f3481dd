"""Exposure of random runs with everything there is: splits, missing bars, lots, events, rules, margin calls; and of walk-forwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.splitting import RollingWindows
from ml4t_backtest.studies import walk_forward
from ml4t_kernels.codes import TradeStatus
from tests.cases import FAMILIES, rich_case
from tests.outcomes import build_engine
from tests.profiles import few
from tests.research.strategies import AboveMean, made_feed


def check_net(result: Any) -> None:
    moved = np.abs(result._fills["quantity"] * result._fills["price"] * result._multipliers[result._fills["asset"]])
    value = result._equity - result._cash
    tolerance = 1e-9 * (1.0 + float(moved.sum()) + float(np.abs(value).max(initial=0.0)))
    assert np.all(np.abs(result.exposure()["net"].to_numpy() - value) <= tolerance)


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_exposure_agrees_with_the_account(family: str, seed: int) -> None:
    engine = build_engine(rich_case(seed, family))
    result = engine.run()
    number = result.exposure()["num_positions"]
    assert (
        number[-1]
        == np.count_nonzero(engine._store.positions["quantity"])
        == np.count_nonzero(result._trades["status"] == TradeStatus.OPEN)
    )
    if not np.any(engine._store.contracts["settles"]):  # equity has a future's gain, exposure its notional
        check_net(result)
    assert result.trade_statistics()["total_pnl"].item() == pytest.approx(result["total_pnl"], rel=1e-9, abs=1e-9)
    assert result.costs("asset")["total"].sum() == pytest.approx(result.costs()["total"].item(), rel=1e-9, abs=1e-9)


def test_a_walk_forward_answers_everything() -> None:
    result = walk_forward(made_feed(80), AboveMean, {"length": [2, 4]}, RollingWindows(train=30, test=15), warmup=5, progress=False).result
    assert len(result.exposure()) == len(result.turnover()) == len(result.rolling(5)) + 1 == len(result.equity_curve) < 80
    check_net(result)
    figures = dict(result.statistics)
    assert 0.0 < figures["time_in_market"] < 1.0
    assert figures["max_drawdown"] == result["max_drawdown"]
    assert result.relative_to("A")["num_periods"] == len(result.equity_curve) - 1
    assert result.trade_statistics("asset")["total_pnl"].sum() == pytest.approx(result["total_pnl"])
