"""Every record layout, each field with a title that gives meaning and unit. Nothing else spells a field.

Rows that kernels walk over begin with the fields that every walk reads, so that the rest stays out of the cache; layouts are
aligned, and four-byte fields come in pairs. Prices are in quote currency per unit, money in account currency, times in ns
since 1970-01-01 UTC, quantities are signed (negative = sell or short). NaN is "no price".
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "NO_PRICE",
    "NO_SLOT",
    "FloatArray",
    "IntArray",
    "Prices",
    "Record",
    "Records",
    "alert_dtype",
    "bar_dtype",
    "bare",
    "contract_dtype",
    "cost_dtype",
    "event_dtype",
    "fill_dtype",
    "flow_dtype",
    "limit_dtype",
    "order_dtype",
    "params_dtype",
    "position_dtype",
    "rule_dtype",
    "state_dtype",
    "tier_dtype",
    "trade_dtype",
]

Records: TypeAlias = Any  # a structured numpy array; numpy has no type for the fields of its rows
Record: TypeAlias = Any  # one row: a numpy.void in plain Python, a record inside compiled code
FloatArray: TypeAlias = npt.NDArray[np.float64]
Prices: TypeAlias = Any  # float64[assets]; indexed with a field of a record, numpy's types would say "number or array"
IntArray: TypeAlias = npt.NDArray[np.int64]

NO_PRICE: float = float("nan")
NO_SLOT: int = -1


def bare(dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return a layout without its titles: the compiler spells the whole layout in every symbol, so titles cost time."""
    names = list(dtype.names or ())
    fields: Any = dtype.fields
    formats, offsets = [fields[name][0] for name in names], [fields[name][1] for name in names]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize}, align=True)


def _layout(*fields: tuple[str, str, type]) -> np.dtype[np.void]:
    return np.dtype([((title, name), kind) for name, title, kind in fields], align=True)


order_dtype = _layout(
    ("quantity", "ordered quantity, signed", np.float64),
    ("filled_quantity", "quantity filled so far, signed", np.float64),
    ("released_quantity", "quantity taken over by fills of siblings, signed", np.float64),
    ("asset", "column of the asset", np.int32),
    ("eligible_bar", "first bar on which the order has a turn", np.int32),
    ("active_bar", "bar of submission or last update", np.int32),
    ("filled_bar", "bar of the last fill plus 1, 0 before", np.int32),
    ("order_type", "code OrderType", np.int8),
    ("status", "code OrderStatus", np.int8),
    ("dormant", "1: waits for its parent's first fill", np.int8),
    ("at_open", "1: trades at the open instead of the pass price", np.int8),
    ("reduce_only", "1: never opens or flips a position", np.int8),
    ("time_in_force", "code TimeInForce", np.int8),
    ("triggered", "1: a stop-limit order whose stop was seen", np.int8),
    ("has_children", "1: other orders wait for this one", np.int8),
    ("position_id", "position that a reduce-only order is bound to, 0 without", np.int32),
    ("order_id", "number of the order, from 1", np.int32),
    ("rule_price", "price of a rule's exit on its own bar, NaN without", np.float64),
    ("limit_price", "limit price, NaN without", np.float64),
    ("stop_price", "stop price, NaN without; of a trailing stop where it stands now", np.float64),
    ("signal_price", "close at submission, NaN when unpriced", np.float64),
    ("parent_id", "order that this one waits for, 0 without", np.int32),
    ("sibling_id", "next member of the one-cancels-other ring, 0 without", np.int32),
    ("rule", "row of the rule that made the order plus 1, 0 without", np.int32),
    ("created_bar", "bar of submission, -1 before the first bar", np.int32),
    ("filled_price", "average price of the fills, NaN before the first", np.float64),
    ("commission", "commission paid so far [money]", np.float64),
    ("raw_commission", "commission of the fills before the order's minimum [money]", np.float64),
    ("created_at", "time of submission [ns UTC]", np.int64),
    ("filled_at", "time of the last fill [ns UTC], 0 before", np.int64),
    ("closed_at", "time at which the order ended [ns UTC], 0 before", np.int64),
    ("displayed_quantity", "most that one turn fills, unsigned, 0 without", np.float64),
    ("trail_amount", "distance of a trailing stop, 0 without", np.float64),
    ("trail_percent", "distance of a trailing stop as a fraction of the price, 0 without", np.float64),
    ("need", "what a rejected order needed [money, or the unit of the limit]", np.float64),
    ("have", "what the account had for it [money, or the unit of the limit]", np.float64),
    ("good_till", "last time of a GTD order [ns UTC]", np.int64),
    ("moved_bar", "bar of the last move of a trailing stop plus 1, 0 before", np.int32),
    ("session", "session of the first turn of a DAY order plus 1, 0 before", np.int32),
    ("exit_reason", "code ExitReason of the trades it closes", np.int8),
    ("reason", "code OrderReason", np.int8),
)

