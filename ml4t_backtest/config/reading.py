"""From files and from other generations of settings to the fields of `BacktestConfig`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml4t_backtest.config.choices import AccountType, CommissionType, FillTiming, ShareType, SlippageType
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.types import ExecutionMode, ExecutionPrice, member

if TYPE_CHECKING:
    from ml4t_backtest.config.settings import BacktestConfig

__all__ = ["SPELLINGS", "farewell", "loosened", "read_settings", "setting_name", "translate"]

# Other names of settings, of another generation or in common use.
SPELLINGS = {
    "commission": "commission_type",
    "slippage": "slippage_type",
    "margin_requirement": "initial_margin",
    "initial_capital": "initial_cash",
}
# Settings of another generation that stand for others; arguments, no fields.
_ARGUMENTS = ("fill_timing", "fractional_shares")
_OTHER_KEYS = {
    ("execution", "mode"): "execution_mode",
    ("execution", "price"): "execution_price",
    ("execution", "fill_timing"): "fill_timing",
    ("position_sizing", "fractional_shares"): "fractional_shares",
    ("account", "margin_requirement"): "initial_margin",
}
_TIMINGS = {
    FillTiming.SAME_BAR: (ExecutionMode.SAME_BAR, None),
    FillTiming.CLOSE_ONLY: (ExecutionMode.SAME_BAR, ExecutionPrice.CLOSE),
    FillTiming.NEXT_BAR_OPEN: (ExecutionMode.NEXT_BAR, ExecutionPrice.OPEN),
    FillTiming.NEXT_BAR_CLOSE: (ExecutionMode.NEXT_BAR, ExecutionPrice.CLOSE),
}
# Settings of an older generation that have no counterpart, with what to do instead.
_GONE = {
    "sizing_method": "size orders in the strategy, or with order_target_percent",
    "signal_processing": "read signals in the strategy",
    "allow_negative_cash": "use account_type='margin', or skip_cash_validation with shorts allowed",
}
_FLAGS = {
    AccountType.CASH: (False, False),
    AccountType.CRYPTO: (True, False),
    AccountType.MARGIN: (True, True),
    AccountType.FUTURES: (True, True),
}
_RATES = ("long_maintenance_margin", "short_maintenance_margin")
_MODELS = (("commission_type", "commission_model", CommissionType), ("slippage_type", "slippage_model", SlippageType))
_ADVICE = "give one of them (config.replace() and assignment change what belongs together)"


def setting_name(kind: type[BacktestConfig], name: str) -> str | None:
    """Return the canonical name of a setting, None for what is none."""
    canonical = SPELLINGS.get(name, name)
    known = {entry.name for entry in dataclasses.fields(kind)}
    return canonical if canonical in known or canonical in _ARGUMENTS else None


def farewell(kind: type[BacktestConfig], name: str) -> str:
    """Return what a message about an unknown setting ends with: what became of it, or the closest name."""
    if name in _GONE:
        return f"; {name!r} is gone: {_GONE[name]}"
    if name.startswith("_"):  # Python looks whether it is there: no time for a hint
        return ""
    return did_you_mean(name, [*(entry.name for entry in dataclasses.fields(kind)), *_ARGUMENTS, *SPELLINGS])


def loosened(config: BacktestConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes, and None for every setting that they decide anew (the default for the maintenance rates).

    A changed account type brings its own permissions and the other way round; `fill_timing` brings mode and price,
    `fractional_shares` the share type, `maintenance_margin` both rates; a changed cost type takes the place of a model object.
    """
    free: dict[str, Any] = {}
    flags = {name: changes[name] for name in ("allow_short_selling", "allow_leverage") if name in changes}
    if "account_type" in changes:
        free.update(allow_short_selling=None, allow_leverage=None)
    elif flags and not (config.account_type is AccountType.FUTURES and flags.get("allow_leverage", True)):
        free["account_type"] = None
    if changes.get("maintenance_margin") is not None:
        free.update({name: getattr(type(config), name) for name in _RATES})
    elif any(name in changes for name in _RATES):
        free["maintenance_margin"] = None
    if "fill_timing" in changes:
        free.update(execution_mode=None, execution_price=None)
    if "fractional_shares" in changes:
        free["share_type"] = None
    free.update({model: None for name, model, _ in _MODELS if name in changes})
    return {**free, **changes}


def translate(config: BacktestConfig, fill_timing: Any, fractional_shares: Any) -> None:
    """Bring the settings that say two things at once into the fields that hold them; raise ValueError for contradictions."""
    if fill_timing is not None:
        _set_timing(config, fill_timing)
    if config.execution_mode is None:
        config.execution_mode = ExecutionMode.NEXT_BAR
    if fractional_shares is not None:
        _set_share_type(config, fractional_shares)
    if config.share_type is None:
        config.share_type = ShareType.FRACTIONAL
    if config.maintenance_margin is not None:
        for name in _RATES:
            if getattr(config, name) == getattr(type(config), name):
                setattr(config, name, config.maintenance_margin)
    for name, model, kind in _MODELS:
        value = getattr(config, model)
        if isinstance(value, (kind, str)):
            setattr(config, name, member(kind, value, model))
            setattr(config, model, None)
    _resolve_account(config)


