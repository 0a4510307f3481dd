"""The whole rule book, part by part and mixed: the engine against the independent oracle, with ==."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import FAMILIES, Case, family_cases, rich_case
from tests.outcomes import build_engine, engine_outcome, oracle_outcome, run_oracle
from tests.profiles import dense, few

EXACT_FAMILIES = ("orders", "links", "money", "leverage", "events", "free_cash")
EXACT_PARTS = ("orders", "fills", "bars", "flows", "alerts")


def ran(case: Case) -> tuple[Any, list[Any]]:
    """Run a case in the engine; return its outcome and what the broker answered to every action."""
    engine = build_engine(case)
    engine.run()
    return engine_outcome(engine), engine.strategy.answers  # type: ignore[union-attr]


def assert_equal(case: Case) -> None:
    """Compare everything, in doubles."""
    ours, answers = ran(case)
    theirs = run_oracle(case)
    assert ours == oracle_outcome(theirs)
    assert answers == theirs.answers


def assert_equal_exactly(case: Case) -> None:
    """Compare what needs no division with exact fractions."""
    ours, _ = ran(case)
    exact = oracle_outcome(run_oracle(case, Fraction))
    for part in EXACT_PARTS:
        assert ours[part] == exact[part], part


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(data=st.data())
def test_short_runs_equal_the_oracle(family: str, data: st.DataObject) -> None:
    assert_equal(data.draw(family_cases(family)))


@pytest.mark.parametrize("family", EXACT_FAMILIES)
@few
@given(data=st.data())
def test_short_runs_equal_the_oracle_in_exact_fractions(family: str, data: st.DataObject) -> None:
    assert_equal_exactly(data.draw(family_cases(family, dyadic=True)))


@pytest.mark.parametrize("family", FAMILIES)
@dense
@given(seed=st.integers(0, 2**32 - 1))
def test_long_dense_runs_equal_the_oracle(family: str, seed: int) -> None:
    assert_equal(rich_case(seed, family))


@pytest.mark.parametrize("family", EXACT_FAMILIES)
@dense
@given(seed=st.integers(0, 2**32 - 1))
def test_long_dense_runs_equal_the_oracle_in_exact_fractions(family: str, seed: int) -> None:
    assert_equal_exactly(rich_case(seed, family, dyadic=True))


@few
@given(seed=st.integers(0, 2**32 - 1))
def test_orders_for_all_that_the_account_can_pay_follow_exact_fractions(seed: int) -> None:
    case = without_lots(rich_case(seed, "free_cash", bars=15))
    ours, exact = run_oracle(case), run_oracle(case, Fraction)
    assert [(fill.order_id, fill.bar) for fill in ours.fills] == [(fill.order_id, fill.bar) for fill in exact.fills]
    for mine, true in zip(ours.fills, exact.fills, strict=True):
        assert mine.quantity == pytest.approx(float(true.quantity), rel=1e-9, abs=1e-9)
        assert mine.commission == pytest.approx(float(true.commission), rel=1e-6, abs=1e-6)  # a difference of two large numbers
    assert [float(cash) for cash in ours.cash] == pytest.approx([float(cash) for cash in exact.cash], rel=1e-9, abs=1e-6)


def without_lots(case: Case) -> Case:
    """Return the case without lots, which make a whole lot of a last bit."""
    contracts = {asset: {name: value for name, value in given.items() if name != "lot_size"} for asset, given in case.contracts.items()}
    return replace(case, contracts=contracts, settings={name: value for name, value in case.settings.items() if name != "share_type"})
