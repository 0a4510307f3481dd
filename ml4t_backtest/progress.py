"""The progress bars over the bars of a run and over the runs of a study."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bars_with_progress", "counter"]

_MANY = 10_000


def _has_reader() -> bool:
    """Whether somebody can see a progress bar: a terminal or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class _Quiet:
    """A progress bar that nobody sees."""

    def update(self, count: int) -> None:
        """Count on."""

    def close(self) -> None:
        """Remove the bar."""


def counter(total: int, *, progress: bool, label: str, unit: str, initial: int = 0) -> Any:
    """Return a progress bar to `update(count)` and `close()`; a quiet one unless asked for and somebody can see it."""
    if not progress or not _has_reader():
        return _Quiet()
    return _tqdm()(total=total, initial=initial, desc=label, unit=unit, unit_scale=total >= _MANY)


def bars_with_progress(bars: int, *, progress: bool, label: str = "backtest") -> Iterable[int]:
    """Return range(bars), drawn as a progress bar when asked for and when somebody can see it."""
    if not progress or not _has_reader():
        return range(bars)
    bar: Iterable[int] = _tqdm()(range(bars), desc=label, unit="bar", unit_scale=True)
    return bar


def _tqdm() -> Any:
    """Return the kind of bar that fits the terminal or notebook."""
    # tqdm.auto warns in every notebook without ipywidgets, which no dependency brings along.
    widgets = "ipykernel" in sys.modules and find_spec("ipywidgets") is not None
    return import_module("tqdm.auto" if widgets else "tqdm.std").tqdm
