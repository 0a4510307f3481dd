"""Several results side by side."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ml4t_backtest
from ml4t_backtest import compare
from tests.reports.runs import HOSTILE, Nothing, Reading, Turns, ruined, run
from tests.reports.test_report import figures, sections


def three() -> dict[str, Any]:
    return {"every 3": run(bars=120), "every 5": run(bars=90, strategy=Turns(5)), "idle": run(bars=120, strategy=Nothing())}


def test_the_frame_has_a_column_per_result() -> None:
    results = three()
    made = compare(results)
    assert made.frame.columns == ["metric", *results]
    for name, result in results.items():
        column = dict(zip(made.frame["metric"], made.frame[name], strict=True))
        for metric, value in {**result.statistics, **result.metrics}.items():
            assert column[metric] == value or (math.isnan(value) and math.isnan(column[metric])), metric
    assert made.frame["metric"].n_unique() == made.frame.height
    assert list(made.results) == list(results)


def test_correlations_of_the_days_that_both_have() -> None:
    results = three()
    made = compare(results)
    returns = made.daily_returns
    assert returns.columns == ["date", *results]
    assert returns.height == 120
    assert returns["every 5"].null_count() == 30
    assert returns["date"].is_sorted()
    one, other = returns["every 3"].to_numpy()[:90], returns["every 5"].to_numpy()[:90]
    cells = made.correlation
    assert cells.columns == ["name", *results]
    assert cells["every 5"][0] == pytest.approx(np.corrcoef(one, other)[0, 1], rel=1e-12)
    assert cells["every 3"][0] == pytest.approx(1.0)
    assert cells["idle"].to_list() == [None, None, None]
    assert compare({"a": run(bars=2), "b": run(bars=2)}).correlation["b"].to_list() == [None, None]


def test_pictures() -> None:
    results = three()
    made = compare(results)
    curves = made.plot()
    assert [trace.name for trace in curves.data] == list(results)
    assert curves.data[1].y[-1] == pytest.approx(1.0 + results["every 5"]["total_return"], rel=1e-15)
    assert curves.layout.yaxis.type == "linear"
    assert made.plot("equity", log=True, title="Mine").layout.yaxis.type == "log"
    assert min(made.plot("drawdown").data[0].y) == -results["every 3"]["max_drawdown"]
    assert made.plot("correlation").data[0].z[0][2] is None
    with pytest.raises(ValueError, match="what was 'equties'.*did you mean 'equity'"):
        made.plot("equties")
    with pytest.raises(ValueError, match="log was True, but the picture 'drawdown' has no logarithmic axis"):
        made.plot("drawdown", log=True)


def test_the_report(tmp_path: Path) -> None:
    made = compare({**three(), "dear": run(commission_rate=0.01), "ruined": ruined()})
    path = made.report(tmp_path / "c.html", title="Four and one")
    page = Reading(path.read_text(encoding="utf-8"))
    assert sections(page) == {"figures", "equity", "drawdown", "yearly", "correlation", "statistics", "settings"}
    assert set(figures(page)) == {"equity", "drawdown"}
    assert page.text.count("Four and one") == 2
    assert "commission rate 0.001 0.001 0.001 0.01 0.001" in page.text
    assert f"{made.results['dear']['final_value']:,.2f}" in page.text
    assert compare({"one": run()}).report(tmp_path / "d.html").is_file()
    same = Reading((tmp_path / "d.html").read_text(encoding="utf-8"))
    assert "All settings are the same." in same.text


def test_long_curves_keep_their_ends(tmp_path: Path) -> None:
    result = run(bars=8_000, step=timedelta(minutes=5), assets=("A",))
    curves = compare({f"run {number}": result for number in range(12)}).plot("drawdown")
    assert all(len(trace.x) <= 1_400 for trace in curves.data)
    assert min(curves.data[0].y) == -result["max_drawdown"]
    assert len({(trace.line.color, trace.line.dash) for trace in curves.data}) == 12


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    made = compare(dict.fromkeys(HOSTILE, run(bars=5)))
    page = Reading(made.report(tmp_path / "c.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert not {"img", "svg"} & {tag for tag, _ in page.tags}
    table = Reading(made._repr_html_())
    assert {tag for tag, _ in table.tags} == {"table", "thead", "tbody", "tr", "th", "td"}
    assert HOSTILE[0] in table.texts


def test_what_is_shown_in_a_shell() -> None:
    results = three()
    lines = repr(compare(results)).splitlines()
    assert lines[0] == "Comparison of 3 results"
    assert [line.split("  ")[0] for line in lines[2:]] == list(results)
    assert f"{results['every 3']['final_value']:,.2f}" in lines[2]


def test_mistakes() -> None:
    result = run(bars=3)
    with pytest.raises(TypeError, match=r"results was a list, expected a mapping of names: compare\(\{"):
        compare([result])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="results was empty"):
        compare({})
    with pytest.raises(TypeError, match=r"results\['a'\] was a dict, expected a BacktestResult"):
        compare({"a": {}})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="results has the name 3, a int; expected a text such as '3'"):
        compare({3: result})  # type: ignore[dict-item]
    for name in ("metric", "date", " "):
        with pytest.raises(ValueError, match="which a column of the table cannot have"):
            compare({name: result})
    assert ml4t_backtest.compare is compare
