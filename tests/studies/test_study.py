"""What can be asked of a study."""

from __future__ import annotations

import enum
import itertools
import math
import sys
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import Study, deflated_sharpe_ratio, sweep
from ml4t_backtest.studies.ranking import best_rows, direction, unbeaten
from tests.studies.strategies import Crossing, Failing, feed_of

run = partial(sweep, executor="serial")


@pytest.fixture(scope="module")
def study() -> Study:
    return run(feed_of(), Failing, {"fast": [2, 3, 4, 6], "slow": [7, 9], "stop_pct": [None, 0.02]})


def test_the_best_rows(study: Study) -> None:
    completed = study.frame.filter(status="completed")
    assert study.best(n=3).equals(completed.sort("sharpe", descending=True, maintain_order=True).head(3))
    assert study.best("max_drawdown", n=99).equals(completed.sort("max_drawdown", maintain_order=True))
    assert study.best("num_trades", higher=False)["num_trades"].item() == completed["num_trades"].min()
    for text, call in (
        ("whether a high 'num_trades' is good", lambda: study.best("num_trades")),
        ("no metric 'sharp'; did you mean 'sharpe'", lambda: study.best("sharp")),
        (r"best\(n=0\)", lambda: study.best(n=0)),
        ("expected a list of metrics", lambda: study.pareto("sharpe")),
    ):
        with pytest.raises(ValueError, match=text):
            call()


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, math.inf, math.nan])] * 3), max_size=12))
def test_nothing_beats_the_front(points: list[tuple[float, ...]]) -> None:
    signs = (1, -1, 1)

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        pairs = [(sign * a, sign * b) for sign, a, b in zip(signs, one, other, strict=False)]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    whole = [number for number, point in enumerate(points) if not any(map(math.isnan, point))]
    expected = [one for one in whole if not any(beats(points[other], points[one]) for other in whole)]
    columns = [np.array([point[place] for point in points]) for place in range(3)]
    assert unbeaten(columns, signs).tolist() == expected
    pair = [one for one in points if not any(map(math.isnan, one[:2]))]
    two = [one for one in pair if not any(beats(other[:2], one[:2]) for other in pair)]
    assert [points[number] for number in unbeaten(columns[:2], signs[:2]).tolist()] == two
    ranked = best_rows(columns[0], len(points), 1).tolist()
    assert ranked == sorted([n for n in range(len(points)) if not math.isnan(points[n][0])], key=lambda n: (-points[n][0], n))


def test_pareto(study: Study) -> None:
    front = study.pareto()
    assert 0 < len(front) < len(study)
    rows = study.frame.filter(status="completed").select("set", "sharpe", "max_drawdown").rows()
    for number, sharpe, fall in front.select("set", "sharpe", "max_drawdown").rows():
        assert not any(a >= sharpe and b <= fall and (a > sharpe or b < fall) for other, a, b in rows if other != number)


def test_every_direction_is_one() -> None:
    assert [direction(name) for name in ("sharpe", "max_drawdown", "gross_loss", "total_costs")] == [1, -1, 1, -1]


