"""A folder with results, and the words on a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml4t_backtest.result import BacktestResult
from tests.facade.feeds import feed
from tests.facade.test_export import CLOSES, run

__all__ = ["HOSTILE", "fill_shelf", "links_of", "words_of"]

HOSTILE = "<img src=x onerror=alert(1)>"


def fill_shelf(folder: Path) -> BacktestResult:
    """Save results under `folder`: fast, deep/slow (twice the cash), deep/odd (a hostile asset name), and one that is damaged."""
    result = run()
    result.to_parquet(folder / "fast")
    run(2_000.0).to_parquet(folder / "deep" / "slow")
    run(source=feed({**CLOSES, HOSTILE: CLOSES["A"]})).to_parquet(folder / "deep" / f"odd {HOSTILE}")
    run().to_parquet(folder / "damaged")
    (folder / "damaged" / "fills.parquet").write_bytes(b"PAR1")
    (folder / "notes.txt").write_text("mine")
    (folder / ".fast.0.tmp").mkdir()
    (folder / ".fast.0.tmp" / "trades.parquet").write_text("")
    return result


def words_of(parts: Any) -> str:
    """Return the text of components, cells apart."""
    return " | ".join(_texts(parts))


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from _texts(each)
    elif part is not None and not isinstance(part, (str, int, float)):
        yield from _texts(getattr(part, "children", None))
    elif part is not None:
        yield str(part)


def links_of(part: Any) -> list[str]:
    """Return the addresses of all links of components."""
    if isinstance(part, (list, tuple)):
        return [link for each in part for link in links_of(each)]
    if part is None or isinstance(part, (str, int, float)):
        return []
    own = [part.href] if getattr(part, "href", None) else []
    return own + links_of(getattr(part, "children", None))
