"""The verbs of a compiled strategy's `ctx`: those of the broker; see `readings` for how such functions are made."""

from __future__ import annotations

from math import isfinite, isnan, nan
from typing import Any

from . import verbs
from ._jit import array_at
from ._jit.strategies import address_in, external_call, external_calls, named_reading, plain_context, shared, verb
from .addresses import HOST, POSITION, STATE
from .codes import HostRequest, OrderType, Refusal
from .readings import granted

__all__ = ["CALLS", "PlainContext"]

_FLOATS = "float64,float64,float64"
_request = external_call(verbs.request, f"float64(int64,int64,{_FLOATS})")
_market = external_call(verbs.submit_market, "int64(int64,int64,float64,int64)")
_form = external_call(verbs.submit_form, "int64(int64,int64,float64)")
_bracket = external_call(verbs.submit_bracket, f"int64(int64,int64,{_FLOATS},int64)")
_close = external_call(verbs.close_position, "int64(int64,int64)")
_flatten = external_call(verbs.flatten_all_positions, "int64(int64)")
_percent = external_call(verbs.order_target_percent, "int64(int64,int64,float64)")
_value = external_call(verbs.order_target_value, "int64(int64,int64,float64)")
_cash_percent = external_call(verbs.order_cash_percent, "int64(int64,int64,float64)")
_weights = external_call(verbs.order_target_weights, "int64(int64,int64,int64)")
_quantities = external_call(verbs.submit_quantities, "int64(int64,int64,int64)")
_cancel = external_call(verbs.cancel_order, "int64(int64,int64)")
_cancel_all = external_call(verbs.cancel_all_orders, "int64(int64,int64)")
_update = external_call(verbs.update_order, f"int64(int64,int64,float64,float64,{_FLOATS})")
CALLS = external_calls()  # for hosts that compile them ahead


@shared
def _blank_form(host: Any) -> None:
    """Let the form describe an order without prices, terms and links."""
    host["order_type"] = OrderType.MARKET
    host["limit_price"] = nan
    host["stop_price"] = nan
    host["trail_amount"] = nan
    host["trail_percent"] = nan
    host["time_in_force"] = 0
    host["good_till"] = 0
    host["displayed_quantity"] = nan
    host["parent_id"] = 0
    host["sibling_id"] = 0
    host["reduce_only"] = -1


@verb
def submit_order(  # noqa: PLR0913 - the broker's method
    ctx: Any,
    asset: Any,
    quantity: Any,
    order_type: Any = 0,
    limit_price: Any = nan,
    stop_price: Any = nan,
    trail_amount: Any = nan,
    trail_percent: Any = nan,
    time_in_force: Any = 0,
    good_till: Any = 0,
    displayed_quantity: Any = nan,
    parent: Any = 0,
    oco: Any = 0,
    reduce_only: Any = -1,
) -> Any:
    """Submit an order and return its id, 0 for a quantity of nothing; as the broker's method.

    quantity: signed. order_type: code `OrderType`. Prices are NaN when not given. time_in_force: code `TimeInForce`. good_till: last time
    of a GTD order [ns UTC]. parent, oco: order ids, 0 without. reduce_only: 1, 0, or -1 to decide from the position.
    """
    host = array_at(array_at(address_in(ctx), 1, STATE)[0]["host_address"], 1, HOST)[0]
    host["order_type"] = order_type
    host["limit_price"] = limit_price
    host["stop_price"] = stop_price
    host["trail_amount"] = trail_amount
    host["trail_percent"] = trail_percent
    host["time_in_force"] = time_in_force
    host["good_till"] = good_till
    host["displayed_quantity"] = displayed_quantity
    host["parent_id"] = parent
    host["sibling_id"] = oco
    host["reduce_only"] = reduce_only
    return granted(_form((address_in(ctx), asset, quantity)))


@verb
def submit_market(ctx: Any, asset: Any, quantity: Any, reduce_only: Any = -1) -> Any:
    """Submit a market order; the short way of `submit_order`."""
    return granted(_market((address_in(ctx), asset, quantity, reduce_only)))


