"""Files between the comparing side and the runners: cases in, what an engine made of them out.

Runners live in environments of their own, so this module needs nothing but the standard library, numpy and pyarrow.

A batch is a directory:

    batch.json      {"version": 1, "cases": [{"id", "market", "settings"}, ...]}
    markets.arrow   market, time [ns], asset, open, high, low, close, volume; NaN where there is no bar
    events.arrow    market, time [ns], asset, kind ("split", "dividend"), value
    script.arrow    case, and the fields of `Instruction`

Settings of a case, all optional but `cash`:

    cash         money at the start
    fractional   whether parts of a unit trade (default no)
    shorts       whether the account can be short, on margin (default: what the framework's preset, or its own options, say)
    commission   {"kind": "percentage", "rate", "fixed": money per order, may be left out} | {"kind": "per_unit", "amount", "minimum"} | {"kind": "per_order", "amount"}
    slippage     {"kind": "fixed", "amount"} | {"kind": "percentage", "rate"} | {"kind": "volume_based", "factor"}
                 | {"kind": "volume_share", "volume_limit", "price_impact"} | {"kind": "basis_points", "basis_points", "volume_limit"}
    volume_limit part of a bar's volume that may trade
    futures      {asset: {"multiplier", "margin"}}, margin in money per contract
    rules        {"stop_loss", "take_profit", "trailing_stop"}: exits of every position, fractions of the entry's price
    native       options that only the runner of one framework understands
    config       settings that only our side understands

An answer is a directory, too: `fills.arrow`, `trades.arrow`, `equity.arrow`, `orders.arrow` with the columns of `SCHEMAS` and
`run.json` with versions and seconds per case. What a framework does not report is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import feather

__all__ = ["SCHEMAS", "VERBS", "Answers", "Event", "Instruction", "Job", "Market", "read_batch", "write_batch"]

VERSION = 1
VERBS = (
    "market",  # quantity
    "limit",  # quantity, limit_price
    "stop",  # quantity, stop_price
    "stop_limit",  # quantity, stop_price, limit_price
    "trailing_stop",  # quantity, trail_amount or trail_percent; stop_price: its first level, NaN where it follows from the price
    "bracket",  # quantity, take_profit, stop_loss (prices); the entry is a market order, or a limit order with limit_price
    "close",  # nothing: the whole position by a market order
    "target_percent",  # quantity: the weight
    "target_value",  # quantity: the money
    "target_quantity",  # quantity: the signed position
    "cancel",  # target: the label of the order to cancel
    "long_entry",  # signals of engines that take signals; quantity: size, NaN for the engine's own
    "long_exit",
    "short_entry",
    "short_exit",
)
_NUMBERS = ("open", "high", "low", "close", "volume")
_TIME = pa.int64()
SCHEMAS: dict[str, pa.Schema] = {
    "fills": pa.schema(
        [
            ("case", pa.string()),
            ("time", _TIME),  # of the bar on which it traded [ns]
            ("asset", pa.string()),
            ("quantity", pa.float64()),  # signed
            ("price", pa.float64()),  # after slippage
            ("commission", pa.float64()),  # money
            ("slippage", pa.float64()),  # per unit
            ("label", pa.string()),  # of the instruction that made the order
        ]
    ),
    "trades": pa.schema(
        [
            ("case", pa.string()),
            ("asset", pa.string()),
            ("entry_time", _TIME),
            ("exit_time", _TIME),
            ("quantity", pa.float64()),  # signed as the position
            ("entry_price", pa.float64()),
            ("exit_price", pa.float64()),
            ("pnl", pa.float64()),  # after commission
            ("commission", pa.float64()),
        ]
    ),
    "equity": pa.schema([("case", pa.string()), ("time", _TIME), ("cash", pa.float64()), ("value", pa.float64())]),
    "orders": pa.schema(
        [
            ("case", pa.string()),
            ("label", pa.string()),  # of the instruction; legs of a bracket: label + ".target" and ".stop"
            ("status", pa.string()),  # filled, rejected, cancelled, expired, open
            ("filled", pa.float64()),  # signed quantity filled
        ]
    ),
}


class Instruction(NamedTuple):
    """One thing that the strategy does at the close of a bar; see VERBS for what each verb needs.

    Orders also take: target: the label of an earlier order whose one-cancels-other group they join. good_till: last time [ns], 0
    for orders without an end.
    """

    time: int
    asset: str
    verb: str
    quantity: float = np.nan
    limit_price: float = np.nan
    stop_price: float = np.nan
    trail_amount: float = np.nan
    trail_percent: float = np.nan
    take_profit: float = np.nan
    stop_loss: float = np.nan
    label: str = ""
    target: str = ""
    good_till: int = 0


class Event(NamedTuple):
    """A split (value: new units per old one) or a dividend (value: money per unit), at the start of a bar."""

    time: int
    asset: str
    kind: str
    value: float


@dataclass(frozen=True)
class Market:
    """Bars of some assets. times: int64[bars], ns. The prices: float64[bars, assets], NaN where there is no bar."""

    name: str
    assets: tuple[str, ...]
    times: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Job:
    """One case. id: unique in its batch. market: its bars. script: in the order in which things are done."""

    id: str
    market: Market
    settings: dict[str, Any]
    script: tuple[Instruction, ...]


@dataclass
class Answers:
    """What an engine made of a batch."""

    fills: list[tuple[Any, ...]] = field(default_factory=list)
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    equity: list[tuple[Any, ...]] = field(default_factory=list)
    orders: list[tuple[Any, ...]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def table(self, name: str) -> pa.Table:
        """Return the rows of a table of SCHEMAS."""
        schema = SCHEMAS[name]
        rows = getattr(self, name)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
        return pa.table([pa.array(column, type=kind.type) for column, kind in zip(columns, schema, strict=True)], schema=schema)

    def write(self, folder: Path) -> None:
        """Write everything to a directory."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in SCHEMAS:
            feather.write_feather(self.table(name), str(folder / f"{name}.arrow"), compression="uncompressed")
        (folder / "run.json").write_text(json.dumps({"versions": self.versions, "seconds": self.seconds}))


