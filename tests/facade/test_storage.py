"""Folders that are not what they were: killed saves, cut and changed files, files of others, other versions, odd names."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t_backtest.archive import holds_result
from ml4t_backtest.contracts import AssetClass, ContractSpec
from ml4t_backtest.manifest import SCHEMA_VERSION
from ml4t_backtest.result import BacktestResult
from tests.facade.feeds import feed
from tests.facade.test_export import CLOSES, FILES, assert_same, run

ODD_NAMES = ["with space", "-dash", "ünïcödé", "a'b\"c;$(d)`e`", "new\nline", "<b>bold", "100%", "*?[x]", "x" * 240]


class Killed(BaseException):
    """The process is gone: from here on nothing happens on the disk."""


class Killing:
    """Counts what is about to be done below a folder (open to write, make, rename, remove) and stops before the n-th of it."""

    def __init__(self) -> None:
        self.folder, self.left, self.seen = "", 0, 0
        self.active = False
        sys.addaudithook(self.hook)  # hooks cannot be taken off again

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or event not in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}:
            return
        if event == "open":
            written = arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if not written or not str(arguments[0]).startswith(self.folder):
                return
        self.seen += 1
        if self.seen > self.left:
            raise Killed

    @contextmanager
    def after(self, steps: int, folder: Path) -> Iterator[None]:
        self.folder, self.left, self.seen, self.active = str(folder), steps, 0, True
        try:
            yield
        finally:
            self.active = False


KILLING = Killing()


def killed_saves(result: BacktestResult, folder: Path, inside: Path) -> Iterator[int]:
    """Save, killed after 0, 1, 2, ... steps; yield the number of each save that died. The folder is as it was before each."""
    before = inside / "before"
    if folder.exists():
        shutil.copytree(folder, before)
    for steps in range(200):
        with KILLING.after(steps, folder.parent):
            try:
                result.to_parquet(folder)
                return
            except Killed:
                pass
        yield steps
        for left in folder.parent.iterdir():
            shutil.rmtree(left)
        if before.exists():
            shutil.copytree(before, folder)
    raise AssertionError("a save has fewer steps")


def test_a_killed_first_save_leaves_nothing_that_loads(tmp_path: Path) -> None:
    result, home = run(), tmp_path / "home"
    home.mkdir()
    deaths = 0
    for _ in killed_saves(result, home / "mine", tmp_path):
        deaths += 1
        if (home / "mine").exists():
            assert_same(BacktestResult.from_parquet(home / "mine"), result)
        else:
            with pytest.raises(FileNotFoundError, match="no such folder"):
                BacktestResult.from_parquet(home / "mine")
    assert deaths > len(FILES)
    assert_same(BacktestResult.from_parquet(home / "mine"), result)


def test_a_killed_save_leaves_the_old_result_or_the_new_one(tmp_path: Path) -> None:
    old, new, home = run(), run(2_000.0), tmp_path / "home"
    old.to_parquet(home / "mine")
    states = set()
    for _ in killed_saves(new, home / "mine", tmp_path):
        if not (home / "mine").exists():
            with pytest.raises(FileNotFoundError, match="rename that folder") as missing:
                BacktestResult.from_parquet(home / "mine")
            (aside,) = home.glob("*.old")
            assert str(aside) in str(missing.value)
            aside.rename(home / "mine")
            states.add("aside")
        found = BacktestResult.from_parquet(home / "mine")
        states.add(str(found["initial_cash"]))
        assert_same(found, old if found["initial_cash"] == 1_000.0 else new)
    assert states == {"1000.0", "2000.0", "aside"}
    assert [entry.name for entry in home.iterdir()] == ["mine"]


def test_a_killed_save_among_files_of_others_is_never_a_mixture(tmp_path: Path) -> None:
    old, new, home = run(), run(2_000.0), tmp_path / "home"
    old.to_parquet(home / "mine")
    (home / "mine" / "notes.txt").write_text("mine")
    refused = 0
    for _ in killed_saves(new, home / "mine", tmp_path):
        assert (home / "mine" / "notes.txt").read_text() == "mine"
        if '"complete": false' in (home / "mine" / "manifest.json").read_text():
            with pytest.raises(ValueError, match="parts of two results"):
                BacktestResult.from_parquet(home / "mine")
            refused += 1
            new.to_parquet(home / "mine")  # what the message says mends it
            assert {entry.name for entry in (home / "mine").iterdir()} == {*FILES, "notes.txt"}
        found = BacktestResult.from_parquet(home / "mine")
        assert_same(found, old if found["initial_cash"] == 1_000.0 else new)
    assert refused >= len(FILES)
    assert sorted(entry.name for entry in (home / "mine").iterdir()) == sorted([*FILES, "notes.txt"])


@pytest.mark.parametrize("others", [False, True])
def test_a_save_that_fails_at_any_step_leaves_the_old_result(tmp_path: Path, others: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error, not a kill: the save has time to clean up."""
    import ml4t_backtest.archive as module

    old, new, real = run(), run(2_000.0), module.write_synced
    old.to_parquet(tmp_path / "mine")
    if others:
        (tmp_path / "mine" / "notes.txt").write_text("mine")
    for failing in range(len(FILES)):
        count = iter(range(100))

        def full(path: Path, write: Any, count: Any = count, failing: int = failing) -> None:
            if next(count) == failing:
                path.write_bytes(b"PAR1 half")
                raise OSError(errno.ENOSPC, "No space left on device")
            real(path, write)

        monkeypatch.setattr(module, "write_synced", full)
        with pytest.raises(OSError, match=r"cannot be written to .*mine: No space left on device") as caught:
            new.to_parquet(tmp_path / "mine")
        assert caught.value.errno == errno.ENOSPC
        assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]
        assert_same(BacktestResult.from_parquet(tmp_path / "mine"), old)


