"""How much of a good result is luck: Sharpe ratios against chance and against the number of trials, overfitting, bootstrap intervals.

All Sharpe ratios here are per period, as the returns are, and not per year: a daily one is the yearly one over the root of 252. Kurtosis
is that of the normal distribution where it is 3. `return_moments` gives both, and the number of observations, under the names that the
functions take: `probabilistic_sharpe_ratio(**return_moments(returns))`.

Sources: D. Bailey and M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012), and "The Deflated Sharpe
Ratio", Journal of Portfolio Management 40 (2014); D. Bailey, J. Borwein, M. Lopez de Prado and Q. Zhu, "The Probability of Backtest
Overfitting", Journal of Computational Finance 20 (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations, islice
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.bootstrap import BootstrapInterval, bootstrap_interval, finite, optimal_block_length
from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = [
    "BootstrapInterval",
    "OverfittingEstimate",
    "bootstrap_interval",
    "deflated_sharpe_ratio",
    "effective_number_of_trials",
    "expected_maximum_sharpe",
    "minimum_track_record_length",
    "optimal_block_length",
    "probabilistic_sharpe_ratio",
    "probability_of_backtest_overfitting",
    "return_moments",
    "trial_performances",
]

Values: TypeAlias = Any  # an array, list, or series of numbers

_NORMAL = NormalDist()
_EULER = 0.5772156649015329
_NO_SPREAD = 1e-15  # of returns, which are quotients less one
_CHUNK = 1_000_000  # numbers that are worked on at a time


def return_moments(returns: Values) -> dict[str, Any]:
    """Return sharpe (mean over standard deviation, ddof 1), n_observations, skewness and kurtosis (of the population) of returns.

    Raises ValueError for fewer than two returns, equal ones, and what is no finite number.
    """
    row = finite(returns, "returns", 1)
    apart = row - np.mean(row)
    variance = float(np.mean(apart * apart))
    if math.sqrt(variance) <= _NO_SPREAD:
        raise ValueError("all returns are equal: they have no Sharpe ratio")
    count = len(row)
    return {
        "sharpe": float(np.mean(row)) / math.sqrt(variance * count / (count - 1)),
        "n_observations": count,
        "skewness": float(np.mean(apart * apart * apart)) / (variance * math.sqrt(variance)),
        "kurtosis": float(np.mean(apart * apart * apart * apart)) / (variance * variance),
    }


# One Sharpe ratio --------------------------------------------------------------------------------------------------------


def probabilistic_sharpe_ratio(
    sharpe: float, benchmark: float = 0.0, *, n_observations: int, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio is above a benchmark, given an estimate from `n_observations` returns.

    sharpe, benchmark: per period. Source: Bailey and Lopez de Prado (2012). Raises ValueError for fewer than two observations
    and for moments that no distribution has (kurtosis < 1 + skewness squared).
    """
    _numbers(sharpe=sharpe, benchmark=benchmark)
    if not n_observations > 1:
        raise ValueError(f"n_observations was {n_observations!r}, expected at least 2")
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n_observations - 1) / math.sqrt(_variance(sharpe, skewness, kurtosis)))


