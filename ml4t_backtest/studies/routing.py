"""Where each parameter of a study goes: to the strategy, to a position rule, to a setting, to an argument of the engine."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from ml4t_backtest.config import BacktestConfig, CommissionType, SlippageType
from ml4t_backtest.config.reading import SPELLINGS, setting_name
from ml4t_backtest.engine import Engine
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.risk import StopLoss, TakeProfit, TimeExit, TrailingStop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml4t_backtest.studies.makers import Maker
    from ml4t_backtest.studies.space import Space

__all__ = ["ENGINE_ARGUMENTS", "RULES", "Routes", "check_values", "route", "rules_of"]

# Position rules by the name of their parameter, in the order in which they are asked: the careful one first.
RULES: dict[str, Any] = {"stop_pct": StopLoss, "target_pct": TakeProfit, "trail_pct": TrailingStop, "max_bars": TimeExit}
# Arguments of the engine that a grid or `sweep` itself may give: all that are neither settings nor what makes the run.
ENGINE_ARGUMENTS = tuple(
    one.name for one in inspect.signature(Engine.__init__).parameters.values() if one.kind is inspect.Parameter.KEYWORD_ONLY
)
# Rates count only under these types of costs.
_NEEDS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "commission_rate": ("commission_type", (CommissionType.PERCENTAGE, CommissionType.TIERED)),
    "commission_minimum": ("commission_type", (CommissionType.PERCENTAGE, CommissionType.TIERED, CommissionType.PER_SHARE)),
    "commission_per_share": ("commission_type", (CommissionType.PER_SHARE,)),
    "commission_per_trade": ("commission_type", (CommissionType.PER_TRADE,)),
    "slippage_rate": ("slippage_type", (SlippageType.PERCENTAGE, SlippageType.VOLUME_BASED)),
    "slippage_fixed": ("slippage_type", (SlippageType.FIXED,)),
    "slippage_spread": ("slippage_type", (SlippageType.SPREAD,)),
}


@dataclasses.dataclass(frozen=True)
class Routes:
    """Names of parameters by where they go."""

    strategy: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()


def route(names: tuple[str, ...], maker: Maker) -> Routes:
    """Return where the parameters go; the strategy comes first. Raises TypeError, with the closest name, for one that nothing takes."""
    found: dict[str, list[str]] = {"strategy": [], "rules": [], "settings": [], "engine": []}
    for name in names:
        found[_place(name, maker)].append(name)
    canonical: dict[str, str] = {}
    for name in found["settings"]:
        other = canonical.setdefault(setting_name(BacktestConfig, name) or name, name)
        if other != name:
            raise TypeError(f"grid names both {other!r} and its other spelling {name!r}")
    return Routes(**{place: tuple(given) for place, given in found.items()})


def _place(name: str, maker: Maker) -> str:
    if name in maker.names:
        return "strategy"
    if name in RULES:
        return "rules"
    if name in ENGINE_ARGUMENTS:
        return "engine"
    if setting_name(BacktestConfig, name) is not None and name != "preset_name":
        return "settings"
    if maker.open:
        return "strategy"
    settings = [entry.name for entry in dataclasses.fields(BacktestConfig)]
    known = [*maker.names, *RULES, *ENGINE_ARGUMENTS, *settings, *SPELLINGS]
    takes = ", ".join(maker.names) or "no parameters"
    raise TypeError(
        f"nothing takes the parameter {name!r}{did_you_mean(name, known)} {maker.label} takes {takes}; position rules are"
        f" {', '.join(RULES)}; arguments of Engine are {', '.join(ENGINE_ARGUMENTS)}; settings are those of BacktestConfig"
    )


def rules_of(parameters: Mapping[str, Any]) -> list[Any]:
    """Return the position rules of a set; a value of None means no such rule."""
    return [kind(parameters[name]) for name, kind in RULES.items() if parameters.get(name) is not None]


def check_values(space: Space, routes: Routes, config: BacktestConfig) -> None:
    """Check every value of a rule and of a setting by itself, before anything runs. Raises ValueError that names the parameter.

    Settings that contradict each other are found by the run that has them: its row is a failed one. A rate that does
    nothing under the type of costs is refused here.
    """
    for name in routes.rules:
        for value in space.values(name):
            _try(name, value, lambda name=name, value=value: rules_of({name: value}))
    for name in routes.settings:
        for value in space.values(name):
            _try(name, value, lambda name=name, value=value: config._changed({name: value}))
        _refuse_idle(name, routes, config)


def _try(name: str, value: Any, make: Any) -> None:
    try:
        make()
    except (TypeError, ValueError) as error:
        raise type(error)(f"grid[{name!r}] has the value {value!r}: {error}") from error


def _refuse_idle(name: str, routes: Routes, config: BacktestConfig) -> None:
    if name not in _NEEDS:
        return
    kind, wanted = _NEEDS[name]
    given = {setting_name(BacktestConfig, other) for other in routes.settings}
    model = kind.replace("_type", "_model")
    if kind in given or model in given or model in routes.engine:
        return
    if getattr(config, model) is not None or getattr(config, kind) not in wanted:
        present = f"{model}={getattr(config, model)!r}" if getattr(config, model) is not None else f"{kind}={getattr(config, kind).value!r}"
        raise ValueError(
            f"{name!r} does nothing while {present}; give config=BacktestConfig({kind}={wanted[0].value!r}), or {kind!r} in the grid"
        )
