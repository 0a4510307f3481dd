"""Every record layout, each field with a title that gives meaning and unit. Nothing else spells a field.

Field order is by size (8-byte fields first), so that the aligned layouts have padding only at the end. Prices are in
quote currency per unit, money in account currency, times in ns since 1970-01-01 UTC, quantities are signed (negative =
sell or short). NaN is "no price".
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "NO_PRICE",
    "NO_SLOT",
    "FloatArray",
    "IntArray",
    "Record",
    "Records",
    "bar_dtype",
    "bare",
    "contract_dtype",
    "fill_dtype",
    "order_dtype",
    "params_dtype",
    "position_dtype",
    "state_dtype",
    "trade_dtype",
]

Records: TypeAlias = Any  # a structured numpy array; numpy has no type for the fields of its rows
Record: TypeAlias = Any  # one row: a numpy.void in plain Python, a record inside compiled code
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

NO_PRICE: float = float("nan")
NO_SLOT: int = -1


def bare(dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return a layout without its titles: the compiler spells the whole layout in every symbol, so titles cost time."""
    fields = {name: entry[:2] for name, entry in (dtype.fields or {}).items() if name in (dtype.names or ())}
    names = dtype.names or ()
    return np.dtype(
        {
            "names": list(names),
            "formats": [fields[name][0] for name in names],
            "offsets": [fields[name][1] for name in names],
            "itemsize": dtype.itemsize,
        },
        align=True,
    )


def _layout(*fields: tuple[str, str, type]) -> np.dtype[np.void]:
    return np.dtype([((title, name), kind) for name, title, kind in fields], align=True)


order_dtype = _layout(
    ("order_id", "number of the order, from 1", np.int64),
    ("asset", "column of the asset", np.int64),
    ("quantity", "ordered quantity, signed", np.float64),
    ("filled_quantity", "quantity filled so far, signed", np.float64),
    ("limit_price", "limit price, NaN without", np.float64),
    ("stop_price", "stop price, NaN without", np.float64),
    ("filled_price", "average price of the fills, NaN before the first", np.float64),
    ("need", "what a rejected order needed [money]", np.float64),
    ("have", "what the account had for it [money]", np.float64),
    ("created_at", "time of submission [ns UTC]", np.int64),
    ("filled_at", "time of the last fill [ns UTC], 0 before", np.int64),
    ("created_bar", "bar of submission, -1 before the first bar", np.int64),
    ("active_bar", "bar of submission or last update", np.int64),
    ("order_type", "code OrderType", np.int8),
    ("status", "code OrderStatus", np.int8),
    ("reason", "code OrderReason", np.int8),
    ("reduce_only", "1: never opens or flips a position", np.int8),
)

fill_dtype = _layout(
    ("order_id", "order that was filled", np.int64),
    ("asset", "column of the asset", np.int64),
    ("quantity", "quantity, signed", np.float64),
    ("price", "price after slippage", np.float64),
    ("timestamp", "time of the bar [ns UTC]", np.int64),
    ("bar", "number of the bar", np.int64),
    ("commission", "commission [money]", np.float64),
    ("slippage", "price given up to slippage, per unit", np.float64),
    ("position", "signed position of the asset after the fill", np.float64),
)

trade_dtype = _layout(
    ("asset", "column of the asset", np.int64),
    ("entry_time", "time of the first entry [ns UTC]", np.int64),
    ("exit_time", "time of the exit [ns UTC]", np.int64),
    ("entry_price", "average entry price", np.float64),
    ("exit_price", "exit price", np.float64),
    ("quantity", "closed quantity, negative for a short", np.float64),
    ("pnl", "realised profit after commission [money]", np.float64),
    ("pnl_percent", "move in favour of the position as a fraction of the entry price, before costs", np.float64),
    ("bars_held", "bars between entry and exit", np.int64),
    ("commission", "entry share plus exit commission [money]", np.float64),
    ("slippage", "cost of slippage at entry and exit [money]", np.float64),
    ("entry_slippage", "average slippage at entry, per unit", np.float64),
    ("exit_slippage", "slippage at exit, per unit", np.float64),
    ("mfe", "maximum favourable excursion, fraction of the entry price, >= 0", np.float64),
    ("mae", "maximum adverse excursion, fraction of the entry price, <= 0", np.float64),
    ("multiplier", "contract multiplier", np.float64),
    ("status", "code TradeStatus", np.int8),
    ("exit_reason", "code ExitReason", np.int8),
)

