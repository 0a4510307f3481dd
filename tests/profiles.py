"""Numbers of examples, as parts of what the hypothesis profile gives to a test (`tests/conftest.py`)."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["few", "most", "some"]

_WHOLE: int = settings().max_examples  # conftest has loaded the profile by now

most = settings(max_examples=_WHOLE)
some = settings(max_examples=max(_WHOLE // 3, 10))
few = settings(max_examples=max(_WHOLE // 6, 10))
