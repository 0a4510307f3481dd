"""Figures by name, and what a notebook shows."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t_backtest.reports import curves, trading
from ml4t_backtest.reports.plotting import PICTURES
from ml4t_backtest.reports.wording import count, cut, drawn_text, exact, money, number, percent, stamps, tenths
from tests.reports.runs import HOSTILE, Nothing, Reading, ruined, run


@pytest.mark.parametrize("what", sorted(PICTURES))
def test_every_picture_is_a_figure(what: str) -> None:
    for result in (run(bars=200), run(bars=1), run(strategy=Nothing()), ruined()):
        figure = result.plot(what)
        assert figure.layout.title.text == PICTURES[what][0]
        assert figure.to_json()
        assert result.plot(what, title="").layout.title.text is None
    assert run(bars=200).plot(what, title="Mine").layout.title.text == "Mine"


def test_numbers_of_the_pictures() -> None:
    result = run(bars=200)
    trades = result.to_trades_dataframe().filter(pl.col("status") != "open")
    bars = result.plot("assets").data[0]
    assert sorted(bars.x, reverse=True) == list(bars.x)
    assert math.isclose(sum(bars.x), trades["pnl"].sum(), rel_tol=1e-12)
    assert math.isclose(sum(result.plot("exit_reasons").data[0].x), trades["pnl"].sum(), rel_tol=1e-12)
    assert sum(result.plot("returns").data[0].y) == trades.height
    winners = result.plot("trades").data[1]
    assert len(winners.x) == result["winning_trades"]
    months = [cell for row in result.plot("monthly").data[0].z for cell in row if cell is not None]
    assert math.isclose(math.prod(1.0 + value for value in months), 1.0 + result["total_return"], rel_tol=1e-9)
    assert math.isclose(math.prod(1.0 + value for value in result.plot("yearly").data[0].y), 1.0 + result["total_return"], rel_tol=1e-9)
    assert math.isclose(sum(result.plot("costs").data[0].x), result["total_costs"], rel_tol=1e-12)


def test_wrong_names_and_options() -> None:
    result = run(bars=5)
    with pytest.raises(ValueError, match="what was 'equtiy'.*did you mean 'equity'"):
        result.plot("equtiy")
    with pytest.raises(TypeError, match=r"plot\('monthly'\) has no option 'log'; it takes title"):
        result.plot("monthly", log=True)
    with pytest.raises(TypeError, match="has no option 'lgo'; it takes title, log.*did you mean 'log'"):
        result.plot("equity", lgo=True)
    assert result.plot("equity", log=True).layout.yaxis.type == "log"
    assert result.plot("equity").layout.yaxis.type == "linear"


def test_the_middle_of_many_assets_is_one_bar() -> None:
    names = [f"S{number}" for number in range(100)]
    rows = trading.leading(names, [float(number) for number in range(100)], [2] * 100, most=10)
    assert [row[0] for row in rows] == ["S99", "S98", "S97", "S96", "S95", "90 others", "S4", "S3", "S2", "S1", "S0"]
    assert sum(row[1] for row in rows) == sum(range(100))
    assert sum(row[2] for row in rows) == 200


def test_far_returns_go_into_the_outer_bars() -> None:
    returns = [0.01 * (place % 7 - 3) for place in range(500)] + [40.0, -0.9]
    frame = pl.DataFrame({"pnl_percent": returns})
    bars = trading.distribution(frame).data[0]
    assert sum(bars.y) == 502
    assert max(bars.x) < 0.05
    for place, middle in enumerate(bars.x):
        low, high = bars.customdata[place]
        assert low < middle < high
        assert not low < -1e-12 < 1e-12 < high


def test_hostile_names_carry_no_markup() -> None:
    result = run(assets=HOSTILE)
    for what in ("assets", "trades"):
        text = result.plot(what).to_json()
        assert "<img" not in text.replace("\\u003c", "<")
        assert "%{y} " not in text


def test_words() -> None:
    assert [money(value) for value in (1234.5, -0.001, None, math.nan, math.inf, -math.inf, 1e12, 1e20)] == [
        *("1,234.50", "0.00", "–", "–", "∞", "-∞", "1,000,000,000,000", "1e+20")  # noqa: RUF001
    ]
    assert [percent(0.1234), number(0.0123), number(2.0), count(12345.0)] == ["12.34 %", "0.0123", "2.00", "12,345"]
    assert cut("a  b\n c") == "a b c"
    assert len(cut("x" * 99)) == 40
    assert drawn_text("<b>&%{y}") == "&lt;b&gt;&amp;% {y}"
    values = (1.08345, 1234567.0, 0.0000123456, 0.0, -2.5)
    assert [exact(value) for value in values] == ["1.08345", "1,234,567", "1.23456e-05", "0", "-2.5"]
    assert [tenths(value) for value in (-0.0001, 0.0123, -0.5)] == ["0.0", "1.2", "-50.0"]
    hours = pl.Series([0, 3_600_000_000]).cast(pl.Datetime("us", "America/New_York"))
    assert stamps(hours) == ["1969-12-31 19:00:00", "1969-12-31 20:00:00"]
    assert stamps(pl.Series([0, 1]).cast(pl.Datetime("us"))) == ["1970-01-01 00:00:00.000000", "1970-01-01 00:00:00.000001"]


def test_what_is_not_finite_is_a_gap() -> None:
    frame = pl.DataFrame({"value": [1.0, math.nan, math.inf, 2.0]})
    assert curves.values(frame["value"]) == [1.0, None, None, 2.0]


def test_a_notebook_shows_a_table() -> None:
    result = run(assets=(HOSTILE[0],))
    page = Reading(result._repr_html_())
    assert {tag for tag, _ in page.tags} == {"div", "b", "span", "table", "tbody", "tr", "th", "td"}
    assert f"Final value {result['final_value']:,.2f}" in page.text
    assert f"Trades {result['num_trades']:.0f}" in page.text
    assert HOSTILE[0] in page.text


def test_a_notebook_table_needs_no_plotly() -> None:
    program = (
        "import sys\nfor name in ('plotly', 'jinja2', 'markupsafe'): sys.modules[name] = None\n"
        "from tests.reports.runs import run\nassert 'Sharpe' in run(bars=3)._repr_html_()\n"
    )
    root = Path(__file__).parents[2]
    done: Any = subprocess.run(  # noqa: PLW1510 - what it printed is shown below
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=root, env={"PYTHONPATH": ".:kernels"}
    )
    assert done.returncode == 0, done.stderr
