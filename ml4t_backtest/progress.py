"""The progress bar over the bars of a run."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bars_with_progress"]


def _has_reader() -> bool:
    """Whether somebody can see a progress bar: a terminal or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bars_with_progress(bars: int, *, progress: bool, label: str = "backtest") -> Iterable[int]:
    """Return range(bars), drawn as a progress bar when asked for and when somebody can see it."""
    if not progress or not _has_reader():
        return range(bars)
    # tqdm.auto warns in every notebook without ipywidgets, which no dependency brings along.
    widgets = "ipykernel" in sys.modules and find_spec("ipywidgets") is not None
    tqdm = import_module("tqdm.auto" if widgets else "tqdm.std").tqdm
    bar: Iterable[int] = tqdm(range(bars), desc=label, unit="bar", unit_scale=True)
    return bar
