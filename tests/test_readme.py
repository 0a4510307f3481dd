"""Every Python snippet of the README runs, from the top, and the two lines for a fresh machine are the ones that CI runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ml4t_kernels._jit import COMPILED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_every_snippet_runs_from_the_top(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for number, snippet in enumerate(SNIPPETS):
        if not COMPILED and "sweep(" in snippet:  # minutes as plain Python, which other tests of studies do in seconds
            continue
        exec(compile(snippet, f"<README snippet {number}>", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("Final Value: $54,741.00\nTotal Return: 9.48%\nSharpe Ratio: 90.03\nTotal Trades: 4\n")
    assert names["result"]["num_trades"] > 100


def test_the_two_lines() -> None:
    assert "pip install . && ml4t-backtest demo\n" in README
    line = 'pip install -e ".[test]" && pytest -n logical'
    assert f"```bash\n{line}\n```" in README
    assert f"\n{line}\n" in (ROOT / ".ci" / "run").read_text()


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
