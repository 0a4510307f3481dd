"""Compiled strategies make the same orders, fills, trades and account values as Python strategies, with == in every part of the rule book."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import FAMILIES, Case, cases, dense_case, family_cases, rich_case
from tests.compiled_scripts import compiled_script
from tests.outcomes import build_engine, engine_outcome
from tests.profiles import dense, few, some

SEEDS = st.integers(0, 2**32 - 1)


def outcome(case: Case, strategy: Any = None) -> tuple[Any, str | None]:
    """Return what a run leaves behind, and the error that ended it."""
    engine = build_engine(case)
    engine.strategy = strategy or engine.strategy
    try:
        engine.run()
    except ValueError as error:
        return engine_outcome(engine), type(error).__name__
    return engine_outcome(engine), None


def assert_equal(case: Case, **keywords: Any) -> None:
    """Compare a Python strategy with the compiled one."""
    assert outcome(case, compiled_script(case, **keywords)) == outcome(case)


@some
@given(cases())
def test_small_runs(case: Case) -> None:
    assert_equal(case)


@some
@given(cases(arrays=True))
def test_whole_rows(case: Case) -> None:
    assert_equal(case)


@few
@given(SEEDS)
def test_dense_runs(seed: int) -> None:
    assert_equal(dense_case(seed, bars=30))


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(data=st.data())
def test_every_part_of_the_rule_book(family: str, data: st.DataObject) -> None:
    assert_equal(data.draw(family_cases(family)))


@pytest.mark.parametrize("family", FAMILIES)
@dense
@given(seed=SEEDS)
def test_every_part_of_the_rule_book_in_long_runs(family: str, seed: int) -> None:
    assert_equal(rich_case(seed, family, bars=25))


@pytest.mark.parametrize("family", FAMILIES)
@dense
@given(seed=SEEDS)
def test_the_same_function_uncompiled(family: str, seed: int) -> None:
    case = rich_case(seed, family, bars=15)
    assert outcome(case, compiled_script(case, debug=True)) == outcome(case, compiled_script(case))
