"""Layouts of what is settled before a run: contracts, costs, settings, rules, events, limits."""

from __future__ import annotations

import numpy as np

from ml4t_kernels.arrays import titled

__all__ = ["contract_dtype", "cost_dtype", "event_dtype", "limit_dtype", "params_dtype", "rule_dtype", "tier_dtype"]

contract_dtype = titled(
    ("multiplier", "money per point of price and unit", np.float64),
    ("lot_size", "smallest step of a quantity, 0 for any", np.float64),
    ("costs", "row of the cost rows", np.int32),
    ("rule_set", "first row of the asset's rule plus 1, 0 without", np.int32),
    ("initial_margin", "initial margin per contract [money], NaN: by rate", np.float64),
    ("maintenance_margin", "maintenance margin per contract [money], NaN: by rate", np.float64),
    ("initial_rate", "initial margin, fraction of the notional", np.float64),
    ("long_rate", "maintenance fraction of a long's notional", np.float64),
    ("short_rate", "maintenance fraction of a short's notional", np.float64),
    ("borrow_rate", "fee for short positions, fraction per year", np.float64),
    ("settles", "1: a future, which settles variation instead of paying notional", np.int8),
)

cost_dtype = titled(
    ("commission_rate", "fraction of the notional", np.float64),
    ("maker_rate", "fraction of the notional for limit orders that rested", np.float64),
    ("commission_per_unit", "money per unit", np.float64),
    ("commission_per_order", "money once per order", np.float64),
    ("commission_minimum", "least commission of an order [money]", np.float64),
    ("commission_function", "address of a function (asset, quantity, price, multiplier) -> money", np.int64),
    ("first_tier", "first row of the tiers", np.int64),
    ("tiers", "number of tiers", np.int64),
    ("slippage_amount", "price per unit; half the spread", np.float64),
    ("slippage_rate", "fraction of the price; factor of the volume share", np.float64),
    ("slippage_volume_limit", "largest share of the volume that counts", np.float64),
    ("slippage_function", "address of a function (asset, quantity, price, volume) -> price per unit", np.int64),
    ("impact_coefficient", "coefficient of the impact", np.float64),
    ("impact_volatility", "volatility of the square root impact, 1 elsewhere", np.float64),
    ("impact_volume_factor", "factor of the volume of the square root impact", np.float64),
    ("impact_exponent", "exponent of the power impact", np.float64),
    ("impact_minimum", "least impact, price per unit", np.float64),
    ("impact_function", "address of a function (side, quantity, price, volume) -> price per unit", np.int64),
    ("participation", "largest fraction of the volume", np.float64),
    ("participation_least_volume", "below this volume nothing trades", np.float64),
    ("participation_function", "address of a function (asset, quantity, volume, price) -> quantity", np.int64),
    ("commission_kind", "code CommissionKind", np.int8),
    ("slippage_kind", "code SlippageKind", np.int8),
    ("impact_kind", "code ImpactKind", np.int8),
    ("participation_kind", "code ParticipationKind", np.int8),
)

tier_dtype = titled(
    ("limit", "the tier holds up to this value [money] or quantity", np.float64),
    ("rate", "fraction of the notional, or money per unit", np.float64),
)

