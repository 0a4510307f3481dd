"""Memory behind arrays: what is shared, and how tables are turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.memory import address_of, constant, packed_rows
from ml4t_kernels._jit import plain_table_at


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([np.uint8, np.float64]))
def test_a_turned_table_has_the_same_values_in_rows(rows: int, columns: int, dtype: type) -> None:
    table = np.arange(rows * columns).reshape(columns, rows).astype(dtype)
    packed = packed_rows(table.T)
    assert packed.flags.c_contiguous
    assert np.array_equal(packed, table.T)
    assert packed_rows(table) is table
    assert np.array_equal(packed_rows(table[::2]), table[::2])


def test_a_constant_is_one_array_that_nobody_can_write_to() -> None:
    nothing = constant(np.nan, (3, 2))
    assert np.isnan(nothing).all()
    assert constant(float("nan"), (3, 2)) is nothing
    assert constant(0.0, (3, 2)) is not nothing
    assert constant(0.0, (3, 2)).sum() == 0.0
    with pytest.raises(ValueError, match="read-only"):
        nothing[0, 0] = 1.0


def test_addresses_are_those_of_arrays_in_one_piece() -> None:
    table = np.arange(6.0).reshape(2, 3)
    with pytest.raises(ValueError, match="C-contiguous"):
        address_of(table.T)
    assert np.array_equal(plain_table_at(address_of(table), 2, 3, np.float64), table)
