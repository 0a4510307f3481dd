"""Which trade of a result is meant: by object, number, or row of the trades frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.types import Trade

if TYPE_CHECKING:
    from ml4t_backtest.result import BacktestResult

__all__ = ["number_of"]

_KEYS = ("asset", "entry_time", "exit_time", "quantity", "entry_price", "exit_price", "pnl")


def number_of(result: BacktestResult, trade: Any) -> int:
    """Return the place of a trade in `result.trades`. Raises IndexError, KeyError and TypeError as `explain`."""
    count = len(result._trades)
    if isinstance(trade, (int, np.integer)) and not isinstance(trade, bool):
        if not -count <= trade < count:
            have = "there are none" if not count else f"there are {count}, from 0 to {count - 1}"
            raise IndexError(f"there is no trade {trade}; {have}")
        return int(trade) % count
    wanted = {key: getattr(trade, key) for key in _KEYS} if isinstance(trade, Trade) else _row_of(result, trade)
    for number, one in enumerate(result.trades):
        if all(_equal(getattr(one, key), value) for key, value in wanted.items()):
            return number
    raise KeyError(f"no trade of this result has {', '.join(f'{key}={value!r}' for key, value in wanted.items())}")


def _row_of(result: BacktestResult, row: Any) -> dict[str, Any]:
    """Return what tells a trade apart, of a row of the trades frame."""
    kind = type(row)
    if kind.__module__.startswith("polars") and kind.__name__ == "DataFrame":
        if len(row) != 1:
            raise TypeError(f"trade was a frame of {len(row)} rows, expected one row: frame[3], frame.row(3, named=True)")
        row = row.row(0, named=True)
    elif kind.__module__.startswith("pandas") and hasattr(row, "to_dict"):
        row = row.to_dict()
    elif isinstance(row, tuple):
        names = result.to_trades_dataframe().columns
        if len(row) != len(names):
            raise TypeError(f"trade was a tuple of {len(row)} values, expected the {len(names)} of a row of the trades frame")
        row = dict(zip(names, row, strict=True))
    if not isinstance(row, Mapping):
        raise TypeError(f"trade was a {kind.__name__}, expected a Trade, its number, or a row of the trades frame")
    wanted = {key: row[key] for key in _KEYS if key in row}
    if "entry_time" not in wanted or "asset" not in wanted:
        raise TypeError("trade has no 'asset' and 'entry_time'; give a whole row of the trades frame")
    return wanted


def _equal(here: Any, there: Any) -> bool:
    return bool(here == there) or (here != here and there != there)  # noqa: PLR0124 - NaN