params_dtype = titled(
    ("cash_buffer", "fraction of free cash that is never spent", np.float64),
    ("stop_slippage_rate", "fraction of the price that exits of rules with a level give up", np.float64),
    ("max_order_size", "largest notional of an order [money], inf without", np.float64),
    ("max_position_size", "largest notional of a position [money], inf without", np.float64),
    ("max_positions", "most open positions, a huge number without", np.float64),
    ("cash_interest_rate", "interest on cash, fraction per year", np.float64),
    ("margin_interest_rate", "interest on negative cash, fraction per year", np.float64),
    ("dust", "a fill that leaves a position at this part of itself leaves it flat", np.float64),
    ("clearing", "address of a function (order, quantity, price, address of the state) -> quantity that keeps cash, 0 without", np.int64),
    ("special", "1: a setting that only presets of other engines turn on is on", np.int64),
    ("lot_tolerance", "part of a lot by which the quantity of an order may miss a whole number of them", np.float64),
    ("settlement_delay", "bars until proceeds of sales settle, 0 to 7", np.int64),
    ("price_field", "code PriceField: price of market orders", np.int8),
    ("same_bar", "1: a second fill pass after the strategy", np.int8),
    ("allow_short", "1: short positions allowed", np.int8),
    ("leverage", "1: buying power by margin requirements", np.int8),
    ("fill_ordering", "code FillOrdering", np.int8),
    ("entry_priority", "code EntryPriority", np.int8),
    ("limit_fill", "code LimitFill", np.int8),
    ("stop_at_stop", "1: stop orders fill at their stop, also where the gap price is beyond it", np.int8),
    ("stop_limit_at_stop", "1: a stop-limit that is triggered fills at its stop or waits for the next bar", np.int8),
    ("split_flips", "1: an order that flips a position fills in two parts", np.int8),
    ("slip_openings_only", "1: fills that open nothing have no slippage", np.int8),
    ("trigger_close", "1: limit, stop and stop-limit orders are tested against closes only", np.int8),
    ("beyond_limit", "code BeyondLimit", np.int8),
    ("needs_volume", "1: nothing trades on a bar without volume", np.int8),
    ("splits_at_cost", "1: splits pay fractions at the cost basis, in cents", np.int8),
    ("implicit_reduce_only", "1: orders that only reduce a position at submission are reduce-only", np.int8),
    ("submission_close_only", "1: on its own bar an order sees the close only", np.int8),
    ("trail_update", "code TrailUpdate", np.int8),
    ("child_activation", "code ChildActivation", np.int8),
    ("bracket_priority", "code BracketPriority", np.int8),
    ("linked_as_one", "1: linked orders live and end together", np.int8),
    ("stop_limit_turn", "1: a stop-limit reaches its limit on the bar of its stop only when that bar turned", np.int8),
    ("last_bar_again", "1: orders with a level are tested against the last bar where there is none", np.int8),
    ("slippage_in_range", "1: slippage stays within the range of the bar", np.int8),
    ("partial_fills", "1: orders that cost too much are cut", np.int8),
    ("close_refused", "1: a reversal without money still closes", np.int8),
    ("reject_for_money", "1: orders that cost too much are rejected, 0: cancelled", np.int8),
    ("skip_cash_check", "1: no order is refused for money", np.int8),
    ("open_cash_check", "1: the plain check of cash after the fill", np.int8),
    ("short_cash_policy", "code ShortCashPolicy", np.int8),
    ("hold_unsettled", "1: unsettled cash cannot be spent", np.int8),
    ("maintenance_basis", "1: buying power counts maintenance requirements", np.int8),
    ("margin_call", "code MarginCallPolicy", np.int8),
    ("margin_intrabar", "1: margin is also checked at the worst prices of the bar", np.int8),
    ("stop_fill", "code StopFill", np.int8),
    ("stop_signal_price", "1: stop levels count from the signal price", np.int8),
    ("stop_reset_on_add", "1: adding to a position moves what its stops count from", np.int8),
    ("slip_rule_prices", "1: exits of rules with a price of their own take slippage", np.int8),
    ("marks_extreme", "1: water marks and excursions take the range of the bar", np.int8),
    ("initial_mark", "code InitialMark", np.int8),
    ("trail_timing", "code TrailTiming", np.int8),
    ("allow_reentry", "1: orders on the bar of a rule's exit are accepted", np.int8),
    ("has_rules", "1: positions may have rules", np.int8),
    ("has_limits", "1: portfolio limits are checked", np.int8),
    ("charges_interest", "1: interest or borrow fees are charged", np.int8),
    ("precheck", "1: market orders pass the submission check", np.int8),
    ("reserve", "1: market orders reserve buying power at submission", np.int8),
)

rule_dtype = titled(
    ("threshold", "fraction or multiple that the rule works with", np.float64),
    ("part", "fraction of the position to exit", np.float64),
    ("first_step", "first row of the steps (tier rows: limit = return, rate = trail or part)", np.int64),
    ("steps", "number of steps", np.int64),
    ("rows", "rows of the rule with everything inside it, itself included", np.int64),
    ("max_bars", "bars after which a time exit fires", np.int64),
    ("signal_address", "address of the signal's panel, 0 without", np.int64),
    ("function", "address of a user's rule, 0 without", np.int64),
    ("kind", "code RuleKind", np.int8),
    ("exit_reason", "code ExitReason", np.int8),
    ("keep_first", "1: the first signal of a position is kept", np.int8),
    ("timing", "code TrailTiming, -1 for that of the account", np.int8),
    ("simple", "1: levels and bars held only, or the first that fires of such rules", np.int8),
)

event_dtype = titled(
    ("bar", "bar on which it happens", np.int64),
    ("asset", "column of the asset", np.int64),
    ("value", "cash per unit, ratio, or rate", np.float64),
    ("kind", "code EventKind", np.int64),
)

limit_dtype = titled(
    ("threshold", "largest allowed value", np.float64),
    ("least", "smallest allowed value, -inf without", np.float64),
    ("confidence", "confidence level of a value at risk", np.float64),
    ("part", "part of each position that REDUCE sells, NaN: what brings the measure back", np.float64),
    ("lookback", "bars of returns of a value at risk", np.int64),
    ("factor_address", "address of float64[assets] weights, 0 without", np.int64),
    ("kind", "code LimitKind", np.int8),
    ("action", "code LimitAction", np.int8),
)
