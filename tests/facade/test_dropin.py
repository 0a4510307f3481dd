"""`import ml4t_backtest.dropin`: the published name resolves to this package, each time in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(program: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "kernels", *folders)))
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT.parent, env={"PYTHONPATH": path}
    )


def out(program: str, *folders: Path) -> str:
    done = run(program, *folders)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def package(folder: Path, name: str, text: str = "") -> None:
    """Make a package; its parents stay namespace packages."""
    place = folder.joinpath(*name.split("."))
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(text)


SAME = """
import ml4t_backtest.dropin
import ml4t.backtest, ml4t_backtest
import ml4t.backtest.risk.position.static as theirs
import ml4t_backtest.risk.position.static as ours
from ml4t.backtest import Engine, StopLoss
from ml4t.backtest.risk import StopLoss as FromRisk
from ml4t.backtest.types import OrderType
from ml4t.backtest._validation_imports import Broker
assert ml4t.backtest is ml4t_backtest
assert theirs is ours
assert Engine is ml4t_backtest.Engine and StopLoss is FromRisk is ml4t_backtest.StopLoss
assert OrderType is ml4t_backtest.OrderType and Broker is ml4t_backtest.Broker
assert ml4t_backtest.__spec__.name == ml4t_backtest.__name__ == "ml4t_backtest"
assert ours.__spec__.name == ours.__name__ == "ml4t_backtest.risk.position.static"
"""


def test_modules_and_objects_are_the_same_under_both_names() -> None:
    out(SAME)


def test_the_order_of_imports_does_not_matter() -> None:
    out("import ml4t_backtest.risk.position.static, ml4t_backtest.engine\n" + SAME)


def test_a_strategy_of_the_published_engine_runs() -> None:
    program = """
import ml4t_backtest.dropin
import polars as pl
from datetime import datetime
from ml4t.backtest import DataFeed, Engine, Strategy
class Buy(Strategy):
    def on_data(self, timestamp, data, context, broker):
        broker.submit_order("A", 1)
prices = pl.DataFrame({"timestamp": [datetime(2024, 1, 1), datetime(2024, 1, 2)], "asset": ["A", "A"], "close": [10.0, 11.0]})
print(Engine(DataFeed(prices_df=prices), Buy(), initial_cash=100.0).run()["final_value"])
"""
    assert out(program) == "101.0"


def test_importing_it_again_changes_nothing() -> None:
    program = """
import importlib, sys
import ml4t_backtest.dropin as dropin
before = [type(finder).__name__ for finder in sys.meta_path]
importlib.reload(dropin)
assert [type(finder).__name__ for finder in sys.meta_path] == before
import ml4t.backtest
importlib.reload(dropin)
"""
    out(program + SAME)


@pytest.mark.parametrize("name", ["ml4t.backtest.nothing", "ml4t.backtest.types.nothing", "ml4t.nothing"])
def test_what_is_not_there_is_named_as_it_was_asked_for(name: str) -> None:
    done = run(f"import ml4t_backtest.dropin\nimport {name}")
    assert f"ModuleNotFoundError: No module named '{name}'" in done.stderr


@pytest.mark.parametrize("kind", ["namespace", "package"])
def test_other_packages_of_the_namespace_stay_visible(tmp_path: Path, kind: str) -> None:
    if kind == "package":
        package(tmp_path, "ml4t")
    package(tmp_path, "ml4t.diagnostic", "from ml4t.backtest import BacktestResult\nKIND = 'diagnostic'")
    package(tmp_path, "ml4t.backtest", "KIND = 'published'")
    program = """
import ml4t_backtest.dropin
from ml4t.diagnostic import KIND, BacktestResult
import ml4t_backtest
print(KIND, BacktestResult is ml4t_backtest.BacktestResult)
"""
    assert out(program + SAME, tmp_path) == "diagnostic True"


def test_packages_of_the_namespace_that_come_later_are_found(tmp_path: Path) -> None:
    program = f"""
import ml4t_backtest.dropin
import ml4t.backtest
import importlib, pathlib
try:
    import ml4t.diagnostic
except ModuleNotFoundError:
    folder = pathlib.Path({str(tmp_path)!r}) / "ml4t" / "diagnostic"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("KIND = 'late'")
    importlib.invalidate_caches()
    from ml4t.diagnostic import KIND
    print(KIND)
"""
    assert out(program, tmp_path) == "late"


def test_after_the_published_engine_it_refuses(tmp_path: Path) -> None:
    package(tmp_path, "ml4t.backtest")
    done = run("import ml4t.backtest\nimport ml4t_backtest.dropin", tmp_path)
    assert f"ImportError: ml4t.backtest was imported before, from {tmp_path}" in done.stderr
    assert "import ml4t_backtest.dropin first" in done.stderr


def test_without_it_the_published_name_is_not_ours(tmp_path: Path) -> None:
    package(tmp_path, "ml4t.backtest", "KIND = 'published'")
    assert out("import ml4t_backtest.engine\nfrom ml4t.backtest import KIND; print(KIND)", tmp_path) == "published"