@verb
def submit_limit(ctx: Any, asset: Any, quantity: Any, limit_price: Any, reduce_only: Any = -1) -> Any:
    """Submit a limit order that stays until it is filled or cancelled; the short way of `submit_order`."""
    host = array_at(array_at(address_in(ctx), 1, STATE)[0]["host_address"], 1, HOST)[0]
    _blank_form(host)
    host["order_type"] = OrderType.LIMIT
    host["limit_price"] = limit_price
    host["reduce_only"] = reduce_only
    return granted(_form((address_in(ctx), asset, quantity)))


@verb
def submit_stop(ctx: Any, asset: Any, quantity: Any, stop_price: Any, reduce_only: Any = -1) -> Any:
    """Submit a stop order that stays until it is filled or cancelled; the short way of `submit_order`."""
    host = array_at(array_at(address_in(ctx), 1, STATE)[0]["host_address"], 1, HOST)[0]
    _blank_form(host)
    host["order_type"] = OrderType.STOP
    host["stop_price"] = stop_price
    host["reduce_only"] = reduce_only
    return granted(_form((address_in(ctx), asset, quantity)))


@verb
def submit_trailing_stop(ctx: Any, asset: Any, quantity: Any, trail_percent: Any, reduce_only: Any = -1) -> Any:
    """Submit a trailing stop at a fraction of the price; the short way of `submit_order`."""
    host = array_at(array_at(address_in(ctx), 1, STATE)[0]["host_address"], 1, HOST)[0]
    _blank_form(host)
    host["order_type"] = OrderType.TRAILING_STOP
    host["trail_percent"] = trail_percent
    host["reduce_only"] = reduce_only
    return granted(_form((address_in(ctx), asset, quantity)))


@verb
def submit_bracket(  # noqa: PLR0913 - the broker's method
    ctx: Any,
    asset: Any,
    quantity: Any,
    take_profit: Any,
    stop_loss: Any,
    entry_type: Any = 0,
    entry_limit: Any = nan,
    entry_stop: Any = nan,
    validate_prices: Any = True,
) -> Any:
    """Submit an entry with a target and a stop that wake with its first fill and cancel each other; as the broker's method.

    entry_type: code `OrderType`. Returns the id of the entry, 0 for no order; the legs have the last two ids.
    """
    host = array_at(array_at(address_in(ctx), 1, STATE)[0]["host_address"], 1, HOST)[0]
    _blank_form(host)
    host["order_type"] = entry_type
    host["limit_price"] = entry_limit
    host["stop_price"] = entry_stop
    return granted(_bracket((address_in(ctx), asset, quantity, take_profit, stop_loss, 1 if validate_prices else 0)))


@verb
def close_position(ctx: Any, asset: Any) -> Any:
    """Submit a market order for the whole position. Returns its id, 0 without a position."""
    return granted(_close((address_in(ctx), asset)))


