"""From record rows to public objects and Polars frames, a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.frames import time_series
from ml4t_backtest.types import ExitReason, Fill, OrderSide, Trade, TradeStatus
from ml4t_kernels import codes
from ml4t_kernels.dtypes import trade_dtype

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from ml4t_backtest.panels import Panels
    from ml4t_backtest.store import Store
    from ml4t_kernels.dtypes import IntArray, Records

__all__ = ["fills_of", "open_trades", "trades_frame", "trades_of"]

_EXIT_REASONS = tuple(ExitReason[code.name] for code in codes.ExitReason)
_TRADE_STATUSES = tuple(TradeStatus[code.name] for code in codes.TradeStatus)
_TRADE_FLOATS = (
    "pnl",
    "pnl_percent",
    "commission",
    "slippage",
    "mfe",
    "mae",
    "entry_slippage",
    "exit_slippage",
    "multiplier",
)


def _datetimes(times: IntArray, panels: Panels) -> list[datetime]:
    bars = np.searchsorted(panels.times, times).tolist()
    return [panels.timestamps[bar] for bar in bars]


def fills_of(fills: Records, panels: Panels) -> list[Fill]:
    """Return fill rows as `Fill` objects."""
    names = ("order_id", "asset", "quantity", "price", "commission", "slippage", "position")
    columns = [fills[name].tolist() for name in names]
    made = []
    for when, (order_id, asset, quantity, price, commission, slippage, position) in zip(
        _datetimes(fills["timestamp"], panels), zip(*columns, strict=True), strict=True
    ):
        side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
        made.append(Fill(f"ORD-{order_id}", panels.assets[asset], side, abs(quantity), price, when, commission, slippage, position))
    return made


def trades_of(trades: Records, panels: Panels) -> list[Trade]:
    """Return trade rows as `Trade` objects."""
    names = [name for name in trade_dtype.names or () if name not in ("entry_time", "exit_time")]
    entries, exits = _datetimes(trades["entry_time"], panels), _datetimes(trades["exit_time"], panels)
    made = []
    for entry_time, exit_time, values in zip(entries, exits, zip(*(trades[name].tolist() for name in names), strict=True), strict=True):
        fields: dict[str, Any] = dict(zip(names, values, strict=True))
        fields["asset"] = panels.assets[fields["asset"]]
        fields["status"] = _TRADE_STATUSES[fields["status"]]
        fields["exit_reason"] = _EXIT_REASONS[fields["exit_reason"]]
        for name in ("entry_order", "exit_order"):
            fields[name] = f"ORD-{fields[name]}" if fields[name] else None
        made.append(Trade(entry_time=entry_time, exit_time=exit_time, **fields))
    return made


def open_trades(store: Store) -> Records:
    """Return the open positions as trade rows with status "open", marked at their current price."""
    assets = store.open_assets()
    positions = store.positions[assets]
    rows = np.zeros(len(assets), dtype=trade_dtype)
    quantity, entry, price = positions["quantity"], positions["entry_price"], positions["current_price"]
    multiplier = store.multipliers[assets]
    with np.errstate(divide="ignore", invalid="ignore"):
        move = np.where(entry == 0.0, np.nan, (price - entry) / np.abs(entry))
    move = np.where(quantity > 0, move, -move)
    rows["asset"] = assets
    rows["entry_time"] = positions["entry_time"]
    rows["exit_time"] = store.columns.time[0]
    rows["entry_price"] = entry
    rows["exit_price"] = price
    rows["quantity"] = quantity
    rows["pnl"] = (price - entry) * quantity * multiplier - positions["entry_commission"]
    rows["pnl_percent"] = move
    rows["bars_held"] = store.bar - positions["entry_bar"]
    rows["commission"] = positions["entry_commission"]
    rows["slippage"] = positions["entry_slippage"] * np.abs(quantity) * multiplier
    rows["entry_slippage"] = positions["entry_slippage"]
    rows["mfe"] = np.fmax(positions["max_favorable_excursion"], move)
    rows["mae"] = np.fmin(positions["max_adverse_excursion"], move)
    rows["multiplier"] = multiplier
    rows["entry_order"] = positions["entry_order"]
    rows["status"] = codes.TradeStatus.OPEN
    rows["exit_reason"] = codes.ExitReason.END_OF_DATA
    return rows


def _words(name: str, numbers: Any, words: tuple[str, ...]) -> pl.Series:
    import polars as pl

    if len(numbers) == 0:
        return pl.Series(name, [], dtype=pl.String)
    return pl.Series(name, words, dtype=pl.String).gather(pl.Series(numbers.astype(np.uint32)))


def trades_frame(trades: Records, panels: Panels) -> pl.DataFrame:
    """Return trade rows as a frame; columns and types as `BacktestResult.to_trades_dataframe` documents."""
    import polars as pl

    asset = _words("asset", trades["asset"], panels.assets)
    direction = _words("direction", (trades["quantity"] < 0).astype(np.uint32), ("long", "short"))
    floats = {name: pl.Series(name, np.ascontiguousarray(trades[name])) for name in _TRADE_FLOATS}
    return pl.DataFrame(
        [
            asset,
            time_series("entry_time", trades["entry_time"], panels.zone),
            time_series("exit_time", trades["exit_time"], panels.zone),
            pl.Series("entry_price", np.ascontiguousarray(trades["entry_price"])),
            pl.Series("exit_price", np.ascontiguousarray(trades["exit_price"])),
            pl.Series("quantity", np.ascontiguousarray(trades["quantity"])),
            direction,
            floats["pnl"],
            floats["pnl_percent"],
            pl.Series("bars_held", trades["bars_held"].astype(np.int32)),
            floats["commission"],
            floats["slippage"],
            floats["mfe"],
            floats["mae"],
            _words("exit_reason", trades["exit_reason"], tuple(reason.value for reason in _EXIT_REASONS)),
            _words("status", trades["status"], tuple(status.value for status in _TRADE_STATUSES)),
            asset.alias("symbol"),
            floats["commission"].alias("fees"),
            floats["entry_slippage"],
            floats["exit_slippage"],
            floats["multiplier"],
            (floats["pnl"] + floats["commission"]).alias("gross_pnl"),
        ]
    )
