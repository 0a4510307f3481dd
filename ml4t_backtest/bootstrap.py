"""Bounds of a statistic from samples of blocks of returns, which keep what one return has to do with the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml4t_kernels.dtypes import FloatArray, IntArray

__all__ = ["BootstrapInterval", "bootstrap_interval", "finite", "optimal_block_length"]

Values: TypeAlias = Any  # an array, list, or series of numbers

_METHODS = ("stationary", "block")
_NO_SPREAD = 1e-15  # of returns, which are quotients less one
_CHUNK = 1_000_000  # numbers that are worked on at a time


@dataclass(frozen=True)
class BootstrapInterval:
    """A statistic, its bounds, and the mean block length that was used. samples: float64[samples], the statistic of every sample."""

    estimate: float
    lower: float
    upper: float
    confidence: float
    block_length: float
    samples: FloatArray = field(repr=False)


def bootstrap_interval(
    returns: Values,
    statistic: str | Callable[[FloatArray], float] = "sharpe",
    *,
    method: str = "stationary",
    block_length: float | None = None,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> BootstrapInterval:
    """Return bounds between which a statistic of returns lies.

    statistic: "sharpe" (per period), "mean", "total_return", "max_drawdown" (a fraction >= 0), or a function of float64[n].
    method: "stationary" draws blocks of random length (geometric), "block" of one length; both go on from the last return with the
    first. block_length: the mean length; None for `optimal_block_length`. The bounds are the quantiles of the samples. The same seed
    gives the same samples.

    Source: D. Politis and J. Romano, "The Stationary Bootstrap", JASA 89 (1994). Raises ValueError for fewer than two returns, unknown
    names, a block length outside 1 to the number of returns, fewer than 2 samples, a confidence outside 0 to 1, and a statistic that is
    no number.
    """
    row = finite(returns, "returns", 1)
    _method(method)
    if samples < 2 or isinstance(samples, bool):  # noqa: PLR2004 - quantiles of one are none
        raise ValueError(f"samples was {samples!r}, expected a whole number >= 2")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence was {confidence!r}, expected a number between 0 and 1")
    length = optimal_block_length(row, method=method) if block_length is None else float(block_length)
    if not 1.0 <= length <= len(row):
        raise ValueError(f"block_length was {block_length!r}, expected a number from 1 to {len(row)}, the number of returns")
    measure = _statistic(statistic)
    rng = np.random.default_rng(seed)
    most = max(_CHUNK // len(row), 1)
    counts = [min(most, samples - start) for start in range(0, samples, most)]
    values: FloatArray = np.concatenate([measure(row[_drawn(rng, len(row), count, length, method)]) for count in counts])
    if np.isnan(values).any():
        raise ValueError(f"statistic is NaN for {int(np.count_nonzero(np.isnan(values)))} of {samples} samples")
    lower, upper = np.quantile(values, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]).tolist()
    return BootstrapInterval(float(measure(row[None, :])[0]), lower, upper, confidence, length, values)


def _drawn(rng: np.random.Generator, size: int, count: int, length: float, method: str) -> IntArray:
    """Return the places of the returns of `count` samples, int64[count, size]."""
    if method == "stationary":
        begins = rng.random((count, size)) < 1.0 / length
    else:
        begins = np.broadcast_to(np.arange(size) % round(length) == 0, (count, size)).copy()
    begins[:, 0] = True
    places = np.arange(size)
    block = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    starts = rng.integers(0, size, (count, size))
    drawn: IntArray = (np.take_along_axis(starts, block, axis=1) + places - block) % size
    return drawn


def optimal_block_length(returns: Values, *, method: str = "stationary") -> float:
    """Return the block length that estimates the deviation of the mean best, from 1 to a third of the returns (or 3 roots of them).

    Source: D. Politis and H. White, "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric Reviews 23 (2004), with the
    correction of A. Patton, D. Politis and H. White, the same 28 (2009). Raises ValueError for fewer than two returns and unknown
    methods.
    """
    row = finite(returns, "returns", 1)
    factor = 2.0 if _method(method) == "stationary" else 4.0 / 3.0
    size = len(row)
    apart = row - np.mean(row)
    near = max(5, int(math.log10(size)))
    most = min(math.ceil(math.sqrt(size)) + near, size - 1)
    covariance = np.array([float(apart[: size - lag] @ apart[lag:]) / size for lag in range(most + 1)])
    if math.sqrt(covariance[0]) <= _NO_SPREAD:
        return 1.0
    small = np.abs(covariance[1:] / covariance[0]) < 2.0 * math.sqrt(math.log10(size) / size)
    lags = min(2 * max(_last_large(small, near), 1), most)
    share = np.arange(-lags, lags + 1) / lags
    weight = np.where(np.abs(share) <= 0.5, 1.0, 2.0 * (1.0 - np.abs(share)))  # noqa: PLR2004 - a flat top and straight slopes
    around = covariance[np.abs(np.arange(-lags, lags + 1))]
    slope = float(np.sum(weight * np.abs(np.arange(-lags, lags + 1)) * around))
    whole = float(np.sum(weight * around))
    longest = float(max(math.ceil(min(3.0 * math.sqrt(size), size / 3.0)), 1))
    if whole == 0.0:
        return longest
    length = math.cbrt(2.0 * slope * slope / (factor * whole * whole) * size)
    return min(max(length, 1.0), longest)


def _last_large(small: Any, near: int) -> int:
    """Return the lag after which the next `near` correlations are all small; without one, the last lag that is not."""
    for lag in range(len(small)):
        if len(small) - lag >= near and small[lag : lag + near].all():
            return lag
    large = ~small
    return len(small) - int(np.argmax(large[::-1])) if large.any() else 1


def _method(method: str) -> str:
    if method not in _METHODS:
        raise ValueError(f"method was {method!r}, expected one of {list(_METHODS)}{did_you_mean(str(method), _METHODS)}")
    return method


def _sharpe(samples: FloatArray) -> FloatArray:
    spread = np.std(samples, axis=1, ddof=1)
    some = spread > _NO_SPREAD
    return np.where(some, np.mean(samples, axis=1) / np.where(some, spread, 1.0), 0.0)


def _mean(samples: FloatArray) -> FloatArray:
    return np.asarray(np.mean(samples, axis=1), dtype=np.float64)


def _total_return(samples: FloatArray) -> FloatArray:
    return np.asarray(np.prod(1.0 + samples, axis=1) - 1.0, dtype=np.float64)


def _max_drawdown(samples: FloatArray) -> FloatArray:
    values = np.cumprod(1.0 + samples, axis=1)
    peaks = np.maximum(np.maximum.accumulate(values, axis=1), 1.0)
    return np.asarray(np.max(1.0 - values / peaks, axis=1), dtype=np.float64)


_STATISTICS = {"sharpe": _sharpe, "mean": _mean, "total_return": _total_return, "max_drawdown": _max_drawdown}


def _statistic(statistic: str | Callable[[FloatArray], float]) -> Callable[[FloatArray], FloatArray]:
    if callable(statistic):
        return lambda samples: np.array([float(statistic(sample)) for sample in samples])
    if statistic not in _STATISTICS:
        hint = did_you_mean(str(statistic), _STATISTICS)
        raise ValueError(f"statistic was {statistic!r}, expected one of {list(_STATISTICS)} or a function{hint}")
    return _STATISTICS[statistic]


def finite(values: Values, name: str, dimensions: int) -> FloatArray:
    """Return numbers as float64 of so many dimensions, at least two in each. Raises ValueError for others and what is not finite."""
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} was a {type(values).__name__} that holds no plain numbers: {error}") from error
    shape = "(observations,)" if dimensions == 1 else "(observations, trials)"
    if array.ndim != dimensions:
        raise ValueError(f"{name} had the shape {array.shape}, expected {shape}")
    if min(array.shape) < 2:  # noqa: PLR2004 - deviations and choices take two
        raise ValueError(f"{name} had the shape {array.shape}, expected at least two in each direction of {shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ", ".join(map(str, bad[0].tolist()))
        raise ValueError(f"{name}[{place}] was {array[tuple(bad[0])]}, expected finite numbers ({len(bad)} are not); drop or fill them")
    return array
