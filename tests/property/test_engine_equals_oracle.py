"""The engine against the independent oracle, with ==: in doubles on rough numbers, in exact fractions on dyadic ones."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import Case, cases, dense_case
from tests.outcomes import build_engine, engine_outcome, oracle_outcome, run_oracle


@given(cases())
def test_engine_equals_the_oracle_in_doubles(case: Case) -> None:
    engine = build_engine(case)
    engine.run()
    assert engine_outcome(engine) == oracle_outcome(run_oracle(case))


@given(cases(dyadic=True))
def test_engine_equals_the_oracle_in_exact_fractions(case: Case) -> None:
    engine = build_engine(case)
    engine.run()
    ours, exact = engine_outcome(engine), oracle_outcome(run_oracle(case, Fraction))
    for part in ("orders", "fills", "bars", "positions"):
        assert ours[part] == exact[part], part
    # Averages and proportions divide, which doubles round; everything else in a trade is exact too.
    for mine, theirs in zip(ours["trades"], exact["trades"], strict=True):
        assert mine[:4] == theirs[:4]
        for number, true in zip(mine[4:], theirs[4:], strict=True):
            if true is None:  # a move from an entry price of 0
                assert number is None
            else:
                assert number == pytest.approx(float(true), rel=1e-9, abs=1e-9)


@given(cases(arrays=True))
def test_array_strategy_equals_per_asset_strategy(case: Case) -> None:
    per_asset, arrays = build_engine(case), build_engine(case, arrays=True)
    per_asset.run()
    arrays.run()
    assert engine_outcome(per_asset) == engine_outcome(arrays)


SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_long_dense_runs_equal_the_oracle(seed: int) -> None:
    case = dense_case(seed)
    engine = build_engine(case)
    engine.run()
    assert engine_outcome(engine) == oracle_outcome(run_oracle(case))


@given(SEEDS)
def test_long_dense_runs_equal_the_oracle_in_exact_fractions(seed: int) -> None:
    case = dense_case(seed, dyadic=True)
    engine = build_engine(case)
    engine.run()
    ours, exact = engine_outcome(engine), oracle_outcome(run_oracle(case, Fraction))
    assert [ours[part] for part in ("orders", "fills", "bars", "positions")] == [
        exact[part] for part in ("orders", "fills", "bars", "positions")
    ]


@given(SEEDS)
def test_long_dense_array_runs_equal_per_asset_runs_and_the_oracle(seed: int) -> None:
    case = dense_case(seed, arrays=True)
    per_asset, arrays = build_engine(case), build_engine(case, arrays=True)
    per_asset.run()
    arrays.run()
    assert engine_outcome(per_asset) == engine_outcome(arrays)
    assert engine_outcome(arrays) == oracle_outcome(run_oracle(case))
