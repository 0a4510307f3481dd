"""What the cost, impact and limit models share: checks of their numbers, and the choice of a model for an asset."""

from __future__ import annotations

import inspect
import math
from enum import Enum
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["call_with_known", "checked_models", "finite", "known_volume", "model_of", "not_negative", "positive"]


def finite(owner: str, **values: object) -> None:
    """Raise ValueError, naming the argument, unless every value is a finite number."""
    for name, value in values.items():
        _check(owner, name, value, -math.inf, "")


def not_negative(owner: str, **values: object) -> None:
    """Raise ValueError, naming the argument, unless every value is a finite number >= 0."""
    for name, value in values.items():
        _check(owner, name, value, 0.0, " >= 0")


def positive(owner: str, **values: object) -> None:
    """Raise ValueError, naming the argument, unless every value is a finite number > 0."""
    for name, value in values.items():
        _check(owner, name, value, math.ulp(0.0), " > 0")


def _check(owner: str, name: str, value: object, least: float, bound: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < least:
        raise ValueError(f"{owner}({name}={value!r}): expected a finite number{bound}")


def known_volume(volume: float | None) -> float | None:
    """Return the volume of a bar, None when it is unknown (None or NaN)."""
    return None if volume is None or math.isnan(volume) else volume


def checked_models(owner: str, models: object, default: object | None) -> dict[str | Enum, Any]:
    """Return a copy of a mapping of assets (names) and asset classes (enum members) to models.

    Raises TypeError, naming the key, for what is no mapping, for keys that are neither, and for models without `calculate`;
    ValueError when there is neither a model nor a default.
    """
    try:
        chosen: dict[str | Enum, Any] = dict(cast("Mapping[str | Enum, Any]", models))
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: expected a mapping of asset or asset class to model, it was {models!r}") from None
    if not chosen and default is None:
        raise ValueError(f"{owner} was given no model at all, neither for an asset nor as default")
    for key, model in {**chosen, "default": default}.items():
        if not isinstance(key, (str, Enum)):
            raise TypeError(f"{owner}: the key {key!r} is neither the name of an asset nor a member of AssetClass")
        if not (callable(getattr(model, "calculate", None)) or (key == "default" and model is None)):
            raise TypeError(f"{owner}: the model of {key!r} was {model!r}, which has no method calculate(...)")
    return chosen


def model_of(owner: str, models: Mapping[str | Enum, Any], default: Any, asset: str | None, asset_class: Enum | None) -> Any:
    """Return the model of an asset: its own, else that of its class, else the default.

    Raises ValueError when there is none of the three, so that a misspelt asset never trades for free.
    """
    if asset is not None and asset in models:
        return models[asset]
    if asset_class is not None and asset_class in models:
        return models[asset_class]
    if default is None:
        names = [str(key.value if isinstance(key, Enum) else key) for key in models]
        raise ValueError(
            f"{owner} has no model for {asset!r} and no default; it has models for {shortened(names)}{did_you_mean(str(asset), names)}"
        )
    return default


def call_with_known(method: Callable[..., Any], *arguments: object, **known: object) -> Any:
    """Call a model's method with the arguments every one takes, and those of `known` that this one takes.

    So a model of a user's own may declare only what it needs: `calculate(asset, quantity, price)` is enough.
    """
    taken = _keywords_of(getattr(method, "__func__", method))
    if taken is None:
        return method(*arguments, **known)
    return method(*arguments, **{name: value for name, value in known.items() if name in taken})


@lru_cache(maxsize=256)
def _keywords_of(function: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of the arguments that may be given by keyword, None when any may."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(
        parameter.name for parameter in parameters if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    )
