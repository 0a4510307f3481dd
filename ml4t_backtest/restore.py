"""A saved run as arrays again: frames of this version, of older ones and of the engine we replace, to records."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.analytics.exposure import Exposure
from ml4t_backtest.analytics.tables import ALERT_WORDS, FLOW_WORDS, ORDER_FIELDS, ORDER_WORDS, TRADE_WORDS
from ml4t_backtest.frames import time_axis, time_series
from ml4t_backtest.hints import did_you_mean, shortened
from ml4t_backtest.panels import Panels
from ml4t_kernels.dtypes import alert_dtype, fill_dtype, flow_dtype, order_dtype, trade_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from ml4t_backtest.archive import Saved
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["Restored", "read_records", "restored"]

# Where a field stands in files of other engines and of older versions.
_OTHER_COLUMNS = {"asset": "symbol", "commission": "fees", "exit_slippage": "slippage", "mfe": "max_favorable_excursion"}
_OTHER_COLUMNS["mae"] = "max_adverse_excursion"
_OTHER_WORDS = {"end_of_backtest": "end_of_data"}
_DEFAULTS = {"multiplier": 1.0}
_SPELLED = ("Infinity", "-Infinity", "NaN")
# Without these columns a file is of something else.
_REQUIRED = {
    "trades": ("asset", "entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl"),
    "fills": ("asset", "timestamp", "quantity", "price"),
    "orders": ("asset", "quantity", "status"),
    "equity": ("timestamp", "equity"),
    "cash_flows": ("timestamp", "kind", "amount"),
    "alerts": ("timestamp", "limit", "action"),
}


@dataclass(frozen=True)
class Restored:
    """A saved run as arrays: `times` int64[bars] ns UTC, `equity` and `cash` float64[bars], records, `multipliers` float64[assets].

    The panels know times, assets and the time zone; they have no prices.
    """

    panels: Panels
    times: IntArray
    equity: FloatArray
    cash: FloatArray
    exposure: Exposure | None
    fills: Records
    orders: Records
    trades: Records
    flows: Records
    alerts: Records
    limit_names: tuple[str, ...]
    multipliers: FloatArray
    initial_cash: float
    status: str
    metrics: dict[str, float]


def restored(saved: Saved) -> Restored:
    """Return what a folder holds as arrays; parts that it lacks are empty. Raises ValueError as `read_records`."""
    frames = saved.frames
    for name, frame in frames.items():
        _check_columns(frame, name, saved)
    metrics = _numbers_of(saved.metrics)
    assets = tuple(saved.manifest.get("assets") or _assets_of(frames))
    with _naming(saved, "equity"):
        times, equity, cash = _equity_of(frames.get("equity"))
    trades = _part(saved, "trades", trade_dtype, assets, TRADE_WORDS)
    fills = _part(saved, "fills", fill_dtype, assets, ORDER_WORDS)
    alerts, limit_names = _alerts_of(saved)
    every = np.unique(np.concatenate([times, trades["entry_time"], trades["exit_time"], fills["timestamp"]]))
    zone = _zone_of(frames)
    stamps = time_series("timestamp", every, zone).to_list()
    return Restored(
        panels=Panels(every, stamps, assets, {}, np.zeros((len(every), 0), dtype=np.uint8), zone=zone),
        times=times,
        equity=equity,
        cash=cash,
        exposure=_exposure_of(frames.get("equity")),
        fills=fills,
        orders=_part(saved, "orders", order_dtype, assets, ORDER_WORDS),
        trades=trades,
        flows=_part(saved, "cash_flows", flow_dtype, assets, FLOW_WORDS),
        alerts=alerts,
        limit_names=limit_names,
        multipliers=_multipliers_of(saved, assets, trades, fills),
        initial_cash=_initial_cash_of(saved, metrics, equity),
        status=str(saved.manifest.get("status") or saved.metrics.get("status") or "completed"),
        metrics=metrics,
    )


def _check_columns(frame: pl.DataFrame, name: str, saved: Saved) -> None:
    """Raise ValueError, naming the file, for a frame that lacks what every saved one has."""
    missing = [column for column in _REQUIRED.get(name, ()) if _column(frame, column) is None]
    if missing:
        raise ValueError(f"{_file(saved, name)} is not of a saved result: it has no column {missing[0]!r}, only {shortened(frame.columns)}")


def _file(saved: Saved, name: str) -> str:
    return str(saved.folder / f"{name}.parquet")


def _part(saved: Saved, name: str, layout: np.dtype[np.void], assets: Sequence[str], words: Mapping[str, Sequence[str]]) -> Records:
    """Return a part as records, no rows where it was not saved. Raises ValueError that names the file."""
    with _naming(saved, name):
        return read_records(saved.frames.get(name), layout, assets, words, name)


@contextmanager
def _naming(saved: Saved, name: str) -> Iterator[None]:
    """Let an error about the content of a part name its file."""
    import polars as pl

    try:
        yield
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{_file(saved, name)} cannot be read: {error}") from error


def _alerts_of(saved: Saved) -> tuple[Records, tuple[str, ...]]:
    """Return the alerts and the names of the limits, in the order in which they come where the manifest does not say it."""
    frame = saved.frames.get("alerts")
    known = saved.manifest.get("limit_names")
    if known is None:
        seen = [] if frame is None else frame["limit"].unique(maintain_order=True).to_list()
        known = [name for name in seen if name != "margin_call"]
    alerts = _part(saved, "alerts", alert_dtype, (), {**ALERT_WORDS, "limit": tuple(dict.fromkeys(("margin_call", *known)))})
    if frame is not None:
        alerts["limit"] = frame["limit_row"].to_numpy() if "limit_row" in frame.columns else alerts["limit"] - 1
    return alerts, tuple(known)


def _multipliers_of(saved: Saved, assets: Sequence[str], trades: Records, fills: Records) -> FloatArray:
    """Return the multiplier of each asset: of its contract, else as trades and fills have it, else 1."""
    multipliers = np.ones(len(assets))
    multipliers[trades["asset"]] = trades["multiplier"]
    frame = saved.frames.get("fills")
    if frame is not None and "multiplier" in frame.columns:
        multipliers[fills["asset"]] = frame["multiplier"].to_numpy()
    specs = saved.manifest.get("contract_specs") or {}
    for column, asset in enumerate(assets):
        if asset in specs:
            multipliers[column] = float(specs[asset].get("multiplier", 1.0))
    return multipliers


def _numbers_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are numbers, infinite ones and NaN as `plain_numbers` spells them among them."""
    made = {name: float(value) if value in _SPELLED else value for name, value in metrics.items() if not isinstance(value, (dict, list))}
    return {name: value for name, value in made.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}


