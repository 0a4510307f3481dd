"""Order entry: every way to submit, change and cancel an order. One half of `Broker`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.calls import call, step
from ml4t_backtest.config import MissingPricePolicy
from ml4t_backtest.handles import ORDER_TYPES, Order
from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.orderchecks import NO_TERMS, Terms, id_of, is_finite
from ml4t_backtest.orderlists import OrderLists
from ml4t_backtest.types import OrderSide, OrderType, TimeInForce, member
from ml4t_kernels.codes import ExitReason, OrderReason, Stage
from ml4t_kernels.dtypes import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    import numpy.typing as npt

    from ml4t_backtest.lowering import HostCalls
    from ml4t_kernels.dtypes import IntArray

__all__ = ["OrderEntry"]

_NONE = math.nan
_UPDATABLE = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent")
_MARKET = ORDER_TYPES.index(OrderType.MARKET)


class OrderEntry(OrderLists):
    """Orders of an account; see `Broker`."""

    _hosts: HostCalls

    def _prepare_orders(self) -> None:
        """Bind what every order needs."""
        params, config = self._store.params[0], self.config
        self._address = self._store.address
        self._submit = call("submit")
        self._columns = self._panels.column_of
        self._screened = bool(params["precheck"] or params["reserve"])
        self._fills_at_once = config.immediate_fill
        self._extra_steps = self._screened or self._fills_at_once
        self._screens_all = config.submission_check_orders == "all"
        self._ticks = {}

    def submit_order(  # noqa: C901, PLR0913 - the published method with the terms of order types
        self,
        asset: str,
        quantity: float,
        side: OrderSide | str | None = None,
        order_type: OrderType | str = OrderType.MARKET,
        limit_price: float | None = None,
        stop_price: float | None = None,
        trail_amount: float | None = None,
        *,
        trail_percent: float | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        good_till: datetime | date | None = None,
        displayed_quantity: float | None = None,
        parent: Order | str | None = None,
        oco: Order | str | None = None,
        reduce_only: bool | None = None,
    ) -> Order | None:
        """Submit an order; it trades when its turn comes in a fill pass (docs/execution.md).

        quantity: signed when `side` is None (negative sells), else its magnitude counts. trail_amount: price;
        trail_percent: fraction of the price. good_till: last time of a GTD order. displayed_quantity: most that one bar fills.
        parent: the order whose first fill wakes this one. oco: an order of the one-cancels-other group to join.
        reduce_only: True never opens or flips a position; None decides from the position now.

        Returns the order, which may already be rejected (`order.rejection_reason`), or None for a quantity of nothing
        (abs <= 1e-8). Raises ValueError for an unknown asset, NaN or infinite numbers, prices that the type needs or does
        not take, unknown parents and members.
        """
        column = self._columns.get(asset)
        if column is None:
            raise ValueError(self._unknown_asset(asset))
        code, limit, stop, terms = _MARKET, _NONE, _NONE, NO_TERMS
        if order_type is not OrderType.MARKET or limit_price is not None or stop_price is not None or trail_amount is not None:
            given = {"limit_price": limit_price, "stop_price": stop_price, "trail_amount": trail_amount, "trail_percent": trail_percent}
            code, limit, stop = self._conditions(asset, order_type, given)
            terms = Terms(trail_amount=trail_amount or 0.0, trail_percent=trail_percent or 0.0)
        elif trail_percent is not None:
            raise ValueError(f"a market order of {asset!r} at {self._now()} takes no trail_percent, it was {trail_percent!r}")
        if time_in_force is not TimeInForce.GTC or good_till is not None or displayed_quantity is not None:
            terms = self._terms(terms, asset, time_in_force, good_till, displayed_quantity)
        if not is_finite(quantity):
            plain = code == _MARKET and terms == NO_TERMS and parent is None and oco is None
            return self._order_for_all(asset, quantity, side, plain=plain, reduce_only=reduce_only)
        if side is not None:
            quantity = abs(quantity) if member(OrderSide, side, "side") is OrderSide.BUY else -abs(quantity)
        if self.config.round_to_tick and code != _MARKET:
            limit, stop = self._on_tick(column, limit, stop, buys=quantity > 0)
        linked = [None if other is None else self._row(id_of(other)) for other in (parent, oco)]
        row = self._place(column, quantity, code, limit, stop, -1 if reduce_only is None else int(reduce_only))
        if row is None:
            return None
        if terms is not NO_TERMS:
            call("set_terms")(self._address, row, *terms)
        if linked[0] is not None:
            call("link_child")(self._address, linked[0], row)
        if linked[1] is not None:
            call("join_siblings")(self._address, row, linked[1])
        if self._extra_steps:
            self._finish_submission(row, code)
        return Order(self._store.order_columns, row, self._panels)

    def _order_for_all(
        self, asset: str, quantity: float, side: OrderSide | str | None, *, plain: bool, reduce_only: bool | None
    ) -> Order | None:
        """Submit the order of an infinite quantity: all that the account can pay. Raises ValueError where nothing says what that is."""
        if not self._store.params["clearing"][0] or not isinstance(quantity, float) or math.isnan(quantity):
            hint = "; all that the account can pay needs cash_ledger='free_cash'" if quantity in (math.inf, -math.inf) else ""
            raise ValueError(self._bad_number("quantity", quantity, asset) + hint)
        if not plain:
            hint = "without parent, group, time in force and displayed quantity"
            raise ValueError(f"the order for all of {asset!r} at {self._now()} has to be a plain market order, {hint}")
        if side is not None:
            quantity = math.inf if member(OrderSide, side, "side") is OrderSide.BUY else -math.inf
        if reduce_only:
            return self.close_position(asset) if self._held(asset) * quantity < 0 else None
        return self.order_cash_percent(asset, math.copysign(1.0, quantity))

    def order_cash_percent(self, asset: str, fraction: float) -> Order | None:
        """Submit a market order for a fraction of what the account can pay: buy with that part of the cash, or (negative) sell short.

        A sale counts what is held, and what free cash allows to be sold short after that (nothing where shorts are not allowed); the
        fraction is of both. Needs the setting cash_ledger='free_cash', whose rules docs/execution.md gives. The order's quantity is
        1e100 until it trades.
        Returns None when the fraction is 0. Raises ValueError for an unknown asset, a fraction outside -1 to 1, another ledger.
        """
        column = self._column(asset)
        if not self._store.params["clearing"][0]:
            raise ValueError(f"order_cash_percent of {asset!r} at {self._now()} needs cash_ledger='free_cash'")
        if not is_finite(fraction) or not -1.0 <= fraction <= 1.0:
            raise ValueError(f"fraction was {fraction!r} for {asset!r} at {self._now()}: expected a number from -1 to 1")
        lot = max(1.0, float(self._store.contracts["lot_size"][column]))  # anything that is not refused
        row = self._place(column, math.copysign(lot, fraction), _MARKET, _NONE, _NONE, 0) if fraction else None
        if row is None:
            return None
        self._store.orders["quantity"][row] = math.copysign(UNBOUNDED, fraction)
        self._store.orders["cash_fraction"][row] = abs(fraction)
        if self._extra_steps:
            self._finish_submission(row, _MARKET)
        return Order(self._store.order_columns, row, self._panels)

    def _place(self, column: int, quantity: float, code: int, limit: float, stop: float, reduce: int) -> int | None:
        """Submit one order and return its row, None for a quantity of nothing."""
        order_id = self._submit(self._address, column, quantity, code, limit, stop, reduce)
        if order_id < 0:
            self._store.grow_orders()
            order_id = self._submit(self._address, column, quantity, code, limit, stop, reduce)
        return order_id - 1 if order_id else None

    def _finish_submission(self, row: int, code: int) -> None:
        """Check an order at submission, and fill a market order at once, where the account asks for that."""
        if code != _MARKET and not self._screens_all:
            return
        if self._screened:
            call("screen")(self._address, row)
            if math.isnan(self._store.state["shadow_cash"][0]):  # its commission comes from a function of the user, which failed
                raise self._hosts.failure(int(self._store.orders["asset"][row]))
        if self._fills_at_once and code == _MARKET:
            self.process_orders()

    def process_orders(self) -> None:
        """Give pending orders a fill pass now, at the close of this bar. Only in SAME_BAR mode; otherwise orders wait for the next bar."""
        if self._store.params["same_bar"][0] and self._store.columns.stage[0] == Stage.STRATEGY:
            step("run_pass", self._store, None, Stage.SECOND_TOTALS.value)
            self._book.sync()

    def submit_bracket(
        self,
        asset: str,
        quantity: float,
        take_profit: float,
        stop_loss: float,
        entry_type: OrderType | str = OrderType.MARKET,
        entry_limit: float | None = None,
        *,
        entry_stop: float | None = None,
        validate_prices: bool = True,
    ) -> tuple[Order, Order, Order] | None:
        """Submit an entry with a target and a stop that wake with its first fill and cancel each other.

        quantity: signed. take_profit, stop_loss: prices on the right sides of the reference, which is the entry's limit or stop
        price, else the close. Returns (entry, target, stop), or None for a quantity of nothing. Raises ValueError for
        prices on the wrong side unless `validate_prices` is False.
        """
        column = self._column(asset)
        for name, number in (("quantity", quantity), ("take_profit", take_profit), ("stop_loss", stop_loss)):
            if not is_finite(number):
                raise ValueError(self._bad_number(name, number, asset))
        if self.config.round_to_tick:
            self._on_tick(column, take_profit, stop_loss, buys=quantity < 0)
        kind = member(OrderType, entry_type, "entry_type")
        if entry_limit is not None and kind is OrderType.MARKET:
            kind = OrderType.LIMIT
        if validate_prices:
            self._check_bracket(asset, quantity, take_profit, stop_loss, entry_limit if entry_stop is None else entry_stop)
        entry = self.submit_order(asset, quantity, order_type=kind, limit_price=entry_limit, stop_price=entry_stop, reduce_only=False)
        if entry is None:
            return None
        return entry, *self._submit_legs(entry, asset, -quantity, take_profit, stop_loss)

    def _submit_legs(self, entry: Order, asset: str, quantity: float, take_profit: float, stop_loss: float) -> tuple[Order, Order]:
        """Submit target and stop of a bracket, the target first unless the queue alone decides which goes first."""
        legs: dict[OrderType, Order] = {}
        prices: dict[OrderType, dict[str, Any]] = {OrderType.LIMIT: {"limit_price": take_profit}, OrderType.STOP: {"stop_price": stop_loss}}
        kinds = sorted(prices, reverse=self.config.bracket_priority == "submission", key=lambda kind: kind is OrderType.STOP)
        for kind in kinds:
            links: dict[str, Any] = {"parent": entry, "oco": next(iter(legs.values()), None), "reduce_only": self.config.exits_reduce_only}
            leg = self.submit_order(asset, quantity, order_type=kind, **prices[kind], **links)
            if leg is None:  # not possible: the legs have the entry's quantity
                raise RuntimeError(f"the legs of the bracket of {asset!r} were not submitted")
            legs[kind] = leg
        self._store.orders["exit_reason"][legs[OrderType.LIMIT]._row] = ExitReason.TAKE_PROFIT
        self._store.orders["exit_reason"][legs[OrderType.STOP]._row] = ExitReason.STOP_LOSS
        return legs[OrderType.LIMIT], legs[OrderType.STOP]

    def submit_oco(self, orders: Sequence[Order | str]) -> None:
        """Join pending orders to one group in which a fill takes as much off the others, and an empty one is cancelled.

        Raises ValueError for fewer than two, one given twice, unknown orders, and orders that are no longer pending or in a group already.
        """
        rows = [self._row(id_of(order)) for order in orders]
        if len(rows) < 2 or len(set(rows)) < len(rows):  # noqa: PLR2004 - a group has two members
            given = ", ".join(f"ORD-{row + 1}" for row in rows) or "none"
            raise ValueError(f"a one-cancels-other group at {self._now()} needs at least two different orders, it got {given}")
        for order in self._handles(np.array(rows)):
            if not order.is_active:
                raise ValueError(f"order {order.order_id} is {order.status.value} at {self._now()}; a group is made of pending orders")
            if self._store.orders["sibling_id"][order._row]:
                raise ValueError(f"order {order.order_id} is in a group already; submit_order(..., oco=...) joins one")
        for row in rows[1:]:
            call("join_siblings")(self._address, row, rows[0])

    # Shorthands --------------------------------------------------------------------------------------------------------

    def close_position(self, asset: str) -> Order | None:
        """Submit a market order for the whole position, which never does more than close it unless `exits_reduce_only` is off.

        Returns None without a position.
        """
        held = self._held(asset)
        return self.submit_order(asset, -held, reduce_only=self.config.exits_reduce_only) if held else None

    def reduce_position(
        self, asset: str, fraction: float, order_type: OrderType | str = OrderType.MARKET, limit_price: float | None = None
    ) -> Order | None:
        """Submit an order for a fraction of the position, in (0, 1]. Returns None without a position."""
        if not is_finite(fraction) or not 0.0 < fraction <= 1.0:
            raise ValueError(f"fraction was {fraction!r} for {asset!r}, expected a number in (0, 1]")
        held = self._held(asset)
        if not held:
            return None
        return self.submit_order(asset, -held * fraction, order_type=order_type, limit_price=limit_price, reduce_only=True)

    def buy(self, asset: str, **size: Any) -> Order | None:
        """Buy by one of shares, contracts (units), amount, dollars (money at this bar's close).

        order_type and limit_price as `submit_order`. Returns None without a price for dollars and for nothing.
        """
        return self._sized(asset, OrderSide.BUY, **size)

    def sell(self, asset: str, **size: Any) -> Order | None:
        """Sell; arguments as `buy`."""
        return self._sized(asset, OrderSide.SELL, **size)

    def _sized(self, asset: str, side: OrderSide, **size: Any) -> Order | None:
        known = ("shares", "contracts", "amount", "dollars")
        order = {name: size.pop(name) for name in ("order_type", "limit_price") if name in size}
        for name in size:
            if name not in known:
                raise TypeError(f"{side.value}() has no argument {name!r}{did_you_mean(name, known)}")
        given = {name: value for name, value in size.items() if value is not None}
        if len(given) != 1:
            raise ValueError(f"{side.value} of {asset!r} needs exactly one of {', '.join(known)}; it got {sorted(given) or 'none'}")
        ((name, value),) = given.items()
        if not is_finite(value):
            raise ValueError(self._bad_number(name, value, asset))
        units: float = value
        if name in ("amount", "dollars"):
            price = self._close_now(asset)
            if price is None or price == 0.0:
                return None
            units = value / (price * float(self._store.multipliers[self._columns[asset]]))
        return self.submit_order(asset, units, side, **order) if units > 0 else None

    def order_target_percent(self, asset: str, weight: float, **order: Any) -> Order | None:
        """Submit the order that brings an asset to a fraction of the account value at this bar's close.

        order: order_type and limit_price as `submit_order`. Returns None when the asset has no close now, or is within a
        cent of the target. Raises ValueError as `submit_order`.
        """
        column = self._column(asset)
        if not is_finite(weight):
            raise ValueError(self._bad_number("weight", weight, asset))
        if self._store.bar < 0:
            return None
        if order or self.config.target_price_policy is MissingPricePolicy.USE_LAST:
            return self.order_target_value(asset, self._store.columns.equity[0] * weight, **order)
        self._ensure_room(1)
        order_id = call("submit_target_weight")(self._address, column, float(weight))
        if not order_id:
            return None
        if self._extra_steps:
            self._finish_submission(order_id - 1, _MARKET)
        return Order(self._store.order_columns, order_id - 1, self._panels)

    def order_target_value(self, asset: str, value: float, **order: Any) -> Order | None:
        """Submit the order that brings an asset to a value [money] at this bar's close; else as `order_target_percent`."""
        if not is_finite(value):
            raise ValueError(self._bad_number("value", value, asset))
        price = self._priced(asset, self.config.target_price_policy)
        if price is None:
            return None
        held, multiplier = self._held(asset), float(self._store.multipliers[self._columns[asset]])
        if value == 0.0:
            return self.submit_order(asset, -held, **order) if held else None
        delta = value - held * price * multiplier
        if abs(delta) < 0.01 or price == 0.0:  # noqa: PLR2004 - a target within a cent is reached
            return None
        return self.submit_order(asset, delta / (price * multiplier), **order)

    def order_target_quantity(self, asset: str, quantity: float, **order: Any) -> Order | None:
        """Submit the order that brings a position to a signed quantity; None when it is there."""
        if not is_finite(quantity):
            raise ValueError(self._bad_number("quantity", quantity, asset))
        return self.submit_order(asset, quantity - self._held(asset), **order)

    def flatten_all_positions(self) -> list[Order]:
        """Close every position; returns the orders."""
        assets = [self._panels.assets[column] for column in self._store.open_assets().tolist()]
        return [order for order in map(self.close_position, assets) if order is not None]

    # Changes -------------------------------------------------------------------------------------------------------------

    def update_order(self, order_id: Order | str, **updates: float) -> bool:
        """Change `quantity` (magnitude of the whole order), `limit_price`, `stop_price` or the trail of a pending order.

        Returns False when the order is no longer pending. Raises ValueError for an unknown order, other keys, bad numbers,
        prices that its type does not have, and a quantity that is not above what is filled.
        """
        row = self._row(id_of(order_id))
        order = Order(self._store.order_columns, row, self._panels)
        order_id = order.order_id
        for name, value in updates.items():
            if name not in _UPDATABLE:
                raise ValueError(f"cannot update {name!r} of an order, only {', '.join(_UPDATABLE)}{did_you_mean(name, _UPDATABLE)}")
            least = order.filled_quantity if order.is_active and name == "quantity" else 0.0
            if not is_finite(value) or (not name.endswith("price") and value <= least):
                bound = "" if name.endswith("price") else f" > {least:g}" + (", what is filled" if least else "")
                raise ValueError(f"{name} of order {order_id} was {value!r} at {self._now()}: expected a finite number{bound}")
            if name == "quantity" and self._store.orders["cash_fraction"][row] > 0.0:
                raise ValueError(f"order {order_id} is for all that the account can pay: it has no quantity to change")
            if name != "quantity" and getattr(order, name) is None:
                raise ValueError(f"order {order_id} is a {order.order_type.value} order and has no {name}")
        limit, stop = (float(updates.get(name, _NONE)) for name in ("limit_price", "stop_price"))
        if self.config.round_to_tick:
            limit, stop = self._on_tick(self._columns[order.asset], limit, stop, buys=order.side is OrderSide.BUY)
        numbers = [float(updates.get(name, _NONE)) for name in ("quantity", "trail_amount", "trail_percent")]
        changed = bool(call("update")(self._address, row, numbers[0], limit, stop, numbers[1], numbers[2]))
        if not changed and order.is_active:
            raise ValueError(f"quantity of order {order_id} was {updates['quantity']!r} at {self._now()}: it leaves nothing to fill")
        return changed

    def cancel_order(self, order_id: Order | str) -> bool:
        """Cancel a pending order. Returns False when it is no longer pending; raises ValueError for an unknown order."""
        return bool(call("cancel")(self._address, self._row(id_of(order_id)), OrderReason.CANCELLED_BY_USER.value))

    def cancel_all_orders(self, asset: str | None = None) -> int:
        """Cancel every pending order (of an asset). Returns how many. Raises ValueError for an unknown asset."""
        return sum(self.cancel_order(order.order_id) for order in self.get_pending_orders(asset))

    # Whole rows ------------------------------------------------------------------------------------------------------

    def submit_orders(self, quantities: npt.ArrayLike, where: npt.ArrayLike | None = None) -> IntArray:
        """Submit a market order for each asset: float[assets], signed; 0 is no order.

        where: bool[assets], leaves out the assets that are False. Returns int64[assets], the number n of each order
        "ORD-n", 0 for none. Raises ValueError for a wrong shape, and for NaN or infinity before anything is submitted.
        """
        return self._submit_row("submit_quantities", "quantity", quantities, where)

    def order_target_weights(self, weights: npt.ArrayLike, where: npt.ArrayLike | None = None) -> IntArray:
        """Bring each asset to a fraction of the account value: float[assets]; as `order_target_percent` for each asset in order.

        Arguments, result and errors as `submit_orders`. Assets without a close now get no order.
        """
        if self._store.bar < 0:
            return np.zeros(len(self._columns), dtype=np.int64)
        return self._submit_row("submit_target_weights", "weight", weights, where)