def test_pivot(study: Study) -> None:
    table = study.pivot("slow", "fast", "total_return", aggregate="max")
    assert table.columns == ["fast", "7", "9"]
    assert table["fast"].to_list() == [2, 3, 4, 6]
    for fast, slow in itertools.product([2, 3, 4, 6], [7, 9]):
        cells = study.frame.filter(fast=fast, slow=slow)["total_return"].to_list()
        cell = table.filter(fast=fast)[str(slow)].item()
        assert cell == (None if fast == 4 else max(cells))
    assert study.pivot("stop_pct", "slow").columns == ["slow", "null", "0.02"]
    for text, call in (
        ("x was 'fst', expected a parameter: fast, slow, stop_pct; did you mean 'fast'", lambda: study.pivot("fst", "slow")),
        ("x and y are both", lambda: study.pivot("fast", "fast")),
        ("aggregate was 'avg'", lambda: study.pivot("fast", "slow", aggregate="avg")),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_heatmap(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = study.heatmap("slow", "fast")
    (heat,) = figure.data
    assert list(heat.x) == ["7", "9"]
    assert list(heat.y) == ["2", "3", "4", "6"]
    assert np.array_equal(np.asarray(heat.z, dtype=float), study.pivot("slow", "fast")[:, 1:].to_numpy(), equal_nan=True)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r"heatmaps need plotly: pip install 'ml4t-backtest-numba\[report\]'"):
        study.heatmap("slow", "fast")


def test_rows_can_be_given_in_three_ways(study: Study) -> None:
    best = study.best()
    number = best["set"].item()
    assert study.params(best) == study.params(number) == study.params(best.to_dicts()[0]) == study.params(np.int64(number))
    for row, error in (
        (study.frame, ValueError),
        (99, ValueError),
        (-1, ValueError),
        (True, TypeError),
        (None, TypeError),
        ({}, TypeError),
    ):
        with pytest.raises(error):
            study.params(row)


def test_the_deflated_sharpe_ratio(study: Study) -> None:
    completed = study.frame.filter(status="completed")
    result = study.rerun(study.best())
    returns = np.array(result.to_returns_series()[1:])
    per_bar = math.sqrt(result["periods_per_year"])
    expected = deflated_sharpe_ratio(
        result["sharpe"] / per_bar,
        n_trials=len(completed),
        trials_variance=float((completed["sharpe"] / per_bar).var()),
        n_observations=len(returns),
        skewness=float(scipy.stats.skew(returns)),
        kurtosis=float(scipy.stats.kurtosis(returns, fisher=False)),
    )
    assert study.deflated_sharpe() == pytest.approx(expected, rel=1e-9)
    assert 0.0 < study.deflated_sharpe(completed.sort("sharpe")[0]) < expected < 1.0
    with pytest.raises(ValueError, match="1 rows were completed, expected at least 2"):
        run(feed_of(), Crossing, {"fast": [3]}).deflated_sharpe()
    with pytest.raises(ValueError, match="39 returns of this row are all the same"):
        run(feed_of(), Crossing, {"slow": [98, 99]}).deflated_sharpe()
    with pytest.raises(ValueError, match="the 0 returns of this row"):
        run(feed_of(1), Crossing, {"slow": [98, 99]}).deflated_sharpe()


def test_all_failed() -> None:
    study = run(feed_of(), Failing, {"fast": [4], "slow": [7, 8]})
    with pytest.raises(ValueError, match="no row has a value of 'sharpe': 2 of 2 rows failed; the first error: ValueError: four is bad"):
        study.best()
    assert repr(study) == "Study(completed: 0 of 2 sets of fast, slow; 2 failed)"
    assert "four is bad" in study.frame._repr_html_()
    assert study._repr_html_().startswith("<p>Study(completed: 0 of 2")


def test_how_it_looks(study: Study) -> None:
    best = study.best().row(0, named=True)
    assert repr(study) == (
        f"Study(completed: 12 of 16 sets of fast, slow, stop_pct; 4 failed; highest Sharpe {best['sharpe']:.2f}"
        f" with fast={best['fast']}, slow={best['slow']}, stop_pct={best['stop_pct']})"
    )
    assert len(study) == 16
    html = study._repr_html_()
    assert "max_drawdown_pct" in html
    assert html.count("<tr>") >= 10


class Colour(enum.Enum):
    RED = "red"


def test_columns_of_parameters() -> None:
    def make(**values: Any) -> Crossing:
        return Crossing()

    grid = [
        {"number": 1, "mixed": 1, "colour": Colour.RED, "thing": make, "huge": 1, "status": "a"},
        {"number": 1.5, "mixed": "auto", "colour": None, "thing": None, "huge": 2**70, "status": "b"},
    ]
    study = run(feed_of(), make, grid)
    assert study.frame["number"].to_list() == [1.0, 1.5]
    assert study.frame["mixed"].to_list() == ["1", "auto"]
    assert study.frame["colour"].to_list() == ["red", None]
    assert study.frame["thing"].to_list() == ["make", None]
    assert study.frame["huge"].to_list() == ["1", str(2**70)]
    assert study.frame["param_status"].to_list() == ["a", "b"]
    assert study.params(1)["huge"] == 2**70
    assert study.frame["number"].dtype == pl.Float64
    with pytest.raises(ValueError, match="two columns would be named 'param_status'"):
        run(feed_of(), make, [{"status": 1, "param_status": 2}])
