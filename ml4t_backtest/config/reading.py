"""From files and from other generations of settings to the fields of `BacktestConfig`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ml4t_backtest.config.choices import AccountType, CommissionType, FillTiming, ShareType, SlippageType
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.types import ExecutionMode, ExecutionPrice, member

if TYPE_CHECKING:
    from ml4t_backtest.config.settings import BacktestConfig

__all__ = ["read_settings", "translate"]

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
    "allow_negative_cash": 'use account_type="margin", or skip_cash_validation with shorts allowed',
}
_FLAGS = {
    AccountType.CASH: (False, False),
    AccountType.CRYPTO: (True, False),
    AccountType.MARGIN: (True, True),
    AccountType.FUTURES: (True, True),
}


def translate(config: BacktestConfig, fill_timing: Any, fractional_shares: Any) -> None:
    """Bring the settings that say two things at once into the fields that hold them; raise ValueError for contradictions."""
    if fill_timing is not None:
        mode, price = _TIMINGS[member(FillTiming, fill_timing, "fill_timing")]
        given = config.execution_mode, config.execution_price
        if given[0] != ExecutionMode.NEXT_BAR and member(ExecutionMode, given[0], "execution_mode") is not mode:
            raise ValueError(f"fill_timing {fill_timing!r} contradicts execution_mode {given[0]!r}; give one of them")
        if given[1] is not None and price is not None and member(ExecutionPrice, given[1], "execution_price") is not price:
            raise ValueError(f"fill_timing {fill_timing!r} contradicts execution_price {given[1]!r}; give one of them")
        config.execution_mode, config.execution_price = mode, given[1] if price is None else price
    if fractional_shares is not None:
        if not isinstance(fractional_shares, bool):
            raise ValueError(f"fractional_shares was {fractional_shares!r}, expected True or False")
        config.share_type = ShareType.FRACTIONAL if fractional_shares else ShareType.INTEGER
    if config.maintenance_margin is not None:
        config.long_maintenance_margin = config.short_maintenance_margin = config.maintenance_margin
    for kind, name, model in ((CommissionType, "commission_type", "commission_model"), (SlippageType, "slippage_type", "slippage_model")):
        value = getattr(config, model)
        if isinstance(value, (kind, str)):
            setattr(config, name, member(kind, value, model))
            setattr(config, model, None)
    _resolve_account(config)


def _resolve_account(config: BacktestConfig) -> None:
    """Let account type and permissions agree, whichever of them was given."""
    short, leverage = config.allow_short_selling, config.allow_leverage
    for name, value in (("allow_short_selling", short), ("allow_leverage", leverage)):
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{name} was {value!r}, expected True or False")
    if config.account_type is None:
        if leverage:
            config.account_type, config.allow_short_selling = AccountType.MARGIN, bool(short)
        else:
            config.account_type, config.allow_short_selling = (AccountType.CRYPTO if short else AccountType.CASH), bool(short)
        config.allow_leverage = bool(leverage)
        return
    kind = member(AccountType, config.account_type, "account_type")
    may_short, has_leverage = _FLAGS[kind]
    if leverage is not None and leverage is not has_leverage:
        raise ValueError(f"account_type {kind.value!r} contradicts allow_leverage={leverage}; give one of them")
    if short is not None and short is not may_short and not (has_leverage and not short):
        raise ValueError(f"account_type {kind.value!r} contradicts allow_short_selling={short}; give one of them")
    config.account_type, config.allow_leverage = kind, has_leverage
    config.allow_short_selling = may_short if short is None else short


def read_settings(kind: type[BacktestConfig], data: Any, *, strict: bool) -> dict[str, Any]:
    """Return the values of a nested mapping by field name. Errors as `BacktestConfig.from_dict`."""
    if not isinstance(data, dict):
        raise TypeError(f"config was a {type(data).__name__}, expected a mapping of sections")
    names = {
        (entry.metadata["section"], entry.metadata["key"]): entry.name for entry in dataclasses.fields(kind) if "section" in entry.metadata
    }
    sections = {section for section, _ in names}
    values: dict[str, Any] = {}
    for section, entries in data.items():
        if section not in sections:
            if strict:
                hint = did_you_mean(str(section), sections)
                raise ValueError(f"unknown config section {section!r}, expected one of {sorted(sections)}{hint}{_farewell(section)}")
            continue
        if not isinstance(entries, dict):
            raise TypeError(f"config section {section!r} was a {type(entries).__name__}, expected a mapping")
        keys = [key for owner, key in names if owner == section]
        for key, value in entries.items():
            if key in keys:
                values[names[section, key]] = value
            elif strict:
                hint = did_you_mean(str(key), keys)
                raise ValueError(f"unknown key {key!r} in config section {section!r}, expected one of {keys}{hint}{_farewell(key)}")
    return values


def _farewell(name: object) -> str:
    return f" ({name!r} is gone: {_GONE[str(name)]})" if str(name) in _GONE else ""
