"""The build with the code of special settings makes the same of a run that has none of them as the build without."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.lowering import params
from tests.cases import FAMILIES, rich_case
from tests.outcomes import build_engine, engine_outcome
from tests.profiles import some


@some
@given(seed=st.integers(0, 2**32 - 1), family=st.sampled_from(FAMILIES))
def test_both_builds_make_the_same_of_a_plain_run(seed: int, family: str) -> None:
    case = rich_case(seed, family, bars=15)
    outcomes = []
    for quiet in (params._QUIET, {"same_bar": -1}):  # the second calls every run special
        with patch.object(params, "_QUIET", quiet):
            engine = build_engine(case)
        assert engine._store.params["special"][0] in (1, 0 if quiet is params._QUIET else 1)
        engine.run()
        outcomes.append(engine_outcome(engine))
    assert outcomes[0] == outcomes[1]
