"""The web server: Dash on this computer only, read-only."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml4t_backtest.dashboard.pages import address_of_comparison, page
from ml4t_backtest.dashboard.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["View", "open_view"]

_LAST_PORT = 65_535
_STATIC = Path(__file__).parent / "static"
# Dash starts by a line in the page, Plotly compiles functions; nothing comes from elsewhere.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; frame-ancestors 'none'; form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass
class View:
    """A server that has its port and waits for `serve`.

    address: what a browser opens. server: of Werkzeug; `serve` ends after `server.shutdown()` in another thread.
    """

    address: str
    server: Any

    def serve(self) -> None:
        """Answer requests until Ctrl-C or shutdown."""
        try:
            self.server.serve_forever()
        finally:
            self.server.server_close()


def open_view(folder: str | Path, *, host: str = "127.0.0.1", port: int = 8050) -> View:
    """Make the server of the results below a folder.

    host: an address of this computer's own network (loopback). port: 0 for any free one. Raises ImportError without the extra
    `dashboard`, FileNotFoundError and NotADirectoryError for the folder, ValueError for another host, and for a port that is none
    or taken.
    """
    if not 0 <= port <= _LAST_PORT:
        raise ValueError(f"port was {port}, expected 0 to {_LAST_PORT}")
    if not ip_address(host).is_loopback:
        raise ValueError(f"host was {host!r}, expected a loopback address such as 127.0.0.1: whoever reaches the page can read the results")
    shelf = Shelf(Path(folder))
    try:
        from werkzeug.serving import WSGIRequestHandler, make_server

        app = _app(shelf)
    except ImportError as error:
        raise ImportError(f"the dashboard needs Dash: pip install 'ml4t-backtest-numba[dashboard]' ({error})") from error

    class Quiet(WSGIRequestHandler):  # type: ignore[misc, unused-ignore] # untyped base
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing about requests; errors are still told."""

    server = make_server(host, port, app.server, threaded=True, request_handler=Quiet, fd=_bound(host, port))
    shown = f"[{host}]" if ":" in host else host
    _guard(app.server, [f"{name}:{server.port}" for name in (shown, "localhost")])
    return View(f"http://{shown}:{server.port}/", server)


def _bound(host: str, port: int) -> int:
    """Return a socket that listens, as its descriptor: Werkzeug would end the process when it cannot have the port."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
        except OSError as error:
            raise ValueError(f"port {port} cannot be used: {error.strerror}; name another one, or 0 for any that is free") from error
        made.listen()
        return made.detach()


def _app(shelf: Shelf) -> Any:
    """Return the Dash application. Every file it needs comes from this computer."""
    from dash import Dash, Input, Output, State, dcc, html, no_update

    app = Dash(
        "ml4t_backtest",
        title="Backtests",
        update_title="",
        assets_folder=str(_STATIC),
        serve_locally=True,
        suppress_callback_exceptions=True,
        include_pages_meta=False,
    )
    header = html.Header([html.A("Backtests", href="/"), html.Span(str(shelf.folder))])
    app.layout = html.Div([dcc.Location(id="address", refresh="callback-nav"), header, html.Main(id="page")])

    @app.callback(Output("page", "children"), Input("address", "pathname"), Input("address", "search"))  # type: ignore[untyped-decorator, unused-ignore]
    def show(path: str | None, search: str | None) -> Any:
        return page(shelf, path, search)

    @app.callback(Output("address", "search"), Input("chosen", "value"), State("shown", "data"), prevent_initial_call=True)  # type: ignore[untyped-decorator, unused-ignore]
    def choose(names: Sequence[str] | None, shown: Sequence[str] | None) -> Any:
        return no_update if (names or []) == shown else address_of_comparison(names or [""])

    return app


def _guard(server: Any, hosts: Sequence[str]) -> None:
    """Refuse what no page of ours asks for: other methods, and other names of this host (a web page of others that resolves to it)."""
    from flask import abort, request

    def check() -> None:
        if request.host not in hosts:
            abort(403)
        if request.method not in {"GET", "HEAD", "POST"} or (request.method == "POST" and request.path != "/_dash-update-component"):
            abort(405)

    def protect(response: Any) -> Any:
        response.headers.update(_HEADERS)
        return response

    server.before_request(check)
    server.after_request(protect)
