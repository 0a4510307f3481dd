"""The state of a run: cash, positions and everything recorded so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracle.bars import Bar
from tests.oracle.numbers import Number
from tests.oracle.records import OracleFill, OracleOrder, OraclePosition, OracleTrade
from tests.oracle.settings import Rules


@dataclass
class Account:
    rules: Rules
    cash: Number
    account_value: Number  # as of the last valuation: step 3 while on_data runs
    bar_index: int = -1  # -1: on_start
    time: int = -1
    bars: dict[str, Bar] = field(default_factory=dict)  # the priced assets of the current bar
    positions: dict[str, OraclePosition] = field(default_factory=dict)  # in position order
    orders: list[OracleOrder] = field(default_factory=list)  # all; the order with id n is at n - 1
    pending: list[OracleOrder] = field(default_factory=list)  # in order of submission
    fills: list[OracleFill] = field(default_factory=list)
    trades: list[OracleTrade] = field(default_factory=list)

    def quantity(self, asset: str) -> Number:
        position = self.positions.get(asset)
        return self.rules.zero if position is None else position.quantity

    def drop_finished_orders(self) -> None:
        self.pending = [order for order in self.pending if order.status == "pending"]

    def mark_and_value(self) -> None:
        """Step 3: take the close where there is one, then value cash and positions in position order."""
        for asset, position in self.positions.items():
            if asset in self.bars:
                position.current_price = self.bars[asset].close
        value = self.cash
        for asset, position in self.positions.items():
            value = value + position.quantity * position.current_price * self.rules.multipliers[asset]
        self.account_value = value

    def take_excursions(self) -> None:
        """Step 6, after marking: the excursions of the priced positions take the close in."""
        for asset, position in self.positions.items():
            r = price_return(position.quantity, position.entry_price, position.current_price)
            if asset in self.bars and r is not None:
                position.max_favorable_excursion = max(position.max_favorable_excursion, r)
                position.max_adverse_excursion = min(position.max_adverse_excursion, r)


def price_return(quantity: Number, entry_price: Number, price: Number) -> Number | None:
    """The return of a position before costs; None (the rule book's NaN) for an entry price of exactly 0."""
    if entry_price == 0:
        return None
    r = (price - entry_price) / abs(entry_price)
    return -r if quantity < 0 else r
