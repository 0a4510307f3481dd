"""`BacktestExporter`: many results to disk, with a table over all of them, and reports as JSON and Markdown."""

from __future__ import annotations

import json
import math
import platform
import re
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml4t_backtest.archive import check_choices
from ml4t_backtest.result import BacktestResult
from ml4t_backtest.wholefiles import naming, write_text, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

__all__ = ["BacktestExporter"]

_SUMMARY = "sweep_summary"
_PLAIN = (bool, int, float, str, type(None))
# What Markdown would take as markup; an underscore within a word is none.
_MARKUP = re.compile(r"[\\`*\[\]~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JSON_HTML = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})

_COLUMNS = (
    ("Return", "total_return_pct", "{:+.2f} %"),
    ("Max drawdown", "max_drawdown_pct", "{:.2f} %"),
    ("Sharpe", "sharpe", "{:.2f}"),
    ("Sortino", "sortino", "{:.2f}"),
    ("Calmar", "calmar", "{:.2f}"),
    ("Trades", "num_trades", "{:,.0f}"),
    ("Win rate", "win_rate", "{:.1%}"),
    ("Profit factor", "profit_factor", "{:.2f}"),
    ("Final value", "final_value", "{:,.2f}"),
)


class BacktestExporter:
    """Writes and reads results; all methods are static.

    Results are `BacktestResult` objects. Every file appears whole or not at all.
    """

    @staticmethod
    def to_parquet(
        result: BacktestResult, path: str | Path, compression: str = "zstd", include: Iterable[str] | None = None
    ) -> dict[str, Path]:
        """Write a result to a folder, as `BacktestResult.to_parquet`."""
        return result.to_parquet(path, include=include, compression=compression)

    @staticmethod
    def from_parquet(path: str | Path) -> BacktestResult:
        """Read a result from a folder, as `BacktestResult.from_parquet`."""
        return BacktestResult.from_parquet(path)

    @staticmethod
    def batch_export(
        results: Iterable[BacktestResult],
        base_path: str | Path,
        param_values: Iterable[Mapping[str, Any]] | None = None,
        compression: str = "zstd",
        export_individual: bool = True,  # noqa: FBT001, FBT002 - published
        include: Iterable[str] | None = None,
    ) -> pl.DataFrame:
        """Write the results of a parameter study and return its table, one row per result.

        base_path gets sweep_summary.parquet and sweep_summary.csv, and unless export_individual is off the folders
        run_0001, run_0002, ... as `BacktestResult.to_parquet` writes them (compression, include). Folders of an
        earlier and longer study stay.

        param_values: one mapping per result. Columns of the table: run ("run_0001"), status, the parameters (null where
        a mapping lacks one; a name that the table has already gets the prefix "param_"), all metrics. Values that are no
        plain numbers or texts are written as text, enum members as their values; so is a parameter that mixes texts and
        numbers. The table of an earlier study goes away before the first folder is written, and the new one comes last: a
        table that is there belongs to the folders. Raises ValueError for no results at all, another number of mappings than
        of results and names that clash, before anything is written; OSError, naming the path, where nothing can be written.
        """
        every = list(results)
        if not every:
            raise ValueError("results was empty, expected at least one BacktestResult")
        settings = None if param_values is None else list(param_values)
        if settings is not None and len(settings) != len(every):
            raise ValueError(f"{len(every)} results and {len(settings)} param_values, expected as many of each")
        parts = check_choices(include, compression)
        runs = [f"run_{number:04d}" for number in range(1, len(every) + 1)]
        summary = _summary(every, runs, settings or [])
        base = Path(base_path).expanduser()
        with naming(base, "the study"):
            base.mkdir(parents=True, exist_ok=True)
            for ending in ("parquet", "csv"):
                (base / f"{_SUMMARY}.{ending}").unlink(missing_ok=True)
        if export_individual:
            for run, result in zip(runs, every, strict=True):
                result.to_parquet(base / run, include=parts, compression=compression)
        kind: Any = compression
        write_whole(base / f"{_SUMMARY}.csv", summary.write_csv)
        write_whole(base / f"{_SUMMARY}.parquet", lambda file: summary.write_parquet(file, compression=kind))
        return summary

    @staticmethod
    def load_sweep_summary(base_path: str | Path) -> pl.DataFrame:
        """Read the table that `batch_export` wrote.

        Raises FileNotFoundError when there is none (an export that was interrupted leaves none), ValueError when it cannot
        be read; both name the path.
        """
        import polars as pl

        base = Path(base_path).expanduser()
        for name, read in ((f"{_SUMMARY}.parquet", pl.read_parquet), (f"{_SUMMARY}.csv", pl.read_csv)):
            if (base / name).is_file():
                try:
                    return read(base / name)
                except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
                    raise ValueError(f"{base / name} cannot be read: {error}; write it again with batch_export") from error
        raise FileNotFoundError(f"{base} holds no {_SUMMARY}.parquet; BacktestExporter.batch_export writes it")

    @staticmethod
    def generate_json_report(results: Iterable[BacktestResult], output_path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the metrics of results as JSON: {"meta": {...}, "results": [{"index": 0, "status": ..., metrics}, ...]}.

        meta holds the time of writing (UTC), the Python version, the number of results, and `metadata`, whose values
        that JSON lacks become texts. Infinite numbers are the texts "Infinity" and "-Infinity", missing ones "NaN". The
        letters <, > and & are written as escapes, so that the text may stand inside a web page.
        """
        rows = [{"index": index, "status": result.status, **result.metrics} for index, result in enumerate(results)]
        meta = {
            "timestamp": datetime.now(UTC).isoformat(),
            "python_version": platform.python_version(),
            "num_results": len(rows),
            **(metadata or {}),
        }
        text = json.dumps(_for_json({"meta": meta, "results": rows}), indent=2, allow_nan=False)
        write_text(Path(output_path).expanduser(), text.translate(_JSON_HTML))

    @staticmethod
    def generate_markdown_report(
        results: Iterable[BacktestResult],
        output_path: str | Path,
        title: str = "Backtest Results",
        param_names: Sequence[str] | None = None,
        param_values: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Write a Markdown page with one table row per result and a line on the highest Sharpe ratio.

        param_names: the parameters to show, all of param_values for None. Title, names and values are shown as they are:
        what Markdown or HTML would take as markup is escaped. Raises ValueError for another number of
        mappings than of results and for names without mappings.
        """
        every = list(results)
        settings = None if param_values is None else list(param_values)
        if settings is not None and len(settings) != len(every):
            raise ValueError(f"{len(every)} results and {len(settings)} param_values, expected as many of each")
        if param_names is not None and settings is None:
            raise ValueError("param_names needs param_values, one mapping per result")
        names = list(dict.fromkeys(name for row in settings or [] for name in row)) if param_names is None else list(param_names)
        lines = [
            f"# {_escaped(title)}",
            "",
            f"{len(every)} results.",
            "",
            *_row(["Run", *map(_shown, names), *(label for label, _, _ in _COLUMNS)]),
        ]
        lines.append("|" + " --- |" + " ---: |" * (len(names) + len(_COLUMNS)))
        for number, result in enumerate(every):
            shown = [_shown((settings or [{}] * len(every))[number].get(name, "")) for name in names]
            lines += _row([str(number + 1), *shown, *(form.format(result.metrics[name]) for _, name, form in _COLUMNS)])
        ranked = [number for number, result in enumerate(every) if math.isfinite(result.metrics["sharpe"])]
        if ranked:
            best = max(ranked, key=lambda number: every[number].metrics["sharpe"])
            lines += ["", f"Highest Sharpe ratio: run {best + 1} with {every[best].metrics['sharpe']:.2f}."]
        write_text(Path(output_path).expanduser(), "\n".join(lines))


def _summary(every: Sequence[BacktestResult], runs: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the table over results: run, status, parameters, metrics."""
    import polars as pl

    metrics = list(dict.fromkeys(name for result in every for name in result.metrics))
    columns = [pl.Series("run", runs), pl.Series("status", [result.status for result in every])]
    columns += _parameters(settings, {"run", "status", *metrics})
    columns += [pl.Series(name, [result.metrics.get(name) for result in every], strict=False) for name in metrics]
    return pl.DataFrame(columns)


def _parameters(settings: Sequence[Mapping[str, Any]], taken: set[str]) -> list[pl.Series]:
    """Return one series per parameter."""
    made: dict[str, pl.Series] = {}
    for name in dict.fromkeys(str(name) for row in settings for name in row):
        column = f"param_{name}" if name in taken else name
        if column in made or column in taken:
            raise ValueError(f"two columns of the summary would be named {column!r}; rename the parameter {name!r}")
        made[column] = _series(column, [_plain(row.get(name)) for row in settings])
    return list(made.values())


def _series(name: str, values: list[Any]) -> pl.Series:
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if len(kinds) > 1:
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    return pl.Series(name, values, strict=False)


def _plain(value: Any) -> Any:
    """Return a value that a column can hold: enum members as their values, numpy numbers as plain ones, the rest as text."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return _plain(value.item())
    return value if type(value) in _PLAIN else str(value)


def _for_json(value: Any) -> Any:
    """Return a value as JSON has it: nested, numbers that are not finite as texts, objects as texts."""
    if hasattr(value, "items"):
        return {str(key): _for_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_json(part) for part in value]
    plain = _plain(value)
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else ("Infinity" if plain > 0.0 else "-Infinity")
    return plain


def _escaped(text: str) -> str:
    """Return a text that Markdown and HTML show as it is, in one line."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return _MARKUP.sub(lambda found: f"\\{found[0]}", line).translate(_HTML)


def _shown(value: Any) -> str:
    """Return a value as the cell of a table."""
    plain = _plain(value)
    return _escaped(f"{plain:g}" if isinstance(plain, float) else str(plain)).replace("|", "\\|")


def _row(cells: Iterable[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]
