"""What the pages show: the list of results, one result, several compared. A page follows from its address alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlencode

from ml4t_backtest.dashboard.figures import compared, pictures
from ml4t_backtest.dashboard.words import HEADLINES, cell, metric, settings_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

    from ml4t_backtest.dashboard.shelf import Entry, Loaded, Shelf

__all__ = ["address_of_comparison", "page"]

_ROWS = 50  # of a table on one page
_MOST = 8  # results that are compared
_PARTS = ("overview", "trades", "orders", "fills", "settings")


class _Asked(NamedTuple):
    """The values of an address."""

    values: dict[str, list[str]]

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a name."""
        return self.values.get(name, [default])[0]

    def number(self, name: str) -> int:
        """Return a value as a whole number from 1 on; 1 for what is none."""
        text = self.text(name)
        return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else 1  # noqa: PLR2004 - no page has such a number


def page(shelf: Shelf, path: str | None, search: str | None) -> Any:
    """Return the content of an address: components of Dash. Whatever is asked for, only results of the shelf are shown."""
    asked = _Asked(parse_qs((search or "").removeprefix("?"), keep_blank_values=True))
    made: Callable[[Shelf, _Asked], list[Any]] | None = {"/": _list, "/result": _result, "/compare": _comparison}.get(path or "/")
    return _message("There is no such page.") if made is None else made(shelf, asked)


def address_of_comparison(names: Iterable[str]) -> str:
    """Return the query of the page that compares some results."""
    return "?" + urlencode([("run", name) for name in names])


def _message(text: str, *more: Any) -> list[Any]:
    from dash import html

    return [html.P(text, className="message"), *more, html.P(html.A("All results", href="/"))]


# The list ----------------------------------------------------------------------------------------------------------------


def _list(shelf: Shelf, asked: _Asked) -> list[Any]:
    from dash import html

    entries = shelf.entries()
    if not entries:
        how = "BacktestResult.to_parquet and `ml4t-backtest run --out` save them; reload this page then."
        return [html.P(f"There are no results in {shelf.folder}. {how}", className="message")]
    order, down = asked.text("sort"), asked.text("down") == "1"
    order = order if order in {name for _, name, _ in HEADLINES} else "name"
    entries = _sorted(entries, order, down=down)
    shown, pager = _cut(entries, asked, "/")
    head = [_sorter("Result", "name", order, down=down), html.Th("Strategy", className="name"), html.Th("Status", className="name")]
    head += [_sorter(label, name, order, down=down) for label, name, _ in HEADLINES]
    rows = [html.Tr([*_first_cells(entry), *_figures(entry)]) for entry in shown]
    intro = html.P([f"{len(entries)} result{'s' * (len(entries) > 1)} · ", html.A("compare", href="/compare")])
    return [html.H1("Results"), intro, _table(head, rows), pager]


def _sorted(entries: list[Entry], order: str, *, down: bool) -> list[Entry]:
    """Return the entries by name or by a metric; those without it stand last either way."""
    if order == "name":
        return sorted(entries, key=lambda entry: entry.name, reverse=down)
    with_it = [entry for entry in entries if entry.metrics.get(order) == entry.metrics.get(order, float("nan"))]
    without = [entry for entry in entries if entry not in with_it]
    return sorted(with_it, key=lambda entry: entry.metrics[order], reverse=down) + without


def _sorter(label: str, name: str, order: str, *, down: bool) -> Any:
    from dash import html

    first_down = name != "name"  # the highest first
    turned = not down if name == order else first_down
    arrow = (" ↓" if down else " ↑") if name == order else ""
    return html.Th(html.A(label + arrow, href="/?" + urlencode({"sort": name, "down": int(turned)})))


def _first_cells(entry: Entry) -> list[Any]:
    from dash import html

    link = html.A(_title(entry.name), href="/result?" + urlencode({"run": entry.name}))
    return [html.Td(link, className="name"), html.Td(entry.strategy, className="name"), html.Td(entry.status, className="name")]


def _figures(entry: Entry) -> list[Any]:
    from dash import html

    if entry.problem:
        return [html.Td(f"cannot be read: {entry.problem}", colSpan=len(HEADLINES), className="problem")]
    return [html.Td(metric(entry.metrics, name, form), className=_tone(name, entry.metrics)) for _, name, form in HEADLINES]


def _tone(name: str, metrics: Any) -> str:
    signed = name in {"total_return_pct", "cagr", "sharpe"}
    return "" if not signed or not metrics.get(name) else ("gain" if metrics[name] > 0.0 else "loss")


def _title(name: str) -> str:
    return "this folder" if name == "." else name


def _table(head: Sequence[Any], rows: Sequence[Any]) -> Any:
    from dash import html

    return html.Div(html.Table([html.Thead(html.Tr(list(head))), html.Tbody(list(rows))]), className="scroll")


