"""Every notebook runs from the top, and its two forms hold the same cells."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ml4t_kernels._jit import COMPILED

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICK = ("quickstart", "futures", "ml_signals")  # also as plain Python, where the others take minutes


def percent_cells(path: Path) -> list[str]:
    """Return the cells of a percent script, without the header and the comment signs of text cells."""
    cells = path.read_text().split("\n# %%")[1:]
    made = []
    for cell in cells:
        head, _, body = cell.partition("\n")
        lines = body.strip().split("\n")
        text = [line[2:] for line in lines] if "markdown" in head else lines
        made.append("\n".join(text).strip())
    return made


def test_every_notebook_has_both_forms() -> None:
    assert {path.stem for path in (ROOT / "notebooks").glob("*.py")} == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_two_forms_agree(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert [cell.source.strip() for cell in notebook.cells] == percent_cells(path.with_suffix(".py"))
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not COMPILED and path.stem not in QUICK:
        pytest.skip("takes long as plain Python")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'kernels'}")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("BacktestResult(completed" in str(output) for output in outputs)
    assert not [output for output in outputs if "Warning" in output.get("text", "")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_asserts_what_it_says(path: Path) -> None:
    assert sum(cell.source.count("assert ") for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code") >= 2
