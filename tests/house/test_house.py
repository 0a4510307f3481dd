"""The house rules, read off the sources: sizes, names, decorators, docstrings, what may be imported where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ml4t_backtest
from ml4t_kernels import dtypes

ROOT = Path(__file__).parents[2]
KERNELS = sorted((ROOT / "kernels" / "ml4t_kernels").rglob("*.py"))
UNDECORATED = ("_jit", "codes", "dtypes", "arrays.py")  # rooms of the kernels without kernels
SHARED = ("context.py", "readings.py")  # rooms whose functions also become part of users' code
FACADE = sorted((ROOT / "ml4t_backtest").rglob("*.py"))
SOURCES = [*KERNELS, *FACADE]
COMPARING = sorted(path for path in (ROOT / "validation").rglob("*.py") if ".environments" not in path.parts)
HOUSEHOLD = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py")), *COMPARING]
OTHER_NAMES = {"BacktestEngine": "Engine", "TrailHwmSource": "WaterMarkSource"}
LAYOUTS = [name for name in dtypes.__all__ if name.endswith("_dtype")]


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def decorators(function: ast.FunctionDef) -> set[str]:
    return {node.id for node in function.decorator_list if isinstance(node, ast.Name)}


def code_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", HOUSEHOLD, ids=named)
def test_files_are_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_functions_are_short_and_take_few_arguments(path: Path) -> None:
    lines = path.read_text().splitlines()
    for function in functions(path):
        assert code_lines(function) <= 40, function.name
        arguments = [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs) if argument.arg not in ("self", "cls")]
        published = "PLR0913" in "\n".join(lines[function.lineno - 1 : function.body[0].lineno])
        assert len(arguments) <= 8 or published, function.name


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_all_is_sorted_and_exists(path: Path) -> None:
    tree = ast.parse(path.read_text())
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    ]
    if path.name in ("__init__.py", "__main__.py") and not listed:
        return
    (names,) = listed
    assert sorted(names, key=lambda name: (not name.isupper(), name[:1].islower(), name)) == names


def test_the_root_lists_its_names_once_more_for_type_checkers() -> None:
    tree = ast.parse((ROOT / "ml4t_backtest" / "__init__.py").read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    lazy = {name: f"ml4t_backtest.{home}" for name, home in ml4t_backtest._HOME_OF.items()}
    assert typed == lazy
    assert sorted(lazy) == sorted(ml4t_backtest.__all__)
    for name in ml4t_backtest.__all__:
        assert getattr(ml4t_backtest, name).__name__ == OTHER_NAMES.get(name, name)
    with pytest.raises(AttributeError, match="did you mean 'DataFeed'"):
        _ = ml4t_backtest.DataFed


@pytest.mark.parametrize("path", KERNELS, ids=named)
def test_every_kernel_is_decorated_and_documents_its_arguments(path: Path) -> None:
    if path.relative_to(ROOT / "kernels" / "ml4t_kernels").parts[0] in (*UNDECORATED, *SHARED):
        return
    for function in functions(path):
        assert decorators(function) & {"array_kernel", "kernel", "entry", "long_entry"}, function.name
        if function.name.startswith("_"):
            continue
        text = ast.get_docstring(function) or ""
        for argument in function.args.args:
            if argument.arg in ("address", "ledger", "row", "bar"):
                continue  # the same everywhere: state record address, Ledger, order id - 1, Bar
            delegates = "arguments" in text or "of `" in text
            assert re.search(rf"\b{argument.arg}\b", text) or delegates, f"{function.name}({argument.arg})"


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_only_the_jit_room_knows_numba(path: Path) -> None:
    text = path.read_text()
    if path.parent.name == "_jit":
        assert path.name != "compiling.py" or '"fastmath": False' in text
        assert 'inline="always"' not in text
        assert "jitclass" not in text
        return
    assert not re.search(r"^\s*(import|from) numba", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_field_has_a_title_and_padding_only_at_the_end(name: str) -> None:
    layout: np.dtype[np.void] = getattr(dtypes, name)
    assert layout.fields is not None
    offset = 0
    for field in layout.names or ():
        kind, start, *title = layout.fields[field]
        assert title, field
        assert len(title[0]) > 5
        assert start == offset, field
        offset += kind.itemsize
    assert layout.itemsize - offset < 8
    assert dtypes.bare(layout).itemsize == layout.itemsize
    assert dtypes.bare(layout).names == layout.names


def test_records_share_field_names_with_the_public_objects() -> None:
    from ml4t_backtest.handles import Position
    from ml4t_backtest.types import Fill, Trade

    assert set(dtypes.trade_dtype.names or ()) <= set(Trade.__dataclass_fields__)
    assert set(dtypes.fill_dtype.names or ()) - {"bar"} <= set(Fill.__dataclass_fields__)
    inner = {
        "basis",
        "basis_bar",
        "basis_commission",
        "blocked_bar",
        "cost_basis",
        "debt",
        "entry_bar",
        "entry_order",
        "exit_order",
        "marks_bar",
        "position_id",
        "rule_set",
        "slot",
        "spent_bar",
    }
    assert all(hasattr(Position, name) for name in set(dtypes.position_dtype.names or ()) - inner)


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, ml4t_backtest, ml4t_backtest.types, ml4t_backtest.config; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": "kernels"}
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numba", "pandas", "polars", "matplotlib", "plotly", "pyarrow", "tqdm", "yaml"}


def test_the_plan_names_every_room() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text()
    for path in SOURCES:
        if path.name in ("__init__.py", "__main__.py"):
            continue
        assert f"`{path.stem}`" in plan, f"{named(path)} is not on the plan"