fill_dtype = _layout(
    ("order_id", "order that was filled", np.int32),
    ("asset", "column of the asset", np.int32),
    ("quantity", "quantity, signed", np.float64),
    ("price", "price after slippage", np.float64),
    ("timestamp", "time of the bar [ns UTC]", np.int64),
    ("bar", "number of the bar", np.int64),
    ("commission", "commission [money]", np.float64),
    ("slippage", "price given up to impact and slippage, per unit", np.float64),
    ("position", "signed position of the asset after the fill", np.float64),
)

trade_dtype = _layout(
    ("asset", "column of the asset", np.int32),
    ("bars_held", "bars between entry and exit", np.int32),
    ("entry_time", "time of the first entry [ns UTC]", np.int64),
    ("exit_time", "time of the exit [ns UTC]", np.int64),
    ("entry_price", "average entry price", np.float64),
    ("exit_price", "exit price", np.float64),
    ("quantity", "closed quantity, negative for a short", np.float64),
    ("pnl", "realised profit after commission [money]", np.float64),
    ("pnl_percent", "move in favour of the position as a fraction of the entry price, before costs", np.float64),
    ("commission", "entry share plus exit commission [money]", np.float64),
    ("slippage", "cost of slippage at entry and exit [money]", np.float64),
    ("entry_slippage", "average slippage at entry, per unit", np.float64),
    ("exit_slippage", "slippage at exit, per unit", np.float64),
    ("mfe", "maximum favourable excursion, fraction of the entry price, >= 0", np.float64),
    ("mae", "maximum adverse excursion, fraction of the entry price, <= 0", np.float64),
    ("multiplier", "contract multiplier", np.float64),
    ("entry_order", "order of the opening fill", np.int32),
    ("exit_order", "order of the exit, 0 for an open trade", np.int32),
    ("status", "code TradeStatus", np.int8),
    ("exit_reason", "code ExitReason", np.int8),
)

position_dtype = _layout(
    ("quantity", "signed quantity, 0 when flat", np.float64),
    ("current_price", "last price the position was marked at", np.float64),
    ("basis", "price that is already paid for: 0, or the last settlement of a future", np.float64),
    ("multiplier", "money per point of price and unit, as in the contract", np.float64),
    ("entry_price", "average entry price", np.float64),
    ("high_water_mark", "highest price since the entry", np.float64),
    ("low_water_mark", "lowest price since the entry", np.float64),
    ("max_favorable_excursion", "best price so far, fraction of the entry price, >= 0", np.float64),
    ("max_adverse_excursion", "worst price so far, fraction of the entry price, <= 0", np.float64),
    ("entry_bar", "bar of the opening fill", np.int32),
    ("position_id", "number of the position, from 1; 0 when flat", np.int32),
    ("slot", "place in the list of open positions, -1 when flat", np.int32),
    ("exit_order", "pending exit of a rule or margin call, 0 without", np.int32),
    ("rule_set", "first row of the position's own rule plus 1, 0 without", np.int32),
    ("blocked_bar", "bar on which a rule closed the position plus 1, 0 before", np.int32),
    ("entry_commission", "entry commission of the quantity still held [money]", np.float64),
    ("entry_slippage", "average slippage at entry, per unit", np.float64),
    ("signal_price", "close at submission of the opening order, NaN when unpriced", np.float64),
    ("initial_quantity", "signed quantity of the opening fill", np.float64),
    ("entry_time", "time of the opening fill [ns UTC]", np.int64),
    ("entry_order", "order of the opening fill", np.int32),
)

