"""`cross_validate`: how a choice among parameter sets does on bars that it was not made on, in all combinations."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.metrics import drawdowns, returns_from_values, sharpe_ratio
from ml4t_backtest.lowering import trading_bars
from ml4t_backtest.overfitting import probability_of_backtest_overfitting, trial_performances
from ml4t_backtest.splitting import CombinatorialPurged
from ml4t_backtest.studies.sweeping import sweep
from ml4t_backtest.studies.tables import _series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.overfitting import OverfittingEstimate
    from ml4t_backtest.splitting import Split
    from ml4t_backtest.studies.study import Study
    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["CrossValidation", "cross_validate"]

_PARTITIONS = 16


def cross_validate(
    feed: DataFeed,
    strategy: Any,
    grid: Any,
    splitter: Any = None,
    *,
    metric: str | Callable[[FloatArray], Any] = "sharpe",
    progress: bool = True,
    **options: Any,
) -> CrossValidation:
    """Run every parameter set once over all bars, and on every split choose the best on the training bars and look at its test bars.

    feed, strategy, grid, options: as `sweep`. splitter: None for `CombinatorialPurged()`, or another one; choose its purge not shorter than
    positions last, since a position that is open where training ends goes on in the test. metric: of the returns per bar: "sharpe",
    "mean", or a function of float64[bars, sets] that returns a number per set.

    Raises ValueError when fewer than two sets were completed, for sets over different bars, and as `sweep` and the splitter. Warns
    (UserWarning) of sets that failed; they are left out.
    """
    if "keep" in options:
        raise TypeError("cross_validate() got keep; it keeps the account values of every set itself")
    study = sweep(feed, strategy, grid, keep="curve", progress=progress, **options)
    frame = study.frame.filter(status="completed")
    if len(frame) < len(study):
        warnings.warn(f"{len(study) - len(frame)} of {len(study)} sets failed and are left out; see study.frame", UserWarning, stacklevel=2)
    if len(frame) < 2:  # noqa: PLR2004 - a choice takes two
        raise ValueError(f"{len(frame)} sets were completed, expected at least 2 to choose among")
    sets = frame["set"].to_numpy()
    returns = _returns(study, sets, frame["initial_cash"].to_numpy())
    times = trading_bars(feed.panels, study._task.config).times
    if len(times) != len(returns):
        raise ValueError(
            f"the sets ran over {len(returns)} bars and not over the {len(times)} of the feed; 'enforce_sessions' cannot be in grid"
        )
    chosen = CombinatorialPurged() if splitter is None else splitter
    return CrossValidation(study, sets, returns, chosen, chosen.split(times), metric)


def _returns(study: Study, sets: IntArray, cash: FloatArray) -> FloatArray:
    """Return the returns of every set per bar, float64[bars, sets]; the first is against the initial cash."""
    kept = [study._block.kept[number].equity for number in sets.tolist()]
    curves = [np.zeros(0) if curve is None else curve for curve in kept]
    lengths = {len(curve) for curve in curves}
    if len(lengths) > 1:
        raise ValueError(f"the sets ran over different numbers of bars ({sorted(lengths)}); 'enforce_sessions' cannot be in grid")
    columns = [returns_from_values(np.concatenate([[start], curve])) for start, curve in zip(cash, curves, strict=True)]
    return np.column_stack(columns)


class CrossValidation:
    """What `cross_validate` found.

    study: the sweep over all bars. sets: int64[sets], the numbers of its completed sets. returns: float64[bars, sets]. splits: the
    `Split` objects.
    """

    def __init__(self, study: Study, sets: IntArray, returns: FloatArray, splitter: Any, splits: Sequence[Split], metric: Any) -> None:
        self.study, self.sets, self.returns = study, sets, returns
        self.splits = list(splits)
        self._splitter, self._metric = splitter, metric
        inside = np.array([trial_performances(returns[split.train], metric) for split in self.splits])
        outside = np.array([trial_performances(returns[split.test], metric) for split in self.splits])
        self._best = np.argmax(inside, axis=1)
        self._inside, self._outside = inside, outside

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row per split.

        Columns: split, groups (that were tested), train_bars, test_bars, set (the best on the training bars), its parameters, train and
        test (the metric there, per bar), rank (of the test among all sets, from 0, the worst, to 1, the best).
        """
        import polars as pl

        rows, best = np.arange(len(self.splits)), self._best
        test = self._outside[rows, best]
        below = np.count_nonzero(self._outside < test[:, None], axis=1)
        equal = np.count_nonzero(self._outside == test[:, None], axis=1) - 1
        chosen = [self.study.params(int(self.sets[place])) for place in best.tolist()]
        taken = {"split", "groups", "train_bars", "test_bars", "set", "train", "test", "rank"}
        columns = [
            pl.Series("split", [split.number for split in self.splits], dtype=pl.Int64),
            pl.Series("groups", [list(split.groups) for split in self.splits], dtype=pl.List(pl.Int64)),
            pl.Series("train_bars", [len(split.train) for split in self.splits], dtype=pl.Int64),
            pl.Series("test_bars", [len(split.test) for split in self.splits], dtype=pl.Int64),
            pl.Series("set", self.sets[best]),
        ]
        for name in self.study.parameters:
            columns.append(_series(f"param_{name}" if name in taken else name, [one.get(name) for one in chosen]))
        columns.append(pl.Series("train", self._inside[rows, best]))
        columns.append(pl.Series("test", test))
        columns.append(pl.Series("rank", (below + equal / 2.0) / (len(self.sets) - 1)))
        return pl.DataFrame(columns)

    @cached_property
    def paths(self) -> pl.DataFrame:
        """One row per path through all bars that the tests make: path, total_return, sharpe (per year), max_drawdown.

        Raises ValueError for a splitter without paths.
        """
        import polars as pl

        returns = self.path_returns()
        per_year = float(self.study.frame["periods_per_year"].drop_nulls()[0])
        growth = np.cumprod(1.0 + returns, axis=1)
        return pl.DataFrame(
            {
                "path": np.arange(len(returns)),
                "total_return": growth[:, -1] - 1.0,
                "sharpe": [sharpe_ratio(row, periods_per_year=per_year) for row in returns],
                "max_drawdown": [abs(float(np.min(drawdowns(row, 1.0)))) for row in growth],
            }
        )

    def path_returns(self) -> FloatArray:
        """Return the returns per bar of every path, float64[paths, bars]. Raises ValueError for a splitter without paths."""
        if not hasattr(self._splitter, "paths"):
            raise ValueError(f"{type(self._splitter).__name__} has no paths; CombinatorialPurged has")
        sources: IntArray = self._splitter.paths()
        made: FloatArray = np.zeros((len(sources), len(self.returns)))
        for group in range(sources.shape[1]):
            inside = np.ones(len(self.returns), dtype=np.bool_)
            for split in self.splits:
                if group in split.groups:
                    inside &= split.masks(len(inside))[1]
            for path, source in enumerate(sources[:, group].tolist()):
                made[path, inside] = self.returns[inside, self._best[source]]
        return made

    def overfitting(self, partitions: int = _PARTITIONS) -> OverfittingEstimate:
        """Return the probability of backtest overfitting of the choice among these sets; as `probability_of_backtest_overfitting`."""
        return probability_of_backtest_overfitting(self.returns, partitions, metric=self._metric)

    @cached_property
    def pbo(self) -> float:
        """The probability of backtest overfitting, with 16 partitions."""
        return self.overfitting().probability

    def __repr__(self) -> str:
        means = [float(self.frame[name].to_numpy().mean()) for name in ("train", "test", "rank")]
        metric = self._metric if isinstance(self._metric, str) else "metric"
        return (
            f"CrossValidation({len(self.sets)} sets, {len(self.splits)} splits; {metric} per bar of the choice {means[0]:.4f} in training,"
            f" {means[1]:.4f} in tests; mean rank {means[2]:.2f})"
        )
