"""The part of a result that other libraries take: the diagnostic package, pyfolio, quantstats."""

from __future__ import annotations

from typing import Any

__all__ = ["HandedOverResult"]


class HandedOverResult:
    """Hand-over to other libraries."""

    def to_portfolio_analysis(self, *arguments: Any, **options: Any) -> Any:
        """Return the diagnostic package's portfolio analysis of this run. arguments, options: as it takes them.

        Raises ImportError without ml4t-diagnostic, which is looked up now.
        """
        return _diagnostic("portfolio_analysis_from_result", "to_portfolio_analysis")(self, *arguments, **options)

    def compute_metrics(self, *arguments: Any, **options: Any) -> Any:
        """Return the diagnostic package's metrics of this run. Arguments and errors: as `to_portfolio_analysis`."""
        return _diagnostic("compute_metrics_from_result", "compute_metrics")(self, *arguments, **options)

    def to_tearsheet(self, *arguments: Any, **options: Any) -> Any:
        """Return the diagnostic package's tear sheet of this run. Arguments and errors: as `to_portfolio_analysis`."""
        return _diagnostic("generate_tearsheet_from_result", "to_tearsheet")(self, *arguments, **options)


def _diagnostic(function: str, method: str) -> Any:
    """Return a function of the diagnostic package. Raises ImportError when the package or the function is missing."""
    try:
        from importlib import import_module

        return getattr(import_module("ml4t.diagnostic.integration"), function)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"ml4t-diagnostic is required for BacktestResult.{method}(): pip install ml4t-diagnostic ({error})") from error