def test_a_disk_that_fills_up_while_a_file_is_written(tmp_path: Path) -> None:
    result = run()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be written to .*mine"):
            result.to_parquet(tmp_path / "mine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_cut_changed_or_gone_are_named(tmp_path: Path, name: str) -> None:
    run().to_parquet(tmp_path / "mine")
    path = tmp_path / "mine" / name
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        if name == "manifest.json" and length == len(whole) - 1:
            continue  # the line end
        with pytest.raises(ValueError, match="JSON" if name == "manifest.json" else "is cut off"):
            BacktestResult.from_parquet(tmp_path / "mine")
        with pytest.raises(ValueError, match=name):
            BacktestResult.from_parquet(tmp_path / "mine")
    path.unlink()
    if name != "manifest.json":
        with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
            BacktestResult.from_parquet(tmp_path / "mine")
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=f"{name} was changed or damaged"):
            BacktestResult.from_parquet(tmp_path / "mine")
        path.write_bytes(whole + b"\n")
        with pytest.raises(ValueError, match=f"{name} was changed"):
            BacktestResult.from_parquet(tmp_path / "mine")
    assert holds_result(tmp_path / "mine")


def without_manifest(folder: Path) -> Path:
    run().to_parquet(folder)
    (folder / "manifest.json").unlink()
    return folder


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("manifest.json", "daily_pnl.parquet")])
def test_damage_in_folders_without_a_manifest_is_named(tmp_path: Path, name: str) -> None:
    folder = without_manifest(tmp_path / "mine")
    BacktestResult.from_parquet(folder)
    (folder / name).write_text("{[")
    with pytest.raises(ValueError, match=name):
        BacktestResult.from_parquet(folder)
    if name.endswith(".parquet"):
        pl.DataFrame({"x": [1], "y": ["z"]}).write_parquet(folder / name)
        with pytest.raises(ValueError, match=f"{name} is not of a saved result: it has no column"):
            BacktestResult.from_parquet(folder)


def test_columns_of_wrong_types_are_named(tmp_path: Path) -> None:
    folder = without_manifest(tmp_path / "mine")
    trades = pl.read_parquet(folder / "trades.parquet")
    for column, wrong in (("entry_price", "ten"), ("status", "lost"), ("exit_time", "soon"), ("entry_order", "first")):
        trades.with_columns(pl.lit(wrong).alias(column)).write_parquet(folder / "trades.parquet")
        with pytest.raises(ValueError, match=rf"trades.parquet cannot be read: .*{wrong}"):
            BacktestResult.from_parquet(folder)
    equity = pl.read_parquet(folder / "equity.parquet")
    equity.with_columns(pl.lit("much").alias("equity")).write_parquet(folder / "equity.parquet")
    trades.write_parquet(folder / "trades.parquet")
    with pytest.raises(ValueError, match=r"equity.parquet cannot be read: .*much"):
        BacktestResult.from_parquet(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99, "package_version": "7.0"}, r"schema version 99 \(written by version 7.0\).*upgrade"),
        ({"schema_version": "2"}, "schema version '2', expected 1 to 2"),
        ({"schema_version": True}, "schema version True"),
        ({"format": "somebody's app"}, "not of a saved result"),
        ({"files": {"../secret.txt": {"bytes": 1, "sha256": ""}}}, "files has '../secret.txt', not what a save writes"),
        ({"files": {"trades.parquet": {"bytes": "1"}}}, "files has 'trades.parquet', not what a save writes"),
        ({"files": ["/etc/passwd"]}, "files has '/etc/passwd'"),
        ({"assets": "A"}, "assets is 'A', not what a save writes"),
        ({"contract_specs": {"B": 3}}, "contract_specs cannot be read: that of 'B' is 3"),
        ({"initial_cash": "much"}, "initial_cash is 'much'"),
        ({"complete": False}, "interrupted; save the result again"),
        ({"contract_specs": {"B": {"symbol": "B", "wings": 2}}}, "contract_specs cannot be read.*wings"),
        ({"contract_specs": {"B": {"symbol": "B", "multiplier": -1.0}}}, "contract_specs cannot be read.*multiplier"),
    ],
)
def test_other_versions_and_other_programs_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    run().to_parquet(tmp_path / "mine")
    path = tmp_path / "mine" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=message) as caught:
        BacktestResult.from_parquet(tmp_path / "mine")
    assert str(tmp_path / "mine") in str(caught.value)


