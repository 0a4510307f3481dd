"""From long columns to panels: the loops of the data feed that numpy has no fast form of.

Called with the addresses of contiguous arrays that the feed keeps alive. Addresses, because a column that comes out of
a data frame without a copy is read-only, and a kernel compiled for writable arrays refuses it.
"""

from __future__ import annotations

import numpy as np

from ._jit import array_at, long_entry

__all__ = ["place_times", "rows_ascend", "scatter"]


@long_entry
def place_times(times: int, rows: int, distinct: int, bars: int, codes: int) -> None:
    """Find each row's time among the distinct times, by a guess from even spacing and doubling steps from there.

    times: address of int64[rows] (in). distinct: address of int64[bars], ascending, holding every time (in). codes:
    address of int32[rows] (out).
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


@long_entry
def rows_ascend(time_codes: int, asset_codes: int, rows: int, last: int, bars: int) -> bool:
    """Tell whether within every bar the asset codes ascend in row order, whatever the order of the bars.

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


@long_entry
def scatter(values: int, time_codes: int, asset_codes: int, rows: int, assets: int, panel: int, cells: int) -> None:
    """Write each row's value to its cell.

    values: address of float64[rows] (in). time_codes, asset_codes: addresses of int32[rows] (in). panel: address of
    float64[cells] (out), cells = bars * assets.
    """
    value = array_at(values, rows, np.float64)
    time = array_at(time_codes, rows, np.int32)
    asset = array_at(asset_codes, rows, np.int32)
    out = array_at(panel, cells, np.float64)
    for row in range(rows):
        out[np.int64(time[row]) * assets + asset[row]] = value[row]
