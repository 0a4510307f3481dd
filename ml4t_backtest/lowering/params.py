"""Settings to the params record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calls import clearing
from ml4t_backtest.config import (
    AccountType,
    CashLedger,
    FillOrdering,
    LinkedOrders,
    MarginCallCheck,
    MissingBarOrders,
    RefusedReversal,
    ShortCashPolicy,
    SlippageBound,
    SlippageFills,
    SplitAccounting,
    StopGapFill,
    StopLimitFill,
    SubmissionBarRange,
    TriggerPrice,
    WaterMarkSource,
)
from ml4t_backtest.types import ExecutionMode, StopLevelBasis
from ml4t_kernels import codes
from ml4t_kernels.dtypes import params_dtype

if TYPE_CHECKING:
    from ml4t_backtest.config import BacktestConfig
    from ml4t_kernels.dtypes import Records

__all__ = ["lower_params"]

_HUGE = 1e18
# Field of the record -> setting that it takes as it is.
_COPIED = {
    "cash_buffer": "cash_buffer_pct",
    "stop_slippage_rate": "stop_slippage_rate",
    "cash_interest_rate": "cash_interest_rate",
    "margin_interest_rate": "margin_interest_rate",
    "settlement_delay": "settlement_delay",
    "allow_short": "allow_short_selling",
    "partial_fills": "partial_fills_allowed",
    "reject_for_money": "reject_on_insufficient_cash",
    "skip_cash_check": "skip_cash_validation",
    "open_cash_check": "next_bar_simple_cash_check",
    "hold_unsettled": "settlement_reduces_buying_power",
    "allow_reentry": "allow_reentry_on_exit_bar",
    "precheck": "next_bar_submission_precheck",
    "reserve": "buying_power_reservation",
    "stop_reset_on_add": "stop_reset_on_add",
    "slip_rule_prices": "rule_exit_slippage",
    "split_flips": "split_flips",
    "lot_tolerance": "lot_tolerance",
    "implicit_reduce_only": "implicit_reduce_only",
}
# Field of the record -> its codes, and the setting of the same choices.
_CODED: dict[str, tuple[Any, str]] = {
    "beyond_limit": (codes.BeyondLimit, "beyond_limit"),
    "limit_fill": (codes.LimitFill, "limit_fill"),
    "trail_update": (codes.TrailUpdate, "trail_update"),
    "child_activation": (codes.ChildActivation, "child_activation"),
    "bracket_priority": (codes.BracketPriority, "bracket_priority"),
    "margin_call": (codes.MarginCallPolicy, "margin_call"),
    "stop_fill": (codes.StopFill, "stop_fill_mode"),
    "initial_mark": (codes.InitialMark, "initial_hwm_source"),
    "trail_timing": (codes.TrailTiming, "trail_stop_timing"),
}
# Field of the record -> setting, and the choice that switches it on.
_SWITCHED: dict[str, tuple[str, Any]] = {
    "stop_limit_at_stop": ("stop_limit_fill", StopLimitFill.AT_STOP),
    "stop_limit_turn": ("stop_limit_fill", StopLimitFill.TURNED_BAR),
    "slip_openings_only": ("slippage_fills", SlippageFills.OPENING),
    "stop_at_stop": ("stop_gap_fill", StopGapFill.STOP_PRICE),
    "trigger_close": ("trigger_price", TriggerPrice.CLOSE),
    "splits_at_cost": ("split_accounting", SplitAccounting.COST_BASIS),
    "slippage_in_range": ("slippage_bound", SlippageBound.BAR_RANGE),
    "last_bar_again": ("missing_bar_orders", MissingBarOrders.LAST_BAR),
    "linked_as_one": ("linked_orders", LinkedOrders.AS_ONE),
    "close_refused": ("refused_reversal", RefusedReversal.CLOSE),
    "submission_close_only": ("submission_bar_range", SubmissionBarRange.CLOSE),
    "stop_signal_price": ("stop_level_basis", StopLevelBasis.SIGNAL_PRICE),
    "marks_extreme": ("trail_hwm_source", WaterMarkSource.BAR_EXTREME),
}

# Fields whose code is left out of a run where all have these values (`Special` in the kernels).
_QUIET: dict[str, float] = {
    "beyond_limit": 0,
    "clearing": 0,
    "close_refused": 0,
    "last_bar_again": 0,
    "linked_as_one": 0,
    "needs_volume": 0,
    "open_cash_check": 0,
    "slip_openings_only": 0,
    "slip_rule_prices": 1,
    "slippage_in_range": 0,
    "split_flips": 0,
    "splits_at_cost": 0,
    "stop_at_stop": 0,
    "stop_limit_at_stop": 0,
    "stop_limit_turn": 0,
    "stop_reset_on_add": 0,
    "trigger_close": 0,
}


def lower_params(config: BacktestConfig) -> Records:
    """Return the params record, params_dtype[1]. Raises ValueError for settings that contradict each other since they were assigned."""
    config.check()
    params = np.zeros(1, dtype=params_dtype)
    row = params[0]
    leverage = config.account_type in (AccountType.MARGIN, AccountType.FUTURES)
    free_cash = config.cash_ledger is CashLedger.FREE_CASH
    values: dict[str, Any] = {
        **{name: getattr(config, setting) for name, setting in _COPIED.items()},
        **{name: _code(kind, getattr(config, setting)) for name, (kind, setting) in _CODED.items()},
        **{name: getattr(config, setting) is choice for name, (setting, choice) in _SWITCHED.items()},
        "max_order_size": math.inf if config.max_order_size is None else config.max_order_size,
        "max_position_size": math.inf if config.max_position_size is None else config.max_position_size,
        "max_positions": _HUGE if config.max_positions is None else config.max_positions,
        "needs_volume": not config.trade_without_volume,
        "price_field": _code(codes.PriceField, config.price_of_market_orders),
        "same_bar": config.execution_mode is ExecutionMode.SAME_BAR,
        "leverage": leverage,
        "clearing": clearing() if free_cash else 0,
        # Free cash is snapped where sums cancel to nine digits, so positions are, too.
        "dust": 1e-9 if free_cash else 1e-12,
        "fill_ordering": codes.FillOrdering.FIFO
        if config.fill_ordering is FillOrdering.SEQUENTIAL
        else _code(codes.FillOrdering, config.fill_ordering),
        # One sweep in order of submission has no entries of its own to sort.
        "entry_priority": _code(codes.EntryPriority, config.entry_order_priority) if config.fill_ordering is FillOrdering.EXIT_FIRST else 0,
        # With leverage the margin of shorts does what the policy does without.
        "short_cash_policy": 0 if leverage or config.short_cash_policy is ShortCashPolicy.CREDIT else _policy(config),
        "maintenance_basis": config.buying_power_basis == "maintenance",
        "margin_intrabar": leverage and config.margin_call_check is MarginCallCheck.INTRABAR,
        "charges_interest": any((config.cash_interest_rate, config.margin_interest_rate, config.borrow_rate)),
    }
    for name, value in values.items():
        row[name] = value
    row["special"] = any(row[name] != quiet for name, quiet in _QUIET.items())
    return params


def _policy(config: BacktestConfig) -> int:
    return _code(codes.ShortCashPolicy, config.short_cash_policy)


def _code(kind: Any, value: Any) -> int:
    """Return the kernel code with the name of an enum member."""
    return int(kind[value.name])
