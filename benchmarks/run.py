"""Measure this library against its promises and print one table: python benchmarks/run.py --help."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rows_compiled
import rows_data
import rows_kernel
import rows_loop
import rows_start
import rows_sweep
from report import Row, as_text, versions, write_json
from setting import Published, Setting
from speed import slowness

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS: dict[str, Callable[[Setting], list[Row]]] = {
    "every_asset": rows_loop.every_asset,
    "every_asset_heavy": rows_loop.every_asset_heavy,
    "one_asset": rows_loop.one_asset,
    "empty": rows_loop.empty,
    "single_series": rows_loop.single_series,
    "array_signals": rows_loop.array_signals,
    "array_weights": rows_loop.array_weights,
    "one_fill": rows_kernel.one_fill,
    "position_rules": rows_kernel.position_rules,
    "import": rows_start.imports,
    "first_result": rows_start.first_result,
    "ingest": rows_data.ingest,
    "ingest_large": rows_data.ingest_large,
    "memory": rows_data.memory,
    "compiled": rows_compiled.compiled,
    "compiled_sweep": rows_compiled.compiled_sweep,
    "sweep": rows_sweep.sweeps,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split(":", maxsplit=1)[0] + ".")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bars, fewer processes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=GROUPS, help=f"only these groups of rows: {', '.join(GROUPS)}")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs that a median is taken of (default 3)")
    parser.add_argument("--reference-python", metavar="PATH", help="an interpreter that has the published ml4t-backtest installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a limit is missed")
    chosen = parser.parse_args()
    if chosen.repeats < 1:
        parser.error("--repeats must be at least 1")
    return chosen


def measure(setting: Setting, names: list[str]) -> list[Row]:
    """Run the groups in turn, telling where it is, as a full run takes minutes."""
    rows: list[Row] = []
    for name in names:
        print(f"... {name}", file=sys.stderr, flush=True)
        before = slowness()
        made = GROUPS[name](setting)
        now = (before + slowness()) / 2
        rows += [replace(row, slowness=now) for row in made]
    return rows


def main() -> int:
    """Run the benchmarks; returns the exit code."""
    chosen = arguments()
    published = Published(chosen.reference_python) if chosen.reference_python else None
    if published is not None and published.missing:
        sys.exit(f"--reference-python cannot import ml4t.backtest: {published.missing}")
    setting = Setting(quick=chosen.quick, repeats=chosen.repeats, published=published)
    try:
        rows = measure(setting, chosen.only or list(GROUPS))
    finally:
        if published is not None:
            published.close()
    print(", ".join(f"{name} {value}" for name, value in versions().items()), "(quick)" if chosen.quick else "")
    print(as_text(rows))
    print("measured: CPU time; wall: the same by the clock; the last columns: times as long as this library")
    slow = [row.slowness for row in rows]
    print(
        f"at ref.: measured, scaled to the machine of the limits; plain Python took {min(slow):.2f} to {max(slow):.2f} times as long here"
    )
    for remark in setting.remarks:
        print(f"remark: {remark}")
    if chosen.json:
        write_json(chosen.json, rows, None if published is None else published.report)
    return int(chosen.strict and any(row.verdict == "MISS" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
