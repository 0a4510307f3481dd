"""The command line, in process: what it prints, what it writes, how it fails."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from ml4t_backtest import BacktestConfig, BacktestResult, __version__
from ml4t_backtest.cli import main
from ml4t_kernels import _jit

FILES = [
    *("alerts.parquet", "cash_flows.parquet", "config.yaml", "daily_pnl.parquet", "equity.parquet", "fills.parquet"),
    *("manifest.json", "metrics.json", "orders.parquet", "trades.parquet"),
]
BARS = 40
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

SCALARS = {"3": 3, "1e-3": 0.001, "-.5E2": -50.0, "true": True, "'7'": "7", "9:30": "9:30", "a=b": "a=b", "[1, 2]": [1, 2], "": None}

STRATEGIES = """
from dataclasses import dataclass
from ml4t_backtest import ArrayStrategy, Strategy
from neighbour import SHARE

@dataclass
class Holder(Strategy):
    quantity: float = 10
    note: object = None
    error = None
    def on_start(self, broker):
        print("note", repr(self.note))
    def on_data(self, timestamp, data, context, broker):
        if broker.get_position("A") is None:
            broker.submit_order("A", self.quantity)
        if self.error and timestamp.day == 11:
            raise self.error  # the user's line

class Turner(ArrayStrategy):
    def on_arrays(self, timestamp, rows, context, broker):
        broker.order_target_weights([SHARE, 0.0] if timestamp.day % 2 else [0.0, SHARE])

class Failing(Holder):
    error = ZeroDivisionError("on the eleventh")

class Stopped(Holder):
    error = KeyboardInterrupt()

class Leaving(Holder):
    error = SystemExit(7)

class Unfinished(Strategy): ...

class Reader(Holder):
    def on_data(self, timestamp, data, context, broker):
        if context["calm"] and data["A"]["signals"]["buy"]:
            super().on_data(timestamp, data, context, broker)

class Picky(Holder):
    def __init__(self):
        raise LookupError("nothing suits")