def write_batch(folder: Path, jobs: list[Job]) -> None:
    """Write the cases and the markets that they use."""
    folder.mkdir(parents=True, exist_ok=True)
    markets = {id(job.market): job.market for job in jobs}
    names = [market.name for market in markets.values()]
    if len(set(names)) < len(names) or len({job.id for job in jobs}) < len(jobs):
        raise ValueError("two cases, or two markets of different cases, have the same name")
    cases = [{"id": job.id, "market": job.market.name, "settings": job.settings} for job in jobs]
    (folder / "batch.json").write_text(json.dumps({"version": VERSION, "cases": cases}))
    bars = [_rows_of(market) for market in markets.values()]
    feather.write_feather(pa.concat_tables(bars), str(folder / "markets.arrow"), compression="uncompressed")
    events = [(market.name, *event) for market in markets.values() for event in market.events]
    _write(folder / "events.arrow", ("market", *Event._fields), events, ("time",), ("value",))
    script = [(job.id, *instruction) for job in jobs for instruction in job.script]
    texts = {"case", "asset", "verb", "label", "target"}
    times = ("time", "good_till")
    numbers = tuple(name for name in Instruction._fields if name not in texts and name not in times)
    _write(folder / "script.arrow", ("case", *Instruction._fields), script, times, numbers)


def _rows_of(market: Market) -> pa.Table:
    bars, assets = market.close.shape
    columns = np.tile(np.arange(assets, dtype=np.int32), bars)
    table = {
        "market": pa.DictionaryArray.from_arrays(np.zeros(bars * assets, dtype=np.int32), pa.array([market.name])).cast(pa.string()),
        "time": np.repeat(market.times, assets),
        "asset": pa.DictionaryArray.from_arrays(columns, pa.array(market.assets)).cast(pa.string()),
        **{name: getattr(market, name).ravel() for name in _NUMBERS},
    }
    return pa.table(table)


def _write(path: Path, names: tuple[str, ...], rows: list[tuple[Any, ...]], times: tuple[str, ...], numbers: tuple[str, ...]) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    kinds = [pa.int64() if name in times else pa.float64() if name in numbers else pa.string() for name in names]
    table = pa.table([pa.array(column, type=kind) for column, kind in zip(columns, kinds, strict=True)], names=list(names))
    feather.write_feather(table, str(path), compression="uncompressed")


def read_batch(folder: Path) -> Iterator[Job]:
    """Yield the cases of a batch."""
    told = json.loads((folder / "batch.json").read_text())
    if told["version"] != VERSION:
        raise ValueError(f"{folder} has version {told['version']}, expected {VERSION}")
    events = _grouped(feather.read_table(folder / "events.arrow"), "market", Event)
    script = _grouped(feather.read_table(folder / "script.arrow"), "case", Instruction)
    markets = {
        name: _market(name, rows, tuple(events.get(name, ()))) for name, rows in _split(feather.read_table(folder / "markets.arrow"))
    }
    for case in told["cases"]:
        yield Job(case["id"], markets[case["market"]], case["settings"], tuple(script.get(case["id"], ())))


def _grouped(table: pa.Table, key: str, kind: Any) -> dict[str, list[Any]]:
    columns = [table.column(name).to_pylist() for name in kind._fields]
    grouped: dict[str, list[Any]] = {}
    for name, *values in zip(table.column(key).to_pylist(), *columns, strict=True):
        grouped.setdefault(name, []).append(kind(*values))
    return grouped


def _split(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each market; those of one market stand together."""
    names = table.column("market").combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(codes)], strict=True):
        yield names.dictionary[int(codes[start])].as_py(), table.slice(start, stop - start)


def _market(name: str, rows: pa.Table, events: tuple[Event, ...]) -> Market:
    times, bars = np.unique(rows.column("time").to_numpy(), return_inverse=True)
    found = rows.column("asset").combine_chunks().dictionary_encode()
    assets = tuple(sorted(found.dictionary.to_pylist()))
    place = {asset: column for column, asset in enumerate(assets)}
    columns = np.array([place[asset] for asset in found.dictionary.to_pylist()])[found.indices.to_numpy()]
    prices = {}
    for field_name in _NUMBERS:
        prices[field_name] = np.full((len(times), len(assets)), np.nan)
        prices[field_name][bars, columns] = rows.column(field_name).to_numpy()
    return Market(name, assets, times, **prices, events=events)
