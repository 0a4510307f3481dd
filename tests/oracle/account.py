"""The state of a run: cash, positions and everything recorded so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.bars import Bar, Session
from tests.oracle.numbers import Number
from tests.oracle.records import CashFlow, OracleFill, OracleOrder, OraclePosition, OracleTrade
from tests.oracle.settings import Rules


@dataclass
class Account:
    rules: Rules
    cash: Number
    account_value: Number  # as of the last valuation: step 5 while on_data runs
    bar_index: int = -1  # -1: on_start
    time: int = -1
    session: Session = field(default_factory=lambda: Session(None, first=False, last=False))
    bars: dict[str, Bar] = field(default_factory=dict)  # the priced assets of the current bar
    signals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the current bar
    positions: dict[str, OraclePosition] = field(default_factory=dict)  # in position order
    positions_opened: int = 0
    orders: list[OracleOrder] = field(default_factory=list)  # all; the order with id n is at n - 1
    pending: list[OracleOrder] = field(default_factory=list)  # in order of submission
    fills: list[OracleFill] = field(default_factory=list)
    trades: list[OracleTrade] = field(default_factory=list)
    cash_flows: list[CashFlow] = field(default_factory=list)
    unsettled: list[tuple[int, Number]] = field(default_factory=list)  # (bar of release, amount)
    passes: int = 0
    pass_value: Any = None  # account value and requirement of the running pass, leveraged accounts only
    pass_requirement: Any = None
    rule_exit_bar: dict[str, int] = field(default_factory=dict)  # last bar on which a rule closed the asset's position
    asset_rules: dict[str, Any] = field(default_factory=dict)
    global_rule: Any = None
    session_start_time: int | None = None  # time of the first bar of the present session

    def quantity(self, asset: str) -> Number:
        position = self.positions.get(asset)
        return self.rules.zero if position is None else position.quantity

    def position_number(self, asset: str) -> int | None:
        position = self.positions.get(asset)
        return None if position is None else position.number

    def value(self, asset: str) -> Number:
        """The value of a position at its mark; 0 without one."""
        position = self.positions.get(asset)
        if position is None:
            return self.rules.zero
        return position.quantity * (position.current_price - position.basis) * self.rules.multipliers[asset]

    def requirement(self, asset: str, x: Number, price: Number, kind: str) -> Number:
        """The initial or maintenance requirement of a quantity at a price."""
        contract, settings = self.rules.contracts[asset], self.rules.settings
        money = contract.initial_margin
        if kind == "maintenance" and contract.maintenance_margin is not None:
            money = contract.maintenance_margin
        if money is not None:
            return abs(x) * money
        if kind == "initial":
            rate = settings.initial_margin
        else:
            rate = settings.short_maintenance_margin if x < 0 else settings.long_maintenance_margin
        return abs(x * price) * contract.multiplier * rate

    def marked_requirement(self, asset: str, kind: str) -> Number:
        position = self.positions.get(asset)
        if position is None:
            return self.rules.zero
        return self.requirement(asset, position.quantity, position.current_price, kind)

    def total_requirement(self, kind: str) -> Number:
        total = self.rules.zero
        for asset in self.positions:
            total = total + self.marked_requirement(asset, kind)
        return total

    def total_value(self) -> Number:
        """Cash, then the value of each position in position order."""
        value = self.cash
        for asset in self.positions:
            value = value + self.value(asset)
        return value

    def mark(self, price: Callable[[Bar], Number]) -> None:
        """Take a price of the bar where there is one."""
        for asset, position in self.positions.items():
            if asset in self.bars:
                position.current_price = price(self.bars[asset])

    def mark_and_value(self) -> None:
        """Step 5: take the close where there is one, then value cash and positions in position order."""
        self.mark(lambda bar: bar.close)
        self.account_value = self.total_value()

    def available_cash(self, without: str | None = None) -> Number:
        """`without`: the asset whose short is being flipped, which locks nothing."""
        free = self.cash - self._locked(without) - self._unsettled_cash()
        return free * (1 - self.rules.settings.cash_buffer_pct) if free > 0 else free

    def _locked(self, without: str | None) -> Number:
        policy = self.rules.settings.short_cash_policy
        total = self.rules.zero
        if self.rules.leveraged or policy == "credit":
            return total
        for asset, position in self.positions.items():
            if position.quantity < 0 and asset != without:
                total = total + abs(position.quantity) * position.entry_price * self.rules.multipliers[asset]
        return 2 * total if policy == "lock_notional" else total

    def _unsettled_cash(self) -> Number:
        total = self.rules.zero
        if self.rules.settings.settlement_reduces_buying_power:
            for _, amount in self.unsettled:
                total = total + amount
        return total

    def release_settled(self) -> None:
        self.unsettled = [(bar, amount) for bar, amount in self.unsettled if bar > self.bar_index]

    def record_cash_flow(self, asset: str | None, kind: str, amount: Number) -> None:
        self.cash = self.cash + amount
        if amount != 0:
            self.cash_flows.append(CashFlow(self.bar_index, asset, kind, amount))

    def end(self, order: OracleOrder, status: Any, reason: str | None) -> None:
        """The order is no longer pending; children that still wait for it are cancelled with it."""
        order.status, order.reason, order.ended_time = status, reason, self.time
        for child in self.pending:
            if child.parent == order.order_id and child.dormant and child.status == "pending":
                self.end(child, "cancelled", "PARENT_NOT_FILLED")

    def drop_finished_orders(self) -> None:
        self.pending = [order for order in self.pending if order.status == "pending"]


def price_return(quantity: Number, entry_price: Number, price: Number) -> Number | None:
    """The return of a position before costs; None (the rule book's NaN) for an entry price of exactly 0."""
    if entry_price == 0:
        return None
    r = (price - entry_price) / abs(entry_price)
    return -r if quantity < 0 else r
