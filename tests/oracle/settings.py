"""The settings of a run, and the same settings converted to the number type of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from tests.oracle.costs import CostModel, Costs, build_costs
from tests.oracle.limit_types import in_numbers
from tests.oracle.numbers import Number, NumberType, convert

PriceName: TypeAlias = Literal["open", "close", "mid", "vwap"]

CHOICES: dict[str, tuple[str, ...]] = {
    "execution_mode": ("next_bar", "same_bar"),
    "share_type": ("fractional", "integer"),
    "child_activation": ("after_open", "same_bar", "next_bar", "after_market"),
    "bracket_priority": ("stop_first", "limit_first", "nearest", "stop_always", "submission"),
    "linked_orders": ("by_quantity", "as_one"),
    "entry_order_priority": ("submission", "notional_desc", "notional_asc"),
    "fill_ordering": ("exit_first", "fifo", "sequential", "newest_exit_first"),
    "slippage_fills": ("all", "opening"),
    "submission_bar_range": ("range", "close"),
    "limit_fill": ("limit", "better_open", "better_close"),
    "trigger_price": ("range", "close"),
    "beyond_limit": ("limit", "wait", "fill"),
    "tick_rounding": ("passive", "lenient"),
    "split_accounting": ("market", "cost_basis"),
    "target_price_policy": ("skip", "use_last"),
    "stop_gap_fill": ("gap_price", "stop_price"),
    "stop_limit_fill": ("close", "turned_bar", "at_stop"),
    "missing_bar_orders": ("wait", "last_bar"),
    "slippage_bound": ("none", "bar_range"),
    "refused_reversal": ("reject", "close"),
    "submission_check_orders": ("market", "all"),
    "trail_update": ("after_bar", "close", "bar_first"),
    "short_cash_policy": ("credit", "credit_proceeds", "lock_notional"),
    "cash_ledger": ("standard", "free_cash"),
    "buying_power_basis": ("initial", "maintenance"),
    "cash_check": ("standard", "open_cash"),
    "margin_call": ("restore", "liquidate", "ignore"),
    "margin_call_check": ("close", "intrabar"),
    "initial_hwm_source": ("fill_price", "bar_close", "bar_high", "signal_price"),
    "trail_hwm_source": ("close", "bar_extreme"),
    "stop_level_basis": ("fill_price", "signal_price"),
    "stop_fill_mode": ("stop_price", "close_price", "bar_extreme", "next_bar_open"),
    "trail_stop_timing": ("lagged", "intrabar", "vbt_pro"),
}
AMOUNTS = (
    *("initial_cash", "cash_buffer_pct", "initial_margin", "long_maintenance_margin", "short_maintenance_margin"),
    *("stop_slippage_rate", "cash_interest_rate", "margin_interest_rate", "borrow_rate"),
    *("max_order_size", "max_position_size", "max_positions", "lot_tolerance"),
)


@dataclass(frozen=True)
class Contract:
    multiplier: Any = 1
    lot_size: Any = None
    tick_size: Any = None
    initial_margin: Any = None  # money for one contract; None: the rate of the account
    maintenance_margin: Any = None  # likewise; None with an initial margin in money: that one
    future: bool = False


@dataclass(frozen=True)
class Settings:
    initial_cash: Any
    execution_mode: str
    execution_price: PriceName | None = None
    commission: Any = ("none",)
    slippage: tuple[Any, ...] = ("none",)
    allow_short: bool | None = None
    multipliers: Mapping[str, Any] = field(default_factory=dict)
    account: Literal["cash", "crypto", "margin", "futures"] | None = None  # None: crypto with allow_short, else cash
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    impact: tuple[Any, ...] = ("none",)
    participation: Any = None
    min_volume: Any = 0
    asset_costs: Mapping[str, CostModel] = field(default_factory=dict)  # replaces all cost settings of an asset
    share_type: str = "fractional"
    round_to_tick: bool = False
    close_at_end: bool = False
    allow_reentry_on_exit_bar: bool = False
    child_activation: str = "after_open"
    bracket_priority: str = "stop_first"
    linked_orders: str = "by_quantity"
    entry_order_priority: str = "submission"
    fill_ordering: str = "exit_first"
    submission_bar_range: str = "range"
    limit_fill: str = "limit"
    stop_gap_fill: str = "gap_price"
    stop_limit_fill: str = "close"
    slippage_fills: str = "all"
    split_flips: bool = False
    trigger_price: str = "range"
    beyond_limit: str = "limit"
    trade_without_volume: bool = True
    tick_rounding: str = "passive"
    default_tick_size: Any = None
    split_accounting: str = "market"
    implicit_reduce_only: bool = True
    exits_reduce_only: bool = True
    lot_tolerance: Any = 1e-9
    target_price_policy: str = "skip"
    missing_bar_orders: str = "wait"
    slippage_bound: str = "none"
    trail_update: str = "after_bar"
    max_order_size: Any = None
    max_position_size: Any = None
    max_positions: Any = None
    cash_buffer_pct: Any = 0
    short_cash_policy: str = "credit"
    cash_ledger: str = "standard"
    settlement_delay: int = 0
    settlement_reduces_buying_power: bool = True
    initial_margin: Any = 0.5
    long_maintenance_margin: Any = 0.25
    short_maintenance_margin: Any = 0.3
    buying_power_basis: str = "initial"
    partial_fills_allowed: bool = False
    reject_on_insufficient_cash: bool = True
    skip_cash_validation: bool = False
    refused_reversal: str = "reject"
    next_bar_submission_precheck: bool = False
    buying_power_reservation: bool = False
    submission_check_orders: str = "market"
    cash_check: str = "standard"
    margin_call: str = "restore"
    margin_call_check: str = "close"
    initial_hwm_source: str = "fill_price"
    trail_hwm_source: str = "close"
    stop_level_basis: str = "fill_price"
    stop_fill_mode: str = "stop_price"
    trail_stop_timing: str = "lagged"
    stop_reset_on_add: bool = False
    stop_slippage_rate: Any = 0
    rule_exit_slippage: bool = True
    cash_interest_rate: Any = 0
    margin_interest_rate: Any = 0
    borrow_rate: Any = 0
    limits: Sequence[Any] = ()  # of limit_types, in the order of their checks


@dataclass(frozen=True)
class Rules:
    """Everything that does not change during a run; `settings` and `contracts` hold numbers of the run's type."""

    settings: Settings
    number: NumberType
    zero: Number
    smallest_order: Number  # submissions up to this size are ignored
    flat_tolerance: Number  # rounding dust, relative to the position or the order
    dust: Number  # a fill that leaves no more of a position than this part leaves it flat
    cash_tolerance: Number  # relative to the need
    clamp_tolerance: Number  # likewise: a smaller overdraft by a buy is rounding
    smallest_delta: Number  # target weights ignore smaller changes, in money
    assets: tuple[str, ...]
    contracts: dict[str, Contract]
    multipliers: dict[str, Number]
    lots: dict[str, Number | None]
    costs: dict[str, Costs]
    futures: frozenset[str]  # the assets that never exchange notional
    allow_short: bool
    leveraged: bool
    locks_cash: bool  # shorts do, by short_cash_policy
    free_cash: bool  # the ledger that keeps it
    same_bar: bool
    pass_price: PriceName


