"""Handles on rows of the ledger: `Order` stays live, `Position` shows the moment it was read in.

Both read through memoryviews of the record fields, which give plain Python numbers. An order is a handle by nature:
keep it and ask later whether it was filled. A position that user code keeps is frozen after the bar, with the values it
had there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from ml4t_backtest.orderhandle import ORDER_REASONS, ORDER_STATUSES, ORDER_TYPES, TIMES_IN_FORCE, Order, known_price

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import numpy as np

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store

__all__ = ["ORDER_REASONS", "ORDER_STATUSES", "ORDER_TYPES", "TIMES_IN_FORCE", "Order", "Position", "PositionBook", "UnrealizedPnl"]

_references = sys.getrefcount
_FEW = 8


class UnrealizedPnl(float):
    """A number that may also be called: `position.unrealized_pnl` is at the current price, `position.unrealized_pnl(101.0)` at another."""

    __slots__ = ("_at",)
    _at: Callable[[float], float]

    def __new__(cls, value: float, at: Callable[[float], float]) -> Self:
        """Make the number `value`; `at` computes it for another price."""
        made = super().__new__(cls, value)
        made._at = at
        return made

    def __call__(self, price: float | None = None) -> float:
        """Return the unrealised profit at a price, the current one when none is given [money]."""
        return float(self) if price is None else self._at(price)

    def __reduce__(self) -> tuple[type, tuple[float]]:
        return float, (float(self),)


class _Moment:
    """The fields of one position row, and the bar, as they were at one moment."""

    def __init__(self, record: np.void, bar: int) -> None:
        for name in record.dtype.names or ():
            setattr(self, name, (record[name].item(),))
        self.bar = (bar,)


class Position:
    """An open position. Read in `on_data` it shows the account after this bar's first fills; kept, it stays at that moment."""

    __slots__ = ("_asset", "_column", "_columns", "_multiplier", "_panels", "_state")

    def __init__(self, asset: str, column: int, store: Store, panels: Panels) -> None:
        self._asset = asset
        self._column = column
        self._columns: Any = store.position_columns
        self._state: Any = store.columns
        self._multiplier = float(store.multipliers[column])
        self._panels = panels

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._asset

    @property
    def quantity(self) -> float:
        """Signed quantity, negative for a short."""
        return self._columns.quantity[self._column]  # type: ignore[no-any-return]

    @property
    def side(self) -> str:
        """Either "long" or "short"."""
        return "long" if self.quantity > 0 else "short"

    @property
    def entry_price(self) -> float:
        """Average entry price."""
        return self._columns.entry_price[self._column]  # type: ignore[no-any-return]

    @property
    def avg_entry_price(self) -> float:
        """Average entry price, under its other common name."""
        return self.entry_price

    @property
    def entry_time(self) -> datetime:
        """Time of the first entry."""
        return self._panels.timestamp_of(self._columns.entry_time[self._column])

    @property
    def current_price(self) -> float:
        """Last price the position was marked at: this bar's close where the asset has one."""
        return self._columns.current_price[self._column]  # type: ignore[no-any-return]

    @property
    def bars_held(self) -> int:
        """Bars since the entry, 0 on the entry bar."""
        return self._state.bar[0] - self._columns.entry_bar[self._column]  # type: ignore[no-any-return]

    @property
    def initial_quantity(self) -> float:
        """Signed quantity of the first entry."""
        return self._columns.initial_quantity[self._column]  # type: ignore[no-any-return]

    @property
    def multiplier(self) -> float:
        """Money per point of price and unit."""
        return self._multiplier

    @property
    def market_value(self) -> float:
        """Signed value at the current price [money]."""
        return self.quantity * self.current_price * self._multiplier

    @property
    def notional_value(self) -> float:
        """Value at the current price without sign [money]."""
        return abs(self.market_value)

    @property
    def high_water_mark(self) -> float:
        """Highest price since the entry, of the bars before this one."""
        return self._columns.high_water_mark[self._column]  # type: ignore[no-any-return]

    @property
    def low_water_mark(self) -> float:
        """Lowest price since the entry, of the bars before this one."""
        return self._columns.low_water_mark[self._column]  # type: ignore[no-any-return]

    @property
    def signal_price(self) -> float | None:
        """Close at submission of the opening order, None when it was not priced."""
        return known_price(self._columns.signal_price[self._column])

    @property
    def cost_basis(self) -> float:
        """Signed value at the entry price [money]."""
        return self.quantity * self.entry_price * self._multiplier

    @property
    def unrealized_pnl(self) -> UnrealizedPnl:
        """Profit at the current price before costs [money]; call it with a price for the profit there."""
        quantity, entry, multiplier = self.quantity, self.entry_price, self._multiplier
        return UnrealizedPnl((self.current_price - entry) * quantity * multiplier, lambda price: (price - entry) * quantity * multiplier)

    @property
    def entry_commission(self) -> float:
        """Entry commission of the quantity still held [money]."""
        return self._columns.entry_commission[self._column]  # type: ignore[no-any-return]

    @property
    def entry_slippage(self) -> float:
        """Average slippage at entry [price per unit]."""
        return self._columns.entry_slippage[self._column]  # type: ignore[no-any-return]

    @property
    def max_favorable_excursion(self) -> float:
        """Best close so far as a fraction of the entry price, >= 0; this bar's close counts from the next bar on."""
        return self._columns.max_favorable_excursion[self._column]  # type: ignore[no-any-return]

    @property
    def max_adverse_excursion(self) -> float:
        """Worst close so far as a fraction of the entry price, <= 0; this bar's close counts from the next bar on."""
        return self._columns.max_adverse_excursion[self._column]  # type: ignore[no-any-return]

    def _freeze(self, moment: _Moment) -> None:
        self._columns = self._state = moment
        self._column = 0

    def __repr__(self) -> str:
        return f"<Position {self.quantity:g} {self._asset!r} @ {self.entry_price:g}, now {self.current_price:g}>"


