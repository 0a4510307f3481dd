"""Every Python block of the pages on results runs as printed, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.recipes import engine_of, run_block

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", ["storage.md", "dashboard.md", "handover.md"])
def test_the_listings_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"result": engine_of().run()}
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        run_block(block, names)
    printed = capsys.readouterr().out
    if page == "dashboard.md":
        assert printed.startswith("http://127.0.0.1:")
    if page == "handover.md":
        assert names["returns"].equals(names["result"].to_pyfolio().returns)
        assert names["series"].index.tz is None
    if page == "storage.md":
        assert printed == "completed True\nTrue\n"
        assert names["again"].metrics == names["result"].metrics
        assert {"report.md", "report.json", "run_0001", "run_0002"} <= {path.name for path in Path("study").iterdir()}
