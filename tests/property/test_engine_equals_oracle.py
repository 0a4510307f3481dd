"""The engine against the independent oracle, with ==: in doubles on rough numbers, in exact fractions on dyadic ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import Case, cases, dense_case
from tests.outcomes import build_engine, engine_outcome, oracle_outcome, run_oracle
from tests.profiles import few, some

SEEDS = st.integers(0, 2**32 - 1)
EXACT = ("orders", "fills", "bars", "flows", "alerts")


def ran(case: Case, *, arrays: bool = False) -> Any:
    """Run a case in the engine and return its outcome."""
    engine = build_engine(case, arrays=arrays)
    engine.run()
    return engine_outcome(engine)


@some
@given(cases())
def test_engine_equals_the_oracle_in_doubles(case: Case) -> None:
    assert ran(case) == oracle_outcome(run_oracle(case))


@some
@given(cases(dyadic=True))
def test_engine_equals_the_oracle_in_exact_fractions(case: Case) -> None:
    ours, exact = ran(case), oracle_outcome(run_oracle(case, Fraction))
    for part in EXACT:
        assert ours[part] == exact[part], part
    assert [position[:2] for position in ours["positions"]] == [position[:2] for position in exact["positions"]]
    # Averages and proportions divide, which doubles round; everything else in a trade is exact too.
    for mine, theirs in zip(ours["trades"], exact["trades"], strict=True):
        assert mine[:5] == theirs[:5]
        for number, true in zip(mine[5:], theirs[5:], strict=True):
            if true is None:  # a move from an entry price of 0
                assert number is None
            else:
                assert number == pytest.approx(float(true), rel=1e-9, abs=1e-9)


@few
@given(cases(arrays=True))
def test_array_strategy_equals_per_asset_strategy(case: Case) -> None:
    assert ran(case) == ran(case, arrays=True)


@few
@given(SEEDS)
def test_long_dense_runs_equal_the_oracle(seed: int) -> None:
    case = dense_case(seed)
    assert ran(case) == oracle_outcome(run_oracle(case))


@few
@given(SEEDS)
def test_long_dense_runs_equal_the_oracle_in_exact_fractions(seed: int) -> None:
    case = dense_case(seed, dyadic=True)
    ours, exact = ran(case), oracle_outcome(run_oracle(case, Fraction))
    assert [ours[part] for part in EXACT] == [exact[part] for part in EXACT]


@few
@given(SEEDS)
def test_long_dense_array_runs_equal_per_asset_runs_and_the_oracle(seed: int) -> None:
    case = dense_case(seed, arrays=True)
    ours = ran(case, arrays=True)
    assert ran(case) == ours
    assert ours == oracle_outcome(run_oracle(case))
