"""How a compiled strategy's order is made: the form that describes it, its checks, and what the host is asked for on the way.

Kernels return an order id, 0 for no order, or a `Refusal` with a minus, and then have changed nothing.
"""

from __future__ import annotations

from math import isfinite, isinf, isnan

from . import orders
from ._jit import array_at, call_function, kernel
from .addresses import HOST, STATE, bar_at, ledger_at
from .codes import HostRequest, OrderType, Refusal, TimeInForce
from .dtypes import NO_PRICE, UNBOUNDED, Record

__all__ = ["ask", "cash_percent", "finished", "form", "host_at", "market", "market_form", "place"]


@kernel
def ask(address: int, number: int, first: float, second: float, third: float) -> float:
    """Ask the host for something; number: code HostRequest, which says what first, second and third are. NaN when it failed."""
    host = array_at(array_at(address, 1, STATE)[0]["host_address"], 1, HOST)[0]
    answer = call_function(host["request_address"], number, first, second, third)
    if isnan(answer):
        host["failed"] = 1
    return answer


@kernel
def host_at(address: int) -> Record:
    """Return the host record of the run."""
    return array_at(array_at(address, 1, STATE)[0]["host_address"], 1, HOST)[0]


@kernel
def place(address: int, asset: int, quantity: float, reduce_only: int) -> int:
    """Submit the order that the form describes, making room for it when there is none; arguments and result of `orders.submit`."""
    host = host_at(address)
    while True:
        ledger = ledger_at(address)
        close = NO_PRICE if ledger.state[0]["bar"] < 0 else bar_at(address).close[asset]
        made = orders.submit(ledger, asset, close, quantity, host["order_type"], host["limit_price"], host["stop_price"], reduce_only)
        if made != orders.NO_ROOM:
            return made
        if isnan(ask(address, HostRequest.GROW_ORDERS.value, 1.0, 0.0, 0.0)):
            return -Refusal.HOST_FAILED.value


@kernel
def finished(address: int, order_id: int) -> int:
    """Let the host check the order at its submission, or fill it at once, where the account does that. Returns order_id."""
    if order_id <= 0 or host_at(address)["finishes_orders"] == 0:
        return order_id
    failed = isnan(ask(address, HostRequest.FINISH_ORDER.value, float(order_id), 0.0, 0.0))
    return -Refusal.HOST_FAILED.value if failed else order_id


@kernel
def market_form(host: Record) -> None:
    """Let the form describe a market order (host: in-out)."""
    host["order_type"] = OrderType.MARKET
    host["limit_price"] = NO_PRICE
    host["stop_price"] = NO_PRICE


@kernel
def cash_percent(address: int, asset: int, fraction: float) -> int:
    """Submit the order for a fraction of what the account can pay (asset: column, fraction: from -1 to 1)."""
    if fraction == 0.0:
        return orders.NO_ORDER
    lot = max(1.0, ledger_at(address).contracts[asset]["lot_size"])  # anything that is not refused
    made = place(address, asset, lot if fraction > 0.0 else -lot, 0)
    if made > 0:
        order = ledger_at(address).orders[made - 1]
        order["quantity"] = UNBOUNDED if fraction > 0.0 else -UNBOUNDED
        order["cash_fraction"] = abs(fraction)
    return finished(address, made)


@kernel
def market(address: int, asset: int, quantity: float, reduce_only: int) -> int:
    """Submit a market order; asset: column, quantity: signed, infinite for all that the account can pay, reduce_only: 1, 0 or -1."""
    ledger = ledger_at(address)
    host = host_at(address)
    if not 0 <= asset < ledger.state[0]["assets"]:
        return -Refusal.UNKNOWN_ASSET.value
    host["asset"] = asset
    market_form(host)
    if isfinite(quantity):
        return finished(address, place(address, asset, quantity, reduce_only))
    if isnan(quantity) or ledger.params[0]["clearing"] == 0:
        return -Refusal.BAD_QUANTITY.value
    if reduce_only == 1:
        held = ledger.positions[asset]["quantity"]
        if held != 0.0 and (held > 0.0) != (quantity > 0.0):
            return finished(address, place(address, asset, -held, host["exits_reduce_only"]))
        return orders.NO_ORDER
    return cash_percent(address, asset, 1.0 if quantity > 0.0 else -1.0)


