"""Strategies to start from."""

from __future__ import annotations

from ml4t_backtest.strategies.templates import LongShortStrategy, MeanReversionStrategy, MomentumStrategy, SignalFollowingStrategy

__all__ = ["LongShortStrategy", "MeanReversionStrategy", "MomentumStrategy", "SignalFollowingStrategy"]
