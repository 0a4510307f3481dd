"""The listings of docs/honesty.md run one after the other, and what the page says about numbers of runs is true."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from ml4t_backtest import check_determinism, check_lookahead, check_warmup
from ml4t_backtest.honesty.lookahead import _COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "honesty.md").read_text()


def test_the_listings_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for listing in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(listing, "docs/honesty.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "check_lookahead(AboveMean): passed, 40 runs" in printed
    assert "signals function 'centred'" in printed
    assert "orders settle after" in printed
    assert "= P&L" in printed


def test_defaults_of_the_page_are_those_of_the_functions() -> None:
    defaults = [inspect.signature(check).parameters["runs"].default for check in (check_lookahead, check_determinism)]
    assert f"`runs` ({defaults[0]})" in PAGE
    assert f"`runs` ({defaults[1]})" in PAGE
    assert inspect.signature(check_warmup).parameters["start"].default is None
    assert ", ".join(_COLUMNS) in PAGE.replace("\n", " ")
