"""Presets: settings by name, as YAML files beside this module."""

from __future__ import annotations

import copy
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from ml4t_backtest.config.settings import BacktestConfig

__all__ = ["PRESETS_DIR", "Mode", "list_presets", "preset_settings"]

PRESETS_DIR: Path = Path(__file__).parent / "presets"

_ALIASES = {
    "vectorbt_oss": "vectorbt",
    "quantconnect": "lean",
    "vectorbt_compare": "vectorbt_strict",
    "backtrader_compare": "backtrader_strict",
    "zipline_compare": "zipline_strict",
    "lean_compare": "lean_strict",
}


class Mode(Enum):
    """Presets as members: `Mode.BACKTRADER.to_config()`."""

    DEFAULT = "default"
    REALISTIC = "realistic"
    FAST = "fast"
    BACKTRADER = "backtrader"
    VECTORBT = "vectorbt"
    ZIPLINE = "zipline"

    def to_config(self) -> BacktestConfig:
        """Return the settings of the preset."""
        from ml4t_backtest.config.settings import BacktestConfig

        return BacktestConfig.from_preset(self.value)


def list_presets() -> list[str]:
    """Return the names that `BacktestConfig.from_preset` takes, other names of the same preset left out."""
    return sorted(path.stem for path in PRESETS_DIR.glob("*.yaml"))


def preset_settings(name: Mode | str) -> tuple[dict[str, Any], str]:
    """Return the settings of a preset nested by section, and its own name.

    name: of a preset or one of its other names, in any case. A preset `based_on` another holds only what differs from it.
    Raises ValueError for an unknown name.
    """
    known = list_presets()
    lower = str(name.value if isinstance(name, Mode) else name).lower()
    stem = _ALIASES.get(lower, lower)
    if stem not in known:
        raise ValueError(f"unknown preset {name!r}, expected one of {known}{did_you_mean(lower, [*known, *_ALIASES])}")
    return copy.deepcopy(_read(stem)), stem


@cache
def _read(stem: str) -> dict[str, Any]:
    """Return the settings in a preset's file, on top of those that it is based on."""
    import yaml

    loaded: dict[str, Any] = yaml.safe_load((PRESETS_DIR / f"{stem}.yaml").read_text(encoding="utf-8")) or {}
    base = loaded.pop("based_on", None)
    if base is None:
        return loaded
    settings = dict(_read(base))
    for section, entries in loaded.items():
        settings[section] = {**settings.get(section, {}), **entries}
    return settings
