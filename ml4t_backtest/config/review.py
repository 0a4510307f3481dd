"""What contradicts itself in a config (errors) and what is doubtful (sentences); and a config as text."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

from ml4t_backtest.config.choices import (
    AccountType,
    BeyondLimit,
    CashLedger,
    CommissionType,
    MissingBarOrders,
    RefusedReversal,
    ShareType,
    ShortCashPolicy,
    SlippageBound,
    SlippageFills,
    SlippageType,
    SubmissionBarRange,
)
from ml4t_backtest.types import ExecutionMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml4t_backtest.config.settings import BacktestConfig

__all__ = ["describe", "doubts", "review"]

_HIGH_COST = 0.01
_LONG_SETTLEMENT = 5
_RATES = ("long_maintenance_margin", "short_maintenance_margin")
_MODELS = (("commission_type", "commission_model"), ("slippage_type", "slippage_model"))
# Settings that act only with some values of another one.
_ACTS_WITH: tuple[tuple[tuple[str, ...], str, tuple[str | bool, ...]], ...] = (
    (("commission_rate",), "commission_type", ("percentage", "tiered")),
    (("commission_per_share",), "commission_type", ("per_share",)),
    (("commission_per_trade",), "commission_type", ("per_trade",)),
    (("commission_minimum",), "commission_type", ("percentage", "tiered", "per_share")),
    (("slippage_rate",), "slippage_type", ("percentage", "volume_based")),
    (("slippage_fixed",), "slippage_type", ("fixed",)),
    (("slippage_spread",), "slippage_type", ("spread",)),
    (("initial_margin", "maintenance_margin", *_RATES), "account_type", ("margin", "futures")),
    (("fixed_margin_schedule", "margin_pct_schedule", "futures_margin_rate"), "account_type", ("margin", "futures")),
    (("buying_power_basis", "margin_call_check"), "account_type", ("margin", "futures")),
    (("initial_margin_per_contract", "maintenance_margin_per_contract"), "account_type", ("futures",)),
    (("short_cash_policy",), "account_type", ("crypto",)),
    (("settlement_delay",), "account_type", ("cash", "crypto")),
    (("entry_order_priority",), "fill_ordering", ("exit_first",)),
    (("late_asset_min_bars",), "late_asset_policy", ("require_history",)),
    (("tick_rounding", "default_tick_size"), "round_to_tick", (True,)),
)


def review(config: BacktestConfig) -> None:
    """Raise ValueError for settings that contradict each other."""
    _review_margins(config)
    if config.skip_cash_validation and config.account_type is AccountType.CASH:
        raise ValueError("skip_cash_validation would let a cash account go negative; allow short selling (account_type='crypto') with it")
    if config.next_bar_simple_cash_check and config.account_type is AccountType.MARGIN:
        raise ValueError("next_bar_simple_cash_check looks at cash, which contradicts a margin account; give one of them")
    if config.cash_ledger is CashLedger.FREE_CASH:
        _review_free_cash(config)
    if config.immediate_fill and config.execution_mode is not ExecutionMode.SAME_BAR:
        raise ValueError(
            "immediate_fill fills within the bar of the order, which contradicts execution_mode NEXT_BAR; give SAME_BAR with it"
        )
    if config.enforce_sessions and config.calendar is None:
        raise ValueError("enforce_sessions leaves out bars outside the sessions of a calendar; give one, for example calendar='NYSE'")


def _review_free_cash(config: BacktestConfig) -> None:
    """Raise ValueError for settings that the free cash ledger does not know."""
    against = {
        "allow_leverage": config.allow_leverage,
        "settlement_delay": config.settlement_delay,
        "cash_buffer_pct": config.cash_buffer_pct,
        "skip_cash_validation": config.skip_cash_validation,
        "next_bar_simple_cash_check": config.next_bar_simple_cash_check,
        "split_flips": config.split_flips,
        "slippage_fills='opening'": config.slippage_fills is SlippageFills.OPENING,
        "slippage_bound": config.slippage_bound is SlippageBound.BAR_RANGE,
        "refused_reversal='close'": config.refused_reversal is RefusedReversal.CLOSE,
        "beyond_limit": config.beyond_limit is not BeyondLimit.LIMIT,
        "next_bar_submission_precheck": config.next_bar_submission_precheck,
        "buying_power_reservation": config.buying_power_reservation,
        "short_cash_policy='credit_proceeds'": config.short_cash_policy is ShortCashPolicy.CREDIT_PROCEEDS,
    }
    for name, given in against.items():
        if given:
            raise ValueError(f"cash_ledger='free_cash' decides what may be spent, which contradicts {name}; give one of them")


def _review_margins(config: BacktestConfig) -> None:
    initial, both = config.initial_margin, config.maintenance_margin
    for name in _RATES:
        rate = getattr(config, name)
        if both is not None and rate != both:
            raise ValueError(f"maintenance_margin {both:g} contradicts {name} {rate:g}; give one of them")
        if config.allow_leverage and rate > initial:
            raise ValueError(f"{name} was {rate:g}, above initial_margin {initial:g}; maintenance is at most the initial margin")
    money, kept = config.initial_margin_per_contract, config.maintenance_margin_per_contract
    if kept is not None and (money is None or kept > money):
        expected = "one with initial_margin_per_contract" if money is None else f"at most initial_margin_per_contract {money:g}"
        raise ValueError(f"maintenance_margin_per_contract was {kept:g}, expected {expected}")


def doubts(config: BacktestConfig, *, warn: bool) -> list[str]:
    """Return contradictions and doubts as sentences; with `warn` also as UserWarning each."""
    try:
        config.check()
        found = []
    except (TypeError, ValueError) as error:
        found = [str(error)]
    found.extend([*_look_ahead(config), *_costs(config), *_account(config), *_idle(config)])
    if warn:
        for sentence in found:
            warnings.warn(sentence, UserWarning, stacklevel=3)
    return found


def _look_ahead(config: BacktestConfig) -> Iterator[str]:
    if config.missing_bar_orders is MissingBarOrders.LAST_BAR:
        yield "missing_bar_orders='last_bar' tests orders against bars that the strategy has seen: look-ahead where an asset misses a bar"
    if config.execution_mode is not ExecutionMode.SAME_BAR:
        return
    if config.looks_ahead:
        price = config.price_of_market_orders.value
        yield f"SAME_BAR at the {price} trades at a price from before the close that the strategy has seen: look-ahead"
    else:
        yield "SAME_BAR trades at the close that the strategy has just seen: look-ahead unless orders can really reach the close"
    if config.submission_bar_range is SubmissionBarRange.RANGE:
        yield "SAME_BAR tests new limit and stop orders against the whole bar: look-ahead; submission_bar_range='close' avoids it"


def _costs(config: BacktestConfig) -> Iterator[str]:
    if _has_no_commission(config) and _has_no_slippage(config):
        yield "commission and slippage are both off: results will be too good"
    if config.slippage_model is None and config.slippage_type is SlippageType.VOLUME_BASED and not config.partial_fills_allowed:
        yield "volume-based slippage without partial_fills_allowed: large orders fill whole at any volume"
    rate = 0.0
    if config.commission_model is None and config.commission_type in (CommissionType.PERCENTAGE, CommissionType.TIERED):
        rate += config.commission_rate
    if config.slippage_model is None and config.slippage_type is SlippageType.PERCENTAGE:
        rate += config.slippage_rate
    if rate > _HIGH_COST:
        yield f"commission_rate and slippage_rate add up to {rate:.2%} a fill, which is high"
    if config.preset_name == "realistic" and config.share_type is ShareType.FRACTIONAL:
        yield "the preset 'realistic' with fractional shares is less realistic than it says"


def _has_no_commission(config: BacktestConfig) -> bool:
    costs = {
        CommissionType.NONE: 0.0,
        CommissionType.PER_SHARE: config.commission_per_share + config.commission_minimum,
        CommissionType.PER_TRADE: config.commission_per_trade,
    }
    usual = config.commission_rate + config.commission_minimum
    return config.commission_model is None and not costs.get(CommissionType(config.commission_type), usual)


def _has_no_slippage(config: BacktestConfig) -> bool:
    if config.slippage_model is not None or config.slippage_type is SlippageType.SPREAD:
        return False  # without a spread those of the feed count
    costs = {SlippageType.NONE: 0.0, SlippageType.FIXED: config.slippage_fixed}
    return not costs.get(SlippageType(config.slippage_type), config.slippage_rate)


def _account(config: BacktestConfig) -> Iterator[str]:
    if config.allow_leverage and config.initial_margin in (config.long_maintenance_margin, config.short_maintenance_margin):
        yield "maintenance at the initial margin: an account that is fully used is called at the first tick against it"
    if config.settlement_delay > _LONG_SETTLEMENT:
        yield f"settlement_delay of {config.settlement_delay} bars is longer than any market's (0 to {_LONG_SETTLEMENT})"


def _idle(config: BacktestConfig) -> Iterator[str]:
    """Yield a sentence for each setting that was changed and does nothing beside the others."""
    plain = type(config)()
    for names, owner, values in _ACTS_WITH:
        chosen = getattr(config, owner)
        chosen = getattr(chosen, "value", chosen)
        for name in names:
            if chosen not in values and getattr(config, name) != getattr(plain, name):
                yield f"{name} has no effect with {owner} {chosen!r}, only with {' or '.join(map(repr, values))}"
    for kind, model in _MODELS:
        if getattr(config, model) is not None:
            rates = [name for names, owner, _ in _ACTS_WITH if owner == kind for name in names]
            changed = [name for name in rates if getattr(config, name) != getattr(plain, name)]
            if changed:
                yield f"{', '.join(changed)}: no effect beside {model}, which wins"


def describe(config: BacktestConfig) -> str:
    """Return the settings as text, section by section; an asterisk marks what differs from the defaults."""
    plain = type(config)()
    lines = [f"BacktestConfig{'' if config.preset_name is None else ' ' + repr(config.preset_name)} (* differs from the default)"]
    sections: dict[str, list[dataclasses.Field[Any]]] = {}
    for entry in dataclasses.fields(config):
        if "section" in entry.metadata:
            sections.setdefault(entry.metadata["section"], []).append(entry)
    for section, entries in sections.items():
        lines.append(f"  {section}")
        for entry in entries:
            value = getattr(config, entry.name)
            mark = "*" if value != getattr(plain, entry.name) else " "
            lines.append(f"  {mark} {entry.name}: {getattr(value, 'value', value)}")
    lines.extend(f"  * {model}: {getattr(config, model)!r}" for _, model in _MODELS if getattr(config, model) is not None)
    return "\n".join(lines)
