"""Compiles every kernel ahead of its first use, for images of containers and of the workers of a cluster."""

from __future__ import annotations

import numpy as np

__all__ = ["warm_all"]


def warm_all() -> None:
    """Compile or load all kernels: of runs, feeds, signals, compiled strategies and indicators. Prints when that means compiling."""
    from ml4t_backtest.demo import load_kernels
    from ml4t_kernels import _jit

    load_kernels()
    if _jit.COMPILED:
        _warm_signals()
        _warm_compiled_strategies()
        _warm_indicators()


def _warm_signals() -> None:
    from ml4t_backtest.calls import clearing
    from ml4t_kernels import signals_entry, signals_turn
    from ml4t_kernels._jit import address_of_entry, bind

    clearing()
    bind(signals_entry.run_signals, "int64(int64,int64,int64)")
    address_of_entry(signals_turn.take_signals, "int64(int64)")


def _warm_compiled_strategies() -> None:
    from ml4t_kernels import context, driving
    from ml4t_kernels._jit import bind

    bind(driving.drive, "int64(int64,int64)")
    bind(driving.drive_sets, "int64(int64,int64,int64)")
    for verb in context.CALLS:
        bind(verb.function, verb.signature)


def _warm_indicators() -> None:
    from ml4t_backtest import indicators

    rising = np.arange(1.0, 6.0)
    for one in (
        indicators.sma,
        indicators.rolling_std,
        indicators.ema,
        indicators.rsi,
        indicators.highest,
        indicators.lowest,
        indicators.zscore,
    ):
        one(rising, 2)
    indicators.atr(rising, rising, rising, 2)