contract_dtype = _layout(
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

cost_dtype = _layout(
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

tier_dtype = _layout(
    ("limit", "the tier holds up to this value [money] or quantity", np.float64),
    ("rate", "fraction of the notional, or money per unit", np.float64),
)

params_dtype = _layout(
    ("cash_buffer", "fraction of free cash that is never spent", np.float64),
    ("stop_slippage_rate", "fraction of the price that exits of rules with a level give up", np.float64),
    ("max_order_size", "largest notional of an order [money], inf without", np.float64),
    ("max_position_size", "largest notional of a position [money], inf without", np.float64),
    ("max_positions", "most open positions, a huge number without", np.float64),
    ("cash_interest_rate", "interest on cash, fraction per year", np.float64),
    ("margin_interest_rate", "interest on negative cash, fraction per year", np.float64),
    ("settlement_delay", "bars until proceeds of sales settle, 0 to 7", np.int64),
    ("price_field", "code PriceField: price of market orders", np.int8),
    ("same_bar", "1: a second fill pass after the strategy", np.int8),
    ("allow_short", "1: short positions allowed", np.int8),
    ("leverage", "1: buying power by margin requirements", np.int8),
    ("in_queue_order", "1: one sweep in order of submission instead of exits first", np.int8),
    ("entry_priority", "code EntryPriority", np.int8),
    ("limit_better_open", "1: limit orders fill at a better open", np.int8),
    ("submission_close_only", "1: on its own bar an order sees the close only", np.int8),
    ("trail_update", "code TrailUpdate", np.int8),
    ("child_activation", "code ChildActivation", np.int8),
    ("bracket_priority", "code BracketPriority", np.int8),
    ("partial_fills", "1: orders that cost too much are cut", np.int8),
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

bar_dtype = _layout(
    ("time", "time of the bar [ns UTC]", np.int64),
    ("session", "number of the session", np.int64),
    ("equity", "account value when the bar closed [money]", np.float64),
    ("cash", "cash when the bar closed [money]", np.float64),
    ("flags", "codes BarFlag, added up", np.int64),
)

rule_dtype = _layout(
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

event_dtype = _layout(
    ("bar", "bar on which it happens", np.int64),
    ("asset", "column of the asset", np.int64),
    ("value", "cash per unit, ratio, or rate", np.float64),
    ("kind", "code EventKind", np.int64),
)

flow_dtype = _layout(
    ("timestamp", "time of the bar [ns UTC]", np.int64),
    ("bar", "number of the bar", np.int64),
    ("asset", "column of the asset, -1 for the account", np.int64),
    ("amount", "money paid to the account, negative when it pays", np.float64),
    ("kind", "code FlowKind", np.int64),
)

limit_dtype = _layout(
    ("threshold", "largest allowed value", np.float64),
    ("least", "smallest allowed value, -inf without", np.float64),
    ("confidence", "confidence level of a value at risk", np.float64),
    ("part", "part of each position that REDUCE sells, NaN: what brings the measure back", np.float64),
    ("lookback", "bars of returns of a value at risk", np.int64),
    ("factor_address", "address of float64[assets] weights, 0 without", np.int64),
    ("kind", "code LimitKind", np.int8),
    ("action", "code LimitAction", np.int8),
)

alert_dtype = _layout(
    ("timestamp", "time of the bar [ns UTC]", np.int64),
    ("bar", "number of the bar", np.int64),
    ("limit", "row of the limit, -1 for a margin call", np.int64),
    ("value", "measured value", np.float64),
    ("threshold", "the bound that was crossed", np.float64),
    ("action", "code LimitAction", np.int64),
)

state_dtype = _layout(
    ("cash", "cash [money]", np.float64),
    ("equity", "account value at the last marking [money]", np.float64),
    ("unsettled", "proceeds that have not settled [money]", np.float64),
    ("initial_requirement", "initial requirement of all positions [money]", np.float64),
    ("maintenance_requirement", "maintenance requirement of all positions [money]", np.float64),
    ("short_value", "value of short positions at entry [money]", np.float64),
    ("shadow_cash", "cash if all market orders of this bar had traded at the close [money]", np.float64),
    ("peak_equity", "highest account value of closed bars [money]", np.float64),
    ("session_equity", "account value at the end of the session before [money]", np.float64),
    ("checked_equity", "account value at the last check of the portfolio limits [money]", np.float64),
    ("time", "time of the current bar [ns UTC]", np.int64),
    ("bar", "number of the current bar, -1 before the first", np.int64),
    ("row", "row of the current bar in the market buffer", np.int64),
    ("row_step", "rows to move per bar: 1 over a history, 0 in a one-row buffer", np.int64),
    ("stage", "code Stage", np.int64),
    ("cursor", "place in the live list where a fill pass resumes; place of a resumed part", np.int64),
    ("fills_before", "fill count when the host last got control", np.int64),
    ("rows", "rows of the market buffer", np.int64),
    ("assets", "number of assets", np.int64),
    ("positions_opened", "positions opened so far", np.int64),
    ("open_positions", "positions open now", np.int64),
    ("closing_orders", "on-close orders so far: whether a pass at the close is needed", np.int64),
    ("blocked", "1: portfolio limits refuse new risk, 2: for the rest of the run", np.int64),
    ("settling", "1: some assets are futures", np.int64),
    ("shadow_bar", "bar that the shadow account stands for, plus 1", np.int64),
    ("interest_time", "time of the first bar of the session [ns UTC], 0 before", np.int64),
    ("interest_session", "session in which interest was charged last, plus 1", np.int64),
    ("next_event", "row of the next event", np.int64),
    ("event_count", "number of events", np.int64),
    ("next_event_bar", "bar of the next event, a huge number without", np.int64),
    ("rule_set", "first row of the global rule plus 1, 0 without", np.int64),
    ("rule_count", "rows of rules", np.int64),
    ("order_count", "orders so far", np.int64),
    ("order_capacity", "rows of the order buffer", np.int64),
    ("live_count", "entries of the live list, finished orders among them until the next sweep", np.int64),
    ("fill_count", "fills so far", np.int64),
    ("fill_capacity", "rows of the fill buffer", np.int64),
    ("trade_count", "trades so far", np.int64),
    ("trade_capacity", "rows of the trade buffer", np.int64),
    ("flow_count", "cash flows so far", np.int64),
    ("flow_capacity", "rows of the flow buffer", np.int64),
    ("alert_count", "alerts so far", np.int64),
    ("alert_capacity", "rows of the alert buffer", np.int64),
    ("limit_count", "number of portfolio limits", np.int64),
    ("cost_count", "number of cost rows", np.int64),
    ("tier_count", "number of tier rows", np.int64),
    ("open_count", "entries of the open list, gaps among them until the next marking", np.int64),
    ("open_gaps", "gaps in the open list", np.int64),
    ("open_capacity", "length of the open list", np.int64),
    ("params_address", "address of the params record", np.int64),
    ("contracts_address", "address of the contract rows", np.int64),
    ("costs_address", "address of the cost rows", np.int64),
    ("tiers_address", "address of the tier rows", np.int64),
    ("positions_address", "address of the position rows", np.int64),
    ("open_address", "address of the open list", np.int64),
    ("orders_address", "address of the order rows", np.int64),
    ("live_address", "address of the live list", np.int64),
    ("turns_address", "address of the list that entries have their turns in: the live list unless a priority is set", np.int64),
    ("fills_address", "address of the fill rows", np.int64),
    ("trades_address", "address of the trade rows", np.int64),
    ("flows_address", "address of the flow rows", np.int64),
    ("alerts_address", "address of the alert rows", np.int64),
    ("rules_address", "address of the rule rows", np.int64),
    ("memory_address", "address of what rules remember, float64[assets, rule rows]", np.int64),
    ("inputs_address", "address of signals given by hand, float64[assets, rule rows]", np.int64),
    ("answers_address", "address of what rules answered, float64[rule rows, 4]", np.int64),
    ("remembered_address", "address of the position that the memory of an asset belongs to, int64[assets]", np.int64),
    ("events_address", "address of the event rows", np.int64),
    ("limits_address", "address of the limit rows", np.int64),
    ("holds_address", "address of the proceeds by bar of settlement, float64[8]", np.int64),
    ("shadow_address", "address of the shadow positions, float64[assets]", np.int64),
    ("bars_address", "address of the bar rows", np.int64),
    ("opens_address", "address of the open prices, rows of bars, columns of assets", np.int64),
    ("highs_address", "address of the high prices", np.int64),
    ("lows_address", "address of the low prices", np.int64),
    ("closes_address", "address of the close prices", np.int64),
    ("volumes_address", "address of the volumes", np.int64),
    ("vwaps_address", "address of the volume-weighted average prices; the closes without", np.int64),
    ("bids_address", "address of the bid prices; the closes without", np.int64),
    ("asks_address", "address of the ask prices; the closes without", np.int64),
)
