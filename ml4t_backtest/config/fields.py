"""How one setting is declared and checked: its place in YAML, its kind, its bounds."""

from __future__ import annotations

import math
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Any

from ml4t_backtest.types import member

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["choice", "flag", "number", "optional_number", "plain", "schedule", "text", "whole"]


def _declare(place: str, default: Any, check: Callable[[str, Any], Any]) -> Any:
    section, key = place.split(".")
    return field(default=default, metadata={"section": section, "key": key, "check": check})


def choice(place: str, kind: type[Enum], default: Enum | None) -> Any:
    """Declare an enum setting; None is kept where it is the default."""

    def check(name: str, value: Any) -> Any:
        return value if value is None and default is None else member(kind, value, name)

    return _declare(place, default, check)


def number(place: str, default: float, least: float = 0.0, most: float = math.inf, *, above: bool = False) -> Any:
    """Declare a number from `least` (excluded with `above`) to `most`."""

    def check(name: str, value: Any) -> float:
        value = _parsed(value)
        bad = isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        if bad or value < least or value > most or (above and value == least):
            bound = f"{'>' if above else '>='} {least:g}" + ("" if math.isinf(most) else f" and <= {most:g}")
            raise ValueError(f"{name} was {value!r}, expected a finite number {bound}")
        return float(value)

    return _declare(place, default, check)


def optional_number(place: str) -> Any:
    """Declare a number > 0 that may be None: no bound."""

    def check(name: str, value: Any) -> float | None:
        value = _parsed(value)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise ValueError(f"{name} was {value!r}, expected a finite number > 0 or None")
        return float(value)

    return _declare(place, None, check)


def whole(place: str, default: int | None, least: int, most: int | None = None) -> Any:
    """Declare a whole number from `least` to `most`; None is kept where it is the default."""

    def check(name: str, value: Any) -> int | None:
        if value is None and default is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
            bound = f">= {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"{name} was {value!r}, expected a whole number {bound}")
        return value

    return _declare(place, default, check)


def flag(place: str, default: bool | None) -> Any:  # noqa: FBT001 - as the other declarations
    """Declare a yes or no; None is kept where it is the default."""

    def check(name: str, value: Any) -> bool | None:
        if isinstance(value, bool) or (value is None and default is None):
            return value
        raise ValueError(f"{name} was {value!r}, expected True or False")

    return _declare(place, default, check)


def text(place: str, default: str | None) -> Any:
    """Declare a text; None is kept where it is the default."""

    def check(name: str, value: Any) -> str | None:
        if isinstance(value, str) or (value is None and default is None):
            return value
        raise ValueError(f"{name} was {value!r}, expected a text")

    return _declare(place, default, check)


def schedule(place: str, most: float = math.inf) -> Any:
    """Declare a mapping of assets to pairs (initial, maintenance), 0 < maintenance <= initial <= most; or None."""

    def check(name: str, value: Any) -> dict[str, tuple[float, float]] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise TypeError(f"{name} was a {type(value).__name__}, expected a mapping of assets to (initial, maintenance)")
        checked = {}
        for asset, pair in value.items():
            try:
                initial, maintenance = (float(part) for part in pair)
            except (TypeError, ValueError):
                raise ValueError(f"{name}[{asset!r}] was {pair!r}, expected (initial, maintenance)") from None
            if not 0 < maintenance <= initial <= most:
                bound = "" if math.isinf(most) else f" <= {most:g}"
                raise ValueError(f"{name}[{asset!r}] was {pair!r}, expected 0 < maintenance <= initial{bound}")
            checked[asset] = (initial, maintenance)
        return checked

    return _declare(place, None, check)


def plain(default: Any) -> Any:
    """Declare a setting that stands in no file: a model object, a name."""
    return field(default=default, metadata={})


def _parsed(value: Any) -> Any:
    """Return a number that YAML takes for text (1e-3 without a dot is one) as a number, all else as it is."""
    if not isinstance(value, str) or not any(letter in value for letter in "eE"):
        return value
    try:
        return float(value)
    except ValueError:
        return value
