"""How one setting is declared and checked: its place in YAML, its kind, its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, cast

from ml4t_backtest.types import member

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum

__all__ = ["choice", "flag", "number", "optional_number", "plain", "schedule", "text", "whole"]


def _declare(place: str, default: Any, check: Callable[[str, Any], Any], kind: type[Enum] | None = None) -> Any:
    section, key = place.split(".")
    metadata = {"section": section, "key": key, "check": check, **({} if kind is None else {"kind": kind})}
    return field(default=default, metadata=metadata)


def choice(place: str, kind: type[Enum], default: Enum | None) -> Any:
    """Declare an enum setting; None is kept where it is the default."""

    def check(name: str, value: Any) -> Any:
        if value is None and default is None:
            return None
        other = kind.__members__.get(str(value).upper())  # names of aliases, which `member` does not see
        return member(kind, cast("Enum | str", value), name) if other is None else other

    return _declare(place, default, check, kind)


def number(place: str, default: float, least: float = 0.0, most: float = math.inf, *, above: bool = False) -> Any:
    """Declare a number from `least` (excluded with `above`) to `most`."""

    def check(name: str, value: Any) -> float:
        value = _parsed(value)
        if not _is_finite(value) or value < least or value > most or (above and value == least):
            bound = f"{'>' if above else '>='} {least:g}" + ("" if math.isinf(most) else f" and <= {most:g}")
            raise ValueError(f"{name} was {value!r}, expected a finite number {bound}")
        return float(value)

    return _declare(place, default, check)


def optional_number(place: str, most: float = math.inf) -> Any:
    """Declare a number > 0, at most `most`, that may be None: not set."""

    def check(name: str, value: Any) -> float | None:
        value = _parsed(value)
        if value is None:
            return None
        if not _is_finite(value) or not 0 < value <= most:
            bound = "" if math.isinf(most) else f" and <= {most:g}"
            raise ValueError(f"{name} was {value!r}, expected a finite number > 0{bound}, or None")
        return float(value)

    return _declare(place, None, check)


def whole(place: str, default: int | None, least: int, most: int | None = None) -> Any:
    """Declare a whole number from `least` to `most`; None is kept where it is the default."""

    def check(name: str, value: Any) -> int | None:
        if value is None and default is None:
            return None
        count = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
        if count is None or count < least or (most is not None and count > most):
            bound = f">= {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"{name} was {value!r}, expected a whole number {bound}")
        return count

    return _declare(place, default, check)


def flag(place: str, default: bool | None) -> Any:  # noqa: FBT001 - as the other declarations
    """Declare a yes or no; None is kept where it is the default."""

    def check(name: str, value: Any) -> bool | None:
        if type(value).__name__ in ("bool", "bool_"):  # numpy's too, which is not imported for this
            return bool(value)
        if value is None and default is None:
            return None
        raise ValueError(f"{name} was {value!r}, expected True or False")

    return _declare(place, default, check)


def text(place: str, default: str | None) -> Any:
    """Declare a text that is not empty; None is kept where it is the default."""

    def check(name: str, value: Any) -> str | None:
        if (isinstance(value, str) and value.strip()) or (value is None and default is None):
            return value
        raise ValueError(f"{name} was {value!r}, expected a text" + (" or None" if default is None else ""))

    return _declare(place, default, check)


def schedule(place: str, most: float = math.inf) -> Any:
    """Declare a mapping of assets to pairs (initial, maintenance), 0 < maintenance <= initial <= most; or None."""

    def check(name: str, value: Any) -> dict[str, tuple[float, float]] | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} was a {type(value).__name__}, expected a mapping of assets to (initial, maintenance)")
        return {_asset(name, asset): _pair(f"{name}[{asset!r}]", pair, most) for asset, pair in value.items()}

    return _declare(place, None, check)


def _asset(name: str, asset: Any) -> str:
    if not isinstance(asset, str):
        raise ValueError(f"{name} has the asset {asset!r}, expected a text; in YAML names such as 'ON' or '700' need quotes")
    return asset


def _pair(name: str, pair: Any, most: float) -> tuple[float, float]:
    parts = [_parsed(part) for part in pair] if isinstance(pair, (list, tuple)) else []
    if len(parts) != 2 or not all(map(_is_finite, parts)):  # noqa: PLR2004 - a pair
        raise ValueError(f"{name} was {pair!r}, expected two finite numbers (initial, maintenance)")
    initial, maintenance = (float(part) for part in parts)
    if not 0 < maintenance <= initial <= most:
        bound = "" if math.isinf(most) else f" <= {most:g}"
        raise ValueError(f"{name} was {pair!r}, expected 0 < maintenance <= initial{bound}")
    return initial, maintenance


def plain(default: Any) -> Any:
    """Declare a setting that stands in no file: a model object, a name."""
    return field(default=default, metadata={})


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and type(value).__name__ not in ("bool", "bool_") and math.isfinite(value)


def _parsed(value: Any) -> Any:
    """Return a number that YAML takes for text (1e-3 without a dot is one) as a number, all else as it is."""
    if not isinstance(value, str) or not any(letter in value for letter in "eE"):
        return value
    try:
        return float(value)
    except ValueError:
        return value