def _set_timing(config: BacktestConfig, fill_timing: Any) -> None:
    mode, price = _TIMINGS[member(FillTiming, fill_timing, "fill_timing")]
    for name, wanted in (("execution_mode", mode), ("execution_price", price)):
        given = getattr(config, name)
        if wanted is None:
            continue
        if given is not None and member(type(wanted), given, name) is not wanted:
            raise ValueError(f"fill_timing {fill_timing!r} contradicts {name} {given!r}; {_ADVICE}")
        setattr(config, name, wanted)


def _set_share_type(config: BacktestConfig, fractional_shares: Any) -> None:
    if not isinstance(fractional_shares, bool):
        raise ValueError(f"fractional_shares was {fractional_shares!r}, expected True or False")
    share = ShareType.FRACTIONAL if fractional_shares else ShareType.INTEGER
    if config.share_type is not None and member(ShareType, config.share_type, "share_type") is not share:
        raise ValueError(f"fractional_shares={fractional_shares} contradicts share_type {config.share_type!r}; {_ADVICE}")
    config.share_type = share


def _resolve_account(config: BacktestConfig) -> None:
    """Let account type and permissions agree, whichever of them was given."""
    for name in ("allow_short_selling", "allow_leverage"):
        entry = next(entry for entry in dataclasses.fields(config) if entry.name == name)
        setattr(config, name, entry.metadata["check"](name, getattr(config, name)))
    short, leverage = config.allow_short_selling, config.allow_leverage
    if config.account_type is None:
        if leverage:
            config.account_type = AccountType.MARGIN
        else:
            config.account_type = AccountType.CRYPTO if short else AccountType.CASH
        config.allow_short_selling, config.allow_leverage = bool(short), bool(leverage)
        return
    kind = member(AccountType, config.account_type, "account_type")
    may_short, has_leverage = _FLAGS[kind]
    if leverage is not None and leverage is not has_leverage:
        raise ValueError(f"account_type {kind.value!r} contradicts allow_leverage={leverage}; {_ADVICE}")
    if short is not None and short is not may_short and not (has_leverage and not short):
        raise ValueError(f"account_type {kind.value!r} contradicts allow_short_selling={short}; {_ADVICE}")
    config.account_type, config.allow_leverage = kind, has_leverage
    config.allow_short_selling = may_short if short is None else short


def _names_in_files(kind: type[BacktestConfig]) -> dict[tuple[str, str], str]:
    """Return the setting for each section and key; the full name of a setting is a key too."""
    entries = [entry for entry in dataclasses.fields(kind) if "section" in entry.metadata]
    full = {(entry.metadata["section"], entry.name): entry.name for entry in entries}
    return {**_OTHER_KEYS, **full, **{(entry.metadata["section"], entry.metadata["key"]): entry.name for entry in entries}}


def read_settings(kind: type[BacktestConfig], data: Any, *, strict: bool) -> dict[str, Any]:
    """Return the values of a nested mapping by setting. Errors as `BacktestConfig.from_dict`."""
    if not isinstance(data, Mapping):
        raise TypeError(f"config was a {type(data).__name__}, expected a mapping of sections")
    names = _names_in_files(kind)
    sections = {section for section, _ in names}
    values: dict[str, Any] = {}
    for section, entries in data.items():
        if section not in sections:
            if strict:
                hint = _gone(section) or did_you_mean(str(section), sections)
                raise ValueError(f"unknown config section {section!r}, expected one of {sorted(sections)}{hint}")
            continue
        if entries is not None and not isinstance(entries, Mapping):
            raise TypeError(f"config section {section!r} was a {type(entries).__name__}, expected a mapping")
        _read_section(section, {} if entries is None else entries, names, values, strict=strict)
    return values


def _read_section(
    section: str, entries: Mapping[Any, Any], names: dict[tuple[str, str], str], values: dict[str, Any], *, strict: bool
) -> None:
    """Put the values of one section under the names of their settings."""
    keys = [key for owner, key in names if owner == section]
    for key, value in entries.items():
        if key in keys:
            name = names[section, key]
            if name in values:
                raise ValueError(f"config section {section!r} gives {name} twice, under two of its names")
            values[name] = value
        elif strict:
            hint = _gone(key) or did_you_mean(str(key), keys)
            raise ValueError(f"unknown key {key!r} in config section {section!r}, expected one of {sorted(keys)}{hint}")


def _gone(name: object) -> str:
    return f"; {name!r} is gone: {_GONE[str(name)]}" if str(name) in _GONE else ""
