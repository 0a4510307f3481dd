"""Market impact, execution limits and rebalance schedules, by hand."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t_backtest.contracts import AssetClass
from ml4t_backtest.execution import (
    AdaptiveParticipationLimit,
    AssetExecutionLimits,
    ExecutionLimits,
    ExecutionResult,
    LinearImpact,
    MarketImpactModel,
    NoImpact,
    NoLimits,
    PositiveVolumeLimit,
    PowerLawImpact,
    RebalanceCadence,
    RebalanceSchedule,
    SharedVolumeParticipationLimit,
    SquareRootImpact,
    VolumeParticipationLimit,
    is_rebalance_timestamp,
    resolve_rebalance_timestamps,
)

NAN, INF = math.nan, math.inf
quantities = st.floats(1e-3, 1e7)
prices = st.floats(0.01, 1e5)
volumes = st.floats(1.0, 1e9)


@given(quantities, prices, volumes)
def test_impact_formulas_hold_to_the_last_bit(quantity: float, price: float, volume: float) -> None:
    share = quantity / volume
    for model, expected in (
        (NoImpact(), 0.0),
        (LinearImpact(), 0.1 * share * price),
        (LinearImpact(impact_coefficient=0.3), 0.3 * share * price),
        (LinearImpact(eta=0.3), 0.3 * share * price),
        (SquareRootImpact(), 0.5 * 0.02 * math.sqrt(share) * price),
        (SquareRootImpact(0.3, 0.05, 20.0), 0.3 * 0.05 * math.sqrt(quantity / (volume * 20.0)) * price),
        (SquareRootImpact(eta=0.3), 0.3 * 0.02 * math.sqrt(share) * price),
        (SquareRootImpact(impact_coefficient=0.1), 0.1 * math.sqrt(share) * price),
        (PowerLawImpact(), 0.1 * share**0.5 * price),
        (PowerLawImpact(impact_coefficient=0.2, exponent=0.7, min_impact=0.01), max(0.2 * share**0.7 * price, 0.01)),
    ):
        assert model.calculate(quantity, price, volume, is_buy=True) == expected
        assert model.calculate(-quantity, price, volume, is_buy=False) == -expected
        assert isinstance(model, MarketImpactModel)
        assert model == pickle.loads(pickle.dumps(model))


def test_the_readme_prints_the_law_without_volatility() -> None:
    price = 100.0 * (1 + 0.1 * (400 / 10_000) ** 0.5)
    assert 100.0 + SquareRootImpact(impact_coefficient=0.1).calculate(400, 100.0, 10_000, is_buy=True) == price
    assert SquareRootImpact(impact_coefficient=0.1) == SquareRootImpact(coefficient=0.1, volatility=1.0)


@pytest.mark.parametrize("volume", [None, NAN, 0.0])
def test_no_known_volume_the_least_impact(volume: float | None) -> None:
    for model in (NoImpact(), LinearImpact(), SquareRootImpact(), PowerLawImpact()):
        assert model.calculate(100.0, 10.0, volume, is_buy=True) == 0.0
    assert PowerLawImpact(min_impact=0.02).calculate(100.0, 10.0, volume, is_buy=False) == -0.02


@given(quantities, volumes, st.floats(0.01, 1.0), st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_limits_split_an_order_in_two(quantity: float, volume: float, rate: float, least: float, filled: float) -> None:
    for limit, known in (
        (NoLimits(), {}),
        (PositiveVolumeLimit(), {}),
        (VolumeParticipationLimit(rate, least), {}),
        (SharedVolumeParticipationLimit(rate, least), {"filled": filled}),
        (AdaptiveParticipationLimit(), {"volatility": rate}),
    ):
        result = limit.calculate(-quantity, volume, 10.0, **known)
        assert result == limit.calculate(quantity, volume, 10.0, **known)
        assert 0.0 <= result.fillable_quantity <= quantity
        assert result.remaining_quantity == quantity - result.fillable_quantity
        assert (result.adjusted_price, result.impact_cost) == (10.0, 0.0)
        assert result.participation_rate == result.fillable_quantity / volume
        assert isinstance(limit, ExecutionLimits)
        assert (
            limit.calculate(quantity, None, 10.0, **known)
            == limit.calculate(quantity, NAN, 10.0, **known)
            == ExecutionResult(quantity, 0.0, 10.0)
        )
        nothing = limit.calculate(quantity, 0.0, 10.0, **known)
        assert nothing.is_full == isinstance(limit, NoLimits)
        assert nothing.participation_rate == 0.0


def test_participation_in_numbers() -> None:
    limit = VolumeParticipationLimit(max_participation=0.10, min_volume=500.0)
    partial = limit.calculate(150.0, 1_000.0, 20.0)
    assert (partial.fillable_quantity, partial.remaining_quantity, partial.participation_rate) == (100.0, 50.0, 0.1)
    assert partial.is_partial
    assert not partial.is_full
    assert limit.calculate(50.0, 1_000.0, 20.0).is_full
    assert limit.calculate(50.0, 499.0, 20.0).fillable_quantity == 0.0
    assert limit.calculate(50.0, 500.0, 20.0).fillable_quantity == 50.0
    shared = SharedVolumeParticipationLimit(0.10)
    assert [shared.calculate(80.0, 1_000.0, 20.0, filled=filled).fillable_quantity for filled in (0.0, 80.0, 120.0)] == [80.0, 20.0, 0.0]


def test_participation_shrinks_with_volatility() -> None:
    limit = AdaptiveParticipationLimit()
    assert [limit.participation(volatility) for volatility in (None, NAN, 0.02)] == [0.1, 0.1, 0.1]
    assert limit.participation(0.04) == 0.05
    assert limit.participation(1.0) == 0.02
    assert limit.participation(0.0) == pytest.approx(0.15)
    assert AdaptiveParticipationLimit(volatility_factor=5.0).participation(0.0) == 0.25
    assert limit.calculate(100.0, 1_000.0, 1.0, volatility=0.04).fillable_quantity == 50.0


def test_limits_by_asset_and_class() -> None:
    class OnlyThree:
        def calculate(self, quantity: float, volume: float | None, price: float) -> ExecutionResult:
            return ExecutionResult(3.0, abs(quantity) - 3.0, price)

    limits = AssetExecutionLimits(
        {"ES": SharedVolumeParticipationLimit(0.5), AssetClass.EQUITY: VolumeParticipationLimit(0.1), "OWN": OnlyThree()},
        default=NoLimits(),
    )
    assert limits.calculate(100.0, 100.0, 1.0, asset="ES", filled=20.0).fillable_quantity == 30.0
    assert limits.calculate(100.0, 100.0, 1.0, asset="AAPL", asset_class=AssetClass.EQUITY, filled=20.0).fillable_quantity == 10.0
    assert limits.calculate(100.0, 100.0, 1.0, asset="OWN", filled=20.0).fillable_quantity == 3.0
    assert limits.calculate(100.0, 0.0, 1.0).is_full
    with pytest.raises(ValueError, match="AssetExecutionLimits has no model for 'X' and no default"):
        AssetExecutionLimits({"A": NoLimits()}).calculate(1.0, 1.0, 1.0, asset="X")


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: LinearImpact(-0.1), ValueError, r"LinearImpact\(coefficient=-0.1\)"),
    (lambda: LinearImpact(eta=0.1, impact_coefficient=0.1), TypeError, "both 'coefficient' and its other spelling"),
    (lambda: SquareRootImpact(volatility=NAN), ValueError, "volatility=nan"),
    (lambda: SquareRootImpact(adv_factor=0.0), ValueError, "adv_factor=0.0.*> 0"),
    (lambda: SquareRootImpact(impact_coefficient=0.1, volatility=0.02), ValueError, "law without volatility"),
    (lambda: PowerLawImpact(exponent=0.0), ValueError, "exponent=0.0"),
    (lambda: PowerLawImpact(min_impact=-1.0), ValueError, "min_impact=-1.0"),
    (lambda: VolumeParticipationLimit(0.0), ValueError, "max_participation=0.0.*> 0"),
    (lambda: VolumeParticipationLimit(10.0), ValueError, "max_participation=10.0.*at most 1"),
    (lambda: VolumeParticipationLimit(min_volume=INF), ValueError, "min_volume=inf"),
    (lambda: SharedVolumeParticipationLimit(-0.1), ValueError, "max_participation=-0.1"),
    (lambda: AdaptiveParticipationLimit(0.5), ValueError, "min_participation <= base_participation <= max_participation"),
    (lambda: AdaptiveParticipationLimit(avg_volatility=0.0), ValueError, "avg_volatility=0.0"),
    (lambda: AssetExecutionLimits({}), ValueError, "no model at all"),
    (lambda: RebalanceSchedule("monthl"), ValueError, "cadence was 'monthl'.*did you mean 'monthly'"),
    (lambda: RebalanceSchedule("monthly", anchor="middle"), ValueError, "anchor was 'middle'"),
    (lambda: RebalanceSchedule("monthly", every=0), ValueError, "every=0"),
    (lambda: RebalanceSchedule("monthly", every=True), ValueError, "every=True"),
    (lambda: RebalanceSchedule("monthly", anchor="last"), ValueError, "known only with calendar='NYSE' or sessions"),
    (lambda: RebalanceSchedule("monthly", calendar="NYSE", sessions=[date(2024, 1, 2)]), ValueError, "not both"),
    (lambda: RebalanceSchedule("bars", calendar="NYSE"), ValueError, "counts bars"),
    (lambda: RebalanceSchedule("monthly", calendar="NYES"), ValueError, "calendar was 'NYES'.*did you mean"),
    (lambda: RebalanceSchedule("monthly", sessions=[]), ValueError, "at least one session"),
    (lambda: RebalanceSchedule("monthly", sessions=[date(2024, 1, 3), date(2024, 1, 2)]), ValueError, "sessions must rise"),
    (lambda: RebalanceSchedule("monthly").clock().due("2024-01-02"), TypeError, "timestamp was '2024-01-02', expected a datetime or date"),
    (lambda: RebalanceSchedule("monthly").clock().due(pd.NaT), TypeError, "timestamp was NaT"),
    (lambda: is_rebalance_timestamp(date(2024, 1, 9), [date(2024, 1, 2)], "daily"), ValueError, "not among the timestamps"),
    (lambda: resolve_rebalance_timestamps([date(2024, 1, 2), date(2024, 1, 1)], "daily"), ValueError, "timestamps must rise"),
    (
        lambda: resolve_rebalance_timestamps([datetime(2024, 1, 2), datetime(2024, 1, 3, tzinfo=UTC)], "daily"),
        TypeError,
        "differ in having a time zone",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_settings_are_refused_with_a_message(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def days(first: date, count: int, *, week: int = 5) -> list[date]:
    """Return days, without those after the first `week` of each week."""
    every = (first + timedelta(days=number) for number in range(count))
    return [day for day in every if day.weekday() < week]


def iso(found: list[Any]) -> list[str]:
    return [str(day)[:10] for day in found]


FEED = days(date(2024, 1, 10), 400)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (RebalanceSchedule("monthly"), ["2024-01-10", "2024-02-01", "2024-03-01", "2024-04-01"]),
        (RebalanceSchedule("weekly"), ["2024-01-10", "2024-01-15", "2024-01-22", "2024-01-29"]),
        (RebalanceSchedule("weekly", every=2), ["2024-01-10", "2024-01-22", "2024-02-05", "2024-02-19"]),
        (RebalanceSchedule("quarterly"), ["2024-01-10", "2024-04-01", "2024-07-01", "2024-10-01"]),
        (RebalanceSchedule("yearly"), ["2024-01-10", "2025-01-01"]),
        (RebalanceSchedule("daily", every=7), ["2024-01-10", "2024-01-17", "2024-01-24", "2024-01-31"]),
        (RebalanceSchedule(RebalanceCadence.BARS, 10), ["2024-01-10", "2024-01-24", "2024-02-07", "2024-02-21"]),
        (RebalanceSchedule(frequency="MONTHLY", calendar="NYSE"), ["2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]),
        (RebalanceSchedule("quarterly", calendar="NYSE"), ["2024-04-01", "2024-07-01", "2024-10-01", "2025-01-02"]),
        (RebalanceSchedule("monthly", anchor="last", calendar="NYSE"), ["2024-01-31", "2024-02-29", "2024-03-28", "2024-04-30"]),
        (RebalanceSchedule("weekly", anchor="last", calendar="NYSE"), ["2024-01-12", "2024-01-19", "2024-01-26", "2024-02-02"]),
        (RebalanceSchedule("quarterly", anchor="last", sessions=FEED), ["2024-03-29", "2024-06-28", "2024-09-30", "2024-12-31"]),
        (RebalanceSchedule("monthly", sessions=FEED), ["2024-01-10", "2024-02-01", "2024-03-01", "2024-04-01"]),
    ],
    ids=repr,
)
def test_schedules_in_dates(schedule: RebalanceSchedule, expected: list[str]) -> None:
    assert iso(resolve_rebalance_timestamps(FEED, schedule)[:4]) == expected
    assert is_rebalance_timestamp(date.fromisoformat(expected[0]), FEED, schedule)
    assert not is_rebalance_timestamp(date(2024, 3, 5), FEED, schedule)


def test_the_end_of_the_known_sessions_ends_no_period() -> None:
    known = days(date(2024, 1, 1), 50)
    assert iso(resolve_rebalance_timestamps(known, RebalanceSchedule("monthly", anchor="last", sessions=known))) == ["2024-01-31"]
    clock = RebalanceSchedule("monthly", sessions=known).clock()
    assert clock.due(date(2024, 2, 1))
    for outside in (date(2024, 2, 27), date(2025, 1, 1)):
        with pytest.raises(ValueError, match=r"is outside the known sessions, which go from 2024-01-01 to 2024-02-19"):
            clock.due(outside)


def test_a_missed_first_session_is_made_up_for_and_weekend_bars_are_no_sessions() -> None:
    every_day = days(date(2024, 2, 20), 60, week=7)
    without = [day for day in every_day if day != date(2024, 3, 1)]
    assert iso(resolve_rebalance_timestamps(without, RebalanceSchedule("monthly", calendar="NYSE"))) == ["2024-03-04", "2024-04-01"]
    assert iso(resolve_rebalance_timestamps(every_day, RebalanceSchedule("weekly", calendar="NYSE"))[:2]) == ["2024-02-20", "2024-02-26"]


def test_intraday_bars_act_once_and_asking_twice_changes_nothing() -> None:
    bars = [datetime(2024, 1, 30, 14) + timedelta(hours=8 * number) for number in range(9)]
    clock = RebalanceSchedule("monthly").clock()
    answers = [(clock.due(bar), clock.due(bar)) for bar in bars]
    assert answers == [(number in (0, 5), number in (0, 5)) for number in range(9)]
    due = resolve_rebalance_timestamps(bars, "monthly")
    assert due == [datetime(2024, 1, 30, 14), datetime(2024, 2, 1, 6)]
    assert resolve_rebalance_timestamps(bars, RebalanceSchedule("monthly", anchor="last", calendar="NYSE")) == [datetime(2024, 1, 31, 6)]


def test_timestamps_of_other_libraries_come_back_as_they_were() -> None:
    expected = resolve_rebalance_timestamps([datetime(day.year, day.month, day.day) for day in FEED], "monthly")
    assert resolve_rebalance_timestamps(pd.DatetimeIndex(FEED), "monthly") == [pd.Timestamp(when) for when in expected]
    assert resolve_rebalance_timestamps(pl.Series(FEED), "monthly") == [when.date() for when in expected]
    numpy_times = np.array(FEED, dtype="datetime64[ns]")
    assert [when.astype("datetime64[us]").item() for when in resolve_rebalance_timestamps(numpy_times, "monthly")] == expected


@given(st.sampled_from(["bars", "daily", "weekly", "monthly", "quarterly"]), st.integers(1, 4), st.integers(1, 300), st.booleans())
def test_no_schedule_looks_ahead(cadence: str, every: int, cut: int, with_calendar: bool) -> None:
    calendar = "NYSE" if with_calendar and cadence != "bars" else None
    schedule = RebalanceSchedule(cadence, every, anchor="last" if calendar else "first", calendar=calendar)
    whole = resolve_rebalance_timestamps(FEED, schedule)
    assert resolve_rebalance_timestamps(FEED[:cut], schedule) == [day for day in whole if day <= FEED[:cut][-1]]
