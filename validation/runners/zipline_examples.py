"""Writes down what Zipline's authors froze of its example algorithms: python zipline_examples.py SOURCE_DISTRIBUTION FOLDER.

The source distribution of zipline-reloaded has, in tests/resources/example_data.tar.gz, the bundle on which its examples are tested
and the performance that they are tested against. FOLDER gets a batch with the bundle's bars and splits and the orders as they were
placed, and an answer with the fills, cash and value that were frozen. The bundle's dividends have no pay dates, so none is ever paid.
"""

from __future__ import annotations

import io
import sqlite3
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from exchange import Answers, Event, Instruction, Job, Market, write_batch
from zipline.data.bcolz_daily_bars import BcolzDailyBarReader
from zipline.finance.order import ORDER_STATUS

_DATA = "tests/resources/example_data.tar.gz"
_STATUS = {ORDER_STATUS.OPEN: "open", ORDER_STATUS.FILLED: "filled", ORDER_STATUS.CANCELLED: "cancelled"}
# What the examples set for themselves; the commission per share is that of all but one.
_SLIPPAGE = {"kind": "volume_share", "volume_limit": 0.025, "price_impact": 0.1}
_PER_SHARE = 0.0075
_OTHER_PER_SHARE = {"olmar": 0.0}


def _unpack(source: Path, folder: Path) -> Path:
    with tarfile.open(source) as outer:
        name = next(name for name in outer.getnames() if name.endswith(_DATA))
        inner = outer.extractfile(name)
        if inner is None:
            raise FileNotFoundError(f"{name} in {source} is no file")
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as data:
            data.extractall(folder, filter="data")
    return folder / "example_data"


def _session(stamp: pd.Timestamp) -> int:
    return int(stamp.tz_localize(None).normalize().value)


def _market(name: str, bundle: Path, sessions: pd.DatetimeIndex, equities: dict[str, int]) -> Market:
    """Return the bars and splits of some equities (symbol to number)."""
    reader = BcolzDailyBarReader(str(bundle / "daily_equities.bcolz"))
    columns = ["open", "high", "low", "close", "volume"]
    arrays = dict(zip(columns, reader.load_raw_arrays(columns, sessions[0], sessions[-1], list(equities.values())), strict=True))
    missing = np.isnan(arrays["close"])
    prices = {column: np.where(missing, np.nan, arrays[column].astype(float)) for column in columns}
    names = {number: symbol for symbol, number in equities.items()}
    with sqlite3.connect(bundle / "adjustments.sqlite") as connection:
        rows = connection.execute("SELECT effective_date, sid, ratio FROM splits ORDER BY effective_date").fetchall()
    times = sessions.to_numpy().astype("datetime64[ns]").astype(np.int64)
    known = set(times.tolist())
    splits = [Event(date * 10**9, names[sid], "split", 1.0 / ratio) for date, sid, ratio in rows if sid in names and date * 10**9 in known]
    return Market(name, tuple(equities), times, **prices, events=tuple(splits))


def _example(path: Path, bundle: Path, answers: Answers) -> Job | None:
    """Return the case of one example and add what was frozen of it.

    None for one in which Zipline sold without an order, as it does with what is delisted: a script cannot say that.
    """
    name = path.name
    frozen = pd.read_pickle(path)
    if any(fill["order_id"] is None for day in frozen.transactions for fill in day):
        return None
    placed: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for day in frozen.orders:
        for order in day:
            placed.setdefault(order["id"], order)
            last[order["id"]] = order
    labels = {key: f"o{number}" for number, key in enumerate(placed)}
    script = [
        Instruction(_session(order["created"]), order["sid"].symbol, "market", float(order["amount"]), label=labels[key])
        for key, order in placed.items()
    ]
    for day in frozen.transactions:
        for fill in day:
            row = (name, _session(fill["dt"]), fill["sid"].symbol, float(fill["amount"]), float(fill["price"]), None, None)
            answers.fills.append((*row, labels[fill["order_id"]]))
    for time, cash, value in zip(frozen.index, frozen.ending_cash, frozen.portfolio_value, strict=True):
        answers.equity.append((name, _session(time), float(cash), float(value)))
    for key, order in last.items():
        answers.orders.append((name, labels[key], _STATUS[ORDER_STATUS(order["status"])], float(order["filled"])))
    answers.seconds[name] = 0.0
    equities = {order["sid"].symbol: int(order["sid"].sid) for order in placed.values()}
    sessions = pd.DatetimeIndex([pd.Timestamp(_session(stamp)) for stamp in frozen.index])
    settings = {
        "cash": float(frozen.starting_cash.iloc[0]),
        "commission": {"kind": "per_unit", "amount": _OTHER_PER_SHARE.get(name, _PER_SHARE), "minimum": 1.0},
        "slippage": _SLIPPAGE,
    }
    return Job(name, _market(name, bundle, sessions, dict(sorted(equities.items()))), settings, tuple(script))


def main(source: str, folder: str) -> None:
    """Write down the examples as they were frozen last."""
    answers = Answers(versions={"zipline-reloaded": Path(source).name})
    with tempfile.TemporaryDirectory(prefix="zipline-examples-") as name:
        data = _unpack(Path(source), Path(name))
        versions = sorted((data / "expected_perf").iterdir(), key=lambda path: [int(part) for part in path.name.split("-")])
        bundle = next(path for path in (data / "root" / "data" / "test").iterdir() if path.is_dir())
        examples = sorted(path for path in versions[-1].iterdir() if not path.name.startswith("."))
        jobs = [_example(path, bundle, answers) for path in examples]
    write_batch(Path(folder) / "batch", [job for job in jobs if job is not None])
    answers.write(Path(folder) / "answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
