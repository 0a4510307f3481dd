"""Cross-validation of a grid: the choice of every split, its tests put together to paths, and overfitting of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t_backtest.overfitting import probability_of_backtest_overfitting
from ml4t_backtest.splitting import CombinatorialPurged, RollingWindows
from ml4t_backtest.studies.crossing import cross_validate
from ml4t_backtest.studies.runners import EngineRunner
from tests.research.strategies import AboveMean, made_feed

GRID = {"length": [2, 4, 7, 11], "size": [0.2, 0.45]}
SERIAL: dict[str, Any] = {"executor": "serial"}


def test_every_split_chooses_on_its_training_bars() -> None:
    feed, splitter = made_feed(90), CombinatorialPurged(5, 2, purge=2, embargo=1)
    made = cross_validate(feed, AboveMean, GRID, splitter, **SERIAL)
    assert made.returns.shape == (90, 8)
    for column, number in enumerate(made.sets.tolist()):
        result = EngineRunner(made.study._task).result(made.study.params(number))
        np.testing.assert_allclose(made.returns[:, column], result.to_returns_series().to_numpy(), atol=1e-15)
    assert len(made.frame) == 10
    for split, row in zip(splitter.split(feed), made.frame.iter_rows(named=True), strict=True):
        train, test = made.returns[split.train], made.returns[split.test]
        ratios = train.mean(axis=0) / train.std(axis=0, ddof=1)
        best = int(np.argmax(ratios))
        tested = test.mean(axis=0) / test.std(axis=0, ddof=1)
        assert row["set"] == made.sets[best]
        assert {name: row[name] for name in GRID} == made.study.params(row["set"])
        assert row["train"] == pytest.approx(ratios[best])
        assert row["test"] == pytest.approx(tested[best])
        assert row["rank"] == pytest.approx((np.sum(tested < tested[best]) + (np.sum(tested == tested[best]) - 1) / 2) / 7)
        assert tuple(row["groups"]) == split.groups
    assert made.overfitting(10).probability == probability_of_backtest_overfitting(made.returns, 10).probability
    assert made.pbo == made.overfitting(16).probability
    assert "8 sets, 10 splits" in repr(made)


def test_paths_take_every_bar_from_one_test() -> None:
    feed, splitter = made_feed(60, 3), CombinatorialPurged(4, 2)
    made = cross_validate(feed, AboveMean, GRID, splitter, metric="mean", **SERIAL)
    returns = made.path_returns()
    assert returns.shape == (splitter.n_paths, 60) == (3, 60)
    for path, sources in enumerate(splitter.paths()):
        for group, source in enumerate(sources):
            chosen = made.sets.tolist().index(made.frame["set"][int(source)])
            bars = slice(group * 15, group * 15 + 15)
            np.testing.assert_array_equal(returns[path, bars], made.returns[bars, chosen])
    np.testing.assert_allclose(made.paths["total_return"], np.prod(1 + returns, axis=1) - 1)
    assert made.paths.columns == ["path", "total_return", "sharpe", "max_drawdown"]
    assert (made.paths["max_drawdown"] >= 0).all()


def test_failed_sets_are_left_out_and_other_splitters_have_no_paths() -> None:
    def make(length: int) -> AboveMean:
        if length == 4:
            raise RuntimeError("no")
        return AboveMean(length)

    with pytest.warns(UserWarning, match="1 of 3 sets failed and are left out"):
        made = cross_validate(
            made_feed(60), make, {"length": [2, 4, 7]}, RollingWindows(20, 10), metric=lambda part: part.sum(axis=0), **SERIAL
        )
    assert made.sets.tolist() == [0, 2]
    assert len(made.frame) == 4
    assert made.frame["groups"].to_list() == [[]] * 4
    with pytest.raises(ValueError, match="RollingWindows has no paths; CombinatorialPurged has"):
        _ = made.paths
    assert isinstance(made.frame, pl.DataFrame)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"keep": "all"}, TypeError, "got keep; it keeps the account values"),
        ({"grid": {"length": [3]}}, ValueError, "1 sets were completed, expected at least 2"),
        ({"metric": "sharp"}, ValueError, "metric was 'sharp'.*did you mean 'sharpe'"),
        ({"grid": {"lengtz": [3]}}, TypeError, "did you mean 'length'"),
        ({"splitter": CombinatorialPurged(50, 2)}, ValueError, "40 bars are too few for 50 groups"),
    ],
)
def test_bad_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"feed": made_feed(40), "strategy": AboveMean, "grid": GRID, **SERIAL, **change}
    with pytest.raises(error, match=message):
        cross_validate(**given)
