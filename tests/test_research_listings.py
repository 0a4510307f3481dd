"""The listings of docs/research.md run one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "research.md"


def test_the_listings_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    listings = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    for number, listing in enumerate(listings):
        exec(compile(listing, f"<research listing {number}>", "exec"), names)
    assert "as the best of" in capsys.readouterr().out
    assert names["entries"].sum() > 50
    assert len(names["windows"]) == 16


def test_every_function_of_the_page_is_public() -> None:
    import ml4t_backtest.indicators
    import ml4t_backtest.overfitting
    import ml4t_backtest.splitting

    page = PAGE.read_text()
    for module in (ml4t_backtest.indicators, ml4t_backtest.splitting):
        assert all(f"{name}(" in page for name in module.__all__)
    tables = re.findall(r"^\| `(\w+)\(", page, flags=re.MULTILINE)
    every = {name for module in (ml4t_backtest.indicators, ml4t_backtest.splitting, ml4t_backtest.overfitting) for name in module.__all__}
    assert len(tables) > 15
    assert set(tables) <= every
