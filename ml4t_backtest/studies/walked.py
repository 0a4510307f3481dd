"""`WalkForward`: what a walk-forward study leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4t_backtest.hints import did_you_mean
from ml4t_backtest.studies.stitching import Piece, stitched, windows_of
from ml4t_backtest.studies.tables import _series

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from ml4t_backtest.datafeed import DataFeed
    from ml4t_backtest.result import BacktestResult
    from ml4t_backtest.splitting import Split
    from ml4t_backtest.studies.study import Study
    from ml4t_kernels.dtypes import FloatArray

__all__ = ["WalkForward", "Window"]

_FRAMES = ("trades", "fills", "orders", "equity")
_METRICS = ("total_return", "sharpe", "max_drawdown", "num_trades", "final_value")


@dataclass(frozen=True)
class Window:
    """One window: its bars, the study of its training, the chosen parameters, and its test run, warm-up included."""

    split: Split
    study: Study
    parameters: dict[str, Any]
    result: BacktestResult
    piece: Piece


class WalkForward:
    """The windows of `walk_forward` in order of time.

    windows: one `Window` each. status: "completed" or "interrupted".
    """

    def __init__(self, windows: Sequence[Window], feed: DataFeed, status: str) -> None:
        self.windows = tuple(windows)
        self.status = status
        self._feed = feed

    @cached_property
    def result(self) -> BacktestResult:
        """The test runs as one result: its bars are the test bars, its account value goes on from window to window."""
        pieces = [window.piece for window in self.windows]
        return stitched(pieces, self._feed.panels, self.windows[0].result.config, self.status)

    @property
    def studies(self) -> tuple[Study, ...]:
        """The study of each training window."""
        return tuple(window.study for window in self.windows)

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row per window.

        Columns: window, train_start, train_end, train_bars, test_start, test_end, test_bars (times of the first and the last bar), the
        chosen parameters (with the prefix "param_" where a column has that name), and of the test: total_return, sharpe, max_drawdown,
        num_trades, final_value.
        """
        import polars as pl

        from ml4t_backtest.splitting import splits_frame

        frame = splits_frame([window.split for window in self.windows], self._feed).rename({"split": "window"})
        taken = {*frame.columns, *_METRICS}
        names = dict.fromkeys(name for window in self.windows for name in window.parameters)
        chosen = [
            _series(f"param_{name}" if name in taken else name, [window.parameters.get(name) for window in self.windows]) for name in names
        ]
        pieces = [replace(window.piece, held=0.0) for window in self.windows]
        results = [stitched([piece], self._feed.panels, piece.result.config, "completed") for piece in pieces]
        numbers = [pl.Series(name, [result.metrics[name] for result in results]) for name in _METRICS]
        held = pl.Series([window.piece.held for window in self.windows])
        return frame.with_columns(*chosen, *numbers).with_columns(pl.col("final_value") + held)

    def to_dataframe(self, part: str) -> pl.DataFrame:
        """Return the "trades", "fills", "orders" or "equity" of the stitched result, with a column window in front."""
        import polars as pl

        if part not in _FRAMES:
            raise ValueError(f"part was {part!r}, expected one of {list(_FRAMES)}{did_you_mean(str(part), _FRAMES)}")
        frame: pl.DataFrame = getattr(self.result, f"to_{part}_dataframe")()
        numbers = np.array([window.split.number for window in self.windows], dtype=np.int64)
        column = numbers[windows_of([window.piece for window in self.windows])[part]]
        return frame.select(pl.Series("window", column), pl.all())

    @property
    def returns(self) -> FloatArray:
        """Returns per test bar, float64[bars], the first against the initial cash: for the statistics of `overfitting`."""
        values: FloatArray = self.result.to_returns_series().to_numpy()
        return values

    def __len__(self) -> int:
        return len(self.windows)

    def __repr__(self) -> str:
        metrics = self.result.metrics
        return (
            f"WalkForward({self.status}: {len(self)} windows, {len(self.result._times)} test bars, final value"
            f" {metrics['final_value']:,.2f} ({metrics['total_return_pct']:+.2f} %), max drawdown {metrics['max_drawdown_pct']:.2f} %,"
            f" Sharpe {metrics['sharpe']:.2f}, {metrics['num_trades']:.0f} trades)"
        )

    def _repr_html_(self) -> str:
        from html import escape

        html: str = self.frame._repr_html_()
        return f"<p>{escape(repr(self))}</p>{html}"
