"""User data to clean Polars frames: find the columns, check types, time zones and nulls; complain by name.

Accepts Polars frames and lazy frames, pandas frames, Arrow tables and Parquet paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from ml4t_kernels.dtypes import IntArray

__all__ = ["ENTITY_COLUMNS", "FrameLike", "TimeAxis", "datetimes", "entity_column", "read_frame", "time_axis", "time_series"]

FrameLike: TypeAlias = Any  # polars DataFrame or LazyFrame, pandas DataFrame, pyarrow Table, or a path to a Parquet file

TIMESTAMP = "timestamp"
ENTITY_COLUMNS = ("symbol", "asset", "product", "ticker")
_NS_MIN, _NS_MAX = "1678-01-01", "2262-01-01"


def read_frame(source: FrameLike, role: str, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Return `source` as a collected Polars frame; of lazy sources only `columns` are read, where they exist.

    role: "prices", "signals" or "context", for messages. Raises TypeError for what is no frame, FileNotFoundError for a
    missing path.
    """
    import polars as pl

    if isinstance(source, (str, Path)):
        if not Path(source).exists():
            raise FileNotFoundError(f"{role}: no such Parquet file: {source}")
        return _from_parquet(Path(source), role, columns)
    if isinstance(source, pl.LazyFrame):
        names = source.collect_schema().names()
        if columns is not None:
            source = source.select([name for name in names if name in columns])
        collected: pl.DataFrame = source.collect()
        return collected
    if isinstance(source, pl.DataFrame):
        return source
    kind = type(source)
    if kind.__module__.split(".")[0] == "pandas" and kind.__name__ == "DataFrame":
        return _from_pandas(source, role)
    if kind.__module__.split(".")[0] == "pyarrow" and kind.__name__ == "Table":
        converted = pl.from_arrow(source)
        if isinstance(converted, pl.DataFrame):
            return converted
    raise TypeError(
        f"{role} was a {kind.__module__}.{kind.__qualname__}, expected a Polars DataFrame or LazyFrame, a pandas DataFrame,"
        " a pyarrow Table, or the path of a Parquet file"
    )


def _from_parquet(path: Path, role: str, columns: tuple[str, ...] | None) -> pl.DataFrame:
    """Read a Parquet file, of the columns only those wanted. Raises ValueError for what is no Parquet."""
    import polars as pl

    try:
        return read_frame(pl.scan_parquet(path, glob=path.is_dir()), role, columns)  # a file may be named data[1].parquet
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{role}: {path} cannot be read as Parquet: {error}") from error


def _from_pandas(source: Any, role: str) -> pl.DataFrame:
    """Convert a pandas frame; a datetime index (alone or as a level) becomes columns."""
    import polars as pl

    if TIMESTAMP not in source.columns:
        names = [name for name in source.index.names if name is not None]
        if names or type(source.index).__name__ == "DatetimeIndex":
            if not names:
                source = source.rename_axis(TIMESTAMP)
            source = source.reset_index()
            temporal = [name for name in source.columns if str(source[name].dtype).startswith("datetime64")]
            if TIMESTAMP not in source.columns and len(temporal) == 1:
                source = source.rename(columns={temporal[0]: TIMESTAMP})
    if TIMESTAMP in source.columns and source[TIMESTAMP].dtype == object:
        zones = {str(getattr(value, "tzinfo", None)) for value in source[TIMESTAMP]}
        if len(zones) > 1:
            raise ValueError(
                f"{role} column 'timestamp' mixes time zones ({', '.join(sorted(zones))}); make them one, for example"
                " pd.to_datetime(frame['timestamp'], utc=True)"
            )
    try:
        converted: pl.DataFrame = pl.from_pandas(source)
    except Exception as error:
        kinds = {str(name): str(kind) for name, kind in source.dtypes.items()}
        raise TypeError(
            f"{role}: this pandas frame has a column that is no plain number, text or time (mixed time zones are one cause);"
            f" column types: {kinds}; {error}"
        ) from error
    return converted