def _cut(rows: Any, asked: _Asked, path: str) -> tuple[Any, Any]:
    """Return the rows of the page that is asked for, and links to the other pages."""
    from dash import html

    count = len(rows)
    pages = max(1, -(-count // _ROWS))
    number = min(asked.number("page"), pages)
    others = [(name, value) for name, values in asked.values.items() if name != "page" for value in values]

    def link(label: str, to: int) -> Any:
        return (
            html.A(label, href=f"{path}?" + urlencode([*others, ("page", to)])) if 1 <= to <= pages and to != number else html.Span(label)
        )

    first = (number - 1) * _ROWS
    links = [link("first", 1), link("previous", number - 1), html.Span(f"{first + 1:,} to {min(first + _ROWS, count):,} of {count:,}")]
    pager = html.Nav([*links, link("next", number + 1), link("last", pages)], className="pager") if pages > 1 else None
    return rows[first : first + _ROWS], pager


# One result --------------------------------------------------------------------------------------------------------------


def _result(shelf: Shelf, asked: _Asked) -> list[Any]:
    from dash import html

    name = asked.text("run")
    try:
        loaded = shelf.load(name)
    except KeyError:
        return _message(f"There is no result named {name!r} here.")
    except (ValueError, OSError) as error:
        return [html.H1(_title(name)), *_message(f"This result cannot be read: {error}")]
    part = asked.text("part", _PARTS[0])
    part = part if part in _PARTS else _PARTS[0]
    tabs = [
        html.A(each.capitalize(), href="/result?" + urlencode({"run": name, "part": each}), className="here" if each == part else "")
        for each in _PARTS
    ]
    notes = [html.P(note, className="problem") for note in loaded.notes]
    body = _overview(loaded) if part == "overview" else _settings(loaded) if part == "settings" else _rows(loaded, part, asked)
    return [html.H1(_title(name)), html.P(_facts(loaded)), *notes, html.Nav(tabs, className="tabs"), *body]


def _facts(loaded: Loaded) -> str:
    result = loaded.result
    curve = result.equity_curve
    span = f"{cell(curve[0][0])} to {cell(curve[-1][0])}" if curve else "no bars"
    assets = f"{len(result.assets)} asset{'s' * (len(result.assets) != 1)}"
    return " · ".join([*([result.strategy_name] if result.strategy_name else []), result.status, span, f"{len(curve):,} bars", assets])


def _overview(loaded: Loaded) -> list[Any]:
    from dash import html

    metrics = loaded.result.metrics
    cards = [
        html.Div([html.Span(label), html.Strong(metric(metrics, name, form), className=_tone(name, metrics))], className="card")
        for label, name, form in HEADLINES
    ]
    rows = [(name, cell(value)) for name, value in metrics.items()]
    return [html.Div(cards, className="cards"), *map(_graph, pictures(loaded.result)), html.H2("All metrics"), _pairs(rows)]


def _graph(figure: Any) -> Any:
    from dash import dcc

    return dcc.Graph(figure=figure, config={"displaylogo": False, "responsive": True}, className="graph")


def _pairs(rows: Iterable[tuple[str, str]]) -> Any:
    from dash import html

    return html.Div(_table([], [html.Tr([html.Td(name, className="name"), html.Td(value)]) for name, value in rows]), className="pairs")


def _settings(loaded: Loaded) -> list[Any]:
    from dash import html

    result = loaded.result
    if result.config is None:
        made: list[Any] = [html.P("The settings of this run were not saved, or this version does not know them.", className="message")]
    else:
        preset = [("preset", result.config.preset_name)] if result.config.preset_name else []
        made = [_pairs([*preset, *settings_rows(result.config.to_dict())])]
    if result.contract_specs:
        made.append(html.H2("Contracts"))
        made.append(_pairs((asset, cell(str(spec))) for asset, spec in result.contract_specs.items()))
    return [*made, html.H2("Assets"), html.P(", ".join(result.assets))]


def _rows(loaded: Loaded, part: str, asked: _Asked) -> list[Any]:
    from dash import html

    frame: pl.DataFrame = getattr(loaded.result, f"to_{part}_dataframe")()
    if frame.is_empty():
        return [html.P(f"There are no {part}.", className="message")]
    shown, pager = _cut(frame, asked, "/result")
    numbers = [frame.schema[name].is_numeric() for name in frame.columns]
    rows = [
        html.Tr([html.Td(cell(value), className="" if numeric else "name") for value, numeric in zip(row, numbers, strict=True)])
        for row in shown.iter_rows()
    ]
    head = [html.Th(name, className="" if numeric else "name") for name, numeric in zip(frame.columns, numbers, strict=True)]
    return [_table(head, rows), pager]


# Several results ---------------------------------------------------------------------------------------------------------


def _comparison(shelf: Shelf, asked: _Asked) -> list[Any]:
    from dash import dcc, html

    names = [entry.name for entry in shelf.entries() if not entry.problem]
    wanted = list(dict.fromkeys(name for name in asked.values.get("run", names[:4]) if name))
    chosen = [name for name in wanted if name in names][:_MOST]
    problems = [html.P(f"There is no result named {name!r} that can be read.", className="problem") for name in wanted if name not in names]
    if len(wanted) - len(problems) > _MOST:
        problems.append(html.P(f"The first {_MOST} are shown.", className="problem"))
    loaded: list[Loaded] = []
    for name in chosen:
        try:
            loaded.append(shelf.load(name))
        except (KeyError, ValueError, OSError) as error:
            problems.append(html.P(f"{_title(name)} cannot be read: {error}", className="problem"))
    options = [{"label": _title(name), "value": name} for name in names]
    choice = dcc.Dropdown(options, chosen, multi=True, id="chosen", placeholder="Results to compare", className="choice")
    shown = dcc.Store(id="shown", data=chosen)
    body = [_graph(compared({_title(each.name): each.result for each in loaded})), _side_by_side(loaded)] if loaded else []
    return [html.H1("Comparison"), choice, shown, *problems, *body]


def _side_by_side(loaded: Sequence[Loaded]) -> Any:
    from dash import html

    head = [html.Th(""), *(html.Th(html.A(_title(each.name), href="/result?" + urlencode({"run": each.name}))) for each in loaded)]
    rows = [
        html.Tr([html.Td(label, className="name"), *(html.Td(metric(each.result.metrics, name, form)) for each in loaded)])
        for label, name, form in HEADLINES
    ]
    rows += [
        html.Tr([html.Td(name, className="name"), *(html.Td(cell(each.result.metrics.get(name))) for each in loaded)])
        for name in dict.fromkeys(name for each in loaded for name in each.result.metrics)
    ]
    return _table(head, rows)
