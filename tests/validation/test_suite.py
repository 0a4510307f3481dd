"""Files, markets, scenarios, random cases and the command, without any framework."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.validation.answers import answered, small_job
from validation import setup
from validation.runners.exchange import SCHEMAS, VERBS, Answers, Job, read_batch, write_batch
from validation.suite import own, work
from validation.suite.framework import Framework
from validation.suite.launch import read_answers
from validation.suite.markets import sessions, walk
from validation.suite.registry import framework
from validation.suite.report import Outcome, Report
from validation.suite.scale import scale_job
from validation.suite.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
NAMES = list(setup.FRAMEWORKS)


def same_market(one: Any, two: Any) -> bool:
    numbers = ("times", "open", "high", "low", "close", "volume")
    return one.assets == two.assets and all(np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True) for name in numbers)


def test_cases_come_back_from_their_files_as_they_went(tmp_path: Path) -> None:
    jobs = [job for scenario in SCENARIOS for job in scenario.jobs()]
    write_batch(tmp_path, jobs)
    back = list(read_batch(tmp_path))
    assert [job.id for job in back] == [job.id for job in jobs]
    for one, two in zip(jobs, back, strict=True):
        assert same_market(one.market, two.market)
        assert one.market.events == two.market.events
        assert one.settings == two.settings
        assert repr(one.script) == repr(two.script)  # NaN equals itself in writing


def test_two_cases_or_markets_with_one_name_are_refused(tmp_path: Path) -> None:
    job = small_job()
    with pytest.raises(ValueError, match="two cases"):
        write_batch(tmp_path, [job, job])
    with pytest.raises(ValueError, match="two markets"):
        write_batch(tmp_path, [job, dataclasses.replace(job, id="other", market=walk("small", seed=6))])
    (tmp_path / "batch.json").write_text('{"version": 0, "cases": []}')
    with pytest.raises(ValueError, match="version"):
        list(read_batch(tmp_path))


def test_answers_come_back_from_their_files_as_they_went(tmp_path: Path) -> None:
    answers = answered(small_job())
    answers.write(tmp_path)
    back = read_answers(tmp_path)
    for table in SCHEMAS:
        assert getattr(back, table) == getattr(answers, table)
    assert back.seconds == answers.seconds


def test_scenarios_have_names_of_their_own_and_known_verbs() -> None:
    assert [scenario.number for scenario in SCENARIOS] == list(range(1, len(SCENARIOS) + 1))
    jobs = [job for scenario in SCENARIOS for job in scenario.jobs()]
    assert len({job.id for job in jobs}) == len(jobs)
    for job in jobs:
        assert job.script
        assert {told.verb for told in job.script} <= set(VERBS)
        assert {told.time for told in job.script} <= set(job.market.times.tolist())
        assert {told.asset for told in job.script} <= set(job.market.assets)


def test_markets_are_the_same_for_the_same_seed_and_have_sound_bars() -> None:
    one, two = walk("one", seed=3, assets=3), walk("one", seed=3, assets=3)
    assert same_market(one, two)
    assert not same_market(one, walk("one", seed=4, assets=3))
    assert np.all(one.high >= np.maximum(one.open, one.close))
    assert np.all(one.low <= np.minimum(one.open, one.close))
    assert np.array_equal(np.round(one.close, 2), one.close)
    assert len(sessions(5040)) == 5040
    with pytest.raises(ValueError, match="sessions"):
        sessions(10_000)


def test_the_large_case_asks_for_changes_only() -> None:
    job = scale_job(assets=20, bars=30, picks=3)
    held: dict[str, float] = {}
    for told in job.script:
        assert held.get(told.asset, 0.0) != told.quantity
        held[told.asset] = told.quantity
        if told is job.script[-1]:
            assert sorted(value for value in held.values() if value) == [-100.0] * 3 + [100.0] * 3


@pytest.mark.parametrize("name", NAMES)
def test_every_framework_has_its_files_and_its_random_cases_are_seeded(name: str) -> None:
    entry = framework(name)
    assert entry.name == name
    assert (ROOT / "validation" / "runners" / f"{name}_runner.py").exists()
    pins = (ROOT / "validation" / "requirements" / f"{name}.txt").read_text().split()
    assert pins
    assert all("==" in pin for pin in pins)
    assert any(pin.lower().replace("_", "-").startswith(entry.package.lower().replace("_", "-") + "==") for pin in pins)
    for family in entry.families:
        one, two = family.make(3), family.make(3)
        assert repr(one.script) == repr(two.script)
        assert same_market(one.market, two.market)
        assert family.make(4).id != one.id
        assert entry.refuses(one) is None
    for scenario in SCENARIOS:
        for job in scenario.jobs():
            reason = entry.refuses(job)
            assert reason is None or reason.strip()


def test_an_unknown_framework_is_named() -> None:
    with pytest.raises(ValueError, match="unknown framework 'vectorbtx'"):
        framework("vectorbtx")
    with pytest.raises(FileNotFoundError, match=r"python validation/setup\.py nothing"):
        setup.python_of("nothing")


class Played:
    """Stands for a framework: our own engine, or one that is a cent off."""

    def __init__(self, cent: float) -> None:
        self.cent = cent

    def __call__(self, entry: Framework, jobs: list[Job], engine: str = "") -> Answers:
        answers = Answers(versions={"nobody": "1"})
        for job in jobs:
            work.run_here(job, entry.plan_for(job, engine), answers)
        answers.fills = [(*row[:4], row[4] + self.cent, *row[5:]) for row in answers.fills]
        return copy.deepcopy(answers)


def entry_of(name: str) -> Framework:
    return dataclasses.replace(framework(name), engines=("",))


@pytest.mark.parametrize(("cent", "left"), [(0.0, 0), (0.01, 3)])
def test_scores_count_what_agrees_and_keep_what_does_not(monkeypatch: pytest.MonkeyPatch, cent: float, left: int) -> None:
    monkeypatch.setattr(work, "run_there", Played(cent))
    entry = entry_of("vectorbt")
    groups = {scenario.title: scenario.jobs() for scenario in SCENARIOS[:2]} | {"Limit orders": SCENARIOS[18].jobs()}
    scores = work.play_groups(entry, groups)
    family = work.play_family(dataclasses.replace(entry, families=entry.families[:1]), 0, 1)
    outcome = Outcome(entry, scores, family)
    assert sum(len(score.mismatches) for score in outcome.scores) == left
    assert outcome.agrees == (left == 0)
    assert [bool(score.refused) for score in scores] == [False, False, True]
    text = Report([outcome], command="a test").markdown()
    assert ("**differs**" in text) == (left > 0)
    assert "not taken: it has no cancel, limit orders" in text


MINE = """
import polars as pl
from datetime import datetime, timedelta
from ml4t_backtest import Strategy
closes = [10.0, 11.0, 12.0, 11.5, 11.0, 12.5, 13.0, 12.0]
prices = pl.DataFrame({"timestamp": [datetime(2024, 1, 1) + timedelta(days=day) for day in range(8)], "asset": "X",
                       "open": closes, "high": [c + 1 for c in closes], "low": [c - 1 for c in closes], "close": closes, "volume": 1e6})
