"""The whole rule book, part by part and mixed: the engine against the independent oracle, with ==."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import FAMILIES, Case, family_cases, rich_case
from tests.outcomes import build_engine, engine_outcome, oracle_outcome, run_oracle
from tests.profiles import dense, few

EXACT_FAMILIES = ("orders", "links", "money", "leverage", "events")
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
