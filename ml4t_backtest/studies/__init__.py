"""Parameter studies: `sweep` and what goes with it."""

from __future__ import annotations

from ml4t_backtest.studies.crossing import CrossValidation, cross_validate
from ml4t_backtest.studies.searching import optuna_search
from ml4t_backtest.studies.space import Integers, Uniform, random_search
from ml4t_backtest.studies.study import Study
from ml4t_backtest.studies.sweeping import sweep
from ml4t_backtest.studies.walked import WalkForward, Window
from ml4t_backtest.studies.walking import walk_forward

__all__ = [
    "CrossValidation",
    "Integers",
    "Study",
    "Uniform",
    "WalkForward",
    "Window",
    "cross_validate",
    "optuna_search",
    "random_search",
    "sweep",
    "walk_forward",
]
