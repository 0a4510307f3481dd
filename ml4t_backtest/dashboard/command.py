"""What `ml4t-backtest view` does."""

from __future__ import annotations

from contextlib import suppress

from ml4t_backtest.dashboard.serving import open_view

__all__ = ["view"]


def view(folder: str, port: int, *, browser: bool) -> None:
    """Serve the results below a folder until Ctrl-C; say where, and open a browser there if wanted.

    Raises as `open_view`, and ValueError for a port that is none or taken.
    """
    opened = open_view(folder, port=port)
    print(f"Results of {folder} at {opened.address} (Ctrl-C ends)", flush=True)  # noqa: T201 - a command
    if browser:
        import webbrowser

        webbrowser.open(opened.address)
    with suppress(KeyboardInterrupt):
        opened.serve()
