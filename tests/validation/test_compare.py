"""The comparator sees everything: a change of any field of any row, a row too few or too many, rows in another order."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from tests.validation.answers import answered, small_job
from validation.runners.exchange import SCHEMAS, Answers
from validation.suite.compare import Comparison, compare
from validation.suite.framework import EXACT, Tolerance

OURS = answered(small_job())
FIELDS = [(table, name) for table, schema in SCHEMAS.items() for name in schema.names[1:]]


def outcome(theirs: Answers, **options: Any) -> Comparison:
    return compare(theirs, OURS, **options)["small"]


def changed(table: str, row: int, **values: Any) -> Answers:
    """Return the answers with some fields of a row changed."""
    theirs = copy.deepcopy(OURS)
    rows = getattr(theirs, table)
    names = SCHEMAS[table].names
    old = dict(zip(names, rows[row], strict=True))
    rows[row] = tuple({**old, **{name: value(old[name]) for name, value in values.items()}}[name] for name in names)
    return theirs


def test_equal_answers_agree_and_every_row_is_counted() -> None:
    same = outcome(copy.deepcopy(OURS))
    assert same.agrees
    assert same.counts == {"fills": len(OURS.fills), "trades": len(OURS.trades), "equity": 30, "orders": len(OURS.orders)}
    assert len(OURS.fills) >= 5
    assert len(OURS.trades) >= 3
    assert {row[2] for row in OURS.orders} >= {"filled", "rejected", "cancelled"}
    assert set(same.largest.values()) == {0.0}


@pytest.mark.parametrize(("table", "name"), FIELDS)
@pytest.mark.parametrize("row", [0, -1])
def test_a_change_of_any_field_is_seen(table: str, name: str, row: int) -> None:
    def other(value: Any) -> Any:
        if isinstance(value, int):
            return value + 1
        return value + 0.01 if isinstance(value, float) else f"{value}?"

    found = outcome(changed(table, row, **{name: other}))
    assert not found.agrees
    assert any(text.startswith(table) for text in found.differences)


def test_a_cent_is_seen_in_money_and_prices() -> None:
    for table, name in (("fills", "price"), ("trades", "pnl"), ("equity", "cash"), ("equity", "value")):
        (text,) = outcome(changed(table, 0, **{name: lambda value: value + 0.01})).differences
        assert text.startswith(f"{table}.{name}: ")
        assert "1 such" in text


@pytest.mark.parametrize("table", list(SCHEMAS))
def test_a_row_too_few_or_too_many_is_seen(table: str) -> None:
    fewer, more = copy.deepcopy(OURS), copy.deepcopy(OURS)
    getattr(fewer, table).pop(1)
    getattr(more, table).append(getattr(more, table)[0])
    for theirs in (fewer, more):
        (text,) = outcome(theirs).differences
        assert text.startswith(f"{table}: ")
        assert "rows there" in text


def test_swapped_times_and_prices_are_seen() -> None:
    theirs = copy.deepcopy(OURS)
    first, second = theirs.fills[0], theirs.fills[1]
    theirs.fills[:2] = [(*first[:1], second[1], *first[2:]), (*second[:1], first[1], *second[2:])]
    assert not outcome(theirs).agrees
    theirs = copy.deepcopy(OURS)
    theirs.fills[:2] = [(*first[:4], second[4], *first[5:]), (*second[:4], first[4], *second[5:])]
    assert not outcome(theirs).agrees


def test_the_order_in_which_rows_are_told_does_not_count() -> None:
    theirs = copy.deepcopy(OURS)
    for table in SCHEMAS:
        rows = getattr(theirs, table)
        keyed = {tuple(row[1:4]) for row in rows}
        if len(keyed) == len(rows):
            rows.reverse()
    assert outcome(theirs).agrees


def test_tolerances_are_relative_to_their_number_and_need_a_reason() -> None:
    price = OURS.fills[0][4]
    nearly = changed("fills", 0, price=lambda value: value * (1 + 5e-10))
    assert outcome(nearly).agrees
    assert not outcome(nearly, tolerances={("fills", "price"): EXACT}).agrees
    assert not outcome(changed("fills", 0, price=lambda value: value * (1 + 1e-8))).agrees
    wide = {("fills", "price"): Tolerance(absolute=0.01 * price, reason="a test")}
    assert outcome(changed("fills", 0, price=lambda value: value * 1.005), tolerances=wide).agrees
    assert not outcome(changed("fills", 0, price=lambda value: value * 1.02), tolerances=wide).agrees
    with pytest.raises(ValueError, match="has no reason"):
        outcome(OURS, tolerances={("fills", "price"): Tolerance(relative=1e-6)})


def test_missing_numbers_equal_missing_numbers_only() -> None:
    assert not outcome(changed("fills", 0, slippage=lambda _: math.nan)).agrees
    assert not outcome(changed("fills", 0, slippage=lambda _: None)).agrees
    both = changed("fills", 0, slippage=lambda _: math.nan)
    assert compare(both, copy.deepcopy(both))["small"].agrees


def test_what_a_framework_does_not_report_is_left_out() -> None:
    theirs = changed("fills", 0, slippage=lambda _: None, label=lambda _: None)
    theirs.orders = []
    reasons = {"fills.slippage": "no", "fills.label": "no", "orders": "no"}
    found = outcome(theirs, not_reported=reasons)
    assert found.agrees
    assert "orders" not in found.counts
    assert not outcome(theirs, not_reported={"orders": "no"}).agrees


def test_answers_to_other_cases_are_no_answers() -> None:
    theirs = copy.deepcopy(OURS)
    theirs.seconds["another"] = 1.0
    with pytest.raises(ValueError, match="only one side ran"):
        compare(theirs, OURS)


def test_infinity_is_no_wildcard() -> None:
    assert not outcome(changed("equity", 3, value=lambda _: np.inf)).agrees