position_dtype = _layout(
    ("quantity", "signed quantity, 0 when flat", np.float64),
    ("entry_price", "average entry price", np.float64),
    ("current_price", "last price the position was marked at", np.float64),
    ("initial_quantity", "signed quantity of the opening fill", np.float64),
    ("entry_commission", "entry commission of the quantity still held [money]", np.float64),
    ("entry_slippage", "average slippage at entry, per unit", np.float64),
    ("max_favorable_excursion", "best close so far, fraction of the entry price, >= 0", np.float64),
    ("max_adverse_excursion", "worst close so far, fraction of the entry price, <= 0", np.float64),
    ("entry_time", "time of the opening fill [ns UTC]", np.int64),
    ("entry_bar", "bar of the opening fill", np.int64),
    ("slot", "place in the list of open positions, -1 when flat", np.int64),
)

contract_dtype = _layout(("multiplier", "money per point of price and unit", np.float64))

params_dtype = _layout(
    ("commission_rate", "fraction of the notional", np.float64),
    ("commission_per_share", "money per unit", np.float64),
    ("commission_minimum", "least commission of a fill [money]", np.float64),
    ("slippage_amount", "price per unit", np.float64),
    ("slippage_rate", "fraction of the price", np.float64),
    ("commission_kind", "code CommissionKind", np.int8),
    ("slippage_kind", "code SlippageKind", np.int8),
    ("price_field", "code PriceField: price of market orders", np.int8),
    ("same_bar", "1: a second fill pass after the strategy", np.int8),
    ("allow_short", "1: short positions allowed", np.int8),
)

bar_dtype = _layout(
    ("time", "time of the bar [ns UTC]", np.int64),
    ("equity", "account value when the bar closed [money]", np.float64),
    ("cash", "cash when the bar closed [money]", np.float64),
)

state_dtype = _layout(
    ("cash", "cash [money]", np.float64),
    ("equity", "account value at the last marking [money]", np.float64),
    ("time", "time of the current bar [ns UTC]", np.int64),
    ("bar", "number of the current bar, -1 before the first", np.int64),
    ("row", "row of the current bar in the market buffer", np.int64),
    ("row_step", "rows to move per bar: 1 over a history, 0 in a one-row buffer", np.int64),
    ("stage", "code Stage", np.int64),
    ("cursor", "place in the live list where a fill pass resumes", np.int64),
    ("fills_before", "fill count when the host last got control", np.int64),
    ("rows", "rows of the market buffer", np.int64),
    ("assets", "number of assets", np.int64),
    ("order_count", "orders so far", np.int64),
    ("order_capacity", "rows of the order buffer", np.int64),
    ("live_count", "entries of the live list, finished orders among them until the next sweep", np.int64),
    ("fill_count", "fills so far", np.int64),
    ("fill_capacity", "rows of the fill buffer", np.int64),
    ("trade_count", "trades so far", np.int64),
    ("trade_capacity", "rows of the trade buffer", np.int64),
    ("open_count", "entries of the open list, gaps among them until the next marking", np.int64),
    ("open_gaps", "gaps in the open list", np.int64),
    ("open_capacity", "length of the open list", np.int64),
    ("params_address", "address of the params record", np.int64),
    ("contracts_address", "address of the contract rows", np.int64),
    ("positions_address", "address of the position rows", np.int64),
    ("open_address", "address of the open list", np.int64),
    ("orders_address", "address of the order rows", np.int64),
    ("live_address", "address of the live list", np.int64),
    ("fills_address", "address of the fill rows", np.int64),
    ("trades_address", "address of the trade rows", np.int64),
    ("bars_address", "address of the bar rows", np.int64),
    ("opens_address", "address of the open prices, rows of bars, columns of assets", np.int64),
    ("highs_address", "address of the high prices", np.int64),
    ("lows_address", "address of the low prices", np.int64),
    ("closes_address", "address of the close prices", np.int64),
)