@dataclass(frozen=True)
class TimeAxis:
    """A checked timestamp column: the ns since 1970 UTC as a Polars Int64 series, and the type it came as."""

    nanoseconds: pl.Series
    dtype: pl.DataType

    @property
    def zone(self) -> str | None:
        """Time zone of the column, None when naive."""
        return getattr(self.dtype, "time_zone", None)


def time_axis(frame: pl.DataFrame, role: str) -> TimeAxis:
    """Check the timestamp column of a frame and return it in ns.

    Dates are taken as midnight. Raises ValueError for a missing column, text, nulls, and times outside 1678 to 2261.
    """
    import polars as pl

    if TIMESTAMP not in frame.columns:
        times = [name for name, kind in frame.schema.items() if kind.is_temporal()]
        advice = f"; rename {times[0]!r} to 'timestamp'" if times else ""
        raise ValueError(f"{role} has no column 'timestamp', only {shortened(frame.columns)}{advice}")
    column = frame[TIMESTAMP]
    kind = column.dtype
    if kind == pl.Date:
        column = column.cast(pl.Datetime("us"))
        kind = column.dtype
    if kind == pl.Null and len(column) == 0:
        column = column.cast(pl.Datetime("us"))
        kind = column.dtype
    if not isinstance(kind, pl.Datetime):
        raise ValueError(
            f"{role} column 'timestamp' has type {kind}, expected Datetime or Date; parse it first, for example"
            " frame.with_columns(pl.col('timestamp').str.to_datetime())"
        )
    nulls = column.null_count()
    if nulls:
        row = int(column.is_null().arg_true()[0])
        raise ValueError(f"{role} column 'timestamp' has {nulls} nulls, the first in row {row}; drop or fill them")
    if len(column):
        low, high = column.min(), column.max()
        if str(low) < _NS_MIN or str(high) >= _NS_MAX:
            raise ValueError(f"{role} column 'timestamp' reaches from {low!s} to {high!s}, expected years 1678 to 2261")
    return TimeAxis(column.cast(pl.Datetime("ns", kind.time_zone)).to_physical().rechunk(), kind)


def time_series(name: str, times: IntArray, zone: str | None) -> pl.Series:
    """Return times in ns UTC as a Polars Datetime[us] series in a time zone (None: naive)."""
    import polars as pl

    series = pl.Series(name, times, dtype=pl.Int64).cast(pl.Datetime("ns")).cast(pl.Datetime("us"))
    return series if zone is None else series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def datetimes(times: IntArray, zone: str | None) -> list[datetime]:
    """Return times in ns UTC as datetimes in a time zone (None: naive), cut to microseconds as Polars does."""
    if zone is not None:
        return time_series("", times, zone).to_list()
    made: list[datetime] = (times // 1_000).astype("datetime64[us]").tolist()
    return made


def entity_column(frame: pl.DataFrame, role: str, wanted: str | None) -> str:
    """Return the name of the column that names the asset: the wanted one, else the first of symbol, asset, product, ticker.

    Raises ValueError when there is none, or nulls in it.
    """
    if wanted is not None and wanted not in frame.columns:
        raise ValueError(
            f"{role} has no column {wanted!r} (entity_col), only {shortened(frame.columns)}{did_you_mean(wanted, frame.columns)}"
        )
    name = wanted or next((name for name in ENTITY_COLUMNS if name in frame.columns), None)
    if name is None:
        raise ValueError(
            f"{role} has no column that names the asset ({', '.join(ENTITY_COLUMNS)}), only {shortened(frame.columns)};"
            " name it with entity_col=, or add one: frame.with_columns(pl.lit('SPY').alias('symbol'))"
        )
    nulls = frame[name].null_count()
    if nulls:
        row = int(frame[name].is_null().arg_true()[0])
        raise ValueError(f"{role} column {name!r} has {nulls} nulls, the first in row {row}; every row needs an asset")
    return name
