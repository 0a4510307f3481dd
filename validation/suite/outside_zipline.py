"""Zipline's example algorithms against our engine, by the numbers that Zipline's authors froze.

The source distribution of zipline-reloaded has the data of its examples and the performance that its own tests expect. It is
fetched when it is needed and nothing of it is kept. Our engine gets the orders as the examples placed them, and every fill,
the state of every order, and cash and value on every day are compared.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from validation.runners.exchange import Answers, read_batch
from validation.setup import python_of
from validation.suite.compare import Comparison, compare
from validation.suite.launch import read_answers
from validation.suite.ours import run_here
from validation.suite.zipline import FRAMEWORK

__all__ = ["Row", "fetch", "frozen_examples"]

_PACKAGE = "zipline-reloaded==3.2.1"
_SCRIPT = Path(__file__).parents[1] / "runners" / "zipline_examples.py"
_NOT_FROZEN = {**FRAMEWORK.not_reported, "fills.commission": "the frozen transactions have none; cash has them"}

Row = tuple[str, float, float, str]  # what, their number, our number, where theirs is from


def fetch(folder: Path) -> Path:
    """Fetch the source distribution into a folder with pip. Returns its path."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", "zipline-reloaded", "--dest", str(folder)]
    subprocess.run([str(python_of("zipline")), "-m", "pip", "download", *options, _PACKAGE], check=True)
    return next(folder.glob("zipline_reloaded-*.tar.gz"))


def frozen_examples(source: Path | None = None) -> tuple[list[Row], dict[str, Comparison]]:
    """Run the examples. source: the source distribution, fetched when it is None.

    Returns rows of the last account value and the number of fills of each example, and everything compared, by example.
    """
    ours = Answers()
    with TemporaryDirectory(prefix="zipline-examples-") as name:
        folder = Path(name)
        source = fetch(folder) if source is None else source
        subprocess.run([str(python_of("zipline")), str(_SCRIPT), str(source), str(folder / "made")], check=True)
        theirs = read_answers(folder / "made" / "answer")
        for job in read_batch(folder / "made" / "batch"):
            run_here(job, FRAMEWORK.plan_for(job, "close"), ours)
    rows: list[Row] = []
    for example in sorted(ours.seconds):
        where = f"tests/resources/example_data.tar.gz in {source.name}, {example}"
        values = [[row[-1] for row in answers.equity if row[0] == example][-1] for answers in (theirs, ours)]
        counts = [float(sum(row[0] == example for row in answers.fills)) for answers in (theirs, ours)]
        rows += [(f"{example}: last account value", *values, where), (f"{example}: fills", *counts, where)]
    return rows, compare(theirs, ours, tolerances=FRAMEWORK.tolerances, not_reported=_NOT_FROZEN)


if __name__ == "__main__":
    found, comparisons = frozen_examples()
    for what, other, mine, _ in found:
        print(f"{what:48} {other:18.6f} {mine:18.6f}")
    for case, comparison in comparisons.items():
        print(case, comparison.counts, "agrees" if comparison.agrees else comparison.differences)
