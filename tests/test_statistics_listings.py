"""The listings of docs/statistics.md run one after the other, and its tables name every figure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ml4t_backtest.analytics.figures import STATISTIC_NAMES

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for number, listing in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)):
        exec(compile(listing, f"<statistics listing {number}>", "exec"), made)
    return made


def test_the_listings_run(names: dict[str, Any]) -> None:
    result = names["result"]
    assert result["num_trades"] > 10
    assert result.r_multiples().drop_nulls().len() > 10
    assert result.statistics["avg_r_multiple"] == result.trade_statistics()["avg_r_multiple"].item()


def test_every_figure_is_on_the_page(names: dict[str, Any]) -> None:
    page = PAGE.read_text()
    told = set(re.findall(r"`(\w+)`", page))
    for part in ("day", "month", "year"):
        told |= {f"best_{part}", f"worst_{part}"}
    assert set(STATISTIC_NAMES) <= told
    assert set(names["result"].relative_to("SPY")) <= told
