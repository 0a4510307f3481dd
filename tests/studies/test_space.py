"""Parameter sets: products, lists, filters, draws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest import Integers, Uniform, random_search
from ml4t_backtest.studies.space import Listed, Space, read_space


def sets_of(space: Space) -> list[dict[str, Any]]:
    return [space.at(number) for number in range(len(space))]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), min_size=1),
    st.one_of(st.none(), st.integers(0, 20)),
)
def test_a_product_is_that_of_itertools(grid: dict[str, list[int]], least: int | None) -> None:
    expected = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    where = None if least is None else lambda one: sum(one.values()) >= least
    expected = [one for one in expected if where is None or where(one)]
    if not expected:
        with pytest.raises(ValueError, match="where refused all"):
            read_space(grid, where, None)
        return
    space = read_space(grid, where, None)
    assert sets_of(space) == expected
    numbers = np.arange(len(space))[::-1]
    for name in grid:
        assert space.column(name, numbers) == [one[name] for one in expected[::-1]]


def test_values_come_as_plain_python() -> None:
    grid = {"a": np.array([1, 2]), "b": pl.Series([0.5]), "c": range(2), "d": "text", "e": None, "f": np.float64(2.0), "g": (True,)}
    space = read_space(grid, None, None)
    assert sets_of(space)[1] == {"a": 1, "b": 0.5, "c": 1, "d": "text", "e": None, "f": 2.0, "g": True}
    assert {type(value) for value in space.at(0).values()} == {int, float, str, type(None), bool}


def test_a_list_may_name_different_parameters() -> None:
    sets = [{"a": 1}, {"b": 2}, {"a": 3, "b": None}]
    space = read_space(sets, None, None)
    assert space.names == ("a", "b")
    assert sets_of(space) == sets
    assert space.column("a", np.arange(3)) == [1, None, 3]
    assert space.values("b") == [2, None]
    assert sets_of(read_space(sets, lambda one: "a" in one, None)) == [sets[0], sets[2]]


@pytest.mark.parametrize(
    ("grid", "error", "text"),
    [
        ({}, ValueError, "grid is empty"),
        ([], ValueError, "grid is empty"),
        ({"a": []}, ValueError, r"grid\['a'\] is empty"),
        ({"a": {1, 2}}, TypeError, "was a set, expected a list"),
        ({"a": {"b": 1}}, TypeError, "was a dict"),
        ({"a": np.zeros((2, 2))}, ValueError, "2 dimensions"),
        ({"a": [1, 2, 1.0]}, ValueError, r"the value 1.0 twice"),
        ({1: [2]}, TypeError, "the name 1, expected a text"),
        ([{"a": 1}, {}], TypeError, r"grid\[1\] was \{\}"),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], ValueError, r"grid\[1\] is the same parameter set as grid\[0\]"),
        ("fast", TypeError, "grid was a str"),
        (7, TypeError, "grid was a int"),
    ],
)
def test_bad_grids_are_refused(grid: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        read_space(grid, None, None)


def test_true_is_not_one() -> None:
    assert len(read_space({"a": [True, 1, None, "1"]}, None, None)) == 4


def test_what_where_raises_names_the_set() -> None:
    with pytest.raises(KeyError) as caught:
        read_space({"a": [1]}, lambda one: one["b"], None)
    assert caught.value.__notes__ == ["raised by where on {'a': 1}"]
    with pytest.raises(TypeError, match="where was 3"):
        read_space({"a": [1]}, 3, None)  # type: ignore[arg-type]


def test_a_huge_product_is_only_counted() -> None:
    space = read_space({name: range(1000) for name in "abcdef"}, None, 10)
    assert space.combinations == 10**18  # type: ignore[attr-defined]
    assert space.at(10**18 - 1) == dict.fromkeys("abcdef", 999)
    asked = []
    read_space({name: range(1000) for name in "abcdef"}, asked.append, 10)
    assert not asked


@given(st.integers(1, 30), st.integers(0, 5))
def test_draws_are_different_and_repeat_with_their_seed(n: int, seed: int) -> None:
    space = {"a": Integers(3, 12, step=3), "b": Uniform(0.001, 1.0, log=True), "c": ["x", None], "d": 5}
    drawn = random_search(space, n, seed)
    assert drawn == random_search(space, n, seed)
    assert len(drawn) == n == len({tuple(one.items()) for one in drawn})
    for one in drawn:
        assert one["a"] in (3, 6, 9, 12)
        assert 0.001 <= one["b"] <= 1.0
        assert one["c"] in ("x", None)
        assert one["d"] == 5
    assert len(read_space(drawn, None, None)) == n


def test_a_small_space_runs_out() -> None:
    assert sorted(one["a"] for one in random_search({"a": Integers(1, 3)}, 10, 0)) == [1, 2, 3]


def test_logarithmic_draws_are_even_over_magnitudes() -> None:
    drawn = [math.log10(one["a"]) for one in random_search({"a": Uniform(1e-4, 1.0, log=True)}, 2000, 0)]
    assert np.histogram(drawn, bins=4, range=(-4, 0))[0] == pytest.approx([500] * 4, abs=80)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Uniform(1.0, 1.0), ValueError),
        (lambda: Uniform(0.0, 1.0, log=True), ValueError),
        (lambda: Uniform(0.0, math.inf), ValueError),
        (lambda: Integers(1.5, 3), TypeError),  # type: ignore[arg-type]
        (lambda: Integers(1, 3, step=0), ValueError),
        (lambda: random_search({}, 3, 0), ValueError),
        (lambda: random_search({"a": [1]}, 0, 0), ValueError),
        (lambda: random_search({"a": [1]}, 1, None), TypeError),  # type: ignore[arg-type]
    ],
)
def test_bad_spaces_are_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_sets_can_be_added() -> None:
    space = Listed([{"a": 1}])
    space.append({"b": 2})
    assert sets_of(space) == [{"a": 1}, {"b": 2}]
