"""Colours that the colour-blind can tell apart (after Okabe and Ito), light and dark, and the layout that all figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["DARK", "GAIN", "GRID", "INK", "LINES", "LOSS", "LOSS_FILL", "MUTED", "PAPER", "SCALE", "figure", "graphs", "subplots"]

GAIN = "#0072b2"  # blue
LOSS = "#c85200"  # vermilion
MUTED = "#6b7280"  # grey
INK = "#1f2933"
GRID = "#e4e7eb"
PAPER = "#ffffff"
LOSS_FILL = "rgba(200, 82, 0, 0.22)"
LINES = (GAIN, "#b87700", "#008f68", "#a24a86", LOSS, "#2f9bd6", MUTED, "#4b3f99")
# What a page on a dark ground shows in place of each colour.
DARK = {
    GAIN: "#5ab4f0",
    LOSS: "#ff9a57",
    MUTED: "#9aa5b4",
    INK: "#e6eaf0",
    GRID: "#323b47",
    PAPER: "#171c23",
    LINES[1]: "#f0b429",
    LINES[2]: "#38c79b",
    LINES[3]: "#e394c4",
    LINES[5]: "#a5d8f8",
    LINES[7]: "#b3a7f5",
}
SCALE = ((0.0, LOSS), (0.5, "#f4f5f7"), (1.0, GAIN))  # of maps: losses, nothing, gains

_AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "linecolor": GRID,
    "zerolinecolor": GRID,
    "automargin": True,
    "title": {"standoff": 8, "font": {"size": 12, "color": MUTED}},
    "tickfont": {"size": 11, "color": MUTED},
}


def graphs() -> ModuleType:
    """Return `plotly.graph_objects`. Raises ImportError that says what to install."""
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError("pictures need plotly: pip install 'ml4t-backtest-numba[report]'") from error
    module: ModuleType = go
    return module


def figure(height: int, *, title: str = "", **layout: Any) -> Any:
    """Return an empty Plotly figure in the style of all others. height: pixels. layout: more of `update_layout`."""
    return _styled(graphs().Figure(), height, title, layout)


def subplots(heights: tuple[float, ...], height: int, *, title: str = "", **layout: Any) -> Any:
    """Return an empty figure with panels one below the other over one time axis. heights: their shares of the height."""
    graphs()
    from plotly.subplots import make_subplots

    made = make_subplots(rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=list(heights))
    return _styled(made, height, title, layout)


def _styled(made: Any, height: int, title: str, layout: dict[str, Any]) -> Any:
    made.update_layout(
        template="none",
        height=height + (36 if title else 0),
        title={"text": title, "x": 0.0, "xref": "container", "xanchor": "left", "pad": {"l": 12}, "font": {"size": 16}} if title else None,
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", "size": 12, "color": INK},
        colorway=list(LINES),
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        margin={"l": 48, "r": 14, "t": 66 if title else 26, "b": 36},
        hoverlabel={"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK}},
        legend={"orientation": "h", "x": 0.0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}, "bgcolor": "rgba(0,0,0,0)"},
        **layout,
    )
    made.update_xaxes(**_AXIS)
    made.update_yaxes(**_AXIS)
    return made