class Plain: ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with prices.parquet, strategies.py and a neighbour that it imports."""
    days = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(BARS)]
    closes = [100.0 + day * step for day in range(BARS) for step in (1.0, -0.5)]
    prices = pl.DataFrame({"timestamp": [day for day in days for _ in "AB"], "symbol": ["A", "B"] * BARS, "close": closes})
    prices.write_parquet(tmp_path / "prices.parquet")
    (tmp_path / "strategies.py").write_text(STRATEGIES)
    (tmp_path / "neighbour.py").write_text("SHARE = 0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def run(name: str, *arguments: str) -> int:
    """Run a class of strategies.py on prices.parquet."""
    return main(["run", f"strategies.py:{name}", "--prices", "prices.parquet", *arguments])


def metrics_of(folder: Path) -> dict[str, Any]:
    """Check that a results folder is whole, and that its files agree; return the metrics, the status and the settings."""
    assert sorted(path.name for path in folder.iterdir()) == FILES
    trades, equity = pl.read_parquet(folder / "trades.parquet"), pl.read_parquet(folder / "equity.parquet")
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert len(equity) == metrics["num_bars"]
    assert equity["equity"][-1] == metrics["final_value"]
    assert trades["pnl"].sum() == pytest.approx(metrics["final_value"] - metrics["initial_cash"], rel=1e-6)
    assert len(trades) == metrics["num_trades"] + metrics["num_open_trades"]
    loaded = BacktestResult.from_parquet(folder)
    return {**metrics, "status": loaded.status, "settings": yaml.safe_load((folder / "config.yaml").read_text())}


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return str(lines[0])


@pytest.mark.parametrize(("command", "words"), [([], "demo run warmup --version"), (["run"], "--prices --param"), (["demo"], "--quiet")])
def test_help_lists_what_there_is(command: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in [" ".join(["usage: ml4t-backtest", *command]), *words.split()])


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from ml4t_backtest.cli import main; main(['--help']); main(['--version']);"
        "sys.exit(' '.join({'numba', 'numpy', 'polars', 'yaml'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version = done.stdout.splitlines()[-1]
    assert version.startswith(f"ml4t-backtest {__version__} (numba ")
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}." in version


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ml4t_backtest", "demo", "--out", str(tmp_path)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_warmup_prints_seconds_and_cache_and_announces_compiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML4T_KERNELS_CACHE", str(tmp_path))
    assert main(["warmup"]) == 0
    *before, ready, cache = capsys.readouterr().out.splitlines()
    assert "all kernels ready after" in ready
    assert cache.startswith("cache: ")
    if _jit.COMPILED:
        assert "compiling kernels, once per installation" in before[0]
        assert str(tmp_path) in cache


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demonstration once. Returns its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demonstration") / "out"
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setenv("COLUMNS", "80")
        assert main(["demo", "--out", str(folder)]) == 0
    return folder, printed.getvalue()


def test_demo_writes_files_that_agree(demonstration: tuple[Path, str]) -> None:
    folder, _ = demonstration
    stocks, nasdaq = metrics_of(folder / "stocks"), metrics_of(folder / "nasdaq")
    assert (stocks["num_bars"], nasdaq["num_bars"]) == (8313, 5031)
    for metrics in (stocks, nasdaq):
        assert metrics["status"] == "completed"
        assert metrics["num_trades"] > 10
        assert metrics["total_commission"] == pytest.approx(2 * metrics["total_slippage"], rel=1e-2)


def test_demo_prints_results_speed_and_caveat(demonstration: tuple[Path, str]) -> None:
    folder, text = demonstration
    metrics = metrics_of(folder / "stocks")
    assert f"{metrics['final_value']:,.2f}" in text
    assert f"{metrics['cagr']:.2%}".replace("%", " %") in text
    assert "survivorship bias" in text
    for word in ("Load data", "kernels", "Feed", "Run ", "Results", "Bars per second", "Asset-bars per second", "Buy & hold"):
        assert word in text
    assert str(folder / "nasdaq") in text
    paths = [line for line in text.splitlines() if str(folder) in line]
    assert all(len(line) <= 80 for line in text.splitlines() if line not in paths)


def test_quiet_demo_prints_results_only_and_replaces_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "stocks" / "metrics.json"
    old.parent.mkdir()
    old.write_text("{}")
    assert main(["demo", "--out", str(tmp_path), "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "Final value" in printed.out
    assert "survivorship bias" in printed.out
    assert "second" not in printed.out
    metrics_of(old.parent)


@pytest.mark.parametrize(("arguments", "words"), [([], "COMMAND"), (["bogus"], "'bogus'"), (["demo", "--out", __file__], "is a file")])
def test_a_command_is_needed_and_the_demo_a_folder(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert words in error_of(capsys)


@pytest.mark.filterwarnings("ignore:interrupted")
def test_demo_stops_at_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ml4t_backtest.examples.SmaCross.on_data", interrupt)
    assert main(["demo", "--out", str(tmp_path), "--quiet"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert metrics_of(tmp_path / "stocks")["status"] == "completed"
    assert metrics_of(tmp_path / "nasdaq")["status"] == "interrupted"


def test_run_prints_a_table_and_writes_the_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Holder") == 0
    metrics = metrics_of(folder / "results")
    assert metrics["settings"]["execution"]["execution_mode"] == "next_bar"
    assert metrics["settings"]["commission"]["rate"] == 0.001
    text = " ".join(capsys.readouterr().out.split())
    assert "next bar at the open, commission 0.1 %, slippage 0.1 %, cash account" in text
    assert f"{metrics['final_value']:,.2f}" in text
    assert "40 bars of 'A', 'B'" in text
    assert "asset-bars/s" in text


def test_run_takes_array_strategies_and_neighbours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.path[:]
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert main(["run", "../strategies.py:Turner", "--prices", "../prices.parquet", "--out", "deep/er"]) == 0
    assert metrics_of(folder / "elsewhere" / "deep" / "er")["num_trades"] > 20
    assert sys.path == before


def test_an_edited_file_is_read_again_and_without_our_future_imports(folder: Path) -> None:
    assert run("Turner") == 0
    edited = STRATEGIES.replace("% 2 else", "% 9 else") + "def f(x: int): ...\nassert f.__annotations__['x'] is int\n"
    (folder / "strategies.py").write_text(edited)
    assert run("Turner", "--out", "again") == 0
    assert metrics_of(folder / "again")["num_fills"] < metrics_of(folder / "results")["num_fills"]


def test_run_with_config_and_cash(folder: Path) -> None:
    BacktestConfig(initial_cash=5_000.0, commission_type="none", slippage_rate=0.002).to_yaml("mine.yaml")
    assert run("Holder", "--config", "mine.yaml") == 0
    metrics = metrics_of(folder / "results")
    assert (metrics["initial_cash"], metrics["total_commission"]) == (5_000.0, 0.0)
    assert metrics["settings"] == yaml.safe_load((folder / "mine.yaml").read_text())
    assert run("Holder", "--config", "mine.yaml", "--cash", "7e3", "--out", "richer") == 0
    assert metrics_of(folder / "richer")["initial_cash"] == 7_000.0


def test_run_with_preset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Holder", "--preset", "fast", "--no-progress") == 0
    assert "Settings 'fast': same bar at the close, no commission, no slippage" in " ".join(capsys.readouterr().out.split())
    assert metrics_of(folder / "results")["settings"]["account"]["type"] == "crypto"


def test_run_with_signals_and_context(folder: Path) -> None:
    prices = pl.read_parquet("prices.parquet")
    prices.select("timestamp", "symbol", buy=pl.col("close") > 103.0).write_parquet("signals.parquet")
    prices.select("timestamp", calm=pl.lit(value=True)).unique().write_parquet("context.parquet")
    assert run("Reader", "--signals", "signals.parquet", "--context", "context.parquet") == 0
    assert pl.read_parquet("results/trades.parquet")["entry_price"][0] == pytest.approx(105.0 * 1.001)


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_params_are_yaml(folder: Path, text: str, value: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Holder", "--param", "quantity=2", "--param", f"note={text}") == 0
    assert f"note {value!r}\n" in capsys.readouterr().out
    assert pl.read_parquet(folder / "results" / "trades.parquet")["quantity"].to_list() == [2.0]


def test_results_are_not_overwritten_unless_forced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "results").mkdir()
    (folder / "results" / "metrics.json").write_text("precious")
    assert run("Holder") == 2
    assert "--force" in error_of(capsys)
    assert (folder / "results" / "metrics.json").read_text() == "precious"
    assert run("Holder", "--force") == 0
    metrics_of(folder / "results")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["strategies.py:Holdr"], ["no class 'Holdr'", "did you mean 'Holder'?", "Turner"]),
        (["strategies.py:Plain"], ["'Plain'", "not derived from Strategy", "Holder"]),
        (["strategies.py:Unfinished"], ["does not define on_data"]),
        (["strategies.py"], ["expected FILE.py:Class"]),
        (["nowhere.py:Holder"], ["no such strategy file: nowhere.py"]),
        (["strategies.py:Holder", "--param", "quantty=3"], ["'quantty'", "did you mean 'quantity'?"]),
        (["strategies.py:Turner", "--param", "speed=3"], ["'speed'", "it takes no parameters"]),
        (["strategies.py:Holder", "--param", "quantity"], ["expected NAME=VALUE"]),
        (["strategies.py:Holder", "--param", "note=[1"], ["--param note", "no YAML value"]),
        (["strategies.py:Holder", "--param", "note=1", "--param", "note=2"], ["note was given twice"]),
        (["strategies.py:Holder", "--preset", "fats"], ["unknown preset 'fats'", "did you mean 'fast'?"]),
        (["strategies.py:Holder", "--config", "gone.yaml"], ["--config: no such file: gone.yaml"]),
        (["strategies.py:Holder", "--config", "bad.yaml"], ["bad.yaml", "unknown key 'rte'", "did you mean 'rate'?"]),
        (["strategies.py:Holder", "--config", "prices.parquet"], ["prices.parquet", "no text"]),
        (["strategies.py:Holder", "--config", "bad.yaml", "--preset", "fast"], ["not allowed with"]),
        (["strategies.py:Holder", "--cash", "much"], ["--cash", "'much'"]),
        (["strategies.py:Holder", "--cash", "0"], ["initial_cash was 0"]),
        (["strategies.py:Holder", "--signals", "gone.parquet"], ["--signals: no such file: gone.parquet"]),
        (["strategies.py:Holder", "--signals", "bad.yaml"], ["--signals: bad.yaml cannot be read as Parquet"]),
        (["strategies.py:Holder", "--prices", "negative.parquet"], ["'close' is -1.0", "asset 'A' at 2024-01-01"]),
        (["strategies.py:Holder", "--out", "bad.yaml"], ["bad.yaml is a file"]),
        (["strategies.py:Holder", "--bogus"], ["--bogus"]),
        (["strategies.py:Holder", "--prices", "gone.parquet"], ["--prices: no such file"]),
    ],
)
def test_wrong_usage_is_one_line_and_2(folder: Path, arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("commission:\n  rte: 0.1\n")
    prices = pl.read_parquet("prices.parquet")
    prices.with_columns(close=pl.when(pl.int_range(pl.len()) == 0).then(-1.0).otherwise("close")).write_parquet("negative.parquet")
    assert main(["run", "--prices", "prices.parquet", *arguments]) == 2
    message = error_of(capsys)
    assert message.startswith("ml4t-backtest: error: ")
    for word in words:
        assert word in message
    assert not (folder / "results").exists()


def test_a_failing_strategy_shows_its_line_and_leaves_the_run_so_far(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Failing") == 1
    metrics = metrics_of(folder / "results")
    assert (metrics["status"], metrics["num_bars"], metrics["num_fills"]) == ("failed", 11, 1)
    printed = capsys.readouterr()
    for words in ("Traceback", "raise self.error  # the user's line", "ZeroDivisionError: on the eleventh", "bar 10 (2024-01-11"):
        assert words in printed.err
    assert "11 of 40 bars" in printed.err.splitlines()[-1]
    assert "Final value" not in printed.out


@pytest.mark.parametrize(("name", "words"), [("Picky", "nothing suits"), ("Broken", "SyntaxError"), ("Missing", "no_such_module")])
def test_code_that_fails_before_the_run_shows_its_traceback(
    folder: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = {"Broken": "def (:\n", "Missing": "import no_such_module\n"}.get(name, "")
    (folder / "strategies.py").write_text(STRATEGIES + extra)
    assert run(name) == 1
    message = capsys.readouterr().err
    assert "strategies.py" in message
    assert words in message
    assert not (folder / "results").exists()


@pytest.mark.no_identities  # whose wrapper would be where the warning is said to come from
@pytest.mark.filterwarnings("always")
def test_ctrl_c_leaves_the_run_so_far(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Stopped") == 130
    metrics = metrics_of(folder / "results")
    assert (metrics["status"], metrics["num_bars"]) == ("interrupted", 11)
    printed = capsys.readouterr()
    assert printed.err.startswith("ml4t-backtest: warning: interrupted")
    assert "Final value" in printed.out


def test_sys_exit_in_a_strategy_keeps_its_code(folder: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        run("Leaving")
    assert stop.value.code == 7
    assert metrics_of(folder / "results")["status"] == "failed"


def test_ctrl_c_before_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "strategies.py").write_text("raise KeyboardInterrupt\n")
    assert run("Holder") == 130
    assert error_of(capsys) == "ml4t-backtest: interrupted"


def test_failure_to_write_is_one_line_and_1(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ml4t_backtest.archive.write_synced", full)
    assert run("Holder") == 1
    assert "No space left" in error_of(capsys)
    assert list((folder / "results").iterdir()) == []
