"""`BacktestConfig`: every setting of a run, checked when it is made, readable from YAML and from presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, cast

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.models import (
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentageCommission,
    PercentageSlippage,
    PerShareCommission,
)
from ml4t_backtest.spelling import accepts
from ml4t_backtest.types import ExecutionMode, ExecutionPrice, member

__all__ = ["AccountType", "BacktestConfig", "CommissionType", "SlippageType", "list_presets"]


class AccountType(str, Enum):
    """What the account may do: `cash` is long only, `crypto` may also be short, both without leverage."""

    CASH = "cash"
    CRYPTO = "crypto"


class CommissionType(str, Enum):
    """Formula of the commission."""

    NONE = "none"
    PERCENTAGE = "percentage"
    PER_SHARE = "per_share"


class SlippageType(str, Enum):
    """Formula of the slippage."""

    NONE = "none"
    FIXED = "fixed"
    PERCENTAGE = "percentage"


def _at(section: str, key: str, default: Any) -> Any:
    return field(default=default, metadata={"section": section, "key": key})


_ENUMS: dict[str, type[Enum]] = {
    "account_type": AccountType,
    "execution_mode": ExecutionMode,
    "execution_price": ExecutionPrice,
    "commission_type": CommissionType,
    "slippage_type": SlippageType,
}
_OPTIONAL = {"execution_price"}


@accepts()
@dataclass
class BacktestConfig:
    """Settings of a run. Enum settings take the member, its value or its name in any case.

    initial_cash: money, > 0. account_type: `cash` (long only) or `crypto` (long and short, no leverage).
    execution_mode: NEXT_BAR fills on the bar after the decision, SAME_BAR on the bar itself. execution_price: price of
    market orders; None is the open in NEXT_BAR and the close in SAME_BAR mode. commission_rate, slippage_rate:
    fractions. commission_per_share, commission_minimum: money. slippage_fixed: price per unit. Raises ValueError that
    names the setting.
    """

    initial_cash: float = _at("cash", "initial", 100_000.0)
    account_type: AccountType | str = _at("account", "type", AccountType.CASH)
    execution_mode: ExecutionMode | str = _at("execution", "mode", ExecutionMode.NEXT_BAR)
    execution_price: ExecutionPrice | str | None = _at("execution", "price", None)
    commission_type: CommissionType | str = _at("commission", "model", CommissionType.PERCENTAGE)
    commission_rate: float = _at("commission", "rate", 0.001)
    commission_per_share: float = _at("commission", "per_share", 0.0)
    commission_minimum: float = _at("commission", "minimum", 0.0)
    slippage_type: SlippageType | str = _at("slippage", "model", SlippageType.PERCENTAGE)
    slippage_rate: float = _at("slippage", "rate", 0.001)
    slippage_fixed: float = _at("slippage", "fixed", 0.0)
    preset_name: str | None = None

    def __post_init__(self) -> None:
        for name, kind in _ENUMS.items():
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                setattr(self, name, member(kind, cast("str", value), name))
        for name in ("commission_rate", "commission_per_share", "commission_minimum", "slippage_rate", "slippage_fixed"):
            setattr(self, name, _number(name, getattr(self, name), least=0.0))
        self.initial_cash = _number("initial_cash", self.initial_cash, least=0.0)
        if self.initial_cash == 0.0:
            raise ValueError("initial_cash was 0, expected a finite number > 0")

    @property
    def price_of_market_orders(self) -> ExecutionPrice:
        """`execution_price`, or what follows from the mode when it is None."""
        if self.execution_price is not None:
            return cast("ExecutionPrice", self.execution_price)
        return ExecutionPrice.CLOSE if self.execution_mode is ExecutionMode.SAME_BAR else ExecutionPrice.OPEN

    @property
    def looks_ahead(self) -> bool:
        """Whether market orders trade at a price from before the decision: SAME_BAR at the open."""
        return self.execution_mode is ExecutionMode.SAME_BAR and self.price_of_market_orders is ExecutionPrice.OPEN

    @property
    def commission_model(self) -> NoCommission | PercentageCommission | PerShareCommission:
        """The commission model that the settings describe."""
        if self.commission_type is CommissionType.PERCENTAGE:
            return PercentageCommission(self.commission_rate)
        if self.commission_type is CommissionType.PER_SHARE:
            return PerShareCommission(self.commission_per_share, self.commission_minimum)
        return NoCommission()

    @property
    def slippage_model(self) -> NoSlippage | FixedSlippage | PercentageSlippage:
        """The slippage model that the settings describe."""
        if self.slippage_type is SlippageType.PERCENTAGE:
            return PercentageSlippage(self.slippage_rate)
        if self.slippage_type is SlippageType.FIXED:
            return FixedSlippage(self.slippage_fixed)
        return NoSlippage()

    def replace(self, **changes: object) -> BacktestConfig:
        """Return a copy with some settings changed. Raises TypeError for an unknown setting."""
        known = {entry.name for entry in dataclasses.fields(self)}
        for name in changes:
            if name not in known:
                raise TypeError(f"BacktestConfig has no setting {name!r}{did_you_mean(name, known)}")
        return dataclasses.replace(self, **cast("Any", changes))

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Return the settings nested by section, in plain values, as `from_dict` and YAML take them."""
        nested: dict[str, dict[str, object]] = {}
        for entry in dataclasses.fields(self):
            if "section" in entry.metadata:
                value = getattr(self, entry.name)
                plain = value.value if isinstance(value, Enum) else value
                nested.setdefault(entry.metadata["section"], {})[entry.metadata["key"]] = plain
        return nested

    @classmethod
    def from_dict(cls, data: dict[str, Any], preset_name: str | None = None) -> BacktestConfig:
        """Build a config from settings nested by section; what is missing takes the default.

        Raises TypeError when `data` or a section is no mapping, ValueError for an unknown section or key.
        """
        if not isinstance(data, dict):
            raise TypeError(f"config was a {type(data).__name__}, expected a mapping of sections")
        names = {
            (entry.metadata["section"], entry.metadata["key"]): entry.name
            for entry in dataclasses.fields(cls)
            if "section" in entry.metadata
        }
        sections = {section for section, _ in names}
        values: dict[str, Any] = {}
        for section, entries in data.items():
            if section not in sections:
                raise ValueError(
                    f"unknown config section {section!r}, expected one of {sorted(sections)}{did_you_mean(str(section), sections)}"
                )
            if not isinstance(entries, dict):
                raise TypeError(f"config section {section!r} was a {type(entries).__name__}, expected a mapping")
            keys = [key for owner, key in names if owner == section]
            for key, value in entries.items():
                if key not in keys:
                    raise ValueError(
                        f"unknown key {key!r} in config section {section!r}, expected one of {keys}{did_you_mean(str(key), keys)}"
                    )
                name = names[section, key]
                values[name] = _from_text(value) if name not in _ENUMS else value
        return cls(**values, preset_name=preset_name)

    @classmethod
    def from_yaml(cls, path: str | Path) -> BacktestConfig:
        """Read a config from a YAML file; `preset_name` becomes the file's stem. Errors as `from_dict`, naming the file."""
        import yaml

        try:
            text = Path(path).read_text(encoding="utf-8")
            return cls.from_dict(yaml.safe_load(text) or {}, preset_name=Path(path).stem)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text file: {error}") from error
        except (TypeError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: {error}") from error

    def to_yaml(self, path: str | Path) -> None:
        """Write the settings as YAML."""
        import yaml

        Path(path).write_text(yaml.safe_dump(self.to_dict(), sort_keys=False), encoding="utf-8")

    @classmethod
    def from_preset(cls, name: str) -> BacktestConfig:
        """Return the settings of a preset. Raises ValueError for an unknown name, listing the presets."""
        if name not in _PRESETS:
            raise ValueError(f"unknown preset {name!r}, expected one of {list_presets()}{did_you_mean(name, _PRESETS)}")
        return cls(**_PRESETS[name], preset_name=name)


# "fast" is the frictionless set of the engine this one replaces, for quick research; "default" are the plain defaults.
_PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": {
        "account_type": "crypto",
        "execution_mode": "same_bar",
        "commission_type": "none",
        "slippage_type": "none",
    },
}


def list_presets() -> list[str]:
    """Return the names that `BacktestConfig.from_preset` takes."""
    return sorted(_PRESETS)


def _from_text(value: Any) -> Any:
    """Return a number that YAML takes for text (1e-3 without a dot is one) as a number, all else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _number(name: str, value: object, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < least:
        raise ValueError(f"{name} was {value!r}, expected a finite number >= {least:g}")
    return float(value)
