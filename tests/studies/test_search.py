"""Searches with Optuna: the same rows whatever the number of workers, and trials that know what became of them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from ml4t_backtest import Integers, Uniform, optuna_search, sweep
from tests.studies.strategies import Crossing, Failing, feed_of

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = {"fast": Integers(2, 7), "slow": Integers(8, 20, step=3), "stop_pct": Uniform(0.01, 0.2, log=True), "quantity": [5, 10]}


def study_of(direction: str = "maximize", **keywords: Any) -> Any:
    return optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=5), **keywords)


def test_rows_do_not_depend_on_workers() -> None:
    feed = feed_of()
    first, second = study_of(), study_of()
    serial = sweep(feed, Crossing, optuna_search(first, SPACE, 12, batch=4), executor="serial")
    threads = sweep(feed, Crossing, optuna_search(second, SPACE, 12, batch=4), executor="threads", workers=3)
    assert serial.frame.drop("seconds").equals(threads.frame.drop("seconds"))
    assert len(serial) == 12
    assert first.best_value == serial.best()["sharpe"].item() == second.best_value
    assert [trial.params for trial in first.trials] == [serial.params(number) for number in range(12)]
    assert serial.rerun(serial.best())["sharpe"] == first.best_value


def test_failed_sets_are_failed_trials() -> None:
    search = study_of()
    study = sweep(feed_of(), Failing, optuna_search(search, {"fast": [4, 2, 3], "slow": [9]}, 8), executor="serial")
    states = ["failed" if trial.state is optuna.trial.TrialState.FAIL else "completed" for trial in search.trials]
    assert states == study.frame["status"].to_list()
    assert "failed" in states
    assert "completed" in states


class Stopping(Crossing):
    def on_start(self, broker: Any) -> None:
        if self.fast == 5:
            raise KeyboardInterrupt


def test_an_interrupted_search_leaves_no_trial_open() -> None:
    search = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    with pytest.warns(UserWarning, match="interrupted"):
        study = sweep(feed_of(), Stopping, optuna_search(search, {"fast": Integers(2, 6)}, 50, batch=50), executor="serial")
    states = [trial.state for trial in search.trials]
    assert states.count(optuna.trial.TrialState.COMPLETE) == len(study)
    assert states.count(optuna.trial.TrialState.FAIL) == 50 - len(study) > 0


def test_two_objectives() -> None:
    search = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=1))
    study = sweep(feed_of(), Crossing, optuna_search(search, SPACE, 6, ["sharpe", "max_drawdown"]), executor="serial")
    assert [trial.values for trial in search.trials] == [list(row) for row in study.frame.select("sharpe", "max_drawdown").rows()]


def test_bad_searches_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = feed_of()
    for error, text, make in (
        (ValueError, "metric was 'sharp'; did you mean 'sharpe'", lambda: optuna_search(study_of(), SPACE, 3, "sharp")),
        (
            ValueError,
            r"has directions \['maximize'\], \['max_drawdown'\] need \['minimize'\]",
            lambda: optuna_search(study_of(), SPACE, 3, "max_drawdown"),
        ),
        (TypeError, "study was a str", lambda: optuna_search("maximize", SPACE, 3)),
        (ValueError, "n_trials=0", lambda: optuna_search(study_of(), SPACE, 0)),
        (ValueError, "batch=0", lambda: optuna_search(study_of(), SPACE, 3, batch=0)),
        (ValueError, "space was empty", lambda: optuna_search(study_of(), {}, 3)),
        (
            ValueError,
            "where does not go with an Optuna search",
            lambda: sweep(feed, Crossing, optuna_search(study_of(), SPACE, 3), where=bool),
        ),
        (ValueError, "resume does not go with", lambda: sweep(feed, Crossing, optuna_search(study_of(), SPACE, 3), resume="x")),
        (TypeError, "nothing takes the parameter 'fst'", lambda: sweep(feed, Crossing, optuna_search(study_of(), {"fst": [1]}, 3))),
    ):
        with pytest.raises(error, match=text):
            make()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"optuna_search needs Optuna: pip install 'ml4t-backtest-numba\[optimize\]'"):
        optuna_search(None, SPACE, 3)
