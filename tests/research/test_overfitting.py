"""Sharpe ratios against the examples of the papers, overfitting against the slow way, bounds that hold as often as they say."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ml4t_backtest.overfitting import (
    bootstrap_interval,
    deflated_sharpe_ratio,
    effective_number_of_trials,
    expected_maximum_sharpe,
    minimum_track_record_length,
    optimal_block_length,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
    return_moments,
)

# Bailey and Lopez de Prado (2012): a fund with a monthly Sharpe ratio of 0.458 over two years.
FUND = {"skewness": -2.448, "kurtosis": 10.164}


def test_the_published_probabilities() -> None:
    assert probabilistic_sharpe_ratio(0.458, n_observations=24) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe_ratio(0.458, n_observations=24, **FUND) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(("per_year", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_the_published_track_records(per_year: int, years: float) -> None:
    # the same paper: a yearly ratio of 2 against 1, at 95 %, from daily, weekly and monthly returns
    length = minimum_track_record_length(2 / math.sqrt(per_year), 1 / math.sqrt(per_year))
    assert length / per_year == pytest.approx(years, abs=6e-3)
    fat = minimum_track_record_length(2 / math.sqrt(12), 1 / math.sqrt(12), skewness=-0.72, kurtosis=5.78)
    assert fat / 12 == pytest.approx(4.99, abs=6e-3)


def test_the_published_deflated_ratio() -> None:
    # Bailey and Lopez de Prado (2014): a yearly ratio of 2.5 over 1,250 days, the best of 100 with a variance of one half per year
    best = {"sharpe": 2.5 / math.sqrt(250), "n_observations": 1250, "skewness": -3.0, "kurtosis": 10.0}
    assert expected_maximum_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe_ratio(n_trials=100, trials_variance=0.5 / 250, **best) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe_ratio(n_trials=46, trials_variance=0.5 / 250, **best) == pytest.approx(0.9505, abs=5e-5)
    plain = {**best, "skewness": 0.0, "kurtosis": 3.0}
    assert deflated_sharpe_ratio(n_trials=88, trials_variance=0.5 / 250, **plain) == pytest.approx(0.9505, abs=5e-5)


@given(
    sharpe=st.floats(-0.5, 0.5),
    benchmark=st.floats(-0.2, 0.2),
    count=st.integers(2, 5000),
    skewness=st.floats(-3, 3),
    more=st.floats(0, 20),
)
def test_against_scipy(sharpe: float, benchmark: float, count: int, skewness: float, more: float) -> None:
    kurtosis = 1.0 + skewness**2 + more
    deviation = math.sqrt((1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (count - 1))
    wanted = stats.norm.cdf((sharpe - benchmark) / deviation)
    made = probabilistic_sharpe_ratio(sharpe, benchmark, n_observations=count, skewness=skewness, kurtosis=kurtosis)
    assert made == pytest.approx(wanted, abs=1e-12)


@given(sharpe=st.floats(0.01, 0.5), confidence=st.floats(0.55, 0.999), skewness=st.floats(-2, 2), more=st.floats(0.1, 9))
def test_a_track_record_of_that_length_has_that_probability(sharpe: float, confidence: float, skewness: float, more: float) -> None:
    moments = {"skewness": skewness, "kurtosis": 1.0 + skewness**2 + more}
    length = minimum_track_record_length(sharpe, confidence=confidence, **moments)
    if length > 1.001:
        made = probabilistic_sharpe_ratio(sharpe, n_observations=length, **moments)  # type: ignore[arg-type]
        assert made == pytest.approx(confidence, abs=1e-9)


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_the_best_of_many_is_as_good_as_expected(trials: int) -> None:
    drawn = np.random.default_rng(3).normal(0.02, 0.1, (4000, trials)).max(axis=1).mean()
    assert expected_maximum_sharpe(trials, 0.01, 0.02) == pytest.approx(drawn, rel=0.03)  # the formula is for many trials
    assert expected_maximum_sharpe(1, 0.01) == 0.0
    assert 0.7 < expected_maximum_sharpe(1e12, 0.01) < expected_maximum_sharpe(1e18, 0.01) < 1.0


@given(values=st.lists(st.floats(-0.1, 0.1).map(lambda x: round(x, 6)), min_size=3, max_size=50).filter(lambda v: len(set(v)) > 1))
def test_moments(values: list[float]) -> None:
    moments = return_moments(values)
    assert moments["skewness"] == pytest.approx(stats.skew(values), abs=1e-7)
    assert moments["kurtosis"] == pytest.approx(stats.kurtosis(values, fisher=False), rel=1e-7)
    assert moments["sharpe"] == pytest.approx(np.mean(values) / np.std(values, ddof=1), abs=1e-9)
    assert 0.0 <= probabilistic_sharpe_ratio(**moments) <= 1.0


def test_effective_trials() -> None:
    rng = np.random.default_rng(0)
    alone = rng.normal(size=(20_000, 8))
    assert effective_number_of_trials(alone) == pytest.approx(8, abs=0.1)
    assert effective_number_of_trials(np.repeat(alone[:, :1], 8, axis=1)) == pytest.approx(1.0)
    half = alone + rng.normal(size=(20_000, 1))  # correlations of one half
    mean = np.mean(np.corrcoef(half.T)[np.triu_indices(8, 1)])
    assert effective_number_of_trials(half) == pytest.approx(mean + (1 - mean) * 8)
    assert effective_number_of_trials(np.column_stack([alone[:, 0], -alone[:, 0]])) == 2.0
    assert effective_number_of_trials(np.column_stack([alone[:, :2], np.zeros((20_000, 3))])) == pytest.approx(3.0, abs=0.05)


def slowly(matrix: np.ndarray, partitions: int, metric: object) -> tuple[list[float], list[int]]:
    length = len(matrix) // partitions
    blocks = np.split(matrix[len(matrix) - partitions * length :], partitions)
    logits, chosen = [], []
    for inside in combinations(range(partitions), partitions // 2):
        within = metric(np.concatenate([blocks[block] for block in inside]))  # type: ignore[operator]
        beyond = metric(np.concatenate([blocks[block] for block in range(partitions) if block not in inside]))  # type: ignore[operator]
        best = int(np.argmax(within))
        share = stats.rankdata(beyond)[best] / (len(beyond) + 1)
        logits.append(math.log(share / (1 - share)))
        chosen.append(best)
    return logits, chosen


def sharpes(part: np.ndarray) -> np.ndarray:
    return np.mean(part, axis=0) / np.std(part, axis=0, ddof=1)


@pytest.mark.parametrize(("rows", "trials", "partitions"), [(40, 3, 4), (61, 7, 6), (100, 2, 8)])
def test_overfitting_is_that_of_every_half(rows: int, trials: int, partitions: int) -> None:
    matrix = np.random.default_rng(rows).normal(0.001, 0.01, (rows, trials))
    logits, chosen = slowly(matrix, partitions, sharpes)
    for metric in ("sharpe", sharpes):
        made = probability_of_backtest_overfitting(matrix, partitions, metric=metric)
        np.testing.assert_allclose(made.logits, logits)
        assert made.chosen.tolist() == chosen
        assert made.n_splits == math.comb(partitions, partitions // 2)
        assert made.probability == np.mean(np.array(logits) <= 0)
    wanted = slowly(matrix, partitions, lambda part: part.mean(axis=0))
    made = probability_of_backtest_overfitting(matrix, partitions, metric="mean")
    assert made.chosen.tolist() == wanted[1]
    slope = stats.linregress(made.in_sample, made.out_of_sample).slope
    assert made.slope == pytest.approx(slope)
    assert made.probability_of_loss == np.mean(made.out_of_sample < 0)


def test_noise_is_overfitted_and_skill_is_not() -> None:
    rng = np.random.default_rng(7)
    noise = rng.normal(0.0, 0.01, (800, 30))
    skill = noise.copy()
    skill[:, 11] += 0.004
    assert probability_of_backtest_overfitting(noise, 10).probability > 0.35
    good = probability_of_backtest_overfitting(skill, 10)
    assert good.probability < 0.02
    assert set(good.chosen) == {11}


def test_bounds_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    inside = 0
    for run in range(120):
        noise = rng.normal(0.0, 0.01, 301)
        returns = 0.002 + noise[1:] + 0.5 * noise[:-1]  # every return knows the one before
        made = bootstrap_interval(returns, "mean", samples=300, confidence=0.9, seed=run)
        inside += made.lower <= 0.002 <= made.upper
        assert made.lower <= made.upper
    assert 0.80 <= inside / 120 <= 0.97


@pytest.mark.parametrize("method", ["stationary", "block"])
def test_samples_are_blocks_of_the_returns(method: str) -> None:
    returns = np.arange(50.0)
    seen: list[np.ndarray] = []
    bootstrap_interval(returns, lambda sample: float(seen.append(sample) or 0.0), method=method, block_length=5, samples=200)
    runs = [np.flatnonzero(np.diff(sample) % 50 != 1) for sample in seen[:200]]
    lengths = np.concatenate([np.diff(np.concatenate([[-1], ends])) for ends in runs])
    assert all(sample.shape == (50,) and set(sample) <= set(returns) for sample in seen)
    assert lengths.mean() == pytest.approx(5.0, rel=0.1)
    if method == "block":
        assert set(lengths % 5) == {0}
    firsts = np.array([sample[0] for sample in seen[:200]])
    assert len(set(firsts)) > 30


def test_named_statistics() -> None:
    returns = np.random.default_rng(2).normal(0.001, 0.02, 200)
    for name, function in {
        "sharpe": lambda r: r.mean() / r.std(ddof=1),
        "mean": np.mean,
        "total_return": lambda r: np.prod(1 + r) - 1,
        "max_drawdown": lambda r: np.max(1 - np.cumprod(1 + r) / np.maximum.accumulate(np.append(1.0, np.cumprod(1 + r)))[1:]),
    }.items():
        made, wanted = (bootstrap_interval(returns, how, samples=50) for how in (name, function))
        np.testing.assert_allclose(made.samples, wanted.samples, rtol=1e-9, atol=1e-12)
        assert made.estimate == pytest.approx(wanted.estimate)
        assert made.lower <= np.median(made.samples) <= made.upper


def test_block_lengths() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=2001)
    assert optimal_block_length(noise) < 8
    trending = np.zeros(2000)
    for place in range(1, 2000):
        trending[place] = 0.8 * trending[place - 1] + noise[place]
    assert 15 < optimal_block_length(trending) < 80
    assert optimal_block_length(trending, method="block") == pytest.approx(optimal_block_length(trending) * 1.5 ** (1 / 3))
    assert optimal_block_length([0.1, 0.1, 0.1]) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probabilistic_sharpe_ratio(math.nan, n_observations=9), "sharpe was nan, expected a finite number"),
        (lambda: probabilistic_sharpe_ratio(0.1, n_observations=1), "n_observations was 1, expected at least 2"),
        (lambda: probabilistic_sharpe_ratio(0.1, n_observations=9, kurtosis=0.0), "kurtosis 0.0: no distribution.*not the excess"),
        (lambda: minimum_track_record_length(0.1, confidence=95), "confidence was 95, expected a number from 0.5 to below 1"),
        (lambda: expected_maximum_sharpe(0, 1.0), "n_trials was 0, expected a number >= 1"),
        (lambda: expected_maximum_sharpe(5, -1.0), "trials_variance was -1.0, expected a number >= 0"),
        (lambda: return_moments([0.1]), r"returns had the shape \(1,\), expected at least two"),
        (lambda: return_moments([0.1, 0.1, 0.1]), "all returns are equal"),
        (lambda: return_moments([0.1, math.nan, 0.1]), r"returns\[1\] was nan, expected finite numbers \(1 are not\)"),
        (lambda: return_moments("text"), "holds no plain numbers"),
        (lambda: effective_number_of_trials([0.1, 0.2]), r"shape \(2,\), expected \(observations, trials\)"),
        (lambda: probability_of_backtest_overfitting(np.eye(40), 5), "partitions was 5, expected an even number from 2 to 24"),
        (lambda: probability_of_backtest_overfitting(np.eye(20), 16), "20 returns are too few for 16 partitions"),
        (lambda: probability_of_backtest_overfitting(np.eye(40), 4, metric="sharp"), "metric was 'sharp'.*did you mean 'sharpe'"),
        (lambda: probability_of_backtest_overfitting(np.eye(40), 4, metric=lambda part: 1.0), "for each of 40 trials"),
        (lambda: bootstrap_interval([0.1, 0.2], "sharp"), "statistic was 'sharp'.*did you mean 'sharpe'"),
        (lambda: bootstrap_interval([0.1, 0.2], method="bock"), "method was 'bock'.*did you mean 'block'"),
        (lambda: bootstrap_interval([0.1, 0.2], method="bock", block_length=1), "method was 'bock'"),
        (lambda: bootstrap_interval([0.1, 0.2], block_length=3), "block_length was 3, expected a number from 1 to 2"),
        (lambda: bootstrap_interval([0.1, 0.2], samples=1), "samples was 1"),
        (lambda: bootstrap_interval([0.1, 0.2], confidence=95), "confidence was 95"),
        (lambda: bootstrap_interval([0.1, 0.2], lambda sample: math.nan, samples=9), "statistic is NaN for 9 of 9 samples"),
    ],
)
def test_bad_arguments(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_no_skill_takes_forever() -> None:
    assert minimum_track_record_length(0.1, 0.1) == math.inf
