"""Results on disk: nothing is lost on the way, nothing is half written, older folders are read; studies and reports."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml4t_backtest.config import BacktestConfig
from ml4t_backtest.contracts import ContractSpec
from ml4t_backtest.datafeed import DataFeed
from ml4t_backtest.engine import Engine
from ml4t_backtest.export import BacktestExporter
from ml4t_backtest.models import FixedSlippage, PercentageCommission
from ml4t_backtest.result import BacktestResult
from ml4t_backtest.types import TradeStatus
from tests.cases import dense_case
from tests.facade.feeds import START, Calls, feed, prices
from tests.outcomes import build_engine

CLOSES: dict[str, list[float | None]] = {"A": [10.0, 12.0, 9.0, 11.0, 13.0, 12.0], "B": [5.0, 4.0, 6.0, 5.0, 5.0, 6.0], "unused": [1.0] * 6}
FILES = [
    "alerts.parquet",
    "cash_flows.parquet",
    "config.yaml",
    "daily_pnl.parquet",
    "equity.parquet",
    "fills.parquet",
    "manifest.json",
    "metrics.json",
    "orders.parquet",
    "trades.parquet",
]


def trade(bar: int, data: Any, broker: Any) -> None:
    """Win, lose a part, hold the rest; one order waits, one is refused."""
    for asset, quantity in ([("A", 10)], [("A", -10), ("B", 10)], [("B", -4)], [], [], [])[bar]:
        broker.submit_order(asset, quantity)
    if bar == 3:
        broker.submit_order("A", 5, order_type="limit", limit_price=1.0)
        broker.submit_order("A", 10_000)


def run(cash: float = 1_000.0, source: Any = None, **keywords: Any) -> BacktestResult:
    settings = BacktestConfig.from_preset("default").replace(initial_cash=cash)
    given: dict[str, Any] = {
        "execution_mode": "same_bar",
        "commission_model": PercentageCommission(0.01),
        "slippage_model": FixedSlippage(0.1),
        "contract_specs": {"B": ContractSpec("B", multiplier=3.0)},
        **keywords,
    }
    return Engine(source or feed(CLOSES), Calls(trade), settings, **given).run()


def assert_same(first: BacktestResult, second: BacktestResult) -> None:
    """Assert that two results answer everything alike."""
    assert first.metrics == pytest.approx(second.metrics, abs=0.0, rel=0.0, nan_ok=True)
    assert list(first.metrics) == list(second.metrics)
    assert (first.status, first.assets, first.equity_curve) == (second.status, second.assets, second.equity_curve)
    assert repr(first.trades) == repr(second.trades)
    assert first.fills == second.fills
    assert first.config == second.config
    assert (first.contract_specs, first.strategy_name, first._skipped_bars) == (
        second.contract_specs,
        second.strategy_name,
        second._skipped_bars,
    )
    assert first._limit_names == second._limit_names
    assert np.array_equal(first._multipliers, second._multipliers)
    for name in ("_trades", "_fills", "_orders", "_flows", "_alerts"):
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours.dtype == theirs.dtype
        for field in ours.dtype.names:
            assert np.array_equal(ours[field], theirs[field], equal_nan=ours[field].dtype.kind == "f"), (name, field)
    for name in ("trades", "equity", "fills", "orders", "cash_flows", "alerts"):
        frames = [getattr(each, f"to_{name}_dataframe")() for each in (first, second)]
        assert frames[0].equals(frames[1]), name
        assert frames[0].schema == frames[1].schema
    assert first.to_daily_pnl().equals(second.to_daily_pnl())
    assert first.exposure().equals(second.exposure())
    assert first.equity.to_dict() == pytest.approx(second.equity.to_dict(), nan_ok=True)


def test_the_round_trip_loses_nothing(tmp_path: Path) -> None:
    result = run()
    paths = result.to_parquet(tmp_path / "results" / "mine")
    assert sorted(path.name for path in (tmp_path / "results" / "mine").iterdir()) == FILES
    assert sorted(paths) == ["alerts", "cash_flows", "config", "daily_pnl", "equity", "fills", "metrics", "orders", "trades"]
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["mine"]
    loaded = BacktestResult.from_parquet(str(tmp_path / "results" / "mine"))
    assert_same(loaded, result)
    assert [each.status for each in loaded.trades] == [TradeStatus.CLOSED, TradeStatus.PARTIAL, TradeStatus.OPEN]
    assert loaded.config.preset_name == "default"
    assert loaded["sharpe"] == loaded["sharpe_ratio"]
    loaded.to_parquet(tmp_path / "again")
    assert_same(BacktestResult.from_parquet(tmp_path / "again"), result)


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_times_survive_to_the_nanosecond(tmp_path: Path, zone: str | None) -> None:
    odd = pl.col("timestamp").cast(pl.Datetime("ns")) + pl.duration(nanoseconds=123)
    frame = prices(CLOSES).with_columns(odd.dt.replace_time_zone(zone))
    result = run(source=DataFeed(frame))
    result.to_parquet(tmp_path / "odd")
    loaded = BacktestResult.from_parquet(tmp_path / "odd")
    assert_same(loaded, result)
    assert loaded._times.tolist() == result._times.tolist()
    assert loaded._times[0] % 1000 == 123
    assert loaded.to_equity_dataframe().schema["timestamp"] == pl.Datetime("us", zone)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_round_trip_of_any_run(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    result = build_engine(dense_case(seed)).run()
    folder = tmp_path_factory.mktemp("any")
    result.to_parquet(folder)
    assert_same(BacktestResult.from_parquet(folder), result)


def test_a_run_over_no_bars(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema={"timestamp": pl.Datetime("us"), "asset": pl.String, "close": pl.Float64})
    result = Engine(DataFeed(frame), Calls(trade)).run()
    result.to_parquet(tmp_path / "empty")
    assert_same(BacktestResult.from_parquet(tmp_path / "empty"), result)


def test_infinite_metrics_are_strict_json(tmp_path: Path) -> None:
    result = run(commission_model=None, slippage_model=None)
    result.metrics["cagr"] = math.inf
    result.to_parquet(tmp_path / "mine")
    text = json.loads((tmp_path / "mine" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert text["cagr"] == "Infinity"
    assert BacktestResult.from_parquet(tmp_path / "mine")["cagr"] == math.inf


def test_parts_may_be_chosen_and_missing(tmp_path: Path) -> None:
    result = run()
    assert list(result.to_parquet(tmp_path / "part", include=["trades"], compression="lz4")) == ["trades"]
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["manifest.json", "trades.parquet"]
    loaded = BacktestResult.from_parquet(tmp_path / "part")
    assert loaded.to_trades_dataframe().equals(result.to_trades_dataframe())
    assert loaded["num_trades"] == 2
    assert loaded.config is None
    assert loaded.equity_curve == loaded.fills == []
    loaded.to_parquet(tmp_path / "part")
    result.to_parquet(tmp_path / "rest", include=["equity", "fills"])
    computed = BacktestResult.from_parquet(tmp_path / "rest")
    for name in ("sharpe", "max_drawdown", "final_value", "total_slippage", "num_fills"):
        assert computed[name] == result[name]
    assert computed.fills == result.fills


def test_choices_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    result = run()
    for wrong, message in (
        ({"include": ["trade"]}, "did you mean 'trades'"),
        ({"compression": "zip"}, "did you mean 'gzip'"),
    ):
        with pytest.raises(ValueError, match=message):
            result.to_parquet(tmp_path / "mine", **wrong)
    with pytest.raises(TypeError, match=r"include=\['trades'\]"):
        result.to_parquet(tmp_path / "mine", include="trades")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        result.to_parquet(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_folders_of_the_engine_we_replace(tmp_path: Path) -> None:
    times = [START, START + timedelta(days=1)]
    trades = pl.DataFrame(
        {
            "symbol": ["X", "Y"],
            "entry_time": [START, START],
            "exit_time": times[::-1],
            "entry_price": [10.0, 20.0],
            "exit_price": [11.0, 19.0],
            "quantity": [5.0, -2.0],
            "direction": ["long", "short"],
            "pnl": [4.0, 1.0],
            "pnl_percent": [0.1, 0.05],
            "bars_held": pl.Series([1, 1], dtype=pl.Int32),
            "fees": [1.0, 1.0],
            "slippage": [0.01, 0.02],
            "total_slippage_cost": [0.1, 0.2],
            "exit_reason": ["signal", "end_of_backtest"],
            "status": ["closed", "open"],
        }
    )
    trades.write_parquet(tmp_path / "trades.parquet")
    pl.DataFrame({"timestamp": times, "equity": [100.0, 105.0]}).write_parquet(tmp_path / "equity.parquet")
    (tmp_path / "metrics.json").write_text('{"initial_cash": 100.0, "sharpe": 1.5, "note": "text"}')
    (tmp_path / "config.yaml").write_text("account: {allow_flying: true}")
    with pytest.warns(UserWarning, match="config is None"):
        loaded = BacktestResult.from_parquet(tmp_path)
    assert loaded.config is None
    assert loaded.assets == ("X", "Y")
    first, second = loaded.trades
    assert (first.asset, first.commission, first.slippage, first.exit_slippage, first.multiplier) == ("X", 1.0, 0.1, 0.01, 1.0)
    assert (second.status, second.exit_reason.value, second.quantity) == (TradeStatus.OPEN, "end_of_data", -2.0)
    assert (loaded["sharpe"], loaded["num_trades"], loaded["final_value"]) == (1.5, 1, 105.0)
    assert "note" not in loaded
    trades.with_columns(pl.lit("boredom").alias("exit_reason")).write_parquet(tmp_path / "trades.parquet")
    with pytest.raises(ValueError, match="trades column 'exit_reason' has 'boredom'"):
        BacktestResult.from_parquet(tmp_path)


def test_the_readme_study(tmp_path: Path) -> None:
    results, params = [], []
    for cash in (1_000.0, 2_000.0, 4_000.0):
        results.append(run(cash))
        params.append({"cash": cash, "mode": TradeStatus.OPEN, "sharpe": 1})
    params[1]["extra"] = [1, 2]
    summary = BacktestExporter.batch_export(results=results, base_path=tmp_path / "study", param_values=params)
    best = summary.sort("sharpe", descending=True).head(5)
    assert best["sharpe"][0] == max(result["sharpe"] for result in results)
    assert summary.columns[:6] == ["run", "status", "cash", "mode", "param_sharpe", "extra"]
    assert summary["run"].to_list() == ["run_0001", "run_0002", "run_0003"]
    assert summary["mode"].to_list() == ["open"] * 3
    assert summary["extra"].to_list() == [None, "[1, 2]", None]
    assert summary["final_value"].to_list() == [result["final_value"] for result in results]
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == [
        *summary["run"],
        "sweep_summary.csv",
        "sweep_summary.parquet",
    ]
    assert_same(BacktestExporter.from_parquet(tmp_path / "study" / "run_0002"), results[1])
    assert BacktestExporter.load_sweep_summary(tmp_path / "study").equals(summary)
    (tmp_path / "study" / "sweep_summary.parquet").unlink()
    assert BacktestExporter.load_sweep_summary(tmp_path / "study")["cash"].to_list() == [1_000.0, 2_000.0, 4_000.0]


def test_studies_that_do_not_fit(tmp_path: Path) -> None:
    result = run()
    table = BacktestExporter.batch_export([result], tmp_path / "only", export_individual=False)
    assert "run_0001" not in {path.name for path in (tmp_path / "only").iterdir()}
    assert table["num_trades"].to_list() == [2]
    mixed = BacktestExporter.batch_export([result] * 3, tmp_path / "only", [{"a": 1}, {"a": 0.5}, {}], export_individual=False)
    assert mixed["a"].to_list() == [1.0, 0.5, None]
    texts = BacktestExporter.batch_export([result] * 2, tmp_path / "only", [{"a": 1}, {"a": "x"}], export_individual=False)
    assert texts["a"].to_list() == ["1", "x"]
    with pytest.raises(ValueError, match="results was empty"):
        BacktestExporter.batch_export([], tmp_path / "none")
    with pytest.raises(ValueError, match="1 results and 2 param_values"):
        BacktestExporter.batch_export([result], tmp_path / "none", [{}, {}])
    with pytest.raises(ValueError, match="two columns of the summary"):
        BacktestExporter.batch_export([result], tmp_path / "none", [{"sharpe": 1, "param_sharpe": 2}])
    with pytest.raises(FileNotFoundError, match="sweep_summary"):
        BacktestExporter.load_sweep_summary(tmp_path / "none")


def test_reports(tmp_path: Path) -> None:
    results = [run(), run(2_000.0)]
    results[0].metrics["sortino"] = math.inf
    BacktestExporter.generate_json_report(results, tmp_path / "deep" / "report.json", {"author": "me", "day": START})
    report = json.loads((tmp_path / "deep" / "report.json").read_text(), parse_constant=pytest.fail)
    assert report["meta"]["num_results"] == 2
    assert (report["meta"]["author"], report["meta"]["day"]) == ("me", str(START))
    assert [row["index"] for row in report["results"]] == [0, 1]
    assert report["results"][0]["sortino"] == "Infinity"
    assert report["results"][1]["final_value"] == results[1]["final_value"]
    BacktestExporter.generate_markdown_report(
        results, tmp_path / "report.md", "Stops | targets", param_values=[{"a|b": 0.5}, {"a|b": "x|y"}]
    )
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert lines[0] == "# Stops | targets"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert {line.replace("\\|", "").count("|") for line in table} == {12}
    assert f"{results[1]['final_value']:,.2f}" in table[3]
    best = max((0, 1), key=lambda number: results[number]["sharpe"])
    assert lines[-1].startswith(f"Highest Sharpe ratio: run {best + 1} ")
    with pytest.raises(ValueError, match="param_names needs param_values"):
        BacktestExporter.generate_markdown_report(results, tmp_path / "report.md", param_names=["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "report.md"]


HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "*x* _y_ `z`",
    "[l](javascript:alert(1))",
    "line\nbreak\r\n# head",
    "</td>&amp;",
    "\\",
    "~~no~~",
]


def test_reports_show_names_and_values_as_they_are(tmp_path: Path) -> None:
    results = [run() for _ in HOSTILE]
    given = [{text: text} for text in HOSTILE]
    BacktestExporter.generate_markdown_report(results, tmp_path / "report.md", HOSTILE[0] + HOSTILE[4], param_values=given)
    page = (tmp_path / "report.md").read_text()
    assert "<" not in page
    assert ">" not in page
    title, *rest = page.splitlines()
    assert title.startswith("# &lt;script&gt;")
    assert [line[:2] for line in rest if line.startswith("#")] == []
    table = [line for line in rest if line.startswith("|")]
    assert len(table) == 2 + len(HOSTILE)
    cells = 1 + len(HOSTILE) + 9 + 1
    for line in table:
        assert len([at for at, letter in enumerate(line) if letter == "|" and escapes(line, at) % 2 == 0]) == cells, line
    for letter in "*`[":
        assert all(escapes(line, at) % 2 for line in table for at in range(len(line)) if line[at] == letter), letter
    BacktestExporter.generate_markdown_report(results[:1], tmp_path / "plain.md", "stop_pct of run_1", param_values=[{"stop_pct": 0.5}])
    assert "# stop_pct of run_1" in (tmp_path / "plain.md").read_text()


def escapes(line: str, at: int) -> int:
    """Return how many backslashes stand before a place."""
    return len(line[:at]) - len(line[:at].rstrip("\\"))


def test_a_json_report_may_stand_inside_a_page(tmp_path: Path) -> None:
    metadata = {text: text for text in HOSTILE} | {"deep": {"nan": math.nan, "list": [np.float64(0.5), TradeStatus.OPEN]}, 3: START}
    BacktestExporter.generate_json_report([run()], tmp_path / "report.json", metadata)
    text = (tmp_path / "report.json").read_text()
    assert not set("<>&") & set(text)
    meta = json.loads(text)["meta"]
    assert all(meta[each] == each for each in HOSTILE)
    assert meta["deep"] == {"nan": "NaN", "list": [0.5, "open"]}
    assert meta["3"] == str(START)


def test_a_table_that_is_there_belongs_to_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [run(), run(2_000.0)]
    BacktestExporter.batch_export(results, tmp_path / "study")
    with pytest.raises(ValueError, match="two columns"):
        BacktestExporter.batch_export(results, tmp_path / "study", [{"sharpe": 1, "param_sharpe": 2}] * 2)
    assert len(BacktestExporter.load_sweep_summary(tmp_path / "study")) == 2
    monkeypatch.setattr("ml4t_backtest.export.BacktestResult.to_parquet", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        BacktestExporter.batch_export(results, tmp_path / "study")
    with pytest.raises(FileNotFoundError, match="sweep_summary"):
        BacktestExporter.load_sweep_summary(tmp_path / "study")
    (tmp_path / "study" / "sweep_summary.parquet").write_text("{[")
    with pytest.raises(ValueError, match=r"sweep_summary.parquet cannot be read"):
        BacktestExporter.load_sweep_summary(tmp_path / "study")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written to .*file"):
        BacktestExporter.batch_export(results, tmp_path / "file")
    with pytest.raises(OSError, match=r"cannot be written to .*file/report.json"):
        BacktestExporter.generate_json_report(results, tmp_path / "file" / "report.json")
