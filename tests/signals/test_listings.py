"""The listings of docs/signals.md run, one after the other, and what the page says about arguments is true."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from ml4t_backtest.signals import from_signals
from ml4t_backtest.signals.arguments import SPELLINGS, UNSUPPORTED

PAGE = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()


def test_the_listings_run() -> None:
    names: dict[str, object] = {}
    for listing in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(listing, "docs/signals.md", "exec"), names)
    assert {"result", "grid", "rows", "one"} <= set(names)


def test_every_argument_of_the_table_is_one() -> None:
    known = {*inspect.signature(from_signals).parameters, *SPELLINGS, *UNSUPPORTED, "sl_stop", "sl_trail"}
    known |= {"accumulate", "upon_long_conflict", "upon_short_conflict", "upon_dir_conflict", "upon_opposite_entry"}
    table = PAGE[PAGE.index("| VectorBT | here |") :]
    for row in re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE):
        for name in re.findall(r"`(\w+)`", row):
            assert name in known, name
