"""Profiles: the settings of a preset as a nested mapping, for code that builds its config from one."""

from __future__ import annotations

from typing import Any

from ml4t_backtest.config import BacktestConfig

__all__ = ["get_profile_config", "list_profiles"]

_CORE = ("backtrader", "default", "lean", "realistic", "vectorbt", "zipline")


def list_profiles() -> list[str]:
    """Return the names of the core profiles, sorted; `ml4t_backtest.config.list_presets` has the variants too."""
    return sorted(_CORE)


def get_profile_config(name: str) -> dict[str, dict[str, Any]]:
    """Return every setting of a preset nested by section, as `BacktestConfig.from_dict` takes it: a fresh mapping each time.

    name: of a preset or one of its other names. Raises ValueError for an unknown name.
    """
    return BacktestConfig.from_preset(name).to_dict()
