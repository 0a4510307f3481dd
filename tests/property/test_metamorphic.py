"""What must not change, or change in a known way, when a run is scaled, renamed, mirrored, split, stretched, or cut in two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import FAMILIES, Case, family_cases, rich_case
from tests.changed_cases import alone, mirrored, plain_orders, renamed, scaled, split, stretched
from tests.hosts import ByHand
from tests.outcomes import build_engine, engine_outcome
from tests.profiles import dense, few

SEEDS = st.integers(0, 2**32 - 1)
Outcome = dict[str, list[tuple[Any, ...]]]


def ran(case: Case) -> Outcome:
    """Run a case in the engine and return its outcome."""
    engine = build_engine(case)
    engine.run()
    return engine_outcome(engine)


def without(rows: list[tuple[Any, ...]], *places: int) -> list[tuple[Any, ...]]:
    """Return rows without the values at some places."""
    return [tuple(value for place, value in enumerate(row) if place not in places) for row in rows]


@few
@given(case=st.sampled_from(FAMILIES).flatmap(family_cases), factor=st.sampled_from([2.0**-7, 0.5, 2.0, 2.0**9]))
def test_another_unit_of_money_changes_nothing_else(case: Case, factor: float) -> None:
    case = scaled(case, 1.0)  # without what does not scale
    here, there = ran(case), ran(scaled(case, factor))
    assert [(equity * factor, cash * factor) for equity, cash in here["bars"]] == there["bars"]
    assert without(here["orders"], 3, 4, 8, 10, 11, 12, 14) == without(there["orders"], 3, 4, 8, 10, 11, 12, 14)
    for mine, scaled_one in zip(here["fills"], there["fills"], strict=True):
        assert mine[:3] == scaled_one[:3]
        assert (mine[3] * factor, mine[6] * factor, mine[7] * factor, mine[8]) == (*scaled_one[3:4], *scaled_one[6:])
    assert [(bar, asset, kind, amount * factor) for bar, asset, kind, amount in here["flows"]] == there["flows"]


@few
@given(case=st.sampled_from(FAMILIES).flatmap(family_cases))
def test_names_of_assets_and_their_order_do_not_matter(case: Case) -> None:
    names = dict(zip(case.assets, reversed(case.assets), strict=True))
    here, there = ran(replace(case, events=())), ran(renamed(case, names))
    for part in ("orders", "trades", "positions"):
        assert [(names[row[0]], *row[1:]) for row in here[part]] == there[part], part
    assert [(row[0], names[row[1]], *row[2:]) for row in here["fills"]] == there["fills"]
    assert here["bars"] == there["bars"]
    assert here["alerts"] == there["alerts"]


@few
@given(SEEDS)
def test_assets_do_not_feel_each_other_where_money_is_no_object(seed: int) -> None:
    case = plain_orders(rich_case(seed, "orders"))
    together = ran(case)
    for asset in case.assets:
        single = ran(alone(case, asset))
        assert without([row for row in together["fills"] if row[1] == asset], 0) == without(single["fills"], 0)
        assert [row for row in together["trades"] if row[0] == asset] == single["trades"]


@few
@given(SEEDS)
def test_a_short_on_mirrored_prices_earns_what_a_long_does(seed: int) -> None:
    case = plain_orders(rich_case(seed, "orders", dyadic=True))
    here, there = ran(case), ran(mirrored(case, 256.0))
    assert [(row[1], row[2], 256.0 - row[3], row[5], row[8]) for row in here["fills"]] == [
        (row[1], -row[2], row[3], row[5], -row[8]) for row in there["fills"]
    ]
    assert [equity for equity, _ in here["bars"]] == [equity for equity, _ in there["bars"]]
    assert [(row[7], row[10]) for row in here["trades"]] == [(-row[7], row[10]) for row in there["trades"]]


@few
@given(SEEDS)
def test_an_order_in_two_halves_is_the_same_order(seed: int) -> None:
    case = plain_orders(rich_case(seed, "orders", dyadic=True))
    whole, halves = ran(case), ran(split(case))
    assert whole["bars"] == halves["bars"]
    assert {row[:2] for row in whole["positions"]} == {row[:2] for row in halves["positions"]}  # a half may close what the whole flips


# Not after the last bar: orders that are still pending would have one more turn there.
@few
@given(seed=SEEDS, places=st.lists(st.integers(0, 10), max_size=8))
def test_bars_without_prices_change_nothing(seed: int, places: list[int]) -> None:
    case = rich_case(seed, "rules", bars=12)
    case = replace(case, rules=tuple(rule for rule in case.rules if "time_exit" not in str(rule)) or (("stop_loss", 0.03),), days=())
    case = replace(case, settings={**case.settings, "missing_bar_orders": "wait"})
    rules = len(case.rules)
    script = tuple(
        tuple((*a[:3], None if a[3] is None else a[3] % rules) if a[0] == "rule" else a for a in actions) for actions in case.script
    )
    case = replace(case, script=script)
    here, there = ran(case), ran(stretched(case, places))
    assert without(here["orders"], 20) == without(there["orders"], 20)
    assert without(here["fills"], 4, 5) == without(there["fills"], 4, 5)
    assert without(here["trades"], 3, 4, 10) == without(there["trades"], 3, 4, 10)
    assert without(here["positions"], 13) == without(there["positions"], 13)
    ends = [bar + sum(place <= bar for place in places) for bar in range(len(case.bars))]
    assert here["bars"] == [there["bars"][end] for end in ends]


@pytest.mark.parametrize("one_row", [False, True])
@dense
@given(seed=SEEDS, cut=st.integers(0, 24), family=st.sampled_from(FAMILIES))
def test_a_run_cut_in_two_goes_on_from_a_copy_of_its_store(seed: int, cut: int, family: str, *, one_row: bool) -> None:
    case = rich_case(seed, family, bars=25)
    whole, parts = ByHand(case, one_row=one_row), ByHand(case, one_row=one_row)
    whole.run()
    parts.run(cut=cut)
    assert parts.outcome() == whole.outcome()
