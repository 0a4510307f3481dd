"""Tables of contracts: the futures that travel with the library (`futures.yaml`), and readers for tables of users.

All readers give the same shape, a dict of symbol to fields, so that files, frames and mappings take one way on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml4t_backtest.hints import shortened

if TYPE_CHECKING:
    import polars as pl

__all__ = ["is_missing", "named_rows", "published_futures"]

SYMBOL_COLUMNS = ("symbol", "asset", "product", "ticker")
_SUFFIXES = (".csv", ".json", ".parquet", ".yaml", ".yml")


def published_futures() -> dict[str, Any]:
    """Return the bundled futures, symbol to fields; every value is text. The file says units, sources and date."""
    from importlib import resources

    return _from_yaml(resources.files(__name__).joinpath("futures.yaml").read_text(encoding="utf-8"), "futures.yaml")


def is_missing(value: object) -> bool:
    """Return whether a cell says nothing: None, NaN, an empty text, or the null of YAML ("null", "~")."""
    if isinstance(value, str):
        return value.strip() in ("", "~", "null")
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124


def named_rows(source: object, role: str) -> dict[str, Any]:
    """Return a table as a dict of symbol to what stands there, in the order of the source; an empty table gives {}.

    source: a mapping; a path to YAML or JSON (symbol to fields), CSV or Parquet; a Polars DataFrame or LazyFrame, a
    pandas DataFrame or a pyarrow Table. Tables have a column symbol, asset, product or ticker. YAML and CSV give
    every value as text. role: "contract specs", for messages.

    Raises TypeError for another source or a symbol that is no text, FileNotFoundError, and ValueError for a file that
    cannot be read, an empty symbol, or two rows whose symbols differ at most in case.
    """
    if isinstance(source, (str, Path)):
        return _from_file(Path(source), role)
    if isinstance(source, Mapping):
        return _unique(source.items(), role)
    return _by_symbol(_frame(source, role).to_dicts(), role)


def _unique(pairs: Any, role: str) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    seen: dict[str, str] = {}
    for symbol, row in pairs:
        if not isinstance(symbol, str):
            raise TypeError(f"{role}: the symbol {symbol!r} was a {type(symbol).__name__}, expected text")
        name = symbol.strip()
        if not name:
            raise ValueError(f"{role}: a symbol was empty")
        if name.upper() in seen:
            raise ValueError(f"{role}: {name!r} was given twice, before as {seen[name.upper()]!r}")
        seen[name.upper()] = name
        rows[name] = row
    return rows


def _from_file(path: Path, role: str) -> dict[str, Any]:
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"{role}: {path} ends in {suffix!r}, expected one of {list(_SUFFIXES)}")
    if not path.exists():
        raise FileNotFoundError(f"{role}: no such file: {path}")
    where = f"{role} of {path}"
    if suffix == ".parquet":
        return _by_symbol(_parquet(path, where).to_dicts(), where)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: no text file: {error}") from error
    if suffix == ".csv":
        return _by_symbol(_csv_rows(text, where), where)
    return _from_json(text, where) if suffix == ".json" else _from_yaml(text, where)


def _from_yaml(text: str, where: str) -> dict[str, Any]:
    """Read YAML without guessing types: symbols such as ON, NO and 700 stay text. A key given twice is an error."""
    import yaml

    loader = yaml.BaseLoader(text)
    try:
        root = loader.get_single_node()
        loaded = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: {error}") from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode) or not isinstance(loaded, dict):
        raise TypeError(f"{where}: expected symbols with their fields, got {type(loaded).__name__}")
    for node in (root, *(value for _, value in root.value if isinstance(value, yaml.MappingNode))):
        _unique(((key.value, None) for key, _ in node.value), where)
    return _unique(loaded.items(), where)


def _from_json(text: str, where: str) -> dict[str, Any]:
    import json

    try:
        loaded = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where)) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: {error}") from error
    if not isinstance(loaded, dict):
        raise TypeError(f"{where}: expected symbols with their fields, got {type(loaded).__name__}")
    return loaded


def _csv_rows(text: str, where: str) -> list[dict[str, Any]]:
    import csv
    import io

    lines = [line for line in csv.reader(io.StringIO(text, newline="")) if line]
    if not lines:
        return []
    header = [name.strip() for name in lines[0]]
    _unique(((name, None) for name in header), f"{where}, header")
    for number, line in enumerate(lines[1:], start=1):
        if len(line) != len(header):
            raise ValueError(f"{where}: row {number} has {len(line)} cells, the header {len(header)}")
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def _parquet(path: Path, where: str) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{where}: cannot be read as Parquet: {error}") from error


def _frame(source: Any, role: str) -> pl.DataFrame:
    import polars as pl

    kind = type(source)
    home = kind.__module__.split(".")[0]
    if isinstance(source, pl.LazyFrame):
        collected: pl.DataFrame = source.collect()
        return collected
    if isinstance(source, pl.DataFrame):
        return source
    if home == "pandas" and kind.__name__ == "DataFrame":
        named = any(name is not None for name in source.index.names)
        try:
            read: pl.DataFrame = pl.from_pandas(source.reset_index() if named else source)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{role}: the pandas frame cannot be read: {error}") from error
        return read
    if home == "pyarrow" and kind.__name__ == "Table":
        converted = pl.from_arrow(source)
        if isinstance(converted, pl.DataFrame):
            return converted
    raise TypeError(
        f"{role} was a {kind.__module__}.{kind.__qualname__}, expected a mapping, a path to one of {list(_SUFFIXES)}, a Polars"
        " DataFrame or LazyFrame, a pandas DataFrame, or a pyarrow Table"
    )


def _by_symbol(rows: Sequence[dict[str, Any]], role: str) -> dict[str, Any]:
    if not rows:
        return {}
    names = list(rows[0])
    found = [name for name in names if name.strip().lower() in SYMBOL_COLUMNS]
    if len(found) != 1:
        problem = f"has several columns of symbols, {found}" if found else f"has no column of symbols ({shortened(names)})"
        raise ValueError(f"{role} {problem}, expected one of {list(SYMBOL_COLUMNS)}")
    column = found[0]
    return _unique(((row[column], {name: value for name, value in row.items() if name != column}) for row in rows), role)