def _initial_cash_of(saved: Saved, metrics: Mapping[str, float], equity: FloatArray) -> float:
    for value in (saved.manifest.get("initial_cash"), metrics.get("initial_cash"), *equity[:1].tolist()):
        if value is not None:
            return float(value)
    return math.nan


def _equity_of(frame: pl.DataFrame | None) -> tuple[IntArray, FloatArray, FloatArray]:
    if frame is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    times = time_axis(frame, "equity").nanoseconds.to_numpy()
    equity = _floats_of(frame, "equity")
    return times, equity, _floats_of(frame, "cash") if "cash" in frame.columns else np.full(len(times), math.nan)


def _exposure_of(frame: pl.DataFrame | None) -> Exposure | None:
    """Return the exposure of each bar, None for folders without it."""
    if frame is None or not set(Exposure._fields) <= set(frame.columns):
        return None
    return Exposure(_floats_of(frame, "long"), _floats_of(frame, "short"), frame["num_positions"].to_numpy().astype(np.int64))


def _floats_of(frame: pl.DataFrame, name: str) -> FloatArray:
    """Return a column of a saved frame as float64[rows]. Raises ValueError when there is none."""
    if name not in frame.columns:
        raise ValueError(f"the saved equity has no column {name!r}, only {shortened(frame.columns)}")
    return np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64)


