"""Checks of a backtest's honesty: looking ahead, history that is too short, runs that cannot be repeated."""

from __future__ import annotations

from ml4t_backtest.honesty.lookahead import LookaheadReport, check_lookahead

__all__ = ["LookaheadReport", "check_lookahead"]