class PositionBook:
    """The dict of open positions in position order, kept in step with the ledger by its fills."""

    def __init__(self, store: Store, panels: Panels) -> None:
        self._store = store
        self._panels = panels
        self.open: dict[str, Position] = {}
        self._seen = 0
        probe = {"": Position("", 0, store, panels)} if panels.assets else {}
        self._idle = max(map(_references, probe.values()), default=0)

    def sync(self) -> None:
        """Take the fills since the last call into the dict, and positions that a split paid out off it."""
        columns = self._store.columns
        count = int(columns.fill_count[0])
        if count == self._seen:
            if len(self.open) != columns.open_positions[0]:
                self._rebuild()
            return
        fills = self._store.fills[self._seen : count]
        self._seen = count
        if len(fills) > len(self.open) + _FEW:
            self._rebuild()
            return
        for column, quantity, after in zip(*(fills[name].tolist() for name in ("asset", "quantity", "position")), strict=True):
            asset = self._panels.assets[column]
            if after in (0.0, quantity):  # flat, or opened: one that a split paid out before may still be here, at its old place
                self.open.pop(asset, None)
            if after != 0.0 and asset not in self.open:
                self.open[asset] = Position(asset, column, self._store, self._panels)
        if len(self.open) != columns.open_positions[0]:
            self._rebuild()

    def forget(self) -> None:
        """Forget what was seen of a ledger that has begun anew."""
        self._seen = 0
        self.open.clear()

    def _rebuild(self) -> None:
        """Take the open positions from the ledger's own list; cheaper than going through many fills."""
        before = dict(self.open)
        self.open.clear()
        for column in self._store.open_assets().tolist():
            asset = self._panels.assets[column]
            self.open[asset] = before.get(asset) or Position(asset, column, self._store, self._panels)

    def settle(self) -> None:
        """End the turn of user code: freeze the positions it kept. Call before the ledger moves, with positions open."""
        if max(map(_references, self.open.values())) > self._idle:
            for asset in list(self.open):
                if _references(self.open[asset]) > self._idle:
                    self._replace(asset)

    def _replace(self, asset: str) -> None:
        kept = self.open[asset]
        column = kept._column
        kept._freeze(_Moment(self._store.positions[column], self._store.bar))
        self.open[asset] = Position(asset, column, self._store, self._panels)