@verb
def reduce_position(ctx: Any, asset: Any, fraction: Any) -> Any:
    """Submit a market order for a fraction of the position, in (0, 1]. Returns its id, 0 without a position."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 0 <= asset < state["assets"] else -Refusal.UNKNOWN_ASSET.value)
    granted(0 if 0.0 < fraction <= 1.0 else -Refusal.BAD_FRACTION.value)
    held = array_at(state["positions_address"], state["assets"], POSITION)[asset]["quantity"]
    return granted(_market((address_in(ctx), asset, -held * fraction, 1))) if held != 0.0 else 0


@verb
def flatten_all_positions(ctx: Any) -> Any:
    """Submit a market order for every open position. Returns how many."""
    return granted(_flatten((address_in(ctx),)))


@verb
def order_target_percent(ctx: Any, asset: Any, weight: Any) -> Any:
    """Submit the order that brings an asset to a fraction of the account value at its close. Returns its id, 0 for none."""
    return granted(_percent((address_in(ctx), asset, weight)))


@verb
def order_target_value(ctx: Any, asset: Any, value: Any) -> Any:
    """Submit the order that brings an asset to a value [money] at its close. Returns its id, 0 for none."""
    return granted(_value((address_in(ctx), asset, value)))


@verb
def order_target_quantity(ctx: Any, asset: Any, quantity: Any) -> Any:
    """Submit the order that brings a position to a signed quantity. Returns its id, 0 for none."""
    state = array_at(address_in(ctx), 1, STATE)[0]
    granted(0 if 0 <= asset < state["assets"] else -Refusal.UNKNOWN_ASSET.value)
    granted(0 if isfinite(quantity) else -Refusal.BAD_QUANTITY.value)
    held = array_at(state["positions_address"], state["assets"], POSITION)[asset]["quantity"]
    return granted(_market((address_in(ctx), asset, quantity - held, -1)))


@verb
def order_cash_percent(ctx: Any, asset: Any, fraction: Any) -> Any:
    """Submit a market order for a fraction of what the account can pay (cash_ledger="free_cash"). Returns its id, 0 for none."""
    return granted(_cash_percent((address_in(ctx), asset, fraction)))


@verb
def order_target_weights(ctx: Any, weights: Any) -> Any:
    """Bring every asset to a fraction of the account value: float64[assets] in one piece. Returns how many orders were made."""
    return granted(_weights((address_in(ctx), weights.ctypes.data, len(weights))))


@verb
def submit_orders(ctx: Any, quantities: Any) -> Any:
    """Submit a market order for every asset: float64[assets] in one piece, signed, 0 for none. Returns how many orders were made."""
    return granted(_quantities((address_in(ctx), quantities.ctypes.data, len(quantities))))


@verb
def cancel_order(ctx: Any, order_id: Any) -> Any:
    """Cancel a pending order. Returns False when it is no longer pending."""
    return granted(_cancel((address_in(ctx), order_id))) == 1


@verb
def cancel_all_orders(ctx: Any, asset: Any = -1) -> Any:
    """Cancel the pending orders of an asset, of all for -1. Returns how many."""
    return granted(_cancel_all((address_in(ctx), asset)))


@verb
def update_order(
    ctx: Any,
    order_id: Any,
    quantity: Any = nan,
    limit_price: Any = nan,
    stop_price: Any = nan,
    trail_amount: Any = nan,
    trail_percent: Any = nan,
) -> Any:
    """Change a pending order; what is not given stays. Returns False when it is no longer pending."""
    changes = (address_in(ctx), order_id, quantity, limit_price, stop_price, trail_amount, trail_percent)
    return granted(_update(changes)) == 1


@verb
def process_orders(ctx: Any) -> Any:
    """Give pending orders a fill pass now, at the close of this bar; only in SAME_BAR mode."""
    answer = _request((address_in(ctx), HostRequest.RUN_PASS.value, 0.0, 0.0, 0.0))
    return granted(-Refusal.HOST_FAILED.value if isnan(answer) else 0)


@verb
def set_position_rule(ctx: Any, rule: Any, asset: Any = -1, position: Any = False) -> Any:
    """Set the rule that positions follow, by its number in the strategy's `rules` (-1: none): all, those of an asset, its present one."""
    numbers = (address_in(ctx), HostRequest.SET_RULE.value, float(rule), float(asset), 1.0 if position else 0.0)
    return granted(-Refusal.HOST_FAILED.value if isnan(_request(numbers)) else 0)


@named_reading("inputs")
def set_rule_input(ctx: Any, name: Any, asset: Any, value: Any) -> Any:
    """Give rules a value to read by name for an asset's present position; NaN takes it back."""
    numbers = (address_in(ctx), HostRequest.SET_INPUT.value, float(asset), float(name), value)
    return granted(-Refusal.HOST_FAILED.value if isnan(_request(numbers)) else 0)


PlainContext = plain_context("PlainContext")
