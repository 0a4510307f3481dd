"""What a report consists of: cards, tables and sections, and how they become one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml4t_backtest.reports.palette import DARK, graphs
from ml4t_backtest.wholefiles import beside, naming, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Card", "Heat", "Page", "Section", "Table", "checked_path", "rendered", "written"]


@dataclass(frozen=True)
class Card:
    """A headline figure. tone: "up", "down" or none."""

    label: str
    value: str
    meaning: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Heat:
    """A cell of a coloured table. share: from -1 (a loss as large as any) to 1 (a gain as large as any)."""

    text: str
    share: float = 0.0


@dataclass(frozen=True)
class Table:
    """A table. rows: cells are texts or `Heat`; a row of one cell spans all columns. texts: columns that stand on the left.

    kind: "heat" and "map" have coloured cells, "side" and "map" keep the first column in view, "pairs" are
    names with values, which flow into as many columns as fit.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    texts: int = 1
    caption: str = ""
    kind: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page. chart: a Plotly figure. empty: what to say in place of the rest. log: its first axis has a log button."""

    key: str
    title: str
    chart: Any = None
    tables: Sequence[Table] = ()
    note: str = ""
    empty: str = ""
    wide: bool = False
    log: bool = False

    @property
    def height(self) -> int:
        """Pixels of the chart."""
        return int(self.chart.layout.height)


@dataclass(frozen=True)
class Page:
    """All of a report."""

    title: str
    facts: Sequence[str]
    cards: Sequence[Card]
    sections: Sequence[Section]
    warnings: Sequence[str] = ()
    footer: str = field(default="")

    @property
    def charts(self) -> bool:
        """Whether there is anything to draw."""
        return any(section.chart is not None for section in self.sections)


def checked_path(path: str | Path) -> Path:
    """Return where a report goes, after everything that can be known beforehand has been looked at.

    Raises TypeError for what is no path, IsADirectoryError for a folder, NotADirectoryError where a file stands in the
    place of a folder, PermissionError for a folder that cannot be written, ImportError without plotly or jinja2.
    """
    if not isinstance(path, (str, Path)) or not str(path):
        raise TypeError(f"path was {path!r}, expected the name of a file such as 'report.html'")
    graphs()
    _environment()
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"path was {str(target)!r}, which is a folder; give a file in it: {str(target / 'report.html')!r}")
    standing = next((folder for folder in target.parents if folder.exists()), None)
    if standing is not None and not standing.is_dir():
        raise NotADirectoryError(f"path was {str(target)!r}, but {str(standing)!r} is a file, not a folder")
    with naming(target, "the report"):
        target.parent.mkdir(parents=True, exist_ok=True)
        trial = beside(target)
        try:
            trial.touch()
        finally:
            trial.unlink(missing_ok=True)
    return target


def written(page: Page, target: Path) -> Path:
    """Write a page as a file that appears whole or not at all and return its path."""
    write_text(target, rendered(page))
    return target


def rendered(page: Page) -> str:
    """Return a page as HTML that needs no network. Every text is escaped; scripts other than its own are refused by the page itself."""
    from markupsafe import Markup

    script, library = _asset("page.js"), _library()
    figures = {section.key: section.chart.to_plotly_json() for section in page.sections if section.chart is not None}
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in (library, script)) if page.charts else "'none'"
    html: str = (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            css=Markup(_asset("page.css")),  # noqa: S704 - of this package
            hashes=Markup(hashes),  # noqa: S704 - base64
            charts=Markup(script_json({"dark": DARK, "figures": figures})),  # noqa: S704 - escaped for scripts
            library=Markup(library),  # noqa: S704 - of plotly
            script=Markup(script),  # noqa: S704 - of this package
            drawn=_cell,
        )
    )
    return html


def script_json(value: Any) -> str:
    """Return plain values as JSON that may stand in a script of a page: no tag, entity or line separator can end it."""
    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _finite(value: Any) -> Any:
    """Return values as JSON takes them: plain numbers and lists, None for what is not finite."""
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def _cell(cell: Any, numeric: bool) -> Any:  # noqa: FBT001 - called by the template
    """Return a table cell as HTML, its text escaped."""
    from markupsafe import Markup, escape

    if not isinstance(cell, Heat):
        return Markup(f"<td{' class=n' if numeric else ''}>{escape(cell)}</td>")  # noqa: S704 - escaped
    if not cell.share:
        return Markup(f"<td class=n>{escape(cell.text)}</td>")  # noqa: S704 - escaped
    tone = "up" if cell.share > 0.0 else "down"
    weight = 0.08 + 0.57 * min(1.0, abs(cell.share))
    return Markup(f'<td class="n {tone}" style="--share: {weight:.3f}">{escape(cell.text)}</td>')  # noqa: S704 - escaped


@cache
def _asset(name: str) -> str:
    return _fit_for_scripts((resources.files("ml4t_backtest.reports") / "page" / name).read_text(encoding="utf-8"), name)


@cache
def _library() -> str:
    """Return plotly.js as the installed plotly brings it."""
    from plotly.offline import get_plotlyjs

    return _fit_for_scripts(get_plotlyjs(), "plotly.js")


def _fit_for_scripts(text: str, name: str) -> str:
    """Return a text that may stand in a script. Raises ValueError for one that would end it, or hide its end."""
    lower = text.lower()
    if "</script" in lower or ("<!--" in lower and "<script" in lower):
        raise ValueError(f"{name} cannot stand in a page: it holds a tag that ends scripts")
    return text


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Any:
    """Return the templates, which escape everything. Raises ImportError without jinja2."""
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("reports need plotly and jinja2: pip install 'ml4t-backtest-numba[report]'") from error
    loader = jinja2.PackageLoader("ml4t_backtest.reports", "page")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
