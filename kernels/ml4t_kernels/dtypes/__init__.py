"""Every record layout, each field with a title that gives meaning and unit. Nothing else spells a field.

Rows that kernels walk over begin with the fields that every walk reads, so that the rest stays out of the cache; layouts are
aligned, and four-byte fields come in pairs. Prices are in quote currency per unit, money in account currency, times in ns
since 1970-01-01 UTC, quantities are signed (negative = sell or short). NaN is "no price".
"""

from __future__ import annotations

from ml4t_kernels.arrays import NO_PRICE, NO_SLOT, UNBOUNDED, FloatArray, IntArray, Prices, Record, Records, Special, bare

from .run import alert_dtype, bar_dtype, batch_dtype, flow_dtype, host_dtype, state_dtype
from .signals import condition_dtype, job_dtype, outcome_dtype, set_dtype, signal_dtype, turn_dtype
from .terms import contract_dtype, cost_dtype, event_dtype, limit_dtype, params_dtype, rule_dtype, tier_dtype
from .trading import fill_dtype, order_dtype, position_dtype, trade_dtype

# fmt: off
__all__ = [
    "NO_PRICE",
    "NO_SLOT",
    "UNBOUNDED",
    "FloatArray",
    "IntArray",
    "Prices",
    "Record",
    "Records",
    "Special",
    "alert_dtype",
    "bar_dtype",
    "bare",
    "batch_dtype",
    "condition_dtype",
    "contract_dtype",
    "cost_dtype",
    "event_dtype",
    "fill_dtype",
    "flow_dtype",
    "host_dtype",
    "job_dtype",
    "limit_dtype",
    "order_dtype",
    "outcome_dtype",
    "params_dtype",
    "position_dtype",
    "rule_dtype",
    "set_dtype",
    "signal_dtype",
    "state_dtype",
    "tier_dtype",
    "trade_dtype",
    "turn_dtype",
]
# fmt: on
