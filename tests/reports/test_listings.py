"""The listings of docs/reports.md run one after the other, and the page names every picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ml4t_backtest.reports.plotting import PICTURES

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"


def test_the_listings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, listing in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)):
        exec(compile(listing, f"<reports listing {number}>", "exec"), names)
    printed = capsys.readouterr().out
    assert re.match(r"report\.html [3-7]\.\d MB\n", printed)
    assert "Comparison of 3 results" in printed
    assert names["result"]["num_trades"] > 5
    assert names["comparison"].correlation.shape == (3, 4)
    assert {"report.html", "against.html", "comparison.html", "trades.html"} <= {path.name for path in tmp_path.iterdir()}


def test_every_picture_is_named() -> None:
    page = PAGE.read_text()
    (listed,) = re.findall(r"`what` is one of (.*?)\. Each", page, flags=re.DOTALL)
    assert re.findall(r"`(\w+)`", listed) == list(PICTURES)
