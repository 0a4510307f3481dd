"""Make the bundled Parquet files from the data inside the packages arch and skfolio.

Usage::

    pip install arch skfolio
    python -m ml4t_backtest.sample_data.build OUTDIR

Nothing is downloaded, and neither package is imported: the script reads the CSV files that
were installed with them. The same input and the same Polars version give the same bytes.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import pathlib
import sys
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import polars as pl

__all__ = ["Built", "build", "main"]

_BAR_COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
}


@dataclasses.dataclass(frozen=True)
class Built:
    """What :func:`build` wrote for one data set.

    Attributes:
        name: Name of the data set.
        source: Package, version and file the data came from.
        source_sha256: SHA-256 of that file, 64 hex digits.
        path: The Parquet file.
        sha256: SHA-256 of the Parquet file, 64 hex digits.
        size: Size of the Parquet file in bytes.
        rows: Number of rows.
        first: First day.
        last: Last day.
        missing: Number of closes missing in the source, which therefore have no row.
    """

    name: str
    source: str
    source_sha256: str
    path: pathlib.Path
    sha256: str
    size: int
    rows: int
    first: dt.date
    last: dt.date
    missing: int


def _read_source(package: str, member: str) -> tuple[str, bytes]:
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"the package {package!r} is not installed; install both sources with: pip install arch skfolio",
            name=package,
        ) from None
    label = f"{package} {distribution.version}, {member}"
    file = pathlib.Path(str(distribution.locate_file(member)))
    if not file.is_file():
        raise FileNotFoundError(f"{label} does not exist; this version has no such data file")
    return label, file.read_bytes()


def _index_bars(content: bytes, symbol: str) -> pl.DataFrame:
    import polars as pl

    raw = pl.read_csv(content, infer_schema_length=None)
    columns = dict(_BAR_COLUMNS)
    if not raw["Close"].equals(raw["Adj Close"]):
        columns["Adj Close"] = "adj_close"
    return raw.select(
        pl.col("Date").str.to_datetime("%m/%d/%Y", time_unit="us").alias("timestamp"),
        pl.lit(symbol).alias("symbol"),
        *(pl.col(old).cast(pl.Float64).alias(new) for old, new in columns.items()),
    )


def _stock_closes(content: bytes) -> pl.DataFrame:
    import polars as pl

    raw = pl.read_csv(content, infer_schema_length=None)
    days = raw.select(
        pl.col("Date").str.to_datetime("%Y-%m-%d", time_unit="us").alias("timestamp"),
        pl.exclude("Date").cast(pl.Float64),
    )
    return days.unpivot(index="timestamp", variable_name="symbol", value_name="close")


def _write(name: str, label: str, content: bytes, frame: pl.DataFrame, outdir: pathlib.Path) -> Built:
    import polars as pl

    complete = frame.filter(pl.col("close").is_not_null() & pl.col("close").is_not_nan())
    ordered = complete.sort("timestamp", "symbol")
    keys = ordered.select("timestamp", "symbol")
    if ordered.is_empty() or keys.is_duplicated().any():
        raise ValueError(f"{label}: no rows, or several rows for one day and symbol")
    target = outdir / f"{name}.parquet"
    ordered.write_parquet(
        target,
        compression="zstd",
        compression_level=19,
        row_group_size=ordered.height,
    )
    days = ordered["timestamp"].dt.date().to_list()
    written = target.read_bytes()
    return Built(
        name=name,
        source=label,
        source_sha256=hashlib.sha256(content).hexdigest(),
        path=target,
        sha256=hashlib.sha256(written).hexdigest(),
        size=len(written),
        rows=ordered.height,
        first=days[0],
        last=days[-1],
        missing=frame.height - ordered.height,
    )


def build(outdir: str | pathlib.Path) -> tuple[Built, ...]:
    """Write the three Parquet files of the sample data.

    Args:
        outdir: Folder to write to. It is made if needed; files of the same name are
            replaced.

    Returns:
        One :class:`Built` per file, in the order of ``ml4t_backtest.sample_data.names()``.
        Shapes, dtypes and units of the files are those of ``sample_data.load``.

    Raises:
        ModuleNotFoundError: If arch or skfolio is not installed. Nothing is written then.
        FileNotFoundError: If the installed version has no such data file. Nothing is
            written then.
        ValueError: If a source is empty or has several rows for one day and symbol.

    Source:
        The CSV files inside the installed packages arch and skfolio.
    """
    sp500 = _read_source("arch", "arch/data/sp500/sp500.csv.gz")
    nasdaq = _read_source("arch", "arch/data/nasdaq/nasdaq.csv.gz")
    stocks = _read_source("skfolio", "skfolio/datasets/data/sp500_dataset.csv.gz")
    folder = pathlib.Path(outdir)
    folder.mkdir(parents=True, exist_ok=True)
    return (
        _write("sp500", *sp500, _index_bars(sp500[1], "SP500"), folder),
        _write("nasdaq", *nasdaq, _index_bars(nasdaq[1], "NASDAQ"), folder),
        _write("us_stocks", *stocks, _stock_closes(stocks[1]), folder),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: build the files and print what ``PROVENANCE.md`` records.

    Args:
        argv: Arguments without the program name; ``None`` takes those of the process.

    Returns:
        Exit status: 0 if all files were written, 1 if a source is missing.

    Raises:
        SystemExit: If the arguments are wrong or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ml4t_backtest.sample_data.build",
        description="Make the sample data from the installed packages arch and skfolio.",
    )
    parser.add_argument("outdir", metavar="OUTDIR", help="folder to write the files to")
    arguments = parser.parse_args(argv)
    try:
        results = build(arguments.outdir)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        print(f"cannot build the sample data: {error}", file=sys.stderr)
        return 1
    for result in results:
        print(f"{result.path.name}: {result.rows} rows, {result.first} to {result.last}")
        print(f"  bytes: {result.size}, sha256: {result.sha256}")
        print(f"  from: {result.source}, sha256: {result.source_sha256}")
        print(f"  missing closes: {result.missing}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
