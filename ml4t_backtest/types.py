"""Public enumerations and the plain records of a result: `Fill` and `Trade`.

Member names equal those of the kernel codes, member values are the strings of the output frames. User code also imports
`AssetClass`, `ContractSpec`, `Order`, `Position` and `AssetTradingStats` from here; they live in other rooms and are fetched from
there on first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from ml4t_backtest.hints import did_you_mean

if TYPE_CHECKING:
    from datetime import datetime

    from ml4t_backtest.accounting.position import Position
    from ml4t_backtest.contracts import AssetClass, ContractSpec
    from ml4t_backtest.orderhandle import Order
    from ml4t_backtest.trading_stats import AssetTradingStats

__all__ = [
    "AssetClass",
    "AssetTradingStats",
    "ContractSpec",
    "ExecutionMode",
    "ExecutionPrice",
    "ExitReason",
    "Fill",
    "Order",
    "OrderReason",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "Position",
    "StopFillMode",
    "StopLevelBasis",
    "TimeInForce",
    "Trade",
    "TradeStatus",
    "member",
]

E = TypeVar("E", bound=Enum)

_ELSEWHERE = {
    "AssetClass": "contracts",
    "AssetTradingStats": "trading_stats",
    "ContractSpec": "contracts",
    "Order": "orderhandle",
    "Position": "accounting.position",
}


def __getattr__(name: str) -> object:
    home = _ELSEWHERE.get(name)
    if home is None:
        raise AttributeError(f"module 'ml4t_backtest.types' has no attribute {name!r}{did_you_mean(name, __all__)}")
    return getattr(import_module(f"ml4t_backtest.{home}"), name)


class OrderType(Enum):
    """What makes an order trade."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    MARKET_ON_OPEN = "market_on_open"
    LIMIT_ON_OPEN = "limit_on_open"
    MARKET_ON_CLOSE = "market_on_close"
    LIMIT_ON_CLOSE = "limit_on_close"


