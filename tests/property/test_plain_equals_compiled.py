"""The same run compiled and as plain Python, with ==. The plain run happens in a worker process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_kernels._jit import COMPILED
from tests.cases import FAMILIES, Case, cases, dense_case, family_cases, rich_case
from tests.outcomes import build_engine, engine_outcome
from tests.profiles import dense, few, some

ROOT = Path(__file__).parents[2]
Ask = Callable[[Case, bool], Any]

pytestmark = pytest.mark.skipif(not COMPILED, reason="compares compiled with plain; this process is plain already")


@pytest.fixture(scope="module")
def plain() -> Iterator[Ask]:
    """Return a function that runs a case without compilation."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"}
    command = [sys.executable, "-m", "tests.property.plain_worker"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None

        def ask(case: Case, arrays: bool) -> Any:
            pickle.dump((case, arrays), worker.stdin)  # type: ignore[arg-type]
            worker.stdin.flush()  # type: ignore[union-attr]
            return pickle.load(worker.stdout)  # type: ignore[arg-type]

        yield ask
        worker.stdin.close()


@some
@given(case=cases(), arrays=st.just(False))
def test_short_runs(plain: Ask, case: Case, arrays: bool) -> None:
    _compare(plain, case, arrays=arrays)


@dense
@given(seed=st.integers(0, 2**32 - 1), arrays=st.booleans())
def test_long_dense_runs(plain: Ask, seed: int, arrays: bool) -> None:
    _compare(plain, dense_case(seed, arrays=arrays, bars=25), arrays=arrays)


@few
@given(case=st.sampled_from(FAMILIES).flatmap(family_cases))
def test_short_runs_of_the_whole_rule_book(plain: Ask, case: Case) -> None:
    _compare(plain, case, arrays=False)


@dense
@given(seed=st.integers(0, 2**32 - 1), family=st.sampled_from(FAMILIES))
def test_long_dense_runs_of_the_whole_rule_book(plain: Ask, seed: int, family: str) -> None:
    _compare(plain, rich_case(seed, family, bars=15), arrays=False)


def _compare(plain: Ask, case: Case, *, arrays: bool) -> None:
    engine = build_engine(case, arrays=arrays)
    engine.run()
    assert engine_outcome(engine) == plain(case, arrays)
