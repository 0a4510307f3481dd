"""What a strategy may ask for: "Submitting", "Linked orders" and "Target weights"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tests.oracle.account import Account
from tests.oracle.gate import opposite
from tests.oracle.links import parent_ended, wake_at_submission
from tests.oracle.new_orders import new_order
from tests.oracle.numbers import Number, convert, signed, steps_down
from tests.oracle.offers import trail_level
from tests.oracle.records import LIMITED, ORDER_TYPES, STOPPED, OracleOrder, OraclePosition, OrderType
from tests.oracle.screening import screen

UNBOUNDED = 1e100  # the quantity of an order for all that the account can pay


class Broker:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._rules = account.rules

    @property
    def cash(self) -> Number:
        return self._account.cash

    @property
    def account_value(self) -> Number:
        """The account value of step 5 (the initial cash in on_start)."""
        return self._account.account_value

    @property
    def positions(self) -> dict[str, OraclePosition]:
        return self._account.positions

    @property
    def pending(self) -> list[OracleOrder]:
        return list(self._account.pending)

    @property
    def orders(self) -> list[OracleOrder]:
        """All orders of the run; the order with id n is at n - 1."""
        return list(self._account.orders)

    def submit(
        self,
        asset: str,
        quantity: Any,
        order_type: OrderType = "market",
        limit_price: Any = None,
        stop_price: Any = None,
        reduce_only: bool | None = None,
        trail_amount: Any = None,
        trail_percent: Any = None,
        time_in_force: str = "GTC",
        good_till: int | None = None,
        displayed_quantity: Any = None,
        parent: int | None = None,
        oco: int | None = None,
    ) -> int | None:
        """Queue an order and return its id, or None when the quantity is too small to be an order."""
        self._require_known(asset)
        if self._rules.free_cash and isinstance(quantity, float) and math.isinf(quantity):
            return self._all(asset, quantity, order_type, reduce_only)
        q = self._number(quantity, "quantity")
        if order_type not in ORDER_TYPES:
            raise ValueError(f"unknown order type: {order_type}")
        prices = {
            "limit_price": self._tick(asset, self._optional(limit_price, "limit price"), down=q > 0),
            "stop_price": self._tick(asset, self._optional(stop_price, "stop price"), down=q < 0),
            "trail_amount": self._optional(trail_amount, "trail amount"),
            "trail_percent": self._optional(trail_percent, "trail percent"),
            "displayed_quantity": self._optional(displayed_quantity, "displayed quantity"),
        }
        _check_prices(order_type, prices)
        tif = _time_in_force(time_in_force, good_till)
        for order_id in (parent, oco):
            if order_id is not None and not 1 <= order_id <= len(self._account.orders):
                raise ValueError(f"unknown order: {order_id}")
        held = self._account.quantity(asset)
        if q == 0 or (abs(q) <= self._rules.smallest_order and q != -held):
            return None
        order = self._queue(asset, q, order_type, reduce_only, prices, parent is not None)
        order.time_in_force, order.good_till = tif, good_till
        self._link(order, parent, oco)
        self._reject_at_once(order)
        screen(self._account, order)
        return order.order_id

    def _all(self, asset: str, quantity: float, order_type: OrderType, reduce_only: bool | None) -> int | None:
        """An infinite quantity is all that the account can pay; one that only reduces closes."""
        if order_type != "market":
            raise ValueError("an order for all is a market order")
        if not reduce_only:
            return self.cash_percent(asset, math.copysign(1, quantity))
        return self.close(asset) if self._account.quantity(asset) * quantity < 0 else None

    def cash_percent(self, asset: str, fraction: Any) -> int | None:
        """A market order for a fraction of all that the account can pay, of an unbounded quantity; negative: a sale."""
        self._require_known(asset)
        f = self._number(fraction, "fraction")
        if not self._rules.free_cash or not -1 <= f <= 1:
            raise ValueError(f"not a fraction of all that the account can pay: {fraction}")
        if f == 0:
            return None
        order = self._queue(asset, signed(self._rules.number(UNBOUNDED), f), "market", False, {}, child=False)
        order.quantity, order.fraction = signed(self._rules.number(UNBOUNDED), f), abs(f)
        self._reject_at_once(order)
        return order.order_id

    def _queue(
        self, asset: str, q: Number, order_type: OrderType, reduce_only: bool | None, prices: dict[str, Any], child: bool
    ) -> OracleOrder:
        held, asked = self._account.quantity(asset), q
        if q != -held:
            q = signed(self._whole_lots(asset, abs(q)), q)
        order = new_order(self._account, asset, q or asked)
        bar = self._account.bars.get(asset)
        order.signal_price = None if bar is None else bar.close
        order.order_type = order_type
        for name, value in prices.items():
            setattr(order, name, value)
        implied = self._rules.settings.implicit_reduce_only and opposite(q, held) and abs(q) <= abs(held)
        order.reduce_only = implied if reduce_only is None else reduce_only
        if order.reduce_only and not child:
            order.bound = self._account.position_number(asset)
        if order_type == "trailing_stop" and order.stop_price is None and order.signal_price is not None:
            order.stop_price = trail_level(order, order.signal_price)
        return order

    def _link(self, order: OracleOrder, parent: int | None, oco: int | None) -> None:
        member = None if oco is None else self._account.orders[oco - 1]
        as_one = self._rules.settings.linked_orders == "as_one"
        gone = member is not None and as_one and member.status == "rejected" and member.created_bar == order.created_bar
        if member is not None and not gone:
            if member.group is None:
                member.group = member.order_id
            order.group = member.group
        if parent is not None:
            order.parent = parent
            wake_at_submission(self._account, order)

    def _reject_at_once(self, order: OracleOrder) -> None:
        account, asset = self._account, order.asset
        blocked = account.rule_exit_bar.get(asset) == account.bar_index and asset not in account.positions
        lots = self._whole_lots(asset, abs(order.quantity))
        if lots == 0 and order.quantity != -account.quantity(asset):
            account.stop([order], "rejected", "ROUNDS_TO_ZERO")
        elif blocked and not self._rules.settings.allow_reentry_on_exit_bar:
            account.stop([order], "rejected", "REENTRY_BLOCKED")
        elif parent_ended(account, order):
            account.stop([order], "cancelled", "PARENT_NOT_FILLED")
        account.drop_finished_orders()

    def bracket(
        self,
        asset: str,
        quantity: Any,
        take_profit: Any,
        stop_loss: Any,
        entry_type: OrderType = "market",
        entry_limit: Any = None,
        entry_stop: Any = None,
    ) -> tuple[int, int, int] | None:
        """An entry, which is not reduce-only, with a target and a stop that cancel each other; the ids in this order."""
        entry = self.submit(asset, quantity, entry_type, limit_price=entry_limit, stop_price=entry_stop, reduce_only=False)
        if entry is None:
            return None
        opposite_quantity = -self._number(quantity, "quantity")
        legs: dict[str, int] = {}
        stop_stands_first = self._rules.settings.bracket_priority == "submission"
        for kind in ("stop", "limit") if stop_stands_first else ("limit", "stop"):
            price = {"stop_price": stop_loss} if kind == "stop" else {"limit_price": take_profit}
            other = next(iter(legs.values()), None)
            reduces = self._rules.settings.exits_reduce_only
            leg = self.submit(asset, opposite_quantity, kind, reduce_only=reduces, parent=entry, oco=other, **price)  # type: ignore[arg-type]
            assert leg is not None
            legs[kind] = leg
        self._account.orders[legs["limit"] - 1].target = True
        self._account.orders[legs["stop"] - 1].exit_reason = "stop_loss"
        return entry, legs["limit"], legs["stop"]

    def update(
        self,
        order_id: int,
        quantity: Any = None,
        limit_price: Any = None,
        stop_price: Any = None,
        trail_amount: Any = None,
        trail_percent: Any = None,
    ) -> bool:
        """Change a pending order in place: it keeps its side, its turn and whether it is reduce-only."""
        size = self._optional(quantity, "quantity")
        limit, stop = self._optional(limit_price, "limit price"), self._optional(stop_price, "stop price")
        amount, percent = self._optional(trail_amount, "trail amount"), self._optional(trail_percent, "trail percent")
        order = self._pending_order(order_id)
        if order is None:
            return False
        if size is not None and order.fraction is not None:
            return False
        if size is not None:
            rounded = self._whole_lots(order.asset, size)
            if rounded - abs(order.filled_quantity) - order.taken <= self._rules.smallest_order:
                return False
            order.quantity = signed(rounded, order.quantity)
        if limit is not None:
            order.limit_price = self._tick(order.asset, limit, down=order.quantity > 0)
        if stop is not None:
            order.stop_price = self._tick(order.asset, stop, down=order.quantity < 0)
        if amount is not None:
            order.trail_amount, order.trail_percent = amount, None
        if percent is not None:
            order.trail_amount, order.trail_percent = None, percent
        order.active_bar = self._account.bar_index
        return True

    def cancel(self, order_id: int) -> bool:
        order = self._pending_order(order_id)
        if order is None:
            return False
        self._account.end(order, "cancelled", "CANCELLED_BY_USER")
        self._account.drop_finished_orders()
        return True

    def close(self, asset: str) -> int | None:
        """A market order for the whole position, reduce-only unless nothing is so by itself; nothing when there is none."""
        self._require_known(asset)
        return self.submit(asset, -self._account.quantity(asset), reduce_only=self._rules.settings.exits_reduce_only)

    def target_percent(self, asset: str, weight: Any) -> int | None:
        self._require_known(asset)
        w = self._number(weight, "weight")
        bar = self._account.bars.get(asset)
        close = None if bar is None else bar.close
        if bar is None and self._rules.settings.target_price_policy == "use_last":
            close = self._account.last_close.get(asset)
        if close is None:
            return None
        if w == 0:
            return self.submit(asset, -self._account.quantity(asset))
        m = self._rules.multipliers[asset]
        delta = self.account_value * w - (self._account.quantity(asset) * close) * m
        if abs(delta) < self._rules.smallest_delta:
            return None
        unit = close * m
        if unit == 0:
            return None
        return self.submit(asset, delta / unit)

    def target_weights(self, weights: Mapping[str, Any]) -> None:
        """The target weight of every asset in the mapping, in asset order; other assets are left alone."""
        for asset, weight in weights.items():
            self._require_known(asset)
            self._number(weight, "weight")
        for asset in self._rules.assets:
            if asset in weights:
                self.target_percent(asset, weights[asset])

    def set_rules(self, rule: Any, asset: str | None = None, position: bool = False) -> None:
        """The global rule, that of an asset, or that of the asset's open position."""
        if asset is None:
            self._account.global_rule = rule
            return
        self._require_known(asset)
        if not position:
            self._account.asset_rules[asset] = rule
        elif asset in self._account.positions:
            self._account.positions[asset].rule = rule
        else:
            raise ValueError(f"no open position: {asset}")

    def update_position_context(self, asset: str, values: Mapping[str, Any]) -> None:
        """Give an open position values that its rules read before those of the signal columns; None takes one back."""
        self._require_known(asset)
        if asset in self._account.positions:
            self._account.positions[asset].context.update(values)

    def _whole_lots(self, asset: str, size: Number) -> Number:
        return steps_down(self._rules.number, size, self._rules.lots[asset], self._rules.settings.lot_tolerance)

    def _pending_order(self, order_id: int) -> OracleOrder | None:
        if not 1 <= order_id <= len(self._account.orders):
            return None
        order = self._account.orders[order_id - 1]
        return order if order.status == "pending" else None

    def _require_known(self, asset: str) -> None:
        if asset not in self._rules.multipliers:
            raise ValueError(f"unknown asset: {asset}")

    def _number(self, value: Any, name: str) -> Number:
        return convert(self._rules.number, value, name)

    def _optional(self, value: Any, name: str) -> Number | None:
        return None if value is None else self._number(value, name)

    def _tick(self, asset: str, price: Number | None, *, down: bool) -> Number | None:
        """No order becomes more aggressive than asked: the caller knows which way that is. The numbers count as they print."""
        tick: Number | None = self._rules.contracts[asset].tick_size
        if tick is None:
            tick = self._rules.settings.default_tick_size
        if price is None or tick is None or not self._rules.settings.round_to_tick:
            return price
        if self._rules.settings.tick_rounding == "lenient":
            ticks, near = Fraction(repr(float(price))) / Fraction(repr(float(tick))), Fraction(1, 20)
            return self._rules.number(float(tick) * (math.floor(ticks + near) if down else math.ceil(ticks - near)))
        exact, step = Fraction(repr(float(price))), Fraction(repr(float(tick)))
        steps = round(exact / step)
        if abs(exact - steps * step) > min(abs(exact) * Fraction(1, 10**9), step / 100):
            steps = math.floor(exact / step) if down else math.ceil(exact / step)
        return self._rules.number(float(steps * step))


def _check_prices(order_type: OrderType, prices: dict[str, Any]) -> None:
    if order_type in LIMITED and prices["limit_price"] is None:
        raise ValueError(f"a {order_type} order needs a limit price")
    if order_type in STOPPED and prices["stop_price"] is None:
        raise ValueError(f"a {order_type} order needs a stop price")
    trails = (prices["trail_amount"] is not None) + (prices["trail_percent"] is not None)
    if order_type == "trailing_stop" and trails != 1:
        raise ValueError("a trailing stop needs either an amount or a percentage")


def _time_in_force(name: str, good_till: int | None) -> str:
    tif = name.upper()
    if tif not in ("GTC", "GTD", "DAY", "IOC", "FOK"):
        raise ValueError(f"unknown time in force: {name}")
    if tif == "GTD" and good_till is None:
        raise ValueError("a GTD order needs good_till")
    return tif
