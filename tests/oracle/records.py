"""What the oracle writes down: orders, fills, positions, trades and the result of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.oracle.numbers import Number

OrderType: TypeAlias = Literal["market", "limit", "stop"]
OrderStatus: TypeAlias = Literal["pending", "filled", "cancelled", "rejected"]
TradeStatus: TypeAlias = Literal["closed", "partial", "open"]
ExitReason: TypeAlias = Literal["signal", "end_of_data"]


@dataclass
class OracleOrder:
    order_id: int
    asset: str
    quantity: Number  # signed, as ordered or last updated; a reduce-only cut does not change it
    order_type: OrderType
    limit_price: Number | None
    stop_price: Number | None
    reduce_only: bool
    filled_quantity: Number  # signed, 0 until filled
    created_bar: int  # -1: submitted in on_start
    active_bar: int  # bar of the last submission or update
    status: OrderStatus = "pending"
    filled_price: Number | None = None
    reason: str | None = None
    need: Number | None = None  # only for INSUFFICIENT_CASH
    have: Number | None = None


@dataclass(frozen=True)
class OracleFill:
    order_id: int
    asset: str
    quantity: Number  # signed
    price: Number
    time: int
    bar: int
    commission: Number
    slippage: Number  # per unit
    position: Number  # signed position after the fill


@dataclass
class OraclePosition:
    quantity: Number  # signed, never 0
    entry_price: Number
    entry_time: int
    entry_commission: Number  # belongs to the quantity that is still open
    entry_slippage: Number  # per unit
    current_price: Number
    max_favorable_excursion: Number
    max_adverse_excursion: Number
    bars_held: int = 0


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
    exit_reason: ExitReason


@dataclass(frozen=True)
class OracleResult:
    orders: list[OracleOrder]
    fills: list[OracleFill]
    trades: list[OracleTrade]
    equity: list[Number]
    cash: list[Number]
    positions: dict[str, OraclePosition]