class OrderSide(Enum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderStatus(Enum):
    """Where an order is in its life."""

    PENDING = "pending"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    PARTIALLY_FILLED = "partially_filled"


class TimeInForce(str, Enum):
    """How long an order stays: until cancelled, for a session, until a time, or only for its first turn (in part, or whole)."""

    GTC = "gtc"
    DAY = "day"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"


class OrderReason(str, Enum):
    """Why an order was cancelled, rejected or expired."""

    NONE = "none"
    CANCELLED_BY_USER = "cancelled_by_user"
    POSITION_CLOSED = "position_closed"
    RUN_STOPPED = "run_stopped"
    INSUFFICIENT_CASH = "insufficient_cash"
    SHORT_NOT_ALLOWED = "short_not_allowed"
    REVERSAL_NOT_ALLOWED = "reversal_not_allowed"
    INSUFFICIENT_BUYING_POWER = "insufficient_buying_power"
    ROUNDS_TO_ZERO = "rounds_to_zero"
    REENTRY_BLOCKED = "reentry_blocked"
    PARENT_NOT_FILLED = "parent_not_filled"
    GROUP_ENDED = "group_ended"
    SIBLING_FILLED = "sibling_filled"
    TIME_IN_FORCE = "time_in_force"
    ORDER_SIZE = "order_size"
    POSITION_SIZE = "position_size"
    TOO_MANY_POSITIONS = "too_many_positions"
    RISK_BLOCKED = "risk_blocked"
    RUN_ENDED = "run_ended"
    HALTED = "halted"
    SUBMISSION_CHECK = "submission_check"
    RESERVATION = "reservation"


class ExecutionMode(str, Enum):
    """When orders of a bar trade: on that bar's close, or on the next bar."""

    SAME_BAR = "same_bar"
    NEXT_BAR = "next_bar"


class ExecutionPrice(str, Enum):
    """The price of the bar at which market orders trade."""

    OPEN = "open"
    CLOSE = "close"
    MID = "mid"
    VWAP = "vwap"


class StopFillMode(str, Enum):
    """Where position rules with a level fill."""

    STOP_PRICE = "stop_price"
    CLOSE_PRICE = "close_price"
    BAR_EXTREME = "bar_extreme"
    NEXT_BAR_OPEN = "next_bar_open"


class StopLevelBasis(str, Enum):
    """What the levels of stops and targets count from: the entry price, or the close at submission."""

    FILL_PRICE = "fill_price"
    SIGNAL_PRICE = "signal_price"


class ExitReason(str, Enum):
    """Why a position was closed or reduced."""

    SIGNAL = "signal"
    END_OF_DATA = "end_of_data"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    TIME_STOP = "time_stop"
    VOLATILITY_STOP = "volatility_stop"
    SCALED_EXIT = "scaled_exit"
    MARGIN_CALL = "margin_call"
    RISK_LIQUIDATION = "risk_liquidation"
    CORPORATE_ACTION = "corporate_action"


class TradeStatus(str, Enum):
    """What a trade stands for: a closed position, a part that was sold, or a position open at the end."""

    CLOSED = "closed"
    PARTIAL = "partial"
    OPEN = "open"


def member(kind: type[E], value: E | str, argument: str) -> E:
    """Return the member of `kind` for a member, its value, or its name in any case.

    Raises ValueError that names `argument` and lists the choices.
    """
    if isinstance(value, kind):
        return value
    text = str(value.value if isinstance(value, Enum) else value)
    for name, candidate in kind.__members__.items():
        if text.lower() in (str(candidate.value).lower(), name.lower()):
            return candidate
    choices = [str(candidate.value) for candidate in kind]
    raise ValueError(f"{argument} was {text!r}, expected one of {choices}{did_you_mean(text, choices)}")


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. Times are datetimes, prices floats in quote currency, commission money, slippage a price per unit."""

    order_id: str
    asset: str
    side: OrderSide
    quantity: float
    price: float
    timestamp: datetime
    commission: float = 0.0
    slippage: float = 0.0
    position: float = 0.0

    @property
    def signed_quantity(self) -> float:
        """Quantity with the sign of the side."""
        return self.quantity if self.side is OrderSide.BUY else -self.quantity


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip, a part of one (status "partial"), or a position open at the end (status "open").

    `quantity` is negative for shorts; `pnl`, `commission` and `slippage` are money, `entry_slippage` and
    `exit_slippage` prices per unit; `pnl_percent`, `mfe` and `mae` are fractions of the entry price, before costs.
    """

    asset: str
    entry_time: datetime
    exit_time: datetime
    entry_price: float
    exit_price: float
    quantity: float
    pnl: float
    pnl_percent: float
    bars_held: int
    commission: float = 0.0
    slippage: float = 0.0
    entry_slippage: float = 0.0
    exit_slippage: float = 0.0
    mfe: float = 0.0
    mae: float = 0.0
    multiplier: float = 1.0
    entry_order: str | None = None
    exit_order: str | None = None
    exit_reason: ExitReason = ExitReason.SIGNAL
    status: TradeStatus = TradeStatus.CLOSED

    @property
    def symbol(self) -> str:
        """The asset, under its other common name."""
        return self.asset

    @property
    def fees(self) -> float:
        """The commission, under its other common name [money]."""
        return self.commission

    @property
    def pnl_pct(self) -> float:
        """`pnl_percent`, under its other common name."""
        return self.pnl_percent

    @property
    def direction(self) -> str:
        """Either "long" or "short"."""
        return "long" if self.quantity > 0 else "short"

    @property
    def gross_pnl(self) -> float:
        """Profit before commission [money]; slippage is in the prices."""
        return self.pnl + self.commission

    @property
    def is_open(self) -> bool:
        """Whether the position was still open at the end."""
        return self.status is TradeStatus.OPEN
