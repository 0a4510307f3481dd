"""The same arrays through VectorBT (Numba and Rust) and through this library, in one run: python benchmarks/vs_vectorbt.py [--quick].

Needs an interpreter that has both: the requirements in validation/requirements/vectorbt.txt, and this library. Installs nothing. Every
case runs in a process of its own per engine; account values have to agree before a time is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ENGINES = ("numba", "rust", "ours")


@dataclass(frozen=True)
class Case:
    """One row of the table; bars and columns as printed, repeats of the quick and the slow engines."""

    name: str
    title: str
    bars: int
    columns: int
    repeats: int
    cells: int  # what a time is divided by


CASES = (
    Case("single", "one asset", 1_000_000, 1, 5, 1_000_000),
    Case("stops", "one asset, stop and target", 1_000_000, 1, 5, 1_000_000),
    Case("book", "shared cash", 5_040, 250, 5, 5_040 * 250),
    Case("sweep", "signals of 1,000 pairs of averages", 2_520, 1_000, 5, 2_520 * 1_000),
    Case("windows", "prices to metrics, 1,000 pairs of averages", 2_520, 1_000, 5, 2_520 * 1_000),
    Case("grid", "10,000 stops and targets", 2_520, 10_000, 3, 2_520 * 10_000),
    Case("sweep", "signals of 1,000 pairs of averages", 100_000, 1_000, 1, 100_000 * 1_000),
    Case("windows", "prices to metrics, 1,000 pairs of averages", 100_000, 1_000, 1, 100_000 * 1_000),
)


def child(case: Case, engine: str, threads: int, folder: Path) -> dict[str, Any]:
    """Run a case in one engine and return its times [s], peak memory [MB] and answers."""
    file = folder / f"{case.name}-{engine}-{threads}.npz"
    numbers = [str(number) for number in (case.bars, case.columns, case.repeats, threads)]
    command = [sys.executable, str(HERE / "vectorbt_cases.py"), case.name, engine, *numbers, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    if done.returncode:
        raise SystemExit(f"{case.name} in {engine} failed:\n{done.stderr[-2000:]}")
    answers = np.load(file)
    return {**json.loads(done.stdout.splitlines()[-1]), "values": answers["values"], "drawdowns": answers["drawdowns"]}


def agree(case: Case, found: dict[str, dict[str, Any]]) -> str:
    """Compare what the engines answered. Raises SystemExit where account values differ."""
    ours = found["ours"]
    for engine in ("numba", "rust"):
        other = found[engine]
        same = ours["values"] == other["values"]
        if case.name == "book":  # VectorBT adds up cash and assets apart, so sums of 250 positions differ in the last digits
            same = np.isclose(ours["values"], other["values"], rtol=1e-12, atol=0.0)
        different = np.flatnonzero(~same)
        if len(different):
            column = int(different[0])
            pair = f"{other['values'][column]!r} there, {ours['values'][column]!r} here"
            raise SystemExit(f"{case.title}: {len(different)} final values differ from {engine}, the first in column {column}: {pair}")
        if not np.allclose(ours["drawdowns"], other["drawdowns"], rtol=1e-9, atol=1e-12):
            raise SystemExit(f"{case.title}: drawdowns differ from {engine}")
    return "final value equal to 12 digits" if case.name == "book" else f"{len(ours['values'])} final values equal"


def row(case: Case, found: dict[str, dict[str, Any]], threads: int) -> str:
    """Return a line of the table."""
    cpu = {name: statistics.median(one["cpu"]) for name, one in found.items()}
    wall = {name: statistics.median(one["wall"]) for name, one in found.items()}
    many = f"ours-{threads}"
    cells = [
        f"{case.title}, {case.bars:,} x {case.columns:,}",
        *(f"{cpu[name] / case.cells * 1e9:,.1f}" for name in ENGINES),
        *(f"{cpu[name] / cpu['ours']:,.0f}" for name in ("numba", "rust")),
        *(f"{wall[name] * 1e3:,.1f}" for name in ("rust", "ours", many)),
        f"{wall['rust'] / wall[many]:,.0f}",
        *(f"{found[name]['peak']:,.0f}" for name in ENGINES),
        agree(case, found),
    ]
    return "| " + " | ".join(cells) + " |"


def first_results() -> list[str]:
    """Return the seconds of a whole fresh process to one small result, caches empty and warm."""
    lines = ["", "| first result of a fresh process, 252 bars [s] | caches empty | caches warm |", "| --- | ---: | ---: |"]
    case = Case("stops", "", 252, 1, 0, 252)
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            caches = {"NUMBA_CACHE_DIR": f"{folder}/numba", "ML4T_KERNELS_CACHE": f"{folder}/kernels"}
            seconds = [_whole_process(case, engine, caches, Path(folder)) for _ in range(3)]
        lines.append(f"| {engine} | {seconds[0]:.1f} | {min(seconds[1:]):.1f} |")
    return lines


def _whole_process(case: Case, engine: str, caches: dict[str, str], folder: Path) -> float:
    import time

    before = {name: os.environ.get(name) for name in caches}
    os.environ.update(caches)
    try:
        started = time.perf_counter()
        child(case, engine, 1, folder)
        return time.perf_counter() - started
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def machine() -> str:
    """Return what the numbers belong to."""
    names = ("vectorbt", "vectorbt-rust", "numba", "numpy", "pandas", "polars")
    known = []
    for name in names:
        try:
            known.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            known.append(f"{name} missing")
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; {', '.join(known)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the bars, no case of 100,000 bars")
    parser.add_argument("--only", nargs="*", default=[], help="names of cases")
    parser.add_argument("--bars", type=int, help="bars of the long cases instead of 100,000; VectorBT needs 10 GB for 100,000")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of the last columns")
    given = parser.parse_args()
    try:
        version("vectorbt-rust")
    except PackageNotFoundError:
        raise SystemExit(
            "this interpreter has no vectorbt with its Rust engine: pip install -r validation/requirements/vectorbt.txt"
        ) from None
    print(machine(), "\n")
    print("| case, bars x columns | numba ns | rust ns | ours ns | numba / ours | rust / ours | rust ms | ours ms |", end="")
    print(f" ours ms, {given.threads} threads | rust / that | numba MB | rust MB | ours MB | |")
    print("| --- |" + " ---: |" * 12 + " --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            case = _sized(case, given)  # noqa: PLW2901
            if case is None or (given.only and case.name not in given.only):
                continue
            found = {engine: child(case, engine, 1, Path(folder)) for engine in ENGINES}
            found[f"ours-{given.threads}"] = child(case, "ours", given.threads, Path(folder))
            print(row(case, found, given.threads), flush=True)
    if not given.only or "first" in given.only:
        print("\n".join(first_results()))


def _sized(case: Case, given: argparse.Namespace) -> Case | None:
    bars = case.bars
    if case.bars == 100_000:
        if given.quick and not given.bars:
            return None
        bars = given.bars or bars
    elif given.quick:
        bars //= 10
    return Case(case.name, case.title, bars, case.columns, case.repeats, case.cells * bars // case.bars)


if __name__ == "__main__":
    main()
