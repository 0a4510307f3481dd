"""Runs over consecutive parts of the bars, put together to one result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.result import BacktestResult
from ml4t_kernels.codes import TradeStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["RECORDS", "Piece", "stitched", "windows_of"]

RECORDS = ("fills", "orders", "trades", "flows", "alerts")
# Fields that number something from the beginning of a run: they go on counting from piece to piece. 0 is nothing.
_ORDER_IDS = ("order_id", "parent_id", "sibling_id", "entry_order", "exit_order")
_BARS = ("bar", "created_bar", "active_bar", "eligible_bar")
_BARS_PLUS_ONE = ("filled_bar", "moved_bar")


@dataclass(frozen=True)
class Piece:
    """One run. warmup: bars at its start that are left out. held: value of what earlier pieces could not sell [money]."""

    result: BacktestResult
    warmup: int
    held: float


@dataclass
class _Counts:
    """What the pieces so far have used up."""

    bars: int = 0
    orders: int = 0
    positions: int = 0


def stitched(pieces: Sequence[Piece], panels: Panels, config: BacktestConfig, status: str) -> BacktestResult:
    """Return the result of all pieces, in order of time.

    panels: of the whole feed. config: of the first piece. Orders, positions and bars are numbered through; the account value of a piece
    includes what earlier ones could not sell.
    """
    first = pieces[0].result
    made = BacktestResult.__new__(BacktestResult)
    made.config, made.status = config, status
    made._panels, made._initial_cash = panels, first._initial_cash
    made._multipliers, made._limit_names = first._multipliers, first._limit_names
    made.contract_specs, made.strategy_name = first.contract_specs, first.strategy_name
    made._times = np.concatenate([piece.result._times[piece.warmup :] for piece in pieces])
    made._timestamps = [stamp for piece in pieces for stamp in piece.result._timestamps[piece.warmup :]]
    made._equity = np.concatenate([piece.result._equity[piece.warmup :] + piece.held for piece in pieces])
    made._cash = np.concatenate([piece.result._cash[piece.warmup :] for piece in pieces])
    for name, records in _numbered(pieces).items():
        setattr(made, f"_{name}", records)
    made._trades = made._trades[_open_last(made._trades)]
    made._skipped_bars = sum(piece.result._skipped_bars for piece in pieces)
    made.metrics = made._computed_metrics()
    made.metrics["skipped_bars"] = float(made._skipped_bars)
    return made


def windows_of(pieces: Sequence[Piece]) -> dict[str, IntArray]:
    """Return the number of the piece that each row of the stitched records comes from, by the name of the records."""
    made = {
        name: np.repeat(np.arange(len(pieces)), [len(getattr(piece.result, f"_{name}")) for piece in pieces]).astype(np.int64)
        for name in RECORDS
    }
    trades = np.concatenate([piece.result._trades for piece in pieces])
    made["trades"] = made["trades"][_open_last(trades)]
    made["equity"] = np.repeat(np.arange(len(pieces)), [len(piece.result._equity) - piece.warmup for piece in pieces]).astype(np.int64)
    return made


def _open_last(trades: Records) -> IntArray:
    """Return the order of trades in which those still open stand at the end."""
    return np.argsort(trades["status"] == TradeStatus.OPEN, kind="stable")


def _numbered(pieces: Sequence[Piece]) -> dict[str, Records]:
    """Return the records of all pieces, their orders, positions and bars numbered through."""
    counts = _Counts()
    parts: dict[str, list[Any]] = {name: [] for name in RECORDS}
    for piece in pieces:
        result = piece.result
        for name in RECORDS:
            parts[name].append(_shifted(getattr(result, f"_{name}"), counts, counts.bars - piece.warmup))
        counts.bars += len(result._equity) - piece.warmup
        counts.orders += len(result._orders)
        counts.positions += int(result._orders["position_id"].max(initial=0))
    return {name: np.concatenate(records) for name, records in parts.items()}


def _shifted(records: Records, counts: _Counts, bars: int) -> Records:
    made = records.copy()
    names = made.dtype.names or ()
    for name in set(names).intersection(_BARS):
        made[name] += bars
    for name in set(names).intersection(_BARS_PLUS_ONE):
        made[name][made[name] > 0] += bars
    for name in set(names).intersection(_ORDER_IDS):
        made[name][made[name] > 0] += counts.orders
    if "position_id" in names:
        made["position_id"][made["position_id"] > 0] += counts.positions
    return made


def unsold(result: BacktestResult) -> tuple[float, FloatArray]:
    """Return the value of what a run could not sell at its end [money], and the columns of those assets."""
    held = result._trades[result._trades["status"] == TradeStatus.OPEN]
    return float(result._equity[-1] - result._cash[-1]), held["asset"]