class strategy(Strategy):
    bar = 0
    def on_data(self, timestamp, data, context, broker):
        ACTIONS
        self.bar += 1
"""
PLAIN = """if self.bar == 0: broker.submit_bracket("X", 10, take_profit=14.0, stop_loss=8.0)
        if self.bar == 2: self.order = broker.submit_order("X", 5, order_type="limit", limit_price=6.0)
        if self.bar == 4: broker.cancel_order(self.order)
        if self.bar == 5: broker.submit_order("X", -20)"""


def test_a_strategy_of_ones_own_is_recorded_and_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(work, "run_there", Played(0.0))
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("ACTIONS", PLAIN))
    (score,) = own.compare_strategy(entry_of("backtrader"), path)
    assert score.agrees
    assert score.rows["fills"] == 3  # the entry, its target, and the sale of 20 on the same bar
    assert score.rows["orders"] == 5
    monkeypatch.setattr(work, "run_there", Played(0.01))
    (score,) = own.compare_strategy(entry_of("backtrader"), path)
    assert not score.agrees


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ("pass", "submitted no order"),
        ('broker.submit_order("X", 1, order_type="market_on_open")', "cannot be repeated"),
        ('broker.submit_order("X", 1, time_in_force="day")', "cannot be repeated"),
        (
            'broker.update_order(broker.submit_order("X", 1, order_type="limit", limit_price=5.0), limit_price=6.0) if self.bar else None',
            "updated",
        ),
    ],
)
def test_what_no_script_can_repeat_is_named(tmp_path: Path, actions: str, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("ACTIONS", actions))
    if words == "updated":
        path.write_text(
            MINE.replace(
                "ACTIONS",
                'order = broker.get_orders()[0] if self.bar else broker.submit_order("X", 1, order_type="limit", limit_price=5.0)\n        if self.bar == 1: broker.update_order(order, limit_price=6.0)',
            )
        )
    with pytest.raises(ValueError, match=words):
        own.compare_strategy(entry_of("backtrader"), path)


def test_a_file_without_a_strategy_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "empty.py"
    with pytest.raises(ValueError, match="there is no file"):
        own.compare_strategy(entry_of("backtrader"), path)
    path.write_text("prices = 1")
    with pytest.raises(ValueError, match="defines no `strategy`"):
        own.compare_strategy(entry_of("backtrader"), path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vectorbtx"], "unknown framework 'vectorbtx'"),
        (["--scenario", "99"], "there is no scenario 99"),
        (["--cases", "-1"], "at least 0"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(arguments: list[str], words: str) -> None:
    done = subprocess.run([sys.executable, "validation/run.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_missing_environment_is_named_with_the_command_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML4T_VALIDATION_ENVIRONMENTS", str(tmp_path))
    done = subprocess.run([sys.executable, "validation/run.py", "backtrader"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "python validation/setup.py backtrader" in done.stderr


def test_the_runners_need_nothing_of_ours() -> None:
    for path in sorted((ROOT / "validation" / "runners").glob("*.py")):
        text = path.read_text()
        assert "ml4t_kernels" not in text
        if path.stem != "ml4t_runner":  # which imports the published package of that name's first half
            assert "import ml4t" not in text
            assert "from ml4t" not in text
