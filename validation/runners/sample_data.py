"""Writes what comes with backtesting.py, read where it is installed: python sample_data.py FOLDER.

GOOG.arrow, BTCUSD.arrow: its sample prices. readme.json: what the program of its README prints with the installed release, whose
commission is paid at the entry and at the exit (the listing in the README is older).
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import backtesting.test
import pyarrow as pa
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
from pyarrow import feather


class AverageCross(Strategy):  # type: ignore[misc]
    """Buys when the average of 10 closes crosses above that of 20, sells when below."""

    def init(self) -> None:
        self.fast = self.I(backtesting.test.SMA, self.data.Close, 10)
        self.slow = self.I(backtesting.test.SMA, self.data.Close, 20)

    def next(self) -> None:
        if crossover(self.fast, self.slow):
            self.buy()
        elif crossover(self.slow, self.fast):
            self.sell()


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("GOOG", "BTCUSD"):
        frame = getattr(backtesting.test, name)
        columns = {column.lower(): frame[column].to_numpy(dtype=float) for column in ("Open", "High", "Low", "Close", "Volume")}
        times = frame.index.to_numpy().astype("datetime64[ns]").astype("int64")
        feather.write_feather(pa.table({"time": times, **columns}), str(folder / f"{name}.arrow"), compression="uncompressed")
    warnings.simplefilter("ignore")
    printed = Backtest(backtesting.test.GOOG, AverageCross, commission=0.002, exclusive_orders=True).run()
    numbers = {name: float(number) for name, number in printed.items() if isinstance(number, (int, float))}
    (folder / "readme.json").write_text(json.dumps(numbers))


if __name__ == "__main__":
    main()
