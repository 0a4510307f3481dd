"""Reports as HTML files, figures for notebooks, comparisons of results."""

from __future__ import annotations

from ml4t_backtest.reports.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
