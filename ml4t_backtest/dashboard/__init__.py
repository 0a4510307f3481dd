"""Saved results as a local web page: `ml4t-backtest view DIR`. Needs the extra `dashboard`."""

from __future__ import annotations

from ml4t_backtest.dashboard.serving import View, open_view
from ml4t_backtest.dashboard.shelf import Shelf

__all__ = ["Shelf", "View", "open_view"]
