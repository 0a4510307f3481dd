"""Rows about the start: importing, and the first result in a fresh process with and without compiled kernels on disk."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from measure import ROOM, Time, child, middle
from report import Row

if TYPE_CHECKING:
    from setting import Setting

_BARE = ["-c", "pass"]
_NAMES = "import Engine, DataFeed, Strategy"
_SCRIPT = str(ROOM / "first_result.py")


def imports(setting: Setting) -> list[Row]:
    """Return what importing costs on top of a bare interpreter."""
    statements = {"import ml4t_backtest": "import ml4t.backtest", f"from ml4t_backtest {_NAMES}": f"from ml4t.backtest {_NAMES}"}
    times: dict[str, list[Time]] = {statement: [] for statement in statements}
    for repeat in range(setting.repeats + 3):
        for statement, seen in times.items():
            took = child(["-c", statement]) - child(_BARE)
            if repeat:  # the first round only fills the disk cache
                seen.append(took)
    rows = []
    for statement, seen in times.items():
        took, ratio = middle(seen), None
        if setting.published is not None:
            theirs = statements[statement]
            ratio = (setting.published.start(theirs, ["-c", theirs]) - child(_BARE, setting.published.python)).cpu / took.cpu
        rows.append(Row(statement, "bare interpreter subtracted", "s", took.cpu, took.wall, 0.3, 0.2, None, ratio))
    return rows


def first_result(setting: Setting) -> list[Row]:
    """Return the time of a whole first script."""
    with tempfile.TemporaryDirectory() as folder:
        child([_SCRIPT], ML4T_KERNELS_CACHE=folder)
        warm = middle([child([_SCRIPT], ML4T_KERNELS_CACHE=folder) for _ in range(setting.repeats + 2)])
    ratio = None
    if setting.published is not None:
        ratio = setting.published.start("first result", [_SCRIPT, "--published"]).cpu / warm.cpu
    cold = middle([_cold() for _ in range(1 if setting.quick else setting.repeats)])
    return [
        Row("first result, warm cache", "whole process", "s", warm.cpu, warm.wall, 1.0, 0.6, None, ratio),
        Row("first result, empty cache", "whole process", "s", cold.cpu, cold.wall, 8.0, 5.0),
    ]


def _cold() -> Time:
    with tempfile.TemporaryDirectory() as folder:
        return child([_SCRIPT], ML4T_KERNELS_CACHE=folder)
