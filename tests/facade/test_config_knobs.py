"""Every setting changes a run, in the way that its page says; none is left out, nor any of its choices."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import pytest

from ml4t_backtest import BacktestConfig, FixedSlippage, PercentageCommission
from ml4t_backtest.risk import StopLoss, TrailingStop
from tests.facade.execution_knobs import EXECUTION
from tests.facade.knobs import (
    Knob,
    bars_run,
    buy,
    cash,
    close,
    commission,
    dates,
    deals,
    fills,
    final,
    held,
    last,
    prices,
    rule,
    states,
    weights,
)
from tests.facade.queue_knobs import QUEUE

FILLED, REJECTED = ["filled"], ["rejected"]
RISE = [(9, 11, 8, 10), (11, 13, 10, 12, 1000, 11.25), (12, 12, 9, 11), (11, 15, 11, 14)]
FLAT = [10, 10, 10, 10]
FALL = [10, 10, (10, 10, 7, 7), 7]
BOUNCE = [10, 10, (10, 10, 7, 10), 10]
MARGIN = {"account_type": "margin"}
CRYPTO = {"account_type": "crypto"}
FUTURES = {"account_type": "futures"}
SAME = {"execution_mode": "same_bar"}
WIDE = {"initial_margin": 0.6}
PAIR = {"A": FLAT, "B": FLAT}
ACCOUNT = [
    Knob("initial_cash", RISE, {0: buy(10)}, final, [(1000, 1030.0), (500, 530.0)]),
    Knob("cash_buffer_pct", RISE, {0: buy(90)}, states, [(0.0, FILLED), (0.05, REJECTED)]),
    Knob("account_type", RISE, {0: buy(-10)}, cash, [("cash", 1000.0), ("crypto", 1110.0)]),
    Knob("account_type", RISE, {0: buy(150)}, states, [("crypto", REJECTED), ("margin", FILLED)]),
    Knob("account_type", RISE, {0: buy(10)}, cash, [("margin", 890.0), ("futures", 1030.0)], {"futures_margin_rate": 0.5}),
    Knob("allow_short_selling", RISE, {0: buy(-10)}, states, [(None, REJECTED), (False, REJECTED), (True, FILLED)]),
    Knob("allow_leverage", RISE, {0: buy(150)}, states, [(None, REJECTED), (False, REJECTED), (True, FILLED)]),
    Knob("initial_margin", RISE, {0: buy(150)}, states, [(0.5, FILLED), (0.9, REJECTED)], MARGIN),
    Knob("maintenance_margin", FALL, {0: buy(160)}, fills, [(None, 1), (0.3, 1), (0.5, 2)], {**MARGIN, **WIDE}),
    Knob("long_maintenance_margin", FALL, {0: buy(160)}, fills, [(0.25, 1), (0.5, 2)], {**MARGIN, **WIDE}),
    Knob("short_maintenance_margin", [10, 10, 14, 14], {0: buy(-100)}, fills, [(0.3, 1), (0.45, 2)], {**MARGIN, **WIDE}),
    Knob("initial_margin_per_contract", FLAT, {0: buy(10)}, states, [(50, FILLED), (150, REJECTED)], FUTURES),
    Knob(
        "maintenance_margin_per_contract",
        FALL,
        {0: buy(10)},
        fills,
        [(None, 2), (50, 1)],
        {**FUTURES, "initial_margin_per_contract": 100},
    ),
    Knob("futures_margin_rate", FLAT, {0: buy(150)}, states, [(0.5, FILLED), (0.9, REJECTED)], FUTURES),
    Knob("fixed_margin_schedule", FLAT, {0: buy(10)}, states, [(None, FILLED), ({"A": (200, 100)}, REJECTED)], MARGIN),
    Knob("margin_pct_schedule", FLAT, {0: buy(150)}, states, [(None, FILLED), ({"A": (0.9, 0.8)}, REJECTED)], MARGIN),
    Knob(
        "short_cash_policy",
        PAIR,
        {0: buy(-50), 1: buy(200, "B")},
        deals,
        [(policy, [("A", -50.0), ("B", most)]) for policy, most in (("credit", 150), ("credit_proceeds", 100), ("lock_notional", 50))],
        {**CRYPTO, "partial_fills_allowed": True},
    ),
    Knob(
        "buying_power_basis",
        FLAT,
        {0: buy(100), 1: buy(120)},
        states,
        [("initial", FILLED + REJECTED), ("maintenance", FILLED + FILLED)],
        MARGIN,
    ),
    # 160 units at 7 are worth 1,120 and need 560, the account value is 520: 40 / 3.5 a unit makes 12
    Knob(
        "margin_call",
        FALL,
        {0: buy(160)},
        held,
        [("restore", 148.0), ("liquidate", 0.0), ("ignore", 160.0)],
        {**MARGIN, **WIDE, "long_maintenance_margin": 0.5, "share_type": "integer"},
    ),
    Knob(
        "margin_call_check",
        BOUNCE,
        {0: buy(160)},
        fills,
        [("close", 1), ("intrabar", 2)],
        {**MARGIN, **WIDE, "long_maintenance_margin": 0.5},
    ),
    Knob("settlement_delay", FLAT, {0: buy(90), 1: buy(-90), 2: buy(90)}, fills, [(0, 3), (2, 2)]),
    Knob(
        "settlement_reduces_buying_power",
        FLAT,
        {0: buy(90), 1: buy(-90), 2: buy(90)},
        fills,
        [(True, 2), (False, 3)],
        {"settlement_delay": 2},
    ),
]
# A day is 1/365 of a year, so a rate of 0.365 is a thousandth a day; interest comes with the second, third and fourth day.
FINANCING = [
    Knob("cash_ledger", FLAT, {0: buy(-200)}, states, [("standard", REJECTED), ("free_cash", FILLED)], CRYPTO),
    Knob("cash_interest_rate", FLAT, {}, final, [(0.0, 1000.0), (0.365, 1003.003001)]),
    Knob("margin_interest_rate", FLAT, {0: buy(150)}, final, [(0.0, 1000.0), (0.365, 998.9995)], MARGIN),
    Knob("borrow_rate", FLAT, {0: buy(-50)}, final, [(0.0, 1000.0), (0.365, 999.0)], CRYPTO),
]
STOPPED = {0: (rule(StopLoss(0.1)), buy(10))}
TRAILED = {0: (rule(TrailingStop(0.1)), buy(10))}
STOPS = [
    Knob(
        "stop_fill_mode",
        [10, 10, (10, 10, 8, 8.5), 8.25],
        STOPPED,
        last,
        [("stop_price", 9.0), ("close_price", 8.5), ("bar_extreme", 8.0), ("next_bar_open", 8.25)],
    ),
    Knob("stop_level_basis", [10, 12, (11.5, 11.5, 8.5, 9)], STOPPED, last, [("fill_price", 10.8), ("signal_price", 9.0)]),
    Knob(
        "trail_hwm_source",
        [10, 10, (10, 20, 10, 12), (12, 12, 10, 11)],
        TRAILED,
        last,
        [("close", 10.8), ("bar_extreme", 12.0)],
    ),
    Knob(
        "initial_hwm_source",
        [9, (10, 20, 7, 8), (9.5, 9.5, 7, 7)],
        TRAILED,
        last,
        [("fill_price", 9.0), ("bar_close", 7.2), ("bar_high", 9.5), ("signal_price", 8.1)],
    ),
    Knob(
        "trail_stop_timing",
        [10, 10, (10, 20, 15, 16), (16, 16, 13, 13)],
        TRAILED,
        last,
        [("lagged", 14.4), ("intrabar", 18.0), ("vbt_pro", 16.0)],
    ),
    Knob(
        "stop_reset_on_add",
        [10, 10, 12, 12, (11.5, 11.5, 8.5, 9)],
        {**STOPPED, 2: buy(5)},
        last,
        [(False, 9.0), (True, 10.8)],
        {"stop_level_basis": "signal_price"},
    ),
    Knob(
        "allow_reentry_on_exit_bar",
        [10, 10, (10, 10, 8, 8.5), 8.25],
        {**STOPPED, 2: buy(5)},
        held,
        [(False, 0.0), (True, 5.0)],
    ),
]
PRICED = {"commission_rate": 0.01, "commission_per_share": 0.2, "commission_per_trade": 3.0}
SLIPPED = {"slippage_rate": 0.1, "slippage_fixed": 0.25, "slippage_spread": 0.4}
VOLUME = [10, (11, 13, 10, 12, 100)]
COSTS = [
    Knob(
        "commission_type",
        RISE,
        {0: buy(10)},
        commission,
        [("none", 0.0), ("percentage", 1.1), ("tiered", 1.1), ("per_share", 2.0), ("per_trade", 3.0)],
        PRICED,
    ),
    Knob("commission_rate", RISE, {0: buy(10)}, commission, [(0.01, 1.1), (0.02, 2.2)], {"commission_type": "percentage"}),
    Knob("commission_per_share", RISE, {0: buy(10)}, commission, [(0.0, 0.0), (0.2, 2.0)], {"commission_type": "per_share"}),
    Knob("commission_per_trade", RISE, {0: buy(10)}, commission, [(0.0, 0.0), (3.0, 3.0)], {"commission_type": "per_trade"}),
    Knob("commission_minimum", RISE, {0: buy(10)}, commission, [(0.0, 1.1), (5.0, 5.0)], {**PRICED, "commission_type": "percentage"}),
    Knob("commission_minimum", RISE, {0: buy(10)}, commission, [(0.0, 2.0), (5.0, 5.0)], {**PRICED, "commission_type": "per_share"}),
    Knob("commission_model", RISE, {0: buy(10)}, commission, [(None, 0.0), (PercentageCommission(0.02), 2.2), ("tiered", 1.1)], PRICED),
    Knob(
        "slippage_type",
        VOLUME,
        {0: buy(10)},
        prices,
        [("none", [11.0]), ("percentage", [12.1]), ("fixed", [11.25]), ("volume_based", [11.11]), ("spread", [11.2])],
        SLIPPED,
    ),
    Knob("slippage_rate", VOLUME, {0: buy(10)}, prices, [(0.1, [12.1]), (0.2, [13.2])], {"slippage_type": "percentage"}),
    Knob("slippage_rate", VOLUME, {0: buy(10)}, prices, [(0.1, [11.11]), (0.2, [11.22])], {"slippage_type": "volume_based"}),
    Knob("slippage_fixed", VOLUME, {0: buy(10)}, prices, [(0.0, [11.0]), (0.5, [11.5])], {"slippage_type": "fixed"}),
    Knob("slippage_spread", VOLUME, {0: buy(10)}, prices, [(0.2, [11.1]), (0.4, [11.2])], {"slippage_type": "spread"}),
    Knob("slippage_model", VOLUME, {0: buy(10)}, prices, [(None, [11.0]), (FixedSlippage(0.75), [11.75]), ("fixed", [11.25])], SLIPPED),
    Knob(
        "rule_exit_slippage",
        [10, 10, (10, 10, 8, 8.5)],
        STOPPED,
        last,
        [(True, 8.95), (False, 9.45)],
        {"slippage_type": "fixed", "slippage_fixed": 0.5},
    ),
    Knob("stop_slippage_rate", [10, 10, (10, 10, 8, 8.5)], STOPPED, last, [(0.0, 9.0), (0.1, 8.1)]),
]
THREE = {"A": FLAT, "B": FLAT, "C": FLAT}
ORDERS = [
    Knob("reject_on_insufficient_cash", FLAT, {0: buy(200)}, states, [(True, REJECTED), (False, ["cancelled"])]),
    Knob("skip_cash_validation", FLAT, {0: buy(200)}, states, [(False, REJECTED), (True, FILLED)], CRYPTO),
    Knob("partial_fills_allowed", FLAT, {0: buy(200)}, held, [(False, 0.0), (True, 100.0)]),
    Knob(
        "fill_ordering",
        PAIR,
        {0: buy(90), 1: (buy(90, "B"), close())},
        states,
        [("exit_first", ["filled"] * 3), ("fifo", ["filled", "rejected", "filled"]), ("sequential", ["filled", "rejected", "filled"])],
    ),
    Knob(
        "entry_order_priority",
        THREE,
        {0: (buy(50), buy(80, "B"), buy(30, "C"))},
        lambda result, _: [fill.asset for fill in result.fills],
        [("submission", ["A", "C"]), ("notional_desc", ["B"]), ("notional_asc", ["C", "A"])],
    ),
    # the shadow account keeps what the refused second order took
    Knob(
        "next_bar_submission_precheck",
        FLAT,
        {0: (buy(60), buy(60), buy(10))},
        states,
        [(False, ["filled", "rejected", "filled"]), (True, ["filled", "rejected", "rejected"])],
    ),
    Knob("next_bar_simple_cash_check", FLAT, {0: buy(-200)}, states, [(False, REJECTED), (True, FILLED)], CRYPTO),
    Knob(
        "buying_power_reservation",
        PAIR,
        {0: (buy(-60), buy(60, "B"))},
        states,
        [(False, FILLED + FILLED), (True, FILLED + REJECTED)],
        CRYPTO,
    ),
    Knob("immediate_fill", FLAT, {0: (buy(10), close())}, held, [(False, 10.0), (True, 0.0)], SAME),
    Knob("implicit_reduce_only", FLAT, {0: buy(10), 1: (buy(-10), buy(-10))}, held, [(True, 0.0), (False, -10.0)], CRYPTO),
    Knob("max_positions", PAIR, {0: (buy(10), buy(10, "B"))}, states, [(None, FILLED + FILLED), (1, FILLED + REJECTED)]),
    Knob("max_position_size", FLAT, {0: buy(8), 1: buy(8)}, states, [(None, FILLED + FILLED), (100, FILLED + REJECTED)]),
    Knob("max_order_size", FLAT, {0: buy(8), 1: buy(12)}, states, [(None, FILLED + FILLED), (100, FILLED + REJECTED)]),
]
DATES = [datetime(2023, 9, 29), datetime(2023, 10, 1), datetime(2023, 10, 2), datetime(2023, 10, 31), datetime(2023, 11, 1)]
DATES += [datetime(2024, 1, 1), datetime(2024, 1, 1, 12)]
STEPS = [10, 11, 12, 13, 14, 15, 16]
ALWAYS = dict.fromkeys(range(len(STEPS)), weights(A=0.5))
LATE: dict[str, Any] = {"A": FLAT, "B": [None, 10, 10, 10]}
REBALANCING = [
    # at the close of one bar; 10 % commission lowers the account value between the orders, the larger order goes first in a pass
    Knob(
        "rebalance_mode",
        PAIR,
        {0: weights(A=0.2, B=0.5)},
        deals,
        [("snapshot", [("B", 50.0), ("A", 20.0)]), ("hybrid", [("A", 20.0), ("B", 50.0)]), ("incremental", [("A", 20.0), ("B", 49.0)])],
        {**SAME, "entry_order_priority": "notional_desc", "commission_type": "percentage", "commission_rate": 0.1},
    ),
    Knob("rebalance_headroom_pct", FLAT, {0: weights(A=0.5)}, held, [(1.0, 50.0), (0.9, 45.0)]),
    Knob(
        "rebalance_frequency",
        STEPS,
        ALWAYS,
        dates,
        [
            (None, ["09-29 00", "10-01 00", "10-02 00", "10-31 00", "11-01 00", "01-01 00", "01-01 12"]),
            ("daily", ["09-29 00", "10-01 00", "10-02 00", "10-31 00", "11-01 00", "01-01 00"]),
            ("weekly", ["09-29 00", "10-02 00", "10-31 00", "01-01 00"]),
            ("monthly", ["09-29 00", "10-01 00", "11-01 00", "01-01 00"]),
            ("quarterly", ["09-29 00", "10-01 00", "01-01 00"]),
            ("yearly", ["09-29 00", "01-01 00"]),
        ],
        SAME,
        DATES,
    ),
    Knob("target_weight_tolerance", [10, 10, 11, 11], {0: weights(A=0.5), 2: weights(A=0.5)}, fills, [(0.0, 2), (0.05, 1)]),
    Knob(
        "missing_price_policy",
        {"A": FLAT, "B": [10, None, 10, 10]},
        {1: weights(A=0.2, B=0.5)},
        deals,
        [("skip", [("A", 20.0)]), ("use_last", [("A", 20.0), ("B", 50.0)])],
    ),
    Knob(
        "target_price_policy",
        {"A": FLAT, "B": [10, None, 10, 10]},
        {1: lambda broker: broker.order_target_percent("B", 0.5)},
        deals,
        [("skip", []), ("use_last", [("B", 50.0)])],
    ),
    Knob("late_asset_policy", LATE, {1: weights(B=0.5)}, fills, [("allow", 1), ("require_history", 0)], {"late_asset_min_bars": 2}),
    Knob("late_asset_min_bars", LATE, {1: weights(B=0.5)}, fills, [(1, 1), (2, 0)], {"late_asset_policy": "require_history"}),
]
# 23:10, 23:40 and 00:10 UTC: one session of the CME, one day in Chicago, two dates in UTC; the limit is touched on the last
NIGHT = [datetime(2024, 1, 9, 23, 10), datetime(2024, 1, 9, 23, 40), datetime(2024, 1, 10, 0, 10)]
TOUCHED = [10, 10, (10, 10, 8, 10)]
DAY_ORDER = {0: buy(10, order_type="limit", limit_price=9, time_in_force="day")}
# before the open, within the session, after the close, and a Saturday noon
WEEK = [datetime(2024, 1, 12, hour) for hour in (12, 16, 23)] + [datetime(2024, 1, 13, 16)]
CALENDAR = [
    Knob("calendar", TOUCHED, DAY_ORDER, states, [(None, ["expired"]), ("CME_Equity", FILLED)], times=NIGHT),
    Knob("timezone", TOUCHED, DAY_ORDER, states, [("UTC", ["expired"]), ("America/Chicago", FILLED)], times=NIGHT),
    Knob("enforce_sessions", FLAT, {}, bars_run, [(False, 4), (True, 3)], {"calendar": "NYSE"}, WEEK),
    Knob(
        "data_frequency",
        FLAT,
        {},
        bars_run,
        [("daily", 3), *((value, 1) for value in ("1m", "5m", "15m", "30m", "1h", "irregular"))],
        {"calendar": "NYSE", "enforce_sessions": True},
        WEEK,
    ),
]
KNOBS = [*ACCOUNT, *FINANCING, *EXECUTION, *STOPS, *COSTS, *ORDERS, *QUEUE, *REBALANCING, *CALENDAR]


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.setting)
def test_every_value_has_its_outcome(knob: Knob) -> None:
    assert [(value, knob.run(value)) for value, _ in knob.outcomes] == list(knob.outcomes)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.setting)
def test_every_case_shows_a_difference(knob: Knob) -> None:
    seen = [outcome for _, outcome in knob.outcomes]
    assert any(outcome != seen[0] for outcome in seen)


def test_no_setting_is_left_out() -> None:
    assert {knob.setting for knob in KNOBS} == {entry.name for entry in dataclasses.fields(BacktestConfig)} - {"preset_name"}


@pytest.mark.parametrize(
    "entry", [entry for entry in dataclasses.fields(BacktestConfig) if entry.metadata.get("kind")], ids=lambda e: e.name
)
def test_no_choice_is_left_out(entry: Any) -> None:
    tried = {value for knob in KNOBS if knob.setting == entry.name for value, _ in knob.outcomes}
    assert tried - {None} == {choice.value for choice in entry.metadata["kind"]}


def test_the_name_of_a_preset_is_a_label_only() -> None:
    knob = Knob("preset_name", RISE, {0: buy(10)}, lambda result, _: (final(result, _), result.config.describe().splitlines()[0]), [])
    value, title = knob.run("mine")
    assert value == knob.run(None)[0] == 1030.0
    assert title.startswith("BacktestConfig 'mine'")
