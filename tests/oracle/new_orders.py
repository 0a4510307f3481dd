"""Orders that join the queue."""

from __future__ import annotations

from tests.oracle.account import Account
from tests.oracle.numbers import Number, signed
from tests.oracle.records import OracleOrder


def exit_order(account: Account, asset: str, size: Number, reason: str) -> OracleOrder:
    """Queue a reduce-only market order for part of a position, bound to it."""
    position = account.positions[asset]
    bar = account.bars.get(asset)
    order = new_order(account, asset, -signed(size, position.quantity))
    order.signal_price = None if bar is None else bar.close
    order.reduce_only, order.bound, order.exit_reason = True, position.number, reason
    position.last_exit = order
    return order


def new_order(account: Account, asset: str, quantity: Number) -> OracleOrder:
    """Queue a plain market order."""
    now, zero = account.bar_index, account.rules.zero
    order = OracleOrder(
        order_id=len(account.orders) + 1,
        asset=asset,
        quantity=quantity,
        order_type="market",
        limit_price=None,
        stop_price=None,
        reduce_only=False,
        filled_quantity=zero,
        created_bar=now,
        active_bar=now,
        created_time=account.time,
        raw_commission=zero,
        commission=zero,
        taken=zero,
    )
    account.orders.append(order)
    account.pending.append(order)
    return order
