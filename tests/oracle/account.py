"""The state of a run: cash, positions and everything recorded so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.oracle.bars import Bar, Session
from tests.oracle.numbers import Number
from tests.oracle.records import Alert, CashFlow, OracleFill, OracleOrder, OraclePosition, OracleTrade
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
    last_bars: dict[str, Bar] = field(default_factory=dict)  # the last one of each asset, up to now
    signals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the current bar
    positions: dict[str, OraclePosition] = field(default_factory=dict)  # in position order
    positions_opened: int = 0
    orders: list[OracleOrder] = field(default_factory=list)  # all; the order with id n is at n - 1
    pending: list[OracleOrder] = field(default_factory=list)  # in order of submission
    fills: list[OracleFill] = field(default_factory=list)
    trades: list[OracleTrade] = field(default_factory=list)
    cash_flows: list[CashFlow] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    free: Number = field(init=False)  # "Free cash"
    debt: dict[str, Number] = field(default_factory=dict)  # likewise, by asset
    settling: list[Number] = field(init=False)  # proceeds by the bar of their release, modulo 8
    unsettled: Number = field(init=False)
    pass_value: Any = None  # account value, requirement and short value of the running pass
    pass_requirement: Any = None
    pass_short_value: Any = None
    pass_initial: Any = None  # the initial requirement, whatever the basis
    shadow_bar: int | None = None  # the bar whose orders are in the shadow account
    shadow_cash: Any = None
    shadow: dict[str, Number] = field(default_factory=dict)
    rule_exit_bar: dict[str, int] = field(default_factory=dict)  # last bar on which a rule closed the asset's position
    spent_bar: dict[str, int] = field(default_factory=dict)  # last bar on which an order found none of the asset's volume left
    last_close: dict[str, Number] = field(default_factory=dict)
    unspread: dict[str, tuple[int, Number]] = field(default_factory=dict)  # bar and commissions that the cost basis does not have yet
    asset_rules: dict[str, Any] = field(default_factory=dict)
    global_rule: Any = None
    session_start_time: int | None = None  # time of the first bar of the present session
    start_value: Number = field(init=False)  # what the portfolio limits remember: account values of step 5
    last_value: Number = field(init=False)
    peak_value: Number = field(init=False)
    recorded: list[Number] = field(default_factory=list)  # account values of the bars before
    blocked: bool = False  # no new risk until the next check of the portfolio limits
    halted: bool = False  # no new risk any more

    def __post_init__(self) -> None:
        self.settling, self.unsettled = [self.rules.zero] * 8, self.rules.zero
        self.start_value = self.last_value = self.peak_value = self.free = self.cash

    def quantity(self, asset: str) -> Number:
        position = self.positions.get(asset)
        return self.rules.zero if position is None else position.quantity

    def bar_of(self, order: OracleOrder) -> Bar | None:
        """The bar that an order may trade on: its asset's, or with `missing_bar_orders` the last one again, without quotes and vwap."""
        bar = self.bars.get(order.asset)
        sees = order.order_type in ("limit", "stop", "stop_limit", "trailing_stop") or (order.order_type == "market" and order.saw_bar)
        if bar is not None or self.rules.settings.missing_bar_orders == "wait" or not sees or order.asset not in self.last_bars:
            return bar
        return replace(self.last_bars[order.asset], bid=None, ask=None, vwap=None)

    def position_number(self, asset: str) -> int | None:
        position = self.positions.get(asset)
        return None if position is None else position.number

    def pending_exit(self, asset: str) -> OracleOrder | None:
        """The last exit of a rule, a margin call or a portfolio limit for the present position, while it is pending."""
        order = self.positions[asset].last_exit
        return order if order is not None and order.status == "pending" else None

    def value(self, asset: str) -> Number:
        """The value of a position at its mark; 0 without one."""
        position = self.positions.get(asset)
        if position is None:
            return self.rules.zero
        return position.quantity * (position.current_price - position.basis) * self.rules.multipliers[asset]

    def requirement(self, asset: str, x: Number, price: Number, kind: str) -> Number:
        """The initial or maintenance requirement of a quantity at a price."""
        contract, settings = self.rules.contracts[asset], self.rules.settings
        multiplier: Number = contract.multiplier
        money: Number | None = contract.initial_margin
        if kind == "maintenance" and contract.maintenance_margin is not None:
            money = contract.maintenance_margin
        if money is not None:
            return abs(x) * money
        if kind == "initial":
            rate: Number = settings.initial_margin
        else:
            rate = settings.short_maintenance_margin if x < 0 else settings.long_maintenance_margin
        return abs(x * price) * multiplier * rate

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
        """Take a price of the bar where there is one; orders that traded on the last bar again leave its close."""
        again = self.rules.settings.missing_bar_orders == "last_bar"
        for asset, position in self.positions.items():
            if asset in self.bars:
                position.current_price = price(self.bars[asset])
            elif again:
                position.current_price = self.last_bars[asset].close

    def mark_and_value(self) -> None:
        """Step 5: take the close where there is one, then value cash and positions in position order."""
        self.mark(lambda bar: bar.close)
        self.last_close.update({asset: bar.close for asset, bar in self.bars.items()})
        self.account_value = self.total_value()

    def available_cash(self, without: str | None = None) -> Number:
        """`without`: the asset whose short is being flipped, which locks nothing."""
        free = self.cash - self._locked(without)
        if self.rules.settings.settlement_reduces_buying_power:
            free = free - self.unsettled
        return free * (1 - self.rules.settings.cash_buffer_pct) if free > 0 else free

    def _locked(self, without: str | None) -> Number:
        if not self.rules.locks_cash:
            return self.rules.zero
        total: Number = self.pass_short_value
        if without is not None:
            total = total - self.short_value(without)
        return 2 * total if self.rules.settings.short_cash_policy == "lock_notional" else total

    def short_value(self, asset: str) -> Number:
        """What a short position was sold for; 0 without one."""
        position = self.positions.get(asset)
        if position is None or not position.quantity < 0:
            return self.rules.zero
        return abs(position.quantity) * position.entry_price * self.rules.multipliers[asset]

    def total_short_value(self) -> Number:
        total = self.rules.zero
        for asset in self.positions:
            total = total + self.short_value(asset)
        return total

    def slips(self, order: OracleOrder) -> bool:
        """Does slippage come on top of the price of the order? Exits of rules at a price of their own may be without."""
        own_price = order.rule and order.fixed_price is not None and order.created_bar == self.bar_index
        return self.rules.settings.rule_exit_slippage or not own_price

    def settle_later(self, amount: Number) -> None:
        slot = (self.bar_index + self.rules.settings.settlement_delay) % 8
        self.settling[slot] = self.settling[slot] + amount
        self.unsettled = self.unsettled + amount

    def release_settled(self) -> None:
        self.settling[self.bar_index % 8] = self.rules.zero
        self.unsettled = self.rules.zero
        for amount in self.settling:
            self.unsettled = self.unsettled + amount

    def record_cash_flow(self, asset: str | None, kind: str, amount: Number) -> None:
        self.cash = self.cash + amount
        self.free = self.free + amount
        if amount != 0:
            self.cash_flows.append(CashFlow(self.bar_index, asset, kind, amount))

    def end(self, order: OracleOrder, status: Any, reason: str | None) -> None:
        """The order is no longer pending; what is linked as one ends with an order that is not filled."""
        self.stop([order], status, reason)
        if status != "filled" and self.rules.settings.linked_orders == "as_one":
            parent = [] if order.parent is None else [self.orders[order.parent - 1]]
            linked = [*parent, *self.members(order)]
            self.stop([other for other in linked if other.status == "pending"], "cancelled", "GROUP_ENDED")

    def members(self, order: OracleOrder) -> list[OracleOrder]:
        """The other pending orders of the order's group."""
        if order.group is None:
            return []
        return [other for other in self.pending if other.group == order.group and other is not order and other.status == "pending"]

    def stop(self, orders: list[OracleOrder], status: Any, reason: str | None) -> None:
        """These orders are no longer pending; children that still wait for one of them are cancelled with it."""
        for order in orders:
            order.status, order.reason, order.ended_time = status, reason, self.time
        for order in orders:
            waiting = [child for child in self.pending if child.parent == order.order_id and child.dormant and child.status == "pending"]
            self.stop(waiting, "cancelled", "PARENT_NOT_FILLED") if waiting else None

    def drop_finished_orders(self) -> None:
        self.pending = [order for order in self.pending if order.status == "pending"]


def price_return(quantity: Number, entry_price: Number, price: Number) -> Number | None:
    """The return of a position before costs; None (the rule book's NaN) for an entry price of exactly 0."""
    if entry_price == 0:
        return None
    r = (price - entry_price) / abs(entry_price)
    return -r if quantity < 0 else r