def build_rules(settings: Settings, assets: Sequence[str], number: NumberType) -> Rules:
    _check(settings, assets)
    account = settings.account or ("crypto" if settings.allow_short else "cash")
    same_bar, leveraged = settings.execution_mode == "same_bar", account in ("margin", "futures")
    free_cash = settings.cash_ledger == "free_cash"
    amounts = {name: getattr(settings, name) for name in AMOUNTS}
    numbers: dict[str, Any] = {name: convert(number, value, name) for name, value in amounts.items() if value is not None}
    contracts = {asset: _contract(settings, asset, number) for asset in assets}
    default = CostModel(settings.commission, settings.slippage, settings.impact, settings.participation, settings.min_volume)
    costs = {asset: build_costs(settings.asset_costs.get(asset, default), number) for asset in assets}
    if free_cash:
        _check_free_cash(settings, leveraged, costs)
    whole = number(1) if settings.share_type == "integer" else None
    return Rules(
        settings=replace(settings, account=account, limits=tuple(in_numbers(limit, number) for limit in settings.limits), **numbers),
        number=number,
        zero=number(0),
        smallest_order=number(1e-8),
        flat_tolerance=number(1e-12),
        dust=number(1e-9 if free_cash else 1e-12),
        cash_tolerance=number(1e-10),
        clamp_tolerance=number(2e-10),
        smallest_delta=number(0.01),
        assets=tuple(assets),
        contracts=contracts,
        multipliers={asset: contract.multiplier for asset, contract in contracts.items()},
        lots={asset: whole if contract.lot_size is None else contract.lot_size for asset, contract in contracts.items()},
        costs=costs,
        futures=frozenset(asset for asset in assets if account == "futures" or (account == "margin" and contracts[asset].future)),
        allow_short=account != "cash" if settings.allow_short is None else settings.allow_short,
        leveraged=leveraged,
        locks_cash=not leveraged and not free_cash and settings.short_cash_policy != "credit",
        free_cash=free_cash,
        same_bar=same_bar,
        pass_price=settings.execution_price or ("close" if same_bar else "open"),
    )


def _check(settings: Settings, assets: Sequence[str]) -> None:
    if len(set(assets)) != len(assets):
        raise ValueError("assets must be distinct")
    for name in ("multipliers", "contracts", "asset_costs"):
        unknown = set(getattr(settings, name)) - set(assets)
        if unknown:
            raise ValueError(f"{name} for unknown assets: {sorted(unknown)}")
    for name, choices in CHOICES.items():
        if getattr(settings, name) not in choices:
            raise ValueError(f"unknown {name}: {getattr(settings, name)}")
    if settings.execution_price not in (None, "open", "close", "mid", "vwap"):
        raise ValueError(f"unknown execution price: {settings.execution_price}")
    if settings.account not in (None, "cash", "crypto", "margin", "futures"):
        raise ValueError(f"unknown account: {settings.account}")
    if settings.settlement_delay not in range(8):
        raise ValueError(f"a settlement delay is 0 to 7 bars: {settings.settlement_delay}")
    if settings.account == "cash" and settings.allow_short:
        raise ValueError("a cash account has no short positions")


def _check_free_cash(settings: Settings, leveraged: bool, costs: Mapping[str, Costs]) -> None:
    against = settings.settlement_delay or settings.cash_buffer_pct or settings.skip_cash_validation
    if leveraged or against or settings.cash_check == "open_cash" or settings.short_cash_policy == "credit_proceeds":
        raise ValueError("the ledger that keeps free cash decides what may be spent")
    for one in costs.values():
        if not one.is_linear():
            raise ValueError("the ledger that keeps free cash needs costs that are fractions of the value and amounts per order")


def _contract(settings: Settings, asset: str, number: NumberType) -> Contract:
    contract = settings.contracts.get(asset, Contract())
    if asset in settings.multipliers:
        contract = replace(contract, multiplier=settings.multipliers[asset])
    names = ("multiplier", "lot_size", "tick_size", "initial_margin", "maintenance_margin")
    values = {name: getattr(contract, name) for name in names}
    numbers: dict[str, Any] = {name: convert(number, value, name) for name, value in values.items() if value is not None}
    return replace(contract, **numbers)
