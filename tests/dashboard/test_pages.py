"""What is found in a folder, and what the pages show of it."""

from __future__ import annotations

import math
import shutil
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ml4t_backtest.dashboard import Shelf
from ml4t_backtest.dashboard.pages import address_of_comparison, page
from ml4t_backtest.dashboard.words import cell, metric, settings_rows
from tests.dashboard.shelves import HOSTILE, fill_shelf, links_of, words_of
from tests.facade.test_export import run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    fill_shelf(folder)
    return Shelf(folder)


def asked(shelf: Shelf, path: str, **values: object) -> str:
    return words_of(page(shelf, path, "?" + urlencode(values)))


def test_results_are_found_by_their_paths(shelf: Shelf) -> None:
    entries = {entry.name: entry for entry in shelf.entries()}
    assert sorted(entries) == ["damaged", f"deep/odd {HOSTILE}", "deep/slow", "fast"]
    assert (entries["fast"].strategy, entries["fast"].status, entries["fast"].metrics["initial_cash"]) == ("Calls", "completed", 1_000.0)
    assert "fills.parquet is cut off" in entries["damaged"].problem
    assert shelf.load("deep/slow").result["initial_cash"] == 2_000.0


def test_a_folder_that_is_a_result(tmp_path: Path) -> None:
    run().to_parquet(tmp_path / "mine")
    alone = Shelf(tmp_path / "mine")
    assert [entry.name for entry in alone.entries()] == ["."]
    assert "this folder" in asked(alone, "/")
    assert "Profit factor" in asked(alone, "/result", run=".")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../shelf",
        "/etc",
        "/etc/passwd",
        "fast/..",
        "./fast",
        "fast/",
        "deep/../fast",
        "fast\0",
        "",
        "deep",
        "~",
        "C:\\",
        ".fast.0.tmp",
    ],
)
def test_only_names_of_the_list_are_opened(shelf: Shelf, name: str) -> None:
    with pytest.raises(KeyError):
        shelf.load(name)
    assert "There is no result named" in asked(shelf, "/result", run=name)
    assert "There is no result named" in asked(shelf, "/compare", run=name) or not name


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    run().to_parquet(tmp_path / "secret")
    run().to_parquet(tmp_path / "open" / "mine")
    (tmp_path / "open" / "door").symlink_to(tmp_path / "secret")
    (tmp_path / "open" / "mine" / "trades.parquet").unlink()
    (tmp_path / "open" / "mine" / "trades.parquet").symlink_to(tmp_path / "secret" / "trades.parquet")
    shelf = Shelf(tmp_path / "open")
    (entry,) = shelf.entries()
    assert (entry.name, "a link to a place outside" in entry.problem) == ("mine", True)
    with pytest.raises(ValueError, match="a link to a place outside"):
        shelf.load("mine")
    with pytest.raises(KeyError):
        shelf.load("door")
    assert "a link to a place outside" in asked(shelf, "/result", run="mine")