def test_the_first_schema_loads(tmp_path: Path) -> None:
    """Version 1: files by name, no contract specs, cash flows and alerts as public frames."""
    result = run()
    result.to_parquet(tmp_path / "mine")
    path = tmp_path / "mine" / "manifest.json"
    saved = json.loads(path.read_text())
    assert saved["schema_version"] == SCHEMA_VERSION
    first = {name: saved[name] for name in ("format", "status", "initial_cash", "preset_name", "assets")}
    path.write_text(json.dumps({**first, "schema_version": 1, "files": [name for name in FILES if name != "manifest.json"]}))
    result.to_alerts_dataframe().write_parquet(tmp_path / "mine" / "alerts.parquet")
    result.to_cash_flows_dataframe().write_parquet(tmp_path / "mine" / "cash_flows.parquet")
    loaded = BacktestResult.from_parquet(tmp_path / "mine")
    assert loaded.contract_specs == {}
    assert loaded.strategy_name is None
    loaded.contract_specs, loaded.strategy_name = result.contract_specs, result.strategy_name
    assert_same(loaded, result)
    (tmp_path / "mine" / "fills.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"fills.parquet is missing"):
        BacktestResult.from_parquet(tmp_path / "mine")


def test_what_the_manifest_holds(tmp_path: Path) -> None:
    spec = ContractSpec("B", asset_class="future", multiplier=3.0, margin=2.0, currency="EUR", name="<b>|x")
    result = run(contract_specs={"B": spec, "unused": ContractSpec("unused", multiplier=7.0)})
    result.to_parquet(tmp_path / "mine")
    loaded = BacktestResult.from_parquet(tmp_path / "mine")
    assert loaded.contract_specs["B"] == spec
    assert loaded.contract_specs["B"].asset_class is AssetClass.FUTURE
    assert (loaded.strategy_name, loaded._multipliers.tolist()) == ("Calls", [1.0, 3.0, 7.0])
    manifest = json.loads((tmp_path / "mine" / "manifest.json").read_text())
    assert manifest["package_version"]
    assert sorted(manifest["files"]) == [name for name in FILES if name != "manifest.json"]
    assert pl.read_parquet_metadata(tmp_path / "mine" / "trades.parquet")
    with (tmp_path / "mine" / "trades.parquet").open("rb") as file:
        import pyarrow.parquet as pq

        assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_of_folders_and_assets(tmp_path: Path, name: str) -> None:
    result = run(source=feed({name: CLOSES["A"], "A": CLOSES["A"], "B": CLOSES["B"]}))
    for _ in range(2):
        paths = result.to_parquet(tmp_path / name)
    assert paths["trades"] == tmp_path / name / "trades.parquet"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    loaded = BacktestResult.from_parquet(tmp_path / name)
    assert_same(loaded, result)
    assert loaded.assets[0] in (name, "A")


def test_links_the_current_folder_and_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run()
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert result.to_parquet(tmp_path / "link")["trades"] == tmp_path / "link" / "trades.parquet"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700
    monkeypatch.chdir(tmp_path / "real")
    result.to_parquet(".")
    assert Path.cwd() == tmp_path / "real"  # it is still there
    assert sorted(entry.name for entry in Path().iterdir()) == FILES
    assert_same(BacktestResult.from_parquet("."), result)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    result.to_parquet("~/mine")
    assert_same(BacktestResult.from_parquet("~/mine"), result)
    assert (tmp_path / "home" / "mine" / "trades.parquet").is_file()


def test_files_of_others_under_our_names_are_not_overwritten(tmp_path: Path) -> None:
    for name, text in (("config.yaml", "theirs: 1"), ("manifest.json", '{"name": "web app"}'), ("manifest.json", '{"format": 3}')):
        folder = tmp_path / "project"
        folder.mkdir()
        (folder / name).write_text(text)
        with pytest.raises(FileExistsError, match=rf"project has {name} of something else"):
            run().to_parquet(folder)
        assert [(entry.name, entry.read_text()) for entry in folder.iterdir()] == [(name, text)]
        shutil.rmtree(folder)


def test_a_damaged_result_may_be_saved_again(tmp_path: Path) -> None:
    result = run()
    result.to_parquet(tmp_path / "mine")
    (tmp_path / "mine" / "manifest.json").write_text("{")
    result.to_parquet(tmp_path / "mine")
    assert_same(BacktestResult.from_parquet(tmp_path / "mine"), result)


def test_paths_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is a file"):
        run().to_parquet(tmp_path / "file")
    with pytest.raises(OSError, match=r"cannot be written to .*/file/below"):
        run().to_parquet(tmp_path / "file" / "below")
    with pytest.raises(OSError, match=r"cannot be written to /proc/mine"):
        run().to_parquet("/proc/mine")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert not holds_result(tmp_path)