def minimum_track_record_length(
    sharpe: float, benchmark: float = 0.0, *, confidence: float = 0.95, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return how many returns it takes to say with `confidence` that the true Sharpe ratio is above the benchmark.

    Infinite when the estimate is not above it. Source: Bailey and Lopez de Prado (2012). Raises ValueError for a confidence
    outside 0.5 to 1 and as `probabilistic_sharpe_ratio`.
    """
    _numbers(sharpe=sharpe, benchmark=benchmark)
    if not 0.5 <= confidence < 1.0:  # noqa: PLR2004 - below one half anything will do
        raise ValueError(f"confidence was {confidence!r}, expected a number from 0.5 to below 1")
    variance = _variance(sharpe, skewness, kurtosis)
    if sharpe <= benchmark:
        return math.inf
    distance = _NORMAL.inv_cdf(confidence) / (sharpe - benchmark)
    return 1.0 + variance * distance * distance


def _variance(sharpe: float, skewness: float, kurtosis: float) -> float:
    """Return the variance of an estimated Sharpe ratio times the number of observations less one."""
    _numbers(skewness=skewness, kurtosis=kurtosis)
    if kurtosis < (1.0 + skewness * skewness) * (1.0 - 1e-9):
        raise ValueError(
            f"skewness was {skewness} and kurtosis {kurtosis}: no distribution has a kurtosis below 1 + skewness squared"
            " (the normal one has 3; give the kurtosis itself, not the excess)"
        )
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    return max(variance, 1e-300)  # 0 for a two-point distribution


# The best of many --------------------------------------------------------------------------------------------------------


def expected_maximum_sharpe(n_trials: float, trials_variance: float, mean: float = 0.0) -> float:
    """Return the Sharpe ratio to expect of the best of `n_trials` that have no skill.

    n_trials: independent ones (`effective_number_of_trials`). trials_variance: of the Sharpe ratios of the trials. mean: of those
    ratios. All per period. Source: Bailey and Lopez de Prado (2014). Raises ValueError for n_trials < 1 and a negative variance.
    """
    _numbers(n_trials=n_trials, trials_variance=trials_variance, mean=mean)
    if n_trials < 1:
        raise ValueError(f"n_trials was {n_trials!r}, expected a number >= 1")
    if trials_variance < 0.0:
        raise ValueError(f"trials_variance was {trials_variance!r}, expected a number >= 0")
    if n_trials == 1:
        return mean
    most = (1.0 - _EULER) * _quantile(1.0 / n_trials) + _EULER * _quantile(1.0 / (n_trials * math.e))
    return mean + math.sqrt(trials_variance) * max(most, 0.0)


def _quantile(above: float) -> float:
    """Return what a normal number exceeds with a probability, exactly also for tiny ones."""
    return -_NORMAL.inv_cdf(above)


def deflated_sharpe_ratio(
    sharpe: float,
    *,
    n_trials: float,
    trials_variance: float,
    n_observations: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """Return the probability that the best of many trials has skill: its probabilistic Sharpe ratio against what luck would give.

    sharpe: of the best trial, per period, not per year. n_trials: independent ones that it was chosen from. trials_variance: variance of
    the Sharpe ratios of all trials, per period. n_observations, skewness, kurtosis: of the returns of the best trial. Source: Bailey and
    Lopez de Prado (2014). Errors: as `expected_maximum_sharpe` and `probabilistic_sharpe_ratio`.
    """
    luck = expected_maximum_sharpe(n_trials, trials_variance)
    return probabilistic_sharpe_ratio(sharpe, luck, n_observations=n_observations, skewness=skewness, kurtosis=kurtosis)


def effective_number_of_trials(returns: Values) -> float:
    """Return how many independent trials are as many as these, from the mean of their correlations: between 1 and their number.

    returns: (observations, trials), at least two of each. It is `mean + (1 - mean) * trials`, a negative mean counting as 0. Trials
    without any variation count as one. Source: Bailey and Lopez de Prado (2014), appendix. Raises ValueError for other shapes.
    """
    matrix = finite(returns, "returns", 2)
    apart = matrix - np.mean(matrix, axis=0)
    spread = np.sqrt(np.mean(apart * apart, axis=0))
    moving = spread > _NO_SPREAD
    still = int(np.count_nonzero(~moving) > 0)
    count = int(np.count_nonzero(moving))
    if count < 2:  # noqa: PLR2004 - a correlation takes two
        return float(max(count + still, 1))
    # the sum of all correlations is the variance of the sum of the standardised trials: no matrix of trials by trials
    whole = np.sum(apart[:, moving] / spread[moving], axis=1)
    mean = (float(np.mean(whole * whole)) - count) / (count * (count - 1))
    mean = min(max(mean, 0.0), 1.0)
    return mean + (1.0 - mean) * count + still


# Overfitting -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OverfittingEstimate:
    """What combinatorially symmetric cross-validation says of a choice.

    probability: how often the trial that was best in one half of the time was not above the median in the other. logits:
    float64[n_splits], log odds of its relative rank there. chosen: int64[n_splits], the best trial of each half. in_sample,
    out_of_sample: float64[n_splits], its performance in both. probability_of_loss: how often the latter was negative. slope: of the
    regression of the latter on the former.
    """

    probability: float
    probability_of_loss: float
    slope: float
    n_splits: int
    logits: FloatArray = field(repr=False)
    chosen: IntArray = field(repr=False)
    in_sample: FloatArray = field(repr=False)
    out_of_sample: FloatArray = field(repr=False)


def probability_of_backtest_overfitting(
    returns: Values, partitions: int = 16, *, metric: str | Callable[[FloatArray], Values] = "sharpe"
) -> OverfittingEstimate:
    """Return how likely it is that choosing the best trial chooses noise, by combinatorially symmetric cross-validation.

    returns: (observations, trials), of all trials over the same time. partitions: even; the rows are cut into so many blocks of equal
    length (those left over at the start are not used); every half of them is once in-sample, the rest out-of-sample. metric:
    "sharpe", "mean", or a function of the returns of a half (rows, trials) that returns a number per trial.

    Source: Bailey, Borwein, Lopez de Prado and Zhu (2017). Raises ValueError for fewer than two trials, an odd or too large number of
    partitions, fewer than two rows each, and performances that are no numbers.
    """
    matrix = finite(returns, "returns", 2)
    if isinstance(partitions, bool) or not isinstance(partitions, int) or partitions % 2 or not 2 <= partitions <= 24:  # noqa: PLR2004
        raise ValueError(f"partitions was {partitions!r}, expected an even number from 2 to 24")
    length = len(matrix) // partitions
    if length < 2:  # noqa: PLR2004 - a deviation takes two
        raise ValueError(f"{len(matrix)} returns are too few for {partitions} partitions of at least two; give fewer partitions")
    blocks = matrix[len(matrix) - partitions * length :].reshape(partitions, length, -1)
    parts = [
        _ranked(inside, outside)
        for chosen in _halves(partitions, max(_CHUNK // matrix.shape[1], 1))
        for inside, outside in [_performances(blocks, chosen, metric)]
    ]
    best, within, beyond, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    share = rank / (matrix.shape[1] + 1.0)
    logits: FloatArray = np.log(share / (1.0 - share))
    apart = within - np.mean(within)
    spread = float(np.sum(apart * apart))
    return OverfittingEstimate(
        probability=float(np.mean(logits <= 0.0)),
        probability_of_loss=float(np.mean(beyond < 0.0)),
        slope=float(np.sum(apart * beyond)) / spread if spread > 0.0 else 0.0,
        n_splits=len(logits),
        logits=logits,
        chosen=best,
        in_sample=within,
        out_of_sample=beyond,
    )


def _halves(partitions: int, most: int) -> Iterator[FloatArray]:
    """Yield all halves as rows of float64[halves, partitions], 1 for a block inside, at most so many rows at a time."""
    every = combinations(range(partitions), partitions // 2)
    while some := list(islice(every, most)):
        made = np.zeros((len(some), partitions))
        np.put_along_axis(made, np.array(some), 1.0, axis=1)
        yield made


def _performances(blocks: FloatArray, inside: FloatArray, metric: str | Callable[[FloatArray], Values]) -> tuple[FloatArray, FloatArray]:
    """Return the performance of every trial inside and outside, float64[halves, trials] each."""
    if callable(metric):
        return _asked(blocks, inside, metric), _asked(blocks, 1.0 - inside, metric)
    _check_metric(metric)
    centre = np.mean(blocks, axis=(0, 1))
    apart = blocks - centre
    totals, squares = np.sum(apart, axis=1), np.sum(apart * apart, axis=1)
    count = blocks.shape[1] * len(blocks) // 2
    made = []
    for half in (inside, 1.0 - inside):
        mean = half @ totals / count
        if metric == "sharpe":
            spread = np.sqrt(np.maximum(half @ squares - count * mean * mean, 0.0) / (count - 1))
            some = spread > _NO_SPREAD
            made.append(np.where(some, (mean + centre) / np.where(some, spread, 1.0), 0.0))
        else:
            made.append(mean + centre)
    return made[0], made[1]


def _asked(blocks: FloatArray, halves: FloatArray, metric: Callable[[FloatArray], Values]) -> FloatArray:
    return np.array([trial_performances(blocks[half > 0.0].reshape(-1, blocks.shape[2]), metric) for half in halves])


def trial_performances(returns: FloatArray, metric: str | Callable[[FloatArray], Values] = "sharpe") -> FloatArray:
    """Return the performance of every trial, float64[trials].

    metric: "sharpe" (per period, 0 without spread), "mean", or a function of the returns. returns: (observations, trials). Raises
    ValueError for an unknown metric and for answers that are no number per trial.
    """
    if callable(metric):
        answer: FloatArray = np.asarray(metric(returns), dtype=np.float64)
        if answer.shape != (returns.shape[1],) or np.isnan(answer).any():
            raise ValueError(f"metric returned {answer!r}, expected a number for each of {returns.shape[1]} trials")
        return answer
    _check_metric(metric)
    mean = np.asarray(np.mean(returns, axis=0), dtype=np.float64)
    if metric == "mean":
        return mean
    spread = np.std(returns, axis=0, ddof=1)
    some = spread > _NO_SPREAD
    return np.where(some, mean / np.where(some, spread, 1.0), 0.0)


def _check_metric(metric: str) -> None:
    if metric not in ("sharpe", "mean"):
        raise ValueError(f"metric was {metric!r}, expected 'sharpe', 'mean' or a function{did_you_mean(str(metric), ('sharpe', 'mean'))}")


def _ranked(inside: FloatArray, outside: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Return of every half the best trial, its performances inside and outside, and its rank outside, from 1, a mean for equals."""
    best = np.argmax(inside, axis=1).astype(np.int64)
    rows = np.arange(len(best))
    within, beyond = inside[rows, best], outside[rows, best]
    below = np.count_nonzero(outside < beyond[:, None], axis=1)
    equal = np.count_nonzero(outside == beyond[:, None], axis=1)
    return best, within, beyond, below + (equal + 1) / 2.0


def _numbers(**numbers: float) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{name} was {number!r}, expected a finite number")