def test_what_was_saved_anew_is_read_anew(tmp_path: Path) -> None:
    run().to_parquet(tmp_path / "mine")
    shelf = Shelf(tmp_path)
    first = shelf.load("mine")
    assert shelf.load("mine") is first
    run(2_000.0).to_parquet(tmp_path / "mine")
    assert shelf.load("mine").result["initial_cash"] == 2_000.0
    assert shelf.entries()[0].metrics["initial_cash"] == 2_000.0
    for number in range(10):
        shutil.copytree(tmp_path / "mine", tmp_path / f"copy{number}")
        shelf.load(f"copy{number}")
    assert len(shelf._loaded) == 8
    shutil.rmtree(tmp_path / "mine")
    with pytest.raises(KeyError):
        shelf.load("mine")


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Shelf(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        Shelf(tmp_path / "file")
    (tmp_path / "file").unlink()
    assert "There are no results in" in asked(Shelf(tmp_path), "/")


def test_the_list_is_sorted_and_cut(shelf: Shelf, tmp_path: Path) -> None:
    text = asked(shelf, "/", sort="final_value", down=1)
    assert text.index("deep/slow") < text.index("fast") < text.index("damaged")  # without a figure last
    assert asked(shelf, "/", sort="final_value", down=0).index("fast") < asked(shelf, "/", sort="final_value").index("deep/slow")
    assert "cannot be read" in text
    assert text.index("Final value ↓") > 0
    assert asked(shelf, "/", sort="nonsense") == asked(shelf, "/")
    result = run()
    for number in range(120):
        if number < 2:
            result.to_parquet(tmp_path / f"run_{number:04d}")
        else:
            shutil.copytree(tmp_path / "run_0000", tmp_path / f"run_{number:04d}")
    many = Shelf(tmp_path)
    second = page(many, "/", "?sort=name&page=2")
    assert "51 to 100 of 120" in words_of(second)
    assert "/?sort=name&page=3" in links_of(second)
    assert "101 to 120 of 120" in asked(many, "/", page=99)
    for wrong in ("-1", "x", "1e9", "9" * 400, "²"):
        assert "1 to 50 of 120" in asked(many, "/", page=wrong)


def test_one_result(shelf: Shelf) -> None:
    result = shelf.load("fast").result
    text = asked(shelf, "/result", run="fast")
    assert "Calls · completed · 2024-01-01 to 2024-01-06 · 6 bars · 3 assets" in text
    assert f"{result['final_value']:,.2f}" in text
    assert "total_commission" in text
    trades = asked(shelf, "/result", run="fast", part="trades")
    assert all(column in trades for column in result.to_trades_dataframe().columns)
    assert "partial" in trades
    assert "rejected" in asked(shelf, "/result", run="fast", part="orders")
    assert "ORD-1" in asked(shelf, "/result", run="fast", part="fills")
    settings = asked(shelf, "/result", run="fast", part="settings")
    assert "cash.initial | 1,000" in settings
    assert "multiplier=3.0" in settings
    assert asked(shelf, "/result", run="fast", part="nonsense") == text
    assert "This result cannot be read" in asked(shelf, "/result", run="damaged")
    assert "There is no such page" in asked(shelf, "/elsewhere")


def test_results_of_which_parts_are_missing(tmp_path: Path) -> None:
    run().to_parquet(tmp_path / "figures", include=["metrics"])
    run().to_parquet(tmp_path / "trades", include=["trades"])
    run().to_parquet(tmp_path / "old", include=["equity", "config"])
    (tmp_path / "old" / "manifest.json").unlink()
    (tmp_path / "old" / "config.yaml").write_text("account: {wings: 2}")
    shelf = Shelf(tmp_path)
    assert "There are no orders" in asked(shelf, "/result", run="figures", part="orders")
    assert "no bars" in asked(shelf, "/result", run="figures")
    assert "were not saved" in asked(shelf, "/result", run="trades", part="settings")
    assert "config is None" in asked(shelf, "/result", run="old")
    assert "Comparison" in asked(shelf, "/compare")


def test_several_results_side_by_side(shelf: Shelf) -> None:
    text = words_of(page(shelf, "/compare", address_of_comparison(["fast", "deep/slow", "damaged", "nobody"])))
    for name in ("fast", "deep/slow"):
        assert f"{shelf.load(name).result['final_value']:,.2f}" in text
    assert "There is no result named 'damaged' that can be read." in text
    assert "There is no result named 'nobody' that can be read." in text
    assert words_of(page(shelf, "/compare", "?run=")) == "Comparison"


def test_numbers_and_settings_as_text() -> None:
    assert [cell(value) for value in (None, 1.0, 0.5, 1234.5, -0.0, 1e-7, math.nan, -math.inf, "x", datetime(2024, 1, 2), 3)] == [
        *("", "1", "0.5", "1,234.5", "0", "1e-07", "", "-∞", "x", "2024-01-02", "3"),
    ]
    assert cell(datetime(2024, 1, 2, 9, 30)) == "2024-01-02 09:30:00"
    assert metric({"cagr": 0.125}, "cagr", "{:+.2%}") == "+12.50 %"
    assert [metric({"win_rate": 0.0, "num_trades": 0.0}, "win_rate", "{}"), metric({"x": math.inf}, "x", "{}")] == ["–", "∞"]  # noqa: RUF001
    assert settings_rows({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None}) == [("a.b", "1"), ("a.c.d", "1, 2"), ("e", "")]
