"""Every run of the suite is checked for the accounting identities; hypothesis runs without deadlines (the first call compiles)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from ml4t_backtest.engine import Engine
from ml4t_backtest.result import BacktestResult
from tests.identities import check_identities

quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
# The first two draw the same examples on every machine, the others new ones every time.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=150, suppress_health_check=quiet)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=25, suppress_health_check=quiet)
settings.register_profile("long", deadline=None, max_examples=5_000, suppress_health_check=quiet)
settings.register_profile("nightly", deadline=None, max_examples=20_000, suppress_health_check=quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "default"))


@pytest.fixture(autouse=True)
def accounting_identities(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wrap `Engine.run` so that every finished run is checked."""
    if request.node.get_closest_marker("no_identities"):
        yield
        return
    plain = Engine.run

    def checked(self: Engine, *, progress: bool = False) -> BacktestResult:
        try:
            result = plain(self, progress=progress)
        finally:
            if self._result is not None:
                check_identities(self)
        return result

    monkeypatch.setattr(Engine, "run", checked)
    yield
