"""Checks of a backtest's honesty: looking ahead, history that is too short, runs that cannot be repeated."""

from __future__ import annotations

from ml4t_backtest.honesty.determinism import DeterminismReport, check_determinism
from ml4t_backtest.honesty.lookahead import LookaheadReport, check_lookahead
from ml4t_backtest.honesty.warmup import WarmupReport, check_warmup

__all__ = ["DeterminismReport", "LookaheadReport", "WarmupReport", "check_determinism", "check_lookahead", "check_warmup"]
