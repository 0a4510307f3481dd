"""Numbers of examples, as parts of what the hypothesis profile gives to a test (`tests/conftest.py`)."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["dense", "few", "some"]

_WHOLE: int = settings().max_examples  # conftest has loaded the profile by now
_NIGHTLY = 20_000


def _share(part: int) -> settings:
    return settings(max_examples=max(_WHOLE // part, 5))


some = _share(3)
few = _share(6)
dense = _share(1 if _WHOLE >= _NIGHTLY else 10)  # long runs: by night all of them
