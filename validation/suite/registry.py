"""Which frameworks there are."""

from __future__ import annotations

from importlib import import_module

from validation.setup import FRAMEWORKS
from validation.suite.framework import Framework

__all__ = ["framework"]


def framework(name: str) -> Framework:
    """Return a framework by name. Raises ValueError for an unknown one."""
    if name not in FRAMEWORKS:
        raise ValueError(f"unknown framework {name!r}, expected one of {', '.join(FRAMEWORKS)}")
    found: Framework = import_module(f"validation.suite.{name}").FRAMEWORK
    return found
