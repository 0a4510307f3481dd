"""The part of a result that goes to disk and comes back."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from ml4t_backtest.analytics.exposure import Exposure
    from ml4t_backtest.archive import Saved
    from ml4t_backtest.config import BacktestConfig
    from ml4t_backtest.contracts import ContractSpec
    from ml4t_backtest.panels import Panels
    from ml4t_kernels.dtypes import FloatArray, IntArray, Records

__all__ = ["StoredResult"]


class StoredResult:
    """Saving and loading."""

    config: BacktestConfig
    status: str
    metrics: dict[str, float]
    contract_specs: Mapping[str, ContractSpec]
    strategy_name: str | None
    _panels: Panels
    _initial_cash: float
    _times: IntArray
    _timestamps: Sequence[Any]
    _equity: FloatArray
    _cash: FloatArray
    _fills: Records
    _orders: Records
    _trades: Records
    _flows: Records
    _alerts: Records
    _multipliers: FloatArray
    _limit_names: Sequence[str]
    _skipped_bars: int
    _saved_exposure: Exposure | None

    def to_parquet(self, path: str | Path, include: Iterable[str] | None = None, compression: str = "zstd") -> dict[str, Path]:
        """Write the result to a folder and return the path of each part.

        include: some of trades, equity, daily_pnl, fills, orders, cash_flows, alerts (Parquet), metrics (JSON), config (YAML); None for
        all. compression: of the Parquet files: zstd, lz4, snappy, gzip, brotli, uncompressed. A file manifest.json holds the
        schema version, the version of this package, status, assets, contract specs, name of the strategy, and length and
        SHA-256 of every file.

        The folder appears whole or not at all; a result that was there is replaced as a whole, files of others stay.
        Raises ValueError for unknown names, NotADirectoryError where a file stands, FileExistsError where a file of
        something else has one of the names, other OSErrors where nothing can be written; all name the path.
        """
        from ml4t_backtest import archive

        wanted = archive.check_choices(include, compression)
        parts = {name: self._part(name) for name in wanted if name != "config" or self.config is not None}
        return archive.write(path, parts, self._facts(), compression)

    def _facts(self) -> dict[str, Any]:
        """Return what the manifest says about the run."""
        from ml4t_backtest import __version__

        return {
            "package_version": __version__,
            "status": self.status,
            "strategy_name": self.strategy_name,
            "initial_cash": self._initial_cash,
            "preset_name": None if self.config is None else self.config.preset_name,
            "assets": list(self._panels.assets),
            "skipped_bars": self._skipped_bars,
            "limit_names": list(self._limit_names),
            "contract_specs": {asset: _spec_values(spec) for asset, spec in self.contract_specs.items()},
        }

    def _part(self, name: str) -> Any:
        """Return what a file holds: frames with every field of the records, the metrics, or the settings."""
        from ml4t_backtest import archive

        if name == "metrics":
            return self.metrics
        if name == "config":
            return self.config.to_dict()
        if name == "daily_pnl":
            return cast("Any", self).to_daily_pnl()
        frame: pl.DataFrame = getattr(self, f"to_{name}_dataframe")()
        if name == "equity":
            return frame.with_columns(archive.exact_times(frame["timestamp"], self._times), *self._exposure_columns())
        records = getattr(self, f"_{name.removeprefix('cash_')}")
        if name == "alerts":  # two limits may have one name
            return archive.with_fields(frame, records).with_columns(archive.numbers("limit_row", records["limit"]))
        return archive.with_fields(frame, records)

    def _exposure_columns(self) -> list[pl.Series]:
        """Return long, short and num_positions of every bar: they need prices, which a folder does not have."""
        import polars as pl

        exposure: Exposure = cast("Any", self)._exposed()
        return [pl.Series(name, values) for name, values in exposure._asdict().items()]

    @classmethod
    def from_parquet(cls, path: str | Path) -> Self:
        """Read a result from a folder that `to_parquet` wrote; it answers everything without an engine, but market prices.

        Parts that were not saved are empty, metrics that are not there are computed from the rest. Folders of
        older versions are read too, and those of the engine we replace, with columns symbol for asset and fees for commission;
        there parts may be missing. Settings that this version does not know are left out with a warning (UserWarning) and
        `config` is None.

        Raises FileNotFoundError for a missing folder, one without any part, and a file that is missing; ValueError for files
        that are cut off, changed, or cannot be read, and for folders of something else or of a newer version. All name the file.
        """
        from ml4t_backtest import archive

        saved = archive.read(Path(path).expanduser())
        result = cls.__new__(cls)
        result._load(saved)
        return result

    def _load(self, saved: Saved) -> None:
        from ml4t_backtest.frames import time_series
        from ml4t_backtest.restore import restored

        run = restored(saved)
        self.config = cast("BacktestConfig", _config_of(saved))
        self.status = run.status
        self.strategy_name = saved.manifest.get("strategy_name")
        self.contract_specs = _specs_of(saved)
        self._panels = run.panels
        self._times = run.times
        self._timestamps = time_series("timestamp", run.times, run.panels.zone).to_list()
        self._equity, self._cash = run.equity, run.cash
        self._fills, self._orders, self._trades = run.fills, run.orders, run.trades
        self._flows, self._alerts, self._limit_names = run.flows, run.alerts, run.limit_names
        self._multipliers = run.multipliers
        self._initial_cash = run.initial_cash
        self._saved_exposure = run.exposure
        self._skipped_bars = int(run.metrics.get("skipped_bars", 0.0))
        computed: dict[str, float] = cast("Any", self)._computed_metrics()
        self.metrics = {**computed, **run.metrics}


def _spec_values(spec: ContractSpec) -> dict[str, Any]:
    return {name: value.value if isinstance(value, Enum) else value for name, value in asdict(spec).items()}


def _specs_of(saved: Saved) -> dict[str, ContractSpec]:
    from ml4t_backtest.contracts import ContractSpec

    try:
        return {asset: ContractSpec(**values) for asset, values in (saved.manifest.get("contract_specs") or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{saved.folder / 'manifest.json'}: contract_specs cannot be read: {error}") from error


def _config_of(saved: Saved) -> BacktestConfig | None:
    """Return the settings of a folder; None, with a warning, for settings that this version does not know."""
    from ml4t_backtest.config import BacktestConfig

    if saved.settings is None:
        return None
    try:
        return BacktestConfig.from_dict(cast("dict[str, Any]", saved.settings), preset_name=saved.manifest.get("preset_name"))
    except (TypeError, ValueError) as error:
        warnings.warn(f"{saved.folder}: these settings cannot be read, config is None: {error}", UserWarning, stacklevel=4)
        return None
