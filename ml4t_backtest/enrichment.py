"""Signal values at the entry and exit of trades, as they were known then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.frames import ENTITY_COLUMNS, FrameLike, entity_column, read_frame, time_axis
from ml4t_backtest.hints import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import polars as pl

    from ml4t_kernels.dtypes import IntArray

__all__ = ["enrich_trades_with_signals"]

_TIMES = {"entry": "entry_time", "exit": "exit_time"}


def enrich_trades_with_signals(
    trades_df: FrameLike,
    signals_df: FrameLike,
    signal_columns: Sequence[str] | None = None,
    timestamp_col: str = "timestamp",
    asset_col: str | None = None,
    trades_asset_col: str | None = None,
    *,
    allow_exact_matches: bool = True,
) -> pl.DataFrame:
    """Return the trades with columns entry_X and exit_X for every signal X: the latest values known at entry and at exit.

    trades_df: one row per trade with entry_time and exit_time, in any order, which is kept. signals_df: one row per
    time, or per asset and time, in any order; both may be Polars, pandas or Arrow frames or Parquet paths.
    signal_columns: which columns to add, all but time and asset for None. timestamp_col, asset_col: of the signals; for
    None the first of symbol, asset, product, ticker, and without one the signals hold for all assets. trades_asset_col:
    of the trades, found the same way.

    A signal is used from its own time on, never before; nothing is filled: the latest row counts, nulls included. Where
    an asset has no row yet the values are null. allow_exact_matches: False leaves out signals of the very time of entry
    or exit, which an order that fills at the open of the bar after the decision could not have seen.

    Raises ValueError for missing columns, null times or assets, two rows for one asset and time, times with a zone on
    one side only, and an entry_X or exit_X that the trades have already.
    """
    trades, signals = read_frame(trades_df, "trades"), read_frame(signals_df, "signals")
    if timestamp_col not in signals.columns:
        raise ValueError(_missing("signals", timestamp_col, "timestamp_col", signals))
    for name in _TIMES.values():
        if name not in trades.columns:
            raise ValueError(_missing("trades", name, "time of a trade", trades))
    if asset_col is None and trades_asset_col is None and not any(name in signals.columns for name in ENTITY_COLUMNS):
        names: tuple[str, str] | None = None
    else:
        names = entity_column(signals, "signals", asset_col), entity_column(trades, "trades", trades_asset_col)
    wanted = _wanted(signals, signal_columns, {timestamp_col, *([] if names is None else names[:1])})
    taken = [f"{when}_{name}" for when in _TIMES for name in wanted if f"{when}_{name}" in trades.columns]
    if taken:
        raise ValueError(f"the trades have a column {taken[0]!r} already; rename the signal {taken[0].split('_', 1)[1]!r}")
    known = _Known(signals, timestamp_col, names, trades, wanted)
    found = [known.at(trades, when, column, exact=allow_exact_matches) for when, column in _TIMES.items()]
    return trades.hstack(found[0].get_columns()).hstack(found[1].get_columns())


def _missing(role: str, name: str, argument: str, frame: pl.DataFrame) -> str:
    return f"{role} have no column {name!r} ({argument}), only {shortened(frame.columns)}{did_you_mean(name, frame.columns)}"


def _wanted(signals: pl.DataFrame, chosen: Sequence[str] | None, keys: set[str]) -> list[str]:
    if isinstance(chosen, str):
        raise TypeError(f"signal_columns was the text {chosen!r}, expected a list of names: [{chosen!r}]")
    wanted = [name for name in signals.columns if name not in keys] if chosen is None else list(dict.fromkeys(chosen))
    if not wanted:
        raise ValueError(f"no signal columns: the signals have only {shortened(signals.columns)}")
    for name in wanted:
        if name not in signals.columns:
            raise ValueError(_missing("signals", name, "signal_columns", signals))
    return wanted


class _Known:
    """The signals in order of asset and time, and for any asset and time the row that was the latest then.

    Rows and questions become one number each, the asset's code times the number of times plus the rank of the time, so
    that one search answers all questions.
    """

    def __init__(
        self, signals: pl.DataFrame, timestamp_col: str, names: tuple[str, str] | None, trades: pl.DataFrame, wanted: list[str]
    ) -> None:
        axis = time_axis(signals.rename({timestamp_col: "timestamp"}) if timestamp_col != "timestamp" else signals, "signals")
        times = axis.nanoseconds.to_numpy()
        self._zone = axis.zone
        self._times, ranks = np.unique(times, return_inverse=True)
        self._width = max(len(self._times), 1)
        if names is None:
            rows, self._assets = np.zeros(len(times), dtype=np.int64), np.zeros(len(trades), dtype=np.int64)
        else:
            rows, self._assets = _asset_codes(signals[names[0]], trades[names[1]])
        keys = rows * self._width + ranks
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        twice = np.flatnonzero(self._keys[1:] == self._keys[:-1])
        if len(twice):
            row = int(order[twice[0] + 1])
            owner = "" if names is None else f" and {signals[names[0]][row]!r}"
            raise ValueError(
                f"signals have more than one row for {signals[timestamp_col][row]}{owner} (the second is row {row}); keep one,"
                f" for example frame.unique({[timestamp_col, *([] if names is None else names[:1])]}, keep='last', maintain_order=True)"
            )
        self._rows = signals.select(wanted)[order]

    def at(self, trades: pl.DataFrame, when: str, column: str, *, exact: bool) -> pl.DataFrame:
        """Return the values at a time of the trades, one row per trade."""
        import polars as pl

        names = {name: f"{when}_{name}" for name in self._rows.columns}
        times = _trade_times(trades, column, self._zone)
        ranks = np.searchsorted(self._times, times, side="right" if exact else "left") - 1
        place = np.searchsorted(self._keys, self._assets * self._width + ranks, side="right") - 1
        known = (ranks >= 0) & (place >= 0)
        known[known] = self._keys[place[known]] // self._width == self._assets[known]
        if not len(self._rows):
            return self._rows.clear(len(trades)).rename(names)
        values = self._rows[np.where(known, place, 0)]
        mask = pl.Series(known, dtype=pl.Boolean)
        return values.select(pl.when(mask).then(pl.col(name)).otherwise(None).alias(other) for name, other in names.items())


def _asset_codes(signals: pl.Series, trades: pl.Series) -> tuple[IntArray, IntArray]:
    """Return the number of each row's asset, the same number on both sides for the same name."""
    import polars as pl

    both = pl.concat([signals.cast(pl.String).alias("asset"), trades.cast(pl.String).alias("asset")])
    codes = both.rank("dense").cast(pl.Int64).to_numpy()
    return codes[: len(signals)], codes[len(signals) :]


def _trade_times(trades: pl.DataFrame, column: str, zone: str | None) -> npt.NDArray[Any]:
    """Return a time of the trades in ns. Raises ValueError when only one side has a time zone."""
    axis = time_axis(trades.select(trades[column].alias("timestamp")), f"trades ({column})")
    if (axis.zone is None) != (zone is None) and len(trades):
        sides = ("naive", f"in {zone}") if axis.zone is None else (f"in {axis.zone}", "naive")
        raise ValueError(
            f"trades {column} is {sides[0]} and the signals' times are {sides[1]}; give both a zone, for example"
            " frame.with_columns(pl.col('timestamp').dt.replace_time_zone('UTC'))"
        )
    return axis.nanoseconds.to_numpy()
