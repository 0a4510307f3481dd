"""From long columns to panels: rows of bars, columns of assets.

Called once per frame by the data feed, with the addresses of contiguous arrays that the feed keeps alive. Addresses, because a
column that comes out of a data frame without a copy is read-only, and a kernel compiled for writable arrays refuses it.
"""

from __future__ import annotations

from math import isinf, isnan

import numpy as np

from ._jit import array_at, entry, kernel
from .codes import IngestStatus
from .dtypes import FloatArray

__all__ = ["check_prices", "is_panel", "mark_rows", "place_times", "rows_ascend", "scatter", "time_runs"]

# Adjusted prices carry rounding of the last digits; a high this close below the low is equal to it.
_ROUNDING = 1e-9


@entry
def time_runs(times: int, rows: int, codes: int) -> int:
    """Number the runs of equal times from 0. Returns how many there are, -1 when a time is earlier than the one before.

    times: address of int64[rows] (in). codes: address of int32[rows] (out).
    """
    time = array_at(times, rows, np.int64)
    code = array_at(codes, rows, np.int32)
    run = 0
    for row in range(rows):
        if row > 0 and time[row] != time[row - 1]:
            if time[row] < time[row - 1]:
                return -1
            run += 1
        code[row] = run
    return run + 1 if rows > 0 else 0


@entry
def place_times(times: int, rows: int, distinct: int, bars: int, codes: int) -> None:
    """Find each row's time among the distinct times, by a guess from even spacing and doubling steps from there.

    times: address of int64[rows] (in). distinct: address of int64[bars], ascending, holding every time (in).
    codes: address of int32[rows] (out).
    """
    time = array_at(times, rows, np.int64)
    known = array_at(distinct, bars, np.int64)
    code = array_at(codes, rows, np.int32)
    last = bars - 1
    spacing = float(known[last] - known[0]) / max(last, 1)
    for row in range(rows):
        wanted = time[row]
        low = 0
        if spacing > 0.0:
            low = min(max(int((wanted - known[0]) / spacing), 0), last)
        step = 1
        while known[low] > wanted:  # step back until at or below
            low = max(low - step, 0)
            step *= 2
        high = low
        step = 1
        while known[high] < wanted:  # step on until at or above
            low = high
            high = min(high + step, last)
            step *= 2
        while low < high:
            middle = (low + high) // 2
            if known[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        code[row] = low


@entry
def rows_ascend(time_codes: int, asset_codes: int, rows: int, last: int, bars: int) -> bool:
    """Tell whether within every bar the asset codes ascend in row order.

    time_codes, asset_codes: addresses of int32[rows] (in). last: address of int32[bars], all -1 (in-out, scratch).
    """
    time = array_at(time_codes, rows, np.int32)
    asset = array_at(asset_codes, rows, np.int32)
    latest = array_at(last, bars, np.int32)
    for row in range(rows):
        bar = time[row]
        if asset[row] < latest[bar]:
            return False
        latest[bar] = asset[row]
    return True


@entry
def is_panel(time_codes: int, asset_codes: int, rows: int, assets: int) -> bool:
    """Tell whether the rows are already a complete panel: sorted by bar, then asset, none missing.

    time_codes, asset_codes: addresses of int32[rows] (in).
    """
    time = array_at(time_codes, rows, np.int32)
    asset = array_at(asset_codes, rows, np.int32)
    row = 0
    while row < rows:
        bar = row // assets
        for column in range(assets):
            if row >= rows or time[row] != bar or asset[row] != column:
                return False
            row += 1
    return True


@entry
def mark_rows(time_codes: int, asset_codes: int, rows: int, assets: int, present: int) -> int:
    """Set `present` for each row. Returns the first row whose cell was set before, -1 when there is none.

    time_codes, asset_codes: addresses of int32[rows] (in). present: address of uint8[bars * assets] (in-out); the size
    is the caller's promise.
    """
    time = array_at(time_codes, rows, np.int32)
    asset = array_at(asset_codes, rows, np.int32)
    if rows == 0:
        return -1
    cells = (np.int64(time.max()) + 1) * assets
    seen = array_at(present, cells, np.uint8)
    for row in range(rows):
        cell = np.int64(time[row]) * assets + asset[row]
        if seen[cell] == 1:
            return row
        seen[cell] = 1
    return -1


@entry
def scatter(values: int, time_codes: int, asset_codes: int, rows: int, assets: int, panel: int, cells: int) -> None:  # noqa: PLR0913
    """Write each row's value to its cell.

    values: address of float64[rows] (in). time_codes, asset_codes: addresses of int32[rows] (in).
    panel: address of float64[cells] (out), cells = bars * assets.
    """
    value = array_at(values, rows, np.float64)
    time = array_at(time_codes, rows, np.int32)
    asset = array_at(asset_codes, rows, np.int32)
    out = array_at(panel, cells, np.float64)
    for row in range(rows):
        out[np.int64(time[row]) * assets + asset[row]] = value[row]


@kernel
def _check_column(panel: FloatArray, close: FloatArray, positive: bool, may_write: bool) -> tuple[int, int]:  # noqa: FBT001
    """Fill the gaps of one price column from the close and check it. Returns (code IngestStatus, cell)."""
    for cell in range(len(panel)):
        price = panel[cell]
        if isnan(price):
            if not isnan(close[cell]):
                if not may_write:
                    return IngestStatus.NEEDS_COPY.value, cell
                panel[cell] = close[cell]
        elif isinf(price):
            return IngestStatus.INFINITE.value, cell
        elif positive and price <= 0.0:
            return IngestStatus.NOT_POSITIVE.value, cell
    return IngestStatus.OK.value, 0


@entry
def check_prices(columns: int, cells: int, present: int, positive: int, may_write: int, found: int) -> int:  # noqa: PLR0913
    """Fill missing open, high and low from the close and missing volume with 0, and check every value.

    columns: address of int64[5], the addresses of open, high, low, close, volume, each float64[cells] (in-out).
    present: address of uint8[cells] (in), which cells have a row. positive: 1 demands prices above 0.
    may_write: address of uint8[5] (in), which columns may be changed; a column that must be and may not gives NEEDS_COPY.
    found: address of int64[2] (out): the cell and the column of the finding. Returns an IngestStatus.
    """
    addresses = array_at(columns, 5, np.int64)
    writable = array_at(may_write, 5, np.uint8)
    place = array_at(found, 2, np.int64)
    close = array_at(addresses[3], cells, np.float64)
    for column in range(4):
        panel = array_at(addresses[column], cells, np.float64)
        status, cell = _check_column(panel, close, positive == 1, writable[column] == 1)
        if status != IngestStatus.OK:
            place[0] = cell
            place[1] = column
            return status  # type: ignore[no-any-return]
    high = array_at(addresses[1], cells, np.float64)
    low = array_at(addresses[2], cells, np.float64)
    volume = array_at(addresses[4], cells, np.float64)
    rows = array_at(present, cells, np.uint8)
    for cell in range(cells):
        place[0] = cell
        if high[cell] < low[cell] - _ROUNDING * abs(low[cell]):
            place[1] = 1
            return IngestStatus.HIGH_BELOW_LOW.value
        place[1] = 4
        if rows[cell] == 1:
            if volume[cell] < 0.0:
                return IngestStatus.NEGATIVE_VOLUME.value
            if isinf(volume[cell]):
                return IngestStatus.INFINITE.value
            if isnan(volume[cell]):
                if writable[4] == 0:
                    return IngestStatus.NEEDS_COPY.value
                volume[cell] = 0.0
    return IngestStatus.OK.value
