"""What contradicts itself in a config (errors) and what is doubtful (sentences); and a config as text."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

from ml4t_backtest.config.choices import AccountType, ShareType, SlippageType, SubmissionBarRange
from ml4t_backtest.types import ExecutionMode

if TYPE_CHECKING:
    from ml4t_backtest.config.settings import BacktestConfig

__all__ = ["describe", "doubts", "review"]

_HIGH_COST = 0.01


def review(config: BacktestConfig) -> None:
    """Raise ValueError for settings that contradict each other."""
    initial = config.initial_margin
    if config.allow_leverage:
        for name in ("long_maintenance_margin", "short_maintenance_margin"):
            if getattr(config, name) > initial:
                raise ValueError(
                    f"{name} was {getattr(config, name):g}, above initial_margin {initial:g}; maintenance is at most the initial margin"
                )
    per_contract = config.initial_margin_per_contract, config.maintenance_margin_per_contract
    if per_contract[1] is not None and (per_contract[0] is None or per_contract[1] > per_contract[0]):
        raise ValueError(
            f"maintenance_margin_per_contract was {per_contract[1]:g}, expected at most initial_margin_per_contract ({per_contract[0]})"
        )
    if config.futures_margin_rate is not None and config.futures_margin_rate > 1.0:
        raise ValueError(f"futures_margin_rate was {config.futures_margin_rate:g}, expected a fraction of the notional in (0, 1]")
    if config.skip_cash_validation and config.account_type is AccountType.CASH:
        raise ValueError("skip_cash_validation would let a cash account go negative; allow short selling (account_type='crypto') with it")
    if config.next_bar_simple_cash_check and config.allow_leverage:
        raise ValueError("next_bar_simple_cash_check looks at cash, which contradicts allow_leverage; give one of them")
    if config.immediate_fill and config.execution_mode is not ExecutionMode.SAME_BAR:
        raise ValueError("immediate_fill needs execution_mode SAME_BAR")
    if config.enforce_sessions and config.calendar is None:
        raise ValueError("enforce_sessions needs a calendar, for example calendar='NYSE'")


def doubts(config: BacktestConfig, *, warn: bool) -> list[str]:
    """Return what is doubtful as sentences; with `warn` also as UserWarning each."""
    found = []
    if config.execution_mode is ExecutionMode.SAME_BAR:
        found.append("SAME_BAR trades at the close that the strategy has just seen: look-ahead unless orders can really reach the close")
        if config.submission_bar_range is SubmissionBarRange.RANGE:
            found.append(
                "SAME_BAR tests new limit and stop orders against the whole bar: look-ahead; submission_bar_range='close' avoids it"
            )
    free = config.commission_model is None and config.commission_type.value == "none"  # type: ignore[union-attr]
    if free and config.slippage_model is None and config.slippage_type is SlippageType.NONE:
        found.append("commission and slippage are both off: results will be too good")
    if config.slippage_type is SlippageType.VOLUME_BASED and not config.partial_fills_allowed:
        found.append("volume-based slippage without partial_fills_allowed: large orders fill whole at any volume")
    if config.slippage_rate + config.commission_rate > _HIGH_COST:
        found.append(f"commission_rate and slippage_rate add up to {config.slippage_rate + config.commission_rate:.2%} a fill")
    if config.preset_name == "realistic" and config.share_type is ShareType.FRACTIONAL:
        found.append("the preset 'realistic' with fractional shares is less realistic than it says")
    if warn:
        for sentence in found:
            warnings.warn(sentence, UserWarning, stacklevel=4)
    return found


def describe(config: BacktestConfig) -> str:
    """Return the settings as text, section by section; an asterisk marks what differs from the defaults."""
    plain = type(config)()
    lines = [f"BacktestConfig{'' if config.preset_name is None else ' ' + repr(config.preset_name)} (* differs from the default)"]
    section = None
    for entry in sorted(
        (entry for entry in dataclasses.fields(config) if "section" in entry.metadata), key=lambda entry: entry.metadata["section"]
    ):
        if entry.metadata["section"] != section:
            section = entry.metadata["section"]
            lines.append(f"  {section}")
        value = getattr(config, entry.name)
        mark = "*" if value != getattr(plain, entry.name) else " "
        lines.append(f"  {mark} {entry.name}: {getattr(value, 'value', value)}")
    lines.extend(
        f"  * {name}: {getattr(config, name)!r}" for name in ("commission_model", "slippage_model") if getattr(config, name) is not None
    )
    return "\n".join(lines)
