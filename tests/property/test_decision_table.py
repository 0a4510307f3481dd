"""Every order type x side x account x mode x kind of bar: the engine says what the oracle says, and docs/decisions.md says it, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.decisions import ACCOUNTS, CASES, KINDS, MODES, SIDES, engine_says, oracle_says, table

PAGE = Path(__file__).parents[2] / "docs" / "decisions.md"


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("mode", MODES)
def test_the_engine_decides_as_the_oracle(mode: str, account: str) -> None:
    cells = [(kind, side, case) for kind in KINDS for side in SIDES for case in CASES]
    ours = {cell: engine_says(*cell, mode, account) for cell in cells}
    theirs = {cell: oracle_says(*cell, mode, account) for cell in cells}
    assert ours == theirs


@pytest.mark.parametrize("mode", MODES)
def test_accounts_differ_only_in_what_they_refuse(mode: str) -> None:
    for kind in KINDS:
        for case in CASES:
            for side in SIDES:
                free = engine_says(kind, side, case, mode, "margin")
                assert {engine_says(kind, side, case, mode, account) for account in ("crypto", "futures")} == {free}
                refused = free != "waits" and side == "sell"
                expected = "rejected: short_not_allowed" if refused else free
                assert engine_says(kind, side, case, mode, "cash") == expected


@pytest.mark.parametrize("mode", MODES)
def test_the_page_holds_the_table(mode: str) -> None:
    assert table(mode) in PAGE.read_text(encoding="utf-8")
