"""Dividends, splits and funding, from columns of the price frame or frames of their own, to event rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.config import AccountType, MissingBarOrders
from ml4t_backtest.frames import read_frame, time_axis
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_kernels.codes import EventKind
from ml4t_kernels.dtypes import event_dtype

if TYPE_CHECKING:
    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.frames import FrameLike
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import IntArray, Records

__all__ = ["lower_events"]

_COLUMNS = {"dividend": EventKind.DIVIDEND, "split": EventKind.SPLIT, "funding_rate": EventKind.FUNDING}
_KINDS = {"dividend": EventKind.DIVIDEND, "split": EventKind.SPLIT, "funding": EventKind.FUNDING}
_ENTITIES = ("asset", "symbol", "product", "ticker")


def lower_events(panels: Panels, events: FrameLike | None, funding: FrameLike | None, config: BacktestConfig) -> Records:
    """Return event rows in order of bar, asset and kind (dividend, split, funding).

    events: columns timestamp, asset, kind ("dividend": money per unit, "split": new units for one old, "funding": rate),
    value. funding: columns timestamp, asset, rate. A time between bars means the next bar. In a column of splits 0 and 1 mean none, as
    data vendors write it. Raises ValueError for unknown
    columns, assets and kinds, for splits <= 0, any split with
    `missing_bar_orders` last_bar, values that are no finite numbers, and funding and negative dividends in a cash account.
    """
    parts = [_from_columns(panels)]
    if events is not None:
        parts.append(_from_frame(panels, events, "events", ("kind", "value")))
    if funding is not None:
        parts.append(_from_frame(panels, funding, "funding", ("rate",)))
    rows = np.concatenate(parts)
    _check_values(rows, panels)
    if config.missing_bar_orders is MissingBarOrders.LAST_BAR and (rows["kind"] == EventKind.SPLIT).any():
        raise ValueError("missing_bar_orders 'last_bar' would test orders against prices from before a split; use 'wait' with splits")
    if config.account_type is AccountType.CASH:
        negative = (rows["kind"] == EventKind.DIVIDEND) & (rows["value"] < 0.0)
        for found, what in ((rows["kind"] == EventKind.FUNDING, "funding payments"), (negative, "negative dividends")):
            if found.any():
                raise ValueError(f"{what} can take a cash account below zero; use account_type 'crypto', 'margin' or 'futures'")
    return rows[np.lexsort((rows["kind"], rows["asset"], rows["bar"]))]


def _from_columns(panels: Panels) -> Records:
    parts = [np.zeros(0, dtype=event_dtype)]
    for name, kind in _COLUMNS.items():
        panel = panels.extras.get(name)
        if panel is None:
            continue
        neutral = 1.0 if kind is EventKind.SPLIT else 0.0
        bars, assets = np.nonzero(~np.isnan(panel) & (panel != neutral) & ~((kind is EventKind.SPLIT) & (panel == 0.0)))
        rows = np.zeros(len(bars), dtype=event_dtype)
        rows["bar"], rows["asset"], rows["value"], rows["kind"] = bars, assets, panel[bars, assets], kind
        parts.append(rows)
    return np.concatenate(parts)


def _from_frame(panels: Panels, frame: FrameLike, role: str, wanted: tuple[str, ...]) -> Records:
    table = read_frame(frame, role)
    axis = time_axis(table, role)
    if (axis.zone is None) != (panels.zone is None):
        raise ValueError(f"{role} and prices must both have a time zone or neither")
    entity = next((name for name in _ENTITIES if name in table.columns), None)
    for name in wanted:
        if name not in table.columns:
            raise ValueError(f"{role} has no column {name!r}, only {shortened(table.columns)}{did_you_mean(name, table.columns)}")
    if entity is None:
        raise ValueError(f"{role} has no asset column, expected one of {list(_ENTITIES)}")
    rows = np.zeros(len(table), dtype=event_dtype)
    rows["bar"] = np.searchsorted(panels.times, axis.nanoseconds.to_numpy())
    rows["asset"] = _columns_of(table[entity].to_list(), panels, role)
    rows["value"] = _numbers(table[wanted[-1]].to_list(), role, wanted[-1])
    rows["kind"] = [EventKind.FUNDING] * len(table) if role == "funding" else [_kind_of(kind) for kind in table["kind"].to_list()]
    late = rows["bar"] >= panels.bars
    if late.any():
        warnings.warn(f"{int(late.sum())} of {len(rows)} rows of {role} are after the last bar and never happen", UserWarning, stacklevel=5)
    return rows[~late]


def _columns_of(assets: list[Any], panels: Panels, role: str) -> IntArray:
    columns = np.zeros(len(assets), dtype=np.int64)
    for row, asset in enumerate(assets):
        column = panels.column_of.get(str(asset))
        if column is None:
            known = panels.assets
            raise ValueError(
                f"{role} row {row} is for {asset!r}, which is no asset of the feed ({shortened(known)}){did_you_mean(str(asset), known)}"
            )
        columns[row] = column
    return columns


def _numbers(values: list[Any], role: str, name: str) -> list[float]:
    numbers = []
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{role} row {row}: {name} was {value!r}, expected a number")
        numbers.append(float(value))
    return numbers


def _kind_of(kind: Any) -> EventKind:
    try:
        return _KINDS[str(kind).lower()]
    except KeyError:
        raise ValueError(f"events kind was {kind!r}, expected one of {list(_KINDS)}{did_you_mean(str(kind), _KINDS)}") from None


def _check_values(rows: Records, panels: Panels) -> None:
    for row in rows:
        bad = not np.isfinite(row["value"]) or (row["kind"] == EventKind.SPLIT and row["value"] <= 0.0)
        if bad:
            kind = EventKind(int(row["kind"])).name.lower()
            where = f"{panels.assets[int(row['asset'])]!r} at {panels.timestamps[int(row['bar'])]}"
            raise ValueError(f"{kind} of {where} was {float(row['value'])!r}, expected a finite number{' > 0' if kind == 'split' else ''}")
