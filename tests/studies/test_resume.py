"""A study on disk: it goes on where it ended, belongs to one study, and holds whole rows or none."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import ml4t_backtest
from ml4t_backtest import BacktestConfig, DataFeed, PercentageSlippage, Study, sweep
from ml4t_backtest.studies import checkpoints
from ml4t_backtest.studies.digests import digest
from tests.studies.strategies import Crossing, Failing, feed_of, walk

GRID = {"fast": [2, 3, 4, 5], "slow": [7, 9]}
run = partial(sweep, executor="serial")
FACTOR = 2


class Counted(Failing):
    """Counts its runs, and is interrupted when it is told to."""

    made: ClassVar[list[int]] = []
    stop_at: int | None = None

    def on_start(self, broker: Any) -> None:
        if len(self.made) == type(self).stop_at:
            raise KeyboardInterrupt
        self.made.append(self.fast)


@pytest.fixture(autouse=True)
def fresh() -> None:
    Counted.made.clear()
    Counted.stop_at = None


def rows_of(study: Study) -> pl.DataFrame:
    return study.frame.drop("seconds")


def test_a_study_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    feed = feed_of()
    expected = rows_of(run(feed, Counted, GRID))
    Counted.made.clear()
    Counted.stop_at = 3
    with pytest.warns(UserWarning, match="interrupted: the study holds the sets that were finished of 8"):
        study = run(feed, Counted, GRID, resume=tmp_path / "study")
    assert study.status == "interrupted"
    assert 0 < len(study) < 8
    finished = len(study)
    Counted.made.clear()
    Counted.stop_at = None
    study = run(feed, Counted, GRID, resume=str(tmp_path / "study"))
    assert study.status == "completed"
    assert rows_of(study).equals(expected)
    assert len(Counted.made) == expected.filter(pl.col("fast") != 4).height - finished
    Counted.made.clear()
    assert run(feed, Counted, GRID, resume=tmp_path / "study").frame.equals(study.frame)
    assert not Counted.made


def test_an_interrupted_study_without_a_folder() -> None:
    Counted.stop_at = 2
    with pytest.warns(UserWarning, match="interrupted"):
        study = run(feed_of(), Counted, GRID)
    assert study.status == "interrupted"
    Counted.stop_at = None
    assert rows_of(study).equals(rows_of(run(feed_of(), Counted, GRID)).head(2))


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    feed = feed_of()
    first = run(feed, Failing, GRID, resume=tmp_path, keep="all")
    again = run(feed, Failing, GRID, resume=tmp_path, keep="all")
    for number in (0, 1, 3):
        assert again.equity(number).equals(first.equity(number))
        assert again.trades(number).equals(first.trades(number))
        assert again._block.kept[number].trades is not None
        assert again.equity(number).equals(first.rerun(number).to_equity_dataframe().select("timestamp", "equity"))


class Changed(Crossing):
    def on_end(self, broker: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("grid", {"grid": {"fast": [2, 3, 4, 6], "slow": [7, 9]}}),
        ("parameters", {"grid": {"fast": [2, 3, 4, 5], "quantity": [7, 9]}}),
        ("config", {"initial_cash": 5_000.0}),
        ("arguments", {"slippage_model": PercentageSlippage(0.1)}),
        ("keep", {"keep": "curve"}),
        ("strategy", {"strategy": Changed}),
        ("data", {"feed": DataFeed(walk().with_columns(pl.col("close") * 1.0000001))}),
    ],
)
def test_another_study_is_refused_and_the_difference_named(tmp_path: Path, name: str, change: dict[str, Any]) -> None:
    given = {"feed": feed_of(), "strategy": Crossing, "grid": GRID}
    run(**given, resume=tmp_path)
    with pytest.raises(ValueError, match=f"holds another study: {name} differs"):
        run(**{**given, **change}, resume=tmp_path)


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(feed_of(), Crossing, GRID, resume=tmp_path)
    monkeypatch.setattr(ml4t_backtest, "__version__", "9.9.9")
    with pytest.raises(ValueError, match="package version differs"):
        run(feed_of(), Crossing, GRID, resume=tmp_path)


def test_folders_that_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file, expected a folder"):
        run(feed_of(), Crossing, GRID, resume=tmp_path / "file")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "prices.parquet")
    with pytest.raises(ValueError, match="holds Parquet files without a manifest"):
        run(feed_of(), Crossing, GRID, resume=tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        run(feed_of(), Crossing, GRID, resume=tmp_path)


def test_a_crash_while_writing_leaves_whole_rows_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_ROWS", 2)
    written: list[Path] = []

    def crash(file: Any) -> None:
        if len(written) == 2:  # the manifest and the first rows are there
            os.truncate(file.fileno(), 100)
            raise OSError("no space left")
        written.append(Path(file.name))

    monkeypatch.setattr(checkpoints, "_sync", crash)
    with pytest.raises(OSError, match="no space left"):
        run(feed_of(), Counted, GRID, resume=tmp_path)
    monkeypatch.undo()
    assert list(tmp_path.glob("*.tmp"))
    kept = sum(pl.read_parquet(file).height for file in tmp_path.glob("rows-*.parquet"))
    assert 2 <= kept < 8
    assert rows_of(run(feed_of(), Counted, GRID, resume=tmp_path)).equals(rows_of(run(feed_of(), Counted, GRID)))


def test_rows_survive_an_interrupted_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_ROWS", 2)
    calls: list[Any] = []

    def interrupt(file: Any) -> None:
        calls.append(file)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "_sync", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        study = run(feed_of(), Failing, GRID, resume=tmp_path)
    assert study.frame["set"].to_list() == [0, 1]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    run(feed_of(), Crossing, GRID, resume=tmp_path)
    (file,) = tmp_path.glob("rows-*.parquet")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"{file.name} cannot be read"):
        run(feed_of(), Crossing, GRID, resume=tmp_path)
    file.unlink()
    assert len(run(feed_of(), Crossing, GRID, resume=tmp_path)) == 8


def test_two_files_with_the_same_rows(tmp_path: Path) -> None:
    study = run(feed_of(), Crossing, GRID, resume=tmp_path)
    (file,) = tmp_path.glob("rows-*.parquet")
    shutil.copy(file, tmp_path / "rows-000000000000-copied.parquet")
    assert run(feed_of(), Crossing, GRID, resume=tmp_path).frame.equals(study.frame)


def test_rows_stream_through_processes(tmp_path: Path) -> None:
    study = sweep(feed_of(), Crossing, GRID, executor="processes", workers=2, resume=tmp_path)
    assert rows_of(study).equals(rows_of(run(feed_of(), Crossing, GRID)))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["parameters"] == "fast, slow"


def helper(value: float) -> float:
    return value * FACTOR


def test_digests_see_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(number: int) -> Any:
        def inner(fast: int = 2) -> Any:
            # a comment
            return Crossing(fast, number)

        return inner

    assert digest(make(8)) == digest(make(8)) != digest(make(9))
    assert digest(np.arange(3)) != digest(np.arange(3.0))
    assert digest(partial(Crossing, slow=3)) != digest(partial(Crossing, slow=4))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
    assert digest(PercentageSlippage(0.1)) != digest(PercentageSlippage(0.2))
    assert digest(True) != digest(1) != digest(1.0)
    assert digest(pl.DataFrame({"a": [1]})) != digest(pl.DataFrame({"a": [2]}))
    before = digest(helper)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert digest(helper) != before
    assert digest(BacktestConfig().to_dict()) == digest(BacktestConfig().to_dict())
