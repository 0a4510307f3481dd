"""The step over a one-row buffer that is rewritten for each bar, as live bars will enter, equals the run over a history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import FAMILIES, Case, dense_case, rich_case
from tests.hosts import ByHand
from tests.outcomes import build_engine, engine_outcome
from tests.profiles import dense, few

SEEDS = st.integers(0, 2**32 - 1)
HISTORICAL = ("close_at_end", "target_price_policy")  # the last close of an asset without a bar is in no row
NEEDS_HISTORY = ("value_at_risk", "conditional")  # measured over account values of many bars, which one row does not hold


def without_history(case: Case) -> Case:
    """Return the case without what only the engine or only a history can do."""
    limits = tuple(limit for limit in case.limits if limit[0] not in NEEDS_HISTORY)
    settings = {name: value for name, value in case.settings.items() if name not in HISTORICAL}
    return replace(case, limits=limits, settings=settings)


def assert_equal(case: Case) -> None:
    """Compare the engine with a host of one row."""
    engine = build_engine(case)
    engine.run()
    live = ByHand(case, one_row=True)
    live.run()
    assert live.outcome() == engine_outcome(engine)


@few
@given(SEEDS)
def test_one_row_at_a_time_equals_the_run_over_the_history(seed: int) -> None:
    assert_equal(dense_case(seed, bars=30))


@pytest.mark.parametrize("family", FAMILIES)
@dense
@given(seed=SEEDS)
def test_every_part_of_the_rule_book_one_row_at_a_time(family: str, seed: int) -> None:
    assert_equal(without_history(rich_case(seed, family, bars=25)))
