"""Helpers for error messages that tell what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean", "shortened"]

_SHOWN = 8


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest choice, or an empty string."""
    by_lower = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def shortened(names: Iterable[str]) -> str:
    """Return the names as a list for a message, cut after eight."""
    every = list(names)
    if not every:
        return "(none)"
    text = ", ".join(repr(name) for name in every[:_SHOWN])
    return text if len(every) <= _SHOWN else f"{text}, ... ({len(every)} in all)"
