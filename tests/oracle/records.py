"""What the oracle writes down: orders, fills, positions, trades, cash flows and the result of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tests.oracle.numbers import Number

OrderType: TypeAlias = Literal[
    "market",
    "limit",
    "stop",
    "stop_limit",
    "trailing_stop",
    "market_on_open",
    "limit_on_open",
    "market_on_close",
    "limit_on_close",
]
OrderStatus: TypeAlias = Literal["pending", "filled", "cancelled", "rejected", "expired"]
TradeStatus: TypeAlias = Literal["closed", "partial", "open"]

ORDER_TYPES = OrderType.__args__  # type: ignore[attr-defined]
LIMITED = ("limit", "stop_limit", "limit_on_open", "limit_on_close")
STOPPED = ("stop", "stop_limit")
ON_OPEN = ("market_on_open", "limit_on_open")
ON_CLOSE = ("market_on_close", "limit_on_close")


@dataclass
class OracleOrder:
    order_id: int
    asset: str
    quantity: Number  # signed, as ordered or last updated; cuts do not change it
    order_type: OrderType
    limit_price: Number | None
    stop_price: Number | None  # of a trailing stop: its present level, None before its first close
    reduce_only: bool
    filled_quantity: Number  # signed, 0 until filled
    created_bar: int  # -1: submitted in on_start
    active_bar: int  # bar of the last submission or update
    created_time: int
    raw_commission: Number  # sum over the fills, before the parts that count per order
    commission: Number  # paid so far
    taken: Number  # unsigned, what fills of the group have taken off
    signal_price: Number | None = None
    trail_amount: Number | None = None
    trail_percent: Number | None = None
    time_in_force: str = "GTC"
    good_till: int | None = None
    displayed_quantity: Number | None = None
    fraction: Number | None = None  # of an order for all that the account can pay
    parent: int | None = None
    group: int | None = None
    target: bool = False  # of a bracket
    exit_reason: str | None = None  # given by a rule, a margin call, a portfolio limit or the end of the data
    rule: bool = False  # the exit of a rule
    dormant: bool = False
    due_bar: int = -1  # no turn before this bar
    late_bar: int = -2  # woke on this bar after its open
    fixed_price: Number | None = None  # only on the bar of its submission
    at_open: bool = False  # deferred to the open of a later bar
    bound: int | None = None  # number of the position that it reduces
    first_session: Any = None  # session of its first turn
    had_turn: bool = False
    saw_bar: bool = False  # a market order that had a turn on a bar of its asset and is still pending
    triggered_bar: int | None = None  # a stop-limit acts as a limit order on later bars
    reached: bool = False  # a close has triggered it for good
    trail_start_bar: int = -2  # bar on which a trailing stop took its start from the close
    trail_moved_bar: int = -2  # last bar on which the level of a trailing stop was moved
    last_fill_bar: int = -2
    status: OrderStatus = "pending"
    filled_price: Number | None = None  # the mean over the fills
    filled_time: int | None = None  # of the last fill
    ended_time: int | None = None  # when it stopped being pending
    reason: str | None = None
    need: Number | None = None
    have: Number | None = None

    @property
    def left(self) -> Number:
        """Unsigned: what is left to fill."""
        return abs(self.quantity) - abs(self.filled_quantity) - self.taken


@dataclass(frozen=True)
class OracleFill:
    order_id: int
    asset: str
    quantity: Number  # signed
    price: Number
    time: int
    bar: int
    commission: Number
    slippage: Number  # per unit, impact included
    position: Number  # signed position after the fill


@dataclass
class OraclePosition:
    number: int  # every opened position has its own
    quantity: Number  # signed, never 0
    initial_quantity: Number  # signed, as opened; only splits change it
    entry_price: Number
    entry_time: int
    entry_bar: int
    entry_commission: Number  # belongs to the quantity that is still open
    entry_slippage: Number  # per unit
    current_price: Number
    basis: Number  # price of the last settlement of a future, else 0
    signal_price: Number | None
    high_mark: Number
    low_mark: Number
    marks_bar: int  # bar on which the marks started
    max_favorable_excursion: Number
    max_adverse_excursion: Number
    cost_basis: Any = None  # kept with split_accounting = cost_basis
    bars_held: int = 0
    rule: Any = None  # its own rule
    last_exit: OracleOrder | None = None  # of a rule, a margin call or a portfolio limit
    context: dict[str, Any] = field(default_factory=dict)  # values given by hand for its rules
    memory: dict[Any, Any] = field(default_factory=dict)  # used targets and kept volatilities of its rules


@dataclass(frozen=True)
class OracleTrade:
    asset: str
    entry_time: int
    exit_time: int
    entry_price: Number
    exit_price: Number
    quantity: Number  # signed
    pnl: Number
    pnl_percent: Number | None  # None is the rule book's NaN: the entry price was exactly 0
    bars_held: int
    commission: Number
    entry_slippage: Number  # per unit
    exit_slippage: Number  # per unit
    slippage: Number  # total, in money
    mfe: Number
    mae: Number
    multiplier: Number
    status: TradeStatus
    exit_reason: str


@dataclass(frozen=True)
class CashFlow:
    bar: int
    asset: str | None
    kind: str
    amount: Number  # what cash grew by


@dataclass(frozen=True)
class Alert:
    """A breached portfolio limit, or a margin call."""

    bar: int
    limit: int  # its place among the limits; -1: a margin call
    measure: Number  # of a margin call: the account value
    bound: Number  # of a margin call: the requirement
    action: str


@dataclass(frozen=True)
class OracleResult:
    orders: list[OracleOrder]
    fills: list[OracleFill]
    trades: list[OracleTrade]
    equity: list[Number]
    cash: list[Number]
    positions: dict[str, OraclePosition]
    cash_flows: list[CashFlow] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)  # what the broker said to the actions of a script
