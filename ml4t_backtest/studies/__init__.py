"""Parameter studies: `sweep` and what goes with it."""

from __future__ import annotations

from ml4t_backtest.studies.searching import optuna_search
from ml4t_backtest.studies.space import Integers, Uniform, random_search
from ml4t_backtest.studies.study import Study
from ml4t_backtest.studies.sweeping import sweep

__all__ = ["Integers", "Study", "Uniform", "optuna_search", "random_search", "sweep"]
