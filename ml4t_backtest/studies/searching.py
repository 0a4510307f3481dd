"""Searches that choose the next sets by the rows so far, with Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.progress import counter
from ml4t_backtest.studies.ranking import direction
from ml4t_backtest.studies.space import Integers, Listed, Uniform, values_of
from ml4t_backtest.studies.study import Study
from ml4t_backtest.studies.whole import Rows

if TYPE_CHECKING:
    from ml4t_backtest.studies.blocks import Block
    from ml4t_backtest.studies.whole import Whole

__all__ = ["OptunaSearch", "optuna_search", "run_search"]


class OptunaSearch:
    """An Optuna study with a space, made by `optuna_search`."""

    def __init__(self, study: Any, space: Mapping[str, Any], n_trials: int, metrics: tuple[str, ...], batch: int) -> None:
        self.study, self.n_trials, self.metrics, self.batch = study, n_trials, metrics, batch
        self.kinds = {name: kind if isinstance(kind, (Uniform, Integers)) else values_of(name, kind) for name, kind in space.items()}
        self.space = Listed([])
        self.space.name(self.kinds)

    def example(self) -> dict[str, Any]:
        """Return some set of the space."""
        return {name: kind[0] if isinstance(kind, list) else kind.low for name, kind in self.kinds.items()}

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """Return a trial and its parameters."""
        trial = self.study.ask()
        return trial, {name: self._suggest(trial, name, kind) for name, kind in self.kinds.items()}

    @staticmethod
    def _suggest(trial: Any, name: str, kind: Any) -> Any:
        if isinstance(kind, list):
            return (
                kind[trial.suggest_categorical(name, list(range(len(kind))))] if _objects(kind) else trial.suggest_categorical(name, kind)
            )
        if isinstance(kind, Integers):
            return trial.suggest_int(name, kind.low, kind.low + (kind.high - kind.low) // kind.step * kind.step, step=kind.step)
        return trial.suggest_float(name, kind.low, kind.high, log=kind.log)

    def tell(self, trial: Any, block: Block, number: int | None) -> None:
        """Tell Optuna what became of a trial; None: it was not run."""
        from optuna.trial import TrialState

        row = None if number is None else block.numbers.tolist().index(number)
        if row is None or block.failed[row]:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, [float(block.metrics[row, block.names.index(metric)]) for metric in self.metrics])


def optuna_search(
    study: Any, space: Mapping[str, Any], n_trials: int, metric: str | Sequence[str] = "sharpe", *, batch: int = 10
) -> OptunaSearch:
    """Return a grid for `sweep` whose sets an Optuna study chooses.

    study: an Optuna study whose directions fit the metrics; give its sampler a seed to repeat it. space: as `random_search`.
    n_trials: how many sets. metric: one, or one per objective. batch: how many sets are asked for at once, run in parallel and
    told in order, so that the rows do not depend on the number of workers.

    Raises ValueError for unknown metrics, a direction that does not fit and bad numbers; ImportError without optuna.
    """
    from ml4t_backtest.analytics.metrics import METRIC_NAMES

    try:
        import optuna
    except ImportError as error:
        raise ImportError("optuna_search needs Optuna: pip install 'ml4t-backtest-numba[optimize]'") from error
    if not isinstance(study, optuna.study.Study):
        raise TypeError(f"study was a {type(study).__name__}, expected optuna.create_study(direction='maximize')")
    metrics = (metric,) if isinstance(metric, str) else tuple(metric)
    for name in metrics:
        if name not in METRIC_NAMES:
            raise ValueError(f"metric was {name!r}{did_you_mean(name, METRIC_NAMES)} Metrics: {', '.join(METRIC_NAMES)}")
    wanted = ["maximize" if direction(name) > 0 else "minimize" for name in metrics]
    found = [one.name.lower() for one in study.directions]
    if wanted != found:
        raise ValueError(f"the Optuna study has directions {found}, {list(metrics)} need {wanted}")
    for name, value in (("n_trials", n_trials), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"optuna_search({name}={value!r}): expected a whole number >= 1")
    if not isinstance(space, Mapping) or not space:
        raise ValueError("optuna_search(): space was empty or no dict, expected names to Uniform(...), Integers(...) or lists")
    return OptunaSearch(study, space, n_trials, metrics, batch)


def run_search(whole: Whole, search: OptunaSearch) -> Study:
    """Run a study batch by batch."""
    bar = counter(search.n_trials, progress=whole.progress, label="sweep", unit="set")
    rows = Rows(bar, None)
    status = "completed"
    try:
        while len(search.space) < search.n_trials and status == "completed":
            first = len(search.space)
            trials = [search.ask() for _ in range(min(search.batch, search.n_trials - first))]
            for _, parameters in trials:
                search.space.append(parameters)
            status = whole.drive(range(first, len(search.space)), len(trials), rows)
            block = rows.load()
            finished = set(block.numbers.tolist())
            for number, (trial, _) in enumerate(trials, start=first):
                search.tell(trial, block, number if number in finished else None)
    finally:
        bar.close()
        whole.close()
    return Study(whole.task, search.space, rows.load, status)


def _objects(kind: list[Any]) -> bool:
    """Whether some values are none that Optuna stores."""
    return any(not isinstance(value, (bool, int, float, str, type(None))) for value in kind)
