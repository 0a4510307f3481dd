"""A run to hand over, and the comparison of figures; used by the scripts that run in the environments of the readers."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import ml4t_backtest as bt
from ml4t_backtest import sample_data
from ml4t_backtest.examples import SmaCross, sma_signals

__all__ = ["compare", "sample_run"]

_CLOSE = 1e-9


def sample_run() -> bt.BacktestResult:
    """Return a long run on real prices: an index while its average of 50 days is above that of 200.

    Whole units: pyfolio's round trips leave out fractions of a unit.
    """
    prices = sample_data.load("nasdaq")
    return bt.Engine(
        bt.DataFeed(prices, sma_signals(prices)), SmaCross(), bt.BacktestConfig(slippage_rate=0.0005, share_type="integer")
    ).run()


def compare(title: str, figures: Sequence[tuple[str, float, float]]) -> None:
    """Print every figure, theirs and ours, and end the process with 1 when one differs."""
    wrong = 0
    for name, theirs, ours in figures:
        agrees = math.isclose(float(theirs), float(ours), rel_tol=_CLOSE, abs_tol=_CLOSE)
        wrong += not agrees
        print(f"{title}: {name}: {float(theirs):.12g} theirs, {float(ours):.12g} ours{'' if agrees else '   DIFFERS'}")
    print(f"{title}: {len(figures)} figures, {wrong} differ")
    sys.exit(1 if wrong else 0)