def _assets_of(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return the names in the order in which trades, fills and orders have them."""
    names: dict[str, None] = {}
    for part in ("trades", "fills", "orders"):
        frame = frames.get(part)
        column = None if frame is None else _column(frame, "asset")
        names.update(dict.fromkeys([] if column is None else column.unique(maintain_order=True).to_list()))
    return list(names)


def _zone_of(frames: Mapping[str, pl.DataFrame]) -> str | None:
    for part, column in (("equity", "timestamp"), ("trades", "entry_time"), ("fills", "timestamp")):
        if part in frames and column in frames[part].columns:
            zone: str | None = getattr(frames[part].schema[column], "time_zone", None)
            return zone
    return None


def _nanoseconds(column: pl.Series) -> IntArray:
    import polars as pl

    return column.cast(pl.Datetime("ns", getattr(column.dtype, "time_zone", None))).to_physical().fill_null(0).to_numpy()


def read_records(
    frame: pl.DataFrame | None, layout: np.dtype[np.void], assets: Sequence[str], words: Mapping[str, Sequence[str]], role: str
) -> Records:
    """Return the rows of a frame as records of a layout.

    A field without a column, under its name or an older one, is 0 (a multiplier 1). Quantities take their sign from a
    column `side` where there is one. Raises ValueError for a word that is no code, naming role, column and word.
    """
    records = np.zeros(0 if frame is None else len(frame), dtype=layout)
    if frame is None:
        return records
    for name in layout.names or ():
        column = _column(frame, name)
        if column is None:
            records[name] = _DEFAULTS.get(name, 0)
        elif name == "asset":
            records[name] = _codes(column, assets, role)
        elif name in words:
            records[name] = _codes(column, words[name], role)
        else:
            records[name] = _numbers(column, name, layout[name])
    if "side" in frame.columns:
        sells = (frame["side"] == "sell").to_numpy()
        for name in ("quantity", "filled_quantity"):
            if name in (layout.names or ()):
                records[name][sells & (records[name] != 0.0)] *= -1.0
    if "total_slippage_cost" in frame.columns and "slippage" in (layout.names or ()):
        records["slippage"] = frame["total_slippage_cost"].to_numpy()
    return records


def _column(frame: pl.DataFrame, name: str) -> pl.Series | None:
    if name == "exit_slippage" and name not in frame.columns and "total_slippage_cost" not in frame.columns:
        return None  # there `slippage` is money
    found = name if name in frame.columns else _OTHER_COLUMNS.get(name)
    return frame[found] if found in frame.columns else None


def _codes(column: pl.Series, choices: Sequence[str], role: str) -> Any:
    """Return the place of each word among the choices; -1 for a cash flow without an asset."""
    import polars as pl

    if column.dtype.is_numeric():
        return column.to_numpy()
    if role == "cash_flows" and column.null_count():
        return _codes_or_none(column, choices, role)
    found = (
        column.cast(pl.String)
        .replace(_OTHER_WORDS)
        .replace_strict(list(choices), list(range(len(choices))), default=None, return_dtype=pl.Int64)
    )
    if found.null_count():
        word = column[int(found.is_null().arg_true()[0])]
        raise ValueError(
            f"{role} column {column.name!r} has {word!r}, expected one of {shortened(choices)}{did_you_mean(str(word), choices)}"
        )
    return found.to_numpy()


def _codes_or_none(column: pl.Series, choices: Sequence[str], role: str) -> IntArray:
    codes = np.full(len(column), -1, dtype=np.int64)
    codes[column.is_not_null().to_numpy()] = _codes(column.drop_nulls(), choices, role)
    return codes


def _numbers(column: pl.Series, name: str, kind: np.dtype[Any]) -> Any:
    import polars as pl

    if column.dtype.is_temporal():
        return _nanoseconds(column)
    if name in ORDER_FIELDS and column.dtype == pl.String:
        return column.str.strip_prefix("ORD-").cast(pl.Int64).fill_null(0).to_numpy()
    if kind.kind == "f":
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return column.cast(pl.Int64).fill_null(0).to_numpy()
