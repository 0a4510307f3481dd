"""Dividends, splits, funding, interest and borrow fees through the engine: as columns and as frames, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pytest

from ml4t_backtest import ContractSpec
from tests.facade.play import Run, buy, days, play, sessions

CRYPTO: dict[str, Any] = {"account_type": "crypto"}
NO = None


def flows(run: Run) -> list[tuple[datetime, str | None, str, float]]:
    """Return time, asset, kind and amount of the cash flows."""
    frame = run.result.to_cash_flows_dataframe().with_columns(pl.col("amount").round(9))
    return [(when, asset, str(kind), amount) for when, asset, kind, amount in frame.select("timestamp", "asset", "kind", "amount").rows()]


def frame(*rows: tuple[Any, ...], columns: tuple[str, ...] = ("timestamp", "asset", "kind", "value")) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=list(columns), orient="row")


CLOCK = days(6)

# Dividends --------------------------------------------------------------------------------------------------------------------


def test_a_dividend_pays_what_is_held_at_the_start_of_the_bar() -> None:
    run = play([10] * 4, {0: buy(100), 2: buy(-40)}, extra={"dividend": [9.0, 9.0, 0.5, 0.25]})
    # bought on bar 1, after its dividend; on bar 3 all 100 are still held when it is paid
    assert flows(run) == [(CLOCK[2], "A", "dividend", 50), (CLOCK[3], "A", "dividend", 25)]
    assert run.cash == [10_000, 9_000, 9_050, 9_475]
    assert run.result.trades[0].pnl == 0  # the dividend is no trade


def test_shorts_pay_dividends_and_contracts_pay_by_the_point() -> None:
    run = play([10] * 3, {0: buy(-100)}, extra={"dividend": [NO, NO, 0.5]}, **CRYPTO)
    assert flows(run) == [(CLOCK[2], "A", "dividend", -50)]
    spec = {"A": ContractSpec("A", multiplier=5)}
    assert play([10] * 3, {0: buy(10)}, extra={"dividend": [NO, NO, 0.5]}, contract_specs=spec).cash[-1] == 9_525


def test_a_negative_dividend_is_refused_where_nothing_may_be_owed() -> None:
    for given in ({"extra": {"dividend": [NO, -0.5]}}, {"events": frame((CLOCK[1], "A", "dividend", -0.5))}):
        arguments: dict[str, Any] = given
        with pytest.raises(ValueError, match="negative dividends can take a cash account below zero; use account_type 'crypto'"):
            play([10, 10], {-1: buy(1000)}, **arguments)
        assert play([10, 10], {-1: buy(1000)}, **arguments, **CRYPTO).cash == [0, -500]


# Splits ------------------------------------------------------------------------------------------------------------------------


def test_a_split_changes_units_and_prices_and_no_value() -> None:
    seen: list[tuple[float, ...]] = []

    def look(broker: Any) -> None:
        position = broker.get_position("A")
        seen.append((position.quantity, position.entry_price, position.high_water_mark))

    run = play([10, 10, 12, 3, 3], {0: buy(100), 2: look, 3: look}, extra={"split": [NO, NO, NO, 4.0, NO]})
    assert seen == [(100, 10, 10), (400, 2.5, 3)]
    assert run.equity == [10_000, 10_000, 10_200, 10_200, 10_200]
    assert flows(run) == []
    (trade,) = run.result.trades
    assert (trade.quantity, trade.entry_price, trade.pnl) == (400, 2.5, 200)


def test_a_split_changes_pending_orders() -> None:
    def submit(broker: Any) -> None:
        broker.submit_order("A", 100, order_type="limit", limit_price=8)
        broker.submit_order("A", 100, order_type="stop_limit", stop_price=16, limit_price=18)
        broker.submit_order("A", 100, order_type="trailing_stop", trail_amount=4, displayed_quantity=50)

    run = play([10, 10, 5, 4], {0: submit}, extra={"split": [NO, NO, 2.0, NO]})
    first, second, third = run.orders
    assert (first.quantity, first.limit_price) == (200, 4)
    assert (second.quantity, second.stop_price, second.limit_price) == (200, 8, 9)
    assert (third.quantity, third.trail_amount, third.displayed_quantity) == (200, 2, 100)
    assert run.deals == [(3, 200, 4)]


def test_what_a_split_leaves_of_a_lot_is_paid_out() -> None:
    run = play([10, 10, 30, 30], {0: buy(100)}, extra={"split": [NO, NO, 1 / 3, NO]}, share_type="integer")
    # a third of a unit at 30, which cost 10 * 3: what was 10 before the split
    assert run.broker.positions["A"].quantity == 33
    assert run.cash[-1] == 9_010
    paid, held = run.result.trades
    assert (paid.exit_reason.value, paid.status.value, held.quantity) == ("corporate_action", "partial", 33)
    assert (round(paid.quantity, 9), paid.exit_price, round(paid.pnl, 9)) == (round(1 / 3, 9), 30, 0)
    assert run.equity == [10_000] * 4


def test_a_position_that_a_split_pays_out_is_gone_at_once_and_joins_anew() -> None:
    def seen(broker: Any) -> None:
        shown.append([(asset, position.quantity) for asset, position in broker.positions.items()])

    prices = {"A": [10, 10, 1000, 1000], "B": [10] * 4}
    for reopened in (False, True):
        shown: list[Any] = []
        second = [buy(1, "B"), *([buy(700)] if reopened else [])]  # 7 after the split
        actions: dict[int, Any] = {0: [buy(50), buy(1, "B")], 1: [seen, *second], 2: seen}
        play(prices, actions, extra={"split": [NO, NO, 0.01, NO]}, share_type="integer")
        # half a unit is no unit: what was bought after that is another position, the last to join
        assert shown == [[("A", 50), ("B", 1)], [("B", 2), *([("A", 7)] if reopened else [])]]


def test_orders_with_nothing_left_are_cancelled() -> None:
    run = play([10, 10, 100], {0: buy(5, order_type="limit", limit_price=8)}, extra={"split": [NO, NO, 0.1]}, share_type="integer")
    assert run.states == [("cancelled", "rounds_to_zero")]


def test_a_column_of_splits_may_say_0_or_1_for_none() -> None:
    run = play([10, 10, 10], {-1: buy(100)}, extra={"split": [NO, 0.0, 1.0]})
    assert run.broker.positions["A"].quantity == 100


# Funding -----------------------------------------------------------------------------------------------------------------------


def test_longs_pay_funding_and_shorts_receive_it() -> None:
    rates = {"funding_rate": [NO, NO, 0.01, -0.02]}
    run = play([10, 10, 12, 15], {0: buy(100)}, extra=rates, **CRYPTO)
    # by the mark of the bar before: 100 * 10 * 0.01, then 100 * 12 * 0.02 received
    assert flows(run) == [(CLOCK[2], "A", "funding", -10), (CLOCK[3], "A", "funding", 24)]
    assert play([10, 10, 12, 15], {0: buy(-100)}, extra=rates, **CRYPTO).cash[-1] == 11_000 + 10 - 24


def test_funding_as_a_frame() -> None:
    table = frame((CLOCK[2], "A", 0.01), (CLOCK[3], "A", -0.02), columns=("timestamp", "asset", "rate"))
    run = play([10, 10, 12, 15], {0: buy(100)}, funding_df=table, **CRYPTO)
    assert [amount for *_, amount in flows(run)] == [-10, 24]
    with pytest.raises(ValueError, match="funding payments can take a cash account below zero; use account_type 'crypto'"):
        play([10] * 4, {}, funding_df=table)


# Frames of events -----------------------------------------------------------------------------------------------------------------


def test_events_as_a_frame_equal_those_in_columns() -> None:
    bars, actions = [10, 10, 5, 5, 5], {0: buy(100)}
    extra = {"split": [NO, NO, 2.0, NO, NO], "dividend": [NO, NO, 0.5, NO, 0.25]}
    columns = play(bars, actions, extra=extra)
    table = frame((CLOCK[4], "A", "dividend", 0.25), (CLOCK[2], "A", "split", 2.0), (CLOCK[2], "A", "Dividend", 0.5))
    assert (flows(play(bars, actions, events=table)), play(bars, actions, events=table).cash) == (flows(columns), columns.cash)
    # on one bar the dividend comes first: 100 units at 0.5
    assert flows(columns) == [(CLOCK[2], "A", "dividend", 50), (CLOCK[4], "A", "dividend", 50)]
    pandas = pd.DataFrame({"timestamp": [CLOCK[4]], "symbol": ["A"], "kind": ["dividend"], "value": [1]})
    assert play([10] * 5, actions, events=pandas).cash[-1] == 9_100


def test_a_time_between_bars_means_the_next_one_and_what_is_after_the_last_never_happens() -> None:
    table = frame((CLOCK[1] + timedelta(hours=5), "A", "dividend", 0.5), (CLOCK[0] - timedelta(days=9), "A", "dividend", 9.0))
    assert flows(play([10] * 3, {0: buy(100)}, events=table)) == [(CLOCK[2], "A", "dividend", 50)]
    with pytest.warns(UserWarning, match="1 of 1 rows of events are after the last bar and never happen"):
        run = play([10] * 3, {0: buy(100)}, events=frame((CLOCK[5], "A", "dividend", 0.5)))
    assert flows(run) == []


def test_events_of_an_asset_without_a_bar_happen_all_the_same() -> None:
    bars: dict[str, Any] = {"A": [10, 10, None, 10], "B": [1, 1, 1, 1]}
    run = play(bars, {0: buy(100)}, events=frame((CLOCK[2], "A", "dividend", 0.5)))
    assert run.cash == [10_000, 9_000, 9_050, 9_050]


ONE = (CLOCK[0], "A", "dividend", 1.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame((CLOCK[0], "AA", "dividend", 1.0)), r"events row 0 is for 'AA', which is no asset of the feed \('A'\); did you mean 'A'"),
        (frame((CLOCK[0], "A", "divident", 1.0)), r"events kind was 'divident', expected one of .*did you mean 'dividend'"),
        (frame((CLOCK[0], "A", "split", 0.0)), r"split of 'A' at 2024-01-01 00:00:00 was 0.0, expected a finite number > 0"),
        (frame((CLOCK[0], "A", "split", -2.0)), r"split of 'A' at 2024-01-01 00:00:00 was -2.0, expected a finite number > 0"),
        (frame((CLOCK[0], "A", "dividend", float("nan"))), r"dividend of 'A' at 2024-01-01 00:00:00 was nan, expected a finite number"),
        (frame((CLOCK[0], "A", "dividend", None)), r"events row 0: value was None, expected a number"),
        (frame((CLOCK[0], "A", "dividend", "1")), r"events row 0: value was '1', expected a number"),
        (frame((CLOCK[0], None, "dividend", 1.0)), r"events row 0 is for None, which is no asset"),
        (frame((CLOCK[0], "A", None, 1.0)), r"events kind was None, expected one of"),
        (frame((None, "A", "dividend", 1.0)), "events.*timestamp"),
        (frame(ONE, columns=("timestamp", "asset", "kind", "amount")), r"events has no column 'value', only .*"),
        (frame(ONE, columns=("timestamp", "asset", "kinds", "value")), r"events has no column 'kind', only .*did you mean 'kinds'"),
        (frame(ONE, columns=("timestamp", "name", "kind", "value")), r"events has no asset column, expected one of \['asset', 'symbol'"),
        (frame(ONE, columns=("when", "asset", "kind", "value")), r"events.*timestamp"),
        (frame((datetime(2024, 1, 1, tzinfo=UTC), "A", "dividend", 1.0)), "events and prices must both have a time zone or neither"),
    ],
)
def test_bad_frames_of_events(table: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play([10], {}, events=table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame((CLOCK[0], "B", 0.1), columns=("timestamp", "asset", "rate")), "funding row 0 is for 'B', which is no asset of the feed"),
        (frame((CLOCK[0], "A", float("inf")), columns=("timestamp", "asset", "rate")), "funding of 'A' at .* was inf, expected a finite"),
        (frame((CLOCK[0], "A", 0.1), columns=("timestamp", "asset", "value")), "funding has no column 'rate'"),
    ],
)
def test_bad_frames_of_funding(table: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play([10], {}, funding_df=table, **CRYPTO)


def test_bad_columns() -> None:
    with pytest.raises(ValueError, match=r"split of 'A' at 2024-01-02 00:00:00 was -1.0, expected a finite number > 0"):
        play([10, 10], {}, extra={"split": [NO, -1.0]})
    with pytest.raises(ValueError, match=r"dividend.* was inf"):
        play([10, 10], {}, extra={"dividend": [NO, float("inf")]})
    with pytest.raises(TypeError, match="events"):
        play([10], {}, events=3)


# Interest and fees ---------------------------------------------------------------------------------------------------------------

DAY = 1 / 365


def test_interest_on_cash_and_on_debt_by_the_day() -> None:
    run = play([10] * 4, {1: buy(500)}, cash_interest_rate=0.365)
    # a thousandth a day: of 10,000, of 10,010, of 5,020.01
    assert flows(run) == [
        (CLOCK[1], NO, "cash_interest", 10),
        (CLOCK[2], NO, "cash_interest", 10.01),
        (CLOCK[3], NO, "cash_interest", 5.02001),
    ]
    owing = play([10] * 4, {0: buy(1500)}, account_type="margin", cash_interest_rate=0.73, margin_interest_rate=0.365)
    assert [(kind, amount) for _, _, kind, amount in flows(owing)] == [
        ("cash_interest", 20),
        ("margin_interest", -4.98),
        ("margin_interest", -4.98498),
    ]


def test_a_fee_for_each_short() -> None:
    bars = {"A": [10] * 3, "B": [20] * 3}
    run = play(bars, {0: [buy(-100), buy(-100, "B"), buy(1)]}, borrow_rate=0.365, **CRYPTO)
    assert flows(run) == [(CLOCK[2], "A", "borrow_fee", -0.99), (CLOCK[2], "B", "borrow_fee", -2)]


def test_interest_comes_once_a_session_for_the_time_since_the_one_before() -> None:
    weekend = [*days(2), days(5)[4]]
    run = play([10] * 3, {}, cash_interest_rate=0.365, times=weekend)
    assert [amount for *_, amount in flows(run)] == [10, 30.03]
    hourly = play([10] * 6, {}, cash_interest_rate=0.365, times=sessions(2, 3))
    assert flows(hourly) == [(CLOCK[1], NO, "cash_interest", 10)]


@pytest.mark.parametrize("name", ["cash_interest_rate", "margin_interest_rate", "borrow_rate"])
def test_negative_rates_are_refused(name: str) -> None:
    rate: dict[str, Any] = {name: -0.01}
    with pytest.raises(ValueError, match=rf"{name} was -0.01, expected a finite number >= 0"):
        play([10], {}, **rate)
