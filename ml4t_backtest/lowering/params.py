"""Settings to the params record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.config import AccountType, FillOrdering, LimitFill, MarginCallCheck, ShortCashPolicy, SubmissionBarRange, WaterMarkSource
from ml4t_backtest.types import ExecutionMode, StopLevelBasis
from ml4t_kernels import codes
from ml4t_kernels.dtypes import params_dtype

if TYPE_CHECKING:
    from ml4t_backtest.config import BacktestConfig
    from ml4t_kernels.dtypes import Records

__all__ = ["lower_params"]

_HUGE = 1e18


def lower_params(config: BacktestConfig) -> Records:
    """Return the params record, params_dtype[1]. Raises ValueError for settings that contradict each other since they were assigned."""
    config.check()
    params = np.zeros(1, dtype=params_dtype)
    row = params[0]
    leverage = config.account_type in (AccountType.MARGIN, AccountType.FUTURES)
    values: dict[str, Any] = {
        "cash_buffer": config.cash_buffer_pct,
        "stop_slippage_rate": config.stop_slippage_rate,
        "max_order_size": math.inf if config.max_order_size is None else config.max_order_size,
        "max_position_size": math.inf if config.max_position_size is None else config.max_position_size,
        "max_positions": _HUGE if config.max_positions is None else config.max_positions,
        "cash_interest_rate": config.cash_interest_rate,
        "margin_interest_rate": config.margin_interest_rate,
        "settlement_delay": config.settlement_delay,
        "price_field": _code(codes.PriceField, config.price_of_market_orders),
        "same_bar": config.execution_mode is ExecutionMode.SAME_BAR,
        "allow_short": config.allow_short_selling,
        "leverage": leverage,
        "in_queue_order": config.fill_ordering is not FillOrdering.EXIT_FIRST,
        "entry_priority": _code(codes.EntryPriority, config.entry_order_priority),
        "limit_better_open": config.limit_fill is LimitFill.BETTER_OPEN,
        "submission_close_only": config.submission_bar_range is SubmissionBarRange.CLOSE,
        "trail_update": _code(codes.TrailUpdate, config.trail_update),
        "child_activation": _code(codes.ChildActivation, config.child_activation),
        "bracket_priority": _code(codes.BracketPriority, config.bracket_priority),
        "partial_fills": config.partial_fills_allowed,
        "reject_for_money": config.reject_on_insufficient_cash,
        "skip_cash_check": config.skip_cash_validation,
        "open_cash_check": config.next_bar_simple_cash_check,
        # With leverage the margin of shorts does what the policy does without.
        "short_cash_policy": 0 if leverage or config.short_cash_policy is ShortCashPolicy.CREDIT else _policy(config),
        "hold_unsettled": config.settlement_reduces_buying_power,
        "maintenance_basis": config.buying_power_basis == "maintenance",
        "margin_call": _code(codes.MarginCallPolicy, config.margin_call),
        "margin_intrabar": leverage and config.margin_call_check is MarginCallCheck.INTRABAR,
        "stop_fill": _code(codes.StopFill, config.stop_fill_mode),
        "stop_signal_price": config.stop_level_basis is StopLevelBasis.SIGNAL_PRICE,
        "marks_extreme": config.trail_hwm_source is WaterMarkSource.BAR_EXTREME,
        "initial_mark": _code(codes.InitialMark, config.initial_hwm_source),
        "trail_timing": _code(codes.TrailTiming, config.trail_stop_timing),
        "allow_reentry": config.allow_reentry_on_exit_bar,
        "charges_interest": any((config.cash_interest_rate, config.margin_interest_rate, config.borrow_rate)),
        "precheck": config.next_bar_submission_precheck,
        "reserve": config.buying_power_reservation,
    }
    for name, value in values.items():
        row[name] = value
    return params


def _policy(config: BacktestConfig) -> int:
    return _code(codes.ShortCashPolicy, config.short_cash_policy)


def _code(kind: Any, value: Any) -> int:
    """Return the kernel code with the name of an enum member."""
    return int(kind[value.name])
