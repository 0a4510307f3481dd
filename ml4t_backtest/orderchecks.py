"""Checks and look-ups behind order entry: arguments to kernel numbers, or an error that says what to do."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ml4t_backtest.calls import call
from ml4t_backtest.config import MissingPricePolicy, TickRounding
from ml4t_backtest.contracts import round_near_tick, round_to_tick
from ml4t_backtest.handles import ORDER_TYPES, Order
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.types import OrderType, TimeInForce, member
from ml4t_kernels import codes

if TYPE_CHECKING:
    import numpy.typing as npt

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.handles import PositionBook
    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_kernels.dtypes import IntArray

__all__ = ["NO_TERMS", "OrderChecks", "Terms", "id_of", "is_finite"]

_NONE = math.nan
_LIMITED = ("limit_price",)
_NEEDED: dict[OrderType, tuple[str, ...]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: _LIMITED,
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("stop_price", "limit_price"),
    OrderType.TRAILING_STOP: (),
    OrderType.MARKET_ON_OPEN: (),
    OrderType.LIMIT_ON_OPEN: _LIMITED,
    OrderType.MARKET_ON_CLOSE: (),
    OrderType.LIMIT_ON_CLOSE: _LIMITED,
}
_CODES = {kind: code for code, kind in enumerate(ORDER_TYPES)}


class Terms(NamedTuple):
    """What an order may have beside type and prices, in kernel units."""

    time_in_force: int = 0
    good_till: int = 0
    displayed_quantity: float = 0.0
    trail_amount: float = 0.0
    trail_percent: float = 0.0


NO_TERMS = Terms()


class OrderChecks:
    """What order entry needs to know of a run, and its checks."""

    _store: Store
    _panels: Panels
    _book: PositionBook
    _columns: dict[str, int]
    _address: int
    _extra_steps: bool
    config: BacktestConfig

    def _conditions(self, asset: str, order_type: OrderType | str, given: dict[str, float | None]) -> tuple[int, float, float]:
        """Check the prices of an order against its type. Returns (code, limit price, stop price)."""
        kind = member(OrderType, order_type, "order_type")
        wanted = _NEEDED[kind]
        trails = kind is OrderType.TRAILING_STOP
        if trails and (given["trail_amount"] is None) == (given["trail_percent"] is None):
            raise ValueError(f"a trailing_stop order of {asset!r} at {self._now()} needs one of trail_amount and trail_percent")
        for name, price in given.items():
            takes = name in wanted or (trails and name != "limit_price")
            if name in wanted and price is None:
                raise ValueError(f"a {kind.value} order of {asset!r} at {self._now()} needs a {name}")
            if price is not None and not takes:
                raise ValueError(f"a {kind.value} order of {asset!r} at {self._now()} takes no {name}, it was {price!r}")
            if price is not None and (not is_finite(price) or (name.startswith("trail") and price <= 0)):
                raise ValueError(self._bad_number(name, price, asset) + (" > 0" if name.startswith("trail") else ""))
        limit, stop = given["limit_price"], given["stop_price"]
        return _CODES[kind], _NONE if limit is None else float(limit), _NONE if stop is None else float(stop)

    def _terms(
        self, terms: Terms, asset: str, time_in_force: TimeInForce | str, good_till: datetime | date | None, displayed: float | None
    ) -> Terms:
        """Check time in force and displayed quantity. Returns the terms with them."""
        kind = member(TimeInForce, time_in_force, "time_in_force")
        if good_till is not None and kind is TimeInForce.GTC:
            kind = TimeInForce.GTD
        if (good_till is not None) != (kind is TimeInForce.GTD):
            raise ValueError(
                f"order of {asset!r} at {self._now()}: good_till belongs to time_in_force GTD, they were {good_till!r} and {kind.value!r}"
            )
        if displayed is not None and not (is_finite(displayed) and displayed > 0):
            raise ValueError(self._bad_number("displayed_quantity", displayed, asset) + " > 0")
        last = 0 if good_till is None else self._nanoseconds(good_till)
        return terms._replace(time_in_force=int(codes.TimeInForce[kind.name]), good_till=last, displayed_quantity=displayed or 0.0)

    def _nanoseconds(self, when: datetime | date) -> int:
        """Return a time as ns UTC. A date means its last moment, in the feed's time zone; naive and aware times do not mix."""
        zone = self._panels.zone
        if not isinstance(when, datetime):
            if not isinstance(when, date):
                raise TypeError(f"good_till was {when!r}, expected a datetime or date")
            when = datetime(when.year, when.month, when.day) + timedelta(days=1) - timedelta(microseconds=1)  # noqa: DTZ001
            if zone is not None:
                from zoneinfo import ZoneInfo

                when = when.replace(tzinfo=ZoneInfo(zone))
        if (when.tzinfo is None) != (zone is None):
            raise ValueError(f"good_till {when!r} and the feed's times must both have a time zone or neither")
        naive = when if when.tzinfo is None else when.astimezone(_utc()).replace(tzinfo=None)
        return int(np.datetime64(naive, "us").astype("datetime64[ns]").astype(np.int64))

    def _check_bracket(self, asset: str, quantity: float, target: float, stop: float, reference: float | None) -> None:
        """Refuse legs on the wrong side of the reference price, or of each other where there is none yet."""
        if reference is None:
            reference = self._close_now(asset)
        if reference is None:
            reference = (target + stop) / 2.0
        low, high = (stop, target) if quantity > 0 else (target, stop)
        if not low < reference < high:
            side = "below" if quantity > 0 else "above"
            other = "above" if quantity > 0 else "below"
            raise ValueError(
                f"bracket of {asset!r} at {self._now()}: stop_loss {stop!r} must be {side} and take_profit {target!r} {other} the"
                f" reference price {reference!r}; validate_prices=False submits it as it is"
            )

    def _on_tick(self, column: int, limit: float, stop: float, *, buys: bool) -> tuple[float, float]:
        """Round order prices to the contract's tick, so that no order is more aggressive than asked."""
        tick = self._ticks.get(column, self.config.default_tick_size)
        if tick is None:
            return limit, stop
        rounds = round_near_tick if self.config.tick_rounding is TickRounding.LENIENT else round_to_tick
        rounded = []
        for name, price, up in (("limit_price", limit, not buys), ("stop_price", stop, buys)):
            on_tick = price if math.isnan(price) else rounds(price, tick, up=up)
            if on_tick <= 0.0 < price:
                asset = self._panels.assets[column]
                raise ValueError(
                    f"{name} was {price!r} for {asset!r} at {self._now()}, which rounds to {on_tick!r}; expected at least its tick {tick!r}"
                )
            rounded.append(on_tick)
        return rounded[0], rounded[1]

    _ticks: dict[int, float]

    def _submit_row(self, kernel: str, noun: str, values: npt.ArrayLike, where: npt.ArrayLike | None) -> IntArray:
        """Submit one order per asset through a kernel that takes whole rows."""
        store = self._store
        store.scratch_values[:] = self._checked_row(noun, values)
        store.scratch_where[:] = 1 if where is None else self._checked_row("where", where).astype(np.bool_)
        self._ensure_room(len(self._columns))
        bad = call(kernel)(self._address, *store.scratch_addresses)
        if bad >= 0:
            raise ValueError(self._bad_number(noun, float(store.scratch_values[bad]), self._panels.assets[bad]))
        if self._extra_steps:
            for order_id in store.scratch_ids[store.scratch_ids > 0].tolist():
                self._finish_submission(order_id - 1, 0)
        return store.scratch_ids.copy()

    def _finish_submission(self, row: int, code: int) -> None:
        raise NotImplementedError

    def _checked_row(self, noun: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
        row = np.asarray(values)
        if row.shape != (len(self._columns),) or row.dtype.kind not in "fiub":
            raise ValueError(
                f"{noun} array has shape {row.shape} and type {row.dtype}, expected ({len(self._columns)},) numbers, one per asset"
            )
        return row

    def _ensure_room(self, orders: int) -> None:
        columns = self._store.columns
        if max(columns.order_count[0], columns.live_count[0]) + orders > columns.order_capacity[0]:
            self._store.grow_orders(orders)

    def _handles(self, rows: IntArray) -> list[Order]:
        return [Order(self._store.order_columns, row, self._panels) for row in rows.tolist()]

    def _of_asset(self, orders: list[Order], asset: str | None) -> list[Order]:
        """Return the orders of an asset, all for None. Raises ValueError for an unknown asset."""
        if asset is None:
            return orders
        self._column(asset)
        return [order for order in orders if order.asset == asset]

    def _column(self, asset: str) -> int:
        column = self._columns.get(asset)
        if column is None:
            raise ValueError(self._unknown_asset(asset))
        return column

    def _held(self, asset: str) -> float:
        return float(self._store.position_columns.quantity[self._column(asset)])

    def _close_now(self, asset: str) -> float | None:
        """Return the close of an asset on this bar, None before the first bar and where it is not priced."""
        column = self._column(asset)
        if self._store.bar < 0:
            return None
        close = float(self._store.market.close[self._store.columns.row[0], column])
        return None if math.isnan(close) else close

    def _priced(self, asset: str, policy: MissingPricePolicy | str) -> float | None:
        """Return the close of an asset on this bar, or its last one where the policy says so; None without one."""
        price = self._close_now(asset)
        if price is not None or policy is MissingPricePolicy.SKIP or self._store.bar < 0:
            return price
        closes = self._store.market.close[: self._store.columns.row[0] + 1, self._columns[asset]]
        known = closes[closes == closes]  # noqa: PLR0124 - NaN
        return float(known[-1]) if len(known) else None

    def _row(self, order_id: object) -> int:
        text = str(order_id)
        row = int(text[4:]) - 1 if text.startswith("ORD-") and text[4:].isdecimal() else -1
        if not 0 <= row < self._store.columns.order_count[0]:
            raise ValueError(f"unknown order {order_id!r}; ids are those of submitted orders, order.order_id")
        return row

    def _now(self) -> str:
        bar = self._store.bar
        return "the start" if bar < 0 else str(self._panels.timestamps[bar])

    def _bad_number(self, name: str, value: object, asset: str) -> str:
        return f"{name} was {value!r} for {asset!r} at {self._now()}: expected a finite number"

    def _unknown_asset(self, asset: object) -> str:
        known = self._panels.assets
        return f"unknown asset {asset!r} at {self._now()}; the feed has {shortened(known)}{did_you_mean(str(asset), known)}"


def id_of(order: Order | str) -> str:
    """Return the id of an order given as handle or id."""
    return order.order_id if isinstance(order, Order) else str(order)


def is_finite(value: object) -> bool:
    """Tell whether a value is a finite number."""
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except TypeError:
        return False


def _utc() -> Any:
    from datetime import UTC

    return UTC
