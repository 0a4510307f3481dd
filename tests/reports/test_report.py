"""The report file: what is in it, what must not be, where it may go."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from ml4t_backtest import BacktestConfig, BacktestResult, ContractSpec, DataFeed, Engine, compare
from ml4t_backtest.reports.headlines import COUNTS, HEADLINES, MONEY, PERCENTS, form_of
from tests.reports.runs import HOSTILE, Nothing, Reading, Turns, prices, ruined, run

SECTIONS = {
    "equity",
    "monthly",
    "yearly",
    "rolling",
    "drawdowns",
    "exposure",
    "statistics",
    "trades",
    "returns",
    "exit_reasons",
    "assets",
    "costs",
    "orders",
    "alerts",
    "settings",
}


def read(result: Any, folder: Path, **options: Any) -> Reading:
    path = result.report(folder / "report.html", **options)
    assert path == folder / "report.html"
    return Reading(path.read_text(encoding="utf-8"))


def figures(page: Reading) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(page.scripts[0])["figures"]
    return made


def sections(page: Reading) -> set[str]:
    return {str(attributes["id"]) for tag, attributes in page.tags if tag == "section"}


def test_every_section_is_there(tmp_path: Path) -> None:
    result = run(bars=200)
    page = read(result, tmp_path, title="Turns of two")
    assert sections(page) >= SECTIONS
    assert page.text.count("Turns of two") == 2
    assert "completed 2020-01-30 to 2020-08-16 200 bars 2 assets" in page.text
    assert f"{result['final_value']:,.2f}" in page.text
    drawn = figures(page)
    assert set(drawn) <= {str(attributes["id"]).removeprefix("plot-") for tag, attributes in page.tags if "id" in attributes}
    account = next(trace for trace in drawn["equity"]["data"] if trace["name"] == "Account value")
    assert account["y"] == result.to_equity_dataframe()["equity"].to_list()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html"]


def test_nothing_is_fetched(tmp_path: Path) -> None:
    page = read(run(), tmp_path)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base"), tag
        assert not {"src", "href", "srcset", "action"} & set(attributes), (tag, attributes)
    style = re.findall(r"<style>(.*?)</style>", (tmp_path / "report.html").read_text(), flags=re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    policy = next(str(a["content"]) for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    assert allowed == [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts[1:]]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    plain = read(run(assets=tuple("ABCDEFG")), tmp_path)
    result = run(assets=HOSTILE)
    result.config = BacktestConfig(timezone="<b>bold</b>", preset_name="</script><script>alert(2)</script>")
    page = read(result, tmp_path, title='</title><script>alert("3")</script>')
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 3
    assert tags.count("title") == 1
    assert set(tags) == {tag for tag, _ in plain.tags} | {"h3"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<b>bold</b>" in page.text
    assert '</title><script>alert("3")</script>' in page.text
    assert not re.search("[<>&'\u2028\u2029]", page.scripts[0])
    labels = figures(page)["assets"]["data"][0]["text"]
    assert any(label.startswith("&lt;img src=x onerror=alert(1)&gt;") for label in labels)
    assert not any("<" in label or "%{" in label for label in labels)


def test_a_run_without_trades(tmp_path: Path) -> None:
    page = read(run(strategy=Nothing()), tmp_path)
    assert "No trade was closed." in page.text
    assert "No order was placed" in page.text
    assert "Nothing was paid" in page.text
    assert "never fell below an earlier high" in page.text
    assert set(figures(page)) == {"equity", "yearly", "rolling", "exposure"}


@pytest.mark.parametrize("bars", [1, 2])
def test_short_runs(bars: int, tmp_path: Path) -> None:
    page = read(run(bars=bars), tmp_path)
    assert f" {bars} bar" in page.text
    assert "too short for a window" in page.text
    assert figures(page)["equity"]["data"][0]["mode"] == ("markers" if bars == 1 else "lines")


def test_a_ruined_account(tmp_path: Path) -> None:
    result = ruined()
    assert result["final_value"] < 0.0
    page = read(result, tmp_path)
    assert "The account was worth nothing or less on 2020-01-04" in page.text
    assert "There is no log scale" in page.text
    assert "button" not in [tag for tag, _ in page.tags]
    assert "nan" not in page.scripts[0].lower()


def test_a_benchmark_is_drawn_and_compared(tmp_path: Path) -> None:
    result = run(bars=100, assets=("A", "B"))
    page = read(result, tmp_path, benchmark="B")
    assert "relative" in sections(page)
    assert "Against B" in page.text
    relative = result.relative_to("B")
    assert f"beta {relative['beta']:.3g}" in page.text
    drawn = {trace["name"]: trace for trace in figures(page)["equity"]["data"]}
    assert drawn["B"]["y"][0] == result.to_equity_dataframe()["equity"][0]
    assert drawn["B"]["y"][-1] / drawn["B"]["y"][0] == pytest.approx(1.0 + relative["benchmark_total_return"])
    assert [trace["name"] for trace in figures(page)["rolling"]["data"]] == ["Sharpe", "Volatility", "Beta"]
    with pytest.raises(ValueError, match="benchmark 'C' is no asset of the feed"):
        result.report(tmp_path / "other.html", benchmark="C")
    assert not (tmp_path / "other.html").exists()


def test_the_contracts_and_the_strategy_are_named(tmp_path: Path) -> None:
    specs = {"A": ContractSpec("A", asset_class="future", multiplier=50.0, tick_size=0.25, margin=12_000.0), "B": ContractSpec("B")}
    feed = DataFeed(prices(20))
    result = Engine(feed, Turns(), BacktestConfig(account_type="margin"), contract_specs=specs).run()
    page = read(result, tmp_path)
    assert page.text.startswith("Turns Turns completed")
    assert "Contracts of 2 assets" in page.text
    assert "A future USD 50 0.25 – 12,000 –" in page.text  # noqa: RUF001 - dashes
    assert "Contracts of" not in read(run(bars=5), tmp_path).text


def test_every_figure_has_a_form() -> None:
    result = run(bars=30)
    known = {*result.metrics, *result.statistics, *result.relative_to("A")}
    for names in (PERCENTS, MONEY, COUNTS):
        assert names <= known, names - known
    assert not (PERCENTS & MONEY) | (PERCENTS & COUNTS) | (MONEY & COUNTS)
    assert {one.name for one in HEADLINES} <= set(result.metrics)
    assert all(form_of(one.name) == one.form for one in HEADLINES)


def test_a_run_that_failed_says_so(tmp_path: Path) -> None:
    result = run()
    result.status = "failed"
    assert "This run did not finish: its status is 'failed'" in read(result, tmp_path).text


def test_a_result_from_disk_gives_the_same_page(tmp_path: Path) -> None:
    result = run(bars=120, step=timedelta(hours=5))
    result.to_parquet(tmp_path / "saved")
    first = result.report(tmp_path / "first.html").read_text(encoding="utf-8")
    again = BacktestResult.from_parquet(tmp_path / "saved").report(tmp_path / "again.html").read_text(encoding="utf-8")
    assert again == first
    assert "which holds neither" not in first


def test_a_folder_of_an_older_version_has_no_exposure(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    result = run(bars=60)
    result.to_equity_dataframe().write_parquet(tmp_path / "few" / "equity.parquet")
    result.to_fills_dataframe().write_parquet(tmp_path / "few" / "fills.parquet")
    assert "which holds neither prices nor exposure" in read(BacktestResult.from_parquet(tmp_path / "few"), tmp_path).text


@pytest.mark.parametrize("part", ["trades", "equity", "metrics", "orders"])
def test_a_result_of_which_only_a_part_was_saved(part: str, tmp_path: Path) -> None:
    result = run(bars=40)
    result.to_parquet(tmp_path / "saved", include=[part])
    restored = BacktestResult.from_parquet(tmp_path / "saved")
    page = read(restored, tmp_path)
    assert sections(page) >= SECTIONS - {"returns", "exit_reasons", "assets"}
    assert "The settings of this run were not saved." in page.text
    assert ("The run has no bars." in page.text) == (part != "equity")
    assert compare({"part": restored, "whole": result}).report(tmp_path / "c.html").is_file()


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(bars=5)
    assert result.report(str(tmp_path / "new" / "deep" / "r.html")).is_file()
    with pytest.raises(IsADirectoryError, match=r"which is a folder; give a file in it: .*report\.html"):
        result.report(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="file' is a file, not a folder"):
        result.report(tmp_path / "file" / "r.html")
    with pytest.raises(TypeError, match="path was None, expected the name of a file"):
        result.report(None)  # type: ignore[arg-type]

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermissionError, match=r"the report cannot be written to .*other\.html: Permission denied; choose a folder"):
        result.report(tmp_path / "other.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new"]


def test_a_crash_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run(bars=5).report(tmp_path / "r.html")
    before = path.read_text()

    def crash(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="disk full"):
        run(bars=6).report(path)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_extra_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ml4t_backtest.reports import parts

    result = run(bars=5)
    parts._environment.cache_clear()
    for name in [package, *[name for name in sys.modules if name.startswith(f"{package}.")]]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'ml4t-backtest-numba\[report\]'"):
        result.report(tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    result = run(bars=12_000, step=timedelta(minutes=1), assets=("A",))
    page = read(result, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < len(get_plotlyjs()) + 1_300_000
    equity = result.to_equity_dataframe()
    drawn = {trace["name"]: trace["y"] for trace in figures(page)["equity"]["data"]}
    assert len(drawn["Account value"]) <= 4_000
    assert drawn["Account value"][-1] == equity["equity"][-1]
    assert max(drawn["Account value"]) == equity["equity"].max()
    assert min(drawn["Drawdown"]) == equity["drawdown"].min()
    assert f"Drawn with {len(drawn['Drawdown']):,} of 12,000 bars" in page.text
    assert "trades: the 300 with the lowest and the highest" in page.text
    assert sum(len(trace["x"]) for trace in figures(page)["trades"]["data"]) <= 3_000
