"""Real daily market data that travels with the library, for examples and tests.

Three sets, all small, all read from this folder without a network:

* ``"sp500"``: daily bars of the S&P 500 index, 1999-01-04 to 2018-12-31;
* ``"nasdaq"``: daily bars of the NASDAQ Composite index, same days;
* ``"us_stocks"``: daily adjusted closes of 20 large US stocks, 1990-01-02 to
  2022-12-28.

``PROVENANCE.md`` next to this file says where each set comes from, what was changed and
what is odd about it; ``LICENSES.md`` holds the licence texts. ``build.py`` made the files.
"""

from __future__ import annotations

import pathlib
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import polars as pl

__all__ = ["load", "names", "path"]

_NAMES = ("sp500", "nasdaq", "us_stocks")


def _resource(name: str) -> Traversable:
    if name not in _NAMES:
        import difflib

        listed = ", ".join(repr(known) for known in _NAMES)
        close = difflib.get_close_matches(str(name).lower(), _NAMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown sample data {name!r}; the names are {listed}.{hint}")
    return resources.files(__name__).joinpath(f"{name}.parquet")


def names() -> tuple[str, ...]:
    """Return the names of the bundled data sets.

    Returns:
        ``("sp500", "nasdaq", "us_stocks")``: every name that :func:`load` and :func:`path`
        take.

    Raises:
        Nothing.
    """
    return _NAMES


def path(name: str) -> pathlib.Path:
    """Return where the Parquet file of a data set lies on disk.

    Args:
        name: One of :func:`names`.

    Returns:
        The path of ``<name>.parquet`` inside the installed package. Treat the file as
        read-only.

    Raises:
        ValueError: If ``name`` is not one of :func:`names`; the message lists them.
        FileNotFoundError: If the file is no plain file on disk, for example because the
            package is imported from a zip archive. :func:`load` works there all the same.
    """
    resource = _resource(name)
    if not isinstance(resource, pathlib.Path) or not resource.is_file():
        raise FileNotFoundError(f"sample data {name!r} is not a file on disk: {resource}")
    return resource


def load(name: str) -> pl.DataFrame:
    """Load a bundled data set as a new Polars frame.

    Args:
        name: One of :func:`names`.

    Returns:
        A frame in long format without nulls or NaNs, one row per (timestamp, symbol) and
        sorted by both. ``timestamp`` is ``Datetime("us")`` without a time zone: midnight of
        the exchange's trading day, so it labels the day and is not the moment of the
        close. ``symbol`` is ``String``; all other columns are ``Float64``.

        ``"sp500"``: shape (5031, 7), symbol ``"SP500"``; ``"nasdaq"``: shape (5031, 7),
        symbol ``"NASDAQ"``. Columns ``timestamp, symbol, open, high, low, close, volume``.
        Prices are index points, volume is as the source gives it. Until 2005 nearly every
        S&P 500 open equals the close of the day before, and two NASDAQ volumes are zero.

        ``"us_stocks"``: shape (166260, 3), 20 symbols on 8313 days. Columns ``timestamp,
        symbol, close``. Closes are US dollars, adjusted for splits and dividends and
        rounded to three decimals; they are not the prices paid on the day.

    Raises:
        ValueError: If ``name`` is not one of :func:`names`; the message lists them.
        FileNotFoundError: If the file is missing from the installation.

    Source:
        The data sets bundled in the Python packages ``arch`` (both indices, NCSA licence)
        and ``skfolio`` (stocks, BSD-3-Clause licence). See ``PROVENANCE.md`` and
        ``LICENSES.md`` in this package.
    """
    resource = _resource(name)

    import polars as pl

    return pl.read_parquet(resource.read_bytes())
