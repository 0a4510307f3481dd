"""The listings of docs/sweeps.md and docs/cluster.md run."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def run_listings(page: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, listing in enumerate(re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)):
        exec(compile(listing, f"<{page} {number}>", "exec"), names)
    return names


def test_sweeps(capsys: pytest.CaptureFixture[str]) -> None:
    names = run_listings("sweeps.md")
    printed = capsys.readouterr().out
    assert printed.startswith("Study(completed: 16 of 16 sets of fast, slow, stop_pct; highest Sharpe ")
    assert "luck or skill: 0." in printed
    assert names["study"].frame["status"].to_list() == ["completed", "failed"]
    assert names["again"].status == "completed"


@pytest.mark.filterwarnings("ignore")
def test_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = run_listings("cluster.md")
    assert names["study"].frame["status"].to_list() == ["completed"] * 6
    assert "position_size" in capsys.readouterr().out
