"""Thinned curves keep their extremes, whatever the numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.reports.thinning import kept_rows, kept_trades, thinned, thinning_note

numbers = st.floats(-1e6, 1e6) | st.sampled_from([0.0, float("nan"), float("inf"), float("-inf")])
tables = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.tuples(*[numbers] * width), min_size=1, max_size=200).map(lambda rows: np.array(rows, dtype=np.float64).T)
)


@given(tables, st.integers(8, 60))
def test_extremes_ends_and_bound(columns: np.ndarray, most: int) -> None:
    kept = kept_rows(list(columns), most)
    assert len(kept) <= max(most, 1)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert kept[0] == 0
    assert kept[-1] == columns.shape[1] - 1
    for column in columns:
        seen = column[~np.isnan(column)]
        if len(seen):
            assert np.nanmax(column[kept]) == seen.max()
            assert np.nanmin(column[kept]) == seen.min()
    if columns.shape[1] <= most:
        assert len(kept) == columns.shape[1]


def test_every_stretch_keeps_its_own_extremes() -> None:
    column = np.sin(np.arange(10_000) / 3.0)
    kept = kept_rows([column], 402)
    assert 350 <= len(kept) <= 402
    for start in range(0, 10_000, 50):
        part = column[start : start + 50]
        inside = column[kept[(kept >= start) & (kept < start + 50)]]
        assert inside.max() == part.max()
        assert inside.min() == part.min()


def test_too_few_rows_to_keep_are_refused() -> None:
    with pytest.raises(ValueError, match="most was 5, expected at least 6 rows"):
        kept_rows([np.zeros(9), np.zeros(9)], 5)


def test_frames_and_notes() -> None:
    frame = pl.DataFrame({"value": np.arange(100.0), "name": ["x"] * 100})
    assert thinned(frame, ["value"], 100) is frame
    assert 2 < thinned(frame, ["value"], 12).height <= 12
    assert thinning_note(100, 100) == ""
    assert thinning_note(12, 1_000_000).startswith("Drawn with 12 of 1,000,000 bars: ")


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=300), st.integers(20, 100))
def test_trades_keep_the_ends_of_every_column(rows: list[tuple[float, float]], most: int) -> None:
    columns = list(np.array(rows, dtype=np.float64).T)
    kept = kept_trades(columns, most)
    assert len(kept) <= max(most, 1)
    for column in columns:
        filled = np.where(np.isnan(column), 0.0, column)
        assert filled[kept].max() == filled.max()
        assert filled[kept].min() == filled.min()