@kernel
def _wrong_prices(host: Record) -> int:
    """Return what is wrong with the prices of the form, 0 for nothing (host: in)."""
    kind = host["order_type"]
    if not OrderType.MARKET <= kind <= OrderType.LIMIT_ON_CLOSE:
        return Refusal.UNKNOWN_TYPE.value
    limited = kind == OrderType.LIMIT or kind == OrderType.STOP_LIMIT
    limited = limited or kind == OrderType.LIMIT_ON_OPEN or kind == OrderType.LIMIT_ON_CLOSE
    stopped, trails = kind == OrderType.STOP or kind == OrderType.STOP_LIMIT, kind == OrderType.TRAILING_STOP
    limit, stop, amount, percent = host["limit_price"], host["stop_price"], host["trail_amount"], host["trail_percent"]
    if trails and isnan(amount) == isnan(percent):
        return Refusal.NEEDS_TRAIL.value
    if limited and isnan(limit):
        return Refusal.NEEDS_LIMIT.value
    if stopped and isnan(stop):
        return Refusal.NEEDS_STOP.value
    if not limited and not isnan(limit):
        return Refusal.TAKES_NO_LIMIT.value
    if not stopped and not trails and not isnan(stop):
        return Refusal.TAKES_NO_STOP.value
    if not trails and not (isnan(amount) and isnan(percent)):
        return Refusal.TAKES_NO_TRAIL.value
    if isinf(limit) or isinf(stop):
        return Refusal.BAD_PRICE.value
    if isinf(amount) or isinf(percent) or amount <= 0.0 or percent <= 0.0:
        return Refusal.BAD_TRAIL.value
    return 0


@kernel
def _wrong_terms(ledger_state: Record, host: Record) -> int:
    """Return what is wrong with the terms of the form, 0 for nothing; a last time makes it GTD (ledger_state: in, host: in-out)."""
    if host["good_till"] != 0 and host["time_in_force"] == TimeInForce.GTC:
        host["time_in_force"] = TimeInForce.GTD
    if not TimeInForce.GTC <= host["time_in_force"] <= TimeInForce.FOK:
        return Refusal.UNKNOWN_TYPE.value
    if (host["good_till"] != 0) != (host["time_in_force"] == TimeInForce.GTD):
        return Refusal.BAD_GOOD_TILL.value
    displayed = host["displayed_quantity"]
    if not isnan(displayed) and not (isfinite(displayed) and displayed > 0.0):
        return Refusal.BAD_DISPLAYED.value
    count = ledger_state["order_count"]
    if not 0 <= host["parent_id"] <= count or not 0 <= host["sibling_id"] <= count:
        return Refusal.UNKNOWN_ORDER.value
    return 0


@kernel
def _is_plain(host: Record) -> bool:
    """Tell whether the form is a market order without terms and links (host: in)."""
    plain = host["order_type"] == OrderType.MARKET and host["time_in_force"] == TimeInForce.GTC and isnan(host["displayed_quantity"])
    return plain and host["parent_id"] == 0 and host["sibling_id"] == 0


@kernel
def _on_ticks(address: int, asset: int, quantity: float) -> bool:
    """Put the prices of the form on their ticks. Returns False when the host refuses."""
    host = host_at(address)
    if host["rounds_prices"] == 0 or host["order_type"] == OrderType.MARKET:
        return True
    buys = 1.0 if quantity > 0.0 else 0.0
    if not isnan(host["limit_price"]):
        host["limit_price"] = ask(address, HostRequest.TICK_LIMIT.value, float(asset), host["limit_price"], buys)
        if isnan(host["limit_price"]):
            return False
    if not isnan(host["stop_price"]):
        host["stop_price"] = ask(address, HostRequest.TICK_STOP.value, float(asset), host["stop_price"], buys)
        if isnan(host["stop_price"]):
            return False
    return True


@kernel
def _without(amount: float) -> float:
    """Return an amount of the form, 0 for NaN."""
    return 0.0 if isnan(amount) else amount


@kernel
def form(address: int, asset: int, quantity: float) -> int:
    """Submit the order that the form describes, with its terms and links (asset: column, quantity: signed)."""
    ledger, host = ledger_at(address), host_at(address)
    if not 0 <= asset < ledger.state[0]["assets"]:
        return -Refusal.UNKNOWN_ASSET.value
    host["asset"] = asset
    wrong = _wrong_prices(host)
    if wrong == 0:
        wrong = _wrong_terms(ledger.state[0], host)
    if wrong != 0:
        return -wrong
    if not isfinite(quantity):
        if isnan(quantity) or ledger.params[0]["clearing"] == 0:
            return -Refusal.BAD_QUANTITY.value
        return market(address, asset, quantity, host["reduce_only"]) if _is_plain(host) else -Refusal.ALL_IS_PLAIN.value
    if not _on_ticks(address, asset, quantity):
        return -Refusal.HOST_FAILED.value
    made = place(address, asset, quantity, host["reduce_only"])
    if made <= 0:
        return made
    ledger = ledger_at(address)
    orders.set_terms(
        ledger,
        made - 1,
        host["time_in_force"],
        host["good_till"],
        _without(host["displayed_quantity"]),
        _without(host["trail_amount"]),
        _without(host["trail_percent"]),
    )
    if host["parent_id"] > 0:
        orders.link_child(ledger, host["parent_id"] - 1, made - 1)
    if host["sibling_id"] > 0:
        orders.join_siblings(ledger, made - 1, host["sibling_id"] - 1)
    return finished(address, made)
